package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/till"
)

// tailDefault is how many entries journal tail begins with.
const tailDefault = 10

// tailOptions are the flags of journal tail.
type tailOptions struct {
	last, count int
}

func journalTailCommand(p *program, jo *journalOptions) *cobra.Command {
	var o tailOptions
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the journal's newest entries, and each new one as it is written, from the running daemon",
		Long: "Shows the newest entries, then each new one, one line each (with --json one object each), until Ctrl-C or until --count entries were shown.\n" +
			"A daemon that restarts is waited for, and no entry is left out.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.last < 0 || o.last > listMost || o.count < 0 {
				return &Failure{Code: ExitUsage, What: fmt.Sprintf("--last %d or --count %d is out of bounds", o.last, o.count), Next: fmt.Sprintf("write --last 0 to %d, and --count 1 or more", listMost)}
			}
			if jo.file != "" {
				return &Failure{Code: ExitUsage, What: "--file can't be followed: nothing is written to it", Next: "posagent journal list --file FILE shows it"}
			}
			return p.tail(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.last, "last", tailDefault, fmt.Sprintf("begin with so many of the newest entries, 0 to %d", listMost))
	cmd.Flags().IntVar(&o.count, "count", 0, "end after so many entries; 0: at Ctrl-C")
	return cmd
}

// errTailed ends the stream once enough was shown.
var errTailed = errors.New("enough entries were shown")

func (p *program) tail(ctx context.Context, o tailOptions) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	client, err := dialDaemon(ctx, cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	status, err := client.Status(ctx)
	if err != nil {
		return daemonFailure(err)
	}
	t := tailer{to: p.stdout, json: p.json, zone: cfg.Store.TimeZone, left: o.count, after: status.Journal.Sequence - min(status.Journal.Sequence, uint64(o.last))}
	if err = t.catchUp(ctx, client); err == nil {
		err = client.Events(ctx, t.after, func(e till.StreamEvent) error {
			if e.Journal == nil {
				return nil
			}
			return t.show(*e.Journal)
		})
	}
	if errors.Is(err, errTailed) || ctx.Err() != nil {
		return nil
	}
	return daemonFailure(err)
}

// tailer shows entries in their order, each once.
type tailer struct {
	to    io.Writer
	json  bool
	zone  *time.Location
	left  int    // 0: without end
	after uint64 // the sequence of the last that was shown
}

// catchUp shows what is there already: the stream can't begin at the first entry.
func (t *tailer) catchUp(ctx context.Context, client *till.Client) error {
	for {
		page, err := client.Journal(ctx, till.JournalQuery{After: t.after, Limit: pageSize})
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := t.show(e); err != nil {
				return err
			}
		}
		if page.NextCursor == "" {
			return nil
		}
	}
}

func (t *tailer) show(e till.JournalEntry) error {
	if e.Sequence <= t.after {
		return nil
	}
	t.after = e.Sequence
	if err := t.write(e); err != nil {
		return err
	}
	if t.left--; t.left == 0 {
		return errTailed
	}
	return nil
}

func (t *tailer) write(e till.JournalEntry) error {
	if t.json {
		line := json.NewEncoder(t.to)
		line.SetEscapeHTML(false)
		return line.Encode(e)
	}
	status, amount := string(e.Status), ""
	if e.Refund != "" {
		status = string(e.RefundStatus)
	}
	if e.Amount > 0 {
		amount = payflow.Amount{Minor: e.Amount, Currency: e.Currency}.String()
	}
	tail := strings.Join(strings.Fields(strings.Join([]string{string(e.Reason), when(e.Attention != "", "attention: "+string(e.Attention)), string(e.Refund),
		byAndVia(e.Operator, e.Via), e.Note}, " ")), " ")
	text := fmt.Sprintf("%8d  %s  %-22s  %-32s  %-16s  %14s  %-10s  %s", e.Sequence, e.At.In(t.zone).Format("2006-01-02 15:04:05.000"), e.Kind,
		cmp.Or(string(e.Payment), "-"), e.SaleRef, amount, cmp.Or(status, "-"), tail)
	_, err := fmt.Fprintln(t.to, strings.TrimRight(text, " "))
	return err
}
