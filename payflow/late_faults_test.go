package payflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

type lateFault struct {
	name string
	step lateFunc
}

// lateOn is LateStep, but for the events that when names.
func lateOn(when func(Payment, Late, Event) bool, then lateFunc) lateFunc {
	return func(p Payment, l Late, e Event) (Late, []Command) {
		if !l.Stage.Over() && when(p, l, e) {
			return then(p, l, e)
		}
		return LateStep(p, l, e)
	}
}

// lateEnds makes a late truth over, as no rule allows.
func lateEnds(stage LateStage, when func(Payment, Late, Event) bool) lateFunc {
	return lateOn(when, func(_ Payment, l Late, e Event) (Late, []Command) {
		l.Stage, l.Attention, l.EndedAt, l.Call, l.WakeAt, l.NextCall = stage, "", e.At, NoCall, time.Time{}, NoCall
		return l, []Command{{Kind: Announce}}
	})
}

func lateHears(as func(Payment, Late, *Event)) lateFunc {
	return func(p Payment, l Late, e Event) (Late, []Command) {
		as(p, l, &e)
		return LateStep(p, l, e)
	}
}

// lateSees lets a step see another late truth, and puts back what it did not change itself.
func lateSees(change func(*Late), back func(before Late, after *Late)) lateFunc {
	return func(p Payment, l Late, e Event) (Late, []Command) {
		before := l
		change(&l)
		after, commands := LateStep(p, l, e)
		back(before, &after)
		return after, commands
	}
}

func lateFits(l Late, e Event, kind EventKind) bool {
	return e.Kind == kind && l.Call != NoCall && e.Call == l.Calls
}

func lateFaults() []lateFault {
	answered := func(state TradeState) func(Payment, Late, Event) bool {
		return func(_ Payment, l Late, e Event) bool {
			return lateFits(l, e, QueryAnswered) && e.Outcome.Kind == Found && e.Outcome.Trade.State == state
		}
	}
	faults := []lateFault{
		{"14 s instead of 15", lateSees(func(l *Late) {
			l.GuardAt = l.GuardAt.Add(-time.Second)
			l.NextReverseAt = l.NextReverseAt.Add(-time.Second)
		},
			func(before Late, after *Late) {
				if after.GuardAt.Equal(before.GuardAt.Add(-time.Second)) {
					after.GuardAt = before.GuardAt
				}
				if after.NextReverseAt.Equal(before.NextReverseAt.Add(-time.Second)) {
					after.NextReverseAt = before.NextReverseAt
				}
			})},
		{"an unsigned SUCCESS is believed", lateHears(func(p Payment, l Late, e *Event) {
			if lateFits(l, *e, CallLost) && l.Call == QueryCall && l.Stage == LateOwed && e.Lost.Reason == ReasonUnverified && e.Lost.Claim == "" {
				*e = Event{Kind: QueryAnswered, At: e.At, Call: e.Call, Outcome: Outcome{Kind: Found, Trade: aTrade(p.Order, TradeSuccess, straight)}}
			}
		})},
		{"the check is skipped after a restart", lateEnds(LateClear, func(_ Payment, l Late, e Event) bool { return e.Kind == Restarted && l.Stage == LateOwed })},
		{"the check is forgotten after a restart", lateOn(func(_ Payment, l Late, e Event) bool { return e.Kind == Restarted && l.Stage == LateOwed },
			func(p Payment, l Late, e Event) (Late, []Command) {
				after, commands := LateStep(p, l, e)
				return after, withoutWakes(commands)
			})},
		{"a reverse at once after a restart", lateOn(func(_ Payment, l Late, e Event) bool {
			return e.Kind == Restarted && l.Stage == LateTakingBack && !l.TooLate && l.OldStarts == 0 && e.Age < time.Hour
		},
			func(p Payment, l Late, e Event) (Late, []Command) {
				after, commands := LateStep(p, l, e)
				after.Call = ReverseCall
				for i := range commands {
					if commands[i].Kind == SendQuery {
						commands[i].Kind = SendReverse
					}
				}
				return after, commands
			})},
		{"no such order believed before the code is dead", lateEnds(LateClear, func(_ Payment, l Late, e Event) bool {
			return lateFits(l, e, QueryAnswered) && e.Outcome.Kind == NoSuchOrder && l.Stage == LateOwed
		})},
		{"an answer that was asked for before the code was dead counts when it is read after", lateHears2(func(l *Late, e Event) {
			if lateFits(*l, e, QueryAnswered) && !e.At.Before(l.DeadAt) {
				l.CallStartedAt = e.At
			}
		})},
		{"a lost check is called clear", lateEnds(LateClear, func(_ Payment, l Late, e Event) bool { return lateFits(l, e, CallLost) && l.Stage == LateOwed })},
		{"204 taken as proof", lateEnds(LateGivenBack, func(_ Payment, l Late, e Event) bool {
			return lateFits(l, e, ReverseAnswered) && e.Outcome.Kind == ReverseDone
		})},
		{"a refused reverse taken as done", lateEnds(LateGivenBack, func(_ Payment, l Late, e Event) bool {
			return lateFits(l, e, ReverseAnswered) && e.Outcome.Kind == ReverseRefused
		})},
		{"a late SUCCESS is called clear", lateEnds(LateClear, answered(TradeSuccess))},
		{"an order that may still be paid is left alone", lateEnds(LateClear, answered(TradeUserPaying))},
		{"refunds on their way taken as all back", lateHears(func(_ Payment, _ Late, e *Event) {
			sum := &e.Outcome.Trade.Refunds
			sum.Done, sum.Pending = sum.Done+sum.Pending, 0
		})},
		{"a part refund taken as all back", lateEnds(LateGivenBack, answered(TradeRefund))},
		{"an order whose money was seen may be absent", lateEnds(LateGivenBack, func(_ Payment, l Late, e Event) bool {
			return lateFits(l, e, QueryAnswered) && e.Outcome.Kind == NoSuchOrder && l.MoneySeen
		})},
		{"another's attach taken for ours", lateHears(func(p Payment, _ Late, e *Event) {
			if e.Outcome.Trade.Attach != "" {
				e.Outcome.Trade.Attach = string(p.Tag)
			}
		})},
		{"a refund though a reverse is possible", lateOn(func(p Payment, l Late, e Event) bool {
			return lateFits(l, e, QueryAnswered) && l.Stage == LateTakingBack && e.Outcome.Kind == Found && look(p, e.Outcome.Trade) == seenOurs && !l.TooLate
		}, func(p Payment, l Late, e Event) (Late, []Command) {
			l.TooLate = true
			return LateStep(p, l, e)
		})},
		{"a refund while a reverse may be in flight", lateSees(func(l *Late) {
			if l.TooLate {
				l.NextReverseAt = time.Time{}
			}
		}, func(before Late, after *Late) {
			if after.NextReverseAt.IsZero() {
				after.NextReverseAt = before.NextReverseAt
			}
		})},
		{"too late is not heard", lateHears(func(_ Payment, _ Late, e *Event) {
			if e.Outcome.Kind == ReverseTooLate {
				e.Outcome.Kind = ReverseRefused
			}
		})},
		{"the word of one start is enough for a refund", lateHears2(func(l *Late, e Event) {
			if e.Kind == Restarted && e.Age > ReverseLifetime {
				l.OldStarts = 1
			}
		})},
		{"a refund that a crash kept out of the journal is not wished again", lateHears2(func(l *Late, e Event) {
			if e.Kind == Restarted && l.Stage == LateRefunding && l.OutRefundNo == "" {
				l.OutRefundNo = "never made"
			}
		})},
		{"a lost call ends the watch", lateOn(func(_ Payment, l Late, e Event) bool { return lateFits(l, e, CallLost) && l.Call == QueryCall },
			func(p Payment, l Late, e Event) (Late, []Command) {
				after, commands := LateStep(p, l, e)
				return after, withoutWakes(commands)
			})},
		{"one unsigned absence is enough", lateEnds(LateClear, func(p Payment, l Late, e Event) bool {
			return lateFits(l, e, CallLost) && e.Lost.Claim == NoSuchOrder && p.Proof == ProofTransport && !l.CallStartedAt.Before(l.DeadAt)
		})},
		{"unsigned absences count for what a signed answer ended", func(p Payment, l Late, e Event) (Late, []Command) {
			p.Proof = ProofTransport
			return LateStep(p, l, e)
		}},
		{"a person's word ends what needs no person", lateEnds(LateSettled, func(_ Payment, _ Late, e Event) bool { return e.Kind == LateHandled })},
		{"nobody is told of another's order", lateQuiet(AttentionAnotherTill)},
		{"nobody is told of a refund that failed", lateQuiet(AttentionRefundFailed)},
		{"nobody is told that the order is gone", lateQuiet(AttentionVanished)},
		{"reverses without a pause", lateSees(func(l *Late) { l.NextReverseAt = time.Time{} }, func(before Late, after *Late) {
			if after.NextReverseAt.IsZero() {
				after.NextReverseAt = before.NextReverseAt
			}
		})},
		{"a late success is not told", func(p Payment, l Late, e Event) (Late, []Command) {
			after, commands := LateStep(p, l, e)
			if after.MoneySeen && !l.MoneySeen && !after.Stage.Over() {
				after.MoneySeen = false
			}
			return after, commands
		}},
		{"a false alarm stays behind the end", func(p Payment, l Late, e Event) (Late, []Command) {
			after, commands := LateStep(p, l, e)
			if after.Stage.Over() && !l.Stage.Over() {
				after.Attention = l.Attention
			}
			return after, commands
		}},
	}
	return append(faults, lateTableFaults()...)
}

func lateHears2(change func(*Late, Event)) lateFunc {
	return func(p Payment, l Late, e Event) (Late, []Command) {
		change(&l, e)
		return LateStep(p, l, e)
	}
}

func lateQuiet(why Reason) lateFunc {
	return func(p Payment, l Late, e Event) (Late, []Command) {
		after, commands := LateStep(p, l, e)
		if after.Attention == why {
			after.Attention = ""
		}
		return after, commands
	}
}

// lateTableFaults take out each line of the late answer table in turn.
func lateTableFaults() []lateFault {
	var faults []lateFault
	for _, stage := range LateStages() {
		for _, row := range allSeen {
			if lateAnswers[stage][row] == "" {
				continue
			}
			table := lateTable{}
			for s, rows := range lateAnswers {
				table[s] = maps.Clone(rows)
			}
			delete(table[stage], row)
			faults = append(faults, lateFault{fmt.Sprintf("late answer table, %s, %s: line missing", stage, row), func(p Payment, l Late, e Event) (Late, []Command) {
				return lateStep(p, l, e, table)
			}})
		}
	}
	return faults
}

// The walk, or a story where patience decides, must find every planted fault. A plain run plants each sixth.
func TestPlantedFaultsOfALateTruthAreFound(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("the faults are planted where the walk is whole")
	}
	asked, _ := lateDepth()
	var table strings.Builder
	planted := 0
	for i, f := range lateFaults() {
		if !asked && i%6 != 0 {
			continue
		}
		planted++
		by := lateCaughtBy(f.step)
		assert.NotEmpty(t, by, "%s: nobody notices", f.name)
		fmt.Fprintf(&table, "%-75s %s\n", f.name, by)
	}
	t.Logf("%d faults, and what caught each:\n%s", planted, table.String())
}

func lateCaughtBy(step lateFunc) string {
	for _, name := range slices.Sorted(maps.Keys(lateStories)) {
		if what := lateStories[name](step); what != "" {
			return "story " + name + ": " + what
		}
	}
	for faults := range uint8(2) {
		for _, name := range []string{"by transport", "refunded", "revoked", "collided", "declined"} {
			if broken := lateWays(step, faults)[name].run(); broken != "" {
				what, _, _ := strings.Cut(broken, "\n")
				return name + ": " + what
			}
		}
	}
	return ""
}
