package payflow

// Reason is a stable code that says why a payment stands where it does. The words for it are in till/words.
type Reason string

// Why a payment is where it is.
const (
	ReasonWaiting      Reason = "waiting_for_code"
	ReasonSending      Reason = "sending"
	ReasonPassword     Reason = "customer_enters_password"
	ReasonUnknown      Reason = "result_unknown"
	ReasonChecking     Reason = "refused_checking" // an unsigned refusal: asking before it is believed
	ReasonPaid         Reason = "paid"
	ReasonNoNetwork    Reason = "no_network" // nothing was sent, nothing was charged
	ReasonCashier      Reason = "cancelled_by_cashier"
	ReasonScanTimeout  Reason = "no_scan"
	ReasonRestart      Reason = "restart"
	ReasonTakingBack   Reason = "taking_back"
	ReasonNeverArrived Reason = "never_arrived"     // WeChat Pay never had the order
	ReasonClosed       Reason = "closed_unpaid"     // revoked or closed; seen unpaid before, and no sign that money was taken
	ReasonRevoked      Reason = "revoked"           // revoked when it was first seen: whether money had been taken is not known
	ReasonRefunded     Reason = "reversed_refunded" // money had been taken, and goes back
)

// Why WeChat Pay refused a payment.
const (
	ReasonCodeExpired   Reason = "code_expired"
	ReasonCodeUsed      Reason = "code_used"
	ReasonCodeInvalid   Reason = "code_invalid"
	ReasonNotEnough     Reason = "not_enough_money"
	ReasonCard          Reason = "card_not_supported"
	ReasonLimit         Reason = "limit_reached"
	ReasonAccount       Reason = "account_problem"
	ReasonBusy          Reason = "busy_scan_again"
	ReasonRefused       Reason = "refused"       // refused for a reason that only WeChat Pay's own words tell
	ReasonConfiguration Reason = "configuration" // refused because of this till's set-up
	ReasonNumberInUse   Reason = "number_in_use"
)

// Why a call's outcome is not known.
const (
	ReasonTimeout    Reason = "timeout"
	ReasonLink       Reason = "link_broken"
	ReasonServer     Reason = "server_error"
	ReasonUnverified Reason = "answer_unverified"
	ReasonClock      Reason = "clock_wrong"
)

// Why a person must look.
const (
	AttentionMismatch       Reason = "amount_mismatch"
	AttentionAnotherTill    Reason = "another_tills_order"
	AttentionUnclaimed      Reason = "order_not_provably_ours"
	AttentionReverseRefused Reason = "reverse_refused"
	AttentionReverseTooLate Reason = "reverse_too_late"
	AttentionRefundSeen     Reason = "refund_seen"        // how much went back is not known
	AttentionRefundPending  Reason = "refund_pending"     // all of it goes back, and some is still on its way
	AttentionRefundPart     Reason = "refund_part"        // the refunds add up to less than was paid
	AttentionRefundFailed   Reason = "refund_failed"      // one is closed, abnormal, or of a state that is not known
	AttentionVanished       Reason = "order_vanished"     // its money was seen, and now there is no such order
	AttentionLateSuccess    Reason = "paid_after_the_end" // found in reconciliation after a final status
	AttentionLateUnanswered Reason = "late_unanswered"    // asked again after its end, and no answer is certain
	AttentionLateRefund     Reason = "late_refund_waits"  // money that turned up late is still not back, though its refund is on its way
	AttentionBackTwice      Reason = "paid_back_twice"    // by hand, as a person recorded, and at WeChat Pay
)

// Reasons returns every reason, each of which has words in every language.
func Reasons() []Reason {
	return []Reason{
		ReasonWaiting, ReasonSending, ReasonPassword, ReasonUnknown, ReasonChecking, ReasonPaid, ReasonNoNetwork, ReasonCashier,
		ReasonScanTimeout, ReasonRestart, ReasonTakingBack, ReasonNeverArrived, ReasonClosed, ReasonRevoked, ReasonRefunded,
		ReasonCodeExpired, ReasonCodeUsed, ReasonCodeInvalid, ReasonNotEnough, ReasonCard, ReasonLimit, ReasonAccount, ReasonBusy,
		ReasonRefused, ReasonConfiguration, ReasonNumberInUse,
		ReasonTimeout, ReasonLink, ReasonServer, ReasonUnverified, ReasonClock,
		AttentionMismatch, AttentionAnotherTill, AttentionUnclaimed, AttentionReverseRefused, AttentionReverseTooLate,
		AttentionRefundSeen, AttentionRefundPending, AttentionRefundPart, AttentionRefundFailed, AttentionVanished,
		AttentionLateSuccess, AttentionLateUnanswered, AttentionLateRefund, AttentionBackTwice,
	}
}

// refund reports a reason for looking that speaks of refunds.
func (r Reason) refund() bool {
	switch r {
	case AttentionRefundSeen, AttentionRefundPending, AttentionRefundPart, AttentionRefundFailed:
		return true
	}
	return false
}
