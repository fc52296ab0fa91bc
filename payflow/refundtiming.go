package payflow

import "time"

// The numbers of a refund's flow. Each has its source; docs/wechat-pay.md holds the doubts.
const (
	// RefundGap is how far apart two refund requests of one order are ("at least one minute", refund API).
	RefundGap = time.Minute / Pace

	// RefundsMax is how many refunds one order takes ("up to 50 partial refunds", refund API).
	RefundsMax = 50

	// RefundWithin is how long a payment can be refunded ("within 1 year", refund API).
	RefundWithin = 365 * 24 * time.Hour / Pace

	// RefundRequestLife is how long after its end a request whose answer was lost may still be taken on without our seeing it: WeChat Pay
	// refuses one that was signed more than 5 minutes ago (API v3), clocks may differ by as much, and a host may lag behind another by as
	// much. API v2 names no bound; the same is taken.
	RefundRequestLife = 15 * time.Minute / Pace

	// refundSlowAfter is when a refund that was taken on and has not ended needs a person: a bank takes up to 5 working days.
	refundSlowAfter = 10 * 24 * time.Hour / Pace

	// refundUnsettledAfter is when a person looks at a refund of which it is not known whether it was taken on.
	refundUnsettledAfter = 15 * time.Minute / Pace

	// What one restart adds at most to the two waits above, by the PC's clock before and after it: a clock that was set wrongly tells nobody
	// too soon, and a till that is off at night still comes to its ten days.
	refundSlowAway      = 24 * time.Hour / Pace
	refundUnsettledAway = time.Minute / Pace

	// How much of them may be forgotten by a restart: so often they are journaled.
	refundSlowKept      = time.Hour / Pace
	refundUnsettledKept = time.Minute / Pace

	// refundUnseenAfter is when nobody waits for the answer any more: a refusal that comes later needs a person.
	refundUnseenAfter = time.Minute / Pace
)

// refundPollAfter is the pause before each query of a refund that was taken on; the last repeats ("wallet: within 20 minutes; bank:
// up to 5 working days": the first minutes matter to somebody who waits, the days do not).
var refundPollAfter = [...]time.Duration{5 * time.Second / Pace, 10 * time.Second / Pace, 20 * time.Second / Pace, 40 * time.Second / Pace, time.Minute / Pace, 2 * time.Minute / Pace, 5 * time.Minute / Pace,
	10 * time.Minute / Pace, 20 * time.Minute / Pace, 30 * time.Minute / Pace, time.Hour / Pace, 2 * time.Hour / Pace, 3 * time.Hour / Pace}

// refundAbnormalAfter is the pause before each query of a refund that a person must act on; the last repeats.
var refundAbnormalAfter = [...]time.Duration{10 * time.Minute / Pace, 20 * time.Minute / Pace, 30 * time.Minute / Pace, time.Hour / Pace, 2 * time.Hour / Pace, 3 * time.Hour / Pace}

// refundAskAfter is the pause after each query or list that was lost, or told nothing; the last repeats.
var refundAskAfter = [...]time.Duration{3 * time.Second / Pace, 6 * time.Second / Pace, 12 * time.Second / Pace, 24 * time.Second / Pace, 48 * time.Second / Pace, time.Minute / Pace, 2 * time.Minute / Pace,
	5 * time.Minute / Pace, 10 * time.Minute / Pace}

// refundAgainAfter is the pause between the end of a request and the same request again; the last repeats. None is below RefundGap.
var refundAgainAfter = [...]time.Duration{RefundGap, 2 * time.Minute / Pace, 4 * time.Minute / Pace, 8 * time.Minute / Pace, 15 * time.Minute / Pace}
