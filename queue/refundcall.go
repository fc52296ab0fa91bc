package queue

import (
	"context"
	"slices"
	"strings"
	"time"

	"posagent/payflow"
)

// refundCallsMax bounds the calls about refunds that are made at one time, so that a start with many open ones does not take the line
// away from a payment.
const refundCallsMax = 4

// liveRefund is one refund in the hands of the loop: open, or in need of a person.
type liveRefund struct {
	entry payflow.RefundEntry
	timer *time.Timer
}

// takeRefunds takes the open refunds out of the journal.
func (e *Engine) takeRefunds() error {
	entries, err := e.cfg.hooks.ledger.OpenRefunds()
	if err != nil {
		return err
	}
	for _, entry := range entries {
		entry.Version = versionFrom(entry.Version, e.cfg.hooks.ledger.startCount())
		e.refunds[entry.OutRefundNo] = &liveRefund{entry: entry}
		e.board.putRefund(entry, nil)
	}
	return nil
}

// recoverRefunds is rule 11 for refunds: each open one is asked for before anything is decided. Without a gateway they wait.
func (e *Engine) recoverRefunds() {
	if e.cfg.Refunds == nil {
		return
	}
	all := make([]*liveRefund, 0, len(e.refunds))
	for _, l := range e.refunds {
		if l.entry.Open() {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b *liveRefund) int {
		return strings.Compare(string(a.entry.OutRefundNo), string(b.entry.OutRefundNo))
	})
	doubt := e.cfg.hooks.now().Before(e.doubtRefundsUntil)
	for _, l := range all {
		if e.applyRefund(l, payflow.RefundEvent{Kind: payflow.RefundRestarted, MayHaveLeft: doubt}) != nil {
			return
		}
	}
}

// applyRefund steps a refund, commits where the step must be on disk, and then carries out the commands.
func (e *Engine) applyRefund(l *liveRefund, ev payflow.RefundEvent) error {
	ev.At, ev.FreeAt = e.cfg.hooks.now(), e.refundFreeAt(l)
	before := l.entry.Refund
	after, commands := payflow.RefundStep(before, ev)
	if after == before && len(commands) == 0 {
		return nil
	}
	l.entry.Refund = after
	if payflow.RefundDurable(before, after) {
		entry, err := e.cfg.hooks.ledger.CommitRefund(ev, after)
		if err != nil {
			e.fail(err)
			return e.Err()
		}
		l.entry = entry
	}
	e.carryOutRefund(l, commands)
	e.logRefund(before, after)
	e.settleRefund(l)
	return nil
}

// carryOutRefund does what the step asked for, after the commit.
func (e *Engine) carryOutRefund(l *liveRefund, commands []payflow.RefundCommand) {
	for _, c := range commands {
		switch c.Kind {
		case payflow.SendRefund:
			mustBeRecorded(l.entry.Refund)
			e.sendRefund(l, c.Call, payflow.RefundAnswered, e.cfg.Refunds.Refund)
		case payflow.SendRefundQuery:
			e.sendRefund(l, c.Call, payflow.RefundQueryAnswered, e.cfg.Refunds.QueryRefund)
		case payflow.SendRefundList:
			e.listRefunds(l, c.Call)
		case payflow.WakeRefund:
			e.wakeRefundAt(l, c.At)
		case payflow.AnnounceRefund:
			e.announceRefund(l.entry)
		}
	}
}

// mustBeRecorded asserts I1 a second time, where the request leaves: the journal knows that it may have.
func mustBeRecorded(r payflow.Refund) {
	if r.Status != payflow.RefundRequested || !r.MayArrive || r.Call != payflow.RefundRequestCall {
		panic("queue: a refund is asked for that the journal does not know of")
	}
}

func (e *Engine) sendRefund(l *liveRefund, number int, answered payflow.RefundEventKind, ask func(context.Context, payflow.RefundOrder) (payflow.RefundOutcome, error)) {
	o := l.entry.RefundOrder
	e.spawnRefund(o, number, func(ctx context.Context) (payflow.RefundEvent, error) {
		outcome, err := ask(ctx, o)
		return payflow.RefundEvent{Kind: answered, Outcome: outcome}, err
	})
}

func (e *Engine) listRefunds(l *liveRefund, number int) {
	o := l.entry.RefundOrder
	p := payflow.Order{OutTradeNo: o.OutTradeNo, Amount: o.Total, Merchant: o.Merchant, API: o.API, HostFamily: o.HostFamily}
	e.spawnRefund(o, number, func(ctx context.Context) (payflow.RefundEvent, error) {
		listed, err := e.cfg.Refunds.Refunds(ctx, p)
		return payflow.RefundEvent{Kind: payflow.RefundListed, Listed: listed}, err
	})
}

// spawnRefund makes one call beside the loop, and brings its end back as an event. At most one is in flight for a refund.
func (e *Engine) spawnRefund(o payflow.RefundOrder, number int, ask func(context.Context) (payflow.RefundEvent, error)) {
	e.calls.Go(func() {
		select {
		case e.refundCalls <- struct{}{}:
		case <-e.ctx.Done():
			return
		}
		event, err := ask(e.ctx)
		<-e.refundCalls
		if err != nil {
			event = payflow.RefundEvent{Kind: payflow.RefundCallLost, Lost: lostOf(err)}
			e.cfg.Log.Warn().Str("out_refund_no", string(o.OutRefundNo)).Str("out_trade_no", string(o.OutTradeNo)).Err(err).Msg("the outcome of a call about a refund is not known")
		}
		event.Call = number
		if e.ctx.Err() == nil {
			e.post(func() { e.refundEnded(o.OutRefundNo, event) })
		}
	})
}

func (e *Engine) refundEnded(no payflow.OutRefundNo, event payflow.RefundEvent) {
	l, ok := e.refunds[no]
	if !ok || event.Call != l.entry.Calls {
		return
	}
	if l.entry.Call == payflow.RefundRequestCall {
		e.noteRequest(l.entry.OutTradeNo)
	}
	if event.Kind == payflow.RefundListed {
		event.Held, event.Forgotten = e.heldBeside(l, event.Listed)
	}
	_ = e.applyRefund(l, event)
}

// noteRequest remembers when a payment was last asked to be refunded, and forgets what is of no more consequence.
func (e *Engine) noteRequest(no payflow.OutTradeNo) {
	now := e.cfg.hooks.now()
	for other, at := range e.lastRequest {
		if now.Sub(at) >= payflow.RefundGap {
			delete(e.lastRequest, other)
		}
	}
	e.lastRequest[no] = now
}

// refundFreeAt is when the payment may be asked to be refunded again: RefundGap after the end of its last request, whichever refund's it
// was. A request that is under way has not ended yet; and one from before the start may have ended just before it.
func (e *Engine) refundFreeAt(l *liveRefund) time.Time {
	var free time.Time
	if at, ok := e.lastRequest[l.entry.OutTradeNo]; ok {
		free = at.Add(payflow.RefundGap)
	}
	for _, other := range e.refunds {
		if other != l && other.entry.OutTradeNo == l.entry.OutTradeNo && other.entry.Call == payflow.RefundRequestCall {
			free = e.cfg.hooks.now().Add(payflow.RefundGap)
		}
	}
	if soon := e.started.Add(payflow.RefundGap); free.Before(soon) && e.cfg.hooks.now().Before(soon) && e.requestedBefore(l) {
		free = soon
	}
	return free
}

// requestedBefore reports that another refund of the payment has been asked for, ever.
func (e *Engine) requestedBefore(l *liveRefund) bool {
	others, err := e.cfg.hooks.ledger.RefundsOfPayment(l.entry.OutTradeNo)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(others, func(o payflow.RefundEntry) bool { return o.OutRefundNo != l.entry.OutRefundNo && o.Requests > 0 })
}

// heldBeside is what the payment's other refunds of this journal hold, those that WeChat Pay has not listed: it may yet take them on. forgotten
// reports one that it has listed, that is of this till, and that the journal lacks.
func (e *Engine) heldBeside(l *liveRefund, listed []payflow.RefundReport) (held int64, forgotten bool) {
	others, err := e.cfg.hooks.ledger.RefundsOfPayment(l.entry.OutTradeNo)
	if err != nil {
		return -1, false // not known
	}
	forgotten = slices.ContainsFunc(listed, func(r payflow.RefundReport) bool {
		known := slices.ContainsFunc(others, func(o payflow.RefundEntry) bool { return o.OutRefundNo == r.OutRefundNo })
		return !known && r.State != payflow.RefundStateClosed && r.OutRefundNo.Of(l.entry.OutTradeNo)
	})
	for _, o := range others {
		there := slices.ContainsFunc(listed, func(r payflow.RefundReport) bool { return r.OutRefundNo == o.OutRefundNo })
		if o.OutRefundNo != l.entry.OutRefundNo && !o.Dead() && !there {
			held += o.Amount.Minor
		}
	}
	return held, forgotten
}

// wakeRefundAt sets the refund's one timer.
func (e *Engine) wakeRefundAt(l *liveRefund, at time.Time) {
	if l.timer != nil {
		l.timer.Stop()
	}
	no := l.entry.OutRefundNo
	l.timer = time.AfterFunc(at.Sub(e.cfg.hooks.now()), func() {
		e.post(func() {
			if l, ok := e.refunds[no]; ok {
				_ = e.applyRefund(l, payflow.RefundEvent{Kind: payflow.RefundWoken})
			}
		})
	})
}

// settleRefund lets go of a refund that is at its end and that nobody need look at.
func (e *Engine) settleRefund(l *liveRefund) {
	if l.entry.Open() {
		return
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.entry.Attention == "" {
		delete(e.refunds, l.entry.OutRefundNo)
		e.board.retireRefund(l.entry.OutRefundNo)
	}
}

// announceRefund tells who waits, and shows the payment with it as it stands.
func (e *Engine) announceRefund(entry payflow.RefundEntry) {
	p, err := e.Payment(entry.OutTradeNo)
	if err != nil {
		e.board.putRefund(entry, nil)
		return
	}
	e.board.putRefund(entry, &p)
}

func (e *Engine) logRefund(before, after payflow.Refund) {
	if before.Status == after.Status && before.Attention == after.Attention {
		return
	}
	line := e.cfg.Log.Info()
	if after.Attention != "" && before.Attention != after.Attention {
		line = e.cfg.Log.Error().Str("attention", string(after.Attention))
	}
	line.Str("out_refund_no", string(after.OutRefundNo)).Str("out_trade_no", string(after.OutTradeNo)).Str("wish", string(after.Wish)).
		Str("status", string(after.Status)).Str("why", string(after.Why)).Str("refund_state", string(after.Report.State)).Str("code", after.Refusal.Code).
		Int("requests", after.Requests).Int("queries", after.Queries).Msg("refund")
}

// giveBack is rule 13: the payment is being taken back, durably, and no reverse is possible any more.
func (e *Engine) giveBack(p payflow.Entry, c payflow.Command) {
	entry, err := e.wishRefund(payflow.WishReverseTooLate, p.OutTradeNo, c.Amount, p.Trade.Amount, p.Trade.TransactionID)
	switch {
	case e.Err() != nil:
	case err != nil:
		e.cfg.Log.Error().Str("out_trade_no", string(p.OutTradeNo)).Err(err).Msg("no reverse is possible, and posagent makes no refund; give the money back on the merchant platform")
	case entry.Version == 1:
		e.cfg.Log.Warn().Str("out_trade_no", string(p.OutTradeNo)).Str("out_refund_no", string(entry.OutRefundNo)).Msg("no reverse is possible: the money goes back by a refund")
	}
}
