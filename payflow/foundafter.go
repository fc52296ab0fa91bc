package payflow

import (
	"fmt"
	"time"
)

// FoundAfterRestore is an order that WeChat Pay holds under a number that only this till draws, and that the journal lost: it was made after
// the backup that was restored. It is never Paid (I4: no attach tag proves it ours) and never reversed by itself: a person looks at it.
type FoundAfterRestore struct {
	OutTradeNo    OutTradeNo    `json:"out_trade_no"`
	State         TradeState    `json:"state"` // WeChat Pay's, when it was asked for
	Amount        Amount        `json:"amount"`
	PayerAmount   Amount        `json:"payer_amount,omitzero"`
	TransactionID TransactionID `json:"transaction_id,omitempty"`
	SuccessTime   time.Time     `json:"success_time,omitzero"`
	Attach        string        `json:"attach,omitempty"` // tag and caller's own text, as the lost payment sent them
	FoundAt       time.Time     `json:"found_at"`
	Sequence      uint64        `json:"sequence"` // of the journal's last event about it
	Settled       FoundSettled  `json:"settled,omitzero"`
}

// SaleRef is the sale that the order was made for, where its attach names it; "" where that is not known.
func (f FoundAfterRestore) SaleRef() SaleRef { return SaleOfAttach(f.Attach) }

// PaysSale reports an order whose money WeChat Pay holds, or may still come to hold as far as anybody here knows. A person's word does not change that:
// what the customer pays beside it is an additional tender.
func (f FoundAfterRestore) PaysSale(sale SaleRef) bool {
	return f.SaleRef() == sale && (f.NeedsPerson() || f.State == TradeSuccess || f.State == TradeRefund) // of a refunded one, a part may be all that went back
}

// FoundSettled is a person's word that an order which was found after a restore is accounted for.
type FoundSettled struct {
	At       time.Time `json:"at"`
	Operator string    `json:"operator"`
	Note     string    `json:"note,omitempty"` // what was done: goods were given, refunded on the merchant platform, …
}

// NeedsPerson reports whether somebody must look: money was taken or may still be, and nobody has said what became of it.
func (f FoundAfterRestore) NeedsPerson() bool {
	return f.Settled.At.IsZero() && f.State != TradeClosed && f.State != TradeRevoked
}

// FoundOrderError says that the number is that of an order which WeChat Pay holds and a restored journal lost: there is no payment of it here. It is
// an ErrNoPayment.
type FoundOrderError struct{ Found FoundAfterRestore }

func (e *FoundOrderError) Error() string {
	return fmt.Sprintf("order %s was lost in a restore and found again at WeChat Pay (%s, %s), so that there is no payment of it here to show or refund; "+
		"posagent journal found lists it: what is owed goes back on the WeChat Pay merchant platform, and posagent journal settle records that", e.Found.OutTradeNo, e.Found.Amount, e.Found.State)
}

// Is makes it an ErrNoPayment.
func (e *FoundOrderError) Is(target error) bool { return target == ErrNoPayment }
