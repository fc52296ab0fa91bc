package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"posagent/health"
)

// How long the parts of a check may take: together less than 20 s, whatever does not answer.
const (
	checkDaemonWithin  = 3 * time.Second
	checkJournalWithin = 3 * time.Second // the file is locked for reading so long: a daemon that starts meanwhile tries again
	checkScannerWithin = 3 * time.Second // udev needs up to 2 s after a replug
	checkGatewayWithin = 10 * time.Second
)

// verdict is what a line of a check says.
type verdict string

const (
	verdictOK   verdict = "ok"
	verdictWarn verdict = "warn" // it works, and will go wrong if nobody acts
	verdictFail verdict = "fail" // payments can't be taken, or money is at risk
)

// checked is one line of a check.
type checked struct {
	Check    string  `json:"check"`
	Verdict  verdict `json:"verdict"`
	Evidence string  `json:"evidence"`
	Fix      string  `json:"fix,omitempty"` // what to do now; "" with ok
}

// checkReport is what check prints with --json.
type checkReport struct {
	OK     bool      `json:"ok"` // nothing failed
	Failed int       `json:"failed"`
	Warned int       `json:"warned"`
	Checks []checked `json:"checks"`
}

func checkCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check every thing that can be wrong on a store PC, one line each: ok, warn or fail, what was seen, what to do",
		Long: "Checks configuration, credentials, journal, scanners, clock, gateway and this PC, without making a sale. What needs no network is\n" +
			"checked even when WeChat Pay can't be reached. It takes 20 s at most.\n\n" +
			"Exit status: 0 nothing fails (warnings allowed), 1 something fails, 2 the configuration can't be used.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.check(cmd.Context()) },
	}
}

func (p *program) check(ctx context.Context) error {
	c := &checker{now: time.Now, places: thisPC()}
	if !p.json {
		c.tell = func(line checked) { writeChecked(p.stdout, line) }
	}
	cfg, err := p.config()
	if err != nil {
		c.configMistakes(err)
		if err := c.print(p); err != nil {
			return err
		}
		return &Failure{Code: ExitUsage, What: "the configuration can't be used, so nothing else was checked", Next: "correct it, then run: posagent check", Err: err}
	}
	c.cfg = cfg
	c.all(ctx)
	if err := c.print(p); err != nil {
		return err
	}
	if r := c.report(); !r.OK {
		return &Failure{What: fmt.Sprintf("%d of %d checks failed", r.Failed, len(r.Checks)), Next: "mend what is marked fail, from the top, then run: posagent check"}
	}
	return nil
}

// checker makes the checks and keeps their lines.
type checker struct {
	cfg    Config
	now    func() time.Time
	places places
	tell   func(checked) // told each line at once; nil: nobody

	creds  Credentials // as far as they could be read
	fit    bool        // the credentials fit together
	daemon *statusReport
	lines  []checked
}

// all makes every check: first what needs no network.
func (c *checker) all(ctx context.Context) {
	c.ok("configuration", "%s", c.cfg.File)
	c.findDaemon(ctx)
	c.account()
	c.checkJournal(ctx)
	c.api(ctx)
	c.shop()
	c.scanners(ctx)
	c.oldTills()
	c.clockSet()
	c.gateway(ctx)
	c.daemonWarnings()
}

func (c *checker) add(line checked) {
	c.lines = append(c.lines, line)
	if c.tell != nil {
		c.tell(line)
	}
}

func (c *checker) ok(check, format string, args ...any) {
	c.add(checked{Check: check, Verdict: verdictOK, Evidence: fmt.Sprintf(format, args...)})
}

func (c *checker) warn(check, evidence, fix string) {
	c.add(checked{check, verdictWarn, evidence, fix})
}

func (c *checker) fail(check, evidence, fix string) {
	c.add(checked{check, verdictFail, evidence, fix})
}

// failBy adds an error as a line: a *Failure has both parts, any other text is parted at its first semicolon.
func (c *checker) failBy(check string, err error) {
	var failure *Failure
	if errors.As(err, &failure) {
		c.fail(check, failure.What, failure.Next)
		return
	}
	what, next := splitAdvice(err.Error())
	c.fail(check, what, next)
}

// known adds a warning of the list: red fails, a mere notice is ok, with its next step.
func (c *checker) known(check string, code health.Code, detail string) {
	w, _ := health.Find(code)
	line := checked{Check: check, Verdict: verdictWarn, Evidence: w.Title.EN + inParentheses(detail), Fix: w.NextStep.EN}
	switch w.Severity {
	case health.Red:
		line.Verdict = verdictFail
	case health.Info:
		line.Verdict = verdictOK
	}
	c.add(line)
}

// configMistakes tells each mistake in the configuration on a line of its own.
func (c *checker) configMistakes(err error) {
	var mistakes *ConfigError
	if !errors.As(err, &mistakes) {
		c.failBy("configuration", err)
		return
	}
	for _, m := range mistakes.Mistakes {
		what, next := splitAdvice(m.String())
		c.fail("configuration", fmt.Sprintf("%s:%d:%d: %s", mistakes.File, m.Line, m.Column, what), next)
	}
}

func (c *checker) report() checkReport {
	r := checkReport{Checks: c.lines}
	for _, line := range c.lines {
		switch line.Verdict {
		case verdictFail:
			r.Failed++
		case verdictWarn:
			r.Warned++
		}
	}
	r.OK = r.Failed == 0
	return r
}

// print ends the output: the whole for --json, else the count; the lines were printed as they came.
func (c *checker) print(p *program) error {
	r := c.report()
	return p.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%d checks: %d ok, %d warnings, %d failed\n", len(r.Checks), len(r.Checks)-r.Warned-r.Failed, r.Warned, r.Failed)
	})
}

// writeChecked prints a line as "verdict  check  evidence; fix".
func writeChecked(w io.Writer, line checked) {
	text := line.Evidence
	if line.Fix != "" {
		text += "; " + line.Fix
	}
	fmt.Fprintf(w, "%-4s  %-20s  %s\n", line.Verdict, line.Check, text)
}

// places are the folders of the system that a check looks into.
type places struct {
	proc        string   // of processes
	rules       []string // of udev
	credentials []string // where the service's credentials lie
	ext4        string   // what the kernel tells of mounted ext4
	system      string   // the operating system, as runtime.GOOS
	root        string   // where browsers and their policies lie
}

func thisPC() places {
	return places{
		proc: "/proc", rules: []string{"/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"},
		credentials: []string{"/etc/posagent/credentials", "/run/credentials/posagent.service"}, ext4: "/proc/fs/ext4", system: runtime.GOOS, root: "/",
	}
}
