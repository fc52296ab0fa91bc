package payflow

import (
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// refundStepFunc is what walk and fuzz drive: RefundStep, or RefundStep with one rule taken out.
type refundStepFunc func(Refund, RefundEvent) (Refund, []RefundCommand)

// refundState is one place of the walk: the refund as the engine holds it, as the journal holds it, and the world.
type refundState struct {
	r    Refund
	kept Refund
	w    refundWorld
	id   int32
	// plain leaves out the instant at which hosts no longer lag.
	plain bool
}

// refundWalk is a breadth-first search over everything that can happen to one refund.
type refundWalk struct {
	step    refundStepFunc
	wish    RefundWish
	crashes uint8
	other   bool // somebody else refunds too
	busy    bool // another refund of the order is asked for meanwhile
	plain   bool // hosts do not lag, and answers are about what was asked
	// unsigned: no error answer is ever signed.
	unsigned bool
	clock    time.Duration // what a restart may set the PC's clock by

	asked   RefundOrder
	seen    map[refundKey]struct{}
	healed  map[refundKey]struct{}
	queue   []*refundState
	spare   []*refundState // walked already, for the next ones
	parents []parent
	tried   map[triedRefund]int
	broken  string
	from    int32
	at      string
}

// walkedRefund is the number of the refund that is walked.
var walkedRefund = aRefundOrder().OutRefundNo

// triedRefund counts what was tried where.
type triedRefund struct {
	status RefundStatus
	kind   RefundEventKind
}

func (k *refundWalk) run() (broken string) {
	k.seen, k.healed, k.tried = map[refundKey]struct{}{}, map[refundKey]struct{}{}, map[triedRefund]int{}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // millions of short-lived values, and little that stays
	defer func() {
		if p := recover(); p != nil {
			broken = fmt.Sprintf("panic: %v\n%s", p, k.story(k.from, k.at))
		}
	}()
	k.asked = aRefundOrder()
	r, commands := NewRefund(k.asked, k.wish, "Amy", beginning)
	s := refundState{r: r, kept: r, w: refundWorld{now: beginning, standing: beginning, unsigned: k.unsigned}, plain: k.plain}
	s.w.obey(commands)
	k.push(&s, -1, "wished for")
	for head := 0; head < len(k.queue) && k.broken == ""; head++ {
		s := *k.queue[head]
		k.spare, k.queue[head], k.from = append(k.spare, k.queue[head]), nil, s.id
		k.strays(s)
		if s.r.Status.Final() {
			k.event(s, "a person has seen it", RefundEvent{Kind: RefundSeen, Operator: "Bo"})
			continue
		}
		k.heals(s)
		k.moves(s)
	}
	return k.broken
}

func (k *refundWalk) push(s *refundState, from int32, label string) {
	id := s.key()
	if s.w.crashes < k.crashes {
		id.kept = packRefund(&s.kept, true)
	}
	if _, ok := k.seen[id]; ok {
		return
	}
	k.seen[id] = struct{}{}
	fresh := new(refundState)
	if last := len(k.spare) - 1; last >= 0 {
		fresh, k.spare = k.spare[last], k.spare[:last]
	}
	*fresh = *s
	fresh.id = int32(len(k.parents))
	k.parents = append(k.parents, parent{from, label})
	k.queue = append(k.queue, fresh)
}

// change is a move that the till does not notice.
func (k *refundWalk) change(s refundState, label string, f func(*refundWorld)) {
	f(&s.w)
	k.push(&s, s.id, label)
}

// event gives the refund an event, judges what it does, and does what it says.
func (k *refundWalk) event(s refundState, label string, e RefundEvent) {
	if k.broken != "" {
		return
	}
	from := s.id
	k.at = label
	k.tried[triedRefund{s.r.Status, e.Kind}]++
	if broken := s.happen(k, e); broken != "" {
		k.broken = broken + "\n" + k.story(from, label)
		return
	}
	k.push(&s, from, label)
}

// happen is one event and its judgement.
func (s *refundState) happen(k *refundWalk, e RefundEvent) string {
	before := s.r
	if e.Kind == RefundRestarted {
		before = s.kept
	}
	e.At, e.FreeAt = s.w.now, s.w.freeAt
	after, commands := k.step(before, e)
	s.w.hear(before, e)
	if RefundDurable(before, after) {
		s.kept = after
	}
	s.r = after
	broken := judgeRefund(&before, &after, &s.kept, &k.asked, &e, commands, &s.w)
	if after.Status != before.Status {
		s.w.standing = s.w.now
	}
	s.w.obey(commands)
	return broken
}

func (k *refundWalk) story(id int32, last string) string {
	lines := []string{last}
	for ; id >= 0; id = k.parents[id].from {
		lines = append([]string{k.parents[id].label}, lines...)
	}
	return "  " + strings.Join(lines, "\n  ")
}

// moves tries everything that can happen next in a state.
func (k *refundWalk) moves(s refundState) {
	w := &s.w
	if next := s.nextInstant(); !next.IsZero() && (w.call == NoRefundCall || w.answer != nil) {
		k.change(s, "time passes", func(w *refundWorld) { w.now, w.sends = next, 0 })
	}
	if w.mayArrive() {
		k.change(s, "a request arrives late", func(w *refundWorld) { w.arrives(); w.late = false })
	}
	if w.call != NoRefundCall && w.answer == nil { // a change that no call meets is the same change a moment later
		k.worldMoves(s)
	}
	if w.crashes < k.crashes {
		k.event(s, "power back", RefundEvent{Kind: RefundRestarted})
		if k.clock != 0 {
			set := s
			set.w.setClock(k.clock)
			k.event(set, fmt.Sprint("power back, with a clock that is off by ", k.clock), RefundEvent{Kind: RefundRestarted})
		}
	}
	k.event(s, "a notification", RefundEvent{Kind: RefundNoticed})
	k.event(s, "a person has seen it too soon", RefundEvent{Kind: RefundSeen})
	switch {
	case w.call == NoRefundCall:
		if !w.now.Before(w.timer) {
			k.event(s, "woken", RefundEvent{Kind: RefundWoken})
		}
	case w.answer == nil:
		k.arrivals(s)
		k.event(s, string(w.call)+" lost on its way", RefundEvent{Kind: RefundCallLost, Call: w.callNo, Lost: Lost{Reason: ReasonTimeout}})
	default:
		k.answers(s)
	}
}

// worldMoves: WeChat Pay, the customer's bank, and another hand.
func (k *refundWalk) worldMoves(s refundState) {
	for _, next := range refundTurns[s.w.truth] {
		k.change(s, "it becomes "+refundTruthNames[next], func(w *refundWorld) { w.truth = next })
	}
	if k.other && s.w.call == RefundListCall && s.w.others == othersNone && !s.w.held {
		for others := othersRoom; others < othersRefunds; others++ {
			k.change(s, fmt.Sprint("another's refund ", others), func(w *refundWorld) { w.others = others })
		}
		k.change(s, "another refund of this till", func(w *refundWorld) { w.held = true })
	}
	if k.busy && s.w.freeAt.IsZero() {
		k.change(s, "another request of this order has just ended", func(w *refundWorld) { w.freeAt = w.now.Add(RefundGap) })
	}
}

// arrivals: the call reaches WeChat Pay, which makes its answer now.
func (k *refundWalk) arrivals(s refundState) {
	answers := func(a refundAnswer) {
		k.change(s, arrivesLabel(s.w.call, a.label), func(w *refundWorld) {
			if a.kind == RefundAccepted {
				w.arrives()
			}
			a.truth, a.others, a.held = w.truth, w.others, w.held
			w.answer = &a
		})
	}
	switch s.w.call {
	case RefundRequestCall:
		answers(refundAnswer{label: "taken on", kind: RefundAccepted})
		answers(refundAnswer{label: "refused", kind: RefundDeclined}) // of a repeat it says nothing of the first
		answers(refundAnswer{label: "later", kind: RefundLater})
	case RefundQueryCall:
		if s.w.truth != noRefund {
			answers(refundAnswer{label: "found", kind: RefundFound})
		}
		if s.w.truth == noRefund || s.w.lags() && !k.plain {
			answers(refundAnswer{label: "no such refund", kind: NoSuchRefund})
		}
	case RefundListCall:
		answers(refundAnswer{label: "listed", ours: s.w.truth != noRefund})
		if s.w.lags() && !k.plain {
			answers(refundAnswer{label: "listed without ours", ours: false})
		}
	}
}

func arrivesLabel(call RefundCall, label string) string { return string(call) + " arrives: " + label }

// answers: the answer is read, or lost on its way back.
func (k *refundWalk) answers(s refundState) {
	w, o := &s.w, s.r.RefundOrder
	a := *w.answer
	k.event(s, "the answer is lost", RefundEvent{Kind: RefundCallLost, Call: w.callNo, Lost: Lost{Reason: ReasonUnverified, Claim: Refused, Busy: true}})
	switch w.call {
	case RefundListCall:
		listed, held := listOf(o, &a)
		k.event(s, a.label, RefundEvent{Kind: RefundListed, Call: w.callNo, Listed: listed, Held: held})
		odd := append([]RefundReport{{RefundID: "W3", OutRefundNo: "ODD", OutTradeNo: o.OutTradeNo, State: RefundStateSuccess, Amount: Amount{Minor: 1, Currency: "USD"}}}, listed...)
		k.event(s, a.label+", with what cannot be", RefundEvent{Kind: RefundListed, Call: w.callNo, Listed: odd, Held: held})
	case RefundRequestCall, RefundQueryCall:
		e := RefundEvent{Kind: RefundAnswered, Call: w.callNo, Outcome: RefundOutcome{Kind: a.kind, Code: "NOTENOUGH"}}
		if w.call == RefundQueryCall {
			e.Kind = RefundQueryAnswered
		}
		if a.kind == RefundAccepted || a.kind == RefundFound {
			e.Outcome = RefundOutcome{Kind: a.kind, Refund: reportOf(o, a.truth)}
			if !k.plain {
				k.oddAnswers(s, e)
			}
		}
		if a.kind == NoSuchRefund || a.kind == RefundDeclined {
			claim := map[RefundOutcomeKind]OutcomeKind{NoSuchRefund: NoSuchOrder, RefundDeclined: Refused}[a.kind]
			k.event(s, a.label+", unsigned", RefundEvent{Kind: RefundCallLost, Call: w.callNo, Lost: Lost{Reason: ReasonUnverified, Claim: claim}})
			if w.unsigned {
				return
			}
		}
		k.event(s, a.label+" "+string(e.Outcome.Refund.State), e)
	}
}

// oddAnswers are of another refund, or say what we do not know.
func (k *refundWalk) oddAnswers(s refundState, e RefundEvent) {
	for label, spoil := range map[string]func(*RefundReport){
		"another number":   func(t *RefundReport) { t.OutRefundNo, t.State = "ANOTHERS", RefundStateSuccess },
		"another amount":   func(t *RefundReport) { t.Amount.Minor, t.State = 1250, RefundStateSuccess },
		"another payment":  func(t *RefundReport) { t.OutTradeNo, t.State = "T2", RefundStateClosed },
		"a state of later": func(t *RefundReport) { t.State = "SOMETHING_NEW" },
	} {
		odd := e
		spoil(&odd.Outcome.Refund)
		k.event(s, string(e.Outcome.Kind)+", "+label, odd)
	}
}

// strays are events that fit nothing: none may change anything.
func (k *refundWalk) strays(s refundState) {
	if k.broken != "" {
		return
	}
	o := s.r.RefundOrder
	done := RefundOutcome{Kind: RefundFound, Refund: reportOf(o, refundSuccess)}
	strays := []RefundEvent{
		{Kind: RefundQueryAnswered, Call: s.r.Calls + 1, Outcome: done}, {Kind: RefundQueryAnswered, Call: s.r.Calls - 1, Outcome: done},
		{Kind: RefundAnswered, Call: s.r.Calls - 1, Outcome: RefundOutcome{Kind: RefundDeclined}}, {Kind: RefundListed, Call: s.r.Calls + 1},
		{Kind: RefundCallLost, Call: s.r.Calls - 1}, {Kind: "something_new", Call: s.r.Calls},
	}
	if s.r.Call != RefundQueryCall {
		strays = append(strays, RefundEvent{Kind: RefundQueryAnswered, Call: s.r.Calls, Outcome: done})
	}
	if s.r.Call != RefundRequestCall {
		strays = append(strays, RefundEvent{Kind: RefundAnswered, Call: s.r.Calls, Outcome: RefundOutcome{Kind: RefundDeclined}})
	}
	if s.r.Status.Final() {
		strays = append(strays, RefundEvent{Kind: RefundWoken}, RefundEvent{Kind: RefundNoticed}, RefundEvent{Kind: RefundRestarted})
	}
	for _, e := range strays {
		e.At = s.w.now
		if after, commands := k.step(s.r, e); after != s.r || len(commands) > 0 {
			k.broken = fmt.Sprintf("a stray %s of call %d changes something\n%s", e.Kind, e.Call, k.story(s.id, ""))
			return
		}
	}
}

// The bounds of what follows when the faults are over: the longest pause is three hours.
const (
	refundHealsWithin = 12 * time.Hour
	refundHealsIn     = 60 // events
)

// heals follows the one way from here once every call is answered truly and the bank does its work: final, in few calls.
func (k *refundWalk) heals(s refundState) {
	id := s.key()
	id.world = uint64(s.w.truth) | uint64(s.w.others)<<8 | uint64(place(s.w.held, true))<<16 | uint64(s.w.crashes)<<20
	if _, ok := k.healed[id]; ok || k.broken != "" {
		return
	}
	k.healed[id] = struct{}{}
	from, begun := s.id, s.w.now
	s.w.late = false
	for n := 0; s.r.Open(); n++ {
		if broken := s.happen(k, s.trueEvent()); broken != "" {
			k.broken = "on the healed way: " + broken + "\n" + k.story(from, "healed")
			return
		}
		if n > refundHealsIn || s.w.now.Sub(begun) > refundHealsWithin {
			k.broken = fmt.Sprintf("not final %s after the faults healed: %s, %s\n%s", s.w.now.Sub(begun), s.r.Status, s.r.Why, k.story(from, "healed"))
			return
		}
	}
}

// trueEvent lets time pass to what happens next where nothing fails, and returns it.
func (s *refundState) trueEvent() RefundEvent {
	w := &s.w
	w.sends = 0
	if w.call == NoRefundCall {
		w.now = later(w.now, w.timer)
		return RefundEvent{Kind: RefundWoken}
	}
	w.now = w.now.Add(time.Second)
	e := RefundEvent{Call: w.callNo}
	o := s.r.RefundOrder
	switch w.call {
	case RefundListCall:
		e.Kind = RefundListed
		e.Listed, e.Held = listOf(o, &refundAnswer{truth: w.truth, others: w.others, held: w.held, ours: w.truth != noRefund})
	case RefundRequestCall:
		w.arrives()
		e.Kind, e.Outcome = RefundAnswered, RefundOutcome{Kind: RefundAccepted, Refund: reportOf(o, w.truth)}
	case RefundQueryCall:
		if w.truth == refundProcessing || w.truth == refundAbnormal {
			w.truth = refundSuccess
		}
		e.Kind, e.Outcome = RefundQueryAnswered, RefundOutcome{Kind: RefundFound, Refund: reportOf(o, w.truth)}
		if w.truth == noRefund {
			e.Outcome = RefundOutcome{Kind: NoSuchRefund}
			if w.unsigned {
				e.Kind, e.Outcome, e.Lost = RefundCallLost, RefundOutcome{}, Lost{Reason: ReasonUnverified, Claim: NoSuchOrder}
			}
		}
	}
	w.answer = &refundAnswer{} // it has arrived
	return e
}

// instants are the times that decide where the refund stands.
func (s *refundState) instants() [9]time.Time {
	all := [9]time.Time{s.w.timer, s.r.NextRequestAt, s.w.freeAt, s.w.lateUntil}
	if !s.r.LostAt.IsZero() {
		all[4] = s.r.LostAt.Add(RefundRequestLife)
	}
	if s.r.Status == RefundRequested {
		all[5] = s.r.RequestedAt.Add(refundUnseenAfter)
		all[6], all[7] = s.r.WaitedFrom.Add(refundUnsettledAfter-s.r.Waited), s.w.standing.Add(refundUnsettledAfter)
	} else if s.r.Open() {
		all[6], all[7] = s.r.WaitedFrom.Add(refundSlowAfter-s.r.Waited), s.w.standing.Add(refundSlowAfter)
	}
	if s.w.truth != noRefund && s.r.Open() && !s.plain {
		all[8] = s.w.since.Add(refundLag)
	}
	if s.r.Restarts > 0 { // nobody waits any more
		all[5] = time.Time{}
	}
	return all
}

func (s *refundState) nextInstant() time.Time {
	var next time.Time
	for _, at := range s.instants() {
		if at.After(s.w.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// timeClass is the order of the instants: each against now, and the timer against each. Where they stand is a class, not a number.
func (s *refundState) timeClass() uint64 {
	all := s.instants()
	var class uint64
	for i, at := range all {
		class = class<<2 | order(at, s.w.now)
		if i > 0 && i < 5 {
			class = class<<2 | order(all[0], at)
		}
	}
	if s.r.LostAt.IsZero() {
		return class<<2 | 3
	}
	return class<<2 | order(s.r.CallStartedAt, all[4])
}

// refundKey is what makes two states the same for the walk.
type refundKey struct{ refund, kept, time, world uint64 }

func (s *refundState) key() refundKey {
	return refundKey{refund: packRefund(&s.r, false), time: s.timeClass(), world: packRefundWorld(&s.w)}
}

// packRefund packs what a refund can still do by.
func packRefund(r *Refund, kept bool) uint64 {
	var k packer
	k.number(place(r.Status, RefundStatuses()...), 6)
	k.number(place(r.Attention, "", AttentionRefundUnsettled, AttentionRefundVanished, AttentionRefundAbnormal, AttentionRefundClosed, AttentionRefundSlow, AttentionRefundRefused), 8)
	k.number(place(r.Refusal.Reason, "", ReasonRefundClosed, ReasonRefundNoFunds, ReasonRefundExceeds, ReasonRefundOthersFailed), 6)
	k.yes(r.MayArrive)
	k.number(r.Requests, 3)
	if kept {
		k.yes(r.Waited > 0)
		return uint64(k)
	}
	k.number(place(r.Call, NoRefundCall, RefundListCall, RefundRequestCall, RefundQueryCall), 5)
	k.yes(r.LostAt.IsZero())
	k.yes(r.OutRefundNo == walkedRefund)
	return uint64(k)
}

func packRefundWorld(w *refundWorld) uint64 {
	var k packer
	k.number(int(w.truth), int(refundTruths))
	k.number(int(w.others), int(othersRefunds))
	k.number(place(w.call, NoRefundCall, RefundListCall, RefundRequestCall, RefundQueryCall), 5)
	k.number(int(w.crashes), 3)
	k.number(min(w.requests, 2), 3)
	early := !w.requestEnd.IsZero() && w.now.Sub(w.requestEnd) < time.Minute
	for _, b := range [...]bool{w.held, w.mayArrive(), w.freeAt.IsZero(), early, w.absent, w.claimed, w.asked, w.refused, w.noRoom, w.taken, w.abnormal, w.set, w.answer != nil} {
		k.yes(b)
	}
	if a := w.answer; a != nil {
		k.number(place(a.kind, "", RefundAccepted, RefundFound, NoSuchRefund, RefundDeclined, RefundLater), 6)
		k.number(int(a.truth), int(refundTruths))
		k.number(int(a.others), int(othersRefunds))
		k.yes(a.held)
		k.yes(a.ours)
	}
	return uint64(k)
}

func refundWalks(step refundStepFunc, crashes uint8) []*refundWalk {
	return []*refundWalk{
		{step: step, wish: WishPerson, crashes: crashes},
		{step: step, wish: WishLateSuccess, other: true, plain: true},
		{step: step, wish: WishPerson, other: true, plain: true},
		{step: step, wish: WishPerson, busy: true, plain: true},
		{step: step, wish: WishPerson, crashes: min(crashes, 1), plain: true, unsigned: true, clock: -50 * 365 * 24 * time.Hour},
	}
}

func TestWalkEveryWayOfARefund(t *testing.T) {
	if underRace {
		t.Skip("a pure function has no races to find")
	}
	crashes := uint8(2)
	if testing.Short() {
		crashes = 1
	}
	for _, k := range refundWalks(RefundStep, crashes) {
		begun := time.Now()
		require.Empty(t, k.run())
		t.Logf("%s: %d states, %d healed ways in %s", k.wish, len(k.seen), len(k.healed), time.Since(begun).Round(time.Millisecond))
		for _, status := range []RefundStatus{RefundRequested, RefundProcessing, RefundAbnormal} {
			for _, kind := range RefundEventKinds() {
				if status != RefundRequested && (kind == RefundListed || kind == RefundAnswered) || kind == RefundRestarted && k.crashes == 0 {
					continue // what was taken on is asked about by its number alone
				}
				require.NotZero(t, k.tried[triedRefund{status, kind}], "%s while %s was never tried", kind, status)
			}
		}
	}
}
