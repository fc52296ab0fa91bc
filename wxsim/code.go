package wxsim

import (
	"net/http"
	"regexp"
	"strings"
	"time"
)

const (
	codeLife = time.Minute / pace // a payment code lives one minute
	codesMax = 500_000
)

// walletCode is a payment code: 18 digits, prefix 10 to 15.
var walletCode = regexp.MustCompile(`^1[0-5][0-9]{16}$`)

// seenCode is a payment code that was shown, and the order that it went into.
type seenCode struct {
	born  time.Time
	first orderKey // the first order in which it arrived
	used  orderKey // the order that took it
}

// see remembers a code from the moment it was first seen.
func (s *Sim) see(code string, at time.Time) *seenCode {
	c := s.codes[code]
	if c == nil {
		if len(s.codes) >= codesMax {
			s.forgetCodes()
		}
		c = &seenCode{born: at}
		s.codes[code] = c
	}
	return c
}

// forgetCodes drops codes that are long dead.
func (s *Sim) forgetCodes() {
	for code, c := range s.codes {
		if time.Since(c.born) > time.Hour || len(s.codes) >= codesMax {
			delete(s.codes, code)
		}
	}
}

// noteCode records the rule that a code goes out in one order only, whatever became of it.
func (s *Sim) noteCode(v *visit) {
	if v.code == "" || v.number == "" {
		return
	}
	c := s.see(v.code, v.seen)
	c.first = orElse(c.first, v.key)
	if c.first != v.key {
		s.violate(v.key, "one payment code in two orders")
	}
}

// checkCode plays what the wallet's servers say of a code: no code at all, used before, or older than a minute.
func (s *Sim) checkCode(o *order, code string, c *seenCode, now time.Time) *reply {
	var no reply
	switch {
	case !walletCode.MatchString(code):
		no = refusal(http.StatusBadRequest, "AUTH_CODE_INVALID", "101 The payment code is not valid; scan the code of the WeChat wallet", errnoParam)
	case c.used != orderKey{} && c.used != o.orderKey:
		no = refusal(http.StatusForbidden, "AUTH_CODE_ERROR", "The payment code was used; refresh it and scan again", 0)
	case now.Sub(c.born) > codeLife:
		no = refusal(http.StatusForbidden, "AUTH_CODE_EXPIRE", "The payment code has expired; refresh it and scan again", 0)
	default:
		return nil
	}
	return &no
}

// ShowCode makes a wallet show a code now: its minute begins. A code that was never shown lives from its first arrival.
func (s *Sim) ShowCode(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.see(strings.TrimSpace(code), time.Now())
}
