package wxsim

import (
	"fmt"
	"slices"
	"time"
)

// Kind is a way in which the line, or WeChat Pay, goes wrong.
type Kind string

// What happens to the request.
const (
	DropUnread Kind = "drop-unread" // the connection is closed before the request's body is read; it is not carried out
	DropHalf   Kind = "drop-half"   // the same in the middle of the body
	DeadLink   Kind = "dead-link"   // bytes vanish in both directions as with a pulled cable; it is not carried out
	ReadLate   Kind = "read-late"   // it is read only after Delay (20 s), and carried out then, whoever is still there
	Stall      Kind = "stall"       // nothing comes back, and nobody hangs up; carried out if Processed
	Redirect   Kind = "redirect"    // 307 to Location, or to itself; it is not carried out
)

// What happens to the answer. Refuse, ServerError and HTMLPage come instead of carrying the request out, unless Processed.
const (
	DropAnswer       Kind = "drop-answer"       // carried out; the connection is closed before the answer
	LateAnswer       Kind = "late-answer"       // carried out at once, answered after Delay (20 s)
	Refuse           Kind = "refuse"            // Status and Code, signed
	ServerError      Kind = "server-error"      // Status (500) and Code (SYSTEM_ERROR), signed
	HTMLPage         Kind = "html-page"         // Status (502) and a web page, unsigned
	Unsigned         Kind = "unsigned"          // the true answer without its signature
	Forged           Kind = "forged"            // the true answer under a signature of somebody else's
	UnknownSerial    Kind = "unknown-serial"    // signed by somebody else, under his own serial
	Probe            Kind = "probe"             // a signature that begins WECHATPAY/SIGNTEST/
	Stale            Kind = "stale"             // well signed, six minutes ago
	Replayed         Kind = "replayed"          // an earlier answer to the same call about the same order, to the letter; none: as DropAnswer
	ReplayedOther    Kind = "replayed-other"    // the same, about another order
	Rollover         Kind = "rollover"          // a new platform certificate appears and signs from this answer on
	WrongDate        Kind = "wrong-date"        // the Date header is off by Delay (1 h)
	Truncated        Kind = "truncated"         // the connection is closed in the middle of the body
	Oversized        Kind = "oversized"         // 2 MiB, well signed
	TrailingJSON     Kind = "trailing-json"     // a second object after the first, well signed
	DuplicateHeaders Kind = "duplicate-headers" // Wechatpay-Nonce and -Signature stand twice
	Gzip             Kind = "gzip"              // compressed; the signature is over the plain body
)

// Fault is something that goes wrong with the next calls that fit it.
type Fault struct {
	On        Call          `json:"on"`        // Any: every call; Connect: a new connection, with DropUnread, Stall, DeadLink or ReadLate
	Order     string        `json:"order"`     // out_trade_no; "": every order
	Kind      Kind          `json:"kind"`      //
	Times     int           `json:"times"`     // 0: once; -1: until it is removed
	Skip      int           `json:"skip"`      // calls that fit and are let pass first
	Delay     time.Duration `json:"delay"`     // nanoseconds in JSON
	Status    int           `json:"status"`    // for Refuse, ServerError and HTMLPage
	Code      string        `json:"code"`      // for Refuse and ServerError
	Processed bool          `json:"processed"` // the request is carried out all the same
	Unsigned  bool          `json:"unsigned"`  // Refuse and ServerError come without a signature
	Location  string        `json:"location"`  // for Redirect
}

const (
	lateness  = 20 * time.Second / pace // longer than a client waits for a pay answer (10 to 15 s)
	oversize  = 2 << 20
	staleness = 6 * time.Minute // more than the 5 minutes that a client may accept
)

var kinds = []Kind{DropUnread, DropHalf, DeadLink, ReadLate, Stall, Redirect, DropAnswer, LateAnswer, Refuse, ServerError, HTMLPage, Unsigned, Forged,
	UnknownSerial, Probe, Stale, Replayed, ReplayedOther, Rollover, WrongDate, Truncated, Oversized, TrailingJSON, DuplicateHeaders, Gzip}

// noticeKinds are those that can befall a notification.
var noticeKinds = []Kind{DropAnswer, Unsigned, Forged, UnknownSerial, Probe, Stale, Rollover, WrongDate, Oversized, TrailingJSON, DuplicateHeaders, Gzip}

// Kinds returns every kind of fault.
func Kinds() []Kind { return slices.Clone(kinds) }

// Check says what is wrong with a fault.
func (f Fault) Check() error {
	calls := []Call{Any, Pay, Query, Reverse, Certificates, Refund, RefundQuery, Refunds, Statement, Settlements, Notice, Bill, OpenID, Connect, Other}
	switch {
	case !slices.Contains(calls, f.On):
		return fmt.Errorf("fault on %q: the calls are %q", f.On, calls)
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("fault of kind %q: the kinds are %q", f.Kind, kinds)
	case f.On == Connect && !f.is(DropUnread, Stall, DeadLink, ReadLate):
		return fmt.Errorf("fault of kind %q on a connection: only %q, %q, %q and %q can be", f.Kind, DropUnread, Stall, DeadLink, ReadLate)
	case f.On == Notice && !f.is(noticeKinds...):
		return fmt.Errorf("fault of kind %q on a notification: only %q can be", f.Kind, noticeKinds)
	case f.Kind == Refuse && (f.Status < 400 || f.Code == ""):
		return fmt.Errorf("fault of kind %q: a status from 400 on and a code are needed", f.Kind)
	}
	return nil
}

// armedFault is a fault that waits for its call.
type armedFault struct {
	Fault
	left int // -1: for ever
}

// Inject arms a fault. Of several that fit a call, the one that was armed first acts; a scenario's own fault comes after
// all of them. It panics where Check finds a mistake.
func (s *Sim) Inject(f Fault) (remove func()) {
	if err := f.Check(); err != nil {
		panic("wxsim: " + err.Error())
	}
	armed := &armedFault{Fault: f, left: orElse(f.Times, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, armed)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(other *armedFault) bool { return other == armed })
	}
}

// Heal removes every fault that is armed.
func (s *Sim) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// pick takes the fault for a visit, if one fits. Unread, those are meant that act before the body is read; a fault that
// names an order, or that a scenario brings, acts once the body has told which order it is.
func (s *Sim) pick(v *visit, unread bool) *Fault {
	fits := func(f *Fault) bool {
		early := f.is(DropUnread, DropHalf, DeadLink, ReadLate) && f.Order == ""
		return early == unread && f.fits(v)
	}
	if f := s.takeFault(fits); f != nil || unread {
		return f
	}
	return s.scenarioFault(v)
}

// takeFault returns the first armed fault that fits and is not to be skipped, and counts it.
func (s *Sim) takeFault(fits func(*Fault) bool) *Fault {
	for i, armed := range s.faults {
		if !fits(&armed.Fault) {
			continue
		}
		if armed.Skip > 0 {
			armed.Skip--
			continue
		}
		if armed.left--; armed.left == 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		f := armed.Fault
		return &f
	}
	return nil
}

func (f *Fault) fits(v *visit) bool {
	return f.On != Connect && f.On != Notice && (f.On == Any || f.On == v.call) && (f.Order == "" || f.Order == v.key.number)
}

// scenarioFault is the fault that the code or the amount of the order brings along.
func (s *Sim) scenarioFault(v *visit) *Fault {
	var faults []Fault
	if o := s.orders[v.key]; v.call == Refund && o != nil {
		faults = o.refundPlay(v.total).faults
	} else if v.call != Pay && o != nil {
		faults = o.play.faults
	} else if v.call == Pay {
		faults = s.choose(v.code, v.total).play.faults
	}
	for _, f := range faults {
		if f.On == v.call {
			return &f
		}
	}
	return nil
}

// connect plays the faults of a connection before its handshake. It reports whether there is to be one.
func (s *Sim) connect(w *wire) bool {
	f := s.pickConnect(DropUnread, Stall)
	if f.is(Stall) {
		w.stay()
	}
	return f == nil
}

// connected plays those of a connection after its handshake: it goes dead, or its bytes stay in the socket unread.
func (s *Sim) connected(w *wire) bool {
	f := s.pickConnect(DeadLink, ReadLate)
	if f.is(DeadLink) {
		w.die()
		w.stay()
	}
	return !f.is(DeadLink) && (f == nil || s.network.wait(orElse(f.Delay, lateness)))
}

func (s *Sim) pickConnect(any ...Kind) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeFault(func(f *Fault) bool { return f.On == Connect && f.is(any...) })
}
