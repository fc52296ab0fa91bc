package wxsim

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Books are what WeChat Pay knows at one moment, to be compared line by line with a till's journal. They hold no payment
// code, only the last four digits.
type Books struct {
	At         time.Time          `json:"at"`
	Orders     []OrderBook        `json:"orders"`     // oldest first, numbers that were only spoken of among them
	Violations []Violation        `json:"violations"` // what a caller may not do
	Calls      map[Call]CallCount `json:"calls"`
	Broken     int                `json:"broken"` // requests whose head never came whole
	// Uncertified counts the calls that were refused for want of the merchant's certificate (API v2, reverse and refund).
	Uncertified map[Call]int `json:"uncertified"`

	Notices []NoticeBook `json:"notices"` // notifications, at most 10,000
}

// OrderBook is one line: an order number.
type OrderBook struct {
	API           API        `json:"api"` // that made it; "": there is none, or another till's
	MerchantID    string     `json:"merchant_id"`
	Number        string     `json:"out_trade_no"`
	TransactionID string     `json:"transaction_id"`
	State         TradeState `json:"state"`   // None: there is no such order
	Foreign       bool       `json:"foreign"` // another till's, see Place
	Attach        string     `json:"attach"`
	Total         int64      `json:"total"` // minor units
	Currency      string     `json:"currency"`
	Charged       int        `json:"charged"`   // how often the customer was charged
	Held          int64      `json:"held"`      // what WeChat Pay holds for it now, minor units
	GaveBack      int64      `json:"gave_back"` // what went back to the customer
	CodeTail      string     `json:"code_tail"`
	CodeSum       string     `json:"code_sum"` // SHA-256 of the payment code in hex: whoever knows the code can tell that it was this one
	Scenario      string     `json:"scenario"`
	Created       time.Time  `json:"created"`
	Paid          time.Time  `json:"paid"`
	Ended         time.Time  `json:"ended"`       // revoked or closed
	PayWhole      int        `json:"pay_whole"`   // pay calls that came whole, carried out or not
	PayPartial    int        `json:"pay_partial"` // pay calls that were cut off, as far as they named the order
	Arrivals      []Arrival  `json:"arrivals"`    // at most 1,000

	Refunds []RefundBook `json:"refunds"` // oldest first
}

// RefundBook is one refund of an order. Its money is held until its state is SUCCESS.
type RefundBook struct {
	Number   string      `json:"out_refund_no"`
	ID       string      `json:"refund_id"`
	State    RefundState `json:"state"`
	Amount   int64       `json:"amount"` // minor units, in the order's currency
	Currency string      `json:"currency"`
	Reason   string      `json:"reason"`
	Source   string      `json:"source"`
	Created  time.Time   `json:"created"`
	Ended    time.Time   `json:"ended"` // zero: not yet
}

// Arrival is one request that reached WeChat Pay's door.
type Arrival struct {
	Call      Call      `json:"call"`
	At        time.Time `json:"at"`        // its first bytes
	Whole     bool      `json:"whole"`     // it came to its last byte
	Processed bool      `json:"processed"` // it was carried out
	Duplicate bool      `json:"duplicate"` // a pay call, and not the first whole one for its number
	Late      bool      `json:"late"`      // it was read only after ReadLate's delay
	Status    int       `json:"status"`    // 0: there was no answer
	Code      string    `json:"code"`
	Fault     Kind      `json:"fault"`
	Nonce     string    `json:"nonce,omitempty"` // of the signed answer over API v3; an earlier answer's where that was sent again
	Signed    time.Time `json:"signed,omitzero"` // the answer's signed time, to the second; the earlier answer's likewise
}

// CallCount counts the requests of one call.
type CallCount struct {
	Whole     int `json:"whole"`
	Partial   int `json:"partial"`
	Processed int `json:"processed"`
	Late      int `json:"late"`
}

// Violation is something that the documents forbid a caller, and that he did.
type Violation struct {
	At     time.Time `json:"at"`
	Number string    `json:"out_trade_no"`
	What   string    `json:"what"`
}

const (
	arrivalsMax   = 1_000 // for each order
	violationsMax = 10_000
	headersMax    = 500 // different names
)

// tally counts requests.
type tally struct {
	calls       map[Call]CallCount
	uncertified map[Call]int
	headers     map[string]int
	broken      int
}

func newTally() tally {
	return tally{calls: map[Call]CallCount{}, uncertified: map[Call]int{}, headers: map[string]int{}}
}

// Books returns the state of all orders now.
func (s *Sim) Books() Books {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	b := Books{At: now, Violations: slices.Clone(s.violations), Calls: map[Call]CallCount{}, Broken: s.tally.broken, Notices: s.noticeBooks(),
		Uncertified: maps.Clone(s.tally.uncertified)}
	for call, count := range s.tally.calls {
		b.Calls[call] = count
	}
	for _, k := range s.line {
		o := s.orders[k]
		o.settle(now)
		b.Orders = append(b.Orders, o.line())
	}
	slices.SortStableFunc(b.Orders, func(x, y OrderBook) int { return cmp.Compare(x.MerchantID, y.MerchantID) })
	return b
}

// Order returns one line of the books by its number, of whichever merchant.
func (b Books) Order(number string) (OrderBook, bool) {
	i := slices.IndexFunc(b.Orders, func(o OrderBook) bool { return o.Number == number })
	if i < 0 {
		return OrderBook{}, false
	}
	return b.Orders[i], true
}

// Carried returns how many requests had a header of that name, since the start.
func (s *Sim) Carried(header string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tally.headers[http.CanonicalHeaderKey(header)]
}

func (o *order) line() OrderBook {
	line := OrderBook{API: o.api, MerchantID: o.merchant, Number: o.number, TransactionID: o.id, State: o.state, Foreign: o.foreign, Attach: o.attach, Total: o.total,
		Currency: o.currency, Charged: o.charged, Held: o.held, GaveBack: o.refunds, CodeTail: o.codeTail, CodeSum: o.codeSum, Scenario: o.scene, Created: o.created,
		Paid: o.paid, Ended: o.ended, PayWhole: o.whole, PayPartial: o.partial}
	for _, a := range o.arrivals {
		line.Arrivals = append(line.Arrivals, *a)
	}
	for _, r := range o.refunded {
		line.Refunds = append(line.Refunds, r.line())
	}
	return line
}

func (r *refund) line() RefundBook {
	return RefundBook{Number: r.number, ID: r.id, State: r.state, Amount: r.amount, Currency: r.currency, Reason: r.reason, Source: r.source,
		Created: r.created, Ended: r.ended}
}

// arrive writes a request into the books.
func (s *Sim) arrive(v *visit, processed bool, r reply) {
	a := &Arrival{Call: v.call, At: v.seen, Whole: v.whole, Processed: processed, Late: v.late, Status: r.status}
	if r.trouble != nil {
		a.Code = r.trouble.Code
	}
	if v.fault != nil {
		a.Fault = v.fault.Kind
	}
	s.tally.count(v, processed)
	if v.key.number == "" || len(v.key.number) > 64 {
		return
	}
	v.arrival = a
	o := s.order(v.key)
	if v.call == Pay {
		a.Duplicate = v.whole && o.whole > 0
		o.notePay(v)
	}
	if len(o.arrivals) < arrivalsMax {
		o.arrivals = append(o.arrivals, a)
	}
}

func (o *order) notePay(v *visit) {
	if v.whole {
		o.whole++
	} else {
		o.partial++
	}
	if v.seen.After(o.paySeen) {
		o.paySeen = v.seen
	}
}

func (t *tally) count(v *visit, processed bool) {
	c := t.calls[v.call]
	c.Whole += one(v.whole)
	c.Partial += one(!v.whole)
	c.Processed += one(processed)
	c.Late += one(v.late)
	t.calls[v.call] = c
	for name := range v.request.Header {
		if t.headers[name] > 0 || len(t.headers) < headersMax {
			t.headers[name]++
		}
	}
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

func (s *Sim) violate(k orderKey, what string) {
	if len(s.violations) < violationsMax {
		s.violations = append(s.violations, Violation{At: time.Now(), Number: k.number, What: what})
	}
}
