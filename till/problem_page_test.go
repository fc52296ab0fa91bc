package till

import (
	"html"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryProblemsTypeIsAPageOfTheAgent(t *testing.T) {
	a := newTill(t)
	assert.Len(t, problemTitles, len(problemKinds))
	for code, kind := range problemKinds {
		p := newProblem(code, "")
		r := a.request(http.MethodGet, p.Type, "")
		r.Header.Del("Authorization") // whoever looks a problem up may have no token: it may be why
		got := a.do(r)
		require.Equal(t, http.StatusOK, got.Status, code)
		assert.Equal(t, "text/html; charset=utf-8", got.Header.Get("Content-Type"))
		assert.Contains(t, got.Header.Get("Content-Security-Policy"), "style-src 'sha256-")
		for _, text := range []string{string(code), kind.title, kind.next.EN, problemTitles[code][0], kind.next.ZhHans, problemTitles[code][1], kind.next.ZhHant} {
			require.NotEmpty(t, text, code)
			assert.Contains(t, html.UnescapeString(got.Body), text, code)
		}
	}
	for _, path := range []string{"/problems/nothing", "/problems/" + plantedCode, "/problems/till_busy/more", "/problems"} {
		got := a.get(path)
		assert.Equal(t, http.StatusNotFound, got.Status, path)
		assert.NotContains(t, got.Body, plantedCode)
	}
	assert.Contains(t, a.get("/problems/").Body, `href="/problems/till_busy"`)
	assert.Equal(t, http.StatusOK, a.through(a.server.SocketHandler(), a.request(http.MethodGet, "/problems/till_busy", "")).Status)
	assert.Equal(t, "/problems/not_found", a.get("/v1/nothing").problem().Type)
}
