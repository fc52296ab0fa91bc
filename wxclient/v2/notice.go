package v2

import (
	"context"
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"posagent/payflow"
	"posagent/wxclient"
)

// The bounds of notifications.
const (
	noticeMax      = 64 << 10 // bytes
	noticesKept    = 4096     // that were taken, so that each is taken once
	noticeTogether = 8        // that wait for the one which is being taken
)

// RefundNotices handles WeChat Pay's refund notifications (API v2, refund result notification). Each is opened with the API key, must
// be this merchant's, and is given to take one at a time; one that was taken before is answered and not given again. When take
// returns an error, WeChat Pay is told to send the notification again later. take must compare amount and payment with the journal; the
// currency is empty where the notification leaves it out.
//
// A notification proves nothing: it carries no sign, and what its cipher hides it does not protect from being put together anew. Ask
// with QueryRefund what became of the refund before anything is decided.
func (c *Client) RefundNotices(take func(context.Context, payflow.RefundReport) error) http.Handler {
	return &noticeHandler{client: c, take: take, room: make(chan struct{}, noticeTogether), taken: map[string]bool{}}
}

type noticeHandler struct {
	client *Client
	take   func(context.Context, payflow.RefundReport) error
	room   chan struct{}

	mu    sync.Mutex // held while one is taken; guards all below
	taken map[string]bool
	order []string // oldest first
}

// ServeHTTP answers 200 with return_code SUCCESS for what was taken, and FAIL with 4xx or 5xx for everything else.
func (h *noticeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		answerNotice(w, http.StatusMethodNotAllowed, "POST it")
		return
	}
	select {
	case h.room <- struct{}{}:
		defer func() { <-h.room }()
	default:
		answerNotice(w, http.StatusServiceUnavailable, "busy")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, noticeMax))
	if err != nil {
		answerNotice(w, http.StatusRequestEntityTooLarge, "too long, or cut short")
		return
	}
	report, err := h.client.readNotice(body)
	if err != nil {
		h.client.log.Warn().Err(err).Msg("refund notification refused")
		answerNotice(w, http.StatusBadRequest, "not for this merchant")
		return
	}
	if err := h.takeOnce(r.Context(), report); err != nil {
		h.client.log.Warn().Err(err).Str("out_refund_no", string(report.OutRefundNo)).Msg("refund notification not taken")
		answerNotice(w, http.StatusInternalServerError, "later")
		return
	}
	answerNotice(w, http.StatusOK, "")
}

func (h *noticeHandler) takeOnce(ctx context.Context, r payflow.RefundReport) error {
	key := string(r.RefundID) + " " + string(r.OutRefundNo) + " " + string(r.State)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.taken[key] {
		return nil
	}
	if err := h.take(ctx, r); err != nil {
		return err
	}
	if len(h.order) >= noticesKept {
		delete(h.taken, h.order[0])
		h.order = h.order[1:]
	}
	h.taken[key], h.order = true, append(h.order, key)
	return nil
}

func answerNotice(w http.ResponseWriter, status int, why string) {
	f := fields{{returnCode, success}, {"return_msg", "OK"}}
	if status != http.StatusOK {
		f = fields{{returnCode, fail}, {"return_msg", why}}
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(f.write())
}

var errNotice = errors.New("it is no refund notification of this merchant")

func (c *Client) readNotice(body []byte) (payflow.RefundReport, error) {
	outer, err := readXML(body, xmlRoot)
	if err != nil {
		return payflow.RefundReport{}, err
	}
	if outer[returnCode] != success || outer["mch_id"] == "" || !sameIDs(c.merchant, outer) {
		return payflow.RefundReport{}, errNotice
	}
	opened, err := openReqInfo(outer["req_info"], c.signer.key)
	if err != nil {
		return payflow.RefundReport{}, err
	}
	return readReqInfo(opened)
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
		OutRefundNo:   payflow.OutRefundNo(wxclient.MaskID(m["out_refund_no"], outRefundNoMax)),
		TransactionID: payflow.TransactionID(wxclient.MaskID(m["transaction_id"], 32)),
		OutTradeNo:    payflow.OutTradeNo(wxclient.MaskID(m["out_trade_no"], 32)),
		State:         refundState(m["refund_status"]),
		Amount:        payflow.Amount{Minor: m.number("refund_fee"), Currency: currency},
		Total:         payflow.Amount{Minor: m.number("total_fee"), Currency: currency},
		Account:       wxclient.MaskText(m["refund_recv_accout"], 64), // as the documents spell it
		Source:        payflow.RefundSource(wxclient.MaskText(m["refund_account"], 32)),
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
