package payflow

import (
	"errors"
	"fmt"
)

// RefundRequest asks for money to be given back to the customer of a paid payment.
type RefundRequest struct {
	OutTradeNo OutTradeNo `json:"out_trade_no"`
	// Amount is in the payment's currency; an empty currency means it. A zero amount is refused: who wants all back says so.
	Amount   Amount `json:"amount"`
	Reason   string `json:"reason,omitempty"` // the customer reads it; UTF-8 of at most 80 bytes
	Operator string `json:"operator,omitempty"`
	// IdempotencyKey, 1 to 64 printable ASCII characters: the same key with the same request is the same refund, whatever has happened
	// since. The out_refund_no is derived from it.
	IdempotencyKey string `json:"-"`
}

// RefundEntry is one refund as the journal holds it.
type RefundEntry struct {
	Refund
	SaleRef  SaleRef `json:"sale_ref"`
	Sequence uint64  `json:"sequence"`  // of the journal's last event about it
	StoreDay string  `json:"store_day"` // 2006-01-02 in the store's time zone, of the request
}

// Refusals of a refund at the desk. None has cost a number or money.
var (
	ErrNoRefund       = errors.New("no such refund in this till's journal; look at the payment for its refunds")
	ErrNoRefunds      = errors.New("this till can't make refunds; give the money back on the WeChat Pay merchant platform")
	ErrRefundTooMany  = errors.New("this payment has 50 refunds already, and WeChat Pay takes no more; give the rest back in cash")
	ErrRefundOverdue  = errors.New("this payment is more than 365 days old, and WeChat Pay refunds it no more; give the money back in cash")
	ErrRefundsOpenMax = errors.New("too many refunds of this till are still open; look at the list of refunds that need a person")
)

// RefundTooMuchError says how much of a payment can still be given back. Refunds that are not at their end count as given back.
type RefundTooMuchError struct{ Left Amount }

func (e *RefundTooMuchError) Error() string {
	return fmt.Sprintf("only %s of this payment can still be given back", e.Left)
}

// NotRefundableError says that the payment took no money that a refund could give back, or that it is not known yet.
type NotRefundableError struct{ Entry Entry }

func (e *NotRefundableError) Error() string {
	return fmt.Sprintf("payment %s is %s, and only a paid payment can be refunded", e.Entry.OutTradeNo, e.Entry.Status)
}

// GivenBackError says that a person has recorded that the customer has the money of this payment back by another way, as cash: a refund would be
// the same money once more. Entry.Acknowledged says who, and when.
type GivenBackError struct{ Entry Entry }

func (e *GivenBackError) Error() string {
	by := ""
	if e.Entry.Acknowledged.Operator != "" {
		by = " by " + e.Entry.Acknowledged.Operator
	}
	return fmt.Sprintf("it was recorded%s at %s that the money of payment %s was given back in another way, so that no refund is made of it; if that is a mistake, refund it on the WeChat Pay merchant platform",
		by, e.Entry.Acknowledged.At.Format("2006-01-02 15:04:05 -07:00"), e.Entry.OutTradeNo)
}

// RefundOpenError says that a refund is not at its end, so that nobody can be done with it yet.
type RefundOpenError struct{ Entry RefundEntry }

func (e *RefundOpenError) Error() string {
	return fmt.Sprintf("refund %s is %s and still asked about; wait for its end", e.Entry.OutRefundNo, e.Entry.Status)
}
