package payflow

import "time"

// The numbers of a refund's flow. Each has its source; docs/wechat-pay.md holds the doubts.
const (
	// RefundGap is how far apart two refund requests of one order are ("at least one minute", refund API).
	RefundGap = time.Minute

	// RefundsMax is how many refunds one order takes ("up to 50 partial refunds", refund API).
	RefundsMax = 50

	// RefundWithin is how long a payment can be refunded ("within 1 year", refund API).
	RefundWithin = 365 * 24 * time.Hour

	// RefundRequestLife is how long after its end a request whose answer was lost may still be taken on without our seeing it: WeChat Pay
	// refuses one that was signed more than 5 minutes ago (API v3), clocks may differ by as much, and a host may lag behind another by as
	// much. API v2 names no bound; the same is taken.
	RefundRequestLife = 15 * time.Minute

	// refundSlowAfter is when a refund that was taken on and has not ended needs a person: a bank takes up to 5 working days.
	refundSlowAfter = 10 * 24 * time.Hour

	// refundUnsettledAfter is when a person looks at a refund of which it is not known whether it was taken on.
	refundUnsettledAfter = 15 * time.Minute

	// refundUnseenAfter is when nobody waits for the answer any more: a refusal that comes later needs a person.
	refundUnseenAfter = time.Minute
)

// refundPollAfter is the pause before each query of a refund that was taken on; the last repeats ("wallet: within 20 minutes; bank:
// up to 5 working days": the first minutes matter to somebody who waits, the days do not).
var refundPollAfter = [...]time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour}

// refundAbnormalAfter is the pause before each query of a refund that a person must act on; the last repeats.
var refundAbnormalAfter = [...]time.Duration{10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour}

// refundAskAfter is the pause after each query or list that was lost, or told nothing; the last repeats.
var refundAskAfter = [...]time.Duration{3 * time.Second, 6 * time.Second, 12 * time.Second, 24 * time.Second, 48 * time.Second, time.Minute, 2 * time.Minute,
	5 * time.Minute, 10 * time.Minute}

// refundAgainAfter is the pause between the end of a request and the same request again; the last repeats. None is below RefundGap.
var refundAgainAfter = [...]time.Duration{RefundGap, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute}
