package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

func TestAJournalThatAnotherHasMadeMeanwhileIsNotMissing(t *testing.T) {
	for _, step := range []string{"none there", "hold"} {
		for _, readOnly := range []bool{false, true} {
			if readOnly && step == "hold" {
				continue // who only reads holds nothing
			}
			t.Run(fmt.Sprint(step, ", read only ", readOnly), func(t *testing.T) {
				other := bookIn(t, t.TempDir())
				slow := *other
				slow.cfg.ReadOnly = readOnly
				slow.cfg.fault = once(step, func() { other.open() })
				refused := slow.mustNotOpen()
				assert.Equal(t, OpenLocked, refused.Kind, refused.Text)
				other.paid("key 1", "A-1")
				other.mustBeClean()
			})
		}
	}
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
				assert.Equal(t, OpenAbsent, second.mustNotOpen().Kind)
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
