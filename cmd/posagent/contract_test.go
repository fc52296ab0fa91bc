package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/till"
)

// openAgent is a whole agent in this process, with its local API on a port of this machine, beside simulated WeChat Pay.
type openAgent struct {
	*agent
	t       testing.TB
	gateway *trial
	address string
	token   string
}

func newOpenAgent(t testing.TB) *openAgent {
	t.Helper()
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	cfg, err := demoConfig(dir, demoFlags{listen: "127.0.0.1:0"}, gateway)
	require.NoError(t, err)
	return runOpenAgent(t, cfg, gateway)
}

func runOpenAgent(t testing.TB, cfg Config, gateway *trial) *openAgent {
	t.Helper()
	tokens, err := till.OpenTokens(cfg.API.TokensFile)
	require.NoError(t, err)
	token, _, err := tokens.Create("till software", till.Scopes())
	require.NoError(t, err)
	a, err := newAgent(cfg, agentOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx) }()
	t.Cleanup(func() { stop(); assert.NoError(t, <-ended); a.close() })
	require.Eventually(t, func() bool { return a.engine.Ready() == nil }, time.Minute, 20*time.Millisecond)
	return &openAgent{agent: a, t: t, gateway: gateway, address: a.listeners[0].Addr().String(), token: token}
}

// call makes one call as till software, and returns its status and answer.
func (o *openAgent) call(client *http.Client, method, path, key, body string) (int, map[string]any) {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+o.address+path, strings.NewReader(body))
	if !assert.NoError(o.t, err) {
		return 0, nil
	}
	r.Header.Set("Authorization", "Bearer "+o.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	answer, err := client.Do(r)
	if !assert.NoError(o.t, err) {
		return 0, nil
	}
	defer answer.Body.Close()
	var v map[string]any
	assert.NoError(o.t, json.NewDecoder(answer.Body).Decode(&v))
	return answer.StatusCode, v
}

type apiAnswer struct {
	status int
	body   map[string]any
}

// atOnce makes a call from many clients, each on a connection of its own, all at the same moment.
func (o *openAgent) atOnce(n int, ask func(c *http.Client, i int) (int, map[string]any)) []apiAnswer {
	answers, begin := make([]apiAnswer, n), make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			<-begin
			answers[i].status, answers[i].body = ask(c, i)
		})
	}
	close(begin)
	all.Wait()
	return answers
}

const manyClients = 64

func TestManyClientsOfOneTillChargeOnce(t *testing.T) {
	t.Parallel()
	o := newOpenAgent(t)
	const body = `{"amount":1250,"sale_ref":"A-1001"}`
	same := o.atOnce(manyClients, func(c *http.Client, _ int) (int, map[string]any) {
		return o.call(c, http.MethodPost, "/v1/payments", "the-key", body)
	})
	all, err := o.engine.Recent(10)
	require.NoError(t, err)
	require.Len(t, all, 1, "one key is one payment")
	first := all[0].OutTradeNo
	for _, got := range same {
		require.Equal(t, http.StatusCreated, got.status, got.body)
		assert.Equal(t, string(first), got.body["id"])
	}
	status, got := o.call(http.DefaultClient, http.MethodPost, "/v1/payments", "the-key", `{"amount":1251,"sale_ref":"A-1001"}`)
	assert.Equal(t, http.StatusUnprocessableEntity, status, got)
	code := o.gateway.code("pays-at-once")
	given := o.atOnce(manyClients, func(c *http.Client, _ int) (int, map[string]any) {
		return o.call(c, http.MethodPost, "/v1/payments/"+string(first)+"/code", "", `{"code":"`+code+`"}`)
	})
	taken := 0
	for _, got := range given {
		if got.status == http.StatusAccepted {
			taken++
		}
	}
	assert.Equal(t, 1, taken, "one code is given once")
	o.awaitPaid(first)

	other := o.atOnce(manyClients, func(c *http.Client, i int) (int, map[string]any) {
		return o.call(c, http.MethodPost, "/v1/payments", fmt.Sprintf("key-%d", i), fmt.Sprintf(`{"amount":1250,"sale_ref":"B-%d"}`, i))
	})
	all, err = o.engine.Recent(200)
	require.NoError(t, err)
	require.Len(t, all, 2, "one till holds one payment")
	second, made := all[0].OutTradeNo, 0
	for _, got := range other {
		if got.status == http.StatusCreated {
			made++
			continue
		}
		require.Equal(t, http.StatusConflict, got.status, got.body)
		assert.Equal(t, "till_busy", got.body["code"])
		assert.Equal(t, string(second), got.body["payment_id"], "the conflict names it")
	}
	assert.Equal(t, 1, made)
	again := o.atOnce(manyClients, func(c *http.Client, _ int) (int, map[string]any) {
		return o.call(c, http.MethodPost, "/v1/payments", "the-key", body)
	})
	for _, got := range again {
		assert.Equal(t, string(first), got.body["id"], "whatever has happened since")
		assert.Equal(t, "paid", got.body["status"])
	}
	refunds := o.atOnce(manyClients, func(c *http.Client, _ int) (int, map[string]any) {
		return o.call(c, http.MethodPost, "/v1/payments/"+string(first)+"/refunds", "the-refund", `{"amount":250,"reason":"returned","operator":"M001"}`)
	})
	for _, got := range refunds {
		require.Less(t, got.status, 300, got.body)
		assert.Equal(t, refunds[0].body["id"], got.body["id"])
	}
	require.Eventually(t, func() bool { return len(o.engine.OpenRefunds()) == 0 }, 30*time.Second, 20*time.Millisecond)
	lines := o.gateway.books()
	require.Len(t, lines, 1, "WeChat Pay has one order")
	o.showsInMetrics(string(first))
	assert.EqualValues(t, 1, lines[0].Charged, "once")
	assert.EqualValues(t, 1000, lines[0].Held, "and gave back once")
}

// showsInMetrics holds /metrics to what was sold.
func (o *openAgent) showsInMetrics(id string) {
	o.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+o.address+"/metrics", nil)
	require.NoError(o.t, err)
	r.Header.Set("Authorization", "Bearer "+o.token)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(o.t, err)
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(o.t, err)
	text := string(raw)
	for _, line := range []string{`posagent_payments_total{status="paid",reason="paid"} 1`, `posagent_refunds_total{status="refunded"} 1`, "posagent_verdict_seconds_count 1",
		`posagent_wechat_calls_total{kind="pay",outcome="found"} 1`, `posagent_wechat_calls_total{kind="refund",outcome="`, "posagent_journal_commits_total ", "posagent_journal_bytes ",
		`posagent_certificate_remaining_seconds{kind="merchant"} `, "posagent_clock_offset_seconds "} {
		assert.Contains(o.t, text, line)
	}
	assert.NotContains(o.t, text, id)
	if path := os.Getenv("POSAGENT_METRICS_FILE"); path != "" { // for promtool check metrics
		require.NoError(o.t, os.WriteFile(path, raw, 0o600))
	}
}

func (o *openAgent) awaitPaid(id payflow.OutTradeNo) {
	o.t.Helper()
	require.Eventually(o.t, func() bool {
		e, err := o.engine.Payment(id)
		return err == nil && e.Status == payflow.Paid
	}, 30*time.Second, 5*time.Millisecond)
}

// cutReader reads the event stream over TCP and is cut again and again; it goes on behind the last event that it saw whole.
type cutReader struct {
	o         *openAgent
	dice      *mrand.Rand
	last      string
	sequences []uint64
	midEvent  int
	hasty     bool // a planted fault: an event counts as seen when its id has come
}

// once reads one connection until it is cut: after so many bytes, or after a while.
func (c *cutReader) once() {
	conn, err := net.Dial("tcp", c.o.address)
	require.NoError(c.o.t, err)
	defer conn.Close()
	resume := ""
	if c.last != "" {
		resume = "Last-Event-ID: " + c.last + "\r\n"
	}
	_, err = fmt.Fprintf(conn, "GET /v1/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n", c.o.address, c.o.token, resume)
	require.NoError(c.o.t, err)
	if c.dice.IntN(2) == 0 {
		_ = conn.(*net.TCPConn).SetLinger(0) // cut off, not closed
	}
	require.NoError(c.o.t, conn.SetReadDeadline(time.Now().Add(time.Duration(c.dice.IntN(40))*time.Millisecond)))
	raw := io.LimitReader(conn, int64(300+c.dice.IntN(8000)))
	answer, err := http.ReadResponse(bufio.NewReaderSize(raw, 16), nil)
	if err != nil {
		return // cut before the answer
	}
	if !assert.Equal(c.o.t, http.StatusOK, answer.StatusCode) {
		return
	}
	c.read(bufio.NewReader(answer.Body))
}

func (c *cutReader) read(lines *bufio.Reader) {
	id, event := "", ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			if id != "" || event != "" || line != "" {
				c.midEvent++
			}
			return
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			if id = value; c.hasty {
				c.last = id
			}
		case "event":
			event = value
		case "":
			if id != "" {
				c.last = id
			}
			if event == "journal" {
				sequence, err := strconv.ParseUint(id, 10, 64)
				require.NoError(c.o.t, err)
				c.sequences = append(c.sequences, sequence)
			}
			id, event = "", ""
		}
	}
}

// sellOn arms and cancels payments until ctx ends; each tenth is paid.
func (o *openAgent) sellOn(ctx context.Context) {
	wish := context.WithoutCancel(ctx) // a payment that was armed comes to its end
	for n := 0; ctx.Err() == nil; n++ {
		sale := fmt.Sprintf("S-%d", n)
		e, err := o.engine.Arm(wish, payflow.ArmRequest{IdempotencyKey: sale, SaleRef: payflow.SaleRef(sale), Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}})
		if err != nil {
			continue // the payment before is not over yet
		}
		if n%10 == 0 {
			_, _ = o.engine.Scan(wish, o.gateway.code("pays-at-once"), "", "scanner")
			o.awaitPaid(e.OutTradeNo)
			continue
		}
		_, _ = o.engine.Cancel(wish, e.OutTradeNo, "P001")
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// whileCut reads the stream over so many cuts while payments go on, and returns the reader and the journal's entries from its first on.
func whileCut(t *testing.T, cuts int, hasty bool) (*cutReader, []uint64) {
	t.Helper()
	o := newOpenAgent(t)
	seed := uint64(asked(t, "POSAGENT_EVENT_SEED", int(mrand.Uint32())))
	t.Logf("replay with POSAGENT_EVENT_CUTS=%d POSAGENT_EVENT_SEED=%d", cuts, seed)
	c := &cutReader{o: o, dice: mrand.New(mrand.NewPCG(seed, 1)), last: "0", hasty: hasty}
	ctx, stop := context.WithCancel(t.Context())
	var selling sync.WaitGroup
	selling.Go(func() { o.sellOn(ctx) })
	for n := 0; n < cuts || n < 50*cuts && o.journal.Head().Sequence <= uint64(cuts/2); n++ { // a busy machine may sell slower than it cuts
		c.once()
	}
	stop()
	selling.Wait()
	require.Eventually(t, func() bool { return len(o.engine.OpenEntries()) == 0 }, 30*time.Second, 20*time.Millisecond, "nothing more is journaled")
	end := o.journal.Head().Sequence
	for range 1000 {
		if c.last == strconv.FormatUint(end, 10) {
			break
		}
		c.once()
	}
	var all []uint64
	for after := uint64(0); after < end; {
		page, err := o.engine.JournalEvents(after, 200)
		require.NoError(t, err)
		for _, j := range page {
			all = append(all, j.Sequence)
			after = j.Sequence
		}
	}
	all = all[:slices.Index(all, end)+1]
	return c, all
}

func TestAStreamThatIsCutAgainAndAgainShowsEachEventOnceAndInOrder(t *testing.T) {
	t.Parallel()
	cuts := asked(t, "POSAGENT_EVENT_CUTS", 100)
	c, all := whileCut(t, cuts, false)
	t.Logf("%d cuts, %d of them within an event; %d journal entries", cuts, c.midEvent, len(all))
	assert.Positive(t, c.midEvent, "some cuts fell within an event")
	assert.Greater(t, len(all), cuts/4, "payments went on")
	assert.Equal(t, all, c.sequences)
}

func TestAReaderThatCountsHalfAnEventMissesSome(t *testing.T) {
	t.Parallel()
	c, all := whileCut(t, 100, true)
	assert.NotEqual(t, all, c.sequences, "the harness sees a gap")
}
