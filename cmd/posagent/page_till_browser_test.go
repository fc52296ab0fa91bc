package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/scanner"
	"posagent/wxsim"
)

// pageTill is a whole till: simulated WeChat Pay, the agent with its journal in this process, a scanner on a pseudo-terminal, and a window on
// its page behind a line that can go bad.
type pageTill struct {
	t       testing.TB
	browser context.Context
	window  context.Context
	agent   *agent
	gateway *trial
	pty     *scanner.PTY
	device  string // the scanner's name
	line    *pageLine
	sales   int
}

// pageTillWish is what a till of a test has beyond the usual.
type pageTillWish struct {
	flow       string                           // lines of the [flow] section
	scanWithin string                           // "": 90s
	more       string                           // lines behind the [[scanner]] section: of it, and further sections
	prepare    func(dir string, gateway *trial) // before the agent is made
	unready    bool                             // it can't sell from the start
	path       string                           // of the page that is opened; "" is the cashier's
}

// openPageTill opens the till and its page; flow are lines of the [flow] section.
func openPageTill(t testing.TB, browser context.Context, flow string) *pageTill {
	t.Helper()
	return openPageTillWith(t, browser, pageTillWish{flow: flow})
}

func openPageTillWith(t testing.TB, browser context.Context, wish pageTillWish) *pageTill {
	t.Helper()
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	pty, err := scanner.OpenPTY()
	require.NoError(t, err)
	t.Cleanup(func() { _ = pty.Close() })
	device := filepath.Join(dir, "scanner") // by a name of its own, as udev gives one: another till may be given the number of one that was unplugged
	require.NoError(t, pty.Link(device))
	config := trialConfig{StoreID: "SZTX001", TillID: "T1", Account: gateway.account(), Scanner: device, AllowCode: true, Flow: wish.flow, ScanWithin: wish.scanWithin}
	require.NoError(t, writeTrialConfig(dir, config))
	file := filepath.Join(dir, "posagent.toml")
	appendTo(t, file, wish.more)
	if wish.prepare != nil {
		wish.prepare(dir, gateway)
	}
	cfg, err := LoadConfig(file)
	require.NoError(t, err)
	a, err := newAgent(cfg, agentOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(a.close)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx) }()
	t.Cleanup(func() { stop(); assert.NoError(t, <-ended) })
	p := &pageTill{t: t, browser: browser, agent: a, gateway: gateway, pty: pty, device: device, line: openPageLine(t, a.listeners[0].Addr().String())}
	require.Eventually(t, func() bool { return (wish.unready || a.engine.Ready() == nil) && p.scannerReady() }, time.Minute, 20*time.Millisecond)
	p.window = p.open("/" + wish.path)
	return p
}

func appendTo(t testing.TB, file, text string) {
	t.Helper()
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(before, text...), 0o600))
}

func (p *pageTill) scannerReady() bool {
	for _, state := range p.agent.feed.snapshot() {
		if state.State == scanner.Ready.String() {
			return true
		}
	}
	return false
}

// open opens one more window on a page of this till.
func (p *pageTill) open(path string) context.Context {
	p.t.Helper()
	window, shut := chromedp.NewContext(p.browser)
	p.t.Cleanup(shut)
	require.NoError(p.t, chromedp.Do(window, chromedp.EmulateViewport(1024, 768), chromedp.Navigate("http://"+p.line.address()+path)))
	return window
}

// arm arms a payment as till software does.
func (p *pageTill) arm() payflow.Entry {
	p.t.Helper()
	p.sales++
	ref := payflow.SaleRef("A-" + time.Now().Format("150405.000000"))
	var e payflow.Entry
	require.Eventually(p.t, func() bool {
		var err error
		e, err = p.agent.engine.Arm(p.t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, SaleRef: ref, IdempotencyKey: string(ref)})
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	return e
}

// scan holds a text before the scanner.
func (p *pageTill) scan(text string) {
	p.t.Helper()
	_, err := p.pty.Write([]byte(text + "\r\n"))
	require.NoError(p.t, err)
}

// unplug takes the scanner away.
func (p *pageTill) unplug() {
	p.t.Helper()
	require.NoError(p.t, os.Remove(p.device))
	require.NoError(p.t, p.pty.Close())
}

// pay arms a payment and scans the code of a wallet.
func (p *pageTill) pay(scenario string) payflow.Entry {
	p.t.Helper()
	e := p.arm()
	p.scan(p.gateway.code(scenario))
	return e
}

// becomes waits for a payment's status.
func (p *pageTill) becomes(id payflow.OutTradeNo, status payflow.Status) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { e, err := p.agent.engine.Payment(id); return err == nil && e.Status == status }, 2*time.Minute, 20*time.Millisecond, "%s", status)
}

// answer says of a final payment what became of goods or money.
func (p *pageTill) answer(id payflow.OutTradeNo, how payflow.Handover) {
	p.t.Helper()
	_, err := p.agent.engine.Acknowledge(p.t.Context(), id, payflow.Acknowledgement{At: time.Now(), How: how, Operator: "P001"})
	require.NoError(p.t, err)
}

// slowly makes every answer to a call come late.
func (p *pageTill) slowly(call wxsim.Call, delay time.Duration) (mend func()) {
	return p.gateway.sim.Inject(wxsim.Fault{On: call, Kind: wxsim.LateAnswer, Delay: delay, Times: -1})
}

// pageLine carries a page's connections to its agent. It can stop carrying without a word, as a half-open line does, and be cut.
type pageLine struct {
	listener net.Listener
	to       string

	mu    sync.Mutex // guards the rest
	still chan struct{}
	all   map[net.Conn]struct{}
	runs  sync.WaitGroup
}

func openPageLine(t testing.TB, to string) *pageLine {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &pageLine{listener: listener, to: to, all: map[net.Conn]struct{}{}}
	l.runs.Go(l.accept)
	t.Cleanup(func() { _ = listener.Close(); l.flow(); l.cut(); l.runs.Wait() })
	return l
}

func (l *pageLine) address() string { return l.listener.Addr().String() }

func (l *pageLine) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.runs.Go(func() { l.carry(near) })
	}
}

func (l *pageLine) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer far.Close()
	l.mu.Lock()
	l.all[near], l.all[far] = struct{}{}, struct{}{}
	l.mu.Unlock()
	var both sync.WaitGroup
	pump := func(to, from net.Conn) {
		defer to.Close()
		_, _ = io.Copy(waitingWriter{l, to}, from)
	}
	both.Go(func() { pump(near, far) })
	both.Go(func() { pump(far, near) })
	both.Wait()
	l.mu.Lock()
	delete(l.all, near)
	delete(l.all, far)
	l.mu.Unlock()
}

// waitingWriter writes once the line carries.
type waitingWriter struct {
	line *pageLine
	to   net.Conn
}

func (w waitingWriter) Write(b []byte) (int, error) {
	w.line.mu.Lock()
	still := w.line.still
	w.line.mu.Unlock()
	if still != nil {
		<-still
	}
	return w.to.Write(b)
}

// stall carries nothing from now on, and hangs nothing up.
func (l *pageLine) stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.still = make(chan struct{})
}

// flow carries again, what waits first.
func (l *pageLine) flow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.still != nil {
		close(l.still)
	}
	l.still = nil
}

// cut hangs up every connection there is.
func (l *pageLine) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.all {
		_ = c.Close()
	}
}
