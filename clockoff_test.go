package posagent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
	"posagent/wxsim"
)

// A PC's clock that is ten minutes off: WeChat Pay refuses what it signs. The simulator's clock is shifted instead of the PC's.

func TestAPCClockTenMinutesOffIsCorrectedByOneCall(t *testing.T) {
	for name, off := range map[string]time.Duration{"behind": 10 * time.Minute, "ahead": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, wxsim.Config{Clock: off}, func(t *testing.T, h *house) {
				h.readsTheClockAs(off)
				assert.Equal(t, 2, h.sim.Books().Calls[wxsim.Certificates].Whole, "one that is refused, and one corrected call")
				h.sellsThree()
			})
		})
	}
}

func TestAClockThatIsShiftedWhileTheTillIsOpenCostsOneScan(t *testing.T) {
	for name, off := range map[string]time.Duration{"behind": 10 * time.Minute, "ahead": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, wxsim.Config{}, func(t *testing.T, h *house) {
				h.sellsThree()
				h.sim.SetClock(off)
				time.Sleep(15 * time.Second)
				entry := h.sell("pays-at-once")
				first, took := h.until(entry.OutTradeNo, endedWithin, ended)
				assert.NotEqual(t, payflow.Paid, first.Status, "this one was refused for its signature")
				t.Logf("%s (%s) after %s", first.Status, first.Reason, took)
				h.readsTheClockAs(off)
				h.sellsThree()
			})
		})
	}
}

// sellsThree makes three sales that must be paid.
func (h *house) sellsThree() {
	h.t.Helper()
	require.NoError(h.t, h.client.FirstRoundTrip(h.t.Context()))
	for _, customer := range []string{"pays-at-once", "password-pays", "pays-at-once"} {
		entry := h.sell(customer)
		last, _ := h.until(entry.OutTradeNo, endedWithin, ended)
		assert.Equal(h.t, payflow.Paid, last.Status)
	}
}

// readsTheClockAs checks that the correction is known, and the warning red.
func (h *house) readsTheClockAs(off time.Duration) {
	h.t.Helper()
	synctest.Wait()
	state := h.client.State()
	assert.True(h.t, state.ClockCorrected)
	assert.InDelta(h.t, off.Seconds(), state.ClockOffset.Seconds(), 2)
	warnings := h.conditions(wxclient.ClockOff)
	require.NotEmpty(h.t, warnings)
	assert.True(h.t, warnings[len(warnings)-1].Red)
	assert.Contains(h.t, warnings[len(warnings)-1].Text, "the PC clock is 10m0s")
}
