package till

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// sentIn is in every wrong thing that is sent: nothing of it may come back.
const sentIn = "zq7xsentin"

// goodRequest is a request that an operation takes: what is in its path's place, and its body.
type goodRequest struct {
	id    string
	query string
	body  map[string]any
	page  *http.Cookie // of the page, where programs may not call
}

// goodRequests says of each operation how a till comes to where it takes a request, and that request. What the document has and this
// table has not fails the test.
var goodRequests = map[string]func(t *testing.T, a *aTill) goodRequest{
	"get-health":     nothingSent,
	"get-ready":      nothingSent,
	"get-status":     nothingSent,
	"get-metrics":    nothingSent,
	"events":         nothingSent,
	"list-attention": nothingSent,
	"list-found":     nothingSent,
	"get-pole":       nothingSent,
	"make-backup":    nothingSent,
	"list-journal": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{query: "limit=10&payment=" + string(a.armed("A-1000"))}
	},
	"list-payments": func(_ *testing.T, a *aTill) goodRequest {
		a.armed("A-1000")
		return goodRequest{query: "day=2026-11-24&sale_ref=A-1000&status=waiting&limit=10"}
	},
	"arm-payment": func(*testing.T, *aTill) goodRequest {
		return goodRequest{body: map[string]any{"amount": 1250, "currency": "HKD", "sale_ref": "A-1001", "description": "tea", "operator": "P001",
			"attach": "table 4", "goods_tag": "TEA", "limit_pay": "no_credit", "detail": map[string]any{"cost_price": 1250}, "additional_tender": false}}
	},
	"get-payment": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{id: string(a.armed("A-1001")), query: "since=0&wait=1"}
	},
	"acknowledge-payment": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{id: string(a.sold("A-1001")), body: map[string]any{"how": "goods_given", "operator": "P001"}}
	},
	"cancel-payment": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{id: string(a.armed("A-1001")), body: map[string]any{"operator": "P001"}}
	},
	"give-code": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{id: string(a.armed("A-1001")), body: map[string]any{"code": plantedCode}}
	},
	"set-aside-payment": func(_ *testing.T, a *aTill) goodRequest {
		id := a.armed("A-1001")
		a.desk.move(id, func(e *payflow.Entry) {
			reversing(e)
			e.Attention = payflow.AttentionReverseRefused
		})
		return goodRequest{id: string(id), body: map[string]any{"operator": "M001", "reason": "the queue is long"}}
	},
	"look-again": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{id: string(a.late("A-1001")), body: map[string]any{"operator": "P001", "note": "the customer asks"}}
	},
	"settle-late": func(_ *testing.T, a *aTill) goodRequest {
		id := a.late("A-1001")
		a.desk.move(id, func(e *payflow.Entry) { e.Late.Attention = payflow.AttentionLateUnanswered })
		return goodRequest{id: string(id), body: map[string]any{"operator": "M001", "note": "cash was given back"}}
	},
	"refund-payment": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{id: string(a.sold("A-1001")), body: map[string]any{"amount": 250, "reason": "one cup returned", "operator": "M001"}}
	},
	"get-refund": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{id: string(a.refund(a.sold("A-1001"), "r1", aRefundBody).refund().ID), query: "since=0&wait=1"}
	},
	"acknowledge-refund": func(_ *testing.T, a *aTill) goodRequest {
		made := a.refund(a.sold("A-1001"), "r1", aRefundBody).refund()
		a.back.move(made.ID, refunded)
		return goodRequest{id: string(made.ID), body: map[string]any{"operator": "M001", "note": "told the customer"}}
	},
	"settle-found": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{id: string(orderFound), body: map[string]any{"operator": "M001", "note": "goods were given"}}
	},
	"arm-pole": func(t *testing.T, a *aTill) goodRequest {
		p, err := a.server.NewPole(PoleConfig{})
		require.NoError(t, err)
		long := time.Now().Add(-time.Second)
		p.take([]byte("TOTAL  HK$ 12.50\r\n"), long)
		p.look(t.Context(), time.Now())
		o, ok := p.Offer(time.Now())
		require.True(t, ok)
		return goodRequest{body: map[string]any{"offer": o.Key}}
	},
	"find-bill": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{body: map[string]any{"number": string(a.sold("A-1001"))}}
	},
	"scan-bill": func(*testing.T, *aTill) goodRequest { return goodRequest{body: map[string]any{"wait": 1}} },
	"receipt-code": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{id: string(a.sold("A-1001"))}
	},
	"begin-training": nothingSent,
	"end-training":   nothingSent,
	"practise-scan": func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{body: map[string]any{"payment": string(a.armed("A-1001")), "customer": "pays"}}
	},
	"get-session":      onThePage(nil),
	"stay-signed-in":   onThePage(nil),
	"sign-out":         onThePage(nil),
	"sign-in":          onThePage(map[string]any{"operator": "M001", "pin": pinOfManager}),
	"give-manager-pin": onThePage(map[string]any{"operator": "M001", "pin": pinOfManager}),
}

const orderFound = payflow.OutTradeNo("SZTX001T1261124000009AB12C9")

func nothingSent(*testing.T, *aTill) goodRequest { return goodRequest{} }

func onThePage(body map[string]any) func(*testing.T, *aTill) goodRequest {
	return func(_ *testing.T, a *aTill) goodRequest {
		return goodRequest{page: a.opened(func(*http.Request) {}), body: body}
	}
}

// noTraining begins and ends nothing, and knows one customer.
type noTraining struct{}

func (noTraining) BeginTraining(context.Context) error { return nil }
func (noTraining) EndTraining()                        {}
func (noTraining) PracticeCode(customer string) (string, bool) {
	return plantedCode, customer == "pays"
}

// contract is one operation of the document, at a till that takes it.
type contract struct {
	*aTill
	doc          written
	method, path string
	call         writtenCall
	good         goodRequest
	key          string
}

func TestEveryOperationHasAGoodRequest(t *testing.T) {
	doc := readDocument(t, newTill(t).get("/v1/openapi.json").Body)
	assert.Empty(t, withoutRequest(doc), "write a good request for each into goodRequests")
	doc.Paths["/v1/new"] = map[string]writtenCall{"post": {OperationID: "do-new"}}
	assert.Equal(t, []string{"do-new"}, withoutRequest(doc), "an operation that nobody calls is found")
}

func withoutRequest(doc written) []string {
	var missing []string
	for _, item := range doc.Paths {
		for _, call := range item {
			if goodRequests[call.OperationID] == nil {
				missing = append(missing, call.OperationID)
			}
		}
	}
	return missing
}

// TestEveryOperationKeepsItsContract calls every operation of the document with requests that are made from its own schemas, good and
// bad, and holds each answer to the document.
func TestEveryOperationKeepsItsContract(t *testing.T) {
	doc := readDocument(t, newTill(t).get("/v1/openapi.json").Body)
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for method, call := range doc.Paths[path] {
			t.Run(call.OperationID, func(t *testing.T) {
				t.Parallel()
				at := func() *contract { return newContract(t, doc, strings.ToUpper(method), path, call) }
				at().takesWhatIsGood()
				at().refusesBadFields()
				at().refusesBadParameters()
				at().refusesBodiesThatAreNone()
				at().refusesTheWrongCaller()
				at().isRepeated()
				at().isCalledByManyAtOnce()
			})
		}
	}
}

func newContract(t *testing.T, doc written, method, path string, call writtenCall) *contract {
	t.Helper()
	c := &contract{doc: doc, method: method, path: path, call: call, key: "key-of-the-contract"}
	c.aTill = newTill(t, withOperators(t), func(cfg *Config) {
		cfg.AllowCodeInAPI = true
		cfg.Training, cfg.Practice = noTraining{}, noTraining{}
		cfg.Backups = &fakeBackups{found: []payflow.FoundAfterRestore{{OutTradeNo: orderFound, State: payflow.TradeSuccess, Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, FoundAt: noon()}}}
	})
	var err error
	c.token, _, err = c.server.cfg.Tokens.Create("all", Scopes())
	require.NoError(t, err)
	make := goodRequests[call.OperationID]
	require.NotNil(t, make, "no good request for %s", call.OperationID)
	c.good = make(t, c.aTill)
	return c
}

// request makes the good request, but for what is changed.
func (c *contract) request(body string, change func(*http.Request)) *http.Request {
	target := c.path
	if c.good.id != "" {
		target = strings.ReplaceAll(target, "{id}", c.good.id)
	}
	if c.good.query != "" {
		target += "?" + c.good.query
	}
	r := c.aTill.request(c.method, target, body)
	if c.good.page != nil {
		r = c.ofPage(c.good.page, c.method, target, body)
	}
	if c.has("header", "Idempotency-Key") {
		r.Header.Set("Idempotency-Key", c.key)
	}
	if change != nil {
		change(r)
	}
	return r
}

func (c *contract) has(in, name string) bool {
	return slices.ContainsFunc(c.call.Parameters, func(p struct {
		Name, In string
		Required bool
		Schema   schema
	}) bool {
		return p.In == in && p.Name == name
	})
}

func (c *contract) text(body map[string]any) string {
	if body == nil {
		return ""
	}
	text, err := json.Marshal(body)
	require.NoError(c.t, err)
	return string(text)
}

// send makes a request and holds the answer to the document: the status is declared, the type is that status's, the body fits, and
// nothing that was sent in comes back.
func (c *contract) send(what, body string, change func(*http.Request)) answer {
	c.t.Helper()
	r := c.request(body, change)
	ctx, stop := context.WithTimeout(c.t.Context(), 10*time.Second)
	if c.call.OperationID == "events" {
		ctx, stop = context.WithTimeout(c.t.Context(), 20*time.Millisecond) // a stream has no end of its own
	}
	defer stop()
	w := httptest.NewRecorder()
	c.server.Handler().ServeHTTP(w, r.WithContext(ctx))
	got := answer{t: c.t, Status: w.Code, Header: w.Header(), Body: w.Body.String()}
	said, declared := c.call.Responses[strconv.Itoa(got.Status)]
	require.True(c.t, declared, "%s: %s answered %d, which the document does not say: %s", what, c.call.OperationID, got.Status, got.Body)
	kind, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
	media, declared := said.Content[kind]
	require.True(c.t, declared, "%s: %s answered %d as %q", what, c.call.OperationID, got.Status, kind)
	if kind == "application/json" || kind == "application/problem+json" {
		var v any
		require.NoError(c.t, json.Unmarshal([]byte(got.Body), &v), what)
		assert.Empty(c.t, c.doc.misfits("it", media.Schema, v), "%s: %s answered %d in another form: %s", what, c.call.OperationID, got.Status, got.Body)
	}
	if got.Status >= 400 {
		assert.Contains(c.t, said.Description, string(got.problem().Code)+": ", "%s: %s", what, c.call.OperationID)
	}
	everything := fmt.Sprint(got.Header) + got.Body
	assert.NotContains(c.t, everything, sentIn, "%s: %s says what it was sent", what, c.call.OperationID)
	assert.NotContains(c.t, everything, "987654321987", "%s: %s says what it was sent", what, c.call.OperationID)
	return got
}

func (c *contract) takesWhatIsGood() {
	c.t.Helper()
	got := c.send("good", c.text(c.good.body), nil)
	assert.Less(c.t, got.Status, 300, "%s: %s", c.call.OperationID, got.Body)
}

// bodySchema is the schema of the operation's body, and whether it takes one.
func (c *contract) bodySchema() (schema, bool) {
	if c.call.RequestBody == nil {
		return schema{}, false
	}
	return c.doc.deref(c.call.RequestBody.Content["application/json"].Schema), true
}

// refuses sends a body that breaks the schema.
func (c *contract) refuses(what string, body map[string]any) {
	c.t.Helper()
	got := c.send(what, c.text(body), nil)
	assert.Equal(c.t, http.StatusBadRequest, got.Status, "%s: %s took it: %s", what, c.call.OperationID, got.Body)
}

func (c *contract) refusesBadFields() {
	c.t.Helper()
	s, takes := c.bodySchema()
	if !takes {
		return
	}
	assert.Len(c.t, s.Properties, len(c.good.body), "%s: the good request names every field, or a bad one hides behind it", c.call.OperationID)
	for _, name := range s.Required {
		c.refuses(name+" is missing", without(c.good.body, name))
	}
	for name, of := range s.Properties {
		for i, wrong := range wrongValues(of) {
			c.refuses(fmt.Sprintf("%s is wrong, way %d", name, i), with(c.good.body, name, wrong))
		}
	}
	c.refuses("unknown field", with(c.good.body, sentIn, 1))
	c.refuses("unknown field with a value", with(c.good.body, "more", sentIn))
	c.refuses("nothing but an unknown field", map[string]any{"more": sentIn})
}

func without(body map[string]any, name string) map[string]any {
	kept := maps.Clone(body)
	delete(kept, name)
	return kept
}

// wrongValues break a field's schema, each in one way.
func wrongValues(s schema) []any {
	var wrong []any
	for _, v := range []any{sentIn, 987654321987.5, true, []any{sentIn}, map[string]any{sentIn: sentIn}} {
		var plain any
		text, _ := json.Marshal(v)
		_ = json.Unmarshal(text, &plain)
		_, object := plain.(map[string]any)
		typed := len(s.Type) > 0
		if typed && !slices.ContainsFunc(s.Type, func(name string) bool { return isOfType(name, plain) }) || !typed && !object { // one without a type: goods detail, an object
			wrong = append(wrong, v)
		}
	}
	if s.MaxLength != nil {
		wrong = append(wrong, strings.Repeat("w", *s.MaxLength+1), sentIn+strings.Repeat("字", *s.MaxLength))
	}
	if s.MinLength != nil && *s.MinLength > 0 {
		wrong = append(wrong, strings.Repeat("w", *s.MinLength-1))
	}
	if s.Maximum != nil {
		wrong = append(wrong, *s.Maximum+1, 1e300)
	}
	if s.Minimum != nil {
		wrong = append(wrong, *s.Minimum-1, -987654321987)
	}
	if len(s.Enum) > 0 {
		wrong = append(wrong, sentIn)
	}
	return wrong
}

func (c *contract) refusesBadParameters() {
	c.t.Helper()
	body := c.text(c.good.body)
	for _, p := range c.call.Parameters {
		for i, wrong := range wrongTexts(p.Schema) {
			what := fmt.Sprintf("%s is wrong, way %d", p.Name, i)
			var got answer
			switch p.In {
			case "query":
				got = c.send(what, body, func(r *http.Request) { setQuery(r, p.Name, wrong) })
			case "header":
				got = c.send(what, body, func(r *http.Request) { r.Header.Set(p.Name, wrong) })
			case "path":
				c.send(what, body, func(r *http.Request) {
					r.URL.Path = strings.ReplaceAll(c.path, "{id}", wrong)
				})
				continue
			}
			assert.Equal(c.t, http.StatusBadRequest, got.Status, "%s: %s took it", what, c.call.OperationID)
		}
		if p.In == "header" && p.Required {
			got := c.send(p.Name+" is missing", body, func(r *http.Request) { r.Header.Del(p.Name) })
			assert.Equal(c.t, http.StatusBadRequest, got.Status)
		}
	}
	for _, id := range []string{sentIn, "SZTX001T1261124999999AB12C9", strings.Repeat("9", 5000)} {
		if strings.Contains(c.path, "{id}") {
			got := c.send("unknown id", body, func(r *http.Request) { r.URL.Path = strings.ReplaceAll(c.path, "{id}", id) })
			assert.Equal(c.t, http.StatusNotFound, got.Status, "%s: %s", id[:10], c.call.OperationID)
		}
	}
	got := c.send("unknown query", body, func(r *http.Request) { setQuery(r, sentIn, sentIn) })
	assert.Equal(c.t, http.StatusBadRequest, got.Status, "%s took a query that it does not know", c.call.OperationID)
}

func setQuery(r *http.Request, name, value string) {
	q := r.URL.Query()
	q.Set(name, value)
	r.URL.RawQuery = q.Encode()
}

// wrongTexts break a parameter's schema.
func wrongTexts(s schema) []string {
	var wrong []string
	switch {
	case slices.Contains(s.Type, "integer"):
		wrong = append(wrong, sentIn, "-1", "1.5", "98765432198798765432198765")
	case slices.Contains(s.Type, "boolean"):
		wrong = append(wrong, sentIn, "2")
	}
	if s.MaxLength != nil {
		wrong = append(wrong, strings.Repeat("w", *s.MaxLength+1))
	}
	if len(s.Enum) > 0 {
		wrong = append(wrong, sentIn)
	}
	return wrong
}

func (c *contract) refusesBodiesThatAreNone() {
	c.t.Helper()
	s, takes := c.bodySchema()
	if !takes {
		if c.method == http.MethodPost {
			c.send("a body where none belongs", `{"more":"`+sentIn+`"}`, nil)
			c.send("an oversized body where none belongs", strings.Repeat(sentIn, bodyMax/4), nil)
		}
		return
	}
	for name, want := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
	}{
		"broken off":          {`{"amount": "` + sentIn, nil, 400},
		"no object":           {`["` + sentIn + `"]`, nil, 400},
		"a text":              {`"` + sentIn + `"`, nil, 400},
		"no JSON":             {sentIn, nil, 400},
		"deep":                {strings.Repeat("[", 20000), nil, 400},
		"two":                 {c.text(c.good.body) + `{"more":"` + sentIn + `"}`, nil, 400},
		"a form":              {"amount=1250&x=" + sentIn, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415},
		"text":                {c.text(c.good.body), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"oversized":           {`{"x":"` + strings.Repeat("w", bodyMax) + `"}`, nil, 413},
		"oversized, good":     {c.text(c.good.body) + strings.Repeat(" ", bodyMax), nil, 413},
		"oversized, chunked":  {strings.Repeat(sentIn, bodyMax/4), func(r *http.Request) { r.ContentLength = -1 }, 413},
		"far over, in chunks": {strings.Repeat(sentIn, bodyMax), func(r *http.Request) { r.ContentLength = -1 }, 413},
	} {
		got := c.send(name, want.body, want.change)
		assert.Equal(c.t, want.status, got.Status, "%s: %s: %s", name, c.call.OperationID, got.Body)
	}
	if len(s.Required) > 0 {
		assert.Equal(c.t, http.StatusBadRequest, c.send("no body", "", nil).Status)
		assert.Equal(c.t, http.StatusBadRequest, c.send("null", "null", nil).Status, c.call.OperationID)
	}
}

func (c *contract) refusesTheWrongCaller() {
	c.t.Helper()
	body, open := c.text(c.good.body), len(c.call.Security) == 0
	status := func(what, authorization string, want int) {
		got := c.send(what, body, func(r *http.Request) {
			r.Header.Del("Cookie")
			r.Header.Del("Authorization")
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
		})
		assert.Equal(c.t, want, got.Status, "%s: %s", what, c.call.OperationID)
	}
	status("a wrong token", "Bearer posagent_"+sentIn, http.StatusUnauthorized)
	status("no token", "Basic "+sentIn, http.StatusUnauthorized)
	got := c.send("a token in the URL", body, func(r *http.Request) {
		r.Header.Del("Authorization")
		r.Header.Del("Cookie")
		setQuery(r, "access_token", c.token)
	})
	assert.NotContains(c.t, got.Body+fmt.Sprint(got.Header)+c.log.String(), c.token)
	assert.GreaterOrEqual(c.t, got.Status, 400, "a token in a URL opens nothing")
	if open {
		return
	}
	status("nothing shown", "", http.StatusUnauthorized)
	for _, scope := range Scopes() {
		token, _, err := c.server.cfg.Tokens.Create("one", []Scope{scope})
		require.NoError(c.t, err)
		if !slices.Contains(scopesNamed(c), scope) {
			status("scope "+string(scope), "Bearer "+token, http.StatusForbidden)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"another name of this machine": func(r *http.Request) { r.Host = "attacker.example:7080" },
		"a cross-site form": func(r *http.Request) {
			r.Header.Set("Origin", "https://attacker.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		},
	} {
		if c.method == http.MethodPost || name != "a cross-site form" {
			assert.Equal(c.t, http.StatusForbidden, c.send(name, body, change).Status, "%s: %s", name, c.call.OperationID)
		}
	}
}

// scopesNamed are the scopes that the document says open the operation.
func scopesNamed(c *contract) []Scope {
	text, _, _ := strings.Cut(c.call.Description, ".")
	return slices.DeleteFunc(Scopes(), func(s Scope) bool { return !strings.Contains(text, string(s)) })
}

func (c *contract) isRepeated() {
	c.t.Helper()
	body := c.text(c.good.body)
	first, second := c.send("once", body, nil), c.send("twice", body, nil)
	if !c.has("header", "Idempotency-Key") {
		return
	}
	require.Less(c.t, second.Status, 300, second.Body)
	assert.Equal(c.t, madeBy(first), madeBy(second), "%s: the same key and body are the same", c.call.OperationID)
	other := c.send("same key, other body", c.text(with(c.good.body, "amount", 251)), nil)
	assert.Equal(c.t, http.StatusUnprocessableEntity, other.Status, c.call.OperationID)
	assert.Equal(c.t, KeyReused, other.problem().Code)
}

func madeBy(got answer) string {
	var made struct{ ID string }
	_ = json.Unmarshal([]byte(got.Body), &made)
	return made.ID
}

// isCalledByManyAtOnce repeats the good request from many at once: each answer keeps the contract, and one key makes one thing.
func (c *contract) isCalledByManyAtOnce() {
	c.t.Helper()
	const many = 12
	body, before := c.text(c.good.body), len(c.desk.payments)
	answers := make([]answer, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() { answers[i] = c.send("at once", body, nil) })
	}
	all.Wait()
	assert.LessOrEqual(c.t, len(c.desk.payments)-before, 1)
	if !c.has("header", "Idempotency-Key") {
		return
	}
	for _, got := range answers {
		assert.Equal(c.t, madeBy(answers[0]), madeBy(got))
		assert.Less(c.t, got.Status, 300, got.Body)
	}
}

func TestManyClientsWithOneKeyMakeOnePaymentAndWithManyKeysOne(t *testing.T) {
	a := newTill(t)
	same := allAtOnce(64, func(int) answer { return a.arm("A-1001", "the-key") })
	require.Len(t, a.desk.payments, 1)
	for _, got := range same {
		require.Equal(t, http.StatusCreated, got.Status, got.Body)
		assert.Equal(t, a.desk.payments[0].OutTradeNo, got.payment().ID)
	}
	a.desk.move(a.desk.payments[0].OutTradeNo, paid)

	other := allAtOnce(64, func(i int) answer { return a.arm(fmt.Sprintf("B-%d", i), fmt.Sprintf("key-%d", i)) })
	require.Len(t, a.desk.payments, 2)
	made := 0
	for _, got := range other {
		if got.Status == http.StatusCreated {
			made++
			continue
		}
		require.Equal(t, TillBusy, got.problem().Code)
		assert.Equal(t, string(a.desk.payments[1].OutTradeNo), got.problem().PaymentID, "a conflict names the payment that is in the way")
	}
	assert.Equal(t, 1, made)
}

func allAtOnce(n int, ask func(int) answer) []answer {
	answers := make([]answer, n)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { <-begin; answers[i] = ask(i) })
	}
	close(begin)
	all.Wait()
	return answers
}
