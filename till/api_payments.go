package till

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"posagent/payflow"
)

// ArmBody is the body of POST /v1/payments.
type ArmBody struct {
	Amount           int64           `json:"amount" minimum:"1" maximum:"10000000000" doc:"In minor units: 1250 is HK$ 12.50."`
	Currency         string          `json:"currency,omitempty" maxLength:"3" doc:"ISO 4217; the till's when left out."`
	SaleRef          string          `json:"sale_ref" minLength:"1" maxLength:"64" doc:"The till software's number of the sale. A sale is charged once."`
	Description      string          `json:"description,omitempty" maxLength:"127" doc:"Shown to the customer in WeChat."`
	Operator         string          `json:"operator,omitempty" maxLength:"64"`
	Attach           string          `json:"attach,omitempty" maxLength:"110" doc:"Comes back on WeChat Pay's statement."`
	GoodsTag         string          `json:"goods_tag,omitempty" maxLength:"32"`
	LimitPay         string          `json:"limit_pay,omitempty" enum:"no_credit"`
	Detail           json.RawMessage `json:"detail,omitempty" doc:"WeChat Pay's goods detail: an object of at most 6000 characters."`
	AdditionalTender bool            `json:"additional_tender,omitempty" doc:"The sale has a paid payment, and the customer pays more."`
}

const detailMax = 6000 // characters (Quick Pay API, detail)

type armInput struct {
	Key    string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"64" doc:"One for each payment: the same key with the same body is the same payment, whatever has happened since."`
	Prefer string `header:"Prefer" maxLength:"256" doc:"wait=60 answers when the payment is final, or after 60 s (at most 120)."`
	Body   ArmBody
}

type paymentOutput struct {
	Status   int
	Location string `header:"Location"`
	Applied  string `header:"Preference-Applied"`
	Body     Payment
}

type paymentInput struct {
	ID    string `path:"id" doc:"The payment's id."`
	Since uint64 `query:"since" doc:"Answers as soon as the version is above this one."`
	Wait  int    `query:"wait" minimum:"0" maximum:"120" doc:"Seconds to wait for that; the present form is answered then."`
}

func (s *Server) registerPayments(api huma.API) {
	huma.Register(api, call{
		id: "arm-payment", method: http.MethodPost, path: "/v1/payments", summary: "Arm a payment: the next scanned code pays it",
		scopes: []Scope{ScopePay}, needs: needsSeller, status: http.StatusCreated,
		problems: []ProblemCode{KeyMissing, KeyReused, AlreadyPaid, SaleOpen, TillBusy, NotTaken, Stopping, TooMany},
	}.operation(api), s.arm)
	huma.Register(api, call{
		id: "get-payment", method: http.MethodGet, path: "/v1/payments/{id}", summary: "A payment, now or at its next change",
		scopes: []Scope{ScopePay, ScopeReport}, status: http.StatusOK, problems: []ProblemCode{NoPayment, TooMany},
	}.operation(api), s.payment)
}

func (s *Server) arm(ctx context.Context, in *armInput) (*paymentOutput, error) {
	request, problem := s.armRequest(in)
	if problem != nil {
		return nil, problem
	}
	if problem := s.refusePINBehind(ctx, request.Operator); problem != nil {
		return nil, problem
	}
	wait := preferredWait(in.Prefer)
	if wait > 0 && !s.polls.enter(placeOf(ctx)) {
		return nil, newProblem(TooMany, "")
	}
	if wait > 0 {
		defer s.polls.leave(placeOf(ctx))
	}
	c, wish := callerOf(ctx), "payment "+in.Key
	request.Operator = s.firstBy.operator(c, wish, c.who(request.Operator))
	entry, err := s.cfg.Desk.Arm(via(ctx), request)
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	s.firstBy.made(c, wish, request.Operator)
	out := &paymentOutput{Status: http.StatusCreated, Location: "/v1/payments/" + string(entry.OutTradeNo)}
	if wait > 0 {
		out.Applied = "wait=" + strconv.Itoa(int(wait/time.Second))
		entry = s.waitFinal(ctx, entry, wait)
	}
	out.Body = s.view(entry, s.now())
	return out, nil
}

// armRequest checks what the schema can't.
func (s *Server) armRequest(in *armInput) (payflow.ArmRequest, *Problem) {
	b := in.Body
	detail, ok := compactObject(b.Detail)
	if !ok {
		return payflow.ArmRequest{}, fieldProblem("detail", fieldRules["body.detail"])
	}
	if p := s.refuseSecrets(map[string]string{"sale_ref": b.SaleRef, "description": b.Description, "operator": b.Operator, "attach": b.Attach,
		"goods_tag": b.GoodsTag, "detail": detail, "Idempotency-Key": in.Key}); p != nil {
		return payflow.ArmRequest{}, p
	}
	if !printable(in.Key) {
		return payflow.ArmRequest{}, newProblem(KeyMissing, "")
	}
	currency := b.Currency
	if currency == "" {
		currency = string(s.cfg.Currency)
	}
	if s.cfg.Currency != "" && currency != string(s.cfg.Currency) {
		return payflow.ArmRequest{}, fieldProblem("currency", "must be the till's, "+string(s.cfg.Currency))
	}
	amount, err := payflow.NewAmount(b.Amount, currency)
	if err != nil {
		return payflow.ArmRequest{}, fieldProblem("currency", "must be one that WeChat Pay lists, such as HKD")
	}
	return payflow.ArmRequest{
		Amount: amount, SaleRef: payflow.SaleRef(b.SaleRef), Description: b.Description, Operator: b.Operator, Attach: b.Attach,
		GoodsTag: b.GoodsTag, LimitPay: b.LimitPay, Detail: detail, AdditionalTender: b.AdditionalTender, IdempotencyKey: in.Key,
	}, nil
}

// refuseSecrets refuses a request with a payment code, a key or a token in a text that would be journaled and shown.
func (s *Server) refuseSecrets(fields map[string]string) *Problem {
	for field, text := range fields {
		if holdsCode(text, s.cfg.CodePrefixes) {
			return heldIn(field, HoldsCode, "a payment code")
		}
		if holdsToken(text) || s.cfg.Secret != nil && s.cfg.Secret(text) {
			return heldIn(field, HoldsSecret, "a secret")
		}
	}
	return nil
}

func heldIn(field string, code ProblemCode, what string) *Problem {
	p := newProblem(code, field+" holds what looks like "+what+"; nothing was done with it")
	p.Fields = []FieldFault{{Field: field, Text: "must not hold " + what}}
	return p
}

func printable(key string) bool {
	for i := range len(key) {
		if key[i] < 0x21 || key[i] > 0x7e {
			return false
		}
	}
	return key != ""
}

// compactObject returns an object's JSON text without blanks and escapes; "" for none.
func compactObject(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", true
	}
	numbers := json.NewDecoder(bytes.NewReader(raw))
	numbers.UseNumber() // as they were written
	var object map[string]any
	if err := numbers.Decode(&object); err != nil || object == nil {
		return "", false
	}
	var text bytes.Buffer
	plain := json.NewEncoder(&text)
	plain.SetEscapeHTML(false)
	if err := plain.Encode(object); err != nil || utf8.RuneCount(text.Bytes()) > detailMax {
		return "", false
	}
	return strings.TrimSpace(text.String()), true
}

// preferredWait reads "wait=60" out of a Prefer header (RFC 7240); anything else in it is ignored, as that document asks.
func preferredWait(prefer string) time.Duration {
	for part := range strings.SplitSeq(prefer, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		seconds, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		if strings.EqualFold(strings.TrimSpace(name), "wait") && err == nil && seconds > 0 {
			return min(time.Duration(min(seconds, 1000))*time.Second, waitMax)
		}
	}
	return 0
}

func (s *Server) payment(ctx context.Context, in *paymentInput) (*paymentOutput, error) {
	id, problem := paymentID(in.ID)
	if problem != nil {
		return nil, problem
	}
	entry, err := s.cfg.Desk.Payment(id)
	if err == nil && in.Wait > 0 && entry.Version <= in.Since {
		entry, err = s.waitFor(ctx, entry, in.Since, time.Duration(in.Wait)*time.Second)
	}
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &paymentOutput{Status: http.StatusOK, Body: s.view(entry, s.now())}, nil
}

// waitFor is a long poll: it ends with the change, the time, the caller, or the server's end.
func (s *Server) waitFor(ctx context.Context, entry payflow.Entry, since uint64, wait time.Duration) (payflow.Entry, error) {
	if !s.polls.enter(placeOf(ctx)) {
		return entry, newProblem(TooMany, "")
	}
	defer s.polls.leave(placeOf(ctx))
	ctx, stop := s.until(ctx, wait)
	defer stop()
	return s.cfg.Desk.WaitFor(ctx, entry.OutTradeNo, since)
}

// waitFinal waits until the payment is final, the time is over, or nobody listens any more.
func (s *Server) waitFinal(ctx context.Context, entry payflow.Entry, wait time.Duration) payflow.Entry {
	ctx, stop := s.until(ctx, wait)
	defer stop()
	for entry.Open() && ctx.Err() == nil {
		next, err := s.cfg.Desk.WaitFor(ctx, entry.OutTradeNo, entry.Version)
		if err != nil {
			return entry // the payment is armed: what is known of it is the answer
		}
		entry = next
	}
	return entry
}

// until is a context that ends after a time, and with the server.
func (s *Server) until(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithTimeout(ctx, wait)
	unhook := context.AfterFunc(s.closing, stop)
	return ctx, func() { unhook(); stop() }
}

// paymentID reads the id in a path; what can't be one names no payment.
func paymentID(text string) (payflow.OutTradeNo, *Problem) {
	id, err := payflow.ParseOutTradeNo(text)
	if err != nil {
		return "", newProblem(NoPayment, "")
	}
	return id, nil
}
