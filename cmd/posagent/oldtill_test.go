package main

import (
	"bufio"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/scanner"
	"posagent/till"
)

// oldTillsPC is an agent with a scanner, an old till's line and its customer display, each on a pseudo-terminal behind a name that stays.
type oldTillsPC struct {
	t                   *testing.T
	a                   *agent
	trial               *trial
	scanner, line, pole *port
}

// port is a port that can be unplugged and plugged in again.
type port struct {
	t    *testing.T
	name string
	*scanner.PTY
	in *bufio.Reader
}

// plug puts a fresh port under the name, as udev does.
func (p *port) plug() {
	p.t.Helper()
	pty, err := scanner.OpenPTY()
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = pty.Close() })
	p.PTY, p.in = pty, bufio.NewReader(pty)
	require.NoError(p.t, pty.Link(p.name))
}

func (p *port) says(text string) {
	p.t.Helper()
	_, err := p.Write([]byte(text))
	require.NoError(p.t, err)
}

// reads returns the next line that comes to this end.
func (p *port) reads() string {
	p.t.Helper()
	require.NoError(p.t, p.SetDeadline(time.Now().Add(30*time.Second)))
	line, err := p.in.ReadString('\n')
	require.NoError(p.t, err, line)
	return strings.TrimSpace(line)
}

func newOldTillsPC(t *testing.T, with ...func(*Config)) *oldTillsPC {
	t.Helper()
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	pc := &oldTillsPC{t: t, trial: gateway}
	for name, p := range map[string]**port{"scanner": &pc.scanner, "line": &pc.line, "pole": &pc.pole} {
		*p = &port{t: t, name: filepath.Join(dir, "usb-"+name)}
		(*p).plug()
	}
	require.NoError(t, writeTrialConfig(dir, trialConfig{StoreID: "SZTX001", TillID: "T1", Account: gateway.account(),
		Scanner: pc.scanner.name, LineListen: serialScheme + pc.line.name, PoleDevice: pc.pole.name}))
	cfg, err := LoadConfig(filepath.Join(dir, "posagent.toml"))
	require.NoError(t, err)
	for _, w := range with {
		w(&cfg)
	}
	pc.a = runningAgent(t, cfg)
	pc.soon(func() bool { return pc.a.engine.Ready() == nil && pc.devicesReady() == 3 }, "all is there")
	return pc
}

// devicesReady counts the devices that the status calls ready.
func (pc *oldTillsPC) devicesReady() (n int) {
	for _, d := range pc.a.status().Devices {
		if d.Ready {
			n++
		}
	}
	return n
}

func (pc *oldTillsPC) soon(holds func() bool, what string) {
	pc.t.Helper()
	require.Eventually(pc.t, holds, 30*time.Second, 10*time.Millisecond, what)
}

// offer waits for the total that the display offers.
func (pc *oldTillsPC) offer(minor int64) till.PoleOffer {
	pc.t.Helper()
	var offer till.PoleOffer
	pc.soon(func() (ok bool) {
		offer, ok = pc.a.pole.Offer(time.Now())
		return ok && offer.Amount.Minor == minor
	}, "the total is offered")
	return offer
}

func (pc *oldTillsPC) holding() payflow.Entry {
	e, _ := pc.a.engine.Holding()
	return e
}

// TestACodeScannedWhileTheDisplayChangesPaysNothing with everything as the agent wires it: the scanner, the display, the engine. On a machine so
// busy that nothing was drawn for as long as a display takes to settle, the payment is cancelled before the scan: then the story is told again.
func TestACodeScannedWhileTheDisplayChangesPaysNothing(t *testing.T) {
	for range 5 {
		if scansWhileTheDisplayChanges(t) {
			return
		}
	}
	t.Fatal("the display settled before each scan: the machine is too busy to show anything")
}

func scansWhileTheDisplayChanges(t *testing.T) bool {
	t.Helper()
	pc := newOldTillsPC(t, func(cfg *Config) { cfg.Pole.Settle = 2 * time.Second })
	pc.pole.says("\x1b@TOTAL     HK$ 12.50")
	offer := pc.offer(1250)
	armed, err := pc.a.pole.Arm(t.Context(), offer.Key, "")
	require.NoError(t, err)

	changing, stop := context.WithCancel(t.Context())
	drawn := make(chan struct{})
	go func() { // a till that draws its display all the time
		defer close(drawn)
		for n := 0; changing.Err() == nil; n++ {
			_, _ = pc.pole.Write([]byte("\x1b@CHIPS      " + string(rune('A'+n%26))))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	pc.soon(func() bool { return !pc.a.pole.Stands() }, "the display changes")
	code := pc.trial.code("pays-at-once")
	pc.scanner.says(code + "\r")
	waits := func() bool {
		e, err := pc.a.engine.Payment(armed.OutTradeNo)
		require.NoError(t, err)
		return e.Status == payflow.Waiting
	}
	misread := func() bool { return pc.a.engine.LastNotice().Kind == payflow.NoticeMisread }
	pc.soon(func() bool { return misread() || !waits() }, "the cashier is told to scan again")
	stop()
	<-drawn
	e, err := pc.a.engine.Payment(armed.OutTradeNo)
	require.NoError(t, err)
	if !misread() {
		require.Equal(t, payflow.Cancelled, e.Status)
		return false
	}
	assert.Empty(t, e.CodeTail, "no code was taken")
	assert.Empty(t, pc.trial.books(), "nothing was asked of WeChat Pay")

	pc.pole.says("\x1b@TOTAL     HK$ 15.00") // and the same code pays what its customer is shown now
	pc.soon(func() bool {
		e := pc.holding()
		return e.Amount.Minor == 1500 && e.Status == payflow.Waiting || pc.offers(1500)
	}, "the new total")
	pc.scanner.says(code + "\r")
	pc.soon(func() bool { paid := pc.trial.books(); return len(paid) == 1 && paid[0].Amount.Minor == 1500 }, "the code was not spent")
	return true
}

func (pc *oldTillsPC) offers(minor int64) bool {
	o, ok := pc.a.pole.Offer(time.Now())
	return ok && o.Amount.Minor == minor
}

// TestTheLinesPortComesBackUnderItsName: the cable of the old till's line is pulled while a payment waits, and put in again.
func TestTheLinesPortComesBackUnderItsName(t *testing.T) {
	pc := newOldTillsPC(t)
	pc.line.says("PAY A-1 1250\r\n")
	wait := pc.line.reads()
	require.Contains(t, wait, "WAIT ")
	for range 2 {
		require.NoError(t, pc.line.Close())
		pc.soon(func() bool { return pc.devicesReady() == 2 }, "the status says that it is away")
		pc.line.plug()
		pc.soon(func() bool { return pc.devicesReady() == 3 }, "and that it is back")
		pc.line.says("PAY A-1 1250\r\n")
		assert.Equal(t, wait, pc.line.reads(), "the same payment")
	}
	require.NoError(t, pc.line.Close())
	pc.scanner.says(pc.trial.code("pays-at-once") + "\r")
	id := payflow.OutTradeNo(strings.Fields(wait)[1])
	pc.soon(func() bool { e, _ := pc.a.engine.Payment(id); return e.Status == payflow.Paid }, "it is paid while nobody listens")
	pc.line.plug()
	pc.soon(func() bool { return pc.devicesReady() == 3 }, "back")
	pc.line.says("PAY A-1 1250\r\n")
	assert.Contains(t, pc.line.reads(), "OK "+string(id))
	assert.Len(t, pc.trial.books(), 1)
}

// TestThePolesPortComesBackUnderItsName: what waits for a code is cancelled, and nothing is put together over the gap.
func TestThePolesPortComesBackUnderItsName(t *testing.T) {
	pc := newOldTillsPC(t)
	pc.pole.says("\x1b@TOTAL     HK$ 12.50")
	armed, err := pc.a.pole.Arm(t.Context(), pc.offer(1250).Key, "")
	require.NoError(t, err)
	pc.pole.says("\x1b@TOTAL     HK$ 1")
	require.NoError(t, pc.pole.Close())
	pc.soon(func() bool { e, _ := pc.a.engine.Payment(armed.OutTradeNo); return e.Status == payflow.Cancelled }, "what waits is cancelled")
	pc.soon(func() bool { return pc.devicesReady() == 2 }, "the status says that it is away")
	pc.scanner.says(pc.trial.code("pays-at-once") + "\r")
	pc.soon(func() bool { return pc.a.engine.LastNotice().Kind == payflow.NoticeNothingArmed }, "a scan meanwhile pays nothing")
	pc.pole.plug()
	pc.soon(func() bool { return pc.devicesReady() == 3 }, "back")
	pc.pole.says("9.00")
	time.Sleep(time.Second)
	_, offered := pc.a.pole.Offer(time.Now())
	assert.False(t, offered, "19.00 was on no display")
	pc.pole.says("\x1b@TOTAL     HK$ 19.00")
	pc.offer(1900)
	assert.Empty(t, pc.trial.books())
}
