package main

import (
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

const (
	screenChanges = 240                   // two of each payment
	screenLine    = 50 * time.Millisecond // at the 95th percentile
)

// watchFrames keeps when each screen stood in the document, and when the frame began that draws it.
const watchFrames = `{
	window.framesSeen = [];
	let last = '';
	new MutationObserver(() => {
		const name = document.querySelector('[data-screen]')?.dataset.screen;
		if (!name || name === last) return;
		last = name;
		const seen = { name, at: performance.timeOrigin + performance.now(), drawn: 0 };
		window.framesSeen.push(seen);
		requestAnimationFrame(() => { seen.drawn = performance.timeOrigin + performance.now(); });
	}).observe(document.getElementById('page'), { subtree: true, childList: true, attributes: true, attributeFilter: ['data-screen'] });
}`

// BenchmarkEventToScreen measures from the engine's announcement to the page's changed screen, in a real browser, over the line that the
// page has in a shop: the event stream on loopback. Both clocks are this machine's.
func BenchmarkEventToScreen(b *testing.B) {
	p := openPageTill(b, newBrowser(b), "")
	require.NoError(b, chromedp.Do(p.window, chromedp.WaitVisible(`[data-screen="idle"]`), chromedp.Evaluate[chromedp.Void](watchFrames)))
	changes := p.agent.engine.Subscribe(b.Context())
	var told []time.Time
	for len(told) < screenChanges {
		e := p.arm()
		told = append(told, awaitChange(b, changes, payflow.Waiting))
		require.NoError(b, chromedp.Do(p.window, chromedp.WaitVisible(`[data-screen="waiting"]`)))
		_, err := p.agent.engine.Cancel(b.Context(), e.OutTradeNo, "P001")
		require.NoError(b, err)
		told = append(told, awaitChange(b, changes, payflow.Cancelled))
		require.NoError(b, chromedp.Do(p.window, chromedp.WaitVisible(`[data-screen="cancelled"]`)))
		p.answer(e.OutTradeNo, payflow.Seen)
		require.NoError(b, chromedp.Do(p.window, chromedp.WaitVisible(`[data-screen="idle"]`)))
	}
	type frame struct {
		Name      string
		At, Drawn float64
	}
	frames, err := chromedp.Run(p.window, chromedp.Evaluate[[]frame](`window.framesSeen`))
	require.NoError(b, err)
	frames = slices.DeleteFunc(frames, func(f frame) bool { return f.Name != "waiting" && f.Name != "cancelled" })
	require.Len(b, frames, len(told))
	changed, drawn := make(samples, len(told)), make(samples, len(told))
	for i, f := range frames {
		changed[i] = time.UnixMicro(int64(f.At * 1000)).Sub(told[i])
		drawn[i] = time.UnixMicro(int64(f.Drawn * 1000)).Sub(told[i])
	}
	b.Logf("%d changes: the document changed after %v (median) and %v (p95), the frame that draws it began after %v and %v", len(told),
		changed.at(0.5), changed.at(0.95), drawn.at(0.5), drawn.at(0.95))
	b.ReportMetric(float64(drawn.at(0.5))/1e6, "p50-ms")
	atMost(b, "event to the page's changed screen in ms, p95", "p95-ms", float64(drawn.at(0.95))/1e6, float64(screenLine)/1e6)
}

// awaitChange returns when the engine announced a status.
func awaitChange(b *testing.B, changes <-chan payflow.Announcement, status payflow.Status) time.Time {
	b.Helper()
	for a := range changes {
		if a.Refund == nil && a.Entry.Status == status {
			return time.Now()
		}
	}
	b.Fatal("the engine announces nothing more")
	return time.Time{}
}
