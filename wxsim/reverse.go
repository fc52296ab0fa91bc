package wxsim

import (
	"encoding/json"
	"net/http"
	"time"
)

const (
	reverseAge  = 15 * time.Second / pace   // not sooner after the pay call (seed text on reversing; every page)
	reverseLast = 7 * 24 * time.Hour / pace // not later after the order
	stubborn    = 30 * time.Second / pace   // "cannot cancel during payment" can last that long
)

// reverse takes an order back: unpaid it ends, paid it is refunded in full; either way it reads REVOKED, and the answer is
// 204 without a body (Global v3, reverse). The caller holds s.mu.
func (s *Sim) reverse(v *visit) reply {
	members, no := checkBody(v.body, idRules(v.account.Mode, false))
	if no != nil {
		return *no
	}
	var p payRequest
	if err := json.Unmarshal(mustJSON(members), &p); err != nil {
		return *wrong("", "the body cannot be read", errnoParam)
	}
	if no := v.account.checkIDs(p.MchID+p.SpMchID, p.SubMchID); no != nil {
		return *no
	}
	o := s.find(v)
	if o == nil && orderNumber.MatchString(v.number) {
		o = s.order(v.key)
	}
	if o == nil {
		return done(v.key) // reverse gives success for an order that does not exist
	}
	if o.state != None && !s.knows(v.api, o) {
		return noOrder(v.key)
	}
	if no := s.checkReverseTime(o, v); no != nil {
		return *no
	}
	return s.reverseOrder(o)
}

// checkReverseTime refuses a reverse that comes too soon. It is held against the till only where the pay call's first bytes
// were seen less than 15 s ago: a pay call that was read late makes its order late.
func (s *Sim) checkReverseTime(o *order, v *visit) *reply {
	if !o.paySeen.IsZero() && v.seen.Sub(o.paySeen) < reverseAge {
		s.violate(o.orderKey, "reversed sooner than 15 s after the pay call")
	} else if o.state == None || o.foreign || time.Since(o.created) >= reverseAge {
		return nil
	}
	no := refusal(http.StatusBadRequest, "INVALID_REQUEST", "The order may be reversed from 15 s after the pay call on", 0)
	return &no
}

func (s *Sim) reverseOrder(o *order) reply {
	now := time.Now()
	o.settle(now)
	if o.foreign {
		s.violate(o.orderKey, "reversed another till's order")
	}
	if o.play.paysOnReverse && o.state.unpaid() {
		o.turn(Success, now)
	}
	switch {
	case o.state == None:
		o.blocked = o.blocked || s.behaviour.ReverseBlocks
	case now.Sub(o.created) > reverseLast:
		return refusal(http.StatusForbidden, "REVERSE_EXPIRE", "The order is older than 7 days; refund it", 0)
	case o.state == Refunded:
		return refusal(http.StatusBadRequest, "INVALID_REQUEST", "The order was refunded in part and cannot be reversed", 0)
	case o.play.stubborn && now.Sub(o.created) < reverseAge+stubborn:
		return refusal(http.StatusForbidden, "TRADE_ERROR", "The order cannot be cancelled during payment; try again later", 0)
	case o.state == Success:
		o.giveBack(o.held)
		o.turn(Revoked, now)
	case o.state.unpaid():
		o.turn(s.reversedState(), now)
	}
	return done(o.orderKey)
}

func (s *Sim) reversedState() TradeState {
	if s.behaviour.ReverseCloses {
		return Closed
	}
	return Revoked
}

// done is the answer to a reverse: no body.
func done(k orderKey) reply { return reply{status: http.StatusNoContent, order: k} }
