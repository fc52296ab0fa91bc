package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"posagent/scanner"
)

// learnOptions are the flags of scanner learn.
type learnOptions struct {
	baud   int
	within time.Duration
	write  bool // into the configuration: --config was given
	asked  bool // --baud was given
}

func scannerLearnCommand(p *program) *cobra.Command {
	var o learnOptions
	cmd := &cobra.Command{
		Use:   "learn",
		Short: "Scan any code, and see which device it came from and what to write into the configuration",
		Long: "Listens to everything that may be a scanner until one of them sends a code. Keyboards go on working meanwhile. With --config FILE the\n" +
			"lines are written into that file: in place of a scanner that is configured and not plugged in, else beside the others. The code is\n" +
			"neither shown nor kept. Stop the daemon first: a scanner that it reads is not heard here.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.write, o.asked = cmd.Flags().Changed("config"), cmd.Flags().Changed("baud")
			return p.learnScanner(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.baud, "baud", 9600, "the speed of serial ports; USB scanners with a COM port of their own (ttyACM) take any")
	cmd.Flags().DurationVar(&o.within, "for", 2*time.Minute, "give up after so long")
	return cmd
}

// learnedResult is what learn prints.
type learnedResult struct {
	Device     listed  `json:"device"`
	Characters int     `json:"characters"`
	AIM        string  `json:"aim,omitempty"`
	TookMS     float64 `json:"took_ms"`
	File       string  `json:"file,omitempty"` // that the lines were written into
	Change     string  `json:"change,omitempty"`
}

func (p *program) learnScanner(ctx context.Context, o learnOptions) error {
	if o.write { // before anybody is asked to scan
		if err := mayReplaceConfig(p.configFile); err != nil {
			return err
		}
	}
	ctx, stop := context.WithTimeout(ctx, o.within)
	defer stop()
	if !p.json {
		fmt.Fprintln(p.stdout, "Scan any code with this till's scanner. Listening to what is plugged in:")
	}
	restore := quietTerminal(os.Stdin) // a scanner that types would type here too
	heard := 0
	learned, err := scanner.Learn(ctx, o.baud, func(f scanner.Found, t scanner.Trouble) {
		if t.Code == "" {
			heard++
		}
		p.tellCandidate(f, t)
	})
	if err == nil {
		time.Sleep(afterScan)
	}
	restore()
	if err != nil {
		return learnFailure(ctx, err, heard)
	}
	device := listed{Found: learned.Found, TOML: learned.TOML()}
	if o.asked {
		device.baud = o.baud
	}
	result := learnedResult{Device: device, Characters: learned.Characters, AIM: learned.AIM, TookMS: float64(learned.Took.Microseconds()) / 1000}
	if o.write {
		result.File = p.configFile
		if result.Change, err = writeScanner(p.configFile, device); err != nil {
			return err
		}
	}
	return p.print(result, func(w io.Writer) { writeLearned(w, result) })
}

// afterScan is how long what a keyboard scanner still types is waited for, before it is thrown away.
const afterScan = 200 * time.Millisecond

func (p *program) tellCandidate(f scanner.Found, t scanner.Trouble) {
	if p.json {
		return
	}
	title := listed{Found: f}.title()
	if t.Code == "" {
		fmt.Fprintf(p.stdout, "  %s\n", title)
		return
	}
	fmt.Fprintf(p.stdout, "  not to %s: %s\n", title, t.Error())
}

func learnFailure(ctx context.Context, err error, heard int) error {
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() == nil {
		return err
	}
	what, next := "no scanner sent a code in time", "see that the scanner beeps, and that none of the devices above is it; a serial one may need --baud as in its manual"
	if heard == 0 {
		what, next = "no device could be listened to", "plug the scanner in, stop the daemon (systemctl stop posagent), and run it with sudo; posagent scanner list shows what is missing"
	}
	return &Failure{What: what, Next: next, Err: err}
}

func writeLearned(w io.Writer, r learnedResult) {
	fmt.Fprintf(w, "\nIt is the %s: a code of %d characters in %.0f ms.\n", r.Device.title(), r.Characters, r.TookMS)
	for _, m := range r.Device.Missing {
		fmt.Fprintf(w, "missing: %s\n", m)
	}
	if r.File == "" {
		fmt.Fprintf(w, "Write this into the configuration, or run it again with --config FILE:\n\n%s", r.Device.TOML)
		return
	}
	fmt.Fprintf(w, "%s: %s\n\n%s", r.File, changeText(r.Change), r.Device.TOML)
	if r.Change != changeNone {
		fmt.Fprintln(w, "\nRestart the service so that it takes effect: systemctl restart posagent")
	}
}
