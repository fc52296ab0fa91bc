package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/queue"
)

const (
	listDefault = 50
	listMost    = 1000
)

// journalOptions are the flags of all journal commands.
type journalOptions struct {
	file, keyFile string // "": the configured journal, through the daemon where it runs
}

func journalCommand(p *program) *cobra.Command {
	var o journalOptions
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Look into the journal of payments, and check that nobody has changed it",
		Long: "Looks into the journal. While the daemon runs, list, show, export and tail ask it; verify reads a consistent copy of the file. With the daemon\n" +
			"stopped the file is opened for reading only. Only settle ever writes to it, through the daemon.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&o.file, "file", "", "read this journal `FILE`, such as a backup, instead of the configured one")
	cmd.PersistentFlags().StringVar(&o.keyFile, "key-file", "", "the `FILE` with the journal's key; default: the configured journal's")
	cmd.AddCommand(journalListCommand(p, &o), journalShowCommand(p, &o), journalExportCommand(p, &o), journalTailCommand(p, &o), journalVerifyCommand(p, &o), journalFoundCommand(p, &o), journalSettleCommand(p))
	return cmd
}

// journalFilter chooses payments; its zero value the newest.
type journalFilter struct {
	day, sale, status string
	open              bool
	limit             int
}

func journalListCommand(p *program, o *journalOptions) *cobra.Command {
	f := journalFilter{limit: listDefault}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List payments: the newest first, or those of a day in their order",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return p.withBook(cmd.Context(), *o, func(b book, cfg Config) error {
				lines, err := b.list(cmd.Context(), f)
				if err != nil {
					return err
				}
				return p.print(lines, func(w io.Writer) { writeLines(w, lines, cfg.Store.TimeZone) })
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.day, "day", "", "only this store `DAY`, such as 2026-03-10")
	flags.StringVar(&f.sale, "sale", "", "only payments of this `SALE`")
	flags.StringVar(&f.status, "status", "", "only this `STATUS`: waiting, paying, confirming, reversing, paid, declined, reversed or cancelled")
	flags.BoolVar(&f.open, "open", false, "only payments that are not decided yet")
	flags.IntVar(&f.limit, "limit", listDefault, fmt.Sprintf("at most so many, 1 to %d", listMost))
	return cmd
}

func (f journalFilter) check() error {
	if f.day != "" {
		if _, err := time.Parse(time.DateOnly, f.day); err != nil {
			return &Failure{Code: ExitUsage, What: fmt.Sprintf("--day %.20q is not a day", f.day), Next: "write it as 2026-03-10"}
		}
	}
	if _, known := payflowStatus(f.status); f.status != "" && !known {
		return &Failure{Code: ExitUsage, What: fmt.Sprintf("--status %.20q is not known", f.status),
			Next: "write waiting, paying, confirming, reversing, paid, declined, reversed or cancelled"}
	}
	if f.limit < 1 || f.limit > listMost {
		return &Failure{Code: ExitUsage, What: fmt.Sprintf("--limit %d is out of bounds", f.limit), Next: fmt.Sprintf("write 1 to %d", listMost)}
	}
	return nil
}

func payflowStatus(text string) (payflow.Status, bool) {
	for _, s := range append(openStatuses(), payflow.Paid, payflow.Declined, payflow.Reversed, payflow.Cancelled) {
		if string(s) == text {
			return s, true
		}
	}
	return "", false
}

func openStatuses() []payflow.Status {
	return []payflow.Status{payflow.Waiting, payflow.Paying, payflow.Confirming, payflow.Reversing}
}

// wants reports whether a payment is of those that the filter chooses.
func (f journalFilter) wants(l paymentLine) bool {
	return (f.day == "" || l.StoreDay == f.day) && (f.sale == "" || string(l.SaleRef) == f.sale) &&
		(f.status == "" || string(l.Status) == f.status) && (!f.open || !l.Final)
}

func journalShowCommand(p *program, o *journalOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one payment: where it stands, on what proof, and everything that happened to it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			no, err := orderNumber(args[0])
			if err != nil {
				return err
			}
			return p.withBook(cmd.Context(), *o, func(b book, cfg Config) error {
				shown, err := b.show(cmd.Context(), no)
				if err != nil {
					return err
				}
				return p.print(shown, func(w io.Writer) { shown.write(w, cfg.Store.TimeZone) })
			})
		},
	}
}

// withBook opens the journal, through the daemon where that runs, and closes it after use.
func (p *program) withBook(ctx context.Context, o journalOptions, use func(b book, cfg Config) error) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	b, err := openBook(ctx, cfg, o)
	if err != nil {
		return err
	}
	defer b.close()
	return use(b, cfg)
}

// book is where list and show read: the running daemon, or the file.
type book interface {
	list(ctx context.Context, f journalFilter) ([]paymentLine, error)
	show(ctx context.Context, no payflow.OutTradeNo) (paymentShown, error)
	day(ctx context.Context, day string, each func(exportRecord) error) error // in the order of arming
	close()
}

// openBook asks the daemon, and opens the file where none answers or a file is named.
func openBook(ctx context.Context, cfg Config, o journalOptions) (book, error) {
	if o.file == "" {
		client, err := dialDaemon(ctx, cfg)
		if err == nil {
			return daemonBook{client}, nil
		}
		if !isAway(err) {
			return nil, err
		}
	}
	j, err := openToRead(o.config(cfg))
	if err != nil {
		return nil, journalOpenFailure(err)
	}
	return fileBook{j}, nil
}

// openToRead opens a journal for reading. One in a folder that this user may not look into is told from one that is not there.
func openToRead(cfg queue.JournalConfig) (*queue.Journal, error) {
	if _, err := os.Stat(cfg.File); errors.Is(err, fs.ErrPermission) {
		return nil, &Failure{What: "this user may not look at " + cfg.File, Next: "run the command as the service's user: sudo -u posagent posagent …", Err: err}
	}
	return queue.OpenJournal(cfg)
}

func (o journalOptions) config(cfg Config) queue.JournalConfig {
	return queue.JournalConfig{File: cmp.Or(o.file, cfg.Journal.File), KeyFile: cmp.Or(o.keyFile, keyFileOf(cfg.Journal.File)),
		Location: cfg.Store.TimeZone, ReadOnly: true}
}

// journalOpenFailure parts an opening error into what happened and what to do. Its exit status is 1: nothing in the command was wrong.
func journalOpenFailure(err error) error {
	var failure *Failure
	if errors.As(err, &failure) {
		return err
	}
	what, next := splitAdvice(err.Error())
	return &Failure{Code: ExitFailed, What: what, Next: next, Err: err}
}
