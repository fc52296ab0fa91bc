package wxclient

import (
	"sync"
	"time"
)

// signedTo is how exactly a signed time is known: it is cut off to the second.
const signedTo = time.Second

// start is the moment at which a client was made, by WeChat Pay's clock. What was signed before it answers nothing that this client asked.
//
// It is bounded from below: each verified answer was signed before it came, so that its time less what has gone by since the start is no later than
// the start was, whatever the PC's clock shows; and what an earlier start heard was signed before this one began. Where two of WeChat Pay's
// hosts disagree, an answer of the slower one can be refused as long after a start as they disagree; it is asked for again.
type start struct {
	made time.Time // with its monotonic reading

	mu    sync.Mutex // guards all below
	least time.Time  // by this start's own answers; zero: none came yet
	heard time.Time  // the latest that an earlier start heard; zero: none is known
}

// precedes reports that an answer was signed before the start, or longer ago than an answer is fresh. The latter holds where the PC's clock was set
// back meanwhile as well.
func (s *start) precedes(signed, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := now.Sub(s.made)
	if since >= nonceKept {
		s.heard = time.Time{} // a wrong time on disk must not stop the till for good
	}
	oldest := s.least.Add(max(0, since-window))
	if s.heard.After(oldest) {
		oldest = s.heard
	}
	return signed.Before(oldest.Add(-signedTo))
}

// learn takes the time of a verified answer.
func (s *start) learn(signed, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if least := signed.Add(-now.Sub(s.made)); least.After(s.least) {
		s.least = least
	}
}

// forget drops what was learnt: WeChat Pay has just refused the time that it led to. The nonces stay.
func (s *start) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.least, s.heard = time.Time{}, time.Time{}
}
