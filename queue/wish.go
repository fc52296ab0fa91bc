package queue

import (
	"context"
	"time"

	"posagent/payflow"
)

// Cancel is the cashier's wish (rule 8). While waiting the payment is cancelled at once; while paying or confirming the
// wish is remembered and carried out from the 15 s on. A payment that is reversing or final refuses with a WrongStateError.
func (e *Engine) Cancel(ctx context.Context, id payflow.OutTradeNo, operator string) (payflow.Entry, error) {
	return e.wish(ctx, id, func(l *live) error {
		if l.entry.Status == payflow.Reversing {
			return &payflow.WrongStateError{Entry: l.entry}
		}
		return e.apply(l, payflow.Event{Kind: payflow.CancelAsked, Operator: operator})
	})
}

// SetAside frees the till from a payment that does not end (rule 12), never the sale; the engine goes on with it.
func (e *Engine) SetAside(ctx context.Context, id payflow.OutTradeNo, operator, note string) (payflow.Entry, error) {
	return e.wish(ctx, id, func(l *live) error {
		if l.entry.HoldsTill() && !l.entry.MayBeSetAside(e.cfg.hooks.now()) {
			return payflow.ErrNotAside
		}
		if err := e.apply(l, payflow.Event{Kind: payflow.SetAsideAsked, Operator: operator, Note: note}); err != nil {
			return err
		}
		e.keepWarm()
		return nil
	})
}

// wish carries a person's wish to an open payment.
func (e *Engine) wish(ctx context.Context, id payflow.OutTradeNo, do func(*live) error) (payflow.Entry, error) {
	return onLoop(ctx, e, func() (payflow.Entry, error) {
		if err := e.writable(); err != nil {
			return payflow.Entry{}, err
		}
		l, ok := e.open[id]
		if !ok {
			entry, err := e.Payment(id)
			if err != nil {
				return payflow.Entry{}, err
			}
			return entry, &payflow.WrongStateError{Entry: entry}
		}
		err := do(l)
		return l.entry, err
	})
}

// Acknowledge records that the cashier was told a final result, and what was done (I8). A second one changes nothing.
func (e *Engine) Acknowledge(ctx context.Context, id payflow.OutTradeNo, a payflow.Acknowledgement) (payflow.Entry, error) {
	return onLoop(ctx, e, func() (payflow.Entry, error) {
		if err := e.writable(); err != nil {
			return payflow.Entry{}, err
		}
		entry, err := e.Payment(id)
		switch {
		case err != nil:
			return payflow.Entry{}, err
		case entry.Open():
			return entry, &payflow.WrongStateError{Entry: entry}
		case !entry.Acknowledged.At.IsZero():
			return entry, nil
		}
		if a.At.IsZero() {
			a.At = time.Now()
		}
		entry, err = e.cfg.hooks.ledger.Acknowledge(id, a)
		if err != nil {
			e.fail(err)
			return payflow.Entry{}, e.Err()
		}
		e.board.put(entry)
		e.board.retire(id)
		return entry, nil
	})
}
