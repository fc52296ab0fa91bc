package posagent

import (
	"context"
	"fmt"
	"net"
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

// The whole house in a bubble of fake time: the real engine and journal, the real client, and simulated WeChat Pay, over TLS on
// connections in memory.

const houseHost = "apihk.mch.weixin.qq.com"

var houseKeys = sync.OnceValue(func() wxsim.Keys {
	keys, err := wxsim.NewKeys()
	if err != nil {
		panic(err)
	}
	return keys
})

// memoryNet is a listener whose connections are pipes.
type memoryNet struct {
	conns chan net.Conn
	shut  chan struct{}
	once  sync.Once
}

func newMemoryNet() *memoryNet {
	return &memoryNet{conns: make(chan net.Conn), shut: make(chan struct{})}
}

func (m *memoryNet) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.shut:
		return nil, net.ErrClosed
	}
}

func (m *memoryNet) Close() error   { m.once.Do(func() { close(m.shut) }); return nil }
func (m *memoryNet) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (m *memoryNet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-m.shut:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// house is one till before a simulated WeChat Pay.
type house struct {
	t      *testing.T
	sim    *wxsim.Sim
	client *wxclient.Client
	engine *queue.Engine
	sales  int
	// oldSerial is the merchant certificate that a story began with.
	oldSerial string
	// setUp is the client's.
	setUp wxclient.Config

	mu   sync.Mutex // guards told
	told []wxclient.Condition
}

// inHouse runs a story, and then compares the journal with WeChat Pay's books.
func inHouse(t *testing.T, config wxsim.Config, tell func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t}
		config.Keys = houseKeys()
		sim, err := wxsim.New(config)
		require.NoError(t, err)
		h.sim = sim
		line := newMemoryNet()
		go sim.Serve(line)
		k, err := sim.Credentials("")
		require.NoError(t, err)
		merchant := payflow.Merchant{Mode: payflow.Mode(k.Mode), AppID: k.AppID, MerchantID: k.MerchantID, SubMerchantID: k.SubMerchantID, CategoryCode: k.CategoryCode}
		h.setUp = wxclient.Config{Hosts: []string{"https://" + houseHost}, RootCAs: k.Roots, Merchant: merchant, SerialNo: k.Serial, PrivateKey: k.Key,
			APIv3Key: []byte(k.APIv3Key), Dial: line.dial, OnCondition: h.tell}
		h.client, err = wxclient.New(h.setUp)
		require.NoError(t, err)
		dir := t.TempDir()
		journal, err := queue.OpenJournal(queue.JournalConfig{File: filepath.Join(dir, "journal.db"), KeyFile: filepath.Join(dir, "journal.key"),
			ReserveFile: filepath.Join(dir, "reserve"), ReserveBytes: 1 << 16, StoreID: "SZTX001", TillID: "T1", Location: time.UTC})
		require.NoError(t, err)
		h.engine, err = queue.NewEngine(queue.Config{Journal: journal, Gateway: h.client, Merchant: merchant, API: payflow.APIv3, HostFamily: "https://" + houseHost,
			Store: payflow.Store{ID: "SZTX001", Name: "Shop", Address: "Nanshan", Till: "T1"}, Log: zerolog.Nop()})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		first := h.client
		running.Go(func() { first.Run(ctx) })
		running.Go(func() { assert.NoError(t, h.engine.Run(ctx)) })
		defer func() {
			stop()
			running.Wait()
			first.Close()
			h.client.Close()
			assert.NoError(t, journal.Close())
			sim.Close()
		}()
		synctest.Wait()
		tell(t, h)
		h.compareBooks()
	})
}

func (h *house) tell(c wxclient.Condition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, c)
}

// conditions are those of one kind that were told of.
func (h *house) conditions(kind wxclient.ConditionKind) (all []wxclient.Condition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.told {
		if c.Kind == kind {
			all = append(all, c)
		}
	}
	return all
}

// sell arms a sale and scans a customer's code for it.
func (h *house) sell(scenario string) payflow.Entry {
	h.t.Helper()
	h.sales++
	entry, err := h.engine.Arm(h.t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: 1250, Currency: "HKD"},
		SaleRef: payflow.SaleRef(fmt.Sprint("sale-", h.sales)), IdempotencyKey: fmt.Sprint("key-", h.sales)})
	require.NoError(h.t, err, scenario)
	_, err = h.engine.Scan(h.t.Context(), wxsim.CodeFor(scenario, h.sales), "", "scanner")
	require.NoError(h.t, err, scenario)
	return entry
}

// until looks at a payment each tenth of a second until it is as it should be, and returns it and how long that took.
func (h *house) until(no payflow.OutTradeNo, within time.Duration, as func(payflow.Entry) bool) (payflow.Entry, time.Duration) {
	h.t.Helper()
	began := time.Now()
	for {
		entry, err := h.engine.Payment(no)
		require.NoError(h.t, err)
		if as(entry) {
			return entry, time.Since(began)
		}
		require.Lessf(h.t, time.Since(began), within, "%s is %s (%s) still", no, entry.Status, entry.Reason)
		time.Sleep(100 * time.Millisecond)
	}
}

// ended is a payment that is final, or at which a person looks.
func ended(e payflow.Entry) bool { return e.Status.Final() || e.Attention != "" }

// compareBooks holds every payment against WeChat Pay's own books: paid is held, all else is not.
func (h *house) compareBooks() {
	h.t.Helper()
	books := h.sim.Books()
	assert.Empty(h.t, books.Violations)
	entries, err := h.engine.Recent(1000)
	require.NoError(h.t, err)
	require.Len(h.t, entries, h.sales)
	for _, e := range entries {
		book, _ := books.Order(string(e.OutTradeNo))
		if !e.Status.Final() {
			assert.Truef(h.t, e.Attention != "" || e.SetAside != (payflow.SetAside{}), "%s is %s, and nobody is told", e.OutTradeNo, e.Status)
			continue
		}
		if book.Foreign {
			continue
		}
		assert.Equalf(h.t, e.Status == payflow.Paid, book.Held > 0, "%s is %s here; WeChat Pay holds %d", e.OutTradeNo, e.Status, book.Held)
	}
}
