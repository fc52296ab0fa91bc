package queue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// pageCheck reads bbolt's pages with every length and place checked, and never through the memory map. bbolt's own check
// follows damaged lengths into memory that is not there, or round in a circle, on a goroutine where neither can be survived; so it runs
// only after this one has found the tree sound. The layout is bbolt 1.5.0's, file format 2.
type pageCheck struct {
	file  io.ReaderAt
	size  uint64   // of a page, in bytes
	end   uint64   // pages in use
	seen  []uint64 // one bit for each page
	found []string
	whole []byte // of a short file, all pages in use; else nil: each page is read when its turn comes

	start      bool   // check what a start reads, and no more
	startAbove uint64 // so many pages in use; 0: never
	last       bool   // of a branch, follow the last way only
}

const (
	pageHeader   = 16 // id 8, flags 2, count 2, overflow 4
	elementBytes = 16 // of a branch: place 4, key 4, page 8; of a leaf: flags 4, place 4, key 4, value 4
	bucketHeader = 16 // root page 8, sequence 8
	metaBytes    = 64
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	branchFlag   = 0x01
	leafFlag     = 0x02
	freelistFlag = 0x10
	bucketFlag   = 0x01 // of a leaf's element
	noFreelist   = ^uint64(0)

	freelistCountIsBehind = 0xFFFF // in the page's count: the true one stands behind the header

	depthMax        = 64
	pageFindingsMax = 50
)

var native = binary.NativeEndian

// checkPages returns what is wrong with the tree of pages that the newest meta page names; nothing where it is sound.
func checkPages(file io.ReaderAt, pageSize int) ([]string, error) {
	return (&pageCheck{file: file, size: uint64(pageSize)}).run()
}

// checkStart does so for the pages that a start reads: the small buckets, and of the others the way to the last
// entry. It reads as few pages of a long journal as of a short one.
func checkStart(file io.ReaderAt, pageSize int) ([]string, error) {
	return (&pageCheck{file: file, size: uint64(pageSize), start: true}).run()
}

// wholeCheckPages is up to how many pages in use every page is checked before bbolt reads any: the pages of some five thousand payments, in a few
// milliseconds. bbolt follows a page that leads back to itself until the stack ends, and no Go program survives that.
const wholeCheckPages = 2048

// checkToOpen is checkPages for a journal that is not long, and checkStart for any other, whose whole check is Verify's.
func checkToOpen(file io.ReaderAt, pageSize int) ([]string, error) {
	return (&pageCheck{file: file, size: uint64(pageSize), startAbove: wholeCheckPages}).run()
}

// wholeReadPages is up to how many pages in use a file is read at once, which is one call instead of hundreds.
const wholeReadPages = 512

func (c *pageCheck) run() ([]string, error) {
	root, freelist, ok, err := c.meta()
	if err != nil || !ok {
		return []string{"no meta page is whole"}, err
	}
	c.start = c.start || c.startAbove > 0 && c.end > c.startAbove
	c.seen = make([]uint64, c.end/64+1)
	c.readWhole()
	var free []byte
	if freelist != noFreelist {
		content, flags, err := c.page(freelist)
		if err != nil {
			return nil, err
		}
		if free = content; flags != freelistFlag {
			c.wrong("page %d is no list of free pages", freelist)
			free = nil
		}
	}
	if err := c.tree(root, 0); err != nil {
		return c.found, err
	}
	c.free(free)
	return c.found, nil
}

// free checks that no page is both free and in use: the next step would write over it. content is the list's.
func (c *pageCheck) free(content []byte) {
	if content == nil {
		return
	}
	ids, count := content[pageHeader:], uint64(native.Uint16(content[10:]))
	if count == freelistCountIsBehind && len(ids) >= 8 {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		c.wrong("the list of free pages is longer than its page")
		return
	}
	for i := range count {
		id := native.Uint64(ids[8*i:])
		if id < 2 || id >= c.end || c.seen[id/64]&(1<<(id%64)) != 0 {
			c.wrong("page %d is on the list of free pages, and it is in use or named twice", id)
			continue
		}
		c.seen[id/64] |= 1 << (id % 64)
	}
}

func (c *pageCheck) wrong(format string, values ...any) {
	if len(c.found) < pageFindingsMax {
		c.found = append(c.found, fmt.Sprintf(format, values...))
	}
}

// meta picks the meta page that bbolt picks: the newer of those whose checksum is right. One that is not whole may have been the newer, and
// then what bbolt shows is the journal as it was before its newest step. A power cut leaves no such page, because
// what counts of it lies in one sector, so it is damage.
func (c *pageCheck) meta() (root, freelist uint64, ok bool, err error) {
	var newest uint64
	var metas [2][]byte
	var whole [2]bool
	for id := range uint64(2) {
		m := make([]byte, metaBytes)
		if _, err := c.file.ReadAt(m, int64(id*c.size)+pageHeader); err != nil {
			return 0, 0, false, fmt.Errorf("read meta page %d: %w", id, err)
		}
		metas[id], whole[id] = m, wholeMeta(m)
		if txid := metaTx(m); whole[id] && (!ok || txid > newest) {
			root, freelist, c.end, newest, ok = native.Uint64(m[16:]), native.Uint64(m[32:]), native.Uint64(m[40:]), txid, true
		}
	}
	for id := range metas {
		if ok && !whole[id] && !wasOlder(metas[id], newest) {
			c.wrong("meta page %d is damaged, so that the newest step may be missing", id)
		}
	}
	return root, freelist, ok, nil
}

func metaTx(m []byte) uint64 { return native.Uint64(m[48:]) }

func wholeMeta(m []byte) bool {
	sum := fnv.New64a()
	sum.Write(m[:56])
	return native.Uint32(m) == metaMagic && native.Uint32(m[4:]) == metaVersion && native.Uint64(m[56:]) == sum.Sum64()
}

// wasOlder reports that a meta page with one wrong bit was the older of the two: then nothing is missing, and the next step writes it anew.
func wasOlder(m []byte, newest uint64) bool {
	mended := bytes.Clone(m)
	for bit := range 8 * len(mended) {
		mended[bit/8] ^= 1 << (bit % 8)
		if wholeMeta(mended) {
			return metaTx(mended) < newest
		}
		mended[bit/8] ^= 1 << (bit % 8)
	}
	return false
}

// page reads one page with its overflow. Flags of 0 say that it cannot be used; what is wrong has been noted.
func (c *pageCheck) page(id uint64) (content []byte, flags uint16, err error) {
	if id < 2 || id >= c.end {
		c.wrong("page %d is outside of the file's %d pages", id, c.end)
		return nil, 0, nil
	}
	if content, err = c.read(id, 1); err != nil {
		return nil, 0, err
	}
	span := uint64(native.Uint32(content[12:])) + 1
	if native.Uint64(content) != id || span > c.end-id {
		c.wrong("page %d says that it is page %d of %d pages", id, native.Uint64(content), span)
		return nil, 0, nil
	}
	for i := id; i < id+span; i++ {
		if c.seen[i/64]&(1<<(i%64)) != 0 {
			c.wrong("page %d is used twice", i)
			return nil, 0, nil
		}
		c.seen[i/64] |= 1 << (i % 64)
	}
	if span > 1 {
		if content, err = c.read(id, span); err != nil {
			return nil, 0, err
		}
	}
	return content, native.Uint16(content[8:]), nil
}

// readWhole reads a short file at once. Where that fails each page is read by itself, so that one that is not in use does no harm.
func (c *pageCheck) readWhole() {
	if c.start || c.end > wholeReadPages {
		return
	}
	all := make([]byte, c.end*c.size)
	if _, err := c.file.ReadAt(all, 0); err == nil {
		c.whole = all
	}
}

func (c *pageCheck) read(id, span uint64) ([]byte, error) {
	from, to := id*c.size, (id+span)*c.size
	if c.whole != nil {
		return c.whole[from:to:to], nil
	}
	content := make([]byte, to-from)
	if _, err := c.file.ReadAt(content, int64(from)); err != nil {
		return nil, fmt.Errorf("read page %d: %w", id, err)
	}
	return content, nil
}

// tree walks a page and all below it.
func (c *pageCheck) tree(id uint64, depth int) error {
	content, flags, err := c.page(id)
	if err != nil || flags == 0 {
		return err
	}
	if depth > depthMax {
		c.wrong("page %d lies %d pages deep", id, depth)
		return nil
	}
	switch flags {
	case branchFlag:
		return c.branch(content, id, depth)
	case leafFlag:
		return c.leaf(content, fmt.Sprintf("page %d", id), depth)
	}
	c.wrong("page %d is of no known kind (%#x)", id, flags)
	return nil
}

func (c *pageCheck) branch(content []byte, id uint64, depth int) error {
	count := int(native.Uint16(content[10:]))
	if count == 0 {
		c.wrong("page %d leads nowhere", id)
	}
	for i := range count {
		e, ok := element(content, i)
		if !ok || !within(content, i, uint64(native.Uint32(e)), uint64(native.Uint32(e[4:]))) {
			c.wrong("page %d: element %d is outside of the page", id, i)
			return nil
		}
		if c.last && i < count-1 {
			continue
		}
		if err := c.tree(native.Uint64(e[8:]), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *pageCheck) leaf(content []byte, name string, depth int) error {
	for i := range int(native.Uint16(content[10:])) {
		e, ok := element(content, i)
		if !ok {
			c.wrong("%s: element %d is outside of the page", name, i)
			return nil
		}
		place, key, value := uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
		if !within(content, i, place, key+value) {
			c.wrong("%s: element %d is outside of the page", name, i)
			return nil
		}
		if native.Uint32(e)&bucketFlag == 0 {
			continue
		}
		from := elementAt(i) + place
		bucket := content[from : from+key]
		c.last = c.start && !bytes.Equal(bucket, bucketOpen) && !bytes.Equal(bucket, bucketLate)
		err := c.bucket(content[from+key:from+key+value], fmt.Sprintf("bucket %.20q", bucket), depth)
		c.last = false
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket follows a bucket to its root page, or into the small page that stands in its value.
func (c *pageCheck) bucket(value []byte, name string, depth int) error {
	if len(value) < bucketHeader {
		c.wrong("%s is cut short", name)
		return nil
	}
	if root := native.Uint64(value); root != 0 {
		return c.tree(root, depth+1)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != leafFlag || depth > depthMax {
		c.wrong("%s is no page", name)
		return nil
	}
	return c.leaf(inline, name, depth+1)
}

func elementAt(i int) uint64 { return pageHeader + uint64(i)*elementBytes }

func element(content []byte, i int) ([]byte, bool) {
	at := elementAt(i)
	if at+elementBytes > uint64(len(content)) {
		return nil, false
	}
	return content[at : at+elementBytes], true
}

// within reports whether what an element points to, counted from the element itself, ends inside the page.
func within(content []byte, i int, place, length uint64) bool {
	return elementAt(i)+place+length <= uint64(len(content))
}
