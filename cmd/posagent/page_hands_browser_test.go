package main

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

// reads waits until a window shows every one of some texts.
func reads(t *testing.T, window context.Context, texts ...string) {
	t.Helper()
	var shown string
	require.Eventually(t, func() bool {
		text, err := chromedp.Run(window, chromedp.Evaluate[string](`document.body.innerText`))
		shown = text
		for _, want := range texts {
			if !strings.Contains(text, want) {
				return false
			}
		}
		return err == nil
	}, time.Minute, 50*time.Millisecond, "the page never showed %q", texts)
	_ = shown
}

// centre is where a finger lands on a button.
type centre struct{ X, Y float64 }

// tap touches the button of an action.
func tap(t *testing.T, window context.Context, action string) {
	t.Helper()
	still(t, window)
	at := `(() => { const b = [...document.querySelectorAll('[data-action="` + action + `"]')].find((b) => !b.disabled); if (!b) return null;
		const r = b.getBoundingClientRect(); return { X: r.x + r.width / 2, Y: r.y + r.height / 2 }; })()`
	var place *centre
	require.Eventually(t, func() bool {
		found, err := chromedp.Run(window, chromedp.Evaluate[*centre](at))
		place = found
		return err == nil && found != nil
	}, time.Minute, 50*time.Millisecond, "there is no button for %s", action)
	require.NoError(t, chromedp.Do(window, chromedp.TapXY(place.X, place.Y), chromedp.Sleep(50*time.Millisecond)))
}

// TestASaleByTouchAlone: keypad, cancel, a sale that is paid, one that is not and is tried again. No key is pressed; codes come from the
// agent's scanner.
func TestASaleByTouchAlone(t *testing.T) {
	p := openPageTill(t, newBrowser(t), "")
	w := p.window
	require.NoError(t, chromedp.Do(w, chromedp.EmulateViewport(800, 480, chromedp.EmulateTouch), chromedp.Evaluate[chromedp.Void](
		`window.keysSeen = 0; window.touches = 0; addEventListener('keydown', () => window.keysSeen++, true); addEventListener('touchstart', () => window.touches++, true);`)))
	amount := func() {
		onScreen(t, w, "idle")
		for _, k := range []string{"1", "2", "6"} {
			tap(t, w, "digit:"+k)
		}
		tap(t, w, "erase")
		tap(t, w, "digit:5")
		tap(t, w, "digit:0")
		reads(t, w, "12.50")
		tap(t, w, "arm")
		onScreen(t, w, "waiting")
	}
	amount()
	tap(t, w, "cancel")
	amount()
	p.scan(p.gateway.code("pays-at-once"))
	onScreen(t, w, "paid")
	tap(t, w, "next")
	amount()
	p.scan(p.gateway.code("no-money"))
	onScreen(t, w, "declined")
	tap(t, w, "scan_again")
	onScreen(t, w, "waiting")
	p.scan(p.gateway.code("pays-at-once"))
	onScreen(t, w, "paid")
	tap(t, w, "next")
	onScreen(t, w, "idle")
	counts, err := chromedp.Run(w, chromedp.Evaluate[[]int](`[window.keysSeen, window.touches]`))
	require.NoError(t, err)
	assert.Zero(t, counts[0], "a key was pressed")
	assert.Greater(t, counts[1], 20, "fingers touched")
	recent, err := p.agent.engine.Recent(10)
	require.NoError(t, err)
	require.Len(t, recent, 4)
	assert.Equal(t, []payflow.Status{payflow.Paid, payflow.Declined, payflow.Paid, payflow.Cancelled}, []payflow.Status{recent[0].Status, recent[1].Status, recent[2].Status, recent[3].Status})
	assert.Equal(t, recent[0].SaleRef, recent[1].SaleRef)
}

// focusSeen says of the element that has the keyboard what it does and how wide the mark around it is.
const focusSeen = `(() => { const e = document.activeElement; if (!e || e === document.body) return { Action: '', Mark: 0 };
	const s = getComputedStyle(e); return { Action: e.dataset.action || e.tagName, Mark: s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth) }; })()`

type focus struct {
	Action string
	Mark   float64
}

// tabTo presses Tab until a button has the keyboard; each on the way shows that it has.
func tabTo(t *testing.T, window context.Context, action string) {
	t.Helper()
	for range 60 {
		press(t, window, kb.Tab)
		f, err := chromedp.Run(window, chromedp.Evaluate[focus](focusSeen))
		require.NoError(t, err)
		if f.Action != "" {
			assert.GreaterOrEqual(t, f.Mark, 2.0, "the focus on %s is not seen", f.Action)
		}
		if f.Action == action {
			return
		}
	}
	t.Fatalf("Tab never leads to %s", action)
}

// TestASaleByTabAndEnterAlone: a sale with Tab, Enter and digits; a declined one answered; the paid one given back on the manager's page.
func TestASaleByTabAndEnterAlone(t *testing.T) {
	p := openPageTill(t, newBrowser(t), "")
	w := p.window
	onScreen(t, w, "idle")
	press(t, w, "1", "2", "5", "0")
	tabTo(t, w, "arm")
	press(t, w, kb.Enter)
	onScreen(t, w, "waiting")
	p.scan(p.gateway.code("no-money"))
	onScreen(t, w, "declined")
	tabTo(t, w, "scan_again")
	press(t, w, kb.Enter)
	onScreen(t, w, "waiting")
	p.scan(p.gateway.code("pays-at-once"))
	onScreen(t, w, "paid")
	tabTo(t, w, "next")
	press(t, w, kb.Enter)
	onScreen(t, w, "idle")
	tabTo(t, w, "manage")
	press(t, w, kb.Enter)
	onScreen(t, w, "manage_list")
	tabTo(t, w, "tab:recent")
	press(t, w, kb.Enter)
	reads(t, w, "12.50")
	tabTo(t, w, "row:1")
	press(t, w, kb.Enter)
	onScreen(t, w, "manage_payment")
	tabTo(t, w, "refund")
	press(t, w, kb.Enter)
	onScreen(t, w, "manage_refund")
	tabTo(t, w, "refund_step:reason")
	press(t, w, kb.Enter)
	tabTo(t, w, "refund_why:1")
	press(t, w, kb.Enter)
	onScreen(t, w, "manage_sure")
	press(t, w, "m", "7")
	tabTo(t, w, "refund_send")
	press(t, w, kb.Enter)
	onScreen(t, w, "manage_payment")
	recent, err := p.agent.engine.Recent(1)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		refunds, err := p.agent.engine.RefundsOfPayment(recent[0].OutTradeNo)
		return err == nil && len(refunds) == 1 && refunds[0].Amount.Minor == 1250
	}, time.Minute, 50*time.Millisecond)
}
