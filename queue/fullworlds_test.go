package queue

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fullWorldsVariable says how many worlds of the full form are lived through, and fullSmall how many are without it.
const (
	fullWorldsVariable = "POSAGENT_FULL_WORLDS"
	fullSmall          = 20
)

func TestFullTry(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	n := asked(t, fullWorldsVariable, fullSmall)
	began := time.Now()
	bad := 0
	for seed := range n {
		at := time.Now()
		l := liveFull(t, fullFromSeed(uint64(seed)), noPlant, bugNone)
		if os.Getenv("V") != "" {
			fmt.Println(l.script, time.Since(at), debugCalls, len(l.log.lines), l.log.lines[len(l.log.lines)-1].At)
		}
		if len(l.verdict.Breaches) > 0 {
			bad++
			if bad < 4 {
				fmt.Println(l.script, l.verdict)
				fmt.Println(l.log)
			}
		}
	}
	var use syscall.Rusage
	syscall.Getrusage(0, &use)
	t.Log(n, time.Since(began), bad, time.Duration(use.Utime.Nano()+use.Stime.Nano())/time.Duration(n), debugCalls)
	require.Zero(t, bad)
}
