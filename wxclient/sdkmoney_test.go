package wxclient_test

import (
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"posagent/payflow"
	"posagent/wxclient"
	"posagent/wxsim"
)

// Refunds, statements, settlements and notifications before the same judge.

func judgeRefund(o payflow.Order) payflow.RefundOrder {
	return payflow.RefundOrder{OutRefundNo: "R20150806125346", OutTradeNo: o.OutTradeNo, TransactionID: "1008450740201411110005820873", Merchant: o.Merchant, API: payflow.APIv3,
		Amount: payflow.Amount{Minor: 500, Currency: "HKD"}, Total: o.Amount, Reason: "The item has been sold out <&>."}
}

// judgeRefundAnswer is a refund as WeChat Pay answers it.
func judgeRefundAnswer(o payflow.RefundOrder) map[string]any {
	return map[string]any{"id": "50200207182018070300011301001", "refund_id": "50200207182018070300011301001", "out_refund_no": o.OutRefundNo, "out_trade_no": o.OutTradeNo, "transaction_id": o.TransactionID,
		"status": "SUCCESS", "create_time": "2018-06-08T10:34:56+08:00",
		"amount": map[string]any{"refund": o.Amount.Minor, "total": o.Total.Minor, "currency": "HKD", "payer_refund": o.Amount.Minor, "payer_currency": "HKD"}}
}

func TestTheSDKAcceptsEveryRequestAboutMoneyGivenBackAndBooks(t *testing.T) {
	for _, mode := range []payflow.Mode{payflow.Institution, payflow.Direct} {
		t.Run(string(mode), func(t *testing.T) {
			g := newSDKGateway(t)
			c, o := g.client(mode), judgeRefund(judgeOrder(mode))
			g.answer = func(r *http.Request, _ string) (int, string) {
				switch {
				case r.URL.Path == "/v3/global/refunds" && r.Method == http.MethodGet:
					return http.StatusOK, mustText(map[string]any{"id": o.TransactionID, "out_trade_no": o.OutTradeNo, "total_num": 1, "current_total_num": 1, "data": []any{judgeRefundAnswer(o)}})
				case strings.HasPrefix(r.URL.Path, "/v3/global/settle/"):
					return http.StatusOK, mustText(map[string]any{"data": []any{}, "total_count": 0, "offset": 0, "limit": 20})
				}
				return http.StatusOK, mustText(judgeRefundAnswer(o))
			}
			require.NoError(t, c.FirstRoundTrip(t.Context()))
			taken, err := c.Refund(t.Context(), o)
			require.NoError(t, err)
			assert.Equal(t, payflow.RefundAccepted, taken.Kind)
			for name, ask := range map[string]func() (payflow.RefundOutcome, error){
				"by our number": func() (payflow.RefundOutcome, error) { return c.QueryRefund(t.Context(), o) },
				"by WeChat's": func() (payflow.RefundOutcome, error) {
					return c.QueryRefundByID(t.Context(), o, "50200207182018070300011301001")
				},
			} {
				found, err := ask()
				require.NoError(t, err, name)
				assert.Equal(t, payflow.RefundStateSuccess, found.Refund.State, name)
			}
			all, err := c.Refunds(t.Context(), judgeOrder(mode))
			require.NoError(t, err)
			assert.Len(t, all, 1)
			_, count, err := c.Settlements(t.Context(), wxclient.SettlementQuery{Settled: true, From: "20221225", To: "20221226", Limit: 5})
			require.NoError(t, err)
			assert.Zero(t, count)
			assert.Empty(t, g.refused)
			assert.Len(t, g.accepted, 6)
		})
	}
}

// The SDK has no call for a statement, but signs its digest: {"sha1":"…"}.
func TestAStatementWhoseDigestTheSDKSignsIsTaken(t *testing.T) {
	g := newSDKGateway(t)
	c := g.client(payflow.Institution)
	text := "Transaction time,…\n"
	sum := sha1.Sum([]byte(text))
	digest := hex.EncodeToString(sum[:])
	g.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v3/global/statements" {
			g.ServeHTTP(w, r)
			return
		}
		assert.NoError(t, g.judgeRequest(r, ""))
		g.sign(w.Header(), `{"sha1":"`+digest+`"}`)
		w.Header().Set("Wechatpay-Statement-Sha1", digest)
		w.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(w)
		packed.Write([]byte(text))
		packed.Close()
	})
	require.NoError(t, c.FirstRoundTrip(t.Context()))
	got, err := c.Statement(t.Context(), "20220401", filepath.Join(t.TempDir(), "20220401.csv"))
	require.NoError(t, err)
	assert.True(t, got.Verified, got.Doubt)
	assert.Equal(t, digest, got.SHA1)
}

// toldJournal knows one refund and keeps what it is told of.
type toldJournal struct {
	refund payflow.RefundOrder
	mu     sync.Mutex // guards told
	told   []payflow.RefundReport
}

func (j *toldJournal) Refund(no payflow.OutRefundNo) (payflow.RefundOrder, bool) {
	return j.refund, no == j.refund.OutRefundNo
}
func (j *toldJournal) Payment(payflow.OutTradeNo) (payflow.Order, bool) {
	return payflow.Order{}, false
}
func (j *toldJournal) PaymentNotified(context.Context, payflow.Trade) error { return nil }
func (j *toldJournal) RefundNotified(_ context.Context, r payflow.RefundReport) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told = append(j.told, r)
	return nil
}

// The notification is the guide's sample ("Notification of Refund Result"), for an order of ours, signed by the SDK.
func TestANotificationThatTheSDKSignsIsTakenOnceAndAChangedOneIsNot(t *testing.T) {
	g := newSDKGateway(t)
	c, o := g.client(payflow.Institution), judgeRefund(judgeOrder(payflow.Institution))
	require.NoError(t, c.FirstRoundTrip(t.Context()))
	journal := &toldJournal{refund: o}
	shop := httptest.NewServer(c.Notifications(journal))
	defer shop.Close()
	resource := mustText(map[string]any{"sp_mchid": o.Merchant.MerchantID, "sub_mchid": o.Merchant.SubMerchantID, "transaction_id": o.TransactionID, "out_trade_no": o.OutTradeNo,
		"refund_id": "50200207182018070300011301001", "out_refund_no": o.OutRefundNo, "refund_status": "SUCCESS", "success_time": "2018-06-08T10:34:56+08:00", "recv_account": "招商银行信用卡0403",
		"fund_source": "REFUND_SOURCE_UNSETTLED_FUNDS", "amount": map[string]any{"total": o.Total.Minor, "currency": "HKD", "refund": o.Amount.Minor, "payer_total": o.Total.Minor,
			"payer_refund": o.Amount.Minor, "payer_currency": "HKD", "exchange_rate": map[string]any{"type": "SETTLEMENT_RATE", "rate": 100000000}}})
	nonce, err := utils.GenerateNonce()
	require.NoError(t, err)
	body := mustText(map[string]any{"id": "EV-2018022511223320873", "create_time": "2018-06-08T10:34:56+08:00", "resource_type": "encrypt-resource", "event_type": "REFUND.SUCCESS", "summary": "退款成功",
		"resource": map[string]any{"original_type": "refund", "algorithm": "AEAD_AES_256_GCM", "associated_data": "", "nonce": nonce[:12], "ciphertext": judgeSeal(t, judgeAPIv3Key, nonce[:12], "", resource)}})
	post := func(body string, change func(http.Header)) int {
		r, err := http.NewRequest(http.MethodPost, shop.URL, strings.NewReader(body))
		require.NoError(t, err)
		g.sign(r.Header, body)
		change(r.Header)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		answer.Body.Close()
		return answer.StatusCode
	}
	same := func(http.Header) {}
	assert.Equal(t, http.StatusUnauthorized, post(body, func(h http.Header) { h.Set("Wechatpay-Nonce", "another") }))
	assert.Equal(t, http.StatusNoContent, post(body, same))
	assert.Equal(t, http.StatusNoContent, post(body, same), "the same id is received, and not told again")
	require.Len(t, journal.told, 1)
	assert.Equal(t, payflow.RefundStateSuccess, journal.told[0].State)
	assert.Equal(t, o.Amount, journal.told[0].Amount)
}

func TestTheSDKsClientTakesTheSimulatorsAnswersAboutMoneyGivenBackAndBooks(t *testing.T) {
	eachSDKMode(t, func(t *testing.T, s *sdkTill) {
		ids, query := s.ids()
		paid := s.members(s.client.Post(t.Context(), s.url+"/v3/global/micropay/transactions/pay", s.payBody("SDK1", wxsim.CodeFor("pays-at-once", 1))))
		refund := map[string]any{"transaction_id": paid["id"], "out_refund_no": "R1", "reason": "sold out", "amount": map[string]any{"refund": 500, "total": 1250, "currency": "HKD"}}
		for name, id := range ids {
			refund[name] = id
		}
		for _, name := range []string{"appid", "sp_appid"} {
			if id, there := s.payBody("", "")[name]; there {
				refund[name] = id
			}
		}
		taken := s.members(s.client.Post(t.Context(), s.url+"/v3/global/refunds", refund))
		for name, target := range map[string]string{
			"by our number": "/v3/global/refunds/out-refund-no/R1?" + query,
			"by WeChat's":   "/v3/global/refunds/id/" + taken["id"].(string) + "?" + query,
		} {
			found := s.members(s.client.Get(t.Context(), s.url+target))
			assert.Equal(t, "R1", found["out_refund_no"], name)
		}
		all := s.members(s.client.Get(t.Context(), s.url+"/v3/global/refunds?out_trade_no=SDK1&offset=0&count=20&"+query))
		assert.EqualValues(t, 1, all["total_num"])
		settle := "settle_state=UNSETTLE&offset=0&limit=20"
		if s.creds.Mode == wxsim.Institution {
			settle += "&sub_mchid=" + s.creds.SubMerchantID
		}
		waiting := s.members(s.client.Get(t.Context(), s.url+"/v3/global/settle/settlements?"+settle))
		assert.EqualValues(t, 1, waiting["total_count"])
	})
}

// The SDK's handler of notifications is the merchant; the simulator sends.
func TestTheSDKsHandlerTakesTheSimulatorsNotifications(t *testing.T) {
	s := newSDKTill(t, wxsim.Institution)
	s.sim.Behave(wxsim.Behaviour{NotifyPlain: true, RefundAfter: time.Millisecond})
	handler, err := notify.NewRSANotifyHandler(s.creds.APIv3Key, s.trust)
	require.NoError(t, err)
	type notice struct {
		request  *notify.Request
		resource map[string]any
		err      error
	}
	heard := make(chan notice, 1)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n notice
		n.request, n.err = handler.ParseNotifyRequest(r.Context(), r, &n.resource)
		heard <- n
		w.WriteHeader(http.StatusNoContent)
	}))
	defer shop.Close()
	paid := s.members(s.client.Post(t.Context(), s.url+"/v3/global/micropay/transactions/pay", s.payBody("SDK1", wxsim.CodeFor("pays-at-once", 1))))
	refund, _ := s.ids()
	refund["sp_appid"], refund["transaction_id"], refund["out_refund_no"], refund["notify_url"] = s.creds.AppID, paid["id"], "R1", shop.URL
	refund["amount"] = map[string]any{"refund": 500, "total": 1250, "currency": "HKD"}
	s.members(s.client.Post(t.Context(), s.url+"/v3/global/refunds", refund))
	select {
	case n := <-heard:
		require.NoError(t, n.err)
		assert.Equal(t, "REFUND.SUCCESS", n.request.EventType)
		assert.Equal(t, "R1", n.resource["out_refund_no"])
		assert.Equal(t, "SUCCESS", n.resource["refund_status"])
	case <-time.After(20 * time.Second):
		t.Fatal("no notification came")
	}
}
