package queue

import (
	"slices"
	"strings"
	"time"

	"posagent/payflow"
)

// recover is what happens after a power cut, a kill or a plain restart (rule 11). Each payment that the journal holds
// open is told so: one that waited for a scan is cancelled, every other is asked for at once, and nothing is decided
// before its answer. Wake times on disk are information only: every wait counts anew from here.
func (e *Engine) recover() {
	for _, l := range e.inOrder() {
		if e.apply(l, payflow.Event{Kind: payflow.Restarted, Age: e.age(l.entry)}) != nil {
			return
		}
	}
	if e.recoverTies() != nil || e.recoverLate() != nil {
		return
	}
	e.keepWarm()
}

const (
	// versionsBase is above every version that an earlier program showed: those went on from the time in milliseconds, until the year 2109.
	versionsBase = 1 << 42
	// versionsOfAStart is more than the changes of one payment in one start. Versions stay below 2^53 for a thousand million starts.
	versionsOfAStart = 1 << 20
)

// versionFrom is the version that an open payment goes on with after a start. A till may have seen versions that the journal
// lacks, because not every change is worth a record; one that waits for another than the one it saw must not meet that one again.
// So the count goes on from the number of the start, which is above every version of an earlier start, whatever the PC's clock says.
func versionFrom(journaled, start uint64) uint64 {
	return max(journaled+1, versionsBase+start*versionsOfAStart)
}

// inOrder returns the open payments by number, so that a start does the same things in the same order.
func (e *Engine) inOrder() []*live {
	all := make([]*live, 0, len(e.open))
	for _, l := range e.open {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *live) int {
		return strings.Compare(string(a.entry.OutTradeNo), string(b.entry.OutTradeNo))
	})
	return all
}

// age is how long ago the payment was scanned, by the corrected clock then and now; zero while either is not known (rule 13). The PC's own
// time of the scan is no measure: a clock that was set between the two would make a payment of a minute ago too old for a reverse.
func (e *Engine) age(entry payflow.Entry) time.Duration {
	now := e.correctedClock()
	if now.IsZero() || entry.TrueScanAt.IsZero() {
		return 0
	}
	return now.Sub(entry.TrueScanAt)
}

// correctedClock returns the corrected time, or zero while it is not known. It has no monotonic reading: it is for the journal.
func (e *Engine) correctedClock() time.Time {
	if e.cfg.Clock == nil {
		return time.Time{}
	}
	now, known := e.cfg.Clock()
	if !known {
		return time.Time{}
	}
	return now.Round(0).UTC()
}

// recovering reports that a payment from before the start has not been asked for yet, nor been set aside.
func (e *Engine) recovering() bool {
	for no := range e.unasked {
		if l, ok := e.open[no]; ok && l.entry.HoldsTill() {
			return true
		}
	}
	return false
}
