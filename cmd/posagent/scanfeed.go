package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"posagent/health"
	"posagent/payflow"
	"posagent/scanner"
)

// scanTaker is what scans are handed to: the engine.
type scanTaker interface {
	Scan(ctx context.Context, text, aim, device string) (payflow.Entry, error)
	// Misread tells the cashier that something came that was no whole scan.
	Misread(ctx context.Context, device string) error
}

// misreadEvery is how often a device that sends noise is said and logged; the rest is counted.
const misreadEvery = time.Second

// scanAgeMax is how long a code may wait for the engine. One that has waited longer, behind a disk that stood still, was
// shown when the till was not ready for it, and the payment that waits for a code now may be another customer's.
const scanAgeMax = 3 * time.Second

// staleRefusal counts the codes that have waited too long.
const staleRefusal = "stale"

// billScan counts the scans that were the number on a customer's bill.
const billScan = "bill"

// endWithin is how long scanners are waited for at the end: the call into a faulty device's driver may never come back, and
// a daemon that has failed is to be started again.
const endWithin = 5 * time.Second

// scanFeed runs every configured scanner, hands its scans on, and keeps what the status page says of its device. It is
// where a scanner is frozen, as the scanners of UnifiedPOS are: one scan is delivered, and until the till is ready for the
// next, each further one is refused by the engine, told to the cashier, counted here, and never kept for later.
type scanFeed struct {
	taker  scanTaker
	health *health.Tracker
	log    zerolog.Logger
	bill   func(text string) bool // takes a scan for whoever waits for the number on a customer's bill; nil: nobody does

	warning  sync.Mutex // held from the look at all states until the warnings are those that were seen
	mu       sync.Mutex // guards the rest
	states   map[string]deviceState
	counters map[string]*scanner.Counter
	misread  map[string]time.Time // when it was said last that a device sent noise
}

// deviceState is where one device stands.
type deviceState struct {
	State string
	What  string
	Next  string
	Since time.Time
	Code  scanner.TroubleCode

	Unread scanner.Trouble // why the last thing that came was no scan, where only another setting will mend it
}

func newScanFeed(taker scanTaker, tracker *health.Tracker, log zerolog.Logger) *scanFeed {
	return &scanFeed{taker: taker, health: tracker, log: log, states: map[string]deviceState{}, counters: map[string]*scanner.Counter{}, misread: map[string]time.Time{}}
}

// run reads every source until ctx ends, and waits no longer than endWithin for one that does not end then.
func (f *scanFeed) run(ctx context.Context, sources []scanner.Source) {
	var running sync.WaitGroup
	for _, source := range sources {
		running.Go(func() {
			err := source.Run(ctx, func(e scanner.Event) { f.take(ctx, e) })
			if err != nil && ctx.Err() == nil {
				f.log.Error().Err(err).Msg("a scanner has stopped; restart posagent once it is mended")
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		running.Wait()
	}()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	select {
	case <-ended:
	case <-time.After(endWithin):
		f.log.Warn().Msg("a scanner does not answer the computer, and is not waited for; unplug it and plug it in again")
	}
}

func (f *scanFeed) take(ctx context.Context, e scanner.Event) {
	counter := f.counter(e.Device)
	counter.Note(e)
	switch e.Kind {
	case scanner.KindScan:
		f.setUnread(e.Device, scanner.Trouble{})
		if time.Since(e.At) > scanAgeMax {
			counter.Taken(staleRefusal, e.At)
			f.sayMisread(ctx, e.Device, e.At, staleRefusal, "a code waited too long while this computer stood still, and was dropped")
			return
		}
		if f.bill != nil && f.bill(e.Scan.Text.Reveal()) {
			counter.Taken(billScan, e.At)
			return
		}
		// A refusal is shown on the page and logged by the engine, which alone knows what it refused.
		_, err := f.taker.Scan(ctx, e.Scan.Text.Reveal(), e.Scan.AIM, e.Device)
		counter.Taken(refusal(err), e.At)
	case scanner.KindState:
		f.setState(e)
	case scanner.KindNoise:
		f.noise(ctx, e)
	}
}

// refusal is why a scan was not taken; empty where it was.
func refusal(err error) string {
	var wrong *payflow.WrongCodeError
	var notReady *payflow.NotReadyError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &wrong), errors.As(err, &notReady), errors.Is(err, payflow.ErrSameCode), errors.Is(err, payflow.ErrScanBusy),
		errors.Is(err, payflow.ErrNothingArmed):
		return payflow.NoticeKind(err)
	}
	return "failed"
}

// noise says that something came that was no whole scan, at most once a second for each device.
func (f *scanFeed) noise(ctx context.Context, e scanner.Event) {
	if e.Trouble.Code == scanner.TroubleParity || e.Trouble.Code == scanner.TroubleUnframed {
		f.setUnread(e.Device, e.Trouble)
	}
	f.sayMisread(ctx, e.Device, e.At, string(e.Trouble.Code), e.Trouble.What)
}

// sayMisread tells the cashier that what was scanned counts for nothing, unless it was said a moment ago.
func (f *scanFeed) sayMisread(ctx context.Context, device string, at time.Time, code, what string) {
	f.mu.Lock()
	said := at.Sub(f.misread[device]) < misreadEvery
	if !said {
		f.misread[device] = at
	}
	f.mu.Unlock()
	if said {
		return
	}
	f.log.Warn().Str("device", device).Str("trouble", code).Msg(what)
	_ = f.taker.Misread(ctx, device) // it fails only where the engine has stopped, and its page with it
}

// setUnread keeps what is wrong with a device's settings until a scan comes whole.
func (f *scanFeed) setUnread(device string, t scanner.Trouble) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, known := f.states[device]; known {
		s.Unread = t
		f.states[device] = s
	}
}

// counter is the one that counts a device's events. Devices are as many as the configuration has.
func (f *scanFeed) counter(device string) *scanner.Counter {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.counters[device]
	if c == nil {
		c = &scanner.Counter{}
		f.counters[device] = c
	}
	return c
}

// statistics are what a device has done since the program began.
func (f *scanFeed) statistics(device string) scanner.Statistics {
	return f.counter(device).Statistics(time.Now())
}

func (f *scanFeed) setState(e scanner.Event) {
	f.mu.Lock()
	f.states[e.Device] = deviceState{State: e.State.String(), What: e.Trouble.What, Next: e.Trouble.Next, Since: e.At, Code: e.Trouble.Code}
	f.mu.Unlock()
	f.log.Info().Str("device", e.Device).Str("state", e.State.String()).Msg("scanner")
	f.warn()
}

// warn sets the warnings of all devices anew. One look at a time: an older one would undo what a newer one has set.
func (f *scanFeed) warn() {
	f.warning.Lock()
	defer f.warning.Unlock()
	wanted := map[health.Code]string{}
	for name, s := range f.snapshot() {
		if s.State == scanner.Ready.String() {
			continue
		}
		switch s.Code {
		case scanner.TroubleNoPermission:
			wanted[health.ScannerNoPermission] = name
		case scanner.TroubleNoHID:
			wanted[health.ScannerUnsupported] = name
		default:
			wanted[health.ScannerAway] = name
		}
	}
	for _, code := range []health.Code{health.ScannerAway, health.ScannerNoPermission, health.ScannerUnsupported} {
		if detail, ok := wanted[code]; ok {
			f.health.Set(code, detail)
		} else {
			f.health.Clear(code)
		}
	}
}

func (f *scanFeed) snapshot() map[string]deviceState {
	f.mu.Lock()
	defer f.mu.Unlock()
	states := make(map[string]deviceState, len(f.states))
	for name, s := range f.states {
		states[name] = s
	}
	return states
}
