package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
	"posagent/queue"
)

// smallFileMax bounds what an image holds of the reserve and of the file that tries whether the disk has room. Both hold zeros.
const smallFileMax = 64 << 10

// bench is the folder in which one worker lays out images and opens them: in memory, where there is such a folder, because nothing has to last.
type bench struct {
	dir     string
	base    *diskFile // the journal's file as it lies there
	file    *os.File  // the same, open; whole opens it anew
	touched [][2]int64
	piece   []byte
	small   map[string]laidFile // the other files as they lie there
	known   map[string]*paymentRead
	start   startFunc
	again   int64 // growths that wrote again what the recorded start had written, with a time of its own
}

// startFunc starts on the journal that lies there: queue.OpenJournal, or a start with a planted fault.
type startFunc func(queue.JournalConfig) (*queue.Journal, error)

func newBench(t testing.TB) *bench {
	parent := "/dev/shm"
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "posagent-images-")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: dir, known: map[string]*paymentRead{}, small: map[string]laidFile{}, start: queue.OpenJournal}
	t.Cleanup(func() {
		if b.file != nil {
			_ = b.file.Close()
		}
		_ = os.RemoveAll(dir)
	})
	return b
}

// laidFile is a file of an image: its bytes, and its size where zeros follow.
type laidFile struct {
	content string
	size    int64
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) config(store, tillID string) queue.JournalConfig {
	return queue.JournalConfig{File: b.path("journal.db"), KeyFile: b.path("keys/journal.key"), StoreID: store, TillID: tillID, Now: startedAt}
}

// startedAt is the time of every start on an image: no recording knows it.
func startedAt() time.Time { return time.Date(2031, 3, 9, 7, 5, 3, 123456789, time.UTC) }

// lay puts the files of an image into the folder.
func (b *bench) lay(c cut) error {
	if err := os.MkdirAll(b.path("keys"), 0o700); err != nil {
		return err
	}
	for _, name := range journalFiles {
		f := c.names[name]
		if name == "journal.db" && f != nil {
			if err := b.layJournal(c, f); err != nil {
				return err
			}
			continue
		}
		if f == nil {
			delete(b.small, name)
			if err := os.Remove(b.path(name)); err != nil && !os.IsNotExist(err) {
				return err
			}
			continue
		}
		content, size := c.content(f)
		if filepath.Ext(name) == ".reserve" || filepath.Ext(name) == ".room" || name == "journal.db.reserve.new" {
			content, size = content[:min(len(content), smallFileMax)], min(size, smallFileMax)
		}
		there, known := b.small[name]
		if known && there.size == size && there.content == string(content) && lastsThroughStart(name) {
			continue
		}
		if err := writeSparse(b.path(name), content, size); err != nil {
			return err
		}
		b.small[name] = laidFile{string(content), size}
	}
	if c.names["journal.db"] == nil {
		b.base = nil
	}
	return nil
}

// lastsThroughStart reports a file that no start on an image changes, once it is there. That of the journal's creation may make it.
func lastsThroughStart(name string) bool {
	return name == "keys/journal.key" || name == "journal.db.reserve"
}

// layJournal writes what the image's file has beyond what lies there for certain.
func (b *bench) layJournal(c cut, f *diskFile) error {
	if b.base != f {
		if err := b.whole(f); err != nil {
			return err
		}
	}
	for _, change := range f.pending {
		keep := c.keep[change]
		if keep == nil {
			continue
		}
		if change.Kind != callWrite {
			if err := b.file.Truncate(change.At); err != nil {
				return err
			}
			continue
		}
		if err := b.laySectors(change, keep); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) laySectors(change *fileChange, keep func(int) bool) error {
	size := int64(len(change.Data))
	for from := int64(0); from < size; {
		first := int((change.At + from) / sectorBytes)
		to := from
		for to < size && keep(int((change.At+to)/sectorBytes)) == keep(first) {
			to = min(to+sectorBytes-(change.At+to)%sectorBytes, size)
		}
		if keep(first) {
			if _, err := b.file.WriteAt(change.Data[from:to], change.At+from); err != nil {
				return err
			}
			b.touched = append(b.touched, [2]int64{change.At + from, change.At + to})
		}
		from = to
	}
	return nil
}

// whole has the journal's certain bytes lie there again, whatever lies there now. It writes what differs, which is little: reading is cheaper.
func (b *bench) whole(f *diskFile) error {
	b.base, b.touched = nil, nil
	if b.file != nil {
		_ = b.file.Close() // a start may have put another file in its place
	}
	file, err := os.OpenFile(b.path("journal.db"), os.O_RDWR|os.O_CREATE, 0o600)
	if b.file = file; err != nil {
		return err
	}
	if err := file.Truncate(int64(len(f.content))); err != nil {
		return err
	}
	if b.piece == nil {
		b.piece = make([]byte, 64<<10)
	}
	for at := 0; at < len(f.content); at += len(b.piece) {
		want := f.content[at:min(at+len(b.piece), len(f.content))]
		there := b.piece[:len(want)]
		if _, err := file.ReadAt(there, int64(at)); err != nil {
			return err
		}
		if bytes.Equal(there, want) {
			continue
		}
		if _, err := file.WriteAt(want, int64(at)); err != nil {
			return err
		}
	}
	b.base = f
	return nil
}

// writeSparse writes a file of a size, and leaves out the room in it that holds zeros, which is most of a young journal.
func writeSparse(path string, content []byte, size int64) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		return err
	}
	const piece = 64 << 10
	for at := 0; at < len(content); at += piece {
		part := content[at:min(at+piece, len(content))]
		if isZero(part) {
			continue
		}
		if _, err := file.WriteAt(part, int64(at)); err != nil {
			return err
		}
	}
	return nil
}

func isZero(part []byte) bool {
	return len(part) == 0 || part[0] == 0 && string(part[1:]) == string(part[:len(part)-1])
}

// clear takes the image's writes back, so that the certain bytes lie there again.
func (b *bench) clear() error {
	if b.base == nil {
		return nil
	}
	size := int64(len(b.base.content))
	for _, t := range b.touched {
		if from, to := t[0], min(t[1], size); from < to {
			if _, err := b.file.WriteAt(b.base.content[from:to], from); err != nil {
				return err
			}
		}
	}
	b.touched = b.touched[:0]
	return b.file.Truncate(size)
}

// certain follows the disk when changes of the journal have become certain.
func (b *bench) certain(f *diskFile, lasting []*fileChange) error {
	if f == nil || f != b.base {
		return nil
	}
	var err error
	for _, change := range lasting {
		if change.Kind != callWrite {
			err = errors.Join(err, b.file.Truncate(change.At))
			continue
		}
		_, wrote := b.file.WriteAt(change.Data, change.At)
		err = errors.Join(err, wrote)
	}
	return err
}

// expected is what an image may show.
type expected struct {
	acknowledged *fileState // must be there, with all before it
	inFlight     *fileState // may be there instead; nil where nothing of it can be
	grown        *fileState // where the image is of an older format: what a start makes of it; else nil
	closely      bool       // ask the journal's own functions too
	chance       *rand.Rand
	seals        *sealCheck
	drawnOld     []string // random characters that no start of the recording drew
}

// guardedTest turns a panic of bbolt's into an error.
func guardedTest(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// judge opens the image that lies there, first with bbolt alone and then as a start of the daemon does, and says what is wrong with it.
func (b *bench) judge(want expected) error {
	state, err := b.judgeFile(want)
	if err != nil {
		return err
	}
	noted, err := b.judgeStarts(state, want)
	if err != nil {
		return err
	}
	if want.grown == nil || state.sameForm(want.grown) {
		err = b.judgeJournal(state, want)
	} else if err = b.judgeGrowth(state, want); err != nil {
		err = fmt.Errorf("a start on the journal of the older format: %w", err)
	}
	if err != nil {
		return err
	}
	return b.judgeNoted(noted, want)
}

// judgeGrowth starts on a journal of an older format, and compares every line of what the start makes of it with what the recorded start made of it,
// wherever the cut came.
func (b *bench) judgeGrowth(state *fileState, want expected) error {
	b.base = nil // the start writes to it
	j, err := b.start(b.config(want.grown.about.Store, want.grown.about.Till))
	if err != nil {
		return fmt.Errorf("the journal does not open: %w", err)
	}
	noted, err := readStartsFile(b.path(startsName), want.seals)
	if err == nil && len(noted) == 0 {
		err = errors.New("the start is on no list")
	}
	if err != nil {
		return errors.Join(err, j.Close())
	}
	drawn, _, _ := strings.Cut(noted[len(noted)-1], " ")
	grown := want.grown.startedAnew(state.sequence, startedAt(), drawn, want.seals)
	if grown != want.grown {
		b.again++
	}
	if err := errors.Join(b.judgeStarted(j, grown, want), j.Close()); err != nil {
		return err
	}
	return b.viewed(func(tx *bbolt.Tx) error { return grown.same(tx) })
}

// judgeStarts sees that the list of starts holds the random characters of every order number in the journal, and returns its lines. Without them, what a
// restored backup lacks could not be asked for.
func (b *bench) judgeStarts(state *fileState, want expected) ([]string, error) {
	noted, err := readStartsFile(b.path(startsName), want.seals)
	if err != nil {
		return nil, err
	}
	for _, drawn := range state.drawn {
		listed := slices.ContainsFunc(noted, func(line string) bool { return strings.HasPrefix(line, drawn+" ") })
		if !listed && !slices.Contains(want.drawnOld, drawn) {
			return nil, fmt.Errorf("the journal holds order numbers with %s, and the list of starts does not: %q", drawn, noted)
		}
	}
	return noted, nil
}

// judgeNoted sees that a start has added itself to the list.
func (b *bench) judgeNoted(before []string, want expected) error {
	after, err := readStartsFile(b.path(startsName), want.seals)
	if err == nil && (len(after) != len(before)+1 || !slices.Equal(after[:len(before)], before)) {
		err = fmt.Errorf("the start made %q of the list of starts %q", after, before)
	}
	return err
}

// readStartsFile reads the list of starts without the journal's own code; no list is one without lines.
func readStartsFile(path string, seals *sealCheck) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	body, seal := lines[:len(lines)-1], lines[len(lines)-1]
	h := hmac.New(sha256.New, seals.memo)
	for _, line := range body {
		h.Write([]byte(line + "\n"))
	}
	if len(body) == 0 || hex.EncodeToString(h.Sum(nil)) != seal {
		return nil, fmt.Errorf("the list of starts is damaged: %.300q", text)
	}
	return body[1:], nil
}

// judgeFile has bbolt check its pages, and compares every line with what was committed.
func (b *bench) judgeFile(want expected) (state *fileState, err error) {
	err = b.viewed(func(tx *bbolt.Tx) error {
		state = want.acknowledged
		if want.inFlight != nil && uint64(tx.ID()) == want.inFlight.txid {
			state = want.inFlight
		}
		if uint64(tx.ID()) != state.txid {
			return fmt.Errorf("it holds the transaction %d; %d was acknowledged", tx.ID(), want.acknowledged.txid)
		}
		return state.same(tx)
	})
	return state, err
}

// viewed opens the journal that lies there with bbolt alone, and has it check its pages.
func (b *bench) viewed(f func(*bbolt.Tx) error) error {
	return guardedTest(func() error {
		db, err := bbolt.Open(b.path("journal.db"), 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true, NoStatistics: true, Timeout: time.Second})
		if err != nil {
			return fmt.Errorf("bbolt does not open it: %w", err)
		}
		defer db.Close()
		return db.View(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				return fmt.Errorf("bbolt's check: %w", err)
			}
			return f(tx)
		})
	})
}

// judgeJournal starts on the image. A journal that lacks nothing is not written.
func (b *bench) judgeJournal(state *fileState, want expected) error {
	j, err := b.start(b.config(state.about.Store, state.about.Till))
	if err != nil {
		return fmt.Errorf("the journal does not open: %w", err)
	}
	defer j.Close()
	if err := b.judgeStarted(j, state, want); err != nil {
		return err
	}
	if j.Commits() > 0 {
		return fmt.Errorf("a start wrote %d times to a journal that lacks nothing", j.Commits())
	}
	return nil
}

// judgeStarted sees that nothing seems strange to the start, and that the lists are those of the state.
func (b *bench) judgeStarted(j *queue.Journal, state *fileState, want expected) error {
	if found := j.FoundAtStart(); len(found) > 0 {
		return fmt.Errorf("a false alarm at the start: %s", found[0].Text)
	}
	if head := j.Head(); head.Sequence != state.sequence || head.Hash != state.hash {
		return fmt.Errorf("the chain ends at %s; committed was %d:%s", head, state.sequence, state.hash)
	}
	open, err := j.OpenPayments()
	if err != nil {
		return err
	}
	if !slices.Equal(numbersOf(open), state.open) {
		return fmt.Errorf("open are %v; by the records %v", numbersOf(open), state.open)
	}
	if untold, err := j.CountUnannounced(); err != nil || untold != state.untold {
		return fmt.Errorf("%d results are unannounced (%v); by the records %d", untold, err, state.untold)
	}
	if err := b.judgeRecords(j, state, want); err != nil {
		return err
	}
	if want.closely {
		return verifyClean(j)
	}
	return nil
}

// judgeRecords reads some payments through the journal's own functions, and where the image is looked at closely all of them.
func (b *bench) judgeRecords(j *queue.Journal, state *fileState, want expected) error {
	payments := state.payments
	if !want.closely && len(payments) > 2 {
		payments = []fileLine{payments[want.chance.IntN(len(payments))], payments[len(payments)-1]}
	}
	for _, l := range payments {
		p, err := readPayment(b.known, l)
		if err != nil {
			return err
		}
		entry, err := j.Payment(p.OutTradeNo)
		if err != nil {
			return err
		}
		shown, _ := json.Marshal(entry)
		if committed := b.known[string(l.key)].shown(); string(shown) != committed {
			return fmt.Errorf("payment %s is read as %s; committed was %s", p.OutTradeNo, shown, committed)
		}
		if no, _, found, err := j.ByKey(p.Key); err != nil || !found || no != p.OutTradeNo {
			return fmt.Errorf("payment %s is not found by its key: %s %t %v", p.OutTradeNo, no, found, err)
		}
	}
	return nil
}

func numbersOf(entries []payflow.Entry) (list []payflow.OutTradeNo) {
	for _, e := range entries {
		list = append(list, e.OutTradeNo)
	}
	return list
}

func verifyClean(j *queue.Journal) error {
	report, err := j.Verify(context.Background(), nil)
	if err == nil && !report.Clean() {
		err = errors.New(report.String())
	}
	return err
}

// judgeCreation starts on an image of a journal that is being made: the start goes on, whatever was left, and what it makes is whole.
func (b *bench) judgeCreation(first *fileState) error {
	_, err := os.Stat(b.path("journal.db"))
	there := err == nil
	if there {
		if _, err := b.judgeFile(expected{acknowledged: first}); err != nil {
			return err
		}
	}
	j, err := queue.OpenJournal(b.config("SZTX001", "R1"))
	if err != nil {
		return fmt.Errorf("the start does not go on: %w", err)
	}
	defer j.Close()
	if len(j.FoundAtStart()) > 0 || j.Head().Sequence != 1 {
		return fmt.Errorf("the new journal is strange at its start: head %s, %d commits, %v", j.Head(), j.Commits(), j.FoundAtStart())
	}
	if there && j.Head().Hash != first.hash {
		return errors.New("another journal was made in place of the one that was there")
	}
	return verifyClean(j)
}

// judgeMissed lays a head memo from later beside the journal: the start must miss what the memo names.
func (b *bench) judgeMissed(state *fileState, laterMemo []byte) error {
	if err := os.WriteFile(b.path("keys/journal.key.head"), laterMemo, 0o600); err != nil {
		return err
	}
	j, err := queue.OpenJournal(b.config(state.about.Store, state.about.Till))
	if err != nil {
		return err
	}
	found := j.FoundAtStart()
	if err := j.Close(); err != nil {
		return err
	}
	if len(found) != 1 || found[0].Kind != queue.FoundTruncated {
		return fmt.Errorf("the start does not miss what the memo %.60s names: %v", laterMemo, found)
	}
	return b.whole(b.base) // the start has written of what it found
}
