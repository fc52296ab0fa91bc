package queue

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// sectorBytes is what a disk writes whole or not at all.
const sectorBytes = 512

// sharedMemory lies in memory where the system has such a place: a sync costs nothing there.
const sharedMemory = "/dev/shm"

// memoryDisk is the disk of one till, with a journal, its key, head memo and reserve. Its files lie in memory, and it knows which
// bytes were synced: when the power is cut, each sector of 512 bytes that was written and not synced is on the platter or is not. It
// learns what a step wrote by comparing the file with what was synced before: bbolt writes data pages, syncs, writes one meta page
// and syncs (tx.go: Commit), and believes db.NoSync's word that the step asked for no sync.
//
// A cut is planned for a step, by its name and number over the life of the disk, and at its moment. All else about it is drawn from
// the disk's own seed and the step's number, so that it is the same cut however the till's goroutines run.
type memoryDisk struct {
	t    testing.TB
	root string
	seed uint64
	cfg  JournalConfig // of the till; its places are those of the present start

	mu      sync.Mutex // guards all below
	journal *Journal   // open now, once it is
	opening bool
	dead    bool
	cuts    map[diskStep]diskMoment
	fails   map[diskStep]error // a step's disk error
	onCut   func()             // at the very moment, before anything else happens
	counts  map[string]int     // steps so far, by name
	before  string             // the step before
	last    string             // the step that was passed last
	synced  fileImage          // the journal on the platter
	begun   fileImage          // what it was when the step before began
	wanted  map[string][]byte  // small files that a step is about to replace
	platter map[string]fileImage
	starts  int
	confirm Head // the newest entry that was called written
}

// diskStep names a step of the journal on this disk: the manyth "commit" of its life, counted from 1.
type diskStep struct {
	name   string
	number int
}

// diskMoment is when in a step the power goes.
type diskMoment string

const (
	cutBefore diskMoment = "before"  // nothing of it was written
	cutInData diskMoment = "data"    // its pages were on their way
	cutInMeta diskMoment = "meta"    // its pages are on the platter, and the meta page was on its way
	cutAfter  diskMoment = "written" // all of it is on the platter, and nobody has been told
	cutInFile diskMoment = "file"    // of a small file's replacing
)

// fileImage is one file: its bytes as far as any are used, and its length.
type fileImage struct {
	content []byte
	size    int64
}

func newMemoryDisk(t testing.TB, seed uint64, cfg JournalConfig) *memoryDisk {
	t.Helper()
	root, err := os.MkdirTemp(memoryRoot(), "posagent-disk-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	d := &memoryDisk{t: t, root: root, seed: seed, cfg: cfg, cuts: map[diskStep]diskMoment{}, fails: map[diskStep]error{}, counts: map[string]int{}}
	d.turn(map[string]fileImage{})
	return d
}

// memoryRoot is where disks are made; "" is the system's folder for temporary files.
func memoryRoot() string {
	if info, err := os.Stat(sharedMemory); err == nil && info.IsDir() {
		return sharedMemory
	}
	return ""
}

// turn makes the folder of the next start, out of what is on the platter.
func (d *memoryDisk) turn(files map[string]fileImage) {
	d.starts++
	folder := filepath.Join(d.root, strconv.Itoa(d.starts))
	require.NoError(d.t, os.MkdirAll(filepath.Join(folder, "keys"), 0o700))
	for name, image := range files {
		image.write(d.t, filepath.Join(folder, name))
	}
	d.cfg.File, d.cfg.KeyFile, d.cfg.ReserveFile = filepath.Join(folder, "journal.db"), filepath.Join(folder, "keys", "journal.key"), filepath.Join(folder, "reserve")
	if d.cfg.fault == nil {
		d.cfg.fault = d.step
	}
	d.dead, d.journal, d.platter, d.before, d.last, d.wanted = false, nil, nil, "", "", nil
	d.synced = readImage(d.t, d.cfg.File)
}

// open opens the journal on this disk, or makes it.
func (d *memoryDisk) open() (*Journal, error) {
	d.mu.Lock()
	d.opening = true
	d.mu.Unlock()
	j, err := OpenJournal(d.cfg)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opening = false
	if err == nil {
		d.journal = j
		d.synced = readImage(d.t, d.cfg.File)
	}
	return j, err
}

// cutNow is a power cut between two steps: everything that was synced is there.
func (d *memoryDisk) cutNow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.dead {
		d.cut("between", cutAfter, d.draw("between", d.starts))
	}
}

// isDead reports that the power is gone.
func (d *memoryDisk) isDead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// powerOn is the next start, on what the cut has left. Everything that used the disk before must have ended.
func (d *memoryDisk) powerOn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := filepath.Dir(d.cfg.File)
	require.True(d.t, d.dead, "the power is on already")
	d.turn(d.platter)
	require.NoError(d.t, os.RemoveAll(old))
}

// draw returns the lot of one step.
func (d *memoryDisk) draw(name string, number int) *rand.Rand {
	return rand.New(rand.NewPCG(d.seed, uint64(number)<<8|uint64(len(name))))
}

// step is the journal's fault hook: it stands before each thing that can fail, and once behind a commit.
func (d *memoryDisk) step(name string) error {
	this, ok := d.pass(name)
	if !ok {
		return errPowerCut
	}
	moment, planned := d.cuts[this]
	if planned && (moment == cutBefore || d.half(name)) {
		d.cutIn(name, moment)
		return errPowerCut
	}
	return d.fails[this]
}

// half reports that the step before this one can be cut in half here: nobody outside has seen its end yet.
func (d *memoryDisk) half(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opening || name == "committed" || name == "memo"
}

// pass notes a step, and how the journal's file stands. ok is false where the power is gone.
func (d *memoryDisk) pass(name string) (this diskStep, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return diskStep{}, false
	}
	d.counts[name]++
	d.before, d.last = d.last, name
	now := d.synced
	if d.opening || name == "committed" {
		now = readImage(d.t, d.newest())
	}
	d.begun, d.synced = d.synced, now
	switch {
	case d.before == "create":
		d.begun = fileImage{}
	case name == "committed" && d.unsynced():
		d.synced = d.begun // the newer one is not on the platter
	}
	return diskStep{name, d.counts[name]}, true
}

// cutIn cuts the power at the step that was passed last: before it, or at a moment of what it stands behind. kept reports that the commit
// behind which it stands is on the platter.
func (d *memoryDisk) cutIn(name string, moment diskMoment) (kept bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return false
	}
	last := d.before
	if name == "memo" && !d.opening {
		last = name
		d.wantMemo()
	}
	d.cut(last, moment, d.draw(name, d.counts[name]))
	return d.keptLast(moment)
}

// keptLast reports that the newest meta page is on the platter.
func (d *memoryDisk) keptLast(moment diskMoment) bool {
	left := d.platter[filepath.Base(d.newest())]
	for page := range 2 {
		from, to := page*pageBytes, page*pageBytes+sectorBytes
		if len(d.begun.content) < to || !bytes.Equal(d.begun.content[from:to], d.synced.content[from:to]) {
			return moment != cutBefore && len(left.content) >= to && bytes.Equal(left.content[from:to], d.synced.content[from:to])
		}
	}
	return false
}

// unsynced reports that the journal asked for no sync, so that none of what it writes is certain to be there.
func (d *memoryDisk) unsynced() bool {
	return d.journal != nil && (d.journal.db.NoSync || d.journal.db.NoGrowSync)
}

// newest is the journal's file: under its own name, or under the one that it is made under.
func (d *memoryDisk) newest() string {
	if there, _ := exists(d.cfg.File); there {
		return d.cfg.File
	}
	return d.cfg.newFile()
}

// wantMemo notes what the memo would be.
func (d *memoryDisk) wantMemo() {
	if d.journal != nil {
		d.wanted = map[string][]byte{d.cfg.memoFile(): memoText(d.journal.keys, d.journal.Head())}
	}
}

// cut takes the power away and settles what is on the platter: the step that stands last was under way, as far as moment says.
func (d *memoryDisk) cut(last string, moment diskMoment, draw *rand.Rand) {
	d.dead = true
	if d.journal != nil {
		d.confirm = d.journal.Head()
	}
	if d.onCut != nil {
		d.onCut()
	}
	folder := filepath.Dir(d.cfg.File)
	d.platter = readFolder(d.t, folder)
	d.leaveJournal(last, moment, draw)
	d.leaveSmallFiles(last, moment, draw)
}

// leaveJournal puts onto the platter what is left of the journal's file.
func (d *memoryDisk) leaveJournal(last string, moment diskMoment, draw *rand.Rand) {
	name := filepath.Base(d.newest())
	if _, there := d.platter[name]; !there {
		return
	}
	switch {
	case d.unsynced():
		d.platter[name] = torn(d.synced, readImage(d.t, d.newest()), draw, func(int) bool { return true })
	case last == "create" && draw.IntN(2) == 0:
		delete(d.platter, name) // its folder was not synced yet
	case moment == cutInData:
		d.platter[name] = torn(d.begun, d.synced, draw, func(page int) bool { return page > 1 || last == "create" })
	case moment == cutInMeta:
		d.platter[name] = torn(d.begun, d.synced, draw, func(page int) bool { return page <= 1 })
		for page := 2; page*pageBytes < len(d.synced.content); page++ {
			d.platter[name] = d.platter[name].withPage(page, d.synced)
		}
	case last == "rename" && draw.IntN(2) == 0: // the folder was not synced yet
		d.platter["journal.db.new"] = d.platter[name]
		delete(d.platter, name)
	default:
		d.platter[name] = d.synced
	}
}

// leaveSmallFiles lets a file that was being replaced be the old one, the old one with a part of the new one beside it, or the new one.
func (d *memoryDisk) leaveSmallFiles(last string, moment diskMoment, draw *rand.Rand) {
	if moment != cutInFile {
		return
	}
	key, memo := filepath.Join("keys", "journal.key"), filepath.Join("keys", "journal.key.head")
	replaced := map[string]string{"key": key, "memo": memo, "reserve": "reserve", "room": "journal.db.room"}[last]
	if replaced == "" {
		return
	}
	after, there := d.platter[replaced]
	for path, content := range d.wanted {
		if path == d.cfg.memoFile() {
			after, there = fileImage{content, int64(len(content))}, true
		}
	}
	before, was := d.platter[replaced]
	if d.opening {
		was = false // it did not stand there before this start, or the same did
	}
	if !there {
		after = fileImage{make([]byte, roomBytes), roomBytes} // of the probe, which is gone again
	}
	delete(d.platter, replaced)
	if was {
		d.platter[replaced] = before
	}
	part := after.content[:draw.IntN(len(after.content)+1)]
	beside := replaced + ".new"
	if last == "room" {
		beside = replaced // the probe is written under its own name
	}
	switch draw.IntN(4) {
	case 0: // nothing of it
	case 1:
		d.platter[beside] = fileImage{part, int64(len(part))}
	case 2:
		d.platter[beside] = fileImage{part, after.size} // its length came first
	case 3:
		if there {
			d.platter[replaced] = after
		}
	}
}

const pageBytes = 4096

// withPage returns the image with one page as the other has it.
func (i fileImage) withPage(page int, other fileImage) fileImage {
	from, to := page*pageBytes, min((page+1)*pageBytes, len(other.content))
	for len(i.content) < to {
		i.content = append(i.content, 0)
	}
	copy(i.content[from:to], other.content[from:to])
	i.size = max(i.size, other.size)
	return i
}

// torn returns before with some of the sectors that after has otherwise, on the pages that may be torn: all, none, each by lot, or
// each page by lot.
func torn(before, after fileImage, draw *rand.Rand, may func(page int) bool) fileImage {
	style := draw.IntN(4)
	left := fileImage{size: max(before.size, after.size)}
	left.content = make([]byte, max(len(before.content), len(after.content)))
	copy(left.content, before.content)
	keepPage := false
	for at := 0; at < len(after.content); at += sectorBytes {
		if at%pageBytes == 0 {
			keepPage = draw.IntN(2) == 0
		}
		end := min(at+sectorBytes, len(after.content))
		keep := style == 0 || style == 2 && draw.IntN(2) == 0 || style == 3 && keepPage
		if may(at/pageBytes) && keep {
			copy(left.content[at:end], after.content[at:end])
		}
	}
	return left
}

// readImage reads a file as far as bbolt's meta pages say that it is used; a short one whole, and none as an empty one.
func readImage(t testing.TB, path string) fileImage {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fileImage{}
	}
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	used := info.Size()
	if used > wholeBytes {
		head := make([]byte, 2*pageBytes)
		_, err := file.ReadAt(head, 0)
		require.NoError(t, err)
		used = min(used, max(pagesUsed(head), pagesUsed(head[pageBytes:]))*pageBytes)
	}
	content := make([]byte, used)
	_, err = file.ReadAt(content, 0)
	require.NoError(t, err)
	return fileImage{content, info.Size()}
}

// wholeBytes is how much of a file is read without asking what is used of it.
const wholeBytes = 64 << 10

// pagesUsed is a meta page's high-water mark.
func pagesUsed(meta []byte) int64 { return int64(native.Uint64(meta[pageHeader+40:])) }

func (i fileImage) write(t testing.TB, path string) {
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, i.content, 0o600))
	if i.size > int64(len(i.content)) {
		require.NoError(t, os.Truncate(path, i.size))
	}
}

// readFolder reads every file of a folder; its journal comes apart.
func readFolder(t testing.TB, folder string) map[string]fileImage {
	files := map[string]fileImage{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, "journal.db") {
			files[name] = readImage(t, path)
			return nil
		}
		content, err := os.ReadFile(path)
		files[name] = fileImage{content, int64(len(content))}
		return err
	}))
	return files
}
