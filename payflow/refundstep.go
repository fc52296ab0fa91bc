package payflow

import (
	"math"
	"time"
)

// RefundStep returns the refund after e, and what to do next. It reads no clock: time arrives in e.At. The engine must commit the
// refund before it carries out any command, wherever RefundDurable says so (invariant I1). An event that does not fit the refund,
// such as an answer to a call that is not in flight, changes nothing.
func RefundStep(r Refund, e RefundEvent) (Refund, []RefundCommand) {
	s := &refundStepper{r: r, at: e.At, freeAt: e.FreeAt}
	s.take(e)
	if s.r != r && e.Kind != RefundRestarted {
		s.keepWait()
	}
	if visibleRefund(r) != visibleRefund(s.r) {
		s.r.Version++
		s.commands = append(s.commands, RefundCommand{Kind: AnnounceRefund})
	}
	mustNotForgetRefund(s.r)
	return s.r, s.commands
}

// NewRefund returns a wish to give money back, and its first call: the order's refunds are listed before any is asked for. It must be
// on disk before that call is made.
func NewRefund(o RefundOrder, wish RefundWish, operator string, at time.Time) (Refund, []RefundCommand) {
	s := &refundStepper{at: at, r: Refund{RefundOrder: o, Wish: wish, Operator: operator, Status: RefundRequested, Version: 1, Why: ReasonRefundAsking, RequestedAt: at, WaitedFrom: at}}
	s.ask()
	return s.r, append(s.commands, RefundCommand{Kind: AnnounceRefund})
}

// RefundMayHaveLeft returns a wish of which a request may have left already, up to that time, under the very same number: a restored journal can't
// know. A refusal of it is believed once no such request can arrive any more.
func RefundMayHaveLeft(r Refund, until time.Time) Refund {
	r.MayArrive, r.LostAt = true, until
	return r
}

// refundStepper is one step in the making: the refund, the commands so far, the time, and when the order may be asked again.
type refundStepper struct {
	r        Refund
	at       time.Time
	freeAt   time.Time
	commands []RefundCommand
}

func (s *refundStepper) take(e RefundEvent) {
	if e.Kind == RefundSeen {
		s.seen(e)
		return
	}
	if s.r.Status.Final() {
		return
	}
	switch e.Kind {
	case RefundListed, RefundAnswered, RefundQueryAnswered, RefundCallLost:
		s.ended(e)
	case RefundWoken:
		s.woken()
	case RefundNoticed:
		s.noticed()
	case RefundRestarted:
		s.r.MayArrive = s.r.MayArrive || e.MayHaveLeft && s.r.Status == RefundRequested
		s.restarted()
	}
}

// ended takes the end of the call in flight: an answer or its loss.
func (s *refundStepper) ended(e RefundEvent) {
	if s.r.Call == NoRefundCall || e.Call != s.r.Calls {
		return
	}
	switch {
	case e.Kind == RefundCallLost:
		s.lost(e.Lost)
	case e.Kind == RefundListed && s.r.Call == RefundListCall:
		s.hangUp()
		s.listed(e)
	case e.Kind == RefundAnswered && s.r.Call == RefundRequestCall:
		s.answered(e.Outcome)
	case e.Kind == RefundQueryAnswered && s.r.Call == RefundQueryCall:
		s.queried(e.Outcome)
	}
}

// lost: nothing is known. A request that was lost may still be taken on, so that it is asked about at once. Where nobody signs "no such
// refund" it proves nothing, and ends nothing. But the list of the order's refunds is signed, and where it does not hold this number
// either, the same request may be made again: it repeats the same number, which is the same refund however often it arrives.
func (s *refundStepper) lost(l Lost) {
	switch ended := s.hangUp(); {
	case ended == RefundQueryCall && l.Claim == NoSuchOrder && s.r.Status == RefundRequested && s.r.Refusal.Reason == "":
		s.requestOrWait()
		return
	case ended != RefundRequestCall:
		s.askLater(l.Busy)
		return
	}
	s.requestLost()
	if l.Reason == ReasonNumberInUse {
		s.r.Why = ReasonRefundNumberInUse
	}
}

func (s *refundStepper) requestLost() {
	s.r.LostAt, s.r.Why = s.at, ReasonRefundUnknown
	s.requestEnded()
	s.ask()
}

// listed: the request is made only where the order's refunds, whoever made them, leave room for it. Our own number among them has been
// taken on already.
func (s *refundStepper) listed(e RefundEvent) {
	for _, other := range e.Listed {
		if other.OutRefundNo == s.r.OutRefundNo {
			s.found(other)
			return
		}
	}
	room, known := s.roomIn(e)
	switch {
	case !known:
		s.askLater(false)
	case room != "":
		s.r.Refusal = Refusal{Kind: Refused, Reason: room}
		s.refuse()
	case e.Forgotten && s.r.Requests == 0 && !s.r.Wish.Automatic(): // who asks can't have seen it here, and may mean the very same money
		s.r.Refusal = Refusal{Kind: Refused, Reason: ReasonRefundForgotten}
		s.refuse()
	case s.at.Before(s.requestAt()):
		s.sleepUntil(s.requestAt())
	default:
		s.request()
	}
}

// roomIn returns why the order's other refunds leave no room for this one, or "". A refund that is abnormal holds its money, because a
// person may still send it; one that is closed holds none. It is not known where the list cannot be.
func (s *refundStepper) roomIn(e RefundEvent) (full Reason, known bool) {
	sum := SumRefunds(s.r.OutTradeNo, s.r.Total, e.Listed)
	if !sum.Known || e.Held < 0 {
		return "", false
	}
	held, live := e.Held, 0
	for _, other := range e.Listed {
		if other.State != RefundStateClosed {
			held, live = addUp(held, other.Amount.Minor), live+1
		}
	}
	switch {
	case s.r.Wish.Automatic() && sum.Dead > 0:
		return ReasonRefundOthersFailed, true
	case live >= RefundsMax:
		return ReasonRefundTooMany, true
	case addUp(held, s.r.Amount.Minor) > s.r.Total.Minor:
		return ReasonRefundExceeds, true
	}
	return "", true
}

// addUp adds two sums of money, neither below zero, and stays at the top where they are too much.
func addUp(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// answered: taken on is not given back, and a refusal is believed only after a query.
func (s *refundStepper) answered(o RefundOutcome) {
	s.hangUp()
	known := o.Kind == RefundDeclined || o.Kind == RefundLater || o.Kind == RefundAccepted && s.isThis(o.Refund)
	if !known {
		s.requestLost()
		return
	}
	s.r.MayArrive = !s.r.LostAt.IsZero()
	s.requestEnded()
	switch o.Kind {
	case RefundAccepted:
		o.Refund.State = RefundStateProcessing
		s.found(o.Refund)
	case RefundDeclined:
		s.r.Refusal = Refusal{Kind: Refused, Code: o.Code, Reason: refusalReason(o.Code), Text: o.Text}
		s.r.Why = ReasonRefundChecking
		s.ask()
	default:
		s.r.Why = ReasonRefundBusy
		s.sleepUntil(s.requestAt())
	}
}

// requestEnded sets the time before which the same request is not made again.
func (s *refundStepper) requestEnded() {
	s.r.NextRequestAt = s.at.Add(refundAgainAfter[min(max(s.r.Requests-1, 0), len(refundAgainAfter)-1)])
	s.r.Patience = 0
}

func (s *refundStepper) queried(o RefundOutcome) {
	s.hangUp()
	switch {
	case o.Kind == RefundFound && s.isThis(o.Refund):
		s.found(o.Refund)
	case o.Kind == NoSuchRefund:
		s.absent()
	default:
		s.askLater(false)
	}
}

// isThis reports an answer about this very refund: number, payment and amount are ours, as far as it names them (I14).
func (s *refundStepper) isThis(t RefundReport) bool {
	return t.OutRefundNo == s.r.OutRefundNo && (t.OutTradeNo == "" || t.OutTradeNo == s.r.OutTradeNo) && t.Amount == s.r.Amount
}

// found: WeChat Pay has taken it on. Only SUCCESS says that the money is back, only CLOSED that it never will be by this refund; a
// state that is not known is neither.
func (s *refundStepper) found(t RefundReport) {
	if !s.isThis(t) { // listed under our number, and not ours: nothing of it can be believed
		s.r.Why = ReasonRefundNumberInUse
		if s.r.Requests == 0 && (t.OutTradeNo == "" || t.OutTradeNo == s.r.OutTradeNo) && t.Amount.Currency == s.r.Amount.Currency {
			s.r.Refusal = Refusal{Kind: Refused, Reason: ReasonRefundNumberInUse} // nothing of ours was sent, and this number gives back another sum for good
			s.refuse()
			return
		}
		s.askLater(false)
		return
	}
	s.r.Report, s.r.Refusal = t, Refusal{}
	if s.r.AcceptedAt.IsZero() {
		s.r.AcceptedAt = s.at
	}
	if s.r.Attention == AttentionRefundUnsettled || s.r.Attention == AttentionRefundVanished {
		s.r.Attention = ""
	}
	switch t.State {
	case RefundStateSuccess:
		s.end(RefundDone, ReasonRefundDone)
	case RefundStateClosed:
		s.become(RefundProcessing, ReasonRefundClosed)
		s.r.Refusal = Refusal{Kind: Refused, Reason: ReasonRefundClosed}
		s.refuse()
		s.r.Attention = AttentionRefundClosed
	case RefundStateAbnormal:
		s.become(RefundAbnormal, AttentionRefundAbnormal)
		s.r.Attention = AttentionRefundAbnormal
		s.askLater(false)
	case RefundStateProcessing:
		s.become(RefundProcessing, ReasonRefundProcessing)
		s.askLater(false)
	default:
		if s.r.Status == RefundRequested {
			s.become(RefundProcessing, ReasonRefundProcessing)
		}
		s.askLater(false)
	}
}

func (s *refundStepper) become(status RefundStatus, why Reason) {
	if s.r.Status != status {
		s.r.Status, s.r.Why, s.r.Patience = status, why, 0
		s.r.Waited, s.r.WaitedFrom = 0, s.at
	}
}

// absent: WeChat Pay does not know the number. What was taken on cannot be absent: then a person looks, and it is never asked for anew.
func (s *refundStepper) absent() {
	switch {
	case s.r.Status != RefundRequested:
		if s.r.Attention == "" {
			s.r.Attention = AttentionRefundVanished
		}
		s.askLater(false)
	case s.r.Refusal.Reason != "":
		s.refuse()
	default:
		s.requestOrWait()
	}
}

// requestOrWait goes on to the same request once its time has come: the order's refunds are listed before it.
func (s *refundStepper) requestOrWait() {
	if s.at.Before(s.requestAt()) {
		s.sleepUntil(s.requestAt())
		return
	}
	s.list()
}

// refuse ends a refund that was refused or given up, once no request of it can still be taken on: one whose answer was lost may arrive
// late, and the question must have been put after that. Whoever asked would otherwise ask anew, and both would be paid.
func (s *refundStepper) refuse() {
	if s.r.Status == RefundRequested {
		s.r.Why = ReasonRefundChecking
	}
	dead := s.r.LostAt.Add(RefundRequestLife)
	switch {
	case !s.r.MayArrive:
		s.end(RefundRefused, s.r.Refusal.Reason)
	case s.r.CallStartedAt.Before(dead):
		s.r.Patience++
		s.sleepUntil(earlier(s.at.Add(s.pause()), later(dead, s.at)))
	default:
		s.end(RefundRefused, s.r.Refusal.Reason)
	}
}

// requestAt is when the request may leave: a minute or more after its last, and after the order's other refunds.
func (s *refundStepper) requestAt() time.Time { return later(s.r.NextRequestAt, s.freeAt) }

// request moves money. It repeats the same number with the same parameters, for ever.
func (s *refundStepper) request() {
	if s.r.Status != RefundRequested || s.r.Refusal.Reason != "" {
		panic("payflow: a refund is asked for that was refused or taken on")
	}
	s.r.Requests++
	s.r.MayArrive = true
	s.call(RefundRequestCall, SendRefund)
}

// ask begins with what is not known: whether the refund was taken on, and before the first request, what others there are.
func (s *refundStepper) ask() {
	if s.r.Requests == 0 && s.r.Status == RefundRequested {
		s.list()
		return
	}
	s.r.Queries++
	s.call(RefundQueryCall, SendRefundQuery)
}

func (s *refundStepper) list() { s.call(RefundListCall, SendRefundList) }

// askLater asks again after a pause that grows.
func (s *refundStepper) askLater(busy bool) {
	s.r.Patience++
	if busy {
		s.r.Patience++
	}
	s.sleepUntil(s.at.Add(s.pause()))
}

// refundWait is how long a refund may stand at a status before a person is told, and how that is counted over restarts.
type refundWait struct {
	limit, away, kept time.Duration
	why               Reason
}

var refundWaits = map[RefundStatus]refundWait{
	RefundRequested:  {refundUnsettledAfter, refundUnsettledAway, refundUnsettledKept, AttentionRefundUnsettled},
	RefundProcessing: {refundSlowAfter, refundSlowAway, refundSlowKept, AttentionRefundSlow},
}

// tellWait has a person told where it takes too long. It is seen to wherever the refund waits, whatever for, and measured by what the
// processes have seen, because the PC's clock may have been set.
func (s *refundStepper) tellWait() {
	wait, limited := refundWaits[s.r.Status]
	if limited && s.r.Attention == "" && s.waited() >= wait.limit {
		s.r.Attention = wait.why
	}
}

func (s *refundStepper) waited() time.Duration { return s.r.Waited + s.counted() }

// counted is what this process has counted of the wait, and the journal does not know yet.
func (s *refundStepper) counted() time.Duration { return max(s.at.Sub(s.r.WaitedFrom), 0) }

// keepWait has what was waited journaled now and then.
func (s *refundStepper) keepWait() {
	wait, limited := refundWaits[s.r.Status]
	if limited && s.r.Attention == "" && s.counted() >= wait.kept {
		s.r.Waited, s.r.WaitedFrom = s.waited(), s.at
	}
}

// pause is how long to wait before the next question.
func (s *refundStepper) pause() time.Duration {
	pauses := refundAskAfter[:]
	switch s.r.Status {
	case RefundProcessing:
		pauses = refundPollAfter[:]
	case RefundAbnormal:
		pauses = refundAbnormalAfter[:]
	}
	return pauses[min(max(s.r.Patience-1, 0), len(pauses)-1)]
}

func (s *refundStepper) woken() {
	switch {
	case s.r.Call != NoRefundCall:
	case s.at.Before(s.r.WakeAt):
		s.sleepUntil(s.r.WakeAt)
	default:
		s.ask()
	}
}

// noticed: a notification makes us ask sooner, and decides nothing. One call at a time, and not more often than questions may be.
func (s *refundStepper) noticed() {
	s.r.Patience = 0
	soon := later(s.at, s.r.CallStartedAt.Add(refundAskAfter[0]))
	switch {
	case s.r.Call != NoRefundCall || !soon.Before(s.r.WakeAt):
	case soon.After(s.at):
		s.sleepUntil(soon)
	default:
		s.ask()
	}
}

// restarted: the refund is asked for before anything is decided, and every time counts anew. A request that the journal says may have
// left, may have left just now.
func (s *refundStepper) restarted() {
	s.r.Restarts++
	s.r.WaitedFrom = s.at.Add(-min(s.counted(), refundWaits[s.r.Status].away))
	s.r.Call, s.r.WakeAt, s.r.Patience = NoRefundCall, time.Time{}, 0
	s.r.LostAt, s.r.NextRequestAt = time.Time{}, time.Time{}
	if s.r.MayArrive {
		s.r.LostAt = s.at
	}
	if s.r.Requests > 0 {
		s.r.NextRequestAt = s.at.Add(RefundGap)
	}
	s.ask()
}

// seen: a person has dealt with what needed one. Of a refund that is still open nobody can be done with it.
func (s *refundStepper) seen(e RefundEvent) {
	if s.r.Open() || s.r.Attention == "" {
		return
	}
	s.r.Attention = ""
	s.r.Seen = SetAside{At: s.at, Operator: e.Operator, Note: e.Note}
}

// call begins the next call: it is the only one in flight.
func (s *refundStepper) call(kind RefundCall, send RefundCommandKind) {
	s.r.Calls++
	s.r.Call, s.r.CallStartedAt, s.r.WakeAt = kind, s.at, time.Time{}
	s.commands = append(s.commands, RefundCommand{Kind: send, Call: s.r.Calls})
}

func (s *refundStepper) hangUp() RefundCall {
	ended := s.r.Call
	s.r.Call = NoRefundCall
	return ended
}

func (s *refundStepper) sleepUntil(at time.Time) {
	s.tellWait()
	s.r.WakeAt = later(at, s.at)
	s.commands = append(s.commands, RefundCommand{Kind: WakeRefund, At: s.r.WakeAt})
}

// end: a refusal that nobody waits for is a person's work; money that is back is nobody's.
func (s *refundStepper) end(status RefundStatus, why Reason) {
	s.r.Status, s.r.Why, s.r.FinalAt = status, why, s.at
	s.r.Call, s.r.WakeAt = NoRefundCall, time.Time{}
	s.r.MayArrive, s.r.LostAt = false, time.Time{}
	s.r.Attention = ""
	if status == RefundRefused && (s.r.Wish.Automatic() || s.unseen()) {
		s.r.Attention = AttentionRefundRefused
	}
}

// unseen reports that nobody waits for the answer any more: not after a minute, and not over a restart.
func (s *refundStepper) unseen() bool {
	return s.r.Restarts > 0 || s.at.Sub(s.r.RequestedAt) >= refundUnseenAfter
}

// mustNotForgetRefund asserts I6.
func mustNotForgetRefund(r Refund) {
	if r.Open() && r.Call == NoRefundCall && r.WakeAt.IsZero() {
		panic("payflow: an open refund has neither a call in flight nor a wake time")
	}
}

// seenOfRefund is what a till sees of a refund; a change of it is announced.
type seenOfRefund struct {
	status    RefundStatus
	why       Reason
	attention Reason
	refundID  RefundID
	seen      bool
}

func visibleRefund(r Refund) seenOfRefund {
	return seenOfRefund{r.Status, r.Why, r.Attention, r.Report.RefundID, !r.Seen.At.IsZero()}
}

// RefundDurable reports whether the step from before to after must be on disk before anything is done about it: asking that changes no
// status, flag or right writes nothing, except now and then how long it has been asked.
func RefundDurable(before, after Refund) bool {
	return visibleRefund(before) != visibleRefund(after) || before.Refusal != after.Refusal || before.MayArrive != after.MayArrive ||
		before.Report.State != after.Report.State || before.Waited < after.Waited
}

// FoundRefund returns a refund that WeChat Pay holds under a number of this till's own, and that a restored journal lost: it is taken up where WeChat Pay
// says that it stands, and is never asked for again. Who wished it is not known any more.
func FoundRefund(o RefundOrder, t RefundReport, at time.Time) (Refund, []RefundCommand) {
	asked := at
	if !t.CreatedAt.IsZero() {
		asked = t.CreatedAt
	}
	s := &refundStepper{at: at, r: Refund{RefundOrder: o, Wish: WishPerson, Status: RefundRequested, Version: 1, Why: ReasonRefundUnknown, Requests: 1, RequestedAt: asked, WaitedFrom: at}}
	if !s.isThis(t) {
		panic("payflow: a refund is taken up that is not the one which was found")
	}
	s.found(t)
	mustNotForgetRefund(s.r)
	return s.r, append(s.commands, RefundCommand{Kind: AnnounceRefund})
}
