package wxclient

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// running returns a gateway, its network, and a client whose Run goes on until the test ends.
func running(t *testing.T) (*gateway, *pipes, *Client, func() []Condition) {
	g := newGateway(t)
	network := newPipes(g, firstHost)
	var mu sync.Mutex
	var told []Condition
	config := testConfig(g, network.dial, firstHost)
	config.OnCondition = func(c Condition) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, c)
	}
	c := newClient(t, config)
	done := make(chan struct{})
	go func() { defer close(done); c.Run(t.Context()) }()
	t.Cleanup(func() { c.Close(); <-done })
	synctest.Wait()
	return g, network, c, func() []Condition {
		mu.Lock()
		defer mu.Unlock()
		return append([]Condition(nil), told...)
	}
}

func (p *pipes) dialCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dials)
}

func TestKeepWarmHoldsOneConnectionAndRenewsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, network, c, _ := running(t)
		c.KeepWarm(true)
		synctest.Wait()
		first := c.warm.current()
		require.NotNil(t, first)
		time.Sleep(21 * time.Second)
		second := c.warm.current()
		require.NotNil(t, second)
		assert.NotSame(t, first, second)
		assert.False(t, first.alive())

		g.always(reply{status: 200, body: paidBody(testOrder())})
		before := network.dialCount()
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.Found, outcome.Kind)
		assert.NotZero(t, second.conn.writes.Load(), "the call left on the warm connection")
		c.KeepWarm(false)
		synctest.Wait()
		assert.LessOrEqual(t, network.dialCount(), before+1)
		time.Sleep(time.Hour)
		assert.Nil(t, c.warm.current())
		assert.LessOrEqual(t, network.dialCount(), before+1, "nothing is dialled when nothing is armed")
	})
}

func TestNothingIsAskedRightAfterArming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, c, _ := running(t)
		before := g.count("certificates")
		c.KeepWarm(true)
		time.Sleep(probeEvery - time.Millisecond)
		require.NotNil(t, c.warm.current())
		assert.Equal(t, before, g.count("certificates"), "a probe's signature would take a core from the scan's")
		time.Sleep(2 * time.Millisecond)
		assert.Equal(t, before+1, g.count("certificates"))
	})
}

func TestAPulledCableIsKnownBeforeTheScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, network, c, told := running(t)
		var broken *breakableConn
		network.wrap = func(conn net.Conn) net.Conn {
			broken = &breakableConn{Conn: conn, broken: make(chan struct{})}
			return broken
		}
		c.KeepWarm(true)
		synctest.Wait()
		assert.True(t, c.LinkUp())
		network.set(firstHost, "silent")
		broken.Break() // what the kernel's keep-alive does after three seconds
		synctest.Wait()
		assert.False(t, c.LinkUp())
		assert.Contains(t, kinds(told()), LinkDown)
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.NotSent, outcome.Kind)
		assert.Contains(t, outcome.Text, "network cable")
		assert.Zero(t, g.count("pay"))
		network.set(firstHost, "")
		time.Sleep(10 * time.Second)
		assert.True(t, c.LinkUp(), "plugged in again")
		last := told()[len(told())-1]
		assert.True(t, last.Over)
	})
}

func TestALinkThatCarriesNothingIsKnownBeforeTheScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, c, told := running(t)
		c.KeepWarm(true)
		time.Sleep(10 * time.Second)
		assert.True(t, c.LinkUp(), "a gateway that answers is fit to be sent to")
		g.setMute(true)
		for range 20 { // new connections can still be made all the while
			time.Sleep(probeEvery + probeWithin + time.Second)
			assert.False(t, c.LinkUp(), "the connections stand, and nothing comes back on them")
		}
		assert.Contains(t, kinds(told()), LinkDown)
		g.setMute(false)
		time.Sleep(10 * time.Second)
		assert.True(t, c.LinkUp())
	})
}

func TestALinkThatIsDownIsTriedThoughNothingIsArmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, network, c, _ := running(t)
		c.KeepWarm(true)
		synctest.Wait()
		network.set(firstHost, "silent")
		c.warm.drop()
		c.warm.nudge()
		time.Sleep(10 * time.Second)
		c.KeepWarm(false)
		synctest.Wait()
		require.False(t, c.LinkUp())
		network.set(firstHost, "")
		time.Sleep(10 * time.Second)
		assert.True(t, c.LinkUp(), "nothing is armed while it is down, so nothing else would try it")
	})
}

// breakableConn fails its reads once it is broken, as a connection does whose keep-alive probes go unanswered.
type breakableConn struct {
	net.Conn
	once   sync.Once
	broken chan struct{}
}

func (b *breakableConn) Break() {
	b.once.Do(func() { close(b.broken) })
	_ = b.Conn.SetReadDeadline(time.Now())
}

func (b *breakableConn) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	select {
	case <-b.broken:
		return 0, &net.OpError{Op: "read", Err: io.ErrNoProgress}
	default:
		return n, err
	}
}

func TestWarmWithoutRunServesTheNextPay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 200, body: paidBody(testOrder())})
		require.NoError(t, c.Warm(t.Context()))
		require.NoError(t, c.Warm(t.Context()), "one is enough")
		l := c.warm.current()
		_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.NotZero(t, l.conn.writes.Load())
	})
}

func TestAPayCallIsOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		o.Detail = `{"goods_detail":[{"goods_name":"` + strings.Repeat("x", 4000) + `"}]}`
		g.always(reply{status: 200, body: paidBody(o)})
		require.NoError(t, c.Warm(t.Context()))
		l := c.warm.current()
		_, err := c.Pay(t.Context(), o, testAuthCode(t), gone())
		require.NoError(t, err)
		assert.EqualValues(t, 1, l.conn.writes.Load(), "nothing of it left, or all of it was given to the kernel at once")
	})
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	// The bubble fails when a goroutine is left over.
	synctest.Test(t, func(t *testing.T) {
		g, _, c, _ := running(t)
		c.KeepWarm(true)
		g.always(reply{hang: true})
		for range 3 {
			go func() { _, _ = c.Query(context.Background(), testOrder()) }()
			go func() { _, _ = c.Pay(context.Background(), testOrder(), testAuthCode(t), gone()) }()
			go func() { _, _ = c.Pay(t.Context(), testOrder(), testAuthCode(t), make(chan struct{})) }()
		}
		synctest.Wait()
		c.Close()
		assert.Error(t, c.FirstRoundTrip(t.Context()))
	})
}

func TestProxyIsAskedToConnectAndSeesNothing(t *testing.T) {
	g := newGateway(t)
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.serve(behind)
	seen := make(chan string, 4)
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		there, err := net.Dial("tcp", behind.Addr().String())
		if err != nil || r.Host == "refused.test:443" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		here, _, _ := w.(http.Hijacker).Hijack()
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(there, here); there.Close() }()
		_, _ = io.Copy(here, there)
		here.Close()
	})}
	go server.Serve(proxy)
	defer server.Close()
	config := testConfig(g, nil, firstHost)
	config.Proxy = "http://u:p@" + proxy.Addr().String()
	require.NoError(t, newClient(t, config).FirstRoundTrip(t.Context()))
	assert.Equal(t, "CONNECT first.test:443 Basic dTpw", <-seen)

	config.Hosts = []string{"https://refused.test"}
	err = newClient(t, config).FirstRoundTrip(t.Context())
	require.ErrorContains(t, err, "it answered 403 to CONNECT")
	assert.False(t, strings.Contains(err.Error(), "u:p"))
}

func TestNoProxyIsTakenFromTheEnvironment(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	g := newGateway(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.serve(l)
	require.NoError(t, newClient(t, testConfig(g, nil, l.Addr().String())).FirstRoundTrip(t.Context()))
}

// A probe that began before the scan and is not answered must not end the connection on which the pay call waits for its answer.
func TestAProbeThatFailsLeavesTheConnectionThatAPayCallHasTaken(t *testing.T) {
	var w warmth
	l := &link{dead: make(chan struct{})}
	w.replace(l)
	assert.Same(t, l, w.take())
	assert.False(t, w.giveUp(l), "the pay call has it")
	w.replace(l)
	assert.True(t, w.giveUp(l))
	assert.Nil(t, w.current())
}
