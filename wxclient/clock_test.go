package wxclient

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// offBy returns a gateway, and a client whose PC clock is off by d, which told must hear of.
func offBy(t *testing.T, d *time.Duration) (*gateway, *Client, *[]Condition) {
	g := newGateway(t)
	told := &[]Condition{}
	config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
	config.Now = func() time.Time { return time.Now().Add(*d) }
	config.OnCondition = func(c Condition) { *told = append(*told, c) }
	return g, newClient(t, config), told
}

func kinds(told []Condition) (all []ConditionKind) {
	for _, c := range told {
		all = append(all, c.Kind)
	}
	return all
}

func TestClockOffByHoursIsCorrectedByOneCertificatesCall(t *testing.T) {
	for _, d := range []time.Duration{-3 * time.Hour, 3 * time.Hour, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			off := d
			g, c, told := offBy(t, &off)
			require.NoError(t, c.FirstRoundTrip(t.Context()))
			assert.Equal(t, 2, g.count("certificates"), "the first is refused, its Date is the hint for the second")
			offset, known, corrected := c.clock.state()
			assert.InDelta(t, float64(-d), float64(offset), float64(2*time.Second))
			assert.True(t, known && corrected)
			assert.WithinDuration(t, time.Now(), c.Now(), 2*time.Second)
			assert.Contains(t, kinds(*told), ClockOff)

			g.always(reply{status: 200, body: paidBody(testOrder())})
			outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
			require.NoError(t, err, "payments go by the corrected clock")
			assert.Equal(t, payflow.Found, outcome.Kind)
		})
	}
}

func TestClockWarnsFrom60SecondsAndCorrectsFrom240(t *testing.T) {
	for _, row := range []struct {
		off             time.Duration
		told, corrected bool
	}{{50 * time.Second, false, false}, {-70 * time.Second, true, false}, {230 * time.Second, true, false}, {-250 * time.Second, true, true}} {
		synctest.Test(t, func(t *testing.T) {
			_, c, told := offBy(t, &row.off)
			require.NoError(t, c.FirstRoundTrip(t.Context()))
			_, _, corrected := c.clock.state()
			assert.Equal(t, row.corrected, corrected, row.off)
			if !row.told {
				assert.NotContains(t, kinds(*told), ClockOff)
				return
			}
			last := (*told)[0]
			assert.Equal(t, ClockOff, last.Kind)
			assert.Equal(t, row.corrected, last.Red)
			assert.Contains(t, last.Text, "the PC clock is ")
		})
	}
}

func TestClockDropsACorrectionThatTwoAnswersDoNotAgreeOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := 10 * time.Minute
		_, c, told := offBy(t, &off)
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		c.clock.observe(c.clock.pc().Add(-10*time.Minute+20*time.Second), c.clock.pc(), c.clock.pc())
		_, known, corrected := c.clock.state()
		assert.False(t, known || corrected)
		c.clock.observe(c.clock.pc().Add(-10*time.Minute+20*time.Second), c.clock.pc(), c.clock.pc())
		_, known, _ = c.clock.state()
		assert.True(t, known, "the next two agree")
		*told = nil
	})
}

func TestClockSetByHandEndsTheCorrection(t *testing.T) {
	var pc time.Time
	start := time.Now()
	c := clock{pc: func() time.Time { return pc }, conditions: &conditions{}}
	pc = start
	c.observe(start.Add(time.Hour).Round(0), start, start)
	assert.Equal(t, start.Add(time.Hour).Unix(), c.Now().Unix())
	pc = start.Add(time.Hour).Round(0) // no monotonic reading any more: Sub falls back to the wall
	assert.Equal(t, pc.Add(time.Hour).Unix(), c.Now().Unix())
	c.observe(pc, pc, pc)
	assert.Equal(t, pc.Unix(), c.Now().Unix(), "the new answer contradicts the old one")
}

func TestClockDoesNotLearnFromASlowAnswer(t *testing.T) {
	c := clock{pc: time.Now, conditions: &conditions{}}
	now := time.Now()
	c.observe(now.Add(time.Hour), now.Add(-6*time.Second), now)
	_, known, _ := c.state()
	assert.False(t, known)
}

func TestClockOf1970IsNamedAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := time.Until(time.Unix(60, 0))
		_, c, told := offBy(t, &off)
		err := c.FirstRoundTrip(t.Context())
		require.ErrorContains(t, err, "the PC clock shows 1970-01-01")
		assert.Contains(t, kinds(*told), ClockUnusable)
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.NotSent, outcome.Kind)
		assert.Equal(t, payflow.ReasonClock, outcome.Reason, "not: no network")
		off = 0
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		last := (*told)[len(*told)-1]
		assert.Contains(t, []ConditionKind{RoundTripVerified, CertificatesRefused}, last.Kind)
	})
}

func TestClockChangedWhileRunningIsFoundOutByTheNextAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := time.Duration(0)
		g, c, _ := offBy(t, &off)
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		time.Sleep(time.Minute)
		off = 2 * time.Hour
		g.always(reply{status: 200, body: paidBody(testOrder())})
		_, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err, "out of step: one certificates call corrects the clock, and the answer is looked at again")
		assert.WithinDuration(t, time.Now(), c.Now(), 2*time.Second)
	})
}

func TestClockIsNotMovedByTheDateOfAnAnswerThatFailedForAnotherReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := 10 * time.Minute
		g, c, told := offBy(t, &off)
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		*told = nil
		wrong := map[string]string{"Date": "Mon, 02 Jan 2006 15:04:05 GMT"}
		g.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.write(w, r, reply{status: 503, seal: "none", header: wrong})
		})
		require.Error(t, c.FirstRoundTrip(t.Context()))
		assert.NotContains(t, kinds(*told), ClockOff)
		assert.WithinDuration(t, time.Now(), c.Now(), 2*time.Second, "the correction stands")

		g.server.Handler = g
		g.always(reply{status: 200, body: paidBody(testOrder()), header: wrong})
		_, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err, "a wrong Date beside a good signature means nothing")
	})
}

func TestADateHeaderIsShownAndCorrectsNothing(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := clock{pc: func() time.Time { return now }, conditions: &conditions{}}
	at := func(date time.Time, took time.Duration) answer {
		return answer{header: http.Header{"Date": {date.Format(http.TimeFormat)}}, sentAt: now.Add(-took), gotAt: now}
	}
	c.compare(at(now.Add(time.Hour), 6*time.Second))
	_, known, _ := c.state()
	assert.False(t, known, "too blunt to measure with")
	c.compare(at(now.Add(time.Hour), time.Second))
	offset, known, corrected := c.state()
	assert.Equal(t, time.Hour, offset)
	assert.True(t, known)
	assert.False(t, corrected)
	assert.Equal(t, now, c.Now())
	c.observe(now.Add(time.Minute), now, now)
	offset, known, _ = c.state()
	assert.True(t, known)
	assert.Equal(t, time.Minute, offset, "a signed time is the better one")
}
