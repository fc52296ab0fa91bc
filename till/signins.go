package till

import (
	"cmp"
	"net/http"
	"sync"
	"time"
)

const (
	lockAfterDefault = 10 * time.Minute
	shiftMax         = 16 * time.Hour   // nobody stays signed in longer, however busy the till
	managerFor       = 3 * time.Minute  // a manager's PIN is good for so long after the last deed that took one
	managerMax       = 15 * time.Minute // and for so long in all
	signInsMax       = 64               // sessions with somebody signed in, or a manager's PIN
)

// people are who has signed in on a page's session.
type people struct {
	setUp    bool     // this till has operators
	operator Operator // signed in; its ID is "" where nobody is
	manager  Operator // whose PIN was given a moment ago; its ID is "" where nobody's was
	until    time.Time
	since    time.Time // the operator's sign-in
}

// signIns know who has signed in on which session. They live as long as the process: a restart signs everybody out.
type signIns struct {
	operators *Operators
	toSell    bool
	lockAfter time.Duration
	selling   func() bool // a payment holds the till: no screen is locked meanwhile

	mu   sync.Mutex // guards what follows
	held map[string]*signIn
}

// signIn is what one session has. The marks tell whether an operator's PIN or role was changed since.
type signIn struct {
	operator, mark string
	since, active  time.Time

	manager, managerMark     string
	managerSince, managerEnd time.Time
}

func newSignIns(cfg Config, selling func() bool) *signIns {
	return &signIns{operators: cfg.Operators, toSell: cfg.PINToSell, lockAfter: cmp.Or(cfg.LockAfter, lockAfterDefault), selling: selling, held: map[string]*signIn{}}
}

// setUp reports that this till has operators. A file that can't be read any more has those that it had.
func (s *signIns) setUp() bool {
	list, _ := s.operators.List()
	return len(list) > 0
}

// mustSignInToSell reports that only an operator who has signed in may sell.
func (s *signIns) mustSignInToSell() bool { return s.toSell && s.setUp() }

func (s *signIns) state() OperatorsState {
	list, _ := s.operators.List()
	state := OperatorsState{Count: len(list), PINToSell: s.toSell && len(list) > 0, Refunds: "without_pin"}
	if len(list) > 0 {
		state.Refunds = "manager_pin"
	}
	return state
}

// of returns who has signed in on a session, after it has signed out whom it must.
func (s *signIns) of(session string, now time.Time) people {
	if !s.setUp() {
		return people{}
	}
	selling := s.selling()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := people{setUp: true}
	in := s.held[session]
	if in == nil {
		return p
	}
	s.expire(in, selling, now)
	p.operator, p.since = s.valid(in.operator, in.mark), in.since
	p.manager, p.until = s.valid(in.manager, in.managerMark), in.managerEnd
	if p.operator.ID == "" && p.manager.ID == "" {
		delete(s.held, session)
	}
	return p
}

// expire ends what time ends. While a payment holds the till nobody is idle: the screen that follows it must be the payment's.
func (s *signIns) expire(in *signIn, selling bool, now time.Time) {
	if selling {
		in.active = now
	}
	if idle := now.Sub(in.active) >= s.lockAfter; idle || now.Sub(in.since) >= shiftMax && !selling {
		in.operator, in.mark = "", ""
	}
	if !now.Before(in.managerEnd) {
		in.manager, in.managerMark = "", ""
	}
}

// valid returns the operator as the file has it now; none where PIN or role were changed since, or the operator was removed.
func (s *signIns) valid(id, mark string) Operator {
	if id == "" {
		return Operator{}
	}
	who, known := s.operators.Find(id)
	if !known || who.Mark != mark {
		return Operator{}
	}
	return who
}

// move gives what a session has to the one that takes its place. Of that session nothing is left.
func (s *signIns) move(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.held[from]; in != nil {
		delete(s.held, from)
		s.held[to] = in
	}
}

// enter signs an operator in. A manager's PIN has just been given, so that it is good for what takes one as well.
func (s *signIns) enter(session string, who Operator, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.room(session)
	*in = signIn{operator: who.ID, mark: who.Mark, since: now, active: now}
	if who.Role == RoleManager {
		in.decide(who, now)
	}
}

// decide takes a manager's PIN on a session, whoever has signed in on it.
func (s *signIns) decide(session string, who Operator, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.room(session)
	in.decide(who, now)
	if in.operator == "" {
		in.active = now
	}
}

func (in *signIn) decide(who Operator, now time.Time) {
	in.manager, in.managerMark, in.managerSince, in.managerEnd = who.ID, who.Mark, now, now.Add(managerFor)
}

// done begins a manager's time anew after a deed.
func (s *signIns) done(session string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.held[session]; in != nil && in.manager != "" {
		in.managerEnd = earlier(now.Add(managerFor), in.managerSince.Add(managerMax))
	}
}

// touch says that somebody is there.
func (s *signIns) touch(session string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.held[session]; in != nil {
		in.active = now
	}
}

// leave signs everybody out of a session, and reports whether somebody was signed in.
func (s *signIns) leave(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, held := s.held[session]
	delete(s.held, session)
	return held
}

// room returns what a session has; of too many, the one that was idle longest makes room.
func (s *signIns) room(session string) *signIn {
	if in := s.held[session]; in != nil {
		return in
	}
	if len(s.held) >= signInsMax {
		oldest := ""
		for name, in := range s.held {
			if oldest == "" || in.active.Before(s.held[oldest].active) {
				oldest = name
			}
		}
		delete(s.held, oldest)
	}
	in := &signIn{}
	s.held[session] = in
	return in
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// need says whom a call takes on the page, where operators are set up. Programs have scopes for that.
type need int

const (
	needsNobody      need = iota
	needsSeller           // anybody signed in, where selling takes a PIN; else nobody
	needsManager          // a manager's PIN, given a moment ago
	needsManagersEye      // the same, or a manager who has signed in: it is only looked
)

func (n need) text() string {
	switch n {
	case needsSeller:
		return " On the page: an operator who has signed in, where the store wishes that."
	case needsManager:
		return " On the page, where operators are set up: a manager's PIN, given in the last 3 minutes."
	case needsManagersEye:
		return " On the page, where operators are set up: a manager."
	}
	return ""
}

func (n need) problems() []ProblemCode {
	switch n {
	case needsSeller:
		return []ProblemCode{SignInNeeded}
	case needsManager, needsManagersEye:
		return []ProblemCode{ManagerNeeded}
	}
	return nil
}

// takes refuses the page a call for which the right person has not signed in.
func (s *Server) takes(n need, c caller, r *http.Request) *Problem {
	if !c.page || !c.people.setUp {
		return nil
	}
	session, now := sessionOf(r), s.now()
	if !reads(r) {
		s.signIns.touch(session, now)
	}
	switch {
	case n == needsSeller && s.cfg.PINToSell && c.people.operator.ID == "":
		return newProblem(SignInNeeded, "")
	case n == needsManager && c.people.manager.ID == "":
		return newProblem(ManagerNeeded, "")
	case n == needsManagersEye && c.people.manager.ID == "" && c.people.operator.Role != RoleManager:
		return newProblem(ManagerNeeded, "")
	case n == needsManager:
		s.signIns.done(session, now)
	}
	return nil
}
