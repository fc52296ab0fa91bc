package payflow

import "time"

// RefundEventKind names what happened to a refund.
type RefundEventKind string

// The events. Time reaches RefundStep in RefundEvent.At and nowhere else.
const (
	RefundListed        RefundEventKind = "refund_listed"         // the order's refunds were listed
	RefundAnswered      RefundEventKind = "refund_answered"       // the request was answered
	RefundQueryAnswered RefundEventKind = "refund_query_answered" //
	RefundCallLost      RefundEventKind = "refund_call_lost"      //
	RefundWoken         RefundEventKind = "refund_woken"          //
	RefundNoticed       RefundEventKind = "refund_noticed"        // WeChat Pay sent a notification: ask at once, believe nothing
	RefundRestarted     RefundEventKind = "refund_restarted"      //
	RefundSeen          RefundEventKind = "refund_seen"           // a person has seen what needed one
)

// RefundEventKinds returns every event.
func RefundEventKinds() []RefundEventKind {
	return []RefundEventKind{RefundListed, RefundAnswered, RefundQueryAnswered, RefundCallLost, RefundWoken, RefundNoticed, RefundRestarted, RefundSeen}
}

// RefundEvent is one thing that happened to a refund, with the time at which it did. Only the fields of its kind are read.
type RefundEvent struct {
	Kind RefundEventKind `json:"kind"`
	// At is the time of the event, with the monotonic reading of this process: every wait is measured between two of them.
	At time.Time `json:"at"`
	// Call is the number of the call that an answer or a loss ends; one for another call is ignored.
	Call int `json:"call,omitempty"`
	// FreeAt is when the order may be asked to be refunded again, with every event: two requests of one order are RefundGap apart,
	// and the other refunds of the order are not this one's to know. Zero: now.
	FreeAt time.Time `json:"free_at,omitzero"`

	Outcome RefundOutcome  `json:"outcome,omitzero"` // RefundAnswered, RefundQueryAnswered
	Lost    Lost           `json:"lost,omitzero"`    // RefundCallLost
	Listed  []RefundReport `json:"listed,omitempty"` // RefundListed: every refund of the order, whoever made it
	// Held is what other refunds of this journal, not dead and not in Listed, hold of the order, in minor units: RefundListed.
	Held int64 `json:"held,omitempty"`
	// Forgotten says that Listed holds a refund, not closed, under a number of this till's own making that its journal does not know: a
	// restore lost it, or a till with a copy of this journal made it.
	Forgotten bool `json:"forgotten,omitempty"`

	// MayHaveLeft says that the journal was restored a short while ago, so that a request may have left that it does not know of: RefundRestarted.
	MayHaveLeft bool `json:"may_have_left,omitempty"`

	Operator string `json:"operator,omitempty"` // RefundSeen
	Note     string `json:"note,omitempty"`     // RefundSeen
}

// RefundCall names a call to WeChat Pay about a refund.
type RefundCall string

// The calls; at most one is in flight for a refund.
const (
	NoRefundCall      RefundCall = ""
	RefundListCall    RefundCall = "list"    // every refund of the order
	RefundRequestCall RefundCall = "request" // moves money
	RefundQueryCall   RefundCall = "query"   // by out_refund_no
)

// RefundCommandKind names what the engine does after it has committed a refund's step.
type RefundCommandKind string

// The commands.
const (
	SendRefundList  RefundCommandKind = "send_refund_list"
	SendRefund      RefundCommandKind = "send_refund"
	SendRefundQuery RefundCommandKind = "send_refund_query"
	WakeRefund      RefundCommandKind = "wake_refund" // send RefundWoken at RefundCommand.At
	AnnounceRefund  RefundCommandKind = "announce_refund"
)

// RefundCommand is one thing to do next. Sends carry the number of their call, which the answer's event repeats.
type RefundCommand struct {
	Kind RefundCommandKind
	Call int
	At   time.Time // WakeRefund
}
