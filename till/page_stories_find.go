package till

import (
	"fmt"
	"strings"
	"time"

	"posagent/health"
	"posagent/payflow"
)

// findingPage is what the page holds of a look-up (page/finding.js).
type findingPage struct {
	Step  string `json:"step"` // scan, asking, answer, last
	Typed string `json:"typed"`
	Bill  *Bill  `json:"bill"`
	Page  int    `json:"page"`
	From  string `json:"from"`
	Note  string `json:"note,omitempty"`
	Asked string `json:"asked,omitempty"` // when WeChat Pay was asked again

	Scanned bool `json:"scanned,omitempty"` // the number is a bill's, and was not chosen from the list
}

// found are the look-ups: each answer to a customer's bill, and the last payments.
func (b *storyBook) found() {
	finding := func(f findingPage) func(*story) {
		return func(s *story) { s.Page.Finding = &f }
	}
	b.add("bill-scan", nil, finding(findingPage{Step: "scan", Typed: "42000000002026"}))
	b.add("bill-asking", nil, finding(findingPage{Step: "asking"}))
	for _, e := range []*payflow.Entry{
		paidStory(), paidStory(answeredWith(payflow.GoodsGiven)), paidStory(answeredWith(payflow.MoneyGivenBack)),
		aStory(payflow.Confirming, payflow.ReasonUnknown), aStory(payflow.Reversing, payflow.ReasonTakingBack), aStory(payflow.Reversed, payflow.ReasonClosed),
		aStory(payflow.Declined, payflow.ReasonNotEnough), lateStory(payflow.LateTakingBack),
	} {
		bill := b.server.billOf(*e).Body
		b.add("bill-"+dashed(string(bill.Answer)), nil, finding(findingPage{Step: "answer", Bill: &bill, Scanned: true}))
	}
	b.foundApart()
	order := &BillOrder{Number: "SZTX001T2261128000017AB12C9", State: payflow.TradeSuccess, Amount: 8_888_00, Currency: "HKD", AmountText: "HK$ 8888.00", PaidAt: storyAt.Add(-time.Hour)}
	for _, answer := range []BillAnswer{BillOtherPaid, BillOtherUnpaid, BillNotOurs, BillNotAsked, BillCode, BillNoNumber} {
		bill := b.server.billSays(answer, nil, nil).Body
		if answer == BillOtherPaid || answer == BillOtherUnpaid {
			bill.Order = order
		}
		b.add("bill-"+dashed(string(answer)), nil, finding(findingPage{Step: "answer", Bill: &bill}))
	}
	again := b.server.billOf(*aStory(payflow.Reversed, payflow.ReasonClosed)).Body
	b.add("bill-check-again", nil, finding(findingPage{Step: "answer", Bill: &again, Note: "checking_again"}))
	b.add("last-payments", nil, finding(findingPage{Step: "last"}), func(s *story) {
		statuses := []payflow.Status{payflow.Paid, payflow.Declined, payflow.Reversed, payflow.Cancelled, payflow.Paid, payflow.Paid}
		for i, status := range statuses {
			e := aStory(status, payflow.ReasonPaid, answeredWith(payflow.Seen), func(e *payflow.Entry) {
				e.OutTradeNo, e.SaleRef = payflow.OutTradeNo(fmt.Sprintf("SZTX001T126112800004%dAB12C9", i)), payflow.SaleRef(fmt.Sprintf("A-100%d", i))
				e.ArmedAt = storyAt.Add(-time.Duration(i) * time.Minute)
			})
			s.Payments = append(s.Payments, b.server.view(*e, s.Now))
		}
		s.Payments[1].SaleRef, s.Payments[0].Attempt = s.Payments[0].SaleRef, 2
		b.withRefunds(&s.Payments[0], true, []payflow.RefundEntry{aRefund(payflow.RefundDone, payflow.ReasonRefundDone)})
	})
	b.add("last-payments-none", nil, finding(findingPage{Step: "last"}))
}

// foundApart are bills whose words say more than their answer does.
func (b *storyBook) foundApart() {
	add := func(name string, bill Bill, change ...func(*findingPage)) {
		page := findingPage{Step: "answer", Bill: &bill}
		for _, c := range change {
			c(&page)
		}
		b.add(name, nil, func(s *story) { s.Page.Finding = &page })
	}
	goods := paidStory(answeredWith(payflow.GoodsGiven))
	whole := aRefund(payflow.RefundProcessing, payflow.ReasonRefundProcessing)
	whole.Amount.Minor = 1250
	done := whole
	done.Status, done.Why = payflow.RefundDone, payflow.ReasonRefundDone
	add("bill-goods-given-from-the-list", b.billWith(goods))
	add("bill-goods-given-refund", b.billWith(goods, aRefund(payflow.RefundDone, payflow.ReasonRefundDone)), func(f *findingPage) { f.Scanned = true })
	add("bill-paid-refund", b.billWith(paidStory(), aRefund(payflow.RefundAbnormal, payflow.AttentionRefundAbnormal)))
	add("bill-money-going-back", b.billWith(goods, whole))
	add("bill-money-gone-back", b.billWith(goods, done))
	add("bill-taken-back-money", b.billWith(aStory(payflow.Reversed, payflow.ReasonRefunded, func(e *payflow.Entry) { e.MoneySeen = true })))
	add("bill-not-sent", b.billWith(aStory(payflow.Cancelled, payflow.ReasonScanTimeout, func(e *payflow.Entry) { e.FirstPayAt = time.Time{} })))
	for stage, name := range map[payflow.LateStage]string{payflow.LateOwed: "asked", payflow.LateClear: "asked-clear"} {
		e := aStory(payflow.Reversed, payflow.ReasonClosed, func(e *payflow.Entry) { e.Late.Stage = stage })
		add("bill-"+name+"-again", b.billWith(e), func(f *findingPage) { f.Asked = "12:30:20" })
	}
}

// billWith is what a payment with refunds means to its customer.
func (b *storyBook) billWith(e *payflow.Entry, refunds ...payflow.RefundEntry) Bill {
	p := b.server.view(*e, storyAt)
	b.withRefunds(&p, e.Status == payflow.Paid, refunds)
	return b.server.billOfView(*e, p).Body
}

func answeredWith(how payflow.Handover) func(*payflow.Entry) {
	return func(e *payflow.Entry) { e.Acknowledged = payflow.Acknowledgement{At: storyAt, How: how} }
}

func dashed(name string) string {
	return strings.ReplaceAll(name, "_", "-")
}

// shift is the opening line's screen, and the page's options.
func (b *storyBook) shift() {
	asking := func(name string) func(*story) { return func(s *story) { s.Page.Asking = name } }
	b.add("shift-ready", nil, asking("shift"))
	b.add("shift-faults", nil, asking("shift"), func(s *story) {
		s.Status.Devices[0].Ready, s.Status.Certificates[0].DaysLeft = false, 11
		s.Status.Warnings = append(warned(health.ScannerAway, "/dev/posagent-scanner"), warned(health.Certificate14Days, "merchant: 11 days")...)
	})
	b.add("idle-scanner-fault", nil, func(s *story) {
		s.Status.Devices[0].Ready = false
		s.Status.Warnings = warned(health.ScannerAway, "/dev/posagent-scanner")
	})
	b.add("options", nil, asking("options"), func(s *story) { s.Status.MayTrain = true })
	b.add("training-asked", nil, asking("training"))
	training := func(s *story) { s.Status.Training, s.Status.Store = true, "TRAINING "+s.Status.Store }
	b.add("training-idle", nil, training)
	b.add("training-waiting", aStory(payflow.Waiting, payflow.ReasonWaiting), training)
	b.add("training-unknown", aStory(payflow.Confirming, payflow.ReasonUnknown), training)
	b.add("training-paid", paidStory(), training)
	b.add("training-customer-paid", paidStory(), training, func(s *story) { s.View, s.Page.ReceiptCode = "customer", "/page/icon.svg" })
	b.add("training-customer", aStory(payflow.Waiting, payflow.ReasonWaiting), training, func(s *story) { s.View = "customer" })
}
