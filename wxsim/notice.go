package wxsim

import (
	"fmt"
	"net/http"
	"time"
)

// notice is a notification on its way: the same one, under the same id, each time that it is sent.
type notice struct {
	NoticeBook
	order *order
	to    string // the URL
	body  []byte
	// By API v3 the notification is signed, and 200 or 204 says that it was taken. API v2 sets both.
	unsigned    bool
	forged      []byte // by API v2: the same from somebody else
	contentType string
	taken       func(status int, body []byte) bool
}

// NoticeBook is one notification, with what came of it.
type NoticeBook struct {
	ID           string          `json:"id"`
	Event        string          `json:"event_type"`
	Number       string          `json:"out_trade_no"`
	RefundNumber string          `json:"out_refund_no"`
	Attempts     []NoticeAttempt `json:"attempts"` // 16 at most
	Taken        bool            `json:"taken"`    // the merchant has said 200 or 204
}

// NoticeAttempt is one time that a notification was sent.
type NoticeAttempt struct {
	At     time.Time `json:"at"`
	Status int       `json:"status"` // 0: no answer within 5 s
	Error  string    `json:"error"`
	Serial string    `json:"serial"` // whose signature it had
}

// newNotice seals an event for the order's merchant (notification of refund result; seed 002). The associated data is empty in every
// other one: the documents' sample has it so. The caller holds s.mu.
func (s *Sim) newNotice(o *order, to, event, summary, original string, resource map[string]any) (*notice, error) {
	s.lastID++
	associated := original
	if s.lastID%2 == 0 {
		associated = ""
	}
	sealed, err := sealText(o.account.APIv3Key, string(mustJSON(resource)), associated)
	if err != nil {
		return nil, err
	}
	now := s.clockNow()
	id := fmt.Sprintf("EV-%s%011d", chinaTime(now).Format(dayForm), s.lastID)
	body := mustJSON(map[string]any{"id": id, "create_time": wireTime(now), "resource_type": "encrypt-resource", "event_type": event, "summary": summary,
		"resource": map[string]any{"original_type": original, "algorithm": sealed.Algorithm, "ciphertext": sealed.Ciphertext,
			"associated_data": sealed.Associated, "nonce": sealed.Nonce}})
	return &notice{NoticeBook: NoticeBook{ID: id, Event: event, Number: o.number}, order: o, to: to, body: body,
		contentType: "application/json; charset=utf-8", taken: takenV3}, nil
}

func takenV3(status int, _ []byte) bool {
	return status == http.StatusOK || status == http.StatusNoContent
}

// refundEvents are the event types and their summaries.
var refundEvents = map[RefundState][2]string{
	RefundSuccess:  {"REFUND.SUCCESS", "退款成功"},
	RefundClosed:   {"REFUND.CLOSED", "退款关闭"},
	RefundAbnormal: {"REFUND.ABNORMAL", "退款异常"},
}

// noticeOfRefund tells how a refund ended; the field is refund_status, not status. The caller holds s.mu.
func (s *Sim) noticeOfRefund(r *refund) (*notice, error) {
	o := r.order
	resource := map[string]any{"transaction_id": o.id, "out_trade_no": o.number, "refund_id": r.id, "out_refund_no": r.number, "refund_status": r.state,
		"recv_account": recvAccount, "fund_source": r.source,
		"amount": map[string]any{"total": o.total, "currency": o.currency, "refund": r.amount, "payer_total": o.payerShare(o.total),
			"payer_refund": o.payerShare(r.amount), "payer_currency": payerCurrency, "exchange_rate": o.exchangeRate()}}
	o.addIDs(resource)
	if r.state == RefundSuccess {
		resource["success_time"] = wireTime(r.ended)
	}
	event := refundEvents[r.state]
	n, err := s.newNotice(o, r.notify, event[0], event[1], "refund", resource)
	if err == nil {
		n.RefundNumber = r.number
	}
	return n, err
}

// noticeOfPayment tells that an order is paid. Quick Pay sends none, though seed 002 describes it: see Notify.Payments. The caller
// holds s.mu.
func (s *Sim) noticeOfPayment(o *order) (*notice, error) {
	return s.newNotice(o, s.notify.Payments, "TRANSACTION.SUCCESS", "支付成功", "transaction", o.view())
}
