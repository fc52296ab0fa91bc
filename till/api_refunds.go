package till

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"posagent/payflow"
)

// RefundBody is the body of POST /v1/payments/{id}/refunds.
type RefundBody struct {
	Amount   int64  `json:"amount" minimum:"1" maximum:"10000000000" doc:"To give back, in minor units of the payment's currency: 250 is HK$ 2.50."`
	Reason   string `json:"reason,omitempty" maxLength:"80" doc:"Why; the customer reads it in WeChat. At most 80 bytes."`
	Operator string `json:"operator,omitempty" maxLength:"64" doc:"Who gives the money back; it is journaled."`
}

// RefundSeenBody is the body of POST /v1/refunds/{id}/acknowledge.
type RefundSeenBody struct {
	Operator string `json:"operator" minLength:"1" maxLength:"64"`
	Note     string `json:"note,omitempty" maxLength:"200" doc:"What was done; it is journaled."`
}

const refundReasonMax = 80 // bytes (refund API, reason)

type (
	refundInput struct {
		ID   string `path:"id" doc:"The payment's id."`
		Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"64" doc:"One for each refund: the same key with the same body is the same refund, whatever has happened since."`
		Body RefundBody
	}
	refundOutput struct {
		Status   int
		Location string `header:"Location"`
		Body     Refund
	}
	refundQuery struct {
		ID    string `path:"id" doc:"The refund's id."`
		Since uint64 `query:"since" doc:"Answers as soon as the version is above this one."`
		Wait  int    `query:"wait" minimum:"0" maximum:"120" doc:"Seconds to wait for that; the present form is answered then."`
	}
	refundSeenInput struct {
		ID   string `path:"id" doc:"The refund's id."`
		Body RefundSeenBody
	}
)

func (s *Server) registerRefunds(api huma.API) {
	refund := call{
		id: "refund-payment", method: http.MethodPost, path: "/v1/payments/{id}/refunds", summary: "Give money of a paid payment back, in part or whole",
		scopes: []Scope{ScopeRefund}, needs: needsManager, status: http.StatusCreated,
		problems: []ProblemCode{NoPayment, KeyMissing, KeyReused, NotPaid, GivenBack, RefundTooMuch, RefundTooMany, RefundOverdue, CannotRefund, NotTaken, Stopping},
	}.operation(api)
	refund.Responses["200"] = &huma.Response{Description: "The refund that was asked for with this key before, as it is now.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: schemaOf[Refund](api)}}}
	huma.Register(api, refund, s.refund)
	huma.Register(api, call{
		id: "get-refund", method: http.MethodGet, path: "/v1/refunds/{id}", summary: "A refund, now or at its next change",
		scopes: []Scope{ScopeRefund, ScopePay, ScopeReport}, status: http.StatusOK, problems: []ProblemCode{NoRefund, TooMany},
	}.operation(api), s.getRefund)
	huma.Register(api, call{
		id: "acknowledge-refund", method: http.MethodPost, path: "/v1/refunds/{id}/acknowledge", summary: "A person has seen what needed one of a refund that is at its end",
		scopes: []Scope{ScopeRefund}, needs: needsManager, status: http.StatusOK, problems: []ProblemCode{NoRefund, RefundOpen, NotTaken, Stopping},
	}.operation(api), s.acknowledgeRefund)
}

// refund asks the desk for a refund: 201 for a new one, 200 for the one that its key has named before.
func (s *Server) refund(ctx context.Context, in *refundInput) (*refundOutput, error) {
	id, problem := s.wish(in.ID, map[string]string{"reason": in.Body.Reason, "operator": in.Body.Operator, "Idempotency-Key": in.Key})
	if problem != nil {
		return nil, problem
	}
	if problem := s.refusePIN(ctx, in.Body.Operator); problem != nil {
		return nil, problem
	}
	if !printable(in.Key) {
		return nil, newProblem(KeyMissing, "")
	}
	if len(in.Body.Reason) > refundReasonMax {
		return nil, fieldProblem("reason", "must be text of at most 80 bytes")
	}
	if s.cfg.Refunds == nil {
		return nil, s.problemOf(ctx, payflow.ErrNoRefunds)
	}
	_, err := s.cfg.Refunds.RefundOf(payflow.NewOutRefundNo(id, payflow.WishPerson, in.Key))
	known := err == nil
	c, wish := callerOf(ctx), "refund "+string(id)+" "+in.Key
	operator := s.firstBy.operator(c, wish, c.decides(in.Body.Operator))
	entry, err := s.cfg.Refunds.Refund(via(ctx), payflow.RefundRequest{
		OutTradeNo: id, Amount: payflow.Amount{Minor: in.Body.Amount}, Reason: in.Body.Reason, Operator: operator, IdempotencyKey: in.Key,
	})
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	s.firstBy.made(c, wish, operator)
	out := &refundOutput{Status: http.StatusCreated, Location: "/v1/refunds/" + string(entry.OutRefundNo), Body: s.viewRefund(entry, s.now())}
	if known {
		out.Status = http.StatusOK
	}
	return out, nil
}

func (s *Server) getRefund(ctx context.Context, in *refundQuery) (*refundOutput, error) {
	id, problem := refundID(in.ID)
	if problem != nil {
		return nil, problem
	}
	if s.cfg.Refunds == nil {
		return nil, newProblem(NoRefund, "")
	}
	entry, err := s.cfg.Refunds.RefundOf(id)
	if err == nil && in.Wait > 0 && entry.Version <= in.Since {
		entry, err = s.waitForRefund(ctx, entry, in.Since, time.Duration(in.Wait)*time.Second)
	}
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &refundOutput{Status: http.StatusOK, Body: s.viewRefund(entry, s.now())}, nil
}

// waitForRefund is a long poll, as waitFor is.
func (s *Server) waitForRefund(ctx context.Context, entry payflow.RefundEntry, since uint64, wait time.Duration) (payflow.RefundEntry, error) {
	if !s.polls.enter(placeOf(ctx)) {
		return entry, newProblem(TooMany, "")
	}
	defer s.polls.leave(placeOf(ctx))
	ctx, stop := s.until(ctx, wait)
	defer stop()
	return s.cfg.Refunds.WaitForRefund(ctx, entry.OutRefundNo, since)
}

func (s *Server) acknowledgeRefund(ctx context.Context, in *refundSeenInput) (*refundOutput, error) {
	if p := s.refuseSecrets(map[string]string{"operator": in.Body.Operator, "note": in.Body.Note}); p != nil {
		return nil, p
	}
	if p := s.refusePIN(ctx, in.Body.Operator); p != nil {
		return nil, p
	}
	id, problem := refundID(in.ID)
	if problem != nil {
		return nil, problem
	}
	if s.cfg.Refunds == nil {
		return nil, newProblem(NoRefund, "")
	}
	entry, err := s.cfg.Refunds.AcknowledgeRefund(via(ctx), id, callerOf(ctx).decides(in.Body.Operator), in.Body.Note)
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &refundOutput{Status: http.StatusOK, Body: s.viewRefund(entry, s.now())}, nil
}

// refundID reads the id in a path; what can't be one names no refund.
func refundID(text string) (payflow.OutRefundNo, *Problem) {
	if text == "" || len(text) > payflow.RefundNoMax || strings.Trim(text, refundIDLetters) != "" {
		return "", newProblem(NoRefund, "")
	}
	return payflow.OutRefundNo(text), nil
}

// refundIDLetters are what an out_refund_no may hold (refund API).
const refundIDLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-|*@"
