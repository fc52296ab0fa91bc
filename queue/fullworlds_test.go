package queue

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// POSAGENT_FULL_WORLDS=10000 lives through so many new seeds of the full form, from the clock, on all processors; POSAGENT_WORLD_SEED=7 with
// -run TestFullWorlds replays one and prints its log.
const (
	fullWorldsVariable = "POSAGENT_FULL_WORLDS"
	fullShareVariable  = "POSAGENT_FULL_SHARE" // "3/2/100": of a process that the test starts: every second seed from 3 on, 100 of them
	seedVariable       = "POSAGENT_WORLD_SEED"

	fullByDefault = 12
	fullStories   = "testdata/fullworlds/*.json"
)

func TestFullWorlds(t *testing.T) {
	if text := os.Getenv(seedVariable); text != "" {
		replayFull(t, text)
		return
	}
	if share := os.Getenv(fullShareVariable); share != "" {
		var first, step uint64
		var n int
		_, err := fmt.Sscanf(share, "%d/%d/%d", &first, &step, &n)
		require.NoError(t, err, fullShareVariable)
		liveThrough(t, first, step, n)
		return
	}
	n := asked(t, fullWorldsVariable, 0)
	if n == 0 {
		liveThrough(t, 1, 1, fullByDefault)
		return
	}
	inProcesses(t, uint64(time.Now().UnixNano()), n)
}

// inProcesses shares worlds out, one process for each processor: with one processor each, the goroutines of a world take turns in the
// same order every time.
func inProcesses(t *testing.T, first uint64, n int) {
	began := time.Now()
	processes := runtime.NumCPU()
	t.Logf("seeds %d to %d", first, first+uint64(n)-1)
	var all sync.WaitGroup
	for i := range processes {
		all.Go(func() {
			share := fmt.Sprintf("%d/%d/%d", first+uint64(i), processes, (n-i+processes-1)/processes)
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullWorlds$", "-test.v", "-test.timeout=0")
			child.Env = append(os.Environ(), fullShareVariable+"="+share, "GOMAXPROCS=1")
			output, err := child.CombinedOutput()
			assert.NoErrorf(t, err, "seeds %s:\n%s", share, output)
			t.Logf("seeds %s: %s", share, output)
		})
	}
	all.Wait()
	t.Logf("%d worlds in %s", n, time.Since(began).Round(time.Second))
}

// liveThrough lives through every stepth seed.
func liveThrough(t *testing.T, first, step uint64, n int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	tally := worldTally{ends: map[string]int{}}
	began := time.Now()
	for i := range n {
		seed := first + uint64(i)*step
		l := liveFull(t, fullFromSeed(seed), noPlant, bugNone)
		tally.add(l)
		if len(l.verdict.Breaches) > 0 {
			assert.Failf(t, "a world is broken", "seed %d broke %v\nreplay: %s=%d go test ./queue -run '^TestFullWorlds$' -v\n%s", seed, l.verdict.Breaches, seedVariable, seed, l.log)
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d worlds in %s: %s", tally.worlds, time.Since(began).Round(time.Millisecond), tally)
	assert.Zero(t, tally.silent, "silent losses")
}

func replayFull(t *testing.T, text string) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	seed, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, seedVariable)
	s := fullFromSeed(seed)
	story, err := s.encode()
	require.NoError(t, err)
	l := liveFull(t, s, noPlant, bugNone)
	fmt.Printf("%s%s", story, l.log)
	assert.Empty(t, l.verdict.Breaches)
}

// The stories that once broke something stay.
func TestFullStories(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	files, err := filepath.Glob(filepath.FromSlash(fullStories))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		s, err := worldFromStory(text)
		require.NoError(t, err, file)
		l := liveFull(t, s, noPlant, bugNone)
		assert.Emptyf(t, l.verdict.Breaches, "%s\n%s", file, l.log)
	}
}

// The same seed is the same world: times, calls and answers.
func TestTheSameSeedMakesTheSameFullWorld(t *testing.T) {
	if underRace {
		t.Skip("the race detector shuffles what runs next; every other run compares the logs")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for seed := range uint64(asked(t, "POSAGENT_FULL_TWICE", 3)) {
		once, again := liveFull(t, fullFromSeed(seed), noPlant, bugNone), liveFull(t, fullFromSeed(seed), noPlant, bugNone)
		require.Equal(t, once.log.String(), again.log.String(), "seed %d", seed)
	}
}

// plantedBug is a bug, the invariant that must name it, and what makes its cause likelier.
type plantedBug struct {
	bug       fullBug
	invariant string
	shape     func(*worldScript)
}

// Each planted bug is seen by the invariant that names it: in one world, and in three where more than the default is asked for.
func TestFullPlantedBugsAreCaught(t *testing.T) {
	notUnderRace(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	wanted := 1
	if os.Getenv(fullWorldsVariable) != "" {
		wanted = 3
	}
	for _, p := range fullPlants {
		began := time.Now()
		caught, lived := 0, 0
		seen := map[string]int{}
		for seed := uint64(500); caught < wanted && lived < fullPlantWorlds; seed++ {
			s := fullFromSeed(seed)
			if p.shape != nil {
				p.shape(&s)
			}
			l := liveFull(t, s, noPlant, p.bug)
			lived++
			for _, b := range l.verdict.Breaches {
				seen[b.Invariant]++
			}
			if slices.ContainsFunc(l.verdict.Breaches, func(b worldBreach) bool { return b.Invariant == p.invariant }) {
				caught++
			}
		}
		assert.GreaterOrEqualf(t, caught, wanted, "%s: seen by %s in %d of %d worlds", p.bug, p.invariant, caught, lived)
		t.Logf("%-50s %-4s %d of %d worlds in %s; %v", p.bug, p.invariant, caught, lived, time.Since(began), seen)
	}
}

// fullPlantWorlds is how many worlds at most are lived through for one planted bug.
const fullPlantWorlds = 60
