package till

import (
	"fmt"
	"time"

	"posagent/health"
	"posagent/payflow"
)

// managePage is what the manager's page holds by itself (manager.js).
type managePage struct {
	Tab      string                 `json:"tab"`
	Page     int                    `json:"page"`
	Open     string                 `json:"open"`
	Concern  *manageRow             `json:"concern"`
	Payment  *Payment               `json:"payment"`
	Asking   string                 `json:"asking"`
	Operator string                 `json:"operator"`
	PINLike  bool                   `json:"pinLike"` // what was typed may be a PIN, and was dropped
	Refund   *manageRefund          `json:"refund"`
	Lists    map[string][]manageRow `json:"lists"`
}

// manageRow is one line of a list.
type manageRow struct {
	Payment Payment       `json:"payment"`
	Twin    *Payment      `json:"twin"`
	Refund  *Refund       `json:"refund"`
	Message *health.Words `json:"message"`
	Next    *health.Words `json:"next"`
}

// manageRefund is a refund that is being typed.
type manageRefund struct {
	Step     string `json:"step"`
	Amount   string `json:"amount"`
	Fresh    bool   `json:"fresh"` // nothing was typed yet: all that is left
	Why      string `json:"why"`
	Operator string `json:"operator"`
	PINLike  bool   `json:"pinLike"`
	Sending  bool   `json:"sending"`
	Problem  string `json:"problem"`
}

// manager are the states of the manager's page.
func (b *storyBook) manager() {
	b.manage("manage-empty", b.lists(), nil)
	full := b.lists(b.row(lateStory(payflow.LateTakingBack)))
	for i := range 7 {
		full["recent"] = append(full["recent"], b.row(paidStory(func(e *payflow.Entry) {
			e.OutTradeNo, e.SaleRef = payflow.OutTradeNo(fmt.Sprintf("SZTX001T12611280000%02dAB12C9", i)), payflow.SaleRef(fmt.Sprintf("A-%d", 1000+i))
			e.ArmedAt = storyAt.AddDate(0, 0, -i)
		})))
	}
	full["person"] = []manageRow{b.abnormal(), b.row(aStory(payflow.Reversing, payflow.ReasonTakingBack, func(e *payflow.Entry) { e.Attention = payflow.AttentionReverseRefused }))}
	full["twice"] = []manageRow{b.twice()}
	again := func(e *payflow.Entry) {
		e.OutTradeNo, e.Attempt, e.ArmedAt = "SZTX001T1261128000050AB12C9", 2, storyAt.Add(2*time.Minute)
	}
	full["untold"] = []manageRow{b.row(paidStory(again)), b.row(lateStory(payflow.LateGivenBack))} // two tries of one sale
	full["recent"] = append([]manageRow{full["untold"][0]}, full["recent"]...)
	comesWith := map[string]health.Code{"late": health.LateSuccess, "person": health.RefundAttention, "twice": health.SuspectedDuplicate,
		"untold": health.RefundAttention, "recent": health.RefundAttention} // the warning that a till with such a list has
	for _, tab := range []string{"late", "person", "twice", "untold", "recent"} {
		b.manage("manage-"+tab, full, func(m *managePage) { m.Tab = tab }, func(s *story) { s.Status.Warnings = warned(comesWith[tab], "") })
	}
	b.manage("manage-recent-busy", full, func(m *managePage) { m.Tab = "recent" }, func(s *story) { s.Status.HoldingID = "SZTX001T1261128000042AB12C9" })
	b.manage("manage-warned", b.lists(), nil, func(s *story) {
		s.Status.Warnings = append(warned(health.DiskFull, "/var/lib/posagent"), warned(health.ScannerAway, "/dev/posagent-scanner")...)
	})
	b.manage("manage-warning", b.lists(), nil, func(s *story) {
		s.Page.Asking, s.Status.Warnings = "warnings", append(warned(health.DiskFull, "/var/lib/posagent"), warned(health.ScannerAway, "/dev/posagent-scanner")...)
	})
	b.managePayments()
	b.manageRefunds()
}

func (b *storyBook) managePayments() {
	b.manageOne("manage-payment", paidStory(), nil)
	b.manageOne("manage-payment-answered", paidStory(answeredWith(payflow.GoodsGiven)), nil)
	b.manageOne("manage-payment-late-given-back", lateStory(payflow.LateGivenBack), nil)
	b.manageOne("manage-payment-late", lateStory(payflow.LateTakingBack), nil)
	for status, why := range map[payflow.RefundStatus]payflow.Reason{
		payflow.RefundRequested: payflow.ReasonRefundUnknown, payflow.RefundProcessing: payflow.ReasonRefundProcessing, payflow.RefundDone: payflow.ReasonRefundDone,
		payflow.RefundRefused: payflow.ReasonRefundNoFunds, payflow.RefundAbnormal: payflow.AttentionRefundAbnormal,
	} {
		b.manageOne("manage-payment-"+string(status), paidStory(), []payflow.RefundEntry{aRefund(status, why)})
	}
	b.manageOne("manage-payment-many-refunds", paidStory(), []payflow.RefundEntry{
		aRefund(payflow.RefundDone, payflow.ReasonRefundDone), aRefund(payflow.RefundRefused, payflow.ReasonRefundOthersFailed),
		aRefund(payflow.RefundRequested, payflow.AttentionRefundUnsettled), aRefund(payflow.RefundProcessing, payflow.ReasonRefundProcessing),
	})
	whole := aRefund(payflow.RefundDone, payflow.ReasonRefundDone)
	whole.Amount.Minor = 1250
	b.manageOne("manage-payment-all-given-back", paidStory(answeredWith(payflow.GoodsGiven)), []payflow.RefundEntry{whole})
	large := aRefund(payflow.RefundRequested, payflow.ReasonRefundUnknown)
	large.Amount.Minor = 999_999_99
	b.manageOne("manage-payment-large-refund", paidStory(func(e *payflow.Entry) { e.Amount.Minor = 9_999_999_99 }), []payflow.RefundEntry{large})
	b.manageOne("manage-answer-asked", paidStory(), nil, func(m *managePage) { m.Asking = "money_given_back" })
	refusedOne := aRefund(payflow.RefundRefused, payflow.ReasonRefundDeclined)
	refusedOne.Attention, refusedOne.Refusal = payflow.AttentionRefundRefused, payflow.Refusal{Code: "TRADESTATEERROR"}
	b.manageOne("manage-payment-refused-unseen", paidStory(), []payflow.RefundEntry{refusedOne})
	b.manageOne("manage-seen-asked", paidStory(), []payflow.RefundEntry{refusedOne}, func(m *managePage) { m.Asking, m.Operator = "seen", "M001" })
	b.manageOne("manage-payment-late-person", aStory(payflow.Reversed, payflow.ReasonNeverArrived, func(e *payflow.Entry) {
		e.Late = payflow.Late{Stage: payflow.LateOwed, Attention: payflow.AttentionLateUnanswered}
	}), nil)
	b.manageOne("manage-duplicate", paidStory(), nil, func(m *managePage) {
		row := b.twice()
		m.Concern = &row
	})
}

func (b *storyBook) manageRefunds() {
	for name, r := range map[string]manageRefund{
		"amount": {Step: "amount", Amount: "1250", Why: "1", Fresh: true}, "amount-part": {Step: "amount", Amount: "250", Why: "1"},
		"amount-over": {Step: "amount", Amount: "1251", Why: "1"}, "amount-none": {Step: "amount", Why: "1"},
		"reason": {Step: "reason", Amount: "250", Why: "1"}, "sure": {Step: "sure", Amount: "250", Why: "1"},
		"sure-pin":   {Step: "sure", Amount: "250", Why: "4", PINLike: true},
		"sure-typed": {Step: "sure", Amount: "250", Why: "4", Operator: "M001"}, "sending": {Step: "sure", Amount: "250", Why: "4", Operator: "M001", Sending: true},
		"refused": {Step: "sure", Amount: "250", Why: "4", Operator: "M001", Problem: string(RefundTooMuch)},
		"again":   {Step: "sure", Amount: "250", Why: "4", Operator: "M001", Problem: string(KeyReused)},
		"unheard": {Step: "sure", Amount: "250", Why: "4", Operator: "M001", Problem: "refund_unheard"},
	} {
		b.manageOne("manage-refund-"+name, paidStory(), nil, func(m *managePage) { m.Refund = &r })
	}
	b.manageOne("manage-refund-sure-manager", paidStory(), nil, func(m *managePage) { m.Refund = &manageRefund{Step: "sure", Amount: "250", Why: "4"} })
	b.all[len(b.all)-1].Page.Session = &Session{SetUp: true, Operator: &Person{ID: "P001", Name: "Wong Mei Ling", Role: RoleCashier}, Manager: &Person{ID: "M001", Name: "Lee Ka Yan", Role: RoleManager}}
}

// manage keeps a story of the manager's page.
func (b *storyBook) manage(name string, lists map[string][]manageRow, change func(*managePage), more ...func(*story)) {
	b.add(name, nil, append([]func(*story){func(s *story) {
		s.View, s.Page.Manage = "manager", &managePage{Tab: "late", Lists: lists}
		if change != nil {
			change(s.Page.Manage)
		}
	}}, more...)...)
}

// manageOne keeps a story of one payment that the manager looks at.
func (b *storyBook) manageOne(name string, e *payflow.Entry, refunds []payflow.RefundEntry, change ...func(*managePage)) {
	p := b.server.view(*e, storyAt)
	b.withRefunds(&p, e.Status == payflow.Paid, refunds)
	b.manage(name, b.lists(), func(m *managePage) {
		m.Open, m.Payment = string(p.ID), &p
		for _, c := range change {
			c(m)
		}
	})
}

// withRefunds counts refunds in a payment's view, as the desk does.
func (b *storyBook) withRefunds(p *Payment, paid bool, refunds []payflow.RefundEntry) {
	if paid {
		p.Refundable = p.Amount
	}
	for _, r := range refunds {
		p.Refunds = append(p.Refunds, b.server.viewRefund(r, storyAt))
		if !r.Dead() {
			p.Refundable -= r.Amount.Minor
		}
		if r.Status == payflow.RefundDone {
			p.Refunded += r.Amount.Minor
		}
	}
}

func (b *storyBook) lists(late ...manageRow) map[string][]manageRow {
	return map[string][]manageRow{"late": append([]manageRow{}, late...), "person": {}, "twice": {}, "untold": {}, "recent": {}}
}

// row is a line of a payment, in the payment's words where it needs a person.
func (b *storyBook) row(e *payflow.Entry) manageRow {
	row := manageRow{Payment: b.server.view(*e, storyAt)}
	if row.Payment.Attention != "" {
		row.Message, row.Next = &row.Payment.Message, &row.Payment.NextStep
	}
	return row
}

func (b *storyBook) abnormal() manageRow {
	r := b.server.viewRefund(aRefund(payflow.RefundAbnormal, payflow.AttentionRefundAbnormal), storyAt)
	row := b.row(paidStory())
	row.Refund, row.Message, row.Next = &r, &r.Message, &r.NextStep
	return row
}

func (b *storyBook) twice() manageRow {
	row := b.row(paidStory())
	twin := b.server.view(*paidStory(func(e *payflow.Entry) {
		e.OutTradeNo, e.SaleRef, e.ArmedAt = "SZTX001T1261128000043AB12C9", "A-1002", storyAt.Add(3*time.Minute)
	}), storyAt)
	message, next := b.server.cfg.Words.Notice("suspected_duplicate")
	said, then := inAll(message), inAll(next)
	row.Twin, row.Message, row.Next = &twin, &said, &then
	return row
}

// aRefund is a refund of HK$ 2.50 of the stories' payment.
func aRefund(status payflow.RefundStatus, why payflow.Reason) payflow.RefundEntry {
	r := payflow.RefundEntry{SaleRef: "A-1001", StoreDay: "2026-11-28", Sequence: 9}
	r.OutRefundNo, r.OutTradeNo = "SZTX001T1261128000042AB12C9-ABCDEFGHIJKLMNOP", "SZTX001T1261128000042AB12C9"
	r.Amount, r.Total = payflow.Amount{Minor: 250, Currency: "HKD"}, payflow.Amount{Minor: 1250, Currency: "HKD"}
	r.Status, r.Why, r.Version, r.RequestedAt, r.Operator = status, why, 2, storyAt, "M001"
	if status == payflow.RefundAbnormal {
		r.Attention = why
	}
	return r
}
