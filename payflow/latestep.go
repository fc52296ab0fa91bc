package payflow

import (
	"hash/fnv"
	"time"
)

const (
	// latePatience is how long a check may go without a certain answer before a person is told; asking goes on.
	latePatience = 30 * time.Minute / Pace

	// lateAskEvery is the pause between questions that nobody waits for: after latePatience, and while only a person can end it.
	lateAskEvery = 10 * time.Minute / Pace

	// lateRefundPatience is how long a refund may take to show before a person is told ("wallet within 20 minutes" is the usual; refund page).
	lateRefundPatience = time.Hour / Pace
)

// LateStep returns the late truth after e, and what to do next. As Step it reads no clock, and the engine must commit what it returned
// before it carries out any command, whenever LateDurable says so. p is the final payment, which never changes.
func LateStep(p Payment, l Late, e Event) (Late, []Command) {
	return lateStep(p, l, e, lateAnswers)
}

// lateStepper is one step in the making.
type lateStepper struct {
	p        Payment
	l        Late
	at       time.Time
	answers  lateTable
	commands []Command
}

func lateStep(p Payment, before Late, e Event, table lateTable) (Late, []Command) {
	if !p.Status.Final() || p.Status == Paid || before.Stage.Over() && e.Kind != LateAsked {
		return before, nil
	}
	s := &lateStepper{p: p, l: before, at: e.At, answers: table}
	s.take(e)
	if LateDurable(before, s.l) {
		s.commands = append(s.commands, Command{Kind: Announce})
	}
	if !s.l.Stage.Over() && s.l.Call == NoCall && s.l.WakeAt.IsZero() {
		panic("payflow: a late truth has neither a call in flight nor a wake time")
	}
	return s.l, s.commands
}

func (s *lateStepper) take(e Event) {
	switch e.Kind {
	case Restarted:
		s.restarted(e)
	case Woken:
		s.woken()
	case QueryAnswered, ReverseAnswered, CallLost:
		s.ended(e)
	case RefundWished:
		s.refundWished(e)
	case LateAsked:
		s.lookAgain()
	case LateHandled:
		s.handled(e)
	}
}

// restarted: every time counts anew, T_dead and the 15 s too. What is only owed waits for T_dead; all else is asked for at once.
func (s *lateStepper) restarted(e Event) {
	s.countAnew()
	if e.Age > ReverseLifetime {
		s.l.OldStarts++
		s.l.TooLate = s.l.TooLate || s.l.OldStarts >= 2
	}
	if s.l.Stage == LateOwed {
		s.wakeFor(QueryCall, s.l.DeadAt)
		return
	}
	s.call(QueryCall)
}

func (s *lateStepper) countAnew() {
	s.l.Since, s.l.DeadAt, s.l.GuardAt = s.at, s.at.Add(DeadAfter), s.at.Add(ReverseGuard)
	s.l.NextReverseAt = s.l.GuardAt
	s.l.Call, s.l.NextCall, s.l.WakeAt, s.l.AbsentAt = NoCall, NoCall, time.Time{}, time.Time{}
	s.l.Lost, s.l.Reverses, s.l.ReverseRefusals = 0, 0, 0
}

// lookAgain begins a check of a payment that owes none any more, or asks at once where one waits for its time.
func (s *lateStepper) lookAgain() {
	switch {
	case !s.p.CodeSpent || s.l.Call != NoCall:
		return
	case s.l.Stage.Over():
		s.l = Late{Stage: LateOwed, OldStarts: s.l.OldStarts, TooLate: s.l.TooLate, Calls: s.l.Calls}
		s.countAnew()
	case s.l.Stage != LateOwed:
		return
	}
	s.call(QueryCall)
}

// handled ends what needs a person by a person's word.
func (s *lateStepper) handled(e Event) {
	if s.l.Attention == "" {
		return
	}
	s.l.Settled = SetAside{At: s.at, Operator: e.Operator, Note: e.Note}
	s.end(LateSettled)
}

func (s *lateStepper) woken() {
	switch {
	case s.l.Call != NoCall:
	case s.at.Before(s.l.WakeAt):
		s.wakeFor(s.l.NextCall, s.l.WakeAt)
	case s.l.NextCall == ReverseCall:
		s.reverse()
	default:
		s.call(QueryCall)
	}
}

// ended takes the end of the call in flight: an answer or its loss.
func (s *lateStepper) ended(e Event) {
	if s.l.Call == NoCall || e.Call != s.l.Calls {
		return
	}
	call := s.l.Call
	switch {
	case e.Kind == CallLost && call == ReverseCall:
		s.reverseEnded()
		s.call(QueryCall)
	case e.Kind == CallLost:
		s.queryLost(e.Lost)
	case e.Kind == ReverseAnswered && call == ReverseCall:
		s.reverseAnswered(e.Outcome)
	case e.Kind == QueryAnswered && call == QueryCall:
		s.queryAnswered(e.Outcome)
	}
}

func (s *lateStepper) queryAnswered(o Outcome) {
	s.l.Call = NoCall
	switch o.Kind {
	case Found:
		s.judge(o.Trade)
	case NoSuchOrder:
		s.act(seenAbsent)
	default:
		s.act(seenLost)
	}
}

// queryLost: nothing is known. What ended by rule 9, because WeChat Pay leaves such answers unsigned, is not doubted for want of a signature:
// two more of them, at least 3 s apart and asked for when the code is dead, say again that there is no such order.
func (s *lateStepper) queryLost(l Lost) {
	s.l.Call = NoCall
	absent := l.Claim == NoSuchOrder && s.p.Proof == ProofTransport && s.l.Stage == LateOwed && !s.l.MoneySeen && s.deadWhenAsked()
	switch {
	case !absent:
		s.act(seenLost)
	case s.l.AbsentAt.IsZero():
		s.l.AbsentAt = s.at
		s.wakeFor(QueryCall, s.at.Add(absenceGap))
	case s.l.CallStartedAt.Sub(s.l.AbsentAt) < absenceGap:
		s.wakeFor(QueryCall, s.l.AbsentAt.Add(absenceGap))
	default:
		s.end(LateClear)
	}
}

func (s *lateStepper) judge(t Trade) {
	row := look(s.p, t)
	if row != seenLost {
		s.l.Trade, s.l.Lost = t, 0
		s.l.Stranger = strangerOf(row)
		if s.l.Stage != LateOwed && row.money() && !s.l.MoneySeen {
			s.l.MoneySeen, s.l.FoundAt = true, s.at
		}
		if s.l.Attention == AttentionLateUnanswered {
			s.l.Attention = ""
		}
	}
	s.act(row)
}

func strangerOf(row seen) Stranger {
	switch row {
	case seenAnother:
		return Another
	case seenUnclaimed:
		return Unclaimed
	}
	return NoStranger
}

// act does what the table says for the stage and the row seen.
func (s *lateStepper) act(row seen) {
	switch s.answers[s.l.Stage][row] {
	case lateEnd:
		s.over(row)
	case lateMoney:
		s.moneyFound(row)
	case lateOpen:
		s.l.Stage = LateTakingBack
		s.act(row)
	case lateReverse:
		s.takeBack(row)
	case lateAbsent:
		s.noSuchOrder()
	case lateVanished:
		s.look(AttentionVanished)
		s.reverseOrWatch()
	case lateWatch:
		s.watchRefund(row)
	case lateStranger:
		s.look(map[bool]Reason{true: AttentionAnotherTill, false: AttentionUnclaimed}[row == seenAnother])
		s.wakeFor(QueryCall, s.at.Add(lateAskEvery))
	case lateWait:
		s.waitForRefund()
	default:
		s.askOn()
	}
}

// moneyFound is the late success: the money is there after all. Where the payment had ended by the very proof that all of it went
// back, the same proof again is no news.
func (s *lateStepper) moneyFound(row seen) {
	if row == seenAllBack && s.p.MoneySeen {
		s.end(LateClear)
		return
	}
	s.l.MoneySeen, s.l.Stage, s.l.FoundAt = true, LateTakingBack, s.at
	s.act(row)
}

// takeBack reverses when the pause since the last one is over; where that is too late, a refund gives the money back.
func (s *lateStepper) takeBack(row seen) {
	if row == seenMismatch {
		s.look(AttentionMismatch)
	}
	switch {
	case !s.tooLate():
		s.wakeFor(ReverseCall, s.l.NextReverseAt)
	case row == seenOurs && s.at.Before(s.quiet()):
		s.wakeFor(QueryCall, earlier(s.at.Add(lateAskEvery), s.quiet()))
	case row == seenOurs:
		s.wishRefund()
	default: // an order that may still be paid after seven days, or of another amount than ours: a person's work
		s.look(AttentionReverseTooLate)
		s.wakeFor(QueryCall, s.at.Add(lateAskEvery))
	}
}

// quiet is when no reverse can be in flight any more (rule 13): one whose answer was lost may be carried out until then.
func (s *lateStepper) quiet() time.Time { return s.l.NextReverseAt.Add(reverseLate) }

// tooLate is rule 13: WeChat Pay's word, the corrected clock's on two starts, or seven days of this process.
func (s *lateStepper) tooLate() bool {
	if s.at.Sub(s.l.Since) > ReverseLifetime {
		s.l.TooLate = true
	}
	return s.l.TooLate
}

// wishRefund asks for the refund, again where it was refused: the same wish is the same refund.
func (s *lateStepper) wishRefund() {
	if s.l.Stage != LateRefunding {
		s.l.Stage, s.l.Since = LateRefunding, s.at // the patience with the refund counts from here
	}
	s.commands = append(s.commands, Command{Kind: WishRefund})
	s.askAtLeisure()
}

func (s *lateStepper) refundWished(e Event) {
	switch {
	case s.l.Stage != LateRefunding:
	case e.OutRefundNo == "":
		s.look(AttentionReverseTooLate)
	default:
		s.l.OutRefundNo = e.OutRefundNo
		if s.l.Attention == AttentionReverseTooLate {
			s.l.Attention = ""
		}
	}
}

// waitForRefund: the money is there still. A wish that a crash kept out of the journal is made again.
func (s *lateStepper) waitForRefund() {
	switch {
	case s.l.OutRefundNo == "":
		s.wishRefund()
		return
	case s.at.Sub(s.l.Since) >= lateRefundPatience && !s.l.Attention.refund():
		s.look(AttentionLateRefund)
	}
	s.askAtLeisure()
}

// watchRefund: an order that is being refunded is not reversed, and only asked about (I4: money that is promised is money that it still holds).
func (s *lateStepper) watchRefund(row seen) {
	awaited := s.l.Stage == LateRefunding && (row == seenOnItsWay || row == seenRefund)
	if !awaited && (row != seenRefund || !s.l.Attention.refund()) {
		s.look(refundAttention(row))
	}
	if awaited && s.at.Sub(s.l.Since) >= lateRefundPatience && s.l.Attention == "" {
		s.look(AttentionLateRefund)
	}
	s.askAtLeisure()
}

// noSuchOrder: an answer counts when it was asked for after T_dead.
func (s *lateStepper) noSuchOrder() {
	if !s.deadWhenAsked() {
		s.wakeFor(QueryCall, s.l.DeadAt)
		return
	}
	s.end(LateClear)
}

func (s *lateStepper) deadWhenAsked() bool { return !s.l.CallStartedAt.Before(s.l.DeadAt) }

// over ends by CLOSED, REVOKED or refunds that are all of the money. A time of payment in an order that was revoked says that its
// money had been taken, which may be news.
func (s *lateStepper) over(row seen) {
	if row == seenClosed && hadBeenPaid(s.p, s.l.Trade) && !s.p.MoneySeen && !s.l.MoneySeen {
		s.l.MoneySeen, s.l.FoundAt = true, s.at
	}
	if !s.l.MoneySeen {
		s.end(LateClear)
		return
	}
	s.l.By = LateByReverse
	if row == seenAllBack {
		s.l.By = LateByRefund
	}
	s.end(LateGivenBack)
}

// askOn: nothing was learnt. A check is asked again with back-off, and after latePatience a person is told; money that was seen is
// reversed when the pause is over.
func (s *lateStepper) askOn() {
	switch s.l.Stage {
	case LateTakingBack:
		s.reverseOrWatch()
		return
	case LateRefunding:
		s.askAtLeisure()
		return
	}
	s.l.Lost++
	if s.at.Sub(s.l.DeadAt) >= latePatience && s.l.Attention == "" {
		s.look(AttentionLateUnanswered)
	}
	if s.at.Sub(s.l.DeadAt) >= latePatience || s.l.Stranger != NoStranger {
		s.wakeFor(QueryCall, s.at.Add(lateAskEvery))
		return
	}
	s.wakeFor(QueryCall, s.at.Add(lateBackOff(s.p.OutTradeNo, s.l.Lost)))
}

func (s *lateStepper) reverseOrWatch() {
	switch {
	case s.l.Attention.refund() || s.l.Stranger != NoStranger || s.tooLate():
		s.askAtLeisure()
	default:
		s.wakeFor(ReverseCall, s.l.NextReverseAt)
	}
}

// askAtLeisure asks each minute at first, and each ten minutes later.
func (s *lateStepper) askAtLeisure() {
	pause := idleQueryEvery
	if s.at.Sub(s.l.Since) >= latePatience {
		pause = lateAskEvery
	}
	s.wakeFor(QueryCall, s.at.Add(pause))
}

func (s *lateStepper) look(why Reason) { s.l.Attention = why }

// reverse makes the reverse that is due. It waits for the guard: after a restart the 15 s count anew (I3).
func (s *lateStepper) reverse() {
	if guard := later(s.l.GuardAt, s.l.NextReverseAt); s.at.Before(guard) {
		s.wakeFor(ReverseCall, guard)
		return
	}
	s.l.Reverses++
	s.call(ReverseCall)
}

func (s *lateStepper) reverseAnswered(o Outcome) {
	s.reverseEnded()
	if o.Kind == ReverseDone {
		s.wakeFor(QueryCall, s.at.Add(queryAfterReverse))
		return
	}
	s.l.TooLate = s.l.TooLate || o.Kind == ReverseTooLate
	s.l.ReverseRefusals++
	if s.l.ReverseRefusals >= refusalsBeforeAttention && !s.l.TooLate {
		s.look(AttentionReverseRefused)
	}
	s.call(QueryCall)
}

func (s *lateStepper) reverseEnded() {
	s.l.Call = NoCall
	s.l.NextReverseAt = s.at.Add(lateBackOff(s.p.OutTradeNo, s.l.Reverses))
}

// lateBackOff is the pause after the nth try, as of a payment's reverses, spread likewise.
func lateBackOff(no OutTradeNo, tries int) time.Duration {
	base := reverseBackOff[min(max(tries-1, 0), len(reverseBackOff)-1)]
	h := fnv.New32a()
	_, _ = h.Write([]byte(no))
	_, _ = h.Write([]byte{'l', byte(tries)})
	permille := time.Duration(h.Sum32()%401) + 800
	return base * permille / 1000
}

// call begins the next call: it is the only one in flight.
func (s *lateStepper) call(kind CallKind) {
	send := SendQuery
	if kind == ReverseCall {
		send = SendReverse
	}
	s.l.Calls++
	s.l.Call, s.l.CallStartedAt = kind, s.at
	s.l.WakeAt, s.l.NextCall = time.Time{}, NoCall
	s.commands = append(s.commands, Command{Kind: send, Call: s.l.Calls})
}

func (s *lateStepper) wakeFor(next CallKind, at time.Time) {
	s.l.NextCall, s.l.WakeAt = next, later(at, s.at)
	s.commands = append(s.commands, Command{Kind: Wake, At: s.l.WakeAt})
}

func (s *lateStepper) end(stage LateStage) {
	s.l.Stage, s.l.EndedAt, s.l.Attention = stage, s.at, ""
	s.l.Call, s.l.WakeAt, s.l.NextCall = NoCall, time.Time{}, NoCall
}

// LateDurable reports whether the step from before to after must be on disk before anything is done about it: asking that learns
// nothing writes nothing.
func LateDurable(before, after Late) bool { return lateVisible(before) != lateVisible(after) }

func lateVisible(l Late) Late {
	return Late{Stage: l.Stage, Attention: l.Attention, Stranger: l.Stranger, MoneySeen: l.MoneySeen, OutRefundNo: l.OutRefundNo, By: l.By,
		TooLate: l.TooLate, OldStarts: l.OldStarts, FoundAt: l.FoundAt, Settled: l.Settled}
}

// LateLinks returns what the step from before to after ties to the payment (I5): each is told once.
func LateLinks(before, after Late) []Link {
	var links []Link
	add := func(when bool, at time.Time, kind, ref string) {
		if when {
			links = append(links, Link{At: at, Kind: kind, Ref: ref})
		}
	}
	add(!after.Stage.Over() && after.MoneySeen && !before.MoneySeen, after.FoundAt, LinkLateSuccess, string(after.Trade.TransactionID))
	add(after.OutRefundNo != "" && before.OutRefundNo == "", time.Time{}, LinkLateRefund, string(after.OutRefundNo))
	add(after.Attention != "" && after.Attention != before.Attention, time.Time{}, LinkLatePerson, string(after.Attention))
	add(after.Stage == LateGivenBack && before.Stage != LateGivenBack, after.EndedAt, LinkLateGivenBack, string(after.By))
	add(after.Stage == LateSettled && before.Stage != LateSettled, after.EndedAt, LinkLateSettled, after.Settled.Operator)
	return links
}
