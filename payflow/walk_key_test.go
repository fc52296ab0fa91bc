package payflow

import "time"

// Time as a class, not a number. A step only compares times, so what a state can still do depends on the order of its
// instants, not on their distances: when the timer rings, when the guard and the asking end, when the code is dead, when the
// next reverse may leave, when a second unsigned absence counts. The key of a state keeps, instead of every time, whether each
// instant has come, and which of two comes first. The walk goes from one instant straight to the next, and a timer may be
// heard late, so each class is entered from every class before it; the numbers that a class carries along are those of the
// first way in. What the classes blur, such as the tenth query against the ninth, the stories and the healed path show in numbers.

// instants are the times that decide where the payment stands: the timer first, then the ends that it is set for, and, where
// the walk looks for what comes early, the second before.
func (s *state) instants() [6]time.Time {
	w := &s.w
	switch {
	case s.p.Status == Waiting:
		return [6]time.Time{w.timer}
	case s.p.Status == Paying: // an answer in good time, and one so slow that the 15 s end after reverse_after
		return [6]time.Time{{}, w.firstPay.Add(2 * time.Second), w.firstPay.Add(30 * time.Second)}
	case s.p.Status == Confirming:
		all := [6]time.Time{w.timer, w.guard(), s.p.ReverseDue(), w.codeDead}
		if w.early {
			all[5] = w.guard().Add(-time.Second)
		}
		return all
	}
	all := [6]time.Time{w.timer, w.guard(), s.p.NextReverseAt, w.codeDead}
	if s.p.ReverseTooLate { // then no reverse is due, and a refund may be
		all[2] = s.p.NextReverseAt.Add(reverseLate)
	}
	if w.early {
		all[5] = w.codeDead.Add(-time.Second)
	}
	if !w.absentAt.IsZero() {
		all[4] = w.absentAt.Add(3 * time.Second)
	}
	return all
}

func (s *state) nextInstant() time.Time {
	var next time.Time
	for _, at := range s.instants() {
		if at.After(s.w.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// timeClass packs the order of the instants: each against now, the timer against each, and each against its neighbour.
func (s *state) timeClass() uint64 {
	all := s.instants()
	var class uint64
	for i, at := range all {
		class = class<<2 | order(at, s.w.now)
		if i > 0 && i < 5 {
			class = class<<2 | order(all[0], at)
		}
		if i > 1 && i < 5 {
			class = class<<2 | order(all[i-1], at)
		}
	}
	return class
}

func order(a, b time.Time) uint64 {
	switch {
	case a.IsZero():
		return 3
	case a.Before(b):
		return 0
	case a.Equal(b):
		return 1
	}
	return 2
}

// key is what makes two states the same for the walk.
type key struct{ payment, kept, world, time uint64 }

type packer uint64

func (k *packer) number(n, limit int) { *k = *k*packer(limit) + packer(min(n, limit-1)) }

func (k *packer) yes(b bool) {
	if b {
		k.number(1, 2)
	} else {
		k.number(0, 2)
	}
}

// packPayment packs what a payment can still do by: past the one-way door, what led there is of no more consequence.
func packPayment(p *Payment, kept bool) uint64 {
	var k packer
	asking := p.Status == Paying || p.Status == Confirming
	k.number(place(p.Status, Waiting, Paying, Confirming, Reversing, Paid, Declined, Reversed), 8)
	k.number(place(p.Attention, "", AttentionMismatch, AttentionAnotherTill, AttentionUnclaimed, AttentionReverseRefused, AttentionReverseTooLate,
		AttentionVanished, AttentionRefundSeen), 9) // what is known of refunds is one class: a step only asks whether anything is
	k.number(place(p.Stranger, NoStranger, Another), 3)
	k.yes(p.Refusal.Kind == Collision)
	k.yes(p.Refusal.Kind == Collision && whose(*p, p.Trade) == ours)
	for _, b := range [...]bool{asking && p.Refusal.Kind == Refused, asking && p.CancelAsked, asking && p.Hurry, asking && p.Slowness > 0,
		!p.SetAside.At.IsZero(), p.MoneySeen, p.UnpaidSeen && !p.MoneySeen, p.ReverseTooLate} {
		k.yes(b)
	}
	k.number(p.OldStarts, 3)
	k.number(p.ReverseRefusals, 6)
	if kept {
		return uint64(k)
	}
	k.number(place(p.Call, NoCall, PayCall, QueryCall), 4)
	k.number(place(p.NextCall, NoCall, PayCall, QueryCall), 4)
	for _, b := range [...]bool{p.DeadReverse, p.DeadReverseDone, !p.AbsentAt.IsZero(), p.CallStartedAt.Before(p.DeadAt())} {
		k.yes(b)
	}
	return uint64(k)
}

func place[T comparable](v T, list ...T) int {
	for i, each := range list {
		if v == each {
			return i
		}
	}
	return len(list)
}

func packWorld(w *world) uint64 {
	var k packer
	asking := !w.reverseLeft
	k.number(int(w.order), int(truths))
	k.number(int(w.answer), 8)
	k.number(int(w.answered), int(truths))
	k.number(int(w.crashes), 3)
	k.number(int(w.refusals), 6)
	k.number(int(w.oldStarts), 3)
	late := w.lateReverse && w.order != revoked && w.order != othersRevoked && !(w.order.refunded() && w.order != partRefunded) // else it changes nothing
	for _, b := range [...]bool{w.wrong, w.wasPaid, w.request && w.order == nothing, late, w.reverseLeft, w.asked, w.theirsShown, w.oursShown && w.collided, w.oddShown,
		w.moneyShown, w.refundShown, asking && w.noHope, w.collided, asking && w.refusedFirst, w.tooLate, w.deadReverse, w.dead204} {
		k.yes(b)
	}
	return uint64(k)
}
