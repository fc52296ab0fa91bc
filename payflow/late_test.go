package payflow

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lateTill drives one late truth through a story: calls are answered as the story says, and time goes from wake to wake.
type lateTill struct {
	step   lateFunc
	p      Payment
	l      Late
	now    time.Time
	wakes  time.Time
	call   CallKind
	calls  []string // each with the minute and second at which it left, counted from the payment's end
	wished int
	answer func(CallKind) Event
}

func newLateTill(step lateFunc, p Payment) *lateTill {
	l := BeginLate(p)
	return &lateTill{step: step, p: p, l: l, now: p.FinalAt, wakes: l.WakeAt}
}

func (t *lateTill) event(e Event) {
	e.At = t.now
	var commands []Command
	t.l, commands = t.step(t.p, t.l, e)
	for _, c := range commands {
		switch c.Kind {
		case SendQuery:
			t.call = QueryCall
		case SendReverse:
			t.call = ReverseCall
		case Wake:
			t.wakes = c.At
		case WishRefund:
			t.wished++
			t.event(Event{Kind: RefundWished, OutRefundNo: "T1000042K7Q-LATE"})
		}
		if c.Kind == SendQuery || c.Kind == SendReverse {
			t.calls = append(t.calls, fmt.Sprintf("%s %s", t.call, t.now.Sub(t.p.FinalAt).Round(time.Second)))
		}
	}
}

// until goes on for as long, or until it is over.
func (t *lateTill) until(span time.Duration) {
	for end := t.now.Add(span); !t.l.Stage.Over(); {
		if t.call != NoCall {
			e := t.answer(t.call)
			e.Call, t.call = t.l.Calls, NoCall
			t.event(e)
			continue
		}
		if t.wakes.After(end) {
			t.now = end
			return
		}
		t.now = t.wakes
		t.event(Event{Kind: Woken})
	}
}

func lateFound(p Payment, state TradeState, odd twist) func(CallKind) Event {
	return func(call CallKind) Event {
		if call == ReverseCall {
			return Event{Kind: ReverseAnswered, Outcome: Outcome{Kind: ReverseDone}}
		}
		return Event{Kind: QueryAnswered, Outcome: Outcome{Kind: Found, Trade: aTrade(p.Order, state, odd)}}
	}
}

func lateSilence(CallKind) Event { return noAnswer }

func TestACheckIsMadeOnceWhenTheCodeIsDead(t *testing.T) {
	till := newLateTill(LateStep, aFinal(Declined, nil))
	till.answer = func(CallKind) Event { return Event{Kind: QueryAnswered, Outcome: Outcome{Kind: NoSuchOrder}} }

	till.until(time.Hour)

	assert.Equal(t, []string{"query 1m13s"}, till.calls, "75 s after the end of the pay call, which ended 2 s before the payment")
	assert.Equal(t, LateClear, till.l.Stage)
}

func TestNothingIsOwedWhereTheEndProvedIt(t *testing.T) {
	for name, p := range map[string]Payment{
		"paid":                         aFinal(Paid, nil),
		"never sent":                   aFinal(Declined, func(p *Payment) { p.CodeSpent, p.PayEndedAt = false, time.Time{} }),
		"cancelled before the scan":    {Order: anOrder(), Status: Cancelled},
		"asked when the code was dead": aFinal(Reversed, func(p *Payment) { p.CallStartedAt = p.DeadAt() }),
		"open":                         aFinal(Reversing, nil),
	} {
		assert.Equal(t, Late{}, BeginLate(p), name)
	}
	assert.Equal(t, LateOwed, BeginLate(aFinal(Reversed, nil)).Stage)
}

// lateStories are those whose end is a matter of patience, which the walk blurs. Each returns what is wrong, or "".
var lateStories = map[string]func(lateFunc) string{
	"no answer brings a person after half an hour, and asking goes on": func(step lateFunc) string {
		till := newLateTill(step, aFinal(Declined, nil))
		till.answer = lateSilence
		till.until(25 * time.Minute)
		if till.l.Attention != "" || len(till.calls) < 20 {
			return fmt.Sprintf("after 25 minutes: %q, %d calls", till.l.Attention, len(till.calls))
		}
		till.until(20 * time.Minute)
		before := len(till.calls)
		till.until(time.Hour)
		if till.l.Attention != AttentionLateUnanswered || len(till.calls)-before < 5 || len(till.calls)-before > 7 {
			return fmt.Sprintf("then: %q, %d calls in an hour", till.l.Attention, len(till.calls)-before)
		}
		till.answer = lateFound(till.p, TradeRevoked, straight)
		till.until(time.Hour)
		if till.l.Stage != LateClear {
			return "in the end: " + string(till.l.Stage)
		}
		return ""
	},
	"a refund that stays on its way brings a person after an hour": func(step lateFunc) string {
		return lateRefundWaits(step, onItsWay)
	},
	"a refund that cannot be added up brings a person after an hour": func(step lateFunc) string {
		return lateRefundWaits(step, straight)
	},
	"an order that is revoked after all while its refund is awaited is over": func(step lateFunc) string {
		till := newLateTill(step, aFinal(Declined, nil))
		till.l.TooLate = true
		till.answer = lateFound(till.p, TradeSuccess, straight)
		till.until(2 * time.Minute)
		till.answer = lateFound(till.p, TradeRevoked, straight)
		till.until(2 * time.Minute)
		if till.l.Stage != LateGivenBack || till.l.By != LateByReverse {
			return fmt.Sprintf("it stands at %s %s", till.l.Stage, till.l.By)
		}
		return ""
	},
	"seven days of reverses end in a refund": func(step lateFunc) string {
		till := newLateTill(step, aFinal(Declined, nil))
		till.answer = lateFound(till.p, TradeSuccess, straight)
		till.until(7 * 24 * time.Hour)
		if till.wished != 0 || till.l.Stage != LateTakingBack {
			return "a refund before seven days"
		}
		till.until(10 * time.Minute)
		if till.wished != 0 {
			return "a refund while the last reverse may be in flight"
		}
		till.until(20 * time.Minute)
		if till.wished != 1 || till.l.Stage != LateRefunding || till.l.OutRefundNo == "" {
			return fmt.Sprintf("after seven days: %s, %d refunds", till.l.Stage, till.wished)
		}
		return ""
	},
}

func lateRefundWaits(step lateFunc, odd twist) string {
	till := newLateTill(step, aFinal(Declined, nil))
	till.l.TooLate = true
	till.answer = lateFound(till.p, TradeSuccess, straight)
	till.until(2 * time.Minute)
	if till.wished != 1 {
		return "no refund, though no reverse is possible"
	}
	till.answer = lateFound(till.p, TradeRefund, odd)
	till.until(50 * time.Minute)
	if till.l.Stage != LateRefunding || till.l.Attention != "" {
		return fmt.Sprintf("in the first hour: %s %s", till.l.Stage, till.l.Attention)
	}
	till.until(30 * time.Minute)
	if till.l.Attention != AttentionLateRefund {
		return "after an hour nobody is told"
	}
	till.answer = lateFound(till.p, TradeRefund, allBack)
	till.until(time.Hour)
	if till.l.Stage != LateGivenBack || till.l.By != LateByRefund || till.l.Attention != "" {
		return fmt.Sprintf("in the end: %s %s %s", till.l.Stage, till.l.By, till.l.Attention)
	}
	return ""
}

func TestStoriesOfLateTruths(t *testing.T) {
	for name, tell := range lateStories {
		assert.Empty(t, tell(LateStep), name)
	}
}

// The pauses of a payment's own reverses, each within 20 %: 3, 6, 12, 24, 48 and then 60 s; after each, one question.
func TestALateSuccessIsReversedWithBackOffAndProven(t *testing.T) {
	till := newLateTill(LateStep, aFinal(Declined, nil))
	till.answer = lateFound(till.p, TradeSuccess, straight)
	till.until(5 * time.Minute)
	require.Equal(t, LateTakingBack, till.l.Stage)
	reverses, queries := 0, 0
	for _, call := range till.calls {
		if call[0] == 'r' {
			reverses++
		} else {
			queries++
		}
	}
	assert.InDelta(t, 7, reverses, 1, "%v", till.calls)
	assert.InDelta(t, reverses, queries, 1)

	till.answer = lateFound(till.p, TradeRevoked, straight)
	till.until(5 * time.Minute)
	assert.Equal(t, LateGivenBack, till.l.Stage)
	assert.Equal(t, LateByReverse, till.l.By)
}

// What is known of the money at the end, on each way there, and what cannot be known is said as such.
func TestWhetherMoneyHadBeenTaken(t *testing.T) {
	for _, c := range []struct {
		name   string
		edit   func(*Payment)
		reason Reason // of a Reversed payment
		want   MoneyTaken
	}{
		{"seen unpaid, then revoked", func(p *Payment) { p.Trade.State, p.UnpaidSeen = TradeRevoked, true }, ReasonClosed, MoneyNotTaken},
		{"first seen as revoked", func(p *Payment) { p.Trade.State = TradeRevoked }, ReasonRevoked, MoneyNotKnown},
		{"first seen as closed", func(p *Payment) { p.Trade.State = TradeClosed }, ReasonClosed, MoneyNotTaken},
		{"seen paid, then revoked", func(p *Payment) { p.Trade.State, p.MoneySeen = TradeRevoked, true }, ReasonRefunded, MoneyGoesBack},
	} {
		p := aFinal(Reversed, c.edit)
		assert.Equal(t, c.want, p.MoneyTaken(), c.name)
		assert.Equal(t, c.reason, reversedReason(p), c.name)
	}
	assert.Equal(t, MoneyUndecided, aFinal(Reversing, nil).MoneyTaken())
	assert.Equal(t, MoneyKept, aFinal(Paid, nil).MoneyTaken())
	assert.Equal(t, MoneyNotTaken, aFinal(Declined, nil).MoneyTaken())
	assert.Equal(t, MoneyHeldLate, Entry{Payment: aFinal(Declined, nil), Late: Late{Stage: LateTakingBack, MoneySeen: true}}.MoneyTaken())
	assert.Equal(t, MoneyGoesBack, Entry{Payment: aFinal(Declined, nil), Late: Late{Stage: LateGivenBack, MoneySeen: true}}.MoneyTaken())
}

// What is given back by a refund because no reverse is possible any more is not reversed beside it by the check after the end (rule 13).
func TestALateCheckKnowsThatAReverseComesTooLate(t *testing.T) {
	p := Payment{Status: Reversed, CodeSpent: true, ReverseTooLate: true, PayEndedAt: beginning, CallStartedAt: beginning}
	l := BeginLate(p)
	assert.Equal(t, LateOwed, l.Stage)
	assert.True(t, l.TooLate)
}
