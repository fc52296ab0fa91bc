package v2

import (
	"context"
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"posagent/payflow"
	"posagent/wxclient"
)

// The bounds of notifications, as API v3's.
const (
	noticeMax      = 64 << 10                       // bytes of a notification
	noticeWithin   = 4 * time.Second / payflow.Pace // WeChat Pay waits 5 s for the answer
	noticesAtOnce  = 16                             // more are sent away, and come again
	noticeKept     = 36 * time.Hour                 // WeChat Pay repeats one for 24 h 4 min
	noticesKeptMax = 4096                           // beyond it the oldest are forgotten; the journal takes a repeat as well
)

// Notifications returns the http.Handler of WeChat Pay's refund notifications (API v2, refund result notification). Each is opened with
// the API key, and its merchant, numbers and amount must be the journal's.
//
// A notification proves nothing: it carries no sign, and what its cipher hides it does not keep from being put together anew from
// pieces of others. So it only makes us ask: the refund is queried at once, and the journal is told that verified answer, once for each
// state. What is refused is answered with 4xx, what could not be done, or is not at its end by the query, with 5xx, and WeChat Pay then
// sends it again. API v2 sends no notification of a Quick Pay payment. It is safe for use by several goroutines.
func (c *Client) Notifications(journal wxclient.NotificationJournal) http.Handler {
	return &notifications{client: c, journal: journal, room: make(chan struct{}, noticesAtOnce), turn: make(chan struct{}, 1), seen: map[noticeKey]time.Time{}}
}

type notifications struct {
	client  *Client
	journal wxclient.NotificationJournal

	room  chan struct{} // one for each notification being read
	turn  chan struct{} // holds one: guards all below, and the journal
	seen  map[noticeKey]time.Time
	order []noticeKey // of seen, oldest first
}

// noticeKey is what makes a notification the same again: API v2 gives none an id.
type noticeKey struct {
	refund payflow.RefundID
	state  payflow.RefundState
}

// refusedNotice is why a notification is not taken, and with which status it is answered.
type refusedNotice struct {
	status int
	error
}

// ServeHTTP answers one notification within 5 s: 200 with return_code SUCCESS, or 4xx or 5xx with FAIL.
func (n *notifications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), noticeWithin)
	defer cancel()
	err := n.serve(ctx, w, r)
	if err == nil {
		answerNotice(w, http.StatusOK, "OK")
		return
	}
	status := http.StatusInternalServerError
	if no := (refusedNotice{}); errors.As(err, &no) {
		status = no.status
	}
	n.client.log.Warn().Int("status", status).Err(err).Msg("refund notification not taken")
	answerNotice(w, status, wxclient.MaskText(err.Error(), wxclient.TextMax))
}

func (n *notifications) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	select {
	case n.room <- struct{}{}:
		defer func() { <-n.room }()
	default:
		return refusedNotice{http.StatusServiceUnavailable, errors.New("too many at once")}
	}
	if r.Method != http.MethodPost {
		return refusedNotice{http.StatusMethodNotAllowed, errors.New("only POST is taken")}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(noticeWithin)) // a recorder has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, noticeMax))
	if err != nil {
		return refusedNotice{http.StatusBadRequest, fmt.Errorf("the body could not be read, or is over %d bytes", noticeMax)}
	}
	outer, report, err := readNotice(body, n.client.signer.key)
	if err != nil {
		return refusedNotice{http.StatusBadRequest, err}
	}
	return n.take(ctx, outer, report)
}

// take tells the journal, once for each refund and state, one notification at a time.
func (n *notifications) take(ctx context.Context, outer message, report payflow.RefundReport) error {
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for another notification: %w", ctx.Err())
	}
	key := noticeKey{report.RefundID, report.State}
	n.forget(time.Now())
	if _, told := n.seen[key]; told {
		return nil
	}
	o, journaled := n.journal.Refund(report.OutRefundNo)
	if !journaled {
		return refusedNotice{http.StatusNotFound, errors.New("no such number is journaled here")}
	}
	if err := n.ours(o, outer, report); err != nil {
		return err
	}
	if err := n.ask(ctx, o); err != nil {
		return err
	}
	n.seen[key] = time.Now()
	n.order = append(n.order, key)
	return nil
}

func (n *notifications) forget(now time.Time) {
	for len(n.order) > 0 && (len(n.order) >= noticesKeptMax || now.Sub(n.seen[n.order[0]]) >= noticeKept) {
		delete(n.seen, n.order[0])
		n.order = n.order[1:]
	}
}

func (n *notifications) ours(o payflow.RefundOrder, outer message, r payflow.RefundReport) error {
	if outer["mch_id"] == "" || !sameIDs(n.client.merchantOf(o.Merchant), outer) {
		return refusedNotice{http.StatusForbidden, errors.New("it is not this merchant's")}
	}
	r.Amount.Currency, r.Total.Currency = orElse(r.Amount.Currency, o.Amount.Currency), orElse(r.Total.Currency, o.Total.Currency)
	if strange(o, r) || r.Total != o.Total {
		n.client.log.Error().Str("out_refund_no", string(o.OutRefundNo)).Msg("notification contradicts the journal")
		return refusedNotice{http.StatusBadRequest, errAnotherRefund}
	}
	return nil
}

// ask tells the journal what a query says of the refund.
func (n *notifications) ask(ctx context.Context, o payflow.RefundOrder) error {
	outcome, err := n.client.QueryRefund(ctx, o)
	switch {
	case err != nil:
		return err
	case outcome.Kind != payflow.RefundFound || outcome.Refund.State == payflow.RefundStateProcessing:
		return errors.New("the refund is not at its end by the query")
	}
	return n.journal.RefundNotified(ctx, outcome.Refund)
}

func answerNotice(w http.ResponseWriter, status int, why string) {
	code := success
	if status != http.StatusOK {
		code = fail
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(fields{{returnCode, code}, {"return_msg", text(why, wxclient.TextMax)}}.write())
}

var errNotice = errors.New("it is no refund notification")

// readNotice opens a notification. Its outer elements are no more to be believed than the inner ones.
func readNotice(body []byte, apiKey string) (outer message, r payflow.RefundReport, err error) {
	if outer, err = readXML(body, xmlRoot); err != nil {
		return nil, r, err
	}
	if outer[returnCode] != success {
		return nil, r, errNotice
	}
	opened, err := openReqInfo(outer["req_info"], apiKey)
	if err != nil {
		return nil, r, err
	}
	r, err = readReqInfo(opened)
	return outer, r, err
}

// readReqInfo reads what a notification hides.
func readReqInfo(opened []byte) (payflow.RefundReport, error) {
	m, err := readXML(opened, "root")
	if err != nil {
		return payflow.RefundReport{}, err
	}
	currency := payflow.Currency(wxclient.MaskText(orElse(m["refund_fee_type"], m["fee_type"]), 16))
	r := payflow.RefundReport{
		RefundID:      payflow.RefundID(wxclient.MaskID(m["refund_id"], 32)),
		OutRefundNo:   payflow.OutRefundNo(wxclient.Plain(m["out_refund_no"], outRefundNoMax)),
		TransactionID: payflow.TransactionID(wxclient.MaskID(m["transaction_id"], 32)),
		OutTradeNo:    payflow.OutTradeNo(wxclient.Plain(m["out_trade_no"], 32)),
		State:         wxclient.RefundStateOf(m["refund_status"]),
		Amount:        payflow.Amount{Minor: m.number("refund_fee"), Currency: currency},
		Total:         payflow.Amount{Minor: m.number("total_fee"), Currency: currency},
		Account:       wxclient.MaskText(m["refund_recv_accout"], 64), // as the documents spell it
		Source:        wxclient.RefundSourceOf(m["refund_account"]),
		SuccessTime:   m.time("success_time", time.DateTime),
	}
	if r.OutRefundNo == "" || r.RefundID == "" || r.State == "" || r.OutTradeNo == "" || r.Amount.Minor == 0 || r.Amount.Minor > r.Total.Minor {
		return payflow.RefundReport{}, errNotice
	}
	return r, nil
}

var errReqInfo = errors.New("req_info cannot be opened with this API key")

// openReqInfo opens req_info: base64, AES-256 block by block (ECB), PKCS #7. The key is the lower-case hex of the API key's MD5, as 32
// characters. It never panics.
func openReqInfo(sealed, apiKey string) ([]byte, error) {
	text, err := base64.StdEncoding.Strict().DecodeString(sealed)
	if err != nil || len(text) == 0 || len(text)%aes.BlockSize != 0 {
		return nil, errReqInfo
	}
	return openECB(reqInfoKey(apiKey), text)
}

func reqInfoKey(apiKey string) []byte {
	sum := md5.Sum([]byte(apiKey))
	return []byte(hex.EncodeToString(sum[:]))
}

// openECB opens whole blocks in place, and takes the padding off.
func openECB(key, text []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errReqInfo
	}
	for at := 0; at < len(text); at += aes.BlockSize {
		block.Decrypt(text[at:at+aes.BlockSize], text[at:at+aes.BlockSize])
	}
	return unpad(text)
}

// unpad takes PKCS #7 padding off: 1 to 16 bytes, each of which says how many they are.
func unpad(text []byte) ([]byte, error) {
	n := int(text[len(text)-1])
	if n < 1 || n > aes.BlockSize {
		return nil, errReqInfo
	}
	for _, b := range text[len(text)-n:] {
		if int(b) != n {
			return nil, errReqInfo
		}
	}
	return text[:len(text)-n], nil
}
