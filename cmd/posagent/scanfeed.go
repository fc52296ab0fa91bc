package main

import (
	"context"
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
}

// scanFeed runs every configured scanner, hands its scans on, and keeps what the status page says of its device.
type scanFeed struct {
	taker  scanTaker
	health *health.Tracker
	log    zerolog.Logger

	mu     sync.Mutex // guards states
	states map[string]deviceState
}

// deviceState is where one device stands.
type deviceState struct {
	State string
	What  string
	Next  string
	Since time.Time
	Code  scanner.TroubleCode
}

func newScanFeed(taker scanTaker, tracker *health.Tracker, log zerolog.Logger) *scanFeed {
	return &scanFeed{taker: taker, health: tracker, log: log, states: map[string]deviceState{}}
}

// run reads every source until ctx ends.
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
	running.Wait()
}

func (f *scanFeed) take(ctx context.Context, e scanner.Event) {
	switch e.Kind {
	case scanner.KindScan:
		// A refusal is shown on the page and logged by the engine, which alone knows what it refused.
		_, _ = f.taker.Scan(ctx, e.Scan.Text.Reveal(), e.Scan.AIM, e.Device)
	case scanner.KindState:
		f.setState(e)
	case scanner.KindNoise:
		f.log.Warn().Str("device", e.Device).Str("trouble", string(e.Trouble.Code)).Msg(e.Trouble.What)
	}
}

func (f *scanFeed) setState(e scanner.Event) {
	f.mu.Lock()
	f.states[e.Device] = deviceState{State: e.State.String(), What: e.Trouble.What, Next: e.Trouble.Next, Since: e.At, Code: e.Trouble.Code}
	f.mu.Unlock()
	f.log.Info().Str("device", e.Device).Str("state", e.State.String()).Msg("scanner")
	f.warn()
}

// warn sets the warnings of all devices anew.
func (f *scanFeed) warn() {
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
