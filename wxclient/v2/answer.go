package v2

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"posagent/payflow"
	"posagent/wxclient"
)

const (
	returnCode = "return_code"
	resultCode = "result_code"
	success    = "SUCCESS"
	fail       = "FAIL"
)

var (
	errNotAPI     = errors.New("it is no answer of API v2")
	errNotTaken   = errors.New("return_code is FAIL")
	errNothing    = errors.New("it is no order and no listed error")
	errAnother    = errors.New("the answer does not name this order")
	errOtherIDs   = errors.New("the answer names another merchant")
	errSeenBefore = errors.New("its nonce came in the last ten minutes, or it has none")
)

// code is err_code in its normal spelling.
func (m message) code() string { return wxclient.NormalCode(m["err_code"]) }

// words are WeChat Pay's own, for the manager.
func (m message) words() string { return wxclient.MaskText(m["err_code_des"], wxclient.TextMax) }

// number reads a whole number that is not negative, such as an amount in minor units; anything else is 0. What is beyond any
// order of ours is only wrong.
func (m message) number(name string) int64 {
	n, err := strconv.ParseUint(m[name], 10, 63)
	if err != nil {
		return 0
	}
	return min(int64(n), payflow.AmountMax+1)
}

// shownMax is above any rate (a million, scaled by 10^8), and too short to be a payment code.
const shownMax = 1e14

// rate reads the exchange rate, which is scaled by 10^8 and only shown.
func (m message) rate() int64 {
	n, err := strconv.ParseInt(m["rate"], 10, 64)
	if err != nil || n < 0 || n > shownMax {
		return 0
	}
	return n
}

// currency reads a currency; where it is left out the documents say CNY.
func (m message) currency(name string) payflow.Currency {
	return payflow.Currency(wxclient.MaskText(orElse(m[name], "CNY"), 16))
}

// storeTime is the zone of every time in API v2.
var storeTime = time.FixedZone("GMT+8", 8*60*60)

func (m message) time(name, layout string) time.Time {
	at, err := time.ParseInLocation(layout, m[name], storeTime)
	if err != nil {
		return time.Time{}
	}
	return at
}

// hear reads an answer up to its return_code. Its error is a *payflow.LostError.
func hear(a wxclient.Answer) (message, error) {
	if a.Status != http.StatusOK {
		l := payflow.Lost{Reason: payflow.ReasonServer, Busy: a.Status == http.StatusTooManyRequests}
		why := errNotAPI
		if a.Status == http.StatusBadRequest {
			why = errBadRequest
		}
		return nil, &payflow.LostError{Lost: l, Err: fmt.Errorf("%s answered %d: %w", a.Host, a.Status, why)}
	}
	m, err := readXML(a.Body, xmlRoot)
	if err != nil {
		return nil, lost(payflow.ReasonUnverified, fmt.Errorf("%s answered what %w: %w", a.Host, errNotAPI, err))
	}
	if m[returnCode] != success {
		said := wxclient.MaskText(m["return_msg"], wxclient.TextMax)
		return nil, &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonServer}, Err: fmt.Errorf("%s: %w: %s", a.Host, errNotTaken, said)}
	}
	return m, nil
}

func lost(reason payflow.Reason, err error) error {
	return &payflow.LostError{Lost: payflow.Lost{Reason: reason}, Err: err}
}

// unlisted is the error of an answer that says nothing definite.
func unlisted(m message) error {
	code := m.code()
	_, reason, _ := wxclient.PayMeaning(code)
	l := payflow.Lost{Reason: payflow.ReasonServer, Code: code, Busy: reason == payflow.ReasonBusy || code == "FREQUENCYLIMITED"}
	return &payflow.LostError{Lost: l, Err: fmt.Errorf("%s %s %s: %w", wxclient.MaskText(m[resultCode], 16), code, m.words(), errNothing)}
}

// verdict is what an answer says, as if it were verified.
type verdict struct {
	named bool            // it names what was asked for, or decides nothing
	claim payflow.Outcome // what it claims if it is not signed (rule 9)
	said  error           // what is wrong with the answer itself: a *payflow.LostError
}

// believe returns nil when what an answer says may be given out. Of one that carries no sign at all the claim is left in the error
// (rule 9); one whose sign is wrong leaves nothing. number is of what the call is about.
func (c *Client) believe(call, number string, ids payflow.Merchant, a wxclient.Answer, read func(message) verdict) error {
	m, err := hear(a)
	if err != nil {
		return wxclient.About(call, number, err)
	}
	v := read(m)
	trust := c.verify(ids, a, m, v)
	c.noteAnswer(a, m, v, trust)
	switch {
	case trust == nil && v.said == nil:
		return nil
	case trust == nil:
		return wxclient.About(call, number, v.said)
	case errors.Is(trust, errUnsigned):
		return wxclient.About(call, number, wxclient.Claim(v.claim, v.said, trust))
	}
	return wxclient.About(call, number, lost(payflow.ReasonUnverified, trust))
}

// believeOrder does so for an answer about an order.
func (c *Client) believeOrder(call string, o payflow.Order, a wxclient.Answer, judge func(message) (payflow.Outcome, error)) (payflow.Outcome, error) {
	var outcome payflow.Outcome
	err := c.believe(call, string(o.OutTradeNo), o.Merchant, a, func(m message) verdict {
		var said error
		outcome, said = judge(m)
		return verdict{named: outcome.Kind == payflow.Found, claim: outcome, said: said}
	})
	if err != nil {
		return payflow.Outcome{}, err
	}
	return outcome, nil
}

// verify returns nil when an answer was signed with our key. One that names nothing must moreover be this merchant's, and no copy.
func (c *Client) verify(ids payflow.Merchant, a wxclient.Answer, m message, v verdict) error {
	if err := c.signer.verify(m); err != nil {
		return err
	}
	fresh := c.nonces.Fresh(m[nonceField], time.Now())
	switch nameless := v.said == nil && !v.named; {
	case nameless && !fresh:
		return errSeenBefore
	case nameless && !sameIDs(ids, m):
		return errOtherIDs
	}
	c.line.CompareClock(a)
	if !wxclient.SaysConfiguration(m.code()) {
		c.line.Accept(a)
	}
	return nil
}

// sameIDs reports that the ids that an answer holds are these. An error may leave some out.
func sameIDs(m payflow.Merchant, heard message) bool {
	same := func(name, ours string) bool { return heard[name] == "" || heard[name] == ours }
	return same("appid", m.AppID) && same("mch_id", m.MerchantID) && (m.Mode == payflow.Direct || same("sub_mch_id", m.SubMerchantID))
}

// noteAnswer raises that this till's set-up was refused, and takes it back once it was not.
func (c *Client) noteAnswer(a wxclient.Answer, m message, v verdict, trust error) {
	code := m.code()
	c.log.Debug().Str("code", code).Str("outcome", string(v.claim.Kind)).Str("trade_state", wxclient.MaskText(m["trade_state"], 32)).
		Bool("verified", trust == nil).AnErr("distrust", trust).Msg("answer")
	refused := wxclient.SaysConfiguration(code) && m[resultCode] == fail
	switch {
	case refused && (trust == nil || errors.Is(trust, errUnsigned)):
		c.line.Begin(wxclient.Condition{Kind: wxclient.ConfigurationRefused, Red: true, Code: code, Text: refusedText(a, code, m.words())})
		c.tripSoon()
	case trust == nil:
		c.line.Over(wxclient.ConfigurationRefused)
	}
}

func refusedText(a wxclient.Answer, code, said string) string {
	what := "WeChat Pay refuses this merchant; check app_id and merchant_id, and its rights on the merchant platform"
	if code == "SIGNERROR" {
		what = "WeChat Pay does not accept our sign; check that api_key and sign_type are this merchant's"
	}
	return what + " (" + a.Host + " answered " + code + " " + said + ")"
}

// foundOutcome reads an order. It must name the number that was asked for.
func foundOutcome(o payflow.Order, id payflow.TransactionID, m message, state string) (payflow.Outcome, error) {
	no, gotID := m["out_trade_no"], m["transaction_id"]
	byOurs := id == "" && (no == "" || no != string(o.OutTradeNo))
	byTheirs := id != "" && (gotID != string(id) || o.OutTradeNo != "" && no != string(o.OutTradeNo))
	if byOurs || byTheirs {
		return payflow.Outcome{}, lost(payflow.ReasonUnverified, errAnother)
	}
	return payflow.Outcome{Kind: payflow.Found, Trade: trade(o.Merchant.Mode, m, state)}, nil
}

// trade returns the order as payflow's words. In institution mode the ids are the institution's and the shop's.
func trade(mode payflow.Mode, m message, state string) payflow.Trade {
	t := payflow.Trade{
		State:         wxclient.TradeStateOf(state),
		OutTradeNo:    payflow.OutTradeNo(m["out_trade_no"]),
		TransactionID: payflow.TransactionID(wxclient.MaskID(m["transaction_id"], 32)),
		Amount:        payflow.Amount{Minor: m.number("total_fee"), Currency: m.currency("fee_type")},
		AppID:         wxclient.MaskID(m["appid"], 32),
		MerchantID:    wxclient.MaskID(m["mch_id"], 32),
		Attach:        wxclient.MaskID(m["attach"], attachMax),
		Rate:          m.rate(),
		BankType:      wxclient.MaskText(m["bank_type"], 32),
		SuccessTime:   m.time("time_end", "20060102150405"),
		StateText:     wxclient.MaskText(m["trade_state_desc"], wxclient.TextMax),
		Payer:         wxclient.PayerID(m["openid"]),
	}
	if m["cash_fee"] != "" {
		t.PayerAmount = payflow.Amount{Minor: m.number("cash_fee"), Currency: m.currency("cash_fee_type")}
	}
	if mode == payflow.Institution {
		t.SubMerchantID = wxclient.MaskID(m["sub_mch_id"], 32)
	}
	return t
}
