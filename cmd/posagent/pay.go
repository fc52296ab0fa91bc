package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/till"
)

const (
	armTries     = 10          // of arming with one key while the daemon does not answer
	armPause     = time.Second // between two of them
	codeLineMax  = 512         // bytes of standard input that are read for a code
	cancelWithin = 20 * time.Second
)

// payOptions are the flags of posagent pay.
type payOptions struct {
	amount, currency, sale    string
	description, operator     string
	key                       string
	additional, codeFromStdin bool
	wait                      time.Duration // 0: until the payment is final
}

func payCommand(p *program) *cobra.Command {
	var o payOptions
	cmd := &cobra.Command{
		Use:   "pay --amount AMOUNT --sale SALE",
		Short: "Take one payment through the running daemon, and follow it to its end",
		Long: "Arms a payment on the running daemon; the next code that the till's scanner reads pays it. Each change of state is printed with the\n" +
			"seconds since the start and what to do. Ctrl-C asks for a cancel and goes on until the result is certain; a second Ctrl-C leaves.\n\n" +
			"Exit status: 0 paid, 1 not paid, 3 not decided yet (the daemon goes on; see posagent status).",
		Example: "  posagent pay --amount 12.50 --sale A-1001",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.pay(cmd.Context(), o, cmd.InOrStdin())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.amount, "amount", "", "the amount in major units, such as 12.50")
	flags.StringVar(&o.sale, "sale", "", "the till software's number of the sale; a sale is charged once")
	flags.StringVar(&o.currency, "currency", "", "three capital letters; default: the till's")
	flags.StringVar(&o.description, "description", "", "what the customer reads in WeChat")
	flags.StringVar(&o.operator, "operator", "", "who takes the payment, for the journal")
	flags.StringVar(&o.key, "key", "", "the idempotency key: the same key with the same payment is the same payment; default: a new one")
	flags.BoolVar(&o.additional, "additional-tender", false, "the sale has a paid payment, and the customer pays more")
	flags.BoolVar(&o.codeFromStdin, "code-stdin", false, "read the payment code from standard input, where allow_code_in_api is set")
	flags.DurationVar(&o.wait, "wait", 0, "follow the payment at most so long; default: to its end")
	return cmd
}

func (p *program) pay(ctx context.Context, o payOptions, stdin io.Reader) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	body, err := o.body(cfg)
	if err != nil {
		return err
	}
	code, err := o.code(cfg, stdin)
	if err != nil {
		return err
	}
	client, err := dialDaemon(ctx, cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	armed, err := armSurely(ctx, client, body, o.key)
	if err != nil {
		return err
	}
	f := follower{p: p, client: client, language: cfg.Till.Language, began: time.Now(), wait: o.wait}
	f.tell(armed)
	if code != "" {
		if _, err := client.Code(ctx, armed.ID, code); err != nil {
			return f.codeRefused(ctx, armed.ID, err)
		}
	}
	return f.follow(ctx, armed)
}

func (o payOptions) body(cfg Config) (till.ArmBody, error) {
	if o.amount == "" || o.sale == "" {
		return till.ArmBody{}, &Failure{Code: ExitUsage, What: "--amount and --sale are both needed", Next: "write for example: posagent pay --amount 12.50 --sale A-1001"}
	}
	if o.currency == "" {
		o.currency = string(cfg.Till.Currency)
	}
	amount, err := payflow.ParseAmount(o.amount, o.currency)
	if err != nil {
		return till.ArmBody{}, &Failure{Code: ExitUsage, What: err.Error(), Next: "see: posagent pay --help", Err: err}
	}
	return till.ArmBody{Amount: amount.Minor, Currency: string(amount.Currency), SaleRef: o.sale, Description: o.description, Operator: o.operator,
		AdditionalTender: o.additional}, nil
}

// code reads and judges the code before anything is armed: what is no payment code of WeChat's spends no order number.
func (o payOptions) code(cfg Config, stdin io.Reader) (string, error) {
	if !o.codeFromStdin {
		return "", nil
	}
	if !cfg.Till.AllowCodeInAPI {
		return "", &Failure{Code: ExitUsage, What: "this till takes codes from its own scanner and page only",
			Next: "leave --code-stdin out and scan, or write allow_code_in_api = true into the [till] section and restart posagent"}
	}
	line, err := bufio.NewReader(io.LimitReader(stdin, codeLineMax)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the code from standard input: %w", err)
	}
	line = strings.TrimSpace(line)
	if _, err := payflow.ParseAuthCode(line, "", cfg.Till.CodePrefixes); err != nil {
		what, next := splitAdvice(err.Error())
		return "", &Failure{What: "standard input holds no payment code: " + what, Next: next, Err: err}
	}
	return line, nil
}

// armSurely arms with one key until the daemon has answered: an answer that was lost must not arm a second payment, and Ctrl-C must not
// leave one armed that nobody follows. So ctx ends the tries, and never a call.
func armSurely(ctx context.Context, client *till.Client, body till.ArmBody, key string) (till.Payment, error) {
	if key == "" {
		key = "posagent-pay-" + rand.Text()
	}
	for try := 1; ; try++ {
		armed, err := client.Arm(context.WithoutCancel(ctx), body, key)
		if !isAway(err) {
			return armed, daemonFailure(err)
		}
		if try == armTries || ctx.Err() != nil {
			return armed, &Failure{Code: ExitUncertain, What: "the daemon did not answer, so it is not known whether the payment was armed: " + err.Error(),
				Next: "once it runs, repeat the command with --key " + key + ", which never arms a second payment", Err: err}
		}
		select {
		case <-ctx.Done():
		case <-time.After(armPause):
		}
	}
}

// follower prints a payment's way to its end.
type follower struct {
	p        *program
	client   *till.Client
	language string
	began    time.Time
	wait     time.Duration
}

// tell prints one line: seconds, state, what happened, what to do. With --json only the result is printed.
func (f follower) tell(p till.Payment) {
	if f.p.json {
		return
	}
	fmt.Fprintf(f.p.stdout, "%4.0f s  %-10s  %s\n", time.Since(f.began).Seconds(), p.Status, f.words(p))
}

func (f follower) words(p till.Payment) string {
	words := p.Message.In(f.language)
	if next := p.NextStep.In(f.language); next != "" {
		words += "  -> " + next
	}
	if p.SaleMayUseOtherMeans && !p.Final {
		words += "  (other means are allowed now)"
	}
	if p.Attention != "" {
		words += "  (a person must look: " + string(p.Attention) + ")"
	}
	return words
}

// say prints what this program does, beside the payment's own states.
func (f follower) say(text string) {
	if !f.p.json {
		fmt.Fprintf(f.p.stdout, "%4.0f s  %s\n", time.Since(f.began).Seconds(), text)
	}
}

// follow waits for the payment's end. When ctx ends (ctrl-C) it asks for a cancel and goes on, until it is final or the next signal.
func (f follower) follow(ctx context.Context, p till.Payment) error {
	again := make(chan os.Signal, 2)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	waiting, stop := f.limited(ctx)
	defer stop()
	last, err := f.client.WaitFinal(waiting, p.ID, f.told(p))
	if err != nil && ctx.Err() != nil {
		last, err = f.cancelAndFollow(context.WithoutCancel(ctx), latest(p, last), again)
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return daemonFailure(err)
	}
	return f.result(latest(p, last))
}

func (f follower) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if f.wait > 0 {
		return context.WithTimeout(ctx, f.wait)
	}
	return context.WithCancel(ctx)
}

// told returns a callback that prints each change but the one that was printed already.
func (f follower) told(p till.Payment) func(till.Payment) {
	seen := p.Version
	return func(p till.Payment) {
		if p.Version > seen {
			seen = p.Version
			f.tell(p)
		}
	}
}

func latest(a, b till.Payment) till.Payment {
	if b.Version > a.Version {
		return b
	}
	return a
}

// cancelAndFollow asks for a cancel and follows on. The signal that ended ctx may still lie in again, so only the one after it leaves.
func (f follower) cancelAndFollow(ctx context.Context, p till.Payment, again <-chan os.Signal) (till.Payment, error) {
	select {
	case <-again:
	case <-time.After(100 * time.Millisecond):
	}
	f.say("cancel asked for; a payment that is under way ends only when WeChat Pay has answered (Ctrl-C again: leave it to the daemon)")
	asking, stop := context.WithTimeout(ctx, cancelWithin)
	defer stop()
	if _, err := f.client.Cancel(asking, p.ID, "posagent pay"); err != nil {
		f.say("the cancel was not taken: " + err.Error())
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	go func() {
		select {
		case <-again:
			leave()
		case <-ctx.Done():
		}
	}()
	last, err := f.client.WaitFinal(ctx, p.ID, f.told(p))
	return latest(p, last), err
}

// codeRefused cancels a payment whose code the daemon did not take.
func (f follower) codeRefused(ctx context.Context, id payflow.OutTradeNo, refusal error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelWithin)
	defer stop()
	p, err := f.client.Cancel(ctx, id, "posagent pay")
	if err != nil {
		return daemonFailure(errors.Join(refusal, err))
	}
	f.tell(p)
	return daemonFailure(refusal)
}

// result prints the payment for --json and turns it into the exit status.
func (f follower) result(p till.Payment) error {
	if f.p.json {
		if err := f.p.print(p, nil); err != nil {
			return err
		}
	}
	return resultOf(p, f.language)
}

// resultOf is nil for a paid payment, status 1 for one that is not paid, and status 3 for one that is not decided.
func resultOf(p till.Payment, language string) error {
	switch {
	case p.Status == payflow.Paid:
		return nil
	case p.Final:
		return &Failure{Code: ExitFailed, What: fmt.Sprintf("%s (payment %s)", p.Message.In(language), p.ID), Next: p.NextStep.In(language)}
	}
	next := "do not charge again; follow it with: posagent status"
	if p.Status == payflow.Waiting {
		next = "scan the customer's code, or: posagent cancel " + string(p.ID)
	}
	if p.SaleMayUseOtherMeans {
		next = "take other means if you like; the proof goes on by itself"
	}
	return &Failure{Code: ExitUncertain, What: fmt.Sprintf("not decided yet: payment %s is %s", p.ID, p.Status), Next: next}
}

// splitAdvice parts a text of the form "what happened; what to do now".
func splitAdvice(text string) (what, next string) {
	what, next, _ = strings.Cut(text, "; ")
	return what, next
}
