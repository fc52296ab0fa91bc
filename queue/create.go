package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"posagent/payflow"
)

// createJournal makes a journal, its key and its head memo. A power cut while bbolt makes a file can leave one that never
// opens, so it is made under another name; and the order of the steps is such that what each leaves can be told:
//
//  1. FILE.new with its first entry, on disk   → crash: no key yet, so it was never used; it is removed and made anew
//  2. the key                                  → crash: FILE.new fits the key and holds one entry; go on at 3
//  3. the head memo                            → crash: the same
//  4. FILE.new renamed to FILE, folder synced
//
// A key or a memo without FILE and without a FILE.new that fits says that there was a journal: refused. The caller holds the folder, so that no other posagent
// makes the same one.
func createJournal(cfg JournalConfig, note string) (*Journal, error) {
	made, err := firstOf(cfg.KeyFile, cfg.memoFile())
	if err != nil {
		return nil, unseen(cfg.File, err)
	}
	unfinished, err := exists(cfg.newFile())
	switch {
	case err != nil:
		return nil, unseen(cfg.newFile(), err)
	case made != "" && unfinished:
		return finishCreation(cfg)
	case made != "":
		return nil, missing(cfg, made)
	case unfinished:
		if err := os.Remove(cfg.newFile()); err != nil {
			return nil, unwritable(cfg.File, err)
		}
	}
	j, err := beginCreation(cfg, note)
	if err != nil {
		return nil, err
	}
	return j, j.putInPlace()
}

func (cfg JournalConfig) newFile() string { return cfg.File + ".new" }

func firstOf(paths ...string) (string, error) {
	for _, p := range paths {
		if there, err := exists(p); err != nil {
			return "", err
		} else if there {
			return p, nil
		}
	}
	return "", nil
}

func missing(cfg JournalConfig, made string) error {
	return &OpenError{OpenMissing, fmt.Sprintf("the journal %s is missing, but %s shows that there was one; mount its disk, or put the newest good backup in place (posagent restore --operator NAME --reason …); only if all are lost for good begin a new one", cfg.File, made), nil}
}

// beginCreation is steps 1 and 2.
func beginCreation(cfg JournalConfig, note string) (*Journal, error) {
	secret := newSecret()
	k, err := deriveKeys(secret)
	if err != nil {
		return nil, err
	}
	j := &Journal{cfg: cfg, keys: k}
	err = guarded("making the journal", func() error { return j.writeFirst(note) })
	if err == nil {
		err = cfg.step("key")
	}
	if err == nil {
		err = writeKey(cfg.KeyFile, secret)
	}
	if err != nil {
		return nil, errors.Join(unwritable(cfg.File, err), j.dropBolt())
	}
	return j, nil
}

// writeFirst makes FILE.new with its buckets and first entry, and returns when it is on disk.
func (j *Journal) writeFirst(note string) error {
	for folder, mode := range map[string]os.FileMode{filepath.Dir(j.cfg.File): 0o750, filepath.Dir(j.cfg.KeyFile): 0o700} {
		if err := os.MkdirAll(folder, mode); err != nil {
			return err
		}
	}
	if err := j.cfg.step("create"); err != nil {
		return err
	}
	var err error
	j.db, err = bbolt.Open(j.cfg.newFile(), 0o600, &bbolt.Options{
		Timeout: lockWait, InitialMmapSize: mmapBytes, NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			file, err := os.OpenFile(name, flag|os.O_EXCL, mode)
			j.file = file
			return file, err
		},
	})
	if err != nil {
		return err
	}
	if err := j.cfg.step("first entry"); err != nil {
		return err
	}
	if err := j.db.Update(func(tx *bbolt.Tx) error { return j.writeFirstIn(tx, note) }); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(j.cfg.File))
}

func (j *Journal) writeFirstIn(tx *bbolt.Tx, note string) error {
	for _, name := range append(append(indexes(), bucketAbout, bucketCounters, bucketEvents, bucketPayments), refundBuckets()...) {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	if err := tx.Bucket(bucketAbout).Put(keyFormat, []byte(strconv.Itoa(formatVersion))); err != nil {
		return err
	}
	about := aboutRecord{Format: formatVersion, ID: string(j.NewTag()), KeyID: j.keys.id, Store: j.cfg.StoreID, Till: j.cfg.TillID, Random: drawRandom()}
	if err := j.put(tx, bucketAbout, keyAbout, about); err != nil {
		return err
	}
	if err := j.put(tx, bucketCounters, keyCounters, countersRecord{Format: formatVersion}); err != nil {
		return err
	}
	head, err := j.appendEvent(tx, eventRecord{JournalEvent: payflow.JournalEvent{Sequence: 1, At: j.cfg.Now(), Kind: EventCreated, Note: cut(note)}})
	j.head = head
	return err
}

// putInPlace is steps 3 and 4. The file stays open and locked meanwhile.
func (j *Journal) putInPlace() error {
	err := j.saveMemo()
	if err == nil {
		err = j.cfg.step("rename")
	}
	if err == nil {
		err = os.Rename(j.cfg.newFile(), j.cfg.File)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(j.cfg.File))
	}
	if err != nil {
		return errors.Join(unwritable(j.cfg.File, err), j.dropBolt())
	}
	return nil
}

// finishCreation goes on where a crash left FILE.new beside its key.
func finishCreation(cfg JournalConfig) (*Journal, error) {
	k, err := cfg.readKey()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(cfg, cfg.memoFile())
	}
	if err != nil {
		return nil, cfg.keyError(err)
	}
	j := &Journal{cfg: cfg, keys: k}
	if err := j.openBolt(cfg.newFile()); err != nil {
		return nil, errUnlessPassing(err, missing(cfg, cfg.KeyFile))
	}
	err = j.recognise()
	if err == nil {
		err = j.mustBeFirstForm()
	}
	if err != nil {
		return nil, errors.Join(errUnlessPassing(err, missing(cfg, cfg.KeyFile)), j.letGo())
	}
	return j, j.putInPlace()
}

// mustBeFirstForm sees that the journal holds its first entry alone, and that there was never more: a memo of another head is that of a journal which is lost.
func (j *Journal) mustBeFirstForm() error {
	memo, err := readSmall(j.cfg, j.cfg.memoFile(), j.keys, readMemo)
	switch {
	case j.head.Sequence != 1:
		return errors.New("it holds more than its first entry")
	case errors.Is(err, fs.ErrNotExist), err == nil && memo == j.head:
		return nil
	}
	return errors.Join(err, errors.New("its head memo is that of another"))
}

// errUnlessPassing returns err where it says nothing about the file, and otherwise the other error.
func errUnlessPassing(err, otherwise error) error {
	for _, passing := range []OpenKind{OpenLocked, OpenUnreadable, OpenUnwritable} {
		if isKind(err, passing) {
			return err
		}
	}
	return otherwise
}

func (j *Journal) dropBolt() error {
	if j.db == nil {
		return nil
	}
	return j.letGo()
}

// maySetAside says which failures a new journal is a way out of.
func maySetAside(err error) bool {
	return isKind(err, OpenDamaged) || isKind(err, OpenKeyMissing) || isKind(err, OpenKeyWrong) || isKind(err, OpenMissing)
}

// beginNew moves everything of the old journal aside and makes a new one, whose first entry says why. The caller holds the folder. A journal that another posagent
// has open stays, whatever became of its key.
func beginNew(cfg JournalConfig, why error) (*Journal, error) {
	old, err := os.Open(cfg.File)
	if err == nil {
		defer func() { _ = release(old) }()
		err = flockSoon(old, syscall.LOCK_EX)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, openError(cfg.File, berrors.ErrTimeout)
	case err != nil:
		return nil, unseen(cfg.File, err)
	}
	suffix := cfg.asideSuffix()
	for _, path := range []string{cfg.File, cfg.newFile(), cfg.KeyFile, cfg.memoFile(), cfg.startsFile()} {
		there, err := exists(path)
		if err == nil && there {
			err = renameFree(path, path+suffix)
		}
		if err != nil {
			return nil, unwritable(cfg.File, err)
		}
	}
	return createJournal(cfg, "begun anew: "+why.Error())
}

// asideSuffix ends the name of what is set aside now.
func (cfg JournalConfig) asideSuffix() string {
	return ".aside-" + cfg.Now().UTC().Format("20060102T150405Z")
}

// renameFree renames to a name that is free, so that nothing set aside is ever written over.
func renameFree(from, to string) error {
	for i := 0; i < 1000; i++ {
		name := to
		if i > 0 {
			name += "-" + strconv.Itoa(i)
		}
		if there, err := exists(name); err != nil {
			return err
		} else if !there {
			return os.Rename(from, name)
		}
	}
	return fmt.Errorf("no free name beside %s", to)
}

// sealedBy reports whether a record's own text names the key, before its seal can be checked.
func sealedBy(sealed []byte, keyID string) bool {
	var r aboutRecord
	body, _, ok := split(sealed)
	return !ok || json.Unmarshal(body, &r) != nil || r.KeyID == keyID
}
