package till

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pageWeightMax is what a first load of the cashier's page may weigh on its way, in bytes.
const pageWeightMax = 100_000

func TestTheRootHasItsSheetsInItAndAllowsThemAlone(t *testing.T) {
	a := thePage(t)
	w := a.browse(http.MethodGet, "/")
	text := w.Body.String()
	assert.NotContains(t, text, `rel="stylesheet" href="/page/page.css"`)
	for _, name := range builtInPage() {
		if strings.HasSuffix(name, ".css") && name != "slip.css" {
			assert.Contains(t, text, builtIn(name), "%s is in no sheet of the root: link it in index.html", name)
		}
	}
	for _, name := range modulesOf(builtIn, "page.js", nil) {
		assert.Contains(t, text, `<link rel="modulepreload" href="/page/`+name+`">`)
	}
	policy := w.Header().Get("Content-Security-Policy")
	assert.Regexp(t, `style-src 'self' 'sha256-[A-Za-z0-9+/=]{44}';`, policy)
	assert.NotContains(t, policy, "unsafe")
	assert.NotContains(t, a.browse(http.MethodGet, "/page/storybook.html").Header().Get("Content-Security-Policy"), "sha256")
}

func TestAPackedFileIsTheFile(t *testing.T) {
	a := thePage(t)
	plain := a.browse(http.MethodGet, "/page/words.json")
	short := a.browse(http.MethodGet, "/page/words.json", "Accept-Encoding", "gzip")
	assert.Empty(t, plain.Header().Get("Content-Encoding"))
	require.Equal(t, "gzip", short.Header().Get("Content-Encoding"))
	assert.Less(t, short.Body.Len(), plain.Body.Len()/2)
	assert.NotEqual(t, plain.Header().Get("ETag"), short.Header().Get("ETag"))
	r, err := gzip.NewReader(short.Body)
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, plain.Body.String(), string(text))
	again := a.browse(http.MethodGet, "/page/words.json", "Accept-Encoding", "gzip", "If-None-Match", short.Header().Get("ETag"))
	assert.Equal(t, http.StatusNotModified, again.Code)
}

// thePageIsLight measures in the browser what a first load weighs, and that its first paint waits for no second request.
func thePageIsLight(t *testing.T, browser context.Context) {
	a := newTill(t, func(c *Config) { c.Words, c.Page = loadedWords(t), Page(loadedWords(t)) })
	painted := make(chan struct{})
	handler := a.server.Handler()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			select {
			case <-painted:
			case <-r.Context().Done():
				return
			}
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	t.Cleanup(a.server.close)
	b := window(t, browser)
	b.do(chromedp.Evaluate[chromedp.Void]("location.href = '" + web.URL + "/'"))
	b.shows("loading") // nothing but the root has been answered
	waitFor := `new Promise((done) => { const look = () => performance.getEntriesByName('first-contentful-paint').length ? done(true) : setTimeout(look, 20); look(); })`
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](waitFor, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	assert.True(t, got)
	close(painted)
	b.shows("idle")
	weight, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].reduce((sum, e) => sum + e.transferSize, 0)`))
	require.NoError(t, err)
	t.Logf("a first load weighs %d bytes", weight)
	assert.Less(t, weight, pageWeightMax)
	assert.Greater(t, weight, 20_000, "it was not measured")
}
