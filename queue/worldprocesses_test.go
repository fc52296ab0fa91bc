package queue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shareVariable is of a process that a test starts: "3/2/100" stands for every second seed from 3 on, 100 of them.
const shareVariable = "POSAGENT_WORLD_SHARE"

// worldShare is a row of seeds: n of them, each step behind the one before. Where n is 0 it has no end, and time is what is shared out.
type worldShare struct {
	first, step uint64
	n           int
}

func (s worldShare) seed(i int) uint64 { return s.first + uint64(i)*s.step }

func (s worldShare) String() string { return fmt.Sprintf("%d/%d/%d", s.first, s.step, s.n) }

// myShare is what this process was started for.
func myShare(t *testing.T) (s worldShare, started bool) {
	t.Helper()
	text := os.Getenv(shareVariable)
	if text == "" {
		return s, false
	}
	_, err := fmt.Sscanf(text, "%d/%d/%d", &s.first, &s.step, &s.n)
	require.NoError(t, err, shareVariable)
	return s, true
}

// talliedLine begins the line in which such a process says what its worlds came to.
var talliedLine = []byte("tallied: ")

// handUp says what this process's worlds came to.
func (w worldTally) handUp(t *testing.T) {
	text, err := json.Marshal(w)
	require.NoError(t, err)
	fmt.Printf("\n%s%s\n", talliedLine, text)
}

// inProcesses lives through n worlds, or through as many as the test has time for where n is 0, in one process for each processor. With one processor
// each, the goroutines of a world take turns in the same order every time, and a world costs a fifth less than where two processors wake each other for it.
func inProcesses(t *testing.T, test string, first uint64, n int) {
	began := time.Now()
	processes := runtime.GOMAXPROCS(0)
	if n > 0 {
		processes = min(processes, n)
		t.Logf("seeds %d to %d", first, first+uint64(n)-1)
	}
	tallies := make([]worldTally, processes)
	var all sync.WaitGroup
	for i := range processes {
		all.Go(func() {
			share := worldShare{first + uint64(i), uint64(processes), 0}
			if n > 0 {
				share.n = (n - i + processes - 1) / processes
			}
			tallies[i] = inProcess(t, test, share)
		})
	}
	all.Wait()
	total := newTally()
	for _, part := range tallies {
		total.join(part)
	}
	took := time.Since(began)
	t.Logf("%d worlds in %s, %.0f a second: %s", total.Worlds, took.Round(time.Second), float64(total.Worlds)/took.Seconds(), total)
	if n > 0 {
		assert.Equal(t, n, total.Worlds, "worlds that were lived through")
	}
	assert.Zero(t, total.Silent, "silent losses")
}

// inProcess has a process of its own live through a share.
func inProcess(t *testing.T, test string, share worldShare) (tally worldTally) {
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v", "-test.timeout=0")
	child.Env = append(os.Environ(), shareVariable+"="+share.String(), "GOMAXPROCS=1")
	output, err := child.CombinedOutput()
	if !assert.NoErrorf(t, err, "seeds %s:\n%s", share, output) {
		return tally
	}
	for line := range bytes.Lines(output) {
		if text, ok := bytes.CutPrefix(line, talliedLine); ok {
			assert.NoError(t, json.Unmarshal(text, &tally))
		}
	}
	assert.Positive(t, tally.Worlds, "worlds of the seeds %s", share)
	return tally
}
