package till

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// aStaffedShop is the page at a till with operators.
func aStaffedShop(t *testing.T, browser context.Context, change ...func(*Config)) (*aBrowser, *aTill, *httptest.Server) {
	t.Helper()
	a := newTill(t, append([]func(*Config){func(c *Config) {
		c.Words, c.Page, c.Operators = loadedWords(t), Page(loadedWords(t)), someOperators(t)
	}}, change...)...)
	web := httptest.NewServer(a.server.Handler())
	t.Cleanup(web.Close)
	t.Cleanup(a.server.close) // before the server: it ends the streams
	return window(t, browser), a, web
}

// types presses each key of a text.
func (b *aBrowser) types(text string) {
	b.t.Helper()
	for _, key := range text {
		b.press(string(key))
	}
}

// idleSince makes whoever is signed in idle since a time, as a till that nobody touches.
func (a *aTill) idleSince(at time.Time) {
	a.server.signIns.mu.Lock()
	defer a.server.signIns.mu.Unlock()
	for _, in := range a.server.signIns.held {
		in.active = at
	}
}

// idle reports that whoever is signed in has been so for long.
func (a *aTill) idle() bool {
	a.server.signIns.mu.Lock()
	defer a.server.signIns.mu.Unlock()
	for _, in := range a.server.signIns.held {
		if time.Since(in.active) > time.Minute {
			return true
		}
	}
	return false
}

// TestSigningInInABrowser tells the stories of PINs in a real browser, each in a window and a shop of its own.
func TestSigningInInABrowser(t *testing.T) {
	browser := openBrowser(t)
	for name, story := range map[string]func(*testing.T, context.Context){
		"nobody sells before the PIN, and then by name":     aSaleWithAPIN,
		"a wrong PIN is said, and another person may come":  aWrongPIN,
		"by touch alone, and out again":                     byTouchAlone,
		"the screen locks, and never during a payment":      theScreenLocks,
		"a refund asks for a manager's PIN when it is old":  aRefundAsksForAPIN,
		"a payment's news shuts the question for a manager": newsShutTheQuestion,
		"a payment comes over a PIN that is half typed":     aPaymentComesOverAPIN,
		"without operators nothing is asked":                nothingIsAsked,
	} {
		t.Run(name, func(t *testing.T) { story(t, browser) })
	}
}

func aSaleWithAPIN(t *testing.T, browser context.Context) {
	b, a, web := aStaffedShop(t, browser, pinToSell)
	b.do(chromedp.Navigate(web.URL))
	b.shows("signin")
	b.press("3")
	b.types(pinOfCashier)
	b.reads("●●●●●●")
	assert.NotContains(t, b.html(), pinOfCashier)
	b.press(kb.Enter)
	b.shows("idle")
	b.reads("陳小明")
	b.types("1250")
	b.press(kb.Enter)
	b.shows("waiting")
	assert.Equal(t, "P001", a.desk.by)
	assert.NotContains(t, b.html(), pinOfCashier)
}

func aWrongPIN(t *testing.T, browser context.Context) {
	b, _, web := aStaffedShop(t, browser, pinToSell)
	b.do(chromedp.Navigate(web.URL))
	b.shows("signin")
	b.press("3")
	for range 3 {
		b.types("0001")
		b.press(kb.Enter)
		b.reads("✖")
	}
	b.reads("30 s")
	b.wedge(eighteen) // a scan is nobody's PIN
	b.press(kb.Escape)
	b.reads("Lee Ka Yan")
	b.press("2")
	b.types(pinOfManager)
	b.press(kb.Enter)
	b.shows("idle")
}

func byTouchAlone(t *testing.T, browser context.Context) {
	b, _, web := aStaffedShop(t, browser, pinToSell)
	b.do(chromedp.Navigate(web.URL))
	b.shows("signin")
	b.do(chromedp.Click(`[data-action="signin_choose:2"]`))
	for _, digit := range pinOfManager {
		b.do(chromedp.Click(`[data-action="signin_digit:` + string(digit) + `"]`))
	}
	b.do(chromedp.Click(`.keypad [data-action="signin_enter"]`))
	b.shows("idle")
	b.do(chromedp.Click(`[data-action="signin_out"]`))
	b.shows("signin")
}

func theScreenLocks(t *testing.T, browser context.Context) {
	b, a, web := aStaffedShop(t, browser, pinToSell)
	b.do(chromedp.Navigate(web.URL))
	b.shows("signin")
	b.press("3")
	b.types(pinOfCashier)
	b.press(kb.Enter)
	b.shows("idle")
	b.types("1250")
	b.press(kb.Enter)
	b.shows("waiting")
	a.idleSince(time.Now().Add(-time.Hour))
	require.Eventually(t, func() bool { return !a.idle() }, showTime, 20*time.Millisecond, "the page asks every 5 s, and finds a payment that holds the till")
	held, ok := a.desk.Holding()
	require.True(t, ok)
	a.desk.move(held.OutTradeNo, paid)
	b.shows("paid")
	b.press(kb.Enter)
	b.shows("idle")
	b.types("99")
	b.reads("0.99")
	a.idleSince(time.Now().Add(-time.Hour))
	b.shows("signin")
	b.press("3")
	b.types(pinOfCashier)
	b.press(kb.Enter)
	b.shows("idle")
	assert.NotContains(t, b.text(), "0.99", "nothing typed by one reaches another")
}

func aRefundAsksForAPIN(t *testing.T, browser context.Context) {
	b, a, web := aStaffedShop(t, browser)
	id := a.armed("A-1001")
	a.desk.move(id, paid)
	_, err := a.desk.Acknowledge(t.Context(), id, payflow.Acknowledgement{At: noon(), How: payflow.GoodsGiven, Operator: "P001"})
	require.NoError(t, err)
	b.do(chromedp.Navigate(web.URL + "/?view=manager"))
	b.shows("signin")
	b.types(pinOfManager) // there is one manager: nobody is to be chosen
	b.press(kb.Enter)
	b.shows("manage_list")
	b.press("a")
	b.reads("A-1001")
	b.press("1")
	b.shows("manage_payment")
	b.press("r")
	b.shows("manage_refund")
	b.press(kb.Enter, "1")
	b.shows("manage_sure")
	b.reads("M001")
	a.server.signIns.mu.Lock()
	for _, in := range a.server.signIns.held {
		in.managerEnd = time.Now().Add(-time.Second)
	}
	a.server.signIns.mu.Unlock()
	b.press(kb.Enter)
	b.shows("signin")
	assert.Empty(t, a.back.refunds, "not before the PIN")
	b.types(pinOfManager)
	b.press(kb.Enter)
	b.shows("manage_payment")
	require.Len(t, a.back.refunds, 1)
	assert.Equal(t, "M001", a.back.refunds[0].Operator)
}

func newsShutTheQuestion(t *testing.T, browser context.Context) {
	b, a, web := aStaffedShop(t, browser)
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	id := a.armed("A-1001")
	a.desk.move(id, confirming)
	b.shows("password")
	a.desk.move(id, func(e *payflow.Entry) { e.Attention = payflow.AttentionMismatch })
	b.press("m")
	b.shows("manager")
	b.press("s")
	b.shows("question")
	b.press(kb.Enter)
	b.shows("signin")
	b.types("13")
	a.desk.move(id, paid)
	b.shows("paid")
	b.do(chromedp.KeyEvent("5"), chromedp.KeyEvent(kb.Enter)) // the hand that types the PIN goes on
	b.still()
	b.do(chromedp.KeyEvent("7"), chromedp.KeyEvent(kb.Enter), chromedp.Sleep(300*time.Millisecond)) // and a slow one too
	b.shows("paid")
	e, err := a.desk.Payment(id)
	require.NoError(t, err)
	assert.Empty(t, e.Acknowledged.How, "the end of a PIN has answered a result that nobody read")
	b.press(kb.Enter)
	b.shows("idle")
}

func aPaymentComesOverAPIN(t *testing.T, browser context.Context) {
	b, a, web := aStaffedShop(t, browser, func(c *Config) { c.PINToSell = true })
	b.do(chromedp.Navigate(web.URL))
	b.shows("signin")
	b.types("113") // the first name, then two digits
	b.reads("●●")
	id := a.armed("A-1001") // by the till's program
	b.shows("waiting")
	a.desk.move(id, paid)
	b.shows("paid")
	_, err := a.desk.Acknowledge(t.Context(), id, payflow.Acknowledgement{At: time.Now(), How: payflow.GoodsGiven})
	require.NoError(t, err)
	b.shows("signin")
	assert.NotContains(t, b.text(), "●", "whoever comes next finds nothing that another has typed")
}

func nothingIsAsked(t *testing.T, browser context.Context) {
	b, _, web := aShop(t, browser)
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	assert.NotContains(t, b.text(), "Sign in")
	b.do(chromedp.Navigate(web.URL + "/?view=manager"))
	b.shows("manage_list")
}
