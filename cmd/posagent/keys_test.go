package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// TestAKeyIsOneWishOfItsKindOverRestarts: the same key and body are the same payment and the same refund, whatever has happened since; another
// body is refused; and a payment's key is no refund's.
func TestAKeyIsOneWishOfItsKindOverRestarts(t *testing.T) {
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	cfg, err := demoConfig(dir, demoFlags{listen: "127.0.0.1:0"}, gateway)
	require.NoError(t, err)
	const key, sale = "one-key-for-all", `{"amount":1250,"sale_ref":"A-1","operator":"P001","detail":{"cost_price":1250,"receipt_id":"r1"}}`
	var payment, refund any
	for start := range 3 {
		t.Run(fmt.Sprintf("start %d", start+1), func(t *testing.T) {
			o := runOpenAgent(t, cfg, gateway)
			call := func(path, key, body string) (int, map[string]any) {
				return o.call(http.DefaultClient, http.MethodPost, path, key, body)
			}
			status, p := call("/v1/payments", key, sale)
			require.Equal(t, http.StatusCreated, status, p)
			if start == 0 {
				payment = p["id"]
				_, err := o.engine.Scan(t.Context(), gateway.code("pays-at-once"), "", "scanner")
				require.NoError(t, err)
				o.awaitPaid(payflow.OutTradeNo(fmt.Sprint(payment)))
			}
			status, p = call("/v1/payments", key, sale)
			require.Equal(t, http.StatusCreated, status, p)
			assert.Equal(t, payment, p["id"])
			assert.Equal(t, "paid", p["status"])
			_, p = call("/v1/payments", key, strings.Replace(sale, `{"cost_price":1250,"receipt_id":"r1"}`, `{ "receipt_id" : "r1", "cost_price": 1250 }`, 1))
			assert.Equal(t, payment, p["id"], "the same detail, written in another way")
			for _, other := range []string{
				strings.Replace(sale, "1250", "1251", 1), strings.Replace(sale, "A-1", "A-2", 1), strings.Replace(sale, "r1", "r2", 1),
				`{"amount":1250,"sale_ref":"A-1","operator":"P001","additional_tender":true}`,
			} {
				status, p = call("/v1/payments", key, other)
				assert.Equal(t, http.StatusUnprocessableEntity, status, other)
				assert.Equal(t, "key_reused", p["code"])
			}
			back := "/v1/payments/" + fmt.Sprint(payment) + "/refunds"
			status, p = call(back, key, `{"amount":250,"reason":"one cup","operator":"M001"}`)
			if start == 0 {
				require.Equal(t, http.StatusCreated, status, p)
				refund = p["id"]
			}
			if start > 0 {
				require.Equal(t, http.StatusOK, status, p)
			}
			assert.Equal(t, refund, p["id"])
			require.Eventually(t, func() bool {
				r, err := o.engine.RefundOf(payflow.OutRefundNo(fmt.Sprint(refund)))
				return err == nil && r.Status == payflow.RefundDone
			}, 30*time.Second, 10*time.Millisecond)
			for _, other := range []string{`{"amount":251,"reason":"one cup","operator":"M001"}`, `{"amount":250,"reason":"two cups","operator":"M001"}`} {
				status, p = call(back, key, other)
				assert.Equal(t, http.StatusUnprocessableEntity, status, other)
				assert.Equal(t, "key_reused", p["code"])
			}
		})
	}
	books := gateway.sim.Books()
	order, known := books.Order(fmt.Sprint(payment))
	require.True(t, known)
	assert.Len(t, order.Refunds, 1)
	assert.Len(t, gateway.books(), 1, "one payment in three starts")
}
