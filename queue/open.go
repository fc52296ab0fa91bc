package queue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// lockWait is how long an opener waits for another process to let go of the journal.
const lockWait = 300 * time.Millisecond

// mmapBytes is how much address space the file is given at once, so that a long reader never makes a commit wait for
// the file's map to grow. It costs no memory.
const mmapBytes = 1 << 30

// OpenKind tells apart why a journal cannot be opened.
type OpenKind string

// Why a journal cannot be opened.
const (
	OpenLocked      OpenKind = "locked"                // another process holds it
	OpenDamaged     OpenKind = "damaged"               // it is there and cannot be believed
	OpenUnwritable  OpenKind = "unwritable"            // it can be shown, with ReadOnly, but not written
	OpenUnreadable  OpenKind = "unreadable"            // the disk failed to read it; it may be whole, and the next try may go well
	OpenKeyMissing  OpenKind = "key_missing"           // the journal is there, its key is not
	OpenKeyWrong    OpenKind = "key_wrong"             // the key is another journal's, or unreadable
	OpenNewerFormat OpenKind = "newer_format"          // a newer program wrote it
	OpenMissing     OpenKind = "missing_but_key_there" // its key or head memo shows that there was one
	OpenAbsent      OpenKind = "absent"                // there is none yet, and nothing may be written
)

// OpenError says why the journal was not opened, and what to do now.
type OpenError struct {
	Kind OpenKind
	Text string // what happened; what to do now
	Err  error  // the cause, or nil
}

func (e *OpenError) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *OpenError) Unwrap() error { return e.Err }

// OpenJournal opens the journal, or makes it where there has never been one. A damaged or missing journal is never
// replaced unless BeginNew says so, but a damaged entry can be opened for reading, so that Verify can name it. What went wrong is an *OpenError, but for ids that no order number can carry. It
// reads the last entry and no other, so that it takes as long for a million payments as for ten.
func OpenJournal(cfg JournalConfig) (*Journal, error) {
	if cfg.Location == nil {
		cfg.Location = time.UTC
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ReadOnly {
		return openOrCreate(cfg)
	}
	if err := checkIDs(cfg.StoreID, cfg.TillID); err != nil {
		return nil, err
	}
	j, err := openOrCreate(cfg)
	if err != nil {
		return nil, err
	}
	if err := j.settle(); err != nil {
		var damage *DamageError
		var open *OpenError
		switch {
		case errors.As(err, &open):
		case errors.As(err, &damage):
			err = j.openError(cfg.File, err)
		case isUnwritable(err):
			err = unwritable(cfg.File, err) // the disk ran full over what a start adds
		}
		j.forsake(err)
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// openOrCreate opens the journal that is there, or makes it. What speaks against the journal counts only once the folder is held: another posagent may be making it,
// or a restore or a new beginning be putting another in its place.
func openOrCreate(cfg JournalConfig) (*Journal, error) {
	j, err := openThere(cfg)
	if err == nil || !isKind(err, OpenAbsent) && !maySetAside(err) {
		return j, err
	}
	if err := cfg.step("hold"); err != nil {
		return nil, err
	}
	free, held := cfg.hold()
	switch {
	case isKind(held, OpenLocked), isUnreadable(held), held != nil && !cfg.ReadOnly && isKind(err, OpenAbsent):
		return nil, held
	case held != nil:
		return nil, err
	}
	defer free()
	j, err = openThere(cfg)
	if cfg.ReadOnly {
		return j, err
	}
	if isKind(err, OpenAbsent) || isKind(err, OpenMissing) {
		j, err = createJournal(cfg, "")
	}
	if cfg.BeginNew && maySetAside(err) {
		return beginNew(cfg, err)
	}
	return j, err
}

func isKind(err error, kind OpenKind) bool {
	var open *OpenError
	return errors.As(err, &open) && open.Kind == kind
}

// openThere opens a journal that must be there.
func openThere(cfg JournalConfig) (*Journal, error) {
	if err := cfg.mustBeThere(); err != nil {
		return nil, err
	}
	k, err := cfg.readKey()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &OpenError{OpenKeyMissing, fmt.Sprintf("the journal %s is there, but its key %s is not; put the key back from its copy", cfg.File, cfg.KeyFile), err}
	}
	if err != nil {
		return nil, cfg.keyError(err)
	}
	j := &Journal{cfg: cfg, keys: k}
	if err := j.openBolt(cfg.File); err != nil {
		return nil, err
	}
	if err := j.recognise(); err != nil {
		return nil, errors.Join(err, j.letGo())
	}
	return j, nil
}

// mustBeThere says why there is no journal.
func (cfg JournalConfig) mustBeThere() error {
	there, err := cfg.there()
	if err != nil {
		return unseen(cfg.File, err) // whether it is there is not known: nothing may be said of it that it is not
	}
	if there {
		return nil
	}
	made, err := firstOf(cfg.KeyFile, cfg.memoFile())
	if err != nil {
		return unseen(cfg.File, err)
	}
	unfinished, err := exists(cfg.newFile())
	if err != nil {
		return unseen(cfg.newFile(), err)
	}
	cutShort := false
	if made != "" && unfinished {
		if cutShort, err = cfg.memoNamesNoMore(); err != nil {
			return err
		}
	}
	if made != "" && !cutShort {
		return missing(cfg, made)
	}
	return &OpenError{OpenAbsent, fmt.Sprintf("there is no journal %s; start posagent once, or correct [journal] file", cfg.File), nil}
}

// memoNamesNoMore reports that the head memo names no entry behind the first, as after a creation that was cut short.
func (cfg JournalConfig) memoNamesNoMore() (bool, error) {
	k, err := cfg.readKey()
	switch {
	case mayPass(err):
		return false, unreadable(cfg.KeyFile, err)
	case err != nil:
		return false, nil
	}
	memo, err := readSmall(cfg, cfg.memoFile(), k, readMemo)
	if isUnreadable(err) {
		return false, err
	}
	return errors.Is(err, fs.ErrNotExist) || err == nil && memo.Sequence == 1, nil
}

func (cfg JournalConfig) there() (bool, error) {
	if err := cfg.step("stat"); err != nil {
		return false, err
	}
	return exists(cfg.File)
}

func (cfg JournalConfig) readKey() (keys, error) {
	if err := cfg.step("read the key"); err != nil {
		return keys{}, err
	}
	return readKey(cfg.KeyFile)
}

// keyError says why a key that is there can't be used.
func (cfg JournalConfig) keyError(err error) error {
	if mayPass(err) {
		return unreadable(cfg.KeyFile, err)
	}
	return &OpenError{OpenKeyWrong, fmt.Sprintf("the key of the journal cannot be read (%v); put it back from its copy, readable by the user posagent", err), err}
}

// openBolt opens a bbolt file that is there. bbolt panics on some damaged files.
func (j *Journal) openBolt(path string) error {
	options := &bbolt.Options{
		Timeout: lockWait, ReadOnly: j.cfg.ReadOnly, PreLoadFreelist: true, InitialMmapSize: mmapBytes, NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			file, err := openThereFile(name, flag, mode)
			j.file = file
			return file, err
		},
	}
	err := guarded("opening", func() (err error) {
		if err := j.cfg.step("open"); err != nil {
			return err
		}
		j.db, err = bbolt.Open(path, 0o600, options)
		return err
	})
	if err == nil {
		return j.stillNamed(path)
	}
	if j.file != nil {
		_ = release(j.file) // bbolt may have closed it, or panicked before it could
	}
	return j.openError(path, err)
}

// stillNamed refuses a file that a restore has put another in the place of while this opener waited for its lock: what is written there is in no journal.
func (j *Journal) stillNamed(path string) error {
	ours, err := j.file.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(path); err == nil && os.SameFile(ours, there) {
			return nil
		}
	}
	refused := &OpenError{OpenLocked, "another file was put in the place of the journal " + path + " while it was opened (posagent restore does that); start posagent again", err}
	return errors.Join(refused, j.letGo())
}

// openThereFile opens for bbolt, but makes no file and takes no empty one: bbolt would make a new journal of it.
func openThereFile(name string, flag int, mode os.FileMode) (*os.File, error) {
	file, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() == 0 {
		err = berrors.ErrInvalid
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// openError says why a file is not opened. What looks damaged is read through once: bbolt hides an error of the disk behind one of its own, and a page
// that the disk fails to read is a fault of the memory map.
func (j *Journal) openError(path string, err error) error {
	refused := openError(path, err)
	var open *OpenError
	if !errors.As(refused, &open) || open.Kind != OpenDamaged {
		return refused
	}
	if failed := j.readThrough(path); mayPass(failed) {
		return unreadable(path, failed)
	}
	return refused
}

func (j *Journal) readThrough(path string) error {
	if err := j.cfg.step("read through"); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, file)
	return errors.Join(err, file.Close())
}

func openError(path string, err error) error {
	switch {
	case mayPass(err):
		return unreadable(path, err)
	case errors.Is(err, berrors.ErrTimeout):
		return &OpenError{OpenLocked, "another posagent holds the journal " + path + holderHint(path) + "; ask it (posagent status), or stop it first", err}
	case isUnwritable(err):
		return unwritable(path, err)
	case errors.Is(err, fs.ErrNotExist):
		return &OpenError{OpenLocked, "the journal " + path + " was moved away while it was opened (a new one is begun, or somebody moves it); start posagent again", err}
	}
	return &OpenError{OpenDamaged, fmt.Sprintf("the journal %s is damaged (%v); copy it before anything else, do not delete it, and put the newest good backup in its place: posagent restore --operator NAME --reason …", path, err), err}
}

func unwritable(path string, err error) error {
	return &OpenError{OpenUnwritable, fmt.Sprintf("the journal %s cannot be written (%v); take cash, and see that its disk has room and is not read-only, and that it belongs to the user posagent", path, err), err}
}

// unreadable is no damage: an error of the disk, its cable or its bus passes by itself more often than not, as does a lack of memory or of open files, and nothing may
// be put in the place of a journal that is whole.
func unreadable(path string, err error) error {
	what, mend := "the disk failed to read", "see to the disk and its cable, and copy the file to another disk before anything else"
	if !errors.Is(err, syscall.EIO) {
		what, mend = "the system could not open", "start this PC again"
	}
	return &OpenError{OpenUnreadable, fmt.Sprintf("%s %s (%v), which may pass: the start is tried again; take cash meanwhile, and if it stays so %s", what, path, err, mend), err}
}

// mayPass reports an error of the system that says nothing about the file, and nothing that a person must set right at its name.
func mayPass(err error) bool {
	var number syscall.Errno
	if !errors.As(err, &number) || isUnwritable(err) || errors.Is(err, fs.ErrNotExist) {
		return false
	}
	switch number {
	case syscall.EISDIR, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL:
		return false
	}
	return true
}

func isUnreadable(err error) bool { return isKind(err, OpenUnreadable) }

// unseen is for a file of which it is not even known whether it is there.
func unseen(path string, err error) error {
	if mayPass(err) {
		return unreadable(path, err)
	}
	return unwritable(path, err)
}

func isUnwritable(err error) bool {
	return isFull(err) || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// recognise checks that the file is a journal, of a format that we know, sealed by our key, and whole at its end.
func (j *Journal) recognise() error {
	var kind OpenKind
	err := guarded("opening", func() error {
		wrong, err := checkToOpen(j.file, j.db.Info().PageSize)
		if err != nil || len(wrong) > 0 {
			return errors.Join(err, errors.New(strings.Join(wrong, "; ")))
		}
		return j.db.View(func(tx *bbolt.Tx) (err error) {
			kind, err = j.recogniseIn(tx)
			return err
		})
	})
	if err == nil {
		return nil
	}
	switch kind {
	case OpenNewerFormat:
		return &OpenError{kind, fmt.Sprintf("a newer posagent wrote the journal %s (%v); install that version again", j.cfg.File, err), err}
	case OpenKeyWrong:
		return &OpenError{kind, fmt.Sprintf("the key %s is not that of the journal %s; put back the key that was copied with it", j.cfg.KeyFile, j.cfg.File), err}
	}
	return j.openError(j.db.Path(), err)
}

func (j *Journal) recogniseIn(tx *bbolt.Tx) (OpenKind, error) {
	if info, err := j.file.Stat(); err != nil || info.Size() < tx.Size() {
		return OpenDamaged, errors.Join(errors.New("the file is shorter than it was"), err)
	}
	if tx.Bucket(bucketAbout) == nil {
		return OpenDamaged, errors.New("it is no journal of posagent")
	}
	format, err := strconv.Atoi(string(tx.Bucket(bucketAbout).Get(keyFormat)))
	for _, name := range append(indexes(), bucketCounters, bucketEvents, bucketPayments) {
		if tx.Bucket(name) == nil && (err != nil || format >= formatVersion || !isLater(name)) {
			return OpenDamaged, errors.New("it is no journal of posagent")
		}
	}
	if err != nil || format < 1 {
		return OpenDamaged, errors.New("it does not say its format")
	}
	if format > formatVersion {
		return OpenNewerFormat, fmt.Errorf("format %d; this program knows %d", format, formatVersion)
	}
	if have := refundBucketsIn(tx); have > 0 && have < len(refundBuckets()) {
		return OpenDamaged, errors.New("it lacks some of the refunds' places")
	}
	if !sealedBy(tx.Bucket(bucketAbout).Get(keyAbout), j.keys.id) {
		return OpenKeyWrong, errors.New("sealed by another key")
	}
	if j.cfg.ReadOnly {
		j.head = claimedHead(tx) // a broken entry must not keep Verify from naming it
		return "", nil
	}
	if _, err := j.about(tx); err != nil {
		return OpenDamaged, err
	}
	j.head, err = j.lastHead(tx)
	return OpenDamaged, err
}

// settle does what a start owes: room on the disk; buckets that came later; random characters of its own for the order numbers, because a
// copy of this file may be in use on another PC; and an entry where the file is not the one that we closed: restored, copied to another
// till, or cut.
func (j *Journal) settle() error {
	if err := j.makeRoom(); err != nil {
		return err
	}
	event, err := j.strange() // before anything is written: the memo follows what is written here within seconds
	switch {
	case err != nil:
	case event.Note != "":
		if len(j.found) > 0 {
			err = j.doubtScans()
		}
		if err == nil {
			err = j.restored(event)
		}
	default:
		err = j.begin()
	}
	if err != nil {
		return err
	}
	if err := j.grow(); err != nil {
		return err
	}
	if err := j.addRefundBuckets(); err != nil {
		return err
	}
	if err := j.saveMemo(); err != nil && j.memo.failed.get() == nil {
		return err
	}
	return nil // a memo that cannot be written stops no start: BesideKey says so
}

// foundByStart marks a restored entry that no person asked for.
const foundByStart = "found at start"

// strange returns the entry to write where this file is not the one that was closed here last; its note is empty where it is.
func (j *Journal) strange() (event eventRecord, err error) {
	var about aboutRecord
	var missed *Finding
	err = j.view(func(tx *bbolt.Tx) (err error) {
		if about, err = j.about(tx); err != nil {
			return err
		}
		if _, _, err := j.tallied(tx); err != nil {
			missed = &Finding{Kind: FoundTruncated, Text: err.Error()}
		}
		memo, err := readSmall(j.cfg, j.cfg.memoFile(), j.keys, readMemo)
		if isUnreadable(err) {
			return err // it may name entries that are missed, and must not be written anew before that is known
		}
		if err != nil {
			return nil // no memo, or a broken one: Verify says so
		}
		if memo.String() == about.Lost {
			return nil // the restore has named it, and could not write the new one
		}
		if against := j.against(tx, memo, "the head memo beside the key"); against != nil {
			missed = against
		}
		return nil
	})
	switch {
	case err != nil:
	case missed != nil:
		j.found = append(j.found, *missed)
		event.Note, event.Ref = missed.Text, foundByStart
	case about.Store != j.cfg.StoreID || about.Till != j.cfg.TillID:
		event.Note = fmt.Sprintf("the journal of till %s %s is now that of %s %s", about.Store, about.Till, j.cfg.StoreID, j.cfg.TillID)
	}
	return event, err
}

// FoundAtStart returns what the start saw to be wrong: the head memo names entries that the journal lacks. A person
// must look (journal verify); the order numbers have drawn new random characters already.
func (j *Journal) FoundAtStart() []Finding { return j.found }

// forsake stops a journal whose start went wrong: closing it must not have the head memo say that nothing is missing, before an entry says so.
func (j *Journal) forsake(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.stopped == nil {
		j.stopped = err
	}
}

// letGo closes what was opened and turned out not to be ours to use.
func (j *Journal) letGo() error {
	if err := guarded("closing", j.db.Close); err != nil {
		return release(j.file)
	}
	return nil
}
