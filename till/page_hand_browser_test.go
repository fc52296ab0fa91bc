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

// ready makes the desk take payments, or refuse them for a reason.
func (d *fakeDesk) ready(code string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notReady = nil
	if code != "" {
		d.notReady = &payflow.NotReadyError{Code: code, Text: code}
	}
}

// at is where the keys of a screen lie.
func (b *aBrowser) at(query string) []float64 {
	b.t.Helper()
	at, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]float64](`[...document.querySelectorAll("`+query+`")].flatMap((e) => { const r = e.getBoundingClientRect(); return [r.x, r.y]; })`))
	require.NoError(b.t, err)
	require.NotEmpty(b.t, at)
	return at
}

// anUnreachedPayment: the network goes while a payment waits for its code. Cash is taken only once it has been ended.
func anUnreachedPayment(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	b.do(chromedp.EmulateViewport(800, 480), chromedp.Navigate(web.URL))
	b.shows("idle")
	keys := b.at(".keypad button, footer button")
	b.press("2", "7", "3", "0", kb.Enter)
	b.shows("waiting")
	held, ok := a.desk.Holding()
	require.True(t, ok)
	a.desk.ready("no_network")
	b.shows("unreached")
	b.reads("WeChat Pay can't be reached now. Nothing was charged.")
	assert.NotContains(t, b.text(), "take cash")
	assert.NotContains(t, b.text(), "no WeChat payment follows")
	a.desk.ready("")
	b.shows("waiting") // it is armed still
	a.desk.ready("no_network")
	b.shows("unreached")
	b.press("k")
	b.shows("offline")
	b.reads("Ended without WeChat Pay: take HK$ 27.30 by other means")
	ended, err := a.desk.Payment(held.OutTradeNo)
	require.NoError(t, err)
	assert.Equal(t, payflow.Cancelled, ended.Status)
	a.desk.ready("")
	b.shows("idle")
	_, ok = a.desk.Holding()
	assert.False(t, ok)

	id := a.armed("A-2")
	b.shows("waiting")
	a.desk.ready("no_network")
	a.desk.move(id, func(e *payflow.Entry) { e.Notice = payflow.Notice{At: time.Now(), Kind: "no_network"} })
	b.shows("unreached")
	a.desk.ready("")
	b.shows("waiting")
	b.wedge(eighteen)
	b.shows("paying")
	assert.NotContains(t, b.text(), "take cash", "what kept the scan before it back is over")
	a.desk.move(id, func(e *payflow.Entry) {
		e.Status, e.Reason, e.FinalAt = payflow.Declined, payflow.ReasonNotEnough, noon()
	})
	b.shows("declined")
	b.press("k")
	b.shows("idle")
	b.reads("Ended without WeChat Pay: take HK$ 12.50 by other means")
	assert.Equal(t, keys, b.at(".keypad button, footer button"), "what is said moves no key")
	b.press("5")
	b.reads("0.05")
	assert.NotContains(t, b.text(), "Ended without WeChat Pay")
}

// aHandMeantForAnotherScreen: the page changes by itself in the moment in which a key is pressed, and while a question is read.
func aHandMeantForAnotherScreen(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	b.do(chromedp.Navigate(web.URL))
	id := a.armed("A-1")
	b.shows("waiting")
	a.desk.move(id, confirming)
	b.shows("password")
	a.desk.move(id, paid)
	b.shows("paid")
	b.do(chromedp.KeyEvent(kb.Enter), chromedp.Click(`[data-action="next"]`), chromedp.Sleep(200*time.Millisecond))
	b.shows("paid")
	told, err := a.desk.Payment(id)
	require.NoError(t, err)
	assert.True(t, told.Acknowledged.At.IsZero(), "nobody has read it")
	b.press(kb.Enter)
	b.shows("idle")

	id = a.armed("A-2")
	b.shows("waiting")
	a.desk.move(id, confirming)
	b.shows("password")
	b.press("c")
	b.shows("question")
	a.desk.move(id, paid)
	b.shows("paid")
	b.press(kb.Enter) // Yes, cancel: the page has long been still again
	b.do(chromedp.Sleep(300 * time.Millisecond))
	b.shows("paid")
	told, err = a.desk.Payment(id)
	require.NoError(t, err)
	assert.True(t, told.Acknowledged.At.IsZero(), "the key was the question's")
	b.press(kb.Enter)
	b.shows("idle")

	id = a.armed("A-3")
	b.shows("waiting")
	a.desk.move(id, reversing)
	b.shows("reversing")
	a.desk.move(id, func(e *payflow.Entry) { e.Status, e.Reason, e.FinalAt = payflow.Reversed, payflow.ReasonClosed, noon() })
	b.shows("reversed")
	b.press(kb.Enter) // written nowhere
	b.do(chromedp.Sleep(300 * time.Millisecond))
	b.shows("reversed")
	b.press("k")
	b.shows("idle")
}

// aScanBeforeScanAgain: by a scanner that plays a keyboard, and by the agent's own.
func aScanBeforeScanAgain(t *testing.T, browser context.Context) {
	const first = "Scan not taken. Have the customer refresh"
	b, a, web := aShop(t, browser)
	b.do(chromedp.Navigate(web.URL))
	declined := func(sale string) payflow.OutTradeNo {
		id := a.armed(sale)
		b.shows("waiting")
		a.desk.move(id, func(e *payflow.Entry) {
			e.Status, e.Reason, e.FinalAt = payflow.Declined, payflow.ReasonCodeExpired, noon()
		})
		b.shows("declined")
		b.reads("refresh the code, choose Scan again, and scan it")
		return id
	}
	id := declined("A-1")
	b.wedge(eighteen)
	b.reads(first)
	assert.Empty(t, a.desk.codes)
	b.press("b")
	b.shows("bill_scan")
	b.press(strings.Split(strings.ToLower(string(id)), "")...)
	b.press(kb.Enter)
	b.shows("found")
	b.reads("NOT PAID on this till")
	b.press(kb.Escape)
	b.shows("declined") // it has not been answered
	b.press("k")
	b.shows("idle")

	declined("A-2")
	a.desk.mu.Lock()
	a.desk.notice = payflow.Notice{At: time.Now(), Kind: payflow.NoticeNothingArmed, Device: "/dev/posagent-scanner"}
	a.desk.mu.Unlock()
	b.reads(first)
	b.press("r")
	b.shows("waiting")
}

// theToneOfWait: an answer that is merely a second late sounds like no failure.
func theToneOfWait(t *testing.T, browser context.Context) {
	b, _, web := aShop(t, browser)
	b.do(chromedp.Navigate(web.URL+"/page/storybook.html"), chromedp.WaitVisible(".storybook"))
	tones, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`(async () => {
		const { render } = await import('/page/view.js');
		const { stateOf } = await import('/page/storybook.js');
		const load = async (name) => (await fetch('/page/' + name)).json();
		const [words, stories] = [await load('words.json'), await load('stories.json')];
		const story = stories.find((s) => s.name === 'unknown');
		const state = stateOf(story, words, 'en');
		return [1, 3.9, 4, 20].map((s) => render({ ...state, now: Date.parse(story.payment.times.pay_started_at) + s * 1000 }).sound);
	})()`, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	assert.Equal(t, []string{"", "", "unknown", "unknown"}, tones)
}
