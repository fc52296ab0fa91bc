package scanner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestADayOfAScannerInNumbers(t *testing.T) {
	var c Counter
	at := func(d time.Duration) time.Time { return begin.Add(d) }
	c.Note(Event{Kind: KindState, State: Absent, At: at(0)})
	c.Note(Event{Kind: KindState, State: Ready, At: at(time.Hour)})
	c.Note(Event{Kind: KindScan, At: at(2 * time.Hour)})
	c.Taken("", at(2*time.Hour))
	c.Note(Event{Kind: KindScan, At: at(3 * time.Hour)})
	c.Taken("busy", at(3*time.Hour))
	c.Note(Event{Kind: KindNoise, Trouble: Trouble{Code: TroubleGarbled}, At: at(4 * time.Hour), Dropped: 2})
	c.Note(Event{Kind: KindState, State: Lost, At: at(5 * time.Hour)})
	c.Note(Event{Kind: KindState, State: Settling, At: at(6 * time.Hour)})
	c.Note(Event{Kind: KindState, State: Ready, At: at(7 * time.Hour)})
	s := c.Statistics(at(10 * time.Hour))
	assert.Equal(t, Statistics{
		Good: 1, Refused: map[string]uint64{"busy": 1}, Misread: map[TroubleCode]uint64{TroubleGarbled: 1}, Overrun: 2, Unplugs: 1,
		Ready: 7 * time.Hour, LastSeenAt: at(4 * time.Hour), LastGoodAt: at(2 * time.Hour),
	}, s)
	assert.Equal(t, uint64(1), s.RefusedInAll())
	assert.Equal(t, uint64(1), s.MisreadInAll())
	c.Taken("busy", at(11*time.Hour))
	assert.Equal(t, uint64(1), s.Refused["busy"], "what was given out does not change")
}

func TestReasonsAreBounded(t *testing.T) {
	var c Counter
	for i := range 1000 {
		c.Taken(fmt.Sprint("reason ", i), begin)
	}
	s := c.Statistics(begin)
	assert.Len(t, s.Refused, reasonsMax)
	assert.Equal(t, uint64(1000), s.RefusedInAll())
	assert.Equal(t, uint64(1000-reasonsMax+1), s.Refused[otherReasons])
}

func TestAScannerThatIsAwayIsNotCountedAgainAsUnplugged(t *testing.T) {
	var c Counter
	c.Note(Event{Kind: KindState, State: Ready, At: begin})
	c.Note(Event{Kind: KindState, State: Lost, Trouble: Trouble{Code: TroubleHung}, At: begin.Add(time.Second)})
	c.Note(Event{Kind: KindState, State: Lost, Trouble: Trouble{Code: TroubleNotThere}, At: begin.Add(2 * time.Second)})
	c.Note(Event{Kind: KindState, State: Lost, Trouble: Trouble{Code: TroubleSwapped}, At: begin.Add(3 * time.Second)})
	c.Note(Event{Kind: KindState, State: Lost, Trouble: Trouble{Code: TroubleNotThere}, At: begin.Add(4 * time.Second)})
	assert.Equal(t, uint64(1), c.Statistics(begin).Unplugs, "it hung, was pulled out, and another one came and went: once away")
}
