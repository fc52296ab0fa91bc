package till

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
)

var metricLine = regexp.MustCompile(`^([a-z_]+)(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? -?[0-9.e+]+$`)

// lint holds the rules of the format and of its names: help and type once and first, a counter ends in _total and nothing else does, no
// number twice.
func lint(t *testing.T, text string) {
	t.Helper()
	require.True(t, strings.HasSuffix(text, "\n"))
	kinds, numbers := map[string]string{}, map[string]bool{}
	current := ""
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if help, is := strings.CutPrefix(line, "# HELP "); is {
			name, words, _ := strings.Cut(help, " ")
			assert.NotContains(t, kinds, name, "all numbers of a name stand together")
			assert.NotEmpty(t, words)
			current = name
			continue
		}
		if kind, is := strings.CutPrefix(line, "# TYPE "+current+" "); is {
			kinds[current] = kind
			assert.Equal(t, kind == "counter", strings.HasSuffix(current, "_total"), line)
			continue
		}
		require.Regexp(t, metricLine, strings.Replace(line, "+Inf", "Inf", 1))
		series, _, _ := strings.Cut(line, " ")
		name, _, _ := strings.Cut(series, "{")
		if kinds[current] == "histogram" {
			name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		}
		assert.Equal(t, current, name)
		assert.False(t, numbers[series], "twice: %s", series)
		numbers[series] = true
	}
}

func TestTheMetricsSayWhatHasEndedAndWhatHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := health.NewTracker(health.Config{})
		tracker.Set(health.DiskFull, "secret detail 134650720866361395")
		a := newTill(t, func(c *Config) {
			c.Health = tracker
			c.Metrics = func() []Metric {
				return []Metric{{Name: "posagent_calls_total", Help: "Calls.", Counter: true, Labels: []string{"kind", "pay", "outcome", "lost"}, Value: 3}}
			}
			c.Status = func() Status {
				return Status{Version: "1.0", Clock: Clock{Known: true, OffsetSeconds: -70}, Certificates: []Certificate{{Name: "platform", DaysLeft: 9, Serial: "ABCD"}, {Name: "platform", DaysLeft: 400}},
					Devices: []Device{{Name: "/dev/a\"b", Ready: true, Statistics: &ScanStatistics{Good: 7, Refused: map[string]uint64{"busy": 2, "alipay": 1}, Misread: map[string]uint64{"parity": 1}, ReadyHours: 2}}, {Name: "/dev/c"}}}
			}
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { a.server.CountMetrics(ctx); close(done) }()
		synctest.Wait()
		ended := func(e *payflow.Entry) { e.FirstPayAt, e.FinalAt = time.Now(), time.Now().Add(4*time.Second) }
		first := a.armed("A-1001")
		a.desk.move(first, func(e *payflow.Entry) { paid(e); ended(e) })
		synctest.Wait()
		a.desk.move(first, func(e *payflow.Entry) { e.Acknowledged.At = time.Now() }) // announced again
		synctest.Wait()
		second := a.armed("A-1002")
		a.desk.move(second, func(e *payflow.Entry) {
			ended(e)
			e.Status, e.Reason, e.FinalAt = payflow.Reversed, payflow.ReasonNeverArrived, e.FirstPayAt.Add(10*time.Minute)
		})
		synctest.Wait()
		made := a.refund(first, "r1", aRefundBody).refund()
		a.back.move(made.ID, func(r *payflow.RefundEntry) { refunded(r); r.FinalAt = time.Now() })
		synctest.Wait()
		old := a.armed("A-1003")
		a.desk.move(old, func(e *payflow.Entry) { paid(e); e.FinalAt = time.Now().Add(-time.Hour) }) // before this process began
		synctest.Wait()

		got := a.get("/metrics")
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		assert.Equal(t, metricsType, got.Header.Get("Content-Type"))
		lint(t, got.Body)
		for _, line := range []string{
			`posagent_payments_total{status="paid",reason="paid"} 1`, `posagent_payments_total{status="reversed",reason="never_arrived"} 1`,
			`posagent_refunds_total{status="refunded"} 1`, `posagent_verdict_seconds_bucket{le="3"} 0`, `posagent_verdict_seconds_bucket{le="5"} 1`,
			`posagent_verdict_seconds_bucket{le="300"} 1`, `posagent_verdict_seconds_bucket{le="+Inf"} 2`, `posagent_verdict_seconds_sum 604`, `posagent_verdict_seconds_count 2`,
			`posagent_calls_total{kind="pay",outcome="lost"} 3`, `posagent_clock_offset_seconds -70`, `posagent_certificate_remaining_seconds{kind="platform"} 777600`,
			`posagent_warning{code="disk_full",severity="`, `posagent_scans_good_total{device="/dev/a\"b"} 7`, `posagent_scans_refused_total{device="/dev/a\"b",reason="busy"} 2`,
			`posagent_device_ready{device="/dev/c"} 0`, `posagent_device_ready_seconds_total{device="/dev/a\"b"} 7200`, `posagent_ready 1`,
		} {
			assert.Contains(t, got.Body, line)
		}
		for _, secret := range []string{string(first), string(made.ID), "134650720866361395", "ABCD", a.token, "A-1001", "P001"} {
			assert.NotContains(t, got.Body, secret)
		}
		pay, _, err := a.server.cfg.Tokens.Create("kiosk", []Scope{ScopePay})
		require.NoError(t, err)
		r := a.request(http.MethodGet, "/metrics", "")
		r.Header.Set("Authorization", "Bearer "+pay)
		assert.Equal(t, Forbidden, a.do(r).problem().Code)
		stop()
		<-done
	})
}

func TestWhatWasCountedIsForgottenInBounds(t *testing.T) {
	m := newMeter()
	for i := range 4 * countedMax {
		require.True(t, m.first(strings.Repeat("x", i+1)))
		require.False(t, m.first(strings.Repeat("x", i+1)))
	}
	assert.LessOrEqual(t, len(m.seen), countedMax)
}
