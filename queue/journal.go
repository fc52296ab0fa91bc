package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// JournalConfig says where the journal lies and whose it is. File, KeyFile, StoreID and TillID are required; to read
// only, File and KeyFile are enough.
type JournalConfig struct {
	File    string // the bbolt file
	KeyFile string // the key that seals it, in another folder; the head memo lies beside it

	// ReserveFile keeps ReserveBytes of disk (0: 8 MiB) to be given up when the disk is full. Empty: no reserve.
	ReserveFile  string
	ReserveBytes int64

	StoreID  string         // at most 12 of 0-9 and A-Z
	TillID   string         // at most 4 of 0-9 and A-Z
	Location *time.Location // of the store's days; nil: UTC
	Now      func() time.Time

	// ReadOnly opens the journal for showing: nothing is written, not even a new journal.
	ReadOnly bool
	// BeginNew is a person's word that what cannot be opened may be moved aside, under a name with the date, and a
	// new journal be begun. A journal that opens well is kept and used. Nothing is ever deleted.
	BeginNew bool

	// draw draws the random characters of a start's order numbers; nil: drawRandom. Tests set it.
	draw func() string
	// fault is called before each thing that can fail on a disk; an error stands for the disk's. Tests set it.
	fault func(step string) error
	// unread is called before a small file beside the journal is read; an error stands for the disk's. Tests set it.
	unread func(path string) error
	// read stands for unseal where a payment is read; nil: unseal. Tests that read the same records again and again remember them.
	read func(key []byte, bucket string, place, sealed []byte, r *paymentRecord) (mark string, err error)
	// readEntry stands for unseal where an entry is read, in the same way.
	readEntry func(key []byte, bucket string, place, sealed []byte, r *eventRecord) (mark string, err error)
}

// The journal's buckets, and the keys of those that hold one record.
var (
	bucketAbout       = []byte("about")
	bucketCounters    = []byte("counters")
	bucketEvents      = []byte("events")
	bucketPayments    = []byte("payments")
	bucketOpen        = []byte("open")
	bucketUnannounced = []byte("unannounced")
	bucketByArming    = []byte("by_arming")
	bucketByDay       = []byte("by_day")
	bucketBySale      = []byte("by_sale")
	bucketByKey       = []byte("by_key")
	bucketByCode      = []byte("by_code")
	bucketLate        = []byte("late")
	bucketByPayer     = []byte("by_payer")

	keyAbout    = []byte("journal")
	keyFormat   = []byte("format") // plain text, so that any program version can read it
	keyCounters = []byte("numbers")
)

// appendFill is how full pages are left when one splits: most buckets only grow at their end.
const appendFill = 0.9

// Journal keeps every payment. It is safe for many readers at a time beside one writer, the engine.
type Journal struct {
	cfg  JournalConfig
	keys keys
	db   *bbolt.DB
	file *os.File // bbolt's own, to let go of the lock where bbolt itself cannot

	random atomic.Pointer[string] // of the order numbers of this start; nil: those of the file
	starts uint64                 // of this till so far, as journalStart counts them

	noting  sync.Mutex // held while the list of starts is written
	unnoted lastError  // why this start does not stand in it

	commits     atomic.Uint64
	via         atomic.Pointer[string] // the way by which the wish came that is being carried out; nil: no wish is
	reserveUsed atomic.Bool
	found       []Finding

	writing sync.Mutex   // held through a step, so that head is the end of the chain on disk
	showing sync.RWMutex // held through a step too; a reader begins under it
	mu      sync.Mutex   // guards what follows
	head    Head
	stopped error // why nothing is read or written any more
	broken  bool  // bbolt panicked: its own locks cannot be relied on

	memo headMemo
}

// Close writes the head memo and closes the file. A Journal that is closed refuses everything.
func (j *Journal) Close() error {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	healthy, broken := j.stopped == nil, j.broken
	if errors.Is(j.stopped, errClosed) {
		j.mu.Unlock()
		return nil
	}
	j.stopped = errClosed
	j.mu.Unlock()

	var err error
	if healthy && !j.cfg.ReadOnly {
		err = j.saveMemo()
	}
	if broken {
		return errors.Join(err, release(j.file))
	}
	return errors.Join(err, j.db.Close())
}

var errClosed = errors.New("it is closed")

// Commits returns how many transactions were begun for writing since the journal was opened.
func (j *Journal) Commits() uint64 { return j.commits.Load() }

// update makes one bbolt transaction and returns after it is on disk. An error of f's own changes nothing and is
// returned as it is; any other error leaves open whether the transaction is on disk, so nothing is done from then on.
func (j *Journal) update(f func(*bbolt.Tx) (Head, error)) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	if err := j.usable(); err != nil {
		return err
	}
	if j.cfg.ReadOnly {
		return fmt.Errorf("%w (it was opened for reading only)", payflow.ErrJournalClosed)
	}
	j.showing.Lock() // until it is known whether the step is on disk
	defer j.showing.Unlock()
	j.commits.Add(1)
	var refused error
	var head Head
	err := guarded("a step", func() error {
		if err := j.cfg.step("commit"); err != nil {
			return err
		}
		err := j.db.Update(func(tx *bbolt.Tx) error {
			if head, refused = f(tx); refused != nil {
				return refused
			}
			return j.tally(tx, head)
		})
		if err != nil {
			return err
		}
		return j.cfg.step("committed")
	})
	if err == nil {
		j.setHead(head)
		return nil
	}
	if refused != nil {
		return refused
	}
	return j.poison(err)
}

// view reads in one transaction. It begins between two steps: bbolt shows a step to readers before it has synced it, and
// nobody may see a verdict that a power cut could take back. A reader that has begun holds up no step.
func (j *Journal) view(f func(*bbolt.Tx) error) error {
	j.showing.RLock()
	begun := sync.OnceFunc(j.showing.RUnlock)
	defer begun()
	if err := j.usable(); err != nil {
		return err
	}
	return guarded("reading", func() error {
		return j.db.View(func(tx *bbolt.Tx) error {
			begun()
			return f(tx)
		})
	})
}

func (j *Journal) usable() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.stopped != nil {
		return fmt.Errorf("%w (%w)", payflow.ErrJournalClosed, j.stopped)
	}
	return nil
}

func (j *Journal) setHead(head Head) {
	j.mu.Lock()
	j.head = head
	j.mu.Unlock()
	j.remember()
}

// poison is I12. The failed step may be on disk or not; only opening the journal anew can tell.
func (j *Journal) poison(err error) error {
	if isFull(err) {
		j.giveUpReserve()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stopped = fmt.Errorf("a step failed and may or may not be on disk: %w", j.underItsName(err))
	j.broken = errors.Is(err, errPanicked)
	return fmt.Errorf("%w (%w)", payflow.ErrJournalClosed, j.stopped)
}

// underItsName has an error of the disk name the journal by its present name: a file that was made by this process was opened as FILE.new.
func (j *Journal) underItsName(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) && failed.Path == j.cfg.newFile() {
		failed.Path = j.cfg.File
	}
	return err
}

// guarded turns a panic of bbolt's, which damaged pages cause, into an error; a page that is not there is a fault of the
// memory map, and is turned too.
func guarded(doing string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w%w", &DamageError{Where: doing, Text: fmt.Sprint(p)}, errPanicked)
		}
	}()
	return f()
}

// errPanicked marks damage that bbolt met by a panic. It adds no words of its own.
var errPanicked = errors.New("")

// readSmall calls read where the disk may be read. A disk that fails to is an *OpenError: nothing may be concluded from it, or written in the file's place.
func readSmall[T any](cfg JournalConfig, path string, k keys, read func(string, keys) (T, error)) (T, error) {
	var none T
	if cfg.unread != nil {
		if err := cfg.unread(path); err != nil {
			return none, unreadable(path, err)
		}
	}
	got, err := read(path, k)
	if mayPass(err) {
		return none, unreadable(path, err)
	}
	return got, err
}

func (cfg JournalConfig) step(name string) error {
	if cfg.fault == nil {
		return nil
	}
	return cfg.fault(name)
}
