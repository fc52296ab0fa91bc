package wxsim

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"
)

const settlementPageMax = 100 // rows on a page; the page gives no limit, its sample has 20

var settleState = regexp.MustCompile(`^(SETTLED|UNSETTLE)$`)

// payout is what WeChat Pay pays out, or will, for the trade of one day in one currency.
type payout struct {
	day      string // of the trade, YYYYMMDD in GMT+8
	currency string
	pay      int64 // minor units
	refund   int64
	fee      int64  // thousandths of a minor unit
	settled  string // the day of the payout, YYYYMMDD; "": not yet
}

// settlements tells what was paid out to the merchant, or will be (Global v3, settlement query). A day's trade is paid out on the
// next day, whatever its sum: the documents' minimum of 800 US dollars is not played. The caller holds s.mu.
func (s *Sim) settlements(v *visit) reply {
	rules := map[string]rule{"settle_state": must(like(texts(8), settleState)), "offset": must(like(texts(9), smallNumber)),
		"limit": must(like(texts(9), smallNumber)), "settle_start_date": like(texts(8), day), "settle_end_date": like(texts(8), day)}
	if v.account.Mode == Institution {
		rules["sub_mchid"] = texts(32)
	}
	if no := checkParameters(v, rules); no != nil {
		return *no
	}
	given := v.request.URL.Query()
	if no := v.account.checkIDs(v.account.MerchantID, orElse(given.Get("sub_mchid"), v.account.SubMerchantID)); no != nil {
		return *no
	}
	offset, limit := numberOr(given.Get("offset"), 0), numberOr(given.Get("limit"), 0)
	from, to := given.Get("settle_start_date"), given.Get("settle_end_date")
	switch {
	case limit < 1 || limit > settlementPageMax:
		return *inQuery(wrong("/limit", fmt.Sprintf("it may be 1 to %d", settlementPageMax), errnoParam))
	case (from == "") != (to == "") || from > to:
		return *inQuery(wrong("/settle_end_date", "both dates are wanted, the earlier one first, or none", errnoParam))
	}
	found := slices.DeleteFunc(s.payouts(v.account), func(p payout) bool { return !p.asked(given.Get("settle_state"), from, to) })
	page := []map[string]any{}
	for i := offset; i < min(offset+limit, len(found)); i++ {
		page = append(page, found[i].view())
	}
	r := good(map[string]any{"data": page, "total_count": len(found), "offset": offset, "limit": limit})
	r.order = v.key
	return r
}

func (p payout) asked(state, from, to string) bool {
	if state == "UNSETTLE" {
		return p.settled == ""
	}
	return p.settled != "" && (from == "" || p.settled >= from && p.settled <= to)
}

// payouts adds the merchant's trade up by day and currency, oldest first.
func (s *Sim) payouts(a *account) []payout {
	byDay := map[[2]string]*payout{}
	for _, r := range s.rowsOf(a, time.Now()) {
		if !r.moves() {
			continue
		}
		key := [2]string{r.day(), r.order.currency}
		if byDay[key] == nil {
			byDay[key] = &payout{day: key[0], currency: key[1], settled: s.settledOn(r.at)}
		}
		byDay[key].add(r)
	}
	var all []payout
	for _, p := range byDay {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(x, y payout) int { return cmp.Or(cmp.Compare(x.day, y.day), cmp.Compare(x.currency, y.currency)) })
	return all
}

func (p *payout) add(r statementRow) {
	p.fee += r.fee()
	if r.givesBack() {
		p.refund += r.amount
	} else {
		p.pay += r.amount
	}
}

// settledOn is the day on which trade of a moment was paid out, "" where it was not yet.
func (s *Sim) settledOn(at time.Time) string {
	now, next := chinaTime(s.clockNow()), chinaTime(at).AddDate(0, 0, 1)
	switch {
	case s.behaviour.StatementsAtOnce:
		return chinaTime(at).Format(dayForm)
	case now.Format(dayForm) < next.Format(dayForm):
		return ""
	}
	return next.Format(dayForm)
}

// view is a row of the answer, in minor units; the fee is rounded up.
func (p payout) view() map[string]any {
	fee := -floorDiv(-p.fee, 1000)
	net := p.pay - p.refund
	amount := map[string]any{"currency": p.currency, "pay": p.pay, "refund": p.refund, "net": net, "fee": fee, "settled": int64(0), "unsettle": net - fee}
	view := map[string]any{"trade_start_date": p.day, "trade_end_date": p.day, "wallet_region": "CHINA_MAINLAND", "amount": amount}
	if p.settled != "" {
		amount["settled"], amount["unsettle"] = net-fee, int64(0)
		view["settlement_date"], view["batch_id"] = p.settled, p.settled+"001"
	}
	return view
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && a < 0 {
		q--
	}
	return q
}
