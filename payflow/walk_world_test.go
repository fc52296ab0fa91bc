package payflow

import "time"

// truth is what WeChat Pay holds under our order number.
type truth uint8

const (
	nothing  truth = iota
	inFlight       // nothing yet, and our pay request is on its way: only a name for the pairs, never stored
	unpaid         // the customer is asked for the password
	paid
	refused // PAYERROR; WeChat Pay may still try another card
	revoked
	partRefunded // a part was given back, by hand
	onTheWayBack // all of it is refunded, by hand or by a reverse, and some has not arrived
	refundFailed // a refund is closed or abnormal
	givenBack    // every minor unit is back
	othersUnpaid
	othersPaid
	othersRevoked
	truths
)

var truthNames = [truths]string{"none", "in flight", "unpaid", "paid", "refused", "revoked", "part refunded", "on the way back", "refund failed", "given back", "another's, unpaid", "another's, paid", "another's, revoked"}

// refunded reports an order that WeChat Pay calls REFUND.
func (t truth) refunded() bool { return t >= partRefunded && t <= givenBack }

// said is what an answer on its way to us says.
type said uint8

const (
	saidNothing   said = iota // no answer has been made: the request is on its way
	saidState                 // the order, as it stood when the answer was made
	saidAbsent                // no such order
	saidRefused               // pay: a listed refusal
	saidCollision             // pay: the number is in use
	saidReversed              // reverse: 204
	saidRefusal               // reverse: refused
	saidTooLate               // reverse: too late
)

// world is WeChat Pay, the wire, the customer and the people, and the judge's own record of what left and what was shown.
// Nothing in it is read from the payment: the judge must not believe what it judges.
type world struct {
	reverseAfter time.Duration
	early        bool
	now, timer   time.Time // timer is what the last Wake command asked for

	order       truth
	wrong       bool // our order holds another amount than we asked for
	wasPaid     bool // our order is revoked, and its money had been taken
	request     bool // our pay request may still arrive, until codeDead
	lateReverse bool // a reverse may still arrive, at any time

	call     CallKind // in flight
	callNo   int
	answer   said
	answered truth // with saidState

	crashes uint8

	// The judge's record.
	payments         uint8     // SendPay commands so far
	firstPay         time.Time // the start of the pay call; after a restart, the restart
	payEnded         time.Time // its end, or the last restart: the 15 s count from here
	codeDead         time.Time // from here on no request of ours can make an order
	callStarted      time.Time
	reverseEnd       time.Time // end of the last reverse since the restart
	reverseLateUntil time.Time // a reverse that was lost may be carried out before
	reverseLeft      bool      // the one-way door is behind us
	asked            bool      // a query has ended since the last restart
	theirsShown      bool      // the last word on whose order it is: a verified answer has shown another's attach
	oursShown        bool      // or ours
	oddShown         bool      // ours, and not what we asked for
	moneyShown       bool
	unpaidShown      bool
	refundShown      bool // seen while reversing
	noHope           bool // a verified or claimed reason to reverse at 15 s
	collided         bool
	refusedFirst     bool // the pay call was definitely refused
	refusals         uint8
	tooLate          bool // WeChat Pay's word
	oldStarts        uint8
	deadReverse      bool // a reverse has been sent since T_dead
	dead204          bool // and the last one was answered 204, verified
	absentAt         time.Time
	sends            uint8 // at this very instant
}

// reverseLateInWorld is how long a lost reverse may take: five minutes of its signature, of the clocks, and of hosts that lag.
const reverseLateInWorld = 15 * time.Minute

// seenAs is the truth as the pairs name it.
func (w *world) seenAs() truth {
	if w.order == nothing && (w.request || w.call == PayCall && w.answer == saidNothing) {
		return inFlight
	}
	return w.order
}

// mayHoldMoney reports that WeChat Pay holds the customer's money for our order, or may come to hold it.
func (w *world) mayHoldMoney() bool {
	switch w.order {
	case unpaid, paid, refused, partRefunded, onTheWayBack, refundFailed:
		return true
	case nothing:
		return w.call == PayCall && w.answer == saidNothing || w.request && w.now.Before(w.codeDead)
	}
	return false
}

func (w *world) guard() time.Time {
	return w.payEnded.Add(15 * time.Second)
}

func (w *world) dead() bool {
	return !w.payEnded.IsZero() && !w.now.Before(w.payEnded.Add(75*time.Second))
}

// mustNotReverse: whose order it is was shown to be another's, or after a collision never shown to be ours.
func (w *world) mustNotReverse() bool {
	return w.theirsShown || w.collided && !w.oursShown
}

// tradeNow is what WeChat Pay would report.
func tradeNow(o Order, held truth, wrong bool, odd twist) Trade {
	states := [truths]TradeState{unpaid: TradeUserPaying, paid: TradeSuccess, refused: TradePayError, revoked: TradeRevoked,
		partRefunded: TradeRefund, onTheWayBack: TradeRefund, refundFailed: TradeRefund, givenBack: TradeRefund, othersUnpaid: TradeNotPay, othersPaid: TradeSuccess, othersRevoked: TradeClosed}
	if held >= othersUnpaid && odd == straight {
		odd = anothersOrder
	}
	t := aTrade(o, states[held], odd)
	if wrong {
		t.Amount.Minor++
	}
	t.Refunds = refundsTruly(held, o.Amount.Minor, t.Amount.Minor)
	return t
}

// refundsTruly is what the refunds of an order add up to. Of one that took more than we asked for, a part is all that we asked for.
func refundsTruly(held truth, asked, total int64) RefundSum {
	part := min(asked, total-1)
	switch held {
	case partRefunded:
		return RefundSum{Known: true, Done: part}
	case onTheWayBack:
		return RefundSum{Known: true, Done: part, Pending: total - part}
	case refundFailed:
		return RefundSum{Known: true, Done: part, Dead: 1}
	case givenBack:
		return RefundSum{Known: true, Done: total}
	}
	return RefundSum{}
}

// hear keeps in the judge's record what an event has told, before it is known what the payment makes of it.
func (w *world) hear(p Payment, e Event) {
	switch e.Kind {
	case PayAnswered:
		w.hearPay(p, e.Outcome)
	case QueryAnswered:
		w.asked = true
		w.hearOrder(p, e.Outcome)
	case ReverseAnswered:
		w.reverseEnd = w.now
		w.dead204 = e.Outcome.Kind == ReverseDone && !w.callStarted.Before(w.payEnded.Add(75*time.Second))
		if e.Outcome.Kind != ReverseDone {
			w.refusals = min(w.refusals+1, 5)
		}
		w.tooLate = w.tooLate || e.Outcome.Kind == ReverseTooLate
	case CallLost:
		w.hearLoss(e.Lost)
	case CancelAsked:
		w.noHope = w.noHope || !p.Status.Final()
	case Restarted:
		w.restart(e)
	}
	w.call = hungUp(w.call, e.Kind)
}

func hungUp(call CallKind, kind EventKind) CallKind {
	switch kind {
	case PayAnswered, QueryAnswered, ReverseAnswered, CallLost, Restarted:
		return NoCall
	}
	return call
}

func (w *world) hearPay(p Payment, o Outcome) {
	w.payEnds()
	switch o.Kind {
	case Refused:
		w.refusedFirst = true
	case Collision:
		w.collided = true
	case Found:
		w.hearOrder(p, o)
	}
}

func (w *world) payEnds() {
	w.payEnded, w.codeDead = w.now, w.now.Add(75*time.Second)
}

func (w *world) hearLoss(l Lost) {
	switch w.call {
	case PayCall:
		w.payEnds()
		w.noHope = w.noHope || l.Claim == Refused
	case ReverseCall:
		w.reverseEnd, w.dead204 = w.now, false
		w.reverseLateUntil = w.now.Add(reverseLateInWorld)
	case QueryCall:
		w.asked = true
		if l.Claim == NoSuchOrder && w.dead204 && w.absentAt.IsZero() {
			w.absentAt = w.now
		}
	}
}

// hearOrder: a verified answer about this very order.
func (w *world) hearOrder(p Payment, o Outcome) {
	t := o.Trade
	if o.Kind != Found || t.OutTradeNo != p.OutTradeNo || t.State == "SOMETHING_NEW" {
		return
	}
	isOurs := p.Tag.Carries(t.Attach)
	closed := t.State == TradeClosed || t.State == TradeRevoked
	switch {
	case closed:
	case isOurs:
		w.theirsShown, w.oursShown = false, true
	case t.Attach != "":
		w.theirsShown = true
	case w.collided:
		w.theirsShown, w.oursShown = false, false
	}
	mine := isOurs || t.Attach == "" && !w.collided
	w.unpaidShown = w.unpaidShown || t.State == TradeNotPay || t.State == TradeUserPaying || t.State == TradePayError
	switch {
	case mine && closed && !t.SuccessTime.IsZero():
		w.moneyShown = true
	case !mine:
	case t.State == TradeSuccess:
		w.moneyShown = true
		w.oddShown = w.oddShown || t.Amount != p.Amount
	case t.State == TradeRefund:
		w.moneyShown, w.noHope = true, true
		w.refundShown = w.refundShown || w.reverseLeft
	case t.State == TradePayError:
		w.noHope = true
	case !closed && (w.refusedFirst || w.collided):
		w.noHope = true
	}
}

// restart: the process is gone and back at once. What was on its way may still arrive.
func (w *world) restart(e Event) {
	if w.call == PayCall && w.answer == saidNothing {
		w.request = true
	}
	if w.call == ReverseCall && w.answer == saidNothing {
		w.lateReverse = true
		w.reverseLateUntil = w.now.Add(reverseLateInWorld)
	}
	w.crashes++
	w.sends = 0
	w.timer, w.reverseEnd, w.absentAt = time.Time{}, time.Time{}, time.Time{}
	w.asked, w.deadReverse, w.dead204, w.refusals = false, false, false, 0
	if w.payments > 0 {
		w.firstPay = w.now
		w.payEnds()
	}
	if e.Age > 7*24*time.Hour {
		w.oldStarts++
	}
}

// obey carries out the commands of a step, as the engine would.
func (w *world) obey(commands []Command) {
	for _, c := range commands {
		switch c.Kind {
		case SendPay:
			w.payments++
			w.firstPay = w.now
			w.begin(PayCall, c.Call)
		case SendQuery:
			w.begin(QueryCall, c.Call)
		case SendReverse:
			w.reverseLeft = true
			w.deadReverse = w.deadReverse || w.dead()
			w.dead204, w.absentAt = false, time.Time{}
			w.begin(ReverseCall, c.Call)
		case Wake:
			w.timer = c.At
		}
	}
}

func (w *world) begin(call CallKind, number int) {
	w.call, w.callNo, w.answer, w.answered = call, number, saidNothing, nothing
	w.callStarted, w.timer = w.now, time.Time{}
	w.sends++
}
