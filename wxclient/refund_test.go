package wxclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// exampleRefund is the refund of the published examples: 5 of HK$ 0.10.
func exampleRefund() payflow.RefundOrder {
	return payflow.RefundOrder{
		OutRefundNo: "R20150806125346", OutTradeNo: "20150806125346", TransactionID: "1008450740201411110005820873", API: payflow.APIv3,
		Merchant: payflow.Merchant{Mode: payflow.Institution, AppID: "wx2421b1c4370ec43b", MerchantID: "10000100", SubMerchantID: "20000100"},
		Amount:   payflow.Amount{Minor: 5, Currency: "HKD"}, Total: payflow.Amount{Minor: 10, Currency: "HKD"},
		Reason: "The item has been sold out.", Source: payflow.RefundFromUnsettled,
	}
}

// refundJSON is an answer about r; edits replace parts of it.
func refundJSON(r payflow.RefundOrder, status string, edits ...string) string {
	text := fmt.Sprintf(`{"id":"2008450740201411110000174436","out_refund_no":"%s","transaction_id":"1008450740201411110005820873","out_trade_no":"%s",
		"create_time":"2018-06-08T10:34:56+08:00","channel":"ORIGINAL","status":"%s","recv_account":"招商银行信用卡0403","fund_source":"REFUND_SOURCE_REchARGE_FUNDS",
		"amount":{"refund":%d,"currency":"%s","payer_refund":4,"payer_currency":"CNY","exchange_rate":{"type":"SETTLEMENT_RATE","rate":8000000}}}`,
		r.OutRefundNo, r.OutTradeNo, status, r.Amount.Minor, r.Amount.Currency)
	return strings.NewReplacer(edits...).Replace(text)
}

// The call of the document: "Call Refund API" of the API v3 Quick Pay page.
func TestRefundIsAskedForAsThePublishedExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := exampleRefund()
		g.always(reply{status: 200, body: refundJSON(o, "")})
		outcome, err := c.Refund(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundAccepted, outcome.Kind)
		assert.Equal(t, payflow.RefundID("2008450740201411110000174436"), outcome.Refund.RefundID)
		assert.Equal(t, o.Amount, outcome.Refund.Amount)
		assert.Equal(t, payflow.Amount{Minor: 4, Currency: "CNY"}, outcome.Refund.PayerAmount)
		assert.Equal(t, payflow.RefundFromRecharge, outcome.Refund.Source, "however it is spelled")
		assert.Equal(t, 1, g.count("POST /v3/global/refunds"))
		assert.JSONEq(t, `{"sp_appid":"wx2421b1c4370ec43b","sp_mchid":"10000100","sub_mchid":"20000100","transaction_id":"1008450740201411110005820873",
			"out_refund_no":"R20150806125346","amount":{"refund":5,"total":10,"currency":"HKD"},"reason":"The item has been sold out.",
			"source":"REFUND_SOURCE_UNSETTLED_FUNDS"}`, g.lastBody())
	})
}

func TestRefundNamesThePaymentByWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := exampleRefund()
		o.TransactionID, o.Merchant = "", payflow.Merchant{Mode: payflow.Direct, AppID: "wx1", MerchantID: "10000100"}
		o.Reason, o.Source, o.NotifyURL = strings.Repeat("退", 30)+"🧸", "", "https://store.example/notify"
		g.always(reply{status: 200, body: refundJSON(o, "")})
		_, err := c.Refund(t.Context(), o)
		require.NoError(t, err)
		assert.JSONEq(t, `{"appid":"wx1","mchid":"10000100","out_trade_no":"20150806125346","out_refund_no":"R20150806125346",
			"amount":{"refund":5,"total":10,"currency":"HKD"},"reason":"`+strings.Repeat("退", 26)+`","notify_url":"https://store.example/notify"}`, g.lastBody())

		o.Reason, o.NotifyURL = "sold 🧸 out", "https://store.example/notify?till=1"
		_, err = c.Refund(t.Context(), o)
		require.NoError(t, err, "no refund fails for its notification")
		var sent map[string]any
		require.NoError(t, json.Unmarshal([]byte(g.lastBody()), &sent))
		assert.Equal(t, "sold ? out", sent["reason"])
		assert.NotContains(t, sent, "notify_url")
	})
}

func TestRefundBelievesOnlyItsOwnSignedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := exampleRefund()
		for name, p := range map[string]reply{
			"another number":   {status: 200, body: refundJSON(o, "", "R2015", "R2016")},
			"no number":        {status: 200, body: refundJSON(o, "", `"out_refund_no"`, `"x"`)},
			"another amount":   {status: 200, body: refundJSON(o, "", `"refund":5`, `"refund":6`)},
			"no amount":        {status: 200, body: refundJSON(o, "", `"amount"`, `"x"`)},
			"another currency": {status: 200, body: refundJSON(o, "", "HKD", "CNY")},
			"another payment":  {status: 200, body: refundJSON(o, "", `"out_trade_no":"2015`, `"out_trade_no":"2016`)},
			"another id":       {status: 200, body: refundJSON(o, "", `"transaction_id":"1`, `"transaction_id":"2`)},
			"not JSON":         {status: 200, body: "<html>"},
			"empty":            {status: 204},
			"unsigned":         {status: 200, body: refundJSON(o, ""), seal: "none"},
			"forged":           {status: 200, body: refundJSON(o, ""), seal: "forged"},
			"stale":            {status: 200, body: refundJSON(o, ""), seal: "stale"},
		} {
			g.always(p)
			outcome, err := c.Refund(t.Context(), o)
			assert.Zero(t, outcome, name)
			assert.Empty(t, lostOf(t, err).Claim, name)
			assert.ErrorContains(t, err, "refund R20150806125346 of 20150806125346", name)
		}
	})
}

func TestRefundGoesToTheNextHostWithTheSameNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := newClient(t, testConfig(g, newPipes(g, firstHost, secondHost).dial, firstHost, secondHost))
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		o := exampleRefund()
		g.script(func(r *http.Request, _ string) reply {
			if r.Host == firstHost {
				return reply{status: 500, body: `{"code":"SYSTEM_ERROR"}`}
			}
			return reply{status: 200, body: refundJSON(o, "")}
		})
		outcome, err := c.Refund(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundAccepted, outcome.Kind)
		require.Equal(t, 2, g.count("/refunds"))
		assert.Equal(t, g.bodies[len(g.bodies)-2], g.bodies[len(g.bodies)-1])
	})
}

func TestRefundThatCannotBeComparedIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for name, spoil := range map[string]func(*payflow.RefundOrder){
			"no number":          func(o *payflow.RefundOrder) { o.OutRefundNo = "" },
			"a long number":      func(o *payflow.RefundOrder) { o.OutRefundNo = payflow.OutRefundNo(strings.Repeat("R", 65)) },
			"a strange number":   func(o *payflow.RefundOrder) { o.OutRefundNo = "R/1" },
			"no payment":         func(o *payflow.RefundOrder) { o.OutTradeNo, o.TransactionID = "", "" },
			"nothing":            func(o *payflow.RefundOrder) { o.Amount.Minor = 0 },
			"more than was paid": func(o *payflow.RefundOrder) { o.Amount.Minor = 11 },
			"another currency":   func(o *payflow.RefundOrder) { o.Amount.Currency = "CNY" },
		} {
			o := exampleRefund()
			spoil(&o)
			_, err := c.Refund(t.Context(), o)
			assert.Equal(t, payflow.ReasonConfiguration, lostOf(t, err).Reason, name)
		}
		assert.Zero(t, g.count("/refunds"))
	})
}

// refundRows are the documents' codes of a refund, a word between underscores, and what each says; empty: unknown.
var refundRows = []struct {
	code   string
	status int
	kind   payflow.RefundOutcomeKind
}{
	{"NOT_ENOUGH", 403, payflow.RefundDeclined},
	{"USER_ACCOUNT_ABNORMAL", 403, payflow.RefundDeclined},
	{"TRADE_OVERDUE", 403, payflow.RefundDeclined},
	{"ERROR", 400, payflow.RefundDeclined},
	{"INVALID_REQUEST", 400, payflow.RefundDeclined},
	{"INVALID_TRANSACTIONID", 400, payflow.RefundDeclined},
	{"ORDER_NOT_EXIST", 404, payflow.RefundDeclined},
	{"RESOURCE_NOT_EXISTS", 404, payflow.RefundDeclined},
	{"NOT_FOUND", 404, payflow.RefundDeclined},
	{"PARAM_ERROR", 400, payflow.RefundDeclined},
	{"SIGN_ERROR", 401, payflow.RefundDeclined},
	{"NO_AUTH", 403, payflow.RefundDeclined},
	{"MCH_NOT_EXISTS", 400, payflow.RefundDeclined},
	{"APPID_MCHID_NOT_MATCH", 400, payflow.RefundDeclined},
	{"INVALID_REQ_TOO_MUCH", 400, payflow.RefundLater},
	{"FREQUENCY_LIMITED", 403, payflow.RefundLater},
	{"RATE_LIMITED", 429, payflow.RefundLater},
	{"RATELIMIT_EXCEEDED", 429, payflow.RefundLater},
	{"FREQUENCY_LIMIT_EXCEED", 429, payflow.RefundLater},
	{"FREQUENCY_LIMIT_EXCEEDED", 429, payflow.RefundLater},
	{"FREQUENCY_LIMIT_OF_TOMORROW", 429, payflow.RefundLater},
	{"RATE_LIMITED", 403, payflow.RefundLater}, // without 429 the code alone tells
	{"RATELIMIT_EXCEEDED", 403, payflow.RefundLater},
	{"FREQUENCY_LIMIT_EXCEED", 403, payflow.RefundLater},
	{"FREQUENCY_LIMIT_EXCEEDED", 403, payflow.RefundLater},
	{"FREQUENCY_LIMIT_OF_TOMORROW", 403, ""},
	{"SYSTEM_ERROR", 500, ""},
	{"SYSTEM_ERROR", 400, ""},
	{"BIZERR_NEED_RETRY", 400, ""},
	{"BIZERR_NEED_RETRY", 500, ""},
	{"TRADE_OVERDUE", 500, ""}, // a fault's code is not believed, whatever it is
	{"NEVER_HEARD_OF", 403, ""},
	{"ORDER_PAID", 400, ""},
}

func TestOutcomeOfARefusedRefund(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := exampleRefund()
		for _, row := range refundRows {
			for _, code := range []string{row.code, strings.ReplaceAll(row.code, "_", ""), strings.ToLower(row.code)} {
				body := `{"code":"` + code + `","message":"why"}`
				g.always(reply{status: row.status, body: body})
				outcome, err := c.Refund(t.Context(), o)
				g.always(reply{status: row.status, body: body, seal: "none"})
				_, unsignedErr := c.Refund(t.Context(), o)
				g.always(reply{status: row.status, body: body, seal: "forged"})
				_, forgedErr := c.Refund(t.Context(), o)
				assert.Equal(t, payflow.Lost{Reason: payflow.ReasonUnverified}, lostOf(t, forgedErr), code)
				claim := lostOf(t, unsignedErr)
				if row.kind == "" {
					lostOf(t, err)
					assert.Empty(t, claim.Claim, code)
					continue
				}
				require.NoError(t, err, code)
				assert.Equal(t, payflow.RefundOutcome{Kind: row.kind, Code: normalCode(row.code), Text: "why"}, outcome, code)
				assert.Equal(t, payflow.Refused, claim.Claim, code)
				assert.Equal(t, row.kind == payflow.RefundLater, claim.Busy, code)
			}
		}
	})
}

func TestRefundTableHasNoLineThatIsNotTested(t *testing.T) {
	tested := map[string]bool{}
	for _, row := range refundRows {
		tested[normalCode(row.code)] = true
	}
	for code := range refundCodes {
		assert.True(t, tested[code], code)
	}
}

func TestRefundNumberInUseIsAskedForAndNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 400, body: `{"code":"INVALID_REQUEST","message":"re-entry with different parameters"}`, header: map[string]string{"Request-ID": "08A-268498688"}})
		_, err := c.Refund(t.Context(), exampleRefund())
		assert.Equal(t, payflow.Lost{Reason: payflow.ReasonNumberInUse, Code: "INVALIDREQUEST"}, lostOf(t, err))
	})
}

func TestRefundOfAPaymentMadeAtAnotherGatewayIsNotAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := exampleRefund()
		for _, seal := range []string{"", "none"} {
			g.always(reply{status: 404, body: `{"code":"RESOURCE_NOT_EXISTS"}`, seal: seal})
			o.HostFamily = "https://gone.test"
			_, err := c.Refund(t.Context(), o)
			assert.Equal(t, payflow.Lost{Reason: payflow.ReasonConfiguration}, lostOf(t, err))
			_, err = c.QueryRefund(t.Context(), o)
			assert.Equal(t, payflow.Lost{Reason: payflow.ReasonConfiguration}, lostOf(t, err))
			assert.ErrorContains(t, err, "gone.test")
		}
		o.HostFamily = "https://" + firstHost
		g.always(reply{status: 404, body: `{"code":"RESOURCE_NOT_EXISTS"}`})
		outcome, err := c.QueryRefund(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.NoSuchRefund, outcome.Kind)
	})
}

func TestCheckNotifyURL(t *testing.T) {
	for address, fine := range map[string]bool{
		"https://store.example/notify":                           true,
		"https://store.example:8443/wechat/notify":               true,
		"http://store.example/notify":                            false,
		"https://store.example/notify?a=b":                       false,
		"https://store.example/notify?":                          false,
		"https://store.example/notify#x":                         false,
		"https://":                                               false,
		"https://user@store.example/":                            false,
		"store.example":                                          false,
		"https://store.example/🧸":                                false,
		"https://store.example/" + strings.Repeat("a", 256-22):   true,
		"https://store.example/" + strings.Repeat("a", 256-22+1): false,
		"": false,
	} {
		assert.Equal(t, fine, CheckNotifyURL(address) == nil, address)
	}
}

func TestRefundStateInEverySpelling(t *testing.T) {
	for text, state := range map[string]payflow.RefundState{
		"SUCCESS": payflow.RefundStateSuccess, "PROCESSING": payflow.RefundStateProcessing, "REFUNDCLOSE": payflow.RefundStateClosed, "REFUND_CLOSE": payflow.RefundStateClosed,
		"CLOSED": payflow.RefundStateClosed, "ABNORMAL": payflow.RefundStateAbnormal, "CHANGE": payflow.RefundStateAbnormal, "success": payflow.RefundStateSuccess,
		"ON_ITS_WAY": "ON_ITS_WAY", "": "",
	} {
		assert.Equal(t, state, refundState(text), text)
	}
}

func FuzzRefundAnswers(f *testing.F) {
	o := exampleRefund()
	f.Add(200, []byte(refundJSON(o, "SUCCESS")))
	f.Add(400, []byte(`{"code":"TRADE_OVERDUE","message":3}`))
	f.Add(404, []byte(`{"code":"REFUNDNOTEXIST"}`))
	f.Add(200, []byte(refundsJSON(0, 1, o)))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := answer{status: status, body: body}
		for _, read := range []func() (payflow.RefundOutcome, error){
			func() (payflow.RefundOutcome, error) { return refundOutcome(o, a) },
			func() (payflow.RefundOutcome, error) { return queryRefundOutcome(o, "", a) },
		} {
			outcome, err := read()
			if (err == nil) != (outcome.Kind != "") {
				t.Fatalf("%+v %v", outcome, err)
			}
			if (outcome.Kind == payflow.RefundAccepted || outcome.Kind == payflow.RefundFound) && (outcome.Refund.OutRefundNo != o.OutRefundNo || outcome.Refund.Amount != o.Amount) {
				t.Fatalf("another's refund: %+v", outcome.Refund)
			}
		}
		page, err := readRefunds(paymentOf(o), "", a)
		if err != nil {
			return
		}
		for _, r := range page.reports() {
			if r.OutTradeNo != o.OutTradeNo || r.Amount.Minor <= 0 {
				t.Fatalf("another's refund: %+v", r)
			}
		}
	})
}
