package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"posagent/payflow"
	"posagent/queue"
	"posagent/scanner"
	"posagent/till"
)

// trialTill is one till of the tour: a daemon in a process of its own, its serial scanner (a pseudo-terminal), and the
// cashier's view of it through the local API. The kill tests use it too.
type trialTill struct {
	name   string
	dir    string
	binary string
	extra  []string // environment of the daemon, beyond this process's
	pty    *scanner.PTY
	old    oldTillPorts
	cmd    *exec.Cmd
	exited chan error
	client *till.Client
	output *os.File
}

// trialConfig is what a trial till's configuration file says beyond the account.
type trialConfig struct {
	StoreID, TillID string
	Account         string // the [wechat] section, ready to be written
	Flow            string // the [flow] section's lines
	ScanWithin      string
	Listen          string // host:port of the page, or empty for the socket alone
	Scanner         string // path of the serial device, or empty
	AllowCode       bool
	LineListen      string // where old tills speak, or empty
	PoleDevice      string // the port of an old till's display (ESC/POS), or empty
	OldTills        bool   // with openTrialTill: the line protocol over TCP, and a display on a pseudo-terminal
	OldTillOnPort   bool   // with openTrialTill: the line protocol on a pseudo-terminal
}

// writeTrialConfig writes a complete configuration file into dir.
func writeTrialConfig(dir string, c trialConfig) error {
	if c.ScanWithin == "" {
		c.ScanWithin = "90s"
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	text := fmt.Sprintf(`# Written by posagent for a trial against simulated WeChat Pay.
[store]
id = %q
name = "Tencent Building Branch"
address = "Nanshan District, Shenzhen"

[till]
id = %q
currency = "HKD"
scan_within = %q
allow_code_in_api = %t

[wechat]
%s
[flow]
%s
[journal]
file = "journal.db"

[api]
listen = %q
socket = "posagent.sock"
tokens_file = "tokens.json"
`, c.StoreID, c.TillID, c.ScanWithin, c.AllowCode, c.Account, c.Flow, c.Listen)
	if c.LineListen != "" {
		text += fmt.Sprintf("line_listen = %q\n", c.LineListen)
	}
	if c.PoleDevice != "" {
		text += fmt.Sprintf("\n[pole]\ndevice = %q\nprotocol = \"escpos\"\n", c.PoleDevice)
	}
	if c.Scanner != "" {
		text += fmt.Sprintf("\n[[scanner]]\nkind = \"serial\"\ndevice = %q\n", c.Scanner)
	}
	return os.WriteFile(filepath.Join(dir, "posagent.toml"), []byte(text), 0o600)
}

// openTrialTill makes the till's folder, scanner and configuration; start runs its daemon.
func openTrialTill(dir, name string, c trialConfig) (*trialTill, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	pty, err := scanner.OpenPTY()
	if err != nil {
		return nil, err
	}
	c.Scanner = pty.Path()
	old, err := openOldTillPorts(&c)
	if err != nil {
		return nil, errors.Join(err, pty.Close())
	}
	if err := writeTrialConfig(dir, c); err != nil {
		return nil, errors.Join(err, old.close(), pty.Close())
	}
	return &trialTill{name: name, dir: dir, binary: binary, pty: pty, old: old}, nil
}

// start runs the daemon and returns when it can take a payment.
func (t *trialTill) start(ctx context.Context) error {
	output, err := os.OpenFile(filepath.Join(t.dir, "daemon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	t.output = output
	t.cmd = exec.Command(t.binary, "run", "--log-level", "debug", "--config", filepath.Join(t.dir, "posagent.toml"))
	t.cmd.Env = append(os.Environ(), t.extra...)
	t.cmd.Stdout, t.cmd.Stderr = output, output
	if t.exited, err = startChild(t.cmd); err != nil {
		return fmt.Errorf("start a daemon: %w", err)
	}
	return t.awaitAPI(ctx)
}

func (t *trialTill) awaitAPI(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		client, err := till.Dial(ctx, till.ClientConfig{Socket: filepath.Join(t.dir, "posagent.sock")})
		if err == nil {
			t.client = client
			return nil
		}
		select {
		case died := <-t.exited:
			t.exited <- died // it has room for one; stop and kill look there too
			return fmt.Errorf("the daemon of %s ended (%v): %s", t.name, died, t.lastLines())
		case <-ctx.Done():
			return fmt.Errorf("the daemon of %s did not answer: %w: %s", t.name, err, t.lastLines())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (t *trialTill) lastLines() string {
	text, err := os.ReadFile(filepath.Join(t.dir, "daemon.log"))
	if err != nil {
		return err.Error()
	}
	return lastLinesOf(string(text), 3)
}

func lastLinesOf(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}

// awaitReady returns when the daemon would take a payment, its scanner too.
func (t *trialTill) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	last := "no answer"
	for {
		status, err := t.client.Status(ctx)
		if err == nil && status.Ready && scannersReady(status) {
			return nil
		}
		if err != nil {
			last = err.Error()
		} else if status.NotReady != nil {
			last = status.NotReady.Message
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %s", t.name, last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func scannersReady(s till.StatusReport) bool {
	for _, d := range s.Devices {
		if !d.Ready {
			return false
		}
	}
	return len(s.Devices) > 0
}

// scan holds a code before the scanner.
func (t *trialTill) scan(code string) error {
	_, err := t.pty.Write([]byte(code + "\r\n"))
	return err
}

// arm enters an amount in minor units.
func (t *trialTill) arm(ctx context.Context, sale string, minor int64) (till.Payment, error) {
	return t.client.Arm(ctx, till.ArmBody{Amount: minor, SaleRef: sale, Operator: "P001"}, "tour-"+sale)
}

// until follows a payment until is says enough, calling seen for every change.
func (t *trialTill) until(ctx context.Context, id payflow.OutTradeNo, seen func(till.Payment), enough func(till.Payment) bool) (till.Payment, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var last till.Payment
	_, err := t.client.WaitFinal(ctx, id, func(p till.Payment) {
		last = p
		if seen != nil {
			seen(p)
		}
		if enough(p) {
			cancel()
		}
	})
	if enough(last) {
		return last, nil
	}
	if err == nil {
		err = fmt.Errorf("payment %s ended %s (%s)", id, last.Status, last.Reason)
	}
	return last, err
}

// kill ends the daemon as a power cut would: nothing is closed, nothing is written.
func (t *trialTill) kill() {
	if t.cmd == nil {
		return
	}
	_ = t.cmd.Process.Signal(syscall.SIGKILL)
	<-t.exited
	t.forget()
}

// stop ends the daemon politely.
func (t *trialTill) stop() error {
	if t.cmd == nil {
		return nil
	}
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	var err error
	select {
	case err = <-t.exited:
	case <-time.After(20 * time.Second):
		_ = t.cmd.Process.Signal(syscall.SIGQUIT)
		<-t.exited
		err = fmt.Errorf("the daemon of %s did not stop within 20 s: %s", t.name, t.whereItHangs())
	}
	t.forget()
	return err
}

// whereItHangs is what the daemon wrote when it was told to quit: the stack of each goroutine, cut to 32 kB.
func (t *trialTill) whereItHangs() string {
	text, err := os.ReadFile(filepath.Join(t.dir, "daemon.log"))
	if err != nil {
		return err.Error()
	}
	before, stacks, _ := strings.Cut(string(text), "SIGQUIT: quit")
	return lastLinesOf(before, 20) + "\n" + stacks[:min(len(stacks), 32<<10)]
}

func (t *trialTill) forget() {
	t.cmd = nil
	if t.client != nil {
		t.client.Close()
	}
	_ = t.output.Close()
}

func (t *trialTill) close() error {
	err := t.stop()
	return errors.Join(err, t.old.close(), t.pty.Close())
}

// entries reads the whole journal of a stopped daemon, and checks it.
func (t *trialTill) entries(ctx context.Context) ([]payflow.Entry, error) {
	entries, _, err := t.book(ctx)
	return entries, err
}

// book reads the payments and refunds in the journal of a stopped daemon, and checks it.
func (t *trialTill) book(ctx context.Context) ([]payflow.Entry, []payflow.RefundEntry, error) {
	cfg, err := LoadConfig(filepath.Join(t.dir, "posagent.toml"))
	if err != nil {
		return nil, nil, err
	}
	a := &agent{cfg: cfg}
	c := a.journalConfig(false)
	c.ReadOnly = true
	journal, err := queue.OpenJournal(c)
	if err != nil {
		return nil, nil, err
	}
	defer journal.Close()
	report, err := journal.Verify(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	if !report.Clean() {
		return nil, nil, fmt.Errorf("the journal of %s: %s", t.name, report)
	}
	entries, err := journal.Recent(10_000)
	var refunds []payflow.RefundEntry
	for _, e := range entries {
		of, lost := journal.RefundsOfPayment(e.OutTradeNo)
		err = errors.Join(err, lost)
		refunds = append(refunds, of...)
	}
	return entries, refunds, err
}

// telling keeps one story's lines together, so that stories told on several tills at once are read one after the other.
type telling struct {
	mu    sync.Mutex // guards lines and shown
	lines strings.Builder
	shown string // what the cashier's screen showed last
	began time.Time
}

func (s *telling) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.lines, "  %+7.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func (s *telling) writeTo(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(w, s.lines.String())
}
