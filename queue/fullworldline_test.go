package queue

import (
	"context"
	"net"
	"sync"
)

// exchange is where every line ends: WeChat Pay's listener, for connections in memory.
type exchange struct {
	conns chan net.Conn
	shut  chan struct{}
	once  sync.Once
}

func newExchange() *exchange {
	return &exchange{conns: make(chan net.Conn), shut: make(chan struct{})}
}

func (x *exchange) Accept() (net.Conn, error) {
	select {
	case c := <-x.conns:
		return c, nil
	case <-x.shut:
		return nil, net.ErrClosed
	}
}

func (x *exchange) Close() error   { x.once.Do(func() { close(x.shut) }); return nil }
func (x *exchange) Addr() net.Addr { return &net.UnixAddr{Name: "exchange"} }

// tillLine is the way of one start of a till to the exchange. Once it is dead no byte leaves on it, and none comes.
type tillLine struct {
	to     *exchange
	isDead func() bool

	mu      sync.Mutex // guards all below
	dead    bool
	refuses bool // no connection can be made for now
	conns   map[*tillConn]bool
	fate    writeFate // of the next Write
	fateCut func()
}

// writeFate is what becomes of one Write of the till's.
type writeFate int

const (
	writeWell writeFate = iota
	writeHalf           // half of it leaves, and then the power is gone
	writeLast           // it leaves, and then the power is gone
)

func newTillLine(to *exchange, isDead func() bool) *tillLine {
	return &tillLine{to: to, isDead: isDead, conns: map[*tillConn]bool{}}
}

func (l *tillLine) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	c := &tillConn{Conn: ours, line: l}
	l.mu.Lock()
	refused := l.dead || l.refuses || l.isDead()
	if !refused {
		l.conns[c] = true
	}
	l.mu.Unlock()
	if refused {
		return nil, net.ErrClosed
	}
	select {
	case l.to.conns <- theirs:
		return c, nil
	case <-l.to.shut:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// die ends every connection, and lets no other be made.
func (l *tillLine) die() {
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	l.drop()
}

// drop ends every connection that there is.
func (l *tillLine) drop() {
	l.mu.Lock()
	conns := l.conns
	l.conns = map[*tillConn]bool{}
	l.mu.Unlock()
	for c := range conns {
		_ = c.Conn.Close()
	}
}

// refuse says whether connections can be made.
func (l *tillLine) refuse(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuses = on
}

// cutAtNextWrite plans a power cut: when the next bytes leave, cut is called.
func (l *tillLine) cutAtNextWrite(fate writeFate, cut func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fate, l.fateCut = fate, cut
}

func (l *tillLine) nextFate() (writeFate, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fate, cut := l.fate, l.fateCut
	l.fate, l.fateCut = writeWell, nil
	return fate, cut
}

// tillConn is the till's end of a connection.
type tillConn struct {
	net.Conn
	line *tillLine
}

func (c *tillConn) Write(p []byte) (int, error) {
	if c.line.isDead() {
		return 0, net.ErrClosed
	}
	fate, cut := c.line.nextFate()
	if fate == writeHalf {
		p = p[:len(p)/2]
	}
	n, err := c.Conn.Write(p)
	if fate != writeWell {
		cut()
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *tillConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.line.isDead() {
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *tillConn) Close() error {
	c.line.mu.Lock()
	delete(c.line.conns, c)
	c.line.mu.Unlock()
	return c.Conn.Close()
}
