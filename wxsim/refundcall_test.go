package wxsim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refundBody is seed 002's refund call.
func (c *caller) refundBody(number, refundNumber string, refund, total int64) map[string]any {
	body := map[string]any{"out_trade_no": number, "out_refund_no": refundNumber, "reason": "The item has been sold out.",
		"source": "REFUND_SOURCE_UNSETTLED_FUNDS", "amount": map[string]any{"refund": refund, "total": total, "currency": "HKD"}}
	if c.creds.Mode == Direct {
		body["appid"], body["mchid"] = c.creds.AppID, c.creds.MerchantID
	} else {
		body["sp_appid"], body["sp_mchid"], body["sub_mchid"] = c.creds.AppID, c.creds.MerchantID, c.creds.SubMerchantID
	}
	return body
}

func (c *caller) refund(number, refundNumber string, refund int64) answer {
	c.t.Helper()
	return c.must("POST", "/v3/global/refunds", jsonText(c.refundBody(number, refundNumber, refund, 1250)))
}

func (c *caller) refundStatus(refundNumber string) string {
	c.t.Helper()
	a := c.must("GET", "/v3/global/refunds/out-refund-no/"+refundNumber+"?"+c.ids(), "")
	return a.text("code") + a.text("status")
}

func (a answer) inner(name string) map[string]any { return a.members[name].(map[string]any) }

// Refund (Global v3, 2.6): 200 says accepted only; id, out_refund_no, create_time and amount.
func TestARefundIsAcceptedAndTheAnswerSaysNoMore(t *testing.T) {
	for _, mode := range []Mode{Institution, Direct} {
		town(t, Config{Merchants: []Merchant{{Mode: mode}}}, func(t *testing.T, c *caller) {
			c.fetch()
			paid := c.mustPlay("A1", "pays-at-once")
			a := c.refund("A1", "R1", 250)
			assert.Equal(t, 200, a.status, string(a.body))
			assert.NoError(t, a.trust)
			assert.Equal(t, "R1", a.text("out_refund_no"))
			assert.NotContains(t, a.members, "status")
			assert.EqualValues(t, 250, a.inner("amount")["refund"])
			assert.EqualValues(t, 230, a.inner("amount")["payer_refund"])
			_, err := time.Parse(time.RFC3339, a.text("create_time"))
			assert.NoError(t, err)
			assert.Equal(t, "REFUND", c.state("A1"))

			body := c.refundBody("", "R2", 1000, 1250)
			delete(body, "out_trade_no")
			body["transaction_id"] = paid.text("id")
			assert.Equal(t, 200, c.must("POST", "/v3/global/refunds", jsonText(body)).status)
			time.Sleep(5 * time.Second)
			assert.Equal(t, "REFUND held 0 back 1250 R1 250 SUCCESS R2 1000 SUCCESS", c.books("A1"))
			assert.Equal(t, CallCount{Whole: 2, Processed: 2}, c.sim.Books().Calls[Refund])
			assert.Equal(t, Refund, c.line("A1").Arrivals[3].Call, "a refund by transaction_id stands with its order")
		})
	}
}

// Query refund (2.6): by refund id and by the merchant's number; success_time only when it is through.
func TestARefundIsFoundByEitherNumber(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		body := c.refundBody("A1", "R|1@*", 250, 1250)
		body["source"] = "REFUND_SOURCE_RECHARGE_FUNDS"
		id := c.must("POST", "/v3/global/refunds", jsonText(body)).text("id")
		a := c.must("GET", "/v3/global/refunds/id/"+id+"?"+c.ids(), "")
		assert.Equal(t, "PROCESSING", a.text("status"), string(a.body))
		assert.NotContains(t, a.members, "success_time")
		time.Sleep(5 * time.Second)
		a = c.must("GET", "/v3/global/refunds/out-refund-no/R%7C1%40%2A?"+c.ids(), "")
		assert.NoError(t, a.trust)
		assert.Equal(t, "SUCCESS ORIGINAL A1 REFUND_SOURCE_REchARGE_FUNDS", fmt.Sprint(a.text("status"), " ", a.text("channel"), " ", a.text("out_trade_no"), " ", a.text("fund_source")))
		assert.Equal(t, c.line("A1").TransactionID, a.text("transaction_id"))
		assert.Contains(t, a.members, "success_time")

		for _, path := range []string{"out-refund-no/R9", "id/5030", "id/" + c.line("A1").TransactionID} {
			assert.Equal(t, "404 RESOURCE_NOT_EXISTS", whatCame(c.must("GET", "/v3/global/refunds/"+path+"?"+c.ids(), ""), nil), path)
		}
		assert.Equal(t, "400 PARAM_ERROR", whatCame(c.must("GET", "/v3/global/refunds/id/"+id, ""), nil), "no ids")
		assert.Equal(t, "404 NOT_FOUND", whatCame(c.must("GET", "/v3/global/refunds/out-trade-no/A1?"+c.ids(), ""), nil), "no such path")
	})
}

// Query all refunds (2.6): offset and count, at most 20 on a page; total_num and current_total_num.
func TestAllRefundsOfAnOrderComePageByPage(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		paid := c.mustPlay("A1", "pays-at-once")
		list := func(query string) answer {
			return c.must("GET", "/v3/global/refunds?"+query+"&"+c.ids(), "")
		}
		assert.Equal(t, "404 RESOURCE_NOT_EXISTS", whatCame(list("out_trade_no=A1"), nil))
		c.sim.Behave(Behaviour{NoRefundsFound: true})
		assert.EqualValues(t, 0, list("out_trade_no=A1").members["total_num"])
		for i := range 23 {
			require.Equal(t, 200, c.refund("A1", fmt.Sprint("R", i), 10).status)
		}
		time.Sleep(5 * time.Second)
		a := list("out_trade_no=A1&offset=20&count=20")
		assert.NoError(t, a.trust)
		assert.Equal(t, []any{23.0, 3.0, 3}, []any{a.members["total_num"], a.members["current_total_num"], len(a.members["data"].([]any))})
		item := a.members["data"].([]any)[2].(map[string]any)
		assert.Equal(t, "R22 SUCCESS", fmt.Sprint(item["out_refund_no"], " ", item["status"]))
		assert.EqualValues(t, 1250, a.inner("amount")["total"])
		assert.Equal(t, paid.text("id"), a.text("id"))
		assert.EqualValues(t, 20, list("transaction_id=" + paid.text("id")).members["current_total_num"])
		assert.EqualValues(t, 0, list("out_trade_no=A1&offset=23").members["current_total_num"])

		for _, bad := range []string{"out_trade_no=A1&count=21", "out_trade_no=A1&count=0", "out_trade_no=A1&offset=-1", "out_trade_no=A1&offset=x", "count=5",
			"out_trade_no=A1&transaction_id=" + paid.text("id"), "out_trade_no=A1&limit=5", "out_trade_no=A1&out_trade_no=A1"} {
			assert.Equal(t, "400 PARAM_ERROR", whatCame(list(bad), nil), bad)
		}
		assert.Equal(t, "404 ORDER_NOT_EXIST", whatCame(list("out_trade_no=A9"), nil))
	})
}

// Refund (2.6): fields, lengths and forms; notify_url is https and has no query part.
func TestFieldsOfTheRefundCallAreHeldAgainstTheDocument(t *testing.T) {
	bad := map[string]func(map[string]any){
		"no order":                   drop("out_trade_no"),
		"both numbers of the order":  put("transaction_id", "4200"),
		"no refund number":           drop("out_refund_no"),
		"65 characters of number":    put("out_refund_no", strings.Repeat("R", 65)),
		"a blank in the number":      put("out_refund_no", "R 1"),
		"a reason of 81 bytes":       put("reason", strings.Repeat("r", 81)),
		"an emoji":                   put("reason", "cake \U0001F370"),
		"a source that is not there": put("source", "REFUND_SOURCE_POCKET"),
		"no amount":                  drop("amount"),
		"a refund of 0":              put("amount/refund", 0),
		"a fraction":                 put("amount/refund", 2.5),
		"no total":                   drop("amount/total"),
		"no currency":                drop("amount/currency"),
		"an unknown currency":        put("amount/currency", "XXX"),
		"a plain notify_url":         put("notify_url", "http://shop.test/refunds"),
		"a notify_url with a query":  put("notify_url", "https://shop.test/refunds?till=1"),
		"a notify_url of 257 bytes":  put("notify_url", "https://shop.test/"+strings.Repeat("n", 239)),
		"another's sub merchant":     put("sp_mchid", "10000200"),
		"an unknown member":          put("refund_id", "1"),
		"direct ids too":             put("mchid", "10000100"),
	}
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		for name, change := range bad {
			body := c.refundBody("A1", "R1", 250, 1250)
			change(body)
			assert.Equal(t, "400 PARAM_ERROR", whatCame(c.must("POST", "/v3/global/refunds", jsonText(body)), nil), name)
		}
		body := c.refundBody("A1", "R1", 250, 1250)
		body["sp_appid"] = "wx0000000000000000"
		assert.Equal(t, "400 APPID_MCHID_NOT_MATCH", whatCame(c.must("POST", "/v3/global/refunds", jsonText(body)), nil))
		assert.Equal(t, "SUCCESS held 1250 back 0", c.books("A1"))
		body = c.refundBody("A1", "R1", 250, 1250)
		body["notify_url"] = "https://shop.test/refunds"
		assert.Equal(t, 200, c.must("POST", "/v3/global/refunds", jsonText(body)).status)
	})
}

// Refund: the payment's total and currency; an order that there is.
func TestARefundNamesThePaymentAsItWas(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		ask := func(change func(map[string]any)) string {
			body := c.refundBody("A1", "R1", 250, 1250)
			change(body)
			return whatCame(c.must("POST", "/v3/global/refunds", jsonText(body)), nil)
		}
		assert.Equal(t, "400 INVALID_REQUEST", ask(put("amount/total", 1251)))
		assert.Equal(t, "400 INVALID_REQUEST", ask(put("amount/currency", "CNY")))
		assert.Equal(t, "404 ORDER_NOT_EXIST", ask(put("out_trade_no", "A9")))
		assert.Equal(t, "200 ", ask(func(map[string]any) {}))
		a := c.refund("A1", "R1", 251)
		assert.Equal(t, "400 INVALID_REQUEST", whatCame(a, nil))
		assert.True(t, strings.HasSuffix(a.header.Get("Request-ID"), "-268498688"), "re-entry with different parameters")
		assert.Equal(t, "PROCESSING", c.refundStatus("R1"))
	})
}
