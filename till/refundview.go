package till

import (
	"time"

	"posagent/health"
	"posagent/payflow"
)

// Refund is a refund as every caller and the page see it.
type Refund struct {
	ID         payflow.OutRefundNo `json:"id" doc:"The refund's number (out_refund_no)."`
	Payment    payflow.OutTradeNo  `json:"payment" doc:"The payment whose money goes back."`
	SaleRef    payflow.SaleRef     `json:"sale_ref"`
	Wish       payflow.RefundWish  `json:"wish" enum:"person,late_success,reverse_too_late" doc:"Who wants it: a person, or posagent itself because money came late or can't be taken back otherwise."`
	Amount     int64               `json:"amount" doc:"Minor units of currency."`
	Currency   payflow.Currency    `json:"currency"`
	AmountText string              `json:"amount_text" doc:"The amount as a person reads it."`

	Status    payflow.RefundStatus `json:"status" enum:"requested,processing,refunded,refused,abnormal"`
	Final     bool                 `json:"final" doc:"The status never changes again."`
	Attention payflow.Reason       `json:"attention" doc:"Why a person must look; empty while nobody needs to."`

	Reason   string         `json:"reason,omitempty" doc:"Why the money goes back, as it was asked for; the customer reads it."`
	Why      payflow.Reason `json:"why" doc:"Why it stands where it does: a stable code."`
	Message  health.Words   `json:"message" doc:"What happened."`
	NextStep health.Words   `json:"next_step" doc:"What to do now."`

	RefundID      payflow.RefundID `json:"refund_id,omitempty" doc:"WeChat Pay's number, once it is known."`
	PayerAmount   int64            `json:"payer_amount,omitempty" doc:"What the customer's wallet gets, in minor units of payer_currency."`
	PayerCurrency payflow.Currency `json:"payer_currency,omitempty"`
	Account       string           `json:"account,omitempty" doc:"Where the money goes, in WeChat Pay's words."`
	WeChatCode    string           `json:"wechat_code,omitempty" doc:"WeChat Pay's error code, for the manager."`
	WeChatText    string           `json:"wechat_text,omitempty" doc:"WeChat Pay's own words, for the manager."`

	Times    RefundTimes `json:"times"`
	Seen     bool        `json:"seen" doc:"A person has seen what needed one."`
	StoreDay string      `json:"store_day,omitempty" doc:"2006-01-02 in the store's time zone, of the request."`
	Version  uint64      `json:"version" doc:"Counts every change; pass it as since to wait for the next."`
	Operator string      `json:"operator,omitempty"`
	Sequence uint64      `json:"sequence" doc:"The journal's last entry about this refund."`
}

// RefundTimes are a refund's times, RFC 3339 by this machine's clock; one that has not come is left out.
type RefundTimes struct {
	Now         time.Time `json:"now" doc:"When this answer was made."`
	RequestedAt time.Time `json:"requested_at"`
	NextStepAt  time.Time `json:"next_step_at,omitempty,omitzero" doc:"When WeChat Pay is asked next."`
	FinalAt     time.Time `json:"final_at,omitempty,omitzero"`
	SuccessTime time.Time `json:"success_time,omitempty,omitzero" doc:"When the money reached the customer, by WeChat Pay."`
}

// viewRefund shows a refund at a time.
func (s *Server) viewRefund(e payflow.RefundEntry, now time.Time) Refund {
	return Refund{
		ID: e.OutRefundNo, Payment: e.OutTradeNo, SaleRef: e.SaleRef, Wish: e.Wish,
		Amount: e.Amount.Minor, Currency: e.Amount.Currency, AmountText: e.Amount.String(),
		Status: e.Status, Final: e.Status.Final(), Attention: e.Attention,
		Reason: e.RefundOrder.Reason, Why: e.Why, Message: inAll(s.cfg.Words.RefundMessage(e)), NextStep: inAll(s.cfg.Words.RefundNextStep(e)),
		RefundID: e.Report.RefundID, PayerAmount: e.Report.PayerAmount.Minor, PayerCurrency: e.Report.PayerAmount.Currency,
		Account: maskDigits(e.Report.Account), WeChatCode: e.Refusal.Code, WeChatText: maskDigits(e.Refusal.Text),
		Times: RefundTimes{Now: now, RequestedAt: e.RequestedAt, NextStepAt: nextStepOf(e), FinalAt: e.FinalAt, SuccessTime: e.Report.SuccessTime},
		Seen:  !e.Seen.At.IsZero(), Version: e.Version, Operator: e.Operator, StoreDay: e.StoreDay, Sequence: e.Sequence,
	}
}

func nextStepOf(e payflow.RefundEntry) time.Time {
	if e.Status.Final() {
		return time.Time{}
	}
	return e.WakeAt
}

// refundsOf returns the refunds of a payment, the oldest first: what went back for good, and what can still be given back. A payment
// that took no money has none, and none is looked for.
func (s *Server) refundsOf(e payflow.Entry, now time.Time) (refunds []Refund, back, left int64) {
	sums, err := s.refundSums(e)
	if err != nil {
		s.cfg.Log.Error().Str("out_trade_no", string(e.OutTradeNo)).Str("error", maskDigits(err.Error())).Msg("the refunds of a payment could not be read")
		return nil, 0, 0 // nothing is offered that is not known to be left
	}
	for _, r := range sums.refunds {
		refunds = append(refunds, s.viewRefund(r, now))
	}
	if s.cfg.Refunds != nil && e.Status == payflow.Paid && !e.GivenBack() {
		left = e.Amount.Minor
	}
	return refunds, sums.done, max(left-sums.going, 0)
}

// refundSums are the refunds of a payment, and what they add up to, in minor units.
type refundSums struct {
	refunds []payflow.RefundEntry
	done    int64 // is with the customer
	going   int64 // is with the customer or on its way, or may be
}

// refundSums reads the refunds of a payment and adds them up. An error means that they are not known.
func (s *Server) refundSums(e payflow.Entry) (sums refundSums, err error) {
	if s.cfg.Refunds == nil || !mayHaveRefunds(e) {
		return sums, nil
	}
	if sums.refunds, err = s.cfg.Refunds.RefundsOfPayment(e.OutTradeNo); err != nil {
		return sums, err
	}
	for _, r := range sums.refunds {
		if r.Status == payflow.RefundDone {
			sums.done += r.Amount.Minor
		}
		if !r.Dead() {
			sums.going += r.Amount.Minor
		}
	}
	return sums, nil
}

// mayHaveRefunds reports a payment whose money a refund may give back: paid, taken back too late, or paid after its end.
func mayHaveRefunds(e payflow.Entry) bool {
	switch e.Status {
	case payflow.Paid, payflow.Reversing, payflow.Reversed:
		return true
	}
	return len(e.Links) > 0 || e.Attention != "" || e.Late.OutRefundNo != ""
}
