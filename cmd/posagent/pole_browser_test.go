package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/scanner"
)

// TestTheTotalOfAnOldTillIsOfferedOnThePage: the total comes from a pseudo-terminal, the page shows it, and Enter arms it.
func TestTheTotalOfAnOldTillIsOfferedOnThePage(t *testing.T) {
	browser := newBrowser(t)
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	display, err := scanner.OpenPTY()
	require.NoError(t, err)
	t.Cleanup(func() { _ = display.Close() })
	require.NoError(t, writeTrialConfig(dir, trialConfig{StoreID: "SZTX001", TillID: "T1", Account: gateway.account(), PoleDevice: display.Path()}))
	cfg, err := LoadConfig(filepath.Join(dir, "posagent.toml"))
	require.NoError(t, err)
	a := runningAgent(t, cfg)
	require.Eventually(t, func() bool { ready, _, _ := a.poleState.get(); return ready && a.engine.Ready() == nil }, 20*time.Second, 20*time.Millisecond)

	require.NoError(t, chromedp.Do(browser, chromedp.EmulateViewport(800, 480), chromedp.Navigate("http://"+a.listeners[0].Addr().String()+"/")))
	onScreen(t, browser, "idle")
	_, err = display.Write([]byte("\x1b@TOTAL     HK$ 12.50"))
	require.NoError(t, err)
	offered(t, browser, true)
	press(t, browser, "5")
	offered(t, browser, false) // a hand has begun to type
	press(t, browser, kb.Escape)
	offered(t, browser, true)
	press(t, browser, kb.Enter)
	onScreen(t, browser, "waiting")
	offered(t, browser, false)
	e, holds := a.engine.Holding()
	require.True(t, holds)
	assert.EqualValues(t, 1250, e.Amount.Minor)
	assert.Contains(t, string(e.SaleRef), "POLE-")

	_, err = display.Write([]byte("\x1b@TOTAL     HK$ 15.00"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { e, holds := a.engine.Holding(); return holds && e.Amount.Minor == 1500 }, 20*time.Second, 50*time.Millisecond)
	_, err = display.Write([]byte("\x1b@CHANGE     HK$ 5.00"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, holds := a.engine.Holding(); return !holds }, 20*time.Second, 50*time.Millisecond)
	answer, err := http.Get("http://" + a.listeners[0].Addr().String() + "/v1/pole")
	require.NoError(t, err)
	answer.Body.Close()
	assert.Equal(t, http.StatusUnauthorized, answer.StatusCode, "what a shop sells is not for every program")
}

func offered(t *testing.T, browser context.Context, want bool) {
	t.Helper()
	within, stop := context.WithTimeout(browser, 30*time.Second)
	defer stop()
	condition := `(() => { const line = document.querySelector('.pole'); return line !== null && !line.hidden && line.textContent.startsWith('HK$ 12.50'); })()`
	if !want {
		condition = `document.querySelector('.pole').hidden`
	}
	for seen := false; !seen; {
		var err error
		seen, err = chromedp.Run(within, chromedp.Evaluate[bool](condition))
		require.NoError(t, err, "offered: %t", want)
		time.Sleep(50 * time.Millisecond)
	}
	folder := os.Getenv("POSAGENT_PICTURES")
	if folder == "" || !want {
		return
	}
	picture, err := chromedp.Run(browser, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "pole.png"), picture, 0o600))
}
