package payflow

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// refundFault is the refund's flow with one rule taken out. The production code has no switches: a fault is a wrapper around RefundStep.
type refundFault struct {
	name string
	step refundStepFunc
}

// Each fault must turn the walk red: a rule whose loss nobody notices is not tested.
func TestEveryFaultOfARefundIsCaught(t *testing.T) {
	if underRace {
		t.Skip("a pure function has no races to find")
	}
	var table strings.Builder
	all := os.Getenv("POSAGENT_REFUND_FAULTS") != ""
	for i, f := range refundFlowFaults() {
		if !all && i%4 != 0 {
			continue // the others where POSAGENT_REFUND_FAULTS=1 asks for them: together they take half a minute
		}
		by := caughtByRefundWalk(f)
		assert.NotEmpty(t, by, "%s: nobody notices", f.name)
		fmt.Fprintf(&table, "%-75s %s\n", f.name, by)
	}
	t.Logf("of %d faults, and what caught each:\n%s", len(refundFlowFaults()), table.String())
}

func caughtByRefundWalk(f refundFault) string {
	walks := refundWalks(f.step, 1)
	if strings.Contains(f.name, "unsigned") || strings.Contains(f.name, "clock") {
		slices.Reverse(walks) // the way on which nothing is signed and the clock is set shows it soonest
	}
	for _, k := range walks {
		if broken := k.run(); broken != "" {
			what, _, _ := strings.Cut(broken, "\n")
			return what
		}
	}
	return ""
}

// heardRefund is RefundStep with ears that hear another event.
func heardRefund(as func(Refund, *RefundEvent)) refundStepFunc {
	return func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
		as(r, &e)
		return RefundStep(r, e)
	}
}

// toldRefund is RefundStep, and then something is changed in what it made.
func toldRefund(change func(before Refund, e RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand) refundStepFunc {
	return func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
		after, commands := RefundStep(r, e)
		return after, change(r, e, &after, commands)
	}
}

// forgotten is RefundStep of a refund that has forgotten something for one event.
func forgotten(forget func(Refund, RefundEvent) Refund) refundStepFunc {
	return func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
		if after, commands := RefundStep(r, e); after == r && len(commands) == 0 {
			return r, nil // what fits nothing brings no fault out
		}
		return RefundStep(forget(r, e), e)
	}
}

func endsRefund(status RefundStatus, when func(Refund, RefundEvent) bool) refundStepFunc {
	return func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
		if !r.Open() || !when(r, e) {
			return RefundStep(r, e)
		}
		r.Status, r.Why, r.FinalAt, r.Call, r.WakeAt, r.Attention = status, ReasonRefundDeclined, e.At, NoRefundCall, time.Time{}, AttentionRefundRefused
		r.Refusal.Reason = ReasonRefundDeclined
		if status == RefundDone {
			r.Attention = ""
		}
		r.Version++
		return r, []RefundCommand{{Kind: AnnounceRefund}}
	}
}

// claimedAbsent is a "no such refund" that nobody signed.
func claimedAbsent(r Refund, e RefundEvent) bool {
	return endOf(r, e, RefundCallLost) && r.Call == RefundQueryCall && e.Lost.Claim == NoSuchOrder
}

func endOf(r Refund, e RefundEvent, kind RefundEventKind) bool {
	return e.Kind == kind && r.Call != NoRefundCall && e.Call == r.Calls
}

// sendsRefund replaces the question that a step puts by a request.
func sendsRefund(when func(Refund, RefundEvent) bool) refundStepFunc {
	return toldRefund(func(before Refund, e RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
		for i, c := range commands {
			if when(before, e) && (c.Kind == SendRefundQuery || c.Kind == SendRefundList) {
				commands[i].Kind, after.Call, after.MayArrive = SendRefund, RefundRequestCall, true
				after.Requests++
			}
		}
		return commands
	})
}

func refundFlowFaults() []refundFault {
	return append(append(refundMoneyFaults(), refundDoubtFaults()...), refundWordFaults()...)
}

// refundMoneyFaults give money back twice, or too much.
func refundMoneyFaults() []refundFault {
	return []refundFault{
		{"a new number on retry", toldRefund(func(_ Refund, _ RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			for _, c := range commands {
				if c.Kind == SendRefund && after.Requests > 1 {
					after.OutRefundNo += "X"
				}
			}
			return commands
		})},
		{"another amount on retry", toldRefund(func(_ Refund, _ RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			for _, c := range commands {
				if c.Kind == SendRefund && after.Requests > 1 {
					after.Amount.Minor--
				}
			}
			return commands
		})},
		{"no query before a retry", func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
			held := r.Requests
			if e.Kind == RefundWoken {
				r.Requests = 0 // begins with the list, as the first request does
			}
			after, commands := RefundStep(r, e)
			if e.Kind == RefundWoken {
				after.Requests = held
			}
			return after, commands
		}},
		{"asked for again at once after a restart", sendsRefund(func(_ Refund, e RefundEvent) bool { return e.Kind == RefundRestarted })},
		{"a lost request is made again at once", sendsRefund(func(r Refund, e RefundEvent) bool {
			return endOf(r, e, RefundCallLost) && r.Call == RefundRequestCall
		})},
		{"an unsigned no such refund lets the request go without the list", sendsRefund(claimedAbsent)},
		{"a query that was merely lost lets the request go again", heardRefund(func(r Refund, e *RefundEvent) {
			if endOf(r, *e, RefundCallLost) && r.Call == RefundQueryCall {
				e.Lost.Claim = NoSuchOrder
			}
		})},
		{"no minute between two requests", forgotten(func(r Refund, _ RefundEvent) Refund {
			r.NextRequestAt = time.Time{}
			return r
		})},
		{"59 seconds between two requests", forgotten(func(r Refund, e RefundEvent) Refund {
			if !r.NextRequestAt.IsZero() && r.Requests < 2 {
				r.NextRequestAt = r.NextRequestAt.Add(-time.Second)
			}
			if !r.WakeAt.IsZero() {
				r.WakeAt = r.WakeAt.Add(-time.Second)
			}
			return r
		})},
		{"the order's other requests are not minded", heardRefund(func(_ Refund, e *RefundEvent) { e.FreeAt = time.Time{} })},
		{"others' refunds are not counted", heardRefund(func(r Refund, e *RefundEvent) {
			var ours []RefundReport
			for _, t := range e.Listed {
				if t.OutRefundNo == r.OutRefundNo {
					ours = append(ours, t)
				}
			}
			e.Listed = ours
		})},
		{"this till's other refunds are not counted", heardRefund(func(_ Refund, e *RefundEvent) { e.Held = 0 })},
		{"an abnormal refund holds no money", heardRefund(func(_ Refund, e *RefundEvent) {
			listed := append([]RefundReport(nil), e.Listed...)
			for i := range listed {
				if listed[i].State == RefundStateAbnormal && listed[i].OutRefundNo == "ANOTHERS" {
					listed[i].State = RefundStateClosed
				}
			}
			e.Listed = listed
		})},
		{"posagent gives back by itself though one failed", forgotten(func(r Refund, e RefundEvent) Refund { return r }).asPerson()},
		{"a list that was lost is taken as empty", heardRefund(func(r Refund, e *RefundEvent) {
			if endOf(r, *e, RefundCallLost) && r.Call == RefundListCall {
				e.Kind = RefundListed
			}
		})},
		{"a list that cannot be is taken as empty", heardRefund(func(_ Refund, e *RefundEvent) {
			if e.Kind == RefundListed && listCannotBe(e) {
				e.Listed = nil
			}
		})},
		{"the list is not asked for", func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
			after, commands := RefundStep(r, e)
			for i, c := range commands {
				if c.Kind == SendRefundList && r.Requests > 0 {
					commands[i].Kind, after.Call, after.MayArrive = SendRefund, RefundRequestCall, true
					after.Requests++
				}
			}
			return after, commands
		}},
		{"what was taken on is asked for again where it is gone", forgotten(func(r Refund, e RefundEvent) Refund {
			if endOf(r, e, RefundQueryAnswered) && e.Outcome.Kind == NoSuchRefund {
				r.Status, r.AcceptedAt, r.Attention = RefundRequested, time.Time{}, ""
			}
			return r
		})},
		{"a refusal is forgotten, and the refund asked for again", forgotten(func(r Refund, e RefundEvent) Refund {
			r.Refusal = Refusal{}
			return r
		})},
		{"the journal does not know that a request may have left", toldRefund(func(_ Refund, _ RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			after.MayArrive = false
			return commands
		})},
	}
}

// asPerson takes every wish for a person's.
func (step refundStepFunc) asPerson() refundStepFunc {
	return func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
		held := r.Wish
		r.Wish = WishPerson
		after, commands := step(r, e)
		after.Wish = held
		if after.Status == RefundRefused && r.Open() {
			after.Attention = AttentionRefundRefused
		}
		return after, commands
	}
}

// refundDoubtFaults take what is not known for known.
func refundDoubtFaults() []refundFault {
	return []refundFault{
		{"accepted is taken as given back", endsRefund(RefundDone, func(r Refund, e RefundEvent) bool {
			return endOf(r, e, RefundAnswered) && e.Outcome.Kind == RefundAccepted
		})},
		{"on its way is taken as given back", endsRefund(RefundDone, func(r Refund, e RefundEvent) bool {
			return endOf(r, e, RefundQueryAnswered) && e.Outcome.Refund.State == RefundStateProcessing
		})},
		{"abnormal is taken as given back", heardRefund(func(_ Refund, e *RefundEvent) {
			if e.Outcome.Refund.State == RefundStateAbnormal {
				e.Outcome.Refund.State = RefundStateSuccess
			}
		})},
		{"abnormal is taken as closed", heardRefund(func(_ Refund, e *RefundEvent) {
			if e.Outcome.Refund.State == RefundStateAbnormal {
				e.Outcome.Refund.State = RefundStateClosed
			}
		})},
		{"closed is taken as given back", heardRefund(func(_ Refund, e *RefundEvent) {
			if e.Outcome.Refund.State == RefundStateClosed {
				e.Outcome.Refund.State = RefundStateSuccess
			}
		})},
		{"a state that is not known is taken as given back", heardRefund(func(_ Refund, e *RefundEvent) {
			if e.Outcome.Refund.State == "SOMETHING_NEW" {
				e.Outcome.Refund.State = RefundStateSuccess
			}
		})},
		{"a state that is not known is taken as closed", heardRefund(func(_ Refund, e *RefundEvent) {
			if e.Outcome.Refund.State == "SOMETHING_NEW" {
				e.Outcome.Refund.State = RefundStateClosed
			}
		})},
		{"a refusal is believed without a query", endsRefund(RefundRefused, func(r Refund, e RefundEvent) bool {
			return endOf(r, e, RefundAnswered) && r.Call == RefundRequestCall && e.Outcome.Kind == RefundDeclined
		})},
		{"a refusal is believed though an earlier request may arrive", forgotten(func(r Refund, e RefundEvent) Refund {
			if r.Refusal.Reason != "" {
				r.MayArrive = false
			}
			return r
		})},
		{"a lost request is forgotten over a restart", func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
			if e.Kind == RefundRestarted {
				r.MayArrive = false
			}
			return RefundStep(r, e)
		}},
		{"a lost request is no longer waited for after 5 minutes", forgotten(func(r Refund, e RefundEvent) Refund {
			if !r.LostAt.IsZero() && endOf(r, e, RefundQueryAnswered) && r.Refusal.Reason != "" {
				r.LostAt = r.LostAt.Add(-10 * time.Minute)
			}
			return r
		})},
		{"a lost query is taken as no such refund", heardRefund(func(r Refund, e *RefundEvent) {
			if endOf(r, *e, RefundCallLost) && r.Call == RefundQueryCall {
				e.Kind, e.Outcome = RefundQueryAnswered, RefundOutcome{Kind: NoSuchRefund}
			}
		})},
		{"an unsigned no such refund is taken as signed", heardRefund(func(r Refund, e *RefundEvent) {
			if claimedAbsent(r, *e) {
				e.Kind, e.Outcome = RefundQueryAnswered, RefundOutcome{Kind: NoSuchRefund}
			}
		})},
		{"an unsigned refusal is taken as signed", heardRefund(func(r Refund, e *RefundEvent) {
			if endOf(r, *e, RefundCallLost) && r.Call == RefundRequestCall && e.Lost.Claim == Refused {
				e.Kind, e.Outcome = RefundAnswered, RefundOutcome{Kind: RefundDeclined}
			}
		})},
		{"a lost request is taken as refused", endsRefund(RefundRefused, func(r Refund, e RefundEvent) bool {
			return endOf(r, e, RefundCallLost) && r.Call == RefundRequestCall
		})},
		{"no such refund is taken as refused", endsRefund(RefundRefused, func(r Refund, e RefundEvent) bool {
			return endOf(r, e, RefundQueryAnswered) && e.Outcome.Kind == NoSuchRefund
		})},
		{"later is taken as refused", heardRefund(func(r Refund, e *RefundEvent) {
			if endOf(r, *e, RefundAnswered) && e.Outcome.Kind == RefundLater {
				e.Outcome.Kind = RefundDeclined
			}
		})},
		{"a notification is believed", endsRefund(RefundDone, func(_ Refund, e RefundEvent) bool { return e.Kind == RefundNoticed })},
		{"an answer of another refund is believed", heardRefund(func(r Refund, e *RefundEvent) {
			if e.Outcome.Refund.OutRefundNo == "ANOTHERS" {
				e.Outcome.Refund.OutRefundNo = r.OutRefundNo
			}
		})},
		{"an answer of another amount is believed", heardRefund(func(r Refund, e *RefundEvent) {
			if e.Outcome.Refund.OutRefundNo != "" {
				e.Outcome.Refund.Amount = r.Amount
			}
		})},
		{"an answer of another payment is believed", heardRefund(func(r Refund, e *RefundEvent) {
			if e.Outcome.Refund.OutTradeNo != "" {
				e.Outcome.Refund.OutTradeNo = r.OutTradeNo
			}
		})},
		{"an answer to an earlier call is believed", heardRefund(func(r Refund, e *RefundEvent) {
			if r.Call != NoRefundCall && e.Call == r.Calls-1 {
				e.Call = r.Calls
			}
		})},
		{"a closed refund goes on as if it were on its way", heardRefund(func(_ Refund, e *RefundEvent) {
			if e.Outcome.Refund.State == RefundStateClosed {
				e.Outcome.Refund.State = RefundStateProcessing
			}
		})},
	}
}

// refundWordFaults forget the refund, or the person.
func refundWordFaults() []refundFault {
	return []refundFault{
		{"a lost query is forgotten", toldRefund(func(r Refund, e RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			if endOf(r, e, RefundCallLost) && r.Call == RefundQueryCall {
				return nil
			}
			return commands
		})},
		{"what is on its way is asked about once a day", toldRefund(func(_ Refund, _ RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			for i, c := range commands {
				if c.Kind == WakeRefund && after.Status == RefundProcessing {
					commands[i].At = c.At.Add(24 * time.Hour)
					after.WakeAt = commands[i].At
				}
			}
			return commands
		})},
		{"two calls at one time", toldRefund(func(r Refund, e RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			if e.Kind == RefundNoticed && r.Call != NoRefundCall {
				after.Calls++
				return append(commands, RefundCommand{Kind: SendRefundQuery, Call: after.Calls})
			}
			return commands
		})},
		{"nobody is told that the customer's account cannot take it", withoutRefundAttention(AttentionRefundAbnormal)},
		{"nobody is told that it was given up", withoutRefundAttention(AttentionRefundClosed)},
		{"nobody is told of a late refusal", withoutRefundAttention(AttentionRefundRefused)},
		{"nobody is told that it is not known for long", withoutRefundAttention(AttentionRefundUnsettled)},
		{"nobody is told that it takes too long", withoutRefundAttention(AttentionRefundSlow)},
		{"where errors are unsigned a lost request is never made again", heardRefund(func(r Refund, e *RefundEvent) { e.Lost.Claim = "" })},
		{"nobody is told while WeChat Pay wants it later, and later", toldRefund(func(r Refund, e RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			if after.Attention == AttentionRefundUnsettled && r.Attention == "" && !endOf(r, e, RefundCallLost) {
				after.Attention = ""
			}
			return commands
		})},
		{"how long it takes is told by the PC's clock", toldRefund(func(r Refund, e RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			if after.Attention == AttentionRefundUnsettled && e.At.Sub(r.RequestedAt) < refundUnsettledAfter {
				after.Attention = r.Attention
			}
			return commands
		})},
		{"how long the money takes is told by the PC's clock", toldRefund(func(r Refund, e RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			if after.Attention == AttentionRefundSlow && e.At.Sub(r.AcceptedAt) < refundSlowAfter {
				after.Attention = r.Attention
			}
			return commands
		})},
		{"whether anybody waits is told by the PC's clock", toldRefund(func(r Refund, e RefundEvent, after *Refund, commands []RefundCommand) []RefundCommand {
			if after.Attention == AttentionRefundRefused && r.Wish == WishPerson && e.At.Sub(r.RequestedAt) < refundUnseenAfter {
				after.Attention = ""
			}
			return commands
		})},
		{"nobody is told that it is gone", withoutRefundAttention(AttentionRefundVanished)},
		{"a false alarm stays behind the end", func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
			after, commands := RefundStep(r, e)
			if after.Status == RefundDone && r.Open() {
				after.Attention = r.Attention
			}
			return after, commands
		}},
		{"a person has seen it while it is open, and is told no more", func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
			after, commands := RefundStep(r, e)
			if e.Kind == RefundSeen && r.Attention != "" {
				after.Attention = ""
				after.Version = r.Version + 1
				commands = []RefundCommand{{Kind: AnnounceRefund}}
			}
			return after, commands
		}},
		{"a change is not announced", toldRefund(func(_ Refund, _ RefundEvent, _ *Refund, commands []RefundCommand) []RefundCommand {
			var kept []RefundCommand
			for _, c := range commands {
				if c.Kind != AnnounceRefund {
					kept = append(kept, c)
				}
			}
			return kept
		})},
		{"what was seen by a person goes on being asked about", func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
			after, commands := RefundStep(r, e)
			if r.Status.Final() && e.Kind == RefundWoken {
				after.Calls++
				commands = []RefundCommand{{Kind: SendRefundQuery, Call: after.Calls}}
			}
			return after, commands
		}},
	}
}

func withoutRefundAttention(why Reason) refundStepFunc {
	return func(r Refund, e RefundEvent) (Refund, []RefundCommand) {
		after, commands := RefundStep(r, e)
		if after.Attention == why && r.Attention != why {
			after.Attention = r.Attention
		}
		return after, commands
	}
}
