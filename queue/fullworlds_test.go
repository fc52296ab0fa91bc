package queue

import (
	"fmt"
	"os"
	"runtime"
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
		l := liveFull(t, worldFromSeed(uint64(seed)), noPlant, bugNone)
		if os.Getenv("V") != "" {
			fmt.Println(l.script, time.Since(at))
		}
		if len(l.verdict.Breaches) > 0 {
			bad++
			if bad < 4 {
				fmt.Println(l.script, l.verdict)
				fmt.Println(l.log)
			}
		}
	}
	t.Log(n, time.Since(began), bad)
	require.Zero(t, bad)
}
