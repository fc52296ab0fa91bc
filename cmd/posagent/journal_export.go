package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/till"
)

// exportDaysMax bounds one export: ten years.
const exportDaysMax = 3660

// The forms of an export.
const (
	exportCSV   = "csv"
	exportLines = "jsonl"
)

// exportOptions are the flags of journal export.
type exportOptions struct {
	day, from, to, format, output string
}

// exportRecord is one payment as an export holds it, with its refunds, whenever those were made.
type exportRecord struct {
	paymentLine
	How     payflow.Handover `json:"how,omitempty"`
	Refunds []refundRow      `json:"refunds"`
}

func journalExportCommand(p *program, jo *journalOptions) *cobra.Command {
	o := exportOptions{format: exportCSV}
	cmd := &cobra.Command{
		Use:   "export --day DAY | --from DAY --to DAY",
		Short: "Write the payments of one or more store days, with their refunds, as CSV or as JSON lines",
		Long: "Writes every payment that was armed on these store days, whatever became of it, in the order of arming, and behind each its refunds,\n" +
			"whenever those were made: one row each (CSV), or one object for each payment with its refunds in it (JSON lines; --json means it too).\n" +
			"In the CSV, taken is what a paid payment brought, in minor units, and given_back what refunds gave back for good; summed up they are what\n" +
			"journal list says. Text that a spreadsheet would take for a formula stands behind an apostrophe.\n\n" +
			"With --output the file is there whole or not at all; a pipe or a device, as /dev/stdout, is written to as it goes. How many rows there are, and their sums, is told on standard error.",
		Example: "  posagent journal export --day 2026-03-10\n  posagent journal export --from 2026-03-01 --to 2026-03-31 --output march.csv",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.json {
				o.format = exportLines
			}
			days, err := o.days()
			if err != nil {
				return err
			}
			return p.withBook(cmd.Context(), *jo, func(b book, cfg Config) error { return p.export(cmd.Context(), b, o, days, cfg.Store.TimeZone) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.day, "day", "", "this store `DAY`, such as 2026-03-10")
	flags.StringVar(&o.from, "from", "", "the first store `DAY`")
	flags.StringVar(&o.to, "to", "", "the last store `DAY`")
	flags.StringVar(&o.format, "format", exportCSV, "csv or jsonl")
	flags.StringVar(&o.output, "output", "", "the `FILE` to write; default: standard output")
	return cmd
}

// days lists the store days that are wanted.
func (o exportOptions) days() ([]string, error) {
	wrong := func(what string) error {
		return &Failure{Code: ExitUsage, What: what, Next: "write for example: posagent journal export --from 2026-03-01 --to 2026-03-31 --format csv"}
	}
	if o.format != exportCSV && o.format != exportLines {
		return nil, wrong(fmt.Sprintf("--format %.20q is not known: it is csv or jsonl", o.format))
	}
	if (o.day == "") == (o.from == "" && o.to == "") || (o.from == "") != (o.to == "") {
		return nil, wrong("either --day, or --from and --to, are needed")
	}
	if o.day != "" {
		o.from, o.to = o.day, o.day
	}
	from, errFrom := time.Parse(time.DateOnly, o.from)
	to, errTo := time.Parse(time.DateOnly, o.to)
	if errFrom != nil || errTo != nil {
		return nil, wrong(fmt.Sprintf("%.20q to %.20q are not days", o.from, o.to))
	}
	if to.Before(from) || to.Sub(from) >= exportDaysMax*24*time.Hour {
		return nil, wrong(fmt.Sprintf("from %s to %s are not 1 to %d days", o.from, o.to, exportDaysMax))
	}
	var days []string
	for at := from; !at.After(to); at = at.AddDate(0, 0, 1) {
		days = append(days, at.Format(time.DateOnly))
	}
	return days, nil
}

// export writes page by page: it holds no more than one page, whatever the days hold.
func (p *program) export(ctx context.Context, b book, o exportOptions, days []string, zone *time.Location) error {
	to, end, err := openExport(o.output, p.stdout)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriter(to)
	rows := exportRows(buffer, o.format, zone)
	sums := exportSums{}
	err = rows.head()
	for i := 0; i < len(days) && err == nil; i++ {
		err = b.day(ctx, days[i], func(r exportRecord) error {
			sums.add(r)
			return rows.write(r)
		})
	}
	if err == nil {
		err = errors.Join(rows.end(), buffer.Flush())
	}
	if err := end(err); err != nil {
		var told *Failure
		if errors.As(err, &told) {
			return err
		}
		return &Failure{What: "the export was not written whole: " + err.Error(), Next: "see that there is room, and export again", Err: err}
	}
	p.note("%s\n", sums)
	return nil
}

// openExport opens where the export goes. A file takes its name once it is whole. What stands under the name and is no file, as /dev/stdout or a pipe, is
// written to and never replaced; a link's file is replaced, and the link stays.
func openExport(name string, stdout io.Writer) (to io.Writer, end func(error) error, err error) {
	if name == "" {
		return stdout, func(err error) error { return err }, nil
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return openNoFile(name, info)
	}
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return nil, nil, &Failure{What: "the file can't be made: " + err.Error(), Next: "name one in a folder that is there and that this user may write to", Err: err}
	}
	return file, func(err error) error {
		err = errors.Join(err, file.Sync(), file.Close())
		if err == nil {
			err = os.Rename(file.Name(), name)
		}
		if err != nil {
			_ = os.Remove(file.Name())
		}
		return err
	}, nil
}

// openNoFile opens a device or a pipe.
func openNoFile(name string, info os.FileInfo) (to io.Writer, end func(error) error, err error) {
	wrong := func(what string, err error) (io.Writer, func(error) error, error) {
		return nil, nil, &Failure{What: what, Next: "name a file in a folder that is there and that this user may write to", Err: err}
	}
	if info.IsDir() {
		return wrong(fmt.Sprintf("%.100q is a folder", name), nil)
	}
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return wrong("it can't be written to: "+err.Error(), err)
	}
	return file, func(err error) error { return errors.Join(err, file.Close()) }, nil
}

// exportSums adds up, by currency.
type exportSums map[payflow.Currency]*exportSum

type exportSum struct {
	payments, paid, refunds int
	taken, back             int64
}

func (s exportSums) add(r exportRecord) {
	one := s[r.Currency]
	if one == nil {
		one = &exportSum{}
		s[r.Currency] = one
	}
	one.payments++
	one.refunds += len(r.Refunds)
	one.back += r.Refunded
	if r.Status == payflow.Paid {
		one.paid, one.taken = one.paid+1, one.taken+r.Amount
	}
}

func (s exportSums) String() string {
	if len(s) == 0 {
		return "no payments on these days"
	}
	var parts []string
	for _, currency := range slices.Sorted(maps.Keys(s)) {
		one := s[currency]
		parts = append(parts, fmt.Sprintf("%d payments, %d of them paid: %s; %d refunds, given back for good: %s", one.payments, one.paid,
			payflow.Amount{Minor: one.taken, Currency: currency}, one.refunds, payflow.Amount{Minor: one.back, Currency: currency}))
	}
	return strings.Join(parts, "\n")
}

// rowWriter is one form of an export.
type rowWriter interface {
	head() error
	write(r exportRecord) error
	end() error
}

func exportRows(w io.Writer, format string, zone *time.Location) rowWriter {
	if format == exportLines {
		lines := json.NewEncoder(w)
		lines.SetEscapeHTML(false)
		return lineRows{lines}
	}
	table := csv.NewWriter(w)
	table.UseCRLF = true // RFC 4180
	return csvRows{table, zone}
}

type lineRows struct{ *json.Encoder }

func (l lineRows) head() error                { return nil }
func (l lineRows) write(r exportRecord) error { return l.Encode(r) }
func (l lineRows) end() error                 { return nil }

// csvRows writes RFC 4180: CRLF, quotes where they are needed, UTF-8, as many fields in each row as in the first.
type csvRows struct {
	*csv.Writer
	zone *time.Location
}

// exportColumns are the names in the first row. They are never renamed; new ones come behind them.
var exportColumns = []string{"kind", "store_day", "id", "payment", "sale_ref", "attempt", "status", "reason", "attention", "currency", "amount", "amount_minor",
	"taken", "given_back", "held_though_not_paid", "transaction_id", "operator", "acknowledged", "how", "note", "at", "final_at"}

func (c csvRows) head() error { return c.Write(exportColumns) }

func (c csvRows) write(r exportRecord) error {
	taken := int64(0)
	if r.Status == payflow.Paid {
		taken = r.Amount
	}
	err := c.row("payment", r.StoreDay, string(r.ID), string(r.ID), string(r.SaleRef), strconv.Itoa(r.Attempt), string(r.Status), string(r.Reason), string(r.Attention),
		string(r.Currency), payflow.Amount{Minor: r.Amount, Currency: r.Currency}.Major(), number(r.Amount), number(taken), "0", yes(r.LateHeld),
		string(r.TransactionID), r.Operator, yes(r.Acknowledged), string(r.How), "", c.time(r.ArmedAt), c.time(r.FinalAt))
	for i := 0; i < len(r.Refunds) && err == nil; i++ {
		err = c.refund(r, r.Refunds[i])
	}
	return err
}

func (c csvRows) refund(of exportRecord, r refundRow) error {
	back := int64(0)
	if r.Status == payflow.RefundDone {
		back = r.Amount
	}
	return c.row("refund", c.day(r.RequestedAt), string(r.ID), string(of.ID), string(of.SaleRef), "", string(r.Status), string(r.Why), string(r.Attention),
		string(r.Currency), payflow.Amount{Minor: r.Amount, Currency: r.Currency}.Major(), number(r.Amount), "0", number(back), "",
		string(of.TransactionID), r.Operator, "", "", r.Reason, c.time(r.RequestedAt), c.time(r.FinalAt))
}

func (c csvRows) row(fields ...string) error {
	for i := range fields {
		fields[i] = noFormula(fields[i])
	}
	return c.Write(fields)
}

func (c csvRows) end() error {
	c.Flush()
	return c.Error()
}

func (c csvRows) time(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(c.zone).Format(time.RFC3339)
}

func (c csvRows) day(at time.Time) string { return at.In(c.zone).Format(time.DateOnly) }

func number(n int64) string { return strconv.FormatInt(n, 10) }

func yes(is bool) string { return when(is, "yes") }

// noFormula puts an apostrophe before what a spreadsheet would calculate: a sale's number, an operator or a reason may be typed by anybody. No number
// of an export is below zero, so that none is touched.
func noFormula(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) || strings.HasPrefix(text, "＝") || strings.HasPrefix(text, "＋") || strings.HasPrefix(text, "－") || strings.HasPrefix(text, "＠") {
		return "'" + text
	}
	return text
}

func (b daemonBook) day(ctx context.Context, day string, each func(exportRecord) error) error {
	query := till.PaymentsQuery{Day: day, Limit: pageSize}
	for {
		page, err := b.client.Payments(ctx, query)
		if err != nil {
			return daemonFailure(err)
		}
		for _, p := range page.Payments {
			r := exportRecord{paymentLine: lineOfView(p), How: p.How, Refunds: []refundRow{}}
			for _, one := range p.Refunds {
				r.Refunds = append(r.Refunds, rowOfRefundView(one))
			}
			if err := each(r); err != nil {
				return err
			}
		}
		if page.NextCursor == "" {
			return nil
		}
		query.Cursor = page.NextCursor
	}
}

func (b fileBook) day(ctx context.Context, day string, each func(exportRecord) error) error {
	for after := payflow.OutTradeNo(""); ; {
		entries, err := b.journal.Day(day, after, pageSize)
		if err != nil {
			return journalOpenFailure(err)
		}
		for _, e := range entries {
			refunds, err := b.journal.RefundsOfPayment(e.OutTradeNo)
			if err != nil {
				return journalOpenFailure(err)
			}
			r := exportRecord{paymentLine: lineOfEntry(e, refunds), How: e.Acknowledged.How, Refunds: []refundRow{}}
			for _, one := range refunds {
				r.Refunds = append(r.Refunds, rowOfRefund(one))
			}
			if err := each(r); err != nil {
				return err
			}
			after = e.OutTradeNo
		}
		if len(entries) < pageSize {
			return ctx.Err()
		}
	}
}
