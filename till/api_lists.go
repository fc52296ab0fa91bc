package till

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"posagent/payflow"
)

const (
	listMax  = 200  // payments or journal entries in one answer
	scanMax  = 5000 // entries that one answer with filters looks at; the cursor goes on from there
	dayStyle = "2006-01-02"
)

// PaymentList is the answer to GET /v1/payments.
type PaymentList struct {
	Payments   []Payment `json:"payments" nullable:"false"`
	NextCursor string    `json:"next_cursor,omitempty" doc:"Send it as cursor for the next page; left out at the end."`
}

// JournalList is the answer to GET /v1/journal.
type JournalList struct {
	Entries    []JournalEntry `json:"entries" nullable:"false"`
	NextCursor string         `json:"next_cursor,omitempty" doc:"Send it as after for the next page; left out at the end."`
}

type paymentsInput struct {
	Day         string         `query:"day" maxLength:"10" doc:"A store day, 2006-01-02: its payments by order number. Left out: the newest payments, the newest first."`
	SaleRef     string         `query:"sale_ref" maxLength:"64"`
	Status      payflow.Status `query:"status" enum:"waiting,paying,confirming,reversing,paid,declined,reversed,cancelled"`
	Unannounced bool           `query:"unannounced" doc:"Only final payments that nobody has acknowledged."`
	Limit       int            `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor      string         `query:"cursor" maxLength:"32" doc:"Of the page before; with day only."`
}

type journalInput struct {
	After   uint64 `query:"after" doc:"Entries behind this sequence."`
	Payment string `query:"payment" maxLength:"32" doc:"Only entries about this payment."`
	Limit   int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type (
	paymentsOutput struct{ Body PaymentList }
	journalOutput  struct{ Body JournalList }
)

func (s *Server) registerLists(api huma.API) {
	huma.Register(api, call{
		id: "list-payments", method: http.MethodGet, path: "/v1/payments", summary: "Payments of a day, or the newest",
		scopes: []Scope{ScopePay, ScopeReport}, status: http.StatusOK,
	}.operation(api), s.payments)
	huma.Register(api, call{
		id: "list-journal", method: http.MethodGet, path: "/v1/journal", summary: "The journal's entries in their order",
		scopes: []Scope{ScopeReport}, needs: needsManagersEye, status: http.StatusOK,
	}.operation(api), s.journal)
}

func (s *Server) payments(ctx context.Context, in *paymentsInput) (*paymentsOutput, error) {
	entries, cursor, err := s.findPayments(in)
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	out := &paymentsOutput{Body: PaymentList{Payments: []Payment{}, NextCursor: cursor}}
	now := s.now()
	for _, e := range entries {
		out.Body.Payments = append(out.Body.Payments, s.view(e, now))
	}
	return out, nil
}

func (s *Server) findPayments(in *paymentsInput) ([]payflow.Entry, string, error) {
	switch {
	case in.Unannounced:
		all, err := s.cfg.Desk.Unannounced()
		return first(in.Limit, wanted(all, in)), "", err
	case in.Day != "":
		return s.findInDay(in)
	case in.Cursor != "":
		return nil, "", fieldProblem("cursor", "needs the day that its page was of")
	}
	n := in.Limit
	if in.SaleRef != "" || in.Status != "" {
		n = scanMax
	}
	all, err := s.cfg.Desk.Recent(n)
	return first(in.Limit, wanted(all, in)), "", err
}

// findInDay reads a day page by page until the answer is full, or it has looked at enough.
func (s *Server) findInDay(in *paymentsInput) ([]payflow.Entry, string, error) {
	if _, err := time.Parse(dayStyle, in.Day); err != nil {
		return nil, "", fieldProblem("day", fieldRules["query.day"])
	}
	after := payflow.OutTradeNo("")
	if in.Cursor != "" {
		id, err := payflow.ParseOutTradeNo(in.Cursor)
		if err != nil {
			return nil, "", fieldProblem("cursor", fieldRules["query.cursor"])
		}
		after = id
	}
	var found []payflow.Entry
	for looked := 0; looked < scanMax; {
		page, err := s.cfg.Desk.Day(in.Day, after, listMax)
		if err != nil {
			return nil, "", err
		}
		for _, e := range page {
			if after = e.OutTradeNo; matches(e, in) {
				found = append(found, e)
			}
			if len(found) == in.Limit {
				return found, string(after), nil
			}
		}
		if len(page) < listMax {
			return found, "", nil
		}
		looked += len(page)
	}
	return found, string(after), nil
}

func wanted(all []payflow.Entry, in *paymentsInput) []payflow.Entry {
	return slices.DeleteFunc(slices.Clone(all), func(e payflow.Entry) bool { return !matches(e, in) })
}

func matches(e payflow.Entry, in *paymentsInput) bool {
	return (in.SaleRef == "" || string(e.SaleRef) == in.SaleRef) && (in.Status == "" || e.Status == in.Status) && (in.Day == "" || e.StoreDay == in.Day)
}

func first[T any](n int, list []T) []T { return list[:min(n, len(list))] }

func (s *Server) journal(ctx context.Context, in *journalInput) (*journalOutput, error) {
	entries, cursor, err := s.findEvents(in)
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &journalOutput{Body: JournalList{Entries: entries, NextCursor: cursor}}, nil
}

func (s *Server) findEvents(in *journalInput) ([]JournalEntry, string, error) {
	found, after := []JournalEntry{}, in.After
	for looked := 0; looked < scanMax; {
		page, err := s.cfg.Desk.JournalEvents(after, listMax)
		if err != nil {
			return nil, "", err
		}
		for _, j := range page {
			if after = j.Sequence; in.Payment == "" || string(j.OutTradeNo) == in.Payment {
				found = append(found, journalEntry(j))
			}
			if len(found) == in.Limit {
				return found, sequenceText(after), nil
			}
		}
		if len(page) < listMax {
			return found, "", nil
		}
		looked += len(page)
	}
	return found, sequenceText(after), nil
}

func sequenceText(n uint64) string { return strconv.FormatUint(n, 10) }
