package till

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"posagent/health"
	"posagent/payflow"
)

const (
	concernsMax   = 200 // in one answer
	duplicateDays = 2   // store days that are looked at for payments made twice: today's and yesterday's
)

// AttentionList is the answer to GET /v1/attention.
type AttentionList struct {
	Concerns  []Concern `json:"concerns" nullable:"false" doc:"The newest first."`
	Truncated bool      `json:"truncated" doc:"There are more than 200: what is oldest is left out."`
}

// ConcernKind says why something is on the manager's list.
type ConcernKind string

// The kinds of concern.
const (
	ConcernLate      ConcernKind = "late_success"        // money that turned up after a payment's end
	ConcernPerson    ConcernKind = "person"              // a payment or a refund that a person must look at
	ConcernDuplicate ConcernKind = "suspected_duplicate" // two payments that look like one made twice
)

// Concern is one thing that a manager looks at.
type Concern struct {
	Kind     ConcernKind `json:"kind" enum:"late_success,person,suspected_duplicate"`
	Payments []Payment   `json:"payments" nullable:"false" minItems:"1" doc:"The payment; of a suspected duplicate both, the earlier one first."`
	Refund   *Refund     `json:"refund,omitempty" doc:"The refund that needs a person."`
	At       time.Time   `json:"at" doc:"When the payment was armed, or the refund asked for."`

	Message  health.Words `json:"message" doc:"What happened."`
	NextStep health.Words `json:"next_step" doc:"What to do now."`
}

// LateBody is the body of POST /v1/payments/{id}/look-again and /settle-late.
type LateBody struct {
	Operator string `json:"operator" minLength:"1" maxLength:"64"`
	Note     string `json:"note,omitempty" maxLength:"200" doc:"What was done; to settle it is required. It is journaled."`
}

type (
	attentionOutput struct{ Body AttentionList }
	lateInput       struct {
		ID   string `path:"id"`
		Body LateBody
	}
)

func (s *Server) registerAttention(api huma.API) {
	huma.Register(api, call{
		id: "list-attention", method: http.MethodGet, path: "/v1/attention", summary: "What a manager must look at: money that came late, what needs a person, suspected duplicates",
		scopes: []Scope{ScopePay, ScopeRefund, ScopeReport}, needs: needsManagersEye, status: http.StatusOK,
	}.operation(api), s.attention)
	wish := call{method: http.MethodPost, scopes: []Scope{ScopePay}, status: http.StatusOK, problems: []ProblemCode{NoPayment, WrongState, NotTaken, Stopping}}
	wish.needs = needsSeller
	wish.id, wish.path, wish.summary = "look-again", "/v1/payments/{id}/look-again", "Ask WeChat Pay once more about a payment that ended unpaid"
	huma.Register(api, wish.operation(api), s.lookAgain)
	wish.needs = needsManager
	wish.id, wish.path, wish.summary = "settle-late", "/v1/payments/{id}/settle-late", "A person saw to what was learnt after a payment's end"
	huma.Register(api, wish.operation(api), s.settleLate)
}

func (s *Server) attention(ctx context.Context, _ *struct{}) (*attentionOutput, error) {
	all, err := s.concerns(s.now())
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	slices.SortStableFunc(all, func(a, b Concern) int { return b.At.Compare(a.At) })
	return &attentionOutput{Body: AttentionList{Concerns: all[:min(len(all), concernsMax)], Truncated: len(all) > concernsMax}}, nil
}

// concerns are all that a manager looks at.
func (s *Server) concerns(now time.Time) ([]Concern, error) {
	all := []Concern{}
	if s.cfg.Late != nil {
		late, err := s.lateConcerns(now)
		if err != nil {
			return nil, err
		}
		all = append(all, late...)
	}
	refunds, err := s.refundConcerns(now)
	return append(all, refunds...), err
}

func (s *Server) lateConcerns(now time.Time) ([]Concern, error) {
	all := []Concern{}
	late, err := s.cfg.Late.LateTruths()
	if err != nil {
		return nil, err
	}
	for _, e := range late {
		kind := ConcernPerson
		switch {
		case e.BackTwice():
		case e.Late.MoneySeen:
			kind = ConcernLate
		case e.Late.Attention == "":
			continue // an unpaid order that is being closed, by itself
		}
		all = append(all, s.concernOf(kind, e, now))
	}
	for _, e := range s.cfg.Late.OpenEntries() {
		if e.Attention != "" {
			all = append(all, s.concernOf(ConcernPerson, e, now))
		}
	}
	for back := range duplicateDays {
		pairs, err := s.cfg.Late.SuspectedDuplicates(s.storeDay(now.AddDate(0, 0, -back)))
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			if c := s.duplicate(p, now); !wholeBack(c.Payments[0]) && !wholeBack(c.Payments[1]) {
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// concernOf is a payment that a person must look at, in the payment's own words.
func (s *Server) concernOf(kind ConcernKind, e payflow.Entry, now time.Time) Concern {
	p := s.view(e, now)
	return Concern{Kind: kind, Payments: []Payment{p}, At: e.ArmedAt, Message: p.Message, NextStep: p.NextStep}
}

func (s *Server) duplicate(d payflow.SuspectedDuplicate, now time.Time) Concern {
	message, next := s.cfg.Words.Notice("suspected_duplicate")
	return Concern{Kind: ConcernDuplicate, Payments: []Payment{s.view(d.First, now), s.view(d.Second, now)}, At: d.Second.ArmedAt,
		Message: inAll(message), NextStep: inAll(next)}
}

// wholeBack reports a payment all of which was refunded, or is about to be.
func wholeBack(p Payment) bool { return len(p.Refunds) > 0 && p.Refundable == 0 }

// refundConcerns are the refunds that a person must look at; one whose payment can't be read is left to the log.
func (s *Server) refundConcerns(now time.Time) ([]Concern, error) {
	all := []Concern{}
	if s.cfg.Refunds == nil {
		return all, nil
	}
	for _, r := range s.cfg.Refunds.OpenRefunds() {
		if r.Attention == "" {
			continue
		}
		e, err := s.cfg.Desk.Payment(r.OutTradeNo)
		if err != nil {
			return nil, err
		}
		shown := s.viewRefund(r, now)
		all = append(all, Concern{Kind: ConcernPerson, Payments: []Payment{s.view(e, now)}, Refund: &shown, At: r.RequestedAt, Message: shown.Message, NextStep: shown.NextStep})
	}
	return all, nil
}

// storeDay is a time's day in the store.
func (s *Server) storeDay(at time.Time) string {
	return at.In(cmp.Or(s.cfg.Location, time.Local)).Format(dayStyle)
}

func (s *Server) lookAgain(ctx context.Context, in *lateInput) (*paymentOutput, error) {
	id, problem := s.lateWish(in)
	if problem != nil {
		return nil, problem
	}
	if problem := s.refusePINBehind(ctx, in.Body.Operator); problem != nil {
		return nil, problem
	}
	entry, err := s.cfg.Late.LookAgain(via(ctx), id, callerOf(ctx).who(in.Body.Operator))
	return s.wished(ctx, http.StatusOK, entry, err)
}

func (s *Server) settleLate(ctx context.Context, in *lateInput) (*paymentOutput, error) {
	id, problem := s.lateWish(in)
	if problem != nil {
		return nil, problem
	}
	if problem := s.refusePIN(ctx, in.Body.Operator); problem != nil {
		return nil, problem
	}
	if in.Body.Note == "" {
		return nil, fieldProblem("note", "must be text of 1 to 200 characters: what was done")
	}
	entry, err := s.cfg.Late.SettleLate(via(ctx), id, callerOf(ctx).decides(in.Body.Operator), in.Body.Note)
	return s.wished(ctx, http.StatusOK, entry, err)
}

func (s *Server) lateWish(in *lateInput) (payflow.OutTradeNo, *Problem) {
	id, problem := s.wish(in.ID, map[string]string{"operator": in.Body.Operator, "note": in.Body.Note})
	if problem == nil && s.cfg.Late == nil {
		problem = newProblem(NoPayment, "")
	}
	return id, problem
}
