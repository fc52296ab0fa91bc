package payflow

import "time"

// refundTruth is what WeChat Pay holds under the number of the refund.
type refundTruth uint8

const (
	noRefund refundTruth = iota
	refundProcessing
	refundSuccess
	refundClosed
	refundAbnormal
	refundTruths
)

var refundTruthNames = [refundTruths]string{"no refund", "a refund on its way", "a refund that is done", "a refund that was closed", "an abnormal refund"}

var refundTruthStates = [refundTruths]RefundState{"", RefundStateProcessing, RefundStateSuccess, RefundStateClosed, RefundStateAbnormal}

// refundTurns is what a refund becomes without us.
var refundTurns = [refundTruths][]refundTruth{refundProcessing: {refundSuccess, refundClosed, refundAbnormal}, refundAbnormal: {refundSuccess, refundClosed, refundProcessing}}

// othersRefund is what somebody else's refunds hold of the order.
type othersRefund uint8

const (
	othersNone     othersRefund = iota
	othersRoom                  // and there is still room for ours
	othersAll                   // and there is none
	othersAbnormal              // the same, by a refund that a person may still send
	othersClosed                // as much was given up, and holds nothing
	othersRefunds
)

// refundWorld is WeChat Pay, the engine's timer and call, and what the judge remembers.
type refundWorld struct {
	now       time.Time
	truth     refundTruth
	since     time.Time // of the truth's beginning; a host may lag behind it
	others    othersRefund
	held      bool      // another refund of this journal holds what is left
	late      bool      // a request was lost, and may still arrive
	lateUntil time.Time // before this
	freeAt    time.Time // as the engine tells it

	call        RefundCall
	callNo      int
	callStarted time.Time
	answer      *refundAnswer // made by WeChat Pay, and not read yet
	timer       time.Time
	crashes     uint8
	set         bool // the PC's clock was set
	unsigned    bool // WeChat Pay signs no error answers

	// What the judge has heard.
	requests   int
	requestEnd time.Time // of the last, zero: none has ended since the start
	absent     bool      // a verified "no such refund" by number since the last request, and since the start
	claimed    bool      // an unsigned one, the same way: it proves nothing
	standing   time.Time // since when it has stood at its status, or since the start
	asked      bool      // a question has ended since the start
	refused    bool      // by WeChat Pay
	noRoom     bool      // by the list
	taken      bool      // WeChat Pay's verified word that it is taken on
	abnormal   bool      // its word that a person must act
	sends      uint8     // at this very instant
}

// refundAnswer is an answer on its way.
type refundAnswer struct {
	label  string
	kind   RefundOutcomeKind // request, query
	truth  refundTruth
	others othersRefund
	held   bool
	ours   bool // the list has ours
}

const (
	refundLag  = 5 * time.Minute // how long a host may lag behind
	refundLate = 10 * time.Minute
)

func aRefundOrder() RefundOrder {
	o := anOrder()
	return RefundOrder{
		OutRefundNo: NewOutRefundNo(o.OutTradeNo, WishPerson, "key-1"), OutTradeNo: o.OutTradeNo, TransactionID: "4200002222202603021234567890",
		Merchant: o.Merchant, API: o.API, HostFamily: o.HostFamily, Amount: Amount{Minor: 500, Currency: "HKD"}, Total: o.Amount, Reason: "broken",
	}
}

// reportOf is our refund as WeChat Pay reports it.
func reportOf(o RefundOrder, truth refundTruth) RefundReport {
	return RefundReport{RefundID: "W1", OutRefundNo: o.OutRefundNo, OutTradeNo: o.OutTradeNo, State: refundTruthStates[truth], Amount: o.Amount, Total: o.Total}
}

// listOf is every refund of the order.
func listOf(o RefundOrder, a *refundAnswer) (listed []RefundReport, held int64) {
	other := RefundReport{RefundID: "W2", OutRefundNo: "ANOTHERS", OutTradeNo: o.OutTradeNo, State: RefundStateSuccess, Amount: Amount{Minor: 700, Currency: "HKD"}, Total: o.Total}
	switch a.others {
	case othersAll:
		other.Amount.Minor = 751
	case othersAbnormal:
		other.Amount.Minor, other.State = 751, RefundStateAbnormal
	case othersClosed:
		other.Amount.Minor, other.State = 1250, RefundStateClosed
	}
	if a.others != othersNone {
		listed = append(listed, other)
	}
	if a.ours {
		listed = append(listed, reportOf(o, a.truth))
	}
	if a.held {
		held = 751
	}
	return listed, held
}

// arrives has WeChat Pay take a request on, or find that it has already: the same number is the same refund. No page says what becomes of
// a number that was closed: it may be taken on again.
func (w *refundWorld) arrives() {
	if w.truth == noRefund || w.truth == refundClosed {
		w.truth, w.since = refundProcessing, w.now
	}
}

func (w *refundWorld) mayArrive() bool { return w.late && w.now.Before(w.lateUntil) }

func (w *refundWorld) lags() bool { return w.truth != noRefund && w.now.Before(w.since.Add(refundLag)) }

// hear keeps what an event has told, before it is known what the refund makes of it.
func (w *refundWorld) hear(r Refund, e RefundEvent) {
	if e.Kind == RefundRestarted {
		w.restart()
		return
	}
	if w.call == NoRefundCall || e.Call != w.callNo {
		return
	}
	switch e.Kind {
	case RefundCallLost:
		w.hearLoss()
		w.claimed = w.claimed || w.call == RefundQueryCall && e.Lost.Claim == NoSuchOrder
	case RefundListed:
		w.hearList(r, e)
	case RefundAnswered:
		w.requestEnd, w.absent, w.claimed = w.now, false, false
		w.hearRefund(r, e.Outcome)
	case RefundQueryAnswered:
		w.hearRefund(r, e.Outcome)
		w.absent = w.absent || e.Outcome.Kind == NoSuchRefund
	default:
		return
	}
	w.asked = true
	w.call, w.answer = NoRefundCall, nil
}

func (w *refundWorld) hearLoss() {
	if w.call == RefundRequestCall {
		w.requestEnd, w.absent, w.claimed = w.now, false, false
		if w.answer == nil {
			w.late, w.lateUntil = true, w.now.Add(refundLate)
		}
	}
}

func (w *refundWorld) hearList(r Refund, e RefundEvent) {
	for _, t := range e.Listed {
		if t.OutRefundNo == r.OutRefundNo && t.Amount == r.Amount {
			w.hearRefund(r, RefundOutcome{Kind: RefundFound, Refund: t})
			return
		}
	}
	w.noRoom = w.noRoom || !w.taken && leavesNoRoom(r, e)
}

func (w *refundWorld) hearRefund(r Refund, o RefundOutcome) {
	switch {
	case o.Kind == RefundDeclined:
		w.refused = true
	case o.Kind == RefundAccepted, o.Kind == RefundFound:
		if o.Refund.OutRefundNo != r.OutRefundNo || o.Refund.Amount != r.Amount || o.Refund.OutTradeNo != r.OutTradeNo {
			return
		}
		w.taken, w.refused, w.noRoom = true, false, false
		w.abnormal = w.abnormal || o.Kind == RefundFound && o.Refund.State == RefundStateAbnormal
	}
}

// leavesNoRoom is the judge's own sum of what a list tells; a list that cannot be tells nothing.
func leavesNoRoom(r Refund, e RefundEvent) bool {
	sum, dead := e.Held+r.Amount.Minor, false
	for _, t := range e.Listed {
		if t.Amount.Currency != r.Total.Currency {
			return false
		}
		if t.State != RefundStateClosed {
			sum += t.Amount.Minor
		}
		dead = dead || t.State != RefundStateSuccess && t.State != RefundStateProcessing
	}
	return sum > r.Total.Minor || dead && r.Wish != WishPerson
}

// restart: the process is gone and back at once. What was on its way may still arrive.
func (w *refundWorld) restart() {
	if w.call == RefundRequestCall {
		w.requestEnd = w.now
		if w.answer == nil {
			w.late, w.lateUntil = true, w.now.Add(refundLate)
		}
	}
	w.crashes++
	w.sends, w.asked, w.absent, w.claimed, w.standing = 0, false, false, false, w.now
	w.call, w.answer, w.timer = NoRefundCall, nil, time.Time{}
}

// setClock sets the PC's clock while the till is off: all that the world times moves along, and only what the journal holds does not.
func (w *refundWorld) setClock(by time.Duration) {
	w.set = true
	for _, t := range []*time.Time{&w.now, &w.since, &w.lateUntil, &w.freeAt, &w.callStarted, &w.timer, &w.requestEnd, &w.standing} {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
}

// obey carries out the commands of a step, as the engine would.
func (w *refundWorld) obey(commands []RefundCommand) {
	for _, c := range commands {
		switch c.Kind {
		case SendRefund:
			w.requests++
			w.begin(RefundRequestCall, c.Call)
		case SendRefundList:
			w.begin(RefundListCall, c.Call)
		case SendRefundQuery:
			w.begin(RefundQueryCall, c.Call)
		case WakeRefund:
			w.timer = c.At
		}
	}
}

func (w *refundWorld) begin(call RefundCall, number int) {
	w.call, w.callNo, w.callStarted, w.answer, w.timer = call, number, w.now, nil, time.Time{}
	w.sends++
}
