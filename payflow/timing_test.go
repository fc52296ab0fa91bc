package payflow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTimingBounds(t *testing.T) {
	require.NoError(t, DefaultTiming().Check())
	for _, row := range []struct {
		set  func(*Timing, time.Duration)
		name string
		low  time.Duration
		high time.Duration
	}{
		{func(x *Timing, d time.Duration) { x.QueryEvery = d }, "query_every", 3 * time.Second, 10 * time.Second},
		{func(x *Timing, d time.Duration) { x.ReverseAfter = d }, "reverse_after", 15 * time.Second, 44 * time.Second},
		{func(x *Timing, d time.Duration) { x.ScanWithin = d }, "scan_within", 5 * time.Second, 10 * time.Minute},
	} {
		for d, good := range map[time.Duration]bool{row.low - 1: false, row.low: true, row.high: true, row.high + 1: false, 0: false, -row.low: false} {
			x := DefaultTiming()
			row.set(&x, d)
			if good {
				assert.NoError(t, x.Check(), "%s %s", row.name, d)
			} else {
				assert.ErrorContains(t, x.Check(), row.name, "%s", d)
			}
		}
	}
}

// The numbers that come from WeChat Pay's documents, or are decided in the flow's description. A change here is a change of the flow.
func TestNumbersOfTheFlow(t *testing.T) {
	assert.Equal(t, 15*time.Second, ReverseGuard)
	assert.Equal(t, 75*time.Second, DeadAfter)
	assert.Equal(t, 7*24*time.Hour, ReverseLifetime)
	assert.Equal(t, Timing{QueryEvery: 3 * time.Second, ReverseAfter: 40 * time.Second, ScanWithin: 90 * time.Second}, DefaultTiming())
	assert.Less(t, DefaultTiming().ReverseAfter, 45*time.Second, "WeChat Pay itself revokes at 45 s")
}

// 3, 6, 12, 24, 48, then each 60 s, spread by 20 % either way, and not all tills alike.
func TestBackOffOfReverses(t *testing.T) {
	spread := map[time.Duration]bool{}
	for reverses, base := range map[int]time.Duration{1: 3, 2: 6, 3: 12, 4: 24, 5: 48, 6: 60, 7: 60, 1000: 60} {
		base *= time.Second
		for till := range 200 {
			s := &stepper{p: Payment{Reverses: reverses, Order: Order{OutTradeNo: OutTradeNo(rune('A' + till))}}}
			got := s.backOff()
			assert.GreaterOrEqual(t, got, base*8/10)
			assert.LessOrEqual(t, got, base*12/10)
			if reverses == 6 {
				spread[got] = true
			}
		}
	}
	assert.Greater(t, len(spread), 50, "the tills of a chain call together")
}
