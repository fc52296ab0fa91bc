package wxsim

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// payRequest is the pay call's body, as far as the simulator acts on it.
type payRequest struct {
	MchID       string `json:"mchid"`
	AppID       string `json:"appid"`
	SpMchID     string `json:"sp_mchid"`
	SpAppID     string `json:"sp_appid"`
	SubMchID    string `json:"sub_mchid"`
	OutTradeNo  string `json:"out_trade_no"`
	Attach      string `json:"attach"`
	Description string `json:"description"`
	Payer       struct {
		AuthCode string `json:"auth_code"`
	} `json:"payer"`
	Amount struct {
		Total    int64  `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`

	params [32]byte // the same for the same parameters
	device string   // API v2 only
}

const (
	errnoReentry = 268498688 // re-entry with different parameters
	errnoPaid    = 268449538
	errnoEnded   = 268447914 // order no longer valid
)

// pay makes an order, or answers for the one that is there (Global v3, Quick Pay). The caller holds s.mu.
func (s *Sim) pay(v *visit) reply {
	members, no := checkBody(v.body, payRules(v.account.Mode))
	if no != nil {
		return *no
	}
	canonical := mustJSON(members) // the same for the same parameters, in any order
	p := payRequest{params: sha256.Sum256(canonical)}
	if err := json.Unmarshal(canonical, &p); err != nil {
		return *wrong("", "the body cannot be read", errnoParam)
	}
	if no := v.account.checkIDs(p.MchID+p.SpMchID, p.SubMchID); no != nil {
		return *no
	}
	if p.AppID+p.SpAppID != v.account.AppID {
		return refusal(http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", "appid and mchid do not match", errnoAppID)
	}
	return s.payOrder(v, p)
}

// payOrder pays, whichever API asks.
func (s *Sim) payOrder(v *visit, p payRequest) reply {
	o := s.order(orderKey{v.account.MerchantID, p.OutTradeNo})
	s.noteAmount(o, p)
	if o.state != None {
		return s.payAgain(o, p)
	}
	return s.payFirst(o, p, v)
}

// checkIDs holds the ids of a body or query against the caller's.
func (a *account) checkIDs(mchid, sub string) *reply {
	var no reply
	switch {
	case mchid != a.MerchantID:
		no = refusal(http.StatusBadRequest, "PARAM_ERROR", "the mchid of the header is not that of the request", errnoParam)
	case a.Mode == Institution && sub == mchid:
		no = refusal(http.StatusBadRequest, "PARAM_ERROR", "sub_mchid equals the own mchid", 268443705)
	case sub != a.SubMerchantID:
		no = refusal(http.StatusForbidden, "NO_AUTH", "there is no relation between sp_mchid and sub_mchid", errnoNoPair)
	default:
		return nil
	}
	return &no
}

func (s *Sim) payFirst(o *order, p payRequest, v *visit) reply {
	now := time.Now()
	if o.blocked {
		return refusal(http.StatusForbidden, "ORDER_REVERSED", "The order was reversed", errnoEnded)
	}
	code := p.Payer.AuthCode
	seen := s.see(code, v.seen)
	playing := s.choose(code, p.Amount.Total)
	o.scene = playing.Name
	if no := s.checkCode(o, code, seen, now); no != nil {
		return *no
	}
	if f := playing.play.foreign; f.State != None {
		f.Number, f.Currency, f.Total = p.OutTradeNo, p.Amount.Currency, p.Amount.Total
		return s.payAgain(s.place(v.account, f, now), p)
	}
	if r := playing.play.answer; r.code != "" && !r.made {
		return r.reply()
	}
	s.open(o, v.account, now)
	o.api, o.goods, o.device = v.api, p.Description, p.device
	o.play, o.attach, o.total, o.currency, o.params = playing.play, p.Attach, p.Amount.Total, p.Amount.Currency, p.params
	o.payer, o.codeTail, o.codeSum = payerOf(code), code[len(code)-4:], fmt.Sprintf("%x", sha256.Sum256([]byte(code)))
	seen.used = o.orderKey
	o.schedule(s.behaviour, now)
	if o.play.now() {
		o.turn(Success, now)
	} else if o.play.asks {
		o.state = UserPaying
	}
	s.notifyPayment(o)
	return s.payAnswer(o)
}

// payAnswer says how the order stands, or what the scenario has WeChat Pay say instead.
func (s *Sim) payAnswer(o *order) reply {
	r := o.found(http.StatusOK)
	switch {
	case o.play.answer.code != "":
		r = o.play.answer.reply()
		r.order = o.orderKey
	case o.state == UserPaying:
		r = o.userPaying(s.behaviour)
	}
	r.late = o.play.slow
	return r
}

// payAgain answers a number that is in use. The same parameters are a safe re-entry while the order is unpaid; a paid,
// closed or reversed number cannot be used again; other parameters are refused (order numbers and idempotency).
func (s *Sim) payAgain(o *order, p payRequest) reply {
	o.settle(time.Now())
	switch {
	case o.state == Success || o.state == Refunded:
		return refusal(http.StatusForbidden, "ORDER_PAID", "The order has been paid", errnoPaid)
	case o.state == Revoked:
		return refusal(http.StatusForbidden, "ORDER_REVERSED", "The order was reversed", errnoEnded)
	case o.state == Closed:
		return refusal(http.StatusBadRequest, "ORDER_CLOSED", "The order is closed", errnoEnded)
	case o.foreign:
		return refusal(http.StatusForbidden, "OUT_TRADE_NO_USED", "The order number is used", 0)
	case o.params == p.params:
		return s.payAnswer(o)
	case o.total == p.Amount.Total && o.currency == p.Amount.Currency && o.payer != payerOf(p.Payer.AuthCode):
		return refusal(http.StatusForbidden, "BUYER_MISMATCH", "The order belongs to another payer", 0)
	}
	return refusal(http.StatusBadRequest, "INVALID_REQUEST", "Re-entry with different parameters", errnoReentry)
}

// noteAmount keeps the amounts that were asked for under one number: there may be only one.
func (s *Sim) noteAmount(o *order, p payRequest) {
	if !o.foreign && len(o.amounts) == 1 && !o.amounts[p.Amount.Total] {
		s.violate(o.orderKey, "one number with two amounts")
	}
	if len(o.amounts) < 2 {
		o.amounts[p.Amount.Total] = true
	}
}
