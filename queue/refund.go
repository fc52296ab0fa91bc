package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"posagent/payflow"
)

const (
	// openRefundsMax bounds the refunds that are open, or need a person, at one time.
	openRefundsMax = 1000
	// refundReasonMax is the longest reason that WeChat Pay shows to the customer, in bytes (refund API).
	refundReasonMax = 80
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

// Refund makes a refund that a person asks for: it is journaled before the first call, and seen through to its end from then on, over any
// number of restarts. It returns as soon as it is journaled, with the status requested; WaitForRefund tells the rest. The same
// idempotency key with the same request is the same refund, whatever has happened since.
//
// Refused, with nothing journaled: payflow.ErrNoRefunds (no gateway for refunds), ErrKeyMissing, ErrKeyReused, *BadRequestError,
// ErrNoPayment, *NotRefundableError (the payment is not Paid), *GivenBackError (a person has recorded that the money went back in another way), *RefundTooMuchError, ErrRefundTooMany, ErrRefundOverdue,
// ErrRefundsOpenMax, *NotReadyError, ErrJournalClosed.
func (e *Engine) Refund(ctx context.Context, r payflow.RefundRequest) (payflow.RefundEntry, error) {
	if err := checkRefundRequest(r); err != nil {
		return payflow.RefundEntry{}, err
	}
	digest, err := digestOfRefund(r)
	if err != nil {
		return payflow.RefundEntry{}, err
	}
	return onLoop(ctx, e, func() (payflow.RefundEntry, error) { return e.refund(r, digest) })
}

func (e *Engine) refund(r payflow.RefundRequest, digest string) (payflow.RefundEntry, error) {
	entry, known, found, err := e.cfg.hooks.ledger.RefundByKey(r.IdempotencyKey)
	switch {
	case err != nil:
		return payflow.RefundEntry{}, err
	case found && known != digest:
		return payflow.RefundEntry{}, payflow.ErrKeyReused
	case found:
		return e.RefundOf(entry.OutRefundNo)
	}
	if entry, err := e.RefundOf(payflow.NewOutRefundNo(r.OutTradeNo, payflow.WishPerson, r.IdempotencyKey)); err == nil {
		if entry.Amount.Minor != r.Amount.Minor { // found after a restore: of the request nothing else is known any more
			return payflow.RefundEntry{}, payflow.ErrKeyReused
		}
		return entry, nil
	}
	p, err := e.Payment(r.OutTradeNo)
	if err != nil {
		return payflow.RefundEntry{}, err
	}
	if err := e.mayRefund(p, r); err != nil {
		return payflow.RefundEntry{}, err
	}
	o := e.refundOrder(p, payflow.NewOutRefundNo(p.OutTradeNo, payflow.WishPerson, r.IdempotencyKey))
	o.Amount, o.Total, o.Reason = payflow.Amount{Minor: r.Amount.Minor, Currency: p.Amount.Currency}, p.Amount, r.Reason
	return e.beginRefund(r.IdempotencyKey, digest, o, payflow.WishPerson, r.Operator)
}

// mayRefund refuses what needs no look at the payment's other refunds; the journal does that in its transaction.
func (e *Engine) mayRefund(p payflow.Entry, r payflow.RefundRequest) error {
	switch {
	case e.cfg.Refunds == nil:
		return payflow.ErrNoRefunds
	case p.Status != payflow.Paid:
		return &payflow.NotRefundableError{Entry: p}
	case p.GivenBack():
		return &payflow.GivenBackError{Entry: p}
	case r.Amount.Currency != "" && r.Amount.Currency != p.Amount.Currency:
		return &payflow.BadRequestError{Field: "currency", Text: "must be the payment's, " + string(p.Amount.Currency)}
	case e.refundOverdue(p):
		return payflow.ErrRefundOverdue
	case len(e.refunds) >= openRefundsMax:
		return payflow.ErrRefundsOpenMax
	}
	return e.writable()
}

// refundOverdue reports a payment that is older than WeChat Pay refunds, by the corrected clock; where that is not known, WeChat Pay says so.
func (e *Engine) refundOverdue(p payflow.Entry) bool {
	if e.cfg.Clock == nil {
		return false
	}
	paid := p.Trade.SuccessTime
	if paid.IsZero() {
		paid = p.TrueScanAt // the PC's own time of the scan may be years off
	}
	now, known := e.cfg.Clock()
	return known && !paid.IsZero() && now.Sub(paid) > payflow.RefundWithin
}

// refundOrder names the payment as WeChat Pay knows it, in every refund the same.
func (e *Engine) refundOrder(p payflow.Entry, no payflow.OutRefundNo) payflow.RefundOrder {
	return payflow.RefundOrder{
		OutRefundNo: no, OutTradeNo: p.OutTradeNo, TransactionID: p.Trade.TransactionID, Merchant: p.Merchant, API: p.API, HostFamily: p.HostFamily,
		NotifyURL: e.cfg.RefundNotifyURL,
	}
}

// wishRefund makes a refund that no person asked for: of a late success, or where a reverse comes too late (rule 13). It is to be called
// on the loop. The number is derived from the payment's and the wish, so that the same wish again is the same refund, which is returned
// as it stands. amount is what is to be given back, total what the customer paid, both by WeChat Pay's own verified word.
func (e *Engine) wishRefund(wish payflow.RefundWish, no payflow.OutTradeNo, amount, total payflow.Amount, id payflow.TransactionID) (payflow.RefundEntry, error) {
	number := payflow.NewOutRefundNo(no, wish, "")
	entry, err := e.RefundOf(number)
	if !errors.Is(err, payflow.ErrNoRefund) {
		return entry, err
	}
	if e.cfg.Refunds == nil {
		return payflow.RefundEntry{}, payflow.ErrNoRefunds
	}
	if err := e.writable(); err != nil {
		return payflow.RefundEntry{}, err
	}
	p, err := e.Payment(no)
	if err != nil {
		return payflow.RefundEntry{}, err
	}
	o := e.refundOrder(p, number)
	o.Amount, o.Total = amount, total
	if id != "" {
		o.TransactionID = id
	}
	return e.beginRefund("", "", o, wish, "")
}

// beginRefund records the wish, and only then makes its first call (I1).
func (e *Engine) beginRefund(key, digest string, o payflow.RefundOrder, wish payflow.RefundWish, operator string) (payflow.RefundEntry, error) {
	r, commands := payflow.NewRefund(o, wish, operator, e.cfg.hooks.now())
	if e.cfg.hooks.now().Before(e.doubtRefundsUntil) {
		r = payflow.RefundMayHaveLeft(r, e.started)
	}
	entry, err := e.cfg.hooks.ledger.AddRefund(key, digest, r)
	if err != nil {
		if errors.Is(err, payflow.ErrJournalClosed) || isDamage(err) {
			e.fail(err)
			return payflow.RefundEntry{}, e.Err()
		}
		return payflow.RefundEntry{}, err
	}
	l := &liveRefund{entry: entry}
	e.refunds[entry.OutRefundNo] = l
	e.carryOutRefund(l, commands)
	e.logRefund(payflow.Refund{}, entry.Refund)
	return entry, nil
}

func isDamage(err error) bool {
	var damage *DamageError
	return errors.As(err, &damage)
}

// AcknowledgeRefund records that a person has seen what needed one (CLOSED, say), and what was done. It takes the attention away from a
// refund that is final; one that is open is refused with a *payflow.RefundOpenError, because it may still need the person. A second one
// changes nothing.
func (e *Engine) AcknowledgeRefund(ctx context.Context, id payflow.OutRefundNo, operator, note string) (payflow.RefundEntry, error) {
	return onLoop(ctx, e, func() (payflow.RefundEntry, error) {
		if err := e.writable(); err != nil {
			return payflow.RefundEntry{}, err
		}
		l, ok := e.refunds[id]
		switch {
		case !ok:
			return e.RefundOf(id)
		case l.entry.Open():
			return l.entry, &payflow.RefundOpenError{Entry: l.entry}
		}
		err := e.applyRefund(l, payflow.RefundEvent{Kind: payflow.RefundSeen, Operator: operator, Note: note})
		return l.entry, err
	})
}

// TakeRefundNotice is told of a notification of WeChat Pay's about a refund. It only wakes the query of that refund, and decides
// nothing that a verified answer to a query would not. payflow.ErrNoRefund where the refund is not of this journal.
func (e *Engine) TakeRefundNotice(ctx context.Context, r payflow.RefundReport) error {
	_, err := onLoop(ctx, e, func() (struct{}, error) {
		if l, ok := e.refunds[r.OutRefundNo]; ok && e.writable() == nil && e.cfg.Refunds != nil {
			return struct{}{}, e.applyRefund(l, payflow.RefundEvent{Kind: payflow.RefundNoticed})
		}
		_, err := e.RefundOf(r.OutRefundNo)
		return struct{}{}, err
	})
	return err
}

func checkRefundRequest(r payflow.RefundRequest) error {
	switch {
	case !printable(r.IdempotencyKey, keyMax):
		return payflow.ErrKeyMissing
	case r.Amount.Minor < 1 || r.Amount.Minor > payflow.AmountMax:
		return &payflow.BadRequestError{Field: "amount", Text: "must be at least 1 minor unit, and no more than was paid"}
	case len(r.Reason) > refundReasonMax || !utf8.ValidString(r.Reason):
		return &payflow.BadRequestError{Field: "reason", Text: fmt.Sprintf("must be UTF-8 of at most %d bytes", refundReasonMax)}
	case len(r.Operator) > shortTextMax || !utf8.ValidString(r.Operator):
		return &payflow.BadRequestError{Field: "operator", Text: fmt.Sprintf("must be UTF-8 of at most %d bytes", shortTextMax)}
	}
	return nil
}

// digestOfRefund names the request, so that a key that comes again can be compared.
func digestOfRefund(r payflow.RefundRequest) (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("read the request: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}
