package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/till"
)

func journalFoundCommand(p *program, o *journalOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "found",
		Short: "List what WeChat Pay holds and a restored journal lost, for a person to settle",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			found, err := findLost(cmd.Context(), cfg, *o)
			if err != nil {
				return err
			}
			return p.print(found, func(w io.Writer) {
				if len(found) == 0 {
					fmt.Fprintln(w, "nothing is to be settled")
				}
				writeFound(w, found, cfg.Store.TimeZone)
			})
		},
	}
}

// findLost asks the daemon, and reads the file where none answers or a file is named.
func findLost(ctx context.Context, cfg Config, o journalOptions) ([]payflow.FoundAfterRestore, error) {
	if o.file == "" {
		client, err := dialDaemon(ctx, cfg)
		if err == nil {
			defer client.Close()
			list, err := client.FoundAfterRestore(ctx)
			return foundOf(list), daemonFailure(err)
		}
		if !isAway(err) {
			return nil, err
		}
	}
	j, err := openToRead(o.config(cfg))
	if err != nil {
		return nil, journalOpenFailure(err)
	}
	defer j.Close()
	return j.FoundAfterRestore(false)
}

func foundOf(list till.FoundList) []payflow.FoundAfterRestore {
	found := []payflow.FoundAfterRestore{}
	for _, f := range list.Orders {
		found = append(found, payflow.FoundAfterRestore{OutTradeNo: f.ID, State: f.State, Amount: payflow.Amount{Minor: f.Amount, Currency: f.Currency},
			TransactionID: f.TransactionID, SuccessTime: f.SuccessTime, FoundAt: f.FoundAt,
			Settled: payflow.FoundSettled{At: f.SettledAt, Operator: f.Operator, Note: f.Note}})
	}
	return found
}

func writeFound(w io.Writer, found []payflow.FoundAfterRestore, zone *time.Location) {
	for _, f := range found {
		paid := ""
		if !f.SuccessTime.IsZero() {
			paid = "paid " + f.SuccessTime.In(zone).Format(time.DateTime)
		}
		text := fmt.Sprintf("TO BE SETTLED  %-32s  %14s  %-10s  %-28s  %s", f.OutTradeNo, f.Amount, f.State, f.TransactionID, paid)
		fmt.Fprintln(w, strings.TrimRight(text, " "))
	}
}

func journalSettleCommand(p *program) *cobra.Command {
	var body till.SettleBody
	cmd := &cobra.Command{
		Use:   "settle ID",
		Short: "Say what became of an order that was found after a restore, through the running daemon; it moves no money",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			no, err := orderNumber(args[0])
			if err != nil {
				return err
			}
			if body.Operator == "" || body.Note == "" {
				return &Failure{Code: ExitUsage, What: "settling is a person's word and needs a name and a note",
					Next: `write for example: posagent journal settle ` + string(no) + ` --operator ANNA --note "goods were given, in the statement"`}
			}
			cfg, err := p.config()
			if err != nil {
				return err
			}
			client, err := dialDaemon(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer client.Close()
			settled, err := client.SettleFound(cmd.Context(), no, body)
			if err != nil {
				return daemonFailure(err)
			}
			return p.print(settled, func(w io.Writer) {
				fmt.Fprintf(w, "%s is settled by %s: %s\n", settled.ID, settled.Operator, settled.Note)
			})
		},
	}
	cmd.Flags().StringVar(&body.Operator, "operator", "", "the `NAME` of who says so; it is journaled (required)")
	cmd.Flags().StringVar(&body.Note, "note", "", "what became of goods and money; it is journaled (required)")
	return cmd
}
