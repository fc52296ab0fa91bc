package wxclient

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// The bounds of an answer.
const (
	headMax     = 64 << 10 // bytes of status line and headers
	bodyMax     = 1 << 20  // bytes of a JSON body
	framingMax  = 64 << 10 // bytes that chunked framing may add to a body
	interimsMax = 5        // 1xx answers before the answer itself
)

// answer is what came back, not verified yet.
type answer struct {
	status        int
	header        http.Header
	body          []byte
	host          *host
	sentAt, gotAt time.Time // by the PC's clock
}

// link is one HTTP/1.1 connection over TLS. It carries one call at a time, and its own goroutine reads it all the
// while, so that a connection that dies while it waits is known to be dead before it is used.
type link struct {
	host    *host
	conn    *countedConn
	secure  *tls.Conn
	read    *bufio.Reader
	left    *allowance
	answers chan answer   // holds one
	dead    chan struct{} // closed when the connection is over
	opened  time.Time

	mu     sync.Mutex  // guards all below
	busy   bool        // a call is in flight
	why    error       // why it is over
	unbind func() bool // lets go of the client's life
	rest   *time.Timer
}

// open connects to h, without a client certificate.
func (c *line) open(ctx context.Context, h *host) (*link, error) { return c.openBy(ctx, h, c.dialer) }

func (c *line) openBy(ctx context.Context, h *host, by dialer) (*link, error) {
	conn, secure, err := by.open(ctx, h)
	if err != nil {
		return nil, err
	}
	l := &link{host: h, conn: conn, secure: secure, answers: make(chan answer, 1), dead: make(chan struct{}), opened: time.Now()}
	l.left = &allowance{from: secure, left: headMax}
	l.read = bufio.NewReader(l.left)
	l.mu.Lock() // a client that has been closed meanwhile ends the link at once, by another goroutine
	l.unbind = context.AfterFunc(c.life, func() { l.close(context.Canceled) })
	l.mu.Unlock()
	go l.listen()
	return l, nil
}

var errUnasked = errors.New("the gateway sent something that was not asked for")

// listen reads answers until the connection is over.
func (l *link) listen() {
	for {
		l.left.left = headMax
		_, err := l.read.Peek(1)
		if err == nil && !l.isBusy() {
			err = errUnasked
		}
		if err != nil {
			l.close(err)
			return
		}
		a, again, err := l.readAnswer()
		if err != nil {
			l.close(err)
			return
		}
		l.mu.Lock()
		l.busy = false
		l.mu.Unlock()
		l.answers <- a
		if !again {
			l.close(io.EOF)
			return
		}
	}
}

func (l *link) isBusy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy
}

func (l *link) alive() bool {
	select {
	case <-l.dead:
		return false
	default:
		return true
	}
}

// close ends the connection at once, without TLS's parting words: those would be a Write, and might block.
func (l *link) close(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != nil {
		return
	}
	l.why = why
	l.conn.Conn.Close()
	close(l.dead)
	l.unbind()
	if l.rest != nil {
		l.rest.Stop()
	}
}

func (l *link) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// notWrittenError says that a call ended before its first Write: nothing of it can have left.
type notWrittenError struct{ err error }

func (e *notWrittenError) Error() string { return "nothing was sent: " + e.err.Error() }
func (e *notWrittenError) Unwrap() error { return e.err }

// exchange writes one whole request and waits for its answer. Any error but a *notWrittenError means that the
// request may have left. A call that ends without its answer ends the connection.
func (l *link) exchange(ctx context.Context, wire []byte) (answer, error) {
	if err := l.begin(ctx); err != nil {
		return answer{}, &notWrittenError{err}
	}
	stop := context.AfterFunc(ctx, func() { l.close(ctx.Err()) })
	defer stop()
	before := l.conn.writes.Load()
	if _, err := l.secure.Write(wire); err != nil {
		l.close(err)
		if l.conn.writes.Load() == before {
			return answer{}, &notWrittenError{err}
		}
		return answer{}, fmt.Errorf("send to %s: %w", l.host.name, l.reason())
	}
	select {
	case a := <-l.answers:
		return a, nil
	case <-l.dead:
	}
	select {
	case a := <-l.answers: // the last one, on a connection that the gateway closed behind it
		return a, nil
	default:
		return answer{}, fmt.Errorf("wait for %s: %w", l.host.name, l.reason())
	}
}

func (l *link) begin(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.why != nil:
		return l.why
	case ctx.Err() != nil:
		return ctx.Err()
	}
	l.busy = true
	return nil
}

// readAnswer reads one whole answer within its bounds, and reports whether the connection may be used again.
func (l *link) readAnswer() (a answer, again bool, err error) {
	got, err := l.readHead()
	if err != nil {
		return a, false, fmt.Errorf("read answer: %w", err)
	}
	defer got.Body.Close()
	l.left.left = bodyMax + framingMax
	body, err := readBody(got)
	if err == nil && got.Header.Get("Content-Encoding") == "gzip" {
		body, err = unzip(body)
	}
	if err != nil {
		return a, false, fmt.Errorf("read answer: %w", err)
	}
	again = !got.Close && got.ProtoAtLeast(1, 1) && l.read.Buffered() == 0
	return answer{status: got.StatusCode, header: got.Header, body: body, host: l.host}, again, nil
}

func (l *link) readHead() (*http.Response, error) {
	for range interimsMax {
		got, err := http.ReadResponse(l.read, nil)
		if err != nil || got.StatusCode >= 200 {
			return got, err
		}
	}
	return nil, errors.New("too many interim answers")
}

func readBody(got *http.Response) ([]byte, error) {
	switch {
	case got.ContentLength == 0:
		return nil, nil
	case got.ContentLength > bodyMax:
		return nil, fmt.Errorf("its body of %d bytes is over %d", got.ContentLength, bodyMax)
	case got.ContentLength > 0:
		body := make([]byte, got.ContentLength)
		_, err := io.ReadFull(got.Body, body)
		return body, err
	}
	return readBounded(got.Body)
}

func readBounded(from io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, bodyMax+1))
	if err == nil && len(body) > bodyMax {
		err = fmt.Errorf("its body is over %d bytes", bodyMax)
	}
	return body, err
}

// unzip unpacks a body that came compressed though nobody asked for it: the signature is over the plain one.
func unzip(body []byte) ([]byte, error) {
	plain, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return readBounded(plain)
}

// allowance reads until its bytes are used up.
type allowance struct {
	from io.Reader
	left int
}

func (a *allowance) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, errors.New("the answer is too long")
	}
	n, err := a.from.Read(p[:min(len(p), a.left)])
	a.left -= n
	return n, err
}
