package wxsim

import (
	"fmt"
	"net/http"
	"time"
)

// RefundState is what WeChat Pay says of a refund.
type RefundState string

// The states (Global v3, query refund).
const (
	RefundProcessing RefundState = "PROCESSING"
	RefundSuccess    RefundState = "SUCCESS"
	RefundClosed     RefundState = "REFUNDCLOSE" // WeChat Pay gave it up; the merchant has the money
	RefundAbnormal   RefundState = "ABNORMAL"    // the customer's account cannot take it; a person acts on the merchant platform
)

const (
	refundsMax   = 50                     // for each order (refund, notes)
	refundLast   = 365 * 24 * time.Hour   // not later after the payment (refund, notes)
	refundAfter  = 5 * time.Second / pace // a short one: the documents speak of 20 minutes and of days
	fromUnsettle = "REFUND_SOURCE_UNSETTLED_FUNDS"
	fromRecharge = "REFUND_SOURCE_RECHARGE_FUNDS"
)

// refund is one refund of an order, from the moment WeChat Pay has taken it on. Its money is held until it reads SUCCESS.
type refund struct {
	refundWish
	order   *order
	id      string // WeChat Pay's
	state   RefundState
	created time.Time
	ended   time.Time
	due     time.Time   // when it ends; zero: never
	ends    RefundState // how

	compose func(*Sim, *refund) (*notice, error) // its notification; the other API has its own form
}

// refundWish is a refund that somebody asks for, by either API. The same number with the same wish is the same refund.
type refundWish struct {
	number   string // out_refund_no
	amount   int64  // minor units, to give back
	total    int64  // of the order, as the caller knows it
	currency string
	reason   string
	source   string // "": unsettled funds
	notify   string // notify_url
}

// problem is a refusal that either API can say in its own words. The code is spelled as API v3 spells it.
type problem struct {
	status  int
	code    string
	message string
	number  int // the numeric error number, 0 where none is known
}

func (p *problem) reply() reply { return refusal(p.status, p.code, p.message, p.number) }

// refundPlay is what becomes of an order's refunds. nil and the zero value: SUCCESS after Behaviour.RefundAfter.
type refundPlay struct {
	ends   RefundState // "": SUCCESS; RefundProcessing: it never ends
	answer oddAnswer   // to the refund call, instead of the refund; made: it is taken on all the same
	once   bool        // only the first call gets answer
	faults []Fault     // on refund calls
}

// refund takes a refund on, or answers for the one that is there under the number: the same wish again is a safe re-entry,
// any other is refused. With a problem there may be a refund all the same, where a scenario wants it so. The caller holds
// s.mu.
func (s *Sim) refund(o *order, w refundWish) (*refund, *problem) {
	now := time.Now()
	o.settle(now)
	w.source = orElse(w.source, fromUnsettle)
	if r := s.refundsByNumber[orderKey{o.merchant, w.number}]; r != nil {
		if r.order != o || r.refundWish != w {
			return nil, &problem{http.StatusBadRequest, "INVALID_REQUEST", "Re-entry with different parameters", errnoReentry}
		}
		return r, nil
	}
	if no := s.checkRefund(o, w, now); no != nil {
		return nil, no
	}
	playing := o.refundPlay(w.amount)
	odd := playing.answer.problem()
	if playing.once && o.refundTries > 0 {
		odd = nil
	}
	o.refundTries++
	if odd != nil && !playing.answer.made {
		return nil, odd
	}
	r := s.takeRefund(o, w, now)
	if r.ends = orElse(playing.ends, RefundSuccess); r.ends != RefundProcessing {
		r.due = now.Add(s.behaviour.RefundAfter)
		s.notifyRefund(r)
	}
	return r, odd
}

// checkRefund holds a new refund against the rules of the refund page.
func (s *Sim) checkRefund(o *order, w refundWish, now time.Time) *problem {
	refuse := func(message string) *problem {
		return &problem{status: http.StatusBadRequest, code: "INVALID_REQUEST", message: message}
	}
	switch {
	case o.state == None:
		return &problem{http.StatusNotFound, "ORDER_NOT_EXIST", "There is no such order", errnoNoOrder}
	case o.state != Success && o.state != Refunded:
		return refuse("The order is not paid: it reads " + string(o.state))
	case now.Sub(o.paid) > refundLast:
		return &problem{status: http.StatusForbidden, code: "TRADE_OVERDUE", message: "The order was paid more than a year ago"}
	case w.currency != o.currency:
		return refuse("The currency is not the payment's")
	case w.total != o.total:
		return refuse("The total is not the payment's")
	case len(o.refunded) >= refundsMax:
		return refuse(fmt.Sprintf("The order was refunded %d times already", refundsMax))
	case w.amount < 1 || w.amount > o.refundable():
		return refuse("The refunds would be more than was paid")
	case len(o.refunded) > 0 && now.Sub(o.refunded[len(o.refunded)-1].created) < s.behaviour.RefundGap:
		return &problem{status: http.StatusTooManyRequests, code: "INVALID_REQ_TOO_MUCH", message: "Two refunds of one order are a minute apart"}
	}
	return nil
}

func (s *Sim) takeRefund(o *order, w refundWish, now time.Time) *refund {
	s.lastID++
	r := &refund{refundWish: w, order: o, state: RefundProcessing, created: now, compose: (*Sim).noticeOfRefund, id: fmt.Sprintf("5030%s%016d", chinaTime(now).Format("20060102"), s.lastID)}
	o.refunded, o.state = append(o.refunded, r), Refunded
	s.refundsByID[r.id] = r
	s.refundsByNumber[orderKey{o.merchant, w.number}] = r
	return r
}

// refundOnPlatform is a refund that a person makes on the merchant platform: it is through at once. The caller holds s.mu.
func (s *Sim) refundOnPlatform(o *order, amount int64) *problem {
	now := time.Now()
	o.settle(now)
	w := refundWish{number: fmt.Sprintf("PLATFORM%016d", s.lastID+1), amount: amount, total: o.total, currency: o.currency, source: fromUnsettle}
	no := s.checkRefund(o, w, now)
	if no == nil {
		r := s.takeRefund(o, w, now)
		r.due, r.ends = now, RefundSuccess
		o.settle(now)
	}
	return no
}

// forgetRefunds drops those of an order that is forgotten itself.
func (s *Sim) forgetRefunds(o *order) {
	for _, r := range o.refunded {
		delete(s.refundsByID, r.id)
		delete(s.refundsByNumber, orderKey{o.merchant, r.number})
	}
}

// refundable is what may still be asked for: a refund counts until it is closed.
func (o *order) refundable() int64 {
	left := o.total
	for _, r := range o.refunded {
		if r.state != RefundClosed {
			left -= r.amount
		}
	}
	return left
}

// settleRefunds ends the refunds whose time has come. Only SUCCESS moves money.
func (o *order) settleRefunds(now time.Time) {
	for _, r := range o.refunded {
		if r.state != RefundProcessing || r.due.IsZero() || r.due.After(now) {
			continue
		}
		r.state, r.ended = r.ends, r.due
		if r.state == RefundSuccess {
			o.giveBack(r.amount)
		}
	}
}

// refundPlay is the order's, or that of a refund's amount of 99.NN.
func (o *order) refundPlay(amount int64) refundPlay {
	if o.play.refund != nil {
		return *o.play.refund
	}
	if scene, found := sceneOfAmount(amount); found && scene.play.refund != nil {
		return *scene.play.refund
	}
	return refundPlay{}
}
