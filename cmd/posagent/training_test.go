package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/receipt"
	"posagent/wxsim"
)

// runningAgent is the agent of a configuration, with everything that run starts; it ends with the test.
func runningAgent(t *testing.T, cfg Config) *agent {
	t.Helper()
	a, err := newAgent(cfg, agentOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(a.close)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx) }()
	t.Cleanup(func() { stop(); assert.NoError(t, <-ended) })
	return a
}

// aDemoAgent is a running agent of the demo: simulated WeChat Pay plays the real one.
func aDemoAgent(t *testing.T) (*agent, *trial) {
	t.Helper()
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	cfg, err := demoConfig(dir, demoFlags{listen: "127.0.0.1:0"}, gateway)
	require.NoError(t, err)
	a := runningAgent(t, cfg)
	require.Eventually(t, func() bool { return a.engine.Ready() == nil }, 20*time.Second, 20*time.Millisecond)
	return a, gateway
}

// pageClient calls as the page does: with its session and its header.
type pageClient struct {
	t      *testing.T
	agent  *agent
	cookie *http.Cookie
}

func aPageClient(t *testing.T, a *agent) *pageClient {
	t.Helper()
	c := &pageClient{t: t, agent: a}
	got := c.call(http.MethodGet, "/", "")
	require.Len(t, got.Result().Cookies(), 1)
	c.cookie = got.Result().Cookies()[0]
	return c
}

func (c *pageClient) call(method, path, body string) *httptest.ResponseRecorder {
	c.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:7080"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:50000"
	r.Header.Set("X-Posagent", "page")
	r.Header.Set("Idempotency-Key", "key-"+path)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.cookie != nil {
		r.AddCookie(c.cookie)
	}
	w := httptest.NewRecorder()
	c.agent.server.Handler().ServeHTTP(w, r)
	return w
}

func TestTrainingIsATillOfItsOwn(t *testing.T) {
	a, real := aDemoAgent(t)
	page := aPageClient(t, a)
	before := a.journal.Head()
	assert.Equal(t, http.StatusSeeOther, page.call(http.MethodGet, "/training/", "").Code, "there is no training yet")
	assert.Equal(t, http.StatusNotFound, page.call(http.MethodGet, "/training/v1/status", "").Code)
	assert.Equal(t, http.StatusNotFound, page.call(http.MethodPost, "/v1/training/scan", `{"payment":"X","customer":"pays"}`).Code, "no customers are played at the real till")

	require.Equal(t, http.StatusOK, page.call(http.MethodPost, "/v1/training/begin", "{}").Code)
	inner := a.training.run
	require.Equal(t, http.StatusOK, page.call(http.MethodPost, "/v1/training/begin", "{}").Code)
	assert.Same(t, inner, a.training.run, "a second beginning changes nothing")
	assert.Equal(t, http.StatusOK, page.call(http.MethodGet, "/training/", "").Code)
	require.Eventually(t, func() bool {
		return strings.Contains(page.call(http.MethodGet, "/training/v1/status", "").Body.String(), `"ready":true`)
	}, 20*time.Second, 20*time.Millisecond)
	status := page.call(http.MethodGet, "/training/v1/status", "").Body.String()
	assert.Contains(t, status, `"training":true`)
	assert.Contains(t, status, `"store":"TRAINING Tencent Building Branch"`)
	assert.Contains(t, page.call(http.MethodGet, "/v1/status", "").Body.String(), `"training":false`)

	armed := page.call(http.MethodPost, "/training/v1/payments", `{"amount":1250,"currency":"HKD","sale_ref":"T-1"}`)
	require.Equal(t, http.StatusCreated, armed.Code, armed.Body)
	id := strings.TrimPrefix(armed.Header().Get("Location"), "/v1/payments/")
	require.True(t, strings.HasPrefix(id, "TRAINING"), id)
	require.Equal(t, http.StatusOK, page.call(http.MethodPost, "/training/v1/training/scan", `{"payment":"`+id+`","customer":"pays"}`).Code)
	require.Eventually(t, func() bool {
		return strings.Contains(page.call(http.MethodGet, "/training/v1/payments/"+id, "").Body.String(), `"status":"paid"`)
	}, 20*time.Second, 20*time.Millisecond)

	assert.Equal(t, http.StatusNotFound, page.call(http.MethodGet, "/v1/payments/"+id, "").Code, "the real journal knows nothing of it")
	assert.Equal(t, before, a.journal.Head())
	_, known := real.sim.Books().Order(id)
	assert.False(t, known, "nor does WeChat Pay")

	require.Equal(t, http.StatusOK, page.call(http.MethodPost, "/v1/training/end", "{}").Code)
	assert.Equal(t, http.StatusSeeOther, page.call(http.MethodGet, "/training/", "").Code)
	assert.NoDirExists(t, a.training.folder())
}

func TestARealPaymentEndsTrainingAndKeepsItFromBeginning(t *testing.T) {
	a, _ := aDemoAgent(t)
	page := aPageClient(t, a)
	require.Equal(t, http.StatusOK, page.call(http.MethodPost, "/v1/training/begin", "{}").Code)
	armed := page.call(http.MethodPost, "/v1/payments", `{"amount":1250,"currency":"HKD","sale_ref":"A-1"}`)
	require.Equal(t, http.StatusCreated, armed.Code, armed.Body)
	require.Eventually(t, func() bool { return page.call(http.MethodGet, "/training/", "").Code == http.StatusSeeOther }, 20*time.Second, 20*time.Millisecond)
	refused := page.call(http.MethodPost, "/v1/training/begin", "{}")
	assert.Equal(t, http.StatusConflict, refused.Code)
	assert.Contains(t, refused.Body.String(), "till_busy")
}

func TestAReceiptOfTrainingSaysSo(t *testing.T) {
	a, _ := aDemoAgent(t)
	trial, err := openTrial(filepath.Join(t.TempDir(), "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(trial.close)
	require.NoError(t, a.training.clear())
	inner, err := a.training.newAgent(trial)
	require.NoError(t, err)
	t.Cleanup(inner.close)
	assert.Empty(t, inner.listeners)
	assert.NotEqual(t, filepath.Dir(a.cfg.Journal.File), filepath.Dir(inner.cfg.Journal.File))
	e := payflow.Entry{}
	e.OutTradeNo, e.Status, e.Amount, e.FinalAt = "TRAININGTRN1", payflow.Paid, payflow.Amount{Minor: 1250, Currency: "HKD"}, time.Now()
	slip, err := receipt.Text(e, receiptOptions(inner.cfg))
	require.NoError(t, err)
	assert.Contains(t, slip, "TRAINING")
}

func TestEveryPractisedCustomerIsPlayed(t *testing.T) {
	p := &practice{trial: &trial{}}
	for customer, scenario := range practised {
		_, known := wxsim.Find(scenario)
		assert.True(t, known, scenario)
		code, known := p.PracticeCode(customer)
		assert.True(t, known)
		assert.Equal(t, payflow.CodeWeChat, payflow.KindOfCode(code, "", nil))
	}
	first, _ := p.PracticeCode("alipay")
	second, _ := p.PracticeCode("alipay")
	assert.NotEqual(t, first, second)
	assert.Equal(t, payflow.CodeAlipay, payflow.KindOfCode(first, "", nil))
	_, known := p.PracticeCode("stranger")
	assert.False(t, known)
}
