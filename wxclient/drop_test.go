package wxclient

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
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

// faultyConn breaks after so many bytes in either direction, or delivers what is written only much later.
type faultyConn struct {
	net.Conn
	mu         sync.Mutex
	writes     int
	writeBytes int           // closed once so many have gone through; -1: never
	readBytes  int           // likewise
	late       time.Duration // from the third Write on (behind the handshake), bytes arrive so much later, whatever is closed meanwhile
	lateOnes   chan []byte
}

func (f *faultyConn) Write(p []byte) (int, error) {
	f.mu.Lock()
	f.writes++
	late := f.late > 0 && f.writes > 2
	allowed := len(p)
	if f.writeBytes >= 0 {
		allowed = min(allowed, f.writeBytes)
		f.writeBytes -= allowed
	}
	f.mu.Unlock()
	if late {
		f.lateOnes <- append([]byte(nil), p...)
		return len(p), nil
	}
	n, err := f.Conn.Write(p[:allowed])
	if err == nil && allowed < len(p) {
		f.Conn.Close()
		err = io.ErrClosedPipe
	}
	return n, err
}

func (f *faultyConn) Read(p []byte) (int, error) {
	f.mu.Lock()
	left := f.readBytes
	f.mu.Unlock()
	if left == 0 {
		f.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	if left > 0 && left < len(p) {
		p = p[:left]
	}
	n, err := f.Conn.Read(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readBytes > 0 {
		f.readBytes -= n
	}
	return n, err
}

// Close of a late connection leaves the network its packets: the peer reads them after our time-out.
func (f *faultyConn) Close() error {
	if f.late > 0 {
		return f.Conn.SetReadDeadline(time.Now())
	}
	return f.Conn.Close()
}

func (f *faultyConn) deliverLate() {
	for p := range f.lateOnes {
		time.Sleep(f.late)
		if _, err := f.Conn.Write(p); err != nil {
			return
		}
	}
}

// TestOneScanMakesAtMostOneArrival breaks the connection at random bytes before, during and after the request, redirects,
// and has peers that read only after the time-out. Whatever happens: at most one whole arrival, none at all where
// "not sent" was said, and exactly one where the payment was found.
func TestOneScanMakesAtMostOneArrival(t *testing.T) {
	tries := 1200
	if testing.Short() {
		tries = 120
	}
	seen := map[string]int{}
	for seed := range 4 {
		synctest.Test(t, func(t *testing.T) { dropWorld(t, uint64(seed), tries/4, seen) })
	}
	assert.NotZero(t, seen["not_sent"], "some tries must fail before the request")
	assert.NotZero(t, seen["lost"], "some during or after it")
	assert.NotZero(t, seen["found"])
	assert.NotZero(t, seen["lost, arrived"])
	assert.NotZero(t, seen["lost, never arrived"])
	t.Log(seen)
}

func dropWorld(t *testing.T, seed uint64, tries int, seen map[string]int) {
	random := rand.New(rand.NewPCG(seed, 7))
	g := newGateway(t)
	network := newPipes(g, firstHost, secondHost)
	c := newClient(t, testConfig(g, network.dial, firstHost, secondHost))
	require.NoError(t, c.FirstRoundTrip(t.Context()))
	var late []chan []byte
	for try := range tries {
		o := testOrder()
		o.OutTradeNo = payflow.OutTradeNo(fmt.Sprintf("S%dN%d", seed, try))
		g.always(reply{status: 200, body: paidBody(o)})
		if random.IntN(8) == 0 {
			g.always(reply{status: 307, header: map[string]string{"Location": "https://" + secondHost + payTarget}})
		}
		allDead := random.IntN(6) == 0 // no host gets through the handshake
		if allDead {
			c.idle.closeAll()
		}
		network.wrap = func(conn net.Conn) net.Conn {
			f := &faultyConn{Conn: conn, writeBytes: -1, readBytes: -1}
			if allDead {
				f.writeBytes = random.IntN(200)
				return f
			}
			switch random.IntN(5) {
			case 0:
				f.writeBytes = random.IntN(4000)
			case 1:
				f.readBytes = random.IntN(4000)
			case 2:
				f.late, f.lateOnes = 15*time.Second+time.Duration(random.IntN(3000))*time.Millisecond, make(chan []byte, 64)
				late = append(late, f.lateOnes)
				go f.deliverLate()
			}
			return f
		}
		if random.IntN(2) == 0 {
			_ = c.Warm(t.Context())
			synctest.Wait()
		}
		outcome, err := c.Pay(t.Context(), o, testAuthCode(t), gone())
		what := string(outcome.Kind)
		if err != nil {
			lostOf(t, err)
			what = "lost"
		}
		time.Sleep(time.Minute) // whatever is still on its way has arrived
		arrived := g.countBodies(string(o.OutTradeNo) + `"`)
		require.LessOrEqual(t, arrived, 1, "%s arrived twice", o.OutTradeNo)
		if what == "not_sent" {
			require.Zero(t, arrived, "%s was called not sent, and arrived", o.OutTradeNo)
		}
		if what == "found" {
			require.Equal(t, 1, arrived)
		}
		seen[what]++
		if what == "lost" {
			seen[[]string{"lost, never arrived", "lost, arrived"}[arrived]]++
		}
		if random.IntN(2) == 0 {
			c.idle.closeAll()
		}
	}
	for _, l := range late {
		close(l)
	}
	network.wrap = nil
}

func (g *gateway) countBodies(part string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, body := range g.bodies {
		if strings.Contains(body, part) {
			n++
		}
	}
	return n
}

// TestAPeerThatReadsAfterTheTimeoutSeesOneArrivalAtMost does the same on real sockets, where the kernel holds bytes.
func TestAPeerThatReadsAfterTheTimeoutSeesOneArrivalAtMost(t *testing.T) {
	g := newGateway(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gate := &gatedListener{Listener: l, open: make(chan struct{})}
	g.serve(gate)
	config := testConfig(g, nil, l.Addr().String())
	config.PayTimeout = 50 * time.Millisecond
	c := newClient(t, config)
	require.NoError(t, c.FirstRoundTrip(t.Context()))
	g.always(reply{status: 200, body: paidBody(testOrder())})
	require.NoError(t, c.Warm(t.Context()))
	gate.stall()
	_, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
	assert.Equal(t, payflow.ReasonTimeout, lostOf(t, err).Reason)
	close(gate.open)
	outcome, err := c.Query(t.Context(), testOrder())
	require.NoError(t, err)
	assert.Equal(t, payflow.Found, outcome.Kind)
	assert.LessOrEqual(t, g.count("POST "+payTarget), 1)
}

// gatedListener's connections stop reading when it is stalled, until it is opened again.
type gatedListener struct {
	net.Listener
	mu      sync.Mutex
	stalled bool
	open    chan struct{}
}

func (g *gatedListener) stall() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stalled = true
}

func (g *gatedListener) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	return &gatedConn{c, g}, err
}

type gatedConn struct {
	net.Conn
	gate *gatedListener
}

func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.gate.mu.Lock()
	stalled := c.gate.stalled
	c.gate.mu.Unlock()
	if stalled {
		<-c.gate.open
	}
	return n, err
}

func TestNothingWrittenIsKnownUnderTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := newClient(t, testConfig(g, newPipes(g, firstHost).dial, firstHost))
		l, err := c.open(t.Context(), c.hosts.order()[0])
		require.NoError(t, err)
		assert.Zero(t, l.conn.writes.Load(), "the handshake's own writes are not counted")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = l.exchange(ctx, []byte("POST / HTTP/1.1\r\n\r\n"))
		require.ErrorAs(t, err, new(*notWrittenError))
		_, err = l.exchange(t.Context(), request{method: http.MethodGet, target: "/x"}.wire(firstHost, "a", "b"))
		require.NoError(t, err)
		assert.NotZero(t, l.conn.writes.Load())
		l.close(io.EOF)
		_, err = l.exchange(t.Context(), []byte("x"))
		require.ErrorAs(t, err, new(*notWrittenError))
	})
}
