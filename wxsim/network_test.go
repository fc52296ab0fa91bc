package wxsim

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The network's tests stand for no document: they are what cables, routers and gateways do.

func TestAWarmConnectionGoesDeadWithoutAWord(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.DeadenLinks()
		began := time.Now()
		_, err := c.play("A1", "pays-at-once")
		require.Error(t, err)
		assert.GreaterOrEqual(t, time.Since(began), 10*time.Second, "nobody hung up: the till's own time-out ended it")
		assert.Equal(t, 0, c.sim.Books().Calls[Pay].Whole)
		assert.Equal(t, "ORDER_NOT_EXIST", c.state("A1"), "a new connection works")
	})
}

func TestAnAnswerThatIsOnItsWayIsLostInADeadLink(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{On: Pay, Kind: LateAnswer, Delay: 5 * time.Second})
		time.AfterFunc(time.Second, c.sim.DeadenLinks)
		_, err := c.play("A1", "pays-at-once")
		require.Error(t, err)
		assert.Equal(t, "SUCCESS", c.state("A1"))
	})
}

func TestAConnectionCanFailBeforeItsFirstRequest(t *testing.T) {
	for _, kind := range []Kind{DropUnread, Stall, DeadLink, ReadLate} {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.sim.Inject(Fault{On: Connect, Kind: kind})
			_, err := c.pay("A1", realCode)
			assert.Error(t, err, kind)
			time.Sleep(30 * time.Second)
			assert.Equal(t, 0, c.sim.Books().Calls[Pay].Whole, "%s: on a pipe nothing waits in a socket", kind)
			c.fetch()
		})
	}
}

func TestTheNetworkGoesDownAndComesBackOnTheSamePort(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	defer sim.Close()
	url, err := sim.Start("127.0.0.1:0")
	require.NoError(t, err)
	c := newCaller(t, sim, url, (&net.Dialer{}).DialContext)
	defer c.web.CloseIdleConnections()
	c.fetch()
	sim.NetworkDown()
	sim.NetworkDown()
	_, err = c.play("A1", "pays-at-once")
	require.Error(t, err)
	_, err = c.play("A1", "pays-at-once")
	assert.True(t, errors.Is(err, syscall.ECONNREFUSED), "%v", err)
	require.NoError(t, sim.NetworkUp())
	require.NoError(t, sim.NetworkUp())
	assert.Equal(t, "200 SUCCESS", whatCame(c.mustPlay("A1", "pays-at-once"), nil))
	sim.DropLinks()
	assert.Equal(t, "SUCCESS", c.state("A1"))
}

func TestWithAListenerOfTheCallersConnectionsAreClosedWhileTheNetworkIsDown(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.NetworkDown()
		_, err := c.play("A1", "pays-at-once")
		require.Error(t, err)
		require.NoError(t, c.sim.NetworkUp())
		assert.Equal(t, "200 SUCCESS", whatCame(c.mustPlay("A1", "pays-at-once"), nil))
	})
}

// What a till wrote into a socket before it left is still read, late: only a till that discards it is safe.
func TestBytesThatWaitInASocketAreReadLate(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	defer sim.Close()
	url, err := sim.Start("")
	require.NoError(t, err)
	sim.Inject(Fault{On: Connect, Kind: ReadLate, Delay: 300 * time.Millisecond})
	creds, err := sim.Credentials("")
	require.NoError(t, err)
	link, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: creds.Roots})
	require.NoError(t, err)
	c := newCaller(t, sim, url, nil)
	body := jsonText(c.payBody("A1", realCode, 1))
	_, err = io.WriteString(link, "POST "+payPath+" HTTP/1.1\r\nHost: x\r\nUser-Agent: till\r\nAccept: application/json\r\nContent-Type: application/json\r\n"+
		"Authorization: "+c.authorization("POST", payPath, body)+"\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
	require.NoError(t, err)
	require.NoError(t, link.Close())
	assert.Equal(t, 0, sim.Books().Calls[Pay].Whole)
	require.Eventually(t, func() bool { return sim.Books().Calls[Pay].Whole == 1 }, 10*time.Second, 10*time.Millisecond)
}

func TestTheSimulatorListensOnThisMachineAlone(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	for _, address := range []string{"0.0.0.0:0", ":8443", "192.0.2.1:0", "here"} {
		_, err := sim.Start(address)
		assert.Error(t, err, address)
	}
	sim.Close()
	_, err = sim.Start("")
	assert.ErrorIs(t, err, errClosed)
	assert.NoError(t, sim.Serve(newPipes()))
}

// A request that breaks off inside its head is counted, and nothing else.
func TestAHeadThatBreaksOffIsCounted(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		for _, text := range []string{"POST /v3/glo", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", headMax)} {
			raw, err := c.web.Transport.(*http.Transport).DialContext(t.Context(), "", "")
			require.NoError(t, err)
			link := tls.Client(raw, &tls.Config{RootCAs: c.creds.Roots, ServerName: "localhost"})
			link.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = io.WriteString(link, text)
			raw.Close()
			time.Sleep(time.Second)
		}
		assert.Equal(t, 2, c.sim.Books().Broken)
	})
}

// Close returns only when nothing of the simulator runs any more, whatever its connections are at.
func TestCloseEndsWhatStallsAndWaits(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{On: Query, Kind: Stall})
		c.sim.Inject(Fault{On: Query, Kind: LateAnswer, Delay: time.Hour})
		c.sim.Inject(Fault{On: Query, Kind: ReadLate, Delay: time.Hour})
		for range 3 {
			_, err := c.do(Query, "A1")
			require.Error(t, err)
		}
	}) // the bubble fails where a goroutine is left
}
