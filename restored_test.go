package posagent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/queue"
	"posagent/wxclient"
	"posagent/wxsim"
)

// lostTill is a till of the house whose disk a story may take: the real journal, engine and client before simulated WeChat Pay, in fake time.
type lostTill struct {
	t        *testing.T
	sim      *wxsim.Sim
	line     *memoryNet
	setUp    wxclient.Config
	merchant payflow.Merchant
	dir      string
	files    queue.JournalConfig
	journal  *queue.Journal
	engine   *queue.Engine
	sales    int
	stop     func()
}

func newLostTill(t *testing.T) *lostTill {
	t.Helper()
	sim, err := wxsim.New(wxsim.Config{Keys: houseKeys()})
	require.NoError(t, err)
	l := &lostTill{t: t, sim: sim, line: newMemoryNet(), dir: t.TempDir()}
	go sim.Serve(l.line)
	k, err := sim.Credentials("")
	require.NoError(t, err)
	l.merchant = payflow.Merchant{Mode: payflow.Mode(k.Mode), AppID: k.AppID, MerchantID: k.MerchantID, SubMerchantID: k.SubMerchantID, CategoryCode: k.CategoryCode}
	l.setUp = wxclient.Config{Hosts: []string{"https://" + houseHost}, RootCAs: k.Roots, Merchant: l.merchant, SerialNo: k.Serial, PrivateKey: k.Key,
		APIv3Key: []byte(k.APIv3Key), Dial: l.line.dial}
	l.files = queue.JournalConfig{File: filepath.Join(l.dir, "journal.db"), KeyFile: filepath.Join(l.dir, "keys", "journal.key"),
		StoreID: "SZTX001", TillID: "T1", Location: time.UTC}
	l.start()
	return l
}

func (l *lostTill) start() {
	l.t.Helper()
	client, err := wxclient.New(l.setUp)
	require.NoError(l.t, err)
	l.journal, err = queue.OpenJournal(l.files)
	require.NoError(l.t, err)
	l.engine, err = queue.NewEngine(queue.Config{Journal: l.journal, Gateway: client, Merchant: l.merchant, API: payflow.APIv3, HostFamily: "https://" + houseHost,
		Store: payflow.Store{ID: "SZTX001", Name: "Shop", Till: "T1"}, Log: zerolog.Nop()})
	require.NoError(l.t, err)
	ctx, stop := context.WithCancel(l.t.Context())
	var parts sync.WaitGroup
	engine, journal := l.engine, l.journal
	parts.Go(func() { client.Run(ctx) })
	parts.Go(func() { assert.NoError(l.t, engine.Run(ctx)) })
	l.stop = sync.OnceFunc(func() {
		stop()
		parts.Wait()
		client.Close()
		assert.NoError(l.t, journal.Close())
	})
	synctest.Wait()
}

// sell makes one sale and follows it until it is as it should be.
func (l *lostTill) sell(scenario string, as func(payflow.Entry) bool) payflow.OutTradeNo {
	l.t.Helper()
	l.sales++
	entry, err := l.engine.Arm(l.t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: int64(1000 + l.sales), Currency: "HKD"},
		SaleRef: payflow.SaleRef(fmt.Sprint("sale-", l.sales)), IdempotencyKey: fmt.Sprint("key-", l.sales)})
	require.NoError(l.t, err, scenario)
	_, err = l.engine.Scan(l.t.Context(), wxsim.CodeFor(scenario, l.sales), "", "scanner")
	require.NoError(l.t, err, scenario)
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		entry, err = l.engine.Payment(entry.OutTradeNo)
		require.NoError(l.t, err)
		if as(entry) {
			return entry.OutTradeNo
		}
		require.Less(l.t, time.Since(began), 5*time.Minute, "%s is %s still", scenario, entry.Status)
	}
}

// With the real client and its signatures: what the restored journal lost is found by its numbers alone, whatever had become of it.
func TestARestoredTillFindsByItsNumbersWhatWeChatPayHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLostTill(t)
		defer func() { l.stop(); l.sim.Close() }()
		kept := l.sell("pays-at-once", ended)
		backup := filepath.Join(l.dir, "one.backup")
		made, err := l.journal.Backup(t.Context(), queue.BackupOptions{To: backup})
		require.NoError(t, err)

		lost := map[payflow.OutTradeNo]bool{}
		for _, scenario := range []string{"pays-at-once", "no-money", "password-never", "hidden-deduction", "answer-lost", "pays-in-the-gap", "pays-at-once"} {
			lost[l.sell(scenario, ended)] = true
		}
		time.Sleep(26 * time.Hour)
		lost[l.sell("pays-at-once", ended)] = true
		lost[l.sell("password-late", func(e payflow.Entry) bool { return e.Status == payflow.Confirming })] = true // open when the disk dies
		head := l.journal.Head()
		l.stop()
		require.NoError(t, os.Truncate(l.files.File, 30<<10))
		done, err := queue.RestoreBackup(t.Context(), l.files, queue.RestoreOptions{From: backup, Operator: "ANNA", Reason: "disk died"})
		require.NoError(t, err)
		assert.Equal(t, made.Head, done.Backup.Head)
		l.start()
		require.NoError(t, l.engine.AskAfterRestore(t.Context()))

		all, err := l.journal.FoundAfterRestore(true)
		require.NoError(t, err)
		found := map[payflow.OutTradeNo]payflow.FoundAfterRestore{}
		for _, f := range all {
			assert.True(t, lost[f.OutTradeNo], f.OutTradeNo)
			found[f.OutTradeNo] = f
		}
		l.sell("pays-at-once", ended)
		books := l.sim.Books()
		assert.Empty(t, books.Violations)
		for _, o := range books.Orders {
			no := payflow.OutTradeNo(o.Number)
			assert.LessOrEqual(t, o.Charged, 1)
			if o.Held == 0 {
				continue
			}
			entry, err := l.engine.Payment(no)
			if err == nil {
				assert.Equal(t, payflow.Paid, entry.Status)
				continue
			}
			assert.Equalf(t, o.Held, found[no].Amount.Minor, "silent loss of %s", no)
			assert.Equal(t, payflow.TradeSuccess, found[no].State)
			assert.True(t, found[no].NeedsPerson())
		}
		assert.Equal(t, payflow.Paid, mustEntry(t, l.engine, kept).Status)
		report, err := l.journal.Verify(t.Context(), []queue.Head{head})
		require.NoError(t, err)
		require.Len(t, report.Findings, 1, report.String())
		assert.Equal(t, queue.FoundInGap, report.Findings[0].Kind)
	})
}

func mustEntry(t *testing.T, e *queue.Engine, no payflow.OutTradeNo) payflow.Entry {
	t.Helper()
	entry, err := e.Payment(no)
	require.NoError(t, err)
	return entry
}
