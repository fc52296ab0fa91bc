package queue

import (
	"cmp"
	"context"
	"slices"

	"posagent/payflow"
)

// putRefund shows a refund as it stands, and tells who waits for a change; with no payment, only who waits.
func (b *board) putRefund(entry payflow.RefundEntry, p *payflow.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refunds == nil {
		b.refunds = map[payflow.OutRefundNo]payflow.RefundEntry{}
	}
	journaled := b.refunds[entry.OutRefundNo].Sequence != entry.Sequence
	b.refunds[entry.OutRefundNo] = entry
	b.wake()
	if p == nil {
		return
	}
	a := payflow.Announcement{Entry: *p, Refund: &entry}
	if journaled {
		a.Sequence = entry.Sequence
	}
	b.announce(a)
}

// retireRefund forgets a refund that is at its end: from here on the journal answers for it.
func (b *board) retireRefund(no payflow.OutRefundNo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.refunds, no)
}

// RefundOf returns a refund as it stands, or payflow.ErrNoRefund: from memory while it is open, and from the journal after that.
func (e *Engine) RefundOf(id payflow.OutRefundNo) (payflow.RefundEntry, error) {
	e.board.mu.Lock()
	entry, ok := e.board.refunds[id]
	e.board.mu.Unlock()
	if ok {
		return entry, nil
	}
	return e.cfg.hooks.ledger.Refund(id)
}

// WaitForRefund returns as soon as the refund's version is another than since, or its present form when ctx ends.
func (e *Engine) WaitForRefund(ctx context.Context, id payflow.OutRefundNo, since uint64) (payflow.RefundEntry, error) {
	for {
		changed := e.board.next()
		entry, err := e.RefundOf(id)
		if err != nil || entry.Version != since {
			return entry, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return entry, nil
		case <-e.ctx.Done():
			return entry, nil
		}
	}
}

// RefundsOfPayment returns every refund of a payment, the oldest first, each as it stands.
func (e *Engine) RefundsOfPayment(no payflow.OutTradeNo) ([]payflow.RefundEntry, error) {
	entries, err := e.cfg.hooks.ledger.RefundsOfPayment(no)
	return e.asTheyStand(entries), err
}

// RefundsOfDay returns the refunds that were asked for on a store day, 2006-01-02, after one of them, at most n, the oldest first.
func (e *Engine) RefundsOfDay(day string, after payflow.OutRefundNo, n int) ([]payflow.RefundEntry, error) {
	entries, err := e.cfg.hooks.ledger.RefundsOfDay(day, after, n)
	return e.asTheyStand(entries), err
}

// asTheyStand takes from memory what the journal need not know.
func (e *Engine) asTheyStand(entries []payflow.RefundEntry) []payflow.RefundEntry {
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	for i, entry := range entries {
		if now, ok := e.board.refunds[entry.OutRefundNo]; ok {
			entries[i] = now
		}
	}
	return entries
}

// OpenRefunds returns every refund that is not at its end, and every one that a person must look at, the oldest first.
func (e *Engine) OpenRefunds() []payflow.RefundEntry {
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	all := make([]payflow.RefundEntry, 0, len(e.board.refunds))
	for _, entry := range e.board.refunds {
		all = append(all, entry)
	}
	slices.SortFunc(all, func(a, b payflow.RefundEntry) int {
		return cmp.Or(a.RequestedAt.Compare(b.RequestedAt), cmp.Compare(a.OutRefundNo, b.OutRefundNo))
	})
	return all
}
