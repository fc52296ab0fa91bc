package till

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// waitsForBill asks for the next scan, in the background.
func (a *aTill) waitsForBill(seconds string) <-chan answer {
	a.t.Helper()
	got := make(chan answer, 1)
	before := a.server.billScans.now()
	go func() { got <- a.post("/v1/bills/scan", `{"wait":`+seconds+`}`) }()
	require.Eventually(a.t, func() bool { now := a.server.billScans.now(); return now != nil && now != before }, 10*time.Second, time.Millisecond)
	return got
}

func (b *billScans) now() chan string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiter
}

func TestAScanIsABillsOnlyWhileSomebodyWaitsForOneAndNoPaymentHoldsTheTill(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1")
	assert.False(t, a.server.TakeBillScan(string(id)), "nobody waits")

	got := a.waitsForBill("30")
	assert.True(t, a.server.TakeBillScan(string(id)))
	assert.False(t, a.server.TakeBillScan(string(id)), "one scan, one answer")
	assert.Contains(t, (<-got).Body, `"answer":"paid"`)

	got = a.waitsForBill("30")
	held := a.armed("A-2")
	assert.False(t, a.server.TakeBillScan(eighteen), "the scan is the payment's")
	a.desk.move(held, paid)
	assert.True(t, a.server.TakeBillScan(eighteen))
	answer := <-got
	assert.Contains(t, answer.Body, `"answer":"payment_code"`)
	assert.NotContains(t, answer.Body, eighteen)
}

// A scan that comes late in the wait for it is asked about as long as one that came at once.
func TestALateScanIsAskedAboutAsLongAsAnEarlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowBills{answer: make(chan payflow.Outcome)}
		a := newTill(t, func(c *Config) { c.Bills = slow })
		got := make(chan answer, 1)
		go func() { got <- a.post("/v1/bills/scan", `{"wait":8}`) }()
		time.Sleep(8*time.Second - time.Millisecond)
		require.True(t, a.server.TakeBillScan(billID))
		time.Sleep(billAskWithin - time.Second)
		select {
		case slow.answer <- payflow.Outcome{Kind: payflow.NoSuchOrder}:
		default:
		}
		assert.Contains(t, (<-got).Body, `"answer":"not_ours"`)
	})
}

func TestWhoWaitsLaterForABillTakesThePlace(t *testing.T) {
	a := newTill(t)
	first := a.waitsForBill("30")
	second := a.waitsForBill("30")
	assert.Contains(t, (<-first).Body, `"answer":"no_scan"`)
	assert.True(t, a.server.TakeBillScan("12"))
	assert.Contains(t, (<-second).Body, `"answer":"no_number"`)
	assert.Contains(t, a.post("/v1/bills/scan", `{"wait":1}`).Body, `"answer":"no_scan"`)
	assert.Equal(t, http.StatusBadRequest, a.post("/v1/bills/scan", `{"wait":61}`).Status)
	assert.Nil(t, a.server.billScans.now())
}
