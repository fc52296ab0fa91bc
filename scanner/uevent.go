package scanner

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

// ueventBytesMax is more than the kernel's (2 KiB) and udev's (8 KiB) longest message.
const ueventBytesMax = 16 << 10

// Hotplug listens for what the kernel and udev tell when something is plugged in or out, so that a scanner is found at
// once and nobody has to look for it all the time. One serves all scanners of a process: it listens while one of them
// runs. Where the system does not let it listen (no AF_NETLINK, not Linux), scanners look for themselves now and then.
type Hotplug struct {
	listen func() (io.ReadCloser, error)

	mu    sync.Mutex // guards what is below
	rings map[int]func()
	next  int
	line  io.Closer // nil while nobody listens
	ended chan struct{}
}

// NewHotplug returns a listener that has not begun to listen yet.
func NewHotplug() *Hotplug { return &Hotplug{listen: listenUevents} }

// join has ring called at each message that may be about a scanner, from another goroutine, until leave is called.
// A nil Hotplug calls nobody.
func (h *Hotplug) join(ring func()) (leave func()) {
	if h == nil {
		return func() {}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rings == nil {
		h.rings = map[int]func(){}
	}
	number := h.next
	h.next++
	h.rings[number] = ring
	h.start()
	return func() { h.leave(number) }
}

// start begins to listen, unless that is done already or cannot be done.
func (h *Hotplug) start() {
	if h.line != nil {
		return
	}
	line, err := h.listen()
	if err != nil {
		return // scanners look for themselves
	}
	h.line, h.ended = line, make(chan struct{})
	go h.hear(line, h.ended)
}

func (h *Hotplug) leave(number int) {
	h.mu.Lock()
	delete(h.rings, number)
	line, ended := h.line, h.ended
	if len(h.rings) > 0 || line == nil {
		h.mu.Unlock()
		return
	}
	h.line = nil
	h.mu.Unlock()
	_ = line.Close() // nothing is written to it
	<-ended
}

// hear reads messages until the line is closed.
func (h *Hotplug) hear(line io.ReadCloser, ended chan<- struct{}) {
	defer close(ended)
	defer h.deaf(line)
	message := make([]byte, ueventBytesMax)
	for {
		n, err := line.Read(message)
		if err != nil && !messagesLost(err) {
			return
		}
		if err != nil || mayBeScanner(message[:n]) {
			h.ring()
		}
	}
}

// deaf forgets a line that gives no more messages, so that the next scanner that joins listens anew, and has each look once.
func (h *Hotplug) deaf(line io.Closer) {
	h.mu.Lock()
	failed := h.line == line
	if failed {
		h.line = nil
	}
	h.mu.Unlock()
	if failed {
		_ = line.Close() // nothing is written to it
		h.ring()
	}
}

func (h *Hotplug) ring() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ring := range h.rings {
		ring()
	}
}

// mayBeScanner reports a message about a device of a kind that scanners are. What else it says does not matter: it only
// makes us look.
func mayBeScanner(message []byte) bool {
	for _, subsystem := range []string{"usb", "tty", "input", "hid", "hidraw", "usb-serial"} {
		if bytes.Contains(message, []byte("\x00SUBSYSTEM="+subsystem+"\x00")) {
			return true
		}
	}
	return false
}

// bell wakes the goroutine of one device: from a pause, or out of a read that waits.
type bell struct {
	token chan struct{} // has one place

	mu   sync.Mutex // guards what is below
	wake func()     // ends the read under way; nil where none can be ended
}

func newBell() *bell { return &bell{token: make(chan struct{}, 1)} }

// ring wakes, and never waits.
func (b *bell) ring() {
	select {
	case b.token <- struct{}{}:
	default:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wake != nil {
		b.wake()
	}
}

// tell sets what ends the read under way.
func (b *bell) tell(wake func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake = wake
}

// rang reports whether the bell was rung since the last look.
func (b *bell) rang() bool {
	select {
	case <-b.token:
		return true
	default:
		return false
	}
}

// wait waits for the bell, for d, or until ctx is done.
func (b *bell) wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-b.token:
	case <-t.C:
	case <-ctx.Done():
	}
}
