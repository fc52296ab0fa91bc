package till

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"posagent/payflow"
)

// fakeDesk is a desk in memory: it arms, cancels and journals as the engine does, and a test moves its payments on by hand.
type fakeDesk struct {
	mu       sync.Mutex
	payments []payflow.Entry
	keys     map[string]payflow.OutTradeNo
	events   []payflow.JournalEvent
	changed  chan struct{} // closed and replaced at each change
	readers  map[chan payflow.Announcement]struct{}
	codes    []string
	notReady *payflow.NotReadyError
	fail     error // answered by every call that can fail
	notice   payflow.Notice
	strict   bool   // the operator is a part of the request, as it is at the engine
	via, by  string // the way by which the last wish came, and its operator
}

func newFakeDesk() *fakeDesk {
	return &fakeDesk{keys: map[string]payflow.OutTradeNo{}, changed: make(chan struct{}), readers: map[chan payflow.Announcement]struct{}{}}
}

// noon is when everything happens at the fake desk.
func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// wished notes how a wish came.
func (d *fakeDesk) wished(ctx context.Context, operator string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.via, _ = ctx.Value(payflow.ViaKey{}).(string)
	d.by = operator
}

func (d *fakeDesk) Arm(ctx context.Context, r payflow.ArmRequest) (payflow.Entry, error) {
	d.wished(ctx, r.Operator)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return payflow.Entry{}, d.fail
	}
	if id, ok := d.keys[r.IdempotencyKey]; ok {
		e := d.payments[d.index(id)]
		if e.SaleRef != r.SaleRef || e.Amount != r.Amount || d.strict && e.Operator != r.Operator {
			return payflow.Entry{}, payflow.ErrKeyReused
		}
		return e, nil
	}
	if d.notReady != nil {
		return payflow.Entry{}, d.notReady
	}
	for _, e := range d.payments {
		if e.SaleRef == r.SaleRef && e.Status == payflow.Paid && !r.AdditionalTender {
			return payflow.Entry{}, &payflow.AlreadyPaidError{ID: e.OutTradeNo}
		}
		if e.SaleRef == r.SaleRef && e.Open() && !e.HoldsTill() {
			return payflow.Entry{}, &payflow.SaleOpenError{ID: e.OutTradeNo}
		}
		if e.HoldsTill() {
			return payflow.Entry{}, &payflow.TillBusyError{ID: e.OutTradeNo}
		}
	}
	order := payflow.Order{OutTradeNo: payflow.OutTradeNo(fmt.Sprintf("SZTX001T1261124%06dAB12C9", len(d.payments)+1)), Amount: r.Amount,
		SaleRef: r.SaleRef, Attempt: 1, Description: r.Description, Operator: r.Operator, Attach: r.Attach, Detail: r.Detail}
	p, _ := payflow.Arm(order, payflow.DefaultTiming(), noon())
	d.payments = append(d.payments, payflow.Entry{Payment: p, StoreDay: "2026-11-24", WeChatDay: "2026-11-24"})
	d.keys[r.IdempotencyKey] = order.OutTradeNo
	return d.record(len(d.payments)-1, "armed"), nil
}

// record journals a payment's change and announces it.
func (d *fakeDesk) record(i int, kind string) payflow.Entry {
	e := &d.payments[i]
	e.Sequence = uint64(len(d.events) + 1)
	d.events = append(d.events, payflow.JournalEvent{Sequence: e.Sequence, At: noon(), Kind: kind, OutTradeNo: e.OutTradeNo, SaleRef: e.SaleRef,
		Status: e.Status, Reason: e.Reason, Amount: e.Amount})
	d.announce(payflow.Announcement{Sequence: e.Sequence, Entry: *e})
	return *e
}

func (d *fakeDesk) announce(a payflow.Announcement) {
	close(d.changed)
	d.changed = make(chan struct{})
	for c := range d.readers {
		select {
		case c <- a:
		default: // the reader is too slow
			close(c)
			delete(d.readers, c)
		}
	}
}

// move changes a payment as the engine would after a step.
func (d *fakeDesk) move(id payflow.OutTradeNo, change func(*payflow.Entry)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.index(id)
	change(&d.payments[i])
	d.payments[i].Version++
	d.record(i, "query_answered")
}

// quietly journals without an announcement, as a step does that no till can see.
func (d *fakeDesk) quietly(id payflow.OutTradeNo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, payflow.JournalEvent{Sequence: uint64(len(d.events) + 1), At: noon(), Kind: "woken", OutTradeNo: id})
}

func paid(e *payflow.Entry) {
	e.Status, e.Reason, e.FinalAt, e.CodeTail = payflow.Paid, payflow.ReasonPaid, noon().Add(2*time.Second), "6789"
	e.Trade = payflow.Trade{State: payflow.TradeSuccess, TransactionID: "4200000000202611240000000001", PayerAmount: payflow.Amount{Minor: 1150, Currency: "CNY"}}
}

func confirming(e *payflow.Entry) {
	e.Status, e.Reason = payflow.Confirming, payflow.ReasonPassword
	e.FirstPayAt, e.PayEndedAt, e.WakeAt = noon(), noon().Add(time.Second), noon().Add(4*time.Second)
}

func reversing(e *payflow.Entry) {
	e.Status, e.Reason, e.ReversingAt = payflow.Reversing, payflow.ReasonTakingBack, noon().Add(41*time.Second)
}

func (d *fakeDesk) index(id payflow.OutTradeNo) int {
	return slices.IndexFunc(d.payments, func(e payflow.Entry) bool { return e.OutTradeNo == id })
}

func (d *fakeDesk) Payment(id payflow.OutTradeNo) (payflow.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return payflow.Entry{}, d.fail
	}
	i := d.index(id)
	if i < 0 {
		return payflow.Entry{}, payflow.ErrNoPayment
	}
	return d.payments[i], nil
}

func (d *fakeDesk) WaitFor(ctx context.Context, id payflow.OutTradeNo, since uint64) (payflow.Entry, error) {
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		e, err := d.Payment(id)
		if err != nil || e.Version > since {
			return e, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return e, nil
		}
	}
}

func (d *fakeDesk) Code(_ context.Context, id payflow.OutTradeNo, text string) error {
	if _, err := payflow.ParseAuthCode(text, "", nil); err != nil {
		return err
	}
	e, err := d.Payment(id)
	if err != nil {
		return err
	}
	if e.Status != payflow.Waiting {
		return payflow.ErrScanBusy
	}
	d.mu.Lock()
	d.codes = append(d.codes, text)
	d.mu.Unlock()
	d.move(id, func(e *payflow.Entry) {
		e.Status, e.Reason, e.CodeTail = payflow.Paying, payflow.ReasonSending, text[14:]
	})
	return nil
}

func (d *fakeDesk) wish(id payflow.OutTradeNo, change func(*payflow.Entry) error) (payflow.Entry, error) {
	e, err := d.Payment(id)
	if err != nil {
		return payflow.Entry{}, err
	}
	if err := change(&e); err != nil {
		return e, err
	}
	d.move(id, func(kept *payflow.Entry) { _ = change(kept) })
	return d.Payment(id)
}

func (d *fakeDesk) Cancel(ctx context.Context, id payflow.OutTradeNo, operator string) (payflow.Entry, error) {
	d.wished(ctx, operator)
	return d.wish(id, func(e *payflow.Entry) error {
		switch {
		case e.Status == payflow.Waiting:
			e.Status, e.Reason = payflow.Cancelled, payflow.ReasonCashier
		case e.Status == payflow.Reversing || !e.Open():
			return &payflow.WrongStateError{Entry: *e}
		}
		e.CancelAsked = true
		return nil
	})
}

func (d *fakeDesk) SetAside(ctx context.Context, id payflow.OutTradeNo, operator, note string) (payflow.Entry, error) {
	d.wished(ctx, operator)
	return d.wish(id, func(e *payflow.Entry) error {
		if e.Attention == "" {
			return payflow.ErrNotAside
		}
		e.SetAside = payflow.SetAside{At: noon(), Operator: operator, Note: note}
		return nil
	})
}

func (d *fakeDesk) Acknowledge(ctx context.Context, id payflow.OutTradeNo, a payflow.Acknowledgement) (payflow.Entry, error) {
	d.wished(ctx, a.Operator)
	return d.wish(id, func(e *payflow.Entry) error {
		if e.Open() {
			return &payflow.WrongStateError{Entry: *e}
		}
		e.Acknowledged = a
		return nil
	})
}

func (d *fakeDesk) Holding() (payflow.Entry, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.payments {
		if e.HoldsTill() {
			return e, true
		}
	}
	return payflow.Entry{}, false
}

func (d *fakeDesk) Unannounced() ([]payflow.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.payments), func(e payflow.Entry) bool { return e.Open() || !e.Acknowledged.At.IsZero() }), d.fail
}

func (d *fakeDesk) CountUnannounced() (int, error) {
	all, err := d.Unannounced()
	return len(all), err
}

func (d *fakeDesk) Recent(n int) ([]payflow.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	newest := slices.Clone(d.payments)
	slices.Reverse(newest)
	return newest[:min(n, len(newest))], d.fail
}

func (d *fakeDesk) Day(day string, after payflow.OutTradeNo, n int) ([]payflow.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := slices.DeleteFunc(slices.Clone(d.payments), func(e payflow.Entry) bool { return e.StoreDay != day || e.OutTradeNo <= after })
	return found[:min(n, len(found))], d.fail
}

func (d *fakeDesk) JournalEvents(after uint64, n int) ([]payflow.JournalEvent, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rest := d.events[int(min(after, uint64(len(d.events)))):]
	return slices.Clone(rest[:min(n, len(rest))]), d.fail
}

func (d *fakeDesk) Subscribe(ctx context.Context) <-chan payflow.Announcement {
	c := make(chan payflow.Announcement, 4)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readers[c] = struct{}{}
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if _, ok := d.readers[c]; ok {
			close(c)
			delete(d.readers, c)
		}
	})
	return c
}

func (d *fakeDesk) Ready() error {
	if d.notReady != nil {
		return d.notReady
	}
	return nil
}

// plainWords says only the reason.
type plainWords struct{}

func (plainWords) Message(e payflow.Entry) map[string]string {
	return map[string]string{"en": "is " + string(e.Reason), "zh-Hans": "是" + string(e.Reason), "zh-Hant": "是" + string(e.Reason)}
}

func (plainWords) NextStep(e payflow.Entry) map[string]string {
	return map[string]string{"en": "after " + string(e.Status), "zh-Hans": "后" + string(e.Status), "zh-Hant": "後" + string(e.Status)}
}

func (plainWords) Notice(kind string) (message, nextStep map[string]string) {
	return map[string]string{"en": "because " + kind, "zh-Hans": "因" + kind, "zh-Hant": "因為" + kind},
		map[string]string{"en": "then " + kind, "zh-Hans": "则" + kind, "zh-Hant": "則" + kind}
}

func (d *fakeDesk) LastNotice() payflow.Notice {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.notice
}
