package queue

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// The memory-backed disk by itself: every moment of every step of a journal's life, and that the disk tells a journal that syncs from one
// that does not.

// cutSeedsVariable asks for more lots of each cut.
const cutSeedsVariable = "POSAGENT_DISK_CUTS"

// asked reads how much an environment variable asks for.
func asked(t testing.TB, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoErrorf(t, err, "%s=%q is no number", variable, text)
	return n
}

// diskCut is a plan: what is cut, and at which moment of it.
type diskCut struct {
	at     diskStep
	moment diskMoment
}

// bookOn is a book whose journal lies on a memory disk.
func bookOn(t testing.TB, seed uint64) (*book, *memoryDisk) {
	b := bookIn(t, t.TempDir())
	cfg := b.cfg
	cfg.ReserveBytes = pageBytes
	d := newMemoryDisk(t, seed, cfg)
	return b, d
}

// live makes n payments of four commits each, until the power goes. It returns the error that ended it.
func (b *book) live(d *memoryDisk, from, n int) error {
	j, err := d.open()
	if err != nil {
		return err
	}
	b.Journal = j
	for i := from; i < from+n; i++ {
		entry, err := b.tryArm(fmt.Sprint("key ", i), fmt.Sprint("A-", i))
		for _, status := range []payflow.Status{payflow.Paying, payflow.Confirming, payflow.Paid} {
			if err != nil {
				return err
			}
			p := entry.Payment
			p.Status, p.Version = status, p.Version+1
			entry, err = b.Commit(string(payflow.PayAnswered), payflow.Event{Kind: payflow.PayAnswered, At: b.now}, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mustHold says what is wrong with the journal that is opened after a power cut, or "". written is the newest entry that was called written.
func mustHold(t testing.TB, j *Journal, written Head) string {
	t.Helper()
	head := j.Head()
	if head.Sequence < written.Sequence || head.Sequence > written.Sequence+2 {
		return fmt.Sprintf("L11: entry %d was written, and the journal ends at %d", written.Sequence, head.Sequence)
	}
	if written.Sequence > 0 {
		if mark := markOf(j, written.Sequence); mark != written.Hash {
			return fmt.Sprintf("L11: entry %d is another one now", written.Sequence)
		}
	}
	report, err := j.Verify(t.Context(), []Head{written}[:min(1, int(written.Sequence))])
	if err != nil || !report.Clean() {
		return fmt.Sprintf("L11: %v %s", err, report)
	}
	return ""
}

// markOf is the seal of one entry, or "".
func markOf(j *Journal, sequence uint64) (mark string) {
	_ = j.view(func(tx *bbolt.Tx) (err error) {
		_, mark, err = j.event(tx, sequence)
		return err
	})
	return mark
}

func TestAPowerCutAtEveryMomentOfEveryCommitLeavesEveryWrittenEntry(t *testing.T) {
	seeds := asked(t, cutSeedsVariable, 3)
	images := 0
	for commit := 1; commit <= 12; commit++ {
		for _, cut := range []diskCut{{diskStep{"commit", commit}, cutBefore}, {diskStep{"committed", commit}, cutInData}, {diskStep{"committed", commit}, cutInMeta}, {diskStep{"committed", commit}, cutAfter}} {
			for seed := range seeds {
				b, d := bookOn(t, uint64(seed))
				d.cuts[cut.at] = cut.moment
				require.Error(t, b.live(d, 0, 4))
				_ = b.Close()
				d.powerOn()
				j, err := d.open()
				require.NoErrorf(t, err, "%v, lot %d", cut, seed)
				require.Emptyf(t, mustHold(t, j, d.confirm), "%v, lot %d", cut, seed)
				require.NoError(t, j.Close())
				images++
			}
		}
	}
	t.Log(images, "images")
}

func TestAPowerCutWhileTheJournalIsMadeLeavesNoneOrAWholeOne(t *testing.T) {
	seeds := asked(t, cutSeedsVariable, 3) * 4
	for _, name := range []string{"create", "first entry", "key", "memo", "rename", "room", "reserve"} {
		for _, moment := range []diskMoment{cutBefore, cutInData, cutInMeta, cutInFile, cutAfter} {
			for seed := range seeds {
				b, d := bookOn(t, uint64(seed))
				d.cuts[diskStep{name, 1}] = moment
				require.Error(t, b.live(d, 0, 1))
				d.powerOn()
				require.NoErrorf(t, b.live(d, 0, 2), "%s, %s, lot %d", name, moment, seed)
				require.Emptyf(t, mustHold(t, b.Journal, b.Head()), "%s, %s, lot %d", name, moment, seed)
				require.NoError(t, b.Close())
			}
		}
	}
}

func TestAPowerCutWhileTheHeadMemoIsWrittenIsNoLoss(t *testing.T) {
	for seed := range asked(t, cutSeedsVariable, 3) * 4 {
		b, d := bookOn(t, uint64(seed))
		require.NoError(t, b.live(d, 0, 1))
		d.cuts[diskStep{"memo", d.counts["memo"] + 1}] = cutInFile
		require.ErrorIs(t, b.SaveHead(), errPowerCut)
		_ = b.Close()
		d.powerOn()
		j, err := d.open()
		require.NoError(t, err)
		require.Empty(t, mustHold(t, j, d.confirm))
		assert.Empty(t, j.FoundAtStart(), "the memo says nothing that the journal lacks")
		require.NoError(t, j.Close())
	}
}

// A check that cannot fail is a defect: a journal that does not sync must be seen.
func TestTheDiskSeesAJournalThatDoesNotSync(t *testing.T) {
	caught := 0
	for seed := range 20 {
		b, d := bookOn(t, uint64(seed))
		require.NoError(t, b.live(d, 0, 1))
		b.db.NoSync = true
		d.cuts[diskStep{"commit", d.counts["commit"] + 3}] = cutBefore
		entry, err := b.tryArm("key more", "A-more")
		require.NoError(t, err)
		p := entry.Payment
		p.Status = payflow.Paying
		_, err = b.Commit(string(payflow.PayAnswered), payflow.Event{Kind: payflow.PayAnswered, At: b.now}, p)
		require.NoError(t, err)
		_, err = b.tryArm("key last", "A-last")
		require.Error(t, err)
		_ = b.Close()
		d.powerOn()
		j, err := d.open()
		if err != nil {
			caught++ // torn beyond use
			continue
		}
		if mustHold(t, j, d.confirm) != "" {
			caught++
		}
		_ = j.Close()
	}
	assert.GreaterOrEqual(t, caught, 3)
	t.Log(caught, "of 20")
}

func TestADiskErrorAtACommitStopsTheJournalAndTheNextStartFindsItWhole(t *testing.T) {
	for _, at := range []diskStep{{"commit", 3}, {"committed", 3}} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			b, d := bookOn(t, 1)
			d.fails[at] = cause
			err := b.live(d, 0, 2)
			require.ErrorIs(t, err, payflow.ErrJournalClosed)
			written := b.Head()
			_, err = b.tryArm("key more", "A-more")
			require.ErrorIs(t, err, payflow.ErrJournalClosed, "nothing more is written (I12)")
			require.NoError(t, b.Close())
			j, err := d.open()
			require.NoError(t, err)
			require.Empty(t, mustHold(t, j, written))
			require.NoError(t, j.Close())
		}
	}

}
