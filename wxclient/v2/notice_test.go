package v2

import (
	"context"
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// sealReqInfo seals as the documents say, with code that the client does not share.
func sealReqInfo(t *testing.T, text, apiKey string) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(fmt.Sprintf("%x", md5.Sum([]byte(apiKey)))))
	require.NoError(t, err)
	n := 16 - len(text)%16
	padded := []byte(text + strings.Repeat(string(rune(n)), n))
	for at := 0; at < len(padded); at += 16 {
		block.Encrypt(padded[at:at+16], padded[at:at+16])
	}
	return base64.StdEncoding.EncodeToString(padded)
}

func notified() map[string]string {
	return map[string]string{"out_refund_no": "SZTX001T1A1-1", "out_trade_no": "SZTX001T1A1", "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS", "refund_fee": "250",
		"refund_id": "50000408942018111907145868882", "refund_recv_accout": "支付用户零钱", "refund_request_source": "API", "refund_status": "SUCCESS",
		"settlement_refund_fee": "250", "success_time": "2018-11-19 16:24:13", "total_fee": "1250", "transaction_id": "1008450740201411110005820873"}
}

func noticeOf(t *testing.T, hidden map[string]string, change ...string) string {
	outer := map[string]string{"return_code": "SUCCESS", "appid": testMerchant().AppID, "mch_id": testMerchant().MerchantID, "sub_mch_id": testMerchant().SubMerchantID,
		"nonce_str": "TeqClE3i0mvn3DrK", "req_info": sealReqInfo(t, xmlOf("root", hidden), testKey)}
	for i := 0; i < len(change); i += 2 {
		outer[change[i]] = change[i+1]
	}
	return xmlOf("xml", outer)
}

// post gives a notification to a handler and returns the status and return_code of its answer.
func post(t *testing.T, h http.Handler, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/notify", strings.NewReader(body)))
	m, err := readXML(w.Body.Bytes(), xmlRoot)
	require.NoError(t, err)
	return w.Code, m[returnCode]
}

// books is a journal that a test can look into.
type books struct {
	refunds map[payflow.OutRefundNo]payflow.RefundOrder
	told    []payflow.RefundReport
	fail    error
	inside  atomic.Int32
}

func (b *books) Refund(no payflow.OutRefundNo) (payflow.RefundOrder, bool) {
	o, ok := b.refunds[no]
	return o, ok
}

func (b *books) Payment(payflow.OutTradeNo) (payflow.Order, bool) { return payflow.Order{}, false }

func (b *books) RefundNotified(_ context.Context, r payflow.RefundReport) error {
	if b.inside.Add(1) > 1 {
		return errors.New("two at a time")
	}
	defer b.inside.Add(-1)
	time.Sleep(time.Millisecond)
	if b.fail == nil {
		b.told = append(b.told, r)
	}
	return b.fail
}

func (b *books) PaymentNotified(context.Context, payflow.Trade) error {
	return errors.New("not in API v2")
}

// ended is the answer to the query of the test's refund.
func ended(state string) reply {
	return refundPage(1, 0, 1, 0).but("refund_fee_0", "250", "refund_status_0", state)
}

// withBooks returns a handler whose journal holds the test's refund, and whose queries are answered with a state.
func withBooks(t *testing.T, state string) (*gateway, *books, http.Handler) {
	g, c := inTown(t)
	g.always(ended(state))
	o := testRefund()
	b := &books{refunds: map[payflow.OutRefundNo]payflow.RefundOrder{o.OutRefundNo: o}}
	return g, b, c.Notifications(b)
}

func TestARefundNotificationMakesUsAskAndIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b, h := withBooks(t, "SUCCESS")
		for range 3 {
			status, code := post(t, h, noticeOf(t, notified()))
			assert.Equal(t, http.StatusOK, status)
			assert.Equal(t, "SUCCESS", code)
		}
		require.Len(t, b.told, 1)
		assert.Equal(t, payflow.RefundStateSuccess, b.told[0].State)
		assert.Equal(t, testRefund().Amount, b.told[0].Amount)
		assert.Equal(t, 1, g.count(refundQueryPath))

		changed := notified()
		changed["refund_status"] = "CHANGE"
		g.always(ended("CHANGE"))
		_, _ = post(t, h, noticeOf(t, changed))
		require.Len(t, b.told, 2, "a new state is new")
		assert.Equal(t, payflow.RefundStateAbnormal, b.told[1].State)
	})
}

// TestWhatTheQuerySaysIsTold: a notification can be put together anew from pieces of others.
func TestWhatTheQuerySaysIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, h := withBooks(t, "REFUNDCLOSE")
		status, _ := post(t, h, noticeOf(t, notified()))
		assert.Equal(t, http.StatusOK, status)
		require.Len(t, b.told, 1)
		assert.Equal(t, payflow.RefundStateClosed, b.told[0].State)
	})
}

func TestANotificationThatWasNotTakenComesAgain(t *testing.T) {
	for name, p := range map[string]reply{"no end by the query": ended("PROCESSING"), "not known": refusal("REFUNDNOTEXIST"), "a fault": refusal("SYSTEMERROR"),
		"forged": ended("SUCCESS").sealed("forged"), "silent": {hang: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, b, h := withBooks(t, "SUCCESS")
				g.always(p)
				start := time.Now()
				status, code := post(t, h, noticeOf(t, notified()))
				assert.Equal(t, http.StatusInternalServerError, status)
				assert.Equal(t, "FAIL", code)
				assert.Empty(t, b.told)
				assert.Less(t, time.Since(start), 5*time.Second)
				g.always(ended("SUCCESS"))
				b.fail = errors.New("the disk is full")
				status, _ = post(t, h, noticeOf(t, notified()))
				assert.Equal(t, http.StatusInternalServerError, status)
				b.fail = nil
				status, _ = post(t, h, noticeOf(t, notified()))
				assert.Equal(t, http.StatusOK, status)
				assert.Len(t, b.told, 1)
			})
		})
	}
}

func TestNotificationsAreTakenOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, h := withBooks(t, "SUCCESS")
		var all sync.WaitGroup
		var taken atomic.Int32
		body := noticeOf(t, notified())
		for range noticesAtOnce {
			all.Go(func() {
				if status, _ := post(t, h, body); status == http.StatusOK {
					taken.Add(1)
				}
			})
		}
		all.Wait()
		assert.EqualValues(t, noticesAtOnce, taken.Load())
		assert.Len(t, b.told, 1)
	})
}

func TestANotificationThatIsNotOursIsRefused(t *testing.T) {
	without := func(name, value string) map[string]string {
		m := notified()
		m[name] = value
		return m
	}
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"another merchant":      {noticeOf(t, notified(), "mch_id", "1"), 403},
		"no merchant":           {noticeOf(t, notified(), "mch_id", ""), 403},
		"another shop":          {noticeOf(t, notified(), "sub_mch_id", "1"), 403},
		"not journaled":         {noticeOf(t, without("out_refund_no", "X")), 404},
		"another payment":       {noticeOf(t, without("out_trade_no", "X")), 400},
		"another amount":        {noticeOf(t, without("refund_fee", "251")), 400},
		"another total":         {noticeOf(t, without("total_fee", "1251")), 400},
		"another currency":      {noticeOf(t, without("fee_type", "CNY")), 400},
		"return_code FAIL":      {noticeOf(t, notified(), "return_code", "FAIL"), 400},
		"another key":           {noticeOf(t, notified(), "req_info", sealReqInfo(t, xmlOf("root", notified()), "another key")), 400},
		"no req_info":           {noticeOf(t, notified(), "req_info", ""), 400},
		"no base64":             {noticeOf(t, notified(), "req_info", "!!!"), 400},
		"half a block":          {noticeOf(t, notified(), "req_info", "AAAA"), 400},
		"no XML":                {noticeOf(t, notified(), "req_info", sealReqInfo(t, "hello", testKey)), 400},
		"another root":          {noticeOf(t, notified(), "req_info", sealReqInfo(t, xmlOf("xml", notified()), testKey)), 400},
		"no amount":             {noticeOf(t, without("refund_fee", "")), 400},
		"more than was paid":    {noticeOf(t, without("refund_fee", "1251")), 400},
		"no refund":             {noticeOf(t, without("out_refund_no", "")), 400},
		"no payment":            {noticeOf(t, without("out_trade_no", "")), 400},
		"no state":              {noticeOf(t, without("refund_status", "")), 400},
		"a DOCTYPE":             {"<!DOCTYPE x>" + noticeOf(t, notified()), 400},
		"JSON":                  {`{"id":"x"}`, 400},
		"nothing":               {"", 400},
		"too long":              {strings.Repeat("x", noticeMax+1), 400},
		"a name that is a twin": {strings.Replace(noticeOf(t, notified()), "<appid>", "<mch_id>1</mch_id><appid>", 1), 400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, b, h := withBooks(t, "SUCCESS")
				status, code := post(t, h, c.body)
				assert.Equal(t, c.status, status)
				assert.Equal(t, "FAIL", code)
				assert.Empty(t, b.told)
				assert.Zero(t, g.count(refundQueryPath), "nobody makes us ask for what is not ours")
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		_, _, h := withBooks(t, "SUCCESS")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/notify", nil))
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
	})
}

func TestPaddingIsCheckedStrictly(t *testing.T) {
	for name, text := range map[string]string{"none": strings.Repeat("x", 16), "zero": strings.Repeat("x", 15) + "\x00", "17": strings.Repeat("\x11", 32), "uneven": strings.Repeat("x", 13) + "\x01\x03\x03"} {
		_, err := unpad([]byte(text))
		assert.ErrorIs(t, err, errReqInfo, name)
	}
	text, err := unpad([]byte(strings.Repeat("\x10", 16)))
	require.NoError(t, err)
	assert.Empty(t, text)
}

func FuzzReadNotice(f *testing.F) {
	t := &testing.T{}
	f.Add(noticeOf(t, notified()), "")
	f.Add("", xmlOf("root", notified()))
	f.Add("<xml/>", sealReqInfo(t, "<root></root>", testKey))
	f.Fuzz(func(t *testing.T, body, hidden string) {
		_, _, _ = readNotice([]byte(body), testKey)
		_, _ = openReqInfo(hidden, testKey)
		r, err := readReqInfo([]byte(hidden))
		if err == nil && (r.OutRefundNo == "" || r.Amount.Minor <= 0 || r.Amount.Minor > r.Total.Minor) {
			t.Fatalf("%+v", r)
		}
	})
}
