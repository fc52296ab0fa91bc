package v2

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
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

// TestOneScanMakesAtMostOneArrival breaks the connection at random bytes before, during and after the request, redirects, and has peers
// that read only after the time-out. Whatever happens: at most one whole arrival, none at all where "not sent" was said, and exactly one
// where the payment was found.
func TestOneScanMakesAtMostOneArrival(t *testing.T) {
	tries := 600
	if testing.Short() {
		tries = 80
	}
	seen := map[string]int{}
	for seed := range 2 {
		synctest.Test(t, func(t *testing.T) { dropWorld(t, uint64(seed), tries/2, seen) })
	}
	for _, what := range []string{"not_sent", "found", "lost", "lost, arrived", "lost, never arrived"} {
		assert.NotZero(t, seen[what], what)
	}
	t.Log(seen)
}

func dropWorld(t *testing.T, seed uint64, tries int, seen map[string]int) {
	random := rand.New(rand.NewPCG(seed, 7))
	g := newGateway(t)
	network := newPipes(g, firstHost, secondHost)
	c := newClient(t, testConfig(t, g, network.dial, firstHost, secondHost))
	var late []chan []byte
	for try := range tries {
		o := testOrder()
		o.OutTradeNo = payflow.OutTradeNo(fmt.Sprintf("S%dN%d", seed, try))
		g.always(paid(o, ""))
		if random.IntN(8) == 0 {
			g.always(reply{status: 307, header: map[string]string{"Location": "https://" + secondHost + payPath}})
		}
		allDead := random.IntN(6) == 0 // no host gets through the handshake
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
		time.Sleep(time.Minute) // whatever is still on its way has arrived, and what waited has ended
		arrived := g.countOrders(o.OutTradeNo)
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
	}
	for _, l := range late {
		close(l)
	}
	network.wrap = nil
}

// countOrders returns how many whole pay calls arrived for an order.
func (g *gateway) countOrders(no payflow.OutTradeNo) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, a := range g.arrivals {
		if strings.HasSuffix(a.path, payPath) && a.with["out_trade_no"] == string(no) {
			n++
		}
	}
	return n
}
