package till

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"posagent/payflow"
)

// CodeBody is the body of POST /v1/payments/{id}/code.
type CodeBody struct {
	Code string `json:"code" minLength:"1" maxLength:"512" doc:"What was typed or scanned. It is never shown again."`
}

// CancelBody is the body of POST /v1/payments/{id}/cancel; it may be left out.
type CancelBody struct {
	Operator string `json:"operator,omitempty" maxLength:"64"`
}

// SetAsideBody is the body of POST /v1/payments/{id}/set-aside.
type SetAsideBody struct {
	Operator string `json:"operator" minLength:"1" maxLength:"64"`
	Reason   string `json:"reason" minLength:"1" maxLength:"200" doc:"Why the till is freed; it is journaled."`
}

// AcknowledgeBody is the body of POST /v1/payments/{id}/acknowledge; it may be left out.
type AcknowledgeBody struct {
	How      payflow.Handover `json:"how,omitempty" enum:"goods_given,money_given_back,seen" doc:"Left out: goods_given for a paid payment, seen for any other."`
	Operator string           `json:"operator,omitempty" maxLength:"64"`
}

type (
	codeInput struct {
		ID   string `path:"id"`
		Body CodeBody
	}
	cancelInput struct {
		ID   string `path:"id"`
		Body *CancelBody
	}
	setAsideInput struct {
		ID   string `path:"id"`
		Body SetAsideBody
	}
	acknowledgeInput struct {
		ID   string `path:"id"`
		Body *AcknowledgeBody
	}
)

func (s *Server) registerWishes(api huma.API) {
	pay := []Scope{ScopePay}
	huma.Register(api, call{
		id: "give-code", method: http.MethodPost, path: "/v1/payments/{id}/code", summary: "Hand in a payment code that the till scanned itself",
		scopes: pay, needs: needsSeller, status: http.StatusAccepted,
		problems: []ProblemCode{NoPayment, CodeNotAllowed, WrongCode, NothingArmed, ScanBusy, SameCode, WrongState, NotTaken, Stopping},
	}.operation(api), s.code)
	cancel := call{
		id: "cancel-payment", method: http.MethodPost, path: "/v1/payments/{id}/cancel", summary: "The cashier's wish to cancel",
		scopes: pay, needs: needsSeller, status: http.StatusOK, problems: []ProblemCode{NoPayment, WrongState, NotTaken, Stopping},
	}.operation(api)
	cancel.Responses["202"] = &huma.Response{Description: "Remembered, and carried out from the 15 s on: the payment may still be paid.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: schemaOf[Payment](api)}}}
	huma.Register(api, cancel, s.cancel)
	huma.Register(api, call{
		id: "set-aside-payment", method: http.MethodPost, path: "/v1/payments/{id}/set-aside", summary: "Free the till, never the sale, from a payment that does not end",
		scopes: pay, needs: needsManager, status: http.StatusOK, problems: []ProblemCode{NoPayment, NotAside, WrongState, NotTaken, Stopping},
	}.operation(api), s.setAside)
	huma.Register(api, call{
		id: "acknowledge-payment", method: http.MethodPost, path: "/v1/payments/{id}/acknowledge", summary: "The cashier was told the final result",
		scopes: pay, needs: needsSeller, status: http.StatusOK, problems: []ProblemCode{ManagerNeeded, NoPayment, WrongState, NotTaken, Stopping},
	}.operation(api), s.acknowledge)
}

// code takes a code from the agent's own page, and from others only where the configuration allows it.
func (s *Server) code(ctx context.Context, in *codeInput) (*paymentOutput, error) {
	id, problem := paymentID(in.ID)
	if problem != nil {
		return nil, problem
	}
	if !s.cfg.AllowCodeInAPI && !callerOf(ctx).page {
		return nil, newProblem(CodeNotAllowed, "")
	}
	if s.pole != nil && !s.pole.Stands() {
		return nil, newProblem(NothingArmed, "")
	}
	if err := s.cfg.Desk.Code(via(ctx), id, in.Body.Code); err != nil {
		return nil, s.problemOf(ctx, err)
	}
	entry, err := s.cfg.Desk.Payment(id)
	return s.wished(ctx, http.StatusAccepted, entry, err)
}

// cancel answers 200 where the payment is cancelled, and 202 where the wish is remembered.
func (s *Server) cancel(ctx context.Context, in *cancelInput) (*paymentOutput, error) {
	var body CancelBody
	if in.Body != nil {
		body = *in.Body
	}
	id, problem := s.wish(in.ID, map[string]string{"operator": body.Operator})
	if problem != nil {
		return nil, problem
	}
	if problem := s.refusePINBehind(ctx, body.Operator); problem != nil {
		return nil, problem
	}
	entry, err := s.cfg.Desk.Cancel(via(ctx), id, callerOf(ctx).who(body.Operator))
	if entry.Open() {
		return s.wished(ctx, http.StatusAccepted, entry, err)
	}
	return s.wished(ctx, http.StatusOK, entry, err)
}

func (s *Server) setAside(ctx context.Context, in *setAsideInput) (*paymentOutput, error) {
	id, problem := s.wish(in.ID, map[string]string{"operator": in.Body.Operator, "reason": in.Body.Reason})
	if problem != nil {
		return nil, problem
	}
	if problem := s.refusePIN(ctx, in.Body.Operator); problem != nil {
		return nil, problem
	}
	entry, err := s.cfg.Desk.SetAside(via(ctx), id, callerOf(ctx).decides(in.Body.Operator), in.Body.Reason)
	return s.wished(ctx, http.StatusOK, entry, err)
}

func (s *Server) acknowledge(ctx context.Context, in *acknowledgeInput) (*paymentOutput, error) {
	var body AcknowledgeBody
	if in.Body != nil {
		body = *in.Body
	}
	id, problem := s.wish(in.ID, map[string]string{"operator": body.Operator})
	if problem != nil {
		return nil, problem
	}
	if problem := s.refusePINBehind(ctx, body.Operator); problem != nil {
		return nil, problem
	}
	entry, err := s.cfg.Desk.Payment(id)
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	how, problem := handover(entry, body.How)
	if problem != nil {
		return nil, problem
	}
	by := callerOf(ctx).who(body.Operator)
	if money(entry, how) {
		if problem := s.decided(ctx); problem != nil {
			return nil, problem
		}
		by = callerOf(ctx).decides(body.Operator)
	}
	entry, err = s.cfg.Desk.Acknowledge(via(ctx), id, payflow.Acknowledgement{At: s.now(), How: how, Operator: by})
	return s.wished(ctx, http.StatusOK, entry, err)
}

// handover is what became of goods or money: a paid payment leaves the list only by goods given or money given back (I8).
func handover(e payflow.Entry, how payflow.Handover) (payflow.Handover, *Problem) {
	paid := e.Status == payflow.Paid
	switch {
	case how == "" && paid:
		return payflow.GoodsGiven, nil
	case how == "":
		return payflow.Seen, nil
	case how == payflow.Seen && paid:
		return "", fieldProblem("how", "must be goods_given or money_given_back: this payment is paid")
	case how == payflow.GoodsGiven && e.Status.Final() && !paid:
		return "", fieldProblem("how", "must be seen or money_given_back: this payment is not paid")
	}
	return how, nil
}

// money reports an answer that is a decision about money, and no mere word that the cashier was told: money given back in another way, and
// whatever is said of a payment that turned up after its end.
func money(e payflow.Entry, how payflow.Handover) bool {
	return how == payflow.MoneyGivenBack || heldLate(e.Late) || e.Attention == payflow.AttentionLateSuccess
}

// wish checks what every wish carries.
func (s *Server) wish(id string, texts map[string]string) (payflow.OutTradeNo, *Problem) {
	if p := s.refuseSecrets(texts); p != nil {
		return "", p
	}
	return paymentID(id)
}

func (s *Server) wished(ctx context.Context, status int, entry payflow.Entry, err error) (*paymentOutput, error) {
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &paymentOutput{Status: status, Body: s.view(entry, s.now())}, nil
}
