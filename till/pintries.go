package till

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// pinWaits is how long an operator's PIN is not asked for again at one seat, by how many wrong ones came in a row there: two slips are free. The
// longest wait is one that a store can sit out.
var pinWaits = []time.Duration{0, 0, 0, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute}

func pinWait(wrong int) time.Duration { return pinWaits[min(wrong, len(pinWaits)-1)] }

// strangersPINs bounds the wrong PINs of one operator from all seats together at which the right one was never given. A page's session costs a
// local program one request, so that a wait for each session alone would bound nothing.
//
// What a guesser gets of one operator is 16 tries at once and 96 a day, whatever the number of sessions, over restarts too. Half of all PINs of
// four digits last 52 days then, of six digits 14 years. Whoever sits at a known seat, a browser in which that operator has signed in, has 7
// tries in 9 minutes and then 96 a day as well, apart from these: neither takes the other's.
var strangersPINs = bucket{16, 15 * time.Minute}

const (
	seatsMax    = 8                // known seats of one operator; the oldest makes room
	strangeMax  = 1024             // waits of sessions that are remembered; beyond them strangersPINs holds alone
	guessQuiet  = 30 * time.Minute // after the last wrong PIN of a stranger: longer than the longest wait, so that a guesser is never called quiet
	seatValue   = 16               // bytes of a known seat's cookie
	seatTextMax = 64               // characters that are looked at
)

// PINSeat is where a PIN is typed.
type PINSeat struct {
	Session string // the page's; it counts its own slips
	Known   string // what SignIn gave to this browser before; "" or anything else is a stranger
}

// mark is what is kept of a known seat. The value is drawn, so that a plain hash tells nothing of it.
func (s PINSeat) mark() string {
	if s.Known == "" || len(s.Known) > seatTextMax {
		return ""
	}
	sum := sha256.Sum256([]byte(s.Known))
	return hex.EncodeToString(sum[:16])
}

func newSeat() string {
	value := make([]byte, seatValue)
	_, _ = rand.Read(value) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(value)
}

// wrongPINs are the wrong PINs of an operator at one seat: how many in a row, never which.
type wrongPINs struct {
	Wrong int       `json:"wrong"`
	Until time.Time `json:"until"` // no PIN is tried before
}

func (w wrongPINs) left(now time.Time) time.Duration { return max(0, w.Until.Sub(now)) }

// more is with one more wrong PIN.
func (w wrongPINs) more(now time.Time) wrongPINs {
	return wrongPINs{w.Wrong + 1, now.Add(pinWait(w.Wrong + 1))}
}

// knownSeat is a browser in which the operator has given the right PIN.
type knownSeat struct {
	Mark string `json:"mark"`
	wrongPINs
}

// pinTry is what is kept of one operator. Wrong and Until are of strangers: how many in a row, and when their bucket is whole again.
type pinTry struct {
	wrongPINs
	Last  time.Time   `json:"last,omitzero"` // a stranger's wrong PIN
	Seats []knownSeat `json:"seats,omitempty"`
}

func (p pinTry) seat(mark string) int {
	if mark == "" {
		return -1
	}
	return slices.IndexFunc(p.Seats, func(k knownSeat) bool { return k.Mark == mark })
}

// strangersWait is how long no stranger's PIN is tried.
func (p pinTry) strangersWait(now time.Time) time.Duration { return strangersPINs.wait(p.Until, now) }

// by is the same by this machine's clock now: after one that ran ahead was set back, no wait is longer than it ever is, and it ends.
func (p pinTry) by(now time.Time) pinTry {
	p.Seats = slices.Clone(p.Seats)
	p.Until = earlier(p.Until, now.Add(time.Duration(strangersPINs.burst)*strangersPINs.every))
	p.Last = earlier(p.Last, now)
	for i, k := range p.Seats {
		p.Seats[i].Until = earlier(k.Until, now.Add(pinWait(k.Wrong)))
	}
	return p
}

// most is the longest row of wrong PINs, of strangers or at one known seat.
func (p pinTry) most() int {
	most := p.Wrong
	for _, k := range p.Seats {
		most = max(most, k.Wrong)
	}
	return most
}

type triesFile struct {
	Version int               `json:"version"`
	Tries   map[string]pinTry `json:"tries"` // by operator id
}

type strange struct{ operator, session string }

// pinTries are the wrong PINs of every operator, in a file of their own: a restart forgives no guesser. The file holds no more entries than
// there are operators. A file that can't be read or written is no reason to let nobody in: the count then lives as long as the process. The
// waits of sessions live no longer than these, which end with the process.
type pinTries struct {
	file    privateFile
	tries   map[string]pinTry
	stamp   fileStamp
	strange map[strange]wrongPINs
}

// refresh reads the file again when another process has changed it.
func (t *pinTries) refresh() error {
	if t.tries == nil {
		t.tries = map[string]pinTry{}
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
	t.tries = map[string]pinTry{}
	for id, p := range held.Tries {
		if len(t.tries) < operatorsMax && len(p.Seats) <= seatsMax {
			t.tries[id] = p
		}
	}
	for key := range t.strange {
		if p := t.tries[key.operator]; p.Wrong == 0 {
			delete(t.strange, key) // another process has forgiven it
		}
	}
	return nil
}

// setClock holds what is kept of an operator against the clock. It is written with the next change.
func (t *pinTries) setClock(id string, now time.Time) {
	if p, kept := t.tries[id]; kept {
		t.tries[id] = p.by(now)
	}
}

// known reports a seat at which the operator's right PIN was given before.
func (t *pinTries) known(at PINSeat, id string) bool { return t.tries[id].seat(at.mark()) >= 0 }

// left is how long no PIN of an operator is tried at a seat. A known seat waits for nobody but itself.
func (t *pinTries) left(at PINSeat, id string, now time.Time) time.Duration {
	p := t.tries[id]
	if i := p.seat(at.mark()); i >= 0 {
		return p.Seats[i].left(now)
	}
	return max(t.strange[strange{id, at.Session}].left(now), p.strangersWait(now))
}

// count adds a wrong PIN and returns how many there were in a row, and how long to wait now.
func (t *pinTries) count(at PINSeat, id string, now time.Time) (wrong int, wait time.Duration, err error) {
	err = t.change(id, func(p *pinTry) {
		if i := p.seat(at.mark()); i >= 0 {
			p.Seats[i].wrongPINs = p.Seats[i].more(now)
			wrong = p.Seats[i].Wrong
			return
		}
		p.Wrong, p.Last, wrong = p.Wrong+1, now, p.Wrong+1
		p.Until = strangersPINs.count(p.Until, now)
	})
	if !t.known(at, id) {
		t.countStrange(strange{id, at.Session}, now)
	}
	return wrong, t.left(at, id, now), err
}

func (t *pinTries) countStrange(key strange, now time.Time) {
	if t.strange == nil {
		t.strange = map[strange]wrongPINs{}
	}
	if _, counted := t.strange[key]; !counted && len(t.strange) >= strangeMax {
		for other, w := range t.strange {
			if w.left(now) == 0 {
				delete(t.strange, other)
			}
		}
		if len(t.strange) >= strangeMax {
			return
		}
	}
	t.strange[key] = t.strange[key].more(now)
}

// right ends the count of the seat at which the right PIN was given, and makes a stranger's seat a known one under a value of its own: what a
// browser brought of itself may have been put there by somebody else. A stranger's count ends with it, but what strangers have used up does not
// come back; at a known seat theirs ends once they are quiet. fresh is the value for the browser; "" where it keeps what it has.
func (t *pinTries) right(at PINSeat, id string, now time.Time) (fresh string, err error) {
	delete(t.strange, strange{id, at.Session})
	p := t.tries[id]
	i := p.seat(at.mark())
	quiet := p.Wrong > 0 && now.Sub(p.Last) >= guessQuiet
	if i >= 0 && p.Seats[i].Wrong == 0 && !quiet {
		return "", nil
	}
	if i >= 0 {
		return "", t.change(id, func(p *pinTry) {
			if i := p.seat(at.mark()); i >= 0 {
				p.Seats[i].wrongPINs = wrongPINs{}
			}
			if quiet {
				p.Wrong = 0
			}
		})
	}
	fresh = newSeat()
	mark, old := PINSeat{Known: fresh}.mark(), at.mark()
	return fresh, t.change(id, func(p *pinTry) {
		p.Wrong = 0
		p.Seats = append(p.Seats, knownSeat{Mark: mark})
		p.Seats = p.Seats[max(0, len(p.Seats)-seatsMax):]
		for other, q := range t.tries { // the browser's value for those who have signed in there before
			if i := q.seat(old); other != id && i >= 0 {
				q.Seats = slices.Clone(q.Seats)
				q.Seats[i].Mark = mark
				t.tries[other] = q
			}
		}
	})
}

// forgive ends an operator's counts; the known seats stay.
func (t *pinTries) forgive(id string) error {
	for key := range t.strange {
		if key.operator == id {
			delete(t.strange, key)
		}
	}
	if t.tries[id].most() == 0 && t.tries[id].Until.IsZero() {
		return nil
	}
	return t.change(id, func(p *pinTry) {
		p.wrongPINs, p.Last = wrongPINs{}, time.Time{}
		for i := range p.Seats {
			p.Seats[i].wrongPINs = wrongPINs{}
		}
	})
}

// forget drops all that is kept of an operator who is gone.
func (t *pinTries) forget(id string) error {
	if err := t.forgive(id); err != nil {
		return err
	}
	if _, kept := t.tries[id]; !kept {
		return nil
	}
	return t.change(id, func(p *pinTry) { *p = pinTry{} })
}

// change makes a change to what the file holds now of an operator. One that can't be written is made all the same, for as long as the process
// lives.
func (t *pinTries) change(id string, edit func(*pinTry)) error {
	free, err := t.file.hold()
	if err != nil {
		t.edit(id, edit)
		return err
	}
	defer free()
	err = t.refresh()
	t.edit(id, edit)
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

func (t *pinTries) edit(id string, edit func(*pinTry)) {
	p := t.tries[id]
	p.Seats = slices.Clone(p.Seats)
	edit(&p)
	if p.Wrong == 0 && p.Until.IsZero() && len(p.Seats) == 0 {
		delete(t.tries, id)
		return
	}
	t.tries[id] = p
}
