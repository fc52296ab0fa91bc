package queue

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	figureOpens = 41
	figureLine  = 1.5 // what a million payments may cost at a start, of what ten thousand do
)

// BenchmarkOpenJournal prints how much longer it takes to open a journal of a million payments, and to find its three open ones,
// than one of ten thousand: with the file in memory, and read anew from the disk. The aim is at most 1.5 times.
func BenchmarkOpenJournal(b *testing.B) {
	few, many := filledBook(b, 10_000), filledBook(b, 1_000_000)
	for b.Loop() {
		for _, cache := range []string{"warm", "cold"} {
			var short, long []time.Duration
			for range figureOpens {
				short, long = append(short, few.timedOpen(cache)), append(long, many.timedOpen(cache))
			}
			reportOpens(b, cache, middle(short), middle(long))
		}
		b.ReportMetric(0, "ns/op")
	}
}

func filledBook(b *testing.B, payments int) *book {
	full := bookIn(b, b.TempDir())
	full.open()
	full.fill(payments)
	require.NoError(b, full.Close())
	full.forgetPages() // and has the disk come to rest
	full.timedOpen("warm")
	return full
}

// timedOpen opens the journal and finds its open payments; closing it is not measured.
func (b *book) timedOpen(cache string) time.Duration {
	if cache == "cold" {
		b.forgetPages()
	}
	began := time.Now()
	j, err := OpenJournal(b.cfg)
	require.NoError(b.t, err)
	open, err := j.OpenPayments()
	took := time.Since(began)
	require.NoError(b.t, err)
	require.Len(b.t, open, 3)
	require.NoError(b.t, j.Close())
	return took
}

// forgetPages has the kernel drop the file from memory.
func (b *book) forgetPages() {
	file, err := os.Open(b.cfg.File)
	require.NoError(b.t, err)
	defer file.Close()
	require.NoError(b.t, file.Sync())
	require.NoError(b.t, unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED))
}

func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// reportOpens says OVER where the line is passed; with POSAGENT_FIGURES_STRICT=1 that is a failure.
func reportOpens(b *testing.B, cache string, few, many time.Duration) {
	ratio := float64(many) / float64(few)
	b.ReportMetric(ratio, cache+"-ratio")
	verdict := "ok"
	if ratio > figureLine {
		verdict = "OVER"
	}
	load, _ := os.ReadFile("/proc/loadavg")
	text := fmt.Sprintf("open and find the open ones, %s: %v of a million payments, %v of ten thousand: %.2f times, at most %.1f: %s (load %s)",
		cache, many, few, ratio, figureLine, verdict, strings.Join(strings.Fields(string(load))[:3], " "))
	if verdict == "OVER" && os.Getenv("POSAGENT_FIGURES_STRICT") == "1" {
		b.Error(text)
		return
	}
	b.Log(text)
}
