package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// RestoreOptions says which backup is put in place, and whose word that is. From, Operator and Reason are required.
type RestoreOptions struct {
	From         string // the backup
	IdentityFile string // the private key of an encrypted one
	Operator     string
	Reason       string
	Free         func(folder string) (uint64, error) // the room on a folder's disk, in bytes; nil: it is not asked
}

// Restored says what was put in place.
type Restored struct {
	File   string       `json:"file"` // the backup
	Backup BackupHeader `json:"backup"`
	Head   Head         `json:"head"`            // the chain's end now: the backup's entries, and that of the restore
	Aside  string       `json:"aside"`           // where the journal lies that was there before; "": there was none
	Lost   Head         `json:"lost,omitzero"`   // the newest entry that is known to be gone; zero: none is known
	KeyNew bool         `json:"key_from_backup"` // the journal's key came out of the backup too
	// StartsUnknown says that not every start since the backup is known here: what an unknown one sold is not asked for, and stands in the
	// statement alone.
	StartsUnknown bool `json:"starts_unknown"`
}

// RestoreBackup puts a backup in the journal's place, with no posagent running.
//
//  1. FILE.restoring is unpacked, verified to its head, and told of the restore: one commit with who and why, new random characters for the
//     order numbers, and what is to be asked of WeChat Pay. On disk.
//  2. the journal's key, where it is missing here and lies in the backup
//  3. a second name for the present journal, FILE.aside-DATE: nothing is deleted
//  4. FILE.restoring renamed to FILE, folder synced: the one step that restores
//  5. the head memo
//
// A crash before 4 leaves the journal as it was, one after it leaves the restored one; a second try goes well after either. What is wrong is a
// *BackupError or an *OpenError. A journal that nothing is wrong with is not replaced.
func RestoreBackup(ctx context.Context, cfg JournalConfig, o RestoreOptions) (Restored, error) {
	if o.Operator == "" || o.Reason == "" {
		return Restored{}, errors.New("a restore needs the name of who makes it, and why")
	}
	if err := checkIDs(cfg.StoreID, cfg.TillID); err != nil {
		return Restored{}, err
	}
	if cfg.Location == nil {
		cfg.Location = time.UTC
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	b, err := openBackup(o.From)
	if err != nil {
		return Restored{}, err
	}
	defer b.close()
	if b.header.Store != cfg.StoreID || b.header.Till != cfg.TillID {
		return Restored{}, namedBackup(o.From, backupError(BackupOtherTill, nil, "it is of till %s %s, and this is %s %s; name a backup of this till",
			b.header.Store, b.header.Till, cfg.StoreID, cfg.TillID))
	}
	free, err := cfg.hold()
	if err != nil {
		return Restored{}, err
	}
	defer free()
	r := &restore{cfg: cfg, o: o, b: b, work: cfg.File + ".restoring"}
	done, err := r.run(ctx)
	if err != nil && isFull(err) {
		err = noRoom(filepath.Dir(cfg.File), err)
	}
	return done, err
}

// restore is one restore at work.
type restore struct {
	cfg  JournalConfig
	o    RestoreOptions
	b    *backupFile
	work string // the journal-to-be
	u    unpacked
	done Restored

	present *Journal // the journal that is replaced, open for reading; nil: there is none, or it can't be opened
	lock    *os.File // its file, locked, where it can't be opened; nil: there is none
}

func (r *restore) run(ctx context.Context) (Restored, error) {
	r.done = Restored{File: r.o.From, Backup: r.b.header}
	defer r.letGo()
	for _, step := range []func(context.Context) error{r.hold, r.refuseWhole, r.room, r.unpack, r.fitKey, r.enter, r.installKey, r.keepAside, r.putInPlace} {
		if err := step(ctx); err != nil {
			_ = os.Remove(r.work) // what stays is written over by the next try
			return r.done, err
		}
	}
	r.saveMemo()
	return r.done, nil
}

// hold keeps every posagent from the present journal until the restore is done.
func (r *restore) hold(context.Context) error {
	there, err := exists(r.cfg.File)
	if err != nil || !there {
		return err
	}
	k, err := r.cfg.readKey()
	if mayPass(err) {
		return unreadable(r.cfg.KeyFile, err)
	}
	if err == nil {
		cfg := r.cfg
		cfg.ReadOnly, cfg.fault = true, nil
		j := &Journal{cfg: cfg, keys: k}
		err := j.openBolt(cfg.File)
		if err == nil {
			if err = j.recognise(); err == nil {
				r.present = j
				return nil
			}
			err = errors.Join(err, j.letGo())
		}
		if isKind(err, OpenLocked) || isUnreadable(err) { // what can't be read now may be whole; where it stays so, a person moves it away
			return err
		}
	}
	if r.lock, err = os.Open(r.cfg.File); err != nil {
		return unseen(r.cfg.File, err)
	}
	if err := flock(r.lock, syscall.LOCK_EX); err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
		return unseen(r.cfg.File, err)
	} else if err != nil {
		return &OpenError{OpenLocked, "a posagent holds the journal " + r.cfg.File + holderHint(r.cfg.File) + "; stop it first (systemctl stop posagent)", err}
	}
	return nil
}

// letGo ends the hold.
func (r *restore) letGo() {
	if r.present != nil {
		_ = r.present.letGo() // it was opened for reading only
	}
	if r.lock != nil {
		_ = r.lock.Close()
	}
}

// refuseWhole keeps a journal that nothing is wrong with: a backup in its place would only lose what came after.
func (r *restore) refuseWhole(ctx context.Context) error {
	if r.present == nil {
		return nil
	}
	report, err := r.present.Verify(ctx, nil)
	if isUnreadable(err) {
		return err
	}
	if err != nil || !report.Clean() {
		return ctx.Err()
	}
	return backupError(BackupUnsound, nil, "nothing is wrong with the journal %s (%d entries), and a backup in its place would lose what came after; start posagent, or look again with: posagent journal verify", r.cfg.File, report.Events)
}

func (r *restore) room(context.Context) error {
	return roomFor(r.o.Free, r.b.header.JournalBytes, filepath.Dir(r.cfg.File))
}

func (r *restore) unpack(ctx context.Context) (err error) {
	if err := r.cfg.step("restore unpack"); err != nil {
		return err
	}
	if err := r.b.checkPayload(ctx); err != nil {
		return err
	}
	r.u, err = r.b.unpackChecked(ctx, r.work, r.cfg.KeyFile, r.o.IdentityFile)
	if err == nil {
		err = r.cfg.step("restore unpacked")
	}
	return err
}

// fitKey refuses a backup whose key is not the one that is here: the journal that this till has now is another one, and its key must not be lost.
func (r *restore) fitKey(context.Context) error {
	here, err := readKey(r.cfg.KeyFile)
	if mayPass(err) {
		return unreadable(r.cfg.KeyFile, err)
	}
	if err == nil && here.id != r.u.keys.id {
		return backupError(BackupOtherKey, nil, "the backup %s is of an earlier journal of this till, and %s is the key of another one (a new journal was begun); move that journal and its key aside first, both into one folder that is kept", r.o.From, r.cfg.KeyFile)
	}
	r.done.KeyNew = err != nil
	if err != nil && r.u.keyText == nil {
		return backupError(BackupKeyMissing, err, "the journal's key can't be read (%v); put it back from its copy", err)
	}
	return nil
}

// enter writes into the journal-to-be who restores it and why, and what is not in it any more, in one commit.
func (r *restore) enter(context.Context) error {
	if err := r.cfg.step("restore enter"); err != nil {
		return err
	}
	cfg := r.cfg
	cfg.File, cfg.KeyFile, cfg.ReserveFile = r.work, r.work+".key", ""
	j := &Journal{cfg: cfg, keys: r.u.keys}
	if err := j.openBolt(r.work); err != nil {
		return err
	}
	defer func() { _ = j.letGo() }()
	if err := j.recognise(); err != nil {
		return err
	}
	was, err := r.whatWas()
	if err != nil {
		return err
	}
	err = j.update(func(tx *bbolt.Tx) (Head, error) { return r.enterIn(j, tx, was) })
	if err == nil {
		err = j.doubtScans()
	}
	r.done.Head, r.done.Lost = j.Head(), was.lost
	j.retire()
	return err
}

// retire keeps a journal that is only prepared from writing a head memo later.
func (j *Journal) retire() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stopped = errClosed
}

// formerJournal is what can still be learnt of the journal that is replaced.
type formerJournal struct {
	memo string      // the head in the memo; "": not known
	lost Head        // the newest entry that it is known to have had, where the backup lacks it
	own  []ownRandom // the characters that it held for order numbers, and those of the journals before it that it asked for
}

// ownRandom are characters that a journal itself held, and how many numbers had been drawn before; 0: not known.
type ownRandom struct {
	random string
	drawn  uint64
}

// whatWas reads the head memo, and as much of the present journal as still can be read and believed.
func (r *restore) whatWas() (was formerJournal, err error) {
	memo, err := readSmall(r.cfg, r.cfg.memoFile(), r.u.keys, readMemo)
	if isUnreadable(err) {
		return was, err
	}
	if err == nil {
		was.memo, was.lost = memo.String(), memo
	}
	if j := r.present; j != nil && j.keys.id == r.u.keys.id {
		_ = j.view(func(tx *bbolt.Tx) error {
			if head, err := j.lastHead(tx); err == nil && head.Sequence > was.lost.Sequence {
				was.lost = head
			}
			if about, err := j.about(tx); err == nil {
				was.own = append(was.own, ownRandom{about.Random, about.Drawn})
			}
			if r, err := j.searches(tx); err == nil {
				for _, s := range r.Searches {
					if s.Own {
						was.own = append(was.own, ownRandom{s.Random, s.First})
					}
				}
			}
			return nil // what can't be believed is not known
		})
	}
	if was.lost.Sequence <= r.b.header.Head.Sequence {
		was.lost = Head{}
	}
	return was, nil
}

func (r *restore) enterIn(j *Journal, tx *bbolt.Tx, was formerJournal) (Head, error) {
	about, err := j.about(tx)
	if err != nil {
		return Head{}, err
	}
	count, err := j.counters(tx)
	if err != nil {
		return Head{}, err
	}
	sequence := j.head.Sequence + 1
	if err := r.planSearches(j, tx, about, count.Number, was.own); err != nil {
		return Head{}, err
	}
	used := []string{about.Random}
	for _, own := range was.own {
		used = append(used, own.random)
	}
	about.Random = drawOther(used...)
	about.Restored, about.Lost, about.Drawn = sequence, was.memo, count.Number
	if err := j.put(tx, bucketAbout, keyAbout, about); err != nil {
		return Head{}, err
	}
	return j.appendEvent(tx, eventRecord{Ref: lostRef(was.lost), JournalEvent: payflow.JournalEvent{Sequence: sequence, At: r.cfg.Now(),
		Kind: EventRestored, Operator: cut(r.o.Operator), Note: cut(r.note(was.lost))}})
}

// setBackMax is how far before its backup a restore's clock is believed to stand, and how far behind it the clock of a start may have run ahead.
const setBackMax = 7 * 24 * time.Hour

// planSearches notes the numbers that the lost part of the journal may have drawn.
func (r *restore) planSearches(j *Journal, tx *bbolt.Tx, about aboutRecord, counter uint64, former []ownRandom) error {
	made, now := r.b.header.At.In(r.cfg.Location), r.cfg.Now().In(r.cfg.Location)
	from, to := made.Format(time.DateOnly), now.Format(time.DateOnly)
	since := from
	if made.Sub(now) > setBackMax {
		to = from // nothing was sold so long ago: the clock is wrong now, and the search goes on to the day that it shows once it is right
	}
	from, to = min(from, to), max(from, to) // what was sold by a clock that had been set back carries earlier days
	lost := search{Since: since, Sequence: j.head.Sequence + 1, Store: about.Store, Till: about.Till, From: from, To: to, Day: from, Last: counter, Next: counter + 1, Begun: r.cfg.Now()}
	var wanted, last []search
	starts, known, err := r.startsSince(counter)
	if err != nil {
		return err
	}
	own, all := ownCharacters(ownRandom{about.Random, counter}, former)
	lost.Blind, r.done.StartsUnknown = !known || !all, !known || !all
	lowest := counter
	for i, one := range starts {
		s := lost
		if ahead := now.Add(setBackMax).Format(time.DateOnly); one.Day > to && one.Day <= ahead {
			s.To = one.Day // its clock ran ahead, and so do the days in its numbers
		}
		s.Random, s.From, s.Day = one.Random, max(from, min(one.Day, to)), max(from, min(one.Day, to))
		s.Last, s.Next = one.Drawn, one.Drawn+1
		lowest = min(lowest, one.Drawn)
		if drewNone(starts, i) {
			last = append(last, s) // most likely nothing is found, and that takes two minutes each
			continue
		}
		wanted = append(wanted, s)
	}
	if !slices.ContainsFunc(own, func(o ownRandom) bool { return o.random == r.b.header.Random }) {
		s := lost
		s.Random = r.b.header.Random
		wanted = append(wanted, s)
	}
	for _, one := range own { // last: they serve only where a start could not be noted
		s := lost
		s.Random, s.Own, s.First = one.random, true, min(cmp.Or(one.drawn, lowest), counter) // a journal that went on from an older backup drew lower ones
		s.Last, s.Next = s.First, s.First+1
		wanted = append(wanted, s)
	}
	noted, err := j.searches(tx)
	if err != nil {
		return err
	}
	planRefunds(&noted, lost.Sequence, counter, made, r.cfg.Now())
	if err := j.putSearches(tx, noted); err != nil {
		return err
	}
	there := map[string]bool{"": true}
	for _, s := range append(wanted, last...) {
		if there[s.Random] {
			continue
		}
		there[s.Random] = true
		if err := j.addSearch(tx, s); err != nil {
			return err
		}
	}
	return nil
}

// ownCharacters are those that the journals themselves held since the backup: the backup's, and of what was put in place since as far as it is known. all is
// false where there are more than can be asked for.
func ownCharacters(backup ownRandom, former []ownRandom) (own []ownRandom, all bool) {
	for _, one := range append([]ownRandom{backup}, former...) {
		if one.random != "" && !slices.ContainsFunc(own, func(o ownRandom) bool { return o.random == one.random }) {
			own = append(own, one)
		}
	}
	return own[:min(len(own), ownMax)], len(own) <= ownMax
}

// startsSince are the starts behind the one that made the backup, as they are noted beside the key. The counter does not part them where that one is
// noted: behind a restore of a still older backup it began lower again. all is false where there may have been others: the list is not here, or it
// does not reach back to the start that made the backup. A backup of before there was a list names none.
func (r *restore) startsSince(counter uint64) (starts []journalStart, all bool, err error) {
	starts, read, err := r.notedStarts()
	if err != nil {
		return nil, false, err
	}
	if at := slices.IndexFunc(starts, func(s journalStart) bool { return s.Random == r.b.header.Random }); at >= 0 {
		return starts[at+1:], true, nil
	}
	all = read && r.b.header.Random == ""
	return slices.DeleteFunc(starts, func(s journalStart) bool { return s.Drawn < counter }), all, nil
}

// notedStarts is the list beside the key, or the newest of those that were set aside that is this journal's: a new one may have been begun since.
// read is false where there is none: another PC, or damaged; the start that made the backup is named in it.
func (r *restore) notedStarts() (starts []journalStart, read bool, err error) {
	paths, _ := filepath.Glob(r.cfg.startsFile() + ".aside-*") // the date makes the order
	slices.Reverse(paths)
	for _, path := range append([]string{r.cfg.startsFile()}, paths...) {
		starts, err := readSmall(r.cfg, path, r.u.keys, readStarts)
		if err == nil || isUnreadable(err) {
			return starts, err == nil, err
		}
	}
	return nil, false, nil
}

// drawOther draws characters that are none of those that were in use.
func drawOther(used ...string) string {
	for {
		random := drawRandom()
		if !strings.Contains(" "+strings.Join(used, " ")+" ", " "+random+" ") {
			return random
		}
	}
}

// lostMark begins the reference of a restore's entry, before the head of what it replaced.
const lostMark = "lost "

func lostRef(lost Head) string {
	if lost.Sequence == 0 {
		return ""
	}
	return lostMark + lost.String()
}

func (r *restore) note(lost Head) string {
	text := fmt.Sprintf("%s; the backup of %s, which ends at entry %d, was put in place", r.o.Reason, r.b.header.At.In(r.cfg.Location).Format(time.DateTime), r.b.header.Head.Sequence)
	if lost.Sequence > 0 {
		text += fmt.Sprintf("; entries %d to %d at least were lost", r.b.header.Head.Sequence+1, lost.Sequence)
	}
	return text
}

func (r *restore) installKey(context.Context) error {
	if !r.done.KeyNew {
		return nil
	}
	if err := r.cfg.step("restore key"); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.cfg.KeyFile), 0o700); err != nil {
		return err
	}
	if _, err := r.secondName(r.cfg.KeyFile); err != nil {
		return err
	}
	if err := writeFile(r.cfg.KeyFile, r.u.keyText); err != nil {
		return err
	}
	ownLike(r.cfg.KeyFile)
	return nil
}

func (r *restore) keepAside(context.Context) (err error) {
	if err := r.cfg.step("restore aside"); err != nil {
		return err
	}
	r.done.Aside, err = r.secondName(r.cfg.File)
	return err
}

// secondName gives a file a second name with the date, so that the first can be given to another in one step. "": there is no such file.
func (r *restore) secondName(path string) (string, error) {
	if there, err := exists(path); err != nil || !there {
		return "", err
	}
	base := path + r.cfg.asideSuffix()
	for i := range 1000 {
		name := base
		if i > 0 {
			name += fmt.Sprint("-", i)
		}
		err := os.Link(path, name)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil { // a file system without second names
			err = copySynced(path, name)
		}
		if err == nil {
			err = syncFolder(filepath.Dir(path))
		}
		return name, err
	}
	return "", fmt.Errorf("no free name beside %s", path)
}

func copySynced(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func (r *restore) putInPlace(context.Context) error {
	if err := r.cfg.step("restore rename"); err != nil {
		return err
	}
	ownLike(r.work)
	if err := os.Rename(r.work, r.cfg.File); err != nil {
		return fmt.Errorf("put the backup in place: %w", err)
	}
	return syncFolder(filepath.Dir(r.cfg.File))
}

// saveMemo has the memo beside the key name the restored chain. One that fails is made up for at the next start, which knows what was replaced.
func (r *restore) saveMemo() {
	if r.cfg.step("restore memo") == nil {
		_ = writeFile(r.cfg.memoFile(), memoText(r.u.keys, r.done.Head))
		ownLike(r.cfg.memoFile())
	}
}
