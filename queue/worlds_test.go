package queue

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// worldsByDefault is how many worlds a plain test run lives through.
const worldsByDefault = 400

// worldsVariable is how many new seeds a run takes, from the clock.
const worldsVariable = "POSAGENT_WORLDS"

// Which worlds are lived through on the real journal: one of so many, more of those with refunds, and all with a planted bug. The others have its twin.
const (
	realEvery        = 40
	realRefundsEvery = 5
)

// onJournal reports that the ith world is lived through on the real journal.
func (s *worldScript) onJournal(i int) bool {
	return i%realEvery == 0 || s.refunds() && i%realRefundsEvery == 0
}

// manyWorlds lives through n worlds on all processors and hands each to seen, one at a time, in no order.
func manyWorlds(t *testing.T, n int, script func(i int) (worldScript, *plant), seen func(i int, l lived)) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	var next atomic.Int64
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		disk := newWorldDisk(t)
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || t.Failed() {
					return
				}
				s, p := script(i)
				live := liveTwin
				if p != noPlant || s.onJournal(i) {
					live = liveFast
				}
				l := live(t, disk, s, p)
				mu.Lock()
				seen(i, l)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
}

// TestWorlds lives through seeded worlds. POSAGENT_WORLDS=1000000 takes so many new seeds, from the clock; POSAGENT_WORLD_SEED=7 replays one and
// prints its log.
func TestWorlds(t *testing.T) {
	if seed := os.Getenv("POSAGENT_WORLD_SEED"); seed != "" {
		replaySeed(t, seed)
		return
	}
	throughWorlds(t, worldsByDefault, worldFromSeed)
}

// throughWorlds lives through the worlds of so many fixed seeds, or of as many new ones as POSAGENT_WORLDS says.
func throughWorlds(t *testing.T, byDefault int, fromSeed func(uint64) worldScript) (tally worldTally) {
	t.Helper()
	share, started := myShare(t)
	switch many := asked(t, worldsVariable, 0); {
	case started:
	case many > 0:
		inProcesses(t, t.Name(), uint64(time.Now().UnixNano()), many)
		return tally
	case underRace:
		share = worldShare{1, 1, byDefault / 10}
	default:
		share = worldShare{1, 1, byDefault}
	}
	began := time.Now()
	tally = newTally()
	manyWorlds(t, share.n, func(i int) (worldScript, *plant) { return fromSeed(share.seed(i)), noPlant }, func(_ int, l lived) {
		tally.add(l)
		if len(l.verdict.Breaches) > 0 {
			t.Errorf("seed %d broke %v\n%s", l.script.Seed, l.verdict.Breaches, keepStory(t, *l.script, noPlant, l.verdict.first()))
		}
	})
	if started {
		tally.handUp(t)
	}
	t.Logf("seeds %s in %s: %s", share, time.Since(began).Round(time.Millisecond), tally)
	assert.Zero(t, tally.Silent, "silent losses")
	return tally
}

// worldTally adds up what worlds came to.
type worldTally struct {
	Worlds, Sales, Silent, Charged, Final, Attention, Starts, Calls int
	RefundCalls, GivenBack                                          int // calls that asked for a refund, and refunds that arrived
	Ends                                                            map[string]int
}

func newTally() worldTally { return worldTally{Ends: map[string]int{}} }

// join adds another's.
func (w *worldTally) join(other worldTally) {
	for _, n := range []struct {
		sum  *int
		more int
	}{{&w.Worlds, other.Worlds}, {&w.Sales, other.Sales}, {&w.Silent, other.Silent}, {&w.Charged, other.Charged}, {&w.Final, other.Final}, {&w.Attention, other.Attention},
		{&w.Starts, other.Starts}, {&w.Calls, other.Calls}, {&w.RefundCalls, other.RefundCalls}, {&w.GivenBack, other.GivenBack}} {
		*n.sum += n.more
	}
	for what, n := range other.Ends {
		w.Ends[what] += n
	}
}

func (w *worldTally) add(l lived) {
	w.Worlds++
	w.Sales += len(l.script.Sales)
	w.Silent += l.verdict.SilentLosses
	w.Charged += l.verdict.Charged
	w.Final += l.verdict.Final
	w.Attention += l.verdict.Attention
	for _, line := range l.log.lines {
		switch line.Kind {
		case worldBooted:
			w.Starts++
		case worldSent:
			w.Calls++
			if line.Ask == refundCall {
				w.RefundCalls++
			}
			if line.Text != "" {
				w.Ends[line.Text]++
			}
		case worldEnded:
			if line.Text != "" {
				w.Ends[line.Text]++
			}
		case worldMoney:
			if line.Refund != "" {
				w.GivenBack++
			}
		case worldDurable:
			if line.Event == EventLate {
				w.Ends[fmt.Sprintf("late %s, money %t", line.Record.Late, line.Record.LateMoney)]++
			} else if line.Record.Status.Final() {
				w.Ends[string(line.Record.Status)+" "+string(line.Record.Reason)]++
			}
		}
	}
}

func (w worldTally) String() string {
	text := fmt.Sprintf("%d worlds, %d sales, %d starts, %d calls, %d payments final, %d sales charged, %d silent losses, %d with attention at the end, %d requests for refunds, %d refunds arrived",
		w.Worlds, w.Sales, w.Starts, w.Calls, w.Final, w.Charged, w.Silent, w.Attention, w.RefundCalls, w.GivenBack)
	for _, what := range slices.Sorted(maps.Keys(w.Ends)) {
		text += fmt.Sprintf("\n    %7d %s", w.Ends[what], what)
	}
	return text
}

func replaySeed(t *testing.T, text string) {
	seed, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "POSAGENT_WORLD_SEED")
	s := worldFromSeed(seed)
	story, err := s.encode()
	require.NoError(t, err)
	l := liveFast(t, newWorldDisk(t), s, noPlant)
	fmt.Printf("%s%s", story, l.log)
	assert.Empty(t, l.verdict.Breaches)
}

// The same seed is the same world: times, calls, answers and all.
func TestTheSameSeedMakesTheSameWorld(t *testing.T) {
	disk := newWorldDisk(t)
	for seed := range uint64(40) {
		s := worldFromSeed(seed)
		once := liveFast(t, disk, s, noPlant).log.String()
		require.Equal(t, once, liveFast(t, disk, s, noPlant).log.String(), "seed %d", seed)
	}
}

// plantedMost is how many times POSAGENT_PLANTED worlds as they come are lived through at most until each planted bug was seen three times.
const plantedMost = 20

// Each planted bug is seen, in at least three worlds, and first by the invariant that names it: a judge that cannot see is worth nothing. The worlds
// are bent towards what the bug needs, so that a few are enough; POSAGENT_PLANTED=1000 lives through so many for each as their seeds made them.
func TestPlantedBugsAreCaught(t *testing.T) {
	notUnderRace(t)
	const inAtLeast = 3
	type turn struct {
		p    *plant
		seed uint64
	}
	var turns []turn
	rows := map[*plant]*plantRow{}
	all := plants()
	bent, n := true, 0
	if many := os.Getenv("POSAGENT_PLANTED"); many != "" {
		var err error
		n, err = strconv.Atoi(many)
		require.NoError(t, err, "POSAGENT_PLANTED")
		bent = false
		for _, p := range all {
			p.worlds = n
		}
	}
	for _, p := range all {
		rows[p] = &plantRow{plant: p}
		for i := range p.worlds {
			turns = append(turns, turn{p, uint64(1000 + i)})
		}
	}
	wrong := map[string]string{}
	live := func(turns []turn) {
		manyWorlds(t, len(turns), func(i int) (worldScript, *plant) {
			s := worldFromSeed(turns[i].seed)
			if shape := turns[i].p.shape; shape != nil && bent {
				shape(&s)
			}
			return s, turns[i].p
		}, func(i int, l lived) {
			p := turns[i].p
			switch first := l.verdict.first(); first {
			case "":
			case p.invariant:
				rows[p].caught++
			default:
				wrong[p.name+" is seen first by "+first] = fmt.Sprintf("seed %d: %v", l.script.Seed, l.verdict.Breaches)
			}
		})
	}
	live(turns)
	for more := 1; !bent && more < plantedMost; more++ { // what few worlds show is looked for in more of them
		turns = nil
		for _, p := range all {
			if rows[p].caught >= inAtLeast {
				continue
			}
			for i := range n {
				turns = append(turns, turn{p, uint64(1000 + more*n + i)})
			}
			p.worlds += n
		}
		live(turns)
	}
	var table []plantRow
	for _, p := range all {
		table = append(table, *rows[p])
		assert.GreaterOrEqual(t, rows[p].caught, inAtLeast, "%s: seen by %s in too few of %d worlds", p.name, p.invariant, p.worlds)
	}
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		if t.Log(name, wrong[name]); bent { // a world as it comes may break what nobody planted for before what somebody did
			assert.Fail(t, name, wrong[name])
		}
	}
	t.Log("\n" + plantTable(table))
}

// TestWorldsOfRefunds lives through worlds in each of which money is given back, in half of them where no error is ever signed.
// POSAGENT_WORLDS=3000 takes so many new seeds.
func TestWorldsOfRefunds(t *testing.T) {
	if tally := throughWorlds(t, worldsByDefault/4, refundsFromSeed); tally.Worlds > 10 {
		assert.NotZero(t, tally.GivenBack, "worlds in which nothing is given back show nothing")
	}
}

// notUnderRace leaves a simulation to the runs without the race detector: the worlds, the stories and the engine's own tests are what it watches.
func notUnderRace(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("not under the race detector: it would take minutes, and the worlds show the same goroutines")
	}
}
