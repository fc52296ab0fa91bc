package queue

import (
	"context"
	"time"

	"posagent/payflow"
)

// watchEvery is how often an open payment is asked about while the journal cannot be written.
const watchEvery = 30 * time.Second

// RunReadOnly is what a start does that finds the journal unwritable (I9): it asks about every open payment and shows what
// WeChat Pay says, and takes nothing, decides nothing and sends nothing that moves money. Cmd tries the journal again meanwhile.
func (e *Engine) RunReadOnly(ctx context.Context) error {
	defer close(e.done)
	defer e.calls.Wait()
	defer e.stop()
	defer e.board.close()
	e.readOnly = true
	e.watchAll()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-e.work:
			f()
		case <-tick.C:
			e.watchAll()
		}
	}
}

func (e *Engine) watchAll() {
	for _, l := range e.inOrder() {
		if l.entry.Status == payflow.Waiting {
			continue
		}
		p := l.entry.Payment
		e.calls.Go(func() { e.watch(p) })
	}
}

// watch asks about one payment and shows the answer; its status stays what the journal says.
func (e *Engine) watch(p payflow.Payment) {
	outcome, err := e.cfg.Gateway.Query(e.ctx, p.Order)
	outcome = e.hidePayer(outcome)
	if err != nil || outcome.Kind != payflow.Found {
		return
	}
	e.post(func() {
		l, ok := e.open[p.OutTradeNo]
		if !ok || l.entry.Trade == outcome.Trade {
			return
		}
		l.entry.Trade = outcome.Trade
		l.entry.Version++
		e.board.put(l.entry)
	})
}

// writable returns nil, or why nothing can be recorded.
func (e *Engine) writable() error {
	if !e.readOnly {
		return nil
	}
	return &payflow.NotReadyError{Code: "journal", Text: payflow.ErrJournalClosed.Error()}
}
