package payflow

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// state is one place of the walk: the payment as the engine holds it, as the journal holds it, and the world.
type state struct {
	p      Payment
	kept   *Payment
	keptID uint64
	w      world
	id     int32
}

// walk is a breadth-first search over everything that can happen to one payment.
type walk struct {
	step     stepFunc
	timing   Timing
	crashes  uint8
	refusals uint8 // reverses that are refused, at most
	early    bool  // also the second before what must not come early
	slow     bool  // answers that are read later than they were made

	seen       map[key]struct{}
	queue      []*state
	spare      []*state
	scratch    state
	parents    []parent
	pairs      pairs
	stray      map[strayKey]struct{}
	healedFrom map[healKey]struct{}
	broken     string
	at         string // what is being tried, for a panic
	from       int32
}

var (
	eventKinds = EventKinds()
	statuses   = Statuses()
)

// parent is how a state was first reached.
type parent struct {
	from  int32
	label string
}

// run walks until everything was tried, or something is broken.
func (k *walk) run() (broken string) {
	k.seen, k.stray, k.healedFrom = map[key]struct{}{}, map[strayKey]struct{}{}, map[healKey]struct{}{}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // millions of short-lived values, and little that stays
	defer func() {
		if p := recover(); p != nil {
			broken = fmt.Sprintf("panic: %v\n%s", p, k.story(k.from, k.at))
		}
	}()
	p, commands := anArmed(k.timing)
	s := state{p: p, w: world{now: beginning, reverseAfter: k.timing.ReverseAfter, early: k.early}}
	kept := p
	s.kept, s.keptID = &kept, packPayment(&kept, true)
	s.w.obey(commands)
	k.push(&s, -1, "armed")
	for head := 0; head < len(k.queue) && k.broken == ""; head++ {
		here := k.queue[head]
		k.queue[head], k.from = nil, here.id
		k.visit(here)
		k.spare = append(k.spare, here)
	}
	return k.broken
}

func (k *walk) visit(s *state) {
	k.strays(s)
	if s.p.Status.Final() {
		return
	}
	k.heals(s)
	k.moves(s)
}

func (k *walk) push(s *state, from int32, label string) {
	id := key{payment: packPayment(&s.p, false), world: packWorld(&s.w)}
	if !s.p.Status.Final() {
		id.time = s.timeClass()
	}
	if s.w.crashes < k.crashes {
		id.kept = s.keptID
	}
	if _, ok := k.seen[id]; ok {
		return
	}
	k.seen[id] = struct{}{}
	fresh := new(state)
	if last := len(k.spare) - 1; last >= 0 {
		fresh, k.spare = k.spare[last], k.spare[:last]
	}
	*fresh = *s
	fresh.id = int32(len(k.parents))
	k.parents = append(k.parents, parent{from, label})
	k.queue = append(k.queue, fresh)
}

// worldChange is a move that the till does not notice.
func (k *walk) worldChange(s *state, label string, change func(*world)) {
	held := s.w
	change(&s.w)
	k.push(s, s.id, label)
	s.w = held
}

// event gives the payment an event, judges what it does, and does what it says.
func (k *walk) event(s *state, label string, e Event, edit func(*world)) {
	if k.broken != "" {
		return
	}
	next := &k.scratch
	*next = *s
	k.pairs.at(s).fits[place(e.Kind, eventKinds...)]++
	k.at = label
	if broken := next.happen(k.step, e, edit); broken != "" {
		k.broken = broken + "\n" + k.story(s.id, label)
		return
	}
	k.push(next, s.id, label)
}

// happen is one event and its judgement.
func (s *state) happen(step stepFunc, e Event, edit func(*world)) string {
	before := s.p // on the stack: the walk makes millions
	if e.Kind == Restarted {
		before = *s.kept
	}
	e.At = s.w.now
	after, commands := step(before, e)
	s.w.hear(before, e)
	if edit != nil {
		edit(&s.w)
	}
	if Durable(before, after) {
		kept := after
		s.kept, s.keptID = &kept, packPayment(&kept, true)
	}
	s.p = after
	broken := judge(&before, &after, s.kept, &e, commands, &s.w)
	s.w.obey(commands)
	return broken
}

// story tells how a state was reached.
func (k *walk) story(id int32, last string) string {
	lines := []string{last}
	for ; id >= 0; id = k.parents[id].from {
		lines = append(lines, k.parents[id].label)
	}
	for i, j := 0, len(lines)-1; i < j; i, j = i+1, j-1 {
		lines[i], lines[j] = lines[j], lines[i]
	}
	return "  " + strings.Join(lines, "\n  ")
}

func TestWalkEveryWayOfAPayment(t *testing.T) {
	if underRace {
		t.Skip("a pure function has no races to find")
	}
	short := testing.Short()
	k := &walk{step: Step, timing: DefaultTiming(), crashes: 2, refusals: 1, slow: true}
	if short {
		k.crashes, k.slow = 1, false
	}
	begun := time.Now()
	require.Empty(t, k.run())
	t.Logf("%d states, %d healed ways in %s; each event in the order %v", len(k.seen), len(k.healedFrom), time.Since(begun).Round(time.Millisecond), EventKinds())
	t.Log("\n" + k.pairs.counts())
	assert.Empty(t, k.pairs.empty(), "cells of reached pairs that nothing was tried in")
	if short {
		return
	}
	const path = "testdata/pairs.golden"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(k.pairs.golden()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), k.pairs.golden(), "the pairs that can be reached have changed")
}

// Five refused reverses bring a person; other settings of the flow move the instants against each other.
func TestWalkOtherSettings(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("the short form walks the default settings")
	}
	for _, timing := range []Timing{
		{QueryEvery: 3 * time.Second, ReverseAfter: 40 * time.Second, ScanWithin: 90 * time.Second},
		{QueryEvery: 10 * time.Second, ReverseAfter: 15 * time.Second, ScanWithin: 5 * time.Second},
		{QueryEvery: 7 * time.Second, ReverseAfter: 44 * time.Second, ScanWithin: 2 * time.Minute},
	} {
		k := &walk{step: Step, timing: timing, refusals: 5, early: true}
		require.Empty(t, k.run(), "%v", timing)
		t.Logf("%v: %d states", timing, len(k.seen))
	}
}
