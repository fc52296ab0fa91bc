package queue

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// book is a journal in a folder of its own, as a test uses it. At the test's end bbolt's check and Verify must be clean.
type book struct {
	*Journal
	t   testing.TB
	cfg JournalConfig
	now time.Time
}

func newBook(t *testing.T) *book {
	t.Helper()
	b := bookIn(t, t.TempDir())
	b.open()
	t.Cleanup(b.mustBeClean)
	return b
}

// bookIn names the files of a journal, and opens nothing.
func bookIn(t testing.TB, folder string) *book {
	b := &book{t: t, now: time.Date(2026, 3, 1, 15, 59, 50, 0, time.UTC)}
	b.cfg = JournalConfig{
		File: filepath.Join(folder, "data", "journal.db"), KeyFile: filepath.Join(folder, "keys", "journal.key"),
		StoreID: "SZTX001", TillID: "T1", Location: time.FixedZone("HKT", 8*60*60), Now: func() time.Time { return b.now },
	}
	return b
}

func (b *book) open() {
	b.t.Helper()
	j, err := OpenJournal(b.cfg)
	require.NoError(b.t, err)
	b.Journal = j
}

func (b *book) reopen() {
	b.t.Helper()
	require.NoError(b.t, b.Close())
	b.open()
}

func (b *book) mustBeClean() {
	b.t.Helper()
	if err := b.usable(); err != nil {
		b.open()
	}
	report, err := b.Verify(context.Background(), nil) // the test's own context has ended at clean-up
	require.NoError(b.t, err)
	assert.True(b.t, report.Clean(), report.String())
	require.NoError(b.t, b.Close())
}

// mustNotOpen opens and returns why that is refused.
func (b *book) mustNotOpen() *OpenError {
	b.t.Helper()
	j, err := OpenJournal(b.cfg)
	if err == nil {
		_ = j.Close()
	}
	var refused *OpenError
	require.ErrorAs(b.t, err, &refused)
	return refused
}

var hkd1250 = payflow.Amount{Minor: 1250, Currency: "HKD"}

// arm makes a payment that waits for a scan.
func (b *book) arm(key, sale string) payflow.Entry {
	b.t.Helper()
	entry, err := b.tryArm(key, sale)
	require.NoError(b.t, err)
	return entry
}

func (b *book) tryArm(key, sale string) (payflow.Entry, error) {
	return b.Arm(key, "digest of "+key, payflow.SaleRef(sale), func(no payflow.OutTradeNo, attempt int) payflow.Payment {
		order := payflow.Order{OutTradeNo: no, Attempt: attempt, SaleRef: payflow.SaleRef(sale), Amount: hkd1250, Tag: b.NewTag(), API: payflow.APIv3}
		p, _ := payflow.Arm(order, payflow.DefaultTiming(), b.now)
		return p
	})
}

// scan, then whatever status comes next: the journal does not ask how it came about.
func (b *book) scan(entry payflow.Entry, code string) payflow.Entry {
	b.t.Helper()
	parsed, err := payflow.ParseAuthCode(code, "", nil)
	require.NoError(b.t, err)
	p := entry.Payment
	p.Status, p.CodeTail, p.CodeHash, p.CodeSpent, p.Version = payflow.Paying, parsed.Tail(), b.HashCode(parsed), true, p.Version+1
	return b.commit(payflow.Event{Kind: payflow.CodeScanned, At: b.now, Code: parsed, CodeHash: p.CodeHash}, p)
}

func (b *book) become(entry payflow.Entry, status payflow.Status) payflow.Entry {
	b.t.Helper()
	p := entry.Payment
	p.Status, p.Version = status, p.Version+1
	if status == payflow.Paid {
		p.Trade.PayerHash = b.HashPayer("payer of " + p.CodeHash)
	}
	return b.commit(payflow.Event{Kind: payflow.PayAnswered, At: b.now}, p)
}

func (b *book) commit(e payflow.Event, after payflow.Payment) payflow.Entry {
	b.t.Helper()
	entry, err := b.Commit(string(e.Kind), e, after)
	require.NoError(b.t, err)
	return entry
}

func (b *book) paid(key, sale string) payflow.Entry {
	b.t.Helper()
	return b.become(b.scan(b.arm(key, sale), "134567890123456789"), payflow.Paid)
}

func numbers(entries []payflow.Entry, err error) []payflow.OutTradeNo {
	list := []payflow.OutTradeNo{}
	for _, e := range entries {
		list = append(list, e.OutTradeNo)
	}
	if err != nil {
		list = append(list, payflow.OutTradeNo(err.Error()))
	}
	return list
}

func TestAPaymentIsThereAgainAfterARestartAsItWasStored(t *testing.T) {
	b := newBook(t)
	stored := b.scan(b.arm("key 1", "A-1001"), "134567890123456789")
	b.reopen()

	again, err := b.Payment(stored.OutTradeNo)
	require.NoError(t, err)
	assert.Equal(t, stored, again)
	assert.Equal(t, "2026-03-01", again.StoreDay, "23:59:50 in Hong Kong")
	assert.Equal(t, []payflow.OutTradeNo{stored.OutTradeNo}, numbers(b.OpenPayments()))
	_, err = b.Payment("NOBODY")
	assert.ErrorIs(t, err, payflow.ErrNoPayment)
}

func TestEachStepIsOneCommitAndOneEntryOfTheChain(t *testing.T) {
	b := newBook(t)
	before, head := b.Commits(), b.Head()
	entry := b.arm("key 1", "A-1001")
	assert.Equal(t, before+1, b.Commits())
	entry = b.scan(entry, "134567890123456789")
	assert.Equal(t, before+2, b.Commits())
	entry = b.become(entry, payflow.Paid)
	assert.Equal(t, before+3, b.Commits())
	assert.Equal(t, head.Sequence+3, b.Head().Sequence)
	assert.Equal(t, b.Head().Sequence, entry.Sequence)

	events, err := b.Events(head.Sequence, 10)
	require.NoError(t, err)
	require.Len(t, events, 3)
	assert.Equal(t, []string{"armed", "code_scanned", "pay_answered"}, []string{events[0].Kind, events[1].Kind, events[2].Kind})
	of, err := b.EventsOf(entry.OutTradeNo)
	require.NoError(t, err)
	assert.Equal(t, events, of)
}

func TestTheSameKeyFindsTheSamePaymentWhateverHasHappenedSince(t *testing.T) {
	b := newBook(t)
	entry := b.paid("key 1", "A-1001")
	b.reopen()
	no, digest, found, err := b.ByKey("key 1")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, entry.OutTradeNo, no)
	assert.Equal(t, "digest of key 1", digest)
	_, _, found, err = b.ByKey("key 2")
	require.NoError(t, err)
	assert.False(t, found)
	_, err = b.tryArm("key 1", "A-1002")
	assert.ErrorIs(t, err, payflow.ErrKeyReused)
}

func TestASaleCountsItsAttempts(t *testing.T) {
	b := newBook(t)
	first := b.become(b.arm("key 1", "A-1001"), payflow.Cancelled)
	other := b.become(b.arm("key 2", "A-100"), payflow.Cancelled)
	second := b.become(b.arm("key 3", "A-1001"), payflow.Declined)
	assert.Equal(t, 1, first.Attempt)
	assert.Equal(t, 1, other.Attempt, "a sale whose number begins another's is another sale")
	assert.Equal(t, 2, second.Attempt)
	assert.Equal(t, []payflow.OutTradeNo{first.OutTradeNo, second.OutTradeNo}, numbers(b.BySale("A-1001")))
	assert.Empty(t, numbers(b.BySale("A-2000")))
}

func TestAResultStaysOnTheListUntilTheCashierWasTold(t *testing.T) {
	b := newBook(t)
	paid := b.paid("key 1", "A-1")
	reversed := b.become(b.become(b.arm("key 2", "A-2"), payflow.Reversing), payflow.Reversed)
	b.become(b.arm("key 3", "A-3"), payflow.Declined)
	b.become(b.arm("key 4", "A-4"), payflow.Cancelled)
	open := b.arm("key 5", "A-5")
	b.reopen()
	assert.Equal(t, []payflow.OutTradeNo{paid.OutTradeNo, reversed.OutTradeNo}, numbers(b.Unannounced()))

	told, err := b.Acknowledge(paid.OutTradeNo, payflow.Acknowledgement{How: payflow.GoodsGiven, Operator: "P001"})
	require.NoError(t, err)
	assert.Equal(t, payflow.GoodsGiven, told.Acknowledged.How)
	head := b.Head()
	again, err := b.Acknowledge(paid.OutTradeNo, payflow.Acknowledgement{How: payflow.MoneyGivenBack})
	require.NoError(t, err)
	assert.Equal(t, told, again, "the first word stays")
	assert.Equal(t, head, b.Head())
	assert.Equal(t, []payflow.OutTradeNo{reversed.OutTradeNo}, numbers(b.Unannounced()))

	_, err = b.Acknowledge(open.OutTradeNo, payflow.Acknowledgement{How: payflow.Seen})
	var wrong *payflow.WrongStateError
	assert.ErrorAs(t, err, &wrong)
}

func TestALateSuccessIsTiedToAFinalPaymentAndPutsItOnTheList(t *testing.T) {
	b := newBook(t)
	entry := b.become(b.scan(b.arm("key 1", "A-1"), "134567890123456789"), payflow.Declined)
	assert.Empty(t, numbers(b.Unannounced()))
	_, err := b.Acknowledge(entry.OutTradeNo, payflow.Acknowledgement{How: payflow.Seen})
	require.NoError(t, err)
	entry, err = b.Link(entry.OutTradeNo, payflow.Link{Kind: "late_success", Ref: "4200001"})
	require.NoError(t, err)
	assert.Equal(t, payflow.Declined, entry.Status, "what is final stays (I5)")
	require.Len(t, entry.Links, 1)
	assert.Equal(t, b.Head().Sequence, entry.Links[0].Sequence)
	assert.Equal(t, []payflow.OutTradeNo{entry.OutTradeNo}, numbers(b.Unannounced()))
	_, err = b.Acknowledge(entry.OutTradeNo, payflow.Acknowledgement{How: payflow.MoneyGivenBack})
	require.NoError(t, err)
	assert.Empty(t, numbers(b.Unannounced()))
}

func TestACodeIsSpentUntilItsOrderIsKnownNotToHaveLeft(t *testing.T) {
	b := newBook(t)
	code, err := payflow.ParseAuthCode("134567890123456789", "", nil)
	require.NoError(t, err)
	hash := b.HashCode(code)
	_, _, found, err := b.ByCodeHash(hash)
	require.NoError(t, err)
	assert.False(t, found)

	first := b.scan(b.arm("key 1", "A-1"), code.Reveal())
	no, spent, found, err := b.ByCodeHash(hash)
	require.NoError(t, err)
	assert.True(t, found && spent)
	assert.Equal(t, first.OutTradeNo, no)

	first.CodeSpent = false
	first = b.become(first, payflow.Declined)
	_, spent, found, err = b.ByCodeHash(hash)
	require.NoError(t, err)
	assert.True(t, found)
	assert.False(t, spent, "not sent: good for another")

	second := b.scan(b.arm("key 2", "A-2"), code.Reveal())
	no, spent, _, err = b.ByCodeHash(hash)
	require.NoError(t, err)
	assert.True(t, spent)
	assert.Equal(t, second.OutTradeNo, no)
}

func TestADayListsItsPaymentsInPages(t *testing.T) {
	b := newBook(t)
	var march1, march2 []payflow.OutTradeNo
	for i := range 5 {
		march1 = append(march1, b.become(b.arm(fmt.Sprint("early ", i), fmt.Sprint("E-", i)), payflow.Cancelled).OutTradeNo)
	}
	b.now = b.now.Add(20 * time.Second)
	march2 = append(march2, b.become(b.arm("late", "L-1"), payflow.Cancelled).OutTradeNo)

	assert.Equal(t, march1[:2], numbers(b.Day("2026-03-01", "", 2)))
	assert.Equal(t, march1[2:4], numbers(b.Day("2026-03-01", march1[1], 2)))
	assert.Equal(t, march1[4:], numbers(b.Day("2026-03-01", march1[3], 2)))
	assert.Empty(t, numbers(b.Day("2026-03-01", march1[4], 2)))
	assert.Equal(t, march2, numbers(b.Day("2026-03-02", "", 10)))
	assert.Empty(t, numbers(b.Day("2026-03-03", "", 10)))
	assert.Equal(t, []payflow.OutTradeNo{march2[0], march1[4]}, numbers(b.Recent(2)))
}

func TestWeChatPaysDayIsThatOfTheSuccess(t *testing.T) {
	b := newBook(t)
	entry := b.scan(b.arm("key 1", "A-1"), "134567890123456789")
	assert.Equal(t, "2026-03-01", entry.WeChatDay)
	entry.Trade = payflow.Trade{State: payflow.TradeSuccess, SuccessTime: b.now.Add(15 * time.Second)}
	entry = b.become(entry, payflow.Paid)
	assert.Equal(t, "2026-03-02", entry.WeChatDay, "00:00:05 in GMT+8")
	assert.Equal(t, "2026-03-01", entry.StoreDay, "a payment stays on the day of its arming")
}

func TestTheJournalRefusesWhatNoStepMayDo(t *testing.T) {
	b := newBook(t)
	paid := b.paid("key 1", "A-1")
	reversing := b.become(b.arm("key 2", "A-2"), payflow.Reversing)
	head := b.Head()
	for name, after := range map[string]payflow.Payment{
		"a final status changes (I5)":   changed(paid, func(p *payflow.Payment) { p.Status = payflow.Reversed }),
		"paid after reversing (I13)":    changed(reversing, func(p *payflow.Payment) { p.Status = payflow.Paid }),
		"an order changes amount (I2)":  changed(reversing, func(p *payflow.Payment) { p.Amount.Minor = 1 }),
		"a payment that was never made": changed(reversing, func(p *payflow.Payment) { p.OutTradeNo = "NOBODY" }),
	} {
		_, err := b.Commit("pay_answered", payflow.Event{}, after)
		assert.Error(t, err, name)
	}
	assert.Equal(t, head, b.Head(), "nothing was written")
	b.arm("key 3", "A-3") // and the journal goes on
}

func TestAnEntryOfTheChainIsNeverWrittenOver(t *testing.T) {
	b := newBook(t)
	before := b.Head()
	b.arm("key 1", "A-1")
	b.Journal.head = before
	_, err := b.tryArm("key 2", "A-2")
	var damage *DamageError
	assert.ErrorAs(t, err, &damage)
	require.NoError(t, os.Remove(b.cfg.memoFile())) // it would hold the head that this test has made up
	b.reopen()
	assert.Len(t, numbers(b.Recent(9)), 1)
}

func changed(entry payflow.Entry, f func(*payflow.Payment)) payflow.Payment {
	f(&entry.Payment)
	return entry.Payment
}

func TestThePaymentThatPaidASaleIsFoundBehindAllThatCameAfter(t *testing.T) {
	b := newBook(t)
	_, found, err := b.PaidBySale("A-1")
	require.NoError(t, err)
	assert.False(t, found)

	paid := b.become(b.scan(b.arm("key 1", "A-1"), "134650720866361395"), payflow.Paid)
	for _, key := range []string{"key 2", "key 3"} {
		next := b.become(b.arm(key, "A-1"), payflow.Cancelled)
		assert.Greater(t, next.Attempt, paid.Attempt)
	}
	b.arm("key 4", "A-10")
	b.arm("key 5", "A-")
	no, found, err := b.PaidBySale("A-1")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, paid.OutTradeNo, no)
	for _, sale := range []payflow.SaleRef{"A-10", "A-", "A", "Z"} {
		_, found, err = b.PaidBySale(sale)
		require.NoError(t, err)
		assert.False(t, found, sale)
	}
	assert.Equal(t, 4, b.arm("key 6", "A-1").Attempt)
}

func TestNobodySeesAStepBeforeItIsOnDisk(t *testing.T) {
	b := newBook(t)
	entry := b.arm("key 1", "A-1")
	seen := make(chan error, 1)
	b.Journal.cfg.fault = func(step string) error {
		if step != "committed" {
			return nil
		}
		go func() { // the step is in the file, and nobody knows yet whether it is on disk
			_, err := b.Events(0, 10)
			seen <- err
		}()
		select {
		case err := <-seen:
			seen <- err
		case <-time.After(50 * time.Millisecond):
		}
		return syscall.EIO
	}
	after := entry.Payment
	after.Status = payflow.Cancelled
	_, err := b.Commit("expired", payflow.Event{}, after)
	require.ErrorIs(t, err, syscall.EIO)
	assert.ErrorIs(t, <-seen, payflow.ErrJournalClosed, "a step that failed was shown")
	b.Journal.cfg.fault = nil
	b.reopen()
}

func TestAfterAFailedCommitNothingIsReadOrWrittenUntilItIsOpenedAnew(t *testing.T) {
	for _, when := range []string{"commit", "committed"} {
		t.Run(when, func(t *testing.T) {
			b := newBook(t)
			entry := b.arm("key 1", "A-1")
			b.Journal.cfg.fault = func(step string) error {
				if step == when {
					return syscall.EIO
				}
				return nil
			}
			after := entry.Payment
			after.Status = payflow.Cancelled
			_, err := b.Commit("expired", payflow.Event{}, after)
			require.ErrorIs(t, err, payflow.ErrJournalClosed)
			require.ErrorIs(t, err, syscall.EIO)

			b.Journal.cfg.fault = nil
			_, err = b.tryArm("key 2", "A-2")
			assert.ErrorIs(t, err, payflow.ErrJournalClosed)
			_, err = b.Payment(entry.OutTradeNo)
			assert.ErrorIs(t, err, payflow.ErrJournalClosed)
			_, err = b.OpenPayments()
			assert.ErrorIs(t, err, payflow.ErrJournalClosed)

			b.reopen()
			open := numbers(b.OpenPayments())
			if when == "commit" {
				assert.Equal(t, []payflow.OutTradeNo{entry.OutTradeNo}, open)
			} else {
				assert.Empty(t, open, "the step was on disk, though it was said to have failed")
			}
		})
	}
}

func TestACommitThatTheDiskRefusesStopsTheJournal(t *testing.T) {
	b := newBook(t)
	b.arm("key 1", "A-1")
	require.NoError(t, b.Journal.file.Close()) // every write of bbolt's fails from here on
	_, err := b.tryArm("key 2", "A-2")
	require.ErrorIs(t, err, payflow.ErrJournalClosed)
	_ = b.Close()
	b.open()
	assert.Len(t, numbers(b.OpenPayments()), 1)
}

func TestNoPaymentCodeIsInAnyFile(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	require.NoError(t, b.SaveHead())
	require.NoError(t, filepath.WalkDir(filepath.Dir(filepath.Dir(b.cfg.File)), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		assert.False(t, bytes.Contains(content, []byte("134567890123456789")), path)
		return err
	}))
}

func TestManyReadersBesideOneWriter(t *testing.T) {
	b := newBook(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			_, err := b.OpenPayments()
			assert.NoError(t, err)
			_, err = b.Recent(5)
			assert.NoError(t, err)
			b.Head()
		}
	}()
	for i := range 20 {
		b.become(b.arm(fmt.Sprint("key ", i), fmt.Sprint("A-", i)), payflow.Cancelled)
	}
	<-done
}
