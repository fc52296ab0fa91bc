package till

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// pinWaits is how long an operator's PIN is not asked for again, by how many wrong ones came in a row: two slips are free. The longest wait
// is one that a store can sit out, and it is that operator's alone: whoever types wrong PINs on purpose keeps nobody out for ever. Four
// digits then last some 50 days on average, and the log tells of every one.
var pinWaits = []time.Duration{0, 0, 0, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute}

func pinWait(wrong int) time.Duration { return pinWaits[min(wrong, len(pinWaits)-1)] }

// wrongPINs is what is kept of an operator's wrong PINs: how many in a row, never which.
type wrongPINs struct {
	Wrong int       `json:"wrong"`
	Until time.Time `json:"until"` // no PIN is tried before
}

// left is how long to wait at a time. A clock that was set back must not make the wait longer than it ever is.
func (w wrongPINs) left(now time.Time) time.Duration {
	return min(max(0, w.Until.Sub(now)), pinWait(w.Wrong))
}

type triesFile struct {
	Version int                  `json:"version"`
	Tries   map[string]wrongPINs `json:"tries"` // by operator id
}

// pinTries are the wrong PINs of every operator, in a file of their own: a restart forgives nothing. The file holds no more entries than there
// are operators. A file that can't be read or written is no reason to let nobody in: the count then lives as long as the process.
type pinTries struct {
	file  privateFile
	tries map[string]wrongPINs
	stamp fileStamp
}

// refresh reads the file again when another process has changed it.
func (t *pinTries) refresh() error {
	if t.tries == nil {
		t.tries = map[string]wrongPINs{}
	}
	stamp, err := t.file.look()
	if err != nil || stamp == t.stamp || stamp == (fileStamp{}) {
		return err
	}
	text, err := t.file.read()
	if err != nil {
		return err
	}
	held := triesFile{}
	if err := json.Unmarshal(text, &held); err != nil {
		return fmt.Errorf("read %s %s: %w", t.file.what, t.file.path, err)
	}
	t.stamp = stamp
	t.tries = map[string]wrongPINs{}
	for id, w := range held.Tries {
		if len(t.tries) < operatorsMax && w.Wrong > 0 {
			t.tries[id] = w
		}
	}
	return nil
}

// count adds a wrong PIN and returns how long to wait now.
func (t *pinTries) count(id string, now time.Time) (wait time.Duration, err error) {
	err = t.change(func() {
		w := t.tries[id]
		w.Wrong++
		wait = pinWait(w.Wrong)
		w.Until = now.Add(wait)
		t.tries[id] = w
	})
	return wait, err
}

// forget ends an operator's count.
func (t *pinTries) forget(id string) error {
	if _, counted := t.tries[id]; !counted {
		return nil
	}
	return t.change(func() { delete(t.tries, id) })
}

// change makes a change to what the file holds now. One that can't be written is made all the same, for as long as the process lives.
func (t *pinTries) change(edit func()) error {
	free, err := t.file.hold()
	if err != nil {
		edit()
		return err
	}
	defer free()
	err = t.refresh()
	edit()
	text, failed := json.Marshal(triesFile{Version: 1, Tries: t.tries})
	if failed != nil {
		return fmt.Errorf("write %s: %w", t.file.what, failed)
	}
	if failed := t.file.write(append(text, '\n')); failed != nil {
		return errors.Join(err, failed)
	}
	stamp, failed := t.file.look()
	t.stamp = stamp
	return errors.Join(err, failed)
}
