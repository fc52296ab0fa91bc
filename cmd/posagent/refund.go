package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/till"
)

// refundWait is how long a refund is followed where nobody says otherwise: a wallet's is often done within it, a bank's is not.
const refundWait = time.Minute

// refundOptions are the flags of posagent refund.
type refundOptions struct {
	amount, reason, operator, key string
	wait                          time.Duration
}

// refundShown is what --json prints: the refund, and the key that makes a repeat the same refund.
type refundShown struct {
	till.Refund
	Key string `json:"idempotency_key"`
}

func refundCommand(p *program) *cobra.Command {
	o := refundOptions{wait: refundWait}
	cmd := &cobra.Command{
		Use:   "refund PAYMENT --amount AMOUNT --reason REASON",
		Short: "Give money of a paid payment back, in part or whole",
		Long: "Asks the running daemon to give money of a paid payment back to the customer, and follows the refund for a while. The daemon goes on\n" +
			"with it in any case. The first line names the key of this refund: a repeat of the command with --key KEY is the same refund, never a second one.\n\n" +
			"Exit status: 0 given back; 1 refused, nothing went back; 2 wrong usage; 3 not known yet, on its way, or a person must look.",
		Example: "  posagent refund SZTX001T1261126000042AB12C9 --amount 2.50 --reason \"one cup returned\"",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return p.refund(cmd.Context(), args[0], o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.amount, "amount", "", "what goes back, in major units, such as 2.50")
	flags.StringVar(&o.reason, "reason", "", "why; the customer reads it in WeChat (at most 80 bytes)")
	flags.StringVar(&o.operator, "operator", "", "who gives it back, for the journal")
	flags.StringVar(&o.key, "key", "", "the idempotency key of an earlier try; default: a new one, which is printed first")
	flags.DurationVar(&o.wait, "wait", refundWait, "follow the refund at most so long")
	return cmd
}

func (p *program) refund(ctx context.Context, payment string, o refundOptions) error {
	no, err := orderNumber(payment)
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
	body, err := o.body(ctx, client, no)
	if err != nil {
		return err
	}
	if o.key == "" {
		o.key = "posagent-refund-" + rand.Text()
	}
	p.tellKey(o.key)
	asked, err := refundSurely(ctx, client, no, body, o.key)
	if err != nil {
		return err
	}
	f := refundFollower{p: p, client: client, language: cfg.Till.Language, key: o.key, wait: o.wait}
	return f.follow(ctx, asked)
}

// tellKey prints the key before anything is asked for, so that it is not lost with the answer; a script reads it on standard error.
func (p *program) tellKey(key string) {
	to := p.stdout
	if p.json {
		to = p.stderr
	}
	fmt.Fprintf(to, "key %s: a repeat with --key %s is this refund, never a second one\n", key, key)
}

// body reads the amount in the payment's own currency.
func (o refundOptions) body(ctx context.Context, client *till.Client, no payflow.OutTradeNo) (till.RefundBody, error) {
	if o.amount == "" || o.reason == "" {
		return till.RefundBody{}, &Failure{Code: ExitUsage, What: "--amount and --reason are both needed", Next: "write for example: posagent refund " + string(no) + " --amount 2.50 --reason \"goods returned\""}
	}
	if o.wait < 0 {
		return till.RefundBody{}, &Failure{Code: ExitUsage, What: "--wait is below zero", Next: "see: posagent refund --help"}
	}
	payment, err := client.Payment(ctx, no)
	if err != nil {
		return till.RefundBody{}, daemonFailure(err)
	}
	amount, err := payflow.ParseAmount(o.amount, string(payment.Currency))
	if err != nil {
		return till.RefundBody{}, &Failure{Code: ExitUsage, What: err.Error(), Next: "see: posagent refund --help", Err: err}
	}
	return till.RefundBody{Amount: amount.Minor, Reason: o.reason, Operator: o.operator}, nil
}

// refundSurely asks with one key until the daemon has answered: an answer that was lost must not make a second refund. ctx ends the
// tries, and never a call.
func refundSurely(ctx context.Context, client *till.Client, no payflow.OutTradeNo, body till.RefundBody, key string) (till.Refund, error) {
	for try := 1; ; try++ {
		refund, err := client.Refund(context.WithoutCancel(ctx), no, body, key)
		if !isAway(err) {
			return refund, refundFailure(err)
		}
		if try == armTries || ctx.Err() != nil {
			return refund, &Failure{Code: ExitUncertain, What: "the daemon did not answer, so it is not known whether the refund was asked for: " + err.Error(),
				Next: "once it runs, repeat the command with --key " + key + ", which never makes a second refund", Err: err}
		}
		select {
		case <-ctx.Done():
		case <-time.After(armPause):
		}
	}
}

// refundFailure words a refusal; one of a field or a key is wrong usage.
func refundFailure(err error) error {
	var refused *till.Problem
	if !errors.As(err, &refused) {
		return daemonFailure(err)
	}
	code := ExitFailed
	switch refused.Code {
	case till.BadRequest, till.KeyMissing, till.KeyReused, till.HoldsCode, till.HoldsSecret:
		code = ExitUsage
	case till.Stopping:
		code = ExitUncertain
	}
	if refused.Code == till.Unauthorized {
		return daemonFailure(err)
	}
	return &Failure{Code: code, What: refused.Detail, Next: refused.NextStep.EN, Err: err}
}

// refundFollower prints a refund's way.
type refundFollower struct {
	p        *program
	client   *till.Client
	language string
	key      string
	wait     time.Duration
}

func (f refundFollower) follow(ctx context.Context, asked till.Refund) error {
	within, stop := context.WithTimeout(ctx, f.wait)
	defer stop()
	f.tell(asked)
	seen := asked.Version
	last, err := f.client.FollowRefund(within, asked.ID, func(r till.Refund) {
		if r.Version > seen {
			seen = r.Version
			f.tell(r)
		}
	})
	if last.Version < asked.Version {
		last = asked
	}
	if err != nil && within.Err() == nil {
		return daemonFailure(err)
	}
	if f.p.json {
		if err := f.p.print(refundShown{last, f.key}, nil); err != nil {
			return err
		}
	}
	return f.result(last)
}

func (f refundFollower) tell(r till.Refund) {
	if !f.p.json {
		fmt.Fprintf(f.p.stdout, "%-10s  %s  -> %s\n", r.Status, r.Message.In(f.language), r.NextStep.In(f.language))
	}
}

// result is nil where the money went back, status 1 where it was refused, and status 3 for all that is not at its end or needs a person.
func (f refundFollower) result(r till.Refund) error {
	what := fmt.Sprintf("%s (refund %s)", r.Message.In(f.language), r.ID)
	switch r.Status {
	case payflow.RefundDone:
		return nil
	case payflow.RefundRefused:
		return &Failure{Code: ExitFailed, What: what, Next: r.NextStep.In(f.language)}
	}
	return &Failure{Code: ExitUncertain, What: what, Next: r.NextStep.In(f.language)}
}
