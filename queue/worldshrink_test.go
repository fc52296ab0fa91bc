package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// storiesOfWorlds is where worlds are kept: a story for each script that once broke an invariant, or shows how a planted bug is seen, and seeds.txt
// with seeds that are worth living through again.
const (
	storiesOfWorlds = "testdata/worlds"
	seedsFile       = "testdata/worlds/seeds.txt"
	shrinkTriesMax  = 1500
)

// shrink makes a script smaller while it still breaks the same invariant first: fewer sales, faults, cuts and jumps, then a plainer shop, then
// a shorter life. It returns the smallest that it found.
func shrink(s worldScript, breaks func(worldScript) bool) worldScript {
	tries := 0
	try := func(smaller worldScript) bool {
		if tries++; tries > shrinkTriesMax || !breaks(smaller) {
			return false
		}
		s = smaller
		return true
	}
	for before := ""; before != fmt.Sprint(s) && tries <= shrinkTriesMax; {
		before = fmt.Sprint(s)
		shrinkList(func() int { return len(s.Calls) }, func(i, n int) bool {
			return try(with(s, func(s *worldScript) { s.Calls = slices.Delete(slices.Clone(s.Calls), i, i+n) }))
		})
		shrinkList(func() int { return len(s.Commits) }, func(i, n int) bool {
			return try(with(s, func(s *worldScript) { s.Commits = slices.Delete(slices.Clone(s.Commits), i, i+n) }))
		})
		shrinkList(func() int { return len(s.Cuts) }, func(i, n int) bool {
			return try(with(s, func(s *worldScript) { s.Cuts = slices.Delete(slices.Clone(s.Cuts), i, i+n) }))
		})
		shrinkList(func() int { return len(s.Jumps) }, func(i, n int) bool {
			return try(with(s, func(s *worldScript) { s.Jumps = slices.Delete(slices.Clone(s.Jumps), i, i+n) }))
		})
		shrinkList(func() int { return len(s.Sales) }, func(i, n int) bool {
			return n < len(s.Sales) && try(with(s, func(s *worldScript) { s.Sales = slices.Delete(slices.Clone(s.Sales), i, i+n) }))
		})
		for _, plainer := range plainerScripts() {
			try(with(s, plainer))
		}
		for i := range s.Sales {
			for _, plainer := range plainerSales() {
				try(with(s, func(s *worldScript) { plainer(&s.Sales[i]) }))
			}
		}
	}
	return s
}

// with returns a changed copy of a script.
func with(s worldScript, change func(*worldScript)) worldScript {
	s.Sales = slices.Clone(s.Sales)
	change(&s)
	return s
}

// shrinkList leaves out longer stretches of a list first, then single ones.
func shrinkList(length func() int, leaveOut func(i, n int) bool) {
	for n := max(length()/2, 1); ; n /= 2 {
		for i := 0; i+n <= length(); {
			if !leaveOut(i, n) {
				i += n
			}
		}
		if n <= 1 {
			return
		}
	}
}

func plainerScripts() []func(*worldScript) {
	return []func(*worldScript){
		func(s *worldScript) { s.Thorough = false },
		func(s *worldScript) { s.ClosesUnknown = false },
		func(s *worldScript) { s.UnsignedErrors = false },
		func(s *worldScript) { s.RevokesAt45 = false },
		func(s *worldScript) { s.SaysRefund = false },
		func(s *worldScript) { s.Heal = 0 },
		func(s *worldScript) { s.End = min(s.End, worldTime(2*time.Minute)) },
		func(s *worldScript) { s.End = min(s.End, worldTime(5*time.Minute)) },
	}
}

func plainerSales() []func(*worldSale) {
	return []func(*worldSale){
		func(s *worldSale) { s.Rescans = nil },
		func(s *worldSale) { s.OtherScan = 0 },
		func(s *worldSale) { s.Cancel = 0 },
		func(s *worldSale) { s.SetAside = 0 },
		func(s *worldSale) { s.Rearm = 0 },
		func(s *worldSale) { s.Attempts, s.Impatient = 0, false },
		func(s *worldSale) { s.TillCrash, s.KeyLost = 0, false },
		func(s *worldSale) { s.KeyLost = false },
		func(s *worldSale) { s.Forgets = false },
		func(s *worldSale) { s.Customer, s.PaysAfter = customerPays, 0 },
		func(s *worldSale) { s.Customer, s.PaysAfter = customerNever, 0 },
		func(s *worldSale) { s.Minor = 100 },
	}
}

// keepStory shrinks a script that broke an invariant and keeps it as a story. It returns what to tell.
func keepStory(t *testing.T, s worldScript, p *plant, first string) string {
	t.Helper()
	disk := newWorldDisk(t)
	small := shrink(s, func(s worldScript) bool { return liveFast(t, disk, s, p).verdict.first() == first })
	small.Note, small.Breach = fmt.Sprintf("From seed %d. Say here what went wrong, and take breach away once it is mended.", s.Seed), first
	path := filepath.Join(storiesOfWorlds, fmt.Sprintf("seed-%d.json", s.Seed))
	text, err := small.encode()
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(storiesOfWorlds, 0o755))
	require.NoError(t, os.WriteFile(path, text, 0o644))
	l := liveFast(t, disk, small, p)
	return fmt.Sprintf("replay: POSAGENT_WORLD_SEED=%d go test -run 'TestWorlds$' ./queue\nshrunk into queue/%s: %s\n%s", s.Seed, path, &small, l.log)
}

// Every story stays: one of a planted bug shows that the bug is seen, and that posagent without it does well; any other broke an invariant once.
func TestStoriesOfWorlds(t *testing.T) {
	paths, err := filepath.Glob(storiesOfWorlds + "/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	disk := newWorldDisk(t)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		s, err := worldFromStory(text)
		require.NoError(t, err, path)
		assert.NotEmpty(t, s.Note, "%s does not say what it tells", path)
		l := liveFast(t, disk, s, noPlant)
		assert.Empty(t, l.verdict.Breaches, "%s\n%s", path, l.log)
		if s.Plant == "" {
			continue
		}
		p := plantNamed(s.Plant)
		require.NotSame(t, noPlant, p, "%s names a bug that nobody plants: %s", path, s.Plant)
		assert.Equal(t, s.Breach, liveFast(t, disk, s, p).verdict.first(), path)
	}
}

// Seeds that were worth keeping are lived through in each run.
func TestKeptSeeds(t *testing.T) {
	text, err := os.ReadFile(seedsFile)
	require.NoError(t, err)
	disk := newWorldDisk(t)
	for line := range strings.Lines(string(text)) {
		number, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if number == "" || number == "#" {
			continue
		}
		seed, err := strconv.ParseUint(number, 10, 64)
		require.NoError(t, err, line)
		l := liveFast(t, disk, worldFromSeed(seed), noPlant)
		assert.Empty(t, l.verdict.Breaches, "seed %d\n%s", seed, l.log)
	}
}

// A script that breaks an invariant shrinks to what matters. "paid after a reverse" needs one sale and one lost reverse.
func TestAFailingWorldShrinksToWhatMatters(t *testing.T) {
	p := plantNamed("paid after a reverse")
	s := worldFromSeed(1002)
	p.shape(&s)
	disk := newWorldDisk(t)
	tries := 0
	small := shrink(s, func(s worldScript) bool {
		tries++
		return liveFast(t, disk, s, p).verdict.first() == p.invariant
	})
	t.Logf("%s → %s, in %d tries", &s, &small, tries)
	assert.Len(t, small.Sales, 1)
	assert.LessOrEqual(t, len(small.Calls), 2)
	assert.Empty(t, small.Cuts)
	assert.Empty(t, small.Commits)
	assert.Empty(t, small.Jumps)

	small.Note, small.Plant, small.Breach = "A customer pays while the reverse is under way, and the reverse is lost: paid once more would be wrong, because it may still arrive.", p.name, p.invariant
	text, err := small.encode()
	require.NoError(t, err)
	kept, err := os.ReadFile(storiesOfWorlds + "/paid_after_a_reverse.json")
	if os.Getenv("POSAGENT_WORLD_STORIES") == "write" {
		require.NoError(t, os.WriteFile(storiesOfWorlds+"/paid_after_a_reverse.json", text, 0o644))
		return
	}
	require.NoError(t, err)
	assert.Equal(t, string(kept), string(text), "the same script shrinks to another story; if that is meant, run with POSAGENT_WORLD_STORIES=write")
}
