package queue

import (
	"errors"
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

	"posagent/payflow"
)

var errPowerCut = errors.New("power cut")

func TestACreationCutShortAtAnyStepIsFinishedAtTheNextStart(t *testing.T) {
	for _, step := range []string{"create", "first entry", "key", "memo", "rename", "room"} {
		t.Run(step, func(t *testing.T) {
			b := bookIn(t, t.TempDir())
			b.cfg.fault = failing(step, errPowerCut)
			_, err := OpenJournal(b.cfg)
			require.ErrorIs(t, err, errPowerCut)
			b.cfg.fault = nil
			if step != "room" {
				b.cfg.ReadOnly = true
				assert.Equal(t, OpenAbsent, b.mustNotOpen().Kind, "there was none yet")
				b.cfg.ReadOnly = false
			}
			b.open()
			b.paid("key 1", "A-1")
			b.mustBeClean()
			assert.NoFileExists(t, b.cfg.newFile())
		})
	}
}

func TestWhatBboltLeavesOfAFileAtAPowerCutIsMadeAnew(t *testing.T) {
	for name, content := range map[string][]byte{"nothing": {}, "zeros": make([]byte, 4*4096), "noise": []byte("\x00\x01half a page")} {
		t.Run(name, func(t *testing.T) {
			b := bookIn(t, t.TempDir())
			b.cfg.fault = failing("create", errPowerCut)
			_, _ = OpenJournal(b.cfg) // makes the folders
			b.cfg.fault = nil
			require.NoError(t, os.WriteFile(b.cfg.newFile(), content, 0o600))
			b.open()
			b.mustBeClean()
		})
	}
}

func TestAnUnfinishedFileThatDoesNotFitTheKeyIsNoCreation(t *testing.T) {
	b, other := newBook(t), newBook(t)
	require.NoError(t, b.Close())
	require.NoError(t, other.Close())
	require.NoError(t, os.Rename(b.cfg.File, b.cfg.File+".kept"))
	require.NoError(t, os.Rename(other.cfg.File, b.cfg.newFile()))
	assert.Equal(t, OpenMissing, b.mustNotOpen().Kind)
	require.NoError(t, os.Rename(b.cfg.newFile(), other.cfg.File))
	require.NoError(t, os.Rename(b.cfg.File+".kept", b.cfg.File))
	b.open()
	other.open()
}

func TestAJournalWithPaymentsUnderTheUnfinishedNameIsNotTakenForAFreshOne(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	require.NoError(t, b.Close())
	require.NoError(t, os.Rename(b.cfg.File, b.cfg.newFile()))
	assert.Equal(t, OpenMissing, b.mustNotOpen().Kind)
	require.NoError(t, os.Rename(b.cfg.newFile(), b.cfg.File))
	b.open()
}

// What speaks against a journal may be no more than that another posagent was at work on its files while they were looked at.
func TestWhatSpeaksAgainstAJournalCountsOnlyWhenNobodyIsAtWorkOnIt(t *testing.T) {
	away := func(path string) func(*book) func() {
		return func(b *book) func() {
			kept := filepath.Join(b.t.TempDir(), "kept")
			require.NoError(b.t, os.Rename(path, kept))
			return func() { require.NoError(b.t, os.Rename(kept, path)) }
		}
	}
	replaced := func(path string, content []byte) func(*book) func() {
		return func(b *book) func() {
			was, err := os.ReadFile(path)
			require.NoError(b.t, err)
			require.NoError(b.t, os.WriteFile(path, content, 0o600))
			return func() { require.NoError(b.t, os.WriteFile(path, was, 0o600)) }
		}
	}
	for _, readOnly := range []bool{false, true} {
		b := newBook(t)
		entry := b.paid("key 1", "A-1")
		for name, spoil := range map[string]func(*book) func(){
			"missing": away(b.cfg.File), "damaged": replaced(b.cfg.File, []byte("no journal")), "key missing": away(b.cfg.KeyFile),
			"key wrong": replaced(b.cfg.KeyFile, []byte("no key")),
		} {
			require.NoError(t, b.Close())
			slow := *b
			slow.cfg.ReadOnly, slow.cfg.BeginNew = readOnly, true
			slow.cfg.fault = once("hold", spoil(&slow))
			slow.open()
			assert.Equal(t, []payflow.OutTradeNo{entry.OutTradeNo}, numbers(slow.Recent(9)), name)
			require.NoError(t, slow.Close())
			b.open()
		}
	}
}

func TestAJournalThatAnotherHasMadeMeanwhileIsNotMissing(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		other := bookIn(t, t.TempDir())
		slow := *other
		slow.cfg.ReadOnly = readOnly
		slow.cfg.fault = once("hold", other.open)
		refused := slow.mustNotOpen()
		assert.Equal(t, OpenLocked, refused.Kind, refused.Text)
		other.paid("key 1", "A-1")
		other.mustBeClean()
		require.NoError(t, other.Close())
	}
}

func TestOneWhoOnlyLooksTurnsNoMakerAway(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.cfg.fault = once("hold", func() {
		free, err := b.cfg.hold()
		require.NoError(t, err)
		time.AfterFunc(lockWait/10, free)
	})
	b.open()
	b.mustBeClean()
	require.NoError(t, b.Close())
}

func TestANewBeginningWaitsForOneWhoOnlyReadsTheOldJournal(t *testing.T) {
	b := newBook(t)
	require.NoError(t, b.Close())
	require.NoError(t, os.Remove(b.cfg.KeyFile))
	b.cfg.BeginNew = true
	b.cfg.fault = once("hold", func() {
		reader, err := os.Open(b.cfg.File)
		require.NoError(t, err)
		require.NoError(t, flock(reader, syscall.LOCK_SH))
		time.AfterFunc(lockWait/10, func() { _ = reader.Close() })
	})
	b.open()
}

func TestAHoldThatIsRefusedKeepsNoFileOpen(t *testing.T) {
	open := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("this system does not list a process's open files: ", err)
		}
		return len(files)
	}
	b := bookIn(t, t.TempDir())
	free, err := b.cfg.hold()
	require.NoError(t, err)
	before := open()
	for range 5 {
		assert.Equal(t, OpenLocked, b.mustNotOpen().Kind)
	}
	assert.LessOrEqual(t, open(), before)
	free()
	b.open()
	require.NoError(t, b.Close())
}

// What is not known to be there or not is neither missing nor absent, and nothing is made or written.
func TestWhatCannotBeLookedForIsNotCalledMissing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, bend := range map[string]func(*JournalConfig){
		"the key":                  func(cfg *JournalConfig) { cfg.KeyFile = filepath.Join(file, "journal.key") },
		"an unfinished journal":    func(cfg *JournalConfig) { cfg.File = filepath.Join(filepath.Dir(cfg.File), strings.Repeat("j", 253)) },
		"one that can't be undone": func(cfg *JournalConfig) { require.NoError(t, os.MkdirAll(filepath.Join(cfg.newFile(), "full"), 0o700)) },
	} {
		for _, readOnly := range []bool{false, true} {
			b := bookIn(t, t.TempDir())
			require.NoError(t, os.MkdirAll(filepath.Dir(b.cfg.File), 0o700))
			bend(&b.cfg)
			b.cfg.ReadOnly, b.cfg.BeginNew = readOnly, true
			kind := b.mustNotOpen().Kind
			if readOnly && name == "one that can't be undone" {
				assert.Equal(t, OpenAbsent, kind, name)
			} else {
				assert.Equal(t, OpenUnwritable, kind, name)
			}
			assert.NoFileExists(t, b.cfg.File)
		}
	}
}

func TestALostJournalIsNoCreationCutShort(t *testing.T) {
	for name, first := range map[string]bool{"beside junk": false, "beside an old first form of it": true} {
		t.Run(name, func(t *testing.T) {
			b := bookIn(t, t.TempDir())
			b.cfg.fault = failing("rename", errPowerCut)
			_, err := OpenJournal(b.cfg)
			require.ErrorIs(t, err, errPowerCut)
			unfinished := []byte("junk")
			if first {
				unfinished, err = os.ReadFile(b.cfg.newFile())
				require.NoError(t, err)
			}
			b.cfg.fault = nil
			b.open()
			b.paid("key 1", "A-1")
			require.NoError(t, b.Close())
			require.NoError(t, os.Remove(b.cfg.File))
			require.NoError(t, os.WriteFile(b.cfg.newFile(), unfinished, 0o600))
			memo, err := os.ReadFile(b.cfg.memoFile())
			require.NoError(t, err)
			for _, readOnly := range []bool{true, false} {
				b.cfg.ReadOnly = readOnly
				assert.Equal(t, OpenMissing, b.mustNotOpen().Kind)
			}
			now, err := os.ReadFile(b.cfg.memoFile())
			require.NoError(t, err)
			assert.Equal(t, memo, now, "what tells that entries are missed is written over")
			require.NoError(t, os.Remove(b.cfg.newFile()))
			require.NoError(t, os.Remove(b.cfg.KeyFile))
			b.cfg.ReadOnly = true
			assert.Equal(t, OpenMissing, b.mustNotOpen().Kind, "the memo alone says so")
		})
	}
}

func TestAnUnfinishedJournalThatAnotherHoldsIsNotMissing(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.cfg.fault = failing("rename", errPowerCut)
	_, err := OpenJournal(b.cfg)
	require.ErrorIs(t, err, errPowerCut)
	b.cfg.fault = nil
	holder, err := os.Open(b.cfg.newFile())
	require.NoError(t, err)
	require.NoError(t, flock(holder, syscall.LOCK_EX))
	assert.Equal(t, OpenLocked, b.mustNotOpen().Kind)
	require.NoError(t, holder.Close())
	b.open()
	require.NoError(t, b.Close())
}

func TestWhileOneMakesTheJournalNobodyElseDoesAndNoneIsCalledMissing(t *testing.T) {
	backup := newBook(t).backup().File
	for _, step := range []string{"create", "first entry", "key", "memo", "rename"} {
		t.Run(step, func(t *testing.T) {
			maker := bookIn(t, t.TempDir())
			met := false
			maker.cfg.fault = once(step, func() {
				met = true
				second := *maker
				second.cfg.fault = nil
				for range 2 {
					refused := second.mustNotOpen()
					assert.Equal(t, OpenLocked, refused.Kind, refused.Text)
					assert.Contains(t, refused.Text, "making or restoring")
					second.cfg.BeginNew = true
				}
				_, err := RestoreBackup(t.Context(), second.cfg, RestoreOptions{From: backup, Operator: "an installer", Reason: "a try"})
				var locked *OpenError
				require.ErrorAs(t, err, &locked)
				assert.Equal(t, OpenLocked, locked.Kind, locked.Text)
				second.cfg.ReadOnly = true
				assert.Equal(t, OpenLocked, second.mustNotOpen().Kind)
			})
			maker.open()
			assert.True(t, met)
			maker.paid("key 1", "A-1")
			maker.mustBeClean()
		})
	}
}

func TestTwoWhoBeginANewJournalBeginOne(t *testing.T) {
	for _, stays := range []bool{false, true} {
		t.Run(fmt.Sprint("the first stays ", stays), func(t *testing.T) {
			first := newBook(t)
			require.NoError(t, first.Close())
			first.putBack([]byte("no journal"))
			first.cfg.BeginNew = true
			second := *first
			second.cfg.fault = once("hold", func() {
				first.open()
				if !stays {
					require.NoError(t, first.Close())
				}
			})
			if stays {
				assert.Equal(t, OpenLocked, second.mustNotOpen().Kind)
			} else {
				second.open()
				require.NoError(t, second.Close())
			}
			aside, err := filepath.Glob(first.cfg.File + ".aside-*")
			require.NoError(t, err)
			assert.Len(t, aside, 1, "what the first began was set aside by the second")
		})
	}
}

// once does something at the first time that a step is come to.
func once(step string, do func()) func(string) error {
	done := false
	return func(s string) error {
		if s == step && !done {
			done = true
			do()
		}
		return nil
	}
}

func TestTwoStartsAtATimeMakeOneJournal(t *testing.T) {
	folder := t.TempDir()
	results := make(chan error, 4)
	opened := make(chan *Journal, 4)
	for range 4 {
		cfg := bookIn(t, folder).cfg
		go func() {
			j, err := OpenJournal(cfg)
			if err == nil {
				opened <- j
			}
			results <- err
		}()
	}
	won := 0
	for range 4 {
		if err := <-results; err == nil {
			won++
		} else {
			var refused *OpenError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, OpenLocked, refused.Kind, refused.Text)
		}
	}
	require.Equal(t, 1, won)
	require.NoError(t, (<-opened).Close())
	b := bookIn(t, folder)
	b.open()
	b.mustBeClean()
}

func TestADiskErrorNamesTheJournalAndNotTheFileThatItWasMadeAs(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.open()
	b.Journal.cfg.fault = failing("commit", &fs.PathError{Op: "write", Path: b.cfg.newFile(), Err: syscall.EIO})
	_, err := b.Journal.change("X", nil)
	require.ErrorIs(t, err, syscall.EIO)
	assert.Contains(t, err.Error(), "write "+b.cfg.File+":")
}
