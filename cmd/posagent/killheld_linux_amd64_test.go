package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/till"
)

// heldTill is a trial till whose daemon runs under an interceptor, with a cashier who follows a script.
type heldTill struct {
	*trialTill
	gateway *trial
	sales   int
	gone    chan struct{} // closed when the daemon has ended

	mu     sync.Mutex // guards all below
	watch  func(stoppedCall) treatment
	told   []toldPayment
	how    error              // the daemon ended last
	polite bool               // the daemon is being stopped, as the script wants it
	hangUp context.CancelFunc // ends the session in which the daemon has ended without being asked; nil: none
}

// toldPayment is what the till's software was told, and may rely on from then on.
type toldPayment struct {
	id     payflow.OutTradeNo
	amount int64
	status payflow.Status
	at     time.Time
}

// openHeldTill makes a till that speaks to gateway. start it.
func openHeldTill(t testing.TB, dir, id string, gateway *trial) *heldTill {
	t.Helper()
	config := trialConfig{StoreID: "SZTX001", TillID: id, Account: gateway.account(), Flow: "reverse_after = \"15s\"\n"}
	tt, err := openTrialTill(filepath.Join(dir, id), id, config)
	require.NoError(t, err)
	tt.extra = []string{asPosagent + "=1", "GODEBUG=asyncpreemptoff=1"}
	h := &heldTill{trialTill: tt, gateway: gateway}
	t.Cleanup(func() { h.kill(); _ = h.pty.Close() })
	return h
}

// shortDir is a temporary folder whose name leaves room for a socket's.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kill")
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemons' logs and journals stay in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// canIntercept skips the test where no program may be traced; POSAGENT_REQUIRE_PTRACE=1 fails it there.
func canIntercept(t testing.TB) {
	t.Helper()
	pid, ended, err := startIntercepted("/bin/true", nil, nil, os.Stderr, func(stoppedCall) treatment { return treatment{} })
	if err == nil {
		err = <-ended
	}
	if err == nil {
		return
	}
	require.NotEqual(t, "1", os.Getenv("POSAGENT_REQUIRE_PTRACE"), "tracing is required here, and process %d could not be traced: %v", pid, err)
	t.Skipf("not run: this machine lets no program be traced (%v); POSAGENT_REQUIRE_PTRACE=1 makes that a failure", err)
}

// on sets what becomes of the daemon's calls from now on; nil lets all pass.
func (h *heldTill) on(watch func(stoppedCall) treatment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watch = watch
}

func (h *heldTill) decide(c stoppedCall) treatment {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watch == nil {
		return treatment{}
	}
	return h.watch(c)
}

// launch starts the daemon under the interceptor, without waiting for its API.
func (h *heldTill) launch() error {
	output, err := os.OpenFile(filepath.Join(h.dir, "daemon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	h.output = output
	env := append(append(os.Environ(), h.extra...), withInterceptor+"=1")
	pid, ended, err := startIntercepted(h.binary, []string{"run", "--log-level", "debug", "--config", filepath.Join(h.dir, "posagent.toml")}, env, output, h.decide)
	if err != nil {
		return err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	h.cmd, h.exited, h.gone = &exec.Cmd{Process: process}, make(chan error, 1), make(chan struct{})
	go func(exited chan<- error, gone chan<- struct{}) {
		how := <-ended
		h.mu.Lock()
		if !h.polite && h.hangUp != nil {
			h.hangUp()
		}
		h.how = how
		h.mu.Unlock()
		exited <- how
		close(gone)
	}(h.exited, h.gone)
	return nil
}

// stop ends the daemon politely; the session goes on.
func (h *heldTill) stop() error {
	h.setPolite(true)
	defer h.setPolite(false)
	return h.trialTill.stop()
}

func (h *heldTill) setPolite(polite bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.polite = polite
}

// tellWithin tells a script until its end or the daemon's. A session that hangs is an error.
func (h *heldTill) tellWithin(ctx context.Context, script heldScript) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	h.mu.Lock()
	h.hangUp = cancel
	h.mu.Unlock()
	return script.tell(ctx, h)
}

// startHeld starts the daemon under the interceptor and returns when its API answers.
func (h *heldTill) startHeld(ctx context.Context) error {
	if err := h.launch(); err != nil {
		return err
	}
	return h.awaitAPI(ctx)
}

// ended waits until the daemon is gone, and returns how it ended.
func (h *heldTill) ended(within time.Duration) (how error, gone bool) {
	select {
	case <-h.gone:
	case <-time.After(within):
		return nil, false
	}
	h.forget()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.how, true
}

// hear notes what the till's software was told.
func (h *heldTill) hear(p till.Payment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, toldPayment{p.ID, p.Amount, p.Status, time.Now()})
}

// ring arms the next sale. A till that is not ready is asked again: its link may be resting.
func (h *heldTill) ring(ctx context.Context) (till.Payment, error) {
	h.sales++
	sale := h.name + "-" + strconv.Itoa(h.sales)
	for try := 0; ; try++ {
		p, err := h.arm(ctx, sale, 100+int64(h.sales))
		if refused := (*till.Problem)(nil); errors.As(err, &refused) && try < 100 {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err == nil {
			h.hear(p)
		}
		return p, err
	}
}

// settle follows a payment to its end, and has it acknowledged.
func (h *heldTill) settle(ctx context.Context, id payflow.OutTradeNo) error {
	p, err := h.client.WaitFinal(ctx, id, h.hear)
	if err != nil {
		return err
	}
	h.hear(p)
	_, err = h.client.Acknowledge(ctx, id, till.AcknowledgeBody{Operator: "P001"})
	return err
}

// sell rings a sale, shows a code whose wallet behaves as the scenario says, and follows it to its end.
func (h *heldTill) sell(ctx context.Context, scenario string) error {
	p, err := h.ring(ctx)
	if err == nil {
		err = h.scan(h.gateway.code(scenario))
	}
	if err != nil {
		return err
	}
	return h.settle(ctx, p.ID)
}

// heldScript is a till's day, as it is told again and again while the daemon is killed or its disk fails.
type heldScript struct {
	name string
	api  payflow.API
	tell func(ctx context.Context, h *heldTill) error
}

func sales(scenarios ...string) func(ctx context.Context, h *heldTill) error {
	return func(ctx context.Context, h *heldTill) error {
		for _, scenario := range scenarios {
			if err := h.sell(ctx, scenario); err != nil {
				return fmt.Errorf("%s: %w", scenario, err)
			}
		}
		return nil
	}
}

// cancelled is a sale that the cashier gives up before a code was shown.
func cancelled(ctx context.Context, h *heldTill) error {
	p, err := h.ring(ctx)
	if err != nil {
		return err
	}
	p, err = h.client.Cancel(ctx, p.ID, "P001")
	if err == nil {
		h.hear(p)
	}
	return err
}

// restarted is a payment that is open while the daemon is stopped politely and started again.
func restarted(ctx context.Context, h *heldTill) error {
	p, err := h.ring(ctx)
	if err == nil {
		err = h.scan(h.gateway.code("password-pays"))
	}
	if err != nil {
		return err
	}
	if _, err = h.until(ctx, p.ID, nil, func(p till.Payment) bool { return p.Status != payflow.Waiting }); err != nil {
		return err
	}
	if err := h.stop(); err != nil {
		return err
	}
	if err := h.startHeld(ctx); err != nil {
		return err
	}
	return h.settle(ctx, p.ID)
}

func inTurn(parts ...func(context.Context, *heldTill) error) func(context.Context, *heldTill) error {
	return func(ctx context.Context, h *heldTill) error {
		for _, part := range parts {
			if err := part(ctx, h); err != nil {
				return err
			}
		}
		return nil
	}
}

// heldScripts are the scripted sessions; the first is CI's.
var heldScripts = []heldScript{
	{"a day over API v3", payflow.APIv3, inTurn(sales("pays-at-once"), cancelled, sales("answer-lost-unpaid"), restarted)},
	{"a day over API v2", payflow.APIv2, inTurn(sales("pays-at-once", "answer-lost"), cancelled, sales("answer-lost-unpaid"), restarted)},
	{"a bad day", payflow.APIv3, inTurn(sales("hidden-deduction", "password-refused", "forged", "reverse-answer-lost"), restarted, sales("system-error-unpaid"))},
}

// judgeHeld judges tills as judgeKilled does, and holds what their software was told against the journals.
func judgeHeld(t *testing.T, tills []*heldTill, books []bookLine) {
	t.Helper()
	all := make([]*trialTill, len(tills))
	for i, h := range tills {
		all[i] = h.trialTill
	}
	judgeKilled(t, all, books)
	told := 0
	for _, h := range tills {
		entries, err := h.entries(t.Context())
		require.NoError(t, err)
		for _, difference := range compareTold(h.told, entries) {
			t.Errorf("%s: %s", h.name, difference)
		}
		told += len(h.told)
	}
	t.Logf("%d answers and announcements to the tills' software agree with the journals", told)
}

// compareTold returns what was told and is not so: nothing that was acknowledged may be gone.
func compareTold(told []toldPayment, entries []payflow.Entry) (differences []string) {
	byNumber := map[payflow.OutTradeNo]payflow.Entry{}
	for _, e := range entries {
		byNumber[e.OutTradeNo] = e
	}
	for _, p := range told {
		e, kept := byNumber[p.id]
		switch {
		case !kept:
			differences = append(differences, fmt.Sprintf("%s was told, and the journal has no such payment", p.id))
		case e.Amount.Minor != p.amount:
			differences = append(differences, fmt.Sprintf("%s was told with %d, and the journal says %d", p.id, p.amount, e.Amount.Minor))
		case p.status.Final() && e.Status != p.status:
			differences = append(differences, fmt.Sprintf("%s was told %s, and the journal says %s", p.id, p.status, e.Status))
		case p.status == payflow.Reversing && e.Status == payflow.Paid:
			differences = append(differences, fmt.Sprintf("%s was being taken back, and is paid", p.id))
		}
	}
	return differences
}

// A loss that is planted is found: what judges the runs can fail.
func TestWhatWasToldAndIsGoneIsFound(t *testing.T) {
	kept := payflow.Entry{Payment: payflow.Payment{Order: payflow.Order{OutTradeNo: "A1", Amount: payflow.Amount{Minor: 100, Currency: "HKD"}}, Status: payflow.Declined}}
	entries := []payflow.Entry{kept}
	assert.Empty(t, compareTold([]toldPayment{{id: "A1", amount: 100, status: payflow.Paying}, {id: "A1", amount: 100, status: payflow.Declined}}, entries))
	for _, wrong := range []toldPayment{{id: "A2", amount: 100, status: payflow.Waiting}, {id: "A1", amount: 101, status: payflow.Waiting}, {id: "A1", amount: 100, status: payflow.Paid}} {
		assert.Len(t, compareTold([]toldPayment{wrong}, entries), 1, wrong)
	}
	kept.Status = payflow.Paid
	assert.Len(t, compareTold([]toldPayment{{id: "A1", amount: 100, status: payflow.Reversing}}, []payflow.Entry{kept}), 1)
}

// A journal that forgets is found: the one from before a sale is put in the place of the one behind it.
func TestAJournalThatForgetsIsFound(t *testing.T) {
	canIntercept(t)
	dir := shortDir(t)
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	h := openHeldTill(t, dir, "P1", gateway)
	require.NoError(t, h.startHeld(t.Context()))
	require.NoError(t, h.awaitRest(t.Context()))
	require.NoError(t, h.stop())
	before := filepath.Join(dir, "before")
	require.NoError(t, copyJournal(h.dir, before))
	require.NoError(t, h.startHeld(t.Context()))
	require.NoError(t, h.awaitRest(t.Context()))
	require.NoError(t, h.sell(t.Context(), "pays-at-once"))
	require.NoError(t, h.stop())
	entries, err := h.entries(t.Context())
	require.NoError(t, err)
	assert.Empty(t, compareTold(h.told, entries))
	assert.Empty(t, compareBooks(gateway.books(), entries))

	require.NoError(t, copyJournal(before, h.dir))
	forgot, err := h.entries(t.Context())
	require.NoError(t, err)
	assert.Len(t, compareTold(h.told, forgot), len(h.told))
	assert.NotEmpty(t, compareBooks(gateway.books(), forgot))
}
