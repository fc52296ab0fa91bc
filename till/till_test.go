package till

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// aTill is a server over a fake desk, called without a network. Every answer is held against the API's document.
type aTill struct {
	t      *testing.T
	desk   *fakeDesk
	back   *fakeRefunds
	server *Server
	log    *bytes.Buffer
	token  string // with the scopes pay, refund and report
}

func newTill(t *testing.T, change ...func(*Config)) *aTill {
	t.Helper()
	a := &aTill{t: t, desk: newFakeDesk(), log: &bytes.Buffer{}}
	a.back = newFakeRefunds(a.desk)
	tokens, err := OpenTokens(filepath.Join(t.TempDir(), "tokens.json"))
	require.NoError(t, err)
	a.token, _, err = tokens.Create("till software", []Scope{ScopePay, ScopeRefund, ScopeReport})
	require.NoError(t, err)
	cfg := Config{Desk: a.desk, Refunds: a.back, Late: a.back, Location: time.UTC, Words: plainWords{}, Tokens: tokens, Currency: "HKD", Store: "Tencent Building Branch", Till: "T1",
		Log: zerolog.New(zerolog.SyncWriter(a.log)).Level(zerolog.DebugLevel)}
	cfg.Status = func() Status {
		a.desk.mu.Lock()
		defer a.desk.mu.Unlock()
		return Status{Version: "1.0", Journal: Journal{Sequence: uint64(len(a.desk.events))}}
	}
	for _, c := range change {
		c(&cfg)
	}
	a.server, err = New(cfg)
	require.NoError(t, err)
	t.Cleanup(a.server.close)
	return a
}

// answer is what came back.
type answer struct {
	t      *testing.T
	Status int
	Header http.Header
	Body   string
}

// request makes a request of a program with the till's token.
func (a *aTill) request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:7080"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:50000"
	r.Header.Set("Authorization", "Bearer "+a.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (a *aTill) do(r *http.Request) answer {
	a.t.Helper()
	return a.through(a.server.Handler(), r)
}

func (a *aTill) through(h http.Handler, r *http.Request) answer {
	a.t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	require.NoError(a.t, err)
	got := answer{t: a.t, Status: w.Code, Header: w.Header(), Body: string(body)}
	a.holdToDocument(r, got)
	return got
}

func (a *aTill) get(path string) answer {
	a.t.Helper()
	return a.do(a.request(http.MethodGet, path, ""))
}

func (a *aTill) post(path, body string) answer {
	a.t.Helper()
	return a.do(a.request(http.MethodPost, path, body))
}

// arm asks for a payment of HK$ 12.50 for a sale.
func (a *aTill) arm(sale, key string) answer {
	a.t.Helper()
	r := a.request(http.MethodPost, "/v1/payments", `{"amount":1250,"currency":"HKD","sale_ref":"`+sale+`","operator":"P001"}`)
	r.Header.Set("Idempotency-Key", key)
	return a.do(r)
}

// armed arms a payment and returns its id.
func (a *aTill) armed(sale string) payflow.OutTradeNo {
	a.t.Helper()
	got := a.arm(sale, "key-"+sale)
	require.Equal(a.t, http.StatusCreated, got.Status, got.Body)
	return got.payment().ID
}

func (g answer) payment() Payment {
	g.t.Helper()
	var p Payment
	require.NoError(g.t, json.Unmarshal([]byte(g.Body), &p), g.Body)
	return p
}

func (g answer) problem() Problem {
	g.t.Helper()
	require.Equal(g.t, "application/problem+json", g.Header.Get("Content-Type"), g.Body)
	var p Problem
	require.NoError(g.t, json.Unmarshal([]byte(g.Body), &p), g.Body)
	require.Equal(g.t, g.Status, p.Status)
	require.NotEmpty(g.t, p.NextStep.EN)
	return p
}
