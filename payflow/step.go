package payflow

import (
	"cmp"
	"hash/fnv"
	"time"
)

// Step returns the payment after e, and what to do next. It reads no clock: time arrives in e.At. The engine must
// commit the payment before it carries out any command (invariant I1). An event that does not fit the payment, such
// as an answer to a call that is not in flight, changes nothing.
func Step(p Payment, e Event) (Payment, []Command) {
	return step(p, e, answers)
}

// stepper is one step in the making: the payment, the commands so far, and the time.
type stepper struct {
	p        Payment
	at       time.Time
	answers  answerTable
	commands []Command
}

func step(before Payment, e Event, table answerTable) (Payment, []Command) {
	if before.Status.Final() {
		return before, nil
	}
	s := &stepper{p: before, at: e.At, answers: table}
	s.take(e)
	if visible(before) != visible(s.p) {
		s.p.Version++
		s.commands = append(s.commands, Command{Kind: Announce})
	}
	mustNotBeForgotten(s.p)
	return s.p, s.commands
}

func (s *stepper) take(e Event) {
	switch e.Kind {
	case CodeScanned:
		s.scanned(e)
	case PayAnswered, QueryAnswered, ReverseAnswered, CallLost:
		s.ended(e)
	case Woken:
		s.woken()
	case CancelAsked:
		s.cancelAsked()
	case Restarted:
		s.restarted(e)
	case Expired:
		s.expired()
	case SetAsideAsked:
		s.setAside(e)
	}
}

// scanned: the code leaves in one pay call, at once.
func (s *stepper) scanned(e Event) {
	if s.p.Status != Waiting || e.Code.IsZero() {
		return
	}
	s.p.Status, s.p.Reason = Paying, ReasonSending
	s.p.CodeTail, s.p.CodeHash, s.p.CodeSpent = e.Code.Tail(), e.CodeHash, true
	s.p.ScannedAt, s.p.FirstPayAt, s.p.TrueScanAt = s.at, s.at, e.Clock
	s.call(PayCall)
	s.commands[len(s.commands)-1].Code = e.Code
}

// ended takes the end of the call in flight: an answer or its loss.
func (s *stepper) ended(e Event) {
	if s.p.Call == NoCall || e.Call != s.p.Calls {
		return
	}
	switch {
	case e.Kind == CallLost:
		s.lost(e)
	case e.Kind == PayAnswered && s.p.Call == PayCall:
		s.payAnswered(e.Outcome)
	case e.Kind == QueryAnswered && s.p.Call == QueryCall:
		s.queryAnswered(e.Outcome)
	case e.Kind == ReverseAnswered && s.p.Call == ReverseCall:
		s.reverseAnswered(e.Outcome)
	}
}

func (s *stepper) lost(e Event) {
	call := s.hangUp()
	switch call {
	case PayCall:
		s.payLost(e.Lost)
	case QueryCall:
		s.queryLost(e.Lost)
	case ReverseCall:
		s.reverseEnded(false)
		s.ask()
	}
}

// payAnswered: rules 1, 3, 4 and 5.
func (s *stepper) payAnswered(o Outcome) {
	s.hangUp()
	if o.Kind == NotSent {
		s.p.CodeSpent = false
		s.end(Declined, cmp.Or(o.Reason, ReasonNoNetwork), ProofNotSent)
		return
	}
	s.p.PayEndedAt, s.p.Status = s.at, Confirming
	s.p.Reason = ReasonUnknown
	switch o.Kind {
	case Found:
		s.judge(o.Trade)
	case Refused, Collision:
		s.p.Refusal = Refusal{Kind: o.Kind, Code: o.Code, Reason: o.Reason, Text: o.Text}
		s.p.Reason = o.Reason
		s.ask()
	default:
		s.ask()
	}
}

// payLost: rules 5 and 9. What an unsigned answer claimed is shown and hurried, never believed.
func (s *stepper) payLost(l Lost) {
	s.p.PayEndedAt, s.p.Status, s.p.Reason = s.at, Confirming, ReasonUnknown
	if l.Claim == Refused || l.Claim == Collision {
		s.p.Claim = Refusal{Kind: l.Claim, Code: l.Code, Reason: l.Reason}
		s.p.Reason, s.p.Hurry = ReasonChecking, true
	}
	s.ask()
}

func (s *stepper) queryAnswered(o Outcome) {
	s.hangUp()
	switch o.Kind {
	case Found:
		s.judge(o.Trade)
	case NoSuchOrder:
		s.act(s.absent())
	default:
		s.act(seenLost)
	}
}

// absent: an order whose money was seen cannot be absent. A host that lags behind, or a mistake of WeChat Pay's, proves nothing (I4).
func (s *stepper) absent() seen {
	if s.p.MoneySeen {
		return seenVanished
	}
	return seenAbsent
}

// queryLost: nothing is known; after T_dead an unsigned absence may be the proof of rule 9.
func (s *stepper) queryLost(l Lost) {
	if l.Busy {
		s.p.Slowness = min(2*max(s.p.Slowness, s.p.Timing.QueryEvery), queryEveryMax)
	}
	if l.Claim == NoSuchOrder && s.p.Status == Reversing && s.absentByTransport() {
		return
	}
	s.act(seenLost)
}

func (s *stepper) judge(t Trade) {
	row := look(s.p, t)
	if row != seenLost {
		s.p.Trade = t
		s.p.MoneySeen = s.p.MoneySeen || row.money() || row == seenClosed && hadBeenPaid(s.p, t)
		s.p.UnpaidSeen = s.p.UnpaidSeen || row == seenOpen || row == seenPayError
		s.settleWhose(t)
	}
	s.act(row)
}

// settleWhose lifts the doubt about an order that its tag now proves ours.
func (s *stepper) settleWhose(t Trade) {
	if whose(s.p, t) != ours {
		return
	}
	s.p.Stranger = NoStranger
	if s.p.Attention == AttentionUnclaimed {
		s.p.Attention = ""
	}
}

// act does what the answer table says for the payment's column and the row seen.
func (s *stepper) act(row seen) {
	s.carryOut(s.answers[columnOf(s.p)][row], row)
	s.giveBack(row)
}

func (s *stepper) carryOut(v verdict, row seen) {
	switch v {
	case becomePaid:
		s.end(Paid, ReasonPaid, ProofSigned)
	case becomeDecl:
		s.end(Declined, cmp.Or(s.p.Refusal.Reason, s.p.Claim.Reason), ProofSigned)
	case becomeRev:
		s.end(Reversed, reversedReason(s.p), ProofSigned)
	case reverseSoon:
		s.p.Hurry = true
		s.goOn(row)
	case reverseAgain:
		s.wakeForReverse(s.p.NextReverseAt)
	case lookReverse:
		s.lookAndReverse(row)
	case lookOnly:
		s.lookOnly(row)
	case lookRefund:
		s.lookRefund(row)
	case lookVanished:
		s.lookVanished()
	case proveAbsence:
		s.proveAbsence()
	case declineAtDead:
		s.declineAtDead(row)
	default:
		s.goOn(row)
	}
}

// goOn asks again; when the deadline has come, what was just asked was the last query, and the reverse begins.
func (s *stepper) goOn(row seen) {
	if s.p.Status == Reversing {
		s.reverseOrWatch()
		return
	}
	s.name(row)
	due := s.p.ReverseDue()
	switch {
	case s.at.Before(due):
		s.wakeFor(QueryCall, earlier(s.at.Add(s.pause()), due))
	case s.mayNotReverse():
		s.lookAtLeisure()
	case s.p.ReverseTooLate && row == seenAbsent && s.deadWhenAsked():
		s.end(Reversed, ReasonNeverArrived, ProofSigned)
	case s.p.ReverseTooLate && row == seenAllBack:
		s.end(Reversed, reversedReason(s.p), ProofSigned)
	case s.p.ReverseTooLate && row.refund():
		s.lookRefund(row)
	case s.p.ReverseTooLate:
		s.tooLate()
	default:
		s.decideToReverse()
	}
}

// reverseOrWatch: what is lost while refunds are watched brings no reverse: an order that is being refunded is only asked about.
func (s *stepper) reverseOrWatch() {
	if s.p.Attention.refund() {
		s.askAtLeisure()
		return
	}
	s.wakeForReverse(s.soonerOfDead(s.p.NextReverseAt))
}

// lookAtLeisure: an order that nothing has proved ours needs a person; we ask on. An older cause for looking stays, because
// this one may yet be lifted.
func (s *stepper) lookAtLeisure() {
	if s.p.Attention == "" {
		s.p.Attention = AttentionUnclaimed
	}
	s.askAtLeisure()
}

// askAtLeisure asks each minute, and at T_dead, when an answer may mean more than it did before.
func (s *stepper) askAtLeisure() {
	s.wakeFor(QueryCall, s.soonerOfDead(s.at.Add(idleQueryEvery)))
}

// name keeps the reason that the cashier reads while we ask.
func (s *stepper) name(row seen) {
	switch {
	case s.p.Refusal.Reason != "" || s.p.Claim.Reason != "":
	case row == seenOpen && s.p.Trade.State == TradeUserPaying:
		s.p.Reason = ReasonPassword
	case row != seenOpen:
		s.p.Reason = ReasonUnknown
	}
}

// mayNotReverse: an order that is, or may be, another till's is never reversed (rules 3 and 4).
func (s *stepper) mayNotReverse() bool {
	return s.p.Stranger != NoStranger || s.p.collided() && whose(s.p, s.p.Trade) != ours
}

func (s *stepper) pause() time.Duration {
	return max(s.p.Slowness, s.p.Timing.QueryEvery)
}

// decideToReverse goes through the one-way door (rule 6).
func (s *stepper) decideToReverse() {
	s.p.Status, s.p.ReversingAt = Reversing, s.at
	if s.p.Refusal.Reason == "" && s.p.Claim.Reason == "" {
		s.p.Reason = ReasonTakingBack
	}
	s.reverse()
}

func (s *stepper) reverse() {
	s.p.DeadReverse = s.p.DeadReverse || s.dead()
	s.p.DeadReverseDone, s.p.AbsentAt = false, time.Time{}
	s.p.Reverses++
	s.call(ReverseCall)
}

func (s *stepper) dead() bool { return !s.at.Before(s.p.DeadAt()) }

// deadWhenAsked reports that the call just ended began after T_dead: an answer that was under way across T_dead may
// have missed the order.
func (s *stepper) deadWhenAsked() bool { return !s.p.CallStartedAt.Before(s.p.DeadAt()) }

// reverseAnswered: 204 proves nothing yet, a refusal proves nothing at all.
func (s *stepper) reverseAnswered(o Outcome) {
	s.hangUp()
	if o.Kind == ReverseDone {
		s.reverseEnded(true)
		s.wakeFor(QueryCall, s.at.Add(queryAfterReverse))
		return
	}
	s.reverseEnded(false)
	s.p.ReverseRefusals++
	if o.Kind == ReverseTooLate {
		s.p.ReverseTooLate = true
	}
	if s.p.ReverseRefusals >= refusalsBeforeAttention {
		s.p.Attention = AttentionReverseRefused
	}
	s.ask()
}

// reverseEnded sets the time before which no further reverse is sent.
func (s *stepper) reverseEnded(done bool) {
	s.p.DeadReverseDone = done && s.p.DeadReverse && !s.p.CallStartedAt.Before(s.p.DeadAt())
	s.p.NextReverseAt = s.at.Add(s.backOff())
}

// backOff returns the pause after the reverse just ended, spread by ±20 % so that the tills of a chain do not
// call together. The spread comes from the order number: the step stays a pure function.
func (s *stepper) backOff() time.Duration {
	base := reverseBackOff[min(max(s.p.Reverses-1, 0), len(reverseBackOff)-1)]
	h := fnv.New32a()
	_, _ = h.Write([]byte(s.p.OutTradeNo))
	_, _ = h.Write([]byte{byte(s.p.Reverses)})
	permille := time.Duration(h.Sum32()%401) + 800
	return base * permille / 1000
}

// proveAbsence is rule 7: before T_dead the order may still be made; from then on one more reverse, and a query
// that finds no such order again, end it.
func (s *stepper) proveAbsence() {
	switch {
	case !s.dead():
		s.wakeForReverse(s.soonerOfDead(s.p.NextReverseAt))
	case s.mayNotReverse():
		s.lookAtLeisure()
	case s.p.ReverseTooLate && !s.deadWhenAsked():
		s.tooLate()
	case !s.p.DeadReverse && !s.p.ReverseTooLate:
		s.reverse()
	default:
		s.end(Reversed, ReasonNeverArrived, ProofSigned)
	}
}

// absentByTransport is the exception of rule 9, for answers that WeChat Pay may leave unsigned: after T_dead a verified
// 204 to our reverse, then "no such order" twice, at least 3 s apart, over verified TLS. It reports whether it acted.
func (s *stepper) absentByTransport() bool {
	switch {
	case !s.dead() || s.p.ReverseTooLate || s.p.MoneySeen || s.mayNotReverse():
		return false
	case !s.p.DeadReverse:
		s.reverse()
	case !s.p.DeadReverseDone:
		return false
	case s.p.AbsentAt.IsZero():
		s.p.AbsentAt = s.at
		s.wakeFor(QueryCall, s.at.Add(absenceGap))
	case s.at.Sub(s.p.AbsentAt) < absenceGap:
		s.wakeFor(QueryCall, s.p.AbsentAt.Add(absenceGap))
	default:
		s.end(Reversed, ReasonNeverArrived, ProofTransport)
	}
	return true
}

// tooLate is rule 13: WeChat Pay, or the clock on two starts, says that no reverse is possible any more; a person
// gives the money back by a refund. What is known of refunds already tells that person more.
func (s *stepper) tooLate() {
	if !s.p.Attention.refund() {
		s.p.Attention = AttentionReverseTooLate
	}
	s.askAtLeisure()
}

// giveBack is rule 13: where no reverse is possible any more, what WeChat Pay still holds goes back by a refund. It needs WeChat Pay's own
// word that the money is there, with no refund that failed and none that is not known; and no reverse that may still be in flight.
func (s *stepper) giveBack(row seen) {
	quiet := s.p.NextReverseAt.Add(reverseLate)
	if s.p.Status != Reversing || !s.p.ReverseTooLate || s.mayNotReverse() || s.at.Before(quiet) {
		return
	}
	held := s.p.Trade.Amount
	switch row {
	case seenOurs:
	case seenPartBack:
		held.Minor -= s.p.Trade.Refunds.Done + s.p.Trade.Refunds.Pending
	default:
		return
	}
	s.commands = append(s.commands, Command{Kind: GiveBack, Amount: held})
}

// lookAndReverse: the order is ours by its tag but is not what we asked for: never Paid, a person looks, and it is taken back.
func (s *stepper) lookAndReverse(row seen) {
	s.p.Attention = AttentionMismatch
	if s.p.Status == Reversing {
		s.wakeForReverse(s.p.NextReverseAt)
		return
	}
	s.goOn(row)
}

// lookOnly: an order that is not provably ours is left alone, and asked about at leisure.
func (s *stepper) lookOnly(row seen) {
	if row == seenUnclaimed {
		s.p.Stranger = Unclaimed
		s.lookAtLeisure()
		return
	}
	s.p.Stranger, s.p.Attention = Another, AttentionAnotherTill
	s.wakeFor(QueryCall, s.at.Add(idleQueryEvery))
}

// lookRefund: REFUND is no proof before all of the money is back for good (I4); until then a person is told what is known of it. A sum
// that could not be had takes back nothing that was known before.
func (s *stepper) lookRefund(row seen) {
	if row != seenRefund || !s.p.Attention.refund() {
		s.p.Attention = refundAttention(row)
	}
	s.wakeFor(QueryCall, s.at.Add(idleQueryEvery))
}

// lookVanished: WeChat Pay contradicts itself; a person looks, and it is taken back as before.
func (s *stepper) lookVanished() {
	if s.p.Attention == "" {
		s.p.Attention = AttentionVanished
	}
	s.reverseOrWatch()
}

// refundAttention says why a person looks at a refunded order.
func refundAttention(row seen) Reason {
	switch row {
	case seenOnItsWay:
		return AttentionRefundPending
	case seenPartBack:
		return AttentionRefundPart
	case seenRefundFailed:
		return AttentionRefundFailed
	}
	return AttentionRefundSeen
}

// declineAtDead: the pay call was answered with a collision, and the number is not there: nothing was charged once
// nothing can come any more.
func (s *stepper) declineAtDead(row seen) {
	if s.dead() {
		s.end(Declined, cmp.Or(s.p.Refusal.Reason, s.p.Claim.Reason), ProofSigned)
		return
	}
	s.goOn(row)
}

func (s *stepper) woken() {
	switch {
	case s.p.Status == Waiting:
		s.expired()
	case s.p.Call != NoCall:
	case s.at.Before(s.p.WakeAt):
		s.wakeFor(s.p.NextCall, s.p.WakeAt)
	case s.p.NextCall == ReverseCall:
		s.reverse()
	default:
		s.ask()
	}
}

func (s *stepper) ask() {
	s.p.Queries++
	s.call(QueryCall)
}

// cancelAsked is rule 8: an event, not an interrupt.
func (s *stepper) cancelAsked() {
	if s.p.CancelAsked {
		return
	}
	switch s.p.Status {
	case Waiting:
		s.p.CancelAsked = true
		s.end(Cancelled, ReasonCashier, ProofNotSent)
	case Paying:
		s.p.CancelAsked, s.p.Hurry = true, true
	case Confirming:
		s.p.CancelAsked, s.p.Hurry = true, true
		if s.p.Call == NoCall {
			s.wakeFor(QueryCall, later(s.at, earlier(s.p.WakeAt, s.p.ReverseDue())))
		}
	}
}

// restarted is rule 11: what waited is cancelled, all else is asked for before anything is decided, and every time counts anew.
func (s *stepper) restarted(e Event) {
	if s.p.Status == Waiting {
		s.end(Cancelled, ReasonRestart, ProofNotSent)
		return
	}
	s.p.Restarts++
	s.p.Call, s.p.WakeAt = NoCall, time.Time{}
	s.p.FirstPayAt, s.p.PayEndedAt = s.at, s.at
	s.p.NextReverseAt = s.at.Add(ReverseGuard)
	s.p.DeadReverse, s.p.DeadReverseDone, s.p.AbsentAt = false, false, time.Time{}
	if e.Age > ReverseLifetime {
		s.p.OldStarts++
		s.p.ReverseTooLate = s.p.ReverseTooLate || s.p.OldStarts >= 2
	}
	if s.p.Status == Paying {
		s.p.Status, s.p.Reason = Confirming, ReasonUnknown
	}
	s.ask()
}

func (s *stepper) expired() {
	switch {
	case s.p.Status != Waiting:
	case s.at.Before(s.p.WakeAt):
		s.commands = append(s.commands, Command{Kind: Wake, At: s.p.WakeAt})
	default:
		s.end(Cancelled, ReasonScanTimeout, ProofNotSent)
	}
}

// setAside is rule 12: the till is freed, never the sale.
func (s *stepper) setAside(e Event) {
	if s.p.MayBeSetAside(s.at) {
		s.p.SetAside = SetAside{At: s.at, Operator: e.Operator, Note: e.Note}
	}
}

// call begins the next call: it is the only one in flight.
func (s *stepper) call(kind CallKind) {
	send := map[CallKind]CommandKind{PayCall: SendPay, QueryCall: SendQuery, ReverseCall: SendReverse}[kind]
	s.p.Calls++
	s.p.Call, s.p.CallStartedAt = kind, s.at
	s.p.WakeAt, s.p.NextCall = time.Time{}, NoCall
	s.commands = append(s.commands, Command{Kind: send, Call: s.p.Calls})
}

func (s *stepper) hangUp() CallKind {
	ended := s.p.Call
	s.p.Call = NoCall
	return ended
}

// wakeFor sleeps until at and then makes the call; a time that has passed makes it now.
func (s *stepper) wakeFor(next CallKind, at time.Time) {
	s.p.NextCall, s.p.WakeAt = next, later(at, s.at)
	s.commands = append(s.commands, Command{Kind: Wake, At: s.p.WakeAt})
}

// wakeForReverse sleeps until the next reverse is due, unless the order is another's or it comes too late for one.
func (s *stepper) wakeForReverse(at time.Time) {
	switch {
	case s.mayNotReverse():
		s.lookAtLeisure()
	case s.p.ReverseTooLate:
		s.tooLate()
	default:
		s.wakeFor(ReverseCall, at)
	}
}

// soonerOfDead moves a pause that would sleep through T_dead to T_dead.
func (s *stepper) soonerOfDead(at time.Time) time.Time {
	if dead := s.p.DeadAt(); s.at.Before(dead) {
		return earlier(at, dead)
	}
	return at
}

func (s *stepper) end(status Status, reason Reason, proof Proof) {
	if s.p.Status == Reversing && status == Paid {
		panic("payflow: paid after the decision to reverse")
	}
	s.p.Status, s.p.Reason, s.p.Proof, s.p.FinalAt = status, reason, proof, s.at
	s.p.Call, s.p.WakeAt, s.p.NextCall = NoCall, time.Time{}, NoCall
	s.p.Attention = ""
}

// mustNotBeForgotten asserts I6.
func mustNotBeForgotten(p Payment) {
	if p.Open() && p.Call == NoCall && p.WakeAt.IsZero() {
		panic("payflow: an open payment has neither a call in flight nor a wake time")
	}
}

// seenByTill is what a till sees of a payment; a change of it is announced.
type seenByTill struct {
	status      Status
	reason      Reason
	attention   Reason
	stranger    Stranger
	cancelAsked bool
	setAside    bool
	asking      bool
	transaction TransactionID
}

func visible(p Payment) seenByTill {
	return seenByTill{p.Status, p.Reason, p.Attention, p.Stranger, p.CancelAsked, !p.SetAside.At.IsZero(), p.Hurry, p.Trade.TransactionID}
}

// Durable reports whether the step from before to after must be on disk before anything is done about it: polling
// that changes no status, flag or right writes nothing.
func Durable(before, after Payment) bool {
	b, a := visible(before), visible(after)
	b.reason, a.reason = "", ""
	return b != a || before.Refusal != after.Refusal || before.CodeHash != after.CodeHash || before.ReverseTooLate != after.ReverseTooLate ||
		before.OldStarts != after.OldStarts || before.MoneySeen != after.MoneySeen
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
