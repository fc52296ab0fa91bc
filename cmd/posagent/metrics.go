package main

import (
	"context"
	"errors"
	"os"
	"sync"

	"posagent/payflow"
	"posagent/till"
)

// countedCalls counts the engine's calls to WeChat Pay by their kind and by what they brought.
type countedCalls struct {
	wechat

	mu    sync.Mutex // guards calls
	calls map[calledFor]uint64
}

type calledFor struct{ kind, outcome string }

func countCalls(w wechat) *countedCalls {
	return &countedCalls{wechat: w, calls: map[calledFor]uint64{}}
}

// count counts a call; an error means that nothing is known of it.
func (c *countedCalls) count(kind, outcome string, err error) {
	var lost *payflow.LostError
	switch {
	case errors.As(err, &lost):
		outcome = "lost_" + string(lost.Lost.Reason)
	case err != nil:
		outcome = "lost"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[calledFor{kind, outcome}]++
}

// Pay counts a pay call.
func (c *countedCalls) Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	out, err := c.wechat.Pay(ctx, o, code, leave)
	c.count("pay", string(out.Kind), err)
	return out, err
}

// Query counts a query.
func (c *countedCalls) Query(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	out, err := c.wechat.Query(ctx, o)
	c.count("query", string(out.Kind), err)
	return out, err
}

// Reverse counts a reverse.
func (c *countedCalls) Reverse(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	out, err := c.wechat.Reverse(ctx, o)
	c.count("reverse", string(out.Kind), err)
	return out, err
}

// Refund counts a request for a refund.
func (c *countedCalls) Refund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	out, err := c.wechat.Refund(ctx, o)
	c.count("refund", string(out.Kind), err)
	return out, err
}

// QueryRefund counts a query of a refund.
func (c *countedCalls) QueryRefund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	out, err := c.wechat.QueryRefund(ctx, o)
	c.count("query_refund", string(out.Kind), err)
	return out, err
}

// Refunds counts a list of a payment's refunds.
func (c *countedCalls) Refunds(ctx context.Context, o payflow.Order) ([]payflow.RefundReport, error) {
	out, err := c.wechat.Refunds(ctx, o)
	c.count("list_refunds", "found", err)
	return out, err
}

func (c *countedCalls) metrics() []till.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]till.Metric, 0, len(c.calls))
	for k, n := range c.calls {
		all = append(all, till.Metric{Name: "posagent_wechat_calls_total", Help: "Calls to WeChat Pay about payments and refunds since this process began; lost: it is not known what became of one.",
			Counter: true, Labels: []string{"kind", k.kind, "outcome", k.outcome}, Value: float64(n)})
	}
	return all
}

// metrics are the agent's numbers beside those that the local API has itself.
func (a *agent) metrics() []till.Metric {
	all := append(a.calls.metrics(), till.Metric{Name: "posagent_journal_commits_total", Help: "Commits to the journal since this process began.",
		Counter: true, Value: float64(a.journal.Commits())})
	if info, err := os.Stat(a.cfg.Journal.File); err == nil {
		all = append(all, till.Metric{Name: "posagent_journal_bytes", Help: "Size of the journal's file.", Value: float64(info.Size())})
	}
	return all
}
