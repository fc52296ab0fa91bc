package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/till"
)

// openPole makes the tap of a pole display, where one is configured. Its port may come later.
func (a *agent) openPole(agentOptions) error {
	if a.cfg.Pole.Device == "" {
		return nil
	}
	pole, err := a.server.NewPole(poleConfig(a.cfg))
	if err != nil {
		return &Failure{Code: ExitUsage, What: "[pole] " + err.Error(), Next: "correct rule or words in the [pole] section", Err: err}
	}
	a.pole = pole
	a.feed.taker = poleTaker{a.feed.taker, pole, a.cfg.Till.CodePrefixes}
	return nil
}

func poleConfig(cfg Config) till.PoleConfig {
	p := cfg.Pole
	return till.PoleConfig{
		Protocol: p.Protocol, Columns: p.Columns, Encoding: p.Encoding, Settle: p.Settle, Fresh: p.Fresh,
		Rule: till.PoleRule{Words: p.Words, NotWords: p.NotWords, Pattern: p.Rule, Decimal: p.Decimal, Minor: p.Amounts == "minor",
			Most: int64(p.Most), Currency: cfg.Till.Currency},
	}
}

// openPolePort opens the tap's port for reading alone: nothing can be written to the display.
func openPolePort(p Pole) (*tillPort, error) { return openTillPort(p.Device, p.Line, os.O_RDONLY) }

// watchPole reads the display until ctx ends.
func (a *agent) watchPole(ctx context.Context) {
	if a.pole == nil {
		return
	}
	go a.pole.Watch(ctx)
	keepPort(ctx, &a.poleState, func() (*tillPort, error) { return openPolePort(a.cfg.Pole) },
		func(ctx context.Context, p *tillPort) error { return a.pole.Serve(ctx, p) },
		func(ready bool, why string) { a.logPort("the pole display's line", a.cfg.Pole.Device, ready, why) })
}

// poleTaker arms the old till's total for a customer's code that is scanned while nothing is armed.
type poleTaker struct {
	scanTaker
	pole     *till.Pole
	prefixes []string
}

// Scan arms the total first, and hands the scan on, unless the display has gone on from the total that waits for it: then the cashier is told
// to scan again.
func (t poleTaker) Scan(ctx context.Context, text, aim, device string) (payflow.Entry, error) {
	if _, err := payflow.ParseAuthCode(text, aim, t.prefixes); err == nil {
		if !t.pole.Stands() {
			_ = t.Misread(ctx, device) // it fails only where the engine has stopped, and its page with it
			return payflow.Entry{}, payflow.ErrNothingArmed
		}
		t.pole.ArmForScan(ctx)
	}
	return t.scanTaker.Scan(ctx, text, aim, device)
}

func poleCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pole",
		Short: "Set up the tap of an old till's pole display: show what is read and which total is found",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	file := ""
	watch := &cobra.Command{
		Use:   "watch",
		Short: "Show each display that has settled, and the total that the rule finds on it",
		Long: "Shows each display that has settled, and the total that the rule of the [pole] section finds on it. Nothing is armed. The daemon must be\n" +
			"stopped, or its tap be another port: two programs can't read one port. --file reads a recording, such as cat makes of the port.",
		RunE: func(cmd *cobra.Command, _ []string) error { return p.poleWatch(cmd.Context(), file) },
	}
	watch.Flags().StringVar(&file, "file", "", "read this `FILE` instead of the port")
	cmd.AddCommand(watch)
	return cmd
}

func (p *program) poleWatch(ctx context.Context, file string) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	line, err := openPoleLine(cfg.Pole, file)
	if err != nil {
		return err
	}
	defer line.Close()
	context.AfterFunc(ctx, func() { _ = line.Close() })
	err = till.PoleWatch(ctx, poleConfig(cfg), line, func(l till.PoleLook) { p.printPole(l) })
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func openPoleLine(cfg Pole, file string) (io.ReadCloser, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return nil, &Failure{Code: ExitUsage, What: err.Error(), Next: "name a file that was recorded from the display's port", Err: err}
		}
		return paced{f, cfg.Settle}, nil
	}
	if cfg.Device == "" {
		return nil, &Failure{Code: ExitUsage, What: "no pole display is configured", Next: "write device in the [pole] section, or name a recording with --file"}
	}
	port, err := openPolePort(cfg)
	if err != nil {
		return nil, &Failure{What: cfg.Device + ": " + portTrouble(err), Next: "see that the daemon is stopped, and correct the [pole] section", Err: err}
	}
	return port, nil
}

// paced lets a recording's last display settle before it ends.
type paced struct {
	*os.File
	settle time.Duration
}

// Read reads on, and waits at the end.
func (f paced) Read(b []byte) (int, error) {
	n, err := f.File.Read(b)
	if err != nil {
		time.Sleep(2 * f.settle)
	}
	return n, err
}

func (p *program) printPole(l till.PoleLook) {
	total := l.Total
	if total == "" {
		total = "no total"
	}
	fmt.Fprintf(p.stdout, "%s  [%s]  ->  %s\n", time.Now().Format(time.TimeOnly), strings.ReplaceAll(l.Text, "\n", " | "), total)
}

// oldTills checks the places where old tills speak.
func (c *checker) oldTills() {
	if port, serial := strings.CutPrefix(c.cfg.API.LineListen, serialScheme); serial {
		c.tillPort("line protocol", port, func() (*tillPort, error) { return openTillPort(port, c.cfg.API.LinePort, os.O_RDWR) })
	} else if port != "" {
		c.lineAddress(port)
	}
	if c.cfg.Pole.Device != "" {
		c.tillPort("pole display", c.cfg.Pole.Device, func() (*tillPort, error) { return openPolePort(c.cfg.Pole) })
	}
}

// tillPort checks a port: what the running daemon says of it, or by opening it.
func (c *checker) tillPort(check, name string, open func() (*tillPort, error)) {
	if c.daemon != nil {
		for _, d := range c.daemon.Devices {
			switch {
			case d.Name == name && d.Ready:
				c.ok(check, "%s is read by the running posagent", name)
				return
			case d.Name == name:
				what, next := splitAdvice(d.Text)
				c.fail(check, name+": "+what, next)
				return
			}
		}
	}
	port, err := open()
	if err != nil {
		what, next := splitAdvice(portTrouble(err))
		c.fail(check, name+": "+what, next)
		return
	}
	_ = port.Close()
	c.ok(check, "%s is there and can be opened", name)
}
