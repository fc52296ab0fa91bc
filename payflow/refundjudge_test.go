package payflow

import (
	"fmt"
	"slices"
	"time"
)

// judgeRefund returns which rule a step broke, or "". w is the world once it has heard the event, and not yet obeyed the commands; kept is
// what the journal then holds, asked is the order as it was wished for.
func judgeRefund(before, after, kept *Refund, asked *RefundOrder, e *RefundEvent, commands []RefundCommand, w *refundWorld) string {
	for _, broken := range [...]string{
		judgeRefundCalls(after, kept, asked, e, commands, w), judgeRefundEnd(before, after, e, commands, w),
		judgeRefundForgotten(after, commands, w), judgeRefundAttention(before, after, e, commands, w), judgeRefundTold(before, after, e, commands, w),
	} {
		if broken != "" {
			return broken
		}
	}
	return ""
}

func judgeRefundCalls(after, kept *Refund, asked *RefundOrder, e *RefundEvent, commands []RefundCommand, w *refundWorld) string {
	sends := 0
	for _, c := range commands {
		if c.Kind == WakeRefund || c.Kind == AnnounceRefund {
			continue
		}
		sends++
		switch {
		case sends > 1 || w.call != NoRefundCall:
			return "two calls in flight"
		case c.Call != after.Calls:
			return "a call without its number"
		case after.RefundOrder != *asked:
			return "one wish, one refund: a call with another number, or other parameters"
		case w.sends >= 5:
			return "a storm: more than five calls at one instant"
		}
		if c.Kind == SendRefund {
			if broken := judgeRequest(after, kept, e, w); broken != "" {
				return broken
			}
		}
	}
	return ""
}

func judgeRequest(after, kept *Refund, e *RefundEvent, w *refundWorld) string {
	switch {
	case kept.RefundOrder != after.RefundOrder || kept.Status != RefundRequested || !kept.MayArrive:
		return "I1: a request that the journal does not know of"
	case w.taken:
		return "a request of what was taken on"
	case w.refused || w.noRoom:
		return "a request of what was refused"
	case !w.asked:
		return "a request before the first question since the start"
	case w.requests > 0 && !w.absent && !w.claimed:
		return "a request again, and nobody asked whether the first was taken on"
	case !w.requestEnd.IsZero() && w.now.Sub(w.requestEnd) < time.Minute, w.now.Before(e.FreeAt):
		return "two requests of one order within a minute"
	case e.Kind != RefundListed:
		return "a request, and nobody asked for the order's other refunds"
	case listCannotBe(e):
		return "a request on a list that cannot be"
	case leavesNoRoom(*after, *e):
		return "more than was paid, or a person's decision taken"
	}
	return ""
}

func listCannotBe(e *RefundEvent) bool {
	for _, t := range e.Listed {
		if t.Amount.Currency != "HKD" {
			return true
		}
	}
	return false
}

func judgeRefundEnd(before, after *Refund, e *RefundEvent, commands []RefundCommand, w *refundWorld) string {
	if before.Status.Final() {
		seen := *before
		seen.Attention, seen.Seen, seen.Version = after.Attention, after.Seen, after.Version
		if seen != *after || len(commands) > 0 && e.Kind != RefundSeen {
			return "I5: a final refund changed"
		}
		return ""
	}
	if !after.Status.Final() {
		return ""
	}
	for _, c := range commands {
		if c.Kind != AnnounceRefund {
			return "a final refund goes on: " + string(c.Kind)
		}
	}
	answered := e.Call == before.Calls && (e.Kind == RefundQueryAnswered || e.Kind == RefundListed)
	switch {
	case !answered:
		return "I14: ended by " + string(e.Kind)
	case after.Status == RefundDone && w.truth != refundSuccess:
		return "refunded, but WeChat Pay holds " + refundTruthNames[w.truth]
	case after.Status == RefundRefused && w.truth != noRefund && w.truth != refundClosed:
		return "refused, but WeChat Pay holds " + refundTruthNames[w.truth]
	case after.Status == RefundRefused && w.mayArrive():
		return "refused, but a request may still be taken on"
	case after.Status == RefundRefused && w.truth == noRefund && !w.refused && !w.noRoom:
		return "refused, and nobody has"
	case after.Status == RefundRefused && w.refused && !w.absent:
		return "refused on a refusal alone, without a query"
	case after.Why == "" || after.Status == RefundRefused && after.Refusal.Reason == "":
		return "ended without a reason"
	}
	return ""
}

// judgeRefundForgotten is I6, by the world's own timer and call.
func judgeRefundForgotten(after *Refund, commands []RefundCommand, w *refundWorld) string {
	if after.Status.Final() {
		return ""
	}
	call, timer := w.call, w.timer
	for _, c := range commands {
		switch c.Kind {
		case WakeRefund:
			timer = c.At
		case AnnounceRefund:
		default:
			call = RefundQueryCall
		}
	}
	longest := 3 * time.Hour
	if after.Status == RefundRequested {
		longest = 15 * time.Minute
	}
	switch {
	case call == NoRefundCall && timer.IsZero():
		return "I6: an open refund is forgotten"
	case call == NoRefundCall && timer.Sub(w.now) > longest:
		return fmt.Sprintf("I6: the refund sleeps for %s", timer.Sub(w.now))
	case call == NoRefundCall && !after.WakeAt.Equal(timer):
		return "I6: the wake that was asked for is not the refund's"
	}
	return ""
}

// judgeRefundAttention: what a person must look at is said, and stays said.
func judgeRefundAttention(before, after *Refund, e *RefundEvent, commands []RefundCommand, w *refundWorld) string {
	fits := e.Call == before.Calls && before.Call != NoRefundCall
	vanished := fits && e.Kind == RefundQueryAnswered && e.Outcome.Kind == NoSuchRefund && before.AcceptedAt != (time.Time{})
	waits := after.Attention == "" && slices.ContainsFunc(commands, func(c RefundCommand) bool { return c.Kind == WakeRefund })
	unseen := w.crashes > 0 || w.now.Sub(before.RequestedAt) >= time.Minute
	doubt := before.Attention == AttentionRefundUnsettled || before.Attention == AttentionRefundVanished
	switch {
	case after.Status == RefundDone && after.Attention != "":
		return "a false alarm: a person must look at money that is back"
	case after.Status == RefundRefused && before.Open() && after.Attention == "" && (before.Wish != WishPerson || w.truth == refundClosed || unseen):
		return "refused, and nobody is told"
	case after.Open() && w.abnormal && after.Attention != AttentionRefundAbnormal && after.Attention != AttentionRefundClosed && e.Kind != RefundRestarted:
		return "abnormal, and nobody is told"
	case vanished && after.Attention == "":
		return "a refund that was taken on is gone, and nobody is told"
	case !vanished && after.Attention == AttentionRefundVanished && before.Attention != after.Attention:
		return "said to be gone, by a word that proves nothing"
	case waits && after.Status == RefundRequested && w.now.Sub(w.standing) >= 15*time.Minute:
		return "not known for long, and nobody is told"
	case waits && after.Status == RefundProcessing && before.Status == RefundProcessing && w.now.Sub(w.standing) >= 10*24*time.Hour:
		return "not back for ten days, and nobody is told"
	case before.Attention != "" && after.Attention == "" && after.Open() && !(doubt && w.taken):
		return "attention is lost"
	case before.Status.Final() && e.Kind == RefundSeen && after.Attention != "":
		return "a person has seen it, and is told again"
	}
	return ""
}

// judgeRefundTold: each change is announced, and what WeChat Pay has taken on is called so, and no more.
func judgeRefundTold(before, after *Refund, e *RefundEvent, commands []RefundCommand, w *refundWorld) string {
	told := false
	for _, c := range commands {
		told = told || c.Kind == AnnounceRefund
	}
	switch {
	case visibleRefund(*before) != visibleRefund(*after) && (!told || after.Version != before.Version+1):
		return "a change that nobody is told"
	case after.Open() && w.taken && after.Status == RefundRequested && e.Kind != RefundRestarted:
		return "taken on, and not called so"
	case after.Status != RefundRequested && !w.taken && after.Open():
		return "called taken on, and nobody has said so"
	case after.RefundOrder != before.RefundOrder || after.Wish != before.Wish:
		return "one wish, one refund: what is wished for has changed"
	}
	return ""
}
