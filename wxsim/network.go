package wxsim

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const connectionsMax = 4096

// network is the simulator's end of the line: its listeners and connections, and whether the line is up.
type network struct {
	closing chan struct{}
	running sync.WaitGroup

	mu        sync.Mutex // guards all below
	closed    bool
	down      bool
	own       []string // addresses that Start opened, to be opened again when the network comes up
	listeners map[net.Listener]bool
	wires     map[*wire]bool
}

var errClosed = errors.New("the simulator is closed")

func (n *network) init() {
	n.closing = make(chan struct{})
	n.listeners, n.wires = map[net.Listener]bool{}, map[*wire]bool{}
}

// Start listens on a loopback address ("" is 127.0.0.1 and a free port) and serves in the background until Close. It
// returns the URL to configure, such as https://127.0.0.1:40123.
func (s *Sim) Start(address string) (url string, err error) {
	host, _, err := net.SplitHostPort(orElse(address, "127.0.0.1:0"))
	if err != nil {
		return "", fmt.Errorf("start on %q: %w; write an address such as 127.0.0.1:8443", address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("start on %q: the simulator listens on this machine alone; write 127.0.0.1:8443, or use Serve", address)
	}
	l, err := s.listen(orElse(address, "127.0.0.1:0"))
	if err != nil {
		return "", err
	}
	s.network.mu.Lock()
	s.network.own = append(s.network.own, l.Addr().String())
	s.network.mu.Unlock()
	return "https://" + l.Addr().String(), nil
}

func (s *Sim) listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("start on %s: %w", address, err)
	}
	n := &s.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		l.Close()
		return nil, errClosed
	}
	n.listeners[l] = true
	n.running.Go(func() { s.accept(l) })
	return l, nil
}

// Serve takes connections from l until l fails or Close is called, and does the TLS itself. It returns nil after Close.
func (s *Sim) Serve(l net.Listener) error {
	n := &s.network
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		l.Close()
		return nil
	}
	n.listeners[l] = true
	n.running.Add(1)
	n.mu.Unlock()
	defer n.running.Done()
	err := s.accept(l)
	if n.isClosed() {
		return nil
	}
	return err
}

func (s *Sim) accept(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if w := s.network.welcome(c); w != nil {
			s.network.running.Go(func() {
				defer s.network.goodbye(w)
				s.serve(w)
			})
		}
	}
}

// welcome takes a connection in, or closes it where the network is down or full.
func (n *network) welcome(c net.Conn) *wire {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.down || len(n.wires) >= connectionsMax {
		c.Close()
		return nil
	}
	w := &wire{Conn: c}
	n.wires[w] = true
	return w
}

func (n *network) goodbye(w *wire) {
	w.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.wires, w)
}

func (n *network) isClosed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closed
}

func (n *network) close() {
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		close(n.closing)
	}
	for l := range n.listeners {
		l.Close()
	}
	n.cut()
	n.mu.Unlock()
	n.running.Wait()
}

// run runs f beside the connections, unless the simulator is closed. Close waits for it.
func (n *network) run(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.running.Go(f)
	}
}

// wait returns after d, or earlier and false when the simulator closes.
func (n *network) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-n.closing:
		return false
	}
}
