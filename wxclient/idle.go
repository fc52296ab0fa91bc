package wxclient

import (
	"errors"
	"slices"
	"sync"
	"time"

	"posagent/payflow"
)

const (
	idleMax  = 4                               // connections that wait for a next call
	idleKept = 25 * time.Second / payflow.Pace // gateways close theirs after about a minute; ours must be the sooner
)

var errRested = errors.New("not used for a while")

// idleLinks are connections between two calls.
type idleLinks struct {
	mu   sync.Mutex // guards all
	all  []*link
	shut bool
}

// take returns a live connection to h, or nil.
func (s *idleLinks) take(h *host) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range s.all {
		if l.host == h && l.alive() {
			s.all = slices.Delete(s.all, i, i+1)
			l.stopResting()
			return l
		}
	}
	return nil
}

// put keeps a connection for the next call, for 25 s. Beyond four the oldest is closed.
func (s *idleLinks) put(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(other *link) bool { return !other.alive() })
	if s.shut {
		l.close(errRested)
		return
	}
	if len(s.all) >= idleMax {
		s.all[0].close(errRested)
		s.all = slices.Delete(s.all, 0, 1)
	}
	l.startResting()
	s.all = append(s.all, l)
}

// shutDown closes all, and whatever is put from now on.
func (s *idleLinks) shutDown() {
	s.closeAll()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
}

// closeAll closes what waits: where one connection broke, the others are not worth a payment.
func (s *idleLinks) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.all {
		l.close(errRested)
	}
	s.all = nil
}

func (l *link) startResting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why == nil {
		l.rest = time.AfterFunc(idleKept, func() { l.close(errRested) })
	}
}

func (l *link) stopResting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rest != nil {
		l.rest.Stop()
		l.rest = nil
	}
}
