package wxclient

import (
	"fmt"
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

// why says by which bound precedes refuses an answer: a wrong time that an earlier start wrote down is a person's to take away.
func (s *start) why(signed, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heard.After(s.least) && signed.Before(s.heard.Add(-signedTo)) {
		return fmt.Sprintf("it was signed before this start: before %s, which an earlier one heard from WeChat Pay; where that time is wrong, it is believed for %s more",
			s.heard.UTC().Format(time.RFC3339), (nonceKept - now.Sub(s.made)).Round(time.Second))
	}
	return "it was signed before this start, so that it answers nothing that was asked since"
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
