package till

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestArmingAPaymentShowsItWaitingForAScan(t *testing.T) {
	a := newTill(t)
	got := a.arm("A-1001", "k1")
	require.Equal(t, http.StatusCreated, got.Status, got.Body)
	p := got.payment()
	assert.Equal(t, payflow.Waiting, p.Status)
	assert.Equal(t, int64(1250), p.Amount)
	assert.Equal(t, "HK$ 12.50", p.AmountText)
	assert.Equal(t, "is waiting_for_code", p.Message.EN)
	assert.Equal(t, "後waiting", p.NextStep.ZhHant)
	assert.Equal(t, "/v1/payments/"+string(p.ID), got.Header.Get("Location"))
	assert.False(t, p.Times.ScanUntil.IsZero())
}

func TestTheSameKeyIsTheSamePaymentWhateverHasHappened(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	a.desk.move(id, paid)
	again := a.arm("A-1001", "key-A-1001")
	require.Equal(t, http.StatusCreated, again.Status, again.Body)
	assert.Equal(t, id, again.payment().ID)
	assert.Equal(t, payflow.Paid, again.payment().Status)
	assert.Equal(t, KeyReused, a.arm("A-1002", "key-A-1001").problem().Code)
}
