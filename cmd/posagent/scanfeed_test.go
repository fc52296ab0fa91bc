package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
	"posagent/scanner"
	"posagent/till"
)

// fakeTaker answers scans as the engine would.
type fakeTaker struct {
	answer  error
	scans   int
	misread int
}

func (f *fakeTaker) Scan(context.Context, string, string, string) (payflow.Entry, error) {
	f.scans++
	return payflow.Entry{}, f.answer
}

func (f *fakeTaker) Misread(context.Context, string) error {
	f.misread++
	return nil
}

const feedCode = "134567890123456789"

func scanAt(at time.Time) scanner.Event {
	return scanner.Event{Kind: scanner.KindScan, Device: "desk", At: at, Scan: scanner.Scan{Text: scanner.NewText(feedCode), Characters: 18}}
}

func TestScansWhileTheTillIsNotReadyAreRefusedAndCounted(t *testing.T) {
	taker := &fakeTaker{}
	var log bytes.Buffer
	f := newScanFeed(taker, health.NewTracker(health.Config{}), zerolog.New(&log))
	at := time.Now()
	f.take(t.Context(), scanner.Event{Kind: scanner.KindState, Device: "desk", State: scanner.Ready, At: time.Now().Add(-2 * time.Hour)})
	for _, answer := range []error{nil, payflow.ErrScanBusy, payflow.ErrScanBusy, payflow.ErrSameCode, payflow.ErrNothingArmed,
		&payflow.WrongCodeError{Kind: payflow.CodeWrongLength}, &payflow.NotReadyError{Code: "no_network"}, errors.New("disk")} {
		taker.answer = answer
		f.take(t.Context(), scanAt(at))
	}
	s := f.statistics("desk")
	assert.Equal(t, uint64(1), s.Good)
	assert.Equal(t, map[string]uint64{"busy": 2, "same_code": 1, "nothing_armed": 1, "wrong_length": 1, "no_network": 1, "failed": 1}, s.Refused)
	assert.Equal(t, 8, taker.scans, "each is shown to the cashier by the engine, and none is kept")

	shown := scanStatistics(s)
	assert.InDelta(t, 2, shown.ReadyHours, 0.1)
	line := statisticsText(*shown)
	assert.Contains(t, line, "1 good scans, 7 refused (busy 2, failed 1, no_network 1, nothing_armed 1, same_code 1, wrong_length 1)")
	out, err := json.Marshal(till.Device{Name: "desk", Statistics: shown})
	require.NoError(t, err)
	for _, text := range []string{string(out), line, fmt.Sprintf("%+v", s), log.String()} {
		assert.NotContains(t, text, feedCode[:6])
		assert.NotContains(t, text, feedCode[12:])
	}
}

func TestNoiseIsCountedAndSaidOnceASecond(t *testing.T) {
	taker := &fakeTaker{}
	f := newScanFeed(taker, health.NewTracker(health.Config{}), zerolog.Nop())
	at := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	for i := range 1000 {
		f.take(t.Context(), scanner.Event{Kind: scanner.KindNoise, Device: "desk", At: at.Add(time.Duration(i) * time.Millisecond),
			Trouble: scanner.Trouble{Code: scanner.TroubleGarbled}})
	}
	assert.Equal(t, 1, taker.misread)
	f.take(t.Context(), scanner.Event{Kind: scanner.KindNoise, Device: "desk", At: at.Add(misreadEvery), Trouble: scanner.Trouble{Code: scanner.TroubleParity}})
	assert.Equal(t, 2, taker.misread)
	s := f.statistics("desk")
	assert.Equal(t, map[scanner.TroubleCode]uint64{scanner.TroubleGarbled: 1000, scanner.TroubleParity: 1}, s.Misread)
	assert.Zero(t, taker.scans, "noise is never a scan")
}

func TestAWrongSettingIsSaidUntilAScanComesWhole(t *testing.T) {
	f := newScanFeed(&fakeTaker{}, health.NewTracker(health.Config{}), zerolog.Nop())
	at := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	f.take(t.Context(), scanner.Event{Kind: scanner.KindState, Device: "desk", State: scanner.Ready, At: at})
	assert.Empty(t, f.snapshot()["desk"].text())
	f.take(t.Context(), scanner.Event{Kind: scanner.KindNoise, Device: "desk", At: at, Trouble: scanner.Trouble{Code: scanner.TroubleParity, What: "seven bits", Next: "set data_bits"}})
	f.take(t.Context(), scanner.Event{Kind: scanner.KindNoise, Device: "desk", At: at, Trouble: scanner.Trouble{Code: scanner.TroubleGarbled}})
	assert.Equal(t, "seven bits; set data_bits", f.snapshot()["desk"].text())
	f.take(t.Context(), scanAt(at))
	assert.Empty(t, f.snapshot()["desk"].text())
}

func TestAWarningIsNotLostWhereTwoScannersChangeAtOnce(t *testing.T) {
	state := func(device string, s scanner.State) scanner.Event {
		return scanner.Event{Kind: scanner.KindState, Device: device, State: s, At: time.Now(), Trouble: scanner.Trouble{Code: scanner.TroubleNotThere}}
	}
	tracker := health.NewTracker(health.Config{})
	f := newScanFeed(&fakeTaker{}, tracker, zerolog.Nop())
	for range 5000 {
		f.take(t.Context(), state("desk", scanner.Ready))
		f.take(t.Context(), state("kiosk", scanner.Lost))
		var both sync.WaitGroup
		start := make(chan struct{})
		for _, e := range []scanner.Event{state("desk", scanner.Lost), state("kiosk", scanner.Ready)} {
			both.Go(func() {
				<-start
				f.take(t.Context(), e)
			})
		}
		close(start)
		both.Wait()
		require.True(t, tracker.Holds(health.ScannerAway), "the desk's scanner is away, whatever the kiosk's does")
	}
}

// hungSource is a scanner whose driver never comes back.
type hungSource struct{ forever chan struct{} }

func (s hungSource) Run(context.Context, func(scanner.Event)) error {
	<-s.forever
	return nil
}

func TestAScannerWhoseDriverHangsDoesNotKeepTheDaemonFromEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := newScanFeed(&fakeTaker{}, health.NewTracker(health.Config{}), zerolog.New(&log))
		hung := hungSource{make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			f.run(ctx, []scanner.Source{hung})
		}()
		time.Sleep(time.Hour)
		stop()
		select {
		case <-ended:
			assert.Contains(t, log.String(), "does not answer")
		case <-time.After(time.Minute):
			assert.Fail(t, "it waits for a driver that hangs")
		}
		close(hung.forever)
	})
}

func TestACodeThatWaitedIsNotGivenToALaterSale(t *testing.T) {
	taker := &fakeTaker{}
	f := newScanFeed(taker, health.NewTracker(health.Config{}), zerolog.Nop())
	f.take(t.Context(), scanAt(time.Now().Add(-scanAgeMax-time.Second)))
	assert.Zero(t, taker.scans, "the till stood still meanwhile, and another sale may be armed")
	assert.Equal(t, 1, taker.misread, "the cashier is told to scan again")
	assert.Equal(t, map[string]uint64{"stale": 1}, f.statistics("desk").Refused)
	f.take(t.Context(), scanAt(time.Now()))
	assert.Equal(t, 1, taker.scans)
	assert.Equal(t, uint64(1), f.statistics("desk").Good)
}

func TestAScanForABillIsNotThePayments(t *testing.T) {
	taker := &fakeTaker{}
	feed := newScanFeed(taker, health.NewTracker(health.Config{}), zerolog.Nop())
	waits := true
	bills := 0
	feed.bill = func(string) bool {
		bills++
		return waits
	}
	feed.take(t.Context(), scanAt(time.Now()))
	assert.Zero(t, taker.scans)
	waits = false
	feed.take(t.Context(), scanAt(time.Now()))
	assert.Equal(t, 2, bills)
	assert.Equal(t, 1, taker.scans)
	assert.EqualValues(t, 1, feed.statistics("desk").Refused[billScan])
}
