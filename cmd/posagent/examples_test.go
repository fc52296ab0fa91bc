package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/till"
)

// sampleTill is a daemon in a process of its own, before simulated WeChat Pay, with a token and a line protocol for the samples.
type sampleTill struct {
	*trialTill
	gateway *trial
	url     string
	token   string
}

func startSampleTill(t *testing.T) *sampleTill {
	t.Helper()
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	address, err := freeLineAddress()
	require.NoError(t, err)
	home := filepath.Join(dir, "S1")
	require.NoError(t, os.MkdirAll(home, 0o700))
	tokens, err := till.OpenTokens(filepath.Join(home, "tokens.json"))
	require.NoError(t, err)
	token, _, err := tokens.Create("a till", []till.Scope{till.ScopePay})
	require.NoError(t, err)
	tt, err := openTrialTill(home, "S1", trialConfig{StoreID: "SZTX001", TillID: "S1", Account: gateway.account(), Listen: address, AllowCode: true, OldTills: true})
	require.NoError(t, err)
	tt.extra = []string{asPosagent + "=1"}
	require.NoError(t, tt.start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, tt.close()) })
	require.NoError(t, tt.awaitReady(t.Context()))
	return &sampleTill{tt, gateway, "http://" + address, token}
}

// sample runs a sample and returns its exit status and what it wrote. A machine without its interpreter skips the test.
func (s *sampleTill) sample(t *testing.T, url string, command ...string) (int, string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = "../../examples"
	cmd.Env = append(os.Environ(), "POSAGENT_URL="+url, "POSAGENT_TOKEN="+s.token, "POSAGENT_ROUNDS=4", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		require.IsType(t, &exec.ExitError{}, err, "%s", out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func needSampleTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("POSAGENT_REQUIRE_SAMPLES") == "1" {
				t.Fatalf("no %s, and POSAGENT_REQUIRE_SAMPLES=1 requires it; install it", tool)
			}
			t.Skipf("no %s: the sample that needs it was not run", tool)
		}
	}
}

// Each sample sells, is refused, loses its answer and asks again, and finds its payment again after a crash.
func TestTheSamplesOfTheAPISell(t *testing.T) {
	for name, tools := range map[string][]string{"pay.sh": {"bash", "curl", "jq"}, "pay.py": {"python3"}, "pay.mjs": {"node"}} {
		t.Run(name, func(t *testing.T) {
			needSampleTools(t, tools...)
			t.Parallel()
			s := startSampleTill(t)
			run := func(url, sale, minor, code string) (int, string) {
				command := map[string]string{"pay.sh": "bash", "pay.py": "python3", "pay.mjs": "node"}[name]
				return s.sample(t, url, command, name, sale, minor, code)
			}
			status, out := run(s.url, "A-1001", "1250", s.gateway.code("pays-at-once"))
			require.Equal(t, 0, status, out)
			assert.Contains(t, out, "PAID HK$ 12.50")
			assert.Contains(t, out, "paid 4200")
			again, out := run(s.url, "A-1001", "1250", s.gateway.code("pays-at-once"))
			assert.Equal(t, 0, again, "after a crash, the same sale is the same payment: %s", out)
			status, out = run(s.url, "A-1001", "1300", s.gateway.code("pays-at-once"))
			assert.Equal(t, 2, status, "a paid sale may not be taken for unpaid: %s", out)
			assert.Contains(t, out, "already_paid")
			status, out = run(s.url, "A-1002", "99900", s.gateway.code("no-money"))
			assert.Equal(t, 1, status, out)
			assert.Contains(t, out, "not enough money")

			lossy := s.losing(t, "POST /v1/payments")
			status, out = run(lossy, "A-1003", "800", s.gateway.code("pays-at-once"))
			assert.Equal(t, 0, status, "the first answer was lost: %s", out)
			lossy = s.losing(t, "acknowledge")
			status, out = run(lossy, "A-1004", "900", s.gateway.code("pays-at-once"))
			assert.Equal(t, 3, status, "the acknowledgement's answer was lost: %s", out)
			status, out = run(s.url, "A-1004", "900", "")
			assert.Equal(t, 0, status, out)
			status, out = run("http://127.0.0.1:9", "A-1005", "900", "")
			assert.Equal(t, 3, status, "nobody answers: nothing is known, %s", out)
			s.agreed(t, map[string]payflow.Status{"A-1001": payflow.Paid, "A-1002": payflow.Declined, "A-1003": payflow.Paid, "A-1004": payflow.Paid})
		})
	}
}

func TestTheSampleOfTheLineProtocolSells(t *testing.T) {
	needSampleTools(t, "python3")
	s := startSampleTill(t)
	run := func(sale, minor, code string) (int, string) {
		armed := make(chan struct{})
		go func() {
			defer close(armed)
			for code != "" && t.Context().Err() == nil {
				list, err := s.client.Payments(t.Context(), till.PaymentsQuery{SaleRef: sale})
				if err == nil && len(list.Payments) > 0 && list.Payments[0].Status == payflow.Waiting {
					_ = s.scan(code)
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}()
		status, out := s.sample(t, s.url, "python3", "line.py", sale, minor, s.old.address)
		<-armed
		return status, out
	}
	status, out := run("A-1", "1250", s.gateway.code("pays-at-once"))
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "ACKED")
	status, out = run("A-1", "1250", "")
	assert.Equal(t, 0, status, out)
	status, out = run("A-1", "1300", "")
	assert.Equal(t, 2, status, out)
	status, out = run("A-2", "99900", s.gateway.code("no-money"))
	assert.Equal(t, 1, status, out)
	s.agreed(t, map[string]payflow.Status{"A-1": payflow.Paid, "A-2": payflow.Declined})
}

// agreed holds the journal against what must be, and WeChat Pay's books against the journal.
func (s *sampleTill) agreed(t *testing.T, want map[string]payflow.Status) {
	t.Helper()
	list, err := s.client.Payments(t.Context(), till.PaymentsQuery{})
	require.NoError(t, err)
	got := map[string]payflow.Status{}
	for _, p := range list.Payments {
		got[string(p.SaleRef)] = p.Status
		assert.True(t, p.Acknowledged, p.SaleRef)
		book, _ := s.gateway.sim.Books().Order(string(p.ID))
		assert.Equal(t, p.Status == payflow.Paid, book.Held > 0, p.SaleRef)
	}
	assert.Equal(t, want, got)
	assert.Len(t, list.Payments, len(want), "one payment for each sale")
}

// losing is the till behind a wire that loses the answer of the first call of a kind: it is carried out, and nobody is told.
func (s *sampleTill) losing(t *testing.T, call string) string {
	t.Helper()
	lost := false
	proxy := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), r.Method, s.url+r.URL.RequestURI(), r.Body)
		if err != nil {
			return
		}
		request.Header = r.Header.Clone()
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			return
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return
		}
		if strings.HasSuffix(r.Method+" "+r.URL.Path, call) && !lost {
			lost = true
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(text)
	})}
	address, err := freeLineAddress()
	require.NoError(t, err)
	proxy.Addr = address
	go func() { _ = proxy.ListenAndServe() }()
	t.Cleanup(func() { _ = proxy.Close() })
	require.Eventually(t, func() bool {
		answer, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			answer.Body.Close()
		}
		return err == nil
	}, 5*time.Second, 20*time.Millisecond)
	return "http://" + address
}
