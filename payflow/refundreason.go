package payflow

// Why a refund is where it is.
const (
	ReasonRefundAsking     Reason = "refund_asking"     // being asked for
	ReasonRefundBusy       Reason = "refund_busy"       // WeChat Pay wants the same refund later
	ReasonRefundUnknown    Reason = "refund_unknown"    // whether it was taken on is not known; it is asked about
	ReasonRefundChecking   Reason = "refund_checking"   // refused, and that is being checked
	ReasonRefundProcessing Reason = "refund_processing" // taken on; the money is on its way
	ReasonRefundDone       Reason = "refund_done"
)

// Why a refund is refused.
const (
	ReasonRefundDeclined      Reason = "refund_declined"      // for a reason that only WeChat Pay's own words tell
	ReasonRefundNoFunds       Reason = "refund_no_funds"      // the merchant's unsettled money is too little
	ReasonRefundAccount       Reason = "refund_account_gone"  // the customer has no such account any more
	ReasonRefundOverdue       Reason = "refund_overdue"       // paid more than a year ago
	ReasonRefundConfiguration Reason = "refund_configuration" // because of this till's set-up
	ReasonRefundExceeds       Reason = "refund_exceeds"       // the order's other refunds leave too little
	ReasonRefundTooMany       Reason = "refund_too_many"      // WeChat Pay takes 50 for an order
	ReasonRefundOthersFailed  Reason = "refund_others_failed" // one of the order's refunds failed: a person decides, not posagent
	ReasonRefundNumberInUse   Reason = "refund_number_in_use" // the number is that of a refund of another amount
	ReasonRefundForgotten     Reason = "refund_forgotten"     // the order has a refund that this till made and its journal lost: a person looks before anything more goes back
	ReasonRefundClosed        Reason = "refund_closed"        // taken on, then given up by WeChat Pay: the merchant holds the money
)

// Why a person must look at a refund.
const (
	AttentionRefundRefused   Reason = "refund_refused"   // refused, and nobody was waiting for the answer
	AttentionRefundClosed    Reason = "refund_gave_up"   // closed by WeChat Pay after it was taken on
	AttentionRefundAbnormal  Reason = "refund_abnormal"  // the customer's account cannot take it: a person acts on the merchant platform
	AttentionRefundSlow      Reason = "refund_slow"      // taken on, and not at its end after ten days
	AttentionRefundUnsettled Reason = "refund_unsettled" // for a long time it is not known whether it was taken on
	AttentionRefundVanished  Reason = "refund_vanished"  // taken on, and now WeChat Pay does not know it
)

// RefundReasons returns every reason of a refund, each of which has words in every language.
func RefundReasons() []Reason {
	return []Reason{
		ReasonRefundAsking, ReasonRefundBusy, ReasonRefundUnknown, ReasonRefundChecking, ReasonRefundProcessing, ReasonRefundDone,
		ReasonRefundDeclined, ReasonRefundNoFunds, ReasonRefundAccount, ReasonRefundOverdue, ReasonRefundConfiguration, ReasonRefundExceeds,
		ReasonRefundTooMany, ReasonRefundOthersFailed, ReasonRefundNumberInUse, ReasonRefundForgotten, ReasonRefundClosed,
		AttentionRefundRefused, AttentionRefundClosed, AttentionRefundAbnormal, AttentionRefundSlow, AttentionRefundUnsettled, AttentionRefundVanished,
	}
}

// refusalReason says what a refusal's code means to a person. A code that is not in it is told by WeChat Pay's own words.
func refusalReason(code string) Reason {
	switch code {
	case "NOTENOUGH":
		return ReasonRefundNoFunds
	case "USERACCOUNTABNORMAL":
		return ReasonRefundAccount
	case "TRADEOVERDUE":
		return ReasonRefundOverdue
	case "SIGNERROR", "NOAUTH", "MCHNOTEXISTS", "APPIDMCHIDNOTMATCH", "PARAMERROR":
		return ReasonRefundConfiguration
	}
	return ReasonRefundDeclined
}
