package payflow

import "time"

// RefundOrder is money to be given back. Nothing in it changes once it is journaled: a call that is made again repeats it with the
// same OutRefundNo, and a new number is a second refund (refund API).
type RefundOrder struct {
	OutRefundNo   OutRefundNo   `json:"out_refund_no"`
	OutTradeNo    OutTradeNo    `json:"out_trade_no"`             // of the payment
	TransactionID TransactionID `json:"transaction_id,omitempty"` // of the payment; where it is known the call names it instead
	Merchant      Merchant      `json:"merchant"`                 // as the payment's
	API           API           `json:"api"`                      // as the payment's
	HostFamily    string        `json:"host_family"`              // as the payment's
	Amount        Amount        `json:"amount"`                   // to give back, in the payment's currency
	Total         Amount        `json:"total"`                    // of the payment
	Reason        string        `json:"reason,omitempty"`         // the customer reads it; at most 80 bytes
	Source        RefundSource  `json:"source,omitempty"`         // "": WeChat Pay's own order
	NotifyURL     string        `json:"notify_url,omitempty"`     // https, no query part, at most 256 bytes
}

// RefundSource is the merchant's purse that a refund is taken from.
type RefundSource string

// The sources (refund API). Answers spell the second one in two ways, so they are compared without case.
const (
	RefundFromUnsettled RefundSource = "REFUND_SOURCE_UNSETTLED_FUNDS"
	RefundFromRecharge  RefundSource = "REFUND_SOURCE_RECHARGE_FUNDS"
)

// RefundState is WeChat Pay's word for the state of a refund; RefundStatus is ours. An unknown value is kept as it came, and
// means unknown.
type RefundState string

// The states, by one spelling: API v3 says REFUNDCLOSE for CLOSED, and API v2 says CHANGE for ABNORMAL.
const (
	RefundStateSuccess    RefundState = "SUCCESS"
	RefundStateProcessing RefundState = "PROCESSING"
	RefundStateClosed     RefundState = "CLOSED"   // WeChat Pay gave the refund up; the merchant holds the money
	RefundStateAbnormal   RefundState = "ABNORMAL" // the customer's account cannot take it; a person acts on the merchant platform
)

// RefundReport is a refund as WeChat Pay reports it. Fields that an answer lacks are zero.
type RefundReport struct {
	RefundID      RefundID      `json:"refund_id,omitempty"`
	OutRefundNo   OutRefundNo   `json:"out_refund_no,omitempty"`
	TransactionID TransactionID `json:"transaction_id,omitempty"`
	OutTradeNo    OutTradeNo    `json:"out_trade_no,omitempty"`
	State         RefundState   `json:"state,omitempty"`
	Amount        Amount        `json:"amount,omitzero"`       // given back, in the payment's currency
	Total         Amount        `json:"total,omitzero"`        // of the payment
	PayerAmount   Amount        `json:"payer_amount,omitzero"` // what the customer's wallet gets, in the wallet's currency
	RateType      string        `json:"rate_type,omitempty"`
	Rate          int64         `json:"rate,omitempty"`    // scaled by 10^8; shown, never computed with
	Channel       string        `json:"channel,omitempty"` // ORIGINAL, BALANCE, OTHER_BALANCE, OTHER_BANKCARD
	Account       string        `json:"account,omitempty"` // where the money goes, in WeChat Pay's words
	Source        RefundSource  `json:"source,omitempty"`
	CreatedAt     time.Time     `json:"created_at,omitzero"`
	SuccessTime   time.Time     `json:"success_time,omitzero"`
}

// RefundOutcomeKind is what a verified answer to a call about a refund tells us.
type RefundOutcomeKind string

// The kinds. All else is an error: we do not know, and ask, or ask for the same refund again.
const (
	RefundAccepted RefundOutcomeKind = "accepted"       // refund: WeChat Pay has taken it on; no money has moved yet
	RefundFound    RefundOutcomeKind = "found"          // query: the refund with its state
	NoSuchRefund   RefundOutcomeKind = "no_such_refund" // query: WeChat Pay does not know the number (so far)
	RefundDeclined RefundOutcomeKind = "declined"       // refund: a listed, definite refusal
	RefundLater    RefundOutcomeKind = "later"          // refund: a listed refusal that asks for the same refund again after a minute or more
)

// RefundOutcome is what a call about a refund brought for certain.
type RefundOutcome struct {
	Kind   RefundOutcomeKind `json:"kind"`
	Refund RefundReport      `json:"refund,omitzero"` // with RefundAccepted and RefundFound
	Code   string            `json:"code,omitempty"`  // WeChat Pay's error code: upper case, no underscores
	Text   string            `json:"text,omitempty"`  // WeChat Pay's own words, at most 256 characters, for the manager
}

// RefundSum adds up every refund of one order (query all refunds), in the order's own currency. The zero value says that it is not known.
type RefundSum struct {
	Known   bool  `json:"known,omitempty"`   // a verified answer named every refund
	Done    int64 `json:"done,omitempty"`    // minor units that went back for good
	Pending int64 `json:"pending,omitempty"` // accepted, on its way
	Dead    int   `json:"dead,omitempty"`    // refunds that are closed, abnormal, or of a state that is not known
}

// SumRefunds adds up the refunds of the order of that number and total. One of another order or currency, of an amount that cannot be,
// or one that stands there twice, as it may where a list was read page by page while it grew, makes the sum unknown.
func SumRefunds(no OutTradeNo, total Amount, refunds []RefundReport) RefundSum {
	sum := RefundSum{Known: true}
	for i, r := range refunds {
		left := total.Minor - sum.Done - sum.Pending
		if r.OutTradeNo != "" && r.OutTradeNo != no || r.Amount.Currency != total.Currency || r.Amount.Minor <= 0 || twice(refunds[:i], r) {
			return RefundSum{}
		}
		switch {
		case r.State != RefundStateSuccess && r.State != RefundStateProcessing && r.Amount.Minor <= total.Minor:
			sum.Dead++
		case r.Amount.Minor > left:
			return RefundSum{}
		case r.State == RefundStateSuccess:
			sum.Done += r.Amount.Minor
		default:
			sum.Pending += r.Amount.Minor
		}
	}
	return sum
}

// twice reports that a refund is among those before it, or that no number tells it from one of them.
func twice(before []RefundReport, r RefundReport) bool {
	for _, b := range before {
		oneID := r.RefundID != "" && b.RefundID == r.RefundID
		oneNumber := r.OutRefundNo != "" && b.OutRefundNo == r.OutRefundNo
		apart := r.RefundID != "" && b.RefundID != "" || r.OutRefundNo != "" && b.OutRefundNo != ""
		if oneID || oneNumber || !apart {
			return true
		}
	}
	return false
}
