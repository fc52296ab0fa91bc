package till

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// seat is a page with its session, at a till with operators.
type seat struct {
	*aTill
	cookie *http.Cookie // of the session
	known  *http.Cookie // of a known seat; nil: the browser has none
}

func seatAt(a *aTill) *seat { return &seat{aTill: a, cookie: a.opened(func(*http.Request) {})} }

func withOperators(t *testing.T) func(*Config) {
	return func(c *Config) { c.Operators = someOperators(t) }
}

func pinToSell(c *Config) { c.PINToSell = true }

func (p *seat) call(method, path, body string) answer {
	p.t.Helper()
	r := p.ofPage(p.cookie, method, path, body)
	r.Header.Set("Idempotency-Key", fmt.Sprintf("%x", sha256.Sum256([]byte(path+body)))[:32])
	if p.known != nil && strings.HasPrefix(path, p.known.Path) {
		r.AddCookie(p.known)
	}
	got := p.do(r)
	for _, c := range (&http.Response{Header: got.Header}).Cookies() { // as a browser does
		if c.Name == p.cookie.Name {
			p.cookie = c
		} else {
			p.known = c
		}
	}
	return got
}

func (p *seat) post(path, body string) answer {
	p.t.Helper()
	return p.call(http.MethodPost, path, body)
}

func (p *seat) signIn(id, pin string) answer {
	p.t.Helper()
	return p.post("/v1/session/sign-in", fmt.Sprintf(`{"operator":%q,"pin":%q}`, id, pin))
}

func (p *seat) managerPIN(id, pin string) answer {
	p.t.Helper()
	return p.post("/v1/session/manager", fmt.Sprintf(`{"operator":%q,"pin":%q}`, id, pin))
}

func (p *seat) session() Session {
	p.t.Helper()
	got := p.call(http.MethodGet, "/v1/session", "")
	require.Equal(p.t, http.StatusOK, got.Status, got.Body)
	var s Session
	require.NoError(p.t, json.Unmarshal([]byte(got.Body), &s))
	return s
}

func (p *seat) sell(sale string) answer {
	p.t.Helper()
	return p.post("/v1/payments", `{"amount":1250,"sale_ref":"`+sale+`","operator":"SOMEBODY"}`)
}

func TestWithoutOperatorsThePageIsAsItWasAndSaysSo(t *testing.T) {
	p := seatAt(newTill(t, pinToSell))
	s := p.session()
	assert.False(t, s.SetUp)
	assert.False(t, s.PINToSell, "nobody could sign in")
	got := p.sell("A-1001")
	require.Equal(t, http.StatusCreated, got.Status, got.Body)
	assert.Equal(t, "SOMEBODY", got.payment().Operator)
	p.desk.move(got.payment().ID, paid)
	assert.Equal(t, http.StatusCreated, p.post("/v1/payments/"+string(got.payment().ID)+"/refunds", `{"amount":250,"operator":"M009"}`).Status)
	assert.Contains(t, p.get("/v1/status").Body, `"operators":{"count":0,"pin_to_sell":false,"refunds":"without_pin"}`)
	assert.Equal(t, WrongPIN, p.signIn("M001", pinOfManager).problem().Code)
}

func TestTheStatusSaysThatARefundTakesAPIN(t *testing.T) {
	assert.Contains(t, newTill(t, withOperators(t), pinToSell).get("/v1/status").Body, `"operators":{"count":3,"pin_to_sell":true,"refunds":"manager_pin"}`)
}

func TestAnOperatorSignsInAndOutAndIsShown(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t)))
	s := p.session()
	assert.True(t, s.SetUp)
	assert.Nil(t, s.Operator)
	assert.Equal(t, []Person{{"I001", "Fitter", RoleInstaller}, {"M001", "Lee Ka Yan", RoleManager}, {"P001", "陳小明", RoleCashier}}, s.Operators)
	require.Equal(t, http.StatusOK, p.signIn("p001", pinOfCashier).Status, "as a keyboard without capitals types it")
	s = p.session()
	assert.Equal(t, &Person{"P001", "陳小明", RoleCashier}, s.Operator)
	assert.Nil(t, s.Manager)
	assert.Nil(t, seatAt(p.aTill).session().Operator, "another browser's session is its own")
	require.Equal(t, http.StatusOK, p.post("/v1/session/sign-out", "").Status)
	assert.Nil(t, p.session().Operator)
}

// A session that somebody else has put into the browser, or has seen, opens nothing of whoever signs in on it.
func TestWhoeverSignsInGetsASessionThatWasInNobodysHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := seatAt(newTill(t, withOperators(t), pinToSell))
		old := *p
		with := func(c *http.Cookie) *seat { return &seat{aTill: p.aTill, cookie: c} }
		for _, change := range []struct {
			name string
			make func() answer
			who  string // signed in after it
		}{
			{"sign in", func() answer { return p.signIn("P001", pinOfCashier) }, "P001"},
			{"a manager's PIN", func() answer { return p.managerPIN("M001", pinOfManager) }, "P001"},
			{"sign out", func() answer { return p.post("/v1/session/sign-out", "") }, ""},
		} {
			before := p.cookie
			require.Equal(t, http.StatusOK, change.make().Status, change.name)
			require.NotEqual(t, before.Value, p.cookie.Value, change.name)
			assert.True(t, p.cookie.HttpOnly)
			assert.Equal(t, http.SameSiteStrictMode, p.cookie.SameSite)
			s := p.session()
			assert.Equal(t, change.who != "", s.Operator != nil, change.name)
			assert.Equal(t, change.name == "a manager's PIN", s.Manager != nil, change.name)

			left := with(before)
			assert.Equal(t, Unauthorized, left.sell("A-1").problem().Code, "%s: the old one does nothing more", change.name)
			assert.Equal(t, Unauthorized, left.signIn("P001", pinOfCashier).problem().Code, change.name)
			assert.Nil(t, left.session().Operator, "%s: what was under way is read as nobody", change.name)
			time.Sleep(renewGrace)
			assert.Equal(t, Unauthorized, left.call(http.MethodGet, "/v1/session", "").problem().Code, change.name)
			assert.NotNil(t, p.opened(func(r *http.Request) { r.AddCookie(before) }), "%s: its page gets a new one", change.name)
		}
		assert.Equal(t, Unauthorized, with(old.cookie).call(http.MethodGet, "/v1/payments", "").problem().Code)
		before := p.cookie.Value
		p.post("/v1/session/sign-out", "")
		p.signIn("P001", "5790")
		assert.Equal(t, before, p.cookie.Value, "where nothing changes, nothing is renewed")
	})
}

func TestAStreamAndOtherWindowsGoOnWhenSomebodySignsIn(t *testing.T) {
	a := newTill(t, withOperators(t))
	web := httptest.NewServer(a.server.Handler())
	defer web.Close()
	defer a.server.close()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	loaded, err := browser.Get(web.URL + "/")
	require.NoError(t, err)
	require.NoError(t, loaded.Body.Close())
	stream, err := browser.Get(web.URL + "/v1/events")
	require.NoError(t, err)
	defer stream.Body.Close()
	require.Equal(t, http.StatusOK, stream.StatusCode)
	r, err := http.NewRequest(http.MethodPost, web.URL+"/v1/session/sign-in", strings.NewReader(`{"operator":"P001","pin":"`+pinOfCashier+`"}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(pageHeader, pageValue)
	in, err := browser.Do(r)
	require.NoError(t, err)
	require.NoError(t, in.Body.Close())
	require.Equal(t, http.StatusOK, in.StatusCode)
	id := a.armed("A-1")
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), string(id)) {
	}
	assert.Contains(t, lines.Text(), string(id), "the stream that was open tells what comes after")
	other, err := browser.Get(web.URL + "/v1/session")
	require.NoError(t, err)
	defer other.Body.Close()
	text, err := io.ReadAll(other.Body)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"operator":{"id":"P001"`, "every window of the browser has the new session")
}

// A page whose answer was lost asks again with the same key, and somebody else may have typed a PIN in between.
func TestTheSameWishOfThePageIsTheSameWhoeverHasSignedInSince(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t), pinToSell))
	p.desk.strict = true
	p.signIn("P001", pinOfCashier)
	first := p.sell("A-1001")
	require.Equal(t, http.StatusCreated, first.Status, first.Body)
	p.signIn("M001", pinOfManager)
	again := p.sell("A-1001")
	require.Equal(t, http.StatusCreated, again.Status, again.Body)
	assert.Equal(t, first.payment().ID, again.payment().ID)
	assert.Equal(t, "P001", again.payment().Operator, "in the name of whoever made it")
	id := string(first.payment().ID)
	p.desk.move(first.payment().ID, paid)
	refund := func() answer {
		return p.post("/v1/payments/"+id+"/refunds", `{"amount":250}`)
	}
	require.Equal(t, http.StatusCreated, refund().Status)
	_, err := p.server.cfg.Operators.Add("M002", "Ho", RoleManager, "8642")
	require.NoError(t, err)
	p.managerPIN("M002", "8642")
	assert.Equal(t, http.StatusOK, refund().Status)
	assert.Equal(t, "M001", refund().refund().Operator)
	assert.Equal(t, 1, p.back.calls)
	for i := range 2 * firstByMax {
		p.server.firstBy.made(caller{page: true}, fmt.Sprint(i), "P001")
	}
	assert.Len(t, p.server.firstBy.by, firstByMax)
}

func TestOnlyThePageSignsIn(t *testing.T) {
	a := newTill(t, withOperators(t))
	assert.Equal(t, Forbidden, a.get("/v1/session").problem().Code)
	assert.Equal(t, Forbidden, a.aTillPost("/v1/session/sign-in", `{"operator":"M001","pin":"2580"}`).problem().Code)
}

func (a *aTill) aTillPost(path, body string) answer {
	a.t.Helper()
	return a.post(path, body)
}

func TestAPINIsInNoAnswerAndNoLog(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t)))
	answers := p.signIn("P001", pinOfCashier).Body + p.signIn("P001", "864209").Body + p.managerPIN("M001", pinOfManager).Body + p.signIn("864209", "5790").Body +
		p.post("/v1/session/sign-in", `{"operator":"P001","pin":"86420975"x}`).Body + p.post("/v1/session/sign-in", `{"operator":"P001","pin":"864209753"}`).Body +
		p.post("/v1/session/sign-in", `{"operator":"P001","pin":864209}`).Body
	for _, pin := range []string{pinOfCashier, pinOfManager, "864209", "86420975", "5790"} {
		assert.NotContains(t, answers, pin)
		assert.NotContains(t, p.log.String(), pin)
	}
	assert.Contains(t, p.log.String(), `"operator":"P001"`)
	assert.Contains(t, p.log.String(), "a wrong PIN")
}

func TestWhereTheStoreWishesItNobodySellsWithoutAPIN(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t), pinToSell))
	assert.Equal(t, SignInNeeded, p.sell("A-1001").problem().Code)
	require.Equal(t, http.StatusOK, p.signIn("P001", pinOfCashier).Status)
	got := p.sell("A-1001")
	require.Equal(t, http.StatusCreated, got.Status, got.Body)
	assert.Equal(t, "P001", got.payment().Operator, "whoever signed in, and not whom the request names")
	id := string(got.payment().ID)
	p.post("/v1/session/sign-out", "")
	for _, path := range []string{"/code", "/cancel", "/acknowledge"} {
		body := ""
		if path == "/code" {
			body = `{"code":"` + aCode + `"}`
		}
		assert.Equal(t, SignInNeeded, p.post("/v1/payments/"+id+path, body).problem().Code, path)
	}
	assert.Equal(t, http.StatusOK, p.call(http.MethodGet, "/v1/payments/"+id, "").Status, "a result is shown to everybody")
	p.desk.move(got.payment().ID, paid)
	assert.Equal(t, http.StatusCreated, p.arm("A-1002", "k").Status, "a program has its token")
}

func TestWhereTheStoreDoesNotWishItTheTillSellsToAnybody(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t)))
	got := p.sell("A-1001")
	require.Equal(t, http.StatusCreated, got.Status, got.Body)
	assert.Empty(t, got.payment().Operator, "nobody has signed in, and a page can claim nobody")
}

// deeds are the calls that take a manager on the page, each with a till on which it would be done.
func deeds() map[string]func(p *seat) (path, body string) {
	return map[string]func(p *seat) (string, string){
		"a refund": func(p *seat) (string, string) {
			id := p.armed("A-1001")
			p.desk.move(id, paid)
			return "/v1/payments/" + string(id) + "/refunds", `{"amount":250,"operator":"P001"}`
		},
		"to set aside": func(p *seat) (string, string) {
			id := p.armed("A-1001")
			p.desk.move(id, func(e *payflow.Entry) { confirming(e); e.Attention = payflow.AttentionMismatch })
			return "/v1/payments/" + string(id) + "/set-aside", `{"operator":"P001","reason":"no end"}`
		},
		"money given back": func(p *seat) (string, string) {
			id := p.armed("A-1001")
			p.desk.move(id, paid)
			return "/v1/payments/" + string(id) + "/acknowledge", `{"how":"money_given_back","operator":"P001"}`
		},
		"goods given for what came late": func(p *seat) (string, string) {
			id := p.armed("A-1001")
			p.desk.move(id, func(e *payflow.Entry) { paid(e); e.Attention = payflow.AttentionLateSuccess })
			return "/v1/payments/" + string(id) + "/acknowledge", `{"how":"goods_given","operator":"P001"}`
		},
	}
}

func TestWhatTakesAManager(t *testing.T) {
	for name, deed := range deeds() {
		t.Run(name, func(t *testing.T) {
			p := seatAt(newTill(t, withOperators(t)))
			path, body := deed(p)
			require.Equal(t, http.StatusOK, p.signIn("P001", pinOfCashier).Status)
			assert.Equal(t, ManagerNeeded, p.post(path, body).problem().Code)
			assert.Equal(t, NotManager, p.managerPIN("P001", pinOfCashier).problem().Code)
			assert.Equal(t, NotManager, p.managerPIN("I001", pinOfFitter).problem().Code)
			assert.Equal(t, ManagerNeeded, p.post(path, body).problem().Code)
			require.Equal(t, http.StatusOK, p.managerPIN("M001", pinOfManager).Status)
			s := p.session()
			assert.Equal(t, "P001", s.Operator.ID, "the cashier stays")
			assert.Equal(t, "M001", s.Manager.ID)
			got := p.post(path, body)
			require.Less(t, got.Status, 300, got.Body)
			by := got.Body
			if name == "to set aside" { // the payment's own answer does not say by whom
				by = fmt.Sprint(p.desk.payments[0].SetAside)
			}
			assert.Contains(t, by, "M001", "the journal names the manager, and nobody whom the page makes up")
		})
	}
}

// Who looks again is the person who has signed in, whatever the page says.
func TestToSettleWhatCameLateTakesAManagerAndALookNamesThePerson(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t)))
	id := string(p.armed("A-1001"))
	p.signIn("P001", pinOfCashier)
	for _, path := range []string{"/v1/payments/" + id + "/settle-late", "/v1/found-after-restore/" + id + "/settle", "/v1/refunds/R1/acknowledge"} {
		assert.Equal(t, ManagerNeeded, p.post(path, `{"operator":"M001","note":"x"}`).problem().Code, path)
	}
	c := caller{page: true, people: people{setUp: true, operator: Operator{ID: "P001"}}}
	assert.Equal(t, "P001", c.who("page"))
	assert.Empty(t, c.decides("M001"), "no manager's PIN was given")
}

func TestTheManagersListIsForAManagersEye(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t)))
	for _, path := range []string{"/v1/attention", "/v1/journal"} {
		assert.Equal(t, ManagerNeeded, p.call(http.MethodGet, path, "").problem().Code, path)
		p.signIn("P001", pinOfCashier)
		assert.Equal(t, ManagerNeeded, p.call(http.MethodGet, path, "").problem().Code, path)
		p.managerPIN("M001", pinOfManager)
		assert.Equal(t, http.StatusOK, p.call(http.MethodGet, path, "").Status, path)
		p.post("/v1/session/sign-out", "")
	}
}

func TestAManagersPINIsGoodForAFewMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := seatAt(newTill(t, withOperators(t)))
		refund := func() answer {
			id := p.armed(fmt.Sprint("A-", time.Now().Unix()))
			p.desk.move(id, paid)
			return p.post("/v1/payments/"+string(id)+"/refunds", `{"amount":250}`)
		}
		require.Equal(t, http.StatusOK, p.signIn("M001", pinOfManager).Status)
		assert.Equal(t, http.StatusCreated, refund().Status, "a manager who has just signed in gave a manager's PIN")
		time.Sleep(managerFor - time.Second)
		assert.Equal(t, http.StatusCreated, refund().Status)
		time.Sleep(managerFor - time.Second)
		assert.Equal(t, http.StatusCreated, refund().Status, "each deed makes it longer")
		time.Sleep(managerFor + time.Second)
		assert.Equal(t, ManagerNeeded, refund().problem().Code, "a manager who has left the till signed in is no PIN")
		assert.Equal(t, http.StatusOK, p.call(http.MethodGet, "/v1/attention", "").Status, "looking is another matter")
		p.managerPIN("M001", pinOfManager)
		for range 10 {
			time.Sleep(managerFor - time.Minute)
			refund()
		}
		assert.Equal(t, ManagerNeeded, refund().problem().Code, "a quarter of an hour is the most")
	})
}

func TestAnIdleOperatorIsSignedOutAndNeverDuringAPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := seatAt(newTill(t, withOperators(t), func(c *Config) { c.LockAfter = 2 * time.Minute }))
		require.Equal(t, http.StatusOK, p.signIn("P001", pinOfCashier).Status)
		assert.Equal(t, 120, p.session().LockAfter)
		for range 5 {
			time.Sleep(time.Minute)
			p.post("/v1/session/active", "")
		}
		assert.NotNil(t, p.session().Operator, "a touch of the screen is enough")
		got := p.sell("A-1001")
		require.Equal(t, http.StatusCreated, got.Status, got.Body)
		for range 30 {
			time.Sleep(5 * time.Second)
			assert.NotNil(t, p.session().Operator, "a payment holds the till")
		}
		p.desk.move(got.payment().ID, paid)
		time.Sleep(time.Minute)
		assert.NotNil(t, p.session().Operator, "idle begins with the payment's end")
		for range 12 {
			time.Sleep(5 * time.Second)
			p.session() // the page asks all the time: that is nobody's hand
		}
		assert.Nil(t, p.session().Operator)
	})
}

func TestAChangeOfAnOperatorEndsWhatWasSignedIn(t *testing.T) {
	o := someOperators(t)
	p := seatAt(newTill(t, func(c *Config) { c.Operators = o }))
	command := openedOperators(t, o.file.path) // a command beside the daemon
	for name, change := range map[string]func() error{
		"a new PIN":  func() error { _, err := command.SetPIN("P001", pinOfCashier); return err },
		"a new role": func() error { _, err := command.SetRole("P001", RoleInstaller); return err },
		"removed":    func() error { _, err := command.Remove("P001"); return err },
	} {
		if _, known := o.Find("P001"); !known {
			_, err := command.Add("P001", "Chan", RoleCashier, pinOfCashier)
			require.NoError(t, err)
		}
		require.Equal(t, http.StatusOK, p.signIn("P001", pinOfCashier).Status, name)
		require.NoError(t, change())
		assert.Nil(t, p.session().Operator, name)
	}
}

func TestAnInstallerMayMakeABackupAndNobodyElseOnThePage(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t)))
	for _, k := range []struct{ id, pin string }{{"P001", pinOfCashier}, {"M001", pinOfManager}} {
		p.signIn(k.id, k.pin)
		assert.Equal(t, Forbidden, p.post("/v1/backups", "").problem().Code, k.id)
	}
	p.signIn("I001", pinOfFitter)
	assert.NotEqual(t, http.StatusForbidden, p.post("/v1/backups", "").Status)
}

func TestManyWrongPINsAreToldToWaitWhateverTheOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := seatAt(newTill(t, withOperators(t)))
		for i := range wrongPINsEach.burst {
			assert.Equal(t, WrongPIN, p.signIn(fmt.Sprint("X", i), "5790").problem().Code)
		}
		got := p.signIn("P001", pinOfCashier)
		assert.Equal(t, TooManyWrong, got.problem().Code)
		assert.Equal(t, "3", got.Header.Get("Retry-After"))
		assert.Equal(t, 3, got.problem().Wait)
		time.Sleep(3 * time.Second)
		assert.Equal(t, http.StatusOK, p.signIn("P001", pinOfCashier).Status, "for some seconds, never for long")
	})
}

func TestAnOperatorWithWrongPINsWaitsAndTheAnswerSaysHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := seatAt(newTill(t, withOperators(t)))
		for range 2 {
			assert.Empty(t, p.signIn("P001", "5790").Header.Get("Retry-After"))
		}
		assert.Equal(t, "30", p.signIn("P001", "5790").Header.Get("Retry-After"))
		got := p.signIn("P001", pinOfCashier)
		assert.Equal(t, PINWaits, got.problem().Code)
		assert.Equal(t, http.StatusTooManyRequests, got.Status)
		assert.Equal(t, "30", got.Header.Get("Retry-After"))
		assert.Equal(t, http.StatusOK, p.signIn("M001", pinOfManager).Status)
	})
}

// Whatever a program of the same machine sends, the page on which a cashier has signed in before lets that cashier in.
func TestWhoeverTypesWrongPINsElsewhereKeepsNoCashierOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t, withOperators(t))
		page := seatAt(a)
		require.Equal(t, http.StatusOK, page.signIn("P001", pinOfCashier).Status)
		require.NotNil(t, page.known)
		assert.True(t, page.known.HttpOnly)
		assert.Equal(t, http.SameSiteStrictMode, page.known.SameSite)
		page.post("/v1/session/sign-out", "")
		for i := range 40 {
			time.Sleep(3 * time.Second)
			for _, who := range []string{"P001", fmt.Sprint("X", i)} {
				got := seatAt(a).signIn(who, "5790").problem().Code
				assert.Contains(t, []ProblemCode{WrongPIN, PINWaits, TooManyWrong}, got)
			}
			if i%5 == 0 {
				require.Equal(t, http.StatusOK, page.signIn("P001", pinOfCashier).Status, i)
				page.post("/v1/session/sign-out", "")
			}
		}
		assert.Contains(t, []ProblemCode{PINWaits, TooManyWrong}, seatAt(a).signIn("P001", pinOfCashier).problem().Code)
		assert.Equal(t, []string{"P001"}, a.server.cfg.Operators.Guessed())
		for _, want := range []ProblemCode{WrongPIN, WrongPIN, WrongPIN, PINWaits} {
			assert.Equal(t, want, page.signIn("P001", "5790").problem().Code, "its own slips count there")
		}
	})
}

func TestWrongTokensAreToldToWaitAndARightOneNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		wrong := func(from string) answer {
			r := a.request(http.MethodGet, "/v1/status", "")
			r.RemoteAddr = from
			r.Header.Set("Authorization", "Bearer posagent_"+strings.Repeat("x", 43))
			return a.do(r)
		}
		for range wrongTokensEach.burst {
			assert.Equal(t, Unauthorized, wrong("127.0.0.1:50000").problem().Code)
		}
		got := wrong("127.0.0.1:50001")
		assert.Equal(t, TooManyWrong, got.problem().Code)
		assert.Equal(t, http.StatusTooManyRequests, got.Status)
		assert.Equal(t, "3", got.Header.Get("Retry-After"))
		assert.Empty(t, got.Header.Get("WWW-Authenticate"))
		assert.Equal(t, Unauthorized, wrong("10.0.0.9:50000").problem().Code, "another machine has its own count")
		assert.Equal(t, http.StatusOK, a.get("/v1/status").Status, "another program, with a right token, from the same address")
		time.Sleep(3 * time.Second)
		assert.Equal(t, Unauthorized, wrong("127.0.0.1:50000").problem().Code)
	})
}

func TestThoseSignedInAreBounded(t *testing.T) {
	p := seatAt(newTill(t, withOperators(t)))
	who, _ := p.server.cfg.Operators.Find("P001")
	now := time.Now()
	for i := range 3 * signInsMax {
		p.server.signIns.enter(fmt.Sprint(i), who, now.Add(time.Duration(i)))
	}
	assert.Len(t, p.server.signIns.held, signInsMax)
	assert.Equal(t, "P001", p.server.signIns.of(fmt.Sprint(3*signInsMax-1), now).operator.ID, "whoever was idle longest makes room")
}
