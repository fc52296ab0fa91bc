package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
	"posagent/queue"
)

// Each of these is a fault that a journal could have. The images of a recording that was changed accordingly must show it.
func TestAJournalWithAFaultIsCaughtByTheImages(t *testing.T) {
	imagesNotUnderRace(t)
	requireStrace(t)
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	gateway.used = 1000 // the journal of testdata knows the codes before
	rec := recordDay(t, gateway, filepath.Join(dir, "day"), recordingPlan{payments: 9})
	require.NoError(t, seriesOf(rec, nil).endsAsRecorded())
	require.NoError(t, seriesOf(rec, nil).toldAfterSync())
	require.Nil(t, seriesOf(rec, nil).run(t), "the journal itself is caught by none")

	for _, fault := range []struct {
		name   string
		change func(calls []diskCall) []diskCall
		seen   string
	}{
		{"no commit is synced", leavingOut(func(c *diskCall, _ int) bool { return isJournalSync(c) }), ""},
		{"the data are not synced before the meta page", leavingOut(func(c *diskCall, sync int) bool { return isJournalSync(c) && sync == 1 }), ""},
		{"the meta page is not synced", leavingOut(func(c *diskCall, sync int) bool { return isJournalSync(c) && sync == 2 }), "was acknowledged"},
		{"the new journal is not synced before its key is made", leavingOut(func(c *diskCall, _ int) bool { return c.Kind == callSync && c.Path == "journal.db.new" }), "the start does not go on"},
		{"it is made under its own name", madeInPlace, "image 0:0:"},
		{"its folder is not synced before its key is made", leavingOut(func(c *diskCall, _ int) bool { return c.Kind == callSync && c.Path == "." }), "the start does not go on"},
		{"its folder is not synced after the last rename", renameNotSynced, "the journal is gone"},
		{"the memo runs ahead of the journal", memoAhead, "the newest"},
		{"the list of starts is not synced", leavingOut(func(c *diskCall, _ int) bool { return c.Kind == callSync && c.Path == startsName+".new" }), "the list of starts is damaged"},
		{"the list of starts is written in place", startsInPlace, "the list of starts"},
		{"its folder is not synced before a number is drawn", startsNotLasting, "the list of starts does not"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			failure := seriesOf(rec, fault.change(slices.Clone(rec.Calls))).run(t)
			require.NotNil(t, failure)
			assert.ErrorContains(t, failure, fault.seen)
			t.Log(failure)
		})
	}
	t.Run("the cashier is told before the sync", func(t *testing.T) {
		s := seriesOf(rec, leavingOut(func(c *diskCall, sync int) bool { return isJournalSync(c) && sync == 2 })(slices.Clone(rec.Calls)))
		assert.ErrorContains(t, s.toldAfterSync(), "the daemon spoke of entry")
	})
	t.Run("the recorder misses a write", func(t *testing.T) {
		last := slices.Clone(rec.Calls)
		i := lastWrite(last)
		assert.ErrorContains(t, seriesOf(rec, slices.Delete(last, i, i+1)).endsAsRecorded(), "is not what was recorded")
	})
	t.Run("an index is written in a commit of its own", func(t *testing.T) {
		late := lateIndex(t, rec)
		failure := seriesOf(late, nil).run(t)
		require.NotNil(t, failure)
		assert.ErrorContains(t, failure, "indexes and payments disagree")
	})
	t.Run("the number of the format is written before what it stands for", func(t *testing.T) {
		failure := seriesOf(formatFirst(t, recordUpgrade(t, gateway, filepath.Join(dir, "upgrade"), "R1")), nil).run(t)
		require.NotNil(t, failure)
		assert.ErrorContains(t, failure, "a start on the journal of the older format")
		t.Log(failure)
	})
}

// Each of these is a start that makes something else of a journal of the older format, by the journal's own key and with a whole chain, so that only the
// comparison with what was acknowledged, and with what the recorded start made of it, can tell. The recorded start found another till's journal, so
// that its first entry bears a time and is written again, with another, wherever the cut came before it was on disk.
func TestAStartThatGrowsAJournalWithAFaultIsCaughtByTheImages(t *testing.T) {
	imagesNotUnderRace(t)
	requireStrace(t)
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	gateway.used = 1000 // the journal of testdata knows the codes before
	rec := recordUpgrade(t, gateway, filepath.Join(dir, "upgrade"), "U1")
	sound := seriesOf(rec, nil)
	require.Nil(t, sound.run(t), "the journal itself is caught by none")
	require.Positive(t, sound.tally.again.Load(), "the entry of the changed till was written again")

	seals := newSealCheck(rec)
	acknowledged, err := readState(rec.Before["journal.db"])
	require.NoError(t, err)
	old := func(l fileLine) bool {
		return string(l.bucket) == "events" && binary.BigEndian.Uint64(l.key) == acknowledged.sequence
	}
	ofKind := func(kind string) func(l fileLine, record string) bool {
		return func(l fileLine, record string) bool {
			return string(l.bucket) == "events" && strings.Contains(record, `"kind":"`+kind+`"`)
		}
	}
	isLate, isTill := ofKind("late"), ofKind("restored")
	at := startedAt().Add(time.Second).Format(time.RFC3339Nano)
	for _, fault := range []struct {
		name   string
		change func(l fileLine, record string) string
		before bool // the start, else behind it
		seen   string
	}{
		{"an acknowledged entry is dated anew", func(l fileLine, record string) string {
			if old(l) {
				return withField(record, "at", at)
			}
			return record
		}, true, "the chain ends at"},
		{"an acknowledged entry is another", func(l fileLine, record string) string {
			if old(l) {
				return withField(record, "operator", "P002")
			}
			return record
		}, true, "the chain ends at"},
		{"a check that is owed is dated by the start", func(l fileLine, record string) string {
			if isLate(l, record) {
				return withField(record, "at", at)
			}
			return record
		}, false, "the chain ends at"},
		{"the entry of the changed till bears another time", func(l fileLine, record string) string {
			if isTill(l, record) {
				return withField(record, "at", at)
			}
			return record
		}, false, "the chain ends at"},
		{"the entry of the changed till says something else", func(l fileLine, record string) string {
			if isTill(l, record) {
				return withField(record, "note", "another")
			}
			return record
		}, false, "the chain ends at"},
		{"the journal keeps the other till's random characters", func(l fileLine, record string) string {
			if string(l.bucket) == "about" {
				return withField(record, "random", acknowledged.drawn[0])
			}
			return record
		}, false, "about \"journal\" is not what was committed"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			s := seriesOf(rec, nil)
			s.start = func(c queue.JournalConfig) (*queue.Journal, error) {
				return startRewriting(c, seals, fault.change, fault.before)
			}
			failure := s.run(t)
			require.NotNil(t, failure)
			assert.ErrorContains(t, failure, "a start on the journal of the older format")
			assert.ErrorContains(t, failure, fault.seen)
			t.Log(failure)
		})
	}
	t.Run("the entry of the changed till is written twice", func(t *testing.T) {
		s := seriesOf(rec, nil)
		s.start = func(c queue.JournalConfig) (*queue.Journal, error) {
			j, err := queue.OpenJournal(c)
			if err == nil && j.Commits() > 0 {
				err = j.Restored("M001", "once more")
			}
			return j, err
		}
		failure := s.run(t)
		require.NotNil(t, failure)
		assert.ErrorContains(t, failure, "the chain ends at")
	})
}

// startRewriting starts on a journal, and before that or behind it writes lines anew. A journal that does not grow is left as it is.
func startRewriting(c queue.JournalConfig, seals *sealCheck, change func(fileLine, string) string, before bool) (*queue.Journal, error) {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return nil, err
	}
	state, err := readState(content)
	if err != nil || state.format != "1" {
		return queue.OpenJournal(c)
	}
	if before {
		if err := rewrite(c, seals, change); err != nil {
			return nil, err
		}
		return queue.OpenJournal(c)
	}
	j, err := queue.OpenJournal(c)
	if err != nil {
		return nil, err
	}
	starts, err := os.ReadFile(c.KeyFile + ".starts")
	if err := errors.Join(err, j.Close(), rewrite(c, seals, change)); err != nil {
		return nil, err
	}
	if j, err = queue.OpenJournal(c); err != nil {
		return nil, err
	}
	return j, os.WriteFile(c.KeyFile+".starts", starts, 0o600) // one start, as it seems
}

// rewrite writes lines of a closed journal anew, sealed by its key, and takes the head memo away, which would name what was there before.
func rewrite(c queue.JournalConfig, seals *sealCheck, change func(fileLine, string) string) error {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	state, err := readState(content)
	if err != nil {
		return err
	}
	db, err := bbolt.Open(c.File, 0o600, &bbolt.Options{InitialMmapSize: 1 << 30})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) (err error) {
		for _, l := range seals.rechained(state.lines, change) {
			if string(l.bucket) != ballast {
				err = errors.Join(err, tx.Bucket(l.bucket).Put(l.key, l.value))
			}
		}
		return err
	})
	if gone := os.Remove(c.KeyFile + ".head"); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return errors.Join(err, db.Close())
}

// seriesOf is some images of a recording whose calls were changed, but whose commits were acknowledged when they were.
func seriesOf(rec *recording, calls []diskCall) *imageSeries {
	if calls == nil {
		calls = rec.Calls
	}
	changed := *rec
	changed.Calls = calls
	s := &imageSeries{plan: imagePlan{images: 400, seed: 1}, rec: &changed, marks: marksOf(calls), windows: windowsOf(rec), tally: &imageTally{}}
	s.share()
	return s
}

func isJournalSync(c *diskCall) bool {
	return c.Kind == callSync && c.Path == "journal.db"
}

// leavingOut leaves calls out. sync says of a sync whether it is a commit's first, which follows the data, or its second, which follows the meta page.
func leavingOut(out func(c *diskCall, sync int) bool) func([]diskCall) []diskCall {
	return func(calls []diskCall) (rest []diskCall) {
		sync := 1
		for _, c := range calls {
			if c.Kind == callWrite && c.Path == "journal.db" {
				sync = 1
				if len(c.Data) == os.Getpagesize() && c.At <= int64(os.Getpagesize()) {
					sync = 2
				}
			}
			if !out(&c, sync) {
				rest = append(rest, c)
			}
		}
		return rest
	}
}

// renameNotSynced leaves out every sync of the folder from the moment on in which the journal got its name.
func renameNotSynced(calls []diskCall) (rest []diskCall) {
	named := false
	for _, c := range calls {
		named = named || c.Kind == callRename && c.To == "journal.db"
		if !named || c.Kind != callSync || c.Path != "." {
			rest = append(rest, c)
		}
	}
	return rest
}

// madeInPlace makes the journal under the name that it keeps.
func madeInPlace(calls []diskCall) (rest []diskCall) {
	for _, c := range calls {
		if c.Path == "journal.db.new" {
			c.Path = "journal.db"
		}
		if c.Kind != callRename || c.To != "journal.db" {
			rest = append(rest, c)
		}
	}
	return rest
}

// memoAhead has every memo name what only the last one may.
func memoAhead(calls []diskCall) []diskCall {
	var last []byte
	for _, c := range calls {
		if c.Kind == callWrite && c.Path == "keys/journal.key.head.new" {
			last = c.Data
		}
	}
	for i := range calls {
		if calls[i].Kind == callWrite && calls[i].Path == "keys/journal.key.head.new" {
			calls[i].Data = last
		}
	}
	return calls
}

// startsInPlace writes the list of starts under the name that it keeps.
func startsInPlace(calls []diskCall) (rest []diskCall) {
	for _, c := range calls {
		if c.Path == startsName+".new" {
			c.Path = startsName
		}
		if c.Kind != callRename || c.To != startsName {
			rest = append(rest, c)
		}
	}
	return rest
}

// startsNotLasting leaves out the sync that makes a new list of starts last.
func startsNotLasting(calls []diskCall) (rest []diskCall) {
	named := false
	for _, c := range calls {
		named = named || c.Kind == callRename && c.To == startsName
		if named && c.Kind == callSync && c.Path == "keys" {
			named = false
			continue
		}
		rest = append(rest, c)
	}
	return rest
}

func lastWrite(calls []diskCall) int {
	for i := len(calls) - 1; ; i-- {
		if calls[i].Kind == callWrite && calls[i].Path == "journal.db" {
			return i
		}
	}
}

// lateIndex makes the recording of a journal that writes the line of its open index one commit after the payment: what the real daemon wrote in the
// first commit that arms, put into two transactions.
func lateIndex(t *testing.T, rec *recording) *recording {
	t.Helper()
	d := newDisk(rec.Before)
	windows := windowsOf(rec)
	marks, next := marksOf(rec.Calls), 0
	goTo := func(at int) *fileState {
		for ; next < len(marks) && marks[next].at <= at; next++ {
			_, _, err := d.pass(marks[next])
			require.NoError(t, err)
		}
		state, err := readState(d.now["journal.db"].now)
		require.NoError(t, err)
		return state
	}
	before := goTo(windows[0].to)
	late := &recording{Dir: rec.Dir, Before: map[string][]byte{}, Tills: rec.Tills}
	for name, f := range d.now {
		if f != nil {
			late.Before[name] = bytes.Clone(f.now)
		}
	}
	after := goTo(windows[1].to)
	path := filepath.Join(t.TempDir(), "journal.db")
	require.NoError(t, os.WriteFile(path, late.Before["journal.db"], 0o600))
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{InitialMmapSize: 1 << 30})
	require.NoError(t, err)
	for _, open := range []bool{false, true} {
		was, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return putLines(tx, before, after, open) }))
		is, err := os.ReadFile(path)
		require.NoError(t, err)
		late.commit(was, is)
	}
	require.NoError(t, db.Close())
	return late
}

// formatFirst makes the recording of a journal that takes the new format's number first, and in a second commit what belongs to it.
func formatFirst(t *testing.T, rec *recording) *recording {
	t.Helper()
	grown := seriesOf(rec, nil).grown
	require.NotNil(t, grown)
	before, err := readState(rec.Before["journal.db"])
	require.NoError(t, err)
	require.NotEqual(t, before.format, grown.format)
	path := filepath.Join(t.TempDir(), "journal.db")
	require.NoError(t, os.WriteFile(path, rec.Before["journal.db"], 0o600))
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{InitialMmapSize: 1 << 30})
	require.NoError(t, err)
	early := &recording{Dir: rec.Dir, Before: rec.Before, Tills: rec.Tills}
	for _, step := range []func(tx *bbolt.Tx) error{
		func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("about")).Put([]byte("format"), []byte(grown.format))
		},
		func(tx *bbolt.Tx) error {
			for _, name := range grown.buckets {
				if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
					return err
				}
			}
			return errors.Join(putLines(tx, before, grown, false), putLines(tx, before, grown, true))
		},
	} {
		was, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, db.Update(step))
		is, err := os.ReadFile(path)
		require.NoError(t, err)
		early.commit(was, is)
	}
	require.NoError(t, db.Close())
	return early
}

// putLines writes what a state has beyond another: the lines of the open index, or all others.
func putLines(tx *bbolt.Tx, before, after *fileState, open bool) error {
	have := map[string]bool{}
	for _, l := range before.lines {
		have[string(l.bucket)+"\x00"+string(l.key)+"\x00"+string(l.value)] = true
	}
	for _, l := range after.lines {
		if (string(l.bucket) == "open") != open || have[string(l.bucket)+"\x00"+string(l.key)+"\x00"+string(l.value)] {
			continue
		}
		if err := tx.Bucket(l.bucket).Put(l.key, l.value); err != nil {
			return err
		}
	}
	return nil
}

// commit adds the calls by which bbolt makes one file of another: the pages, a sync, the meta page, a sync.
func (rec *recording) commit(was, is []byte) {
	size := os.Getpagesize()
	line := 2 * len(rec.Calls)
	add := func(c diskCall) {
		line++
		c.Path, c.Begin, c.End = "journal.db", line, line
		rec.Calls = append(rec.Calls, c)
	}
	var meta []diskCall
	for at := 0; at < len(is); at += size {
		if bytes.Equal(was[at:at+size], is[at:at+size]) {
			continue
		}
		c := diskCall{Kind: callWrite, At: int64(at), Data: is[at : at+size]}
		if at < 2*size {
			meta = append(meta, c)
			continue
		}
		add(c)
	}
	add(diskCall{Kind: callSync})
	for _, c := range meta {
		add(c)
	}
	add(diskCall{Kind: callSync})
}
