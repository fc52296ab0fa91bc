package till

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onLoopback serves the till on a port of this machine until the test's end.
func (a *aTill) onLoopback() string {
	a.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(a.t, err)
	done := make(chan error, 1)
	go func() { done <- a.server.Serve(l) }()
	a.t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		_ = a.server.Shutdown(ctx) // connections that hang are cut off
		require.NoError(a.t, <-done)
	})
	return l.Addr().String()
}

// connect opens a connection that ends with the test at the latest, and says something on it.
func connect(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, text)
	require.NoError(t, err)
	return c
}

// asked makes one request on a connection of its own and returns the status and how long that took.
func asked(t *testing.T, address, request string) int {
	t.Helper()
	c := connect(t, address, request)
	return statusOn(t, c)
}

func statusOn(t *testing.T, c net.Conn) int {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	_ = answer.Body.Close()
	return answer.StatusCode
}

func healthAt(address string) string {
	return "GET /healthz HTTP/1.1\r\nHost: " + address + "\r\n\r\n"
}

func TestWhoeverOpensThousandsOfConnectionsKeepsNobodyOut(t *testing.T) {
	a := newTill(t)
	address := a.onLoopback()
	kept := connect(t, address, healthAt(address))
	require.Equal(t, http.StatusOK, statusOn(t, kept))
	for i := range 2 * connectionsMax {
		connect(t, address, []string{"", "GET /v1/status HTT", "POST /v1/payments HTTP/1.1\r\nHost: " + address + "\r\nContent-Length: 5\r\nX: "}[i%3])
	}
	assert.Equal(t, http.StatusOK, asked(t, address, healthAt(address)))
	a.server.mu.Lock()
	assert.LessOrEqual(t, len(a.server.listeners[0].held), connectionsMax)
	a.server.mu.Unlock()
	_, err := io.WriteString(kept, healthAt(address))
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, statusOn(t, kept), "who has been answered stays while there are others that say nothing")
}

func TestAConnectionThatIsBeingAnsweredIsNotGivenAway(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	address := a.onLoopback()
	poll := connect(t, address, fmt.Sprintf("GET /v1/payments/%s?since=1&wait=20 HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", id, address, a.token))
	require.Eventually(t, func() bool { return a.server.polls.taken() == 1 }, 10*time.Second, time.Millisecond)
	for range 2 * connectionsMax {
		connect(t, address, "")
	}
	a.desk.move(id, paid)
	assert.Equal(t, http.StatusOK, statusOn(t, poll))
}

func TestWhereAllAreBeingAnsweredTheNewOneIsClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	b := newBoundedListener(l)
	b.max = 1
	first, second := connect(t, l.Addr().String(), ""), connect(t, l.Addr().String(), "")
	held, err := b.Accept()
	require.NoError(t, err)
	b.follow(held, http.StateActive)
	go func() { _, _ = b.Accept() }()
	require.NoError(t, second.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = second.Read(make([]byte, 1))
	assert.Error(t, err)
	b.follow(held, http.StateClosed)
	assert.Empty(t, b.held)
	_ = first
}

// A refusal reads no body: 100 MB are not waited for, whoever sends them, and neither is the byte that never comes.
func TestABodyOf100MBIsRefusedBeforeItIsRead(t *testing.T) {
	a := newTill(t)
	address := a.onLoopback()
	token := "Authorization: Bearer " + a.token + "\r\n"
	const long, chunked = "Content-Length: 104857600\r\n", "Transfer-Encoding: chunked\r\n"
	drips := connect(t, address, "POST /v1/payments HTTP/1.1\r\nHost: "+address+"\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"+token+"Content-Length: 50\r\n\r\n{")
	for _, c := range []struct {
		host, headers string
		status        int
	}{{address, long, 401}, {address, chunked, 401}, {address, "Authorization: Bearer posagent_x\r\n" + long, 401},
		{"attacker.example", token + long, 403}, {address, token + long + "Origin: https://attacker.example\r\n", 403}} {
		conn := connect(t, address, "POST /v1/payments HTTP/1.1\r\nHost: "+c.host+"\r\n"+c.headers+"\r\n")
		assert.Equal(t, c.status, statusOn(t, conn), c.headers)
	}
	require.NoError(t, drips.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err := drips.Read(make([]byte, 1))
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "a body that is read is still waited for: none of the refused were")
	for name, c := range map[string]struct {
		headers string
		status  int
	}{
		"with a length":  {token + long, 413},
		"in chunks":      {token + chunked, 413},
		"the body drips": {token + "Content-Length: 50\r\n", 408},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, address, "POST /v1/payments HTTP/1.1\r\nHost: "+address+"\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"+c.headers+"\r\n")
			sent := make(chan int, 1)
			go func() { sent <- flood(conn, strings.Contains(c.headers, "chunked"), strings.Contains(name, "drips")) }()
			assert.Equal(t, c.status, statusOn(t, conn))
			if c.status == http.StatusRequestEntityTooLarge {
				assert.Less(t, <-sent, 20<<20, "the connection was closed under it")
			}
		})
	}
}

// flood sends up to 100 MB and returns how much was taken.
func flood(c net.Conn, chunked, drips bool) int {
	part := strings.Repeat("w", 32<<10)
	if chunked {
		part = "8000\r\n" + part + "\r\n"
	}
	if drips {
		part = `{"amount":`
	}
	sent := 0
	for sent < 100<<20 {
		n, err := io.WriteString(c, part)
		sent += n
		if err != nil || drips {
			break
		}
	}
	return sent
}

func TestASlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	a := newTill(t)
	c := connect(t, a.onLoopback(), "GET /healthz HTTP/1.1\r\nHost: ")
	require.NoError(t, c.SetReadDeadline(time.Now().Add(4*headerReadTimeout)))
	_, err := io.ReadAll(c)
	assert.NoError(t, err, "the server ends it")
}

// HEAD has no body: a stream would hold its place for as long as the connection is open.
func TestAskingForAStreamsHeadersHoldsNoPlace(t *testing.T) {
	a := newTill(t)
	address := a.onLoopback()
	for range streamsMax + 1 {
		assert.Equal(t, http.StatusOK, asked(t, address, "HEAD /v1/events HTTP/1.1\r\nHost: "+address+"\r\nAuthorization: Bearer "+a.token+"\r\n\r\n"))
	}
	assert.Eventually(t, func() bool { return a.server.streams.taken() == 0 }, 10*time.Second, time.Millisecond)
}

func TestNoPathLeadsOutOfTheCallsAndThePage(t *testing.T) {
	a := newTill(t, func(c *Config) { words, _ := LoadWords(); c.Page = Page(words) })
	address := a.onLoopback()
	for _, path := range []string{"/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/page/../../words/en.json", "/v1/../../etc/passwd",
		"/..\\..\\etc\\passwd", "//etc/passwd", "/page/%00", "/v1/payments/..%2f..%2fjournal", "/v1/payments/../journal", "/.git/config", "/page/"} {
		c := connect(t, address, "GET "+path+" HTTP/1.1\r\nHost: "+address+"\r\nAuthorization: Bearer "+a.token+"\r\nConnection: close\r\n\r\n")
		require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		answer, err := io.ReadAll(c)
		require.NoError(t, err)
		assert.Regexp(t, "^HTTP/1.1 4", string(answer), path)
		assert.NotContains(t, string(answer), "root:")
	}
}

func TestATokenInTheURLOpensNothingAndIsNotLogged(t *testing.T) {
	a := newTill(t)
	for _, query := range []string{"access_token=", "token=", "Authorization=Bearer%20", "after="} {
		r := a.request(http.MethodGet, "/v1/journal?"+query+a.token, "")
		r.Header.Del("Authorization")
		got := a.do(r)
		assert.Equal(t, Unauthorized, got.problem().Code)
		assert.NotContains(t, got.Body, a.token)
		got = a.get("/v1/journal?" + query + a.token)
		assert.Equal(t, BadRequest, got.problem().Code, "also of who shows it rightly beside")
		assert.NotContains(t, got.Body, a.token)
	}
	a.get("/v1/" + a.token)
	a.get("/" + a.token)
	assert.NotContains(t, a.log.String(), a.token)
}

func (p *places) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}
