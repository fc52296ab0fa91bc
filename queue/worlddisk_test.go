package queue

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// worldDisk is where the fast form writes: the real journal on files in memory. In most worlds it keeps one bbolt file open through starts
// and worlds, and puts the template's entries back between two worlds: a start then goes through everything that OpenJournal does with
// the file once bbolt has it, but for memo, room and reserve. In thorough worlds each start opens the files anew, with all of it.
type worldDisk struct {
	t        *testing.T
	folder   string
	cfg      JournalConfig // of the file that stays open
	kept     *Journal
	template map[string][]byte // file name → content
	lines    []templateLine
	log      []worldLine // taken again for each world's log

	mu    sync.Mutex             // guards known
	known map[string]knownRecord // what records said when they were read before

	starts uint64        // of the kept file in this world, as the list beside the key counts them
	now    JournalConfig // of the thorough world's files
}

// templateLine is one line of a bucket in a journal that was just made.
type templateLine struct{ bucket, key, value []byte }

// memoryFolder returns a folder that is in memory where the machine has one, and is removed with the test.
func memoryFolder(t *testing.T) string {
	folder, err := os.MkdirTemp("/dev/shm", "worlds")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// worldRandom stands for the five random characters of every order number, so that one seed makes one log.
const worldRandom = "WORLD"

func newWorldDisk(t *testing.T) *worldDisk {
	d := &worldDisk{t: t, folder: memoryFolder(t), template: map[string][]byte{}}
	d.cfg = d.in("kept")
	d.cfg.Now = func() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
	j, err := OpenJournal(d.cfg)
	require.NoError(t, err)
	require.NoError(t, j.update(func(tx *bbolt.Tx) (Head, error) {
		about, err := j.about(tx)
		about.Random = worldRandom
		return j.head, errors.Join(err, j.put(tx, bucketAbout, keyAbout, about))
	}))
	require.NoError(t, j.Close())
	for _, path := range []string{d.cfg.File, d.cfg.KeyFile, d.cfg.memoFile()} {
		d.template[filepath.Base(path)], err = os.ReadFile(path)
		require.NoError(t, err)
	}
	d.kept, err = OpenJournal(d.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.kept.Close()) })
	d.kept.db.NoSync, d.kept.db.NoGrowSync = true, true // a file in memory has nothing to sync
	d.readLines()
	return d
}

func (d *worldDisk) in(name string) JournalConfig {
	at := filepath.Join(d.folder, name)
	require.NoError(d.t, os.MkdirAll(at, 0o700))
	return JournalConfig{File: filepath.Join(at, "journal.db"), KeyFile: filepath.Join(at, "journal.key"), StoreID: "SZTX001", TillID: "T1", Location: time.UTC}
}

func (d *worldDisk) readLines() {
	require.NoError(d.t, d.kept.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				d.lines = append(d.lines, templateLine{bytes.Clone(name), bytes.Clone(k), bytes.Clone(v)})
				return nil
			})
		})
	}))
}

// reset begins a world: the journal is as it was when it had just been made.
func (d *worldDisk) reset(thorough bool) {
	if thorough {
		d.now = d.in("thorough")
		d.now.ReserveFile, d.now.ReserveBytes = filepath.Join(filepath.Dir(d.now.File), "reserve"), 1<<16
		for name, content := range d.template {
			must(os.WriteFile(filepath.Join(filepath.Dir(d.now.File), name), content, 0o600))
		}
		return
	}
	d.now, d.starts = JournalConfig{}, 0
	must(d.kept.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range append(append(indexes(), refundBuckets()...), bucketEvents, bucketPayments) {
			if tx.Bucket(name).Inspect().KeyN == 0 {
				continue
			}
			if err := errors.Join(tx.DeleteBucket(name), second(tx.CreateBucket(name))); err != nil {
				return err
			}
		}
		for _, l := range d.lines {
			if err := tx.Bucket(l.bucket).Put(l.key, l.value); err != nil {
				return err
			}
		}
		return nil
	}))
}

func second[T any](_ T, err error) error { return err }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// open is a start's OpenJournal.
func (d *worldDisk) open(cfg JournalConfig) (*Journal, error) {
	if d.now.File != "" {
		cfg.draw = func() string { return worldRandom }
		cfg.File, cfg.KeyFile, cfg.ReserveFile, cfg.ReserveBytes = d.now.File, d.now.KeyFile, d.now.ReserveFile, d.now.ReserveBytes
		return OpenJournal(cfg)
	}
	cfg.File, cfg.KeyFile, cfg.read = d.cfg.File, d.cfg.KeyFile, d.read
	d.starts++
	j := &Journal{cfg: cfg, keys: d.kept.keys, db: d.kept.db, file: d.kept.file, starts: d.starts}
	j.memo.pending.Store(true) // no memo is ever written
	return j, j.recognise()
}

// drop lets go of a start's journal as a power cut does: nothing more is written, and no memo saved.
func (d *worldDisk) drop(j *Journal) {
	if j == nil {
		return
	}
	j.mu.Lock()
	if j.stopped == nil {
		j.stopped = errNoPower
	}
	j.mu.Unlock()
	if d.now.File != "" {
		must(j.Close())
	}
}

// knownRecord is what a record said, and its seal.
type knownRecord struct {
	record paymentRecord
	mark   string
}

// knownMax bounds what a disk remembers.
const knownMax = 2000

// read is unseal for records that were read before: what the same text under the same name says does not change, and to find it out is a
// third of what a world costs. A text that differs in one bit is read in earnest.
func (d *worldDisk) read(key []byte, bucket string, place, sealed []byte, r *paymentRecord) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.known[string(sealed)]; ok && string(k.record.OutTradeNo) == string(place) {
		*r = k.record
		return k.mark, nil
	}
	mark, err := unseal(key, bucket, place, sealed, r)
	if err != nil {
		return mark, err
	}
	if len(d.known) >= knownMax || d.known == nil {
		d.known = map[string]knownRecord{}
	}
	r.Links = slices.Clip(r.Links)
	d.known[string(sealed)] = knownRecord{*r, mark}
	return mark, nil
}
