package v2

import "posagent/payflow"

// refundCodes is what each listed code means in the answer to a refund, by its normal spelling. SYSTEMERROR and BIZERRNEEDRETRY are
// left out on purpose: the same refund is asked for again, but it may have been taken on. Source: API v2 refund error table.
var refundCodes = map[string]payflow.RefundOutcomeKind{
	"NOTENOUGH":            payflow.RefundDeclined, // the merchant's unsettled money is too little
	"USERACCOUNTABNORMAL":  payflow.RefundDeclined, // the customer has no such account any more
	"TRADEOVERDUE":         payflow.RefundDeclined, // paid more than a year ago
	"ERROR":                payflow.RefundDeclined, // only its text tells
	"INVALIDTRANSACTIONID": payflow.RefundDeclined,
	"ORDERNOTEXIST":        payflow.RefundDeclined,
	"PARAMERROR":           payflow.RefundDeclined,
	"SIGNERROR":            payflow.RefundDeclined,
	"NOAUTH":               payflow.RefundDeclined,

	"INVALIDREQTOOMUCH": payflow.RefundLater, // two refunds of one order are a minute apart
	"FREQUENCYLIMITED":  payflow.RefundLater,
}

func refundMeaning(code string) (payflow.RefundOutcomeKind, bool) {
	kind, listed := refundCodes[code]
	return kind, listed
}

// saysNoRefund reports the code that says, in the answer to a refund query, that there is no such refund (so far).
func saysNoRefund(code string) bool { return code == "REFUNDNOTEXIST" }
