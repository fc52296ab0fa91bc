package scanner

import (
	"context"
	"errors"
	"time"
)

// How a device is waited for.
const (
	// settleFor is how long a refusal is retried before a person is told: after a replug, opening fails until udev
	// has set the node's group and mode.
	settleFor = 2 * time.Second
	// settleEvery is the pause between those tries.
	settleEvery = 100 * time.Millisecond
	// reopenEvery is the pause between tries while a device is absent, lost or blocked.
	reopenEvery = 500 * time.Millisecond
)

// readBytesMax is more than any device gives in one read: a HID report has 64 bytes, a serial chip's buffer less.
const readBytesMax = 256

// port is an opened device. Read waits for one short slice; 0 and no error means that nothing came, or that something
// empty did. Any error means that the device is gone or of no more use. Only the goroutine that reads closes.
type port interface {
	Read(p []byte) (int, error)
	Close() error
}

// device is the Source behind every kind of hardware: it opens a port, reads it, closes it, and waits for it again.
type device struct {
	name    string
	opener  func() (port, error) // its errors are *Trouble
	decoder Decoder
	lost    func(error) *Trouble // explains a read error; the port is still open
	format  format               // how a recording of this device is decoded again
	tap     tap                  // sees what passes, where the device is recorded
}

// tap sees what passes through a device, from the goroutine that reads it.
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
	w := &watcher{device: d, put: put}
	for ctx.Err() == nil {
		p, err := d.opener()
		if err != nil {
			pause(ctx, w.refused(asTrouble(err)))
			continue
		}
		d.describe(p)
		w.enter(Ready, Trouble{})
		gone := d.read(ctx, p, put)
		_ = p.Close() // nothing is written to a scanner, so nothing can be lost by closing it
		d.decoder.Reset()
		if ctx.Err() == nil {
			w.enter(Lost, *gone)
			pause(ctx, reopenEvery)
		}
	}
}

// read hands over what p gives, until it fails or ctx is done.
func (d *device) read(ctx context.Context, p port, put func(Event)) *Trouble {
	buf, idle := make([]byte, readBytesMax), idleGuard{}
	for ctx.Err() == nil {
		asked := time.Now()
		n, err := p.Read(buf)
		now := time.Now()
		d.pass(buf[:n], now, put)
		if err != nil {
			return d.lost(err)
		}
		pause(ctx, idle.pauseAfter(n, now.Sub(asked)))
	}
	return nil
}

// pass decodes what one read returned and hands over what came of it.
func (d *device) pass(b []byte, at time.Time, put func(Event)) {
	matters := len(b) > 0 || d.decoder.Pending()
	events := d.decoder.Feed(b, at)
	if d.tap != nil && matters {
		d.tap.chunk(b, at, events)
	}
	for _, e := range events {
		e.Device = d.name
		put(e)
	}
}

// watcher remembers what was said last, so that a device that stays away is not said to be away twice a second.
type watcher struct {
	*device
	put          func(Event)
	state        State
	code         TroubleCode
	refusedSince time.Time // zero unless the last try was refused
}

// refused says why the device cannot be opened, once, and returns how long to wait before the next try.
func (w *watcher) refused(t *Trouble) time.Duration {
	if t.Code == TroubleNotThere {
		w.refusedSince = time.Time{}
		if w.state != Lost {
			w.enter(Absent, *t)
		}
		return reopenEvery
	}
	now := time.Now()
	if w.refusedSince.IsZero() {
		w.refusedSince = now
	}
	if t.settles() && now.Sub(w.refusedSince) < settleFor {
		w.enter(Settling, *t)
		return settleEvery
	}
	w.enter(Blocked, *t)
	return reopenEvery
}

func (w *watcher) enter(s State, t Trouble) {
	if s == Ready {
		w.refusedSince = time.Time{}
	}
	if s == w.state && t.Code == w.code {
		return
	}
	w.state, w.code = s, t.Code
	e := Event{Kind: KindState, Device: w.name, At: time.Now(), State: s, Trouble: t}
	if w.tap != nil {
		w.tap.state(e)
	}
	w.put(e)
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
