package till

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestAReceiptCodeIsThereOfAPaidPaymentAlone(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1")
	path := "/v1/payments/" + string(id) + "/receipt.svg"
	for _, change := range []func(*payflow.Entry){confirming, reversing} {
		assert.Equal(t, http.StatusConflict, a.get(path).Status)
		a.desk.move(id, change)
	}
	assert.Equal(t, http.StatusConflict, a.get(path).Status)
	a.desk.move(id, paid)
	got := a.get(path)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	assert.Equal(t, "image/svg+xml", got.Header.Get("Content-Type"))
	assert.True(t, strings.HasPrefix(got.Body, "<svg "), got.Body)
	assert.Equal(t, http.StatusNotFound, a.get("/v1/payments/NOSUCH/receipt.svg").Status)
}

func TestAReceiptCodeHoldsWhatStandsOnTheBill(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1")
	a.desk.move(id, func(e *payflow.Entry) { e.Trade.TransactionID, e.FinalAt = billID, noon() })
	e, err := a.desk.Payment(id)
	require.NoError(t, err)
	assert.Equal(t, "Tencent Building Branch\nHK$ 12.50 WeChat Pay\n2026-11-24 12:00\n"+string(id)+"\n"+billID, a.server.receiptText(e))
}
