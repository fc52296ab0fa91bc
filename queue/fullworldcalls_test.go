package queue

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
	"posagent/wxsim"
)

var _ Gateway = (*fullGateway)(nil)

// fullGateway stands between the engine of one start and its client. It names each call, has WeChat Pay or the line do to it what the
// script says, and writes down what left and what really came.
type fullGateway struct{ till *fullTill }

// fullCall is one call on its way.
type fullCall struct {
	till   *fullTill
	ask    payflow.CallKind
	order  payflow.Order
	id     int
	fault  worldCallFault
	remove []func()
	// arrivals are how many of WeChat Pay's lines about the order there were before it left.
	arrivals int
}

// wireCalls are the calls by WeChat Pay's names.
var wireCalls = map[payflow.CallKind]wxsim.Call{payflow.PayCall: wxsim.Pay, payflow.QueryCall: wxsim.Query, payflow.ReverseCall: wxsim.Reverse}

func (g *fullGateway) KeepWarm(on bool) { g.till.client.KeepWarm(on && g.till.form.plan.warm) }

func (g *fullGateway) Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	f := g.till.form
	shown, number := f.customerCode(o, code)
	left := make(chan *fullCall, 1)
	gate := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		if f.bug != bugPayEarly {
			select {
			case <-leave:
			case <-ctx.Done():
				return
			}
		}
		c := &fullCall{till: g.till, ask: payflow.PayCall, order: o}
		if c.leaves(ctx, number) {
			left <- c
			close(gate)
		}
	}()
	outcome, err := g.till.client.Pay(ctx, o, shown, gate)
	select {
	case c := <-left:
		outcome, err = c.back(ctx, outcome, err)
	default:
		return payflow.Outcome{}, errNoPower
	}
	if f.bug == bugPayTwice && err != nil && ctx.Err() == nil && !g.till.b.dead.Load() {
		c := &fullCall{till: g.till, ask: payflow.PayCall, order: o}
		if c.leaves(ctx, number) {
			outcome, err = g.till.client.Pay(ctx, o, shown, gate)
			return c.back(ctx, outcome, err)
		}
	}
	return outcome, err
}

func (g *fullGateway) Query(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	return g.call(ctx, payflow.QueryCall, o, (*wxclient.Client).Query)
}

func (g *fullGateway) Reverse(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	return g.call(ctx, payflow.ReverseCall, o, (*wxclient.Client).Reverse)
}

func (g *fullGateway) call(ctx context.Context, ask payflow.CallKind, o payflow.Order, make func(*wxclient.Client, context.Context, payflow.Order) (payflow.Outcome, error)) (payflow.Outcome, error) {
	c := &fullCall{till: g.till, ask: ask, order: o}
	if !c.leaves(ctx, 0) {
		return payflow.Outcome{}, errNoPower
	}
	client := g.till.client
	if g.till.form.bug == bugReplay { // one that remembers no nonce
		client = g.till.newClient("")
		defer client.Close()
	}
	outcome, err := make(client, ctx, o)
	return c.back(ctx, outcome, err)
}

// customerCode is the code whose customer WeChat Pay's simulator knows; number is the world's for it.
func (f *fullForm) customerCode(o payflow.Order, code payflow.AuthCode) (shown payflow.AuthCode, number int) {
	w := f.w
	w.mu.Lock()
	c := w.codes[code.Reveal()]
	w.mu.Unlock()
	sale := saleOf(string(o.SaleRef))
	f.mu.Lock()
	f.sale[o.OutTradeNo] = sale
	f.mu.Unlock()
	customer := &w.script.Sales[sale-1]
	digits := wxsim.CodeFor(customerScenes[customer.Customer], c.number)
	f.sim.Behave(f.behaviour(customer.PaysAfter.after()))
	f.sim.ShowCode(digits)
	shown, err := payflow.ParseAuthCode(digits, "", nil)
	require.NoError(f.t, err)
	return shown, c.number
}

// customerScenes are the simulator's scenarios of the world's customers.
var customerScenes = map[worldCustomer]string{customerPays: "pays-at-once", customerPassword: "password-pays", customerNever: "password-never", customerPoor: "no-money",
	customerFails: "pay-error", customerGap: "pays-in-the-gap", customerTopsUp: "no-money"}

// leaves numbers a call, finds what happens to it, and notes that it left. It reports false where nothing may leave any more.
func (c *fullCall) leaves(ctx context.Context, code int) bool {
	b, w, no := c.till.b, c.till.form.w, string(c.order.OutTradeNo)
	w.mu.Lock()
	w.ofOrder[no]++
	nth := w.ofOrder[no]
	w.mu.Unlock()
	time.Sleep(100*time.Microsecond + time.Duration(w.draw(int64(800*time.Microsecond), "leaves", no, nth)))
	if ctx.Err() != nil || b.dead.Load() {
		return false
	}
	w.mu.Lock()
	w.calls++
	w.kinds[c.ask]++
	c.id = w.calls
	c.fault = w.script.callFault(c.ask, w.kinds[c.ask], w.log.now())
	w.mu.Unlock()
	if c.fault.Kind == powerBefore {
		b.cut(c.fault.For.after(), "before a request leaves")
		return false
	}
	before, _ := c.till.form.sim.Books().Order(no)
	c.arrivals = len(before.Arrivals)
	c.arrange()
	l := worldLine{Kind: worldSent, Boot: b.n, No: c.order.OutTradeNo, Call: c.id, Ask: c.ask, Net: c.order.Amount.Minor, Code: code, Text: string(c.fault.Kind)}
	if c.ask != payflow.QueryCall {
		l.Record = c.till.form.onPlatter(b, c.order.OutTradeNo)
	}
	w.log.add(l)
	return true
}

// onPlatter is what a power cut now would leave of a payment.
func (f *fullForm) onPlatter(b *worldBoot, no payflow.OutTradeNo) worldRecord {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.disk.unsynced() || f.swallowed[no] {
		return worldRecord{} // what was written since the start may all be gone
	}
	return b.onDisk().record(no)
}

// draw is a lot of this call's.
func (c *fullCall) draw(n int64, what string) int {
	return int(c.till.form.w.draw(n, what, string(c.order.OutTradeNo), c.id))
}

// arrange has the line, or WeChat Pay, do to the call what the script says.
func (c *fullCall) arrange() {
	line, b := c.till.line, c.till.b
	switch c.fault.Kind {
	case "":
	case callNotSent:
		line.refuse(true)
		line.drop()
		c.remove = append(c.remove, func() { line.refuse(false) })
	case powerSent, powerArrived:
		fate := writeLast
		if c.fault.Kind == powerSent {
			fate = writeHalf
		}
		line.cutAtNextWrite(fate, func() { b.cut(c.fault.For.after(), "while a request is on its way") })
	case powerAnswered:
	case numberTaken:
		_ = c.till.form.sim.Place(wxsim.Foreign{Number: string(c.order.OutTradeNo), Attach: "ANOTHERTILLSTAG0", Total: c.order.Amount.Minor})
	default:
		c.inject(c.wireFault())
	}
}

// inject arms a fault for as many tries as the client's lot is bad: it goes to another host, and from a dead connection to a new one.
func (c *fullCall) inject(fault wxsim.Fault) {
	fault.On, fault.Order, fault.Times = wireCalls[c.ask], string(c.order.OutTradeNo), 1+c.draw(4, "tries")
	if c.draw(2, "unread") == 0 && (fault.Kind == wxsim.DropUnread || fault.Kind == wxsim.DropHalf || fault.Kind == wxsim.DeadLink || fault.Kind == wxsim.ReadLate) {
		fault.Order = "" // it acts before the body is read
	}
	c.remove = append(c.remove, c.till.form.sim.Inject(fault))
}

// wireFault is one of the faults of the wire that a script's trouble can be.
func (c *fullCall) wireFault() wxsim.Fault {
	pick := func(faults ...wxsim.Fault) wxsim.Fault {
		return faults[c.draw(int64(len(faults)), "fault")]
	}
	late := c.fault.For.after()
	switch c.fault.Kind {
	case requestLost:
		return pick(wxsim.Fault{Kind: wxsim.DropUnread}, wxsim.Fault{Kind: wxsim.DropHalf}, wxsim.Fault{Kind: wxsim.DeadLink}, wxsim.Fault{Kind: wxsim.Stall}, wxsim.Fault{Kind: wxsim.Redirect})
	case requestLate, requestTwice:
		return wxsim.Fault{Kind: wxsim.ReadLate, Delay: late}
	case answerLost:
		return pick(wxsim.Fault{Kind: wxsim.DropAnswer}, wxsim.Fault{Kind: wxsim.Truncated}, wxsim.Fault{Kind: wxsim.Stall, Processed: true}, wxsim.Fault{Kind: wxsim.Oversized})
	case answerLate:
		return wxsim.Fault{Kind: wxsim.LateAnswer, Delay: late}
	case serverErrorBefore, serverErrorAfter:
		done := c.fault.Kind == serverErrorAfter
		return pick(wxsim.Fault{Kind: wxsim.ServerError, Processed: done}, wxsim.Fault{Kind: wxsim.ServerError, Processed: done, Unsigned: true},
			wxsim.Fault{Kind: wxsim.HTMLPage, Processed: done}, wxsim.Fault{Kind: wxsim.ServerError, Status: http.StatusServiceUnavailable, Code: "SERVICE_UNAVAILABLE", Processed: done})
	case answerForged:
		if c.till.form.bug == bugReplay {
			return wxsim.Fault{Kind: wxsim.Replayed}
		}
		return pick(wxsim.Fault{Kind: wxsim.Forged}, wxsim.Fault{Kind: wxsim.UnknownSerial}, wxsim.Fault{Kind: wxsim.Stale}, wxsim.Fault{Kind: wxsim.Replayed},
			wxsim.Fault{Kind: wxsim.ReplayedOther}, wxsim.Fault{Kind: wxsim.Probe}, wxsim.Fault{Kind: wxsim.DuplicateHeaders})
	case answerReplayed:
		return wxsim.Fault{Kind: wxsim.Replayed}
	case answerUnsigned:
		return c.unsigned()
	case answerBusy:
		return wxsim.Fault{Kind: wxsim.Refuse, Status: http.StatusTooManyRequests, Code: "RATELIMIT_EXCEEDED"}
	case refusedButDone:
		return wxsim.Fault{Kind: wxsim.Refuse, Status: http.StatusForbidden, Code: "NOT_ENOUGH", Processed: true}
	}
	return wxsim.Fault{Kind: wxsim.Refuse, Status: http.StatusForbidden, Code: "INVALID_REQUEST"} // reverseRefused
}

// answerReplayed is a trouble for stories of the full form: an earlier answer to the same question about the same order.
const answerReplayed worldTrouble = "replayed"

// unsigned is the true answer without its signature, or what somebody on the way makes up for it.
func (c *fullCall) unsigned() wxsim.Fault {
	if c.draw(2, "made up") == 0 {
		return wxsim.Fault{Kind: wxsim.Unsigned}
	}
	made := map[payflow.CallKind]wxsim.Fault{
		payflow.PayCall:     {Status: http.StatusForbidden, Code: "NOT_ENOUGH"},
		payflow.QueryCall:   {Status: http.StatusNotFound, Code: "ORDER_NOT_EXIST"},
		payflow.ReverseCall: {Status: http.StatusForbidden, Code: "INVALID_REQUEST"},
	}[c.ask]
	made.Kind, made.Unsigned, made.Processed = wxsim.Refuse, true, true
	return made
}

// back is the end of a call: what really came is written down, and what the client made of it goes to the engine.
func (c *fullCall) back(ctx context.Context, outcome payflow.Outcome, err error) (payflow.Outcome, error) {
	b, f := c.till.b, c.till.form
	for _, remove := range c.remove {
		remove()
	}
	really := c.really(outcome, err)
	believed := err == nil && outcome.Kind != payflow.NotSent
	nobodyCanTell := believed && !really.Verified && c.noStartCanTell()
	if believed && (really.Verified || nobodyCanTell) {
		c.till.believes(c.newestArrival())
	}
	if c.fault.Kind == powerAnswered {
		b.cut(c.fault.For.after(), "once an answer was read")
	}
	if b.dead.Load() || ctx.Err() != nil {
		return payflow.Outcome{}, errNoPower
	}
	f.lookAtBooks()
	if outcome.Kind == payflow.NotSent && !f.hasArrived(c.order.OutTradeNo, c.ask) {
		f.w.log.forget(c.id)
	}
	text := ""
	switch {
	case !believed || really.Verified:
	case nobodyCanTell:
		text = replayNobodyCanTell
	default:
		f.breach("I14", c.order.OutTradeNo, "the client believed an answer that must not be believed: "+string(c.lastFault()))
	}
	outcome, err = f.bug.spoil(c, outcome, err)
	f.w.log.add(worldLine{Kind: worldEnded, Boot: b.n, No: c.order.OutTradeNo, Call: c.id, Ask: c.ask, Answer: really, Text: text})
	return outcome, err
}

// really is what came: by WeChat Pay's books, whether it could be believed.
func (c *fullCall) really(outcome payflow.Outcome, err error) worldAnswer {
	a := worldAnswer{Verified: err == nil && !slices.Contains(unbelievable, c.lastFault()), Says: outcome.Kind, About: c.order.OutTradeNo, Call: c.id}
	var lost *payflow.LostError
	if errors.As(err, &lost) {
		a.Says = lost.Lost.Claim
	}
	if outcome.Kind == payflow.NotSent {
		a.Verified = false
	}
	if outcome.Kind == payflow.Found {
		t := outcome.Trade
		a.State, a.About, a.Amount = t.State, t.OutTradeNo, t.Amount
		a.Ours = c.order.Tag.Carries(t.Attach)
		a.AllBack = t.Refunds.Known && t.Refunds.Done == t.Amount.Minor
	}
	return a
}

// unbelievable are the faults after which nothing that came decides.
var unbelievable = []wxsim.Kind{wxsim.Unsigned, wxsim.Forged, wxsim.UnknownSerial, wxsim.Probe, wxsim.Stale, wxsim.Replayed, wxsim.ReplayedOther, wxsim.Truncated, wxsim.Oversized,
	wxsim.DuplicateHeaders, wxsim.HTMLPage, wxsim.DropAnswer, wxsim.Stall, wxsim.DeadLink, wxsim.DropUnread, wxsim.DropHalf, wxsim.Redirect, wxsim.ServerError}

// newestArrival is the newest try of this call that WeChat Pay saw. One that it read late may be an earlier call's, so it counts only
// where there is no other.
func (c *fullCall) newestArrival() wxsim.Arrival {
	line, _ := c.till.form.sim.Books().Order(string(c.order.OutTradeNo))
	var last, late *wxsim.Arrival
	for i := range line.Arrivals[min(c.arrivals, len(line.Arrivals)):] {
		a := &line.Arrivals[c.arrivals+i]
		switch {
		case a.Call != wireCalls[c.ask]:
		case a.Late:
			late = a
		default:
			last = a
		}
	}
	if last == nil {
		last = late
	}
	if last == nil {
		return wxsim.Arrival{}
	}
	return *last
}

// lastFault is what befell it.
func (c *fullCall) lastFault() wxsim.Kind {
	last := c.newestArrival()
	if last.Status == http.StatusNoContent && (last.Fault == wxsim.Truncated || last.Fault == wxsim.Oversized) {
		return "" // a 204 has no body to be cut off or blown up
	}
	return last.Fault
}

func (f *fullForm) hasArrived(no payflow.OutTradeNo, ask payflow.CallKind) bool {
	line, _ := f.sim.Books().Order(string(no))
	return slices.ContainsFunc(line.Arrivals, func(a wxsim.Arrival) bool { return a.Call == wireCalls[ask] })
}

func (f *fullForm) breach(invariant string, no payflow.OutTradeNo, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.breaches) >= 20 {
		return
	}
	f.breaches = append(f.breaches, worldBreach{Invariant: invariant, At: f.w.log.now(), No: no, Text: text})
}

// forget takes a line back that said too early that a call had left.
func (l *worldLog) forget(call int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = slices.DeleteFunc(l.lines, func(line worldLine) bool { return line.Kind == worldSent && line.Call == call })
}
