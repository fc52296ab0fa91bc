package payflow

import (
	"fmt"
	"time"
)

// judge returns which invariant a step broke, or "". before and after are the payment, w is the world once it has heard the event, but
// not yet obeyed the commands; kept is what the journal then holds.
func judge(before, after, kept *Payment, e *Event, commands []Command, w *world) string {
	broken := judgeCalls(after, e, commands, w) // one after the other: a list of functions would put every state on the heap
	if broken == "" {
		broken = judgeEnd(before, after, e, commands, w)
	}
	if broken == "" {
		broken = judgeForgotten(after, commands, w)
	}
	if broken == "" {
		broken = judgeRestart(before, after, e, commands)
	}
	if broken == "" {
		broken = judgeDeadline(before, after, e, w)
	}
	if broken == "" {
		broken = judgeAttention(before, after, e, w)
	}
	if broken == "" {
		broken = judgeRefunds(before, after, e, w)
	}
	if broken == "" {
		broken = judgeGiveBack(after, kept, e, commands, w)
	}
	if broken == "" {
		broken = judgeFlags(before, after, e, commands, w)
	}
	if broken == "" {
		broken = judgeKept(kept, commands)
	}
	return broken
}

// judgeKept is I1 as far as a step decides it: what moves money is on disk first.
func judgeKept(kept *Payment, commands []Command) string {
	for _, c := range commands {
		if c.Kind == SendPay && kept.Status != Paying || c.Kind == SendReverse && kept.Status != Reversing {
			return "I1: " + string(c.Kind) + " while the journal says " + string(kept.Status)
		}
	}
	return ""
}

func judgeCalls(after *Payment, e *Event, commands []Command, w *world) string {
	sends := 0
	for _, c := range commands {
		if c.Kind != SendPay && c.Kind != SendQuery && c.Kind != SendReverse {
			continue
		}
		sends++
		switch {
		case sends > 1 || w.call != NoCall:
			return "two calls in flight"
		case c.Call != after.Calls:
			return "a call without its number"
		case w.sends >= 4:
			return "a storm: more than four calls at one instant"
		}
		broken := ""
		switch c.Kind {
		case SendPay:
			broken = judgePay(e, c, w)
		case SendReverse:
			broken = judgeReverse(e, w)
		}
		if broken != "" {
			return broken
		}
	}
	return ""
}

func judgePay(e *Event, c Command, w *world) string {
	switch {
	case w.payments > 0:
		return "I2: a code in two pay calls"
	case e.Kind != CodeScanned || c.Code != e.Code:
		return "I2: a pay call without a scan"
	}
	return ""
}

func judgeReverse(e *Event, w *world) string {
	patient := w.firstPay.Add(w.reverseAfter)
	switch {
	case w.payEnded.IsZero() || w.now.Before(w.guard()):
		return "I3: a reverse sooner than 15 s"
	case w.mustNotReverse():
		return "rule 3: a reverse of an order that is another's"
	case w.tooLate || w.oldStarts >= 2:
		return "rule 13: a reverse though it comes too late"
	case w.refundShown:
		return "a reverse of an order that is shown as refunded"
	case !w.asked:
		return "rule 11: a reverse before the first question since the start"
	case !w.reverseLeft && e.Kind != QueryAnswered && e.Kind != CallLost:
		return "rule 6: a first reverse without a last query"
	case !w.reverseLeft && !w.noHope && w.now.Before(patient):
		return "rule 5: a reverse before reverse_after, though there was hope"
	case !w.reverseEnd.IsZero() && w.now.Sub(w.reverseEnd) < 2400*time.Millisecond && (w.deadReverse || !w.dead()):
		return "rule 6: a reverse without its pause"
	}
	return ""
}

// judgeEnd: I4, I5, I13, I14, rules 1, 4, 7 and 9.
func judgeEnd(before, after *Payment, e *Event, commands []Command, w *world) string {
	if before.Status.Final() && (*before != *after || len(commands) > 0) {
		return "I5: a final payment changed"
	}
	if before.Status.Final() || !after.Status.Final() {
		return ""
	}
	if after.Attention != "" {
		return "a false alarm: a person must look at what is final"
	}
	for _, c := range commands {
		if c.Kind != Announce {
			return "a final payment goes on: " + string(c.Kind)
		}
	}
	switch after.Status {
	case Paid:
		return judgePaid(e, w)
	case Declined:
		return judgeDeclined(after, e, w)
	case Reversed:
		return judgeReversed(before, after, e, w)
	}
	if w.payments > 0 {
		return "cancelled, though the pay call may have left"
	}
	return ""
}

func judgePaid(e *Event, w *world) string {
	verified := (e.Kind == PayAnswered || e.Kind == QueryAnswered) && e.Outcome.Kind == Found
	switch {
	case w.reverseLeft:
		return "I13: paid after a reverse"
	case !verified || e.Outcome.Trade.State != TradeSuccess:
		return "I14: paid without a verified SUCCESS"
	case w.order != paid && !w.order.refunded() || w.wrong:
		return "I4: paid, but WeChat Pay holds " + truthNames[w.order]
	}
	return ""
}

func judgeDeclined(after *Payment, e *Event, w *world) string {
	switch {
	case e.Kind == PayAnswered && e.Outcome.Kind == NotSent:
		return ""
	case w.mayHoldMoney():
		return "I4: declined, but WeChat Pay holds or may come to hold " + truthNames[w.seenAs()]
	case !w.refusedFirst && !w.collided:
		return "I14: declined without a refusal"
	case e.Kind != QueryAnswered || e.Outcome.Kind != Found && e.Outcome.Kind != NoSuchOrder:
		return "rule 4: declined without a query's verified answer"
	case after.Reason == "":
		return "declined without a reason"
	}
	return ""
}

func judgeReversed(before, after *Payment, e *Event, w *world) string {
	absent := e.Outcome.Kind == NoSuchOrder || e.Lost.Claim == NoSuchOrder
	switch {
	case w.mayHoldMoney():
		return "I4: reversed, but WeChat Pay holds or may come to hold " + truthNames[w.seenAs()]
	case absent && w.moneyShown:
		return "I4: an order whose money was seen is gone, and that is called the end"
	case absent && !w.dead():
		return "rule 7: no such order, before the code was dead"
	case absent && !w.deadReverse && !w.tooLate && w.oldStarts < 2:
		return "rule 7: no such order, without a reverse after the code was dead"
	case e.Kind == CallLost && (w.absentAt.IsZero() || w.now.Sub(w.absentAt) < 3*time.Second):
		return "rule 9: unsigned answers without a verified 204 and two of them 3 s apart"
	case e.Kind == CallLost && after.Proof != ProofTransport, e.Kind != CallLost && after.Proof != ProofSigned:
		return "rule 9: the kind of proof is not what was seen"
	case e.Kind != CallLost && e.Kind != QueryAnswered && e.Kind != PayAnswered:
		return "I14: reversed by " + string(e.Kind)
	case e.Kind == QueryAnswered && !absent && e.Outcome.Kind != Found:
		return "I14: reversed by an answer that says nothing"
	case e.Outcome.Trade.State == TradeRefund && !addsUp(e.Outcome.Trade):
		return "I14: reversed by refunds that do not add up"
	case (after.Reason == ReasonRefunded) != w.moneyShown:
		return "reversed: whether money had been taken is not what was seen"
	case after.Reason == ReasonClosed && !w.unpaidShown && e.Outcome.Trade.State == TradeRevoked:
		return "reversed: called unpaid, and nobody saw it unpaid"
	case after.Reason == ReasonRevoked && (before.UnpaidSeen || e.Outcome.Trade.State != TradeRevoked):
		return "reversed: called not known, and it is known"
	}
	return ""
}

// addsUp reports refunds that were read, and are all done, and are all of the money.
func addsUp(t Trade) bool { return t.Refunds == RefundSum{Known: true, Done: t.Amount.Minor} }

// judgeForgotten is I6: the world's own timer and call, not the payment's word for them.
func judgeForgotten(after *Payment, commands []Command, w *world) string {
	if after.Status.Final() {
		return ""
	}
	call, timer := w.call, w.timer
	for _, c := range commands {
		switch c.Kind {
		case SendPay, SendQuery, SendReverse:
			call = PayCall
		case Wake:
			timer = c.At
		}
	}
	switch {
	case call == NoCall && timer.IsZero():
		return "I6: an open payment is forgotten"
	case call == NoCall && after.Status != Waiting && timer.Sub(w.now) > 91*time.Second:
		return fmt.Sprintf("I6: the payment sleeps for %s", timer.Sub(w.now))
	case call == NoCall && !after.WakeAt.Equal(timer):
		return "I6: the wake that was asked for is not the payment's"
	}
	return ""
}

// judgeRestart is rule 11.
func judgeRestart(before, after *Payment, e *Event, commands []Command) string {
	if e.Kind != Restarted || before.Status.Final() {
		return ""
	}
	if before.Status == Waiting {
		if after.Status != Cancelled {
			return "rule 11: a payment that waited for its scan outlives the restart"
		}
		return ""
	}
	asks := false
	for _, c := range commands {
		asks = asks || c.Kind == SendQuery
	}
	if !asks || after.Status.Final() {
		return "rule 11: not asked for first after the restart"
	}
	return ""
}

// judgeDeadline: a verified SUCCESS that is ours is believed at once, and a query that ends when the reverse is due is the last (rules 3, 6, 8).
func judgeDeadline(before, after *Payment, e *Event, w *world) string {
	if before.Status != Paying && before.Status != Confirming {
		return ""
	}
	t := e.Outcome.Trade
	ours := (e.Kind == PayAnswered || e.Kind == QueryAnswered) && e.Outcome.Kind == Found && t.State == TradeSuccess &&
		t.OutTradeNo == before.OutTradeNo && t.Attach == string(before.Tag) && t.Amount == before.Amount
	if ours && after.Status != Paid {
		return "rule 3: a verified SUCCESS that is ours, and not paid"
	}
	if before.Status == Paying || e.Kind != QueryAnswered && e.Kind != CallLost || after.Status != Confirming {
		return ""
	}
	due := w.guard()
	if patient := w.firstPay.Add(before.Timing.ReverseAfter); !w.noHope && patient.After(due) {
		due = patient
	}
	if !w.now.Before(due) && !w.mustNotReverse() && !w.tooLate && w.oldStarts < 2 && after.Attention == "" {
		return "rule 6: the last query is over, and nothing is taken back"
	}
	return ""
}

// judgeAttention: what a person must look at is said, and stays said until the end.
func judgeAttention(before, after *Payment, e *Event, w *world) string {
	if after.Status.Final() {
		return ""
	}
	vanished := e.Outcome.Kind == NoSuchOrder && w.moneyShown && before.Status == Reversing
	needed := vanished || w.theirsShown || w.oddShown || w.refundShown || w.refusals >= 5
	switch {
	case needed && after.Attention == "" && e.Kind != Restarted:
		return "a person must look, and nobody is told"
	case w.theirsShown && after.Stranger != Another:
		return "rule 3: another till's order is not called so"
	case after.Stranger == Another && !w.theirsShown:
		return "rule 3: called another till's order, though none was shown"
	case after.Attention == AttentionReverseTooLate && !w.tooLate && w.oldStarts < 2:
		return "rule 13: called too late on the word of one start"
	case before.Attention != "" && after.Attention == "" && before.Attention != AttentionUnclaimed:
		return "attention is lost"
	}
	return ""
}

// judgeRefunds: while we take back, all of the money back is the end, and of anything less a person is told what is known.
func judgeRefunds(before, after *Payment, e *Event, w *world) string {
	t := e.Outcome.Trade
	ours := t.Attach == string(before.Tag) || t.Attach == "" && !w.collided
	if before.Status != Reversing || e.Kind != QueryAnswered || t.State != TradeRefund || !ours {
		return ""
	}
	switch {
	case addsUp(t) && after.Status != Reversed:
		return "all of it is back, and it is not at its end"
	case after.Status == Reversed:
		return ""
	case t.Refunds.Known && after.Attention != toldOf(t.Refunds):
		return fmt.Sprintf("a person reads %s of %+v", after.Attention, t.Refunds)
	case !t.Refunds.Known && before.Attention.refund() && after.Attention != before.Attention:
		return "what was known of refunds is forgotten"
	case !t.Refunds.Known && !before.Attention.refund() && after.Attention != AttentionRefundSeen:
		return "refunds that nobody could add up are called known"
	}
	return ""
}

// judgeGiveBack is rule 13: money goes back by a refund where WeChat Pay says that it is there and no reverse is possible, and nowhere else.
func judgeGiveBack(after, kept *Payment, e *Event, commands []Command, w *world) string {
	t := e.Outcome.Trade
	held := t.Amount.Minor - t.Refunds.Done - t.Refunds.Pending
	ours := t.Attach == string(after.Tag) || t.Attach == "" && !w.collided
	shown := e.Kind == QueryAnswered && e.Outcome.Kind == Found && ours && t.OutTradeNo == after.OutTradeNo && sameMerchant(after.Merchant, t)
	due := after.Status == Reversing && (w.tooLate || w.oldStarts >= 2) && !w.mustNotReverse() && !w.now.Before(w.reverseLateUntil) &&
		(t.State == TradeSuccess && t.Amount == after.Amount || t.State == TradeRefund && t.Refunds.Known && t.Refunds.Dead == 0 && held > 0 && t.Amount.Currency == after.Amount.Currency)
	told := false
	for _, c := range commands {
		if c.Kind != GiveBack {
			continue
		}
		told = true
		switch {
		case kept.Status != Reversing || after.Status != Reversing:
			return "rule 13: money is given back while the payment is not being taken back"
		case !w.tooLate && w.oldStarts < 2:
			return "rule 13: money is given back by a refund though a reverse is possible"
		case w.now.Before(w.reverseLateUntil) || w.call == ReverseCall:
			return "rule 13: a refund while a reverse may be in flight"
		case !shown || !due:
			return "rule 13: money is given back that WeChat Pay does not say it holds, or whose refunds are not known"
		case c.Amount != (Amount{Minor: held, Currency: t.Amount.Currency}):
			return "rule 13: not as much is given back as WeChat Pay holds"
		}
	}
	if shown && due && !told && !w.now.Before(after.NextReverseAt.Add(reverseLate)) {
		return "rule 13: no reverse is possible, and the money is not given back"
	}
	return ""
}

// toldOf is what a person reads of the sums that the walk's answers carry.
func toldOf(sum RefundSum) Reason {
	switch {
	case sum.Dead > 0:
		return AttentionRefundFailed
	case sum.Pending > 0:
		return AttentionRefundPending
	}
	return AttentionRefundPart
}

// judgeFlags: rules 1, 8, 12 and 14, and that each change is announced.
func judgeFlags(before, after *Payment, e *Event, commands []Command, w *world) string {
	told := false
	for _, c := range commands {
		told = told || c.Kind == Announce
	}
	mayAside := !before.Status.Final() && before.Status != Waiting && (before.Attention != "" || w.dead())
	switch {
	case visible(*before) != visible(*after) && (!told || after.Version != before.Version+1):
		return "a change that nobody is told"
	case e.Kind == PayAnswered && e.Outcome.Kind == NotSent && before.Status == Paying && after.Status != Declined:
		return "rule 1: nothing was sent, and that is not said"
	case e.Kind == CancelAsked && (before.Status == Waiting || before.Status == Paying || before.Status == Confirming) && !after.CancelAsked:
		return "rule 8: the cancel is forgotten"
	case before.CancelAsked && !after.CancelAsked || !before.SetAside.At.IsZero() && after.SetAside.At.IsZero():
		return "rules 8, 12: a wish is forgotten"
	case e.Kind == SetAsideAsked && before.SetAside.At.IsZero() && mayAside == after.SetAside.At.IsZero():
		return "rule 12: set aside when it must not be, or not when it may be"
	case e.Kind == SetAsideAsked && after.Status != before.Status:
		return "rule 12: set aside ends a payment"
	case after.CodeSpent != (w.paysWith(commands) && !(after.Status == Declined && after.Proof == ProofNotSent)):
		return "rule 14: whether the code is spent is not what happened"
	case after.Stranger != Another && after.Status != Paid && after.Open() && !after.LocksSale():
		return "I7: the sale of an open payment is free"
	}
	return ""
}

// paysWith reports that the pay call has begun, or begins by these commands.
func (w *world) paysWith(commands []Command) bool {
	for _, c := range commands {
		if c.Kind == SendPay {
			return true
		}
	}
	return w.payments > 0
}
