package till

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
)

func TestTheStatusShowsWhatTheTillNeedsToKnow(t *testing.T) {
	warnings := health.NewTracker(health.Config{})
	warnings.Set(health.ClockOff, "73 s ahead")
	a := newTill(t, func(c *Config) { c.Health, c.Language = warnings, "zh-Hant" })
	a.busyDay(2)
	id := a.armed("A-1001")
	a.desk.notReady = &payflow.NotReadyError{Code: "clock", Text: "the clock is not checked yet"}
	got := a.get("/v1/status")
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	var st StatusReport
	require.NoError(t, json.Unmarshal([]byte(got.Body), &st))
	assert.False(t, st.Ready)
	assert.Equal(t, "clock", st.NotReady.Reason)
	assert.Equal(t, string(id), st.HoldingID)
	assert.Equal(t, 2, st.Unannounced)
	assert.Equal(t, "zh-Hant", st.Language)
	require.Len(t, st.Warnings, 1)
	assert.Equal(t, health.ClockOff, st.Warnings[0].Code)
	assert.Equal(t, "73 s ahead", st.Warnings[0].Detail)
	assert.NotEmpty(t, st.Warnings[0].NextStep.ZhHans)
	assert.Equal(t, []Device{}, st.Devices)
}

func TestHealthAndReadinessNeedNoToken(t *testing.T) {
	a := newTill(t)
	for _, path := range []string{"/healthz", "/readyz", "/v1/openapi.json"} {
		r := a.request(http.MethodGet, path, "")
		r.Header.Del("Authorization")
		assert.Equal(t, http.StatusOK, a.do(r).Status, path)
	}
}

func TestTheStatusCountsMoneyThatGoesBack(t *testing.T) {
	a := newTill(t)
	counts := func() [3]int {
		var report StatusReport
		require.NoError(t, json.Unmarshal([]byte(a.get("/v1/status").Body), &report))
		return [3]int{report.OpenRefunds, report.LateSuccess, report.NeedPerson}
	}
	assert.Equal(t, [3]int{}, counts())
	first := a.refund(a.sold("A-1001"), "r1", aRefundBody).refund()
	assert.Equal(t, [3]int{1, 0, 0}, counts())
	a.back.move(first.ID, abnormal)
	assert.Equal(t, [3]int{1, 0, 1}, counts())
	a.back.move(first.ID, func(r *payflow.RefundEntry) {
		refusedForFunds(r)
		r.Attention = payflow.AttentionRefundRefused
	})
	assert.Equal(t, [3]int{0, 0, 1}, counts(), "at its end, and not seen to")
	late := a.late("A-1002")
	assert.Equal(t, [3]int{0, 1, 1}, counts())
	a.desk.move(late, func(e *payflow.Entry) { e.Late.MoneySeen, e.Late.Attention = false, payflow.AttentionLateUnanswered })
	assert.Equal(t, [3]int{0, 0, 2}, counts())
}
