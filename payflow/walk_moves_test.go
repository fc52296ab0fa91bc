package payflow

import "time"

// moves tries everything that can happen next in a state.
func (k *walk) moves(s *state) {
	k.timePasses(s)
	if s.w.call != NoCall { // a change that no call meets is the same change a moment later
		k.worldMoves(s)
	}
	k.peopleMove(s)
	switch s.w.call {
	case NoCall:
		k.wakes(s)
	case PayCall:
		k.payMoves(s)
	case QueryCall:
		k.queryMoves(s)
	case ReverseCall:
		k.reverseMoves(s)
	}
	if s.w.crashes < k.crashes {
		k.event(s, "power back", Event{Kind: Restarted, Age: time.Minute}, nil)
		if s.w.payments > 0 {
			k.event(s, "power back, the order is 8 days old", Event{Kind: Restarted, Age: 8 * 24 * time.Hour}, nil)
		}
	}
}

// timePasses goes to the next instant at which a comparison of times comes out otherwise. A wake may come late: it is never
// forced. Queries and reverses take time on their way back: on their way there, it would only be the same call made later.
func (k *walk) timePasses(s *state) {
	next := s.nextInstant()
	onItsWay := (s.w.call == QueryCall || s.w.call == ReverseCall) && (s.w.answer == saidNothing || !k.slow)
	if next.IsZero() || onItsWay {
		return
	}
	k.worldChange(s, "time passes", func(w *world) {
		w.now, w.sends = next, 0
		w.request = w.request && next.Before(w.codeDead)
	})
}

// truthTurns is what an order becomes without us.
var truthTurns = [truths][]truth{unpaid: {paid, refused, revoked}, refused: {paid, revoked}, paid: {partRefunded, onTheWayBack},
	partRefunded: {onTheWayBack}, onTheWayBack: {refundFailed, givenBack}, refundFailed: {onTheWayBack}, othersUnpaid: {othersPaid, othersRevoked}}

// worldMoves: the customer, WeChat Pay, the merchant's own hand, another till, and what arrives late.
func (k *walk) worldMoves(s *state) {
	w := &s.w
	if w.request && w.now.Before(w.codeDead) {
		k.payLands(s, "the pay request arrives late: ", func(w *world) { w.request = false })
	}
	if w.lateReverse {
		k.reverseLands(s, "a reverse arrives late", func(w *world, _ said) { w.lateReverse = false })
	}
	for _, to := range truthTurns[w.order] {
		if to.refunded() && w.answer == saidState && w.answered != w.order {
			continue // an answer on its way is overtaken by one refund at most
		}
		k.worldChange(s, "the order becomes "+truthNames[to], func(w *world) { w.order = to })
	}
	if w.order == nothing && s.p.Status != Waiting {
		k.worldChange(s, "another till makes an order", func(w *world) { w.order = othersUnpaid })
		k.worldChange(s, "another till is paid", func(w *world) { w.order = othersPaid })
	}
}

// payLands: our pay request reaches WeChat Pay.
func (k *walk) payLands(s *state, how string, also func(*world)) {
	if s.w.order != nothing {
		k.worldChange(s, how+"the number is in use", also)
		return
	}
	for _, to := range [...]truth{unpaid, paid, refused} {
		k.worldChange(s, how+truthNames[to], func(w *world) { w.order = to; also(w) })
	}
	k.worldChange(s, how+"paid, wrong amount", func(w *world) { w.order, w.wrong = paid, true; also(w) })
	k.worldChange(s, how+"refused without an order", also)
}

// reverseLands: a reverse reaches WeChat Pay. No document says whether the reverse of an unknown number closes it, so both
// happen; an order that is being paid, or was refunded, may refuse; 204 may come before anything is done; and what was paid may be
// shown as refunded, whole or, where a part was given back before, the rest.
func (k *walk) reverseLands(s *state, how string, also func(*world, said)) {
	held := s.w.order
	land := func(to truth, says said) {
		k.worldChange(s, how+": "+truthNames[to], func(w *world) { w.order, w.wasPaid = to, w.wasPaid || held == paid && to == revoked; also(w, says) })
	}
	land(held, saidReversed)
	switch held {
	case nothing, unpaid, refused, paid:
		land(revoked, saidReversed)
	case othersUnpaid, othersPaid:
		land(othersRevoked, saidReversed)
	}
	if held == paid || held == partRefunded {
		land(onTheWayBack, saidReversed)
	}
	if held != nothing && s.w.refusals < k.refusals {
		land(held, saidRefusal)
	}
}

func (k *walk) peopleMove(s *state) {
	k.event(s, "cancel", Event{Kind: CancelAsked, Operator: "Amy"}, nil)
	k.event(s, "set aside", Event{Kind: SetAsideAsked, Operator: "Bo", Note: "queue"}, nil)
	if s.p.Status == Waiting {
		k.event(s, "scan", Event{Kind: CodeScanned, Code: aCode(), CodeHash: "h1"}, nil)
	}
}

func (k *walk) wakes(s *state) {
	if s.w.now.Before(s.w.timer) {
		return
	}
	if s.p.Status == Waiting {
		k.event(s, "no scan", Event{Kind: Expired}, nil)
	}
	k.event(s, "woken", Event{Kind: Woken}, func(w *world) { w.timer = time.Time{} })
}

var noAnswer = Event{Kind: CallLost, Lost: Lost{Reason: ReasonTimeout}}

func (k *walk) payMoves(s *state) {
	w := &s.w
	switch {
	case w.answer == saidNothing:
		k.payArrives(s)
		k.end(s, "pay not sent", Event{Kind: PayAnswered, Outcome: Outcome{Kind: NotSent}}, nil)
		k.end(s, "pay request lost", noAnswer, nil)
		k.end(s, "pay request late", noAnswer, func(w *world) { w.request = true })
	case w.answer == saidState:
		k.endFound(s, "pay", PayAnswered)
		k.end(s, "pay answer lost", noAnswer, nil)
	case w.answer == saidRefused:
		k.end(s, "pay refused", Event{Kind: PayAnswered, Outcome: aRefusal("NOTENOUGH")}, nil)
		k.end(s, "pay refused, unsigned", Event{Kind: CallLost, Lost: Lost{Claim: Refused, Reason: ReasonNotEnough, Code: "NOTENOUGH"}}, nil)
		k.end(s, "pay answer lost", noAnswer, nil)
	case w.answer == saidCollision:
		k.end(s, "pay collides", Event{Kind: PayAnswered, Outcome: aCollision("ORDERPAID")}, nil)
		k.end(s, "pay answer lost", noAnswer, nil)
	}
}

// payArrives: the request is there in time, and its answer is on the way. A refusal may hide a deduction, or an open order.
func (k *walk) payArrives(s *state) {
	if s.w.order != nothing {
		k.worldChange(s, "pay arrives: the number is in use", func(w *world) { w.answer = saidCollision })
		return
	}
	for _, to := range [...]truth{unpaid, paid, refused} {
		k.worldChange(s, "pay arrives: "+truthNames[to], func(w *world) { w.order, w.answer, w.answered = to, saidState, to })
		k.worldChange(s, "pay arrives, is refused, and is "+truthNames[to], func(w *world) { w.order, w.answer = to, saidRefused })
		k.worldChange(s, "pay arrives, collides with itself, and is "+truthNames[to], func(w *world) { w.order, w.answer = to, saidCollision })
	}
	k.worldChange(s, "pay arrives: paid, wrong amount", func(w *world) { w.order, w.answer, w.answered, w.wrong = paid, saidState, paid, true })
	k.worldChange(s, "pay arrives and is refused", func(w *world) { w.answer = saidRefused })
}

func (k *walk) queryMoves(s *state) {
	w := &s.w
	if w.answer == saidNothing {
		k.event(s, "query lost", k.fits(s, noAnswer), nil)
		k.end(s, "query lost: too many calls", Event{Kind: CallLost, Lost: Lost{Busy: true}}, nil)
		k.end(s, "query answered about another order", Event{Kind: QueryAnswered, Outcome: Outcome{Kind: Found, Trade: aTrade(s.p.Order, TradeSuccess, otherNumberTo)}}, nil)
		k.end(s, "query answered with a new word", Event{Kind: QueryAnswered, Outcome: Outcome{Kind: Found, Trade: aTrade(s.p.Order, "SOMETHING_NEW", straight)}}, nil)
		k.answerQuery(s)
		if w.moneyShown && !k.slow { // a host that lags behind; the walks without slow answers are small enough for it
			k.end(s, "query: no such order, though its money was seen", Event{Kind: QueryAnswered, Outcome: Outcome{Kind: NoSuchOrder}}, nil)
			k.end(s, "query: no such order, unsigned, though its money was seen", Event{Kind: CallLost, Lost: Lost{Reason: ReasonUnverified, Claim: NoSuchOrder}}, nil)
		}
		if k.slow && !w.order.refunded() { // made now, read later: the world moves on in between
			k.worldChange(s, "query answered, slowly", func(w *world) {
				w.answer, w.answered = saidState, w.order
				if w.order == nothing {
					w.answer = saidAbsent
				}
			})
		}
		return
	}
	k.answerQuery(s)
}

// answerQuery hands over the answer: the one on its way, or one made this instant.
func (k *walk) answerQuery(s *state) {
	if s.w.answer == saidAbsent || s.w.answer == saidNothing && s.w.order == nothing {
		k.end(s, "query: no such order", Event{Kind: QueryAnswered, Outcome: Outcome{Kind: NoSuchOrder}}, nil)
		k.end(s, "query: no such order, unsigned", Event{Kind: CallLost, Lost: Lost{Reason: ReasonUnverified, Claim: NoSuchOrder}}, nil)
		return
	}
	k.endFound(s, "query", QueryAnswered)
}

// endFound hands over the order as it was when the answer was made; with its attach, or, where that proves nothing, without.
func (k *walk) endFound(s *state, what string, kind EventKind) {
	held := s.w.order
	if s.w.answer == saidState {
		held = s.w.answered
	}
	wrong := s.w.wrong && held < othersUnpaid
	k.end(s, what+" answered: "+truthNames[held], Event{Kind: kind, Outcome: Outcome{Kind: Found, Trade: tradeNow(s.p.Order, held, wrong, straight)}}, nil)
	if held == revoked && s.w.wasPaid {
		t := tradeNow(s.p.Order, held, wrong, straight)
		t.SuccessTime = beginning
		k.end(s, what+" answered: revoked, with the time at which it was paid", Event{Kind: kind, Outcome: Outcome{Kind: Found, Trade: t}}, nil)
	}
	if held.refunded() {
		t := tradeNow(s.p.Order, held, wrong, straight)
		t.Refunds = RefundSum{}
		k.end(s, what+" answered, the refunds not added up: "+truthNames[held], Event{Kind: kind, Outcome: Outcome{Kind: Found, Trade: t}}, nil)
	}
	if s.w.collided || held < othersUnpaid && !wrong {
		k.end(s, what+" answered without attach: "+truthNames[held], Event{Kind: kind, Outcome: Outcome{Kind: Found, Trade: tradeNow(s.p.Order, held, wrong, withoutAttach)}}, nil)
	}
}

func (k *walk) reverseMoves(s *state) {
	if s.w.answer == saidNothing {
		k.reverseLands(s, "reverse arrives", func(w *world, says said) { w.answer = says })
		k.end(s, "reverse lost", noAnswer, nil)
		k.end(s, "reverse late", noAnswer, func(w *world) { w.lateReverse = true })
		k.end(s, "reverse comes too late", Event{Kind: ReverseAnswered, Outcome: Outcome{Kind: ReverseTooLate}}, nil)
		return
	}
	kind := ReverseDone
	if s.w.answer == saidRefusal {
		kind = ReverseRefused
	}
	k.end(s, "reverse answered: "+string(kind), Event{Kind: ReverseAnswered, Outcome: Outcome{Kind: kind}}, nil)
	k.end(s, "reverse's answer lost", noAnswer, nil)
}

// end ends the call in flight by e.
func (k *walk) end(s *state, label string, e Event, edit func(*world)) {
	k.event(s, label, k.fits(s, e), edit)
}

func (k *walk) fits(s *state, e Event) Event {
	e.Call = s.w.callNo
	return e
}
