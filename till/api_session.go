package till

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Person is an operator as the page shows one.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role Role   `json:"role" enum:"cashier,manager,installer"`
}

// Session is who has signed in on the page.
type Session struct {
	SetUp     bool      `json:"set_up" doc:"This till has operators. Without any the page asks for no PIN."`
	PINToSell bool      `json:"pin_to_sell" doc:"The page sells only to an operator who has signed in."`
	LockAfter int       `json:"lock_after" doc:"Seconds without a key or a touch after which the operator is signed out; never while a payment holds the till."`
	Operator  *Person   `json:"operator,omitempty" doc:"Who has signed in."`
	Manager   *Person   `json:"manager,omitempty" doc:"The manager whose PIN was given a moment ago."`
	Until     time.Time `json:"manager_until,omitempty,omitzero" doc:"Until when that PIN is good for what takes a manager; each such deed makes it longer."`
	Operators []Person  `json:"operators" nullable:"false" doc:"Who may sign in."`
}

// SignInBody is the body of POST /v1/session/sign-in and /manager.
type SignInBody struct {
	Operator string `json:"operator" minLength:"1" maxLength:"16" doc:"The operator's id."`
	PIN      string `json:"pin" minLength:"4" maxLength:"8" doc:"It is in no answer, no log and no journal."`
}

type (
	sessionOutput struct{ Body Session }
	signInInput   struct{ Body SignInBody }
)

func (s *Server) registerSession(api huma.API) {
	session := call{scopes: Scopes(), status: http.StatusOK}
	session.id, session.method, session.path, session.summary = "get-session", http.MethodGet, "/v1/session", "Who has signed in on the page; for the page alone"
	huma.Register(api, session.operation(api), s.session)
	session.method = http.MethodPost
	session.id, session.path, session.summary = "stay-signed-in", "/v1/session/active", "Somebody is at the page: the screen is not locked"
	huma.Register(api, session.operation(api), s.session)
	session.id, session.path, session.summary = "sign-out", "/v1/session/sign-out", "Sign the operator out, and the manager"
	huma.Register(api, session.operation(api), s.signOut)
	session.problems = []ProblemCode{WrongPIN, PINWaits}
	session.id, session.path, session.summary = "sign-in", "/v1/session/sign-in", "Sign an operator in on the page, by the PIN"
	huma.Register(api, session.operation(api), s.signIn)
	session.problems = append(session.problems, NotManager)
	session.id, session.path, session.summary = "give-manager-pin", "/v1/session/manager", "A manager's PIN, for what takes a manager; who has signed in stays"
	huma.Register(api, session.operation(api), s.giveManagerPIN)
}

type sessionKey struct{}

// withSession keeps the page's session for the calls that change who has signed in on it.
func withSession(w http.ResponseWriter, r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), sessionKey{}, pageSeat{session: sessionOf(r), address: addressOf(r.RemoteAddr), known: knownSeatOf(r), w: w, r: r}))
}

// pageSeat is the page's session and where it is.
type pageSeat struct {
	session, address string
	known            string // what the browser says of being a known seat
	w                http.ResponseWriter
	r                *http.Request
}

// pin is the seat where a PIN was typed.
func (p pageSeat) pin() PINSeat { return PINSeat{Session: p.session, Known: p.known} }

// renewed gives the page a new session in the place of its own: who has signed in changes, and whoever knows the old session is to have nothing
// of it. The page goes on with the answer's cookie, in every window; a stream that is open stays so.
func (s *Server) renewed(seat pageSeat) pageSeat {
	old := seat.session
	seat.session = s.sessions.renew(seat.w, seat.r, s.now())
	s.signIns.move(old, seat.session)
	return seat
}

func seatOf(ctx context.Context) (pageSeat, *Problem) {
	seat, _ := ctx.Value(sessionKey{}).(pageSeat)
	if !callerOf(ctx).page {
		return seat, newProblem(Forbidden, "only the till's own page has people who sign in; a program names its operator in each request")
	}
	return seat, nil
}

func (s *Server) session(ctx context.Context, _ *struct{}) (*sessionOutput, error) {
	seat, problem := seatOf(ctx)
	if problem != nil {
		return nil, problem
	}
	return s.shown(seat)
}

func (s *Server) shown(seat pageSeat) (*sessionOutput, error) {
	now := s.now()
	p, list := s.signIns.of(seat.session, now), []Person{}
	all, _ := s.cfg.Operators.List()
	for _, k := range all {
		list = append(list, person(k))
	}
	out := Session{SetUp: p.setUp, PINToSell: p.setUp && s.cfg.PINToSell, LockAfter: int(s.signIns.lockAfter / time.Second), Operators: list}
	if p.operator.ID != "" {
		who := person(p.operator)
		out.Operator = &who
	}
	if p.manager.ID != "" {
		who := person(p.manager)
		out.Manager, out.Until = &who, p.until
	}
	return &sessionOutput{Body: out}, nil
}

func person(k Operator) Person { return Person{ID: k.ID, Name: k.Name, Role: k.Role} }

func (s *Server) signIn(ctx context.Context, in *signInInput) (*sessionOutput, error) {
	seat, who, problem := s.byPIN(ctx, in.Body)
	if problem != nil {
		return nil, problem
	}
	seat = s.renewed(seat)
	s.signIns.enter(seat.session, who, s.now())
	s.cfg.Log.Info().Str("operator", who.ID).Str("role", string(who.Role)).Msg("an operator has signed in")
	return s.shown(seat)
}

func (s *Server) giveManagerPIN(ctx context.Context, in *signInInput) (*sessionOutput, error) {
	seat, who, problem := s.byPIN(ctx, in.Body)
	if problem != nil {
		return nil, problem
	}
	if who.Role != RoleManager {
		return nil, newProblem(NotManager, "")
	}
	seat = s.renewed(seat)
	s.signIns.decide(seat.session, who, s.now())
	s.cfg.Log.Info().Str("operator", who.ID).Msg("a manager's PIN was given")
	return s.shown(seat)
}

func (s *Server) signOut(ctx context.Context, _ *struct{}) (*sessionOutput, error) {
	seat, problem := seatOf(ctx)
	if problem != nil {
		return nil, problem
	}
	if s.signIns.leave(seat.session) {
		seat = s.renewed(seat)
	}
	return s.shown(seat)
}

// byPIN finds the operator whose PIN was given. What it logs of a wrong one is the operator and how many there were. A known seat waits for
// its own wrong PINs alone, whatever comes from the same machine: there is but one address at a till.
func (s *Server) byPIN(ctx context.Context, body SignInBody) (pageSeat, Operator, *Problem) {
	seat, problem := seatOf(ctx)
	if problem != nil {
		return seat, Operator{}, problem
	}
	now, id := s.now(), strings.ToUpper(body.Operator)
	stranger := !s.cfg.Operators.KnownSeat(seat.pin(), id)
	if wait := s.wrongPINs.wait(seat.address, now); stranger && wait > 0 {
		return seat, Operator{}, newProblem(TooManyWrong, "").after(wait)
	}
	who, trouble, err := s.cfg.Operators.SignIn(seat.pin(), id, body.PIN, now)
	if trouble != nil {
		s.cfg.Log.Warn().Str("error", maskDigits(trouble.Error())).Msg("wrong PINs can't be remembered over a restart")
	}
	var wrong *WrongPINError
	var waits *PINWaitError
	switch {
	case errors.As(err, &waits):
		return seat, Operator{}, newProblem(PINWaits, "").after(waits.Wait)
	case errors.As(err, &wrong):
		if stranger {
			s.wrongPINs.count(seat.address, now)
		}
		log := s.cfg.Log.Warn().Int("wrong", wrong.Wrong).Int64("wait_ms", wrong.Wait.Milliseconds()).Bool("known_seat", !stranger)
		if known, is := s.cfg.Operators.Find(id); is { // what was typed in the place of an id may be anything
			log = log.Str("operator", known.ID)
		}
		log.Msg("a wrong PIN")
		return seat, Operator{}, newProblem(WrongPIN, "").after(wrong.Wait)
	}
	if who.Seat != "" {
		giveSeat(seat.w, seat.r, who.Seat, now)
	}
	return seat, who.Operator, nil
}

// decided refuses the page a decision about money without a manager's PIN.
func (s *Server) decided(ctx context.Context) *Problem {
	c := callerOf(ctx)
	if !c.page || !c.people.setUp {
		return nil
	}
	if c.people.manager.ID == "" {
		return newProblem(ManagerNeeded, "")
	}
	seat, _ := seatOf(ctx)
	s.signIns.done(seat.session, s.now())
	return nil
}
