package till

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// PoleState is the answer to GET /v1/pole.
type PoleState struct {
	Tapped bool      `json:"tapped" doc:"The display of an old till is read."`
	Offer  *PoleView `json:"offer,omitempty" doc:"The total that may be taken now."`
}

// PoleView is a total of the old till that the cashier may take.
type PoleView struct {
	ID         string    `json:"id" doc:"Of this offer, and of no other."`
	Amount     int64     `json:"amount" doc:"In minor units."`
	Currency   string    `json:"currency"`
	AmountText string    `json:"amount_text" doc:"The amount as a person reads it."`
	Until      time.Time `json:"until" doc:"It is offered no longer."`
}

// PoleBody is the body of POST /v1/pole/arm.
type PoleBody struct {
	Offer string `json:"offer" minLength:"1" maxLength:"64" doc:"The offer's id."`
}

type (
	poleStateInput struct{}
	poleArmInput   struct{ Body PoleBody }
	poleOutput     struct{ Body PoleState }
)

func (s *Server) registerPole(api huma.API) {
	huma.Register(api, call{
		id: "get-pole", method: http.MethodGet, path: "/v1/pole", summary: "The total on the old till's display",
		scopes: []Scope{ScopePay}, status: http.StatusOK,
	}.operation(api), s.poleState)
	huma.Register(api, call{
		id: "arm-pole", method: http.MethodPost, path: "/v1/pole/arm", summary: "Arm the total on the old till's display: the cashier has confirmed it",
		scopes: []Scope{ScopePay}, needs: needsSeller, status: http.StatusCreated,
		problems: []ProblemCode{NoTotal, KeyReused, AlreadyPaid, SaleOpen, TillBusy, NotTaken, Stopping},
	}.operation(api), s.poleArm)
}

func (s *Server) poleState(context.Context, *poleStateInput) (*poleOutput, error) {
	out := &poleOutput{Body: PoleState{Tapped: s.pole != nil}}
	if s.pole == nil {
		return out, nil
	}
	if o, ok := s.pole.Offer(s.now()); ok {
		out.Body.Offer = &PoleView{ID: o.Key, Amount: o.Amount.Minor, Currency: string(o.Amount.Currency), AmountText: o.Amount.String(), Until: o.Until}
	}
	return out, nil
}

func (s *Server) poleArm(ctx context.Context, in *poleArmInput) (*paymentOutput, error) {
	if s.pole == nil {
		return nil, newProblem(NoTotal, "")
	}
	entry, err := s.pole.Arm(via(ctx), in.Body.Offer, callerOf(ctx).who(""))
	return s.wished(ctx, http.StatusCreated, entry, err)
}
