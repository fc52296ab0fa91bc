package till

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// The bounds of the connections that one listener holds. The unit allows the process 1,024 files: whatever comes here, the journal and
// the calls to WeChat Pay have theirs.
const (
	connectionsMax = 256
	// connectionsBurst may come at once; after them one each connectionEvery. A page opens six.
	connectionsBurst = 128
	connectionEvery  = time.Millisecond
	// nobodyWriteTimeout ends an answer to a caller without token or session who takes nothing of it.
	nobodyWriteTimeout = 10 * time.Second
)

// boundedListener holds at most max connections. One more than that takes the place of the one that has waited longest without
// a whole request, then of the one that was idle longest; where all are being answered, the new one is closed. So whoever opens
// thousands and says nothing keeps no page out.
type boundedListener struct {
	net.Listener
	max   int
	burst int
	every time.Duration

	mu    sync.Mutex // guards all below
	held  map[net.Conn]*heldConnection
	order uint64    // of what happened last
	whole time.Time // when the burst is whole again
}

type heldConnection struct {
	state http.ConnState
	since uint64
}

func newBoundedListener(l net.Listener) *boundedListener {
	return &boundedListener{Listener: l, max: connectionsMax, burst: connectionsBurst, every: connectionEvery, held: map[net.Conn]*heldConnection{}}
}

// Accept returns the next connection that there is room for.
func (b *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		wait, taken := b.take(c)
		if wait > 0 {
			time.Sleep(wait)
		}
		if taken {
			return c, nil
		}
		_ = c.Close()
	}
}

// take makes room for a connection, and says how long the next one has to wait.
func (b *boundedListener) take(c net.Conn) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pace := bucket{b.burst, b.every}
	now := time.Now()
	b.whole = pace.count(b.whole, now)
	wait := pace.wait(b.whole, now)
	if len(b.held) >= b.max {
		last := b.longest()
		if last == nil {
			return wait, false
		}
		delete(b.held, last)
		_ = last.Close()
	}
	b.order++
	b.held[c] = &heldConnection{http.StateNew, b.order}
	return wait, true
}

// longest is the connection that gives its place away; nil: all are being answered. b.mu is held.
func (b *boundedListener) longest() net.Conn {
	var found net.Conn
	var best *heldConnection
	for c, h := range b.held {
		if h.state == http.StateActive {
			continue
		}
		if best == nil || h.state == http.StateNew && best.state == http.StateIdle || h.state == best.state && h.since < best.since {
			found, best = c, h
		}
	}
	return found
}

// follow is the server's ConnState hook.
func (b *boundedListener) follow(c net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.held[c]
	switch {
	case h == nil: // it gave its place away
	case state == http.StateClosed || state == http.StateHijacked:
		delete(b.held, c)
	case h.state != state:
		b.order++
		h.state, h.since = state, b.order
	}
}

// hangUp refuses a request without reading its body, and ends the connection: each refusal costs its sender a new one, and those are
// counted.
func hangUp(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Connection", "close")
	p.write(w)
}
