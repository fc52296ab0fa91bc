package rig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// callWithin is how long one step in the guest may take on a busy machine; nothing that works comes near it.
const callWithin = 2 * time.Minute

// shop is a till in the guest: the real daemon before simulated WeChat Pay, and the scanners on the bench.
type shop struct {
	t       *testing.T
	m       *Machine
	chance  *rand.Rand
	charged map[string]charge // what WeChat Pay's books must hold, by order number
	stuck   *bool             // a part ended before its end: what follows would fail too, and cover why
}

// charge is a payment that the shop took.
type charge struct {
	amount int64
	code   string
}

// in makes the shop's failures those of a subtest.
func (s *shop) in(t *testing.T) *shop {
	part := *s
	part.t = t
	return &part
}

func (s *shop) ask(method string, args, reply any) {
	s.t.Helper()
	require.NoError(s.t, s.try(method, args, reply))
}

func (s *shop) try(method string, args, reply any) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), callWithin)
	defer cancel()
	return s.m.Ask(ctx, method, args, reply)
}

func (s *shop) write(name, text string) {
	s.t.Helper()
	s.ask("Write", FileArgs{Name: name, Mode: 0o600, Data: []byte(text)}, &Nothing{})
}

// run runs posagent to its end and returns what it wrote.
func (s *shop) run(args ...string) (status int, output string) {
	s.t.Helper()
	var reply ProgramReply
	s.ask("Run", RunArgs{Args: append([]string{"/bin/posagent"}, args...), Within: time.Minute}, &reply)
	return reply.Status, string(reply.Output)
}

// openWeChat starts simulated WeChat Pay in the guest.
func (s *shop) openWeChat() {
	s.t.Helper()
	s.ask("Start", StartArgs{Name: "wechat", Args: []string{"/bin/posagent", "simulate", "--dir", "/var/wechat", "--account", "/var/account.toml", "--books", "/var/books.json"}}, &Nothing{})
	require.Eventually(s.t, func() bool {
		return s.try("Read", FileArgs{Name: "/var/account.toml"}, &FileReply{}) == nil
	}, callWithin, 200*time.Millisecond, "simulated WeChat Pay does not listen")
}

// shopConfig is the till's configuration, without its scanners.
const shopConfig = `[store]
id = "RIG01"
time_zone = "Asia/Hong_Kong"
[till]
id = "T1"
currency = "HKD"
scan_within = "10m"
[journal]
file = "/var/posagent/journal.db"
[backup]
at = ""
[api]
listen = "127.0.0.1:7080"
socket = "/run/posagent.sock"
tokens_file = "/var/posagent/tokens.json"
[wechat]
%s
%s`

const configFile = "/etc/posagent/posagent.toml"

// configure writes the till's configuration, with scanners.
func (s *shop) configure(devices []device) {
	s.t.Helper()
	var account FileReply
	s.ask("Read", FileArgs{Name: "/var/account.toml"}, &account)
	var sections strings.Builder
	for _, d := range devices {
		sections.WriteString("[[scanner]]\n" + d.config)
	}
	s.write(configFile, fmt.Sprintf(shopConfig, account.Data, sections.String()))
	s.write("/var/posagent/.keep", "")
}

// open starts the daemon with scanners, and waits until it takes payments and reads every one of them.
func (s *shop) open(devices []device) {
	s.t.Helper()
	s.configure(devices)
	s.ask("Start", StartArgs{Name: "daemon", Args: []string{"/bin/posagent", "run", "--config", configFile}}, &Nothing{})
	require.Eventually(s.t, s.ready, callWithin, 200*time.Millisecond, "the daemon does not get ready")
	for _, d := range devices {
		s.await(d, true)
	}
}

func (s *shop) ready() bool {
	var answer CallReply
	var status struct{ Ready bool }
	err := s.try("Call", CallArgs{Method: http.MethodGet, Path: "/v1/status", Within: time.Minute}, &answer)
	if err != nil {
		var now ProgramReply
		require.NoError(s.t, s.try("Output", StartArgs{Name: "daemon"}, &now))
		require.Falsef(s.t, now.Ended, "the daemon has ended:\n%s", tail(now.Output, logMax))
		return false
	}
	return json.Unmarshal(answer.Body, &status) == nil && status.Ready
}

// await waits until the daemon's status shows a scanner ready or not, and returns when it first did by the guest's clock.
func (s *shop) await(d device, ready bool) time.Duration {
	s.t.Helper()
	var reply AwaitReply
	s.ask("Await", AwaitArgs{Device: d.shown, Ready: ready, Within: time.Minute}, &reply)
	return reply.At
}

// closeDaemon stops the daemon by SIGQUIT, on which a Go program writes where each of its goroutines is, and counts them.
func (s *shop) closeDaemon() (goroutines int) {
	s.t.Helper()
	var reply ProgramReply
	s.ask("Stop", StopArgs{Name: "daemon", Signal: int(syscall.SIGQUIT), Within: time.Minute}, &reply)
	_, stacks, found := bytes.Cut(reply.Output, []byte("SIGQUIT: quit"))
	require.Truef(s.t, found, "the daemon had ended by itself:\n%s", tail(reply.Output, logMax))
	return bytes.Count(stacks, []byte("\ngoroutine ")) - 1 // without the idle one that the runtime shows first
}

func (s *shop) usage() UsageReply {
	s.t.Helper()
	var reply UsageReply
	s.ask("Usage", StartArgs{Name: "daemon"}, &reply)
	return reply
}

// payment is what the rig reads of one in the daemon's API.
type payment struct {
	ID       string
	Status   string
	Final    bool
	Version  uint64
	Amount   int64
	CodeTail string `json:"code_tail"`
	Proof    string
	Notice   *struct{ Kind string }
}

func (s *shop) call(method, path, key string, body any, wanted int) (p payment) {
	s.t.Helper()
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		require.NoError(s.t, err)
	}
	var answer CallReply
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		s.ask("Call", CallArgs{Method: method, Path: path, Key: key, Body: text, Within: time.Minute}, &answer)
		if answer.Status != http.StatusServiceUnavailable || time.Now().After(end) {
			break // the guest's own WeChat Pay can be late with a handshake where the machine is busy, and then nothing is sold for a moment
		}
	}
	require.Equalf(s.t, wanted, answer.Status, "%s %s: %s", method, path, answer.Body)
	require.NoError(s.t, json.Unmarshal(answer.Body, &p))
	return p
}

// arm arms a sale of an amount that no other sale had.
func (s *shop) arm() payment {
	s.t.Helper()
	number := len(s.charged) + 1 // each that was armed is paid before the next one
	sale := fmt.Sprintf("sale-%d", number)
	return s.call(http.MethodPost, "/v1/payments", sale, map[string]any{"amount": 20000 + number, "sale_ref": sale}, http.StatusCreated)
}

// code is a payment code that no other sale had. It is none of those with which simulated WeChat Pay plays a scenario.
func (s *shop) code() string {
	return fmt.Sprintf("13%016d", 1e15+s.chance.Int64N(9e15))
}

// pay scans a code for an armed payment, waits for its end and sees that it was paid with this very code and amount. A
// scan that is refused is told, and the next code is scanned, as a customer's would be. One that the rig itself was too slow
// for is not the daemon's: it is only logged.
func (s *shop) pay(p payment, scan func(s *shop, code string) time.Duration) (refused []string) {
	s.t.Helper()
	for range refusedMax {
		code, began := s.code(), time.Now()
		longest := scan(s, code)
		took := time.Since(began)
		var why string
		if p, why = s.outcome(p); why == "" {
			s.paid(p, code)
			return refused
		}
		why = fmt.Sprintf("%s of a scan that took %s, one part of it %s", why, took.Round(time.Millisecond), longest.Round(time.Millisecond))
		if longest > typingGap/2 {
			s.t.Logf("scanned again, since this machine is too busy to play a scanner: %s", why)
			continue
		}
		refused = append(refused, why)
	}
	require.Fail(s.t, "no scan is taken", "refused: %v", refused)
	return nil
}

func (s *shop) paid(p payment, code string) {
	s.t.Helper()
	require.Equal(s.t, "paid", p.Status, p)
	require.Equal(s.t, "signed", p.Proof)
	require.Equal(s.t, code[len(code)-4:], p.CodeTail)
	s.charged[p.ID] = charge{p.Amount, code}
	s.call(http.MethodPost, "/v1/payments/"+p.ID+"/acknowledge", "", nil, http.StatusOK)
}

// refusedMax bounds the scans for one payment.
const refusedMax = 5

// outcome waits until a payment is final or a scan was refused.
func (s *shop) outcome(p payment) (after payment, refused string) {
	s.t.Helper()
	for !p.Final {
		before := p.Version
		p = s.call(http.MethodGet, fmt.Sprintf("/v1/payments/%s?since=%d&wait=20", p.ID, p.Version), "", nil, http.StatusOK)
		if p.Version == before {
			return p, "nothing came of it in 20 s"
		}
		if p.Status == "waiting" && p.Notice != nil {
			return p, p.Notice.Kind
		}
	}
	return p, ""
}

// digitsOnConsole are the digits that reached the guest's own console since the last look.
func (s *shop) digitsOnConsole() string {
	s.t.Helper()
	var reply ConsoleReply
	s.ask("Console", Nothing{}, &reply)
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, string(reply.Read)+string(reply.Screen[:len(reply.Screen)-len(reply.Screen)%2]))
}

// closeWeChat stops simulated WeChat Pay and compares its books with what the till was told, order by order.
func (s *shop) closeWeChat() {
	s.t.Helper()
	s.ask("Stop", StopArgs{Name: "wechat", Signal: int(syscall.SIGTERM), Within: time.Minute}, &ProgramReply{})
	var file FileReply
	s.ask("Read", FileArgs{Name: "/var/books.json"}, &file)
	var books []struct {
		OutTradeNo, State, CodeSum string
		Amount                     struct{ Minor int64 }
		Held                       int64
		Charged, Arrivals          int
		Violations                 []string
	}
	require.NoError(s.t, json.Unmarshal(file.Data, &books))
	assert.Len(s.t, books, len(s.charged), "orders in WeChat Pay's books")
	for _, b := range books {
		c, ours := s.charged[b.OutTradeNo]
		assert.Truef(s.t, ours, "WeChat Pay has an order that nobody armed: %+v", b)
		assert.Equal(s.t, "SUCCESS", b.State, b.OutTradeNo)
		assert.Equal(s.t, c.amount, b.Held, b.OutTradeNo)
		assert.Equal(s.t, 1, b.Charged, b.OutTradeNo)
		assert.Equalf(s.t, fmt.Sprintf("%x", sha256.Sum256([]byte(c.code))), b.CodeSum, "%s was paid with another code than the scanner sent", b.OutTradeNo)
		assert.Empty(s.t, b.Violations, b.OutTradeNo)
	}
}
