package payflow

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lateFunc is what the walk drives: LateStep, or LateStep with one rule taken out.
type lateFunc func(Payment, Late, Event) (Late, []Command)

// lateBeginning is when every payment of the walk ends: two seconds after its pay call did.
var lateBeginning = beginning.Add(10 * time.Second)

// aFinal is a payment that has ended while its code lived.
func aFinal(status Status, edit func(*Payment)) Payment {
	p := Payment{Order: anOrder(), Status: status, Reason: ReasonNotEnough, Proof: ProofSigned, CodeSpent: true, CodeTail: "4321", Timing: DefaultTiming(),
		ScannedAt: beginning, FirstPayAt: beginning, PayEndedAt: lateBeginning.Add(-2 * time.Second), CallStartedAt: lateBeginning.Add(-time.Second), FinalAt: lateBeginning}
	if edit != nil {
		edit(&p)
	}
	return p
}

// lateWorld is WeChat Pay and the wire behind a payment that is final, and the judge's own record.
type lateWorld struct {
	now, timer time.Time

	order       truth
	wrong       bool
	wasPaid     bool
	request     bool // our pay request may still arrive, until codeDead
	lateReverse bool
	refund      bool // our refund is in the journal of refunds
	wishing     bool // a wish was asked for and not answered yet

	call     CallKind
	callNo   int
	answer   said
	answered truth

	faults uint8 // crashes, losses, refusals and contradictions so far

	// The judge's record.
	codeDead    time.Time
	guard       time.Time // no reverse before it
	anewDead    time.Time // T_dead as it counts since the last start
	callStarted time.Time
	reverseEnd  time.Time
	asked       bool // a query has ended since the last start
	theirs      bool // the last verified word on whose order it is
	ours        bool
	moneyShown  bool
	tooLate     bool
	oldStarts   uint8
	lateUntil   time.Time // a reverse that left may be carried out before
	reversed    bool      // a reverse has left since the last start
	absentAt    time.Time
	sends       uint8
	again       bool // somebody has looked again behind the end
}

func (w *lateWorld) mayHoldMoney() bool {
	switch w.order {
	case unpaid, paid, refused, partRefunded, onTheWayBack, refundFailed:
		return true
	case nothing:
		return w.request && w.now.Before(w.codeDead)
	}
	return false
}

type lateState struct {
	l, kept Late
	w       lateWorld
	id      int
}

// lateKey is what makes two states the same. Times are classes, as in the walk of a payment: whether each instant has come, and which of
// two comes first.
type lateKey struct{ late, kept, world uint64 }

func (s *lateState) key() lateKey {
	return lateKey{late: packLate(&s.l, s.w.now, false), kept: packLate(&s.kept, s.w.now, true), world: packLateWorld(&s.w)}
}

func packLate(l *Late, now time.Time, kept bool) uint64 {
	var k packer
	k.number(place(l.Stage, LateStages()...), 8)
	k.number(place(l.Attention, "", AttentionMismatch, AttentionAnotherTill, AttentionUnclaimed, AttentionReverseRefused, AttentionReverseTooLate,
		AttentionVanished, AttentionLateUnanswered, AttentionLateRefund, AttentionRefundSeen), 11)
	k.number(place(l.Stranger, NoStranger, Another), 3)
	for _, b := range [...]bool{l.MoneySeen, l.OutRefundNo != "", l.TooLate} {
		k.yes(b)
	}
	k.number(l.OldStarts, 3)
	if kept || l.Stage.Over() {
		return uint64(k)
	}
	k.number(place(l.Call, NoCall, QueryCall), 3)
	k.number(place(l.NextCall, NoCall, QueryCall), 3)
	k.number(l.Reverses, 2)
	k.number(l.ReverseRefusals, 6)
	for _, b := range [...]bool{l.CallStartedAt.Before(l.DeadAt), !l.AbsentAt.IsZero(), l.CallStartedAt.Sub(l.AbsentAt) < 3*time.Second,
		!now.Before(l.DeadAt), !now.Before(l.GuardAt), !now.Before(l.NextReverseAt), !now.Before(l.NextReverseAt.Add(reverseLate)), l.WakeAt.Before(l.DeadAt), l.WakeAt.Before(l.NextReverseAt)} {
		k.yes(b)
	}
	return uint64(k)
}

func packLateWorld(w *lateWorld) uint64 {
	var k packer
	k.number(int(w.order), int(truths))
	k.number(int(w.answer), 8)
	k.number(int(w.answered), int(truths))
	k.number(place(w.call, NoCall, QueryCall), 3)
	k.number(int(w.faults), 5)
	k.number(int(w.oldStarts), 3)
	for _, b := range [...]bool{w.wrong, w.wasPaid, w.request, w.lateReverse, w.refund, w.wishing, w.asked, w.theirs, w.ours, w.moneyShown, w.tooLate, w.reversed, w.again,
		w.now.Before(w.timer), w.now.Before(w.codeDead), w.now.Before(w.guard), w.now.Before(w.guard.Add(-time.Second)), w.now.Before(w.anewDead), w.now.Before(w.lateUntil), w.callStarted.Before(w.anewDead), w.absentAt.IsZero(),
		w.now.Sub(w.reverseEnd) < 2400*time.Millisecond} {
		k.yes(b)
	}
	return uint64(k)
}

// lateWalk is a breadth-first search over everything that can happen after the end of one payment.
type lateWalk struct {
	step   lateFunc
	p      Payment
	orders []lateWorld // ways to begin

	faults    uint8 // at most
	statesMax int

	seen    map[lateKey]struct{}
	healed  map[lateKey]struct{}
	queue   []lateState
	parents []parent
	broken  string
	ends    map[LateStage]int
	at      string
	from    int32
}

func (k *lateWalk) run() (broken string) {
	k.seen, k.healed, k.ends = map[lateKey]struct{}{}, map[lateKey]struct{}{}, map[LateStage]int{}
	defer func() {
		if p := recover(); p != nil {
			broken = fmt.Sprintf("panic: %v\n%s", p, k.story(k.from, k.at))
		}
	}()
	for _, w := range k.orders {
		w.now = lateBeginning
		w.codeDead, w.guard = k.p.PayEndedAt.Add(75*time.Second), k.p.PayEndedAt.Add(15*time.Second)
		w.anewDead = w.codeDead
		l := BeginLate(k.p)
		w.timer = l.WakeAt
		k.push(lateState{l: l, kept: l, w: w}, -1, "ended, and WeChat Pay holds: "+truthNames[w.order])
	}
	for head := 0; head < len(k.queue) && k.broken == ""; head++ {
		s := k.queue[head]
		k.queue[head], k.from = lateState{}, int32(s.id)
		k.visit(s)
		if len(k.seen) > k.statesMax {
			return fmt.Sprintf("more than %d states", k.statesMax)
		}
	}
	return k.broken
}

func (k *lateWalk) story(id int32, last string) string {
	lines := []string{last}
	for ; id >= 0; id = k.parents[id].from {
		lines = append(lines, k.parents[id].label)
	}
	slices.Reverse(lines)
	return "  " + strings.Join(lines, "\n  ")
}

func (k *lateWalk) push(s lateState, from int32, label string) {
	id := s.key()
	if _, ok := k.seen[id]; ok {
		return
	}
	k.seen[id] = struct{}{}
	s.id = len(k.parents)
	k.parents = append(k.parents, parent{from, label})
	k.queue = append(k.queue, s)
}

func (k *lateWalk) change(s lateState, label string, edit func(*lateWorld)) {
	edit(&s.w)
	k.push(s, int32(s.id), label)
}

// event gives the late truth an event, judges what it does, and does what it says.
func (k *lateWalk) event(s lateState, label string, e Event, edit func(*lateWorld)) {
	if k.broken != "" {
		return
	}
	from := int32(s.id)
	k.at = label
	if broken := k.happen(&s, e, edit); broken != "" {
		k.broken = broken + "\n" + k.story(from, label)
		return
	}
	k.push(s, from, label)
}

func (k *lateWalk) happen(s *lateState, e Event, edit func(*lateWorld)) string {
	before := s.l
	if e.Kind == Restarted {
		before = s.kept
	}
	e.At = s.w.now
	s.w.hear(k.p, before, e)
	after, commands := k.step(k.p, before, e)
	if edit != nil {
		edit(&s.w)
	}
	if LateDurable(before, after) || e.Kind == Restarted && after.Stage != before.Stage {
		s.kept = after
	}
	s.l = after
	broken := judgeLate(k.p, before, after, e, commands, &s.w)
	s.w.obey(after, commands)
	return broken
}

func (w *lateWorld) hear(p Payment, before Late, e Event) {
	switch e.Kind {
	case QueryAnswered:
		w.asked = true
		w.hearOrder(p, e.Outcome)
	case ReverseAnswered:
		w.reverseEnd = w.now
		w.tooLate = w.tooLate || e.Outcome.Kind == ReverseTooLate
		if e.Outcome.Kind == ReverseRefused {
			w.faults++
		}
	case CallLost:
		if w.call == ReverseCall {
			w.reverseEnd = w.now
		} else {
			w.asked = true
		}
		w.faults++
	case LateAsked:
		w.sends = 0 // a person may ask as often as they like
		if before.Stage.Over() {
			w.anew()
			w.again, w.moneyShown = true, false
		}
	case Restarted:
		if w.call == ReverseCall && w.answer == saidNothing {
			w.lateReverse = true
		}
		w.faults++
		w.anew()
		if e.Age > 7*24*time.Hour {
			w.oldStarts++
		}
	}
	switch e.Kind {
	case QueryAnswered, ReverseAnswered, CallLost, Restarted:
		w.call, w.wishing = NoCall, false
	}
}

func (w *lateWorld) anew() {
	w.guard, w.anewDead = w.now.Add(15*time.Second), w.now.Add(75*time.Second)
	w.timer, w.reverseEnd, w.absentAt, w.asked, w.reversed, w.sends = time.Time{}, time.Time{}, time.Time{}, false, false, 0
}

func (w *lateWorld) hearOrder(p Payment, o Outcome) {
	t := o.Trade
	if o.Kind != Found || t.OutTradeNo != p.OutTradeNo {
		return
	}
	mine := p.Tag.Carries(t.Attach) || t.Attach == "" && !p.collided()
	closed := t.State == TradeClosed || t.State == TradeRevoked
	if !closed {
		w.ours, w.theirs = p.Tag.Carries(t.Attach), t.Attach != "" && !p.Tag.Carries(t.Attach)
	}
	if mine && (t.State == TradeSuccess || t.State == TradeRefund || closed && !t.SuccessTime.IsZero()) {
		w.moneyShown = true
	}
}

func (w *lateWorld) obey(after Late, commands []Command) {
	for _, c := range commands {
		switch c.Kind {
		case SendQuery, SendReverse:
			w.call = QueryCall
			if c.Kind == SendReverse {
				w.call, w.reversed, w.lateUntil = ReverseCall, true, w.now.Add(reverseLateInWorld)
			}
			w.callNo, w.answer, w.answered, w.callStarted, w.timer = c.Call, saidNothing, nothing, w.now, time.Time{}
			w.sends++
		case Wake:
			w.timer = c.At
		case WishRefund:
			w.wishing = true
		}
	}
	if after.Stage.Over() { // a person's word lets go of a call in flight
		w.lateReverse = w.lateReverse || w.call == ReverseCall && w.answer == saidNothing
		w.timer, w.call = time.Time{}, NoCall
	}
}

// judgeLate returns which invariant a step broke, or "".
func judgeLate(p Payment, before, after Late, e Event, commands []Command, w *lateWorld) string {
	for _, judge := range []func(Payment, Late, Late, Event, []Command, *lateWorld) string{judgeLateCalls, judgeLateEnd, judgeLateMoney, judgeLatePeople, judgeLateForgotten} {
		if broken := judge(p, before, after, e, commands, w); broken != "" {
			return broken
		}
	}
	return ""
}

func judgeLateCalls(p Payment, _, after Late, e Event, commands []Command, w *lateWorld) string {
	sends := 0
	shownOurs := e.Kind == QueryAnswered && e.Outcome.Kind == Found && lookSuccess(p, e.Outcome.Trade) == seenOurs && e.Outcome.Trade.State == TradeSuccess
	old := w.tooLate || w.oldStarts >= 2
	for _, c := range commands {
		switch c.Kind {
		case SendPay:
			return "I2: a pay call after the end"
		case SendQuery, SendReverse:
			sends++
			if sends > 1 || w.call != NoCall || c.Call != after.Calls || w.sends > 4 {
				return "two calls in flight, or a storm"
			}
		case WishRefund:
			if !old || !w.moneyShown || !shownOurs {
				return "rule 13: a refund though a reverse is possible, or nothing shows the money"
			}
			if w.now.Before(w.lateUntil) {
				return "rule 13: a refund while a reverse may be in flight"
			}
		}
		if c.Kind != SendReverse {
			continue
		}
		switch {
		case w.now.Before(w.guard):
			return "I3: a reverse sooner than 15 s"
		case w.theirs || p.collided() && !w.ours:
			return "rule 3: a reverse of an order that is another's"
		case old:
			return "rule 13: a reverse though it comes too late"
		case !w.asked:
			return "rule 11: a reverse before the first question since the start"
		case !w.reverseEnd.IsZero() && w.now.Sub(w.reverseEnd) < 2400*time.Millisecond:
			return "rule 6: a reverse without its pause"
		case w.refund:
			return "rule 13: a reverse beside a refund"
		}
	}
	return ""
}

// judgeLateEnd: nothing is called over while WeChat Pay holds the money, or may come to (I4).
func judgeLateEnd(p Payment, before, after Late, e Event, commands []Command, w *lateWorld) string {
	if before.Stage.Over() && e.Kind != LateAsked && (before != after || len(commands) > 0) {
		return "what is over goes on"
	}
	if before.Stage.Over() || !after.Stage.Over() {
		return ""
	}
	absent := e.Outcome.Kind == NoSuchOrder || e.Lost.Claim == NoSuchOrder
	switch {
	case after.Attention != "" || after.Call != NoCall:
		return "a false alarm or a call behind the end"
	case after.Stage == LateSettled:
		if e.Kind != LateHandled || before.Attention == "" {
			return "settled though no person was needed, or by nobody"
		}
		return ""
	case w.mayHoldMoney():
		return "I4: over, but WeChat Pay holds or may come to hold " + truthNames[w.order]
	case e.Kind == CallLost && (!absent || p.Proof != ProofTransport):
		return "I14: over by a lost call"
	case e.Kind == CallLost && (w.absentAt.IsZero() || w.callStarted.Sub(w.absentAt) < 3*time.Second):
		return "rule 9: unsigned answers without two of them 3 s apart"
	case e.Kind != CallLost && e.Kind != QueryAnswered:
		return "I14: over by " + string(e.Kind)
	case absent && w.callStarted.Before(w.anewDead):
		return "rule 7: no such order, asked for before the code was dead"
	case absent && before.Stage != LateOwed:
		return "I4: an order that was seen is gone, and that is called the end"
	case e.Outcome.Trade.State == TradeRefund && !addsUp(e.Outcome.Trade):
		return "I14: over by refunds that do not add up"
	case after.Stage == LateGivenBack && !w.moneyShown:
		return "given back, though no money was seen"
	case after.Stage == LateClear && w.moneyShown && !p.MoneySeen:
		return "money was seen, and it is called clear"
	}
	return ""
}

// judgeLateMoney: a late success is believed on a verified answer alone, and told at once.
func judgeLateMoney(p Payment, before, after Late, e Event, _ []Command, w *lateWorld) string {
	links := LateLinks(before, after)
	told := slices.ContainsFunc(links, func(l Link) bool { return l.Kind == LinkLateSuccess })
	t := e.Outcome.Trade
	shown := e.Kind == QueryAnswered && e.Outcome.Kind == Found && t.OutTradeNo == p.OutTradeNo && (t.State == TradeSuccess || t.State == TradeRefund) &&
		(p.Tag.Carries(t.Attach) || t.Attach == "" && !p.collided() && t.Amount == p.Amount)
	asked := before.Call == QueryCall && e.Call == before.Calls
	switch {
	case told && !shown:
		return "I14: a late success without a verified answer that shows it"
	case after.MoneySeen && !w.moneyShown:
		return "I14: money seen that no verified answer showed"
	case shown && asked && !before.MoneySeen && !told && !after.Stage.Over():
		return "I5: a late success that nobody is told"
	case shown && asked && t.State == TradeSuccess && after.Stage.Over():
		return "I4: a SUCCESS that is ours, and it is called over"
	}
	return ""
}

// judgeLatePeople: what a person must look at is said, and stays said.
func judgeLatePeople(p Payment, before, after Late, e Event, _ []Command, w *lateWorld) string {
	t := e.Outcome.Trade
	if after.Stage.Over() || e.Kind != QueryAnswered && e.Kind != CallLost || before.Call != QueryCall {
		return ""
	}
	refunds := e.Kind == QueryAnswered && e.Outcome.Kind == Found && t.State == TradeRefund && !w.theirs
	awaited := before.Stage == LateRefunding && t.Refunds.Dead == 0 && (t.Refunds.Pending > 0 || !t.Refunds.Known)
	switch {
	case w.theirs && e.Kind == QueryAnswered && t.OutTradeNo == p.OutTradeNo && after.Attention != AttentionAnotherTill && e.Outcome.Kind == Found && t.State != TradeClosed && t.State != TradeRevoked:
		return "rule 3: another's order, and nobody is told"
	case refunds && !awaited && after.Attention == "":
		return "a person must look at a refund, and nobody is told"
	case e.Outcome.Kind == NoSuchOrder && before.Stage != LateOwed && after.Attention != AttentionVanished:
		return "what was there is gone, and nobody is told"
	case before.Attention != "" && after.Attention == "" && before.Attention != AttentionLateUnanswered && before.Attention != AttentionReverseTooLate:
		return "attention is lost"
	}
	return ""
}

// judgeLateForgotten is I6.
func judgeLateForgotten(_ Payment, before, after Late, e Event, commands []Command, w *lateWorld) string {
	if after.Stage.Over() {
		return ""
	}
	call, timer := w.call, w.timer
	for _, c := range commands {
		switch c.Kind {
		case SendQuery, SendReverse:
			call = QueryCall
		case Wake:
			timer = c.At
		}
	}
	longest := 11 * time.Minute
	if after.Stage == LateOwed && w.now.Before(w.anewDead) && after.Stranger == NoStranger {
		longest = w.anewDead.Sub(w.now) + 72*time.Second
	}
	switch {
	case call == NoCall && timer.IsZero():
		return "I6: a late truth is forgotten"
	case call == NoCall && timer.Sub(w.now) > longest:
		return fmt.Sprintf("I6: it sleeps for %s", timer.Sub(w.now))
	case e.Kind == Restarted && before.Stage != LateOwed && call == NoCall:
		return "rule 11: not asked for first after the start"
	}
	return ""
}

func (k *lateWalk) visit(s lateState) {
	if s.l.Stage.Over() {
		k.ends[s.l.Stage]++
		k.event(s, "an answer too late to count", Event{Kind: QueryAnswered, Call: s.l.Calls, Outcome: Outcome{Kind: Found, Trade: aTrade(k.p.Order, TradeSuccess, straight)}}, nil)
		k.event(s, "woken behind the end", Event{Kind: Woken}, nil)
		if s.w.faults == 0 && !s.w.again {
			k.event(s, "look again", Event{Kind: LateAsked, Operator: "Bo"}, nil)
		}
		return
	}
	k.heals(s)
	k.timePasses(s)
	k.worldMoves(s)
	k.event(s, "a person saw to it", Event{Kind: LateHandled, Operator: "Bo", Note: "cash"}, nil)
	if s.w.wishing {
		k.event(s, "the refund is journaled", Event{Kind: RefundWished, OutRefundNo: "T1000042K7Q-LATE"}, func(w *lateWorld) { w.refund, w.wishing = true, false })
		k.event(s, "the refund is refused", Event{Kind: RefundWished}, func(w *lateWorld) { w.wishing = false })
	} else {
		k.calls(s)
	}
	if s.w.faults < k.faults {
		k.event(s, "power back", Event{Kind: Restarted, Age: time.Minute}, nil)
		k.event(s, "power back, the order is 8 days old", Event{Kind: Restarted, Age: 8 * 24 * time.Hour}, nil)
	}
}

func (k *lateWalk) calls(s lateState) {
	switch s.w.call {
	case NoCall:
		k.event(s, "woken", Event{Kind: Woken}, nil)
		k.event(s, "look again", Event{Kind: LateAsked, Operator: "Bo"}, nil)
		k.event(s, "an answer to no call", Event{Kind: QueryAnswered, Call: s.l.Calls, Outcome: Outcome{Kind: NoSuchOrder}}, nil)
	case QueryCall:
		k.queryMoves(s)
	case ReverseCall:
		k.reverseMoves(s)
	}
}

// timePasses goes to the next instant that can matter. An answer may be read later than it was made, and a call may take until the code is dead.
func (k *lateWalk) timePasses(s lateState) {
	var next time.Time
	for _, at := range []time.Time{s.w.timer, s.w.codeDead, s.w.anewDead, s.w.guard, s.w.guard.Add(-time.Second)} {
		if at.After(s.w.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		return
	}
	k.change(s, "time passes", func(w *lateWorld) {
		w.now, w.sends = next, 0
		w.lateReverse = w.lateReverse && next.Before(w.lateUntil)
		w.request = w.request && next.Before(w.codeDead)
	})
}

func (k *lateWalk) worldMoves(s lateState) {
	w := &s.w
	if w.request && w.order == nothing && w.now.Before(w.codeDead) {
		for _, to := range []truth{unpaid, paid} {
			k.change(s, "the pay request arrives late: "+truthNames[to], func(w *lateWorld) { w.order, w.request = to, false })
		}
		k.change(s, "the pay request arrives late: paid, wrong amount", func(w *lateWorld) { w.order, w.wrong, w.request = paid, true, false })
	}
	if w.call == NoCall { // a change that no call meets is the same change a moment later
		return
	}
	if w.lateReverse {
		k.reverseLands(s, "a reverse arrives late", func(w *lateWorld, _ said) { w.lateReverse = false })
	}
	for _, to := range truthTurns[w.order] {
		if w.answer == saidState && w.answered != w.order {
			continue // an answer on its way is overtaken once at most
		}
		k.change(s, "the order becomes "+truthNames[to], func(w *lateWorld) { w.order = to })
	}
	if w.order == nothing {
		k.change(s, "another till is paid", func(w *lateWorld) { w.order = othersPaid })
	}
}

func (k *lateWalk) queryMoves(s lateState) {
	w := &s.w
	lostOnce := w.faults < k.faults
	if w.answer == saidNothing {
		if lostOnce {
			k.end(s, "query lost", noAnswer)
			k.end(s, "query answered SUCCESS, unsigned", Event{Kind: CallLost, Lost: Lost{Reason: ReasonUnverified}})
			k.end(s, "query answered about another order", Event{Kind: QueryAnswered, Outcome: Outcome{Kind: Found, Trade: aTrade(k.p.Order, TradeSuccess, otherNumberTo)}})
		}
		if s.l.Stage != LateOwed && lostOnce {
			k.event(s, "query answered with another's attach, though it was seen as ours", k.fits(s, Event{Kind: QueryAnswered,
				Outcome: Outcome{Kind: Found, Trade: aTrade(k.p.Order, TradeSuccess, anothersOrder)}}), func(w *lateWorld) { w.faults++ })
			k.event(s, "query: no such order, though it was seen", k.fits(s, Event{Kind: QueryAnswered, Outcome: Outcome{Kind: NoSuchOrder}}), func(w *lateWorld) { w.faults++ })
		}
		k.change(s, "query answered, slowly", func(w *lateWorld) {
			w.answer, w.answered = saidState, w.order
			if w.order == nothing {
				w.answer = saidAbsent
			}
		})
		return
	}
	if w.answer == saidAbsent {
		k.end(s, "query: no such order", Event{Kind: QueryAnswered, Outcome: Outcome{Kind: NoSuchOrder}})
		k.event(s, "query: no such order, unsigned", k.fits(s, Event{Kind: CallLost, Lost: Lost{Reason: ReasonUnverified, Claim: NoSuchOrder}}), func(w *lateWorld) {
			w.faults--
			if !w.callStarted.Before(w.anewDead) && w.absentAt.IsZero() {
				w.absentAt = w.now
			}
		})
		return
	}
	held := w.answered
	wrong := w.wrong && held < othersUnpaid
	t := tradeNow(k.p.Order, held, wrong, straight)
	answer := func(how string, t Trade) {
		k.end(s, "query answered"+how+": "+truthNames[held], Event{Kind: QueryAnswered, Outcome: Outcome{Kind: Found, Trade: t}})
	}
	answer("", t)
	if held == revoked && w.wasPaid {
		t.SuccessTime = beginning
		answer(" with the time of payment", t)
	}
	if held.refunded() {
		t.Refunds = RefundSum{}
		answer(", the refunds not added up", t)
	}
	if held < othersUnpaid && !wrong {
		answer(" without attach", tradeNow(k.p.Order, held, wrong, withoutAttach))
	}
}

func (k *lateWalk) reverseMoves(s lateState) {
	if s.w.answer == saidNothing {
		k.reverseLands(s, "reverse arrives", func(w *lateWorld, says said) { w.answer = says })
		if s.w.faults < k.faults {
			k.end(s, "reverse lost", noAnswer)
			k.event(s, "reverse late", k.fits(s, noAnswer), func(w *lateWorld) { w.lateReverse = true })
		}
		k.end(s, "reverse comes too late", Event{Kind: ReverseAnswered, Outcome: Outcome{Kind: ReverseTooLate}})
		return
	}
	kind := ReverseDone
	if s.w.answer == saidRefusal {
		kind = ReverseRefused
	}
	k.end(s, "reverse answered: "+string(kind), Event{Kind: ReverseAnswered, Outcome: Outcome{Kind: kind}})
	if s.w.faults < k.faults {
		k.end(s, "reverse's answer lost", noAnswer)
	}
}

func (k *lateWalk) reverseLands(s lateState, how string, also func(*lateWorld, said)) {
	held := s.w.order
	land := func(to truth, says said) {
		k.change(s, how+": "+truthNames[to], func(w *lateWorld) {
			w.order, w.wasPaid = to, w.wasPaid || held == paid && to == revoked
			also(w, says)
		})
	}
	land(held, saidReversed)
	switch held {
	case nothing, unpaid, refused, paid:
		land(revoked, saidReversed)
	}
	if held == paid {
		land(onTheWayBack, saidReversed)
	}
	if s.w.faults < k.faults {
		land(held, saidRefusal)
	}
}

func (k *lateWalk) fits(s lateState, e Event) Event {
	e.Call = s.w.callNo
	return e
}

func (k *lateWalk) end(s lateState, label string, e Event) { k.event(s, label, k.fits(s, e), nil) }

// heals: from any state, once nothing fails any more, money that is ours goes back, and all else is over or told to a person.
func (k *lateWalk) heals(s lateState) {
	if k.broken != "" || s.w.wishing {
		return
	}
	healed := s
	healed.w.faults, healed.w.again, healed.kept = 0, false, Late{}
	id := healed.key()
	if _, ok := k.healed[id]; ok {
		return
	}
	k.healed[id] = struct{}{}
	from, h := int32(s.id), s
	h.w.request, h.w.lateReverse = false, false
	begun := h.w.now
	for n := 0; n < 100 && !h.l.Stage.Over(); n++ {
		broken := k.healStep(&h)
		if broken != "" {
			k.broken = "healing: " + broken + "\n" + k.story(from, "nothing fails any more")
			return
		}
		if h.w.now.Sub(begun) > 4*time.Hour {
			break
		}
	}
	stuck := h.w.order == partRefunded || h.w.order == refundFailed || h.w.order == othersPaid || h.w.order == othersUnpaid || h.w.wrong ||
		k.p.collided() && !h.w.ours || (h.w.order == unpaid || h.w.order == refused) && h.l.TooLate
	switch {
	case h.l.Stage.Over():
	case stuck && h.l.Attention != "":
	default:
		k.broken = fmt.Sprintf("liveness: nothing fails any more, WeChat Pay holds %s, and it stands at %s %s\n%s", truthNames[h.w.order], h.l.Stage, h.l.Attention, k.story(from, "nothing fails any more"))
	}
}

func (k *lateWalk) healStep(h *lateState) string {
	w := &h.w
	switch {
	case w.wishing:
		broken := k.happen(h, Event{Kind: RefundWished, OutRefundNo: "T1000042K7Q-LATE"}, func(w *lateWorld) { w.refund, w.wishing = true, false })
		if w.order == paid {
			w.order = onTheWayBack
		}
		return broken
	case w.call == QueryCall:
		if w.refund && w.order == paid {
			w.order = onTheWayBack
		}
		outcome := Outcome{Kind: NoSuchOrder}
		if w.order != nothing {
			outcome = Outcome{Kind: Found, Trade: tradeNow(k.p.Order, w.order, w.wrong && w.order < othersUnpaid, straight)}
		}
		if w.order == onTheWayBack {
			w.order = givenBack // it arrives behind this answer
		}
		return k.happen(h, k.fits(*h, Event{Kind: QueryAnswered, Outcome: outcome}), nil)
	case w.call == ReverseCall:
		switch w.order {
		case unpaid, refused, paid, nothing:
			w.wasPaid, w.order = w.wasPaid || w.order == paid, revoked
		}
		return k.happen(h, k.fits(*h, Event{Kind: ReverseAnswered, Outcome: Outcome{Kind: ReverseDone}}), nil)
	}
	if w.timer.After(w.now) {
		w.now, w.sends = w.timer, 0
	}
	return k.happen(h, Event{Kind: Woken}, nil)
}

// lateWays are the payments that the walk begins with, and what WeChat Pay may hold then.
func lateWays(step lateFunc, faults uint8) map[string]*lateWalk {
	way := func(p Payment, orders ...lateWorld) *lateWalk {
		return &lateWalk{step: step, p: p, orders: orders, faults: faults, statesMax: 3_000_000}
	}
	hidden := []lateWorld{{order: nothing, request: true}, {order: paid}, {order: unpaid}, {order: revoked}}
	return map[string]*lateWalk{
		"declined": way(aFinal(Declined, func(p *Payment) { p.Refusal = Refusal{Kind: Refused, Reason: ReasonNotEnough} }), hidden...),
		"collided": way(aFinal(Declined, func(p *Payment) { p.Refusal = Refusal{Kind: Collision, Reason: ReasonNumberInUse} }), lateWorld{order: nothing}, lateWorld{order: paid}, lateWorld{order: othersPaid}),
		"revoked":  way(aFinal(Reversed, func(p *Payment) { p.Reason, p.Trade.State = ReasonRevoked, TradeRevoked }), lateWorld{order: revoked, wasPaid: true}),
		"refunded": way(aFinal(Reversed, func(p *Payment) { p.Reason, p.MoneySeen = ReasonRefunded, true }), lateWorld{order: givenBack}),
		"by transport": way(aFinal(Reversed, func(p *Payment) { p.Reason, p.Proof = ReasonNeverArrived, ProofTransport }),
			lateWorld{order: nothing}),
	}
}

// lateDepth is how many faults the walk tries on one way: 1 where POSAGENT_LATE_FAULTS does not ask for more, each of which takes ten times
// as long. The two ways that branch most are then walked without a fault.
func lateDepth() (asked bool, faults uint8) {
	if n, err := strconv.Atoi(os.Getenv("POSAGENT_LATE_FAULTS")); err == nil {
		return true, uint8(n)
	}
	return false, 1
}

func lateBranchesMost(way string) bool { return way == "declined" || way == "collided" }

func TestWalkEveryWayOfALateTruth(t *testing.T) {
	if underRace {
		t.Skip("a pure function has no races to find")
	}
	asked, faults := lateDepth()
	ends := map[LateStage]int{}
	for name, k := range lateWays(LateStep, faults) {
		if !asked && lateBranchesMost(name) {
			k.faults = 0
		}
		begun := time.Now()
		require.Empty(t, k.run(), name)
		t.Logf("%s, %d faults: %d states in %s, ends %v", name, k.faults, len(k.seen), time.Since(begun).Round(time.Millisecond), k.ends)
		for stage, n := range k.ends {
			ends[stage] += n
		}
	}
	for _, stage := range []LateStage{LateClear, LateGivenBack, LateSettled} {
		assert.NotZero(t, ends[stage], "the walk reaches %s", stage)
	}
}
