package main

import (
	"context"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// lostSoon is far above the two seconds that a cashier may be left without a word: a busy machine is no fault of the page's. The measured
// time is printed.
const lostSoon = 8 * time.Second

// watchScreens has a window keep when each of its screens came, by this machine's clock.
const watchScreens = `{
	window.screensSeen = [];
	const note = () => {
		const name = document.querySelector('[data-screen]')?.dataset.screen;
		const seen = window.screensSeen;
		if (name && (seen.length === 0 || seen[seen.length - 1].name !== name)) seen.push({ name, at: performance.timeOrigin + performance.now() });
	};
	note();
	new MutationObserver(note).observe(document.getElementById('page'), { subtree: true, childList: true, attributes: true, attributeFilter: ['data-screen'] });
}`

type screenSeen struct {
	Name string  `json:"name"`
	At   float64 `json:"at"` // ms since 1970
}

func (s screenSeen) time() time.Time { return time.UnixMicro(int64(s.At * 1000)) }

// lostWithin waits for the screen that says so, and returns how long it took to come.
func lostWithin(t *testing.T, window context.Context, since time.Time) time.Duration {
	t.Helper()
	onScreen(t, window, "lost")
	seen, err := chromedp.Run(window, chromedp.Evaluate[[]screenSeen](`window.screensSeen`))
	require.NoError(t, err)
	took := seen[len(seen)-1].time().Sub(since)
	require.Less(t, took, lostSoon)
	return took
}

// aProcess is a till whose agent is a process of its own, with its page in a window.
func aProcess(t *testing.T, browser context.Context) (*trialTill, *trial, context.Context) {
	t.Helper()
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	tt, err := openTrialTill(filepath.Join(dir, "K1"), "K1", trialConfig{StoreID: "SZTX001", TillID: "K1", Account: gateway.account(), Listen: address})
	require.NoError(t, err)
	tt.extra = []string{asPosagent + "=1"}
	t.Cleanup(func() { tt.kill(); _ = tt.pty.Close() })
	require.NoError(t, tt.start(t.Context()))
	require.NoError(t, tt.awaitReady(t.Context()))
	window, shut := chromedp.NewContext(browser)
	t.Cleanup(shut)
	require.NoError(t, chromedp.Do(window, chromedp.EmulateViewport(1024, 768), chromedp.Navigate("http://"+address+"/")))
	onScreen(t, window, "idle")
	return tt, gateway, window
}

// TestAPageWhoseAgentIsKilledSaysSoAndOpensOnThePaymentThatTheCrashInterrupted: killed while the pay call is out, and once more after its
// end, before anybody was told.
func TestAPageWhoseAgentIsKilledSaysSoAndOpensOnThePaymentThatTheCrashInterrupted(t *testing.T) {
	tt, gateway, window := aProcess(t, newBrowser(t))
	p, err := tt.arm(t.Context(), "A-1", 1250)
	require.NoError(t, err)
	onScreen(t, window, "waiting")
	require.NoError(t, tt.scan(gateway.code("answer-late")))
	require.NoError(t, gateway.awaitArrival(t.Context(), p.ID))
	onScreen(t, window, "paying")
	require.NoError(t, chromedp.Do(window, chromedp.Evaluate[chromedp.Void](watchScreens)))
	killed := time.Now()
	tt.kill()
	took := lostWithin(t, window, killed)
	reads(t, window, "12.50", "Do not charge again")
	back := time.Now()
	require.NoError(t, tt.start(t.Context()))
	onScreen(t, window, "not_announced")
	reads(t, window, "A-1", "12.50")
	t.Logf("killed: %v until the page said so; back on the interrupted payment %v after the start", took.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
	press(t, window, "a")
	onScreen(t, window, "question")
	press(t, window, "\r")
	onScreen(t, window, "idle")
	p, err = tt.client.Payment(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, payflow.Paid, p.Status)
	require.Equal(t, payflow.GoodsGiven, p.How)
}

func TestAPageWhoseAgentHangsSaysSoAndComesBack(t *testing.T) {
	tt, _, window := aProcess(t, newBrowser(t))
	_, err := tt.arm(t.Context(), "A-1", 1250)
	require.NoError(t, err)
	onScreen(t, window, "waiting")
	require.NoError(t, chromedp.Do(window, chromedp.Evaluate[chromedp.Void](watchScreens)))
	hung := time.Now()
	require.NoError(t, tt.cmd.Process.Signal(syscall.SIGSTOP))
	took := lostWithin(t, window, hung)
	time.Sleep(3 * time.Second) // longer than one stream is waited for
	on := time.Now()
	require.NoError(t, tt.cmd.Process.Signal(syscall.SIGCONT))
	onScreen(t, window, "waiting")
	t.Logf("hung: %v until the page said so; back %v after it went on", took.Round(time.Millisecond), time.Since(on).Round(time.Millisecond))
}

// TestAPageBehindALineThatGoesDeadSaysSoAndComesBack: nothing is carried and nobody hangs up; then the line carries again, or its dead
// connections are cut and new ones are carried.
func TestAPageBehindALineThatGoesDeadSaysSoAndComesBack(t *testing.T) {
	p := openPageTill(t, newBrowser(t), "")
	onScreen(t, p.window, "idle")
	p.arm()
	for _, mend := range []struct {
		name string
		do   func()
	}{{"it carries again", p.line.flow}, {"it is cut, and carries new connections", func() { p.line.cut(); p.line.flow() }}, {"it is cut alone", nil}} {
		onScreen(t, p.window, "waiting")
		require.NoError(t, chromedp.Do(p.window, chromedp.Evaluate[chromedp.Void](watchScreens)))
		if mend.do == nil {
			p.line.cut()
			time.Sleep(3 * time.Second)
			onScreen(t, p.window, "waiting") // a connection that is cut is made again, and no cashier hears of it
			continue
		}
		dead := time.Now()
		p.line.stall()
		took := lostWithin(t, p.window, dead)
		time.Sleep(4 * time.Second)
		back := time.Now()
		mend.do()
		onScreen(t, p.window, "waiting")
		t.Logf("%s: %v until the page said so; back after %v", mend.name, took.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
	}
}
