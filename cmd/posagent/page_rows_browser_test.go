package main

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// TestARowThatMovesUnderAHandIsNotOpened: the till sells on while a manager looks at the list. What is pressed or touched in the moment in which
// another payment came to stand at its number opens nothing: a refund would begin at the wrong one.
func TestARowThatMovesUnderAHandIsNotOpened(t *testing.T) {
	p := openPageTillWith(t, newBrowser(t), pageTillWish{path: "?view=manager"})
	w := p.window
	onScreen(t, w, "manage_list")
	arm := func(minor int64, sale payflow.SaleRef) payflow.OutTradeNo {
		e, err := p.agent.engine.Arm(t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: minor, Currency: "HKD"}, SaleRef: sale, IdempotencyKey: string(sale)})
		require.NoError(t, err)
		return e.OutTradeNo
	}
	first := arm(1250, "A-1")
	_, err := p.agent.engine.Cancel(t.Context(), first, "")
	require.NoError(t, err)
	press(t, w, "a")
	reads(t, w, "12.50")
	// In the page itself, at once behind the change: by the keyboard, and by touch.
	require.NoError(t, chromedp.Do(w, chromedp.Evaluate[chromedp.Void](`new MutationObserver((_, seen) => {
		if (!document.querySelector('.row')?.innerText.includes('8.80')) return;
		seen.disconnect();
		setTimeout(() => {
			document.dispatchEvent(new KeyboardEvent('keydown', { key: '1', code: 'Digit1', bubbles: true }));
			document.querySelector('[data-action="row:1"]').click();
			setTimeout(() => { window.after = document.querySelector('[data-screen]').dataset.screen; }, 300);
		}, 0);
	}).observe(document.getElementById('page'), { childList: true, subtree: true, characterData: true })`)))
	arm(880, "A-2")
	reads(t, w, "8.80")
	var after string
	require.Eventually(t, func() bool {
		after, err = chromedp.Run(w, chromedp.Evaluate[string](`window.after || ''`))
		return err == nil && after != ""
	}, time.Minute, 20*time.Millisecond)
	assert.Equal(t, "manage_list", after)
	still(t, w)
	press(t, w, "1")
	onScreen(t, w, "manage_payment")
	press(t, w, kb.Escape)
	onScreen(t, w, "manage_list")
}
