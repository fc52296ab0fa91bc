package scanner

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// step is one thing that a fake port does: it waits, then gives bytes or an error.
type step struct {
	after time.Duration
	bytes string
	err   error
}

// fakePort plays steps, then stays silent. It notices use after close and a close from another goroutine's read.
type fakePort struct {
	t      *testing.T
	steps  []step
	slice  time.Duration // how long an empty read takes; 0 returns at once
	closed bool
	reads  int
	mu     sync.Mutex // held during Read, so that a Close beside it is noticed
}

func (p *fakePort) Read(b []byte) (int, error) {
	assert.True(p.t, p.mu.TryLock(), "one goroutine reads and closes")
	defer p.mu.Unlock()
	assert.False(p.t, p.closed, "read after close")
	p.reads++
	if len(p.steps) == 0 {
		time.Sleep(p.slice)
		return 0, nil
	}
	s := p.steps[0]
	p.steps = p.steps[1:]
	time.Sleep(s.after)
	return copy(b, s.bytes), s.err
}

func (p *fakePort) Close() error {
	assert.True(p.t, p.mu.TryLock(), "closed while it was read")
	defer p.mu.Unlock()
	assert.False(p.t, p.closed, "closed twice")
	p.closed = true
	return nil
}

// fakeDevice opens what plugged gives: a port or a trouble for each try, the last one for ever.
func fakeDevice(plugged ...any) *device {
	return &device{
		name: "fake",
		opener: func() (port, error) {
			now := plugged[0]
			if len(plugged) > 1 {
				plugged = plugged[1:]
			}
			if p, ok := now.(port); ok {
				return p, nil
			}
			return nil, now.(error)
		},
		decoder: NewAssembler(serialGap),
		lost: func(error) *Trouble {
			return &Trouble{Code: TroubleNotThere, What: "unplugged", Next: "plug it in"}
		},
	}
}

var away = &Trouble{Code: TroubleNotThere, What: "it is not there", Next: "plug it in"}
var refusal = &Trouble{Code: TroubleNoPermission, What: "not allowed", Next: "install the rule"}

// watchFor runs source for d of the bubble's time and returns what it delivered.
func watchFor(t *testing.T, source Source, d time.Duration) []Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var events []Event
	require.NoError(t, source.Run(ctx, func(e Event) { events = append(events, e) }))
	return events
}

// states are the states that events tell, in order.
func states(events []Event) []State {
	var found []State
	for _, e := range events {
		if e.Kind == KindState {
			found = append(found, e.State)
		}
	}
	return found
}

func TestADeviceThatIsNotThereIsWaitedForAndSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{t: t, slice: 25 * time.Millisecond, steps: []step{{bytes: code + "\r"}}}
		start := time.Now()
		events := watchFor(t, fakeDevice(away, away, away, p), 3*time.Second)
		require.Equal(t, []State{Absent, Ready}, states(events))
		assert.Equal(t, []string{code}, texts(events))
		assert.Equal(t, "fake: absent: it is not there; plug it in", events[0].String())
		assert.Equal(t, 1500*time.Millisecond, events[1].At.Sub(start), "it is looked for each half second")
		assert.True(t, p.closed, "the device is closed when Run returns")
	})
}

func TestARefusalSettlesBeforeAnybodyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{t: t, slice: 25 * time.Millisecond}
		events := watchFor(t, fakeDevice(away, refusal, refusal, refusal, p), 5*time.Second)
		assert.Equal(t, []State{Absent, Settling, Ready}, states(events), "udev sets the mode a little later")
	})
}

func TestARefusalThatLastsIsBlockedAfterTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		events := watchFor(t, fakeDevice(refusal), time.Minute)
		require.Equal(t, []State{Settling, Blocked}, states(events), "said once, tried on")
		assert.Equal(t, settleFor, events[1].At.Sub(start))
		assert.Equal(t, *refusal, events[1].Trouble)
	})
}

func TestEachPluggingInMaySettleAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{t: t, slice: 25 * time.Millisecond}
		var tries []any
		for range 3 { // 1.6 s of refusal and half a second away, three times
			for range 16 {
				tries = append(tries, refusal)
			}
			tries = append(tries, away)
		}
		events := watchFor(t, fakeDevice(append(tries, p)...), time.Minute)
		assert.Equal(t, []State{Settling, Absent, Settling, Absent, Settling, Absent, Ready}, states(events))
	})
}

func TestATroubleOnlyAPersonCanEndIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		many := &Trouble{Code: TroubleAmbiguous, What: "two match", Next: "write serial"}
		events := watchFor(t, fakeDevice(many), time.Second)
		assert.Equal(t, []State{Blocked}, states(events))
	})
}

func TestUnpluggedInTheMiddleOfAScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &fakePort{t: t, slice: 25 * time.Millisecond,
			steps: []step{{bytes: code[:9]}, {after: time.Millisecond, err: errors.New("gone")}}}
		second := &fakePort{t: t, slice: 25 * time.Millisecond, steps: []step{{bytes: code + "\r"}}}
		events := watchFor(t, fakeDevice(first, away, away, second), 10*time.Second)
		assert.Equal(t, []State{Ready, Lost, Ready}, states(events), "lost says it all: absent is not said again")
		assert.Equal(t, []string{code}, texts(events), "half a code never joins the next")
		assert.True(t, first.closed)
	})
}

func TestALostDeviceIsLookedForWithinHalfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &fakePort{t: t, slice: 25 * time.Millisecond, steps: []step{{after: time.Second, err: errors.New("gone")}}}
		events := watchFor(t, fakeDevice(first, &fakePort{t: t, slice: 25 * time.Millisecond}), 3*time.Second)
		require.Equal(t, []State{Ready, Lost, Ready}, states(events))
		assert.Equal(t, reopenEvery, events[2].At.Sub(events[1].At))
	})
}

func TestAScanWithoutSuffixEndsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Empty reads that return at once, as zero-length reports do, must not end a scan early.
		p := &fakePort{t: t, steps: []step{{bytes: code[:5]}, {}, {}, {after: 20 * time.Millisecond, bytes: code[5:]}}}
		events := watchFor(t, fakeDevice(p), time.Second)
		assert.Equal(t, []string{code}, texts(events))
	})
}

func TestEmptyReadsDoNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{t: t} // each read returns nothing, at once
		watchFor(t, fakeDevice(p), 10*time.Second)
		assert.Less(t, p.reads, earlyEmptyReads+1100, "after a burst at most a hundred reads a second")
	})
}

func TestACancelledContextClosesTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{t: t, slice: 25 * time.Millisecond}
		events := watchFor(t, fakeDevice(p), time.Second)
		assert.True(t, p.closed)
		assert.Equal(t, []State{Ready}, states(events), "our own close is no loss")
	})
}

func TestASlowConsumerLosesOldScansAndNoState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var steps []step
		for range 100 {
			steps = append(steps, step{after: 10 * time.Millisecond, bytes: code + "\r"})
		}
		last := "999"
		steps = append(steps, step{bytes: last + "\r"}, step{err: errors.New("gone")})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var events []Event
		p := &fakePort{t: t, slice: 25 * time.Millisecond, steps: steps}
		require.NoError(t, fakeDevice(p, away).Run(ctx, func(e Event) {
			if len(events) == 0 {
				time.Sleep(10 * time.Second) // all that time the device was read
			}
			events = append(events, e)
		}))
		assert.True(t, p.closed)
		assert.Equal(t, []State{Ready, Lost}, states(events))
		scans := texts(events)
		require.NotEmpty(t, scans)
		assert.Equal(t, last, scans[len(scans)-1], "the newest scan is kept")
		assert.LessOrEqual(t, len(scans), handoverMax)
		assert.Equal(t, uint64(101-len(scans)), events[len(events)-1].Dropped, "what was lost is counted")
	})
}
