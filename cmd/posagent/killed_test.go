package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// asPosagent makes a re-executed test binary the program itself.
const asPosagent = "POSAGENT_TEST_IS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asPosagent) == "1" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// killPlan is how much is killed: POSAGENT_KILLS in all, 20 daemons at a time.
type killPlan struct{ daemons, kills int }

func planKills(t *testing.T) killPlan {
	text := os.Getenv("POSAGENT_KILLS")
	if text == "" {
		t.Skip("the long series of kills was not run: it takes minutes, and .ci/run asks for it with POSAGENT_KILLS=200")
	}
	kills, err := strconv.Atoi(text)
	require.NoError(t, err, "POSAGENT_KILLS is a number")
	return killPlan{daemons: 20, kills: kills}
}

// TestADaemonKilledWhileThePayCallIsOutFindsTheTrueResult is the one kill that every run of the tests makes.
func TestADaemonKilledWhileThePayCallIsOutFindsTheTrueResult(t *testing.T) {
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	tt, err := openTrialTill(filepath.Join(dir, "K1"), "K1", trialConfig{StoreID: "SZTX001", TillID: "K1", Account: gateway.account()})
	require.NoError(t, err)
	tt.extra = []string{asPosagent + "=1"}
	t.Cleanup(func() { tt.kill(); _ = tt.pty.Close() })
	require.NoError(t, tt.start(t.Context()))
	require.NoError(t, tt.awaitReady(t.Context()))
	p, err := tt.arm(t.Context(), "A-1", 1250)
	require.NoError(t, err)
	require.NoError(t, tt.scan(gateway.code("answer-late")))
	require.NoError(t, gateway.awaitArrival(t.Context(), p.ID))
	tt.kill()
	require.NoError(t, tt.start(t.Context()))
	p, err = tt.client.WaitFinal(t.Context(), p.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, payflow.Paid, p.Status)
	judgeKilled(t, []*trialTill{tt}, gateway.books())
}

// TestKilledDaemonsLoseNothing kills daemons at random moments of running payments. 150 s after the last kill everything
// is decided, the simulator's books agree with the journals, nothing was paid twice, and every journal is clean.
func TestKilledDaemonsLoseNothing(t *testing.T) {
	plan := planKills(t)
	dir := t.TempDir()
	sim := startSimulator(t, dir)
	tills := make([]*trialTill, plan.daemons)
	for i := range tills {
		id := fmt.Sprintf("K%02d", i)
		config := trialConfig{StoreID: "SZTX001", TillID: id, Account: sim.account, Flow: "reverse_after = \"15s\"\npay_timeout = \"5s\"\n"}
		tt, err := openTrialTill(filepath.Join(dir, id), id, config)
		require.NoError(t, err)
		tt.extra = []string{asPosagent + "=1"}
		tills[i] = tt
		t.Cleanup(func() { tt.kill(); _ = tt.pty.Close() })
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var running sync.WaitGroup
	errs := make([]error, len(tills))
	for i, tt := range tills {
		kills := plan.kills / plan.daemons
		if i < plan.kills%plan.daemons {
			kills++
		}
		running.Go(func() { errs[i] = tormentTill(t.Context(), tt, kills, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	running.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	books := sim.stop(t)
	judgeKilled(t, tills, books)
}

// tormentTill sells and kills, restarts, and at the end waits until everything is decided.
func tormentTill(ctx context.Context, tt *trialTill, kills int, chance *rand.Rand) error {
	if err := tt.start(ctx); err != nil {
		return err
	}
	for sale := 0; kills > 0; sale++ {
		if err := tt.awaitFree(ctx); err != nil {
			return err
		}
		p, err := tt.arm(ctx, fmt.Sprintf("%s-%d", tt.name, sale), 100+chance.Int64N(100_000))
		if err != nil {
			return fmt.Errorf("%s arms: %w", tt.name, err)
		}
		if err := tt.scan(tormentCode(tt.name, sale, chance)); err != nil {
			return err
		}
		for range 1 + chance.IntN(2) {
			if kills == 0 {
				break
			}
			killed, err := tt.killWithin(ctx, p.ID, time.Duration(chance.Int64N(int64(2500*time.Millisecond))))
			if err != nil {
				return err
			}
			if killed {
				kills--
			}
		}
	}
	within, cancel := context.WithTimeout(ctx, 150*time.Second)
	defer cancel()
	if err := tt.awaitFree(within); err != nil {
		return fmt.Errorf("150 s after the last kill %s is not decided: %w", tt.name, err)
	}
	return nil
}

// tormentWallets are the endings of codes, the common ones oftener.
var tormentWallets = []string{
	"pays-at-once", "pays-at-once", "password-pays", "password-refused", "no-money", "system-error-paid", "system-error-no-order",
	"hidden-deduction", "answer-lost", "unsigned", "forged", "request-lost", "password-pays-200", "refused-unsigned", "bad-gateway-paid",
}

func tormentCode(name string, sale int, chance *rand.Rand) string {
	number, _ := strconv.Atoi(name[1:])
	return wxsim.CodeFor(tormentWallets[chance.IntN(len(tormentWallets))], 1_000_000*(number+1)+sale)
}

// killWithin kills the daemon after a while, and starts it again, unless the payment has ended first.
func (t *trialTill) killWithin(ctx context.Context, id payflow.OutTradeNo, after time.Duration) (bool, error) {
	within, cancel := context.WithTimeout(ctx, after)
	defer cancel()
	p, _ := t.client.WaitFinal(within, id, nil)
	if p.Final {
		return false, nil
	}
	t.kill()
	return true, t.start(ctx)
}

// awaitFree returns when no payment holds the till and the next could be armed.
func (t *trialTill) awaitFree(ctx context.Context) error {
	for {
		status, err := t.client.Status(ctx)
		if err == nil && status.HoldingID == "" && status.Ready && scannersReady(status) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: holding %q, last log lines: %s", ctx.Err(), status.HoldingID, t.lastLines())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func judgeKilled(t *testing.T, tills []*trialTill, books []bookLine) {
	t.Helper()
	var journals [][]payflow.Entry
	paid, all := 0, 0
	for _, tt := range tills {
		require.NoError(t, tt.stop())
		entries, err := tt.entries(t.Context())
		require.NoError(t, err, "journal verify is clean")
		for _, e := range entries {
			all++
			assert.Truef(t, e.Status.Final(), "%s is %s", e.OutTradeNo, e.Status)
			if e.Status == payflow.Paid {
				paid++
			}
		}
		journals = append(journals, entries)
	}
	for _, d := range compareBooks(books, journals...) {
		t.Errorf("%s: %s", d.OutTradeNo, d.What)
	}
	t.Logf("%d tills, %d payments, %d paid, %d orders in WeChat Pay's books", len(tills), all, paid, len(books))
	require.NotEmpty(t, books)
}

// simulator is simulated WeChat Pay as a process of its own.
type simulator struct {
	cmd     *exec.Cmd
	exited  <-chan error
	account string
	books   string
}

func startSimulator(t testing.TB, dir string) *simulator {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	s := &simulator{books: filepath.Join(dir, "books.json")}
	ready := filepath.Join(dir, "account.toml")
	s.cmd = exec.Command(binary, "simulate", "--dir", filepath.Join(dir, "wechat-pay"), "--listen", "127.0.0.1:0", "--books", s.books, "--account", ready)
	s.cmd.Env = append(os.Environ(), asPosagent+"=1")
	s.cmd.Stderr = os.Stderr
	s.exited, err = startChild(s.cmd)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(ready)
		s.account = string(text)
		return err == nil && len(text) > 0
	}, time.Minute, 20*time.Millisecond, "the simulator says which account to use")
	return s
}

// stop ends the simulator and returns its books.
func (s *simulator) stop(t testing.TB) []bookLine {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	<-s.exited
	text, err := os.ReadFile(s.books)
	require.NoError(t, err)
	var lines []bookLine
	require.NoError(t, json.Unmarshal(text, &lines))
	return lines
}
