package queue

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// wechatBooks is WeChat Pay's side of a story, with books that no crash of the till touches. What a customer does is chosen by the order's sale.
type wechatBooks struct {
	mu     sync.Mutex
	orders map[payflow.OutTradeNo]*payflow.Trade
	asked  []payflow.OutTradeNo // queries, in their order
	pays   map[payflow.OutTradeNo]int
	lose   int  // so many of the next queries are lost
	claims bool // "no such order" comes without a signature
}

func newLedger() *wechatBooks {
	return &wechatBooks{orders: map[payflow.OutTradeNo]*payflow.Trade{}, pays: map[payflow.OutTradeNo]int{}}
}

func (l *wechatBooks) Pay(ctx context.Context, o payflow.Order, _ payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	select {
	case <-leave:
	case <-ctx.Done():
		return payflow.Outcome{}, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pays[o.OutTradeNo]++
	if strings.HasPrefix(string(o.SaleRef), "declined") {
		return payflow.Outcome{Kind: payflow.Refused, Code: "NOTENOUGH", Reason: payflow.ReasonNotEnough}, nil
	}
	t := &payflow.Trade{State: payflow.TradeSuccess, OutTradeNo: o.OutTradeNo, Amount: o.Amount, MerchantID: o.Merchant.MerchantID,
		Attach: o.Tag.Attach(o.Attach), TransactionID: payflow.TransactionID("42000" + string(o.SaleRef)), SuccessTime: time.Now()}
	l.orders[o.OutTradeNo] = t
	switch {
	case strings.HasPrefix(string(o.SaleRef), "paid"):
		return payflow.Outcome{Kind: payflow.Found, Trade: *t}, nil
	case strings.HasPrefix(string(o.SaleRef), "open"): // paid, and the answer lost
		return lost(o)
	}
	t.State = payflow.TradeNotPay // "reversed": the customer never enters the password
	return payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeUserPaying}}, nil
}

func (l *wechatBooks) Query(_ context.Context, o payflow.Order) (payflow.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, o.OutTradeNo)
	if l.lose > 0 {
		l.lose--
		return lost(o)
	}
	if t := l.orders[o.OutTradeNo]; t != nil {
		return payflow.Outcome{Kind: payflow.Found, Trade: *t}, nil
	}
	if l.claims {
		return payflow.Outcome{}, &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonUnverified, Claim: payflow.NoSuchOrder}, Err: fmt.Errorf("unsigned")}
	}
	return payflow.Outcome{Kind: payflow.NoSuchOrder}, nil
}

func (l *wechatBooks) Reverse(_ context.Context, o payflow.Order) (payflow.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.orders[o.OutTradeNo]; t != nil {
		t.State = payflow.TradeRevoked
	}
	return payflow.Outcome{Kind: payflow.ReverseDone}, nil
}

func (l *wechatBooks) KeepWarm(bool) {}

// held are the orders that WeChat Pay holds money for.
func (l *wechatBooks) held() map[payflow.OutTradeNo]payflow.Trade {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := map[payflow.OutTradeNo]payflow.Trade{}
	for no, t := range l.orders {
		if t.State == payflow.TradeSuccess {
			held[no] = *t
		}
	}
	return held
}

// counter is a till before the wechatBooks, in a bubble of fake time, whose disk a story damages.
type counter struct {
	t           *testing.T
	folder      string
	cfg         JournalConfig
	wechatBooks *wechatBooks
	journal     *Journal
	engine      *Engine
	scans       int
	refunds     *cashbox // nil: this till makes none
	stop        func()
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	folder := t.TempDir()
	c := &counter{t: t, folder: folder, wechatBooks: newLedger(), cfg: JournalConfig{File: filepath.Join(folder, "data", "journal.db"),
		KeyFile: filepath.Join(folder, "keys", "journal.key"), StoreID: "SZTX001", TillID: "T1", Location: time.UTC}}
	c.start()
	return c
}

func (c *counter) start() {
	c.t.Helper()
	var err error
	c.journal, err = OpenJournal(c.cfg)
	require.NoError(c.t, err)
	var refunds RefundGateway
	if c.refunds != nil {
		c.refunds.journal, refunds = c.journal, c.refunds
	}
	c.engine, err = NewEngine(Config{Refunds: refunds, Journal: c.journal, Gateway: c.wechatBooks, Merchant: payflow.Merchant{Mode: payflow.Direct, AppID: "wx1", MerchantID: "10000100"},
		Store: payflow.Store{ID: "SZTX001", Name: "Shop", Till: "T1"}, API: payflow.APIv3, HostFamily: "https://a", Log: zerolog.Nop()})
	require.NoError(c.t, err)
	ctx, stop := context.WithCancel(c.t.Context())
	var parts sync.WaitGroup
	engine, journal := c.engine, c.journal
	parts.Go(func() { _ = engine.Run(ctx) })
	c.stop = sync.OnceFunc(func() {
		stop()
		parts.Wait()
		require.NoError(c.t, journal.Close())
	})
	synctest.Wait()
}

// sell makes one sale of that kind and returns its payment as it stands a moment later.
func (c *counter) sell(sale string) payflow.Entry {
	c.t.Helper()
	entry, err := c.engine.Arm(c.t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, SaleRef: payflow.SaleRef(sale), IdempotencyKey: "key-" + sale})
	require.NoError(c.t, err)
	if strings.HasPrefix(sale, "nobody") { // the customer goes away before the scan
		_, err = c.engine.Cancel(c.t.Context(), entry.OutTradeNo, "P001")
		require.NoError(c.t, err)
		return entry
	}
	c.scans++
	_, err = c.engine.Scan(c.t.Context(), fmt.Sprintf("13%016d", c.scans), "", "scanner")
	require.NoError(c.t, err)
	wait := time.Second
	if strings.HasPrefix(sale, "reversed") {
		wait = 2 * time.Minute
	}
	time.Sleep(wait)
	entry, err = c.engine.Payment(entry.OutTradeNo)
	require.NoError(c.t, err)
	return entry
}

func (c *counter) backup(more ...func(*BackupOptions)) Backup {
	c.t.Helper()
	require.NoError(c.t, os.MkdirAll(filepath.Join(c.folder, "backup"), 0o700))
	o := BackupOptions{To: filepath.Join(c.folder, "backup", BackupName("SZTX001", "T1", time.Now()))}
	for _, change := range more {
		change(&o)
	}
	made, err := c.journal.Backup(c.t.Context(), o)
	require.NoError(c.t, err)
	return made
}

func (c *counter) restore(from string, more ...func(*RestoreOptions)) Restored {
	c.t.Helper()
	done, err := c.tryRestore(from, more...)
	require.NoError(c.t, err)
	return done
}

func (c *counter) tryRestore(from string, more ...func(*RestoreOptions)) (Restored, error) {
	o := RestoreOptions{From: from, Operator: "ANNA", Reason: "the disk died"}
	for _, change := range more {
		change(&o)
	}
	return RestoreBackup(c.t.Context(), c.cfg, o)
}

// tearOut spoils the middle of the journal's file.
func (c *counter) tearOut() {
	c.t.Helper()
	file, err := os.OpenFile(c.cfg.File, os.O_RDWR, 0)
	require.NoError(c.t, err)
	info, err := file.Stat()
	require.NoError(c.t, err)
	_, err = file.WriteAt(make([]byte, info.Size()-int64(2*os.Getpagesize())), int64(2*os.Getpagesize()))
	require.NoError(c.t, err)
	require.NoError(c.t, file.Close())
}

func (c *counter) verify(heads ...Head) Report {
	c.t.Helper()
	report, err := c.journal.Verify(c.t.Context(), heads)
	require.NoError(c.t, err)
	return report
}

// askToTheEnd lets the till ask for everything that was lost.
func (c *counter) askToTheEnd() {
	c.t.Helper()
	require.NoError(c.t, c.engine.AskAfterRestore(c.t.Context()))
	asking, _, err := c.journal.AfterRestore()
	require.NoError(c.t, err)
	require.False(c.t, asking)
}

func inStore(t *testing.T, tell func(t *testing.T, c *counter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		defer func() { c.stop() }()
		tell(t, c)
		for no, times := range c.wechatBooks.pays {
			assert.Equal(t, 1, times, "pay calls under %s", no)
		}
	})
}

// ways of losing the journal.
var losses = map[string]func(c *counter){
	"its pages are torn":     func(c *counter) { c.tearOut() },
	"the file is gone":       func(c *counter) { require.NoError(c.t, os.Remove(c.cfg.File)) },
	"the file is empty":      func(c *counter) { require.NoError(c.t, os.Truncate(c.cfg.File, 0)) },
	"the file is half of it": func(c *counter) { require.NoError(c.t, os.Truncate(c.cfg.File, 20<<10)) },
}

func TestEverythingAfterTheBackupIsFoundAndNothingIsChargedTwice(t *testing.T) {
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			inStore(t, func(t *testing.T, c *counter) {
				seen := map[payflow.OutTradeNo]bool{}
				sell := func(sale string) payflow.OutTradeNo {
					no := c.sell(sale).OutTradeNo
					require.False(t, seen[no], "a number never comes again")
					seen[no] = true
					return no
				}
				kept := sell("paid-1")
				sell("declined-1")
				made := c.backup()

				var lostPaid []payflow.OutTradeNo
				for i := range 3 {
					lostPaid = append(lostPaid, sell(fmt.Sprint("paid-2-", i)))
					sell(fmt.Sprint("nobody-", i))
				}
				sell("declined-2")
				reversed := sell("reversed-2")
				require.Equal(t, payflow.TradeRevoked, c.wechatBooks.orders[reversed].State)
				time.Sleep(20 * time.Hour) // into the next day
				lostPaid = append(lostPaid, sell("paid-3"))
				open := sell("open-4") // paid at WeChat Pay, and the till killed before it knew
				lostPaid = append(lostPaid, open)
				end := c.journal.Head()
				c.stop()
				lose(c)

				done := c.restore(made.File)
				assert.Equal(t, made.Head, done.Backup.Head)
				assert.Equal(t, end.Sequence, done.Lost.Sequence, "the memo beside the key names what is gone")
				c.start()
				c.askToTheEnd()

				found, err := c.engine.FoundAfterRestore()
				require.NoError(t, err)
				byNumber := map[payflow.OutTradeNo]payflow.FoundAfterRestore{}
				for _, f := range found {
					byNumber[f.OutTradeNo] = f
				}
				require.Len(t, found, len(lostPaid), "the reversed one needs nobody")
				for _, no := range lostPaid {
					f, trade := byNumber[no], c.wechatBooks.orders[no]
					assert.Equal(t, trade.TransactionID, f.TransactionID)
					assert.Equal(t, trade.Amount, f.Amount)
					assert.True(t, trade.SuccessTime.Equal(f.SuccessTime))
					_, err := c.engine.Payment(no)
					assert.ErrorIs(t, err, payflow.ErrNoPayment, "never a payment, and so never Paid (I4)")
				}
				all, err := c.journal.FoundAfterRestore(true)
				require.NoError(t, err)
				assert.Len(t, all, len(lostPaid)+1)
				for no, trade := range c.wechatBooks.held() { // silent losses: none
					entry, err := c.engine.Payment(no)
					assert.True(t, err == nil && entry.Status == payflow.Paid || byNumber[no].TransactionID == trade.TransactionID, no)
				}
				assert.Equal(t, payflow.Paid, mustPayment(c, kept).Status)
				assert.NotZero(t, c.wechatBooks.held()[open], "nothing is reversed by itself")

				c.sell("paid-1b")
				sell("paid-5")
				report := c.verify()
				assert.True(t, report.Clean(), report.String())
				report = c.verify(end)
				require.Len(t, report.Findings, 1)
				assert.Equal(t, FoundInGap, report.Findings[0].Kind, "a head of the lost part is told from a tampered one by its gap")
				assert.Contains(t, report.Findings[0].Text, "by ANNA")
				assert.NotEmpty(t, report.Notes)
				c.settleAll()
			})
		})
	}
}

func mustPayment(c *counter, no payflow.OutTradeNo) payflow.Entry {
	c.t.Helper()
	entry, err := c.engine.Payment(no)
	require.NoError(c.t, err)
	return entry
}

// settleAll has a person settle each found order, and sees that the journal holds that.
func (c *counter) settleAll() {
	c.t.Helper()
	found, err := c.engine.FoundAfterRestore()
	require.NoError(c.t, err)
	for _, f := range found {
		_, err := c.engine.SettleFound(c.t.Context(), f.OutTradeNo, "", "no name")
		require.Error(c.t, err)
		settled, err := c.engine.SettleFound(c.t.Context(), f.OutTradeNo, "MANAGER", "goods were given")
		require.NoError(c.t, err)
		assert.Equal(c.t, "MANAGER", settled.Settled.Operator)
		again, err := c.engine.SettleFound(c.t.Context(), f.OutTradeNo, "ANOTHER", "refunded")
		require.NoError(c.t, err)
		assert.Equal(c.t, "MANAGER", again.Settled.Operator, "the first word stays")
	}
	left, err := c.engine.FoundAfterRestore()
	require.NoError(c.t, err)
	assert.Empty(c.t, left)
	_, err = c.engine.SettleFound(c.t.Context(), "NOBODY", "MANAGER", "")
	require.ErrorIs(c.t, err, payflow.ErrNoPayment)
	report := c.verify()
	assert.True(c.t, report.Clean(), report.String())
}

func TestAnOpenPaymentOfTheBackupGoesTheOrdinaryWay(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.wechatBooks.lose = 1000
		open := c.sell("open-1")
		require.True(t, open.Open())
		made := c.backup()
		c.stop()
		c.tearOut()
		c.restore(made.File)
		c.wechatBooks.lose = 0
		c.start()
		time.Sleep(time.Minute)
		assert.Equal(t, payflow.Paid, mustPayment(c, open.OutTradeNo).Status, "asked for as after any start (rule 11)")
	})
}

func TestTheAskingGoesOnOverLossesKillsAndCustomers(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		var lostOnes []payflow.OutTradeNo
		for i := range 60 {
			lostOnes = append(lostOnes, c.sell(fmt.Sprint("paid-2-", i)).OutTradeNo)
		}
		c.stop()
		c.tearOut()
		c.restore(made.File)
		for kills := 0; ; kills++ {
			require.Less(t, kills, 200, "it must end")
			c.start()
			c.wechatBooks.lose = 2
			ctx, kill := context.WithTimeout(t.Context(), 40*time.Second)
			err := c.engine.AskAfterRestore(ctx)
			kill()
			if kills == 1 {
				began := len(c.wechatBooks.asked)
				_, armErr := c.engine.Arm(t.Context(), armRequest("paid-held"))
				require.NoError(t, armErr)
				ctx, kill := context.WithTimeout(t.Context(), 40*time.Second)
				_ = c.engine.AskAfterRestore(ctx)
				kill()
				assert.Len(t, c.wechatBooks.asked, began, "a customer who waits at the till comes first")
			}
			if err == nil {
				break
			}
			c.stop()
		}
		found, err := c.engine.FoundAfterRestore()
		require.NoError(t, err)
		var got []payflow.OutTradeNo
		for _, f := range found {
			got = append(got, f.OutTradeNo)
		}
		assert.ElementsMatch(t, lostOnes, got)
		report := c.verify()
		assert.True(t, report.Clean(), report.String())
	})
}

func TestAnAbsenceWithoutASignatureIsCountedAndSaid(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		no := c.sell("paid-2").OutTradeNo
		c.stop()
		c.tearOut()
		c.restore(made.File)
		c.wechatBooks.claims = true
		c.start()
		c.askToTheEnd()
		found, err := c.engine.FoundAfterRestore()
		require.NoError(t, err)
		require.Len(t, found, 1)
		assert.Equal(t, no, found[0].OutTradeNo)
		_, text, err := c.journal.AfterRestore()
		require.NoError(t, err)
		assert.Contains(t, text, "carried no signature")
		assert.Contains(t, text, ": 1 orders found", "all searches together, and not the last alone")
	})
}

// What came between two restores of one backup was drawn with characters that no backup holds; the journal that is replaced still does.
func TestASecondRestoreOfOneBackupFindsWhatBothLost(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		first := c.sell("paid-2").OutTradeNo
		c.stop()
		require.NoError(t, os.Remove(c.cfg.File))
		c.restore(made.File)
		c.start()
		second := c.sell("paid-3").OutTradeNo
		c.stop()
		c.spoilPayment(second)
		c.restore(made.File)
		c.start()
		c.askToTheEnd()
		found, err := c.engine.FoundAfterRestore()
		require.NoError(t, err)
		var got []payflow.OutTradeNo
		for _, f := range found {
			got = append(got, f.OutTradeNo)
		}
		assert.ElementsMatch(t, []payflow.OutTradeNo{first, second}, got)
	})
}

// spoilPayment flips a bit in each copy of a payment's record, so that the journal opens and is found damaged.
func (c *counter) spoilPayment(no payflow.OutTradeNo) {
	c.t.Helper()
	b := &book{t: c.t, cfg: c.cfg}
	for _, at := range copiesIn(b.copyOf(), []byte(`"out_trade_no":"`+string(no)), 3) {
		b.flip(at, 1)
	}
}

func TestVerifyFindsAFoundOrderThatWasChangedOrTakenAway(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		no := c.sell("paid-2").OutTradeNo
		c.stop()
		c.tearOut()
		c.restore(made.File)
		c.start()
		c.askToTheEnd()
		c.stop()
		whole, err := os.ReadFile(c.cfg.File)
		require.NoError(t, err)
		for name, change := range map[string]func(bucket *bbolt.Bucket) error{
			"an amount": func(bucket *bbolt.Bucket) error {
				return bucket.Put([]byte(no), bytes.Replace(bytes.Clone(bucket.Get([]byte(no))), []byte("1250"), []byte("1350"), 1))
			},
			"taken away": func(bucket *bbolt.Bucket) error { return bucket.Delete([]byte(no)) },
		} {
			require.NoError(t, os.WriteFile(c.cfg.File, whole, 0o600))
			db, err := bbolt.Open(c.cfg.File, 0o600, nil)
			require.NoError(t, err)
			require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket(bucketFound)) }))
			require.NoError(t, db.Close())
			c.start()
			report := c.verify()
			require.NotEmpty(t, report.Findings, name)
			assert.Equal(t, FoundState, report.Findings[0].Kind, name)
			assert.Equal(t, no, report.Findings[0].OutTradeNo, name)
			c.stop()
		}
	})
}

func TestASearchAsksDayByDayAndEnds(t *testing.T) {
	s := search{Store: "SZTX001", Till: "T1", Random: "AAAAA", From: "2026-03-01", To: "2026-03-03", Day: "2026-03-01", Last: 7, Next: 8}
	exists := map[string]bool{}
	for _, at := range []struct {
		day     string
		counter uint64
	}{{"2026-03-01", 8}, {"2026-03-01", 107}, {"2026-03-03", 108}, {"2026-03-03", 110}} {
		day, err := time.Parse(time.DateOnly, at.day)
		require.NoError(t, err)
		exists[string(outTradeNo("SZTX001", "T1", day, at.counter, "AAAAA"))] = true
	}
	asked := map[payflow.OutTradeNo]bool{}
	for s.Done.IsZero() {
		no := s.number()
		require.False(t, asked[no], "nothing is asked for twice")
		require.True(t, CheckOutTradeNo(no), no)
		asked[no] = true
		s.answered(exists[string(no)], time.Unix(1, 0))
	}
	assert.Equal(t, 4, s.Found)
	assert.Equal(t, s.Asked, len(asked))
	assert.False(t, s.Cut)

	s = search{Store: "S", Till: "T", Random: "AAAAA", From: "1970-01-01", To: "9000-01-01", Day: "1970-01-01", Next: 1}
	for s.Done.IsZero() {
		s.answered(false, time.Unix(1, 0))
	}
	assert.True(t, s.Cut)
	assert.Contains(t, s.String(), "not all were asked for")
}

// The backup was made between the arming and the scan: the payment waits in it, and has a number that is not asked for as a lost one.
func TestAPaymentThatWaitedInTheBackupIsAskedForAfterTheRestore(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		entry, err := c.engine.Arm(t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, SaleRef: "paid-1", IdempotencyKey: "key-1"})
		require.NoError(t, err)
		made := c.backup()
		_, err = c.engine.Scan(t.Context(), "130000000000000001", "", "scanner")
		require.NoError(t, err)
		time.Sleep(time.Second)
		paid, err := c.engine.Payment(entry.OutTradeNo)
		require.NoError(t, err)
		require.Equal(t, payflow.Paid, paid.Status)
		c.stop()
		c.tearOut()
		c.restore(made.File)
		c.start()
		time.Sleep(5 * time.Minute)
		c.askToTheEnd()
		again, err := c.engine.Payment(entry.OutTradeNo)
		require.NoError(t, err)
		assert.Equal(t, payflow.Paid, again.Status)
		assert.Contains(t, c.wechatBooks.held(), entry.OutTradeNo)
		assert.True(t, c.verify().Clean())
	})
}

// The same where somebody put an older copy of the file in place by hand: the start notices that entries are missing.
func TestAPaymentThatWaitedInAnOlderCopyIsAskedForAtTheStart(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.open()
	waiting := b.arm("key 1", "A-1").OutTradeNo
	older := b.copyOf()
	b.scan(b.payment(waiting), "134567890123456789")
	require.NoError(t, b.Close())
	b.putBack(older)
	b.open()
	require.NotEmpty(t, b.FoundAtStart())
	assert.Equal(t, payflow.Paying, b.payment(waiting).Status)
	assert.True(t, b.payment(waiting).CodeSpent)
	require.NoError(t, b.Close())
	b.open()
	assert.Equal(t, payflow.Paying, b.payment(waiting).Status)
}

func (b *book) payment(no payflow.OutTradeNo) payflow.Entry {
	b.t.Helper()
	entry, err := b.Payment(no)
	require.NoError(b.t, err)
	return entry
}

// The PC died, and another one is set up with the copy of the key: the list of starts died with it. What the start that made the backup sold is found, and
// what a later one sold can't be asked for. A restore that called this nothing would lose it without a word.
func TestARestoreWithoutTheListOfStartsSaysWhatItCannotAskFor(t *testing.T) {
	for name, change := range map[string]func(c *counter){
		"gone":    func(c *counter) { require.NoError(c.t, os.Remove(c.cfg.startsFile())) },
		"damaged": func(c *counter) { require.NoError(c.t, os.WriteFile(c.cfg.startsFile(), []byte("x\n"), 0o600)) },
		"begun anew": func(c *counter) {
			one := journalStart{Random: "ZZZZZ", Day: "2000-01-01", Count: 1}
			require.NoError(c.t, os.WriteFile(c.cfg.startsFile(), startsText(c.journal.keys, []journalStart{one}), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inStore(t, func(t *testing.T, c *counter) {
				c.sell("paid-1")
				made := c.backup()
				c.stop()
				c.start()
				lost := c.sell("paid-2").OutTradeNo
				c.stop()
				require.NoError(t, os.Remove(c.cfg.File))
				change(c)
				done := c.restore(made.File)
				assert.True(t, done.StartsUnknown)
				c.start()
				c.askToTheEnd()
				found, err := c.journal.FoundAfterRestore(true)
				require.NoError(t, err)
				require.Empty(t, found, "%s can't be asked for", lost)
				_, text, err := c.journal.AfterRestore()
				require.NoError(t, err)
				assert.Contains(t, text, "compare the statement of each day from "+made.At.Format(time.DateOnly))
				events, err := c.journal.Events(0, listMax)
				require.NoError(t, err)
				said := ""
				for _, e := range events {
					if e.Kind == EventSearched {
						said += e.Note
					}
				}
				assert.Contains(t, said, "compare the statement of each day", "the journal says so for good")
			})
		})
	}
}

func TestARestoreWithTheListOfStartsHasNothingMoreToSay(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		c.stop()
		c.start()
		c.sell("paid-2")
		c.stop()
		require.NoError(t, os.Remove(c.cfg.File))
		assert.False(t, c.restore(made.File).StartsUnknown)
		c.start()
		c.askToTheEnd()
		_, text, err := c.journal.AfterRestore()
		require.NoError(t, err)
		assert.NotContains(t, text, "compare the statement")
	})
}

// A PC whose clock stands years back is a common one to need a restore. The days that are searched are those since the backup, up to what the clock says
// once it is right.
func TestARestoreByAClockThatWasSetBackSearchesTheDaysSinceTheBackup(t *testing.T) {
	for name, back := range map[string]time.Duration{"years": 30 * 365 * 24 * time.Hour, "a month": 30 * 24 * time.Hour, "a day": 24 * time.Hour, "two days": 48 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			inStore(t, func(t *testing.T, c *counter) {
				c.sell("paid-1")
				made := c.backup()
				time.Sleep(48 * time.Hour)
				lost := c.sell("paid-2").OutTradeNo
				c.stop()
				c.tearOut()
				c.cfg.Now = func() time.Time { return time.Now().Add(-back) }
				c.restore(made.File)
				c.cfg.Now = nil
				c.start()
				c.askToTheEnd()
				found, err := c.engine.FoundAfterRestore()
				require.NoError(t, err)
				require.Len(t, found, 1)
				assert.Equal(t, lost, found[0].OutTradeNo)
				_, text, err := c.journal.AfterRestore()
				require.NoError(t, err)
				assert.NotContains(t, text, "compare the statement", "a few days were asked for, and all of them")
			})
		})
	}
}

// As long as the clock stands before the backup, nobody knows how many days there are to ask for: then it is said.
func TestASearchByAClockThatStaysBehindSaysSo(t *testing.T) {
	s := search{Store: "S", Till: "T", Random: "AAAAA", Since: "2026-03-05", From: "2026-03-05", To: "2026-03-05", Day: "2026-03-05", Next: 1}
	for s.Done.IsZero() {
		s.answered(false, time.Unix(1, 0).UTC())
	}
	assert.Contains(t, s.String(), "compare the statement of each day from 2026-03-05 on")
}

// What is still to be asked of WeChat Pay is one record: taken away, nothing would be asked, and nothing be missed.
func TestVerifyFindsThatWhatIsToBeAskedWasChangedOrTakenAway(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		c.sell("paid-2")
		c.stop()
		c.tearOut()
		c.restore(made.File)
		b := &book{t: t, cfg: c.cfg}
		whole := b.copyOf()
		for name, change := range map[string]func(about *bbolt.Bucket) error{
			"taken away": func(about *bbolt.Bucket) error { return about.Delete(keySearches) },
			"changed": func(about *bbolt.Bucket) error {
				return about.Put(keySearches, bytes.Replace(bytes.Clone(about.Get(keySearches)), []byte(`"next":`), []byte(`"next":9`), 1))
			},
		} {
			b.putBack(whole)
			db, err := bbolt.Open(c.cfg.File, 0o600, nil)
			require.NoError(t, err)
			require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket(bucketAbout)) }))
			require.NoError(t, db.Close())
			c.start()
			report := c.verify()
			require.NotEmpty(t, report.Findings, name)
			assert.Contains(t, report.Findings[0].Text, "search", name)
			c.stop()
		}
		b.putBack(whole)
		c.start()
		report := c.verify()
		assert.True(t, report.Clean(), report.String())
	})
}

// A clock that ran ahead, and was put right since: the numbers of its start carry days that have not come.
func TestWhatWasSoldByAClockThatRanAheadIsFound(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.sell("paid-1")
		made := c.backup()
		c.stop()
		c.cfg.Now = func() time.Time { return time.Now().Add(30 * time.Hour) }
		c.start()
		lost := c.sell("paid-2").OutTradeNo
		c.stop()
		c.tearOut()
		c.cfg.Now = nil
		c.restore(made.File)
		c.start()
		c.askToTheEnd()
		found, err := c.engine.FoundAfterRestore()
		require.NoError(t, err)
		require.Len(t, found, 1)
		assert.Equal(t, lost, found[0].OutTradeNo)
	})
}

// What lies beside the key tells a restore what was lost and what to ask for: a disk that fails to read it changes nothing.
func TestARestoreThatTheDiskFailsToReadForPutsNothingInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		made := c.backup()
		c.sell("paid-1")
		c.stop()
		c.tearOut()
		was, err := os.ReadFile(c.cfg.File)
		require.NoError(t, err)
		for _, path := range []string{c.cfg.startsFile(), c.cfg.memoFile()} {
			c.cfg.unread = func(of string) error {
				if of == path {
					return syscall.EIO
				}
				return nil
			}
			_, err := c.tryRestore(made.File)
			var open *OpenError
			require.ErrorAs(t, err, &open, path)
			assert.Equal(t, OpenUnreadable, open.Kind)
			now, err := os.ReadFile(c.cfg.File)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(was, now), path)
		}
		c.cfg.unread = nil
		assert.False(t, c.restore(made.File).StartsUnknown)
	})
}

// A request that left before the restore may be taken on after it. A refusal of the same refund says nothing of that one, and must not be believed before
// it can't arrive any more: who asked would ask anew under another key, and both would be paid.
func TestARefusalRightAfterARestoreIsNotBelievedWhileALostRequestMayArrive(t *testing.T) {
	for name, wishedBefore := range map[string]bool{"the wish is in the backup": true, "the wish was lost too": false} {
		t.Run(name, func(t *testing.T) {
			inStore(t, func(t *testing.T, c *counter) {
				c.refunds = &cashbox{meets: func(call string, _ payflow.RefundOrder) string { return map[string]string{"list": "lost"}[call] }}
				c.stop()
				c.start()
				no := c.sell("paid-1").OutTradeNo
				ask := func() payflow.RefundEntry {
					entry, err := c.engine.Refund(t.Context(), payflow.RefundRequest{OutTradeNo: no, Amount: payflow.Amount{Minor: 250}, Reason: "broken", IdempotencyKey: "k1"})
					require.NoError(t, err)
					synctest.Wait()
					return entry
				}
				if wishedBefore {
					ask()
				}
				made := c.backup()
				c.stop() // its request left a moment before the disk died, and is on its way
				c.tearOut()
				c.restore(made.File)
				c.refunds.set(func(call string, _ payflow.RefundOrder) string { return map[string]string{"refund": "refused"}[call] })
				c.start()
				began := time.Now()
				entry := ask()
				time.Sleep(10 * time.Minute)
				now, err := c.engine.RefundOf(entry.OutRefundNo)
				require.NoError(t, err)
				assert.Equal(t, payflow.RefundRequested, now.Status, "it is asked about while the lost request may arrive")
				for now.Open() {
					time.Sleep(10 * time.Second)
					now, err = c.engine.RefundOf(entry.OutRefundNo)
					require.NoError(t, err)
				}
				assert.GreaterOrEqual(t, time.Since(began), payflow.RefundRequestLife)
				assert.Less(t, time.Since(began), payflow.RefundRequestLife+time.Minute)
				assert.Equal(t, payflow.ReasonRefundNoFunds, now.Why)
				assert.Empty(t, c.refunds.wrongs())
			})
		})
	}
}

// The sale's key went with the journal, so that the till software's repeat would be a new payment. The order itself names its sale.
func TestASaleWhoseOrderARestoreLostIsNotChargedAgain(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		made := c.backup()
		lost := c.sell("paid-1").OutTradeNo
		c.stop()
		c.tearOut()
		c.restore(made.File)
		c.start()
		c.askToTheEnd()
		again := payflow.ArmRequest{Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, SaleRef: "paid-1", IdempotencyKey: "key-paid-1"}
		_, err := c.engine.Arm(t.Context(), again)
		var paid *payflow.AlreadyPaidError
		require.ErrorAs(t, err, &paid)
		assert.Equal(t, payflow.AlreadyPaidError{ID: lost, Found: true}, *paid)
		assert.Contains(t, err.Error(), "posagent journal found")

		_, err = c.engine.SettleFound(t.Context(), lost, "ANNA", "goods were given")
		require.NoError(t, err)
		_, err = c.engine.Arm(t.Context(), again)
		require.ErrorAs(t, err, &paid, "WeChat Pay still holds the money")
		c.sell("paid-10")
		again.AdditionalTender = true
		_, err = c.engine.Arm(t.Context(), again)
		require.NoError(t, err, "the customer pays more")
	})
}
