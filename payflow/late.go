package payflow

import "time"

// Late is what became of a payment after its end (I5): the check at the death of its code, and money that WeChat Pay turned out to hold
// after all. It stands beside the payment, which never changes any more. It is a value; only LateStep changes it.
//
//	              asked at T_dead: nothing is held
//	check_owed ─────────────────────────────────────▶ clear
//	    │ SUCCESS, ours; or an order that may still be paid
//	    ▼                 REVOKED, CLOSED, all of it refunded
//	taking_back ────────────────────────────────────▶ given_back   (clear, where no money had been taken)
//	    │ too late for a reverse                          ▲
//	    ▼                                                 │ all of it refunded
//	refunding ────────────────────────────────────────────┘
//
// Attention says why a person must look; the till goes on by itself all the same, and an end takes it away. A person's word ends what
// needs a person: settled.
type Late struct {
	Stage     LateStage `json:"stage,omitempty"`
	Attention Reason    `json:"attention,omitempty"`
	Stranger  Stranger  `json:"stranger,omitempty"` // the order under our number is not, or not provably, ours
	// MoneySeen says that an answer showed money taken after the payment's end.
	MoneySeen bool  `json:"money_seen,omitempty"`
	Trade     Trade `json:"trade,omitzero"` // what WeChat Pay last said of it

	FoundAt     time.Time   `json:"found_at,omitzero"`          // when the money was first seen
	OutRefundNo OutRefundNo `json:"out_refund_no,omitempty"`    // of the refund that gives it back
	By          LateBy      `json:"by,omitempty"`               // with GivenBack
	EndedAt     time.Time   `json:"ended_at,omitzero"`          // of a stage that is over
	Settled     SetAside    `json:"settled,omitzero"`           // a person's word that ended it
	TooLate     bool        `json:"reverse_too_late,omitempty"` // WeChat Pay's word, or the clock's on two starts
	OldStarts   int         `json:"old_starts,omitempty"`

	// What follows is counted and timed for the flow, and counts anew after a restart.

	Since           time.Time `json:"since,omitzero"`    // begun, or begun anew
	DeadAt          time.Time `json:"dead_at,omitzero"`  // T_dead
	GuardAt         time.Time `json:"guard_at,omitzero"` // no reverse before it (I3)
	Call            CallKind  `json:"call,omitempty"`
	Calls           int       `json:"calls,omitempty"`
	CallStartedAt   time.Time `json:"call_started_at,omitzero"`
	WakeAt          time.Time `json:"wake_at,omitzero"`
	NextCall        CallKind  `json:"next,omitempty"`
	NextReverseAt   time.Time `json:"next_reverse_at,omitzero"`
	AbsentAt        time.Time `json:"absent_at,omitzero"` // first "no such order" that was not signed (rule 9)
	Lost            int       `json:"lost,omitempty"`     // answers lost in a row
	Reverses        int       `json:"reverses,omitempty"`
	ReverseRefusals int       `json:"reverse_refusals,omitempty"`
}

// LateStage says where the late truth of a final payment stands.
type LateStage string

// The stages.
const (
	LateNothing    LateStage = ""            // nothing is owed: paid, never sent, or proven when its code was dead
	LateOwed       LateStage = "check_owed"  // to be asked once more when its code is dead
	LateClear      LateStage = "clear"       // asked, and WeChat Pay holds nothing: over
	LateTakingBack LateStage = "taking_back" // it holds the money after all, or still may: reversed until that is proven
	LateRefunding  LateStage = "refunding"   // too late for a reverse: a refund gives it back
	LateGivenBack  LateStage = "given_back"  // the money went back: over
	LateSettled    LateStage = "settled"     // over by a person's word
)

// LateStages returns every stage.
func LateStages() []LateStage {
	return []LateStage{LateNothing, LateOwed, LateClear, LateTakingBack, LateRefunding, LateGivenBack, LateSettled}
}

// Over reports a stage that asks nothing more of the till.
func (s LateStage) Over() bool {
	return s != LateOwed && s != LateTakingBack && s != LateRefunding
}

// LateBy says how the money went back.
type LateBy string

// The ways.
const (
	LateByReverse LateBy = "reverse"
	LateByRefund  LateBy = "refund"
)

// HoldsMoney reports that WeChat Pay holds the sale's money by this payment, or may come to hold it, though it was not paid.
func (l Late) HoldsMoney() bool { return l.Stage == LateTakingBack || l.Stage == LateRefunding }

// ForPerson reports what belongs on the manager's list: money that turned up late and is not back yet, and what needs a person.
// A check that merely waits for its time, or is being asked again, does not.
func (l Late) ForPerson() bool { return !l.Stage.Over() && (l.Stage != LateOwed || l.Attention != "") }

// The kinds of Link that the late truths make.
const (
	LinkLateSuccess   = "late_success"         // WeChat Pay holds the money of a payment that was not paid; Ref: its transaction id
	LinkLateRefund    = "late_refund"          // a refund gives it back, because a reverse comes too late; Ref: the out_refund_no
	LinkLateGivenBack = "late_given_back"      // the money is back; Ref: a LateBy
	LinkLatePerson    = "late_needs_person"    // a person must look; Ref: the Reason
	LinkLateSettled   = "late_settled"         // a person saw to it; Ref: the operator
	LinkDuplicate     = "suspected_duplicate"  // the same payer paid the same amount on the same till within ten minutes; Ref: the other payment
	LinkAnotherTender = "asked_for_additional" // as a suspected duplicate, but asked for as an additional tender of the same sale; Ref: the other payment
)

// The events of a late truth, beside those of a payment: Woken, QueryAnswered, ReverseAnswered, CallLost and Restarted.
const (
	LateAsked    EventKind = "late_asked"    // look once more: a person's wish, or the reconciliation's
	LateHandled  EventKind = "late_handled"  // a person saw to it: Event.Operator and Event.Note
	RefundWished EventKind = "refund_wished" // the refund is in the journal: Event.OutRefundNo, or empty where it was refused
)

// WishRefund asks for a refund of all that Late.Trade shows. The engine answers by RefundWished.
const WishRefund CommandKind = "wish_refund"

// BeginLate returns what a payment that has just ended still owes: one more question when its code is dead, unless it was paid, or no
// byte left, or the question that ended it began when the code was dead already (rule 7: an order may still be made while its code lives).
func BeginLate(p Payment) Late {
	if !p.Status.Final() || p.Status == Paid || !p.CodeSpent || !p.CallStartedAt.Before(p.DeadAt()) {
		return Late{}
	}
	return Late{Stage: LateOwed, Since: p.FinalAt, DeadAt: p.DeadAt(), GuardAt: p.PayEndedAt.Add(ReverseGuard), WakeAt: p.DeadAt(), NextCall: QueryCall, TooLate: p.ReverseTooLate}
}
