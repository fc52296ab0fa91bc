package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sectorBytes is what a disk writes whole or not at all.
const sectorBytes = 512

// disk is what the folder of a journal may be after a power cut: of each file the bytes that are on disk for certain, and the changes
// that may have come there or not; of each folder the same for its names. A sync makes last what had ended before the sync began.
type disk struct {
	names   map[string]*diskFile // that are on disk for certain, by path
	now     map[string]*diskFile // as the daemon sees them
	renames []*nameChange        // not certain yet, in order
	files   []*diskFile
}

// diskFile is one file, whatever its name.
type diskFile struct {
	id      int
	content []byte        // for certain
	now     []byte        // as the daemon sees it
	written int64         // behind this there are zeros
	pending []*fileChange // not certain yet, in order
}

// fileChange is a write, or with Data nil a change of size.
type fileChange struct {
	*diskCall
	ended bool
}

// nameChange is a name that was made, moved or taken away.
type nameChange struct {
	*diskCall
	file   *diskFile
	folder string
	ended  bool
	folded bool // a folder was made, not a file
}

func newDisk(before map[string][]byte) *disk {
	d := &disk{names: map[string]*diskFile{}, now: map[string]*diskFile{}}
	for _, name := range journalFiles {
		if content, there := before[name]; there {
			f := d.newFile()
			f.content, f.now, f.written = slices.Clone(content), slices.Clone(content), int64(len(bytes.TrimRight(content, "\x00")))
			d.names[name], d.now[name] = f, f
		}
	}
	if len(before) > 0 {
		d.names["keys"], d.now["keys"] = nil, nil
	}
	return d
}

func (d *disk) newFile() *diskFile {
	f := &diskFile{id: len(d.files)}
	d.files = append(d.files, f)
	return f
}

// mark is one moment of the recording: a call begins, or ends.
type mark struct {
	at   int
	call *diskCall
	ends bool
}

// marksOf lays the calls out in time.
func marksOf(calls []diskCall) []mark {
	marks := make([]mark, 0, 2*len(calls))
	for i := range calls {
		marks = append(marks, mark{at: calls[i].Begin, call: &calls[i]}, mark{at: calls[i].End, call: &calls[i], ends: true})
	}
	slices.SortStableFunc(marks, func(a, b mark) int {
		if a.at != b.at {
			return a.at - b.at
		}
		return a.call.Begin - b.call.Begin // a call that ends here before one that begins here; of one call, the beginning stands first
	})
	return marks
}

// pass goes on over one mark. It returns the file whose certain bytes it changed, and the changes that became certain.
func (d *disk) pass(m mark) (*diskFile, []*fileChange, error) {
	c := m.call
	switch c.Kind {
	case callWrite, callTruncate:
		return nil, nil, d.change(m)
	case callOpen, callEmpty:
		if f := d.now[c.Path]; f != nil && c.Kind == callEmpty {
			return nil, nil, d.change(m)
		}
		if d.now[c.Path] == nil || d.isNew(c) {
			return nil, nil, d.rename(m)
		}
	case callMkdir, callRename, callUnlink:
		return nil, nil, d.rename(m)
	case callSync:
		if m.ends {
			return d.sync(c)
		}
	}
	return nil, nil, nil
}

// isNew reports whether a call that opens a file has made it: its end is still to come.
func (d *disk) isNew(c *diskCall) bool {
	return slices.ContainsFunc(d.renames, func(n *nameChange) bool { return n.diskCall == c })
}

func (d *disk) change(m mark) error {
	f := d.now[m.call.Path]
	if f == nil {
		return fmt.Errorf("line %d: %s of %s, which is not there", m.at, m.call.Kind, m.call.Path)
	}
	if m.ends {
		for _, change := range f.pending {
			change.ended = change.ended || change.diskCall == m.call
		}
		return nil
	}
	change := &fileChange{diskCall: m.call}
	f.pending = append(f.pending, change)
	f.now, f.written = change.on(f.now, nil), f.writtenBy(change)
	return nil
}

// writtenBy is how far a file is written after a change. A file that is emptied may come out of the cut with its old bytes.
func (f *diskFile) writtenBy(change *fileChange) int64 {
	if change.Kind != callWrite {
		return f.written
	}
	return max(f.written, change.At+int64(len(change.Data)))
}

// on applies a change to a file's bytes: the sectors that keep says, or all. A write behind the end makes the file longer.
func (c *fileChange) on(content []byte, keep func(sector int) bool) []byte {
	if c.Kind != callWrite {
		return sized(content, c.At)
	}
	for from := int64(0); from < int64(len(c.Data)); {
		at := c.At + from
		to := min(from+sectorBytes-at%sectorBytes, int64(len(c.Data)))
		if keep == nil || keep(int(at/sectorBytes)) {
			content = sized(content, max(int64(len(content)), c.At+to))
			copy(content[at:], c.Data[from:to])
		}
		from = to
	}
	return content
}

func sized(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size]
	}
	return append(content, make([]byte, size-int64(len(content)))...)
}

func (d *disk) rename(m mark) error {
	c := m.call
	if m.ends {
		for _, n := range d.renames {
			n.ended = n.ended || n.diskCall == c
		}
		return nil
	}
	n := &nameChange{diskCall: c, folder: filepath.Dir(c.Path)}
	switch c.Kind {
	case callOpen, callEmpty:
		n.file = d.newFile()
	case callMkdir:
		n.folded = true
	default:
		if n.file = d.now[c.Path]; n.file == nil {
			return fmt.Errorf("line %d: %s of %s, which is not there", m.at, c.Kind, c.Path)
		}
	}
	d.renames = append(d.renames, n)
	n.on(d.now)
	return nil
}

func (n *nameChange) on(names map[string]*diskFile) {
	switch n.Kind {
	case callRename:
		if names[n.Path] == n.file {
			delete(names, n.Path)
		}
		names[n.To] = n.file
	case callUnlink:
		if names[n.Path] == n.file {
			delete(names, n.Path)
		}
	default:
		names[n.Path] = n.file
	}
}

// sync makes last what had ended when the sync began.
func (d *disk) sync(c *diskCall) (*diskFile, []*fileChange, error) {
	if f, isFile := d.now[c.Path]; !isFile || f == nil {
		d.renames = slices.DeleteFunc(d.renames, func(n *nameChange) bool {
			lasts := n.folder == c.Path && n.ended && n.End <= c.Begin
			if lasts {
				n.on(d.names)
			}
			return lasts
		})
		return nil, nil, nil
	}
	f := d.now[c.Path]
	var lasting []*fileChange
	f.pending = slices.DeleteFunc(f.pending, func(change *fileChange) bool {
		lasts := change.ended && change.End <= c.Begin
		if lasts {
			f.content = change.on(f.content, nil)
			lasting = append(lasting, change)
		}
		return lasts
	})
	return f, lasting, nil
}

// cut is one way in which a power cut can leave the disk.
type cut struct {
	way   string
	names map[string]*diskFile
	keep  map[*fileChange]func(sector int) bool // what is not in it is lost
	mark  uint64                                // tells this image from another of the same moment
}

// cutWays are how what was not synced is treated.
var cutWays = []string{"lost", "kept", "cut off", "torn", "some", "one", "all but one", "sectors"}

// cutNow draws one.
func (d *disk) cutNow(chance *rand.Rand) cut {
	c := cut{way: cutWays[chance.IntN(len(cutWays))], keep: map[*fileChange]func(int) bool{}}
	c.names = d.cutNames(chance, c.way)
	sum := fnv.New64a()
	for _, name := range journalFiles {
		f, there := c.names[name]
		fmt.Fprint(sum, name, there, "/")
		if !there || f == nil {
			continue
		}
		limit, special := chance.IntN(len(f.pending)+1), 0
		if len(f.pending) > 0 {
			special = chance.IntN(len(f.pending))
		}
		for i, change := range f.pending {
			keep := c.fate(chance, i, limit, special, change)
			if keep == nil {
				continue
			}
			c.keep[change] = keep
			first, last := change.At/sectorBytes, (change.At+int64(max(1, len(change.Data)))-1)/sectorBytes
			for s := first; s <= last && s-first < 4096; s++ {
				fmt.Fprint(sum, i, s, keep(int(s)), " ")
			}
		}
	}
	c.mark = sum.Sum64()
	return c
}

func all(int) bool { return true }

// fate says which sectors of a change have come to the disk; nil for none of them.
func (c cut) fate(chance *rand.Rand, i, limit, special int, change *fileChange) func(int) bool {
	switch c.way {
	case "kept":
		return all
	case "cut off":
		if i < limit {
			return all
		}
	case "torn":
		if i < special {
			return all
		}
		if i == special {
			return torn(chance, change)
		}
	case "some":
		if chance.IntN(2) == 0 {
			return all
		}
	case "one":
		if i == special {
			return all
		}
	case "all but one":
		if i != special {
			return all
		}
	case "sectors":
		word := chance.Uint64()
		return func(sector int) bool { return word>>(sector%61)&1 == 1 }
	}
	return nil
}

// torn keeps the first sectors of a write, or the last.
func torn(chance *rand.Rand, change *fileChange) func(int) bool {
	first := int(change.At / sectorBytes)
	at, front := first+chance.IntN(len(change.Data)/sectorBytes+1), chance.IntN(2) == 0
	return func(sector int) bool { return (sector < at) == front }
}

// cutNames draws which changes of names have come to the disk: the first few, as a file system's own log leaves them, or in one of
// four images any of them.
func (d *disk) cutNames(chance *rand.Rand, way string) map[string]*diskFile {
	names := map[string]*diskFile{}
	for name, f := range d.names {
		names[name] = f
	}
	limit, any := chance.IntN(len(d.renames)+1), chance.IntN(4) == 0
	for i, n := range d.renames {
		lasts := i < limit
		switch {
		case way == "lost":
			lasts = false
		case way == "kept":
			lasts = true
		case any:
			lasts = chance.IntN(2) == 0
		}
		if lasts {
			n.on(names)
		}
	}
	if _, there := names["keys"]; !there { // what stands in a folder that is not there is not there
		for name := range names {
			if filepath.Dir(name) == "keys" {
				delete(names, name)
			}
		}
	}
	return names
}

// content is the file as the cut leaves it: what was written, and the size; what lies between are zeros.
func (c cut) content(f *diskFile) (written []byte, size int64) {
	size = int64(len(f.content))
	if len(f.pending) == 0 {
		return f.content[:min(size, f.written)], size
	}
	written = slices.Clone(f.content[:min(size, f.written)])
	for _, change := range f.pending {
		keep := c.keep[change]
		if keep == nil {
			continue
		}
		if change.Kind != callWrite {
			written, size = written[:min(int64(len(written)), change.At)], change.At
			continue
		}
		written = change.on(written, keep)
		size = max(size, int64(len(written)))
	}
	return written, size
}

// endsAs compares the disk at the end of a recording with the files as they really are: a write that the recorder missed shows here.
func (d *disk) endsAs(dir string) error {
	for _, name := range journalFiles {
		there, err := os.ReadFile(filepath.Join(dir, name))
		f := d.now[name]
		switch {
		case os.IsNotExist(err) && f == nil:
		case err != nil || f == nil:
			return fmt.Errorf("%s: recorded %t, %v", name, f != nil, err)
		case string(there) != string(f.now):
			return fmt.Errorf("%s is not what was recorded", name)
		}
	}
	return nil
}

func TestTheDiskOfAPowerCutKeepsWhatWasSyncedAndDrawsTheRest(t *testing.T) {
	write := func(at int, text string) diskCall {
		return diskCall{Kind: callWrite, Path: "journal.db", At: 0, Data: []byte(text), Begin: at, End: at}
	}
	calls := []diskCall{
		{Kind: callOpen, Path: "journal.db", Begin: 1, End: 1}, write(2, "first"),
		{Kind: callSync, Path: "journal.db", Begin: 3, End: 5}, {Kind: callSync, Path: ".", Begin: 6, End: 6}, write(7, "other"),
		{Kind: callRename, Path: "journal.db", To: "journal.db.new", Begin: 8, End: 8},
	}
	calls[4].Begin, calls[4].End = 4, 7 // it begins before the sync's end, so that the sync makes nothing of it last
	d := newDisk(nil)
	for _, m := range marksOf(calls) {
		_, _, err := d.pass(m)
		require.NoError(t, err)
	}
	seen := map[string]bool{}
	chance := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		c := d.cutNow(chance)
		for name, f := range c.names {
			content, _ := c.content(f)
			seen[name+" "+string(content)] = true
		}
	}
	assert.Equal(t, map[string]bool{"journal.db first": true, "journal.db other": true, "journal.db.new first": true, "journal.db.new other": true}, seen)
}
