package till

import (
	"context"
	"errors"
	"slices"

	"posagent/payflow"
)

// fakeRefunds gives money back in memory, beside the fake desk, and knows what was learnt late; a test moves its refunds on by hand.
type fakeRefunds struct {
	desk       *fakeDesk
	refunds    []payflow.RefundEntry // guarded by desk.mu, as all below
	keys       map[string]payflow.RefundRequest
	duplicates []payflow.SuspectedDuplicate
	late       []payflow.OutTradeNo
	refuse     error // answered by Refund
	unreadable error // answered by RefundsOfPayment
	calls      int   // of Refund that made one
}

func newFakeRefunds(d *fakeDesk) *fakeRefunds {
	return &fakeRefunds{desk: d, keys: map[string]payflow.RefundRequest{}}
}

func (f *fakeRefunds) Refund(_ context.Context, r payflow.RefundRequest) (payflow.RefundEntry, error) {
	f.desk.mu.Lock()
	defer f.desk.mu.Unlock()
	if f.refuse != nil {
		return payflow.RefundEntry{}, f.refuse
	}
	no := payflow.NewOutRefundNo(r.OutTradeNo, payflow.WishPerson, r.IdempotencyKey)
	if known, ok := f.keys[r.IdempotencyKey]; ok {
		if known != r {
			return payflow.RefundEntry{}, payflow.ErrKeyReused
		}
		return f.refunds[f.index(no)], nil
	}
	i := f.desk.index(r.OutTradeNo)
	if i < 0 {
		return payflow.RefundEntry{}, payflow.ErrNoPayment
	}
	e := f.desk.payments[i]
	if e.Status != payflow.Paid {
		return payflow.RefundEntry{}, &payflow.NotRefundableError{Entry: e}
	}
	if e.GivenBack() {
		return payflow.RefundEntry{}, &payflow.GivenBackError{Entry: e}
	}
	left := e.Amount
	for _, known := range f.refunds {
		if known.OutTradeNo == r.OutTradeNo && !known.Dead() {
			left.Minor -= known.Amount.Minor
		}
	}
	if r.Amount.Minor > left.Minor {
		return payflow.RefundEntry{}, &payflow.RefundTooMuchError{Left: left}
	}
	refund := payflow.RefundEntry{SaleRef: e.SaleRef, StoreDay: e.StoreDay}
	refund.OutRefundNo, refund.OutTradeNo, refund.Amount, refund.Total = no, r.OutTradeNo, payflow.Amount{Minor: r.Amount.Minor, Currency: e.Amount.Currency}, e.Amount
	refund.Wish, refund.Operator, refund.RefundOrder.Reason = payflow.WishPerson, r.Operator, r.Reason
	refund.Status, refund.Why, refund.Version, refund.RequestedAt = payflow.RefundRequested, payflow.ReasonRefundAsking, 1, noon()
	f.keys[r.IdempotencyKey] = r
	f.calls++
	f.refunds = append(f.refunds, refund)
	return f.record(len(f.refunds)-1, "refund_wished"), nil
}

// record journals a refund's change and announces it, as the engine does. desk.mu is held.
func (f *fakeRefunds) record(i int, kind string) payflow.RefundEntry {
	r := &f.refunds[i]
	r.Sequence = uint64(len(f.desk.events) + 1)
	f.desk.events = append(f.desk.events, payflow.JournalEvent{Sequence: r.Sequence, At: noon(), Kind: kind, OutTradeNo: r.OutTradeNo, SaleRef: r.SaleRef,
		Amount: r.Amount, Refund: payflow.RefundMark{OutRefundNo: r.OutRefundNo, Status: r.Status, Why: r.Why, Attention: r.Attention}})
	kept := *r
	f.desk.announce(payflow.Announcement{Sequence: r.Sequence, Entry: f.desk.payments[f.desk.index(r.OutTradeNo)], Refund: &kept})
	return kept
}

// move changes a refund as the engine would after a step.
func (f *fakeRefunds) move(no payflow.OutRefundNo, change func(*payflow.RefundEntry)) {
	f.desk.mu.Lock()
	defer f.desk.mu.Unlock()
	i := f.index(no)
	change(&f.refunds[i])
	f.refunds[i].Version++
	f.record(i, "refund_query_answered")
}

func refunded(r *payflow.RefundEntry) {
	r.Status, r.Why, r.FinalAt = payflow.RefundDone, payflow.ReasonRefundDone, noon()
	r.Report = payflow.RefundReport{RefundID: "50000000382019052709732678859", State: payflow.RefundStateSuccess, Account: "CMB Credit Card 0403"}
}

func abnormal(r *payflow.RefundEntry) {
	r.Status, r.Why, r.Attention = payflow.RefundAbnormal, payflow.AttentionRefundAbnormal, payflow.AttentionRefundAbnormal
}

func refusedForFunds(r *payflow.RefundEntry) {
	r.Status, r.Why, r.FinalAt = payflow.RefundRefused, payflow.ReasonRefundNoFunds, noon()
	r.Refusal = payflow.Refusal{Code: "NOTENOUGH", Text: "balance not enough"}
}

func (f *fakeRefunds) index(no payflow.OutRefundNo) int {
	return slices.IndexFunc(f.refunds, func(r payflow.RefundEntry) bool { return r.OutRefundNo == no })
}

func (f *fakeRefunds) RefundOf(no payflow.OutRefundNo) (payflow.RefundEntry, error) {
	f.desk.mu.Lock()
	defer f.desk.mu.Unlock()
	i := f.index(no)
	if i < 0 {
		return payflow.RefundEntry{}, payflow.ErrNoRefund
	}
	return f.refunds[i], nil
}

func (f *fakeRefunds) WaitForRefund(ctx context.Context, no payflow.OutRefundNo, since uint64) (payflow.RefundEntry, error) {
	for {
		f.desk.mu.Lock()
		changed := f.desk.changed
		f.desk.mu.Unlock()
		r, err := f.RefundOf(no)
		if err != nil || r.Version > since {
			return r, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r, nil
		}
	}
}

func (f *fakeRefunds) RefundsOfPayment(no payflow.OutTradeNo) ([]payflow.RefundEntry, error) {
	f.desk.mu.Lock()
	defer f.desk.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.refunds), func(r payflow.RefundEntry) bool { return r.OutTradeNo != no }), errors.Join(f.desk.fail, f.unreadable)
}

func (f *fakeRefunds) OpenRefunds() []payflow.RefundEntry {
	f.desk.mu.Lock()
	defer f.desk.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.refunds), func(r payflow.RefundEntry) bool { return !r.Open() && r.Attention == "" })
}

func (f *fakeRefunds) AcknowledgeRefund(_ context.Context, no payflow.OutRefundNo, operator, note string) (payflow.RefundEntry, error) {
	r, err := f.RefundOf(no)
	if err != nil {
		return r, err
	}
	if r.Open() {
		return r, &payflow.RefundOpenError{Entry: r}
	}
	f.move(no, func(r *payflow.RefundEntry) {
		r.Seen, r.Attention = payflow.SetAside{At: noon(), Operator: operator, Note: note}, ""
	})
	return f.RefundOf(no)
}

func (f *fakeRefunds) LateTruths() ([]payflow.Entry, error) {
	f.desk.mu.Lock()
	defer f.desk.mu.Unlock()
	var all []payflow.Entry
	for _, no := range f.late {
		all = append(all, f.desk.payments[f.desk.index(no)])
	}
	return all, f.desk.fail
}

func (f *fakeRefunds) LookAgain(_ context.Context, id payflow.OutTradeNo, _ string) (payflow.Entry, error) {
	return f.desk.wish(id, func(e *payflow.Entry) error {
		if e.Open() || e.Status == payflow.Paid {
			return &payflow.WrongStateError{Entry: *e}
		}
		e.Late.Stage = payflow.LateOwed
		return nil
	})
}

func (f *fakeRefunds) SettleLate(_ context.Context, id payflow.OutTradeNo, operator, note string) (payflow.Entry, error) {
	return f.desk.wish(id, func(e *payflow.Entry) error {
		if e.Late.Attention == "" {
			return &payflow.WrongStateError{Entry: *e}
		}
		e.Late.Stage, e.Late.Attention, e.Late.Settled = payflow.LateSettled, "", payflow.SetAside{At: noon(), Operator: operator, Note: note}
		return nil
	})
}

func (f *fakeRefunds) SuspectedDuplicates(day string) ([]payflow.SuspectedDuplicate, error) {
	f.desk.mu.Lock()
	defer f.desk.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.duplicates), func(d payflow.SuspectedDuplicate) bool { return d.Second.StoreDay != day }), f.desk.fail
}

func (f *fakeRefunds) OpenEntries() []payflow.Entry {
	f.desk.mu.Lock()
	defer f.desk.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.desk.payments), func(e payflow.Entry) bool { return !e.Open() })
}

// RefundMessage and RefundNextStep say only why.
func (plainWords) RefundMessage(e payflow.RefundEntry) map[string]string {
	return map[string]string{"en": "is " + string(e.Why), "zh-Hans": "是" + string(e.Why), "zh-Hant": "是" + string(e.Why)}
}

func (plainWords) RefundNextStep(e payflow.RefundEntry) map[string]string {
	return map[string]string{"en": "after " + string(e.Status), "zh-Hans": "后" + string(e.Status), "zh-Hant": "後" + string(e.Status)}
}
