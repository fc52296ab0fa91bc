package till

import (
	"context"
	_ "embed"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

//go:embed testdata/page_check.js
var pageCheck string

// The bounds of a browser test. What is waited for comes within moments, but for a machine that is busy.
const (
	browserTime = 4 * time.Minute
	showTime    = time.Minute // of one screen
)

// aBrowser is one window of a real browser.
type aBrowser struct {
	t   *testing.T
	ctx context.Context
}

func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// openBrowser starts a browser. It skips the test where there is no Chromium, or fails it where the environment requires one.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	if underRace && os.Getenv("POSAGENT_RACE_BROWSER") != "1" {
		t.Skip("the race detector runs: browser tests run without it, or with POSAGENT_RACE_BROWSER=1")
	}
	path := chromium()
	if path == "" && os.Getenv("POSAGENT_REQUIRE_BROWSER") == "1" {
		t.Fatal("no Chromium, and POSAGENT_REQUIRE_BROWSER=1 requires one; install the package chromium")
	}
	if path == "" {
		t.Skip("no Chromium: browser tests not run")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.UserDataDir(t.TempDir()))
	ctx, end := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, closeWindow := chromedp.NewContext(ctx)
	t.Cleanup(func() { closeWindow(); end() })
	require.NoError(t, chromedp.Do(ctx), "start %s", path)
	return ctx
}

// window opens a window; at its test's end nothing may have gone wrong in it: no script has thrown, and nothing was asked for that the
// page's policy forbids.
func window(t *testing.T, browser context.Context) *aBrowser {
	t.Helper()
	ctx, closeWindow := chromedp.NewContext(browser)
	require.NoError(t, chromedp.Do(ctx))
	var complaints []string
	messages, drained := chromedp.Console(ctx), make(chan struct{})
	go func() {
		defer close(drained)
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || (m.Type == chromedp.ConsoleError && m.Source != "network") {
				complaints = append(complaints, m.Text)
			}
		}
	}()
	t.Cleanup(func() {
		closeWindow()
		<-drained
		assert.Empty(t, complaints)
	})
	within, stop := context.WithTimeout(ctx, browserTime)
	t.Cleanup(stop)
	return &aBrowser{t: t, ctx: within}
}

func (b *aBrowser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// shows waits for a screen by its name.
func (b *aBrowser) shows(screen string) {
	b.t.Helper()
	within, stop := context.WithTimeout(b.ctx, showTime)
	defer stop()
	err := chromedp.Do(within, chromedp.WaitVisible(`[data-screen="`+screen+`"]`))
	require.NoError(b.t, err, "the screen %s never came; there is: %s", screen, b.text())
}

func (b *aBrowser) text() string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	require.NoError(b.t, err)
	return text
}

// reads waits until the page shows text: it draws when it has time.
func (b *aBrowser) reads(text string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return strings.Contains(b.text(), text) }, showTime, 20*time.Millisecond, "the page never showed %q", text)
}

func (b *aBrowser) html() string {
	b.t.Helper()
	html, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.documentElement.outerHTML`))
	require.NoError(b.t, err)
	return html
}

// still waits until the page takes keys again: behind a change that came by itself it does not for a moment.
func (b *aBrowser) still() {
	b.t.Helper()
	b.do(chromedp.WaitReady(`body:not(:has([data-still]))`))
}

// press sends keys as a hand does, one after another.
func (b *aBrowser) press(keys ...string) {
	b.t.Helper()
	b.still()
	for _, key := range keys {
		b.do(chromedp.KeyEvent(key), chromedp.Sleep(70*time.Millisecond))
	}
}

// wedge sends keys as a scanner that plays a keyboard does: all at once, with Enter behind them.
func (b *aBrowser) wedge(code string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`{
		const at = performance.now();
		for (const key of [...` + "`" + code + "`" + `, 'Enter']) {
			document.body.dispatchEvent(new KeyboardEvent('keydown', { key, code: key === 'Enter' ? 'Enter' : 'Digit' + key, bubbles: true, cancelable: true }));
		}
	}`))
}

// aShop is the page in a window, served by a till with a fake desk.
func aShop(t *testing.T, browser context.Context, change ...func(*Config)) (*aBrowser, *aTill, *httptest.Server) {
	t.Helper()
	a := newTill(t, append([]func(*Config){func(c *Config) { c.Words, c.Page = loadedWords(t), Page(loadedWords(t)) }}, change...)...)
	web := httptest.NewServer(a.server.Handler())
	t.Cleanup(web.Close)
	t.Cleanup(a.server.close) // before the server: it ends the streams
	return window(t, browser), a, web
}

// TestThePageInABrowser tells the page's stories in a real browser, each in a window and a shop of its own.
func TestThePageInABrowser(t *testing.T) {
	browser := openBrowser(t)
	for name, story := range map[string]func(*testing.T, context.Context){
		"every state fits its window and can be read":                 everyStateFits,
		"a sale by the keyboard alone":                                aSaleByTheKeyboard,
		"a code that is typed is never shown":                         aTypedCodeIsNeverShown,
		"a scan reaches nothing but a payment that waits":             aScanReachesOnlyWhatWaits,
		"after a load the page opens on what is open or unanswered":   afterALoad,
		"not paid must be answered, and the sale can be tried again":  notPaidMustBeAnswered,
		"the agent's silence is shown, and that it is offline before": theAgentsSilence,
		"the customer's window shows no more than the customer needs": theCustomersWindow,
		"the amount's number grows smaller by small steps":            theNumbersSize,
		"the manager is one key away, also when nothing is heard":     theManagerIsAKeyAway,
		"a payment that no code can reach ends by K, or goes on":      anUnreachedPayment,
		"a hand meant for another screen does nothing":                aHandMeantForAnotherScreen,
		"a scan before R is told, and a bill asked about":             aScanBeforeScanAgain,
		"the tone of WAIT comes when it lasts":                        theToneOfWait,
		"the number on a customer's bill is looked up":                aBillIsLookedUp,
		"a bill that the till's own scanner reads is asked about":     theScannersBillIsAskedAbout,
		"the page is light, and its first paint waits for nothing":    thePageIsLight,
		"the last payments, and one that is asked about again":        theLastPayments,
	} {
		t.Run(name, func(t *testing.T) { story(t, browser) })
	}
}

func everyStateFits(t *testing.T, browser context.Context) {
	b, _, web := aShop(t, browser)
	for _, size := range []struct {
		width, height int64
		theme         string
	}{{1024, 768, "light"}, {1366, 768, "light"}, {800, 600, "light"}, {800, 480, "light"}, {800, 480, "dark"}, {360, 640, "light"}} {
		b.do(chromedp.EmulateViewport(size.width, size.height), chromedp.Navigate(web.URL+"/page/storybook.html?theme="+size.theme),
			chromedp.WaitVisible(".storybook"))
		got, err := chromedp.Run(b.ctx, chromedp.Evaluate[checked](pageCheck, chromedp.EvalAwaitPromise))
		require.NoError(t, err)
		assert.Greater(t, got.Stories, 50)
		assert.Empty(t, got.Faults, "at %dx%d, %s:\n%s", size.width, size.height, size.theme, strings.Join(got.Faults, "\n"))
	}
}

// checked is what testdata/page_check.js returns.
type checked struct {
	Stories int      `json:"stories"`
	Faults  []string `json:"faults"`
}

const (
	eighteen      = "134567890123456789"
	eighteenOther = "134567890123456700"
)

func aSaleByTheKeyboard(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	b.press(strings.Split("1234567", "")...)
	b.reads("12,345.67")
	b.press(kb.Escape, "1", "2", "5", "0", "0", kb.Backspace)
	b.reads("12.50")
	b.press(kb.Enter)
	b.shows("waiting")
	held, ok := a.desk.Holding()
	require.True(t, ok)
	assert.Equal(t, payflow.Amount{Minor: 1250, Currency: "HKD"}, held.Amount)

	b.wedge(eighteen)
	b.shows("paying")
	assert.Equal(t, []string{eighteen}, a.desk.codes)
	a.desk.move(held.OutTradeNo, confirming)
	b.shows("password")
	a.desk.move(held.OutTradeNo, func(e *payflow.Entry) { e.Reason = payflow.ReasonUnknown })
	b.shows("unknown")
	b.press("m")
	b.shows("manager")
	b.press(kb.Escape)
	b.shows("unknown")
	a.desk.move(held.OutTradeNo, paid)
	b.shows("paid")
	b.press(kb.Enter)
	b.shows("idle")
	ended, err := a.desk.Payment(held.OutTradeNo)
	require.NoError(t, err)
	assert.Equal(t, payflow.GoodsGiven, ended.Acknowledged.How)
	assert.NotContains(t, b.html(), eighteen)
}

func aTypedCodeIsNeverShown(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	b.press("5", "0", "0", kb.Enter)
	b.shows("waiting")
	b.press("t")
	b.press(strings.Split(eighteen, "")...)
	b.reads(strings.Repeat("●", 18))
	shown := b.html()
	assert.NotContains(t, shown, eighteen[:6])
	b.press(kb.Enter)
	b.shows("paying")
	assert.Equal(t, []string{eighteen}, a.desk.codes)
}

func aScanReachesOnlyWhatWaits(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	b.press("7") // an amount was begun: what a scan may have mixed into it is dropped
	b.wedge(eighteen)
	b.reads("No amount has been entered")
	require.Eventually(t, func() bool { return regexp.MustCompile(`HK\$\s+0\.00`).MatchString(b.text()) }, showTime, 20*time.Millisecond)
	assert.NotContains(t, b.html(), eighteen[:6])
	_, armed := a.desk.Holding()
	assert.False(t, armed)

	b.press("5", "0", "0", kb.Enter)
	b.shows("waiting")
	held, _ := a.desk.Holding()
	b.wedge("2" + eighteen[1:])
	b.shows("wrong_code")
	b.reads("Other means")
	b.wedge(eighteen)
	b.shows("paying")
	a.desk.move(held.OutTradeNo, paid)
	b.shows("paid")
	b.wedge(eighteenOther) // the next customer's code, and its Enter, confirm nothing
	b.do(chromedp.Sleep(300 * time.Millisecond))
	b.shows("paid")
	ended, err := a.desk.Payment(held.OutTradeNo)
	require.NoError(t, err)
	assert.True(t, ended.Acknowledged.At.IsZero())
	assert.Equal(t, []string{eighteen}, a.desk.codes)
}

func afterALoad(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.armed("A-1")
	a.desk.move(id, confirming)
	b.do(chromedp.Navigate(web.URL))
	b.shows("password")
	b.do(chromedp.Navigate("about:blank"))
	a.desk.move(id, paid)
	b.do(chromedp.Navigate(web.URL))
	b.shows("not_announced")
	b.press(kb.Enter) // one key answers nothing: it may have been meant for another screen
	b.shows("question")
	b.press(kb.Escape)
	b.shows("not_announced")
	b.press("7", kb.Escape) // no amount is taken, and the key that goes back elsewhere records nothing
	b.shows("not_announced")
	b.press("0")
	b.shows("question")
	b.press(kb.Enter)
	b.shows("idle")
	ended, err := a.desk.Payment(id)
	require.NoError(t, err)
	assert.Equal(t, payflow.MoneyGivenBack, ended.Acknowledged.How)
}

func notPaidMustBeAnswered(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.armed("A-1")
	b.do(chromedp.Navigate(web.URL))
	b.shows("waiting")
	a.desk.move(id, reversing)
	b.shows("reversing")
	b.press(kb.Enter) // nothing to confirm while it goes on
	b.shows("reversing")
	a.desk.move(id, func(e *payflow.Entry) { e.Status, e.Reason, e.FinalAt = payflow.Reversed, payflow.ReasonClosed, noon() })
	b.shows("reversed")
	b.press("r")
	b.shows("waiting")
	ended, err := a.desk.Payment(id)
	require.NoError(t, err)
	assert.Equal(t, payflow.Seen, ended.Acknowledged.How)
	again, ok := a.desk.Holding()
	require.True(t, ok)
	assert.Equal(t, payflow.SaleRef("A-1"), again.SaleRef)
	assert.NotEqual(t, id, again.OutTradeNo)
	b.press(kb.Escape)
	b.shows("idle")
}

func theAgentsSilence(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	a.desk.mu.Lock()
	a.desk.notReady = &payflow.NotReadyError{Code: "no_network", Text: "no network"}
	a.desk.mu.Unlock()
	b.do(chromedp.Navigate(web.URL))
	b.shows("offline")
	a.desk.mu.Lock()
	a.desk.notReady = nil
	a.desk.mu.Unlock()
	b.shows("idle")
	a.server.close() // streams end, and none begins
	web.CloseClientConnections()
	web.Listener.Close()
	b.shows("lost")
}

func theCustomersWindow(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	id := a.armed("A-1")
	b.do(chromedp.Navigate(web.URL + "/?view=customer"))
	b.shows("scan")
	b.reads("12.50")
	assert.NotContains(t, b.text(), "A-1")
	assert.NotContains(t, b.html(), "data-action")
	b.press(kb.Escape) // the customer's window decides nothing
	a.desk.move(id, paid)
	b.shows("paid")
	ended, err := a.desk.Payment(id)
	require.NoError(t, err)
	assert.True(t, ended.Acknowledged.At.IsZero())
}

func aBillIsLookedUp(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	given := a.sold("A-1")
	a.desk.move(given, answeredWith(payflow.GoodsGiven))
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	b.press("b")
	b.shows("bill_scan")
	b.wedge(eighteen) // a payment code shown by mistake charges nothing
	b.reads("This is a payment code, not a bill")
	assert.NotContains(t, b.html(), eighteen)
	assert.Empty(t, a.desk.codes)
	b.press("b")
	b.shows("bill_scan")
	b.press(strings.Split(strings.ToLower(string(given)), "")...)
	b.press(kb.Enter)
	b.shows("found")
	b.reads("GOODS ALREADY GIVEN")

	// What a scanner reads that only the agent sees is the bill's too, as long as the page is about bills.
	require.Eventually(t, func() bool { return a.server.TakeBillScan("4200000000202611240000000009") }, showTime, 20*time.Millisecond)
	b.reads("WeChat Pay can't be asked now")
	b.press(kb.Escape)
	b.shows("idle")
	require.Eventually(t, func() bool { return a.server.billScans.now() == nil }, showTime, 20*time.Millisecond, "the next scan is no bill's any more")
}

// theNumbersSize types one digit after another: from 0.00 to 9,999,999.99 no step makes the number visibly jump, and none makes it spill over.
func theNumbersSize(t *testing.T, browser context.Context) {
	b, _, web := aShop(t, browser)
	for _, size := range [][2]int64{{800, 480}, {1024, 768}, {390, 844}} {
		b.do(chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(web.URL))
		b.shows("idle")
		sizes := []float64{}
		for digits := range 10 {
			if digits > 0 {
				b.press("9")
				b.reads([]string{"", "0.09", "0.99", "9.99", "99.99", "999.99", "9,999.99", "99,999.99", "999,999.99", "9,999,999.99"}[digits])
			}
			got, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]float64](`(() => { const n = document.querySelector('.idle .number'); const a = n.parentElement; return [parseFloat(getComputedStyle(n).fontSize), n.getBoundingClientRect().right - a.getBoundingClientRect().right]; })()`))
			require.NoError(t, err)
			assert.LessOrEqual(t, got[1], 0.0, "%d digits at %dx%d spill over", digits, size[0], size[1])
			if n := len(sizes); n > 0 {
				assert.Greater(t, got[0], 0.75*sizes[n-1], "%d digits at %dx%d", digits, size[0], size[1])
			}
			sizes = append(sizes, got[0])
		}
		t.Logf("%dx%d: px of the number by its digits: %.0f", size[0], size[1], sizes)
		b.press(kb.Escape)
	}
}

func theManagerIsAKeyAway(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	a.desk.mu.Lock()
	a.desk.notReady = &payflow.NotReadyError{Code: "journal", Text: "journal"}
	a.desk.mu.Unlock()
	b.do(chromedp.Navigate(web.URL))
	b.shows("offline")
	b.press("m")
	b.shows("manage_list")
	b.press(kb.Escape)
	b.shows("offline")
	a.server.close()
	web.CloseClientConnections()
	web.Listener.Close()
	b.shows("lost")
	b.press("m")
	b.reads("restart this PC")
	b.press(kb.Escape)
	b.reads("This screen has lost the till program")
}

// theScannersBillIsAskedAbout: the agent's own scanner reads a bill late in the wait for it, and WeChat Pay takes long.
func theScannersBillIsAskedAbout(t *testing.T, browser context.Context) {
	slow := &slowBills{answer: make(chan payflow.Outcome)}
	b, a, web := aShop(t, browser, func(c *Config) { c.Bills = slow })
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	b.press("b")
	b.shows("bill_scan")
	time.Sleep(4 * time.Second)
	require.Eventually(t, func() bool { return a.server.TakeBillScan(billID) }, showTime, 20*time.Millisecond)
	b.shows("bill_asking")
	time.Sleep(6 * time.Second) // longer than a call of the page's may take, with the wait before it
	select {
	case slow.answer <- payflow.Outcome{Kind: payflow.NoSuchOrder}:
	case <-time.After(time.Second):
	}
	b.shows("found")
	b.reads("WeChat Pay does not know")

	require.Eventually(t, func() bool { return a.server.billScans.now() != nil }, showTime, 20*time.Millisecond)
	done := a.server.billScans.look() // another window's
	b.shows("bill_asking")
	done()
	b.shows("found")
}

func theLastPayments(t *testing.T, browser context.Context) {
	b, a, web := aShop(t, browser)
	for n := range 22 {
		id := a.sold("A-" + sequenceText(uint64(n)))
		a.desk.move(id, answeredWith(payflow.GoodsGiven))
		a.desk.move(id, func(e *payflow.Entry) { e.ArmedAt = noon().Add(time.Duration(n) * time.Minute) })
	}
	unpaid := a.armed("B-1")
	a.desk.move(unpaid, answeredWith(payflow.Seen))
	a.desk.move(unpaid, func(e *payflow.Entry) {
		e.Status, e.Reason, e.FinalAt, e.FirstPayAt = payflow.Declined, payflow.ReasonNotEnough, noon(), noon()
		e.ArmedAt = noon().Add(time.Hour)
	})
	b.do(chromedp.Navigate(web.URL))
	b.shows("idle")
	b.press("l")
	b.shows("last_list")
	b.reads("B-1")
	b.reads("(1/5)")
	b.press("1")
	b.shows("found")
	b.reads("NOT PAID on this till")
	b.press("c")
	require.Eventually(t, func() bool {
		e, err := a.desk.Payment(unpaid)
		return err == nil && e.Late.Stage == payflow.LateOwed
	}, showTime, 20*time.Millisecond, "WeChat Pay was never asked again")
	a.desk.move(unpaid, func(e *payflow.Entry) { e.Late = payflow.Late{Stage: payflow.LateTakingBack, MoneySeen: true} })
	b.reads("it goes back by itself")
	b.press(kb.Escape)
	b.shows("last_list")
	id := a.armed("C-1") // a payment that till software arms comes before anything that is looked up
	b.shows("waiting")
	b.press(kb.Escape)
	b.shows("idle")
	ended, err := a.desk.Payment(id)
	require.NoError(t, err)
	assert.Equal(t, payflow.Cancelled, ended.Status)
}
