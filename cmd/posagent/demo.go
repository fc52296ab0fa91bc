package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/receipt"
	"posagent/scanner"
	"posagent/till"
	"posagent/wxsim"
)

// demoFlags are the demo's own flags.
type demoFlags struct {
	dir     string
	listen  string
	scanner string
	api     string
	tour    bool
	plant   bool
}

func demoCommand(p *program) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The whole thing on this machine, with no account: simulated WeChat Pay, agent, cashier page",
		Long: "The whole thing on this machine, with no account: simulated WeChat Pay, the agent, and the cashier page.\n" +
			"Enter an amount on the page, then type a code there or in this terminal, or scan one with --scanner.\n" +
			"With --tour nobody is needed: a serial scanner (a pseudo-terminal) reads codes through a day's stories.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.tour {
				return p.runTour(cmd.Context(), f)
			}
			return p.runDemo(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.dir, "dir", "", "keep the state in this `FOLDER` (default: a temporary one, removed at the end)")
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:7080", "`ADDRESS` of the cashier page")
	cmd.Flags().StringVar(&f.scanner, "scanner", "", "read codes from the serial scanner at this `DEVICE` too")
	apiFlag(cmd, &f.api, "speak this `API` of WeChat Pay: v3 or v2")
	cmd.Flags().BoolVar(&f.tour, "tour", false, "tell a day's stories without a person, and compare the books at the end")
	cmd.Flags().BoolVar(&f.plant, "plant-difference", false, "with --tour: plant a difference of one cent in WeChat Pay's books, to see it found")
	return cmd
}

// stateDir returns the folder for a demo's state and what removes it.
func (f demoFlags) stateDir() (string, func(), error) {
	if f.dir == "" {
		dir, err := os.MkdirTemp("", "posagent-demo-")
		return dir, func() { _ = os.RemoveAll(dir) }, err
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return "", nil, err
	}
	return dir, func() {}, os.MkdirAll(dir, 0o700)
}

func (p *program) runTour(ctx context.Context, f demoFlags) error {
	api, err := parseAPI(f.api)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "posagent demo --tour: making keys and certificates for simulated WeChat Pay ...")
	began := time.Now()
	dir, remove, err := f.stateDir()
	if err != nil {
		return err
	}
	words, err := till.LoadWords()
	if err != nil {
		return err
	}
	t := &tour{out: p.stdout, words: words, dir: dir, plant: f.plant}
	if t.trial, err = openTrial(filepath.Join(dir, "wechat-pay"), api); err != nil {
		return err
	}
	defer t.trial.close()
	if t.remote, err = openTrial(filepath.Join(dir, "wechat-pay-remote"), api); err != nil {
		return err
	}
	defer t.remote.close()
	if err := t.run(ctx, began); err != nil {
		return err
	}
	remove()
	return nil
}

func (p *program) runDemo(ctx context.Context, f demoFlags) error {
	api, err := parseAPI(f.api)
	if err != nil {
		return err
	}
	dir, remove, err := f.stateDir()
	if err != nil {
		return err
	}
	defer remove()
	trial, err := openTrial(filepath.Join(dir, "wechat-pay"), api)
	if err != nil {
		return err
	}
	defer trial.close()
	cfg, err := demoConfig(dir, f, trial)
	if err != nil {
		return err
	}
	log, closeLog, err := fileLog(filepath.Join(dir, "posagent.log"))
	if err != nil {
		return err
	}
	defer closeLog()
	a, err := newAgent(cfg, agentOptions{Log: log, Sources: []scanner.Source{scanner.NewTyped("terminal", os.Stdin)}})
	if err != nil {
		return err
	}
	defer a.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.narrate(ctx, a)
	}()
	p.welcome(f, dir)
	err = a.run(ctx)
	stop()
	<-done
	return err
}

func demoConfig(dir string, f demoFlags, t *trial) (Config, error) {
	c := trialConfig{StoreID: "SZTX001", TillID: "T1", Account: t.account(), Listen: f.listen, Scanner: f.scanner, AllowCode: true}
	if err := writeTrialConfig(dir, c); err != nil {
		return Config{}, err
	}
	return LoadConfig(filepath.Join(dir, "posagent.toml"))
}

func fileLog(path string) (zerolog.Logger, func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return zerolog.Nop(), nil, err
	}
	log, err := newLog(file, "debug")
	return log, func() { _ = file.Close() }, err
}

func (p *program) welcome(f demoFlags, dir string) {
	fmt.Fprintf(p.stdout, "%s\nThe cashier page is at http://%s\n", scenarioText(), f.listen)
	fmt.Fprintf(p.stdout, "Enter an amount there; then type a code on the page, or here, and Enter. For example %s pays at once.\n", wxsim.CodeFor("pays-at-once", 1))
	fmt.Fprintf(p.stdout, "A code pays once: change a digit in its middle for the next. State: %s. Ctrl-C ends the demo.\n\n", dir)
}

// narrate prints what the cashier sees, and the receipt of each payment that ends.
func (p *program) narrate(ctx context.Context, a *agent) {
	words, err := till.LoadWords()
	if err != nil {
		fmt.Fprintln(p.stderr, err)
		return
	}
	for change := range a.engine.Subscribe(ctx) {
		e := change.Entry
		message, next := words.Message(e), words.NextStep(e)
		if e.Notice.Kind != "" && e.Status == payflow.Waiting {
			message, next = words.Notice(e.Notice.Kind)
		}
		fmt.Fprintf(p.stdout, "%s  %s  %-10s %s  ->  %s\n", time.Now().Format(time.TimeOnly), e.Amount, e.Status, message["en"], next["en"])
		if e.Status.Final() && e.Status != payflow.Cancelled {
			p.printReceipt(a.cfg, e)
		}
	}
}

func (p *program) printReceipt(cfg Config, e payflow.Entry) {
	slip, err := receipt.Text(e, receiptOptions(cfg))
	if err != nil {
		fmt.Fprintln(p.stderr, err)
		return
	}
	_, _ = io.WriteString(p.stdout, "\n"+slip+"\n")
}

func receiptOptions(cfg Config) receipt.Options {
	return receipt.Options{Store: cfg.Store.Name, Address: cfg.Store.Address, Till: cfg.Till.ID, Location: cfg.Store.TimeZone, Width: cfg.Receipt.Width, Language: cfg.Till.Language}
}
