package queue

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// The soak: a till sells all day for years, on one real bbolt file, and what goes wrong does so as often as in a shop. Nothing may grow
// but the file, and that no more than what is stored in it.

// soakVariable says how many payments are made; soakSmall are made without it.
const (
	soakVariable = "POSAGENT_SOAK"
	soakSmall    = 800
	soakBubble   = 400 // payments of one bubble, which is one opening day
)

// soakRates are how often things go wrong. They are guesses of a shop's: what is asked of them is that everything happens, and often.
var soakRates = struct {
	requestLost, answerLost, outage, powerCut, password, errorPaid, errorUnpaid, hiddenDeduction, reverseAgain float64
	outageMean, passwordMedian, revokeAfter, downFor, cutWithin                                                time.Duration
}{
	requestLost: 0.004, answerLost: 0.004, outage: 0.02, powerCut: 0.004, password: 0.12, errorPaid: 0.006, errorUnpaid: 0.003, hiddenDeduction: 0.0005, reverseAgain: 0.03,
	outageMean: 30 * time.Second, passwordMedian: 9 * time.Second, revokeAfter: 45 * time.Second, downFor: time.Minute, cutWithin: 20 * time.Second,
}

// soakOrder is an order as WeChat Pay knows it.
type soakOrder struct {
	made    time.Time
	paysAt  time.Time // zero: never
	revoked bool
	refund  bool // the money went back
}

func (o *soakOrder) state(now time.Time) payflow.TradeState {
	switch {
	case o.revoked:
		return payflow.TradeRevoked
	case !o.paysAt.IsZero() && !now.Before(o.paysAt):
		return payflow.TradeSuccess
	case now.Sub(o.made) >= soakRates.revokeAfter:
		o.revoked = true
		return payflow.TradeRevoked
	}
	return payflow.TradeUserPaying
}

// held reports that WeChat Pay has the customer's money.
func (o *soakOrder) held(now time.Time) bool { return o.state(now) == payflow.TradeSuccess }

// soakPlan is what goes wrong with one payment.
type soakPlan struct {
	draw     *rand.Rand
	paysIn   time.Duration // -1: never
	asks     bool
	errors   string        // what the pay call is answered with instead: "paid", "unpaid", "hidden"
	outage   time.Duration // how long, from outageAt on
	outageAt time.Duration
	cutAt    time.Duration // 0: no power cut
}

func soakPlanOf(n int) soakPlan {
	d := rand.New(rand.NewPCG(20261126, uint64(n)))
	p := soakPlan{draw: d}
	chance := func(rate float64) bool { return d.Float64() < rate }
	if chance(soakRates.password) {
		p.asks, p.paysIn = true, time.Duration(float64(soakRates.passwordMedian)*math.Exp(d.NormFloat64()*0.8))
	}
	switch {
	case chance(soakRates.errorPaid):
		p.errors = "paid"
	case chance(soakRates.errorUnpaid):
		p.errors, p.paysIn = "unpaid", -1
	case chance(soakRates.hiddenDeduction):
		p.errors = "hidden"
	}
	if chance(soakRates.outage) {
		p.outageAt, p.outage = time.Duration(d.Int64N(int64(5*time.Second))), time.Duration(d.ExpFloat64()*float64(soakRates.outageMean))
	}
	if chance(soakRates.powerCut) {
		p.cutAt = time.Millisecond + time.Duration(d.Int64N(int64(soakRates.cutWithin)))
	}
	return p
}

// soakWeChat is WeChat Pay and the line to it, without signatures.
type soakWeChat struct {
	mu     sync.Mutex // guards all below
	orders map[payflow.OutTradeNo]*soakOrder
	plan   soakPlan
	scan   time.Time
	calls  int
	lost   int
	wrong  []string
}

// line says whether a request and its answer get through, and takes the time that they take.
func (w *soakWeChat) line() (request, answer bool) {
	w.mu.Lock()
	w.calls++
	from := w.scan.Add(w.plan.outageAt)
	out := w.plan.outage > 0 && !time.Now().Before(from) && time.Now().Before(from.Add(w.plan.outage))
	request, answer = !out && w.plan.draw.Float64() >= soakRates.requestLost, w.plan.draw.Float64() >= soakRates.answerLost
	takes := 80*time.Millisecond + time.Duration(w.plan.draw.Int64N(int64(300*time.Millisecond)))
	if !request || !answer {
		w.lost++
		takes = 5 * time.Second
	}
	w.mu.Unlock()
	time.Sleep(takes)
	return request, answer
}

func (w *soakWeChat) Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	select {
	case <-leave:
	case <-ctx.Done():
		return payflow.Outcome{}, ctx.Err()
	}
	request, answer := w.line()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !request {
		return lost(o)
	}
	if w.orders[o.OutTradeNo] != nil {
		w.wrong = append(w.wrong, fmt.Sprintf("I2: %s was paid twice", o.OutTradeNo))
	}
	order := &soakOrder{made: time.Now()}
	if w.plan.paysIn >= 0 {
		order.paysAt = time.Now().Add(w.plan.paysIn)
	}
	w.orders[o.OutTradeNo] = order
	switch {
	case !answer || w.plan.errors == "paid" || w.plan.errors == "unpaid":
		return lost(o)
	case w.plan.errors == "hidden":
		return payflow.Outcome{Kind: payflow.Refused, Code: "NOTENOUGH", Reason: payflow.ReasonNotEnough}, nil
	}
	return w.show(o, order)
}

// show answers with the order as it stands.
func (w *soakWeChat) show(o payflow.Order, order *soakOrder) (payflow.Outcome, error) {
	out, err := found(order.state(time.Now()))(o)
	out.Trade.SuccessTime, out.Trade.BankType, out.Trade.AppID = order.paysAt, "OTHERS", o.Merchant.AppID
	out.Trade.TransactionID = payflow.TransactionID("4200001" + string(o.OutTradeNo)[len(o.OutTradeNo)-12:])
	return out, err
}

func (w *soakWeChat) Query(_ context.Context, o payflow.Order) (payflow.Outcome, error) {
	request, answer := w.line()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !request || !answer {
		return lost(o)
	}
	if order := w.orders[o.OutTradeNo]; order != nil {
		return w.show(o, order)
	}
	return payflow.Outcome{Kind: payflow.NoSuchOrder, Code: "ORDERNOTEXIST"}, nil
}

func (w *soakWeChat) Reverse(_ context.Context, o payflow.Order) (payflow.Outcome, error) {
	request, answer := w.line()
	w.mu.Lock()
	defer w.mu.Unlock()
	order := w.orders[o.OutTradeNo]
	switch {
	case !request:
		return lost(o)
	case w.plan.draw.Float64() < soakRates.reverseAgain:
		return payflow.Outcome{Kind: payflow.ReverseRefused, Code: "SYSTEMERROR"}, nil
	}
	if order != nil {
		order.refund, order.revoked = order.held(time.Now()), true
	}
	if !answer {
		return lost(o)
	}
	return payflow.Outcome{Kind: payflow.ReverseDone}, nil
}

func (w *soakWeChat) KeepWarm(bool) {}

// soak is one till over all its days.
type soak struct {
	t      *testing.T
	cfg    JournalConfig
	wechat *soakWeChat
	dark   atomic.Bool // the power is gone: nothing more is written

	statuses map[payflow.Status]int
	cuts     int
}

// soakDay is one start of the till.
type soakDay struct {
	journal *Journal
	engine  *Engine
	stop    func()
}

func (s *soak) start(t *testing.T) *soakDay {
	t.Helper()
	journal, err := OpenJournal(s.cfg)
	require.NoError(t, err)
	engine, err := NewEngine(Config{
		Journal: journal, Gateway: s.wechat, Store: payflow.Store{ID: "SZTX001", Name: "Image Store", Address: "12 Nathan Road, Kowloon", Till: "T1", DeviceIP: "192.168.1.20"},
		Merchant: payflow.Merchant{Mode: payflow.Institution, AppID: "wx2421b1c4370ec43b", MerchantID: "10000100", SubMerchantID: "20000100", CategoryCode: "4111"},
		API:      payflow.APIv3, HostFamily: "https://apihk.mch.weixin.qq.com", Log: zerolog.Nop(),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	go func() { _ = engine.Run(ctx) }()
	return &soakDay{journal: journal, engine: engine, stop: func() {
		stop()
		<-engine.Done()
		if err := journal.Close(); !s.dark.Load() {
			require.NoError(t, err)
		}
	}}
}

// sell makes payment n and sees it through, over a power cut too.
func (s *soak) sell(t *testing.T, day *soakDay, n int) *soakDay {
	plan := soakPlanOf(n)
	s.wechat.mu.Lock()
	s.wechat.plan, s.wechat.scan = plan, time.Now().Add(time.Second)
	s.wechat.mu.Unlock()
	entry, err := day.engine.Arm(t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: 1000 + int64(n%90_000), Currency: "HKD"},
		SaleRef: payflow.SaleRef(fmt.Sprintf("2026-%08d", n)), IdempotencyKey: fmt.Sprintf("%08x-5c1d-4a6e-%04x", n*2654435761, n%65536), Operator: "P001"})
	require.NoError(t, err)
	time.Sleep(time.Second)
	_, err = day.engine.Scan(t.Context(), fmt.Sprintf("13%016d", n), "", "scanner")
	require.NoError(t, err)
	began := time.Now()
	for cut := plan.cutAt; ; {
		seen, err := day.engine.Payment(entry.OutTradeNo)
		require.NoError(t, err)
		if seen.Status.Final() {
			s.judge(n, seen)
			break
		}
		require.Less(t, time.Since(began), 20*time.Minute, "%s never ends: %s %s", entry.OutTradeNo, seen.Status, seen.Attention)
		wait := 250 * time.Millisecond
		if cut > 0 && time.Since(began) >= cut {
			cut = 0
			day = s.cutPower(t, day)
			continue
		}
		time.Sleep(wait)
	}
	_, err = day.engine.Acknowledge(t.Context(), entry.OutTradeNo, payflow.Acknowledgement{How: payflow.GoodsGiven, Operator: "P001"})
	require.NoError(t, err)
	return day
}

// cutPower ends the till without a parting word, and starts it a minute later.
func (s *soak) cutPower(t *testing.T, day *soakDay) *soakDay {
	s.cuts++
	s.dark.Store(true)
	day.stop()
	time.Sleep(soakRates.downFor)
	s.dark.Store(false)
	return s.start(t)
}

// judge holds a verdict against WeChat Pay's books.
func (s *soak) judge(n int, e payflow.Entry) {
	s.statuses[e.Status]++
	s.wechat.mu.Lock()
	defer s.wechat.mu.Unlock()
	order := s.wechat.orders[e.OutTradeNo]
	held := order != nil && order.held(time.Now())
	if held != (e.Status == payflow.Paid) {
		s.wechat.wrong = append(s.wechat.wrong, fmt.Sprintf("I4: payment %d is %s, and the money is held: %t", n, e.Status, held))
	}
	delete(s.wechat.orders, e.OutTradeNo)
}

// footprint is what must return to base.
type footprint struct {
	heap       uint64 // bytes in use after a collection
	goroutines int
	files      int
}

func footprintNow(t testing.TB) footprint {
	runtime.GC()
	runtime.GC() // what finalizers have let go of
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	f := footprint{heap: memory.HeapAlloc, goroutines: runtime.NumGoroutine()}
	open, err := os.ReadDir("/proc/self/fd")
	if err == nil {
		f.files = len(open)
	}
	return f
}

func TestASoakOfPaymentsLeavesNothingBehindButTheJournal(t *testing.T) {
	notUnderRace(t)
	payments := asked(t, soakVariable, soakSmall)
	folder, err := os.MkdirTemp(memoryRoot(), "posagent-soak-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	s := &soak{t: t, wechat: &soakWeChat{orders: map[payflow.OutTradeNo]*soakOrder{}}, statuses: map[payflow.Status]int{}}
	s.cfg = JournalConfig{File: filepath.Join(folder, "journal.db"), KeyFile: filepath.Join(folder, "keys", "journal.key"), ReserveFile: filepath.Join(folder, "reserve"),
		ReserveBytes: pageBytes, StoreID: "SZTX001", TillID: "T1", Location: time.UTC, fault: func(string) error {
			if s.dark.Load() {
				return errPowerCut
			}
			return nil
		}}
	var base footprint
	for from := 0; from < payments; from += soakBubble {
		synctest.Test(t, func(t *testing.T) {
			day := s.start(t)
			for n := from; n < min(from+soakBubble, payments); n++ {
				day = s.sell(t, day, n)
			}
			open, err := day.journal.OpenPayments()
			require.NoError(t, err)
			assert.Empty(t, open)
			day.stop()
		})
		require.Empty(t, s.wechat.wrong)
		require.False(t, t.Failed())
		if from == 0 {
			base = footprintNow(t)
		}
	}
	end := footprintNow(t)
	t.Logf("%d payments, %d calls of which %d were lost, %d power cuts; %v", payments, s.wechat.calls, s.wechat.lost, s.cuts, s.statuses)
	t.Logf("heap %d kB at first, %d kB at the end; goroutines %d, %d; open files %d, %d", base.heap>>10, end.heap>>10, base.goroutines, end.goroutines, base.files, end.files)
	assert.LessOrEqual(t, end.goroutines, base.goroutines)
	assert.LessOrEqual(t, end.files, base.files)
	assert.LessOrEqual(t, end.heap, base.heap+4<<20, "bytes in use")
	s.mustBeSmall(t, payments)
}

// sizeMost is how much larger than its payload the journal may be: what a payment takes on the disk, against the bytes of all keys and
// values that are stored for it.
const sizeMost = 1.6

// mustBeSmall compares what the journal takes with what is stored in it.
func (s *soak) mustBeSmall(t *testing.T, payments int) {
	j, err := OpenJournal(s.cfg)
	require.NoError(t, err)
	defer j.Close()
	report, err := j.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.True(t, report.Clean(), report.String())
	payload, used, table := journalSizes(t, j)
	ratio := float64(used) / float64(payload)
	t.Logf("payload %d bytes a payment, on disk %d: %.2f times\n%s", payload/int64(payments), used/int64(payments), ratio, table)
	assert.LessOrEqual(t, ratio, sizeMost)
}

// journalSizes adds up the bytes of all keys and values, and the pages that the file has come to.
func journalSizes(t *testing.T, j *Journal) (payload, used int64, table string) {
	t.Helper()
	var text strings.Builder
	require.NoError(t, j.db.View(func(tx *bbolt.Tx) error {
		used = tx.Size() // free pages too; the file itself is longer by what bbolt grows it by at a time, 16 MiB
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			var stored int64
			err := b.ForEach(func(k, v []byte) error {
				stored += int64(len(k) + len(v))
				return nil
			})
			payload += stored
			stats := b.Stats()
			taken := int64(stats.BranchAlloc + stats.LeafAlloc)
			fmt.Fprintf(&text, "%-12s %8d keys, payload %10d, on disk %10d, %.2f times\n", name, stats.KeyN, stored, taken, float64(taken)/float64(max(stored, 1)))
			return err
		})
	}))
	return payload, used, text.String()
}
