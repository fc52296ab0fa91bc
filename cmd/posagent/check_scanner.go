package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"posagent/health"
	"posagent/scanner"
	"posagent/till"
)

// udevRules is the file that lets the service open scanners and keeps other programs away from them.
const udevRules = "70-posagent-scanner.rules"

// scanners checks every configured scanner: what the running daemon says of it, or by opening it.
func (c *checker) scanners(ctx context.Context) {
	if len(c.cfg.Scanners) == 0 {
		c.ok("scanner", "none is configured: codes come by page%s", when(c.cfg.Till.AllowCodeInAPI, " and API"))
		return
	}
	lines := make([]checked, len(c.cfg.Scanners))
	var opening sync.WaitGroup
	for i, s := range c.cfg.Scanners {
		opening.Go(func() { lines[i] = c.scanner(ctx, s) })
	}
	opening.Wait()
	for _, line := range lines {
		c.add(line)
	}
	c.meddlers()
}

func (c *checker) scanner(ctx context.Context, s Scanner) checked {
	name := fmt.Sprintf("scanner %s", s.Kind)
	if s.Kind == "stdin" {
		return checked{Check: name, Verdict: verdictOK, Evidence: "lines typed at the terminal"}
	}
	if s.Kind == "hid" && s.Mode != "auto" && !buildVersion().Cgo {
		w, _ := health.Find(health.ScannerUnsupported)
		return checked{name, verdictFail, w.Title.EN, w.NextStep.EN}
	}
	source, err := scanner.New(scannerConfig(s))
	if err != nil {
		what, next := splitAdvice(err.Error())
		return checked{name, verdictFail, what, next}
	}
	if c.daemon != nil {
		return scannerAtDaemon(name, s, c.daemon.Devices)
	}
	return openScanner(ctx, name, source)
}

// scannerAtDaemon: the daemon reads the scanner, so nobody else can.
func scannerAtDaemon(name string, s Scanner, devices []till.Device) checked {
	for _, d := range devices {
		if d.Name != scannerConfig(s).Name() {
			continue
		}
		if d.Ready {
			return checked{Check: name, Verdict: verdictOK, Evidence: d.Name + " is read by the running posagent"}
		}
		what, next := splitAdvice(d.Text)
		return checked{name, verdictFail, what, next}
	}
	return checked{name, verdictWarn, "the running posagent does not know this scanner", "restart the service if the configuration was changed: systemctl restart posagent"}
}

// openScanner reads the scanner until it is ready, or until the time shows that it will not be.
func openScanner(ctx context.Context, name string, source scanner.Source) checked {
	ctx, stop := context.WithTimeout(ctx, checkScannerWithin)
	defer stop()
	line := checked{name, verdictFail, "it does not say whether it is there", "plug it in again"}
	err := source.Run(ctx, func(e scanner.Event) {
		if e.Kind != scanner.KindState || line.Verdict == verdictOK {
			return
		}
		if e.State == scanner.Ready {
			line = checked{Check: name, Verdict: verdictOK, Evidence: e.Device + " is there and can be read"}
		} else {
			line = checked{name, verdictFail, e.Trouble.What, e.Trouble.Next}
		}
		if e.State == scanner.Ready || e.State == scanner.Absent {
			stop()
		}
	})
	if err != nil && line.Verdict != verdictOK {
		line.Evidence, line.Fix = splitAdvice(err.Error())
	}
	return line
}

// meddlers are programs that open scanners by themselves: a modem manager writes AT commands to them, a braille display's driver takes
// the adapters that many scanners are built with. posagent's udev rule keeps both away.
func (c *checker) meddlers() {
	if c.places.system != "linux" || c.ruleInstalled() {
		return
	}
	for _, program := range []struct{ name, does string }{
		{"ModemManager", "it tries new serial ports for modems, and a scanner that it talks to is busy or garbled"},
		{"brltty", "it takes serial adapters of the kinds CH340 and CP210x for braille displays"},
	} {
		if running(c.places.proc, program.name) {
			c.warn("other programs", program.name+" runs: "+program.does, "install posagent's udev rule "+udevRules+", or remove "+program.name)
		}
	}
}

func (c *checker) ruleInstalled() bool {
	for _, folder := range c.places.rules {
		if _, err := os.Stat(filepath.Join(folder, udevRules)); err == nil {
			return true
		}
	}
	return false
}

// running reports a process of this name, below proc.
func running(proc, name string) bool {
	all, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "comm")) // the pattern is sound
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(text)) == name {
			return true
		}
	}
	return false
}
