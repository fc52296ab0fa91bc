package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"posagent/payflow"
	"posagent/scanner"
)

// scannerOptions are the flags that choose a scanner in place of the configured ones.
type scannerOptions struct {
	device string        // a serial port
	hid    string        // vendor and product, 1eab:0c06
	mode   string        // of hid
	baud   int           // of a serial port
	within time.Duration // 0: until stopped
	fast   bool          // play without pauses

	settled bool // find out now what a scanner of kind auto is: a recording is of one kind
}

func scannerCommand(p *program) *cobra.Command {
	var o scannerOptions
	cmd := &cobra.Command{
		Use:   "scanner",
		Short: "Find scanners, watch what they send, record it and play it back",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	watch := &cobra.Command{
		Use:   "watch",
		Short: "Show each scan, masked: what kind of code it is, how fast it came, and what the devices are doing",
		Long: "Reads the configured scanners, or the one that --device or --hid names, until Ctrl-C. No digit of a scan is shown. Stop the daemon\n" +
			"first: a scanner is read by one program at a time.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.watchScanners(cmd.Context(), o) },
	}
	record := &cobra.Command{
		Use:   "record FILE",
		Short: "Write down what a scanner sends, byte by byte, to be played back or sent in with a question",
		Long: "Writes what a scanner sends into a new file until Ctrl-C. The file holds the codes in clear; a payment code is dead one minute after it\n" +
			"was shown. Scan codes of goods where you can, and delete the file when it has served.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.recordScanner(cmd.Context(), o, args[0]) },
	}
	play := &cobra.Command{
		Use:   "play FILE",
		Short: "Play a recording and see that it gives the same scans as when it was recorded",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return p.playRecording(cmd.Context(), o, args[0]) },
	}
	for _, reading := range []*cobra.Command{watch, record} {
		o.addFlags(reading)
	}
	play.Flags().BoolVar(&o.fast, "fast", false, "without the recorded pauses")
	cmd.AddCommand(scannerListCommand(p), scannerLearnCommand(p), scannerSetupCommand(p), watch, record, play)
	return cmd
}

func (o *scannerOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.device, "device", "", "read the serial `PORT`, such as /dev/ttyACM0")
	flags.IntVar(&o.baud, "baud", 9600, "with --device")
	flags.StringVar(&o.hid, "hid", "", "read the USB scanner with these `NUMBERS`, such as 1eab:0c06")
	flags.StringVar(&o.mode, "mode", "auto", "with --hid: auto, keyboard (which detaches the kernel's driver) or pos")
	flags.DurationVar(&o.within, "for", 0, "stop after so long; default: at Ctrl-C")
}

// listed is a device that may be a scanner, with the lines of the configuration that name it.
type listed struct {
	scanner.Found
	TOML string `json:"toml"`
	baud int    // that it was read with, where that was asked for
}

func scannerListCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List what is plugged in and may be a scanner, with the lines to write into the configuration",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			devices, found := []listed{}, scanner.ListAll()
			for _, f := range found.Devices {
				devices = append(devices, listed{Found: f, TOML: f.TOML()})
			}
			return p.print(devices, func(w io.Writer) { writeDevices(w, devices, found.Partial) })
		},
	}
}

// writeDevices prints devices for a person; partial says that not every program could be seen.
func writeDevices(w io.Writer, devices []listed, partial bool) {
	if len(devices) == 0 {
		fmt.Fprintln(w, "no scanner found: plug it in, and see that it is set to serial (USB COM) or HID mode with the bar codes in its manual")
	}
	for _, d := range devices {
		fmt.Fprintf(w, "# %s\n", d.title())
		if d.Note != "" {
			fmt.Fprintf(w, "# note: %s\n", d.Note)
		}
		for _, h := range d.Holders {
			fmt.Fprintf(w, "# open in: %s (process %d)\n", cmp.Or(h.Program, "a program"), h.PID)
		}
		for _, m := range d.Missing {
			fmt.Fprintf(w, "# missing: %s\n", m)
		}
		fmt.Fprintln(w, d.TOML)
	}
	if partial && len(devices) > 0 {
		fmt.Fprintln(w, "# Programs of other users could not be seen: run it with sudo to see whether one of them has a scanner open.")
	}
}

// kindText says in words what a device is to the computer.
func (d listed) kindText() string {
	switch d.Kind {
	case "evdev":
		return "keyboard"
	case "hid":
		return "HID POS"
	}
	return d.Kind
}

// title names a device in one line.
func (d listed) title() string {
	title := d.kindText() + " " + cmp.Or(d.Name, "without a name")
	if d.VendorID != 0 {
		title += fmt.Sprintf(" (%04x:%04x)", d.VendorID, d.ProductID)
	}
	return title + when(d.Serial != "", ", serial "+d.Serial)
}

// configs returns the scanners to read: the one that the flags name, or the configured ones.
func (o scannerOptions) configs(p *program) ([]scanner.Config, []string, error) {
	if o.device != "" && o.hid != "" {
		return nil, nil, &Failure{Code: ExitUsage, What: "--device and --hid name two scanners", Next: "give one of them"}
	}
	if o.device != "" {
		return []scanner.Config{{Kind: "serial", Device: o.device, Baud: o.baud}}, nil, nil
	}
	if o.hid != "" {
		cfg := scanner.Config{Kind: "hid", Mode: o.mode, Baud: o.baud}
		if n, err := fmt.Sscanf(o.hid, "%04x:%04x", &cfg.VendorID, &cfg.ProductID); n != 2 || err != nil {
			return nil, nil, &Failure{Code: ExitUsage, What: fmt.Sprintf("--hid %.20q is not two numbers", o.hid), Next: "write them as posagent scanner list shows them, such as 1eab:0c06"}
		}
		return []scanner.Config{cfg}, nil, nil
	}
	cfg, err := p.config()
	if err != nil {
		return nil, nil, err
	}
	var all []scanner.Config
	for _, s := range cfg.Scanners {
		all = append(all, scannerConfig(s))
	}
	if len(all) == 0 {
		return nil, nil, &Failure{Code: ExitUsage, What: "the configuration names no scanner", Next: "posagent scanner list shows what to write; or give --device PORT"}
	}
	return all, cfg.Till.CodePrefixes, nil
}

func (p *program) watchScanners(ctx context.Context, o scannerOptions) error {
	sources, prefixes, err := o.sources(p)
	if err != nil {
		return err
	}
	return p.runSources(ctx, o.within, sources, prefixes)
}

func (o scannerOptions) sources(p *program) ([]scanner.Source, []string, error) {
	configs, prefixes, err := o.configs(p)
	if err != nil {
		return nil, nil, err
	}
	var sources []scanner.Source
	hotplug := scanner.NewHotplug()
	for _, cfg := range configs {
		cfg.Hotplug = hotplug
		source, err := o.source(cfg)
		if err != nil {
			what, next := splitAdvice(err.Error())
			return nil, nil, &Failure{Code: ExitUsage, What: what, Next: next, Err: err}
		}
		sources = append(sources, source)
	}
	return sources, prefixes, nil
}

func (o scannerOptions) source(cfg scanner.Config) (scanner.Source, error) {
	if o.settled {
		settled, err := scanner.Resolve(cfg)
		if err != nil {
			return nil, err
		}
		cfg = settled
	}
	return scanner.New(cfg)
}

// runSources reads sources and prints what they deliver until ctx ends, the time is over, or each has ended.
func (p *program) runSources(ctx context.Context, within time.Duration, sources []scanner.Source, prefixes []string) error {
	if within > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, within)
		defer stop()
	}
	w := scanWatch{p: p, prefixes: prefixes}
	errs := make([]error, len(sources))
	var running sync.WaitGroup
	for i, source := range sources {
		running.Go(func() { errs[i] = source.Run(ctx, w.print) })
	}
	running.Wait()
	return errors.Join(errs...)
}

func (p *program) recordScanner(ctx context.Context, o scannerOptions, file string) error {
	o.settled = true
	sources, prefixes, err := o.sources(p)
	if err != nil {
		return err
	}
	if len(sources) > 1 {
		return &Failure{Code: ExitUsage, What: "the configuration names several scanners", Next: "name the one to record with --device or --hid"}
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &Failure{What: file + " is there already", Next: "name a new file; a recording never replaces another"}
	}
	if err != nil {
		return &Failure{What: "the recording can't be written: " + err.Error(), Next: "name a file in a folder that this user can write to", Err: err}
	}
	recording, err := scanner.Record(sources[0], out)
	if err != nil {
		what, next := splitAdvice(err.Error())
		return errors.Join(&Failure{Code: ExitUsage, What: what, Next: next, Err: err}, out.Close(), os.Remove(file))
	}
	err = p.runSources(ctx, o.within, []scanner.Source{recording}, prefixes)
	return errors.Join(err, out.Close())
}

func (p *program) playRecording(ctx context.Context, o scannerOptions, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return &Failure{What: fmt.Sprintf("the recording %s can't be read: %s", file, plainCause(err)), Next: "name a file that posagent scanner record has written", Err: err}
	}
	defer in.Close()
	playback, err := scanner.Play(in)
	if err != nil {
		what, next := splitAdvice(err.Error())
		return &Failure{What: what, Next: next, Err: err}
	}
	playback.Fast = o.fast
	if err := p.runSources(ctx, 0, []scanner.Source{playback}, nil); err != nil {
		what, next := splitAdvice(err.Error())
		return &Failure{What: what, Next: next, Err: err}
	}
	return p.print(map[string]any{"played": file, "same": true}, func(w io.Writer) { fmt.Fprintln(w, "the recording gives the same scans as when it was recorded") })
}

// scanWatch prints what scanners deliver, masked.
type scanWatch struct {
	p        *program
	prefixes []string
	mu       sync.Mutex // one line at a time
}

// scanLine is an event as watch prints it with --json, one object a line. No digit of a scan is in it.
type scanLine struct {
	At         time.Time        `json:"at"`
	Device     string           `json:"device"`
	State      string           `json:"state,omitempty"`
	Code       string           `json:"code,omitempty"` // of the trouble
	What       string           `json:"what,omitempty"`
	NextStep   string           `json:"next_step,omitempty"`
	Kind       payflow.CodeKind `json:"kind,omitempty"` // of the code that was scanned
	Characters int              `json:"characters,omitempty"`
	AIM        string           `json:"aim,omitempty"`
	TookMS     float64          `json:"took_ms,omitempty"`
	Dropped    uint64           `json:"dropped,omitempty"`
}

func (w *scanWatch) print(e scanner.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := w.line(e)
	if w.p.json {
		_ = json.NewEncoder(w.p.stdout).Encode(line) // a closed output ends the command by its signal
		return
	}
	fmt.Fprintf(w.p.stdout, "%s  %s: %s\n", line.At.Format("15:04:05.000"), line.Device, line.text())
}

func (w *scanWatch) line(e scanner.Event) scanLine {
	line := scanLine{At: e.At, Device: e.Device, Dropped: e.Dropped}
	switch e.Kind {
	case scanner.KindScan:
		line.Kind = payflow.KindOfCode(e.Scan.Text.Reveal(), e.Scan.AIM, w.prefixes)
		line.Characters, line.AIM = e.Scan.Characters, e.Scan.AIM
		line.TookMS = float64(e.Scan.Took.Microseconds()) / 1000
		return line
	case scanner.KindState:
		line.State = e.State.String()
	}
	line.Code, line.What, line.NextStep = string(e.Trouble.Code), e.Trouble.What, e.Trouble.Next
	return line
}

// text is the line for a person.
func (l scanLine) text() string {
	switch {
	case l.Kind != "":
		parts := []string{codeKindText(l.Kind), fmt.Sprintf("%d characters", l.Characters), fmt.Sprintf("in %.0f ms", l.TookMS)}
		if l.AIM != "" {
			parts = append(parts, "AIM ]"+l.AIM)
		}
		if l.Dropped > 0 {
			parts = append(parts, fmt.Sprintf("%d scans lost so far", l.Dropped))
		}
		return strings.Join(parts, ", ")
	case l.State == scanner.Ready.String():
		return "ready: scan something"
	case l.State != "":
		return l.State + ": " + l.What + "; " + l.NextStep
	}
	return "dropped: " + l.What + "; " + l.NextStep
}

// codeKindText names what was scanned.
func codeKindText(kind payflow.CodeKind) string {
	switch kind {
	case payflow.CodeWeChat:
		return "a WeChat Pay payment code"
	case payflow.CodeAlipay:
		return "an Alipay code"
	case payflow.CodeUnionPay:
		return "a UnionPay code"
	case payflow.CodeGoods:
		return "a bar code of goods"
	case payflow.CodeMerchantOwn:
		return "a merchant's own collection code"
	case payflow.CodeWrongLength:
		return "digits of an unknown length"
	case payflow.CodeWrongPrefix:
		return "18 digits that begin otherwise than a payment code (see code_prefixes)"
	case payflow.CodeNothing:
		return "nothing"
	}
	return "text, no digits"
}
