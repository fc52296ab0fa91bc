package main

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
	"posagent/queue"
	"posagent/till"
)

// codePaid is a payment code as the documents' samples have it.
const codePaid = "134650720866361395"

// deskPC is a store PC with a daemon in this process: journal, engine and local API are the real ones, WeChat Pay is a function.
type deskPC struct {
	*storePC
	engine *queue.Engine
	health *health.Tracker
	config string

	mu       sync.Mutex // guards what follows
	pay      func(ctx context.Context, o payflow.Order) (payflow.Outcome, error)
	notReady error
	refund   func(o payflow.RefundOrder) (payflow.RefundOutcome, error)
	taken    map[payflow.OutRefundNo]payflow.RefundReport // refunds that WeChat Pay has taken on
	asked    int                                          // for a refund
	stop     func()
}

func newDeskPC(t *testing.T) *deskPC {
	t.Helper()
	d := &deskPC{storePC: newStorePC(t), health: health.NewTracker(health.Config{})}
	d.config = d.storePC.config()
	d.pay = func(_ context.Context, o payflow.Order) (payflow.Outcome, error) { return foundPaid(o), nil }
	d.taken = map[payflow.OutRefundNo]payflow.RefundReport{}
	d.refund = d.takeRefund
	d.start()
	t.Cleanup(func() { d.stop() })
	return d
}

// foundPaid is WeChat Pay's answer to an order of ours that is paid.
func foundPaid(o payflow.Order) payflow.Outcome {
	return payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{
		State: payflow.TradeSuccess, OutTradeNo: o.OutTradeNo, TransactionID: "4200000000202611240000000001", Amount: o.Amount, AppID: o.Merchant.AppID,
		MerchantID: o.Merchant.MerchantID, SubMerchantID: o.Merchant.SubMerchantID, Attach: o.Tag.Attach(o.Attach), PayerAmount: payflow.Amount{Minor: 1150, Currency: "CNY"},
	}}
}

// start runs the daemon; stop ends it.
func (d *deskPC) start() {
	t := d.t
	t.Helper()
	cfg, err := LoadConfig(d.config)
	require.NoError(t, err)
	a := &agent{cfg: cfg}
	journal, err := queue.OpenJournal(a.journalConfig(false))
	require.NoError(t, err)
	d.engine, err = queue.NewEngine(queue.Config{Journal: journal, Gateway: d, Refunds: d, Merchant: a.merchant(), API: payflow.APIv3, HostFamily: cfg.WeChat.Hosts[0],
		Store: payflow.Store{ID: "SZTX001", Till: "T1"}, Ready: d.ready})
	require.NoError(t, err)
	words, err := till.LoadWords()
	require.NoError(t, err)
	server, err := till.New(till.Config{Desk: d.engine, Refunds: d.engine, Late: d.engine, Health: d.health, Words: words, AllowCodeInAPI: true, Currency: cfg.Till.Currency, Language: "en",
		Store: "Tencent Building Branch", Till: "T1", Status: func() till.Status { return d.status(journal) }})
	require.NoError(t, err)
	socket, err := net.Listen("unix", filepath.Join(d.folder, "posagent.sock"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = d.engine.Run(ctx) })
	parts.Go(func() { _ = server.ServeSocket(socket) })
	d.stop = sync.OnceFunc(func() {
		within, done := context.WithTimeout(context.Background(), 2*time.Second)
		defer done()
		_ = server.Shutdown(within)
		cancel()
		parts.Wait()
		require.NoError(t, journal.Close())
	})
}

func (d *deskPC) status(j *queue.Journal) till.Status {
	at := time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)
	return till.Status{
		Version: version(), StartedAt: at, Clock: till.Clock{Known: true, OffsetSeconds: -70, CheckedAt: at},
		Devices:      []till.Device{{Name: "/dev/posagent-scanner", Kind: "serial", Ready: true, Since: at}, {Name: "05e0:1200", Kind: "hid", Text: "it was unplugged; plug it in again"}},
		Gateway:      till.Gateway{Host: "apihk.mch.weixin.qq.com", Reachable: true, Verified: true, LastAnswer: at},
		Certificates: []till.Certificate{{Name: "merchant", NotAfter: at.AddDate(1, 0, 0), DaysLeft: 365}},
		Journal:      till.Journal{Sequence: j.Head().Sequence},
	}
}

func (d *deskPC) ready() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.notReady
}

func (d *deskPC) wechat(pay func(ctx context.Context, o payflow.Order) (payflow.Outcome, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pay = pay
}

// Pay, Query, Reverse and KeepWarm make the PC the engine's gateway.
func (d *deskPC) Pay(ctx context.Context, o payflow.Order, _ payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	select {
	case <-leave:
	case <-ctx.Done():
		return payflow.Outcome{}, ctx.Err()
	}
	time.Sleep(answersAfter)
	d.mu.Lock()
	pay := d.pay
	d.mu.Unlock()
	return pay(ctx, o)
}

// answersAfter is how long WeChat Pay takes, so that whoever follows a payment sees each of its states.
const answersAfter = 150 * time.Millisecond

func (d *deskPC) Query(context.Context, payflow.Order) (payflow.Outcome, error) {
	time.Sleep(answersAfter)
	return payflow.Outcome{Kind: payflow.NoSuchOrder}, nil
}

func (d *deskPC) Reverse(context.Context, payflow.Order) (payflow.Outcome, error) {
	return payflow.Outcome{Kind: payflow.ReverseDone}, nil
}

func (d *deskPC) KeepWarm(bool) {}

// takeRefund takes a refund on; it is through at once.
func (d *deskPC) takeRefund(o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	report := payflow.RefundReport{RefundID: "50000000382019052709732678859", OutRefundNo: o.OutRefundNo, OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID,
		State: payflow.RefundStateSuccess, Amount: o.Amount, Total: o.Total}
	d.taken[o.OutRefundNo] = report
	return payflow.RefundOutcome{Kind: payflow.RefundAccepted, Refund: report}, nil
}

// Refund, QueryRefund and Refunds make the PC the engine's gateway for refunds.
func (d *deskPC) Refund(_ context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.refund(o)
}

func (d *deskPC) QueryRefund(_ context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if report, ok := d.taken[o.OutRefundNo]; ok {
		return payflow.RefundOutcome{Kind: payflow.RefundFound, Refund: report}, nil
	}
	return payflow.RefundOutcome{Kind: payflow.NoSuchRefund}, nil
}

func (d *deskPC) Refunds(_ context.Context, o payflow.Order) ([]payflow.RefundReport, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []payflow.RefundReport
	for _, report := range d.taken {
		if report.OutTradeNo == o.OutTradeNo {
			all = append(all, report)
		}
	}
	return all, nil
}

// run runs a command against this daemon.
func (d *deskPC) run(args ...string) (status int, stdout, stderr string) {
	d.t.Helper()
	return posagent(d.t, append(args, "--config", d.config)...)
}

// scan hands a code to the till as its scanner does, as soon as something is armed.
func (d *deskPC) scan(code string) {
	for range 500 {
		if _, armed := d.engine.Holding(); armed {
			_, _ = d.engine.Scan(context.Background(), code, "Q1", "/dev/posagent-scanner")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
