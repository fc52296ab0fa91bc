package payflow

import (
	"fmt"
	"time"
)

// The numbers of the flow. Each has its source; docs/wechat-pay.md holds the doubts.
const (
	// ReverseGuard is how long after the end of the last pay attempt that may have left a reverse must wait
	// ("after minimum 15 seconds", Quick Pay, reverse order).
	ReverseGuard = 15 * time.Second

	// CodeLife is how long a payment code can be accepted after it was scanned (it refreshes each minute).
	CodeLife = 60 * time.Second

	// deadMargin is added to the code's life before "no such order" is believed.
	deadMargin = 15 * time.Second

	// DeadAfter counts from the end of the last pay attempt that may have left: then its code is dead and the
	// order can no longer be made (T_dead).
	DeadAfter = CodeLife + deadMargin

	// ReverseLifetime is how long an order can be reversed ("within 7 days").
	ReverseLifetime = 7 * 24 * time.Hour

	// reverseLate is how long after the last reverse, and its pause, one whose answer was lost may still be carried out; as for a refund.
	reverseLate = RefundRequestLife

	// queryAfterReverse is when a reverse that was answered is asked about.
	queryAfterReverse = 3 * time.Second

	// absenceGap is how far apart the two answers "no such order" of rule 9 must be.
	absenceGap = 3 * time.Second

	// queryEveryMax bounds the doubling of the pause between queries.
	queryEveryMax = 24 * time.Second

	// idleQueryEvery is the pause between queries of a payment that only a person can end.
	idleQueryEvery = 60 * time.Second

	// refusalsBeforeAttention is how many refused reverses make a person look.
	refusalsBeforeAttention = 5
)

// reverseBackOff is the pause after each reverse before the next; the last repeats. Each is spread by ±20 %.
var reverseBackOff = [...]time.Duration{3 * time.Second, 6 * time.Second, 12 * time.Second, 24 * time.Second, 48 * time.Second, 60 * time.Second}

// Timing holds the settings of the flow that an installer may change.
type Timing struct {
	QueryEvery   time.Duration // pause between queries; 3 s or more
	ReverseAfter time.Duration // from the start of the first pay attempt to the decision to reverse; 15 s to 44 s
	ScanWithin   time.Duration // an armed payment with no scan is cancelled after it; 5 s to 10 min
}

// DefaultTiming asks each 3 s, reverses at 40 s (WeChat Pay itself revokes at 45 s) and waits 90 s for a scan.
func DefaultTiming() Timing {
	return Timing{QueryEvery: 3 * time.Second, ReverseAfter: 40 * time.Second, ScanWithin: 90 * time.Second}
}

// Check returns what is out of bounds, and by how much.
func (t Timing) Check() error {
	switch {
	case t.QueryEvery < 3*time.Second || t.QueryEvery > 10*time.Second:
		return fmt.Errorf("query_every %s must be 3s to 10s", t.QueryEvery)
	case t.ReverseAfter < 15*time.Second || t.ReverseAfter > 44*time.Second:
		return fmt.Errorf("reverse_after %s must be 15s to 44s", t.ReverseAfter)
	case t.ScanWithin < 5*time.Second || t.ScanWithin > 10*time.Minute:
		return fmt.Errorf("scan_within %s must be 5s to 10m", t.ScanWithin)
	}
	return nil
}
