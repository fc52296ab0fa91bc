package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/till"
)

func cancelCommand(p *program) *cobra.Command {
	operator := ""
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Ask the running daemon to cancel a payment",
		Long: "Asks the running daemon to cancel a payment. One that waits for a code ends at once. One that is under way is cancelled as soon as that\n" +
			"is safe, 15 s after the pay call; until then it may still be paid.\n\n" +
			"Exit status: 0 cancelled, nothing was charged; 1 not cancelled; 3 remembered, not decided yet.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.cancel(cmd.Context(), args[0], operator) },
	}
	cmd.Flags().StringVar(&operator, "operator", "", "who asks, for the journal")
	return cmd
}

func (p *program) cancel(ctx context.Context, id, operator string) error {
	no, err := orderNumber(id)
	if err != nil {
		return err
	}
	cfg, err := p.config()
	if err != nil {
		return err
	}
	client, err := dialDaemon(ctx, cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	payment, err := client.Cancel(ctx, no, operator)
	if err != nil {
		return notCancelled(err, cfg.Till.Language)
	}
	err = p.print(payment, func(w io.Writer) { fmt.Fprintf(w, "%s: %s\n", payment.ID, payment.Message.In(cfg.Till.Language)) })
	if err != nil || payment.Status == payflow.Cancelled {
		return err
	}
	if payment.Final {
		return resultOf(payment, cfg.Till.Language)
	}
	return &Failure{Code: ExitUncertain, What: "the cancel is remembered and carried out as soon as that is safe; until then the payment may still be paid",
		Next: "hand over nothing and do not charge again; follow it with: posagent journal show " + string(payment.ID)}
}

// orderNumber reads a payment's id from the command line.
func orderNumber(id string) (payflow.OutTradeNo, error) {
	no, err := payflow.ParseOutTradeNo(id)
	if err != nil {
		return "", &Failure{Code: ExitUsage, What: err.Error(), Next: "posagent journal list shows the payments with their ids", Err: err}
	}
	return no, nil
}

// notCancelled says where a payment stands that no longer takes a cancel.
func notCancelled(err error, language string) error {
	var refused *till.Problem
	if !errors.As(err, &refused) || refused.Payment == nil {
		return daemonFailure(err)
	}
	now := *refused.Payment
	if !now.Final {
		return resultOf(now, language)
	}
	return &Failure{Code: ExitFailed, What: fmt.Sprintf("payment %s is %s already: %s", now.ID, now.Status, now.Message.In(language)),
		Next: now.NextStep.In(language), Err: err}
}
