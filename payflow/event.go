package payflow

import "time"

// EventKind names what happened to a payment.
type EventKind string

// The events. Time reaches Step in Event.At and nowhere else.
const (
	CodeScanned     EventKind = "code_scanned"
	PayAnswered     EventKind = "pay_answered"
	QueryAnswered   EventKind = "query_answered"
	ReverseAnswered EventKind = "reverse_answered"
	CallLost        EventKind = "call_lost"
	Woken           EventKind = "woken"
	CancelAsked     EventKind = "cancel_asked"
	Restarted       EventKind = "restarted"
	Expired         EventKind = "expired"         // armed, and no code was scanned in time
	SetAsideAsked   EventKind = "set_aside_asked" // an operator frees the till (rule 12)
)

// EventKinds returns every event.
func EventKinds() []EventKind {
	return []EventKind{CodeScanned, PayAnswered, QueryAnswered, ReverseAnswered, CallLost, Woken, CancelAsked, Restarted, Expired, SetAsideAsked}
}

// Event is one thing that happened, with the time at which it did. Only the fields of its kind are read.
type Event struct {
	Kind EventKind `json:"kind"`
	// At is the time of the event, with the monotonic reading of this process: every wait is measured between two of them.
	At time.Time `json:"at"`
	// Call is the number of the call that an answer or a loss ends; one for another call is ignored.
	Call int `json:"call,omitempty"`

	Code     AuthCode `json:"-"`                   // CodeScanned
	CodeHash string   `json:"code_hash,omitempty"` // CodeScanned: keyed, to see a second read of one code

	// Clock is the corrected time of a CodeScanned; zero where the clock is not known. Event.At is the PC's, which may be years off.
	Clock time.Time `json:"clock,omitzero"`

	Outcome Outcome `json:"outcome,omitzero"` // PayAnswered, QueryAnswered, ReverseAnswered
	Lost    Lost    `json:"lost,omitzero"`    // CallLost

	// Age is how long ago the order was paid for, by the corrected clock, on a Restarted; zero where the clock is not known.
	Age time.Duration `json:"age,omitempty"`

	OutRefundNo OutRefundNo `json:"out_refund_no,omitempty"` // RefundWished

	Operator string `json:"operator,omitempty"` // CancelAsked, SetAsideAsked
	Note     string `json:"note,omitempty"`     // SetAsideAsked: the operator's reason
}

// CallKind names a call to WeChat Pay.
type CallKind string

// The calls; at most one is in flight for a payment.
const (
	NoCall      CallKind = ""
	PayCall     CallKind = "pay"
	QueryCall   CallKind = "query"
	ReverseCall CallKind = "reverse"
)

// CommandKind names what the engine does after it has committed a step.
type CommandKind string

// The commands.
const (
	SendPay     CommandKind = "send_pay"
	SendQuery   CommandKind = "send_query"
	SendReverse CommandKind = "send_reverse"
	Wake        CommandKind = "wake"      // send Woken at Command.At (Expired while Waiting)
	Announce    CommandKind = "announce"  // tell page, API and line that the payment has changed
	GiveBack    CommandKind = "give_back" // refund Command.Amount of the payment: no reverse is possible any more (rule 13). It may come again
)

// Command is one thing to do next. Sends carry the number of their call, which the answer's event repeats.
type Command struct {
	Kind CommandKind
	Call int
	At   time.Time // Wake
	Code AuthCode  // SendPay
	// Amount is what WeChat Pay still holds of the order, of its own Trade.Amount: GiveBack.
	Amount Amount
}
