package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"posagent/payflow"
	"posagent/queue"
	"posagent/till"
)

// Bounds of one call for a list, and of how far back a filter without a day looks.
const (
	pageSize = 200
	lookBack = 5000
)

// daemonBook reads through the running daemon.
type daemonBook struct{ client *till.Client }

func (b daemonBook) close() { b.client.Close() }

func (b daemonBook) list(ctx context.Context, f journalFilter) ([]paymentLine, error) {
	statuses := []payflow.Status{payflow.Status(f.status)}
	if f.open {
		statuses = openStatuses()
	}
	lines := []paymentLine{}
	for _, status := range statuses {
		query := till.PaymentsQuery{Day: f.day, SaleRef: f.sale, Status: status, Limit: pageSize}
		for more := true; more && len(lines) < listMost; {
			page, err := b.client.Payments(ctx, query)
			if err != nil {
				return nil, daemonFailure(err)
			}
			for _, p := range page.Payments {
				lines = append(lines, lineOfView(p))
			}
			query.Cursor = page.NextCursor
			more = page.NextCursor != ""
		}
	}
	return f.choose(lines), nil
}

// choose filters and orders: a day's payments as they were armed, all others the newest first.
func (f journalFilter) choose(lines []paymentLine) []paymentLine {
	lines = slices.DeleteFunc(lines, func(l paymentLine) bool { return !f.wants(l) })
	slices.SortStableFunc(lines, func(a, b paymentLine) int {
		if f.day != "" {
			return a.ArmedAt.Compare(b.ArmedAt)
		}
		return b.ArmedAt.Compare(a.ArmedAt)
	})
	return lines[:min(f.limit, len(lines))]
}

func (b daemonBook) show(ctx context.Context, no payflow.OutTradeNo) (paymentShown, error) {
	p, err := b.client.Payment(ctx, no)
	if err != nil {
		return paymentShown{}, daemonFailure(err)
	}
	s := paymentShown{paymentLine: lineOfView(p), Proof: p.Proof, WeChatCode: p.WeChatCode, WeChatText: p.WeChatText, How: p.How,
		Links: append([]till.LinkView{}, p.Links...), Refunds: []refundRow{}, Events: []eventLine{}}
	for _, r := range p.Refunds {
		s.Refunds = append(s.Refunds, rowOfRefundView(r))
	}
	for query := (till.JournalQuery{Payment: no, Limit: pageSize}); query.After < p.Sequence; {
		page, err := b.client.Journal(ctx, query)
		if err != nil {
			return paymentShown{}, daemonFailure(err)
		}
		for _, e := range page.Entries {
			if e.Refund != "" {
				continue // it stands among the refunds
			}
			s.Events = append(s.Events, eventLine{e.Sequence, e.At, e.Kind, e.Status, e.Reason, e.Attention, e.Operator, e.Via, e.Note})
		}
		if query.After, err = nextPage(page.NextCursor); err != nil || page.NextCursor == "" {
			return s, err
		}
	}
	return s, nil
}

// fileBook reads the file of a journal that no daemon holds.
type fileBook struct{ journal *queue.Journal }

func (b fileBook) close() { _ = b.journal.Close() } // it was opened for reading only

func (b fileBook) list(_ context.Context, f journalFilter) ([]paymentLine, error) {
	entries, err := b.find(f)
	if err != nil {
		return nil, journalOpenFailure(err)
	}
	lines := []paymentLine{}
	for _, e := range entries {
		refunds, err := b.journal.RefundsOfPayment(e.OutTradeNo)
		if err != nil {
			return nil, journalOpenFailure(err)
		}
		lines = append(lines, lineOfEntry(e, refunds))
	}
	return f.choose(lines), nil
}

// find reads by the index that leaves the least to be looked at.
func (b fileBook) find(f journalFilter) ([]payflow.Entry, error) {
	switch {
	case f.open:
		return b.journal.OpenPayments()
	case f.sale != "":
		return b.journal.BySale(payflow.SaleRef(f.sale))
	case f.day != "":
		return b.journal.Day(f.day, "", lookBack)
	case f.status != "":
		return b.journal.Recent(lookBack)
	}
	return b.journal.Recent(f.limit)
}

func (b fileBook) show(_ context.Context, no payflow.OutTradeNo) (paymentShown, error) {
	e, err := b.journal.Payment(no)
	if errors.Is(err, payflow.ErrNoPayment) {
		return paymentShown{}, noSuchPayment(no, err)
	}
	if err != nil {
		return paymentShown{}, journalOpenFailure(err)
	}
	events, err := b.journal.EventsOf(no)
	if err != nil {
		return paymentShown{}, journalOpenFailure(err)
	}
	refunds, err := b.journal.RefundsOfPayment(no)
	if err != nil {
		return paymentShown{}, journalOpenFailure(err)
	}
	s := paymentShown{paymentLine: lineOfEntry(e, refunds), Proof: e.Proof, WeChatCode: e.Refusal.Code, WeChatText: e.Refusal.Text, How: e.Acknowledged.How,
		Links: []till.LinkView{}, Refunds: []refundRow{}, Events: []eventLine{}}
	for _, r := range refunds {
		s.Refunds = append(s.Refunds, rowOfRefund(r))
	}
	for _, l := range e.Links {
		s.Links = append(s.Links, till.LinkView{Kind: l.Kind, Ref: l.Ref, At: l.At})
	}
	for _, j := range events {
		s.Events = append(s.Events, eventLine{j.Sequence, j.At, j.Kind, j.Status, j.Reason, j.Attention, j.Operator, j.Via, j.Note})
	}
	return s, nil
}

// nextPage reads the cursor of the journal's list; "" is the end.
func nextPage(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(cursor, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the daemon's list: %w", err)
	}
	return after, nil
}
