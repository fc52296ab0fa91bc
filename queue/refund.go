package queue

import (
	"context"

	"posagent/payflow"
)

// RefundGateway speaks to WeChat Pay about refunds. An error means that the outcome is not known; a definite no is a value. Both
// clients are one.
type RefundGateway interface {
	// Refund asks for money to be given back. A repeat with the same out_refund_no is the same refund.
	Refund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error)
	// QueryRefund asks what became of a refund, by its out_refund_no.
	QueryRefund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error)
	// Refunds returns every refund of a payment, whoever made it.
	Refunds(ctx context.Context, o payflow.Order) ([]payflow.RefundReport, error)
}

// Refund makes a refund that a person asks for: it is journaled before the first call, and made in any case from then on. It returns
// as soon as it is journaled, with the status requested; WaitForRefund tells the rest. The same idempotency key with the same request
// is the same refund, whatever has happened since.
//
// Refused, with nothing journaled: payflow.ErrNoRefunds (no gateway for refunds), ErrKeyMissing, ErrKeyReused, *BadRequestError,
// ErrNoPayment, *NotRefundableError (the payment is not Paid), *RefundTooMuchError, ErrRefundTooMany, ErrRefundOverdue,
// ErrRefundsOpenMax, *NotReadyError, ErrJournalClosed.
func (e *Engine) Refund(ctx context.Context, r payflow.RefundRequest) (payflow.RefundEntry, error) {
	return payflow.RefundEntry{}, payflow.ErrNoRefunds
}

// RefundOf returns a refund as it stands, or payflow.ErrNoRefund.
func (e *Engine) RefundOf(id payflow.OutRefundNo) (payflow.RefundEntry, error) {
	return payflow.RefundEntry{}, payflow.ErrNoRefund
}

// WaitForRefund returns as soon as the refund's version is another than since, or its present form when ctx ends.
func (e *Engine) WaitForRefund(ctx context.Context, id payflow.OutRefundNo, since uint64) (payflow.RefundEntry, error) {
	return e.RefundOf(id)
}

// RefundsOfPayment returns every refund of a payment, the oldest first.
func (e *Engine) RefundsOfPayment(no payflow.OutTradeNo) ([]payflow.RefundEntry, error) {
	return nil, nil
}

// OpenRefunds returns every refund that is not at its end, and every one that a person must look at, the oldest first.
func (e *Engine) OpenRefunds() []payflow.RefundEntry { return nil }

// RefundsOfDay returns the refunds that were asked for on a store day, 2006-01-02, after one of them, at most n, the oldest first.
func (e *Engine) RefundsOfDay(day string, after payflow.OutRefundNo, n int) ([]payflow.RefundEntry, error) {
	return nil, nil
}

// AcknowledgeRefund records that a person has seen what needed one (CLOSED, say). It takes the attention away from a refund that is
// final; one that is open is refused with a *payflow.RefundOpenError, because it may still need the person.
func (e *Engine) AcknowledgeRefund(ctx context.Context, id payflow.OutRefundNo, operator, note string) (payflow.RefundEntry, error) {
	return payflow.RefundEntry{}, payflow.ErrNoRefund
}

// TakeRefundNotice is told of a notification of WeChat Pay's about a refund. It only wakes the query of that refund, and decides
// nothing that a verified answer to a query would not. payflow.ErrNoRefund where the refund is not of this journal.
func (e *Engine) TakeRefundNotice(ctx context.Context, r payflow.RefundReport) error {
	return payflow.ErrNoRefund
}

// wishRefund makes a refund that no person asked for: of a late success, or where a reverse comes too late (rule 13). It is to be called
// on the loop. The number is derived from the payment's and the wish, so that the same wish again is the same refund, which is returned
// as it stands. amount is what is to be given back, total what the customer paid, both by WeChat Pay's own verified word.
func (e *Engine) wishRefund(wish payflow.RefundWish, no payflow.OutTradeNo, amount, total payflow.Amount, id payflow.TransactionID) (payflow.RefundEntry, error) {
	return payflow.RefundEntry{}, payflow.ErrNoRefunds
}
