package queue

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// TestADamagedPageIsNeverALieNorASilentLoss does to whole pages what disks and copies do: two stand in each other's place, one is all zeros or noise or holds a half
// of another, one is that of an older copy, and the file is cut short. Every page has its turn. One meta page in the place of both is a whole journal: where it is
// the older one, that of before the last commit, which only the head that is kept elsewhere tells from the newest.
func TestADamagedPageIsNeverALieNorASilentLoss(t *testing.T) {
	notUnderRace(t)
	h := newHurtJournal(t, t.TempDir(), 85).copyInto(t, benchFolder(t))
	size := os.Getpagesize()
	seed := uint64(numberFrom(t, "POSAGENT_FLIPS_SEED", int(rand.Uint64()>>1)))
	dice := rand.New(rand.NewPCG(seed, 0))
	tally := hurtTally{}
	page := func(id int) []byte { return h.bytes[id*size : (id+1)*size] }
	noise := make([]byte, size)
	step := 1
	if numberFrom(t, "POSAGENT_FLIPS", 0) == 0 {
		step = 7
	}
	for i := 0; i < h.live; i += step {
		id, other := h.used[i], h.used[dice.IntN(len(h.used))]
		for k := range noise {
			noise[k] = byte(dice.Uint32())
		}
		at := id * size
		for name, content := range map[string][]byte{
			"zeros": make([]byte, size), "noise": noise, "half of it zeros": append(make([]byte, size/2), page(id)[size/2:]...), "another page": page(other),
		} {
			h.older = name == "another page" && h.kindOf(at) == "meta" && h.kindOf(other*size) == "meta"
			h.write(at, content)
			tally.count(name, h.judge(t, fmt.Sprintf("seed %d: page %d (%s) is %s %d", seed, id, h.kindOf(at), name, other)))
			h.layAgain(t)
		}
		h.older = false
		h.write(at, page(other))
		h.write(other*size, page(id))
		tally.count("swapped", h.judge(t, fmt.Sprintf("seed %d: pages %d (%s) and %d (%s) are swapped", seed, id, h.kindOf(at), other, h.kindOf(other*size))))
		h.layAgain(t)

		cut := at + dice.IntN(size)
		require.NoError(t, os.Truncate(h.cfg.File, int64(cut)))
		tally.count("cut short", h.judge(t, fmt.Sprintf("seed %d: the file is cut to %d bytes", seed, cut)))
		h.layAgain(t)
	}
	h.older = true
	for id := range 2 {
		h.write(id*size, page(1-id))
		tally.count("one meta page twice", h.judge(t, fmt.Sprintf("meta page %d is in the place of both", 1-id)))
		h.layAgain(t)
	}
	assert.Equal(t, 1, tally["one meta page twice"]["none, but named"], "the newest meta page twice is the journal as it was, in a file that is not")
	assert.Contains(t, fmt.Sprint(tally["one meta page twice"]), "the journal of before")
	t.Logf("seed %d\n%s", seed, tally)
}

func (h *hurtJournal) layAgain(t *testing.T) {
	t.Helper()
	h.touched = nil
	h.layWhole()
}

// TestAPageOfAnOlderCopyIsNamed puts pages of older copies of the same journal in place, one at a time: as a disk does that loses a write. Their seals are whole.
// A meta page or a root page of before is a whole journal of before, which only the head that is kept elsewhere tells from the newest.
func TestAPageOfAnOlderCopyIsNamed(t *testing.T) {
	notUnderRace(t)
	folder := t.TempDir()
	b := bookIn(t, folder)
	b.open()
	b.fill(60)
	var older [][]byte
	for i := range 12 {
		entry := b.arm(b.freshKey(), fmt.Sprint("B-", i))
		for _, next := range []payflow.Status{payflow.Paying, payflow.Confirming, payflow.Reversing, payflow.Reversed} {
			older = append(older, b.copyOf())
			entry = b.become(entry, next)
		}
		older = append(older, b.copyOf())
		_, err := b.Acknowledge(entry.OutTradeNo, payflow.Acknowledgement{How: payflow.Seen})
		require.NoError(t, err)
	}
	b.become(b.become(b.arm(b.freshKey(), "B-99"), payflow.Paying), payflow.Confirming)
	h := (&hurtJournal{}).of(t, b).copyInto(t, benchFolder(t))
	size := os.Getpagesize()
	tally, tried, most := hurtTally{}, 0, 2
	if numberFrom(t, "POSAGENT_FLIPS", 0) > 0 {
		most = 20
	}
	for i := 0; i < h.live; i++ {
		at := h.used[i] * size
		seen := map[string]bool{string(h.bytes[at : at+size]): true}
		for k := len(older) - 1; k >= 0; k-- {
			if len(older[k]) < at+size || seen[string(older[k][at:at+size])] {
				continue
			}
			seen[string(older[k][at:at+size])] = true
			h.write(at, older[k][at:at+size])
			h.older = h.kinds[h.used[i]] == "meta" || h.kinds[h.used[i]] == "root leaf"
			tally.count(h.kindOf(at), h.judge(t, fmt.Sprintf("page %d (%s) is that of %d steps before", h.used[i], h.kindOf(at), len(older)-k)))
			h.layAgain(t)
			tried++
			if len(seen) > most {
				break
			}
		}
	}
	t.Logf("%d pages of older copies\n%s", tried, tally)
	assert.Greater(t, tried, 30)
}
