package scanner

import (
	"context"
	"runtime"
	"sync"
)

// handoverMax bounds the events that wait for a slow consumer: some seconds of a busy till.
const handoverMax = 32

// handover passes events from the goroutine that reads a device to the one that delivers them, without ever making the
// reader wait.
type handover struct {
	mu      sync.Mutex // guards events and dropped
	events  []Event
	dropped uint64
	wake    chan struct{} // has one place; a token says that there is something to take
}

// handOver runs produce in a goroutine and delivers what it puts, until ctx is done or produce has ended and everything
// was delivered. It returns after produce has.
func handOver(ctx context.Context, produce func(put func(Event)), deliver func(Event)) {
	h := &handover{wake: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		produce(h.put)
	}()
	for {
		select {
		case <-h.wake:
			h.deliver(ctx, deliver)
		case <-ended:
			h.deliver(ctx, deliver)
			return
		}
	}
}

// put queues e; where the queue is full the oldest scan makes room, for a stale code is worth less than a new one.
func (h *handover) put(e Event) {
	h.mu.Lock()
	if len(h.events) == handoverMax {
		i := h.leastWanted()
		h.events = append(h.events[:i], h.events[i+1:]...)
		h.dropped++
	}
	h.events = append(h.events, e)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
		runtime.Gosched() // the consumer begins at once, before this goroutine reads on
	default:
	}
}

// leastWanted is the index of the oldest event that is no change of state, or of the oldest where all are.
func (h *handover) leastWanted() int {
	for i, e := range h.events {
		if e.Kind != KindState {
			return i
		}
	}
	return 0
}

func (h *handover) deliver(ctx context.Context, deliver func(Event)) {
	for ctx.Err() == nil {
		e, ok := h.take()
		if !ok {
			return
		}
		deliver(e)
	}
}

func (h *handover) take() (Event, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) == 0 {
		return Event{}, false
	}
	e := h.events[0]
	e.Dropped = h.dropped
	h.events = h.events[1:]
	return e, true
}
