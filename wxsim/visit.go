package wxsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Call is one of the calls that the simulator knows.
type Call string

// The calls. Any, the zero value, is all of them where a fault is meant; Connect is a connection before its first request.
const (
	Any          Call = ""
	Pay          Call = "pay"
	Query        Call = "query"
	Reverse      Call = "reverse"
	Certificates Call = "certificates"
	Connect      Call = "connect"
	Other        Call = "other" // a request for anything else

	Refund      Call = "refund"
	RefundQuery Call = "refund-query" // of one refund
	Refunds     Call = "refunds"      // of all refunds of an order
	Statement   Call = "statement"
	Settlements Call = "settlements"
	Notice      Call = "notice" // a notification that WeChat Pay sends
)

// visit is one request on its way through the simulator.
type visit struct {
	call     Call
	number   string // out_trade_no, once it is known
	id       string // transaction id, where the path names one
	request  *http.Request
	seen     time.Time // when its first bytes came
	body     []byte
	whole    bool // the body was read to its end
	late     bool // it was read only after a fault's delay
	account  *account
	api      API
	v2       *v2Request // API v2 only
	merchant string     // as the body names it, API v2 only
	key      orderKey   // as far as it is known
	fault    *Fault
	arrival  *Arrival // in the books, once it stands there
	code     string   // pay: the payment code
	total    int64    // pay, and refund: the amount that may choose a scenario

	refundID     string // WeChat Pay's, where the path names one
	refundNumber string // out_refund_no
}

const (
	payPath     = "/v3/global/micropay/transactions/pay"
	reversePath = "/v3/global/micropay/transactions/"
	queryPath   = "/v3/global/transactions/"
	certsPath   = "/v3/global/certificates"

	refundsPath     = "/v3/global/refunds"
	statementPath   = "/v3/global/statements"
	settlementsPath = "/v3/global/settle/settlements"
)

// newVisit finds the call by method and path (Global v3, chapter 2; v2Paths).
func newVisit(r *http.Request) *visit {
	v := &visit{call: Other, api: V3, request: r, seen: time.Now()}
	path := r.URL.EscapedPath()
	rest, isReverse := strings.CutSuffix(strings.TrimPrefix(path, reversePath), "/reverse")
	switch {
	case v.isV2():
	case r.Method == http.MethodPost && path == payPath:
		v.call = Pay
	case r.Method == http.MethodGet && path == certsPath:
		v.call = Certificates
	case r.Method == http.MethodPost && isReverse && strings.HasPrefix(path, reversePath):
		v.name(Reverse, rest)
	case r.Method == http.MethodGet && strings.HasPrefix(path, queryPath):
		v.name(Query, strings.TrimPrefix(path, queryPath))
	case r.Method == http.MethodPost && path == refundsPath:
		v.call = Refund
	case r.Method == http.MethodGet && path == refundsPath:
		given := r.URL.Query()
		v.call, v.id, v.number = Refunds, given.Get("transaction_id"), given.Get("out_trade_no")
	case r.Method == http.MethodGet && strings.HasPrefix(path, refundsPath+"/"):
		v.name(RefundQuery, strings.TrimPrefix(path, refundsPath+"/"))
	case r.Method == http.MethodGet && path == statementPath:
		v.call = Statement
	case r.Method == http.MethodGet && path == settlementsPath:
		v.call = Settlements
	}
	return v
}

// name takes the order from the end of a path: id/… or out-trade-no/…; or the refund: id/… or out-refund-no/….
func (v *visit) name(call Call, rest string) {
	kind, escaped, _ := strings.Cut(rest, "/")
	name, err := url.PathUnescape(escaped)
	if err != nil || name == "" || strings.Contains(escaped, "/") {
		return
	}
	switch {
	case call == RefundQuery && kind == "id":
		v.call, v.refundID = call, name
	case call == RefundQuery && kind == "out-refund-no":
		v.call, v.refundNumber = call, name
	case call != RefundQuery && kind == "id":
		v.call, v.id = call, name
	case call != RefundQuery && kind == "out-trade-no":
		v.call, v.number = call, name
	}
}

var (
	errTooLong = errors.New("the body is too long")
	errCutOff  = errors.New("the request was cut off")
)

// read reads the body to its end, and learns from it which order it is about.
func (v *visit) read() error {
	body, err := io.ReadAll(io.LimitReader(v.request.Body, bodyMax+1))
	v.body = body
	v.learn()
	switch {
	case len(body) > bodyMax:
		_, _ = io.CopyN(io.Discard, v.request.Body, drainMax)
		return errTooLong
	case err != nil:
		return fmt.Errorf("%w: %w", errCutOff, err)
	}
	v.whole = true
	return nil
}

// readHalf reads half of what was announced.
func (v *visit) readHalf() {
	v.body, _ = io.ReadAll(io.LimitReader(v.request.Body, max(v.request.ContentLength, 0)/2))
	v.learn()
}

var numberInText = regexp.MustCompile(`"out_trade_no"\s*:\s*"([^"\\]{1,64})"`)

// learn reads what can be read of the body of a pay or refund call, whole or not.
func (v *visit) learn() {
	if v.api == V2 {
		v.learnV2()
		return
	}
	switch v.call {
	case Pay:
		v.learnPay()
	case Refund:
		v.learnRefund()
	}
}

func (v *visit) learnRefund() {
	var p refundRequest
	if json.Unmarshal(v.body, &p) == nil {
		v.number, v.id, v.refundNumber, v.total = p.OutTradeNo, p.TransactionID, p.OutRefundNo, p.Amount.Refund
	}
}

func (v *visit) learnPay() {
	var p payRequest
	if json.Unmarshal(v.body, &p) == nil {
		v.number, v.code, v.total = p.OutTradeNo, p.Payer.AuthCode, p.Amount.Total
		return
	}
	if found := numberInText.FindSubmatch(v.body); found != nil {
		v.number = string(found[1])
	}
}
