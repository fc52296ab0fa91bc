package queue

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

func TestASecondPosagentIsToldWhoHoldsTheJournal(t *testing.T) {
	b := newBook(t)
	entry := b.arm("key 1", "A-1")
	refused := b.mustNotOpen()
	assert.Equal(t, OpenLocked, refused.Kind)
	assert.Contains(t, refused.Text, "another posagent holds the journal")
	assert.Contains(t, refused.Text, "ask it (posagent status), or stop it first")
	if _, err := os.Stat(locksFile); err == nil {
		assert.Contains(t, refused.Text, fmt.Sprintf("(process %d)", os.Getpid()))
	}

	reader := *b
	reader.cfg.ReadOnly = true
	assert.Equal(t, OpenLocked, reader.mustNotOpen().Kind, "a reader asks the daemon too")
	assert.Equal(t, []payflow.OutTradeNo{entry.OutTradeNo}, numbers(b.OpenPayments()), "the first goes on")
}

func TestReadersOfAStoppedJournalShareItAndWriteNothing(t *testing.T) {
	b := newBook(t)
	entry := b.paid("key 1", "A-1")
	require.NoError(t, b.Close())
	before := b.copyOf()
	cfg := b.cfg
	cfg.ReadOnly, cfg.StoreID, cfg.TillID = true, "", ""
	one, err := OpenJournal(cfg)
	require.NoError(t, err)
	two, err := OpenJournal(cfg)
	require.NoError(t, err)

	assert.Equal(t, []payflow.OutTradeNo{entry.OutTradeNo}, numbers(one.Recent(9)))
	_, err = two.Acknowledge(entry.OutTradeNo, payflow.Acknowledgement{How: payflow.Seen})
	assert.ErrorIs(t, err, payflow.ErrJournalClosed)
	assert.Zero(t, two.Commits())
	require.NoError(t, one.Close())
	require.NoError(t, two.Close())
	assert.Equal(t, before, b.copyOf())
}

func TestAJournalThatIsNotThereIsNotMadeByAReader(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.cfg.ReadOnly = true
	refused := b.mustNotOpen()
	assert.Equal(t, OpenAbsent, refused.Kind)
	assert.NoFileExists(t, b.cfg.KeyFile)
}

func TestAMissingKeyIsNotMadeAnew(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	require.NoError(t, b.Close())
	kept := b.cfg.KeyFile + ".copy"
	require.NoError(t, os.Rename(b.cfg.KeyFile, kept))
	refused := b.mustNotOpen()
	assert.Equal(t, OpenKeyMissing, refused.Kind)
	assert.Contains(t, refused.Text, "put the key back from its copy")
	assert.NoFileExists(t, b.cfg.KeyFile)
	require.NoError(t, os.Rename(kept, b.cfg.KeyFile))
	b.open()
}

func TestAnotherJournalsKeyIsRefused(t *testing.T) {
	b, other := newBook(t), newBook(t)
	require.NoError(t, b.Close())
	own, err := os.ReadFile(b.cfg.KeyFile)
	require.NoError(t, err)
	wrong, err := os.ReadFile(other.cfg.KeyFile)
	require.NoError(t, err)
	for name, content := range map[string][]byte{"another's": wrong, "cut short": own[:40], "empty": {}} {
		require.NoError(t, os.WriteFile(b.cfg.KeyFile, content, 0o600))
		assert.Equal(t, OpenKeyWrong, b.mustNotOpen().Kind, name)
	}
	require.NoError(t, os.WriteFile(b.cfg.KeyFile, own, 0o600))
	b.open()
}

func TestAMissingJournalIsNeverSilentlyReplaced(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	require.NoError(t, b.Close())
	kept := b.cfg.File + ".copy"
	require.NoError(t, os.Rename(b.cfg.File, kept))
	for _, readOnly := range []bool{false, true} {
		b.cfg.ReadOnly = readOnly
		refused := b.mustNotOpen()
		assert.Equal(t, OpenMissing, refused.Kind)
		assert.Contains(t, refused.Text, "posagent restore")
	}
	b.cfg.ReadOnly = false
	require.NoError(t, os.Rename(b.cfg.KeyFile, b.cfg.KeyFile+".copy"))
	assert.Equal(t, OpenMissing, b.mustNotOpen().Kind, "the head memo alone says so too")
	assert.NoFileExists(t, b.cfg.File)
	require.NoError(t, os.Rename(b.cfg.KeyFile+".copy", b.cfg.KeyFile))
	require.NoError(t, os.Rename(kept, b.cfg.File))
	b.open()
}

func TestAJournalThatVanishesWhileItIsOpenedIsNotMadeAnew(t *testing.T) {
	b := newBook(t)
	require.NoError(t, b.Close())
	kept := b.cfg.File + ".kept"
	b.cfg.fault = func(step string) error {
		if step != "open" {
			return nil
		}
		return os.Rename(b.cfg.File, kept)
	}
	b.mustNotOpen()
	assert.NoFileExists(t, b.cfg.File)
	b.cfg.fault = nil
	require.NoError(t, os.Rename(kept, b.cfg.File))
	b.open()
}

func TestAPersonMayBeginANewJournalAndNothingIsLost(t *testing.T) {
	b := newBook(t)
	old := b.paid("key 1", "A-1")
	b.cfg.BeginNew = true
	b.reopen()
	assert.Equal(t, []payflow.OutTradeNo{old.OutTradeNo}, numbers(b.Recent(9)), "a journal that opens well is kept")

	require.NoError(t, b.Close())
	b.putBack([]byte("no journal"))
	b.open()
	assert.Empty(t, numbers(b.Recent(9)))
	events, err := b.Events(0, 1)
	require.NoError(t, err)
	assert.Contains(t, events[0].Note, "begun anew: the journal")
	aside, err := filepath.Glob(b.cfg.File + ".aside-*")
	require.NoError(t, err)
	require.Len(t, aside, 1)
	content, err := os.ReadFile(aside[0])
	require.NoError(t, err)
	assert.Equal(t, "no journal", string(content))
	keys, err := filepath.Glob(b.cfg.KeyFile + "*.aside-*")
	require.NoError(t, err)
	assert.Len(t, keys, 3, "the key, the head memo and the list of starts")

	require.NoError(t, b.Close())
	require.NoError(t, os.Remove(b.cfg.File))
	b.open() // missing, in the same second: the second old key has a name of its own
	keys, err = filepath.Glob(b.cfg.KeyFile + "*.aside-*")
	require.NoError(t, err)
	assert.Len(t, keys, 6)
}

func TestAJournalThatAnotherHoldsIsNotSetAside(t *testing.T) {
	for name, spoil := range map[string]func(*book){
		"nothing is wrong": func(*book) {},
		"its key is gone":  func(b *book) { require.NoError(b.t, os.Remove(b.cfg.KeyFile)) },
		"its key is a folder": func(b *book) {
			require.NoError(b.t, os.Remove(b.cfg.KeyFile))
			require.NoError(b.t, os.Mkdir(b.cfg.KeyFile, 0o700))
		},
		"its key is another's": func(b *book) { require.NoError(b.t, writeKey(b.cfg.KeyFile, newSecret())) },
	} {
		t.Run(name, func(t *testing.T) {
			b := bookIn(t, t.TempDir())
			b.open()
			second := *b
			second.cfg.BeginNew = true
			spoil(&second)
			refused := second.mustNotOpen()
			assert.Equal(t, OpenLocked, refused.Kind, refused.Text)
			assert.Contains(t, refused.Text, "another posagent holds the journal")
			ours, err := b.file.Stat()
			require.NoError(t, err)
			there, err := os.Stat(b.cfg.File)
			require.NoError(t, err)
			assert.True(t, os.SameFile(ours, there))
			b.paid("key 1", "A-1")
			require.NoError(t, b.Close())
		})
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	b := newBook(t)
	set := func(format string) {
		b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketAbout).Put(keyFormat, []byte(format)) })
	}
	set("3")
	refused := b.mustNotOpen()
	assert.Equal(t, OpenNewerFormat, refused.Kind)
	assert.Contains(t, refused.Text, "install that version again")
	_ = b.Close()
	set("2")
	b.open()
}

func TestFilesThatAreNoJournalAreRefusedAndStay(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	require.NoError(t, b.Close())
	whole := b.copyOf()
	for name, content := range map[string][]byte{
		"empty": {}, "text": []byte("hello"), "zeros": make([]byte, 1<<16), "first page": whole[:os.Getpagesize()], "two pages": whole[:2*os.Getpagesize()],
		"without meta pages": append(make([]byte, 2*os.Getpagesize()), whole[2*os.Getpagesize():]...),
	} {
		b.putBack(content)
		refused := b.mustNotOpen()
		assert.Equal(t, OpenDamaged, refused.Kind, name)
		assert.Contains(t, refused.Text, "copy it before anything else", name)
		assert.Equal(t, content, b.copyOf(), name)
	}
	other, err := bbolt.Open(b.cfg.File+".other", 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, other.Close())
	content, err := os.ReadFile(b.cfg.File + ".other")
	require.NoError(t, err)
	b.putBack(content)
	assert.Equal(t, OpenDamaged, b.mustNotOpen().Kind, "another program's bbolt file")
	b.putBack(whole)
	b.open()
}

func TestAnUnwritableJournalIsRefusedAndCanStillBeShown(t *testing.T) {
	for _, cause := range []error{syscall.EROFS, syscall.EACCES, syscall.EDQUOT} {
		b := newBook(t)
		entry := b.arm("key 1", "A-1")
		require.NoError(t, b.Close())
		b.cfg.fault = failing("open", cause)
		refused := b.mustNotOpen()
		assert.Equal(t, OpenUnwritable, refused.Kind)
		assert.ErrorIs(t, refused, cause)
		assert.Contains(t, refused.Text, "take cash")
		b.cfg.fault = nil

		reader := b.cfg
		reader.ReadOnly = true
		j, err := OpenJournal(reader)
		require.NoError(t, err)
		assert.Equal(t, []payflow.OutTradeNo{entry.OutTradeNo}, numbers(j.OpenPayments()))
		require.NoError(t, j.Close())
		b.open()
	}
}

// An error of the disk says nothing about the journal: no backup may be put in its place for it, and the next start may go well.
func TestADiskThatFailsToReadIsNoDamageAndTheNextStartGoesOn(t *testing.T) {
	for _, step := range []string{"stat", "open", "read the key"} {
		for _, readOnly := range []bool{false, true} {
			t.Run(fmt.Sprint(step, ", read only ", readOnly), func(t *testing.T) {
				b := newBook(t)
				entry := b.arm("key 1", "A-1")
				require.NoError(t, b.Close())
				b.cfg.ReadOnly, b.cfg.BeginNew = readOnly, true
				for _, cause := range []error{syscall.EIO, syscall.EMFILE, syscall.ENOMEM, syscall.ENOLCK, syscall.ETIMEDOUT} {
					b.cfg.fault = failing(step, &fs.PathError{Op: "read", Path: b.cfg.File, Err: cause})
					refused := b.mustNotOpen()
					assert.Equal(t, OpenUnreadable, refused.Kind)
					assert.ErrorIs(t, refused, cause)
					assert.Contains(t, refused.Text, "tried again")
					assert.NotContains(t, refused.Text, "restore")
					assert.Equal(t, cause == syscall.EIO, strings.Contains(refused.Text, "disk"), refused.Text)
				}
				b.cfg.fault, b.cfg.ReadOnly, b.cfg.BeginNew = nil, false, false
				b.open()
				assert.Equal(t, []payflow.OutTradeNo{entry.OutTradeNo}, numbers(b.OpenPayments()))
			})
		}
	}
}

func TestWhatLooksDamagedBecauseTheDiskFailedToReadIsNoDamage(t *testing.T) {
	b := newBook(t)
	require.NoError(t, b.Close())
	whole := b.copyOf()
	metas := 2 * os.Getpagesize()
	for name, lost := range map[string][2]int{"bbolt's own error": {0, metas}, "bbolt's panic, or our check": {metas, len(whole)}} {
		spoilt := bytes.Clone(whole)
		clear(spoilt[lost[0]:lost[1]])
		b.putBack(spoilt)
		assert.Equal(t, OpenDamaged, b.mustNotOpen().Kind, name)
		b.cfg.fault = failing("read through", syscall.EIO)
		assert.Equal(t, OpenUnreadable, b.mustNotOpen().Kind, name)
		b.cfg.fault = nil
	}
	b.putBack(whole)
	b.open()
}

func TestACutShortCreationThatCannotBeFinishedNowIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		step string
		err  error
		kind OpenKind
	}{
		{"read the key", syscall.EIO, OpenUnreadable},
		{"read the key", syscall.EMFILE, OpenUnreadable},
		{"open", syscall.EIO, OpenUnreadable},
		{"open", syscall.EMFILE, OpenUnreadable},
		{"open", syscall.EROFS, OpenUnwritable},
		{"open", syscall.ENOSPC, OpenUnwritable},
	} {
		t.Run(fmt.Sprint(c.step, ", ", c.err), func(t *testing.T) {
			b := newBook(t)
			require.NoError(t, b.Close())
			require.NoError(t, os.Rename(b.cfg.File, b.cfg.newFile()))
			for _, anew := range []bool{false, true} {
				b.cfg.fault, b.cfg.BeginNew = failing(c.step, c.err), anew
				assert.Equal(t, c.kind, b.mustNotOpen().Kind)
				assert.FileExists(t, b.cfg.newFile())
			}
			b.cfg.ReadOnly = true
			if c.step == "read the key" {
				assert.Equal(t, OpenUnreadable, b.mustNotOpen().Kind, "a reader knows no more")
			}
			b.cfg.fault, b.cfg.BeginNew, b.cfg.ReadOnly = nil, false, false
			b.open()
		})
	}
}

// failing makes one kind of step fail.
func failing(step string, err error) func(string) error {
	return func(s string) error {
		if s == step {
			return err
		}
		return nil
	}
}

func TestAJournalThatMovesToAnotherTillDrawsNewNumbers(t *testing.T) {
	b := newBook(t)
	first := b.arm("key 1", "A-1").OutTradeNo
	b.cfg.TillID = "T2"
	b.reopen()
	second := b.arm("key 2", "A-2").OutTradeNo
	assert.Contains(t, string(second), "SZTX001T2")
	assert.NotEqual(t, first[19:24], second[19:24])
	report, err := b.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.Contains(t, report.String(), "SZTX001 T1 is now that of SZTX001 T2")
}

// A start that fails while it settles must not have the memo say that nothing is missing.
func TestAStartThatFailsLeavesTheMemoAsItWas(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.open()
	b.paid("key 1", "A-1")
	older := b.copyOf()
	b.paid("key 2", "A-2")
	require.NoError(t, b.Close())
	memo := b.memo()
	b.putBack(older)
	b.cfg.fault = func(step string) error {
		if step == "room" {
			return syscall.EIO
		}
		return nil
	}
	_, err := OpenJournal(b.cfg)
	require.Error(t, err)
	assert.Equal(t, memo, b.memo())
	b.cfg.fault = nil
	b.open()
	assert.NotEmpty(t, b.FoundAtStart())
}

// A restore renames the journal-to-be over the one that it holds, and lets go. A start that waited for that hold has the old file open: what it sold
// would be written where nobody looks for it.
func TestAStartThatWaitedForARestoreDoesNotSellOnTheFileThatWasReplaced(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.open()
	require.NoError(t, b.Close())
	holder, err := os.Open(b.cfg.File)
	require.NoError(t, err)
	require.NoError(t, flock(holder, syscall.LOCK_EX))
	restored := b.cfg.File + ".restoring"
	require.NoError(t, os.WriteFile(restored, b.copyOf(), 0o600))

	opened := make(chan error, 1)
	b.cfg.fault = func(step string) error {
		if step == "open" {
			go func() {
				time.Sleep(lockWait / 3) // the start has opened the file by then, and waits for its lock
				assert.NoError(t, os.Rename(restored, b.cfg.File))
				assert.NoError(t, holder.Close())
			}()
		}
		return nil
	}
	go func() {
		j, err := OpenJournal(b.cfg)
		if err == nil {
			ours, _ := j.file.Stat()
			there, _ := os.Stat(b.cfg.File)
			assert.True(t, os.SameFile(ours, there), "it works on a file that has another name by now")
			err = j.Close()
		}
		opened <- err
	}()
	if err := <-opened; err != nil {
		var open *OpenError
		require.ErrorAs(t, err, &open)
		assert.Equal(t, OpenLocked, open.Kind, "the service is started again")
	}
	b.cfg.fault = nil
	b.open()
	require.NoError(t, b.Close())
}

// An older copy of a journal of format 1 was put in place: wherever the start is cut, the next one tells that entries are missing, and the journal grows.
func TestAStartThatIsCutAnywhereIsMadeUpForAtTheNext(t *testing.T) {
	begin := func() (*book, payflow.OutTradeNo) {
		b := bookIn(t, t.TempDir())
		b.open()
		owing := b.declinedOwing("key 1", "A-1").OutTradeNo
		b.asFormat1(owing)
		older := b.copyOf()
		b.open()
		b.paid("key 2", "A-2")
		require.NoError(t, b.Close())
		b.putBack(older)
		return b, owing
	}
	var steps []string
	b, _ := begin()
	b.cfg.fault = func(step string) error { steps = append(steps, step); return nil }
	b.open()
	require.NoError(t, b.Close())
	for i, step := range steps {
		b, owing := begin()
		at := 0
		b.cfg.fault = func(string) error {
			if at++; at == i+1 {
				return syscall.EIO
			}
			return nil
		}
		if j, err := OpenJournal(b.cfg); err == nil {
			j.forsake(syscall.EIO) // a kill
			_ = j.Close()
		}
		b.cfg.fault = nil
		b.open()
		report, err := b.Verify(t.Context(), nil)
		require.NoError(t, err)
		starts := 0
		for _, f := range report.Findings {
			assert.Equal(t, FoundAtAStart, f.Kind, "%s %d: %s", step, i, f.Text)
			starts++
		}
		assert.Positive(t, starts, "%s %d", step, i)
		open, err := b.lateOpen()
		require.NoError(t, err)
		assert.Equal(t, []payflow.OutTradeNo{owing}, numbers(open, nil), "%s %d", step, i)
		require.NoError(t, b.Close())
	}
	assert.Greater(t, len(steps), 12, "the growth is among them")
}

// A journal of this format has every bucket: one without is damaged, and none is opened to sell on without what it owes.
func TestAJournalOfThisFormatThatLacksALaterBucketIsDamaged(t *testing.T) {
	for _, name := range laterBuckets() {
		b := bookIn(t, t.TempDir())
		b.open()
		require.NoError(t, b.Close())
		whole := b.copyOf()
		b.tamper(func(tx *bbolt.Tx) error { return tx.DeleteBucket(name) })
		assert.Equal(t, OpenDamaged, b.mustNotOpen().Kind, "%s", name)
		b.putBack(whole)
	}
}

// A disk that fails to read the small files beside the key says nothing about them either: the list of starts may be whole, and the head memo may name
// entries that are missed.
func TestADiskThatFailsToReadWhatLiesBesideTheKeyChangesNothing(t *testing.T) {
	for name, path := range map[string]func(JournalConfig) string{"starts": JournalConfig.startsFile, "memo": JournalConfig.memoFile} {
		t.Run(name, func(t *testing.T) {
			b := bookIn(t, t.TempDir())
			b.open()
			b.paid("key 1", "A-1")
			older := b.copyOf()
			b.paid("key 2", "A-2")
			require.NoError(t, b.Close())
			if name == "memo" {
				b.putBack(older) // the memo alone knows that entries are missed
			}
			memo, starts := b.besideTheKey()
			b.cfg.unread = func(of string) error {
				if of == path(b.cfg) {
					return syscall.EIO
				}
				return nil
			}
			refused := b.mustNotOpen()
			assert.Equal(t, OpenUnreadable, refused.Kind)
			assert.Contains(t, refused.Text, path(b.cfg))
			nowMemo, nowStarts := b.besideTheKey()
			assert.Equal(t, []string{memo, starts}, []string{nowMemo, nowStarts}, "nothing is written in their place")
			aside, err := filepath.Glob(b.cfg.startsFile() + ".aside-*")
			require.NoError(t, err)
			assert.Empty(t, aside, "nothing is set aside")

			b.cfg.unread = nil
			b.open()
			assert.EqualValues(t, 2, b.startCount(), "the count goes on")
			assert.Equal(t, name == "memo", len(b.FoundAtStart()) > 0, "what is missed is missed at the start that can read")
		})
	}
}

func (b *book) besideTheKey() (memo, starts string) {
	b.t.Helper()
	m, err := os.ReadFile(b.cfg.memoFile())
	require.NoError(b.t, err)
	s, err := os.ReadFile(b.cfg.startsFile())
	require.NoError(b.t, err)
	return string(m), string(s)
}
