package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// strictFigures makes a figure over its line a failure. Without it the line only says OVER: the machines that run this are
// seldom alone, and a figure is no test.
const strictFigures = "POSAGENT_FIGURES_STRICT"

// load is the machine's, as it stands beside every figure.
func load(b *testing.B) string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// atMost reports a figure, and says so where it is over its line.
func atMost(b *testing.B, what, unit string, got, line float64) {
	b.Helper()
	b.ReportMetric(got, unit)
	verdict := "ok"
	if got > line {
		verdict = "OVER"
	}
	text := fmt.Sprintf("%s: %.3g, at most %.3g: %s (load %s)", what, got, line, verdict, load(b))
	if got > line && os.Getenv(strictFigures) == "1" {
		b.Error(text)
		return
	}
	b.Log(text)
}

// samples are durations of one kind.
type samples []time.Duration

// at returns the duration that a share of the samples does not pass; 0.5 is the median.
func (s samples) at(share float64) time.Duration {
	sorted := slices.Clone(s)
	slices.Sort(sorted)
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (s samples) String() string {
	return fmt.Sprintf("%d/%d/%d", s.at(0.1).Microseconds(), s.at(0.5).Microseconds(), s.at(0.9).Microseconds())
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
