package queue

import (
	"context"
	"errors"
	"time"

	"posagent/payflow"
)

// Gateway speaks to WeChat Pay. An error means that the outcome is not known; a definite no is a value.
type Gateway interface {
	// Pay signs at once and sends when leave is closed: the record is then on disk. If ctx ends first, nothing was sent.
	Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error)
	Query(ctx context.Context, o payflow.Order) (payflow.Outcome, error)
	Reverse(ctx context.Context, o payflow.Order) (payflow.Outcome, error)
	// KeepWarm asks for one open connection while a payment is armed. It returns at once.
	KeepWarm(on bool)
}

// prepare starts the pay call beside the commit: it signs, and waits for leave. release is to be called once the commit is over.
func (e *Engine) prepare(l *live, p payflow.Payment, commands []payflow.Command) (release func()) {
	release = func() {}
	for _, c := range commands {
		if c.Kind != payflow.SendPay {
			continue
		}
		leave := make(chan struct{})
		l.pay = leave
		order, code := p.Order, c.Code // what the call keeps: not the whole payment
		call := e.call(p.OutTradeNo, c.Call, payflow.PayAnswered, func(ctx context.Context) (payflow.Outcome, error) {
			return e.cfg.Gateway.Pay(ctx, order, code, leave)
		})
		apart, ok := e.payThread.start(call)
		if !ok {
			go call()
			continue
		}
		release = apart
	}
	return release
}

// send makes a query or a reverse.
func (e *Engine) send(p payflow.Payment, c payflow.Command) {
	order := p.Order
	if c.Kind == payflow.SendQuery {
		e.spawn(p.OutTradeNo, c.Call, payflow.QueryAnswered, func(ctx context.Context) (payflow.Outcome, error) {
			return e.cfg.Gateway.Query(ctx, order)
		})
		return
	}
	mustBeGuarded(p, e.cfg.hooks.now())
	e.spawn(p.OutTradeNo, c.Call, payflow.ReverseAnswered, func(ctx context.Context) (payflow.Outcome, error) {
		return e.cfg.Gateway.Reverse(ctx, order)
	})
}

// mustBeGuarded asserts I3 a second time, where the reverse leaves.
func mustBeGuarded(p payflow.Payment, now time.Time) {
	if p.Status != payflow.Reversing || p.Stranger != payflow.NoStranger || now.Sub(p.PayEndedAt) < payflow.ReverseGuard {
		panic("queue: a reverse sooner than 15 s after the pay call, or of an order that is not ours")
	}
}

// spawn makes one call beside the loop.
func (e *Engine) spawn(no payflow.OutTradeNo, number int, answered payflow.EventKind, ask func(context.Context) (payflow.Outcome, error)) {
	go e.call(no, number, answered, ask)()
}

// call returns what makes one call and brings its end back as an event; it must be run. At most one is in flight for a payment.
func (e *Engine) call(no payflow.OutTradeNo, number int, answered payflow.EventKind, ask func(context.Context) (payflow.Outcome, error)) func() {
	e.calls.Add(1)
	return func() {
		defer e.calls.Done()
		outcome, err := ask(e.ctx)
		outcome = e.hidePayer(outcome)
		event := payflow.Event{Kind: answered, Call: number, Outcome: outcome}
		if err != nil {
			event = payflow.Event{Kind: payflow.CallLost, Call: number, Lost: lostOf(err)}
			e.cfg.Log.Warn().Str("out_trade_no", string(no)).Str("call", string(answered)).Err(err).Msg("the outcome of a call is not known")
		}
		if e.ctx.Err() != nil {
			return
		}
		e.post(func() { e.ended(no, event) })
	}
}

func (e *Engine) ended(no payflow.OutTradeNo, event payflow.Event) {
	l, ok := e.open[no]
	if !ok {
		e.lateHeard(no, event)
		return
	}
	asked := l.entry.Call == payflow.QueryCall && l.entry.Calls == event.Call
	if e.apply(l, event) == nil && asked {
		delete(e.unasked, no)
	}
}

func lostOf(err error) payflow.Lost {
	var lost *payflow.LostError
	if errors.As(err, &lost) {
		return lost.Lost
	}
	return payflow.Lost{Reason: payflow.ReasonUnknown}
}
