package till

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Role is what an operator may do; docs/decisions/who-may-do-what.md has the table.
type Role string

// The roles.
const (
	RoleCashier   Role = "cashier"   // sells
	RoleManager   Role = "manager"   // sells, and decides about money: refunds, set-asides, late truths, the day's close
	RoleInstaller Role = "installer" // sells, to try the till, and changes its set-up; gives no money back
)

// Roles returns every role.
func Roles() []Role { return []Role{RoleCashier, RoleManager, RoleInstaller} }

const (
	operatorsMax    = 200 // of one till
	operatorNameMax = 64  // characters
	pinQueueMax     = 4   // PINs that wait to be tried: each takes some 30 ms
	pinQueueWait    = time.Second
)

// OperatorIDPattern is what an operator's id looks like: what can be typed on a till's keyboard, and is told from a payment code.
const OperatorIDPattern = `[0-9A-Z][0-9A-Z_-]{0,15}`

var operatorID = regexp.MustCompile(`^` + OperatorIDPattern + `$`)

// Operator is a person who signs in with a PIN.
type Operator struct {
	ID      string    `json:"id"` // OperatorIDPattern; it stands in the journal, so a person keeps it
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Created time.Time `json:"created"`
	PIN     pinHash   `json:"pin"`
	Mark    string    `json:"mark"` // drawn anew with each change of PIN or role: it ends what was signed in before
}

// Operators are the operators in a file. A change of the file by another process is seen at the next use.
type Operators struct {
	file privateFile
	cost pinCost
	fake pinHash // tried in the place of an operator that is not there

	queue, strangers gate       // PINs that wait to be tried: at known seats, and at all others
	trying           sync.Mutex // held while one PIN is tried: two at once would both pass before either is counted
	tries            pinTries   // guarded by trying

	mu    sync.Mutex // guards what follows
	list  []Operator
	stamp fileStamp
}

type operatorsFile struct {
	Version   int        `json:"version"`
	Operators []Operator `json:"operators"`
}

// OpenOperators reads the operators in a file; a file that is not there holds none. It refuses a file that others than its owner may open.
func OpenOperators(file string) (*Operators, error) {
	o := &Operators{
		file: privateFile{path: file, what: "the operators file"}, cost: pinCostOfStore, queue: newGate(pinQueueMax), strangers: newGate(pinQueueMax),
		tries: pinTries{file: privateFile{path: strings.TrimSuffix(file, ".json") + "-tries.json", what: "the file of wrong PINs"}},
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o, o.refreshLocked()
}

// List returns the operators, by id.
func (o *Operators) List() ([]Operator, error) {
	if o == nil {
		return nil, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.refreshLocked()
	return slices.Clone(o.list), err
}

// Find returns the operator of an id, as the file has it now.
func (o *Operators) Find(id string) (Operator, bool) {
	list, err := o.List()
	at := slices.IndexFunc(list, func(k Operator) bool { return k.ID == id })
	if err != nil || at < 0 {
		return Operator{}, false
	}
	return list[at], true
}

// WrongPINError says that the PIN is not the operator's, or that there is no such operator.
type WrongPINError struct {
	Wait  time.Duration // until the next one is tried; often 0
	Wrong int           // in a row
}

func (e *WrongPINError) Error() string { return "the operator or the PIN is wrong" }

// PINWaitError says that no PIN is tried now, because too many were wrong. The PIN was not looked at.
type PINWaitError struct{ Wait time.Duration }

func (e *PINWaitError) Error() string { return "too many wrong PINs: wait before the next one" }

// SignedIn is an operator whose right PIN was given.
type SignedIn struct {
	Operator
	Seat string // for the browser to keep, and to show as PINSeat.Known from now on; "": it keeps what it has
}

// KnownSeat reports a seat at which the operator has given the right PIN before: it waits for no wrong PINs but its own.
func (o *Operators) KnownSeat(at PINSeat, id string) bool {
	if o == nil || at.mark() == "" {
		return false
	}
	o.trying.Lock()
	defer o.trying.Unlock()
	_ = o.tries.refresh()
	return o.tries.known(at, id)
}

// SignIn returns the operator whose PIN this is: else a *WrongPINError, or a *PINWaitError. What is wrong with the file of wrong PINs comes
// beside the answer as trouble: it lets nobody in and keeps nobody out.
func (o *Operators) SignIn(at PINSeat, id, pin string, now time.Time) (who SignedIn, trouble, err error) {
	if o == nil {
		return SignedIn{}, nil, &WrongPINError{}
	}
	queue := o.strangers
	if o.KnownSeat(at, id) {
		queue = o.queue // strangers who come all at once keep nobody out
	}
	if !queue.enter() {
		return SignedIn{}, nil, &PINWaitError{Wait: pinQueueWait}
	}
	defer queue.leave()
	o.trying.Lock()
	defer o.trying.Unlock()
	trouble = o.tries.refresh()
	o.tries.setClock(id, now)
	if left := o.tries.left(at, id, now); left > 0 {
		return SignedIn{}, trouble, &PINWaitError{Wait: left}
	}
	operator, known := o.Find(id)
	if !known {
		_ = o.fakeHash().is(pin) // as slow as a real one
		return SignedIn{}, trouble, &WrongPINError{}
	}
	if !operator.PIN.is(pin) {
		wrong, wait, failed := o.tries.count(at, id, now)
		return SignedIn{}, errors.Join(trouble, failed), &WrongPINError{Wait: wait, Wrong: wrong}
	}
	seat, failed := o.tries.right(at, id, now)
	return SignedIn{operator, seat}, errors.Join(trouble, failed), nil
}

// ManyWrongPINs is how many wrong PINs in a row a store is told of: no slip of the fingers is so many.
const ManyWrongPINs = 8

// Guessed returns the ids of the operators whose newest ManyWrongPINs tries or more were wrong, in order: at one known seat, or at all others
// together. The right PIN ends that where it is given, at a known seat also for the others once they are quiet; and so does a new PIN. What is
// wrong with the file of wrong PINs is the error of SignIn.
func (o *Operators) Guessed() []string {
	if o == nil {
		return nil
	}
	o.trying.Lock()
	defer o.trying.Unlock()
	_ = o.tries.refresh()
	var ids []string
	for id, p := range o.tries.tries {
		if _, known := o.Find(id); known && p.most() >= ManyWrongPINs {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (o *Operators) fakeHash() pinHash {
	if o.fake.Kind == "" {
		o.fake = hashPIN("", o.cost)
	}
	return o.fake
}

// Add keeps a new operator. The first one must be a manager: without one nobody could give money back. At most 200.
func (o *Operators) Add(id, name string, role Role, pin string) (Operator, error) {
	made := Operator{ID: id, Name: strings.TrimSpace(name), Role: role, Created: time.Now().UTC().Truncate(time.Second), Mark: newMark()}
	if err := errors.Join(checkOperator(made), CheckPIN(pin)); err != nil {
		return Operator{}, firstOf(err)
	}
	made.PIN = hashPIN(pin, o.cost)
	return made, o.change(func(list []Operator) ([]Operator, error) {
		switch {
		case slices.ContainsFunc(list, func(k Operator) bool { return k.ID == id }):
			return nil, fmt.Errorf("there is an operator %s already; take another id, or change the PIN or the role of that one", id)
		case len(list) >= operatorsMax:
			return nil, fmt.Errorf("there are %d operators already; remove one who is no longer here", operatorsMax)
		case len(list) == 0 && role != RoleManager:
			return nil, errors.New("the first operator must be a manager, or nobody could give money back; add a manager first")
		}
		return append(list, made), nil
	})
}

// Remove ends an operator: what that person has signed in ends at once. The last manager goes last.
func (o *Operators) Remove(id string) (gone Operator, err error) {
	err = o.change(func(list []Operator) ([]Operator, error) {
		at, err := indexOf(list, id)
		if err != nil {
			return nil, err
		}
		gone = list[at]
		return slices.Delete(list, at, at+1), nil
	})
	return gone, errors.Join(err, o.forgive(id, (*pinTries).forget))
}

// SetPIN gives an operator a new PIN, ends what is signed in with the old one, and forgets the wrong ones.
func (o *Operators) SetPIN(id, pin string) (Operator, error) {
	if err := CheckPIN(pin); err != nil {
		return Operator{}, err
	}
	hash := hashPIN(pin, o.cost)
	changed, err := o.alter(id, func(k *Operator) { k.PIN = hash })
	if err != nil {
		return Operator{}, err
	}
	return changed, o.forgive(id, (*pinTries).forgive)
}

// SetRole gives an operator another role, and ends what is signed in.
func (o *Operators) SetRole(id string, role Role) (Operator, error) {
	if !slices.Contains(Roles(), role) {
		return Operator{}, noRole(role)
	}
	return o.alter(id, func(k *Operator) { k.Role = role })
}

// Waiting returns how long each operator's PIN is not tried at a known seat, or at any other, for those of whom it is so: the longest wait.
func (o *Operators) Waiting(now time.Time) (map[string]time.Duration, error) {
	o.trying.Lock()
	defer o.trying.Unlock()
	err := o.tries.refresh()
	waits := map[string]time.Duration{}
	for id, p := range o.tries.tries {
		p = p.by(now)
		left := p.strangersWait(now)
		for _, k := range p.Seats {
			left = max(left, k.left(now))
		}
		if left > 0 {
			waits[id] = left
		}
	}
	return waits, err
}

// forgive ends what is kept of an operator's wrong PINs, in the one way or the other.
func (o *Operators) forgive(id string, how func(*pinTries, string) error) error {
	o.trying.Lock()
	defer o.trying.Unlock()
	if err := o.tries.refresh(); err != nil {
		return err
	}
	return how(&o.tries, id)
}

// alter changes one operator in place.
func (o *Operators) alter(id string, change func(*Operator)) (changed Operator, err error) {
	err = o.change(func(list []Operator) ([]Operator, error) {
		at, err := indexOf(list, id)
		if err != nil {
			return nil, err
		}
		change(&list[at])
		list[at].Mark = newMark()
		changed = list[at]
		return list, nil
	})
	return changed, err
}

// change keeps other writers away, reads what they have written, and writes what is made of it: operators without a manager are refused.
func (o *Operators) change(edit func([]Operator) ([]Operator, error)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	free, err := o.file.hold()
	if err != nil {
		return err
	}
	defer free()
	if err := o.refreshLocked(); err != nil {
		return err
	}
	list, err := edit(slices.Clone(o.list))
	if err != nil {
		return err
	}
	if len(list) > 0 && !slices.ContainsFunc(list, func(k Operator) bool { return k.Role == RoleManager }) {
		return errors.New("this is the last manager, and without one nobody could give money back; add another manager first")
	}
	slices.SortFunc(list, func(a, b Operator) int { return strings.Compare(a.ID, b.ID) })
	text, err := json.MarshalIndent(operatorsFile{Version: 1, Operators: list}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the operators file: %w", err)
	}
	if err := o.file.write(append(text, '\n')); err != nil {
		return err
	}
	return o.refreshLocked()
}

// refreshLocked reads the file again when it has changed.
func (o *Operators) refreshLocked() error {
	stamp, err := o.file.look()
	if err != nil || stamp == o.stamp {
		return err
	}
	if stamp == (fileStamp{}) {
		o.list, o.stamp = nil, stamp
		return nil
	}
	text, err := o.file.read()
	if err != nil {
		return err
	}
	var held operatorsFile
	if err := json.Unmarshal(text, &held); err != nil {
		return fmt.Errorf("read the operators file %s: %w; restore it, or remove it and add the operators again", o.file.path, err)
	}
	if held.Version != 1 {
		return fmt.Errorf("the operators file %s has version %d, and this program knows 1; use the program that wrote it", o.file.path, held.Version)
	}
	for _, k := range held.Operators {
		if checkOperator(k) != nil || !k.PIN.sound() {
			return fmt.Errorf("the operators file %s has an entry that this program did not write; restore it, or remove it and add the operators again", o.file.path)
		}
	}
	o.list, o.stamp = held.Operators, stamp
	return nil
}

func indexOf(list []Operator, id string) (int, error) {
	at := slices.IndexFunc(list, func(k Operator) bool { return k.ID == id })
	if at < 0 {
		return 0, fmt.Errorf("there is no operator %.16q; list the operators for their ids", id)
	}
	return at, nil
}

func checkOperator(k Operator) error {
	switch {
	case !operatorID.MatchString(k.ID):
		return errors.New("an operator's id has 1 to 16 letters, digits, - or _, and begins with a letter or a digit; write for example P001")
	case k.Name == "" || len([]rune(k.Name)) > operatorNameMax || strings.ContainsFunc(k.Name, unicode.IsControl) || holdsCode(k.Name, nil) || holdsToken(k.Name):
		return fmt.Errorf("an operator needs a name of 1 to %d printable characters; write for example --name \"Chan Siu Ming\"", operatorNameMax)
	case !slices.Contains(Roles(), k.Role):
		return noRole(k.Role)
	}
	return nil
}

func noRole(role Role) error {
	return fmt.Errorf("%.20q is no role; write cashier, manager or installer", string(role))
}

// firstOf returns the first of errors that were joined: one is enough for a person.
func firstOf(err error) error {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		return many.Unwrap()[0]
	}
	return err
}

func newMark() string {
	mark := make([]byte, 8)
	_, _ = rand.Read(mark) // never fails (crypto/rand)
	return hex.EncodeToString(mark)
}
