package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// TestAFlippedBitIsNeverALieNorASilentLoss flips bits of a closed journal, one at a time, in every page that is in use and in those that are not.
// POSAGENT_FLIPS says how many, 120 where it does not; POSAGENT_FLIPS_SEED flips those of a run before again. Whatever is read is the truth or an
// error; a start misses no open payment; nothing is made anew; and what is not as it was is named by Verify.
func TestAFlippedBitIsNeverALieNorASilentLoss(t *testing.T) {
	notUnderRace(t)
	flips, seed := numberFrom(t, "POSAGENT_FLIPS", 120), uint64(numberFrom(t, "POSAGENT_FLIPS_SEED", int(rand.Uint64()>>1)))
	began := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // a flip leaves garbage, and nothing that lasts
	big, small := newHurtJournal(t, t.TempDir(), 85), newSmallPagedJournal(t, t.TempDir())
	workers := runtime.GOMAXPROCS(0)
	tallies := make([]hurtTally, workers)
	var running sync.WaitGroup
	for w := range workers {
		ownBig, ownSmall := big.copyInto(t, benchFolder(t)), small.copyInto(t, benchFolder(t))
		tallies[w] = hurtTally{}
		running.Go(func() {
			for i := w; i < flips; i += workers {
				own, turn := ownSmall, i
				if i%bigEvery == 0 {
					own, turn = ownBig, i/bigEvery
				}
				dice := rand.New(rand.NewPCG(seed, uint64(i)))
				at, bit := own.place(dice, turn), byte(1)<<dice.IntN(8)
				own.write(at, []byte{own.bytes[at] ^ bit})
				tallies[w].count(own.kindOf(at), own.judge(t, fmt.Sprintf("seed %d: flip %d, bit %#x of byte %d (%s)", seed, i, bit, at, own.kindOf(at))))
				own.heal()
			}
		})
	}
	running.Wait()
	all := hurtTally{}
	for _, tally := range tallies {
		all.add(tally)
	}
	t.Logf("seed %d: %d flips in %.1f s\n%s", seed, flips, time.Since(began).Seconds(), all)
}

// bigEvery is how often a bit is flipped of a journal of a hundred payments with the pages of the daemon's own; the others are of one of a quarter of both,
// which has the same buckets, branches, leaves and records.
const bigEvery = 10

func numberFrom(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "%s is a number", name)
	return n
}

// benchFolder is a folder in memory, where there is one: nothing has to last.
func benchFolder(t *testing.T) string {
	t.Helper()
	parent := "/dev/shm"
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	folder, err := os.MkdirTemp(parent, "posagent-hurt-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// hurtJournal is a closed journal of some hundreds of payments of every kind, with all that it says, to be hurt and healed.
type hurtJournal struct {
	cfg   JournalConfig
	bytes []byte // of the file, as it was closed, without most of the room behind its pages
	size  int    // of a page
	used  []int  // pages in use, then those that are not, of those that were written
	live  int    // how many of them are in use
	kinds map[int]string
	memo  []byte

	lines   []hurtLine
	known   map[payflow.OutTradeNo]payflow.Entry
	head    Head
	records map[string]knownText[paymentRecord]
	entries map[string]knownText[eventRecord]
	open    []payflow.Entry
	untold  []payflow.Entry
	owed    []payflow.RefundEntry // refunds that are open
	refunds []payflow.RefundEntry // of the day
	recent  []payflow.Entry
	day     []payflow.Entry
	sale    []payflow.Entry
	events  []payflow.JournalEvent
	touched []int // bytes that are not as they were
	older   bool  // what was done to it may have made it the whole journal of before
}

// knownText is a record of the sound journal, as it stands and as it reads.
type knownText[R any] struct {
	sealed []byte
	record R
	mark   string
}

// hurtRoom is how many pages of room are left behind those that were ever used; a journal has up to 16 MiB of it, all zeros.
const hurtRoom = 64

type hurtLine struct{ bucket, key, value []byte }

const (
	hurtDay     = "2026-03-02"
	hurtRefunds = "2026-03-01"
	hurtSale    = "A-7"
)

func newHurtJournal(t *testing.T, folder string, payments int) *hurtJournal {
	t.Helper()
	b := bookIn(t, folder)
	b.open()
	b.fill(payments)
	return b.sold(t)
}

// newSmallPagedJournal is one whose pages are a quarter as long, so that it has as many of each kind with a quarter of the payments. bbolt writes it as
// any other: the length of a page stands in its meta page.
func newSmallPagedJournal(t *testing.T, folder string) *hurtJournal {
	t.Helper()
	b := bookIn(t, folder)
	b.open()
	b.fill(10)
	require.NoError(t, b.Close())
	small := b.cfg.File + ".small"
	from, err := bbolt.Open(b.cfg.File, 0o600, &bbolt.Options{ReadOnly: true})
	require.NoError(t, err)
	to, err := bbolt.Open(small, 0o600, &bbolt.Options{PageSize: os.Getpagesize() / 4})
	require.NoError(t, err)
	require.NoError(t, bbolt.Compact(to, from, 0))
	require.NoError(t, errors.Join(to.Close(), from.Close(), os.Rename(small, b.cfg.File)))
	b.open()
	return b.sold(t)
}

// sold adds payments of every end, and closes the journal.
func (b *book) sold(t *testing.T) *hurtJournal {
	t.Helper()
	for i := range 12 {
		entry := b.paid(b.freshKey(), hurtSale)
		if i < 4 {
			refund := b.wished(entry, 500, b.freshKey())
			if i%2 > 0 {
				b.turns(refund, payflow.RefundDone)
			}
		}
		if i%3 > 0 {
			_, err := b.Acknowledge(entry.OutTradeNo, payflow.Acknowledgement{How: payflow.GoodsGiven})
			require.NoError(t, err)
		}
	}
	b.become(b.become(b.arm(b.freshKey(), "A-8"), payflow.Reversing), payflow.Reversed)
	b.become(b.arm(b.freshKey(), "A-9"), payflow.Cancelled)
	b.become(b.scan(b.arm(b.freshKey(), "A-10"), "134567890123456700"), payflow.Confirming)
	h := (&hurtJournal{}).of(t, b)
	require.NotEmpty(t, h.owed)
	require.NotEmpty(t, h.refunds)
	return h
}

// of closes a journal after taking down all that it says.
func (h *hurtJournal) of(t *testing.T, b *book) *hurtJournal {
	t.Helper()
	h.cfg, h.known, h.head = b.cfg, map[payflow.OutTradeNo]payflow.Entry{}, b.Head()
	h.read(t, b.Journal)
	h.size = b.db.Info().PageSize
	require.NoError(t, b.Close())
	content, err := os.ReadFile(b.cfg.File)
	require.NoError(t, err)
	check := &pageCheck{file: bytes.NewReader(content), size: uint64(h.size)}
	_, _, ok, err := check.meta()
	require.NoError(t, err)
	require.True(t, ok)
	h.bytes = content[:min(len(content), (int(check.end)+hurtRoom)*h.size)]
	h.memo, err = os.ReadFile(b.cfg.memoFile())
	require.NoError(t, err)
	h.mapPages()
	h.remember(t, b.keys)
	return h
}

// remember reads every record of the sound journal in earnest, and has it known from then on by its whole text and place: what the same bytes say does
// not change, and to find it out is most of what a flip costs. Bytes that differ in one bit are read in earnest.
func (h *hurtJournal) remember(t *testing.T, k keys) {
	t.Helper()
	h.records, h.entries = map[string]knownText[paymentRecord]{}, map[string]knownText[eventRecord]{}
	for _, l := range h.lines {
		var err error
		switch string(l.bucket) {
		case string(bucketPayments):
			r := knownText[paymentRecord]{sealed: l.value}
			r.mark, err = unseal(k.state, string(l.bucket), l.key, l.value, &r.record)
			h.records[string(l.key)] = r
		case string(bucketEvents):
			r := knownText[eventRecord]{sealed: l.value}
			r.mark, err = unseal(k.chain, string(l.bucket), l.key, l.value, &r.record)
			h.entries[string(l.key)] = r
		}
		require.NoError(t, err)
	}
	h.cfg.read = func(key []byte, bucket string, place, sealed []byte, r *paymentRecord) (string, error) {
		if known := h.records[string(place)]; bytes.Equal(known.sealed, sealed) {
			*r = known.record
			return known.mark, nil
		}
		return unseal(key, bucket, place, sealed, r)
	}
	h.cfg.readEntry = func(key []byte, bucket string, place, sealed []byte, r *eventRecord) (string, error) {
		if known := h.entries[string(place)]; bytes.Equal(known.sealed, sealed) {
			*r = known.record
			return known.mark, nil
		}
		return unseal(key, bucket, place, sealed, r)
	}
}

// read takes down all that the sound journal says.
func (h *hurtJournal) read(t *testing.T, j *Journal) {
	t.Helper()
	var err error
	h.recent, err = j.Recent(listMax)
	require.NoError(t, err)
	for _, e := range h.recent {
		h.known[e.OutTradeNo] = e
	}
	h.open, h.untold, h.day, h.sale = mustList(j.OpenPayments()), mustList(j.Unannounced()), mustList(j.Day(hurtDay, "", listMax)), mustList(j.BySale(hurtSale))
	h.owed, err = j.OpenRefunds()
	require.NoError(t, err)
	h.refunds, err = j.RefundsOfDay(hurtRefunds, "", listMax)
	require.NoError(t, err)
	require.NotEmpty(t, h.open)
	require.NotEmpty(t, h.day)
	h.events, err = j.Events(0, listMax)
	require.NoError(t, err)
	require.NoError(t, j.view(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(key, value []byte) error {
				h.lines = append(h.lines, hurtLine{bytes.Clone(name), bytes.Clone(key), bytes.Clone(value)})
				return nil
			})
		})
	}))
}

// mapPages tells what each page is for, by a walk of the sound file.
func (h *hurtJournal) mapPages() {
	h.kinds = map[int]string{0: "meta", 1: "meta"}
	size := h.size
	check := &pageCheck{file: bytes.NewReader(h.bytes), size: uint64(size)}
	root, freelist, _, _ := check.meta()
	h.kinds[int(freelist)] = "freelist"
	var walk func(id uint64, name string)
	page := func(id uint64) []byte { return h.bytes[int(id)*size:] }
	walk = func(id uint64, name string) {
		content := page(id)
		flags, count, more := native.Uint16(content[8:]), int(native.Uint16(content[10:])), int(native.Uint32(content[12:]))
		for i := range more + 1 {
			h.kinds[int(id)+i] = name + map[bool]string{true: " leaf", false: " branch"}[flags == leafFlag]
		}
		for i := range count {
			e := content[elementAt(i):]
			if flags == branchFlag {
				walk(native.Uint64(e[8:]), name)
				continue
			}
			at, key := native.Uint32(e[4:]), native.Uint32(e[8:])
			if native.Uint32(e)&bucketFlag != 0 {
				if below := native.Uint64(e[at+key:]); below != 0 {
					walk(below, string(e[at:at+key]))
				}
			}
		}
	}
	walk(root, "root")
	h.used = slices.Sorted(maps.Keys(h.kinds))
	h.live = len(h.used)
	for id := range (usedBytes(h.bytes) + size - 1) / size {
		if h.kinds[id] == "" {
			h.kinds[id] = "free"
			h.used = append(h.used, id)
		}
	}
}

func (h *hurtJournal) kindOf(at int) string { return h.kinds[at/h.size] }

// copyInto puts a copy of the closed journal into another folder.
func (h *hurtJournal) copyInto(t *testing.T, folder string) *hurtJournal {
	t.Helper()
	own := *h
	own.cfg.File, own.cfg.KeyFile = filepath.Join(folder, "journal.db"), filepath.Join(folder, "keys", "journal.key")
	require.NoError(t, os.MkdirAll(filepath.Dir(own.cfg.KeyFile), 0o700))
	key, err := os.ReadFile(h.cfg.KeyFile)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(own.cfg.KeyFile, key, 0o600))
	own.layWhole()
	return &own
}

func (h *hurtJournal) layWhole() {
	must(os.WriteFile(h.cfg.File, h.bytes[:usedBytes(h.bytes)], 0o600))
	must(os.Truncate(h.cfg.File, int64(len(h.bytes))))
	must(os.WriteFile(h.cfg.memoFile(), h.memo, 0o600))
}

// place draws a byte: each page in its turn, one in eight of the pages that are not in use.
func (h *hurtJournal) place(dice *rand.Rand, i int) int {
	pages := h.used[:h.live]
	if dice.IntN(8) == 0 && h.live < len(h.used) {
		pages = h.used[h.live:]
	}
	at := pages[i%len(pages)] * h.size
	if dice.IntN(3) == 0 {
		return at + dice.IntN(128) // where lengths, places and meta pages are
	}
	return at + dice.IntN(h.size)
}

func (h *hurtJournal) write(at int, content []byte) {
	file, err := os.OpenFile(h.cfg.File, os.O_WRONLY, 0)
	must(err)
	_, err = file.WriteAt(content, int64(at))
	must(errors.Join(err, file.Close()))
	for i := range content {
		h.touched = append(h.touched, at+i)
	}
}

// heal puts back what was hurt.
func (h *hurtJournal) heal() {
	if len(h.touched) > h.size {
		h.layWhole()
		h.touched = nil
		return
	}
	file, err := os.OpenFile(h.cfg.File, os.O_WRONLY, 0)
	must(err)
	for _, at := range h.touched {
		_, err := file.WriteAt(h.bytes[at:at+1], int64(at))
		must(err)
	}
	must(file.Close())
	h.touched = h.touched[:0]
}

// hurtTally counts, by the kind of page, what came of it.
type hurtTally map[string]map[string]int

func (y hurtTally) count(kind, effect string) {
	if y[kind] == nil {
		y[kind] = map[string]int{}
	}
	y[kind][effect]++
}

func (y hurtTally) add(other hurtTally) {
	for kind, effects := range other {
		for effect, n := range effects {
			if y[kind] == nil {
				y[kind] = map[string]int{}
			}
			y[kind][effect] += n
		}
	}
}

func (y hurtTally) String() string {
	var text bytes.Buffer
	for _, kind := range slices.Sorted(maps.Keys(y)) {
		fmt.Fprintf(&text, "%-20s", kind)
		for _, effect := range slices.Sorted(maps.Keys(y[kind])) {
			fmt.Fprintf(&text, " %s: %d;", effect, y[kind][effect])
		}
		text.WriteString("\n")
	}
	return text.String()
}

// judge reads the hurt journal as a person does, and starts on it as the daemon does. It returns the effect in a few words.
func (h *hurtJournal) judge(t *testing.T, what string) string {
	t.Helper()
	before, err := os.Stat(h.cfg.File)
	must(err)
	cfg := h.cfg
	cfg.ReadOnly = true
	effect, changed, named := "none", false, false
	j, err := OpenJournal(cfg)
	if err != nil {
		effect = h.refusal(t, err, what)
		changed, named = true, true
	} else {
		seen := h.look(t, j, what)
		report, err := j.Verify(context.Background(), nil)
		assert.NoError(t, err, what)
		named, changed = !report.Clean(), seen != ""
		if changed {
			effect = seen
		} else if named {
			effect = "none, but named"
		}
		must(j.Close())
	}
	assert.Truef(t, named || !changed, "%s: Verify does not name it: %s", what, effect)
	h.start(t, what, changed)
	after, err := os.Stat(h.cfg.File)
	assert.NoError(t, err, what)
	assert.True(t, os.SameFile(before, after), "%s: another file is in its place", what)
	return effect
}

// refusal sees that a journal that does not open is called damaged, or its key or format are.
func (h *hurtJournal) refusal(t *testing.T, err error, what string) string {
	t.Helper()
	var refused *OpenError
	if assert.ErrorAs(t, err, &refused, what) {
		assert.Contains(t, []OpenKind{OpenDamaged, OpenKeyWrong, OpenNewerFormat}, refused.Kind, what)
		return "refused as " + string(refused.Kind)
	}
	return "refused"
}

// look reads everything. It returns what is not as it was: each of it must be an error, or else Verify must name it.
func (h *hurtJournal) look(t *testing.T, j *Journal, what string) string {
	t.Helper()
	effects := map[string]bool{}
	for name, list := range map[string]struct {
		want []payflow.Entry
		read func() ([]payflow.Entry, error)
	}{
		"open": {h.open, j.OpenPayments}, "untold": {h.untold, j.Unannounced}, "recent": {h.recent, func() ([]payflow.Entry, error) { return j.Recent(listMax) }},
		"day": {h.day, func() ([]payflow.Entry, error) { return j.Day(hurtDay, "", listMax) }}, "sale": {h.sale, func() ([]payflow.Entry, error) { return j.BySale(hurtSale) }},
	} {
		entries, err := list.read()
		if err != nil {
			effects["error"] = true
			continue
		}
		for _, e := range entries {
			if h.older && !assert.ObjectsAreEqual(h.known[e.OutTradeNo], e) {
				effects["the journal of before"] = true
				continue
			}
			assert.Equal(t, h.known[e.OutTradeNo], e, "%s: the list %s lies", what, name)
		}
		if !slices.Equal(numbers(entries, nil), numbers(list.want, nil)) {
			effects["the list "+name+" is another"] = true
		}
	}
	for name, list := range map[string]struct {
		want []payflow.RefundEntry
		read func() ([]payflow.RefundEntry, error)
	}{"open refunds": {h.owed, j.OpenRefunds}, "refunds of a day": {h.refunds, func() ([]payflow.RefundEntry, error) { return j.RefundsOfDay(hurtRefunds, "", listMax) }}} {
		entries, err := list.read()
		switch {
		case err != nil:
			effects["error"] = true
		case !assert.ObjectsAreEqual(list.want, entries):
			effects["the list of "+name+" is another"] = true
			for _, e := range entries {
				assert.True(t, h.older || slices.ContainsFunc(list.want, func(w payflow.RefundEntry) bool { return assert.ObjectsAreEqual(w, e) }), "%s: the list of %s lies: %s", what, name, e.OutRefundNo)
			}
		}
	}
	if n, err := j.CountUnannounced(); err == nil && n != len(h.untold) {
		effects["the count of the untold is another"] = true
	}
	events, err := j.Events(0, listMax)
	switch {
	case err != nil:
		effects["error"] = true
	case !assert.ObjectsAreEqual(h.events, events):
		effects["the events are others"] = true
		for _, e := range events {
			assert.Equal(t, h.events[e.Sequence-1], e, "%s: an event lies", what)
		}
	}
	var gone []payflow.OutTradeNo
	if err := j.view(func(tx *bbolt.Tx) error { gone = h.lookup(tx, effects); return nil }); err != nil {
		effects["error"] = true
	}
	for _, no := range gone {
		if _, err := j.Payment(no); errors.Is(err, payflow.ErrNoPayment) {
			effects["a payment is said never to have been"] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(effects)), ", ")
}

// lookup asks for every line by its key, and returns the payments that are not found.
func (h *hurtJournal) lookup(tx *bbolt.Tx, effects map[string]bool) (gone []payflow.OutTradeNo) {
	for _, l := range h.lines {
		b := tx.Bucket(l.bucket)
		if b == nil {
			effects["a bucket is not found"] = true
			continue
		}
		value := b.Get(l.key)
		switch {
		case value == nil:
			effects["a line of "+string(l.bucket)+" is not found"] = true
			if bytes.Equal(l.bucket, bucketPayments) {
				gone = append(gone, payflow.OutTradeNo(l.key))
			}
		case !bytes.Equal(value, l.value):
			effects["a record is another"] = true
		}
	}
	return gone
}

// start opens the hurt journal as the daemon does. It opens with every open payment and result, or it says that something is wrong.
func (h *hurtJournal) start(t *testing.T, what string, changed bool) {
	t.Helper()
	j, err := OpenJournal(h.cfg)
	if err != nil {
		h.refusal(t, err, what)
		return
	}
	for name, list := range map[string]struct {
		want []payflow.Entry
		read func() ([]payflow.Entry, error)
	}{"open": {h.open, j.OpenPayments}, "untold": {h.untold, j.Unannounced}} {
		if entries, err := list.read(); err == nil && !(h.older && len(j.FoundAtStart()) > 0) {
			want := list.want
			if len(j.FoundAtStart()) > 0 && len(want) == len(entries) {
				want = h.doubted(want, entries)
			}
			assert.Equal(t, want, entries, "%s: a start is shown another list of what is %s", what, name)
		}
	}
	if refunds, err := j.OpenRefunds(); err == nil && len(j.FoundAtStart()) == 0 {
		assert.Equal(t, refundNumbers(h.owed, nil), refundNumbers(refunds, nil), "%s: a start is shown other open refunds", what)
	}
	if len(j.FoundAtStart()) == 0 {
		assert.Zero(t, j.Commits(), what)
		assert.Equal(t, h.head, j.Head(), "%s: another head, and nobody misses it", what)
	}
	wrote := j.Commits() > 0
	must(j.Close())
	if wrote {
		h.touched = make([]int, h.size+1)
	}
}

// doubted is what a start that misses entries makes of the payments that wait for a scan: the scan may be among what is missing, so each is asked for.
func (h *hurtJournal) doubted(list, entries []payflow.Entry) []payflow.Entry {
	list = slices.Clone(list)
	for i := range list {
		if e := &list[i]; e.Status == payflow.Waiting {
			e.Payment = payflow.MayHaveLeft(e.Payment, h.cfg.Now())
			e.Sequence = entries[i].Sequence // it is a new entry's
		}
	}
	return list
}
