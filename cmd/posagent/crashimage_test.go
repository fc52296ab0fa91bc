package main

import (
	"compress/gzip"
	"encoding/gob"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// TestAPowerCutAtAnyMomentLosesNothingThatWasAcknowledged records a daemon's day and lays out what a power cut could leave of the journal's
// folder at every moment of it. POSAGENT_CRASH_IMAGES says how many images, 300 where it does not. POSAGENT_CRASH_RECORDING names a recording
// that a failure has kept, or a file to keep a new one in, POSAGENT_CRASH_SEED its seed, and POSAGENT_CRASH_ONLY the one image as part:window:image.
func TestAPowerCutAtAnyMomentLosesNothingThatWasAcknowledged(t *testing.T) {
	imagesNotUnderRace(t)
	plan := planImages(t)
	parts := plan.record(t)
	began := time.Now()
	var tally imageTally
	for i, part := range parts {
		tally.add(t, plan, i, part)
	}
	t.Logf("seed %d: %s in %.1f s", plan.seed, &tally, time.Since(began).Seconds())
	if plan.only == "" {
		assert.GreaterOrEqual(t, int(tally.images.Load()), plan.images)
		assert.GreaterOrEqual(t, int(tally.commits.Load()), plan.commits)
		assert.Positive(t, tally.told.Load(), "the daemon told the world of what it had committed")
		assert.Positive(t, tally.grown.Load(), "a journal of an older format grew")
		assert.Positive(t, min(tally.starts.Load(), tally.refunds.Load(), tally.late.Load()), "the session held starts, refunds and late checks")
	}
}

// imagePlan is how many images are laid out, of how many commits at least.
type imagePlan struct {
	images, commits int
	seed            uint64
	recording, only string
}

// imagesNotUnderRace leaves the images to the runs without the race detector: each is read by one goroutine.
func imagesNotUnderRace(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("not under the race detector: each image is read by one goroutine")
	}
}

func planImages(t *testing.T) imagePlan {
	t.Helper()
	p := imagePlan{images: 300, seed: rand.Uint64(), recording: os.Getenv("POSAGENT_CRASH_RECORDING"), only: os.Getenv("POSAGENT_CRASH_ONLY")}
	var err error
	if text := os.Getenv("POSAGENT_CRASH_IMAGES"); text != "" {
		p.images, err = strconv.Atoi(text)
		require.NoError(t, err, "POSAGENT_CRASH_IMAGES is a number")
	}
	if text := os.Getenv("POSAGENT_CRASH_SEED"); text != "" {
		p.seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "POSAGENT_CRASH_SEED is a number")
	}
	if p.commits = 30; p.images >= 10_000 {
		p.commits = 1_000
	}
	return p
}

// record makes the recordings, or reads the ones that a failure has kept.
func (p imagePlan) record(t *testing.T) []*recording {
	t.Helper()
	if _, err := os.Stat(p.recording); err == nil {
		return readRecordings(t, p.recording)
	}
	requireStrace(t)
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	gateway.used = 1000 // the journal of testdata knows the codes before
	day := recordingPlan{payments: 12}
	if p.commits >= 1_000 {
		day = recordingPlan{payments: 300, reversed: 1}
	}
	began := time.Now()
	parts := []*recording{recordDay(t, gateway, filepath.Join(dir, "day"), day), recordUpgrade(t, gateway, filepath.Join(dir, "upgrade"), "R1")}
	for i := range 2 {
		if p.commits >= 1_000 {
			parts = append(parts, recordGrowth(t, gateway, filepath.Join(dir, fmt.Sprint("growth-", i+1)), i+1))
		}
	}
	t.Logf("recorded in %.1f s", time.Since(began).Seconds())
	if p.recording != "" {
		require.NoError(t, writeRecordings(p.recording, parts))
	}
	return parts
}

// imageTally counts what was seen.
type imageTally struct {
	images, different, commits, creation, grown, again, starts, refunds, late, told, records, closely, missed atomic.Int64
}

func (y *imageTally) String() string {
	return fmt.Sprintf("%d images (%d different) of %d commits, %d of the creation, %d of an older format that grows (%d with another entry of a changed till); %d with a list of starts, %d with refunds, %d with a late check that is open; %d records compared; %d chains verified in an image; %d older files missed by a later memo; %d answers of the daemon against what was synced",
		y.images.Load(), y.different.Load(), y.commits.Load(), y.creation.Load(), y.grown.Load(), y.again.Load(), y.starts.Load(), y.refunds.Load(), y.late.Load(), y.records.Load(), y.closely.Load(), y.missed.Load(), y.told.Load())
}

// add lays out the images of one recording.
func (y *imageTally) add(t *testing.T, plan imagePlan, number int, rec *recording) {
	t.Helper()
	s := &imageSeries{plan: plan, part: number, rec: rec, marks: marksOf(rec.Calls), windows: windowsOf(rec), tally: y}
	s.share()
	if plan.only == "" {
		require.NoError(t, s.endsAsRecorded())
		require.NoError(t, s.toldAfterSync())
	}
	if failure := s.run(t); failure != nil {
		t.Fatalf("%s\n%s", failure, keepRecordings(t, plan, number, rec))
	}
}

// window is the time from one acknowledged commit to the next.
type window struct {
	from, to int
	meta     int // when the write begins that makes the next commit the journal's state; 0 where there is none
	creation bool
	growth   bool // a start adds to the journal as it is at this window's beginning
	images   int
}

// windowsOf finds the commits: each is acknowledged when the first sync returns that began after its meta page was written. The first window
// is the creation of the journal, which ends when its name is on disk.
func windowsOf(rec *recording) []window {
	var windows []window
	last, meta := 0, 0
	metaEnd := 0
	creating := rec.Before["journal.db"] == nil
	for i := range rec.Calls {
		c := &rec.Calls[i]
		switch {
		case creating:
			if c.Kind == callSync && c.Path == "." && slices.ContainsFunc(rec.Calls[:i], func(r diskCall) bool { return r.Kind == callRename && r.To == "journal.db" }) {
				windows = append(windows, window{to: c.End, creation: true})
				creating, last = false, c.End
			}
		case c.Path != "journal.db":
		case c.Kind == callWrite && len(c.Data) == os.Getpagesize() && c.At <= int64(os.Getpagesize()):
			meta, metaEnd = c.Begin, c.End
		case c.Kind == callSync && meta > 0 && c.Begin > metaEnd:
			windows = append(windows, window{from: last, to: c.End, meta: meta})
			last, meta = c.End, 0
		}
	}
	if len(rec.Calls) > 0 {
		windows = append(windows, window{from: last, to: rec.Calls[len(rec.Calls)-1].End + 1, meta: meta})
	}
	return windows
}

// imageSeries is the images of one recording.
type imageSeries struct {
	plan    imagePlan
	part    int
	rec     *recording
	marks   []mark
	windows []window
	grown   *fileState // of an older format, once the first start has added what it lacked; else nil
	tally   *imageTally
	start   startFunc // nil: queue.OpenJournal
}

// shares are how many of a thousand images the recordings get: the day, the upgrade, and the two growths of a file that is long already.
var shares = []int{1000, 30, 10, 10}

// findGrowth marks the windows in which the journal lacked what a start adds.
func (s *imageSeries) findGrowth() {
	if s.rec.Before["journal.db"] == nil || len(s.marks) == 0 {
		return // it was made by the program that was recorded
	}
	last := s.stateAt(newDisk(s.rec.Before), s.marks)
	d, passed := newDisk(s.rec.Before), 0
	for i := range s.windows {
		upTo := passed
		for upTo < len(s.marks) && s.marks[upTo].at <= s.windows[i].from {
			upTo++
		}
		state := s.stateAt(d, s.marks[passed:upTo])
		passed = upTo
		if state == nil || last == nil {
			return // what cannot be read is told where the images are laid out
		}
		if state.sameForm(last) && state.whole(map[string]*paymentRead{}) == nil {
			s.grown = state
			return
		}
		s.windows[i].growth = true
	}
}

func (s *imageSeries) stateAt(d *disk, marks []mark) *fileState {
	for _, m := range marks {
		if _, _, err := d.pass(m); err != nil {
			return nil
		}
	}
	if d.now["journal.db"] == nil {
		return nil
	}
	state, err := readState(d.now["journal.db"].now)
	if err != nil {
		return nil
	}
	return state
}

// share spreads the images over the windows. The creation gets ten times as many as a commit, and so does each step of a growth.
func (s *imageSeries) share() {
	s.findGrowth()
	images, weight := s.plan.images*shares[s.part]/1000+1, 0
	for _, w := range s.windows {
		weight += s.weight(w)
	}
	for i := range s.windows {
		s.windows[i].images = images*s.weight(s.windows[i])/weight + 1
	}
}

func (s *imageSeries) weight(w window) int {
	if w.creation || w.growth {
		return 10
	}
	return 1
}

// endsAsRecorded sees that the recorder missed nothing.
func (s *imageSeries) endsAsRecorded() error {
	if s.plan.recording != "" {
		return nil // the folder is gone
	}
	d := newDisk(s.rec.Before)
	for _, m := range s.marks {
		if _, _, err := d.pass(m); err != nil {
			return err
		}
	}
	return d.endsAs(s.rec.Dir)
}

// toldAfterSync sees that the daemon never spoke of an entry that a power cut could have taken back.
func (s *imageSeries) toldAfterSync() error {
	d := newDisk(s.rec.Before)
	synced, fresh := uint64(0), false
	for _, m := range s.marks {
		f, lasting, err := d.pass(m)
		if err != nil {
			return err
		}
		if f != nil && len(lasting) > 0 {
			fresh = false
		}
		if m.call.Kind != callTold || m.ends {
			continue
		}
		if !fresh {
			if synced, err = syncedSequence(d); err != nil {
				return fmt.Errorf("line %d: the daemon spoke of entry %d: %w", m.at, m.call.Told, err)
			}
			fresh = true
		}
		if s.tally.told.Add(1); m.call.Told > synced {
			return fmt.Errorf("line %d: the daemon spoke of entry %d, but on disk for certain was entry %d", m.at, m.call.Told, synced)
		}
	}
	return nil
}

func syncedSequence(d *disk) (uint64, error) {
	f := d.names["journal.db"]
	if f == nil {
		return 0, errors.New("no journal was on disk for certain")
	}
	state, err := readState(f.content)
	if err != nil {
		return 0, fmt.Errorf("the journal on disk cannot be read: %w", err)
	}
	return state.sequence, nil
}

// imageFailure says which image is wrong, and how.
type imageFailure struct {
	part, window, image int
	way                 string
	err                 error
}

func (f *imageFailure) Error() string {
	return fmt.Sprintf("image %d:%d:%d (what was not synced: %s): %v", f.part, f.window, f.image, f.way, f.err)
}

// run lays out the images, the windows shared out among as many workers as there are processors, and returns the first failure.
func (s *imageSeries) run(t *testing.T) *imageFailure {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // an image leaves garbage, and little that lasts
	workers := runtime.GOMAXPROCS(0)
	failures := make([]*imageFailure, workers)
	var failed atomic.Int64 // the first worker that has
	failed.Store(int64(workers))
	var running sync.WaitGroup
	for w := range workers {
		b := newBench(t)
		if s.start != nil {
			b.start = s.start
		}
		from, to := len(s.windows)*w/workers, len(s.windows)*(w+1)/workers
		running.Go(func() {
			failures[w] = (&imageWorker{imageSeries: s, bench: b, outdone: func() bool { return failed.Load() < int64(w) }}).windowsFrom(from, to)
			for at := failed.Load(); failures[w] != nil && int64(w) < at && !failed.CompareAndSwap(at, int64(w)); {
				at = failed.Load()
			}
			s.tally.again.Add(b.again)
		})
	}
	running.Wait()
	for _, f := range failures {
		if f != nil {
			return f
		}
	}
	return nil
}

// imageWorker goes through a stretch of the recording.
type imageWorker struct {
	*imageSeries
	*bench
	disk   *disk // at the moment of the image
	next   int   // mark
	ahead  *disk // at the end of the window, to know what is being committed
	passed int

	outdone   func() bool // a worker with an earlier stretch has failed: its failure is the one that counts
	committed *fileState  // at the end of the window before
	seals     *sealCheck
	drawnOld  []string // random characters in order numbers from before the recording
}

func (w *imageWorker) windowsFrom(from, to int) *imageFailure {
	w.disk, w.ahead, w.seals = newDisk(w.rec.Before), newDisk(w.rec.Before), newSealCheck(w.rec)
	if before := w.rec.Before["journal.db"]; before != nil {
		state, err := readState(before)
		if err != nil {
			return &imageFailure{part: w.part, err: err}
		}
		w.drawnOld = state.drawn
	}
	for i := from; i < to; i++ {
		if w.outdone() {
			return nil
		}
		if f := w.window(i); f != nil {
			return f
		}
	}
	return nil
}

// window lays out the images of one window.
func (w *imageWorker) window(i int) *imageFailure {
	win := w.windows[i]
	fail := func(err error) *imageFailure { return &imageFailure{part: w.part, window: i, image: -1, err: err} }
	if err := w.goTo(win.from); err != nil {
		return fail(err)
	}
	acknowledged := w.committed
	if acknowledged == nil && !win.creation {
		var err error
		if acknowledged, err = w.stateOf(w.disk); err != nil {
			return fail(err)
		}
	}
	for ; w.passed < len(w.marks) && w.marks[w.passed].at <= win.to; w.passed++ {
		if _, _, err := w.ahead.pass(w.marks[w.passed]); err != nil {
			return fail(err)
		}
	}
	committed, err := w.stateOf(w.ahead)
	if err == nil {
		err = committed.sealed(w.seals)
	}
	if err != nil {
		return fail(err)
	}
	w.committed = committed
	if i%10 == 1 && acknowledged != nil {
		if err := w.missesMemo(acknowledged); err != nil {
			return fail(err)
		}
	}
	w.tally.commits.Add(1)
	return w.images(i, acknowledged, committed)
}

// stateOf reads what the daemon had written, and sees that its indexes are what its payments ask for.
func (w *imageWorker) stateOf(d *disk) (*fileState, error) {
	f := d.now["journal.db"]
	if f == nil {
		return nil, errors.New("there is no journal yet")
	}
	state, err := readState(f.now)
	if err == nil {
		err = state.whole(w.known)
	}
	return state, err
}

// goTo passes every mark up to a moment.
func (w *imageWorker) goTo(at int) error {
	for ; w.next < len(w.marks) && w.marks[w.next].at <= at; w.next++ {
		f, lasting, err := w.disk.pass(w.marks[w.next])
		if err == nil {
			err = w.certain(f, lasting)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// moment is where an image of a window is taken, with the chance that goes on to draw it.
type moment struct {
	image, marks int // the marks of the window that have passed
	chance       *rand.Rand
}

func (w *imageWorker) images(i int, acknowledged, committed *fileState) *imageFailure {
	win := w.windows[i]
	first, last := w.next, w.next
	for last < len(w.marks) && w.marks[last].at <= win.to {
		last++
	}
	if last < len(w.marks) && last > first && !win.creation {
		last-- // the sync's end is where the next window begins
	}
	seen := map[[2]uint64]bool{}
	for _, m := range w.moments(i, win.images, last-first) {
		for w.next < first+m.marks {
			if err := w.goTo(w.marks[w.next].at); err != nil {
				return &imageFailure{w.part, i, m.image, "", err}
			}
		}
		if w.plan.only != "" && w.plan.only != fmt.Sprintf("%d:%d:%d", w.part, i, m.image) {
			continue
		}
		c := w.disk.cutNow(m.chance)
		if key := [2]uint64{uint64(w.next), c.mark}; !seen[key] {
			seen[key] = true
			w.tally.different.Add(1)
		}
		if err := w.image(win, c, m, acknowledged, committed); err != nil {
			return &imageFailure{w.part, i, m.image, c.way, err}
		}
	}
	return nil
}

// moments draws when the images of a window are taken, in the order of time. Each image has a chance of its own, so that it can be drawn again alone.
func (w *imageWorker) moments(window, images, marks int) []moment {
	list := make([]moment, images)
	for n := range list {
		chance := rand.New(rand.NewPCG(w.plan.seed, uint64(w.part)<<56|uint64(window)<<28|uint64(n)))
		list[n] = moment{image: n, marks: chance.IntN(marks + 1), chance: chance}
	}
	slices.SortStableFunc(list, func(a, b moment) int { return a.marks - b.marks })
	return list
}

// closelyEvery is how often every payment of an image is read through the journal and the chain is verified.
const closelyEvery = 400

func (w *imageWorker) image(win window, c cut, m moment, acknowledged, committed *fileState) error {
	w.tally.images.Add(1)
	if err := w.lay(c); err != nil {
		return err
	}
	if win.creation {
		w.tally.creation.Add(1)
		err := w.judgeCreation(committed)
		w.base = nil
		return err
	}
	want := expected{acknowledged: acknowledged, chance: m.chance, closely: m.chance.IntN(closelyEvery) == 0}
	if want.seals, want.drawnOld = w.seals, w.drawnOld; win.growth {
		w.tally.grown.Add(1)
		want.grown = w.grown
	}
	if c.names[startsName] != nil {
		w.tally.starts.Add(1)
	}
	if win.meta > 0 && w.next > 0 && w.marks[w.next-1].at >= win.meta {
		want.inFlight = committed
	}
	if want.closely {
		w.tally.closely.Add(1)
	}
	if c.names["journal.db"] == nil {
		return errors.New("the journal is gone")
	}
	if err := w.judge(want); err != nil {
		return err
	}
	w.tally.records.Add(int64(len(acknowledged.lines)))
	for bucket, tally := range map[string]*atomic.Int64{"refunds": &w.tally.refunds, "late": &w.tally.late} {
		if slices.ContainsFunc(acknowledged.lines, func(l fileLine) bool { return string(l.bucket) == bucket }) {
			tally.Add(1)
		}
	}
	return w.clear()
}

// missesMemo sees that a start misses what a later memo names.
func (w *imageWorker) missesMemo(acknowledged *fileState) error {
	var later []byte
	for _, c := range w.rec.Calls {
		if c.Kind == callWrite && c.Path == "keys/journal.key.head.new" {
			later = c.Data
		}
	}
	fields := strings.Fields(string(later))
	if len(fields) != 3 || strings.HasPrefix(fields[1], fmt.Sprint(acknowledged.sequence, ":")) {
		return nil
	}
	nothing := cut{names: w.disk.names}
	if nothing.names["journal.db"] == nil {
		return errors.New("the journal is gone")
	}
	if err := w.lay(nothing); err != nil {
		return err
	}
	w.tally.missed.Add(1)
	return w.judgeMissed(acknowledged, later)
}

// keepRecordings keeps a recording that a failure was found in, and says how to see it again.
func keepRecordings(t *testing.T, plan imagePlan, part int, rec *recording) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "posagent-recording-")
	require.NoError(t, err)
	path := filepath.Join(dir, "recording.gob.gz")
	parts := make([]*recording, part+1)
	for i := range parts {
		parts[i] = &recording{}
	}
	parts[part] = rec
	require.NoError(t, writeRecordings(path, parts))
	return fmt.Sprintf("see it again: POSAGENT_CRASH_IMAGES=%d POSAGENT_CRASH_RECORDING=%s POSAGENT_CRASH_SEED=%d POSAGENT_CRASH_ONLY=%d:WINDOW:IMAGE go test ./cmd/posagent -run '^%s$'",
		plan.images, path, plan.seed, part, t.Name())
}

func writeRecordings(path string, parts []*recording) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(file)
	return errors.Join(gob.NewEncoder(packed).Encode(parts), packed.Close(), file.Close())
}

func readRecordings(t *testing.T, path string) (parts []*recording) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	packed, err := gzip.NewReader(file)
	require.NoError(t, err)
	require.NoError(t, gob.NewDecoder(packed).Decode(&parts))
	return parts
}
