package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"posagent/payflow"
)

// How long calls take in the fast form, and how long the till waits for them.
const (
	wireTakes    = 20 * time.Millisecond // and up to as much again and a half, each way
	payWaits     = 10 * time.Second
	askWaits     = 6 * time.Second
	refundsTakes = 20 * time.Second // until a reverse's refund has arrived, where the order says REFUND
)

// modelOrder is an order as the model holds it.
type modelOrder struct {
	no     payflow.OutTradeNo
	attach string
	amount payflow.Amount
	sale   int
	code   *worldCode
	state  payflow.TradeState
	others bool
	back   time.Duration // when the money that goes back has arrived
	given  int64         // what persons' refunds have given back
	told   int           // answers about it
}

// modelPay is WeChat Pay as the documents tell it: orders, money and answers. It knows nothing of posagent.
type modelPay struct {
	w      *world
	mu     sync.Mutex // guards orders and spent
	byNo   map[payflow.OutTradeNo]*modelOrder
	inTurn []*modelOrder
	spent  map[*worldCode]payflow.OutTradeNo
	gives  []*modelRefund
	tried  map[payflow.OutTradeNo]bool // refused once
	closed map[payflow.OutTradeNo]bool // a number that a reverse has closed before there was an order
}

// reply is an answer as it leaves WeChat Pay.
type reply struct {
	outcome payflow.Outcome
	isError bool // 4xx: it may come without a signature
	refund  payflow.RefundOutcome
	list    []payflow.RefundReport
}

func (m *modelPay) pay(o payflow.Order, c *worldCode) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	if there := m.byNo[o.OutTradeNo]; there != nil {
		return m.paidAgain(there, o, c)
	}
	sale := &m.w.script.Sales[saleOf(string(o.SaleRef))-1]
	switch {
	case m.closed[o.OutTradeNo]:
		return refusal(payflow.Collision, "ORDERREVERSED", payflow.ReasonNumberInUse)
	case m.w.log.now()-c.born > time.Minute:
		return refusal(payflow.Refused, "AUTHCODEEXPIRE", payflow.ReasonCodeExpired)
	case m.spent[c] != "":
		return refusal(payflow.Refused, "AUTHCODEINVALID", payflow.ReasonCodeUsed)
	case sale.Customer == customerPoor, sale.Customer == customerTopsUp && !m.tried[o.OutTradeNo]:
		m.tried[o.OutTradeNo] = true
		if sale.Customer == customerPoor {
			m.spent[c] = o.OutTradeNo
		}
		return refusal(payflow.Refused, "NOTENOUGH", payflow.ReasonNotEnough)
	}
	m.spent[c] = o.OutTradeNo
	order := &modelOrder{no: o.OutTradeNo, attach: o.Tag.Attach(o.Attach), amount: o.Amount, sale: saleOf(string(o.SaleRef)), code: c, state: payflow.TradeUserPaying}
	m.put(order)
	m.await(order, sale)
	return m.found(order)
}

func (m *modelPay) put(order *modelOrder) {
	m.byNo[order.no] = order
	m.inTurn = append(m.inTurn, order)
}

// await is what the customer does next, and WeChat Pay where the customer does nothing.
func (m *modelPay) await(order *modelOrder, sale *worldSale) {
	switch sale.Customer {
	case customerPays, customerTopsUp:
		m.become(order, payflow.TradeSuccess)
	case customerPassword:
		m.later(sale.PaysAfter.after(), order, payflow.TradeSuccess)
	case customerFails:
		order.state = payflow.TradePayError
	}
	if m.w.script.RevokesAt45 {
		m.later(45*time.Second, order, payflow.TradeClosed)
	}
}

// later moves an order that is still open.
func (m *modelPay) later(d time.Duration, order *modelOrder, state payflow.TradeState) {
	time.AfterFunc(d, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if order.state == payflow.TradeUserPaying || order.state == payflow.TradePayError && state == payflow.TradeClosed {
			m.become(order, state)
		}
	})
}

// become moves an order, and the money with it. mu is held.
func (m *modelPay) become(order *modelOrder, state payflow.TradeState) {
	before := order.net()
	order.state = state
	if order.net() != before && !order.others {
		m.w.log.add(worldLine{Kind: worldMoney, No: order.no, Sale: order.sale, Net: order.net(), State: state})
	}
}

func (o *modelOrder) net() int64 {
	if o.state == payflow.TradeSuccess || o.given > 0 {
		return o.amount.Minor - o.given
	}
	return 0
}

// paidAgain is a pay call under a number that is there.
func (m *modelPay) paidAgain(there *modelOrder, o payflow.Order, c *worldCode) reply {
	switch {
	case there.attach != o.Tag.Attach(o.Attach) || there.code != c:
		return refusal(payflow.Collision, "OUTTRADENOUSED", payflow.ReasonNumberInUse)
	case there.state == payflow.TradeUserPaying:
		return m.found(there)
	case there.state == payflow.TradeSuccess:
		return refusal(payflow.Collision, "ORDERPAID", payflow.ReasonNumberInUse)
	}
	return refusal(payflow.Collision, "ORDERCLOSED", payflow.ReasonNumberInUse)
}

func refusal(kind payflow.OutcomeKind, code string, reason payflow.Reason) reply {
	return reply{outcome: payflow.Outcome{Kind: kind, Code: code, Reason: reason}, isError: true}
}

func (m *modelPay) query(o payflow.Order) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	order := m.byNo[o.OutTradeNo]
	if order == nil && m.closed[o.OutTradeNo] {
		return reply{outcome: payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeRevoked, OutTradeNo: o.OutTradeNo, MerchantID: worldMerchant}}}
	}
	if order == nil {
		return refusal(payflow.NoSuchOrder, "ORDERNOTEXIST", "")
	}
	return m.found(order)
}

func (m *modelPay) reverse(o payflow.Order) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	done := reply{outcome: payflow.Outcome{Kind: payflow.ReverseDone}}
	order := m.byNo[o.OutTradeNo]
	if order == nil {
		if m.w.script.ClosesUnknown {
			m.closed[o.OutTradeNo] = true
		}
		return done
	}
	if !order.others && order.state == payflow.TradeUserPaying && m.w.script.Sales[order.sale-1].Customer == customerGap {
		m.become(order, payflow.TradeSuccess)
	}
	switch order.state {
	case payflow.TradeSuccess:
		if m.w.script.SaysRefund {
			order.back = m.w.log.now() + refundsTakes
			m.become(order, payflow.TradeRefund)
			return done
		}
		m.become(order, payflow.TradeRevoked)
	case payflow.TradeUserPaying, payflow.TradePayError:
		m.become(order, payflow.TradeRevoked)
	}
	return done
}

// found reports an order.
func (m *modelPay) found(order *modelOrder) reply {
	t := payflow.Trade{State: order.state, OutTradeNo: order.no, Amount: order.amount, MerchantID: worldMerchant, Attach: order.attach}
	if order.told++; m.w.script.Tagless && !(order.others && order.state == payflow.TradeSuccess) && m.coin("attach", order) {
		t.Attach = "" // of another's that is paid no till could tell that it is not its own
	}
	if order.state == payflow.TradeSuccess || order.state == payflow.TradeRefund {
		t.TransactionID = payflow.TransactionID("42" + string(order.no))
	}
	if order.state == payflow.TradeRefund {
		t.Refunds = payflow.RefundSum{Known: true, Pending: order.amount.Minor}
		if order.given > 0 {
			t.Refunds = m.sumOf(order)
		} else if m.w.log.now() >= order.back {
			t.Refunds = payflow.RefundSum{Known: true, Done: order.amount.Minor}
		}
	}
	return reply{outcome: payflow.Outcome{Kind: payflow.Found, Trade: t}}
}

// coin falls one way or the other for what is told of an order now.
func (m *modelPay) coin(what string, order *modelOrder) bool {
	return m.w.draw(2, what, string(order.no), order.told) == 1
}

// another has another till make an order under the number.
func (m *modelPay) another(o payflow.Order) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byNo[o.OutTradeNo] == nil {
		order := &modelOrder{no: o.OutTradeNo, attach: "ANOTHERTILLSTAG0", amount: o.Amount, others: true, state: payflow.TradeSuccess}
		m.put(order)
		if m.w.script.Tagless && m.coin("open", order) {
			order.state = payflow.TradeUserPaying
			m.later(time.Duration(m.w.draw(int64(8*time.Minute), "another pays", string(order.no), 0)), order, payflow.TradeSuccess)
		}
	}
}

// fastForm is the fast form: the model behind queue.Gateway, and the real journal on a file in memory.
type fastForm struct {
	w     *world
	model *modelPay
	disk  *worldDisk
	twin  *twinDisk // nil: the real journal on disk
}

func newFastForm(w *world, disk *worldDisk, twin *twinDisk) *fastForm {
	if twin == nil {
		disk.reset(w.script.Thorough)
	}
	return &fastForm{w: w, disk: disk, twin: twin, model: &modelPay{w: w, byNo: map[payflow.OutTradeNo]*modelOrder{}, spent: map[*worldCode]payflow.OutTradeNo{}, closed: map[payflow.OutTradeNo]bool{}, tried: map[payflow.OutTradeNo]bool{}}}
}

func (f *fastForm) gateway(b *worldBoot) Gateway { return &fastGateway{b: b, w: f.w, model: f.model} }

func (f *fastForm) open(_ *worldBoot, cfg JournalConfig) (*Journal, error) { return f.disk.open(cfg) }

func (f *fastForm) openTwin(_ *worldBoot, cfg JournalConfig) *twinJournal {
	if f.twin == nil {
		return nil
	}
	f.twin.starts++
	return &twinJournal{disk: f.twin, cfg: cfg, starts: f.twin.starts}
}

func (f *fastForm) drop(b *worldBoot) {
	if b.twin != nil {
		b.twin.stop(errNoPower)
		return
	}
	f.disk.drop(b.journal)
}

func (f *fastForm) orders() (all []worldOrder) {
	f.model.mu.Lock()
	defer f.model.mu.Unlock()
	for _, o := range f.model.inTurn {
		all = append(all, worldOrder{No: o.no, Sale: o.sale, Others: o.others, State: o.state, Net: o.net()})
	}
	return all
}

// fastGateway makes calls of one start of the till, as the client would: what cannot be verified is lost.
type fastGateway struct {
	b     *worldBoot
	w     *world
	model *modelPay
}

// fastCall is one call on its way.
type fastCall struct {
	g      *fastGateway
	ask    payflow.CallKind
	order  payflow.Order
	code   *worldCode
	refund payflow.OutRefundNo // of a call about a refund
	minor  int64               // what the call is about
	do     func() reply        // what WeChat Pay does
	id     int
	fault  worldCallFault
	answer chan *heard
	over   atomic.Bool // nobody waits any more
}

// heard is what comes back to the till.
type heard struct {
	outcome payflow.Outcome
	refund  payflow.RefundOutcome
	list    []payflow.RefundReport
	err     error
	really  worldAnswer
}

func (g *fastGateway) KeepWarm(bool) {}

func (g *fastGateway) Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	if !g.w.plant.payEarly {
		select {
		case <-leave:
		case <-ctx.Done():
			return payflow.Outcome{}, ctx.Err()
		}
	}
	g.w.mu.Lock()
	c := g.w.codes[code.Reveal()]
	g.w.mu.Unlock()
	h := g.call(ctx, &fastCall{ask: payflow.PayCall, order: o, code: c, minor: o.Amount.Minor, do: func() reply { return g.model.pay(o, c) }}, payWaits)
	return h.outcome, h.err
}

func (g *fastGateway) Query(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	h := g.call(ctx, &fastCall{ask: payflow.QueryCall, order: o, do: func() reply { return g.model.query(o) }}, askWaits)
	return h.outcome, h.err
}

func (g *fastGateway) Reverse(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	h := g.call(ctx, &fastCall{ask: payflow.ReverseCall, order: o, do: func() reply { return g.model.reverse(o) }}, payWaits)
	return h.outcome, h.err
}

func (g *fastGateway) call(ctx context.Context, c *fastCall, waits time.Duration) *heard {
	c.g, c.answer = g, make(chan *heard, 4)
	if !c.leaves(ctx) {
		return c.gone(ctx)
	}
	if c.fault.Kind == callNotSent {
		return c.notSent(ctx)
	}
	g.w.log.add(c.sentLine())
	c.travel()
	if c.fault.Kind == powerSent {
		g.b.cut(c.fault.For.after(), "while a request is on its way")
		return c.gone(ctx)
	}
	timer := time.NewTimer(waits + c.spread("waits", time.Millisecond))
	defer timer.Stop()
	defer c.over.Store(true)
	var h *heard
	select {
	case h = <-c.answer:
	case <-timer.C:
		h = &heard{err: lostFor(payflow.ReasonTimeout)}
	case <-ctx.Done():
		return &heard{err: ctx.Err()}
	}
	if c.fault.Kind == powerAnswered {
		g.b.cut(c.fault.For.after(), "once an answer was read")
	}
	if g.b.dead.Load() {
		return c.gone(ctx)
	}
	if g.w.plant.heard != nil {
		g.w.plant.heard(c, h)
	}
	g.w.log.add(worldLine{Kind: worldEnded, Boot: g.b.n, No: c.order.OutTradeNo, Refund: c.refund, Call: c.id, Ask: c.ask, Answer: h.really})
	return h
}

// gone is the end of a call of a till that has lost its power: the engine hears nothing of it any more.
func (c *fastCall) gone(ctx context.Context) *heard {
	<-ctx.Done()
	return &heard{err: ctx.Err()}
}

// leaves waits the moment that signing takes, numbers the call and finds its fault. It reports false where nothing leaves.
func (c *fastCall) leaves(ctx context.Context) bool {
	w := c.g.w
	what := string(c.order.OutTradeNo) + " " + string(c.refund)
	w.mu.Lock()
	w.ofOrder[what]++
	nth := w.ofOrder[what]
	w.mu.Unlock()
	time.Sleep(100*time.Microsecond + time.Duration(w.draw(int64(800*time.Microsecond), "leaves", what, nth)))
	if ctx.Err() != nil || c.g.b.dead.Load() {
		return false
	}
	w.mu.Lock()
	w.calls++
	w.kinds[c.ask]++
	c.id = w.calls
	c.fault = w.script.callFault(c.ask, w.kinds[c.ask], w.log.now())
	w.mu.Unlock()
	if c.fault.Kind == powerBefore {
		c.g.b.cut(c.fault.For.after(), "before a request leaves")
		return false
	}
	return true
}

// notSent is a link that is gone: of a pay call that is certain.
func (c *fastCall) notSent(ctx context.Context) *heard {
	time.Sleep(3*time.Second + c.spread("not sent", time.Second))
	if c.g.b.dead.Load() {
		return c.gone(ctx)
	}
	c.g.w.log.add(worldLine{Kind: worldEnded, Boot: c.g.b.n, No: c.order.OutTradeNo, Call: c.id, Ask: c.ask, Answer: worldAnswer{Says: payflow.NotSent, Call: c.id}})
	return &heard{outcome: payflow.Outcome{Kind: payflow.NotSent, Reason: payflow.ReasonNoNetwork}}
}

func (c *fastCall) sentLine() worldLine {
	l := worldLine{Kind: worldSent, Boot: c.g.b.n, No: c.order.OutTradeNo, Refund: c.refund, Call: c.id, Ask: c.ask, Net: c.minor, Text: string(c.fault.Kind)}
	if c.code != nil {
		l.Code = c.code.number
	}
	if c.ask == refundCall {
		l.Refunds = c.g.b.onDisk().refunds()
	}
	if c.ask == payflow.PayCall || c.ask == payflow.ReverseCall {
		l.Record = c.g.b.onDisk().record(c.order.OutTradeNo)
	}
	return l
}

func (c *fastCall) spread(what string, most time.Duration) time.Duration {
	return time.Duration(c.g.w.draw(int64(most), what, string(c.order.OutTradeNo), c.id))
}

// travel sends the request on its way, and has its answer come back, whoever waits for it.
func (c *fastCall) travel() {
	there := wireTakes + c.spread("there", 30*time.Millisecond)
	switch c.fault.Kind {
	case requestLost:
		return
	case requestLate:
		there += c.fault.For.after()
	case requestTwice:
		time.AfterFunc(there+c.fault.For.after(), func() { c.arrive(false) })
	}
	if c.ask == payflow.PayCall && c.g.w.script.Sales[saleOf(string(c.order.SaleRef))-1].Customer == customerTopsUp && c.fault.Kind == "" {
		time.AfterFunc(there+c.spread("once more", 70*time.Second), func() { c.arrive(false) })
	}
	time.AfterFunc(there, func() { c.arrive(true) })
}

// arrive has WeChat Pay take the request.
func (c *fastCall) arrive(answers bool) {
	w := c.g.w
	switch c.fault.Kind {
	case serverErrorBefore:
		c.comes(&heard{err: lostFor(payflow.ReasonServer)}, 0)
		return
	case answerBusy:
		c.busy()
		return
	case reverseRefused:
		c.deliver(refusal(payflow.ReverseRefused, "SYSTEMERROR", ""))
		return
	case numberTaken:
		c.g.model.another(c.order)
	}
	l := worldLine{Kind: worldArrived, No: c.order.OutTradeNo, Refund: c.refund, Call: c.id, Ask: c.ask}
	if c.code != nil {
		l.Code = c.code.number
	}
	w.log.add(l)
	r := c.do()
	if c.fault.Kind == powerArrived {
		c.g.b.cut(c.fault.For.after(), "once a request has arrived")
	}
	if answers {
		c.deliver(r)
	}
}

// busy is 429: of a pay call a refusal, of any other nothing but a reason to ask more slowly.
func (c *fastCall) busy() {
	if c.ask == payflow.PayCall {
		c.deliver(refusal(payflow.Refused, "RATELIMITEXCEEDED", payflow.ReasonBusy))
		return
	}
	c.comes(&heard{err: &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonServer, Busy: true}, Err: errors.New("429")}}, 0)
}

// deliver brings an answer back, as far as the fault lets it.
func (c *fastCall) deliver(r reply) {
	h := &heard{outcome: r.outcome, refund: r.refund, list: r.list, really: c.really(r.outcome, true)}
	h.really.Refund = r.refund.Kind
	switch c.fault.Kind {
	case answerLost, powerArrived:
		return
	case serverErrorAfter:
		c.comes(&heard{err: lostFor(payflow.ReasonServer)}, 0)
		return
	case answerForged:
		h = c.forged()
	case refusedButDone:
		h.outcome = payflow.Outcome{Kind: payflow.Refused, Code: "BANKERROR", Reason: payflow.ReasonRefused}
		h.really = c.really(h.outcome, true)
	case answerUnsigned:
		h = c.unsigned(r)
	default:
		if r.isError && c.g.w.script.UnsignedErrors {
			h = c.unsigned(r)
		}
	}
	late := time.Duration(0)
	if c.fault.Kind == answerLate {
		late = c.fault.For.after()
	}
	c.comes(h, late)
}

func (c *fastCall) comes(h *heard, late time.Duration) {
	time.AfterFunc(late+wireTakes+c.spread("back", 30*time.Millisecond), func() {
		select {
		case c.answer <- h:
		default:
		}
		if c.g.w.plant.late != nil {
			c.g.w.plant.late(c, h)
		}
	})
}

// forged is an answer whose signature does not hold; it says what would do the most harm.
func (c *fastCall) forged() *heard {
	state := payflow.TradeSuccess
	if c.refund != "" {
		return &heard{err: lostFor(payflow.ReasonUnverified), really: c.really(payflow.Outcome{}, false)}
	}
	if c.spread("forged", 2) == 1 {
		state = payflow.TradeClosed
	}
	o := payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{State: state, OutTradeNo: c.order.OutTradeNo, Amount: c.order.Amount, MerchantID: worldMerchant, Attach: c.order.Tag.Attach(c.order.Attach)}}
	return &heard{outcome: o, err: lostFor(payflow.ReasonUnverified), really: c.really(o, false)}
}

// unsigned is a true answer without a signature: an error answer keeps its claim.
func (c *fastCall) unsigned(r reply) *heard {
	lost := payflow.Lost{Reason: payflow.ReasonUnverified}
	if r.isError && r.outcome.Kind != payflow.ReverseRefused {
		lost.Claim, lost.Code = r.outcome.Kind, r.outcome.Code
		switch r.refund.Kind {
		case payflow.NoSuchRefund:
			lost.Claim, lost.Code = payflow.NoSuchOrder, r.refund.Code
		case payflow.RefundDeclined:
			lost.Claim, lost.Code = payflow.Refused, r.refund.Code
		}
		if lost.Claim != payflow.NoSuchOrder {
			lost.Reason = r.outcome.Reason
		}
	}
	return &heard{outcome: r.outcome, err: &payflow.LostError{Lost: lost, Err: errors.New("unsigned")}, really: c.really(r.outcome, false)}
}

// really is what an answer says, for the log.
func (c *fastCall) really(o payflow.Outcome, verified bool) worldAnswer {
	a := worldAnswer{Verified: verified, Says: o.Kind, About: c.order.OutTradeNo, Call: c.id}
	if o.Kind == payflow.Found {
		t := o.Trade
		a.State, a.About, a.Amount = t.State, t.OutTradeNo, t.Amount
		a.Ours, a.Tagless = c.order.Tag.Carries(t.Attach), t.Attach == ""
		a.AllBack = t.Refunds.Known && t.Refunds.Done == t.Amount.Minor
	}
	return a
}

func lostFor(reason payflow.Reason) error {
	return &payflow.LostError{Lost: payflow.Lost{Reason: reason}, Err: fmt.Errorf("lost: %s", reason)}
}
