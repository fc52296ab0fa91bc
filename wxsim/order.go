package wxsim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// TradeState is what WeChat Pay says of an order.
type TradeState string

// The states (Global v3, query order). None is an order that WeChat Pay does not have.
const (
	None       TradeState = ""
	NotPay     TradeState = "NOTPAY"
	UserPaying TradeState = "USERPAYING"
	Success    TradeState = "SUCCESS"
	PayError   TradeState = "PAYERROR"
	Closed     TradeState = "CLOSED"
	Revoked    TradeState = "REVOKED"
	Refunded   TradeState = "REFUND"
)

func (t TradeState) unpaid() bool { return t == NotPay || t == UserPaying || t == PayError }

// orderKey names an order: numbers are unique for each merchant number, over all its sub merchants.
type orderKey struct{ merchant, number string }

// order is what the simulator knows under one number: an order, or only that somebody spoke of it.
type order struct {
	orderKey
	account  *account
	id       string // WeChat Pay's transaction id
	attach   string
	total    int64 // minor units
	currency string
	payer    string   // openid
	codeTail string   // last four digits
	params   [32]byte // of the pay call that made it
	scene    string   // the scenario's name
	play     play
	foreign  bool // another till's, placed by Place

	state    TradeState
	plan     []turn // what time will do, in order
	created  time.Time
	paid     time.Time
	ended    time.Time // revoked, closed
	blocked  bool      // reversed before it existed, and so never to be made
	paySeen  time.Time // the first bytes of the last pay call that named it
	charged  int       // times
	held     int64     // money that WeChat Pay holds for it now, minor units
	refunds  int64     // money that went back
	amounts  map[int64]bool
	arrivals []*Arrival
	whole    int
	partial  int
}

// turn is a change of state at a time.
type turn struct {
	at    time.Time
	state TradeState
}

// settle lets time do its work: the customer pays or does not, and WeChat Pay revokes what is still unpaid.
func (o *order) settle(now time.Time) {
	for len(o.plan) > 0 && !o.plan[0].at.After(now) {
		next := o.plan[0]
		o.plan = o.plan[1:]
		if o.state.unpaid() {
			o.turn(next.state, next.at)
		}
	}
}

func (o *order) turn(state TradeState, at time.Time) {
	o.state = state
	switch state {
	case Success:
		o.paid, o.held = at, o.total
		o.charged++
	case Revoked, Closed:
		o.ended = at
	}
}

// giveBack refunds part of what is held.
func (o *order) giveBack(amount int64) {
	o.held -= amount
	o.refunds += amount
}

// schedule writes down what the wallet will do, and the revocation after it (Quick Pay: an order still unpaid 45 s after
// its creation is revoked by WeChat Pay itself).
func (o *order) schedule(b Behaviour, now time.Time) {
	p := o.play
	add := func(after time.Duration, state TradeState) {
		if after > 0 {
			o.plan = append(o.plan, turn{now.Add(after), state})
		}
	}
	pays := p.pays
	if p.asks {
		pays = orElse(p.pays, b.PasswordAfter)
	}
	add(pays, Success)
	add(p.fails, PayError)
	add(p.leaves, NotPay)
	add(b.RevokeAfter, Revoked)
	slices.SortStableFunc(o.plan, func(x, y turn) int { return x.at.Compare(y.at) })
}

// order returns what is known under a key, and makes the entry if there is none.
func (s *Sim) order(k orderKey) *order {
	if o := s.orders[k]; o != nil {
		return o
	}
	o := &order{orderKey: k, amounts: map[int64]bool{}}
	s.orders[k] = o
	s.line = append(s.line, k)
	if len(s.line) > s.ordersMax {
		oldest := s.line[0]
		s.line = s.line[1:]
		delete(s.byID, s.orders[oldest].id)
		delete(s.orders, oldest)
	}
	return o
}

// open makes the order exist from now on.
func (s *Sim) open(o *order, a *account, now time.Time) {
	s.lastID++
	o.account, o.created, o.state = a, now, NotPay
	o.id = fmt.Sprintf("4200%s%016d", now.Format("20060102"), s.lastID) // 28 digits
	s.byID[o.id] = o
}

// payerOf is the openid of the wallet that shows a code: the same code, the same customer.
func payerOf(code string) string {
	sum := sha256.Sum256([]byte(code))
	return "oUpF8u" + hex.EncodeToString(sum[:])[:22]
}

// view is the order as pay and query answer it (Global v3, query order). What an unpaid order has not is left out.
func (o *order) view() map[string]any {
	v := map[string]any{"out_trade_no": o.number, "trade_type": "MICROPAY", "trade_state": o.state, "trade_state_desc": stateText(o.state),
		"attach": o.attach, "amount": map[string]any{"total": o.total, "currency": o.currency}}
	payer := map[string]any{}
	if o.account.Mode == Direct {
		v["appid"], v["mchid"], payer["openid"] = o.account.AppID, o.account.MerchantID, o.payer
	} else {
		v["sp_appid"], v["sp_mchid"], v["sub_mchid"] = o.account.AppID, o.account.MerchantID, o.account.SubMerchantID
		payer["sp_openid"], payer["sub_openid"] = o.payer, ""
	}
	if !o.paid.IsZero() {
		v["id"], v["bank_type"], v["success_time"], v["payer"] = o.id, "CCB_DEBIT", wireTime(o.paid), payer
		v["amount"] = o.paidAmount()
	}
	if o.attach == "" {
		delete(v, "attach")
	}
	o.play.lie.tell(v)
	return v
}

const (
	rateScale = 100_000_000 // exchange rates are scaled by 10^8
	rateToCNY = 92_000_000
)

// paidAmount adds what the payer paid: CNY, at a rate of 0.92 where the order is in another currency.
func (o *order) paidAmount() map[string]any {
	rate := int64(rateToCNY)
	if o.currency == "CNY" {
		rate = rateScale
	}
	return map[string]any{"total": o.total, "currency": o.currency, "payer_total": max(1, o.total/100*rate/1_000_000), "payer_currency": "CNY",
		"exchange_rate": map[string]any{"type": "SETTLEMENT_RATE", "rate": rate}}
}

func stateText(state TradeState) string {
	switch state {
	case Success:
		return "Payment succeeded"
	case UserPaying:
		return "The customer is entering the password"
	case NotPay:
		return "Not paid"
	case PayError:
		return "Payment failed, please reverse the order"
	case Revoked:
		return "Reversed"
	case Closed:
		return "Closed"
	case Refunded:
		return "Refunded"
	}
	return string(state)
}

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
			o.giveBack(o.held)
			o.state = Refunded
		}
	default:
		o.turn(state, now)
	}
	return o
}

// Refund gives back part of a paid order, as the merchant platform can: it then reads REFUND.
func (s *Sim) Refund(merchantID, number string, amount int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[orderKey{orElse(merchantID, s.first.MerchantID), number}]
	if o == nil {
		return fmt.Errorf("refund order %.40q: there is none", number)
	}
	o.settle(time.Now())
	if amount < 1 || amount > o.held {
		return fmt.Errorf("refund %d of order %s: it holds %d", amount, number, o.held)
	}
	o.giveBack(amount)
	o.state = Refunded
	return nil
}

// found answers with the order as it stands.
func (o *order) found(status int) reply {
	r := good(o.view())
	r.status, r.order = status, o.orderKey
	return r
}

const userPayingText = "The customer is entering the password. Query the order."

// userPaying says that the password is being typed: in mainland v3 a 202 with a bare code has been seen (WxJava, issue
// 4050), else a 200 with the order.
func (o *order) userPaying(b Behaviour) reply {
	if status := orElse(o.play.asksBy, b.UserPaying); status == http.StatusAccepted {
		r := refusal(status, "USER_PAYING", userPayingText, 0)
		r.order = o.orderKey
		return r
	}
	return o.found(http.StatusOK)
}
