package queue

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// LateTruths returns the final payments whose late truth a person should see: money that turned up after the end and is not back yet, and
// what could not be asked or given back by itself. Entry.Late says where each stands; the oldest by arming first.
func (e *Engine) LateTruths() ([]payflow.Entry, error) { return e.cfg.hooks.ledger.LateTruths() }

// LookAgain asks WeChat Pay once more about a final payment that was not paid and whose order may have left: a manager's wish, or
// the reconciliation's. It returns at once; what is learnt is announced. An open or paid payment, or one that never left, refuses with a
// *payflow.WrongStateError.
func (e *Engine) LookAgain(ctx context.Context, id payflow.OutTradeNo, operator string) (payflow.Entry, error) {
	return e.lateWish(ctx, id, payflow.Event{Kind: payflow.LateAsked, Operator: cut(operator)})
}

// SettleLate records that a person saw to a late truth, which ends it, or to money that went back twice; operator and note are required. One that needs no person refuses
// with a *payflow.WrongStateError: the till is still at it.
func (e *Engine) SettleLate(ctx context.Context, id payflow.OutTradeNo, operator, note string) (payflow.Entry, error) {
	if operator == "" || note == "" {
		return payflow.Entry{}, &payflow.BadRequestError{Field: "operator", Text: "and note are required: who saw to it, and what was done"}
	}
	if entry, err := e.Payment(id); err == nil && entry.BackTwice() && e.cfg.Journal != nil {
		return onLoop(ctx, e, func() (payflow.Entry, error) { return e.settleBackTwice(id, operator, note) })
	}
	return e.lateWish(ctx, id, payflow.Event{Kind: payflow.LateHandled, Operator: cut(operator), Note: cut(note)})
}

func (e *Engine) settleBackTwice(id payflow.OutTradeNo, operator, note string) (payflow.Entry, error) {
	if err := e.writable(); err != nil {
		return payflow.Entry{}, err
	}
	entry, err := e.cfg.Journal.SettleBackTwice(id, operator, note)
	var not *payflow.WrongStateError
	if errors.As(err, &not) {
		return not.Entry, err
	}
	if err != nil {
		e.fail(err)
		return payflow.Entry{}, e.Err()
	}
	e.board.put(entry)
	e.board.retire(id)
	return entry, nil
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
		l, ok := e.late[id]
		if !ok {
			l = &live{entry: entry}
		}
		if entry.Open() || !mayTake(l.entry, wish.Kind) {
			return entry, &payflow.WrongStateError{Entry: entry}
		}
		err = e.applyLate(l, wish)
		return l.entry, err
	})
}

// mayTake reports whether a late truth takes a person's wish.
func mayTake(entry payflow.Entry, wish payflow.EventKind) bool {
	if wish == payflow.LateHandled {
		return !entry.Late.Stage.Over() && entry.Late.Attention != ""
	}
	return entry.Status != payflow.Paid && entry.CodeSpent
}

// beginLate takes over a payment that has just become final and owes a check when its code is dead.
func (e *Engine) beginLate(l *live) {
	if l.entry.Late.Stage.Over() {
		return
	}
	next := &live{entry: l.entry}
	e.late[l.entry.OutTradeNo] = next
	e.wakeLate(next, l.entry.Late.WakeAt)
}

// recoverLate goes on with every late truth that the journal holds: one that is owed waits for T_dead anew, every other is asked about
// at once, and nothing is decided before its answer (rule 11).
func (e *Engine) recoverLate() error {
	entries, err := e.cfg.hooks.ledger.lateOpen()
	if err != nil {
		e.fail(err)
		return err
	}
	for _, entry := range entries {
		if entry.Late.Stage.Over() {
			continue // a person's work alone
		}
		l := &live{entry: entry}
		e.late[entry.OutTradeNo] = l
		if err := e.applyLate(l, payflow.Event{Kind: payflow.Restarted, Age: e.age(entry)}); err != nil {
			return err
		}
	}
	return nil
}

// applyLate steps a late truth, commits where the step must be on disk, and then carries out the commands.
func (e *Engine) applyLate(l *live, ev payflow.Event) error {
	ev.At = e.cfg.hooks.now()
	before := l.entry.Late
	after, commands := payflow.LateStep(l.entry.Payment, before, ev)
	if after == before && len(commands) == 0 {
		return nil
	}
	l.entry.Late = after
	if payflow.LateDurable(before, after) {
		entry, err := e.cfg.hooks.ledger.CommitLate(l.entry.OutTradeNo, ev, before, after)
		if err != nil {
			e.fail(err)
			return e.Err()
		}
		l.entry = entry
		e.logLate(entry)
	}
	e.keepLate(l)
	return e.carryOutLate(l, commands)
}

// keepLate holds on to a late truth until it is over.
func (e *Engine) keepLate(l *live) {
	if !l.entry.Late.Stage.Over() {
		e.late[l.entry.OutTradeNo] = l
		return
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	delete(e.late, l.entry.OutTradeNo)
}

func (e *Engine) carryOutLate(l *live, commands []payflow.Command) error {
	for _, c := range commands {
		switch c.Kind {
		case payflow.SendQuery:
			e.send(l.entry.Payment, c)
		case payflow.SendReverse:
			e.sendLateReverse(l.entry, c)
		case payflow.Wake:
			e.wakeLate(l, c.At)
		case payflow.Announce:
			e.board.put(l.entry)
			e.board.retire(l.entry.OutTradeNo)
		case payflow.WishRefund:
			if err := e.wishLateRefund(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendLateReverse makes a reverse, and asserts I3 a second time where it leaves.
func (e *Engine) sendLateReverse(entry payflow.Entry, c payflow.Command) {
	l := entry.Late
	if l.Stage != payflow.LateTakingBack || l.Stranger != payflow.NoStranger || e.cfg.hooks.now().Before(l.GuardAt) {
		panic("queue: a late reverse sooner than 15 s after the pay call or the start, or of an order that is not ours")
	}
	e.spawn(entry.OutTradeNo, c.Call, payflow.ReverseAnswered, func(ctx context.Context) (payflow.Outcome, error) {
		return e.cfg.Gateway.Reverse(ctx, entry.Order)
	})
}

func (e *Engine) wakeLate(l *live, at time.Time) {
	if l.timer != nil {
		l.timer.Stop()
	}
	no := l.entry.OutTradeNo
	l.timer = time.AfterFunc(at.Sub(e.cfg.hooks.now()), func() { e.post(func() { e.lateHeard(no, payflow.Event{Kind: payflow.Woken}) }) })
}

// lateHeard takes a wake, or the end of a call, of a payment that is final.
func (e *Engine) lateHeard(no payflow.OutTradeNo, event payflow.Event) {
	if l, ok := e.late[no]; ok {
		_ = e.applyLate(l, event)
	}
}

// wishLateRefund has the money given back by a refund, because a reverse comes too late: all that WeChat Pay says it took. The same wish
// again is the same refund.
func (e *Engine) wishLateRefund(l *live) error {
	t := l.entry.Late.Trade
	refund, err := e.wishRefund(payflow.WishLateSuccess, l.entry.OutTradeNo, t.Amount, t.Amount, t.TransactionID)
	if e.Err() != nil {
		return e.Err()
	}
	if err != nil {
		e.cfg.Log.Error().Str("out_trade_no", string(l.entry.OutTradeNo)).Err(err).Msg("money that turned up late cannot be refunded")
		return e.applyLate(l, payflow.Event{Kind: payflow.RefundWished})
	}
	return e.applyLate(l, payflow.Event{Kind: payflow.RefundWished, OutRefundNo: refund.OutRefundNo})
}

func (e *Engine) logLate(entry payflow.Entry) {
	line := e.cfg.Log.Info()
	if entry.Late.ForPerson() {
		line = e.cfg.Log.Error()
	}
	line.Str("out_trade_no", string(entry.OutTradeNo)).Str("sale_ref", string(entry.SaleRef)).Str("status", string(entry.Status)).
		Str("late", string(entry.Late.Stage)).Str("attention", string(entry.Late.Attention)).
		Str("trade_state", string(entry.Late.Trade.State)).Uint64("sequence", entry.Sequence).Msg("late truth")
}

// EventLate is the journal's kind of event for every step of a late truth that is worth a record; its note says where it stands.
const EventLate = "late"

// CommitLate stores the late truth of a final payment after an event, with what it ties to the payment, in one transaction. It returns
// after that is on disk. The payment itself stays as it is (I5), but a late success puts it on the list of results that nobody has
// acknowledged, even where the result itself was.
func (j *Journal) CommitLate(no payflow.OutTradeNo, e payflow.Event, before, after payflow.Late) (payflow.Entry, error) {
	return j.change(no, func(r *paymentRecord) (eventRecord, error) {
		if r.Open() {
			return eventRecord{}, &payflow.WrongStateError{Entry: r.Entry}
		}
		r.Late = after
		for _, link := range payflow.LateLinks(before, after) {
			j.tie(r, link, e.At)
		}
		j.tieBackTwice(r, e.At)
		event := ofLate(after, r.Payment)
		event.At, event.Operator, event.Call, event.Ref = e.At, cut(e.Operator), e.Call, cut(string(after.OutRefundNo))
		event.Outcome, event.TradeState, event.TransactionID = e.Outcome.Kind, after.Trade.State, after.Trade.TransactionID
		if e.Note != "" {
			event.Note = cut(event.Note + ": " + e.Note)
		}
		return event, nil
	})
}

// tie adds a link. Where a payment has as many as it may, only what a person must know is added.
func (j *Journal) tie(r *paymentRecord, link payflow.Link, at time.Time) {
	news := link.Kind == payflow.LinkLateSuccess
	if news {
		j.askAnew(r)
	}
	if len(r.Links) >= linksMax-10 && !news || len(r.Links) >= linksMax {
		return
	}
	if link.At.IsZero() {
		link.At = at
	}
	link.Sequence = j.head.Sequence + 1
	r.Links = append(r.Links, link)
}

// askAnew has the cashier asked again what became of goods or money. A word that it was given back by hand stays on record: WeChat Pay is about to give
// it back too.
func (j *Journal) askAnew(r *paymentRecord) {
	if by := r.Acknowledged; r.GivenBack() {
		r.Links = append(r.Links, payflow.Link{Sequence: j.head.Sequence + 1, At: by.At, Kind: payflow.LinkBackByHand, Ref: by.Operator})
	}
	r.Acknowledged = payflow.Acknowledgement{}
}

// tieBackTwice ties to a payment, in the commit that makes it so, that its money went back by hand and at WeChat Pay. It is tied whatever the
// payment's other links: a person must know, and there is one.
func (j *Journal) tieBackTwice(r *paymentRecord, at time.Time) {
	if r.LooksBackTwice() {
		r.Links = append(r.Links, payflow.Link{Sequence: j.head.Sequence + 1, At: at, Kind: payflow.LinkBackTwice, Ref: r.ByHand()})
	}
}

// EventBackTwiceSeen is the journal's entry that a person saw to money that went back twice.
const EventBackTwiceSeen = "paid_back_twice_seen"

// SettleBackTwice records that a person saw to money that went back by hand and at WeChat Pay. One that needs nobody refuses with a *payflow.WrongStateError.
func (j *Journal) SettleBackTwice(no payflow.OutTradeNo, operator, note string) (payflow.Entry, error) {
	return j.change(no, func(r *paymentRecord) (eventRecord, error) {
		if !r.BackTwice() {
			return eventRecord{}, &payflow.WrongStateError{Entry: r.Entry}
		}
		event := ofPayment(EventBackTwiceSeen, r.Payment)
		event.At, event.Operator, event.Note = j.cfg.Now(), cut(operator), cut(note)
		r.Links = append(r.Links, payflow.Link{Sequence: j.head.Sequence + 1, At: event.At, Kind: payflow.LinkBackTwiceSeen, Ref: cut(operator)})
		return event, nil
	})
}

func ofLate(l payflow.Late, p payflow.Payment) eventRecord {
	event := ofPayment(EventLate, p)
	event.At, event.Attention = l.Since, l.Attention
	event.Note = strings.TrimSpace(string(l.Stage) + " " + string(l.Attention))
	return event
}

// LateTruths returns what Engine.LateTruths does.
func (j *Journal) LateTruths() ([]payflow.Entry, error) {
	entries, err := j.lateOpen()
	return slices.DeleteFunc(entries, func(e payflow.Entry) bool { return !e.Late.ForPerson() && !e.BackTwice() }), err
}

// lateOpen returns the final payments whose late truth is not over, and those whose money went back twice until a person has seen to it, in the order
// of arming. It reads no other.
func (j *Journal) lateOpen() ([]payflow.Entry, error) {
	return j.list(func(tx *bbolt.Tx) ([]payflow.Entry, error) {
		if tx.Bucket(bucketLate) == nil {
			return nil, nil // of an older format, opened for reading
		}
		return j.walk(tx, bucketLate, nil, nil, listMax)
	})
}

// heldBySale returns the newest payment of a sale whose money WeChat Pay holds though it was not paid, if one is.
func (j *Journal) heldBySale(sale payflow.SaleRef) (no payflow.OutTradeNo, held bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		return j.attempts(tx, sale, func(r paymentRecord) bool {
			if held = r.Late.HoldsMoney(); held {
				no = r.OutTradeNo
			}
			return !held
		})
	})
	return no, held, err
}
