package wxclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// The call of the document: "Call Query Refund API".
func TestQueryRefundAsThePublishedExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := exampleRefund()
		o.OutRefundNo, o.Merchant.MerchantID, o.Merchant.SubMerchantID = "RYX001", "1900000000", "100012321"
		for word, state := range map[string]payflow.RefundState{"SUCCESS": payflow.RefundStateSuccess, "REFUNDCLOSE": payflow.RefundStateClosed, "PROCESSING": payflow.RefundStateProcessing,
			"ABNORMAL": payflow.RefundStateAbnormal, "SOMETHING_NEW": "SOMETHING_NEW"} {
			g.always(reply{status: 200, body: refundJSON(o, word)})
			outcome, err := c.QueryRefund(t.Context(), o)
			require.NoError(t, err, word)
			assert.Equal(t, payflow.RefundFound, outcome.Kind)
			assert.Equal(t, state, outcome.Refund.State, word)
			assert.Equal(t, "招商银行信用卡0403", outcome.Refund.Account)
			assert.Equal(t, "ORIGINAL", outcome.Refund.Channel)
			assert.Equal(t, 2018, outcome.Refund.CreatedAt.Year())
		}
		assert.Equal(t, 5, g.count("GET /v3/global/refunds/out-refund-no/RYX001?sp_mchid=1900000000&sub_mchid=100012321"))
		_, err := c.QueryRefundByID(t.Context(), o, "2008450740201411110000174436")
		require.NoError(t, err)
		assert.Equal(t, 1, g.count("GET /v3/global/refunds/id/2008450740201411110000174436?sp_mchid"))
	})
}

func TestQueryRefundThatDoesNotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := exampleRefund()
		for name, p := range map[string]reply{
			"another number":                 {status: 200, body: refundJSON(o, "SUCCESS", "R2015", "R2016")},
			"another amount":                 {status: 200, body: refundJSON(o, "SUCCESS", `"refund":5`, `"refund":4`)},
			"no state":                       {status: 200, body: refundJSON(o, "")},
			"unsigned":                       {status: 200, body: refundJSON(o, "SUCCESS"), seal: "none"},
			"a fault":                        {status: 500, body: `{"code":"REFUNDNOTEXIST"}`},
			"an unlisted one":                {status: 404, body: `{"code":"ORDER_NOT_EXIST"}`},
			"one that says it does not know": {status: 404, body: `{"code":"SYSTEM_ERROR"}`},
		} {
			g.always(p)
			_, err := c.QueryRefund(t.Context(), o)
			assert.Empty(t, lostOf(t, err).Claim, name)
		}
		g.always(reply{status: 200, body: refundJSON(o, "SUCCESS")})
		_, err := c.QueryRefundByID(t.Context(), o, "2008450740201411110000174437")
		lostOf(t, err)
		for _, code := range []string{"REFUNDNOTEXIST", "REFUND_NOT_EXIST", "RESOURCE_NOT_EXISTS", "NOT_FOUND"} {
			g.always(reply{status: 404, body: `{"code":"` + code + `"}`})
			outcome, err := c.QueryRefund(t.Context(), o)
			require.NoError(t, err, code)
			assert.Equal(t, payflow.NoSuchRefund, outcome.Kind)
			g.always(reply{status: 404, body: `{"code":"` + code + `"}`, seal: "none"})
			_, err = c.QueryRefund(t.Context(), o)
			assert.Equal(t, payflow.NoSuchOrder, lostOf(t, err).Claim)
		}
	})
}

// refundsJSON is a page of an order's refunds of 1 each, from..to of as many as total says.
func refundsJSON(from, total int, o payflow.RefundOrder, edits ...string) string {
	var data []string
	for i := from; i < min(total, from+refundsPage); i++ {
		data = append(data, fmt.Sprintf(`{"id":"50%026d","out_refund_no":"R%d","channel":"ORIGINAL","amount":{"refund":1,"currency":"%s","payer_refund":1,"payer_currency":"CNY"},
			"status":"SUCCESS","create_time":"2018-06-08T10:34:56+08:00","refund_detail":{"promotion_id":"109519"}}`, i, i, o.Amount.Currency))
	}
	text := fmt.Sprintf(`{"id":"1008450740201411110005820873","sp_mchid":"10000100","sub_mchid":"20000100","out_trade_no":"%s","amount":{"total":%d,"currency":"%s"},
		"total_num":%d,"current_total_num":%d,"data":[%s]}`, o.OutTradeNo, o.Total.Minor, o.Total.Currency, total, len(data), strings.Join(data, ","))
	return strings.NewReplacer(edits...).Replace(text)
}

func pagesOf(total int, o payflow.RefundOrder) func(r *http.Request, body string) reply {
	return func(r *http.Request, _ string) reply {
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		return reply{status: 200, body: refundsJSON(offset, total, o)}
	}
}

// The call of the document: "Call Query All Refund API".
func TestRefundsAreAskedForPageAfterPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		refund := exampleRefund()
		refund.OutTradeNo, refund.Merchant.MerchantID, refund.Merchant.SubMerchantID, refund.Total.Minor = "YX202111100020", "1900000000", "100012321", 100
		o := paymentOf(refund)
		for _, total := range []int{0, 1, 20, 21, 50} {
			g.script(pagesOf(total, refund))
			got, err := c.Refunds(t.Context(), o)
			require.NoError(t, err, total)
			require.Len(t, got, total)
			if total > 0 {
				last := got[total-1]
				assert.Equal(t, payflow.OutRefundNo(fmt.Sprintf("R%d", total-1)), last.OutRefundNo)
				assert.Equal(t, o.OutTradeNo, last.OutTradeNo, "the page names it once for all")
				assert.Equal(t, payflow.TransactionID("1008450740201411110005820873"), last.TransactionID)
				assert.Equal(t, refund.Total, last.Total)
			}
		}
		assert.Equal(t, 5, g.count("GET /v3/global/refunds?out_trade_no=YX202111100020&count=20&offset=0&sp_mchid=1900000000&sub_mchid=100012321"))
		assert.Equal(t, 1, g.count("&offset=40&"))
		_, err := c.RefundsByID(t.Context(), o, "1008450740201411110005820873")
		require.NoError(t, err)
		assert.Equal(t, 1, g.count("GET /v3/global/refunds?transaction_id=1008450740201411110005820873&count=20&offset=0&sp_mchid"))
	})
}

func TestRefundsAreKnownWholeOrNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		refund := exampleRefund()
		o := paymentOf(refund)
		pages := func(second reply) func(r *http.Request, body string) reply {
			return func(r *http.Request, body string) reply {
				if r.URL.Query().Get("offset") != "0" {
					return second
				}
				return pagesOf(25, refund)(r, body)
			}
		}
		for name, p := range map[string]reply{
			"lost":                  {drop: true},
			"unsigned":              {status: 200, body: refundsJSON(20, 25, refund), seal: "none"},
			"forged":                {status: 200, body: refundsJSON(20, 25, refund), seal: "forged"},
			"a fault":               {status: 500, body: `{}`},
			"empty":                 {status: 200, body: refundsJSON(25, 25, refund)},
			"the same page":         {status: 200, body: refundsJSON(0, 25, refund)},
			"a refund twice":        {status: 200, body: refundsJSON(20, 25, refund, `"R24"`, `"R3"`)},
			"one more meanwhile":    {status: 200, body: refundsJSON(20, 26, refund)},
			"another order":         {status: 200, body: refundsJSON(20, 25, refund, `"out_trade_no":"2015`, `"out_trade_no":"2016`)},
			"no order":              {status: 200, body: refundsJSON(20, 25, refund, `"out_trade_no"`, `"x"`)},
			"a refund of another":   {status: 200, body: refundsJSON(20, 25, refund, `"out_refund_no":"R22"`, `"out_refund_no":"R22","out_trade_no":"X"`)},
			"a refund of nothing":   {status: 200, body: refundsJSON(20, 25, refund, `"refund":1`, `"refund":0`)},
			"a refund with no name": {status: 200, body: refundsJSON(20, 25, refund, `"out_refund_no":"R22"`, `"x":1`)},
			"no state":              {status: 200, body: refundsJSON(20, 25, refund, `"status":"SUCCESS"`, `"x":1`)},
			"too many":              {status: 200, body: refundsJSON(20, 101, refund)},
		} {
			g.script(pages(p))
			got, err := c.Refunds(t.Context(), o)
			assert.Empty(t, got, name)
			lostOf(t, err)
		}
		g.script(pages(reply{status: 200, body: refundsJSON(20, 25, refund)}))
		got, err := c.Refunds(t.Context(), o)
		require.NoError(t, err)
		assert.Len(t, got, 25)
		g.always(reply{status: 404, body: `{"code":"RESOURCE_NOT_EXISTS"}`})
		got, err = c.Refunds(t.Context(), o)
		require.NoError(t, err)
		assert.Empty(t, got)
	})
}

func TestQueryAddsUpTheRefundsOfAnOrderThatReadsRefund(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		refund := payflow.RefundOrder{OutTradeNo: o.OutTradeNo, Amount: o.Amount, Total: o.Amount}
		answers := func(refunds reply) {
			g.script(func(r *http.Request, _ string) reply {
				if strings.HasPrefix(r.URL.Path, "/v3/global/refunds") {
					return refunds
				}
				return reply{status: 200, body: tradeBody(o, "REFUND")}
			})
		}
		whole := strings.Replace(refundsJSON(0, 1, refund), `"refund":1`, `"refund":1250`, 1)
		answers(reply{status: 200, body: whole})
		outcome, err := c.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 1250}, outcome.Trade.Refunds)
		assert.Equal(t, 1, g.count("/refunds?transaction_id=1008450740201411110005820873&"), "by WeChat Pay's own number, which the answer has named")

		answers(reply{status: 200, body: strings.Replace(whole, "SUCCESS", "PROCESSING", 1)})
		outcome, err = c.QueryByID(t.Context(), o, "1008450740201411110005820873")
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundSum{Known: true, Pending: 1250}, outcome.Trade.Refunds)

		answers(reply{status: 200, body: refundsJSON(0, 3, refund, `"R2","channel":"ORIGINAL"`, `"R2","status":"x"`)})
		outcome, err = c.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 3}, outcome.Trade.Refunds, "a part")

		for name, p := range map[string]reply{
			"lost": {drop: true}, "unsigned": {status: 200, body: whole, seal: "none"}, "forged": {status: 200, body: whole, seal: "forged"}, "a fault": {status: 500},
			"another order":    {status: 200, body: strings.Replace(whole, `"out_trade_no":"S`, `"out_trade_no":"T`, 1)},
			"another currency": {status: 200, body: strings.Replace(whole, `"refund":1250,"currency":"HKD"`, `"refund":1250,"currency":"CNY"`, 1)},
			"none":             {status: 200, body: refundsJSON(0, 0, refund)},
			"none at all":      {status: 404, body: `{"code":"RESOURCE_NOT_EXISTS"}`},
		} {
			answers(p)
			outcome, err := c.Query(t.Context(), o)
			require.NoError(t, err, name)
			assert.Equal(t, payflow.TradeRefund, outcome.Trade.State, name)
			assert.Zero(t, outcome.Trade.Refunds, name)
		}
	})
}

func TestQueryWithRefundsTakesNoLongerThanAQueryMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		g.script(func(r *http.Request, _ string) reply {
			if strings.HasPrefix(r.URL.Path, "/v3/global/refunds") {
				return reply{hang: true}
			}
			time.Sleep(3 * time.Second)
			return reply{status: 200, body: tradeBody(o, "REFUND")}
		})
		began := time.Now()
		outcome, err := c.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Zero(t, outcome.Trade.Refunds)
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}

func TestQueryOfAnyOtherStateAsksForNoRefunds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for _, state := range []string{"SUCCESS", "NOTPAY", "REVOKED", "CLOSED", "USERPAYING", "PAYERROR"} {
			g.always(reply{status: 200, body: tradeBody(testOrder(), state)})
			_, err := c.Query(t.Context(), testOrder())
			require.NoError(t, err)
		}
		g.always(reply{status: 200, body: tradeBody(testOrder(), "REFUND"), seal: "none"})
		_, err := c.Query(t.Context(), testOrder())
		lostOf(t, err)
		assert.Zero(t, g.count("/refunds"))
	})
}

// The answers of the documents' samples: refund, query refund by either number, query all refunds, in both modes.
func TestRefundSamplesOfTheDocuments(t *testing.T) {
	skipWithoutVectors(t)
	var file struct{ Samples map[string]json.RawMessage }
	vectors(t, "global_v3_samples.json", &file)
	o := exampleRefund()
	// In the samples the payment is in HKD and the refund in CNY: see "Currencies of a refund" in docs/wechat-pay.md.
	o.Amount, o.Total = payflow.Amount{Minor: 50, Currency: "CNY"}, payflow.Amount{Minor: 100, Currency: "CNY"}
	read := 0
	for name, body := range file.Samples {
		a := answer{status: http.StatusOK, body: body}
		switch {
		case strings.HasSuffix(name, "RefundResponse.json"):
			outcome, err := refundOutcome(o, a)
			require.NoError(t, err, name)
			assert.Equal(t, payflow.RefundAccepted, outcome.Kind)
			assert.Equal(t, payflow.Amount{Minor: 49, Currency: "HKD"}, outcome.Refund.PayerAmount)
		case strings.Contains(name, "/Get") && strings.Contains(name, "RefundBy"):
			outcome, err := queryRefundOutcome(o, "2008450740201411110000174436", a)
			require.NoError(t, err, name)
			assert.Equal(t, payflow.RefundStateSuccess, outcome.Refund.State)
			assert.Equal(t, payflow.RefundFromRecharge, outcome.Refund.Source)
			assert.Equal(t, int64(8000000), outcome.Refund.Rate)
		case strings.HasSuffix(name, "RefundsResponse.json"):
			page, err := readRefunds(paymentOf(o), "", a)
			require.NoError(t, err, name)
			require.Len(t, page.reports(), 1)
			assert.Equal(t, payflow.Amount{Minor: 528800, Currency: "HKD"}, page.reports()[0].Total)
			assert.Equal(t, payflow.RefundStateSuccess, page.reports()[0].State)
		case strings.HasSuffix(name, "RefundRequest.json"):
			want := exampleRefund()
			want.Amount.Minor, want.Total.Minor, want.Reason = 50, 100, "商品已售完"
			want.Merchant.SubAppID = "1900000109"
			if !strings.Contains(name, "Partner") {
				want.Merchant, want.Source = payflow.Merchant{Mode: payflow.Direct, AppID: "wx2421b1c4370ec43b", MerchantID: "10000100"}, ""
			}
			sent, err := (&Client{}).refundBody(want)
			require.NoError(t, err)
			assert.JSONEq(t, string(body), string(sent), name)
		default:
			continue
		}
		read++
	}
	assert.Equal(t, 10, read)
}

func TestRefundsOfAnOrderWhoseNumberLooksLikeACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		refund := exampleRefund()
		refund.OutTradeNo = testCode // 18 digits: a number that another till made, and no payment code
		g.script(pagesOf(3, refund))
		got, err := c.Refunds(t.Context(), paymentOf(refund))
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 3}, payflow.SumRefunds(refund.OutTradeNo, refund.Total, got))
	})
}

// A gateway that is not the order's may still know it: then it knows its refunds too, and they prove a reverse.
func TestQueryAddsUpTheRefundsOfAnOrderMadeAtAnotherGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		o.HostFamily = "https://gateway-of-before.example"
		refund := payflow.RefundOrder{OutTradeNo: o.OutTradeNo, Amount: o.Amount, Total: o.Amount}
		g.script(func(r *http.Request, _ string) reply {
			if strings.HasPrefix(r.URL.Path, "/v3/global/refunds") {
				return reply{status: 200, body: strings.Replace(refundsJSON(0, 1, refund), `"refund":1`, `"refund":1250`, 1)}
			}
			return reply{status: 200, body: tradeBody(o, "REFUND")}
		})
		outcome, err := c.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 1250}, outcome.Trade.Refunds)
	})
}
