package queue

import (
	"time"

	"posagent/payflow"
)

// declinedOwing is a payment that was declined while its code lived.
func (b *book) declinedOwing(key, sale string) payflow.Entry {
	b.t.Helper()
	entry := b.scan(b.arm(key, sale), "134567890123450000")
	p := entry.Payment
	p.Status, p.Reason, p.Version = payflow.Declined, payflow.ReasonNotEnough, p.Version+1
	p.PayEndedAt, p.CallStartedAt, p.FinalAt = b.now, b.now, b.now.Add(time.Second)
	return b.commit(payflow.Event{Kind: payflow.QueryAnswered, At: b.now}, p)
}
