package health

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func codes(list []Active) []Code {
	out := []Code{}
	for _, a := range list {
		out = append(out, a.Code)
	}
	return out
}

func TestWorstFirstThenOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := NewTracker(Config{})
		tracker.Set(ClockOff, "")
		time.Sleep(time.Second)
		tracker.Set(DiskNearlyFull, "")
		tracker.Set(DiskFull, "")
		tracker.Set(APIOpenToNetwork, "")
		assert.Equal(t, []Code{DiskFull, ClockOff, DiskNearlyFull, APIOpenToNetwork}, codes(tracker.List()))
	})
}

func TestAReplugAlarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := 0
		tracker := NewTracker(Config{Changed: func() { changes++ }})
		tracker.Set(ScannerAway, "serial scanner")
		time.Sleep(1900 * time.Millisecond)
		synctest.Wait()
		assert.Empty(t, tracker.List())
		assert.True(t, tracker.Holds(ScannerAway))
		tracker.Clear(ScannerAway)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Empty(t, tracker.List())
		assert.Zero(t, changes, "nothing was ever shown")
	})
}

func TestACauseThatLastsIsShownWithItsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := 0
		tracker := NewTracker(Config{Changed: func() { changes++ }})
		began := time.Now()
		tracker.Set(ScannerAway, "one")
		time.Sleep(time.Second)
		tracker.Set(ScannerAway, "two") // does not begin anew
		time.Sleep(1001 * time.Millisecond)
		synctest.Wait()
		require.Len(t, tracker.List(), 1)
		assert.Equal(t, "two", tracker.List()[0].Detail)
		assert.True(t, tracker.List()[0].Since.Equal(began))
		assert.Equal(t, 1, changes)
		tracker.Clear(ScannerAway, DiskFull)
		assert.Empty(t, tracker.List())
		assert.Equal(t, 2, changes)
	})
}

func TestASecondCauseWaitsItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := NewTracker(Config{})
		tracker.Set(ScannerAway, "")
		time.Sleep(1500 * time.Millisecond)
		tracker.Clear(ScannerAway)
		tracker.Set(ScannerAway, "")
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		assert.Empty(t, tracker.List(), "the first one's time does not count")
	})
}

// A timer that had fired when its warning was cleared finds another in its place.
func TestALateTimerShowsNothing(t *testing.T) {
	changes := 0
	tracker := NewTracker(Config{Changed: func() { changes++ }})
	tracker.Set(ScannerAway, "")
	late := tracker.active[ScannerAway]
	tracker.Clear(ScannerAway)
	tracker.Set(ScannerAway, "")
	tracker.show(late)
	assert.Empty(t, tracker.List())
	assert.Zero(t, changes)
	tracker.Clear(ScannerAway)
}

func TestChangesAreTold(t *testing.T) {
	changes := 0
	tracker := NewTracker(Config{Changed: func() { changes++ }})
	tracker.Set(ClockOff, "62 s")
	tracker.Set(ClockOff, "62 s")
	assert.Equal(t, 1, changes, "the same again changes nothing")
	tracker.Set(ClockOff, "75 s")
	assert.Equal(t, 2, changes)
	tracker.Clear(ClockOff)
	tracker.Clear(ClockOff)
	assert.Equal(t, 3, changes)
}

func TestWhoIsToldMayAskTheTracker(t *testing.T) {
	var tracker *Tracker
	var seen []Code
	tracker = NewTracker(Config{Changed: func() { seen = codes(tracker.List()) }})
	tracker.Set(DiskFull, "")
	assert.Equal(t, []Code{DiskFull}, seen)
}

func TestNoUnknownCodeCanBeSet(t *testing.T) {
	tracker := NewTracker(Config{})
	assert.PanicsWithValue(t, "health: the code sunny is not on the list of warnings", func() { tracker.Set("sunny", "") })
	assert.Empty(t, tracker.List())
}

func TestLongDetailsAreCut(t *testing.T) {
	tracker := NewTracker(Config{})
	tracker.Set(DiskFull, strings.Repeat("碟", 500))
	assert.Len(t, []rune(tracker.List()[0].Detail), 200)
}

func TestSeveralAtOnce(t *testing.T) {
	tracker := NewTracker(Config{})
	var all sync.WaitGroup
	for _, w := range All() {
		all.Go(func() {
			tracker.Set(w.Code, "x")
			tracker.List()
			tracker.Clear(w.Code)
		})
	}
	all.Wait()
	assert.Empty(t, tracker.List())
}
