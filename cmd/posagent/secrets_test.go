package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/till"
	"posagent/wxsim"
)

// hiding is a store whose every secret is hunted for: its credentials, its tokens, its journals' keys, and each code that a customer shows.
type hiding struct {
	*hunt
	t       *testing.T
	dir     string
	gateway *trial
	key     string   // for API v3
	pem     []string // the private key's lines
	mu      sync.Mutex
	shown   int // codes
}

func newHiding(t *testing.T) *hiding {
	t.Helper()
	s := &hiding{hunt: newHunt(), t: t, dir: t.TempDir()}
	var err error
	s.gateway, err = openTrial(filepath.Join(s.dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(s.gateway.close)
	credentials, err := s.gateway.sim.Credentials("")
	require.NoError(t, err)
	s.key = s.secret("the API v3 key", credentials.APIv3Key)
	lines := strings.Split(strings.TrimSpace(string(credentials.PrivateKey)), "\n")
	s.pem = lines[len(lines)/2 : len(lines)-1] // before them stands the modulus, which the certificate tells everybody
	for _, line := range s.pem {
		s.secret("the private key", line)
	}
	s.number("the private exponent", credentials.Key.D)
	for _, p := range credentials.Key.Primes {
		s.number("a prime of the private key", p)
	}
	return s
}

// next is a payment code that no customer has shown yet, whose wallet does as the scenario says.
func (s *hiding) next(scenario string) string {
	s.mu.Lock()
	s.shown++
	n := 1_000_000_000 + s.shown*7_919_374_561%9_000_000_000
	s.mu.Unlock()
	return s.code(wxsim.CodeFor(scenario, n))
}

// daemon starts a till's daemon at debug level.
func (s *hiding) daemon(id string, c trialConfig) *trialTill {
	s.t.Helper()
	c.StoreID, c.TillID, c.Account = "SZTX001", id[:2], s.gateway.account()
	tt, err := openTrialTill(filepath.Join(s.dir, id), id, c)
	require.NoError(s.t, err)
	tt.extra = []string{asPosagent + "=1"}
	s.t.Cleanup(func() { tt.kill(); _ = tt.pty.Close() })
	require.NoError(s.t, tt.start(s.t.Context()))
	require.NoError(s.t, tt.awaitReady(s.t.Context()))
	key, err := os.ReadFile(keyFileOf(filepath.Join(tt.dir, "journal.db")))
	require.NoError(s.t, err)
	s.secret("the key of the journal of "+id, strings.Fields(string(key))[1])
	return tt
}

// command runs a sub-command as a process of its own, and searches what it prints.
func (s *hiding) command(tt *trialTill, stdin string, args ...string) (stdout string) {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, tt.binary, append(args, "--config", filepath.Join(tt.dir, "posagent.toml"))...)
	cmd.Env = append(os.Environ(), asPosagent+"=1")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	_ = cmd.Run() // many of them are refused
	require.NotNil(s.t, cmd.ProcessState)
	where := "what posagent " + strings.Join(args[:min(len(args), 2)], " ") + " prints"
	s.search(where, out.Bytes())
	s.search(where+" of errors", errs.Bytes())
	return out.String()
}

// end stops the daemon and searches all that it leaves behind. The journal's key is the one secret that it writes, into a file of its own.
func (s *hiding) end(tt *trialTill) {
	s.t.Helper()
	require.NoError(s.t, tt.stop())
	log, err := os.ReadFile(filepath.Join(tt.dir, "daemon.log"))
	require.NoError(s.t, err)
	assert.True(s.t, bytes.Contains(log, []byte(`"message":"wire"`)), "the wire was logged")
	for line := range bytes.Lines(log) {
		for _, never := range []string{"-----BEGIN", "WECHATPAY2-SHA256-RSA2048 ", "Signature:", "auth_code"} {
			assert.NotContains(s.t, string(line), never)
		}
	}
	s.searchFiles(s.t, tt.dir, "journal.key")
	for _, file := range []string{"journal.db", "journal.db.reserve", "journal.db.heard", filepath.Join("keys", "journal.key.head"), "platform-certificates.json", "daemon.log"} {
		assert.FileExists(s.t, filepath.Join(tt.dir, file), "it was searched")
	}
}

// TestNoSecretInLogJournalAnswersOrPage plants secrets in every call of the local API, in every way that it is called.
func TestNoSecretInLogJournalAnswersOrPage(t *testing.T) {
	t.Parallel()
	s := newHiding(t)
	listen := freeAddress(t)
	tt := s.daemon("A1", trialConfig{Listen: listen, AllowCode: true})
	tokens, err := till.OpenTokens(filepath.Join(tt.dir, "tokens.json"))
	require.NoError(t, err)
	token, _, err := tokens.Create("the hunt", till.Scopes())
	require.NoError(t, err)
	s.secret("a token", strings.TrimPrefix(token, "posagent_"))
	cookie := s.session(listen)

	calls, least := 0, 2000
	callers := []*caller{
		newCaller(t, s.hunt, "socket", "unix", filepath.Join(tt.dir, "posagent.sock"), nil),
		newCaller(t, s.hunt, "token", "tcp", listen, http.Header{"Authorization": {"Bearer " + token}}),
		newCaller(t, s.hunt, "page", "tcp", listen, http.Header{"Cookie": {cookie}, "X-Posagent": {"page"}}),
	}
	if underRace {
		callers, least = callers[1:2], 700
	}
	for _, c := range callers {
		c.codes = func() string { return s.next("pays-at-once") }
		c.others = []string{s.key, s.pem[0], token}
		c.everywhere()
		for _, path := range []string{"/v1/status", "/v1/payments?limit=200", "/v1/journal?limit=200", "/v1/journal?limit=200&after=200", "/v1/payments?unannounced=true", "/v1/attention"} {
			c.get(path)
		}
		c.free()
		calls += c.calls
	}
	assert.Greater(t, calls, least)
	s.page(listen, cookie)
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"check"}, {"check", "--json"}, {"journal", "list", "--limit", "200"},
		{"journal", "list", "--limit", "200", "--json"}, {"journal", "verify"}, {"version", "--json"}} {
		s.command(tt, "", args...)
	}
	s.end(tt)
	s.nothing(t)
}

// session opens the page as a browser does, and returns its cookie, which only the page may know.
func (s *hiding) session(listen string) string {
	s.t.Helper()
	answer, err := http.Get("http://" + listen + "/")
	require.NoError(s.t, err)
	defer answer.Body.Close()
	require.Len(s.t, answer.Cookies(), 1)
	c := answer.Cookies()[0]
	s.secret("the page's session", c.Value)
	return c.Name + "=" + c.Value
}

// page reads all that a browser loads.
func (s *hiding) page(listen, cookie string) {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Join("..", "..", "till", "page"))
	require.NoError(s.t, err)
	paths := []string{"/", "/page/words.json", "/page/stories.json"}
	for _, e := range entries {
		paths = append(paths, "/page/"+e.Name())
	}
	c := newCaller(s.t, s.hunt, "page", "tcp", listen, http.Header{"Cookie": {cookie}})
	for _, path := range paths {
		assert.NotEmpty(s.t, c.get(path), path)
	}
}

// quickStories are scenarios that end within seconds, slowStories those that take the 15 s until a reverse.
var (
	quickStories = []string{"pays-at-once", "no-money", "expired-code", "reused-code", "not-a-code", "card-not-supported", "too-many-requests", "answer-lost",
		"system-error-paid", "unlisted-error", "bad-gateway-paid", "unsigned", "forged", "unknown-serial", "replayed", "wrong-date", "truncated",
		"oversized", "trailing-json", "duplicate-headers", "gzip", "stale", "probe"}
	slowStories = []string{"password-never", "system-error-unpaid"}
)

// TestNoSecretWhateverBecomesOfAPayment plays stories on serial scanners.
func TestNoSecretWhateverBecomesOfAPayment(t *testing.T) {
	t.Parallel()
	s := newHiding(t)
	var lanes sync.WaitGroup
	var tills []*trialTill
	for i, story := range slowStories {
		tt := s.daemon(fmt.Sprintf("R%d", i), trialConfig{Flow: "reverse_after = \"15s\"\npay_timeout = \"5s\"\n"})
		tills = append(tills, tt)
		lanes.Go(func() { s.play(tt, story, 25*time.Second) })
	}
	const quick = 3
	for i := range quick {
		tt := s.daemon(fmt.Sprintf("Q%d", i), trialConfig{})
		tills = append(tills, tt)
		lanes.Go(func() {
			for n := i; n < len(quickStories); n += quick {
				s.play(tt, quickStories[n], 15*time.Second)
			}
		})
	}
	lanes.Wait()
	s.play(tills[len(tills)-1], "rolled-over", 15*time.Second) // last: from it on every till meets a certificate that it does not know
	for _, tt := range tills {
		s.end(tt)
	}
	s.nothing(t)
}

// play sells once, to a customer whose wallet does as the story says, until that is decided.
func (s *hiding) play(tt *trialTill, story string, within time.Duration) {
	ctx, stop := context.WithTimeout(s.t.Context(), within)
	defer stop()
	code := s.next(story)
	assert.NoError(s.t, tt.awaitReady(ctx), "after the story before %s", story)
	p, err := tt.arm(ctx, "sale-"+story, 1250)
	if !assert.NoError(s.t, err, story) || !assert.NoError(s.t, tt.scan(code)) {
		return
	}
	p, err = tt.client.WaitFinal(ctx, p.ID, nil)
	assert.NoErrorf(s.t, err, "%s is %s %s, notice %+v: %s", story, p.Status, p.Reason, p.Notice, tt.lastLines())
	s.searchJSON("what the till is told", p)
}

func (s *hiding) searchJSON(where string, v any) {
	text, err := json.Marshal(v)
	assert.NoError(s.t, err)
	s.search(where, text)
}

// TestNoSecretWhateverIsScanned does with one till what customers, cashiers and bad cables do.
func TestNoSecretWhateverIsScanned(t *testing.T) {
	t.Parallel()
	s := newHiding(t)
	tt := s.daemon("B1", trialConfig{AllowCode: true})
	events := s.listen(tt)
	for _, scan := range []string{s.next("pays-at-once"), s.key, s.pem[0][:60], "]Q1" + s.next("pays-at-once")} {
		require.NoError(t, tt.scan(scan), "with nothing armed")
	}
	require.Eventually(t, func() bool { return refusals(tt) >= 4 }, 10*time.Second, 20*time.Millisecond)
	p, err := tt.arm(t.Context(), "A-1", 1250)
	require.NoError(t, err)
	alipay := s.code("287634438256643941")
	for _, scan := range []string{alipay, s.code("625123456789012345")[:18] + "9", s.key, "6901234567892", s.next("pays-at-once")[:17], s.next("pays-at-once") + s.next("pays-at-once"),
		"https://u.wechat.com/" + s.next("pays-at-once"), "\x00\xff\x1b" + s.next("pays-at-once")[:9] + "\xfe", s.pem[1][:60]} {
		require.NoError(t, tt.scan(scan))
	}
	require.Eventually(t, func() bool { p, err = tt.client.Payment(t.Context(), p.ID); return err == nil && p.Notice != nil }, 10*time.Second, 20*time.Millisecond)
	s.searchJSON("a notice", p)

	// The daemon is killed while the pay call is out, after a second read of the same code and another customer's.
	code := s.next("answer-late")
	for _, scan := range []string{code, code, s.next("pays-at-once")} {
		require.NoError(t, tt.scan(scan))
	}
	require.NoError(t, s.gateway.awaitArrival(t.Context(), p.ID))
	for _, args := range [][]string{{"cancel", string(p.ID)}, {"status"}, {"pay", "--amount", "1", "--sale", "A-2"}} {
		s.command(tt, "", args...)
	}
	tt.kill()
	s.searchFiles(t, tt.dir, "journal.key")
	require.NoError(t, tt.start(t.Context()))
	p, err = tt.client.WaitFinal(t.Context(), p.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, payflow.Paid, p.Status)
	require.NoError(t, tt.awaitReady(t.Context()))

	// WeChat Pay sends the code back, where an error's code stands.
	echoed := s.next("pays-at-once")
	s.gateway.sim.Inject(wxsim.Fault{On: wxsim.Pay, Kind: wxsim.Refuse, Status: http.StatusBadRequest, Code: "PARAM_" + echoed})
	p, err = tt.arm(t.Context(), "A-3", 1250)
	require.NoError(t, err)
	require.NoError(t, tt.scan(echoed))
	_, err = tt.until(t.Context(), p.ID, nil, func(p till.Payment) bool { return p.Status == payflow.Confirming || p.Final })
	require.NoError(t, err)
	s.commands(tt, string(p.ID))
	tt.kill()
	assert.Greater(t, events(), 20)
	s.searchFiles(t, tt.dir, "journal.key")
	s.nothing(t)
}

// refusals counts the scans that were refused.
func refusals(tt *trialTill) int {
	log, _ := os.ReadFile(filepath.Join(tt.dir, "daemon.log"))
	return bytes.Count(log, []byte("a scan was refused"))
}

// commands runs every sub-command that meets the daemon or its journal, with codes where they can be given and where none belongs.
func (s *hiding) commands(tt *trialTill, id string) {
	s.t.Helper()
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"check"}, {"check", "--json"}, {"journal", "list"}, {"journal", "list", "--json"},
		{"journal", "show", id}, {"journal", "show", id, "--json"}, {"journal", "verify"}, {"journal", "verify", "--json"}, {"receipt", "preview", id},
		{"scanner", "list"}, {"version"}} {
		s.command(tt, "", args...)
	}
	alipay, twice := s.code("287634438256643941"), s.next("pays-at-once")+s.next("pays-at-once")
	for _, stdin := range []string{s.next("pays-at-once"), alipay, twice, s.key, ""} {
		s.command(tt, stdin+"\n", "pay", "--amount", "12.50", "--sale", "A-9", "--code-stdin", "--wait", "1s")
	}
	for _, secret := range []string{s.next("pays-at-once"), s.key} {
		for _, args := range [][]string{{"--operator", secret}, {"--description", secret}, {"--key", secret}, {"--sale", secret}} {
			s.command(tt, "", append([]string{"pay", "--amount", "12.50", "--sale", "A-8", "--wait", "100ms"}, args...)...)
		}
	}
	code := s.next("pays-at-once")
	for _, args := range [][]string{{"pay", "--amount", code, "--sale", "A-7"}, {"cancel", code}, {"journal", "show", code}, {"journal", "list", "--sale", code},
		{"journal", "list", "--day", code}, {"journal", "verify", "--head", code}, {"receipt", "preview", code}, {code}, {"run", code},
		{"run", "--log-level", code}, {"status", "--" + code}} {
		s.command(tt, "", args...)
	}
}

// listen follows the daemon's events as a page does, until the daemon ends; the function that it returns says how many bytes came.
func (s *hiding) listen(tt *trialTill) func() int {
	s.t.Helper()
	c := newCaller(s.t, s.hunt, "stream", "unix", filepath.Join(tt.dir, "posagent.sock"), nil)
	conn, err := c.dial(s.t.Context())
	require.NoError(s.t, err)
	_, err = fmt.Fprintf(conn, "GET /v1/events?after=0 HTTP/1.0\r\nHost: localhost\r\n\r\n")
	require.NoError(s.t, err)
	var text bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = text.ReadFrom(conn)
	}()
	return func() int {
		<-ended
		s.search("the stream of events", text.Bytes())
		return text.Len()
	}
}

// freeAddress is one that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
