package till

import (
	"context"
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
	b.reads("Nothing waits here.")
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
