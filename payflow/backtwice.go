package payflow

// The kinds of Link about money that went back twice: once by hand, once by WeChat Pay.
const (
	LinkBackByHand    = "given_back_by_hand"        // a person's word that was on record when the money turned up late; Ref: the operator
	LinkBackTwice     = "suspected_paid_back_twice" // both are on record now; Ref: the operator who gave it back by hand
	LinkBackTwiceSeen = "paid_back_twice_seen"      // a person saw to it; Ref: the operator
)

// LooksBackTwice reports a payment that was not paid, of which a person has recorded that the customer has the money back by another way, and whose
// money went back at WeChat Pay too: by a reverse or a refund that this till makes by itself, whatever is on record. It is false once the two are tied.
func (e Entry) LooksBackTwice() bool {
	if e.Open() || e.Status == Paid || e.MoneyTaken() != MoneyGoesBack || e.tied(LinkBackTwice) {
		return false
	}
	return e.GivenBack() || e.tied(LinkBackByHand)
}

// BackTwice reports a suspected double repayment that no person has seen to yet.
func (e Entry) BackTwice() bool { return e.tied(LinkBackTwice) && !e.tied(LinkBackTwiceSeen) }

// ByHand is the person who recorded that the customer has the money back by another way; "" where nobody did, or left no name.
func (e Entry) ByHand() string {
	for _, l := range e.Links {
		if l.Kind == LinkBackByHand {
			return l.Ref
		}
	}
	if e.GivenBack() {
		return e.Acknowledged.Operator
	}
	return ""
}

func (e Entry) tied(kind string) bool {
	for _, l := range e.Links {
		if l.Kind == kind {
			return true
		}
	}
	return false
}
