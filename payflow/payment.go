package payflow

import "time"

// Payment is one attempt to pay a sale by one payment code: what is charged, and where it stands. It is a value;
// only Step changes it. The journal holds it as it is: the code itself is never part of it.
type Payment struct {
	Order

	Status  Status `json:"status"`
	Version uint64 `json:"version"` // counts every change that a till can see
	Reason  Reason `json:"reason"`

	// Attention says why a person must look; empty while nobody needs to. It is a flag, not an end.
	Attention Reason `json:"attention,omitempty"`
	// Stranger says that the order under our number is not, or not provably, ours: it is never reversed.
	Stranger Stranger `json:"stranger,omitempty"`
	// Refusal is the definite refusal or collision that the pay call was answered with, if it was.
	Refusal Refusal `json:"refusal,omitzero"`
	// Claim is an unsigned refusal: shown, and asked about, but not believed.
	Claim Refusal `json:"claim,omitzero"`

	CancelAsked bool     `json:"cancel_asked,omitempty"`
	SetAside    SetAside `json:"set_aside,omitzero"`

	CodeTail string `json:"code_tail,omitempty"` // the code's last four digits
	CodeHash string `json:"code_hash,omitempty"` // a keyed hash; the key is outside the journal
	// CodeSpent says that the code's order may have left: it is good for no other (rule 14).
	CodeSpent bool `json:"code_spent,omitempty"`

	Trade Trade `json:"trade,omitzero"` // what WeChat Pay last said of it
	Proof Proof `json:"proof,omitempty"`
	// MoneySeen says that an answer showed the money taken, so that a reverse gives it back, and "no such order" is no proof any more.
	MoneySeen bool `json:"money_seen,omitempty"`
	// UnpaidSeen says that an answer showed the order there and not paid, so that REVOKED later is no riddle. It is kept for the reason alone.
	UnpaidSeen bool `json:"unpaid_seen,omitempty"`

	ArmedAt     time.Time `json:"armed_at"`
	ScannedAt   time.Time `json:"scanned_at,omitzero"`   // never rebased: for people
	TrueScanAt  time.Time `json:"true_scan_at,omitzero"` // the same by the corrected clock, for rule 13; zero where it was not known
	ReversingAt time.Time `json:"reversing_at,omitzero"`
	FinalAt     time.Time `json:"final_at,omitzero"`

	// What follows is counted and timed for the flow. Times here count anew after a restart (rule 11).

	Call          CallKind  `json:"call,omitempty"`   // in flight
	Calls         int       `json:"calls,omitempty"`  // made so far; the number of the one in flight
	WakeAt        time.Time `json:"wake_at,omitzero"` // information only once read from disk
	NextCall      CallKind  `json:"next,omitempty"`   // what waking sends
	FirstPayAt    time.Time `json:"first_pay_at,omitzero"`
	PayEndedAt    time.Time `json:"pay_ended_at,omitzero"` // end of the last pay attempt that may have left
	CallStartedAt time.Time `json:"call_started_at,omitzero"`
	NextReverseAt time.Time `json:"next_reverse_at,omitzero"`

	Hurry           bool          `json:"hurry,omitempty"`    // the reverse is due at 15 s, not at reverse_after
	Slowness        time.Duration `json:"slowness,omitempty"` // the pause between queries after a 429
	Queries         int           `json:"queries,omitempty"`
	Reverses        int           `json:"reverses,omitempty"`
	ReverseRefusals int           `json:"reverse_refusals,omitempty"`
	ReverseTooLate  bool          `json:"reverse_too_late,omitempty"`
	OldStarts       int           `json:"old_starts,omitempty"` // starts at which the order was older than seven days
	Restarts        int           `json:"restarts,omitempty"`

	DeadReverse     bool      `json:"dead_reverse,omitempty"`      // a reverse was sent after T_dead, and has ended
	DeadReverseDone bool      `json:"dead_reverse_done,omitempty"` // and was answered 204, verified
	AbsentAt        time.Time `json:"absent_at,omitzero"`          // first "no such order", signed or not, after that

	Timing Timing `json:"timing"`
}

// Stranger says whose the order under our number is, where it is not ours.
type Stranger string

// The strangers.
const (
	NoStranger Stranger = ""
	Another    Stranger = "another"   // its attach is another's
	Unclaimed  Stranger = "unclaimed" // nothing in it proves that it is ours
)

// Refusal is a refusal's code, what the cashier is told, and WeChat Pay's own words.
type Refusal struct {
	Kind   OutcomeKind `json:"kind,omitempty"` // Refused or Collision
	Code   string      `json:"code,omitempty"`
	Reason Reason      `json:"reason,omitempty"`
	Text   string      `json:"text,omitempty"`
}

// SetAside records who freed the till from a payment that does not end, and why.
type SetAside struct {
	At       time.Time `json:"at"`
	Operator string    `json:"operator"`
	Note     string    `json:"note"`
}

// Proof is what a final status rests on.
type Proof string

// The kinds of proof.
const (
	ProofSigned    Proof = "signed"    // a verified answer to this very order
	ProofNotSent   Proof = "not_sent"  // no byte left
	ProofTransport Proof = "transport" // unsigned absence over verified TLS after T_dead (rule 9)
)

// Arm returns a new payment that waits for a scan until at + ScanWithin, and its first wake.
func Arm(o Order, t Timing, at time.Time) (Payment, []Command) {
	p := Payment{Order: o, Status: Waiting, Version: 1, Reason: ReasonWaiting, ArmedAt: at, Timing: t, WakeAt: at.Add(t.ScanWithin)}
	return p, []Command{{Kind: Wake, At: p.WakeAt}, {Kind: Announce}}
}

// Open reports that the payment is not final.
func (p Payment) Open() bool { return !p.Status.Final() }

// HoldsTill reports that the payment is open and has not been set aside.
func (p Payment) HoldsTill() bool { return p.Open() && p.SetAside.At.IsZero() }

// SaleMayUseOtherMeans reports that the customer can't have paid this sale for good by this payment, now or later.
func (p Payment) SaleMayUseOtherMeans() bool {
	switch p.Status {
	case Reversing, Reversed, Declined, Cancelled:
		return true
	case Confirming:
		return p.Stranger == Another
	}
	return false
}

// LocksSale reports that no further payment of the same sale may be armed beside this one (I7). An order under
// our number that is another till's can't have charged this sale: rule 3 gives the new try a new number.
func (p Payment) LocksSale() bool {
	return p.Status == Paid || (p.Open() && p.Stranger != Another)
}

// ReverseDue is when the asking ends and the reverse begins: reverse_after from the start of the first pay attempt,
// or at once where nothing is to be hoped for, and never sooner than 15 s after the end of the last attempt that may have left.
func (p Payment) ReverseDue() time.Time {
	due := p.PayEndedAt.Add(ReverseGuard)
	if patient := p.FirstPayAt.Add(p.Timing.ReverseAfter); !p.Hurry && patient.After(due) {
		return patient
	}
	return due
}

// DeadAt is T_dead: the payment's code can no longer make an order. It is zero before the pay attempt has ended.
func (p Payment) DeadAt() time.Time {
	if p.PayEndedAt.IsZero() {
		return time.Time{}
	}
	return p.PayEndedAt.Add(DeadAfter)
}

// MayBeSetAside reports whether an operator may free the till from the payment at the given time (rule 12).
func (p Payment) MayBeSetAside(at time.Time) bool {
	if !p.HoldsTill() || p.Status == Waiting {
		return false
	}
	return p.Attention != "" || (!p.PayEndedAt.IsZero() && !at.Before(p.DeadAt()))
}
