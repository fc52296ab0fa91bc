package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// TestAPaymentTypedOnThePageEndsPaid is the demo as a newcomer sees it: a browser, the agent, simulated WeChat Pay. POSAGENT_PICTURES
// names a folder for a picture of each screen that it meets.
func TestAPaymentTypedOnThePageEndsPaid(t *testing.T) {
	browser := newBrowser(t)
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	cfg, err := demoConfig(dir, demoFlags{listen: "127.0.0.1:0"}, gateway)
	require.NoError(t, err)
	a := runningAgent(t, cfg)
	require.Eventually(t, func() bool { return a.engine.Ready() == nil }, 20*time.Second, 20*time.Millisecond)

	address := a.listeners[0].Addr().String()
	require.NoError(t, chromedp.Do(browser, chromedp.EmulateViewport(1024, 768), chromedp.Navigate("http://"+address+"/")))
	sellOnPage(t, browser, wxsim.CodeFor("pays-at-once", 1), "paid", kb.Enter)
	sellOnPage(t, browser, wxsim.CodeFor("no-money", 2), "declined", "k")
	onScreen(t, browser, "idle")

	recent, err := a.engine.Recent(10)
	require.NoError(t, err)
	require.Len(t, recent, 2)
	assert.Equal(t, payflow.Declined, recent[0].Status)
	assert.Equal(t, payflow.Paid, recent[1].Status)
	assert.EqualValues(t, 1250, recent[1].Amount.Minor)
	assert.Equal(t, payflow.GoodsGiven, recent[1].Acknowledged.How, "Enter on the paid screen says that the goods were given")
	order, known := gateway.sim.Books().Order(string(recent[1].OutTradeNo))
	require.True(t, known)
	assert.EqualValues(t, 1250, order.Held)
}

func TestAPageLeadsIntoTrainingAndOutOfIt(t *testing.T) {
	browser := newBrowser(t)
	a, _ := aDemoAgent(t)
	before := a.journal.Head()
	address := "http://" + a.listeners[0].Addr().String() + "/"
	require.NoError(t, chromedp.Do(browser, chromedp.EmulateViewport(1024, 768), chromedp.Navigate(address)))
	onScreen(t, browser, "idle")
	press(t, browser, "o")
	onScreen(t, browser, "options")
	press(t, browser, "8")
	onScreen(t, browser, "question")
	press(t, browser, kb.Enter)
	training := func(there string) {
		t.Helper()
		within, stop := context.WithTimeout(browser, time.Minute)
		defer stop()
		require.NoError(t, chromedp.Do(within, chromedp.WaitVisible(there+` [data-screen="idle"]`)))
	}
	training(`body:has(.training)`)
	press(t, browser, "1", "2", "5", "0", kb.Enter)
	onScreen(t, browser, "waiting")
	press(t, browser, "1") // a customer who pays at once
	onScreen(t, browser, "paid")
	press(t, browser, kb.Enter)
	onScreen(t, browser, "idle")

	_, err := a.engine.Arm(t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: 880, Currency: "HKD"}, SaleRef: "A-1", IdempotencyKey: "k-1"})
	require.NoError(t, err)
	onScreen(t, browser, "waiting") // the real one, without anybody's doing
	press(t, browser, kb.Escape)
	training(`body:not(:has(.training))`)
	recent, err := a.engine.Recent(10)
	require.NoError(t, err)
	require.Len(t, recent, 1, "training is in no journal but its own")
	assert.Greater(t, a.journal.Head().Sequence, before.Sequence)
}

// sellOnPage enters 12.50 by the keyboard, then a code as a hand does, waits for the screen of its end, and answers it.
func sellOnPage(t *testing.T, browser context.Context, code, end, answer string) {
	t.Helper()
	onScreen(t, browser, "idle")
	press(t, browser, "1", "2", "5", "0", kb.Enter)
	onScreen(t, browser, "waiting")
	press(t, browser, "t")
	press(t, browser, append(splitKeys(code), kb.Enter)...)
	onScreen(t, browser, end)
	press(t, browser, answer)
}

func splitKeys(code string) []string { return strings.Split(code, "") }

// still waits until the page takes keys again: behind a change that came by itself it does not for a moment.
func still(t *testing.T, browser context.Context) {
	t.Helper()
	within, stop := context.WithTimeout(browser, time.Minute)
	defer stop()
	require.NoError(t, chromedp.Do(within, chromedp.WaitReady(`body:not(:has([data-still]))`)))
}

// press sends keys as a hand does, one after another.
func press(t *testing.T, browser context.Context, keys ...string) {
	t.Helper()
	for _, key := range keys {
		still(t, browser)
		require.NoError(t, chromedp.Do(browser, chromedp.KeyEvent(key), chromedp.Sleep(90*time.Millisecond)))
	}
}

// onScreen waits for a screen by its name, and takes its picture where pictures are asked for.
func onScreen(t *testing.T, browser context.Context, screen string) {
	t.Helper()
	within, stop := context.WithTimeout(browser, time.Minute)
	defer stop()
	if err := chromedp.Do(within, chromedp.WaitVisible(`[data-screen="`+screen+`"]`)); err != nil {
		shows, _ := chromedp.Run(browser, chromedp.Evaluate[string](`document.querySelector('[data-screen]')?.dataset.screen + ': ' + document.body.innerText`))
		require.NoError(t, err, "the screen %s never came; the page shows %s", screen, shows)
	}
	folder := os.Getenv("POSAGENT_PICTURES")
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(browser, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, screen+".png"), picture, 0o600))
}

// newBrowser opens a window of Debian's Chromium. Without one the test is skipped, unless the environment requires it.
func newBrowser(t testing.TB) context.Context {
	t.Helper()
	if underRace && os.Getenv("POSAGENT_RACE_BROWSER") != "1" {
		t.Skip("the race detector runs: browser tests run without it, or with POSAGENT_RACE_BROWSER=1")
	}
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("POSAGENT_REQUIRE_BROWSER") == "1" {
		t.Fatal("no Chromium, and POSAGENT_REQUIRE_BROWSER=1 requires one; install the package chromium")
	}
	if err != nil {
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
