package payflow

import "time"

// DuplicateWithin is how near in time two payments of one payer and one amount on one till are suspected to be one payment made twice.
const DuplicateWithin = 10 * time.Minute / Pace

// SuspectedDuplicate is two payments that look like one made twice. Nothing is given back by itself: a customer may buy the same thing
// twice, and a manager decides.
type SuspectedDuplicate struct {
	First  Entry `json:"first"`
	Second Entry `json:"second"` // paid later
}

// LooksTwice reports that two payments were paid by the same payer, with the same amount, on the same till, within DuplicateWithin of each
// other by the store's clock. Where WeChat Pay named no payer nothing is suspected.
func LooksTwice(a, b Payment) bool {
	switch {
	case a.OutTradeNo == b.OutTradeNo || a.Status != Paid || b.Status != Paid:
		return false
	case a.Trade.PayerHash == "" || a.Trade.PayerHash != b.Trade.PayerHash:
		return false
	case a.Amount != b.Amount || a.Store.ID != b.Store.ID || a.Store.Till != b.Store.Till:
		return false
	}
	return a.FinalAt.Sub(b.FinalAt).Abs() <= DuplicateWithin
}

// LinkTwice returns the kind of the link between two payments that look like one made twice: the later may have been asked for as
// one more tender of the same sale.
func LinkTwice(first, second Payment) string {
	if second.AdditionalTender && second.SaleRef == first.SaleRef {
		return LinkAnotherTender
	}
	return LinkDuplicate
}
