package wxclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"posagent/payflow"
)

// meaning is what a listed error code says.
type meaning struct {
	kind   payflow.OutcomeKind
	reason payflow.Reason
}

// payCodes is what each listed code means in the answer to a pay call of status 4xx, by its normal spelling. Every code
// that is not here means nothing: the outcome is unknown. SYSTEMERROR, BANKERROR and OPENIDMISMATCH are left out on
// purpose (the documents call their outcome unknown). Sources: API v2 Quick Pay error table; API v3 HTTP status table.
var payCodes = map[string]meaning{
	"AUTHCODEEXPIRE":  {payflow.Refused, payflow.ReasonCodeExpired},
	"AUTHCODEERROR":   {payflow.Refused, payflow.ReasonCodeUsed},
	"AUTHCODEINVALID": {payflow.Refused, payflow.ReasonCodeInvalid},
	"NOTENOUGH":       {payflow.Refused, payflow.ReasonNotEnough},
	"NOTSUPORTCARD":   {payflow.Refused, payflow.ReasonCard}, // as the documents spell it
	"NOTSUPPORTCARD":  {payflow.Refused, payflow.ReasonCard},
	"RULELIMIT":       {payflow.Refused, payflow.ReasonLimit},
	"ACCOUNTERROR":    {payflow.Refused, payflow.ReasonAccount},
	"TRADEERROR":      {payflow.Refused, payflow.ReasonRefused},
	"INVALIDREQUEST":  {payflow.Refused, payflow.ReasonRefused},

	"ORDERPAID":      {payflow.Collision, payflow.ReasonNumberInUse},
	"OUTTRADENOUSED": {payflow.Collision, payflow.ReasonNumberInUse},
	"BUYERMISMATCH":  {payflow.Collision, payflow.ReasonNumberInUse},
	"ORDERCLOSED":    {payflow.Collision, payflow.ReasonNumberInUse},
	"ORDERREVERSED":  {payflow.Collision, payflow.ReasonNumberInUse},

	"RATELIMITED":            {payflow.Refused, payflow.ReasonBusy},
	"RATELIMITEXCEEDED":      {payflow.Refused, payflow.ReasonBusy},
	"FREQUENCYLIMITEXCEED":   {payflow.Refused, payflow.ReasonBusy},
	"FREQUENCYLIMITEXCEEDED": {payflow.Refused, payflow.ReasonBusy},

	"NOAUTH":             {payflow.Refused, payflow.ReasonConfiguration},
	"SIGNERROR":          {payflow.Refused, payflow.ReasonConfiguration},
	"PARAMERROR":         {payflow.Refused, payflow.ReasonConfiguration},
	"LACKPARAMS":         {payflow.Refused, payflow.ReasonConfiguration},
	"APPIDNOTEXIST":      {payflow.Refused, payflow.ReasonConfiguration},
	"MCHIDNOTEXIST":      {payflow.Refused, payflow.ReasonConfiguration},
	"MCHNOTEXISTS":       {payflow.Refused, payflow.ReasonConfiguration},
	"APPIDMCHIDNOTMATCH": {payflow.Refused, payflow.ReasonConfiguration},
	"XMLFORMATERROR":     {payflow.Refused, payflow.ReasonConfiguration},
	"NOTUTF8":            {payflow.Refused, payflow.ReasonConfiguration},
	"REQUIREPOSTMETHOD":  {payflow.Refused, payflow.ReasonConfiguration},
	"POSTDATAEMPTY":      {payflow.Refused, payflow.ReasonConfiguration},
}

// absentCodes say, in the answer to a query of status 4xx, that there is no such order (so far).
var absentCodes = map[string]bool{"ORDERNOTEXIST": true, "NOTFOUND": true, "RESOURCENOTEXISTS": true}

// tooLateCodes say, in the answer to a reverse, that the order is older than seven days.
var tooLateCodes = map[string]bool{"REVERSEEXPIRE": true}

// configurationCodes are this till's set-up refused, whatever the call.
var configurationCodes = map[string]bool{
	codeSignError: true, "NOAUTH": true, "APPIDNOTEXIST": true, "MCHIDNOTEXIST": true, "MCHNOTEXISTS": true, "APPIDMCHIDNOTMATCH": true,
}

// collisionNumbers end a Request-ID whose order number is in use, whatever the code: already paid (two), and
// re-entry with different parameters.
var collisionNumbers = map[string]bool{"268449538": true, "268498689": true, "268498688": true}

// refundCodes is what each listed code means in the answer to a refund of status 4xx. SYSTEMERROR and BIZERRNEEDRETRY are left out
// on purpose: the same refund is asked for again, but it may have been taken on. Sources: API v2 refund error table; API v3 HTTP
// status table. See "Refused refunds" in docs/wechat-pay.md.
var refundCodes = map[string]payflow.RefundOutcomeKind{
	"NOTENOUGH":            payflow.RefundDeclined, // the merchant's unsettled money is too little; a person tops up, or waits
	"USERACCOUNTABNORMAL":  payflow.RefundDeclined, // the customer has no such account any more
	"TRADEOVERDUE":         payflow.RefundDeclined, // paid more than a year ago
	"ERROR":                payflow.RefundDeclined, // only its text tells
	"INVALIDREQUEST":       payflow.RefundDeclined,
	"INVALIDTRANSACTIONID": payflow.RefundDeclined,
	"ORDERNOTEXIST":        payflow.RefundDeclined,
	"RESOURCENOTEXISTS":    payflow.RefundDeclined,
	"NOTFOUND":             payflow.RefundDeclined,
	"PARAMERROR":           payflow.RefundDeclined,
	codeSignError:          payflow.RefundDeclined,
	"NOAUTH":               payflow.RefundDeclined,
	"MCHNOTEXISTS":         payflow.RefundDeclined,
	"APPIDMCHIDNOTMATCH":   payflow.RefundDeclined,

	"INVALIDREQTOOMUCH":      payflow.RefundLater, // two refunds of one order are a minute apart
	"FREQUENCYLIMITED":       payflow.RefundLater,
	"RATELIMITED":            payflow.RefundLater,
	"RATELIMITEXCEEDED":      payflow.RefundLater,
	"FREQUENCYLIMITEXCEED":   payflow.RefundLater,
	"FREQUENCYLIMITEXCEEDED": payflow.RefundLater,
}

// absentRefundCodes say, in the answer to a refund query of status 4xx, that there is no such refund (so far).
var absentRefundCodes = map[string]bool{"REFUNDNOTEXIST": true, "NOTFOUND": true, "RESOURCENOTEXISTS": true}

// noStatementCodes say, in the answer to a statement call of status 4xx, that the day has none (yet).
var noStatementCodes = map[string]bool{"NOSTATEMENTEXIST": true}

const (
	codeSignError  = "SIGNERROR"
	codeUserPaying = "USERPAYING"
)

var errNoTrade = errors.New("it is no order and no listed error")

// payOutcome reads an answer to a pay call as if it were verified. An error means that it says nothing definite.
func payOutcome(o payflow.Order, a answer) (payflow.Outcome, error) {
	switch {
	case a.status == http.StatusOK || a.status == http.StatusAccepted:
		return foundOutcome(o, "", a)
	case a.status == http.StatusTooManyRequests:
		t := readTrouble(a)
		return payflow.Outcome{Kind: payflow.Refused, Code: t.Code, Reason: payflow.ReasonBusy, Text: string(t.Message)}, nil
	}
	t := readTrouble(a)
	if t.Code == codeUserPaying && a.status >= 400 {
		return askedForPassword(t), nil
	}
	m, listed := payCodes[t.Code]
	if !listed || a.status < 400 || a.status >= 500 {
		return payflow.Outcome{}, unlisted(a, t)
	}
	if collisionNumbers[requestNumber(a)] {
		m = payCodes["OUTTRADENOUSED"]
	}
	return payflow.Outcome{Kind: m.kind, Code: t.Code, Reason: m.reason, Text: string(t.Message)}, nil
}

// queryOutcome reads an answer to a query, likewise.
func queryOutcome(o payflow.Order, id payflow.TransactionID, a answer) (payflow.Outcome, error) {
	if a.status == http.StatusOK || a.status == http.StatusAccepted {
		return foundOutcome(o, id, a)
	}
	t := readTrouble(a)
	if absentCodes[t.Code] && a.status >= 400 && a.status < 500 {
		return payflow.Outcome{Kind: payflow.NoSuchOrder, Code: t.Code, Text: string(t.Message)}, nil
	}
	return payflow.Outcome{}, unlisted(a, t)
}

// reverseOutcome reads an answer to a reverse, likewise.
func reverseOutcome(o payflow.Order, a answer) (payflow.Outcome, error) {
	switch {
	case a.status == http.StatusNoContent:
		return payflow.Outcome{Kind: payflow.ReverseDone}, nil
	case a.status == http.StatusOK:
		if t, err := readTradeAnswer(a); err != nil || t.OutTradeNo != "" && t.OutTradeNo != string(o.OutTradeNo) {
			return payflow.Outcome{}, lost(payflow.ReasonUnverified, errAnotherOrder)
		}
		return payflow.Outcome{Kind: payflow.ReverseDone}, nil
	}
	t := readTrouble(a)
	if t.Code == "" || a.status < 400 || a.status >= 500 || a.status == http.StatusTooManyRequests {
		return payflow.Outcome{}, unlisted(a, t)
	}
	kind := payflow.ReverseRefused
	if tooLateCodes[t.Code] {
		kind = payflow.ReverseTooLate
	}
	return payflow.Outcome{Kind: kind, Code: t.Code, Text: string(t.Message)}, nil
}

var errAnotherOrder = errors.New("the answer does not name this order")

// foundOutcome reads a 200 or a 202. One that decides must name the order; that a password is being asked for decides
// nothing, so it may come as a bare code.
func foundOutcome(o payflow.Order, id payflow.TransactionID, a answer) (payflow.Outcome, error) {
	t, err := readTradeAnswer(a)
	switch {
	case err != nil:
		return payflow.Outcome{}, lost(payflow.ReasonUnverified, err)
	case t.OutTradeNo != "" && o.OutTradeNo != "" && t.OutTradeNo != string(o.OutTradeNo), t.ID != "" && id != "" && t.ID != string(id):
		return payflow.Outcome{}, lost(payflow.ReasonUnverified, errAnotherOrder)
	case tradeState(t.TradeState) == payflow.TradeUserPaying, t.TradeState == "" && t.Code == codeUserPaying:
		trade := t.trade(o.Merchant.Mode)
		trade.State = payflow.TradeUserPaying
		return payflow.Outcome{Kind: payflow.Found, Trade: trade, Code: t.Code, Text: string(t.Message)}, nil
	case t.TradeState == "":
		return payflow.Outcome{}, unlisted(a, t.trouble)
	case t.OutTradeNo == "" && (id == "" || t.ID == ""):
		return payflow.Outcome{}, lost(payflow.ReasonUnverified, errAnotherOrder)
	}
	return payflow.Outcome{Kind: payflow.Found, Trade: t.trade(o.Merchant.Mode)}, nil
}

func askedForPassword(t trouble) payflow.Outcome {
	return payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeUserPaying}, Code: t.Code, Text: string(t.Message)}
}

// requestNumber is the error number at the end of Request-ID ("id-errno"), or empty.
func requestNumber(a answer) string {
	id := a.header.Get(headerRequestID)
	number := id[strings.LastIndexByte(id, '-')+1:]
	if _, err := strconv.ParseUint(number, 10, 64); err != nil {
		return ""
	}
	return number
}

// believe gives an answer's outcome out if the answer is verified. If it carries no signature at all, what it claims
// goes into the LostError (rule 9). A signature that is present but wrong leaves nothing, not even a claim.
func (c *Client) believe(ctx context.Context, call string, o payflow.Order, a answer, outcome payflow.Outcome, said error) (payflow.Outcome, error) {
	trust := c.verify(ctx, a)
	c.noteAnswer(a, outcome, trust)
	if err := believed(outcome, said, trust); err != nil {
		return payflow.Outcome{}, about(call, o, err)
	}
	c.noteBelieved(outcome.Code)
	return outcome, nil
}

// believed is nil when what an answer says may be given out. said is what is wrong with the answer itself, trust what is wrong with
// its signature.
func believed(outcome payflow.Outcome, said, trust error) error {
	switch why := distrustOf(trust); {
	case trust == nil:
		return said
	case why == unsigned:
		return claimed(outcome, said, trust)
	case why == skewed:
		return lost(payflow.ReasonClock, trust)
	}
	return lost(payflow.ReasonUnverified, trust)
}

// noteBelieved notes that WeChat Pay took a call of this till's for what it is.
func (c *Client) noteBelieved(code string) {
	if !configurationCodes[code] {
		c.conditions.over(ConfigurationRefused)
	}
}

// claimed turns an unsigned answer into the error that carries its claim. Only a refusal, a collision and a missing order
// claim anything; a payment that somebody only says was made is not even shown.
func claimed(outcome payflow.Outcome, said, trust error) error {
	l := payflow.Lost{Reason: payflow.ReasonUnverified}
	if heard := (*payflow.LostError)(nil); errors.As(said, &heard) {
		l.Busy = heard.Lost.Busy
	}
	switch outcome.Kind {
	case payflow.Refused, payflow.Collision, payflow.NoSuchOrder:
		l.Claim, l.Code = outcome.Kind, outcome.Code
		l.Reason = orElse(outcome.Reason, payflow.ReasonUnverified)
		l.Busy = outcome.Reason == payflow.ReasonBusy
	}
	return &payflow.LostError{Lost: l, Err: trust}
}

// noteAnswer raises what a person must know of: this till's set-up refused, or its clock.
func (c *Client) noteAnswer(a answer, outcome payflow.Outcome, trust error) {
	code := outcome.Code
	if code == "" {
		code = readTrouble(a).Code
	}
	c.log.Debug().Str("code", code).Str("outcome", string(outcome.Kind)).Str("trade_state", string(outcome.Trade.State)).
		Bool("verified", trust == nil).AnErr("distrust", trust).Msg("answer")
	if !configurationCodes[code] || a.status < 400 || (trust != nil && distrustOf(trust) != unsigned) {
		return
	}
	c.conditions.begin(Condition{Kind: ConfigurationRefused, Red: true, Code: code, Text: c.explainCertificates(a).Error()})
	c.refreshSoon()
}

// unlisted is the error of an answer that says nothing definite.
func unlisted(a answer, t trouble) error {
	l := payflow.Lost{Reason: payflow.ReasonServer, Code: t.Code, Busy: a.status == http.StatusTooManyRequests}
	return &payflow.LostError{Lost: l, Err: fmt.Errorf("%s answered %d %s (request %s): %w", nameOf(a.host), a.status, t.Code, requestID(a), errNoTrade)}
}

// requestID is what WeChat Pay's support asks for.
func requestID(a answer) string { return maskText(a.header.Get(headerRequestID), requestIDMax) }

func nameOf(h *host) string {
	if h == nil {
		return "the gateway"
	}
	return h.name
}

func lost(reason payflow.Reason, err error) error {
	return &payflow.LostError{Lost: payflow.Lost{Reason: reason}, Err: err}
}

// about puts what we were doing before a LostError's words.
func about(call string, o payflow.Order, err error) error {
	if o.OutTradeNo != "" {
		call += " " + string(o.OutTradeNo)
	}
	l := (*payflow.LostError)(nil)
	if !errors.As(err, &l) {
		return lost(payflow.ReasonServer, fmt.Errorf("%s: %w", call, err))
	}
	return &payflow.LostError{Lost: l.Lost, Err: fmt.Errorf("%s: %w", call, l.Err)}
}

// lostCall names why a call brought no answer.
func lostCall(call string, o payflow.Order, err error) error {
	reason := payflow.ReasonLink
	words := (*explainedError)(nil)
	switch {
	case errors.As(err, &words) && words.clock:
		reason = payflow.ReasonClock
	case errors.As(err, new(*noLinkError)):
		reason = payflow.ReasonNoNetwork
	case isTimeout(err):
		reason = payflow.ReasonTimeout
	}
	return about(call, o, lost(reason, err))
}
