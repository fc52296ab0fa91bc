package payflow

import "time"

// MayHaveLeft is a payment that waits for its scan, in a journal whose newest entries are gone: the scan, and the pay call after it, may be
// among them. It is told nothing of a code, and it is asked about as one that a restart found being paid (rule 11): called cancelled and never
// sent, the customer's money could be held for it and nobody know (I4). at is when that was noticed. Any other payment is returned as it is.
func MayHaveLeft(p Payment, at time.Time) Payment {
	if p.Status != Waiting {
		return p
	}
	p.Status, p.Reason, p.CodeSpent = Paying, ReasonSending, true
	p.FirstPayAt, p.WakeAt = at, time.Time{}
	p.Version++
	return p
}
