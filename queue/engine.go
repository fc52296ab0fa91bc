package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"posagent/payflow"
)

// openMax bounds the payments that are open at one time: one that holds the till, the others set aside.
const openMax = 200

// Config holds what an Engine works with. Journal and Gateway are required.
type Config struct {
	Journal *Journal
	Gateway Gateway
	Timing  payflow.Timing // zero: payflow.DefaultTiming
	// Refunds makes refunds; nil: every refund is refused with payflow.ErrNoRefunds, and those in the journal wait.
	Refunds RefundGateway
	// RefundNotifyURL is where WeChat Pay sends notifications of refunds; empty: nowhere. Refunds are asked about all the same.
	RefundNotifyURL string

	Merchant     payflow.Merchant
	Store        payflow.Store
	API          payflow.API
	HostFamily   string
	CodePrefixes []string // nil: payflow's list

	// Ready says why no payment can be taken now, or nil; the gateway's and the clock's word (rule 9 and 10).
	Ready func() error
	// Clock returns the corrected time and whether it is known, for rule 13; nil: not known.
	Clock func() (time.Time, bool)
	// PayThread signs a pay call on a thread of its own, beside the commit of its record: see payThread.
	PayThread bool
	// Log takes one line for each change of status.
	Log zerolog.Logger

	hooks hooks // tests set them
}

// Engine drives every open payment: it steps each, commits, then acts. One loop owns the payments; every other
// goroutine sends it work. After a failed commit it stops for good (I12): Done is closed and Err says why.
type Engine struct {
	cfg    Config
	work   chan func()
	ctx    context.Context
	stop   context.CancelFunc
	calls  sync.WaitGroup
	done   chan struct{}
	failed atomic.Pointer[error]

	// open, unasked and late belong to the loop.
	open    map[payflow.OutTradeNo]*live
	unasked map[payflow.OutTradeNo]bool
	late    map[payflow.OutTradeNo]*live // final, and what became of them is not certain yet
	// refunds and lastRequest too: the refunds that are open or need a person, and when each payment was last asked to be refunded.
	refunds     map[payflow.OutRefundNo]*liveRefund
	lastRequest map[payflow.OutTradeNo]time.Time
	started     time.Time
	// doubtRefundsUntil is set behind a restore: requests that the lost part of the journal made may be taken on until then.
	doubtRefundsUntil time.Time
	refundCalls       chan struct{} // one for each call about a refund
	// readOnly belongs to the loop too: the journal cannot be written.
	readOnly bool

	board     board
	payThread *payThread // nil: none
}

// live is one open payment in the hands of the loop.
type live struct {
	entry payflow.Entry
	timer *time.Timer
	pay   chan struct{} // closed when the pay call may leave
}

// NewEngine checks the configuration, takes the open payments out of the journal and returns an engine that Run starts.
func NewEngine(cfg Config) (*Engine, error) {
	cfg.hooks = cfg.hooks.whole(cfg.Journal)
	if cfg.hooks.ledger == nil || cfg.Gateway == nil {
		return nil, errors.New("queue: an engine needs a journal and a gateway")
	}
	if cfg.Timing == (payflow.Timing{}) {
		cfg.Timing = payflow.DefaultTiming()
	}
	if err := cfg.Timing.Check(); err != nil {
		return nil, err
	}
	entries, err := cfg.hooks.ledger.OpenPayments()
	if err != nil {
		return nil, fmt.Errorf("read the open payments: %w", err)
	}
	e := &Engine{
		cfg: cfg, work: make(chan func(), 64), done: make(chan struct{}),
		open: map[payflow.OutTradeNo]*live{}, unasked: map[payflow.OutTradeNo]bool{},
		late:    map[payflow.OutTradeNo]*live{},
		refunds: map[payflow.OutRefundNo]*liveRefund{}, lastRequest: map[payflow.OutTradeNo]time.Time{},
		started: cfg.hooks.now(), refundCalls: make(chan struct{}, refundCallsMax),
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	for _, entry := range entries {
		entry.Version = versionFrom(entry.Version, cfg.hooks.ledger.startCount())
		e.open[entry.OutTradeNo] = &live{entry: entry}
		e.unasked[entry.OutTradeNo] = true
		e.board.put(entry)
	}
	if cfg.Journal != nil && cfg.Journal.restoredWithin(payflow.RefundRequestLife) {
		e.doubtRefundsUntil = e.started.Add(payflow.RefundRequestLife)
	}
	if err := e.takeRefunds(); err != nil {
		return nil, fmt.Errorf("read the open refunds: %w", err)
	}
	return e, nil
}

// Run recovers the open payments, then works until ctx ends or a commit fails. It returns after every call in
// flight has ended or been dropped; an error is a failed commit's.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.done)
	e.startPayThread()
	defer e.payThread.end()
	defer e.calls.Wait()
	defer e.stop()
	defer e.board.close()
	e.recover()
	e.recoverRefunds()
	for {
		if err := e.Err(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case f := <-e.work:
			f()
		}
	}
}

func (e *Engine) startPayThread() {
	if !e.cfg.PayThread {
		return
	}
	var err error
	if e.payThread, err = newPayThread(); err != nil {
		e.cfg.Log.Debug().Err(err).Msg("no thread for pay calls alone")
	}
}

// Err returns the error that stopped the engine, or nil.
func (e *Engine) Err() error {
	if err := e.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Done is closed when Run has returned.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Ping returns when the loop has taken one piece of work: it lives. The service's watchdog is fed by it.
func (e *Engine) Ping(ctx context.Context) error {
	_, err := onLoop(ctx, e, func() (struct{}, error) { return struct{}{}, nil })
	return err
}

// fail is I12: after a failed commit nothing is sent and no verdict is given.
func (e *Engine) fail(err error) {
	if !errors.Is(err, payflow.ErrJournalClosed) {
		err = fmt.Errorf("%w (%w)", payflow.ErrJournalClosed, err)
	}
	e.failed.CompareAndSwap(nil, &err)
	e.stop()
}

// post hands work to the loop; it is dropped when the engine has stopped.
func (e *Engine) post(f func()) {
	select {
	case e.work <- f:
	case <-e.ctx.Done():
	}
}

// onLoop runs f on the loop and returns what it returned.
func onLoop[T any](ctx context.Context, e *Engine, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	answer := make(chan result, 1)
	var none T
	work := func() {
		defer e.byWay(ctx)()
		value, err := f()
		answer <- result{value, err}
	}
	select {
	case e.work <- work:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-e.ctx.Done():
		return none, e.stopped()
	}
	select {
	case r := <-answer:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-e.done:
		select {
		case r := <-answer:
			return r.value, r.err
		default:
			return none, e.stopped()
		}
	}
}

// byWay has the journal name the way by which a wish came in what is recorded until the returned function is called.
func (e *Engine) byWay(ctx context.Context) (over func()) {
	via, _ := ctx.Value(payflow.ViaKey{}).(string)
	if via == "" || e.cfg.Journal == nil {
		return func() {}
	}
	e.cfg.Journal.via.Store(&via)
	return func() { e.cfg.Journal.via.Store(nil) }
}

func (e *Engine) stopped() error {
	if err := e.Err(); err != nil {
		return err
	}
	return &payflow.NotReadyError{Code: "stopping", Text: "posagent is stopping; wait until it is back"}
}

// apply steps a payment, commits where the step must be on disk, publishes it, and then carries out the commands.
func (e *Engine) apply(l *live, ev payflow.Event) error {
	ev.At = e.cfg.hooks.now()
	before := l.entry.Payment
	after, commands := e.cfg.hooks.step(before, ev)
	if after == before && len(commands) == 0 {
		return nil
	}
	defer e.prepare(l, after, commands)()
	l.entry.Payment = after
	if e.cfg.hooks.durable(before, after) {
		entry, err := e.cfg.hooks.ledger.Commit(string(ev.Kind), ev, after)
		if err != nil {
			e.fail(err)
			return e.Err()
		}
		entry.Notice = l.entry.Notice
		l.entry = entry
	}
	e.carryOut(l, commands)
	e.logChange(before, l.entry)
	e.settle(l)
	return nil
}

// carryOut does what the step asked for, after the commit.
func (e *Engine) carryOut(l *live, commands []payflow.Command) {
	for _, c := range commands {
		switch c.Kind {
		case payflow.SendPay:
			close(l.pay)
		case payflow.SendQuery, payflow.SendReverse:
			e.send(l.entry.Payment, c)
		case payflow.GiveBack:
			e.giveBack(l.entry, c)
		case payflow.Wake:
			e.wakeAt(l, c.At)
		case payflow.Announce:
			e.board.put(l.entry)
		}
	}
}

// wakeAt sets the payment's one timer.
func (e *Engine) wakeAt(l *live, at time.Time) {
	if l.timer != nil {
		l.timer.Stop()
	}
	no := l.entry.OutTradeNo
	l.timer = time.AfterFunc(at.Sub(e.cfg.hooks.now()), func() { e.post(func() { e.woken(no) }) })
}

func (e *Engine) woken(no payflow.OutTradeNo) {
	l, ok := e.open[no]
	if !ok {
		return
	}
	kind := payflow.Woken
	if l.entry.Status == payflow.Waiting {
		kind = payflow.Expired
	}
	_ = e.apply(l, payflow.Event{Kind: kind})
}

// settle lets go of a payment that has become final.
func (e *Engine) settle(l *live) {
	if l.entry.Open() {
		return
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	delete(e.open, l.entry.OutTradeNo)
	delete(e.unasked, l.entry.OutTradeNo)
	e.board.retire(l.entry.OutTradeNo)
	e.beginLate(l)
	_ = e.tieBack(l.entry) // a failed commit stops the engine
	e.keepWarm()
}

// holding returns the payment that holds the till, or nil.
func (e *Engine) holding() *live {
	for _, l := range e.open {
		if l.entry.HoldsTill() {
			return l
		}
	}
	return nil
}

// keepWarm has the gateway keep a connection ready while a scan may come.
func (e *Engine) keepWarm() {
	l := e.holding()
	e.cfg.Gateway.KeepWarm(l != nil)
}

func (e *Engine) logChange(before payflow.Payment, after payflow.Entry) {
	if before.Status == after.Status && before.Attention == after.Attention {
		return
	}
	line := e.cfg.Log.Info()
	if after.Attention != "" && before.Attention != after.Attention {
		line = e.cfg.Log.Error().Str("attention", string(after.Attention))
	}
	line.Str("out_trade_no", string(after.OutTradeNo)).Str("sale_ref", string(after.SaleRef)).
		Str("status", string(after.Status)).Str("reason", string(after.Reason)).
		Str("trade_state", string(after.Trade.State)).Uint64("sequence", after.Sequence).
		Int("queries", after.Queries).Int("reverses", after.Reverses).
		Int64("elapsed_ms", time.Since(after.ArmedAt).Milliseconds()).Msg("payment")
}
