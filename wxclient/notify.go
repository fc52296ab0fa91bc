package wxclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"posagent/payflow"
)

// The bounds of notifications.
const (
	noticeMax      = 128 << 10                      // bytes of a notification
	noticeWithin   = 4 * time.Second / payflow.Pace // WeChat Pay waits 5 s for the answer (refund notification)
	noticesAtOnce  = 16                             // more are sent away, and come again
	noticeKept     = 36 * time.Hour                 // WeChat Pay repeats one for 24 h 4 min
	noticesKeptMax = 4096                           // beyond it the oldest are forgotten; the journal takes a repeat as well
)

// NotificationJournal is what notifications are compared with, and told to. Its methods are called one at a time, and return when ctx
// ends.
type NotificationJournal interface {
	// Refund returns the refund of that number as it was journaled, and false where there is none.
	Refund(no payflow.OutRefundNo) (payflow.RefundOrder, bool)
	// Payment returns the order of that number as it was journaled, and false where there is none.
	Payment(no payflow.OutTradeNo) (payflow.Order, bool)
	// RefundNotified takes a refund's verified end, and returns when it is on disk. It may be told twice. An error makes WeChat Pay
	// notify again later.
	RefundNotified(ctx context.Context, report payflow.RefundReport) error
	// PaymentNotified takes a verified payment, likewise.
	PaymentNotified(ctx context.Context, trade payflow.Trade) error
}

// Notifications is the http.Handler of what WeChat Pay sends to notify_url: the end of a refund, and a payment (which Quick Pay does
// not send; the handler stands for the document's sake). Nothing listens unless an address is configured, and everything works
// without: refunds are asked for.
//
// A notification is believed when its signature over the raw body fits, it was signed within five minutes, it opens with the API v3
// key, and merchant, numbers and amount are the journal's. It is told to the journal once for each id, and answered with 204; what
// is refused is answered with 4xx, what could not be done with 500, both with the reason, and WeChat Pay then sends it again. It is
// safe for use by several goroutines.
type Notifications struct {
	client  *Client
	journal NotificationJournal
	log     zerolog.Logger

	room chan struct{} // one for each notification being read
	turn chan struct{} // holds one: guards seen and order, and the journal
	seen map[string]time.Time
	// order holds the ids of seen, oldest first.
	order []string
}

// Notifications returns a handler that verifies as the client does and tells journal.
func (c *Client) Notifications(journal NotificationJournal) *Notifications {
	return &Notifications{client: c, journal: journal, log: c.log, seen: make(map[string]time.Time),
		room: make(chan struct{}, noticesAtOnce), turn: make(chan struct{}, 1)}
}

// refusedNotice is why a notification is not taken, as it is answered.
type refusedNotice struct {
	status int
	code   string
	err    error
}

func (e *refusedNotice) Error() string { return e.err.Error() }
func (e *refusedNotice) Unwrap() error { return e.err }

func refuseNotice(status int, code string, err error) error { return &refusedNotice{status, code, err} }

// ServeHTTP answers one notification within 5 s.
func (n *Notifications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), noticeWithin)
	defer cancel()
	id, err := n.serve(ctx, w, r)
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	no := (*refusedNotice)(nil)
	if !errors.As(err, &no) {
		no = &refusedNotice{http.StatusInternalServerError, "SYSTEM_ERROR", err}
	}
	n.log.Warn().Str("notification", id).Int("status", no.status).Err(err).Msg("notification not taken")
	body, _ := json.Marshal(noticeAnswer{no.code, maskText(no.Error(), textMax)})
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(no.status)
	_, _ = w.Write(body)
}

type noticeAnswer struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (n *Notifications) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) (id string, err error) {
	select {
	case n.room <- struct{}{}:
		defer func() { <-n.room }()
	default:
		return "", refuseNotice(http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE", errors.New("too many at once"))
	}
	if r.Method != http.MethodPost {
		return "", refuseNotice(http.StatusMethodNotAllowed, "PARAM_ERROR", errors.New("only POST is taken"))
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(noticeWithin)) // a recorder has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, noticeMax))
	if err != nil {
		return "", refuseNotice(http.StatusBadRequest, "PARAM_ERROR", fmt.Errorf("the body could not be read, or is over %d bytes", noticeMax))
	}
	if err := n.client.verifyNotice(ctx, r.Header, body); err != nil {
		return "", refuseNotice(http.StatusUnauthorized, "SIGN_ERROR", err)
	}
	notice, err := openNotice(body, n.client.apiv3Key)
	if err != nil {
		return notice.ID, refuseNotice(http.StatusBadRequest, "PARAM_ERROR", err)
	}
	return notice.ID, n.take(ctx, notice)
}

// verifyNotice checks a notification's signature as verify does an answer's: an unknown serial, and a time out of step, lead to one
// certificates call and a second look. Its nonce is not held against it: it is told once for its id.
func (c *Client) verifyNotice(ctx context.Context, h http.Header, body []byte) error {
	s, err := readSignature(h)
	if err != nil {
		return err
	}
	err = c.verifyBy(s, body, c.clock.Now())
	if why := distrustOf(err); (why == unknownSerial || why == skewed) && c.worthASecondLook(ctx) {
		err = c.verifyBy(s, body, c.clock.Now())
	}
	return err
}

// take tells the journal, once for each id, one notification at a time.
func (n *Notifications) take(ctx context.Context, notice notice) error {
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for another notification: %w", ctx.Err())
	}
	n.forget(time.Now())
	if _, told := n.seen[notice.ID]; told {
		return nil
	}
	if err := n.tell(ctx, notice); err != nil {
		return err
	}
	n.seen[notice.ID] = time.Now()
	n.order = append(n.order, notice.ID)
	return nil
}

func (n *Notifications) forget(now time.Time) {
	for len(n.order) > 0 && (len(n.order) >= noticesKeptMax || now.Sub(n.seen[n.order[0]]) >= noticeKept) {
		delete(n.seen, n.order[0])
		n.order = n.order[1:]
	}
}

func (n *Notifications) tell(ctx context.Context, notice notice) error {
	switch {
	case notice.refund != nil:
		return n.tellRefund(ctx, notice)
	case notice.payment != nil:
		return n.tellPayment(ctx, notice)
	}
	n.log.Warn().Str("notification", notice.ID).Str("event_type", notice.EventType).Msg("notification of a kind that is not known; it is left alone")
	return nil
}

var (
	errNotOurs      = errors.New("it is not this merchant's")
	errNotJournaled = errors.New("no such number is journaled here")
)

func (n *Notifications) tellRefund(ctx context.Context, notice notice) error {
	r := *notice.refund
	o, journaled := n.journal.Refund(payflow.OutRefundNo(r.OutRefundNo))
	if !journaled {
		return refuseNotice(http.StatusNotFound, "NOT_FOUND", errNotJournaled)
	}
	if !notice.merchant.are(n.client.merchantOf(paymentOf(o))) {
		return refuseNotice(http.StatusForbidden, "NO_AUTH", errNotOurs)
	}
	if err := r.of(o); err != nil {
		n.log.Error().Str("notification", notice.ID).Str("out_refund_no", string(o.OutRefundNo)).Err(err).Msg("notification contradicts the journal")
		return refuseNotice(http.StatusBadRequest, "PARAM_ERROR", err)
	}
	return n.journal.RefundNotified(ctx, r.report())
}

func (n *Notifications) tellPayment(ctx context.Context, notice notice) error {
	o, journaled := n.journal.Payment(payflow.OutTradeNo(notice.payment.OutTradeNo))
	if !journaled {
		return refuseNotice(http.StatusNotFound, "NOT_FOUND", errNotJournaled)
	}
	m := n.client.merchantOf(o)
	if !notice.merchant.are(m) {
		return refuseNotice(http.StatusForbidden, "NO_AUTH", errNotOurs)
	}
	trade := notice.payment.trade(m.Mode)
	if trade.Amount != o.Amount || trade.Attach != "" && !o.Tag.Carries(trade.Attach) {
		n.log.Error().Str("notification", notice.ID).Str("out_trade_no", string(o.OutTradeNo)).Msg("notification contradicts the journal")
		return refuseNotice(http.StatusBadRequest, "PARAM_ERROR", errors.New("it names this order with another amount or attach"))
	}
	return n.journal.PaymentNotified(ctx, trade)
}
