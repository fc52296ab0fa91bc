package queue

import (
	"errors"
	"io/fs"
	"os"
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

func TestAMakerThatAnotherHasOvertakenStops(t *testing.T) {
	for _, step := range []string{"key", "rename"} {
		t.Run(step, func(t *testing.T) {
			other := bookIn(t, t.TempDir())
			slow := other.cfg
			slow.fault = func(s string) error {
				if s == step { // the other process takes the file away, and makes the whole journal
					require.NoError(t, os.Remove(slow.newFile()))
					_ = os.Remove(slow.KeyFile)
					_ = os.Remove(slow.memoFile())
					other.open()
				}
				return nil
			}
			_, err := OpenJournal(slow)
			var refused *OpenError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, OpenLocked, refused.Kind, refused.Text)
			other.paid("key 1", "A-1")
			other.mustBeClean()
		})
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
