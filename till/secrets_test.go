package till

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plantedCode is a payment code that nobody may ever see again.
const plantedCode = "139753186420975318"

// shapes are the ways in which a code gets into a text.
var shapes = []string{plantedCode, "scan " + plantedCode + "\n", "a" + plantedCode + "b"}

// usualHeaders are the headers that a program or a browser sends.
var usualHeaders = []string{"Authorization", "Cookie", "Origin", "Host", "Content-Type", "Accept", "Accept-Language", "Prefer", "Idempotency-Key",
	"Last-Event-ID", "X-Posagent", "Sec-Fetch-Site", "User-Agent", "Referer", "X-Forwarded-For", "X-Forwarded-Host", "Traceparent", "If-None-Match",
	"Range", "Transfer-Encoding", "Access-Control-Request-Method", "Access-Control-Request-Headers", "X-" + plantedCode}

// planting sends codes where none belong, and one code where it belongs.
type planting struct {
	*aTill
	id     string // of a payment that is open
	sold   string // of one that is paid
	refund string // of a refund of it
	calls  int
}

// aim puts an id into a call's path, of what the call is about.
func (p *planting) aim(path string) string {
	id := p.id
	switch {
	case strings.HasPrefix(path, "/v1/refunds/"):
		id = p.refund
	case strings.HasSuffix(path, "/refunds"):
		id = p.sold
	}
	return strings.ReplaceAll(path, "{id}", id)
}

func TestNoPaymentCodeEverComesBack(t *testing.T) {
	for name, allow := range map[string]bool{"codes taken by the API": true, "codes not taken": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newTill(t, func(c *Config) { c.AllowCodeInAPI, c.CORSOrigins = allow, []string{"https://pos.shop.example"} })
				sold := a.sold("A-1000")
				p := &planting{aTill: a, sold: string(sold), refund: string(a.refund(sold, "r0", aRefundBody).refund().ID)}
				p.id = string(a.armed("A-1001"))
				for path, item := range a.server.api.OpenAPI().Paths {
					for method, op := range map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post} {
						if op != nil {
							p.everywhere(method, path, op)
						}
					}
				}
				p.inPaths()
				assert.Greater(t, p.calls, 500)
				assert.NotContains(t, a.log.String(), plantedCode[:14])
				kept, err := json.Marshal(a.desk.payments)
				require.NoError(t, err)
				assert.NotContains(t, string(kept), plantedCode[:14], "what the desk was given is journaled and shown")
				kept, err = json.Marshal([]any{a.back.refunds, a.desk.events})
				require.NoError(t, err)
				assert.NotContains(t, string(kept), plantedCode[:14])
				assert.Greater(t, a.back.calls, 1, "refunds were made")
				for key := range a.back.keys {
					assert.NotContains(t, key, plantedCode)
				}
				for key := range a.desk.keys {
					assert.NotContains(t, key, plantedCode)
				}
			})
		})
	}
}

// everywhere plants a code in every part of one call.
func (p *planting) everywhere(method, path string, op *huma.Operation) {
	good := p.good(op)
	at := p.aim(path)
	for field := range p.fields(op) {
		for _, value := range []any{map[string]any{"x": plantedCode}, []any{plantedCode}, map[string]any{plantedCode: 1}, json.Number(plantedCode)} {
			p.try(method, at, with(good, field, value), nil)
		}
	}
	for _, shape := range shapes {
		for field := range p.fields(op) {
			p.try(method, at, with(good, field, shape), nil)
		}
		p.try(method, at, with(good, shape, "1"), nil)
		p.tryText(method, at, shape, nil)
		p.tryText(method, at, `{"`+shape, nil)
		p.tryText(method, at, `{"sale_ref": `+shape+`}`, nil)
		p.tryText(method, at, `"`+shape+`"`, nil)
		for _, header := range usualHeaders {
			p.try(method, at, good, http.Header{header: {shape}})
		}
		for _, param := range op.Parameters {
			if param.In == "query" {
				p.try(method, at+"?"+param.Name+"="+url.QueryEscape(shape), good, nil)
			}
		}
		p.try(method, at+"?"+url.QueryEscape(shape)+"=1", good, nil)
		p.try(method, at+"?wait=1&since="+plantedCode, good, nil)
		p.try(method, strings.ReplaceAll(path, "{id}", url.PathEscape(shape)), good, nil)
		p.try(method, at+"/"+url.PathEscape(shape), good, nil)
	}
}

// inPaths plants a code where no call is.
func (p *planting) inPaths() {
	for _, path := range []string{"/", "/v1/", "/v1//", "//", "/v1/../", "/v1/payments//", "/page/", "/healthz/", "/v1/payments/./"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions, plantedCode} {
			p.try(method, path+plantedCode, nil, nil)
			p.try(method, path+plantedCode+"/", nil, nil)
		}
	}
}

func (p *planting) good(op *huma.Operation) map[string]any {
	switch op.OperationID {
	case "arm-payment":
		return map[string]any{"amount": 1250, "currency": "HKD", "sale_ref": "A-1001"}
	case "give-code":
		return map[string]any{"code": plantedCode}
	case "set-aside-payment":
		return map[string]any{"operator": "P001", "reason": "queue"}
	case "refund-payment":
		return map[string]any{"amount": 250, "reason": "returned", "operator": "M001"}
	case "acknowledge-refund", "look-again", "settle-late":
		return map[string]any{"operator": "M001", "note": "seen"}
	}
	return nil
}

func (p *planting) fields(op *huma.Operation) map[string]*huma.Schema {
	if op.RequestBody == nil {
		return nil
	}
	schema := op.RequestBody.Content["application/json"].Schema
	if schema.Ref != "" {
		schema = p.server.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	return schema.Properties
}

func with(good map[string]any, field string, value any) map[string]any {
	body := map[string]any{field: value}
	for name, v := range good {
		if name != field {
			body[name] = v
		}
	}
	return body
}

func (p *planting) try(method, path string, body map[string]any, header http.Header) {
	p.t.Helper()
	text := ""
	if body != nil {
		raw, err := json.Marshal(body)
		require.NoError(p.t, err)
		text = string(raw)
	}
	p.tryText(method, path, text, header)
}

// tryText makes the call as a program, and searches the answer for the code.
func (p *planting) tryText(method, path, body string, header http.Header) {
	p.t.Helper()
	p.calls++
	ctx, stop := context.WithTimeout(p.t.Context(), 1500*time.Millisecond) // of the fake clock: a stream says something twice
	defer stop()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:7080/", strings.NewReader(body)).WithContext(ctx)
	var err error
	r.URL, err = url.Parse("http://127.0.0.1:7080" + path)
	require.NoError(p.t, err)
	r.Method, r.RemoteAddr = method, "127.0.0.1:50000"
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", "k1")
	for name, values := range header {
		r.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	p.server.Handler().ServeHTTP(w, r)
	p.search(method+" "+path, w.Result().Header, w.Body.String())
}

func (p *planting) search(call string, header http.Header, body string) {
	p.t.Helper()
	require.NotContains(p.t, body, plantedCode[:14], call)
	for name, values := range header {
		require.NotContains(p.t, name+strings.Join(values, " "), plantedCode[:14], call)
	}
}

// The server itself answers what is no HTTP before any of our handlers sees it.
func TestNoPaymentCodeComesBackFromBrokenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		_, pipes := a.served(t)
		for _, request := range []string{
			plantedCode + "\r\n\r\n",
			"GET " + plantedCode + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
			"GET / HTTP/" + plantedCode + "\r\nHost: 127.0.0.1\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: " + plantedCode + " x\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + plantedCode + "\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX " + plantedCode + ": 1\r\n\r\n",
			"POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: " + plantedCode + "x\r\n\r\n",
			"POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: " + plantedCode + "\r\n\r\n",
			"POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: " + plantedCode + "\r\n\r\n",
			plantedCode + " * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
			"CONNECT " + plantedCode + ":443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + strings.Repeat(plantedCode, 4000) + "\r\n\r\n",
		} {
			conn, err := pipes.dial(t.Context())
			require.NoError(t, err)
			go func() { _, _ = io.WriteString(conn, request) }()
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
			answer, _ := io.ReadAll(bufio.NewReader(conn))
			require.NotContains(t, string(answer), plantedCode[:14], request[:min(len(request), 80)])
			conn.Close()
		}
		synctest.Wait()
		assert.NotContains(t, a.log.String(), plantedCode[:14])
	})
}

func TestAKeyOrATokenInATextIsRefusedAndNotKept(t *testing.T) {
	const key = "kJ8sD72mQx0PzRt5LwEyVb3NcGh9UaFi"
	a := newTill(t, func(c *Config) { c.Secret = func(text string) bool { return strings.Contains(text, key) } })
	id := string(a.armed("A-1001"))
	for _, secret := range []string{key, "my key is " + key, a.token, "Bearer " + strings.ToUpper(a.token)} {
		for path, body := range map[string]map[string]any{
			"/v1/payments":                        {"amount": 1250, "sale_ref": "A-1002", "description": secret},
			"/v1/payments/" + id + "/cancel":      {"operator": secret},
			"/v1/payments/" + id + "/set-aside":   {"operator": "M001", "reason": secret},
			"/v1/payments/" + id + "/refunds":     {"amount": 250, "reason": secret},
			"/v1/payments/" + id + "/look-again":  {"operator": secret},
			"/v1/payments/" + id + "/settle-late": {"operator": "M001", "note": secret},
			"/v1/refunds/" + id + "/acknowledge":  {"operator": "M001", "note": secret},
		} {
			text, err := json.Marshal(body)
			require.NoError(t, err)
			r := a.request(http.MethodPost, path, string(text))
			r.Header.Set("Idempotency-Key", "k1")
			got := a.do(r)
			assert.Equal(t, HoldsSecret, got.problem().Code, path)
			assert.NotContains(t, got.Body, secret)
		}
	}
	kept, err := json.Marshal(a.desk.payments)
	require.NoError(t, err)
	assert.NotContains(t, string(kept), key)
}
