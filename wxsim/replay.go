package wxsim

import "net/http"

// sentAnswer is a signed answer that went out, for replays.
type sentAnswer struct {
	api   API
	call  Call
	order orderKey
	r     reply
}

const sentMax = 64

// remember keeps the last answers that were good.
func (s *Sim) remember(v *visit, r reply) {
	if v.fault != nil || r.bare {
		return
	}
	r.header = r.header.Clone() // the one that is sent goes on changing
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, sentAnswer{v.api, v.call, v.key, r})
	if len(s.sent) > sentMax {
		s.sent = s.sent[1:]
	}
}

// replayed finds the newest answer to the same call that was sent before: about the same order, or about another one.
func (s *Sim) replayed(v *visit) (reply, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.sent) - 1; i >= 0; i-- {
		old := s.sent[i]
		if old.api == v.api && old.call == v.call && (old.order == v.key) == v.fault.is(Replayed) {
			old.r.header = old.r.header.Clone()
			old.r.header.Set("Date", s.clockNow().UTC().Format(http.TimeFormat))
			return old.r, true
		}
	}
	return reply{}, false
}
