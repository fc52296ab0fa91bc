package payflow

// MoneyTaken says what is known of whether the customer's money was taken for a payment.
type MoneyTaken string

// What is known. What cannot be known is said as such: an order that was revoked when it was first seen may have been paid before, and no
// answer of WeChat Pay's need say so.
const (
	MoneyUndecided MoneyTaken = ""           // the payment is open
	MoneyKept      MoneyTaken = "taken"      // paid
	MoneyNotTaken  MoneyTaken = "not_taken"  // nothing was sent, or never arrived, or there is no sign that money was taken
	MoneyGoesBack  MoneyTaken = "goes_back"  // it was taken, and WeChat Pay says that it goes back
	MoneyNotKnown  MoneyTaken = "not_known"  // if it was taken, it goes back
	MoneyHeldLate  MoneyTaken = "held_after" // taken after the end, and not back yet
)

// MoneyTaken returns what is known of the money at the payment's end.
func (p Payment) MoneyTaken() MoneyTaken {
	switch {
	case p.Open():
		return MoneyUndecided
	case p.Status == Paid:
		return MoneyKept
	case p.MoneySeen:
		return MoneyGoesBack
	case p.Trade.State == TradeRevoked && !p.UnpaidSeen && p.CodeSpent:
		return MoneyNotKnown
	}
	return MoneyNotTaken
}

// MoneyTaken returns what is known of the money now: as at the payment's end, and what was learnt since.
func (e Entry) MoneyTaken() MoneyTaken {
	switch {
	case e.Late.Stage == LateGivenBack:
		return MoneyGoesBack
	case e.Late.MoneySeen && !e.Late.Stage.Over():
		return MoneyHeldLate
	}
	return e.Payment.MoneyTaken()
}

// hadBeenPaid reports an order of ours whose time of payment WeChat Pay tells, whatever became of it: an unpaid one has none (query order).
func hadBeenPaid(p Payment, t Trade) bool {
	owner := whose(p, t)
	return !t.SuccessTime.IsZero() && (owner == ours || owner == unsaid && !p.collided())
}

// reversedReason tells an order whose money goes back from one that took none, and from one of which that is not known.
func reversedReason(p Payment) Reason {
	switch {
	case p.MoneySeen:
		return ReasonRefunded
	case p.Trade.State == TradeRevoked && !p.UnpaidSeen:
		return ReasonRevoked
	}
	return ReasonClosed
}
