package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// caller reaches a daemon's local API in one of its three ways: the socket, TCP with a token, TCP with the page's session.
type caller struct {
	t      *testing.T
	hunt   *hunt
	way    string
	base   string // of each URL
	dial   func(ctx context.Context) (net.Conn, error)
	client *http.Client
	header http.Header // that every call carries
	doc    openAPI
	calls  int
	codes  func() string // a fresh payment code
	others []string      // secrets that are no codes
	armed  string        // a payment that waits for its code
	sold   string        // one that is paid
	refund string        // a refund of it
	sales  int
}

// openAPI is what planting needs to know of the document.
type openAPI struct {
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Parameters  []struct {
			Name string `json:"name"`
			In   string `json:"in"`
		} `json:"parameters"`
		RequestBody struct {
			Content map[string]struct {
				Schema struct {
					Ref string `json:"$ref"`
				} `json:"schema"`
			} `json:"content"`
		} `json:"requestBody"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

func newCaller(t *testing.T, h *hunt, way, network, address string, header http.Header) *caller {
	t.Helper()
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	c := &caller{t: t, hunt: h, way: way, base: "http://" + address, header: header}
	c.dial = func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, network, address) }
	if network == "unix" {
		c.base = "http://localhost"
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }}
	t.Cleanup(transport.CloseIdleConnections)
	c.client = &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	require.NoError(t, json.Unmarshal([]byte(c.get("/v1/openapi.json")), &c.doc))
	require.Greater(t, len(c.doc.Paths), 8)
	return c
}

func (c *caller) get(path string) string { return c.call(http.MethodGet, path, "", nil) }

// call makes one call, searches all of its answer, and returns the body.
func (c *caller) call(method, path, body string, header http.Header) string {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	r, err := http.NewRequestWithContext(ctx, method, c.base, strings.NewReader(body))
	require.NoError(c.t, err)
	raw, query, _ := strings.Cut(path, "?")
	r.URL.RawPath, r.URL.RawQuery = raw, query
	r.URL.Path, err = url.PathUnescape(raw)
	require.NoError(c.t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range []http.Header{c.header, header} {
		for name, values := range h {
			r.Header[name] = values
		}
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	answer, err := c.client.Do(r)
	require.NoError(c.t, err, "%s %s by %s", method, path[:min(len(path), 20)], c.way)
	defer answer.Body.Close()
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		time.AfterFunc(streamFor, stop)
	}
	text, _ := io.ReadAll(answer.Body) // a stream ends with its context
	c.calls++
	c.searchAnswer(method, answer, text)
	return string(text)
}

// streamFor is how long a stream of events is read: its beginning comes at once, and the whole test listens to one of its own.
const streamFor = 10 * time.Millisecond

func (c *caller) searchAnswer(method string, answer *http.Response, body []byte) {
	where := fmt.Sprintf("the answer %d to %s by %s", answer.StatusCode, method, c.way)
	c.hunt.search(where, body)
	var headers bytes.Buffer
	_ = answer.Header.Write(&headers)
	for _, cookie := range answer.Cookies() {
		c.hunt.search(where, []byte(cookie.Name))
	}
	text := headers.String()
	for _, line := range answer.Header["Set-Cookie"] { // the page's session goes to the page this way
		text = strings.ReplaceAll(text, line, "")
	}
	c.hunt.search(where+", headers", []byte(text))
}

// everywhere plants secrets in every part of every call.
func (c *caller) everywhere() {
	c.sell()
	for _, path := range sortedKeys(c.doc.Paths) {
		for _, method := range sortedKeys(c.doc.Paths[path]) {
			c.inCall(strings.ToUpper(method), path)
		}
	}
	c.inPaths()
	c.inBrokenRequests()
}

// The headers that a program or a browser sends, and one that nobody does.
var plantedHeaders = []string{"Authorization", "Cookie", "Origin", "Host", "Content-Type", "Accept", "Accept-Language", "Prefer", "Idempotency-Key",
	"Last-Event-ID", "X-Posagent", "Sec-Fetch-Site", "User-Agent", "Referer", "X-Forwarded-For", "Traceparent", "If-None-Match", "Range",
	"Access-Control-Request-Method", "X-Anything"}

func (c *caller) inCall(method, path string) {
	op := c.doc.Paths[path][strings.ToLower(method)]
	good, fields := c.good(op.OperationID), c.fields(method, path)
	for _, field := range fields {
		for _, value := range c.values() {
			c.try(method, path, "", replacing(good, field, value), nil)
		}
	}
	for _, secret := range c.plants() {
		c.try(method, path, "", replacing(good, secret, 1), nil)
		c.tryText(method, path, "", secret, nil)
		c.tryText(method, path, "", `{"sale_ref": `+secret, nil)
		for _, header := range plantedHeaders {
			c.try(method, path, "", good, http.Header{header: {secret}})
		}
		c.try(method, path, "", good, http.Header{"Authorization": {"Bearer posagent_" + secret}})
		for _, parameter := range op.Parameters {
			if parameter.In == "query" {
				c.try(method, path, "?"+parameter.Name+"="+url.QueryEscape(secret), good, nil)
			}
		}
		c.try(method, path, "?"+url.QueryEscape(secret)+"=1", good, nil)
		c.try(method, strings.ReplaceAll(path, "{id}", url.PathEscape(secret)), "", good, nil)
		c.try(method, path+"/"+url.PathEscape(secret), "", good, nil)
	}
}

// plants are one of each: a code, and all other secrets in one text.
func (c *caller) plants() []string { return []string{c.codes(), strings.Join(c.others, " ")} }

// values are what is put into a field of a body: each secret, and a code in every shape that JSON has.
func (c *caller) values() []any {
	values := []any{c.codes(), " " + c.codes() + "\n", "scan" + c.codes() + "x", json.Number(c.codes()), []any{c.codes()}, map[string]any{"a": c.codes()},
		map[string]any{c.codes(): 1}, map[string]any{"a": json.Number(c.codes())}}
	for _, secret := range c.others {
		values = append(values, secret, map[string]any{"a": secret})
	}
	return values
}

func (c *caller) good(operation string) map[string]any {
	switch operation {
	case "arm-payment":
		c.sales++
		return map[string]any{"amount": 1250, "currency": "HKD", "sale_ref": fmt.Sprintf("%s-%d", c.way, c.sales)}
	case "give-code":
		return map[string]any{"code": "287634438256643941"}
	case "set-aside-payment":
		return map[string]any{"operator": "M001", "reason": "queue"}
	case "refund-payment":
		return map[string]any{"amount": 1, "reason": "returned", "operator": "M001"}
	case "acknowledge-refund", "look-again", "settle-late":
		return map[string]any{"operator": "M001", "note": "seen"}
	}
	return nil
}

func (c *caller) fields(method, path string) []string {
	ref := c.doc.Paths[path][strings.ToLower(method)].RequestBody.Content["application/json"].Schema.Ref
	return sortedKeys(c.doc.Components.Schemas[ref[strings.LastIndexByte(ref, '/')+1:]].Properties)
}

func (c *caller) try(method, path, query string, body map[string]any, header http.Header) {
	c.t.Helper()
	text := ""
	if body != nil {
		raw, err := json.Marshal(body)
		require.NoError(c.t, err)
		text = string(raw)
	}
	c.tryText(method, path, query, text, header)
}

// tryText makes the call where it means something: for a payment that waits, or, to arm one, with a free till.
func (c *caller) tryText(method, path, query, body string, header http.Header) {
	c.t.Helper()
	if method == http.MethodPost && path == "/v1/payments" {
		c.free()
	}
	switch {
	case strings.HasPrefix(path, "/v1/refunds/"):
		path = strings.ReplaceAll(path, "{id}", c.refund)
	case strings.HasSuffix(path, "/refunds"):
		path = strings.ReplaceAll(path, "{id}", c.sold)
	case strings.Contains(path, "{id}"):
		c.arm()
		path = strings.ReplaceAll(path, "{id}", c.armed)
	}
	own := http.Header{"Idempotency-Key": {fmt.Sprintf("%s-%d", c.way, c.calls)}}
	for name, values := range header {
		own[name] = values
	}
	answer := struct {
		ID    string `json:"id"`
		Final bool   `json:"final"`
	}{}
	text := c.call(method, path+query, body, own)
	if json.Unmarshal([]byte(text), &answer) == nil && answer.ID != "" && !strings.Contains(path, "/refunds") {
		c.armed = answer.ID
		if answer.Final {
			c.armed = ""
		}
	}
}

// sell takes a payment of HK$ 12.50 and asks for a cent of it back.
func (c *caller) sell() {
	c.t.Helper()
	c.arm()
	c.sold, c.armed = c.armed, ""
	body, err := json.Marshal(map[string]string{"code": c.codes()})
	require.NoError(c.t, err)
	c.call(http.MethodPost, "/v1/payments/"+c.sold+"/code", string(body), nil)
	require.Eventually(c.t, func() bool { return strings.Contains(c.get("/v1/payments/"+c.sold), `"status":"paid"`) }, 20*time.Second, 50*time.Millisecond)
	answer := struct{ ID string }{}
	text := c.call(http.MethodPost, "/v1/payments/"+c.sold+"/refunds", `{"amount":1,"reason":"returned"}`, http.Header{"Idempotency-Key": {"sold-" + c.way}})
	require.NoError(c.t, json.Unmarshal([]byte(text), &answer), text)
	require.NotEmpty(c.t, answer.ID, text)
	c.refund = answer.ID
}

// arm sees that a payment waits.
func (c *caller) arm() {
	c.t.Helper()
	for c.armed == "" {
		c.sales++
		body := fmt.Sprintf(`{"amount":1250,"sale_ref":"%s-%d"}`, c.way, c.sales)
		answer := struct{ ID string }{}
		text := c.call(http.MethodPost, "/v1/payments", body, http.Header{"Idempotency-Key": {fmt.Sprintf("arm-%s-%d", c.way, c.sales)}})
		require.NoError(c.t, json.Unmarshal([]byte(text), &answer), text)
		if c.armed = answer.ID; c.armed == "" {
			time.Sleep(50 * time.Millisecond) // the payment before is being decided
		}
	}
}

// free cancels the payment that waits.
func (c *caller) free() {
	c.t.Helper()
	if c.armed != "" {
		c.call(http.MethodPost, "/v1/payments/"+c.armed+"/cancel", "", nil)
		c.armed = ""
	}
}

// inPaths plants secrets where no call is.
func (c *caller) inPaths() {
	for _, path := range []string{"/", "/v1/", "/v1//", "/v1/../", "/v1/payments/a/b/", "/page/", "/healthz/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions} {
			for _, secret := range c.plants() {
				c.call(method, path+url.PathEscape(secret), "", nil)
				c.call(method, path+"?"+url.QueryEscape(secret), "", nil)
			}
		}
		c.call(c.codes(), path, "", nil)
	}
}

// inBrokenRequests plants codes in what is no HTTP, which net/http answers and logs by itself.
func (c *caller) inBrokenRequests() {
	for _, request := range []string{
		"CODE\r\n\r\n", "GET CODE HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "GET / HTTP/CODE\r\nHost: 127.0.0.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: CODE x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCODE\r\n\r\n", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX CODE: 1\r\n\r\n",
		"POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: CODEx\r\n\r\n", "POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: CODE\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + strings.Repeat("CODE", 4000) + "\r\n\r\n",
	} {
		for _, secret := range c.plants() {
			conn, err := c.dial(c.t.Context())
			require.NoError(c.t, err)
			require.NoError(c.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
			_, _ = io.WriteString(conn, strings.ReplaceAll(request, "CODE", secret))
			if half, ok := conn.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			answer, _ := io.ReadAll(conn)
			c.hunt.search("the answer to a broken request by "+c.way, answer)
			_ = conn.Close()
		}
	}
}

func replacing(good map[string]any, field string, value any) map[string]any {
	body := map[string]any{}
	for name, v := range good {
		body[name] = v
	}
	body[field] = value
	return body
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
