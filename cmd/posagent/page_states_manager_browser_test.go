package main

import (
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
	"posagent/scanner"
	"posagent/wxsim"
)

// managerStories are the tills whose manager's page is looked at: without operators, as the storybook shows it.
func managerStories() []stateStory {
	return []stateStory{
		{name: "manager", meets: meetTheManager, wish: pageTillWish{path: "?view=manager"}},
		{name: "refunds", meets: meetTheRefunds, wish: pageTillWish{path: "?view=manager"}},
		{name: "the manager's list", meets: meetTheManagersList, wish: pageTillWish{path: "?view=manager"}},
	}
}

// sold is a payment of a customer with that wallet, paid and not answered.
func (s *stateTill) sold(scenario string) payflow.OutTradeNo {
	s.t.Helper()
	e := s.pay(scenario)
	s.becomes(e.OutTradeNo, payflow.Paid)
	return e.OutTradeNo
}

// opens looks at the newest payment from the list of all, on a page that was opened anew.
func (s *stateTill) opens() {
	s.t.Helper()
	require.NoError(s.t, chromedp.Do(s.window, chromedp.Navigate("http://"+s.line.address()+"/?view=manager")))
	onScreen(s.t, s.window, "manage_list")
	s.press("a")
	require.NoError(s.t, chromedp.Do(s.window, chromedp.WaitVisible(`[data-action="row:1"]`)))
	s.press("1")
	onScreen(s.t, s.window, "manage_payment")
}

// newest is the payment that was armed last.
func (s *stateTill) newest() payflow.OutTradeNo {
	s.t.Helper()
	recent, err := s.agent.engine.Recent(1)
	require.NoError(s.t, err)
	require.Len(s.t, recent, 1)
	return recent[0].OutTradeNo
}

// eventually waits for what takes its minutes.
func (s *stateTill) eventually(what string, so func() bool) {
	s.t.Helper()
	require.Eventually(s.t, so, 3*time.Minute, 50*time.Millisecond, "%s", what)
}

// refunds asks for HK$ 2.50 back, up to the last question.
func (s *stateTill) refunds() {
	s.t.Helper()
	s.press("r", "2", "5", "0", kb.Enter)
	s.says("refund_reason")
	s.press("4")
	onScreen(s.t, s.window, "manage_sure")
	s.press("m", "0", "0", "1")
}

// refunded sells to a wallet, and asks for HK$ 2.50 back on the page.
func (s *stateTill) refunded(scenario string) {
	s.t.Helper()
	s.sold(scenario)
	s.opens()
	s.refunds()
	s.press(kb.Enter)
	onScreen(s.t, s.window, "manage_payment")
}

func meetTheManager(s *stateTill) {
	s.sees("manage-empty", "")
	another := scanner.Event{Kind: scanner.KindState, Device: "hid:1", State: scanner.Lost, At: time.Now()}
	s.agent.feed.take(s.t.Context(), another)
	s.agent.health.Set(health.DiskFull, "")
	s.sees("manage-warned", "")
	s.press("w")
	s.sees("manage-warning", "")
	s.press(kb.Escape)
	another.State = scanner.Ready
	s.agent.feed.take(s.t.Context(), another)
	s.agent.health.Clear(health.DiskFull)
	s.sold("pays-at-once")
	s.opens()
	s.sees("manage-payment", "")
	s.press("b")
	s.sees("manage-answer-asked", "labels.money_back_sure|labels.money_back_how")
	s.press(kb.Escape, "r")
	s.sees("manage-refund-amount", "labels.refund_amount|labels.refund_amount_how")
	s.press("1", "2", "5", "1")
	s.sees("manage-refund-amount-over", "labels.refund_over|labels.refund_amount_typed")
	s.press(kb.Backspace, kb.Backspace, kb.Backspace, kb.Backspace)
	s.sees("manage-refund-amount-none", "labels.refund_amount|labels.refund_amount_typed")
	s.press("2", "5", "0")
	s.sees("manage-refund-amount-part", "labels.refund_amount|labels.refund_amount_typed")
	s.press(kb.Enter)
	s.sees("manage-refund-reason", "labels.refund_reason|labels.refund_reason_how")
	s.press("1")
	s.sees("manage-refund-sure", "labels.refund_sure|labels.refund_sure_how")
	s.press("m", "0", "0", "1")
	s.sees("manage-refund-sure-typed", "labels.refund_sure|labels.refund_sure_how")
	s.back(s.newest(), 1100, "elsewhere") // another window was quicker
	s.press(kb.Enter)
	s.sees("manage-refund-refused", "notices.refund_too_much")
	s.press(kb.Escape, kb.Escape, kb.Escape, kb.Escape)

	id := s.sold("pays-at-once")
	s.opens()
	s.refunds()
	s.back(id, 100, "page-"+string(id)+"-1") // under the key that the page is about to use
	s.press(kb.Enter)
	s.sees("manage-refund-again", "notices.key_reused")

	s.sold("pays-at-once")
	s.opens()
	s.refunds()
	s.sees("manage-refund-sure-typed", "") // and this page has what it is compared with
	s.line.stall()
	s.press(kb.Enter)
	s.sees("manage-refund-sending", "labels.refund_sending|labels.refund_sending_how")
	s.line.flow()
	for range 2 { // more than one page of the list
		s.sold("pays-at-once")
	}
	s.arm()
	s.opens()
	s.press(kb.Escape)
	s.sees("manage-recent-busy", "")
}

// back asks for a refund as till software does.
func (s *stateTill) back(id payflow.OutTradeNo, minor int64, key string) {
	s.t.Helper()
	_, err := s.agent.engine.Refund(s.t.Context(), payflow.RefundRequest{OutTradeNo: id, Amount: payflow.Amount{Minor: minor, Currency: "HKD"}, Reason: "wrong goods", Operator: "M002", IdempotencyKey: key})
	require.NoError(s.t, err)
}

func meetTheRefunds(s *stateTill) {
	s.refunded("refund-never-ends")
	s.sees("manage-payment-processing", "")
	var mends []func()
	for _, call := range []wxsim.Call{wxsim.Refund, wxsim.RefundQuery} {
		mends = append(mends, s.gateway.sim.Inject(wxsim.Fault{On: call, Kind: wxsim.DropAnswer, Times: -1}))
	}
	s.refunded("refund-error")
	s.sees("manage-payment-requested", "")
	for _, mend := range mends {
		mend()
	}
	s.refunded("pays-at-once")
	s.sees("manage-payment-refunded", "")
	whole := s.sold("pays-at-once")
	s.answer(whole, payflow.GoodsGiven)
	s.back(whole, 1250, "k-1")
	s.eventually("all of it is back", func() bool {
		refunds, err := s.agent.engine.RefundsOfPayment(whole)
		return err == nil && len(refunds) == 1 && refunds[0].Status == payflow.RefundDone
	})
	s.opens()
	s.sees("manage-payment-all-given-back", "")
	s.refunded("refund-no-money")
	s.sees("manage-payment-refused", "")
	s.refunded("refund-abnormal")
	s.sees("manage-payment-abnormal", "")
}

func meetTheManagersList(s *stateTill) {
	onScreen(s.t, s.window, "manage_list")
	for range 5 {
		s.answer(s.sold("pays-at-once"), payflow.GoodsGiven)
	}
	s.refunded("refund-abnormal")
	s.eventually("the refund is abnormal", func() bool {
		refunds, err := s.agent.engine.RefundsOfPayment(s.newest())
		return err == nil && len(refunds) == 1 && refunds[0].Attention != ""
	})
	s.press(kb.Escape, "p")
	s.sees("manage-person", "")
	s.press("u")
	s.sees("manage-untold", "")
	s.press("a")
	s.sees("manage-recent", "")

	hidden := s.gateway.sim.Inject(wxsim.Fault{On: wxsim.Query, Kind: wxsim.Refuse, Status: 404, Code: "ORDER_NOT_EXIST", Times: -1})
	s.gateway.sim.Inject(wxsim.Fault{On: wxsim.Pay, Kind: wxsim.Refuse, Status: 403, Code: "NOT_ENOUGH", Processed: true})
	e := s.pay("pays-at-once")
	s.becomes(e.OutTradeNo, payflow.Declined)
	hidden()
	mend := s.slowly(wxsim.Reverse, 20*time.Second)
	_, err := s.agent.engine.LookAgain(s.t.Context(), e.OutTradeNo, "M001")
	require.NoError(s.t, err)
	require.NoError(s.t, chromedp.Do(s.window, chromedp.Navigate("http://"+s.line.address()+"/?view=manager")))
	s.sees("manage-late", "")
	s.press("1")
	s.sees("manage-payment-late", "")
	mend()
}
