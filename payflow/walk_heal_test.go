package payflow

import (
	"fmt"
	"time"
)

// The bounds of what follows when the faults are over, and when they never are.
const (
	healsWithin    = 150 * time.Second
	callTakes      = time.Second
	callsPerMinute = 32 // 20 queries at three seconds, then the first reverses with theirs
)

type healKey struct {
	payment, time    uint64
	order, answered  truth
	answer           said
	wrong, alsoStorm bool
}

// heals follows the one way that a payment goes from here once every call is answered truly, by WeChat Pay with and without signed errors: final
// within 150 s, or a person is asked to look; where all of the money has come back meanwhile, final whoever looks. And the way it goes while
// no call is answered at all: no storm, and never forgotten.
func (k *walk) heals(s *state) {
	id := healKey{packPayment(&s.p, false), s.timeClass(), s.w.order, s.w.answered, s.w.answer, s.w.wrong, false}
	watched := s.p.Attention.refund()
	if watched { // only asked about, at leisure: how the answer on its way was made is of no consequence
		id.time, id.answer, id.answered, id.wrong = 0, saidNothing, nothing, false
	}
	if (s.p.Attention == "" || watched) && k.mark(id) {
		for _, unsigned := range [...]bool{false, true} {
			if unsigned && s.w.order != nothing {
				continue // only "no such order" may come unsigned on this way
			}
			if broken := k.healed(*s, unsigned); broken != "" {
				k.broken = broken + "\n" + k.story(s.id, fmt.Sprintf("healed, errors unsigned: %t", unsigned))
			}
		}
	}
	if k.mark(healKey{payment: id.payment, time: id.time, alsoStorm: true}) {
		if broken := k.storm(*s); broken != "" {
			k.broken = broken + "\n" + k.story(s.id, "nothing is answered any more")
		}
	}
}

func (k *walk) mark(id healKey) bool {
	if _, ok := k.healedFrom[id]; ok || k.broken != "" {
		return false
	}
	k.healedFrom[id] = struct{}{}
	return true
}

func (k *walk) healed(s state, unsigned bool) string {
	begun := s.w.now
	s.w.request, s.w.lateReverse = false, false
	for s.w.now.Sub(begun) <= healsWithin && s.p.Open() {
		if s.w.now.Sub(begun) >= 45*time.Second && (s.w.order == unpaid || s.w.order == refused) {
			s.w.order = revoked // WeChat Pay closes it by itself
		}
		if s.w.now.Sub(begun) >= 45*time.Second && s.w.order == onTheWayBack {
			s.w.order = givenBack
		}
		if broken := s.happen(k.step, s.trueEvent(unsigned), nil); broken != "" {
			return "on the healed way: " + broken
		}
	}
	if s.p.Open() && (s.p.Attention == "" || s.w.order == givenBack) {
		return fmt.Sprintf("not final %s after the faults healed: %s, %s", healsWithin, s.p.Status, s.p.Reason)
	}
	return ""
}

// trueEvent lets time pass to what happens next where nothing fails, and returns it.
func (s *state) trueEvent(unsigned bool) Event {
	w := &s.w
	if w.call == NoCall {
		w.now = later(w.now, w.timer)
		w.sends = 0
		return Event{Kind: Woken}
	}
	w.now = w.now.Add(callTakes)
	w.sends = 0
	e := Event{Call: w.callNo}
	switch w.call {
	case PayCall:
		e.Kind, e.Outcome = PayAnswered, aCollision("ORDERPAID")
		if w.order == nothing {
			w.order = paid
			e.Outcome = Outcome{Kind: Found, Trade: tradeNow(s.p.Order, paid, false, straight)}
		}
	case QueryCall:
		e.Kind, e.Outcome = QueryAnswered, Outcome{Kind: Found, Trade: tradeNow(s.p.Order, w.order, w.wrong && w.order < othersUnpaid, straight)}
		if w.order == nothing {
			e.Outcome = Outcome{Kind: NoSuchOrder}
			if unsigned {
				e.Kind, e.Outcome, e.Lost = CallLost, Outcome{}, Lost{Claim: NoSuchOrder}
			}
		}
	case ReverseCall:
		e.Kind, e.Outcome = ReverseAnswered, w.reversedTruly()
	}
	return e
}

func (w *world) reversedTruly() Outcome {
	switch w.order {
	case unpaid, paid, refused:
		w.order = revoked
	case othersUnpaid, othersPaid:
		w.order = othersRevoked
	case partRefunded, onTheWayBack, refundFailed, givenBack:
		return Outcome{Kind: ReverseRefused}
	}
	return Outcome{Kind: ReverseDone}
}

// storm loses every call the moment it is made, for five minutes.
func (k *walk) storm(s state) string {
	var calls []time.Time
	begun := s.w.now
	for s.w.now.Sub(begun) < 5*time.Minute && s.p.Open() {
		e := Event{Kind: Woken}
		if s.w.call != NoCall {
			e = Event{Kind: CallLost, Call: s.w.callNo, Lost: Lost{Reason: ReasonLink}}
			calls = append(calls, s.w.now)
		} else {
			s.w.now = later(s.w.now, s.w.timer)
			s.w.sends = 0
		}
		if broken := s.happen(k.step, e, nil); broken != "" {
			return "while nothing is answered: " + broken
		}
		if n := len(calls); n > callsPerMinute && calls[n-1].Sub(calls[n-1-callsPerMinute]) < time.Minute {
			return fmt.Sprintf("a storm: more than %d calls in a minute", callsPerMinute)
		}
	}
	return ""
}
