package wxclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rawPeer answers every request on every connection with the texts as they are, a second apart.
func rawPeer(t *testing.T, texts ...string) *Client {
	g := newGateway(t)
	dial := func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			secure := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{g.webCert}})
			r, err := http.ReadRequest(bufio.NewReader(secure))
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			for i, text := range texts {
				if i > 0 {
					time.Sleep(time.Second)
				}
				_, _ = io.WriteString(secure, text)
			}
		}()
		return ours, nil
	}
	return newClient(t, testConfig(g, dial, firstHost))
}

func TestAnAnswerHasBounds(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	for name, row := range map[string]struct {
		text string
		fine bool
	}{
		"a whole answer":            {ok + "Content-Length: 2\r\n\r\n{}", true},
		"chunked":                   {ok + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", true},
		"until the connection ends": {ok + "Connection: close\r\n\r\n{}", true},
		"behind a 103":              {"HTTP/1.1 103 Early Hints\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", true},
		"cut off":                   {ok + "Content-Length: 20\r\n\r\n{}", false},
		"a body said to be too big": {ok + "Content-Length: 1048577\r\n\r\n", false},
		"a body that is too big":    {ok + "Connection: close\r\n\r\n" + strings.Repeat(" ", bodyMax+1), false},
		"endless headers":           {ok + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 100), false},
		"endless interim answers":   {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 50) + ok + "Content-Length: 0\r\n\r\n", false},
		"not HTTP":                  {"SSH-2.0-OpenSSH\r\n", false},
		"nothing":                   {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := rawPeer(t, row.text)
				_, err := c.call(t.Context(), request{call: "query", method: http.MethodGet, target: "/x"})
				assert.Equal(t, row.fine, err == nil, "%v", err)
			})
		})
	}
}

func TestWhatComesUnaskedEndsTheConnection(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	for name, texts := range map[string][]string{"in one go": {answer + answer}, "a second later": {answer, answer, ""}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := rawPeer(t, texts...)
				_, err := c.call(t.Context(), request{call: "query", method: http.MethodGet, target: "/x"})
				require.NoError(t, err)
				time.Sleep(1500 * time.Millisecond)
				assert.Nil(t, c.idle.take(c.hosts.order()[0]), "an answer that waits already would be taken for the next call's")
				time.Sleep(time.Second)
			})
		})
	}
}

// A call whose time is over before it begins must not keep a connection that nobody would ever close.
func TestACallThatIsOverBeforeItBeginsLeavesNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 404, body: `{"code":"ORDER_NOT_EXIST"}`})
		_, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		l := c.idle.take(c.hosts.order()[0])
		require.NotNil(t, l)
		c.idle.put(l)

		over, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = c.Query(over, testOrder())
		lostOf(t, err)
		synctest.Wait()
		held := c.idle.take(l.host)
		assert.True(t, held == l || !l.alive(), "neither waiting for the next call nor closed")
		if held != nil {
			held.close(errRested)
		}
	})
}

func TestAPayCallThatIsOverBeforeItLeavesKeepsNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 200, body: paidBody(testOrder())})
		require.NoError(t, c.Warm(t.Context()))
		l := c.warm.current()
		over, cancel := context.WithCancel(t.Context())
		w := c.newWay(over)
		cancel()
		_, err := w.send(over, outgoing{call: "pay", wire: func(string) ([]byte, error) { return []byte("x"), nil }})
		require.ErrorAs(t, err, new(*notWrittenError))
		w.end()
		synctest.Wait()
		held := c.idle.take(l.host)
		assert.True(t, held == l || !l.alive(), "neither waiting for the next call nor closed")
		if held != nil {
			held.close(errRested)
		}
	})
}
