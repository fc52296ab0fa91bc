package wxsim

import (
	"fmt"
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
	api      API    // that made it; "": another till's
	goods    string // description, body
	device   string // device_info, API v2
	id       string // WeChat Pay's transaction id
	attach   string
	total    int64 // minor units
	currency string
	payer    string   // openid
	codeTail string   // last four digits
	codeSum  string   // SHA-256 of the code, in hex
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

	refunded    []*refund // oldest first
	refundTries int       // refund calls that got as far as the scenario
}

// turn is a change of state at a time.
type turn struct {
	at    time.Time
	state TradeState
}

// settle lets time do its work: the customer pays or does not, WeChat Pay revokes what is still unpaid, and refunds end.
func (o *order) settle(now time.Time) {
	for len(o.plan) > 0 && !o.plan[0].at.After(now) {
		next := o.plan[0]
		o.plan = o.plan[1:]
		if o.state.unpaid() {
			o.turn(next.state, next.at)
		}
	}
	o.settleRefunds(now)
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
		s.forgetRefunds(s.orders[oldest])
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
