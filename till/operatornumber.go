package till

import (
	"context"
	"regexp"
	"strings"
)

// operatorNumberMax bounds an operator's number that is typed on the page of a till without operators; the page has the same rule (page/signin.js).
const operatorNumberMax = 8 // characters

var (
	operatorNumber = regexp.MustCompile(`^[A-Z][0-9A-Z_-]*$`)
	pinRun         = regexp.MustCompile(`[0-9]{4}`) // a PIN has 4 to 8 digits (contract, operators)
	pinAmong       = regexp.MustCompile(`(?:^|[^0-9])[0-9]{4,8}(?:[^0-9]|$)`)
)

// refusePIN refuses a text that names who decides and may hold a PIN: it would be journaled and shown. The page of a till without operators gives
// a number such as M001 and nothing else; of a till with operators nobody's id may have a PIN behind it. The text is in no answer.
func (s *Server) refusePIN(ctx context.Context, operator string) *Problem {
	c := callerOf(ctx)
	switch {
	case operator == "" || c.page && c.people.setUp: // the manager whose PIN was given is written down
		return nil
	case c.page && (len(operator) > operatorNumberMax || !operatorNumber.MatchString(operator) || pinRun.MatchString(operator)):
		return fieldProblem("operator", "must be an operator's number, such as M001, and no PIN")
	}
	return s.refusePINBehind(ctx, operator)
}

// refusePINBehind refuses the same of whoever only sells, whose name a program may write as it likes: a PIN behind an operator's id.
func (s *Server) refusePINBehind(ctx context.Context, operator string) *Problem {
	if c := callerOf(ctx); c.page && c.people.setUp || !s.pinBehindID(operator) { // of the page whoever signed in is written down
		return nil
	}
	return heldIn("operator", HoldsSecret, "a PIN")
}

// pinBehindID reports the id of one of this till's operators with what may be a PIN behind it.
func (s *Server) pinBehindID(text string) bool {
	if s.cfg.Operators == nil {
		return false
	}
	if _, known := s.cfg.Operators.Find(text); known {
		return false
	}
	all, err := s.cfg.Operators.List()
	if err != nil {
		return false // who has a PIN is not known; what a program says of its operator is its word
	}
	for _, o := range all {
		if rest, ok := strings.CutPrefix(strings.ToUpper(text), o.ID); ok && pinAmong.MatchString(rest) {
			return true
		}
	}
	return false
}
