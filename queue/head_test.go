package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestAHeadIsReadAsItWasWritten(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	head, err := ParseHead(b.Head().String() + "\n")
	require.NoError(t, err)
	assert.Equal(t, b.Head(), head)
	for _, wrong := range []string{"", "12", "12:", ":" + head.Hash, "x:" + head.Hash, "12:" + strings.ToUpper(head.Hash), "12:" + head.Hash + "0"} {
		_, err := ParseHead(wrong)
		assert.Error(t, err, wrong)
	}
}

func TestTheMemoFollowsWithinTenSecondsAndIsExactAfterClose(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bookIn(t, folder)
		b.open()
		first := b.Head()
		b.arm("key 1", "A-1")
		assert.Equal(t, first, b.memo(), "a commit does not wait for the memo")
		time.Sleep(memoAfter + time.Millisecond)
		assert.Equal(t, b.Head(), b.memo())

		b.arm("key 2", "A-2")
		last := b.Head()
		require.NoError(t, b.Close())
		assert.Equal(t, last, b.memo())
		time.Sleep(memoAfter + time.Millisecond) // the pending one finds the journal closed
	})
}

func (b *book) memo() Head {
	b.t.Helper()
	head, err := readMemo(b.cfg.memoFile(), b.keys)
	require.NoError(b.t, err)
	return head
}

func TestAMemoThatWasChangedIsFoundAndAMissingOneIsSaid(t *testing.T) {
	b := damagedBook(t)
	b.paid("key 1", "A-1")
	require.NoError(t, b.Close())
	require.NoError(t, os.WriteFile(b.cfg.memoFile(), []byte(memoMark+" "+b.Head().String()+" 00\n"), 0o600))
	assert.Equal(t, []FindingKind{FoundEdited}, b.verify().kinds())
	require.NoError(t, os.Remove(b.cfg.memoFile()))
	report := b.verify()
	assert.True(t, report.Clean())
	assert.Len(t, report.Notes, 1)
}

func TestAStartWritesAMemoThatIsMissing(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	require.NoError(t, b.Close())
	require.NoError(t, os.Remove(b.cfg.memoFile()))
	b.open()
	assert.Equal(t, b.Head(), b.Journal.headOnDisk())
}

func (j *Journal) headOnDisk() Head {
	head, err := readMemo(j.cfg.memoFile(), j.keys)
	if err != nil {
		return Head{}
	}
	return head
}

// A folder of the key in which nothing can be written stops no sale and no start, and is told of until the memo can be written there.
func TestAMemoThatCannotBeWrittenIsToldUntilItIs(t *testing.T) {
	b := newBook(t)
	require.NoError(t, b.BesideKey())
	inTheWay := b.cfg.memoFile() + ".new"
	require.NoError(t, os.Mkdir(inTheWay, 0o700))
	b.paid("key 1", "A-1")
	require.Error(t, b.SaveHead())
	assert.ErrorIs(t, b.BesideKey(), syscall.EISDIR)
	require.Error(t, b.Close())
	b.open()
	assert.ErrorIs(t, b.BesideKey(), syscall.EISDIR)
	b.paid("key 2", "A-2")
	require.NoError(t, os.Remove(inTheWay))
	assert.ErrorIs(t, b.BesideKey(), syscall.EISDIR, "nothing was written yet")
	require.NoError(t, b.SaveHead())
	assert.NoError(t, b.BesideKey())
	assert.Equal(t, b.Head(), b.memo())

	require.NoError(t, os.Remove(b.cfg.memoFile()))
	require.NoError(t, os.Mkdir(b.cfg.memoFile(), 0o700))
	b.paid("key 3", "A-3")
	require.Error(t, b.SaveHead())
	assert.NoFileExists(t, inTheWay, "nothing is left behind")
	require.NoError(t, os.Remove(b.cfg.memoFile()))
	require.NoError(t, b.SaveHead())
}

// unnoted is a book whose second start a folder keeps from being noted.
func unnoted(t *testing.T) (b *book, inTheWay string) {
	t.Helper()
	b = newBook(t)
	require.NoError(t, b.Close())
	inTheWay = block(t, b.cfg.startsFile())
	b.open()
	return b, inTheWay
}

// block keeps a file from being written, until the folder that stands in the way is removed.
func block(t *testing.T, path string) (inTheWay string) {
	t.Helper()
	inTheWay = path + ".new"
	require.NoError(t, os.Mkdir(inTheWay, 0o700))
	return inTheWay
}

// A start that cannot be noted draws the characters that a copy draws too: it is told, and noted as soon as that can be.
func TestAStartThatCannotBeNotedIsNotedLater(t *testing.T) {
	b, inTheWay := unnoted(t)
	assert.ErrorIs(t, b.BesideKey(), syscall.EISDIR)
	require.ErrorIs(t, b.SaveHead(), syscall.EISDIR)
	assert.ErrorIs(t, b.BesideKey(), syscall.EISDIR, "though the memo was written")
	assert.Empty(t, b.ownCharacters())
	count := b.startCount()
	b.become(b.arm("key 1", "A-1"), payflow.Cancelled)
	require.NoError(t, os.Remove(inTheWay))
	require.NoError(t, b.SaveHead())
	assert.NoError(t, b.BesideKey())
	require.NotEmpty(t, b.ownCharacters())
	starts, err := readStarts(b.cfg.startsFile(), b.keys)
	require.NoError(t, err)
	last := starts[len(starts)-1]
	assert.Equal(t, journalStart{Random: b.ownCharacters(), Drawn: 1, Day: last.Day, Count: count}, last)
	no := b.arm("key 2", "A-2").OutTradeNo
	assert.Contains(t, string(no), b.ownCharacters())
}

// A till that only shows a journal says nothing of where it ends: the memo would name what is left of it, and a later start would miss nothing.
func TestAJournalThatIsOnlyReadLeavesTheMemo(t *testing.T) {
	b := damagedBook(t)
	b.paid("key 1", "A-1")
	older := b.copyOf()
	b.paid("key 2", "A-2")
	last := b.Head()
	require.NoError(t, b.Close())
	b.putBack(older)
	cfg := b.cfg
	cfg.ReadOnly = true
	j, err := OpenJournal(cfg)
	require.NoError(t, err)
	require.NoError(t, j.SaveHead())
	require.NoError(t, j.Close())
	assert.Equal(t, last, b.memo())
	b.open()
	assert.NotEmpty(t, b.FoundAtStart())
}

// A backup reads the characters that are drawn while a start is noted.
func TestAStartIsNotedBesideABackup(t *testing.T) {
	b, inTheWay := unnoted(t)
	require.NoError(t, os.Remove(inTheWay))
	var both sync.WaitGroup
	both.Go(func() {
		for i := range 20 {
			_, err := b.copyTo(t.Context(), filepath.Join(t.TempDir(), fmt.Sprint(i)), b.cfg.Now())
			assert.NoError(t, err)
		}
	})
	both.Go(func() { assert.NoError(t, b.SaveHead()) })
	both.Wait()
	assert.NotEmpty(t, b.ownCharacters())
}

// A list of starts that a running till cannot read just now is not set aside: it may be whole.
func TestAListOfStartsThatCannotBeReadNowStays(t *testing.T) {
	b, inTheWay := unnoted(t)
	require.NoError(t, os.Remove(inTheWay))
	list := b.cfg.startsFile()
	require.NoError(t, os.Rename(list, list+".whole"))
	require.NoError(t, os.Mkdir(list, 0o700)) // no file can be read there
	require.Error(t, b.SaveHead())
	require.NoError(t, os.Remove(list), "it is where it was")
	require.NoError(t, os.Rename(list+".whole", list))
	require.NoError(t, b.SaveHead())
	starts, err := readStarts(list, b.keys)
	require.NoError(t, err)
	assert.Equal(t, b.startCount(), starts[len(starts)-1].Count)
}
