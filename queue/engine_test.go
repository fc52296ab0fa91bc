package queue

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

const (
	codeA = "134650720866361395"
	codeB = "120061098828009406"
)

// wechat is a gateway whose answers a story sets. It notes what left, and what the journal held at that moment.
type wechat struct {
	journal *Journal

	mu      sync.Mutex
	pay     answer
	query   answer
	reverse answer
	left    []string // calls, in the order in which they left
	codes   []string
	warm    bool

	statusAtPay payflow.Status // what the journal said when the pay call left
	commitsAt   uint64
}

func (w *wechat) Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	select {
	case <-leave:
	case <-ctx.Done():
		return payflow.Outcome{}, ctx.Err()
	}
	w.mu.Lock()
	w.left = append(w.left, "pay")
	w.codes = append(w.codes, code.Reveal())
	if entry, err := w.journal.Payment(o.OutTradeNo); err == nil {
		w.statusAtPay = entry.Status
	}
	w.commitsAt = w.journal.boltCommits()
	answers := w.pay
	w.mu.Unlock()
	return answers(o)
}

// boltCommits counts the transactions on disk by bbolt's own number, whoever made them.
func (j *Journal) boltCommits() (n uint64) {
	_ = j.db.View(func(tx *bbolt.Tx) error {
		n = uint64(tx.ID())
		return nil
	})
	return n
}

func (w *wechat) Query(_ context.Context, o payflow.Order) (payflow.Outcome, error) {
	return w.call("query", &w.query, o)
}

func (w *wechat) Reverse(_ context.Context, o payflow.Order) (payflow.Outcome, error) {
	return w.call("reverse", &w.reverse, o)
}

func (w *wechat) call(name string, asked *answer, o payflow.Order) (payflow.Outcome, error) {
	w.mu.Lock()
	w.left = append(w.left, name)
	answers := *asked
	w.mu.Unlock()
	return answers(o)
}

// answer is what the gateway does with one call.
type answer func(payflow.Order) (payflow.Outcome, error)

func (w *wechat) pays(a answer)     { w.set(&w.pay, a) }
func (w *wechat) queries(a answer)  { w.set(&w.query, a) }
func (w *wechat) reverses(a answer) { w.set(&w.reverse, a) }

func (w *wechat) set(field *answer, a answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*field = a
}

func (w *wechat) isWarm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.warm
}

func (w *wechat) KeepWarm(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.warm = on
}

func (w *wechat) calls() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.left, " ")
}

// shop is one till with its engine running in a bubble of fake time.
type shop struct {
	t       *testing.T
	cfg     JournalConfig
	wechat  *wechat
	engine  *Engine
	refunds *cashbox // nil: no gateway for refunds
	clock   func() (time.Time, bool)
	mu      sync.Mutex // guards ready
	ready   error
	stop    func()
	ended   chan error
}

func openShop(t *testing.T) *shop {
	dir := t.TempDir()
	s := &shop{t: t, wechat: &wechat{pay: found(payflow.TradeSuccess), query: found(payflow.TradeSuccess), reverse: reversed}}
	s.cfg = JournalConfig{
		File: filepath.Join(dir, "journal.db"), KeyFile: filepath.Join(dir, "journal.key"), ReserveFile: filepath.Join(dir, "reserve"),
		ReserveBytes: 1 << 16, StoreID: "SZTX001", TillID: "T1", Location: time.UTC,
	}
	s.start()
	return s
}

func (s *shop) start() {
	s.t.Helper()
	journal, err := OpenJournal(s.cfg)
	require.NoError(s.t, err)
	s.wechat.journal = journal
	var refunds RefundGateway
	if s.refunds != nil {
		s.refunds.journal, refunds = journal, s.refunds
	}
	s.engine, err = NewEngine(Config{
		Refunds: refunds, Clock: s.clock,
		Journal: journal, Gateway: s.wechat, Merchant: payflow.Merchant{Mode: payflow.Direct, AppID: "wx1", MerchantID: "10000100", CategoryCode: "4111"},
		Store: payflow.Store{ID: "SZTX001", Name: "Shop", Till: "T1"}, API: payflow.APIv3, HostFamily: "https://a",
		Ready: s.readyNow, Log: zerolog.Nop(),
	})
	require.NoError(s.t, err)
	ctx, stop := context.WithCancel(s.t.Context())
	engine, ended := s.engine, make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	s.ended = ended
	s.stop = func() {
		stop()
		<-s.engine.Done()
		require.NoError(s.t, journal.Close())
	}
	synctest.Wait()
}

func (s *shop) readyNow() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

func (s *shop) setReady(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = err
}

// restart ends the engine as a kill would, between two commits, and starts the next on the same journal.
func (s *shop) restart() {
	s.stop()
	s.start()
}

func (s *shop) arm(sale string, more ...func(*payflow.ArmRequest)) payflow.Entry {
	s.t.Helper()
	entry, err := s.engine.Arm(s.t.Context(), armRequest(sale, more...))
	require.NoError(s.t, err)
	return entry
}

func armRequest(sale string, more ...func(*payflow.ArmRequest)) payflow.ArmRequest {
	r := payflow.ArmRequest{Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, SaleRef: payflow.SaleRef(sale), IdempotencyKey: "key-" + sale}
	for _, change := range more {
		change(&r)
	}
	return r
}

func withKey(key string) func(*payflow.ArmRequest) {
	return func(r *payflow.ArmRequest) { r.IdempotencyKey = key }
}

func (s *shop) scan(code string) error {
	_, err := s.engine.Scan(s.t.Context(), code, "", "scanner")
	synctest.Wait()
	return err
}

func (s *shop) status(no payflow.OutTradeNo) payflow.Status {
	s.t.Helper()
	entry, err := s.engine.Payment(no)
	require.NoError(s.t, err)
	return entry.Status
}

func found(state payflow.TradeState) func(payflow.Order) (payflow.Outcome, error) {
	return func(o payflow.Order) (payflow.Outcome, error) {
		return payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{
			State: state, OutTradeNo: o.OutTradeNo, Amount: o.Amount, MerchantID: o.Merchant.MerchantID, SubMerchantID: o.Merchant.SubMerchantID,
			Attach: o.Tag.Attach(o.Attach), TransactionID: "4200000001",
		}}, nil
	}
}

func outcome(o payflow.Outcome) func(payflow.Order) (payflow.Outcome, error) {
	return func(payflow.Order) (payflow.Outcome, error) { return o, nil }
}

func lost(payflow.Order) (payflow.Outcome, error) {
	return payflow.Outcome{}, &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonTimeout}, Err: errors.New("no answer")}
}

var reversed = outcome(payflow.Outcome{Kind: payflow.ReverseDone})

func story(t *testing.T, tell func(t *testing.T, s *shop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t)
		tell(t, s)
		report, err := s.wechat.journal.Verify(t.Context(), nil)
		require.NoError(t, err)
		assert.True(t, report.Clean(), report.String())
		s.stop()
	})
}

func TestAScannedCodeIsPaidWithExactlyOneCommitFromScanToWire(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.arm("A-1").OutTradeNo
		before := s.wechat.journal.boltCommits()
		require.NoError(t, s.scan(codeA))
		assert.Equal(t, payflow.Paid, s.status(no))
		assert.Equal(t, "pay", s.wechat.calls())
		assert.EqualValues(t, 1, s.wechat.commitsAt-before, "commits between the scan and the wire")
		assert.EqualValues(t, 2, s.wechat.journal.boltCommits()-before, "one more for the verdict")
		assert.Equal(t, payflow.Paying, s.wechat.statusAtPay, "the record describes the call before it leaves (I1)")
	})
}

func TestPollingWritesNothing(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(lost)
		s.wechat.queries(found(payflow.TradeUserPaying))
		s.arm("A-1")
		require.NoError(t, s.scan(codeA))
		before := s.wechat.journal.Commits()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		assert.Equal(t, before, s.wechat.journal.Commits())
		assert.GreaterOrEqual(t, strings.Count(s.wechat.calls(), "query"), 10)
	})
}

func TestAnUnpaidOrderIsReversedNotSoonerThan15sAndProven(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(lost)
		s.wechat.queries(found(payflow.TradeUserPaying))
		s.wechat.reverses(func(payflow.Order) (payflow.Outcome, error) {
			s.wechat.queries(found(payflow.TradeRevoked))
			return payflow.Outcome{Kind: payflow.ReverseDone}, nil
		})
		no := s.arm("A-1").OutTradeNo
		began := time.Now()
		require.NoError(t, s.scan(codeA))
		_, err := s.engine.Cancel(t.Context(), no, "P001")
		require.NoError(t, err)
		entry := s.until(no, payflow.Reversing)
		assert.GreaterOrEqual(t, time.Since(began), 15*time.Second)
		assert.True(t, entry.SaleMayUseOtherMeans())
		s.until(no, payflow.Reversed)
		assert.True(t, strings.HasSuffix(s.wechat.calls(), "query reverse query"), s.wechat.calls())
	})
}

// until follows a payment as a till does, until it has the status.
func (s *shop) until(no payflow.OutTradeNo, status payflow.Status) payflow.Entry {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	var since uint64
	for {
		entry, err := s.engine.WaitFor(ctx, no, since)
		require.NoError(s.t, err)
		if entry.Status == status {
			return entry
		}
		require.NoError(s.t, ctx.Err(), "still %s, wanted %s", entry.Status, status)
		since = entry.Version
	}
}

func TestAfterARestartAnOpenPaymentIsAskedForAndPayNeverSentAgain(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		answer := make(chan struct{})
		s.wechat.pays(func(o payflow.Order) (payflow.Outcome, error) {
			<-answer
			return lost(o)
		})
		no := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		assert.Equal(t, payflow.Paying, s.status(no))
		go func() { time.Sleep(time.Second); close(answer) }()
		s.restart()
		s.until(no, payflow.Paid)
		assert.Equal(t, "pay query", s.wechat.calls())
		unannounced, err := s.engine.Unannounced()
		require.NoError(t, err)
		require.Len(t, unannounced, 1, "the result that nobody has seen (I8)")
		count, err := s.engine.CountUnannounced()
		require.NoError(t, err)
		assert.Equal(t, 1, count)
		_, err = s.engine.Acknowledge(t.Context(), no, payflow.Acknowledgement{How: payflow.GoodsGiven, Operator: "P001"})
		require.NoError(t, err)
		unannounced, err = s.engine.Unannounced()
		require.NoError(t, err)
		assert.Empty(t, unannounced)
	})
}

// A manager who works off the list answers for payments faster than once a second.
func TestTwoResultsAcknowledgedInTheSameMomentAreBothWrittenDown(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		first := s.sells("A-1", codeA, "")
		second := s.sells("A-2", codeB, "")
		for _, no := range []payflow.OutTradeNo{first, second} {
			_, err := s.engine.Acknowledge(t.Context(), no, payflow.Acknowledgement{How: payflow.GoodsGiven, Operator: "P001"})
			require.NoError(t, err)
		}
		s.restart()
		unannounced, err := s.engine.Unannounced()
		require.NoError(t, err)
		assert.Empty(t, unannounced)
	})
}

func TestARestartCancelsWhatWaited(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.arm("A-1").OutTradeNo
		s.restart()
		assert.Equal(t, payflow.Cancelled, s.status(no))
		assert.Empty(t, s.wechat.calls())
	})
}

func TestNothingIsArmedBeforeEveryOpenPaymentWasAskedFor(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(lost)
		s.wechat.queries(lost)
		s.wechat.reverses(lost)
		no := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		time.Sleep(80 * time.Second)
		_, err := s.engine.SetAside(t.Context(), no, "P001", "does not end")
		require.NoError(t, err)
		gate := make(chan struct{})
		s.wechat.queries(func(o payflow.Order) (payflow.Outcome, error) { <-gate; return lost(o) })
		s.restart()
		s.arm("A-2") // set aside: the till is free
		close(gate)
	})
}

func TestOneScanForOneArmedPayment(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		assert.ErrorIs(t, s.scan(codeA), payflow.ErrNothingArmed)

		s.wechat.pays(lost)
		s.wechat.queries(found(payflow.TradeUserPaying))
		no := s.arm("A-1").OutTradeNo
		var wrong *payflow.WrongCodeError
		require.ErrorAs(t, s.scan("287634438256643941"), &wrong)
		assert.Equal(t, payflow.CodeAlipay, wrong.Kind)
		entry, err := s.engine.Payment(no)
		require.NoError(t, err)
		assert.Equal(t, "alipay", entry.Notice.Kind)
		assert.Equal(t, payflow.Waiting, entry.Status, "a wrong code spends nothing")

		require.NoError(t, s.scan(codeA))
		assert.ErrorIs(t, s.scan(codeA), payflow.ErrSameCode)
		assert.ErrorIs(t, s.scan(codeB), payflow.ErrScanBusy)
		assert.Equal(t, []string{codeA}, s.wechat.codes)
	})
}

func TestAReadOfAnotherLengthIsRefusedAndNamed(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.arm("A-1").OutTradeNo
		for name, text := range map[string]string{
			"a digit lost": codeA[:17], "a digit too many": codeA + "0", "two codes without anything between": codeA + codeB,
		} {
			assert.Error(t, s.scan(text), name)
			entry, err := s.engine.Payment(no)
			require.NoError(t, err)
			assert.Equal(t, string(payflow.CodeWrongLength), entry.Notice.Kind, name)
			assert.Equal(t, payflow.Waiting, entry.Status, name)
		}
		assert.Empty(t, s.wechat.codes)
	})
}

func TestWhatDidNotComeWholeIsSaidAndChangesNothing(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		require.NoError(t, s.engine.Misread(t.Context(), "desk"))
		assert.Equal(t, payflow.NoticeMisread, s.engine.LastNotice().Kind)
		armed := s.arm("A-1")
		require.NoError(t, s.engine.Misread(t.Context(), "desk"))
		entry, err := s.engine.Payment(armed.OutTradeNo)
		require.NoError(t, err)
		assert.Equal(t, payflow.NoticeMisread, entry.Notice.Kind)
		assert.Equal(t, "desk", entry.Notice.Device)
		assert.Equal(t, payflow.Waiting, entry.Status)
		assert.Greater(t, entry.Version, armed.Version, "whoever waits for news sees it")
		require.NoError(t, s.scan(codeA), "and the next scan pays")
	})
}

func TestASpentCodePaysNoSecondOrderAndAReleasedOneDoes(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(outcome(payflow.Outcome{Kind: payflow.NotSent}))
		first := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		assert.Equal(t, payflow.Declined, s.status(first))

		s.wechat.pays(found(payflow.TradeSuccess))
		second := s.arm("A-1", withKey("again")).OutTradeNo
		assert.NotEqual(t, first, second)
		require.NoError(t, s.scan(codeA), "nothing was sent, so the code is still good")
		assert.Equal(t, payflow.Paid, s.status(second))

		s.restart()
		s.arm("A-2")
		assert.ErrorIs(t, s.scan(codeA), payflow.ErrSameCode, "across a restart too")
	})
}

func TestASaleIsChargedAtMostOnce(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		s.restart()
		_, err := s.engine.Arm(t.Context(), armRequest("A-1", withKey("second")))
		var paid *payflow.AlreadyPaidError
		require.ErrorAs(t, err, &paid)
		assert.Equal(t, no, paid.ID)

		extra := s.arm("A-1", withKey("third"), func(r *payflow.ArmRequest) { r.AdditionalTender = true })
		assert.Equal(t, 2, extra.Attempt)
	})
}

func TestASetAsidePaymentFreesTheTillAndNotTheSale(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(lost)
		s.wechat.queries(lost)
		s.wechat.reverses(lost)
		no := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		_, err := s.engine.SetAside(t.Context(), no, "P001", "stuck")
		require.ErrorIs(t, err, payflow.ErrNotAside)
		_, err = s.engine.Arm(t.Context(), armRequest("A-2"))
		var busy *payflow.TillBusyError
		require.ErrorAs(t, err, &busy)

		time.Sleep(80 * time.Second)
		_, err = s.engine.SetAside(t.Context(), no, "P001", "stuck")
		require.NoError(t, err)
		_, err = s.engine.Arm(t.Context(), armRequest("A-1", withKey("again")))
		var open *payflow.SaleOpenError
		require.ErrorAs(t, err, &open)

		s.wechat.pays(found(payflow.TradeSuccess))
		next := s.arm("A-2").OutTradeNo
		require.NoError(t, s.scan(codeB))
		assert.Equal(t, payflow.Paid, s.status(next))
		assert.Equal(t, payflow.Reversing, s.status(no), "the engine goes on with it")
	})
}

func TestTheSameKeyIsTheSamePayment(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		first := s.arm("A-1")
		require.NoError(t, s.scan(codeA))
		again, err := s.engine.Arm(t.Context(), armRequest("A-1"))
		require.NoError(t, err)
		assert.Equal(t, first.OutTradeNo, again.OutTradeNo)
		assert.Equal(t, payflow.Paid, again.Status)
		_, err = s.engine.Arm(t.Context(), armRequest("A-2", withKey("key-A-1")))
		assert.ErrorIs(t, err, payflow.ErrKeyReused)
	})
}

func TestNothingIsArmedWhileNotReady(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.setReady(&payflow.NotReadyError{Code: "not_verified", Text: "not yet"})
		_, err := s.engine.Arm(t.Context(), armRequest("A-1"))
		assert.ErrorIs(t, err, s.readyNow())

		s.setReady(nil)
		no := s.arm("A-1").OutTradeNo
		s.setReady(&payflow.NotReadyError{Code: "no_network", Text: "take cash"})
		assert.Error(t, s.scan(codeA), "a cable pulled after arming")
		assert.Equal(t, payflow.Waiting, s.status(no))
		assert.Empty(t, s.wechat.calls())
	})
}

func TestAPaymentWithoutAScanIsCancelled(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.arm("A-1").OutTradeNo
		assert.True(t, s.wechat.isWarm())
		time.Sleep(91 * time.Second)
		synctest.Wait()
		entry, err := s.engine.Payment(no)
		require.NoError(t, err)
		assert.Equal(t, payflow.Cancelled, entry.Status)
		assert.Equal(t, payflow.ReasonScanTimeout, entry.Reason)
		assert.False(t, s.wechat.isWarm())
	})
}

func TestEveryChangeIsAnnouncedOnceWithItsSequence(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		announced := s.engine.Subscribe(ctx)
		s.arm("A-1")
		require.NoError(t, s.scan(codeA))
		var statuses []string
		for len(announced) > 0 {
			a := <-announced
			require.NotZero(t, a.Sequence)
			statuses = append(statuses, string(a.Entry.Status))
		}
		assert.Equal(t, "waiting paying paid", strings.Join(statuses, " "))
	})
}

func TestBadRequestsAreNamedByField(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		for name, change := range map[string]func(*payflow.ArmRequest){
			"amount":      func(r *payflow.ArmRequest) { r.Amount.Minor = 0 },
			"description": func(r *payflow.ArmRequest) { r.Description = strings.Repeat("x", 513) },
			"limit_pay":   func(r *payflow.ArmRequest) { r.LimitPay = "all" },
			"detail":      func(r *payflow.ArmRequest) { r.Detail = "{" },
		} {
			_, err := s.engine.Arm(t.Context(), armRequest("A-1", change))
			var bad *payflow.BadRequestError
			if assert.ErrorAs(t, err, &bad, name) {
				assert.Equal(t, name, bad.Field)
			}
		}
		_, err := s.engine.Arm(t.Context(), armRequest(""))
		assert.ErrorIs(t, err, payflow.ErrSaleRef)
		_, err = s.engine.Arm(t.Context(), armRequest("A-1", withKey("")))
		assert.ErrorIs(t, err, payflow.ErrKeyMissing)
	})
}
