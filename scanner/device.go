package scanner

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How a device is waited for.
const (
	// settleFor is how long a refusal is retried before a person is told: after a replug, opening fails until udev
	// has set the node's group and mode.
	settleFor = 2 * time.Second
	// settleEvery is the pause between those tries.
	settleEvery = 100 * time.Millisecond
	// reopenEvery is the pause between tries while a device is absent, lost or blocked: trying a path is one call.
	reopenEvery = 500 * time.Millisecond
	// lookEvery is that pause for a device that is looked for among all of the bus, in case no message of the kernel
	// tells that something was plugged in.
	lookEvery = 2 * time.Second
	// plugRest is the least pause between tries while a device is not there: one plugging in is told in some twenty messages.
	plugRest = 20 * time.Millisecond
)

// readBytesMax is more than any device gives in one read: a HID report has 64 bytes, a serial chip's buffer less.
const readBytesMax = 256

// port is an opened device. Read waits for one short slice; 0 and no error means that nothing came, or that something
// empty did. Any error means that the device is gone or of no more use. Only the goroutine that reads closes.
type port interface {
	Read(p []byte) (int, error)
	Close() error
}

// patientPort is a port that is told before each read whether a scan is under way, and waits longer where none is.
type patientPort interface {
	port
	await(pending bool)
}

// wakefulPort is a port whose waiting read another goroutine may end. interrupt may be called at any time, after Close
// too, and makes at least one Read return soon.
type wakefulPort interface {
	port
	interrupt()
}

// lookingPort is a port that can tell without a read whether its device is still there.
type lookingPort interface {
	port
	gone() bool
}

// device is the Source behind every kind of hardware: it opens a port, reads it, closes it, and waits for it again.
type device struct {
	name    string
	opener  func() (port, error) // its errors are *Trouble
	decoder Decoder
	lost    func(error) *Trouble // explains a read error; the port is still open
	format  format               // how a recording of this device is decoded again
	tap     tap                  // sees what passes, where the device is recorded
	every   time.Duration        // between tries while it is not there; 0 is reopenEvery
	hotplug *Hotplug             // tells that something was plugged in or out; nil: nobody does

	urgent    bool // its driver keeps little: what is not read at once is lost
	unsettled bool // what it is, and so how it is decoded, is found out only when it is opened: see Resolve
}

// tap sees what passes through a device, one call at a time.
type tap interface {
	// chunk sees what one read returned and what came of it. It sees an empty read only where that might end a scan.
	chunk(b []byte, at time.Time, events []Event)
	state(e Event)
	// descriptor sees the report descriptor of what was opened, or none.
	descriptor(descriptor []byte)
}

// Run reads the device until ctx is done.
func (d *device) Run(ctx context.Context, deliver func(Event)) error {
	handOver(ctx, func(put func(Event)) { d.watch(ctx, put) }, deliver)
	return nil
}

// watch is the one goroutine that opens, reads and closes.
func (d *device) watch(ctx context.Context, put func(Event)) {
	if d.urgent {
		defer urgent()()
	}
	w := &watcher{device: d, put: put, bell: newBell()}
	leave := d.hotplug.join(w.bell.ring)
	defer leave()
	for ctx.Err() == nil {
		p, by, err := w.open()
		if err != nil {
			w.pause(ctx, w.refused(asTrouble(err)), w.rest)
			continue
		}
		w.describe(by, p)
		w.enter(Ready, Trouble{})
		opened := time.Now()
		gone := w.follow(ctx, p, by)
		by.decoder.Reset()
		if ctx.Err() == nil {
			w.enter(Lost, *gone)
		}
		w.guarded(hungOpen, func() { _ = p.Close() }) // nothing is written to a scanner, so nothing can be lost by closing it
		if ctx.Err() == nil {
			w.pause(ctx, reopenEvery, restAfter(time.Since(opened)))
		}
	}
}

// restAfter is the least pause after a device was ready for so long: one that fails as soon as it is opened is not opened
// again for the noise that opening it made.
func restAfter(ready time.Duration) time.Duration {
	if ready < reopenEvery {
		return reopenEvery
	}
	return plugRest
}

// open opens the device's port; by is the device that it turned out to be, which reads it.
func (w *watcher) open() (p port, by *device, err error) {
	w.guarded(hungOpen, func() { p, err = w.opener() })
	if chosen, ok := p.(*chosenPort); ok && err == nil {
		return chosen.port, chosen.by, nil
	}
	return p, w.device, err
}

// follow reads p until it fails or ctx is done.
func (w *watcher) follow(ctx context.Context, p port, by *device) *Trouble {
	if wakeful, ok := p.(wakefulPort); ok {
		stop := context.AfterFunc(ctx, wakeful.interrupt)
		defer stop()
		w.bell.tell(wakeful.interrupt)
		defer w.bell.tell(nil)
	}
	return w.read(ctx, p, by)
}

// read hands over what p gives, until it fails or ctx is done.
func (w *watcher) read(ctx context.Context, p port, by *device) *Trouble {
	buf, idle := make([]byte, readBytesMax), idleGuard{}
	patient, isPatient := p.(patientPort)
	looking, looks := p.(lookingPort)
	for ctx.Err() == nil {
		if looks && w.bell.rang() && looking.gone() {
			return by.lost(unix.ENODEV)
		}
		if isPatient {
			patient.await(by.decoder.Pending())
		}
		asked := time.Now()
		n, hung, err := w.readOnce(p, buf)
		now := time.Now()
		if hung {
			by.decoder.Reset() // what comes after so long belongs to a sale that is over
			n = 0
		}
		if errors.Is(err, errStoodStill) {
			w.forget(by, now)
			continue
		}
		w.pass(by, buf[:n], now)
		if err != nil {
			return by.lost(err)
		}
		if hung {
			w.enter(Ready, Trouble{})
		}
		pause(ctx, idle.pauseAfter(n, now.Sub(asked)))
	}
	return nil
}

// forget drops what has begun before this program stood still, and says so. A recording is told by a state, before which
// its decoder forgets too.
func (w *watcher) forget(by *device, at time.Time) {
	by.decoder.Reset()
	if w.tap != nil {
		w.mu.Lock()
		w.tap.state(Event{Kind: KindState, At: at, State: w.state})
		w.mu.Unlock()
	}
	w.tell([]Event{noiseEvent(stoodStillTrouble(), at)})
}

// readOnce reads once; hung says that it took so long that the device was said to be lost. A port that another
// goroutine can wake waits in Go's poller, where nothing hangs.
func (w *watcher) readOnce(p port, buf []byte) (n int, hung bool, err error) {
	if _, ok := p.(wakefulPort); ok {
		n, err = p.Read(buf)
		return n, false, err
	}
	hung = w.guarded(hungRead, func() { n, err = p.Read(buf) })
	return n, hung, err
}

// pass decodes what one read returned and hands over what came of it.
func (w *watcher) pass(by *device, b []byte, at time.Time) {
	matters := len(b) > 0 || by.decoder.Pending()
	events := by.decoder.Feed(b, at)
	if w.tap != nil && matters {
		w.mu.Lock()
		w.tap.chunk(b, at, events)
		w.mu.Unlock()
	}
	w.tell(events)
}

// tell hands events over.
func (w *watcher) tell(events []Event) {
	for _, e := range events {
		e.Device = w.name
		w.put(e)
	}
}

// pause waits for at most d while the device is not there, and after rest no longer than until something is plugged in.
func (w *watcher) pause(ctx context.Context, d, rest time.Duration) {
	pause(ctx, min(d, rest))
	w.bell.wait(ctx, d-rest)
}

// watcher remembers what was said last, so that a device that stays away is not said to be away twice a second.
type watcher struct {
	*device
	put          func(Event)
	bell         *bell
	refusedSince time.Time // zero unless the last try was refused

	rest time.Duration // the least pause after the last try

	mu    sync.Mutex // guards what is below, and tap: a call that hangs is told of by another goroutine
	state State
	said  Trouble
}

// refused says why the device cannot be opened, once, and returns how long to wait before the next try.
func (w *watcher) refused(t *Trouble) time.Duration {
	every := orDefault(w.every, reopenEvery)
	if t.Code == TroubleNotThere || t.Code == TroubleSwapped {
		w.refusedSince, w.rest = time.Time{}, plugRest
		w.away(t)
		return every
	}
	// A try takes a HID device from the kernel's driver and gives it back, which is told like a plugging in.
	w.rest = reopenEvery
	now := time.Now()
	if w.refusedSince.IsZero() {
		w.refusedSince = now
	}
	if t.settles() && now.Sub(w.refusedSince) < settleFor {
		w.enter(Settling, *t)
		return settleEvery
	}
	w.enter(Blocked, *t)
	return every
}

// away says that the device is not there. Lost has said so already, unless another one came or went since.
func (w *watcher) away(t *Trouble) {
	w.mu.Lock()
	state, said := w.state, w.said.Code
	w.mu.Unlock()
	switch {
	case state != Lost:
		w.enter(Absent, *t)
	case t.Code == TroubleSwapped, said == TroubleSwapped:
		w.enter(Lost, *t)
	}
}

func (w *watcher) now() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

func (w *watcher) enter(s State, t Trouble) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s == Ready {
		w.refusedSince = time.Time{}
	}
	if s == w.state && t.Code == w.said.Code {
		return
	}
	w.state, w.said = s, t
	e := Event{Kind: KindState, Device: w.name, At: time.Now(), State: s, Trouble: t}
	if w.tap != nil {
		w.tap.state(e)
	}
	w.put(e)
}

// How long a call into a device's driver may take before the till is told that the scanner is away. A read takes a slice,
// and some devices take a while to open.
const (
	hungRead = 1500 * time.Millisecond
	hungOpen = 5 * time.Second
)

// guarded makes a call that a faulty device or driver may hang, and tells the till if it takes longer than within. The
// call itself cannot be broken off.
func (w *watcher) guarded(within time.Duration, call func()) (hung bool) {
	told := make(chan struct{})
	guard := time.AfterFunc(within, func() {
		defer close(told)
		w.hangs()
	})
	call()
	if guard.Stop() {
		return false
	}
	<-told
	return true
}

func (w *watcher) hangs() {
	t := Trouble{Code: TroubleHung,
		What: "the scanner " + w.name + " does not answer the computer",
		Next: "unplug it, wait five seconds and plug it in again; if it stays so, restart posagent"}
	if s := w.now(); s == Ready || s == Lost {
		w.enter(Lost, t)
		return
	}
	w.enter(Blocked, t)
}

// idleGuard keeps a reader from spinning on a port whose empty reads return at once.
type idleGuard struct{ early int }

// The reads that may come back empty at once, in a row, before the reader rests. A scanner may send an empty report
// after each real one, and hidapi keeps only some 30 reports, so a rest must not come between those.
const (
	earlyEmptyReads = 64
	emptyReadRest   = 10 * time.Millisecond
	earlyRead       = time.Millisecond
)

// pauseAfter returns how long to rest after a read that took took and gave n bytes.
func (g *idleGuard) pauseAfter(n int, took time.Duration) time.Duration {
	if n > 0 || took >= earlyRead {
		g.early = 0
		return 0
	}
	if g.early++; g.early < earlyEmptyReads {
		return 0
	}
	return emptyReadRest
}

func asTrouble(err error) *Trouble {
	var t *Trouble
	if errors.As(err, &t) {
		return t
	}
	return &Trouble{Code: TroubleBroken, What: err.Error(), Next: "unplug the scanner, wait five seconds, plug it in again"}
}

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
