package payflow

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
)

// Refund is one wish to give money back, and where it stands. It is a value; only RefundStep changes it. What it asks for never
// changes: every call repeats the same out_refund_no with the same parameters, because a new number is a second refund.
type Refund struct {
	RefundOrder

	Wish     RefundWish `json:"wish"`
	Operator string     `json:"operator,omitempty"` // who asked; empty where posagent itself must give money back

	Status  RefundStatus `json:"status"`
	Version uint64       `json:"version"` // counts every change that a till can see
	// Why says why the refund stands where it does, and where it is refused, why: a stable code, one of RefundReasons.
	Why Reason `json:"why"`
	// Refusal is WeChat Pay's refusal, if there was one, with its code and its own words.
	Refusal Refusal `json:"refusal,omitzero"`
	// Attention says why a person must look; empty while nobody needs to. A final refund keeps it until a person has seen it.
	Attention Reason `json:"attention,omitempty"`
	// Report is what WeChat Pay last said of the refund.
	Report RefundReport `json:"report,omitzero"`

	RequestedAt time.Time `json:"requested_at"`         // never rebased: for people
	AcceptedAt  time.Time `json:"accepted_at,omitzero"` // when we first knew that WeChat Pay has taken it on
	FinalAt     time.Time `json:"final_at,omitzero"`
	Seen        SetAside  `json:"seen,omitzero"` // who has seen what needed a person, and what was done

	// What follows is counted and timed for the flow. Times here count anew after a restart.

	Call          RefundCall `json:"call,omitempty"`  // in flight
	Calls         int        `json:"calls,omitempty"` // made so far; the number of the one in flight
	CallStartedAt time.Time  `json:"call_started_at,omitzero"`
	WakeAt        time.Time  `json:"wake_at,omitzero"` // information only once read from disk
	// MayArrive says that a request was sent whose end is not known: it may still be taken on, until RefundRequestLife after LostAt.
	MayArrive     bool      `json:"may_arrive,omitempty"`
	LostAt        time.Time `json:"lost_at,omitzero"`         // end of the last such request
	NextRequestAt time.Time `json:"next_request_at,omitzero"` // the same request is not made again before
	Requests      int       `json:"requests,omitempty"`
	Queries       int       `json:"queries,omitempty"`
	Patience      int       `json:"patience,omitempty"` // questions since something changed; the pauses grow with it
	// Waited and WaitedFrom are how long it has stood at its status: what the journal has of that, and since when this process counts on.
	Waited     time.Duration `json:"waited,omitempty"`
	WaitedFrom time.Time     `json:"waited_from,omitzero"`
	Restarts   int           `json:"restarts,omitempty"`
}

// RefundWish is why a refund exists. One wish has one out_refund_no, for ever.
type RefundWish string

// The wishes.
const (
	WishPerson         RefundWish = "person"           // a person asked for it
	WishLateSuccess    RefundWish = "late_success"     // paid after our payment was final
	WishReverseTooLate RefundWish = "reverse_too_late" // rule 13: taken back, but no reverse is possible any more
)

// Automatic reports a wish that no person is waiting for.
func (w RefundWish) Automatic() bool { return w != WishPerson }

// Final reports a status that never changes again. Abnormal is none: a person may still send the money to another account.
func (s RefundStatus) Final() bool { return s == RefundDone || s == RefundRefused }

// RefundStatuses returns every status, in the order of a refund's life.
func RefundStatuses() []RefundStatus {
	return []RefundStatus{RefundRequested, RefundProcessing, RefundAbnormal, RefundDone, RefundRefused}
}

// Open reports that the refund is not final.
func (r Refund) Open() bool { return !r.Status.Final() }

// Dead reports that the refund gives no money back, now or later. Every other one counts in the sum, a requested one too.
func (r Refund) Dead() bool { return r.Status == RefundRefused }

// RefundNoMax is the longest out_refund_no that WeChat Pay takes, in characters (refund API).
const RefundNoMax = 64

// refundNoDigits are the characters behind the order number in a person's refund: 80 bits of SHA-256.
const refundNoDigits = 16

// NewOutRefundNo derives a refund's number from the payment's and the wish, so that the same wish has the same number, also where the
// journal was lost in between: a person's wish is told from others of the same payment by its idempotency key, every other is one of its kind.
func NewOutRefundNo(no OutTradeNo, wish RefundWish, key string) OutRefundNo {
	switch wish {
	case WishLateSuccess:
		return OutRefundNo(no) + "-LATE"
	case WishReverseTooLate:
		return OutRefundNo(no) + "-BACK"
	}
	sum := sha256.Sum256([]byte(string(no) + "\x00" + key))
	return OutRefundNo(no) + "-" + OutRefundNo(base32.StdEncoding.EncodeToString(sum[:])[:refundNoDigits])
}

// Of reports a number that NewOutRefundNo made for that payment.
func (n OutRefundNo) Of(no OutTradeNo) bool { return strings.HasPrefix(string(n), string(no)+"-") }
