// Package payflow decides: it holds the payment's state machine as a pure function, and the words of the trade.
//
// [Step] takes a payment and an event and returns the payment after it, and commands. It reads no clock, does no
// I/O and draws no random number, so every way that a payment can go is walked exhaustively in the tests.
//
// # What the driver must do
//
//  1. Commit the payment that Step returned before carrying out any command, whenever [Durable] says so.
//  2. Carry out the commands in their order. A send makes one call; its end, answer or loss, comes back as one event
//     that carries the call's number.
//  3. Send Woken at (or after) a Wake command's time; Expired while the payment waits for a scan. A later Wake replaces an earlier one.
//  4. Give every event the present time, with this process's monotonic reading.
//  5. After a start, send Restarted to every open payment before anything else.
//  6. Send a payment code once, in the SendPay that carries it, and keep it nowhere.
//
// # The states
//
//	          CodeScanned           answer or loss of the pay call
//	Waiting ───────────────▶ Paying ───────────────────────────▶ Confirming ◀─┐ asks each 3 s
//	   │                       │ │                                │ │ │ │ └───┘
//	   │ cancel, no scan,      │ │ SUCCESS, ours                  │ │ │ │ due: 40 s from the start of the pay call,
//	   │ restart               │ └──────────────▶ Paid ◀──────────┘ │ │ │ or 15 s from its end where there is no hope
//	   ▼                       │ nothing left                       │ │ ▼
//	Cancelled                  └──▶ Declined ◀──────────────────────┘ │ Reversing ◀─┐ reverses, asks, with back-off
//	                                 refused, and a query agrees      │   │ └───────┘
//	                                                                  ▼   ▼
//	                                                                 Reversed    CLOSED, REVOKED or all refunded seen, or never arrived
//
// Attention ("a person must look") and set aside are flags on an open payment, not states. Attention is never taken away while a
// payment is open, but for the doubt whose order it is, which a tag that is ours settles; a newer cause may take the place of an older
// one, and what is known of refunds gives way only to what is known better. The end takes it away: what a person had to see to was that
// the payment ends, and by I4 the proof that ends it says that WeChat Pay holds nothing. A flag that stayed would be a false alarm.
//
// # Refunds as proof
//
// REFUND says that at least one refund was made, and no more. While Reversing, the sum of an order's refunds ([Trade].Refunds) decides:
//
//	all back        known, all of it done, none failed       Reversed
//	on its way      all of it done or accepted               attention refund_pending: I4 wants the money back, not promised
//	a part          adds up to less                          attention refund_part
//	one failed      closed, abnormal, or not known           attention refund_failed, whatever the others add up to
//	not known       not read, or a sum that cannot be        attention refund_seen, unless more was known before
//
// The sum is held against the total that WeChat Pay reports, which is the money that it took, even where we asked for another. None but
// all back ends; the order is asked about each minute, and not reversed meanwhile, not even when a query is lost. While Confirming, every
// REFUND leads to Reversing, and the next answer proves it; where a reverse comes too late (rule 13) all back is the end at once.
//
// Where a reverse comes too late, the payment is behind the one-way door, no reverse can be in flight any more (15 minutes after the last),
// and WeChat Pay itself says that it holds the money, with no refund that failed or is not known, Step asks for the rest of it to be given
// back (the command GiveBack). The engine makes one refund of that, under a number derived from the payment's, however often it is asked.
// The payment is Reversed when the refunds add up, as above, and not before.
//
// Once an answer has shown the money taken, "no such order" contradicts it and ends nothing (attention order_vanished).
//
// # After the end
//
// A final payment never changes. What it still owes, and what is learnt later, stands beside it as a [Late], a machine of the same form:
// [BeginLate] says what an end still owes, [LateStep] takes events and returns commands, and [LateDurable] says what must be on disk first.
//
// # Refunds
//
// [RefundStep] is a second, smaller machine of the same form, with the same duties of its driver: [NewRefund] makes a wish, which is on
// disk before its first call.
//
//		          list: room?   request   accepted, or found by its number
//		requested ───────────▶ ········ ─────────────────────────────────▶ processing ◀─┐ asks, with back-off
//		   │  ▲                    │                                          │  │ │ └───┘
//		   │  └── query: no such refund, a minute later ◀── lost, or "later"  │  │ └──▶ refunded   SUCCESS
//		   │                       │                                          │  ▼
//		   ▼ no room               ▼ refused, and a query agrees              │ abnormal          a person acts; asked about on
//		refused ◀──────────────────┘◀─────────────────────────────────────────┘ CLOSED            a person looks; no new number
//
//	  - One wish has one out_refund_no ([NewOutRefundNo]), and every request repeats it with the same parameters. A new number is a second refund.
//	  - Every request follows a list of the order's refunds, whoever made them, with room for this one; every repeat follows a query by
//	    number that found nothing. Two requests of one order are a minute apart.
//	  - Accepted is not given back. Lost, unverified and unlisted are not known: asked, then the same request again.
//	  - A refusal ends nothing while a request whose answer was lost may still be taken on (RefundRequestLife), and nothing without a query.
//	  - A notification makes us ask. It decides nothing.
//	  - Attention stays on a final refund until a person has seen it (RefundSeen): money may be owed though nothing more will happen.
//
// # Invariants
//
// As far as they are decisions, these hold in every reachable state; the walk in walk_test.go checks them.
//
//	I2  a payment code goes out in at most one pay call
//	I3  no reverse sooner than 15 s after the end of the last pay attempt that may have left
//	I4  Paid only on a verified SUCCESS that is ours; Declined and Reversed never while WeChat Pay holds the money for the order, now or later
//	    (a refund that is accepted is money that it still holds)
//	I5  a final status never changes
//	I6  a payment that is not final has a call in flight or a wake time
//	I13 once Reversing, never Paid
//	I14 only a verified answer to this very order decides (rule 9 names the one exception)
//
// The answer table stands in answers.go, the numbers in timing.go.
package payflow
