package till

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"posagent/health"
	"posagent/payflow"
)

// Problem is every error of the API (RFC 9457, application/problem+json). It never holds a value that the caller sent.
type Problem struct {
	Type      string       `json:"type" format:"uri-reference" doc:"/problems/ and the code: a page of the agent that says what happened and what to do, in three languages. It does not change."`
	Title     string       `json:"title" doc:"What kind of problem it is."`
	Status    int          `json:"status"`
	Code      ProblemCode  `json:"code" doc:"Stable: programs decide by it."`
	Detail    string       `json:"detail" doc:"What happened, in English."`
	NextStep  health.Words `json:"next_step" doc:"What to do now."`
	Reason    string       `json:"reason,omitempty" doc:"With not_ready: why. With wrong_code: what was scanned. With no_payment and already_paid: found_after_restore where WeChat Pay holds the order, and a restored journal lost it."`
	Fields    []FieldFault `json:"fields,omitempty" doc:"With bad_request: which fields, and what each must be."`
	PaymentID string       `json:"payment_id,omitempty" doc:"The payment that is in the way."`
	Payment   *Payment     `json:"payment,omitempty" doc:"With wrong_state, not_paid and money_given_back: the payment as it is now."`
	Refund    *Refund      `json:"refund,omitempty" doc:"With refund_open: the refund as it is now."`
	Left      *int64       `json:"left,omitempty" doc:"With refund_too_much: what can still be given back, in minor units of the payment's currency."`
	Wait      int          `json:"wait,omitempty" doc:"Seconds until it is worth trying again; the header Retry-After says the same."`
}

// after says when to try again.
func (p *Problem) after(wait time.Duration) *Problem {
	p.Wait = int(math.Ceil(wait.Seconds()))
	return p
}

// GetHeaders returns the headers of a Problem that is an answer of the API's library.
func (p *Problem) GetHeaders() http.Header {
	if p.Wait == 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(p.Wait)}}
}

// FieldFault says what a field must be.
type FieldFault struct {
	Field string `json:"field"`
	Text  string `json:"text"`
}

// Error returns what happened; with GetStatus it makes a Problem an answer of the API's library.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType names the media type of RFC 9457.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// newProblem makes the problem of a code; detail "" repeats its title.
func newProblem(code ProblemCode, detail string) *Problem {
	kind, ok := problemKinds[code]
	if !ok {
		panic("till: the problem code " + string(code) + " is not on the list")
	}
	if detail == "" {
		detail = kind.title
	}
	return &Problem{Type: typeOf(code), Title: kind.title, Status: kind.status, Code: code, Detail: detail, NextStep: kind.next}
}

// fieldProblem refuses a request for one field.
func fieldProblem(field, text string) *Problem {
	p := newProblem(BadRequest, field+" "+text)
	p.Fields = []FieldFault{{Field: field, Text: text}}
	return p
}

// plainRefusals are the desk's refusals that need no more than their code.
var plainRefusals = []struct {
	err  error
	code ProblemCode
}{
	{payflow.ErrNoPayment, NoPayment},
	{payflow.ErrNothingArmed, NothingArmed},
	{payflow.ErrScanBusy, ScanBusy},
	{payflow.ErrSameCode, SameCode},
	{payflow.ErrKeyReused, KeyReused},
	{payflow.ErrKeyMissing, KeyMissing},
	{payflow.ErrNotAside, NotAside},
	{payflow.ErrNoRefund, NoRefund},
	{payflow.ErrNoRefunds, CannotRefund},
	{payflow.ErrRefundsOpenMax, CannotRefund},
	{payflow.ErrRefundTooMany, RefundTooMany},
	{payflow.ErrRefundOverdue, RefundOverdue},
}

// problemOf turns an error of the desk into the answer. An error that it does not know is a fault of this machine: the caller is told
// no more than that, and the log has it.
func (s *Server) problemOf(ctx context.Context, err error) error {
	var made *Problem
	if errors.As(err, &made) {
		return made
	}
	if p := lostInARestore(err); p != nil {
		return p
	}
	for _, r := range plainRefusals {
		if errors.Is(err, r.err) {
			return newProblem(r.code, r.err.Error())
		}
	}
	if errors.Is(err, payflow.ErrJournalClosed) {
		return s.because(newProblem(NotTaken, payflow.ErrJournalClosed.Error()), "journal")
	}
	if errors.Is(err, payflow.ErrSaleRef) {
		return fieldProblem("sale_ref", "must be 1 to 64 printable characters: the till software's number of the sale")
	}
	if p := s.typedProblem(err); p != nil {
		return p
	}
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return newProblem(Stopping, "")
	}
	s.cfg.Log.Error().Str("error", maskDigits(err.Error())).Msg("a call of the local API failed")
	return newProblem(Internal, "")
}

// foundAfterRestore is the reason of no_payment and already_paid where WeChat Pay holds the order all the same.
const foundAfterRestore = "found_after_restore"

func lostInARestore(err error) *Problem {
	var found *payflow.FoundOrderError
	if !errors.As(err, &found) {
		return nil
	}
	p := about(newProblem(NoPayment, found.Error()), found.Found.OutTradeNo)
	p.Detail, _, _ = strings.Cut(p.Detail, "; ")
	p.Reason, p.NextStep = foundAfterRestore, health.Words{
		EN:     "Run posagent journal found: it lists the order. Give back what is owed on the WeChat Pay merchant platform, then record it with posagent journal settle.",
		ZhHans: "请运行 posagent journal found 查看该订单；应退款项请在微信支付商户平台退还，然后用 posagent journal settle 记录。",
		ZhHant: "請執行 posagent journal found 查看該訂單；應退款項請在微信支付商戶平台退還，然後用 posagent journal settle 記錄。",
	}
	return p
}

// typedProblem is for refusals that carry more than themselves.
func (s *Server) typedProblem(err error) *Problem {
	var (
		bad       *payflow.BadRequestError
		busy      *payflow.TillBusyError
		saleOpen  *payflow.SaleOpenError
		paid      *payflow.AlreadyPaidError
		wrong     *payflow.WrongStateError
		notReady  *payflow.NotReadyError
		wrongCode *payflow.WrongCodeError
		tooMuch   *payflow.RefundTooMuchError
		notPaid   *payflow.NotRefundableError
		givenBack *payflow.GivenBackError
		open      *payflow.RefundOpenError
	)
	switch {
	case errors.As(err, &bad):
		return fieldProblem(bad.Field, bad.Text)
	case errors.As(err, &busy):
		return about(newProblem(TillBusy, busy.Error()), busy.ID)
	case errors.As(err, &saleOpen):
		return about(newProblem(SaleOpen, saleOpen.Error()), saleOpen.ID)
	case errors.As(err, &paid):
		p := about(newProblem(AlreadyPaid, paid.Error()), paid.ID)
		if paid.Found { // nothing proves it paid here: no goods for it before somebody has looked
			return s.because(p, foundAfterRestore)
		}
		return p
	case errors.As(err, &wrong):
		return s.wrongState(wrong)
	case errors.As(err, &notReady):
		return s.because(newProblem(NotTaken, notReady.Text), notReady.Code)
	case errors.As(err, &wrongCode):
		return s.because(newProblem(WrongCode, wrongCode.Error()), string(wrongCode.Kind))
	case errors.As(err, &tooMuch):
		p := newProblem(RefundTooMuch, tooMuch.Error())
		p.Left = &tooMuch.Left.Minor
		return p
	case errors.As(err, &notPaid):
		return s.withPayment(newProblem(NotPaid, notPaid.Error()), notPaid.Entry)
	case errors.As(err, &givenBack):
		return s.withPayment(newProblem(GivenBack, givenBack.Error()), givenBack.Entry)
	case errors.As(err, &open):
		now := s.viewRefund(open.Entry, s.now())
		p := newProblem(RefundOpen, open.Error())
		p.Refund = &now
		return p
	}
	return nil
}

// withPayment shows the payment as it is now.
func (s *Server) withPayment(p *Problem, e payflow.Entry) *Problem {
	now := s.view(e, s.now())
	p.Payment = &now
	return about(p, e.OutTradeNo)
}

func about(p *Problem, id payflow.OutTradeNo) *Problem {
	p.PaymentID = string(id)
	return p
}

func (s *Server) wrongState(wrong *payflow.WrongStateError) *Problem {
	p := about(newProblem(WrongState, wrong.Error()), wrong.Entry.OutTradeNo)
	now := s.view(wrong.Entry, s.now())
	p.Payment, p.NextStep = &now, now.NextStep
	return p
}

// because gives a problem its reason, with the words for it.
func (s *Server) because(p *Problem, reason string) *Problem {
	_, next := s.cfg.Words.Notice(reason)
	p.Reason, p.NextStep = reason, inAll(next)
	return p
}

// write answers a request outside the API's library.
func (p *Problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil {
		panic("till: a problem does not marshal: " + err.Error())
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}
