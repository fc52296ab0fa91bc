package wxsim

import "net"

// NetworkDown cuts every connection, and refuses new ones until NetworkUp: listeners of Start are closed, so that nobody
// answers on the port; connections from a listener of Serve are closed as they come.
func (s *Sim) NetworkDown() {
	n := &s.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down || n.closed {
		return
	}
	n.down = true
	for l := range n.listeners {
		if n.isOwn(l) {
			l.Close()
			delete(n.listeners, l)
		}
	}
	n.cut()
}

// NetworkUp opens the same ports again.
func (s *Sim) NetworkUp() error {
	n := &s.network
	n.mu.Lock()
	wasDown, own := n.down, n.own
	n.down = false
	n.mu.Unlock()
	if !wasDown {
		return nil
	}
	for _, address := range own {
		if _, err := s.listen(address); err != nil {
			return err
		}
	}
	return nil
}

// DeadenLinks makes every connection that is open now a black hole in both directions: nothing arrives, nothing comes
// back, and nobody hangs up. On Linux TCP nothing is acknowledged either, as with a pulled cable: a till's keep-alive
// finds out.
func (s *Sim) DeadenLinks() {
	n := &s.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.wires {
		w.die()
	}
}

// DropLinks closes every connection that is open now.
func (s *Sim) DropLinks() {
	n := &s.network
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut()
}

func (n *network) isOwn(l net.Listener) bool {
	for _, address := range n.own {
		if l.Addr().String() == address {
			return true
		}
	}
	return false
}

func (n *network) cut() {
	for w := range n.wires {
		w.Close()
	}
}
