package wxclient

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// books is a journal that a test can look into.
type books struct {
	mu       sync.Mutex
	refunds  map[payflow.OutRefundNo]payflow.RefundOrder
	payments map[payflow.OutTradeNo]payflow.Order
	told     []payflow.RefundReport
	paid     []payflow.Trade
	fail     error
	slow     time.Duration
}

func (b *books) Refund(no payflow.OutRefundNo) (payflow.RefundOrder, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.refunds[no]
	return o, ok
}

func (b *books) Payment(no payflow.OutTradeNo) (payflow.Order, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.payments[no]
	return o, ok
}

// journal writes a refund down.
func (b *books) journal(o payflow.RefundOrder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refunds[o.OutRefundNo] = o
}

// heard returns what it was told so far.
func (b *books) heard() ([]payflow.RefundReport, []payflow.Trade) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told), slices.Clone(b.paid)
}

func (b *books) RefundNotified(ctx context.Context, report payflow.RefundReport) error {
	select {
	case <-time.After(b.slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail == nil {
		b.told = append(b.told, report)
	}
	return b.fail
}

func (b *books) PaymentNotified(_ context.Context, trade payflow.Trade) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paid = append(b.paid, trade)
	return b.fail
}

// The resource of the document's refund notification, and the refund that it is about.
const exampleResource = `{"sp_mchid":"1900000100","sub_mchid":"1900000109","transaction_id":"1008450740201411110005820873","out_trade_no":"20150806125346",
	"refund_id":"50200207182018070300011301001","out_refund_no":"7752501201407033233368018","refund_status":"SUCCESS","success_time":"2018-06-08T10:34:56+08:00",
	"recv_account":"招商银行信用卡0403","fund_source":"REFUND_SOURCE_UNSETTLED_FUNDS","amount":{"total":528800,"currency":"HKD","refund":528800,"payer_total":528800,
	"payer_refund":528800,"payer_currency":"HKD","exchange_rate":{"type":"SETTLEMENT_RATE","rate":100000000}}}`

func exampleNotified() payflow.RefundOrder {
	o := exampleRefund()
	o.OutRefundNo, o.Merchant.MerchantID, o.Merchant.SubMerchantID = "7752501201407033233368018", "1900000100", "1900000109"
	o.Amount.Minor, o.Total.Minor = 528800, 528800
	return o
}

// noticeJSON is the document's notification with a resource sealed in it.
func noticeJSON(t testing.TB, event, resource string, edits ...string) string {
	block, err := aes.NewCipher([]byte(testAPIv3Key))
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	sealed := base64.StdEncoding.EncodeToString(aead.Seal(nil, []byte("abcdefghijkl"), []byte(resource), nil))
	return strings.NewReplacer(edits...).Replace(fmt.Sprintf(`{"id":"EV-2018022511223320873","create_time":"2018-06-08T10:34:56+08:00","resource_type":"encrypt-resource","event_type":"%s",
		"summary":"退款成功","resource":{"original_type":"refund","algorithm":"AEAD_AES_256_GCM","ciphertext":"%s","associated_data":"","nonce":"abcdefghijkl"}}`, event, sealed))
}

// desk is a handler behind which a journal stands.
type desk struct {
	g     *gateway
	n     *Notifications
	books *books
}

func newDesk(t *testing.T) *desk {
	g, c := inTown(t)
	o := testOrder()
	b := &books{refunds: map[payflow.OutRefundNo]payflow.RefundOrder{exampleNotified().OutRefundNo: exampleNotified()}, payments: map[payflow.OutTradeNo]payflow.Order{o.OutTradeNo: o}}
	return &desk{g, c.Notifications(b), b}
}

func (d *desk) post(body, seal string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/notify", strings.NewReader(body))
	d.g.seal(r.Header, reply{body: body, seal: seal})
	return d.serve(r)
}

func (d *desk) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.n.ServeHTTP(w, r)
	return w
}

// The notification of the document: "Notification of Refund Result".
func TestNotificationOfARefundIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		for range 3 {
			w := d.post(noticeJSON(t, "REFUND.SUCCESS", exampleResource), "")
			assert.Equal(t, http.StatusNoContent, w.Code)
			assert.Empty(t, w.Body.String())
		}
		require.Len(t, d.books.told, 1)
		report := d.books.told[0]
		report.SuccessTime = time.Time{}
		assert.Equal(t, payflow.RefundReport{RefundID: "50200207182018070300011301001", OutRefundNo: "7752501201407033233368018", TransactionID: "1008450740201411110005820873",
			OutTradeNo: "20150806125346", State: payflow.RefundStateSuccess, Amount: payflow.Amount{Minor: 528800, Currency: "HKD"}, Total: payflow.Amount{Minor: 528800, Currency: "HKD"},
			PayerAmount: payflow.Amount{Minor: 528800, Currency: "HKD"}, RateType: "SETTLEMENT_RATE", Rate: 100000000, Account: "招商银行信用卡0403", Source: payflow.RefundFromUnsettled}, report)
		d.post(noticeJSON(t, "REFUND.CLOSED", strings.Replace(exampleResource, "SUCCESS", "CLOSED", 1), "EV-", "EW-"), "")
		d.post(noticeJSON(t, "REFUND.ABNORMAL", strings.Replace(exampleResource, "SUCCESS", "ABNORMAL", 1), "EV-", "EX-"), "")
		require.Len(t, d.books.told, 3)
		assert.Equal(t, payflow.RefundStateClosed, d.books.told[1].State)
		assert.Equal(t, payflow.RefundStateAbnormal, d.books.told[2].State)
	})
}

func TestNotificationThatIsRefusedIsAnsweredWithTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		notice := func(edits ...string) string { return noticeJSON(t, "REFUND.SUCCESS", exampleResource, edits...) }
		about := func(edits ...string) string {
			return noticeJSON(t, "REFUND.SUCCESS", strings.NewReplacer(edits...).Replace(exampleResource))
		}
		for name, row := range map[string]struct {
			body, seal string
			status     int
			code       string
		}{
			"unsigned":           {notice(), "none", 401, "SIGN_ERROR"},
			"forged":             {notice(), "forged", 401, "SIGN_ERROR"},
			"stranger":           {notice(), "stranger", 401, "SIGN_ERROR"},
			"probing traffic":    {notice(), "probe", 401, "SIGN_ERROR"},
			"stale":              {notice(), "stale", 401, "SIGN_ERROR"},
			"a header twice":     {notice(), "twice", 401, "SIGN_ERROR"},
			"half a signature":   {notice(), "half", 401, "SIGN_ERROR"},
			"no JSON":            {"<xml>", "", 400, "PARAM_ERROR"},
			"two objects":        {notice() + "{}", "", 400, "PARAM_ERROR"},
			"no id":              {notice(`"id"`, `"x"`), "", 400, "PARAM_ERROR"},
			"a long id":          {notice("EV-", strings.Repeat("E", 64)), "", 400, "PARAM_ERROR"},
			"another seal":       {notice("AEAD_AES_256_GCM", "AEAD_SM4_GCM"), "", 400, "PARAM_ERROR"},
			"a long nonce":       {notice("abcdefghijkl", "abcdefghijklm"), "", 400, "PARAM_ERROR"},
			"no nonce":           {notice("abcdefghijkl", ""), "", 400, "PARAM_ERROR"},
			"another AAD":        {notice(`"associated_data":""`, `"associated_data":"refund"`), "", 400, "PARAM_ERROR"},
			"not base64":         {notice(`"ciphertext":"`, `"ciphertext":"-`), "", 400, "PARAM_ERROR"},
			"nothing sealed":     {noticeJSON(t, "REFUND.SUCCESS", ""), "", 400, "PARAM_ERROR"},
			"a list sealed":      {noticeJSON(t, "REFUND.SUCCESS", "[]"), "", 400, "PARAM_ERROR"},
			"another state":      {noticeJSON(t, "REFUND.CLOSED", exampleResource), "", 400, "PARAM_ERROR"},
			"another amount":     {about(`"refund":528800`, `"refund":528801`), "", 400, "PARAM_ERROR"},
			"another total":      {about(`"total":528800`, `"total":628800`), "", 400, "PARAM_ERROR"},
			"another currency":   {about(`"currency":"HKD","refund"`, `"currency":"USD","refund"`), "", 400, "PARAM_ERROR"},
			"another payment":    {about("20150806125346", "20150806125347"), "", 400, "PARAM_ERROR"},
			"another merchant":   {about("1900000100", "1900000101"), "", 403, "NO_AUTH"},
			"another shop":       {about("1900000109", "1900000108"), "", 403, "NO_AUTH"},
			"an unknown refund":  {about("7752501201407033233368018", "77525012"), "", 404, "NOT_FOUND"},
			"no refund at all":   {about(`"out_refund_no"`, `"x"`), "", 400, "PARAM_ERROR"},
			"a payment's event":  {noticeJSON(t, "TRANSACTION.SUCCESS", exampleResource), "", 400, "PARAM_ERROR"},
			"an unknown payment": {noticeJSON(t, "TRANSACTION.SUCCESS", strings.Replace(paidBody(testOrder()), "SZTX", "SZTY", 1)), "", 404, "NOT_FOUND"},
		} {
			w := d.post(row.body, row.seal)
			assert.Equal(t, row.status, w.Code, name)
			var said noticeAnswer
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &said), name)
			assert.Equal(t, row.code, said.Code, name)
			assert.NotEmpty(t, said.Message, name)
		}
		assert.Empty(t, d.books.told)
		w := d.serve(httptest.NewRequest(http.MethodGet, "/notify", nil))
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
		w = d.post(strings.Repeat(" ", noticeMax)+"{}", "")
		assert.Equal(t, http.StatusBadRequest, w.Code)
		altered := httptest.NewRequest(http.MethodPost, "/notify", strings.NewReader(notice()+" "))
		d.g.seal(altered.Header, reply{body: notice()})
		assert.Equal(t, http.StatusUnauthorized, d.serve(altered).Code, "the signature is over the raw body")
		assert.Equal(t, http.StatusNoContent, d.post(notice(), "").Code, "and the refused ones have not used its id up")
		assert.Len(t, d.books.told, 1)
	})
}

func TestNotificationThatCannotBeWrittenDownComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		body := noticeJSON(t, "REFUND.SUCCESS", exampleResource)
		d.books.fail = errors.New("the disk is full")
		w := d.post(body, "")
		assert.Equal(t, http.StatusInternalServerError, w.Code)
		assert.Contains(t, w.Body.String(), "SYSTEM_ERROR")
		d.books.fail = nil
		assert.Equal(t, http.StatusNoContent, d.post(body, "").Code)
		assert.Len(t, d.books.told, 1)
		time.Sleep(noticeKept)
		assert.Equal(t, http.StatusNoContent, d.post(body, "").Code)
		assert.Len(t, d.books.told, 2, "the journal takes a repeat, long after")
	})
}

func TestNotificationsAtOnceAreToldOnceAndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.books.slow = time.Second
		body := noticeJSON(t, "REFUND.SUCCESS", exampleResource)
		var all sync.WaitGroup
		began := time.Now()
		for range 10 {
			all.Go(func() { assert.Equal(t, http.StatusNoContent, d.post(body, "").Code) })
		}
		all.Wait()
		assert.Len(t, d.books.told, 1)
		d.books.slow = time.Hour
		for i := range 20 {
			other := noticeJSON(t, "REFUND.SUCCESS", exampleResource, "EV-", fmt.Sprintf("E%d-", i))
			all.Go(func() {
				w := d.post(other, "")
				assert.GreaterOrEqual(t, w.Code, 500)
			})
		}
		all.Wait()
		assert.Less(t, time.Since(began), 7*time.Second, "each within 5 s")
		assert.Len(t, d.books.told, 1)
	})
}

func TestNotificationByANewKeyLeadsToOneCertificatesCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		time.Sleep(time.Minute)
		d.g.addPlatform("8B", strangerKey(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		d.g.handOut("7A", "8B")
		d.g.signWith("8B")
		before := d.g.count("certificates")
		assert.Equal(t, http.StatusNoContent, d.post(noticeJSON(t, "REFUND.SUCCESS", exampleResource), "").Code)
		assert.Equal(t, before+1, d.g.count("certificates"))
		for range 5 {
			assert.Equal(t, http.StatusUnauthorized, d.post("{}", "stranger").Code)
		}
		assert.LessOrEqual(t, d.g.count("certificates"), before+2, "an unheard-of serial is no lever")
	})
}

// Quick Pay sends none; the handler stands for the document's sake ("After the user makes the payment, WeChat Pay will push…").
func TestNotificationOfAPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		o := testOrder()
		assert.Equal(t, http.StatusNoContent, d.post(noticeJSON(t, "TRANSACTION.SUCCESS", paidBody(o)), "").Code)
		require.Len(t, d.books.paid, 1)
		assert.Equal(t, o.OutTradeNo, d.books.paid[0].OutTradeNo)
		assert.Equal(t, o.Amount, d.books.paid[0].Amount)
		for name, edits := range map[string][]string{"another amount": {`"total":1250`, `"total":1251`}, "another tag": {"ABCDEFGH", "HGFEDCBA"},
			"another merchant": {"10000100", "10000101"}, "not paid": {"SUCCESS", "NOTPAY"}} {
			w := d.post(noticeJSON(t, "TRANSACTION.SUCCESS", strings.NewReplacer(edits...).Replace(paidBody(o)), "EV-", "EW-"), "")
			assert.GreaterOrEqual(t, w.Code, 400, name)
			assert.Less(t, w.Code, 500, name)
		}
		assert.Len(t, d.books.paid, 1)
		assert.Equal(t, http.StatusNoContent, d.post(noticeJSON(t, "COUPON.USE", "{}", "EV-", "EX-"), "").Code, "a kind of the future is received and left alone")
	})
}

func TestNotificationIdsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		for i := range noticesKeptMax + 100 {
			require.NoError(t, d.n.take(t.Context(), notice{ID: fmt.Sprint(i)}))
		}
		assert.Len(t, d.n.seen, noticesKeptMax)
		assert.Len(t, d.n.order, noticesKeptMax)
	})
}

// The callback of the official Go SDK's tests: its signature, its window, and one changed byte.
func TestNotificationOfTheOutsideVectors(t *testing.T) {
	skipWithoutVectors(t)
	var file struct {
		Cases []struct {
			ID      string
			Headers map[string]string
			Clock   int64   `json:"clock_unix"`
			OK      []int64 `json:"clock_unix_ok"`
			Reject  []int64 `json:"clock_unix_reject"`
			PEM     string  `json:"platform_certificate_pem"`
			Key     string  `json:"api_v3_key"`
			Body    string  `json:"raw_body"`
			Expect  string
		}
	}
	vectors(t, "notification.json", &file)
	first, skew, change := file.Cases[0], file.Cases[1], file.Cases[2]
	certificate, err := parseCertificate([]byte(first.PEM))
	require.NoError(t, err)
	g := newGateway(t)
	now := first.Clock
	config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
	config.Now = func() time.Time { return time.Unix(now, 0) }
	c := newClient(t, config)
	p := platformCertificate{key: certificate.PublicKey.(*rsa.PublicKey)}
	p.Serial, p.NotBefore, p.NotAfter = serialOf(certificate.SerialNumber), certificate.NotBefore, certificate.NotAfter
	c.certificates.held = map[string]platformCertificate{p.Serial: p}
	h := http.Header{}
	for name, value := range first.Headers {
		h.Set(name, value)
	}
	s, err := readSignature(h)
	require.NoError(t, err)
	for _, now = range append(skew.OK, first.Clock) {
		assert.NoError(t, c.verifyBy(s, []byte(first.Body), c.clock.Now()), now)
	}
	for _, now = range skew.Reject {
		assert.Equal(t, skewed, distrustOf(c.verifyBy(s, []byte(first.Body), c.clock.Now())), now)
	}
	now = first.Clock
	require.Equal(t, "signature failure", change.Expect, "of any byte")
	for i := range len(first.Body) {
		changed := []byte(first.Body)
		changed[i] ^= 1
		require.Equal(t, forged, distrustOf(c.verifyBy(s, changed, c.clock.Now())), i)
	}
	_, err = openNotice([]byte(strings.Replace(first.Body, "PAYSCORE.USER_OPEN_SERVICE", "REFUND.SUCCESS", 1)), []byte(first.Key))
	assert.ErrorContains(t, err, "key has 16 bytes", "the SDK's test key is no API v3 key")
	n, err := openNotice([]byte(first.Body), []byte(testAPIv3Key))
	require.NoError(t, err)
	assert.Nil(t, n.refund)
	assert.Nil(t, n.payment)
}

// The resources of the documents' samples.
func TestNotificationSamplesOfTheDocuments(t *testing.T) {
	skipWithoutVectors(t)
	var file struct{ Samples map[string]json.RawMessage }
	vectors(t, "global_v3_samples.json", &file)
	read := 0
	for name, resource := range file.Samples {
		switch {
		case !strings.HasPrefix(name, "EventSamples/"):
			continue
		case strings.Contains(name, "Refund"):
			n, err := openNotice([]byte(noticeJSON(t, "REFUND.SUCCESS", string(resource))), []byte(testAPIv3Key))
			require.NoError(t, err, name)
			assert.NoError(t, n.refund.of(exampleNotified()), name)
		default:
			n, err := openNotice([]byte(noticeJSON(t, "TRANSACTION.SUCCESS", string(resource))), []byte(testAPIv3Key))
			require.NoError(t, err, name)
			assert.Equal(t, int64(528800), n.payment.Amount.Total, name)
		}
		read++
	}
	assert.Equal(t, 4, read)
}

func FuzzOpenNotice(f *testing.F) {
	f.Add([]byte(noticeJSON(f, "REFUND.SUCCESS", exampleResource)))
	f.Add([]byte(noticeJSON(f, "TRANSACTION.SUCCESS", paidBody(testOrder()))))
	f.Add([]byte(noticeJSON(f, "REFUND.SUCCESS", exampleResource, "abcdefghijkl", "a")))
	f.Add([]byte(`{"id":"1","event_type":"COUPON.USE"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := openNotice(body, []byte(testAPIv3Key))
		if err == nil && (n.ID == "" || n.refund != nil && n.payment != nil) {
			t.Fatalf("%+v", n)
		}
		if err != nil && len(n.ID) > noticeIDMax {
			t.Fatalf("%+v", n)
		}
	})
}

// FuzzNoticeResource fuzzes what is sealed in a notification.
func FuzzNoticeResource(f *testing.F) {
	f.Add("REFUND.SUCCESS", exampleResource)
	f.Add("TRANSACTION.SUCCESS", paidBody(testOrder()))
	f.Fuzz(func(t *testing.T, event, resource string) {
		encoded, err := json.Marshal(event)
		if err != nil {
			return
		}
		n, err := openNotice([]byte(noticeJSON(t, "REFUND.SUCCESS", resource, `"REFUND.SUCCESS"`, string(encoded))), []byte(testAPIv3Key))
		if err != nil || n.refund == nil {
			return
		}
		if n.refund.OutRefundNo == "" || refundState(n.refund.Status) == "" {
			t.Fatalf("%+v", n.refund)
		}
	})
}
