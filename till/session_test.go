package till

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// opened loads the page and returns its cookie, nil where none was given.
func (a *aTill) opened(change func(*http.Request)) *http.Cookie {
	a.t.Helper()
	r := a.request(http.MethodGet, "/", "")
	r.Header.Del("Authorization")
	change(r)
	got := a.do(r)
	cookies := (&http.Response{Header: got.Header}).Cookies()
	if len(cookies) == 0 {
		return nil
	}
	return cookies[0]
}

// ofPage makes a request as the page does.
func (a *aTill) ofPage(c *http.Cookie, method, path, body string) *http.Request {
	r := a.request(method, path, body)
	r.Header.Del("Authorization")
	r.AddCookie(c)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		r.Header.Set("Origin", "http://127.0.0.1:7080")
		r.Header.Set(pageHeader, pageValue)
	}
	return r
}

func TestThePageGetsASessionThatNoScriptReadsAndNoOtherHostSees(t *testing.T) {
	a := newTill(t)
	c := a.opened(func(*http.Request) {})
	require.NotNil(t, c)
	assert.True(t, c.HttpOnly)
	assert.Equal(t, http.SameSiteStrictMode, c.SameSite)
	assert.Empty(t, c.Domain)
	assert.Equal(t, "/", c.Path)
	assert.Equal(t, "posagent_session_7080", c.Name, "two tills on one PC differ by their port alone")
}

func TestASessionIsGivenOnLoopbackOnly(t *testing.T) {
	a := newTill(t, func(c *Config) { c.AllowedHosts = []string{"till1.shop.example"} })
	assert.Nil(t, a.opened(func(r *http.Request) { r.RemoteAddr = "192.168.1.20:50000" }))
	assert.Nil(t, a.opened(func(r *http.Request) { r.Host = "till1.shop.example:7080" }), "behind a proxy everybody comes from loopback")
	assert.NotNil(t, a.opened(func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:50000", "[::1]:7080" }))
}

func TestThePagePaysWithItsSession(t *testing.T) {
	a := newTill(t)
	c := a.opened(func(*http.Request) {})
	r := a.ofPage(c, http.MethodPost, "/v1/payments", `{"amount":1250,"sale_ref":"A-1001"}`)
	r.Header.Set("Idempotency-Key", "k1")
	got := a.do(r)
	require.Equal(t, http.StatusCreated, got.Status, got.Body)
	code := a.do(a.ofPage(c, http.MethodPost, "/v1/payments/"+string(got.payment().ID)+"/code", `{"code":"`+aCode+`"}`))
	assert.Equal(t, http.StatusAccepted, code.Status, "the page's own code is taken where the API's is not")
	assert.Equal(t, http.StatusOK, a.do(a.ofPage(c, http.MethodGet, "/v1/payments", "")).Status)
}

func TestAForgedRequestWithThePagesCookieIsRefused(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	c := a.opened(func(*http.Request) {})
	path := "/v1/payments/" + string(id) + "/cancel"

	form := a.ofPage(c, http.MethodPost, path, "")
	form.Header.Del(pageHeader)
	assert.Equal(t, Unauthorized, a.do(form).problem().Code, "a form of another page can't send the header")

	foreign := a.ofPage(c, http.MethodGet, "/v1/payments", "")
	foreign.Header.Set("Sec-Fetch-Site", "same-site")
	assert.Equal(t, Unauthorized, a.do(foreign).problem().Code, "another port of this machine is another's")

	for _, value := range []string{"", "x", c.Value + "A", "B" + c.Value[1:], newSessions().seal(time.Now().Add(time.Hour))} {
		forged := a.ofPage(&http.Cookie{Name: c.Name, Value: value}, http.MethodGet, "/v1/payments", "")
		assert.Equal(t, Unauthorized, a.do(forged).problem().Code, value)
	}
}

func TestASessionEndsAndALoadOfThePageRenewsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		c := a.opened(func(*http.Request) {})
		with := func(r *http.Request) { r.AddCookie(c) }
		assert.Nil(t, a.opened(with), "good for long: no other is given")
		time.Sleep(sessionRenew + time.Minute)
		assert.NotNil(t, a.opened(with))
		assert.Equal(t, http.StatusOK, a.do(a.ofPage(c, http.MethodGet, "/v1/payments", "")).Status)
		time.Sleep(sessionLife)
		assert.Equal(t, Unauthorized, a.do(a.ofPage(c, http.MethodGet, "/v1/payments", "")).problem().Code)
	})
}
