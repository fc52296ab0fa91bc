package queue

import (
	"cmp"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posagent/payflow"
)

// memoAfter is how far the head memo may lag behind a commit. It is written beside the way from scan to wire, never on it, and
// covers every entry but those of the last ten seconds before a kill or a power cut; Close makes it exact.
const memoAfter = 10 * time.Second / payflow.Pace

// memoMark opens every head memo; its number is the format's.
const memoMark = "posagent-journal-head-1"

// headMemo keeps the chain's head in a small file beside the key, so that entries cut from the journal are missed.
type headMemo struct {
	mu      sync.Mutex // orders the writes of the file, so that it never goes back
	pending atomic.Bool
	failed  lastError // of writing it
}

// lastError is how the last try of something went. Its zero value says that nothing went wrong.
type lastError struct{ err atomic.Pointer[error] }

// keep keeps an error, or that there was none, and returns it.
func (l *lastError) keep(err error) error {
	var p *error
	if err != nil {
		p = &err
	}
	l.err.Store(p)
	return err
}

func (l *lastError) get() error {
	if p := l.err.Load(); p != nil {
		return *p
	}
	return nil
}

// BesideKey returns why a file beside the key is not as it should be: the head memo, without which entries that vanish from the end of the journal are told by the
// system log alone, or the list of starts, without which this start draws the same order numbers as a copy of this journal would. nil: both are there. The journal
// is written all the same; SaveHead tries them again. It does no I/O.
func (j *Journal) BesideKey() error {
	memo, list := j.memo.failed.get(), j.unnoted.get()
	if memo != nil && list != nil {
		return fmt.Errorf("%w; %w", memo, list) // in one line
	}
	return cmp.Or(memo, list)
}

// remember has the memo written soon. It does no I/O itself.
func (j *Journal) remember() {
	if j.memo.pending.Swap(true) {
		return
	}
	time.AfterFunc(memoAfter, func() {
		if j.usable() == nil {
			_ = j.saveMemo() // the next one, or Close, tries again; the log holds the head too
		}
	})
}

// SaveHead writes the head memo now, and returns when it is on disk. Where the start could not be noted it is noted now. A journal that was opened for reading
// leaves both as they are: it may be an older one than the memo says.
func (j *Journal) SaveHead() error {
	if err := j.usable(); err != nil {
		return err
	}
	if j.cfg.ReadOnly {
		return nil
	}
	return errors.Join(j.writeMemo(j.memo.failed.get() != nil), j.noteAgain())
}

func (j *Journal) saveMemo() error { return j.writeMemo(false) }

func (j *Journal) writeMemo(anew bool) error {
	j.memo.mu.Lock()
	defer j.memo.mu.Unlock()
	j.memo.pending.Store(false)
	if err := j.cfg.step("memo"); err != nil {
		return err
	}
	head := j.Head()
	if there, err := readMemo(j.cfg.memoFile(), j.keys); err == nil && there == head && !anew {
		return nil
	}
	return j.memo.failed.keep(writeFile(j.cfg.memoFile(), memoText(j.keys, head)))
}

func (cfg JournalConfig) memoFile() string { return cfg.KeyFile + ".head" }

func memoText(k keys, head Head) []byte {
	body := memoMark + " " + head.String()
	return []byte(body + " " + hex.EncodeToString(mac(k.memo, []byte(body))) + "\n")
}

// errMemoDamaged says that there is a memo that nothing can be learnt from.
var errMemoDamaged = errors.New("the head memo beside the key is damaged, or sealed by another key")

// readMemo reads the head memo. An error that is fs.ErrNotExist says that there is none.
func readMemo(path string, k keys) (Head, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Head{}, err
	}
	fields := strings.Fields(string(text))
	if len(fields) != 3 || fields[0] != memoMark {
		return Head{}, errMemoDamaged
	}
	seal := hex.EncodeToString(mac(k.memo, []byte(fields[0]+" "+fields[1])))
	if !hmac.Equal([]byte(seal), []byte(fields[2])) {
		return Head{}, errMemoDamaged
	}
	head, err := ParseHead(fields[1])
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", errMemoDamaged, err)
	}
	return head, nil
}
