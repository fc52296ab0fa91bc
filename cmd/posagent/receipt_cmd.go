package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/receipt"
)

func receiptCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "receipt",
		Short: "Show a payment's slip",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	forStore, width := false, 0
	preview := &cobra.Command{
		Use:   "preview ID",
		Short: "Show a payment's slip as it would be printed",
		Long: "Shows the slip of a payment that is paid, declined, or taken back, as the journal knows it. While the daemon runs, a copy of the\n" +
			"journal is read.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.previewReceipt(cmd.Context(), args[0], forStore, width)
		},
	}
	preview.Flags().BoolVar(&forStore, "store-copy", false, "the store's copy instead of the customer's")
	preview.Flags().IntVar(&width, "width", 0, "`CHARACTERS` a line; default: the configuration's")
	cmd.AddCommand(preview)
	return cmd
}

// slip is what receipt preview prints with --json.
type slip struct {
	Payment payflow.OutTradeNo `json:"payment"`
	Copy    receipt.Copy       `json:"copy"`
	Text    string             `json:"text"`
}

func (p *program) previewReceipt(ctx context.Context, id string, forStore bool, width int) error {
	no, err := orderNumber(id)
	if err != nil {
		return err
	}
	cfg, err := p.config()
	if err != nil {
		return err
	}
	options := receiptOptions(cfg)
	options.Copy = receipt.Customer
	if forStore {
		options.Copy = receipt.Store
	}
	if width != 0 {
		options.Width = width
	}
	entry, err := readEntry(ctx, cfg, no)
	if err != nil {
		return err
	}
	text, err := receipt.Text(entry, options)
	if err != nil {
		what, next := splitAdvice(err.Error())
		return &Failure{What: what, Next: next, Err: err}
	}
	return p.print(slip{no, options.Copy, text}, func(w io.Writer) { fmt.Fprint(w, text) })
}

// readEntry reads one payment from the journal, or from a copy while the daemon holds it.
func readEntry(ctx context.Context, cfg Config, no payflow.OutTradeNo) (payflow.Entry, error) {
	j, _, end, err := openOrCopy(ctx, journalOptions{}.config(cfg))
	if err != nil {
		return payflow.Entry{}, err
	}
	defer end()
	entry, err := j.Payment(no)
	if errors.Is(err, payflow.ErrNoPayment) {
		return entry, noSuchPayment(no, err)
	}
	if err != nil {
		return entry, journalOpenFailure(err)
	}
	return entry, nil
}

func noSuchPayment(no payflow.OutTradeNo, err error) error {
	var found *payflow.FoundOrderError
	if errors.As(err, &found) {
		what, next := splitAdvice(found.Error())
		return &Failure{What: what, Next: next, Err: err}
	}
	return &Failure{What: "no payment " + string(no) + " in this journal", Next: "posagent journal list shows the payments with their ids", Err: err}
}
