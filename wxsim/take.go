package wxsim

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// take reads one request and says what it gets.
func (s *Sim) take(r *http.Request) reply {
	v := newVisit(r)
	s.mu.Lock()
	v.key = s.keyOf(v)
	v.fault = s.pick(v, true)
	s.mu.Unlock()
	if v.fault.is(DropUnread, DropHalf, DeadLink) {
		if v.fault.is(DropHalf) {
			v.readHalf()
		}
		return s.lose(v)
	}
	if v.fault.is(ReadLate) && !s.hold(v) {
		return reply{drop: true}
	}
	if err := v.read(); err != nil {
		return s.unreadable(v, err)
	}
	return s.takeWhole(v)
}

// keyOf is the order that a request is about. The merchant is the one that it claims to come from.
func (s *Sim) keyOf(v *visit) orderKey {
	k := orderKey{merchant: s.first.MerchantID, number: v.number}
	if a, err := parseAuthorization(v.request.Header.Get("Authorization")); err == nil && s.accounts[a.mchid] != nil {
		k.merchant = a.mchid
	}
	if s.accounts[v.merchant] != nil {
		k.merchant = v.merchant
	}
	if o := s.byID[v.id]; v.id != "" && o != nil {
		k = o.orderKey
	}
	if v.call == RefundQuery {
		r := s.refundsByID[v.refundID]
		if v.refundNumber != "" {
			r = s.refundsByNumber[orderKey{k.merchant, v.refundNumber}]
		}
		if r != nil {
			k = r.order.orderKey
		}
	}
	return k
}

// hold plays a peer that reads late: what the client sent waits, and is carried out whether the client is there or not.
func (s *Sim) hold(v *visit) bool {
	v.late = true
	return s.network.wait(orElse(v.fault.Delay, lateness))
}

// lose is a request that WeChat Pay never gets.
func (s *Sim) lose(v *visit) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.key = s.keyOf(v)
	s.arrive(v, false, reply{})
	return v.fault.wire()
}

func (s *Sim) unreadable(v *visit, err error) reply {
	s.mu.Lock()
	v.key = s.keyOf(v)
	r := reply{drop: true}
	if errors.Is(err, errTooLong) {
		r = refusal(http.StatusRequestEntityTooLarge, "PARAM_ERROR", "The body is too long", errnoParam)
	}
	if v.api == V2 && !r.drop {
		r = s.inV2(v, r)
	}
	s.arrive(v, false, r)
	s.mu.Unlock()
	if r.drop {
		return r
	}
	return s.send(v, r)
}

// takeWhole carries out a request that came whole, unless a fault stands before it.
func (s *Sim) takeWhole(v *visit) reply {
	s.mu.Lock()
	v.key = s.keyOf(v)
	if v.fault == nil {
		v.fault = s.pick(v, false)
		if v.fault.is(ReadLate) {
			s.mu.Unlock()
			if !s.hold(v) {
				return reply{drop: true}
			}
			s.mu.Lock()
		}
	}
	r := reply{}
	processed := !v.fault.before()
	if processed {
		s.noteArrival(v)
		r = s.carryOut(v)
	}
	r = v.fault.instead(v, r)
	if v.api == V2 {
		r = s.inV2(v, r)
	}
	s.arrive(v, processed, r)
	s.mu.Unlock()
	if r.drop || r.dead || r.stall {
		return r
	}
	return s.send(v, r)
}

// noteArrival records what is a mistake of the caller's, whatever the answer.
func (s *Sim) noteArrival(v *visit) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v.request.Header.Get(name) != "" {
			s.violate(v.key, "a request carried "+name)
		}
	}
	if v.call == Pay {
		s.noteCode(v)
	}
}

// carryOut checks a request as WeChat Pay does, and does what it asks. The caller holds s.mu.
func (s *Sim) carryOut(v *visit) reply {
	if v.api == V2 {
		return s.carryOutV2(v)
	}
	caller, no := s.authorize(v)
	if no != nil {
		return *no
	}
	v.account = caller
	switch v.call {
	case Pay:
		return s.pay(v)
	case Query:
		return s.query(v)
	case Reverse:
		return s.reverse(v)
	case Certificates:
		if s.publicKeyOnly {
			return noCertificates()
		}
		if r, err := s.certificates(caller); err == nil {
			return r
		}
		return refusal(http.StatusInternalServerError, "SYSTEM_ERROR", "The certificates cannot be sealed", 0)
	case Refund:
		return s.refundCall(v)
	case RefundQuery:
		return s.refundQuery(v)
	case Refunds:
		return s.refundList(v)
	case Statement:
		return s.statement(v)
	case Settlements:
		return s.settlements(v)
	}
	return refusal(http.StatusNotFound, "NOT_FOUND", "There is no such call", 0)
}

// send gives an answer its headers and its signature, and lets the fault spoil them.
func (s *Sim) send(v *visit, r reply) reply {
	s.mu.Lock()
	if v.fault.is(Rollover) {
		s.rollOver()
	}
	behaviour, by := s.behaviour, s.answerSigner(v)
	s.mu.Unlock()
	if v.fault.is(Replayed, ReplayedOther) {
		if old, have := s.replayed(v); have {
			s.noteSeal(v, old)
			return old
		}
		return reply{drop: true}
	}
	if now := s.clockNow(); v.api == V2 {
		r = s.sendV2(v, r, behaviour, now)
	} else {
		r = s.sendV3(v, r, behaviour, by, now)
	}
	s.noteSeal(v, r)
	s.remember(v, r)
	return r
}

// noteSeal writes into the books by which nonce an answer is known, and when it was signed.
func (s *Sim) noteSeal(v *visit, r reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.arrival == nil {
		return
	}
	v.arrival.Nonce = r.header.Get("Wechatpay-Nonce")
	if signed, err := strconv.ParseInt(r.header.Get("Wechatpay-Timestamp"), 10, 64); err == nil {
		v.arrival.Signed = time.Unix(signed, 0)
	}
}

func (s *Sim) sendV3(v *visit, r reply, behaviour Behaviour, by *platform, now time.Time) reply {
	r.finish(behaviour, now)
	r = v.fault.dress(r)
	if !r.bare {
		r.seal(s.sealer(v, by), v.fault.sealTime(now))
	}
	return v.fault.spoil(r, by, now)
}

func (s *Sim) sealer(v *visit, by *platform) *platform {
	if v.fault.is(UnknownSerial, Forged) {
		return s.stranger
	}
	return by
}

// rollOver makes a new platform certificate appear and sign at once.
func (s *Sim) rollOver() {
	if _, err := s.addCertificate(); err == nil {
		s.useCertificate()
	}
}

// arrivedBroken counts a request whose head never came whole.
func (s *Sim) arrivedBroken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.broken++
}
