package queue

import (
	"context"
	"sync"

	"posagent/payflow"
)

// subscriberBuffer is how many announcements a reader may lag behind before it is cut off; it reads on from the journal.
const subscriberBuffer = 64

// board shows every open payment as it stands, and tells who waits for a change. It holds nothing that the journal lacks,
// but the reasons and notices that are not worth a record.
type board struct {
	mu          sync.Mutex // guards all below
	entries     map[payflow.OutTradeNo]payflow.Entry
	refunds     map[payflow.OutRefundNo]payflow.RefundEntry
	changed     chan struct{} // closed and replaced at each change
	subscribers map[chan payflow.Announcement]bool
	last        payflow.Notice
	closed      bool
}

func (b *board) put(entry payflow.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries == nil {
		b.entries = map[payflow.OutTradeNo]payflow.Entry{}
	}
	journaled := b.entries[entry.OutTradeNo].Sequence != entry.Sequence
	b.entries[entry.OutTradeNo] = entry
	a := payflow.Announcement{Entry: entry}
	if journaled {
		a.Sequence = entry.Sequence
	}
	b.wake()
	b.announce(a)
}

// announce is called with mu held.
func (b *board) announce(a payflow.Announcement) {
	for s := range b.subscribers {
		select {
		case s <- a:
		default:
			delete(b.subscribers, s)
			close(s)
		}
	}
}

// retire forgets a final payment: from here on the journal answers for it.
func (b *board) retire(no payflow.OutTradeNo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, no)
}

func (b *board) notice(n payflow.Notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = n
	b.wake()
}

// wake is called with mu held.
func (b *board) wake() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

func (b *board) get(no payflow.OutTradeNo) (payflow.Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	entry, ok := b.entries[no]
	return entry, ok
}

// next returns a channel that is closed at the next change.
func (b *board) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
		if b.closed {
			close(b.changed)
		}
	}
	return b.changed
}

func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.wake()
	for s := range b.subscribers {
		close(s)
	}
	b.subscribers = nil
}

// Payment returns a payment as it stands, from memory while it is open and from the journal after that.
func (e *Engine) Payment(id payflow.OutTradeNo) (payflow.Entry, error) {
	if entry, ok := e.board.get(id); ok {
		return entry, nil
	}
	return e.cfg.hooks.ledger.Payment(id)
}

// WaitFor returns as soon as the payment's version is another than since, or its present form when ctx ends.
func (e *Engine) WaitFor(ctx context.Context, id payflow.OutTradeNo, since uint64) (payflow.Entry, error) {
	for {
		changed := e.board.next()
		entry, err := e.Payment(id)
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

// Holding returns the payment that holds the till, if one does.
func (e *Engine) Holding() (payflow.Entry, bool) {
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	for _, entry := range e.board.entries {
		if entry.HoldsTill() {
			return entry, true
		}
	}
	return payflow.Entry{}, false
}

// OpenEntries returns every open payment, those set aside too.
func (e *Engine) OpenEntries() []payflow.Entry {
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	var all []payflow.Entry
	for _, entry := range e.board.entries {
		if entry.Open() {
			all = append(all, entry)
		}
	}
	return all
}

// LastNotice returns the last scan that was refused; its time is zero when none was.
func (e *Engine) LastNotice() payflow.Notice {
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	return e.board.last
}

// Subscribe returns every change from now on. The channel is closed when ctx ends, when the engine stops, or when the
// reader lags more than 64 behind.
func (e *Engine) Subscribe(ctx context.Context) <-chan payflow.Announcement {
	return e.subscribe(ctx, subscriberBuffer)
}

// subscribe is Subscribe for a reader that may lag so many behind.
func (e *Engine) subscribe(ctx context.Context, lag int) <-chan payflow.Announcement {
	s := make(chan payflow.Announcement, lag)
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	if e.board.closed {
		close(s)
		return s
	}
	if e.board.subscribers == nil {
		e.board.subscribers = map[chan payflow.Announcement]bool{}
	}
	e.board.subscribers[s] = true
	context.AfterFunc(ctx, func() { e.unsubscribe(s) })
	return s
}

func (e *Engine) unsubscribe(s chan payflow.Announcement) {
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	if e.board.subscribers[s] {
		delete(e.board.subscribers, s)
		close(s)
	}
}

// Unannounced returns the final payments whose result nobody has acknowledged (I8).
func (e *Engine) Unannounced() ([]payflow.Entry, error) { return e.cfg.hooks.ledger.Unannounced() }

// CountUnannounced returns how many results nobody has acknowledged.
func (e *Engine) CountUnannounced() (int, error) { return e.cfg.hooks.ledger.CountUnannounced() }

// Recent returns the newest n payments.
func (e *Engine) Recent(n int) ([]payflow.Entry, error) { return e.cfg.hooks.ledger.Recent(n) }

// Day returns the payments of a store day, 2006-01-02, after one of them, at most n.
func (e *Engine) Day(day string, after payflow.OutTradeNo, n int) ([]payflow.Entry, error) {
	return e.cfg.hooks.ledger.Day(day, after, n)
}

// JournalEvents returns the journal's events after a sequence number, at most n.
func (e *Engine) JournalEvents(after uint64, n int) ([]payflow.JournalEvent, error) {
	return e.cfg.hooks.ledger.Events(after, n)
}
