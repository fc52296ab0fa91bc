package wxsim

import (
	"fmt"
	"time"
)

// Foreign is an order that another till made under a number, for a till that comes to use the same one.
type Foreign struct {
	MerchantID string     `json:"merchant_id"` // "": the first merchant's
	Number     string     `json:"out_trade_no"`
	Attach     string     `json:"attach"`
	Total      int64      `json:"total"`    // minor units; 0 is 100
	Currency   string     `json:"currency"` // "" is HKD
	State      TradeState `json:"state"`    // "" is SUCCESS
}

// Place puts another till's order under a number that is still free. A pay call with that number is refused from then on:
// ORDER_PAID where it is paid, ORDER_CLOSED and ORDER_REVERSED where it ended, else OUT_TRADE_NO_USED.
func (s *Sim) Place(f Foreign) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.first
	if f.MerchantID != "" {
		a = s.accounts[f.MerchantID]
	}
	if a == nil || !orderNumber.MatchString(f.Number) {
		return fmt.Errorf("place order %.40q of merchant %.20q: the merchant is unknown, or the number is none", f.Number, f.MerchantID)
	}
	if o := s.orders[orderKey{a.MerchantID, f.Number}]; o != nil && o.state != None {
		return fmt.Errorf("place order %s: the number is taken", f.Number)
	}
	s.place(a, f, time.Now())
	return nil
}

func (s *Sim) place(a *account, f Foreign, now time.Time) *order {
	o := s.order(orderKey{a.MerchantID, f.Number})
	s.open(o, a, now)
	o.foreign, o.attach, o.total, o.currency = true, f.Attach, orElse(f.Total, 100), orElse(f.Currency, "HKD")
	o.payer = payerOf(f.Attach)
	switch state := orElse(f.State, Success); state {
	case Success, Refunded:
		o.turn(Success, now)
		if state == Refunded {
			s.refundOnPlatform(o, o.total)
		}
	default:
		o.turn(state, now)
	}
	return o
}

// Refund gives back part of a paid order, as the merchant platform can: the money is back at once, under a refund number of the
// platform's own, and the order reads REFUND.
func (s *Sim) Refund(merchantID, number string, amount int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[orderKey{orElse(merchantID, s.first.MerchantID), number}]
	if o == nil {
		return fmt.Errorf("refund order %.40q: there is none", number)
	}
	if no := s.refundOnPlatform(o, amount); no != nil {
		return fmt.Errorf("refund %d of order %s, which holds %d: %s", amount, number, o.held, no.message)
	}
	return nil
}
