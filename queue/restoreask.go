package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"posagent/payflow"
)

// How gently WeChat Pay is asked for what a restore lost. A payment that is being made comes first: the questions wait for it.
const (
	restoreAskEvery  = time.Second / payflow.Pace
	restoreBusyPause = 2 * time.Second / payflow.Pace
	restoreLostPause = 3 * time.Second / payflow.Pace // after a question whose answer was lost, doubled up to restoreLostMax
	restoreLostMax   = time.Minute / payflow.Pace
	// restoreOpenAsks is how often an order that is still being paid is asked for, restoreOpenPause apart: WeChat Pay itself revokes an unpaid one at 45 s.
	restoreOpenAsks  = 6
	restoreOpenPause = 10 * time.Second / payflow.Pace
)

// AskAfterRestore asks WeChat Pay for every order that the lost part of a restored journal may have made, beside all that the engine does, until the
// searches are done or ctx ends, and then for the refunds of the payments that the journal has. What is found is journaled; nothing is paid, reversed or refunded by it. A journal that was never restored
// asks nothing. A kill loses at most the absences of the last 25 questions, which are asked again.
func (e *Engine) AskAfterRestore(ctx context.Context) error {
	a := &afterRestore{journal: e.cfg.Journal, ask: e.cfg.Gateway.Query, log: e.cfg.Log, busy: func() bool {
		busy, err := onLoop(ctx, e, func() (bool, error) { return e.holding() != nil || e.recovering(), nil })
		return busy || err != nil // what is not known holds back too
	}, write: func(f func() error) error {
		_, err := onLoop(ctx, e, func() (struct{}, error) {
			if err := e.writable(); err != nil {
				return struct{}{}, err
			}
			err := f()
			if errors.Is(err, payflow.ErrJournalClosed) {
				e.fail(err)
			}
			return struct{}{}, err
		})
		return err
	}}
	a.now = func() time.Time {
		if corrected := e.correctedClock(); !corrected.IsZero() {
			return corrected
		}
		return e.cfg.Journal.cfg.Now()
	}
	if e.cfg.Refunds != nil {
		a.refunds = &refundTaker{list: e.cfg.Refunds.Refunds, takeUp: e.takeUp}
	}
	a.order = payflow.Order{Merchant: e.cfg.Merchant, API: e.cfg.API, HostFamily: e.cfg.HostFamily}
	return a.run(ctx)
}

// AskAfterRestore is the engine's, for a command: the journal is open and no engine runs. order says whom and how to ask: merchant, API and host.
func (j *Journal) AskAfterRestore(ctx context.Context, order payflow.Order, ask func(context.Context, payflow.Order) (payflow.Outcome, error), log zerolog.Logger) error {
	a := &afterRestore{journal: j, ask: ask, order: order, log: log, now: j.cfg.Now, busy: func() bool { return false }, write: func(f func() error) error { return f() }}
	return a.run(ctx)
}

// afterRestore is the asking at work.
type afterRestore struct {
	journal *Journal
	ask     func(context.Context, payflow.Order) (payflow.Outcome, error)
	order   payflow.Order
	busy    func() bool                // a payment is being made
	now     func() time.Time           // the best clock that there is
	write   func(f func() error) error // writes where the journal's writer is
	log     zerolog.Logger
	refunds *refundTaker  // nil: the refunds are left to the next start of the engine
	lost    time.Duration // the pause after the last question, while answers are lost
}

func (a *afterRestore) run(ctx context.Context) error {
	for {
		s, more, err := a.journal.pendingSearch()
		if err == nil && !more {
			err = a.askRefunds(ctx)
		}
		if err != nil || !more {
			return err
		}
		if err := a.finish(ctx, s); err != nil {
			return err
		}
	}
}

// finish asks until one search is done.
func (a *afterRestore) finish(ctx context.Context, s search) error {
	a.log.Info().Str("from", s.From).Str("to", s.To).Str("next", string(s.number())).Msg("asking WeChat Pay for what the restored journal lost")
	for s.Done.IsZero() {
		if err := a.pause(ctx, restoreAskEvery); err != nil {
			return err
		}
		if a.busy() {
			if err := a.pause(ctx, restoreBusyPause); err != nil {
				return err
			}
			continue
		}
		if err := a.step(ctx, &s); err != nil {
			return err
		}
	}
	a.log.Info().Msg(s.String())
	return nil
}

// step asks for one number, and keeps what must not be lost of the answer.
func (a *afterRestore) step(ctx context.Context, s *search) error {
	for {
		there, err := a.journal.hasPayment(s.number())
		if err != nil {
			return err
		}
		if !there {
			break
		}
		s.passed()
	}
	no := s.number()
	trade, found, err := a.askFor(ctx, no, s)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.lost = min(max(2*a.lost, restoreLostPause), restoreLostMax)
		a.log.Debug().Str("out_trade_no", string(no)).Err(err).Msg("asked after a restore, and the answer is not known; it is asked again")
		return a.pause(ctx, a.lost)
	}
	a.lost = 0
	s.answered(found, a.now().In(a.journal.cfg.Location))
	after := *s
	if found {
		a.log.Error().Str("out_trade_no", string(no)).Str("trade_state", string(trade.State)).Str("transaction_id", string(trade.TransactionID)).
			Msg("WeChat Pay holds an order that the restored journal lost; a person must look")
		if err := a.write(func() error { return a.journal.keepFound(after, trade) }); err != nil || after.Done.IsZero() {
			return err
		}
	}
	if after.Done.IsZero() && after.Asked%searchKeptEvery != 0 {
		return nil
	}
	return a.write(func() error { return a.journal.keepSearch(after) })
}

// askFor asks for one number. An order that is still being paid is asked for until it is decided, or for a minute.
func (a *afterRestore) askFor(ctx context.Context, no payflow.OutTradeNo, s *search) (trade payflow.Trade, found bool, err error) {
	order := a.order
	order.OutTradeNo = no
	for range restoreOpenAsks {
		outcome, err := a.ask(ctx, order)
		var lost *payflow.LostError
		switch {
		case errors.As(err, &lost) && lost.Lost.Claim == payflow.NoSuchOrder:
			s.Unsigned++ // nothing is decided by it: the number is passed over, and counted
			return trade, false, nil
		case err != nil:
			return trade, false, err
		case outcome.Kind == payflow.NoSuchOrder:
			return trade, found, nil
		case outcome.Kind != payflow.Found || outcome.Trade.OutTradeNo != "" && outcome.Trade.OutTradeNo != no:
			return trade, false, fmt.Errorf("query %s: the answer is of another order", no)
		}
		trade, found = outcome.Trade, true
		trade.OutTradeNo = no // an answer that a password is being asked for may leave it out
		if decided(trade.State) {
			return trade, true, nil
		}
		if err := a.pause(ctx, restoreOpenPause); err != nil {
			return trade, false, err
		}
	}
	return trade, found, nil
}

// decided reports a state that changes no more but by a refund.
func decided(s payflow.TradeState) bool {
	return s == payflow.TradeSuccess || s == payflow.TradeRefund || s == payflow.TradeClosed || s == payflow.TradeRevoked
}

func (a *afterRestore) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
