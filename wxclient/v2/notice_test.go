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
	"testing"
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
		"settlement_refund_fee": "250", "success_time": "2018-11-19 16:24:13", "total_fee": "1250", "transaction_id": "4200000215201811190261405420"}
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

func noticeClient(t *testing.T) *Client {
	return newClient(t, testConfig(t, newGateway(t), nil, firstHost))
}

func TestARefundNotificationIsTakenOnce(t *testing.T) {
	var got []payflow.RefundReport
	h := noticeClient(t).RefundNotices(func(_ context.Context, r payflow.RefundReport) error { got = append(got, r); return nil })
	for range 3 {
		status, code := post(t, h, noticeOf(t, notified()))
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "SUCCESS", code)
	}
	assert.Equal(t, []payflow.RefundReport{{RefundID: "50000408942018111907145868882", OutRefundNo: "SZTX001T1A1-1", TransactionID: "4200000215201811190261405420",
		OutTradeNo: "SZTX001T1A1", State: payflow.RefundStateSuccess, Amount: payflow.Amount{Minor: 250}, Total: payflow.Amount{Minor: 1250}, Account: "支付用户零钱",
		Source: payflow.RefundFromRecharge, SuccessTime: time.Date(2018, 11, 19, 16, 24, 13, 0, storeTime)}}, got)
	changed := notified()
	changed["refund_status"] = "CHANGE"
	_, _ = post(t, h, noticeOf(t, changed))
	require.Len(t, got, 2, "a new state is new")
	assert.Equal(t, payflow.RefundStateAbnormal, got[1].State)
}

func TestANotificationThatWasNotTakenComesAgain(t *testing.T) {
	fails := true
	var calls int
	h := noticeClient(t).RefundNotices(func(context.Context, payflow.RefundReport) error {
		calls++
		if fails {
			return errors.New("the amount is not the journal's")
		}
		return nil
	})
	status, code := post(t, h, noticeOf(t, notified()))
	assert.Equal(t, http.StatusInternalServerError, status)
	assert.Equal(t, "FAIL", code)
	fails = false
	status, _ = post(t, h, noticeOf(t, notified()))
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, 2, calls)
}

func TestNotificationsAreTakenOneAtATime(t *testing.T) {
	var mu sync.Mutex
	inside, most, taken := 0, 0, 0
	h := noticeClient(t).RefundNotices(func(context.Context, payflow.RefundReport) error {
		mu.Lock()
		inside++
		taken++
		most = max(most, inside)
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		inside--
		mu.Unlock()
		return nil
	})
	var all sync.WaitGroup
	body := noticeOf(t, notified())
	for range noticeTogether {
		all.Go(func() { _, _ = post(t, h, body) })
	}
	all.Wait()
	assert.Equal(t, 1, most)
	assert.Equal(t, 1, taken)
}

func TestANotificationThatIsNotOursIsRefused(t *testing.T) {
	h := noticeClient(t).RefundNotices(func(context.Context, payflow.RefundReport) error { t.Error("taken"); return nil })
	without := func(name, value string) map[string]string {
		m := notified()
		m[name] = value
		return m
	}
	for name, body := range map[string]string{
		"another merchant":      noticeOf(t, notified(), "mch_id", "1"),
		"no merchant":           noticeOf(t, notified(), "mch_id", ""),
		"another shop":          noticeOf(t, notified(), "sub_mch_id", "1"),
		"return_code FAIL":      noticeOf(t, notified(), "return_code", "FAIL"),
		"another key":           noticeOf(t, notified(), "req_info", sealReqInfo(t, xmlOf("root", notified()), "another key")),
		"no req_info":           noticeOf(t, notified(), "req_info", ""),
		"no base64":             noticeOf(t, notified(), "req_info", "!!!"),
		"half a block":          noticeOf(t, notified(), "req_info", "AAAA"),
		"no XML":                noticeOf(t, notified(), "req_info", sealReqInfo(t, "hello", testKey)),
		"another root":          noticeOf(t, notified(), "req_info", sealReqInfo(t, xmlOf("xml", notified()), testKey)),
		"no amount":             noticeOf(t, without("refund_fee", "")),
		"more than was paid":    noticeOf(t, without("refund_fee", "1251")),
		"no refund":             noticeOf(t, without("out_refund_no", "")),
		"no payment":            noticeOf(t, without("out_trade_no", "")),
		"no state":              noticeOf(t, without("refund_status", "")),
		"a DOCTYPE":             "<!DOCTYPE x>" + noticeOf(t, notified()),
		"JSON":                  `{"id":"x"}`,
		"nothing":               "",
		"a name that is a twin": strings.Replace(noticeOf(t, notified()), "<appid>", "<mch_id>1</mch_id><appid>", 1),
	} {
		status, code := post(t, h, body)
		assert.Equal(t, http.StatusBadRequest, status, name)
		assert.Equal(t, "FAIL", code, name)
	}
	status, _ := post(t, h, strings.Repeat("x", noticeMax+1))
	assert.Equal(t, http.StatusRequestEntityTooLarge, status)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/notify", nil))
	assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
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
	c := &Client{merchant: testMerchant(), signer: signer{testKey, MD5}}
	f.Fuzz(func(t *testing.T, body, hidden string) {
		_, _ = c.readNotice([]byte(body))
		_, _ = openReqInfo(hidden, testKey)
		r, err := readReqInfo([]byte(hidden))
		if err == nil && (r.OutRefundNo == "" || r.Amount.Minor <= 0 || r.Amount.Minor > r.Total.Minor) {
			t.Fatalf("%+v", r)
		}
	})
}
