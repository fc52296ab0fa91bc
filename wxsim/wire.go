package wxsim

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	handshakeMax = 10 * time.Second
	idleMax      = 5 * time.Minute // a connection without a request is closed
	deadMax      = time.Hour       // a dead link is forgotten: nobody says that the other side has left
	readMax      = time.Minute     // for the rest of a request that has begun
	headMax      = 64 << 10        // bytes of request line and headers
	bodyMax      = 1 << 20         // bytes of a request's body
	drainMax     = 4 << 20         // bytes read beyond that and thrown away, so that the caller reads why
)

// wire is a connection below TLS, where a link can go dead.
type wire struct {
	net.Conn
	dead atomic.Bool // bytes are swallowed both ways
}

// die makes the link dead, for an hour at most.
func (w *wire) die() {
	if w.dead.Swap(true) {
		return
	}
	deafen(w.Conn)
	w.Conn.SetReadDeadline(time.Now().Add(deadMax))
}

// Read returns no byte from a dead link; it ends when the other side, or the simulator, closes.
func (w *wire) Read(b []byte) (int, error) {
	for {
		n, err := w.Conn.Read(b)
		if err != nil || !w.dead.Load() {
			return n, err
		}
	}
}

// SetReadDeadline leaves a dead link its hour.
func (w *wire) SetReadDeadline(at time.Time) error {
	if w.dead.Load() {
		return nil
	}
	return w.Conn.SetReadDeadline(at)
}

func (w *wire) Write(b []byte) (int, error) {
	if w.dead.Load() {
		return len(b), nil
	}
	return w.Conn.Write(b)
}

// stay leaves the connection open without a word, and reads on so that it is seen when the other side leaves.
func (w *wire) stay() {
	w.SetReadDeadline(time.Now().Add(deadMax))
	io.Copy(io.Discard, w.Conn)
}

// serve speaks TLS and HTTP/1.1 on one connection until either side ends it. It writes HTTP itself, because faults act
// between the bytes of a message.
func (s *Sim) serve(w *wire) {
	if !s.connect(w) {
		return
	}
	t := tls.Server(w, s.tls)
	w.SetDeadline(time.Now().Add(handshakeMax))
	if t.Handshake() != nil {
		return
	}
	w.SetDeadline(time.Time{})
	if !s.connected(w) {
		return
	}
	limited := &io.LimitedReader{R: t}
	for in := bufio.NewReader(limited); s.serveOne(w, t, limited, in); {
	}
}

// serveOne takes one request and answers it. It reports whether the connection can take another.
func (s *Sim) serveOne(w *wire, t *tls.Conn, limited *io.LimitedReader, in *bufio.Reader) bool {
	w.SetReadDeadline(time.Now().Add(idleMax))
	limited.N = headMax
	if _, err := in.Peek(1); err != nil {
		return false
	}
	w.SetReadDeadline(time.Now().Add(readMax))
	head, err := http.ReadRequest(in)
	if err != nil {
		s.arrivedBroken()
		return false
	}
	limited.N = bodyMax + drainMax + int64(in.Size())
	state := t.ConnectionState()
	head.TLS = &state
	r := s.take(head)
	switch {
	case r.dead, r.stall:
		if r.dead {
			w.die()
		}
		w.stay()
		return false
	case r.drop || !s.network.wait(r.late):
		return false
	}
	_, err = t.Write(r.wireText())
	_, rest := io.Copy(io.Discard, head.Body)
	return err == nil && rest == nil && !r.cut && !head.Close
}

// wireText is the answer as it stands on the wire; a cut one ends in the middle of its body.
func (r reply) wireText() []byte {
	r.pack()
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.status, http.StatusText(r.status))
	if r.status != http.StatusNoContent {
		r.header.Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	names := make([]string, 0, len(r.header))
	for name := range r.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	b.WriteString("\r\n")
	if r.cut {
		b.Write(r.body[:len(r.body)/2])
	} else {
		b.Write(r.body)
	}
	return b.Bytes()
}
