package payflow

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fault is the flow with one rule taken out. The production code has no switches: a fault is a wrapper around Step.
type fault struct {
	name string
	step stepFunc
	// walked: the walk alone must find it; of the others, a story may.
	walked bool
}

// Each fault must turn a story or the walk red: a rule whose loss nobody notices is not tested.
func TestEveryFaultIsCaught(t *testing.T) {
	if underRace {
		t.Skip("a pure function has no races to find")
	}
	stories := map[string]string{}
	for _, path := range storyFiles(t) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		stories[filepath.Base(path)] = string(text)
	}
	require.Empty(t, caughtByStory(stories, Step), "the stories fail without any fault")
	all := append(plantedFaults(), ruleFaults()...)
	all = append(all, giveBackFaults()...)
	all = append(all, tableFaults()...)
	var table strings.Builder
	for _, f := range all {
		by := ""
		if !f.walked {
			by = caughtByStory(stories, f.step)
		}
		if by == "" {
			by = caughtByWalk(f.step)
		}
		assert.NotEmpty(t, by, "%s: nobody notices", f.name)
		fmt.Fprintf(&table, "%-75s %s\n", f.name, by)
	}
	t.Logf("%d faults, and what caught each:\n%s", len(all), table.String())
}

func caughtByStory(stories map[string]string, step stepFunc) (by string) {
	name := ""
	defer func() {
		if p := recover(); p != nil {
			by = "story " + name + ": panic"
		}
	}()
	for n, story := range stories {
		name = n
		if got, err := play(story, step); err != nil || got != story {
			if by == "" || "story "+n < by { // the first by name: the log stays the same
				by = "story " + n
			}
		}
	}
	return by
}

// caughtByWalk tries the short form first, which finds nearly everything.
func caughtByWalk(step stepFunc) string {
	for _, k := range []*walk{
		{step: step, timing: DefaultTiming(), crashes: 1, refusals: 1, early: true},
		{step: step, timing: DefaultTiming(), crashes: 2, refusals: 1, slow: true},
	} {
		if broken := k.run(); broken != "" {
			what, _, _ := strings.Cut(broken, "\n")
			return "walk, " + what
		}
		if testing.Short() {
			return ""
		}
	}
	return ""
}

// ends makes a payment final, as no rule allows.
func ends(p Payment, status Status, at time.Time) (Payment, []Command) {
	p.Status, p.Reason, p.Proof, p.FinalAt = status, ReasonRefused, ProofSigned, at
	p.Call, p.WakeAt, p.NextCall, p.Attention = NoCall, time.Time{}, NoCall, ""
	p.Version++
	return p, []Command{{Kind: Announce}}
}

// on is Step, but for the events that when names.
func on(when func(Payment, Event) bool, then stepFunc) stepFunc {
	return func(p Payment, e Event) (Payment, []Command) {
		if p.Open() && when(p, e) {
			return then(p, e)
		}
		return Step(p, e)
	}
}

// heard is Step with ears that hear another event.
func heard(as func(Payment, *Event)) stepFunc {
	return func(p Payment, e Event) (Payment, []Command) {
		as(p, &e)
		return Step(p, e)
	}
}

// fits reports the end of the payment's call in flight.
func fits(p Payment, e Event, kind EventKind, outcome OutcomeKind) bool {
	return e.Kind == kind && p.Call != NoCall && e.Call == p.Calls && e.Outcome.Kind == outcome
}

func lost(p Payment, e Event, call CallKind) bool {
	return fits(p, e, CallLost, "") && p.Call == call
}

// endsOn is the fault that takes an event for the end.
func endsOn(status Status, when func(Payment, Event) bool) stepFunc {
	return on(when, func(p Payment, e Event) (Payment, []Command) { return ends(p, status, e.At) })
}

// guardShortBy lets the 15 s end sooner.
func guardShortBy(by time.Duration) stepFunc {
	return func(p Payment, e Event) (Payment, []Command) {
		if p.PayEndedAt.IsZero() {
			return Step(p, e)
		}
		held := p.PayEndedAt
		p.PayEndedAt = held.Add(-by)
		shifted := p.PayEndedAt
		after, commands := Step(p, e)
		if after.PayEndedAt.Equal(shifted) {
			after.PayEndedAt = held
		}
		return after, commands
	}
}

// sendsInstead replaces the call that a step begins.
func sendsInstead(p Payment, e Event, call CallKind, send CommandKind) (Payment, []Command) {
	after, commands := Step(p, e)
	for i, c := range commands {
		if c.Kind == SendQuery {
			commands[i].Kind, commands[i].Code = send, aCode()
			after.Call = call
		}
	}
	return after, commands
}

// reversesNow begins a reverse whatever the rules say.
func reversesNow(p Payment, e Event) (Payment, []Command) {
	p.Status, p.Call, p.ReversingAt = Reversing, ReverseCall, e.At
	p.WakeAt, p.NextCall = time.Time{}, NoCall
	p.Calls++
	p.Reverses++
	p.Version++
	return p, []Command{{Kind: SendReverse, Call: p.Calls}, {Kind: Announce}}
}

func withoutWakes(commands []Command) []Command {
	var kept []Command
	for _, c := range commands {
		if c.Kind != Wake {
			kept = append(kept, c)
		}
	}
	return kept
}

// plantedFaults are those that the walk alone must find.
func plantedFaults() []fault {
	faults := []fault{
		{name: "no 15 s guard", step: guardShortBy(15 * time.Second)},
		{name: "14 s instead of 15", step: guardShortBy(time.Second)},
		{name: "reverse taken as done without proof", step: endsOn(Reversed, func(p Payment, e Event) bool { return fits(p, e, ReverseAnswered, ReverseDone) })},
		{name: "pay again after a restart", step: on(func(p Payment, e Event) bool { return e.Kind == Restarted && p.Status == Paying },
			func(p Payment, e Event) (Payment, []Command) { return sendsInstead(p, e, PayCall, SendPay) })},
		{name: "lost pay called declined", step: endsOn(Declined, func(p Payment, e Event) bool { return lost(p, e, PayCall) })},
		{name: "reverse at once after a restart", step: on(func(p Payment, e Event) bool { return e.Kind == Restarted && p.Status == Reversing },
			func(p Payment, e Event) (Payment, []Command) { return sendsInstead(p, e, ReverseCall, SendReverse) })},
		{name: "forgotten wake", step: on(func(p Payment, e Event) bool { return p.Status == Reversing && lost(p, e, QueryCall) },
			func(p Payment, e Event) (Payment, []Command) {
				after, commands := Step(p, e)
				return after, withoutWakes(commands)
			})},
		{name: "paid after reversing", step: endsOn(Paid, func(p Payment, e Event) bool {
			return p.Status == Reversing && fits(p, e, QueryAnswered, Found) && look(p, e.Outcome.Trade) == seenOurs
		})},
		{name: "no such order final before T_dead", step: endsOn(Reversed, func(p Payment, e Event) bool {
			return p.Status == Reversing && fits(p, e, QueryAnswered, NoSuchOrder)
		})},
		{name: "another's attach taken for ours", step: heard(func(p Payment, e *Event) {
			if e.Outcome.Trade.Attach != "" {
				e.Outcome.Trade.Attach = string(p.Tag)
			}
		})},
		{name: "a refused reverse taken as done", step: endsOn(Reversed, func(p Payment, e Event) bool { return fits(p, e, ReverseAnswered, ReverseRefused) })},
		{name: "a part refund taken as proof", step: endsOn(Reversed, func(p Payment, e Event) bool {
			return p.Status == Reversing && fits(p, e, QueryAnswered, Found) && e.Outcome.Trade.State == TradeRefund
		})},
	}
	faults = append(faults, refundFaults()...)
	for i := range faults {
		faults[i].walked = true
	}
	return faults
}

// allSeen is every row of the answer table.
var allSeen = []seen{seenOurs, seenMismatch, seenAnother, seenUnclaimed, seenOpen, seenPayError, seenClosed, seenAllBack, seenOnItsWay, seenPartBack,
	seenRefundFailed, seenRefund, seenAbsent, seenVanished, seenLost}

// tableFaults take out each line of the answer table in turn. A line that says "go on" cannot be taken out by leaving it away: it
// says something harmful instead.
func tableFaults() []fault {
	var faults []fault
	for _, col := range []column{whileConfirming, whileRefused, whileCollided, whileReversing} {
		for _, row := range allSeen {
			table := answerTable{}
			for c, rows := range answers {
				table[c] = maps.Clone(rows)
			}
			name := fmt.Sprintf("answer table, %s, %s: ", col, row)
			if table[col][row] == goOn {
				table[col][row] = map[bool]verdict{true: becomeRev, false: becomeDecl}[col == whileReversing || row == seenAbsent]
				name += "says " + string(table[col][row])
			} else {
				delete(table[col], row)
				name += "line missing"
			}
			faults = append(faults, fault{name: name, step: func(p Payment, e Event) (Payment, []Command) { return step(p, e, table) }})
		}
	}
	return faults
}

// The table has a line for each row in each column, so that tableFaults leaves none out.
func TestAnswerTableIsWhole(t *testing.T) {
	assert.Len(t, answers, 4)
	for col, rows := range answers {
		assert.Len(t, rows, len(allSeen), "column %s", col)
		for _, row := range allSeen {
			assert.NotEmpty(t, rows[row], "column %s, row %s", col, row)
		}
	}
}
