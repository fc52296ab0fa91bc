package main

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
)

// cutLine stands between a till and its gateway, and can be cut.
type cutLine struct {
	t    *testing.T
	to   string
	mu   sync.Mutex // guards the rest
	at   string
	on   net.Listener
	open []net.Conn
	how  func(till net.Conn) // of a line that goes wrong; nil: all is well
}

func newCutLine(t *testing.T, to string) *cutLine {
	t.Helper()
	c := &cutLine{t: t, to: to, at: "127.0.0.1:0"}
	c.join()
	t.Cleanup(c.cut)
	return c
}

// join lets connections come; those that come go wrong as how says.
func (c *cutLine) join() {
	c.t.Helper()
	l, err := net.Listen("tcp", c.at)
	require.NoError(c.t, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.on = l.Addr().String(), l
	go func() {
		for {
			till, err := l.Accept()
			if err != nil {
				return
			}
			go c.pass(till)
		}
	}()
}

func (c *cutLine) pass(till net.Conn) {
	c.mu.Lock()
	how := c.how
	c.open = append(c.open, till)
	c.mu.Unlock()
	if how != nil {
		how(till)
		return
	}
	gateway, err := net.Dial("tcp", c.to)
	if err != nil {
		_ = till.Close()
		return
	}
	go func() { _, _ = io.Copy(gateway, till); _ = gateway.Close() }()
	_, _ = io.Copy(till, gateway)
	_ = till.Close()
}

// cut takes the line away: nobody listens any more.
func (c *cutLine) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.on.Close()
	for _, conn := range c.open {
		_ = conn.Close()
	}
	c.open = nil
}

func (c *cutLine) goWrong(how func(till net.Conn)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.how = how
}

// anIdleTill is an agent behind a line that can be cut.
func anIdleTill(t *testing.T, api payflow.API) (*agent, *cutLine) {
	t.Helper()
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), api)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	u, err := url.Parse(gateway.url)
	require.NoError(t, err)
	line := newCutLine(t, u.Host)
	account := strings.Replace(gateway.account(), gateway.url, "https://"+line.at, 1)
	require.NoError(t, writeTrialConfig(dir, trialConfig{StoreID: "SZTX001", TillID: "T1", Account: account, Listen: "127.0.0.1:0"}))
	cfg, err := LoadConfig(filepath.Join(dir, "posagent.toml"))
	require.NoError(t, err)
	a := runningAgent(t, cfg)
	require.Eventually(t, func() bool { return a.engine.Ready() == nil }, 20*time.Second, 20*time.Millisecond)
	return a, line
}

func (a *agent) notReadyBecause() string {
	var why *payflow.NotReadyError
	if errors.As(a.engine.Ready(), &why) {
		return why.Code
	}
	return ""
}

// TestAnIdleTillSaysThatItsLineIsGone: nobody has armed anything, and nobody asks.
func TestAnIdleTillSaysThatItsLineIsGone(t *testing.T) {
	stranger := newLineAuthority(t).serving(t, "127.0.0.1")
	for name, fault := range map[string]struct {
		how  func(net.Conn) // nil: nobody listens any more
		says string
		warn health.Code
	}{
		"nobody there":       {nil, "no_network", health.GatewayUnreachable},
		"nothing comes back": {func(net.Conn) {}, "no_network", health.GatewayUnreachable},
		"a page in its place": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n")
		}, "captive_portal", health.CaptivePortal},
		"a stranger's certificate": {func(c net.Conn) { _ = tls.Server(c, stranger).Handshake() }, "captive_portal", health.CaptivePortal},
	} {
		for _, api := range []payflow.API{payflow.APIv3, payflow.APIv2} {
			t.Run(name+", API "+string(api), func(t *testing.T) {
				t.Parallel()
				a, line := anIdleTill(t, api)
				go a.watchIdleLine(t.Context(), idleLooks{each: 50 * time.Millisecond, whole: 300 * time.Millisecond, within: time.Second}, nil)
				if fault.how == nil {
					line.cut()
				} else {
					line.goWrong(fault.how)
				}
				began := time.Now()
				require.Eventually(t, func() bool { return a.notReadyBecause() == fault.says }, 30*time.Second, 10*time.Millisecond)
				t.Logf("told after %s, with a look each 50 ms and a whole one each 300 ms", time.Since(began).Round(time.Millisecond))
				require.Eventually(t, func() bool { return a.health.Holds(fault.warn) }, 5*time.Second, 10*time.Millisecond)
				line.goWrong(nil)
				if fault.how == nil {
					line.join()
				}
				require.Eventually(t, func() bool { return a.engine.Ready() == nil }, 30*time.Second, 10*time.Millisecond, "and back by itself")
			})
		}
	}
}

// A plug that is pulled is looked after at once, however far off the next look is.
func TestAChangeOfTheNetworkIsLookedAfterAtOnce(t *testing.T) {
	a, line := anIdleTill(t, payflow.APIv3)
	changed := make(chan struct{}, 1)
	go a.watchIdleLine(t.Context(), idleLooks{each: time.Hour, whole: time.Hour, within: time.Second}, changed)
	line.cut()
	changed <- struct{}{}
	require.Eventually(t, func() bool { return a.notReadyBecause() == "no_network" }, 20*time.Second, 10*time.Millisecond)
}

func TestAnIdleTillLooksForTheProxyWhereThereIsOne(t *testing.T) {
	a := &agent{}
	a.cfg.WeChat.Hosts = []string{"https://apihk.mch.weixin.qq.com", "https://api.mch.weixin.qq.com:8443"}
	assert.Equal(t, []string{"apihk.mch.weixin.qq.com:443", "api.mch.weixin.qq.com:8443"}, a.lineAddresses())
	a.cfg.WeChat.Proxy = "http://proxy.shop.example:3128"
	assert.Equal(t, []string{"proxy.shop.example:3128"}, a.lineAddresses())
}
