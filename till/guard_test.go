package till

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnlyTheTillsOwnNamesAreAnswered(t *testing.T) {
	a := newTill(t, func(c *Config) { c.AllowedHosts = []string{"till1.shop.example"} })
	for host, status := range map[string]int{
		"127.0.0.1:7080": 200, "localhost:7080": 200, "LOCALHOST": 200, "[::1]:7080": 200, "[::1]": 200, "till1.shop.example:7080": 200,
		"attacker.example:7080": 403, "127.0.0.1.attacker.example": 403, "localhost.": 403, "till1.shop.example.attacker.example": 403, "": 403,
		"169.254.169.254": 403, "0.0.0.0:7080": 403, "localhost:7080:7080": 403,
	} {
		for _, path := range []string{"/healthz", "/", "/v1/status"} {
			r := a.request(http.MethodGet, path, "")
			r.Host = host
			got := a.do(r)
			if status == http.StatusForbidden {
				assert.Equal(t, BadHost, got.problem().Code, "%s%s", host, path)
			} else {
				assert.NotEqual(t, http.StatusForbidden, got.Status, "%s%s", host, path)
			}
		}
	}
}

func TestATokenOpensWhatItsScopesSay(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	bearer := func(token, method, path string) answer {
		r := a.request(method, path, "")
		r.Header.Set("Authorization", token)
		return a.do(r)
	}
	report, _, err := a.server.cfg.Tokens.Create("head office", []Scope{ScopeReport})
	require.NoError(t, err)
	pay, _, err := a.server.cfg.Tokens.Create("kiosk", []Scope{ScopePay})
	require.NoError(t, err)

	cancel := "/v1/payments/" + string(id) + "/cancel"
	assert.Equal(t, Forbidden, bearer("Bearer "+report, http.MethodPost, cancel).problem().Code)
	assert.Equal(t, http.StatusOK, bearer("Bearer "+report, http.MethodGet, "/v1/journal").Status)
	assert.Equal(t, Forbidden, bearer("Bearer "+pay, http.MethodGet, "/v1/journal").problem().Code)
	assert.Equal(t, http.StatusOK, bearer("bearer "+pay, http.MethodPost, cancel).Status)
	for _, wrong := range []string{"Bearer posagent_wrong", "Bearer ", "Basic " + pay, pay, "Bearer " + pay + "x"} {
		got := bearer(wrong, http.MethodGet, "/v1/status")
		assert.Equal(t, Unauthorized, got.problem().Code, wrong)
		assert.Contains(t, got.Header.Get("WWW-Authenticate"), "Bearer")
	}
	none := a.request(http.MethodGet, "/v1/payments", "")
	none.Header.Del("Authorization")
	assert.Equal(t, Unauthorized, a.do(none).problem().Code)
}

func TestTheSocketTrustsWhoeverMayOpenIt(t *testing.T) {
	a := newTill(t)
	r := a.request(http.MethodGet, "/v1/journal", "")
	r.Header.Del("Authorization")
	r.Host = "anything"
	assert.Equal(t, http.StatusOK, a.through(a.server.SocketHandler(), r).Status)
	page := a.request(http.MethodGet, "/", "")
	assert.Equal(t, NotFound, a.through(a.server.SocketHandler(), page).problem().Code)
}

func TestAnotherSitesPageCanWriteNothing(t *testing.T) {
	a := newTill(t, func(c *Config) { c.CORSOrigins = []string{"https://pos.shop.example"} })
	id := a.armed("A-1001")
	cases := map[string]struct {
		origin, site string
		refused      bool
	}{
		"a program":                      {"", "", false},
		"our own page":                   {"http://127.0.0.1:7080", "same-origin", false},
		"another site":                   {"https://attacker.example", "cross-site", true},
		"another port of this machine":   {"http://127.0.0.1:3000", "same-site", true},
		"an old browser":                 {"https://attacker.example", "", true},
		"no origin but a foreign site":   {"", "cross-site", true},
		"a page in a frame without name": {"null", "cross-site", true},
		"an origin that is configured":   {"https://pos.shop.example", "cross-site", false},
		"one that begins like it":        {"https://pos.shop.example.attacker.example", "cross-site", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := a.request(http.MethodPost, "/v1/payments/"+string(id)+"/cancel", "")
			r.Header.Set("Origin", c.origin)
			r.Header.Set("Sec-Fetch-Site", c.site)
			if c.refused {
				assert.Equal(t, CrossOrigin, a.do(r).problem().Code)
			} else {
				assert.NotEqual(t, http.StatusForbidden, a.do(r).Status)
			}
		})
	}
}

func TestOnlyAConfiguredOriginMayReadAnswers(t *testing.T) {
	a := newTill(t, func(c *Config) { c.CORSOrigins = []string{"https://pos.shop.example"} })
	ask := func(origin, method string) answer {
		r := a.request(method, "/v1/payments", "")
		r.Header.Set("Origin", origin)
		if method == http.MethodOptions {
			r.Header.Del("Authorization")
			r.Header.Set("Access-Control-Request-Method", "POST")
			r.Header.Set("Access-Control-Request-Private-Network", "true")
		}
		return a.do(r)
	}
	good := ask("https://pos.shop.example", http.MethodOptions)
	assert.Equal(t, http.StatusNoContent, good.Status)
	assert.Equal(t, "https://pos.shop.example", good.Header.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, good.Header.Get("Access-Control-Allow-Headers"), "Idempotency-Key")
	assert.NotContains(t, good.Header.Get("Access-Control-Allow-Headers"), pageHeader)
	assert.Empty(t, good.Header.Get("Access-Control-Allow-Credentials"), "the page's cookie is for the page")
	assert.Equal(t, "true", good.Header.Get("Access-Control-Allow-Private-Network"))
	assert.Equal(t, "https://pos.shop.example", ask("https://pos.shop.example", http.MethodGet).Header.Get("Access-Control-Allow-Origin"))
	for _, method := range []string{http.MethodOptions, http.MethodGet} {
		bad := ask("https://attacker.example", method)
		assert.Empty(t, bad.Header.Get("Access-Control-Allow-Origin"))
		assert.Contains(t, bad.Header.Values("Vary"), "Origin")
	}
}

func TestWhatIsNoCallIsAnsweredInOurWords(t *testing.T) {
	a := newTill(t)
	assert.Equal(t, NotFound, a.get("/v1/nothing").problem().Code)
	assert.Equal(t, NotFound, a.get("/v1//payments").problem().Code)
	assert.Equal(t, NotFound, a.get("/v1/payments/").problem().Code)
	wrong := a.do(a.request(http.MethodDelete, "/v1/payments", ""))
	assert.Equal(t, MethodNotAllowed, wrong.problem().Code)
	assert.Contains(t, wrong.Header.Get("Allow"), "POST")
	assert.Equal(t, MethodNotAllowed, a.post("/", "").problem().Code)
}

func TestEveryAnswerIsHardened(t *testing.T) {
	a := newTill(t, func(c *Config) {
		c.Page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the page")) })
	})
	for _, path := range []string{"/v1/status", "/", "/v1/nothing"} {
		h := a.get(path).Header
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		assert.Equal(t, "DENY", h.Get("X-Frame-Options"))
		assert.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'")
		assert.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	}
	assert.Equal(t, "no-store", a.get("/v1/status").Header.Get("Cache-Control"))
}
