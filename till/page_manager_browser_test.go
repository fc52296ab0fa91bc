package till

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// TestTheManagersPageInABrowser tells the manager's stories in a real browser, each in a window and a shop of its own.
func TestTheManagersPageInABrowser(t *testing.T) {
	browser := openBrowser(t)
	for name, story := range map[string]func(*testing.T, context.Context){
		"a part of a payment is refunded, once":                aRefundIsAskedForOnce,
		"a refund whose answer is lost is the same refund":     aLostAnswerIsTheSameRefund,
		"a second window's refund is seen before another":      twoWindowsMakeOneRefund,
		"what may be a PIN is no number of a manager":          aPINIsNoNumber,
		"who gave a PIN is named, and types nothing":           whoGivesItIsNamed,
		"a refund is seen by the cashier":                      aRefundIsSeenByTheCashier,
		"the tries of one sale are told apart":                 theTriesAreToldApart,
		"print and check again are answered":                   printAndCheckAgainAreAnswered,
		"what needs a person is listed, and can be looked at":  whatNeedsAPersonIsListed,
		"what a person has seen to leaves the list":            whatIsSeenLeavesTheList,
		"a key that is held back comes before the click":       aKeyComesBeforeTheClick,
		"nobody sells or scans on the manager's page":          nobodySellsOnTheManagersPage,
		"what nobody has answered is answered there as well":   theUnansweredIsAnswered,
		"the till's page leads to the manager's page and back": thereAndBack,
	} {
		t.Run(name, func(t *testing.T) { story(t, browser) })
	}
}

// opensManager opens the manager's page and a payment of the list of all.
func opensManager(b *aBrowser, url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url + "/?view=manager"))
	b.shows("manage_list")
	b.press("a")
	b.do(chromedp.WaitVisible(`[data-action="row:1"]`))
}

func aRefundIsAskedForOnce(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.sold("A-1001")
	opensManager(b, web.URL)
	b.press("1")
	b.shows("manage_payment")
	b.press("r")
	b.shows("manage_refund")
	b.reads("12.50")
	b.press("9", "9", "9", "9")
	b.reads("more than is left")
	b.press(kb.Enter) // no way on with too much
	b.shows("manage_refund")
	b.press(kb.Backspace, kb.Backspace, kb.Backspace, kb.Backspace, "2", "5", "0", kb.Enter)
	b.reads("Why does it go back?")
	b.press("1")
	b.shows("manage_sure")
	b.press(kb.Enter) // nobody has said who
	b.shows("manage_sure")
	assert.Zero(t, a.back.calls)
	b.press("m", "7")
	b.do(chromedp.WaitVisible(`[data-action="refund_send"]:not([disabled])`))
	b.do(chromedp.Evaluate[chromedp.Void](`{ const yes = document.querySelector('[data-action="refund_send"]'); yes.click(); yes.click(); yes.dispatchEvent(new MouseEvent('dblclick', { bubbles: true })); yes.click(); }`))
	b.shows("manage_payment")
	require.Eventually(t, func() bool { refunds, _ := a.back.RefundsOfPayment(id); return len(refunds) == 1 }, showTime, 20*time.Millisecond)
	refunds, err := a.back.RefundsOfPayment(id)
	require.NoError(t, err)
	assert.Equal(t, payflow.Amount{Minor: 250, Currency: "HKD"}, refunds[0].Amount)
	assert.Equal(t, "M7", refunds[0].Operator)
	assert.Equal(t, "Goods returned", refunds[0].RefundOrder.Reason)
	b.reads("Refund: asked for, not certain yet")
	b.reads("given back HK$ 0.00 · not certain HK$ 2.50 · left HK$ 10.00")
	a.back.move(refunds[0].OutRefundNo, refunded)
	b.reads("gone back")
	b.reads("given back HK$ 2.50 · left HK$ 10.00")
	assert.Equal(t, 1, a.back.calls)
}

// A key is held back for a moment, because it may be the first of a scan. What is clicked within it must not run ahead.
func aKeyComesBeforeTheClick(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.sold("A-1001")
	opensManager(b, web.URL)
	b.press("1")
	b.shows("manage_payment")
	b.press("r", kb.Enter, "1")
	b.shows("manage_sure")
	b.press("m")
	b.do(chromedp.WaitVisible(`[data-action="refund_send"]:not([disabled])`))
	b.do(chromedp.Evaluate[chromedp.Void](`{
		document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '7', code: 'Digit7', bubbles: true, cancelable: true }));
		document.querySelector('[data-action="refund_send"]').click();
	}`))
	b.shows("manage_payment")
	refunds, err := a.back.RefundsOfPayment(id)
	require.NoError(t, err)
	require.Len(t, refunds, 1)
	assert.Equal(t, "M7", refunds[0].Operator)
}

func aLostAnswerIsTheSameRefund(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.sold("A-1001")
	opensManager(b, web.URL)
	b.press("1")
	b.shows("manage_payment")
	b.do(chromedp.Evaluate[chromedp.Void](`{
		const real = window.fetch;
		let lost = 0;
		window.fetch = async (path, options) => {
			const answer = await real(path, options);
			if (String(path).endsWith('/refunds') && lost++ < 2) throw new TypeError('the answer was lost');
			return answer;
		};
	}`))
	b.press("r", kb.Enter, "2", "m", kb.Enter)
	b.shows("manage_payment")
	b.reads("asked for")
	refunds, err := a.back.RefundsOfPayment(id)
	require.NoError(t, err)
	require.Len(t, refunds, 1)
	assert.Equal(t, payflow.Amount{Minor: 1250, Currency: "HKD"}, refunds[0].Amount)
}

func twoWindowsMakeOneRefund(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.sold("A-1001")
	other := window(t, browser)
	for _, w := range []*aBrowser{b, other} {
		opensManager(w, web.URL)
		w.press("1")
		w.shows("manage_payment")
		w.press("r", "2", "5", "0", kb.Enter, "1", "m")
		w.shows("manage_sure")
	}
	b.press(kb.Enter)
	b.shows("manage_payment")
	other.press(kb.Enter)
	other.shows("manage_payment")
	refunds, err := a.back.RefundsOfPayment(id)
	require.NoError(t, err)
	assert.Len(t, refunds, 1, "both windows meant the same refund")

	b.do(chromedp.WaitVisible(`[data-action="refund"]:not([disabled])`))
	b.press("r", "1", "0", "0", kb.Enter, "1", "m", kb.Enter) // a second one is another wish
	b.shows("manage_payment")
	require.Eventually(t, func() bool { refunds, _ := a.back.RefundsOfPayment(id); return len(refunds) == 2 }, showTime, 20*time.Millisecond)
}

func whatNeedsAPersonIsListed(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	a.late("A-1001")
	id := a.sold("A-1002")
	made := a.refund(id, "r1", aRefundBody).refund()
	a.back.move(made.ID, abnormal)
	first, err := a.desk.Payment(id)
	require.NoError(t, err)
	second, err := a.desk.Payment(a.sold("A-1003"))
	require.NoError(t, err)
	second.StoreDay = a.server.storeDay(a.server.now())
	a.back.duplicates = []payflow.SuspectedDuplicate{{First: first, Second: second}}
	b.do(chromedp.Navigate(web.URL + "/?view=manager"))
	b.reads("A-1001")
	b.press("p")
	b.reads("has NOT reached")
	b.press("1")
	b.shows("manage_payment")
	b.reads("merchant platform")
	b.press(kb.Escape, "d")
	b.reads("A-1003")
	b.press("1")
	b.shows("manage_payment")
	b.reads("refund one of the two")
}

func whatIsSeenLeavesTheList(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	made := a.refund(a.sold("A-1001"), "r1", aRefundBody).refund()
	a.back.move(made.ID, func(r *payflow.RefundEntry) {
		refusedForFunds(r)
		r.Attention = payflow.AttentionRefundRefused
	})
	b.do(chromedp.Navigate(web.URL + "/?view=manager"))
	b.shows("manage_list")
	b.press("p")
	b.reads("REFUSED")
	b.press("1")
	b.shows("manage_payment")
	b.press("s", kb.Enter) // nobody has said who
	b.shows("manage_sure")
	b.press("m", kb.Enter)
	b.shows("manage_payment")
	require.Eventually(t, func() bool { r, _ := a.back.RefundOf(made.ID); return r.Seen.Operator == "M" && r.Attention == "" }, showTime, 20*time.Millisecond)
	b.press(kb.Escape)
	b.reads("Nothing in this list.")
}

func nobodySellsOnTheManagersPage(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.armed("A-1001")
	b.do(chromedp.Navigate(web.URL + "/?view=manager"))
	b.reads("A payment is in progress")
	b.wedge(eighteen)
	b.do(chromedp.Sleep(300 * time.Millisecond))
	assert.Empty(t, a.desk.codes)
	assert.NotContains(t, b.html(), eighteen[:6])
	e, err := a.desk.Payment(id)
	require.NoError(t, err)
	assert.Equal(t, payflow.Waiting, e.Status)
}

func theUnansweredIsAnswered(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.sold("A-1001")
	b.do(chromedp.Navigate(web.URL + "/?view=manager"))
	b.shows("manage_list")
	b.press("u")
	b.reads("A-1001")
	b.press("1")
	b.shows("manage_payment")
	b.press("b")
	b.shows("manage_sure")
	b.press(kb.Escape)
	b.shows("manage_payment")
	b.press("b", kb.Enter)
	b.shows("manage_payment")
	require.Eventually(t, func() bool { e, _ := a.desk.Payment(id); return e.Acknowledged.How == payflow.MoneyGivenBack }, showTime, 20*time.Millisecond)
}

func thereAndBack(t *testing.T, browser context.Context) {
	b, _, web := aShop(t, browser)
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	b.press("m")
	b.shows("manage_list")
	b.press(kb.Escape)
	b.shows("idle")
}

// A manager's PIN that is typed where a number is asked for is never on the screen, and is not sent.
func aPINIsNoNumber(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.sold("A-1001")
	opensManager(b, web.URL)
	b.press("1")
	b.shows("manage_payment")
	b.press("r", kb.Enter, "1")
	b.shows("manage_sure")
	for _, typed := range []string{"m001135790", "135790", "m13579"} {
		b.types(typed)
		b.reads("That may be a PIN")
		assert.NotContains(t, b.html(), typed[len(typed)-5:])
		assert.NotContains(t, b.html(), "M001135")
		b.press(kb.Enter)
		b.shows("manage_sure")
		assert.Zero(t, a.back.calls, typed)
		b.press(kb.Backspace)
		b.reads("Type the manager's number: …")
	}
	for _, key := range []string{"M", "0", "0", "1"} { // by touch
		b.do(chromedp.Click(`.keypad [data-action="operator_key:` + key + `"]`))
	}
	b.reads("M001")
	b.do(chromedp.Click(`[data-action="refund_send"]`))
	b.shows("manage_payment")
	refunds, err := a.back.RefundsOfPayment(id)
	require.NoError(t, err)
	require.Len(t, refunds, 1)
	assert.Equal(t, "M001", refunds[0].Operator)
}

// Who gave a PIN is named, and nothing that is typed then reaches the screen or the journal.
func whoGivesItIsNamed(t *testing.T, browser context.Context) {
	b, a, web := aStaffedShop(t, browser)
	id := a.sold("A-1001")
	b.do(chromedp.Navigate(web.URL + "/?view=manager"))
	b.shows("signin")
	b.types(pinOfManager)
	b.press(kb.Enter)
	b.shows("manage_list")
	b.press("a")
	b.do(chromedp.WaitVisible(`[data-action="row:1"]`))
	b.press("1")
	b.shows("manage_payment")
	b.press("r")
	b.shows("manage_refund")
	b.reads("all that is left goes back")
	b.do(chromedp.Click(`.keypad [data-action="refund_digit:2"]`), chromedp.Click(`.keypad [data-action="refund_digit:5"]`), chromedp.Click(`.keypad [data-action="refund_digit:0"]`))
	b.reads("2.50")
	require.Eventually(t, func() bool { return !strings.Contains(b.text(), "all that is left") }, showTime, 20*time.Millisecond)
	b.press(kb.Enter, "1")
	b.shows("manage_sure")
	b.reads("Decided by: Lee Ka Yan (M001)")
	b.types(pinOfManager)
	b.do(chromedp.Sleep(200 * time.Millisecond))
	assert.NotContains(t, b.html(), pinOfManager)
	b.press(kb.Enter)
	b.shows("manage_payment")
	refunds, err := a.back.RefundsOfPayment(id)
	require.NoError(t, err)
	require.Len(t, refunds, 1)
	assert.Equal(t, "M001", refunds[0].Operator)
	assert.Equal(t, payflow.Amount{Minor: 250, Currency: "HKD"}, refunds[0].Amount)
}

// The cashier sees a refund in the row and in the bill's answer, and nobody is said to have looked at a phone where a row was opened.
func aRefundIsSeenByTheCashier(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.sold("A-1001")
	a.desk.move(id, answeredWith(payflow.GoodsGiven))
	made := a.refund(id, "r1", aRefundBody).refund()
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	b.press("l")
	b.shows("last_list")
	b.reads("paid · Refund HK$ 2.50: asked for, not certain yet")
	a.back.move(made.ID, refunded)
	b.press("1")
	b.shows("found")
	b.reads("Refund HK$ 2.50: gone back")
	assert.NotContains(t, b.text(), "that was scanned")
	b.press(kb.Escape, kb.Escape, "b")
	b.shows("bill_scan")
	for _, digit := range "4200000000202611240000000009" { // a number by touch
		b.do(chromedp.Click(`.keypad [data-action="bill_digit:` + string(digit) + `"]`))
	}
	b.reads("4200000000202611240000000009")
	b.press(strings.Split(strings.Repeat(kb.Backspace, 28), "")...)
	b.types(strings.ToLower(string(id)))
	b.press(kb.Enter)
	b.shows("found")
	b.reads("that was scanned")
	b.reads("a REFUND was asked for")
}

// Print and Check again are answered on the screen.
func printAndCheckAgainAreAnswered(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.armed("A-1001")
	b.do(chromedp.Navigate(web.URL))
	b.shows("waiting")
	a.desk.move(id, func(e *payflow.Entry) {
		e.Status, e.Reason, e.FinalAt, e.FirstPayAt = payflow.Reversed, payflow.ReasonClosed, noon(), noon()
	})
	b.shows("reversed")
	b.do(chromedp.Evaluate[chromedp.Void](`window.print = () => { document.title = 'printed'; }`))
	b.press("p")
	b.reads("Printing")
	require.Eventually(t, func() bool { return strings.Contains(b.html(), "<title>printed") }, showTime, 20*time.Millisecond)
	b.press("k")
	b.shows("idle")
	b.press("l", "1")
	b.shows("found")
	b.press("c")
	b.reads("no answer yet")
	assert.Regexp(t, `Asked again at \d\d:\d\d:\d\d`, b.text())
	a.desk.move(id, func(e *payflow.Entry) { e.Late.Stage = payflow.LateClear })
	b.reads("WeChat Pay holds no money of it")
}

func theTriesAreToldApart(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	first := a.armed("A-1001")
	a.desk.move(first, answeredWith(payflow.Seen))
	a.desk.move(first, func(e *payflow.Entry) {
		e.Status, e.Reason, e.FinalAt, e.FirstPayAt = payflow.Declined, payflow.ReasonCard, noon(), noon()
		e.Late = payflow.Late{Stage: payflow.LateGivenBack, MoneySeen: true}
	})
	second := a.arm("A-1001", "key-another-try").payment().ID
	require.NotEqual(t, first, second)
	a.desk.move(second, paid)
	a.desk.move(second, answeredWith(payflow.GoodsGiven))
	a.desk.move(second, func(e *payflow.Entry) { e.Attempt = 2 })
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	b.press("l")
	b.reads("A-1001 · try 1")
	b.reads("A-1001 · try 2")
	b.reads("not paid: late money, gone back")
	b.do(chromedp.Navigate(web.URL + "/?view=manager"))
	b.shows("manage_list")
	b.press("a")
	b.reads("A-1001 · try 2")
	b.reads("not paid: late money, gone back")
}
