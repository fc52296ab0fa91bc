package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/rs/zerolog"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// worldForm is one form of the simulation: how the till speaks to WeChat Pay, and on what disk it writes. The fast form has a model of WeChat
// Pay behind queue.Gateway; the full form has the real client, links and simulator.
type worldForm interface {
	// gateway is what one start of the till speaks with.
	gateway(b *worldBoot) Gateway
	// open opens the journal from what is durable.
	open(b *worldBoot, cfg JournalConfig) (*Journal, error)
	// drop lets go of the journal of a start that is over; nothing more may be written.
	drop(b *worldBoot)
	// orders is what WeChat Pay holds.
	orders() []worldOrder
}

// world is one till with its people, links and disk, in a bubble of fake time.
type world struct {
	script *worldScript
	log    *worldLog
	form   worldForm
	plant  *plant

	ctx  context.Context // ends with the world
	stop context.CancelFunc
	// people are the goroutines of cashiers and till software.
	people sync.WaitGroup

	mu      sync.Mutex // guards what follows
	kinds   map[payflow.CallKind]int
	ofOrder map[string]int
	calls   int
	commits int
	boots   int
	boot    *worldBoot    // nil: the till is down
	up      chan struct{} // closed at the next start of the till
	offset  time.Duration
	codes   map[string]*worldCode
	memory  map[string]any // of a planted bug
}

// worldCode is one payment code. It is good for a minute from its first reading on.
type worldCode struct {
	number int
	digits string
	sale   int
	born   time.Duration // -1: not yet read
}

// worldBoot is one start of the till, until its power or its process is gone.
type worldBoot struct {
	w       *world
	n       int
	journal *Journal
	twin    *twinJournal // nil: the journal is the real one
	opened  bool
	engine  *Engine
	dead    atomic.Bool // nothing that it does leaves the machine any more
	gone    chan struct{}
	down    time.Duration // how long the till is down after it
	late    worldCommitFault
}

var errNoPower = errors.New("the power is cut")

// restartAfter is how long the service manager takes to start a process again that has ended by itself.
const restartAfter = 2 * time.Second

// newWorld returns a world that run lives through; it must be made in the bubble. Its log is written over lines.
func newWorld(s *worldScript, p *plant, lines []worldLine) *world {
	w := &world{script: s, plant: p, log: &worldLog{began: time.Now(), lines: lines[:0]}, kinds: map[payflow.CallKind]int{}, ofOrder: map[string]int{},
		codes: map[string]*worldCode{}, memory: map[string]any{}, up: make(chan struct{})}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w
}

// run lives through the world and returns what the disk holds of each payment at the end.
func (w *world) run(form worldForm) []worldEntry {
	w.form = form
	w.schedule()
	w.people.Go(w.shop)
	end := time.NewTimer(w.script.End.after())
	for over := false; !over; {
		b, err := w.start()
		if err != nil {
			w.log.add(worldLine{Kind: worldStopped, Boot: w.boots, Text: "the journal does not open: " + err.Error()})
			select {
			case <-end.C:
				over = true
			case <-time.After(restartAfter):
			}
			continue
		}
		over = w.live(b, end.C)
	}
	w.stop()
	w.people.Wait()
	time.Sleep(5 * time.Minute) // what is late still arrives
	return w.last()
}

// live follows one start to its end, and through the time without power after it. It reports that the world is over.
func (w *world) live(b *worldBoot, end <-chan time.Time) (over bool) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan string, 1)
	go b.show(b.engine.subscribe(ctx, showsBehind))
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Sprint(worldAsserted, " ", p)
			}
		}()
		err := b.engine.Run(ctx)
		ended <- fmt.Sprint("stopped ", err)
	}()
	why := ""
	select {
	case <-b.gone:
	case why = <-ended:
		if !b.dead.Load() {
			time.Sleep(2 * time.Millisecond) // what was on its way to the screen is still painted
			b.tellEnd(why)
		}
	case <-end:
		over = true
		w.log.add(worldLine{Kind: worldOver, Boot: b.n})
	}
	b.dead.Store(true)
	w.setBoot(nil)
	cancel()
	if why == "" {
		<-ended
	}
	w.form.drop(b)
	if over {
		return true
	}
	select {
	case <-time.After(max(b.down, restartAfter)):
		return false
	case <-end:
		w.log.add(worldLine{Kind: worldOver})
		return true
	}
}

// tellEnd tells how a process ended by itself.
func (b *worldBoot) tellEnd(why string) {
	if text, ok := strings.CutPrefix(why, string(worldAsserted)+" "); ok {
		b.w.log.add(worldLine{Kind: worldAsserted, Boot: b.n, Text: text})
		return
	}
	b.w.log.add(worldLine{Kind: worldStopped, Boot: b.n, Text: why})
}

// sleep reports false where the world ended meanwhile.
func (w *world) sleep(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-w.ctx.Done():
		return false
	}
}

// sleepDown is what somebody does who looks every so often whether the till is back: it sleeps up to the first look that finds it, or that comes at most
// from now on. Looking is not played: in a world whose till is down for minutes it would be most of what happens. It reports false where the world ended meanwhile.
func (w *world) sleepDown(every, most time.Duration) bool {
	w.mu.Lock()
	boot, up := w.boot, w.up
	w.mu.Unlock()
	if boot != nil {
		return w.sleep(every)
	}
	began := w.log.now()
	last := time.NewTimer((most + every - 1) / every * every)
	defer last.Stop()
	select {
	case <-up:
		if over := (w.log.now() - began) % every; over != 0 {
			return w.sleep(every - over)
		}
		return true
	case <-last.C:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// schedule sets clocks, cuts the power and heals at the script's times.
func (w *world) schedule() {
	for _, c := range w.script.Cuts {
		if w.script.healed(c.At.after()) {
			continue
		}
		time.AfterFunc(c.At.after(), func() {
			if b := w.current(); b != nil {
				b.cut(c.Down.after(), "")
			}
		})
	}
	for _, j := range w.script.Jumps {
		time.AfterFunc(j.At.after(), func() { w.jump(j) })
	}
	if w.script.Heal != 0 {
		time.AfterFunc(w.script.Heal.after(), func() { w.log.add(worldLine{Kind: worldFaultless}) })
	}
}

func (w *world) jump(j worldJump) {
	by := j.By.after()
	if j.To1970 {
		by = time.Unix(0, 0).Sub(w.clock().Round(0))
	}
	w.mu.Lock()
	w.offset += by.Truncate(time.Second)
	w.mu.Unlock()
	w.log.add(worldLine{Kind: worldClockSet, Text: by.Truncate(time.Second).String()})
}

// timeParts is a time.Time from inside: a bubble's time has no monotonic reading, and a PC's has one that no setting of the clock moves.
type timeParts struct {
	wall uint64
	ext  int64
	loc  *time.Location
}

// monotonicBit, minWall and nsecShift are those of package time.
const (
	monotonicBit = 1 << 63
	nsecShift    = 30
)

var minWall = time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC)

// withMonotonic returns a time that shows wall, and whose monotonic reading is since.
func withMonotonic(wall time.Time, since time.Duration) time.Time {
	parts := timeParts{wall: monotonicBit | uint64(wall.Unix()-minWall.Unix())<<nsecShift | uint64(wall.Nanosecond()), ext: int64(since)}
	return *(*time.Time)(unsafe.Pointer(&parts))
}

// clock is the PC's clock, as a program on it reads it.
func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return withMonotonic(time.Now().Add(w.offset), w.log.now())
}

func (w *world) current() *worldBoot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.boot
}

func (w *world) setBoot(b *worldBoot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.boot = b
	if b != nil {
		close(w.up)
		w.up = make(chan struct{})
	}
}

// twinForm is a form that may keep the journal in memory, as plain records.
type twinForm interface {
	openTwin(b *worldBoot, cfg JournalConfig) *twinJournal // nil: the real one
}

// open opens what the start keeps its payments in.
func (b *worldBoot) open(cfg JournalConfig) (err error) {
	defer func() { b.opened = true }()
	if f, ok := b.w.form.(twinForm); ok {
		if b.twin = f.openTwin(b, cfg); b.twin != nil {
			return nil
		}
	}
	b.journal, err = b.w.form.open(b, cfg)
	return err
}

// onDisk reads what is on disk.
func (b *worldBoot) onDisk() diskReader {
	if b.twin != nil {
		return b.twin
	}
	return boltReader{b.journal.db}
}

// diskReader reads what is on disk, past the journal's own code.
type diskReader interface {
	record(no payflow.OutTradeNo) worldRecord
	newest() worldLine // No, Event, Sale and Record of the newest entry
	entries() []worldEntry
	refunds() []worldRefund
}

// start is one start of the till: the journal, the engine, and what a person sees first.
func (w *world) start() (*worldBoot, error) {
	w.mu.Lock()
	w.boots++
	b := &worldBoot{w: w, n: w.boots, gone: make(chan struct{})}
	w.mu.Unlock()
	if err := b.open(JournalConfig{StoreID: "SZTX001", TillID: "T1", Location: time.UTC, Now: w.clock, fault: b.fault}); err != nil {
		return nil, err
	}
	cfg := Config{
		Journal: b.journal, Gateway: w.form.gateway(b), Merchant: payflow.Merchant{Mode: payflow.Direct, AppID: "wx1", MerchantID: worldMerchant, CategoryCode: "4111"},
		Store: payflow.Store{ID: "SZTX001", Name: "Shop", Till: "T1"}, API: payflow.APIv3, HostFamily: "https://a", Log: zerolog.Nop(),
		Clock: func() (time.Time, bool) { return time.Now(), true },
		hooks: w.hooks(b),
	}
	cfg.Refunds, _ = cfg.Gateway.(RefundGateway)
	engine, err := NewEngine(cfg)
	if err != nil {
		w.form.drop(b)
		return nil, err
	}
	b.engine = engine
	if f, ok := w.form.(interface{ ready(*worldBoot) func() error }); ok {
		b.engine.cfg.Ready = f.ready(b)
	}
	w.tellStart(b)
	w.setBoot(b)
	return b, nil
}

const worldMerchant = "10000100"

func (w *world) hooks(b *worldBoot) hooks {
	h := hooks{now: w.clock, ledger: b.ledger(), durable: func(before, after payflow.Payment) bool {
		if !payflow.Durable(before, after) {
			return false
		}
		time.Sleep(commitTakes + time.Duration(after.Calls)*time.Microsecond) // no lock is held here
		return w.plant.durable == nil || w.plant.durable(b, before, after)
	}}
	if w.plant.step != nil {
		h.step = func(p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			return w.plant.step(b, p, e)
		}
	}
	return h
}

func (b *worldBoot) ledger() ledger {
	if b.twin != nil {
		return b.twin
	}
	return b.journal
}

// commitTakes is how long a commit takes: long enough that whatever leaves before it is seen to.
const commitTakes = 2 * time.Millisecond

// tellStart tells what a start found, read from the disk and not from the engine.
func (w *world) tellStart(b *worldBoot) {
	l := worldLine{Kind: worldBooted, Boot: b.n}
	for _, e := range b.onDisk().entries() {
		if e.InOpen {
			l.Open = append(l.Open, e.No)
		}
		if !e.Record.Status.Final() {
			l.NonFinal = append(l.NonFinal, e.No)
		}
		if owed(e.Record) {
			l.Owed = append(l.Owed, e.No)
		}
	}
	untold, err := b.engine.Unannounced()
	if err != nil {
		l.Text = err.Error()
	}
	for _, e := range untold {
		l.Untold = append(l.Untold, e.OutTradeNo)
	}
	for _, list := range [][]payflow.OutTradeNo{l.Open, l.NonFinal, l.Untold, l.Owed} {
		slices.Sort(list) // by number and not by arming: a clock set back makes a later number smaller
	}
	w.log.add(l)
}

// cut takes the power away: from here on nothing that this start does leaves the machine.
func (b *worldBoot) cut(down time.Duration, where string) {
	if b.dead.Swap(true) {
		return
	}
	b.down = down
	b.w.log.add(worldLine{Kind: worldPowerCut, Boot: b.n, Text: where})
	close(b.gone)
}

// fault is what the disk does at a step of the journal's.
func (b *worldBoot) fault(step string) error {
	if b.dead.Load() {
		return errNoPower
	}
	switch step {
	case "commit":
		return b.beforeCommit()
	case "committed":
		return b.afterCommit()
	case "memo":
		if !b.w.script.Thorough {
			return errNoPower // a memo is not worth its files in most worlds
		}
	}
	return nil
}

func (b *worldBoot) beforeCommit() error {
	b.w.mu.Lock()
	b.w.commits++
	f := b.w.script.commitFault(b.w.commits, b.w.log.now())
	b.w.mu.Unlock()
	if !b.opened {
		return nil
	}
	b.late = f
	if b.w.plant.commit != nil {
		b.w.plant.commit(b)
	}
	if f.Kind == commitEIO && b.w.plant.swallow != nil && b.w.plant.swallow(b) {
		_ = b.failed(syscall.EIO)
		return nil
	}
	switch f.Kind {
	case commitPowerBefore, commitPowerAmid:
		b.cut(f.Down.after(), "before the commit is on disk")
		return errNoPower
	case commitEIO:
		return b.failed(syscall.EIO)
	case commitFull:
		return b.failed(syscall.ENOSPC)
	}
	return nil
}

func (b *worldBoot) failed(err error) error {
	b.down = b.late.Down.after()
	b.w.log.add(worldLine{Kind: worldFailed, Boot: b.n, Text: err.Error()})
	return err
}

func (b *worldBoot) afterCommit() error {
	if !b.opened {
		return nil
	}
	l := b.onDisk().newest()
	l.Kind, l.Boot = worldDurable, b.n
	b.w.log.add(l)
	if b.w.plant.committed != nil {
		b.w.plant.committed(b)
	}
	switch b.late.Kind {
	case commitPowerAfter:
		b.cut(b.late.Down.after(), "once the commit is on disk")
		return errNoPower
	case commitPowerDone:
		b.cut(b.late.Down.after(), "right after a commit")
	case commitEIOAfter:
		return b.failed(syscall.EIO)
	}
	return nil
}

// showsBehind is how far the screen may lag behind: a buffer of the daemon's 64 is as many announcements of two kilobytes, made and cleared at each start.
const showsBehind = 6

// show is the screen: it paints what is announced, a moment later.
func (b *worldBoot) show(announced <-chan payflow.Announcement) {
	last := map[payflow.OutTradeNo]worldRecord{}
	for a := range announced {
		if len(announced) == showsBehind-1 {
			panic("world: the screen may have been cut off, and what it would have shown would not be judged")
		}
		time.Sleep(300 * time.Microsecond)
		r := recordOf(&a.Entry)
		before := last[a.Entry.OutTradeNo]
		if b.dead.Load() || before == r {
			continue
		}
		last[a.Entry.OutTradeNo] = r
		b.w.log.add(worldLine{Kind: worldShown, Boot: b.n, No: a.Entry.OutTradeNo, Record: r})
	}
}

// draw is a number from 0 to n-1 that depends on the seed and the words alone, whatever happened before.
func (w *world) draw(n int64, what, no string, nth int) int64 {
	h := w.script.Seed ^ 0xcbf29ce484222325
	for _, text := range [...]string{what, no} {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * 0x100000001b3
		}
	}
	h ^= uint64(nth) * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return int64((h^h>>31)>>1) % n
}

// storedPayment reads what the judge needs of a payment's record. It picks the fields out of the text; that text and seals hold is the business
// of the journal's own tests, and of the thorough worlds.
func storedPayment(tx *bbolt.Tx, no []byte) (r worldRecord, sale int) {
	body, _, ok := split(tx.Bucket(bucketPayments).Get(no))
	if !ok {
		return r, 0
	}
	minor, _ := strconv.ParseInt(string(picked(body, `"minor":`)), 10, 64)
	late := picked(body, `"late":{"stage":"`)
	lateMoney := picked(body, `"kind":"late_success"`) != nil
	if at := bytes.Index(body, []byte(`"late":{`)); at > 0 {
		body = body[:at] // it has an attention of its own
	}
	return worldRecord{
		There: true, Status: payflow.Status(picked(body, `"status":"`)), Attention: payflow.Reason(picked(body, `"attention":"`)),
		Reason: payflow.Reason(picked(body, `"reason":"`)), Amount: payflow.Amount{Minor: minor, Currency: payflow.Currency(picked(body, `"currency":"`))},
		Merchant: string(picked(body, `"merchant_id":"`)), Proof: payflow.Proof(picked(body, `"proof":"`)),
		Told: picked(body, `"acknowledged":`) != nil, Money: picked(body, `"money_seen":`) != nil, Aside: picked(body, `"set_aside":`) != nil,
		Late: payflow.LateStage(late), LateMoney: lateMoney,
	}, saleOf(string(picked(body, `"sale_ref":"`)))
}

// picked returns the first value behind a name, up to what ends it; nil where the name is not there.
func picked(body []byte, name string) []byte {
	at := bytes.Index(body, []byte(name))
	if at < 0 {
		return nil
	}
	value := body[at+len(name):]
	return value[:bytes.IndexAny(value, `",}`)]
}

// boltReader reads a bbolt file.
type boltReader struct{ db *bbolt.DB }

func (d boltReader) record(no payflow.OutTradeNo) (r worldRecord) {
	_ = d.db.View(func(tx *bbolt.Tx) error {
		r, _ = storedPayment(tx, []byte(no))
		return nil
	})
	return r
}

func (d boltReader) newest() (l worldLine) {
	_ = d.db.View(func(tx *bbolt.Tx) error {
		_, sealed := tx.Bucket(bucketEvents).Cursor().Last()
		body, _, _ := split(sealed)
		l.Event, l.No = string(picked(body, `"kind":"`)), payflow.OutTradeNo(picked(body, `"out_trade_no":"`))
		l.Record, l.Sale = storedPayment(tx, []byte(l.No))
		return nil
	})
	return l
}

func (d boltReader) entries() []worldEntry { return entriesOf(d.db) }

func (d boltReader) refunds() (all []worldRefund) {
	_ = d.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketRefunds).ForEach(func(no, value []byte) error {
			body, _, _ := split(value)
			minor, _ := strconv.ParseInt(string(picked(body, `"minor":`)), 10, 64)
			all = append(all, worldRefund{Refund: payflow.OutRefundNo(no), No: payflow.OutTradeNo(picked(body, `"out_trade_no":"`)), Minor: minor,
				Status: payflow.RefundStatus(picked(body, `"status":"`)), Attention: picked(body, `"attention":"`) != nil})
			return nil
		})
	})
	return all
}

// entriesOf reads every payment on disk, and where the indexes show it.
func entriesOf(db *bbolt.DB) (entries []worldEntry) {
	_ = db.View(func(tx *bbolt.Tx) error {
		entries = entriesIn(tx)
		return nil
	})
	return entries
}

func entriesIn(tx *bbolt.Tx) (entries []worldEntry) {
	listed := func(bucket []byte) map[string]bool {
		names := map[string]bool{}
		_ = tx.Bucket(bucket).ForEach(func(_, no []byte) error { names[string(no)] = true; return nil })
		return names
	}
	open, untold := listed(bucketOpen), listed(bucketUnannounced)
	_ = tx.Bucket(bucketPayments).ForEach(func(no, _ []byte) error {
		r, sale := storedPayment(tx, no)
		entries = append(entries, worldEntry{No: payflow.OutTradeNo(no), Sale: sale, Record: r, Untold: untold[string(no)], InOpen: open[string(no)]})
		return nil
	})
	return entries
}

// last opens the journal once more, as the next morning would, and reads it.
func (w *world) last() []worldEntry {
	b := &worldBoot{w: w, n: 0, gone: make(chan struct{})}
	if err := b.open(JournalConfig{StoreID: "SZTX001", TillID: "T1", Location: time.UTC, Now: w.clock}); err != nil {
		w.log.add(worldLine{Kind: worldNoted, Text: "the journal does not open at the end: " + err.Error()})
		return nil
	}
	defer w.form.drop(b)
	if b.journal != nil {
		w.leaks(b.journal.db)
		w.sound(b.journal)
	}
	w.log.add(worldLine{Kind: worldNoted, Text: "the next morning", Refunds: b.onDisk().refunds()})
	return b.onDisk().entries()
}

// leaks is I10: no payment code stands in any record.
func (w *world) leaks(db *bbolt.DB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = db.View(func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{bucketPayments, bucketEvents} {
			_ = tx.Bucket(bucket).ForEach(func(_, value []byte) error {
				for _, c := range w.codes {
					if bytes.Contains(value, []byte(c.digits)) {
						w.log.add(worldLine{Kind: worldFound, Text: "I10 a payment code stands in the bucket " + string(bucket)})
					}
				}
				return nil
			})
		}
		return nil
	})
}

// sound is I11: the chain, the seals and the indexes hold. In most worlds the seals that were read on the way must do.
func (w *world) sound(j *Journal) {
	if !w.script.Thorough {
		return
	}
	report, err := j.Verify(context.Background(), nil)
	if err != nil || !report.Clean() {
		w.log.add(worldLine{Kind: worldFound, Text: fmt.Sprint("I11 ", report, err)})
	}
}

// saleOf reads the sale's number out of the reference that the till software gave it.
func saleOf(ref string) int {
	n, _ := strconv.Atoi(strings.TrimRight(strings.TrimPrefix(ref, "sale-"), "'"))
	return n
}

// lived is what is left of a world. Its log is good until the next world on the same disk.
type lived struct {
	script  *worldScript
	log     *worldLog
	verdict worldVerdict
}

// liveFast lives through a script in the fast form, on the real journal.
func liveFast(t *testing.T, disk *worldDisk, s worldScript, p *plant) lived {
	return liveOn(t, disk, s, p, nil)
}

// liveTwin lives through a script in the fast form, on the journal's twin in memory.
func liveTwin(t *testing.T, disk *worldDisk, s worldScript, p *plant) lived {
	return liveOn(t, disk, s, p, newTwinDisk())
}

func liveOn(t *testing.T, disk *worldDisk, s worldScript, p *plant, twin *twinDisk) (l lived) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(&s, p, disk.log)
		form := newFastForm(w, disk, twin)
		ends := w.run(form)
		disk.log = w.log.lines
		l = lived{&s, w.log, judgeWorld(&s, w.log.lines, form.orders(), ends, form.refunds()...)}
	})
	return l
}
