package wxsim

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const refundPageMax = 20 // refunds on one page (query all refunds)

var (
	// What a refund number may be made of (refund): 1 to 64 of letters, digits and _ - | * @.
	refundNumber = regexp.MustCompile(`^[0-9A-Za-z_\-|*@]{1,64}$`)
	refundSource = regexp.MustCompile(`^(` + fromUnsettle + `|` + fromRecharge + `)$`)
	// Where a notification may go (refund): https, no query part. Behaviour.NotifyPlain lets http in.
	notifyURL      = regexp.MustCompile(`^https://[^/?#\s]+(/[^?#\s]*)?$`)
	notifyURLPlain = regexp.MustCompile(`^https?://[^/?#\s]+(/[^?#\s]*)?$`)
	smallNumber    = regexp.MustCompile(`^[0-9]{1,9}$`)
)

// refundRequest is the refund call's body.
type refundRequest struct {
	MchID         string `json:"mchid"`
	AppID         string `json:"appid"`
	SpMchID       string `json:"sp_mchid"`
	SpAppID       string `json:"sp_appid"`
	SubMchID      string `json:"sub_mchid"`
	TransactionID string `json:"transaction_id"`
	OutTradeNo    string `json:"out_trade_no"`
	OutRefundNo   string `json:"out_refund_no"`
	Reason        string `json:"reason"`
	Source        string `json:"source"`
	NotifyURL     string `json:"notify_url"`
	Amount        struct {
		Refund   int64  `json:"refund"`
		Total    int64  `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

func (p refundRequest) wish() refundWish {
	return refundWish{number: p.OutRefundNo, amount: p.Amount.Refund, total: p.Amount.Total, currency: p.Amount.Currency, reason: p.Reason,
		source: p.Source, notify: p.NotifyURL}
}

// refundRules is the refund call's body (Global v3, refund), with the ids of a mode.
func refundRules(mode Mode, b Behaviour) map[string]rule {
	target := notifyURL
	if b.NotifyPlain {
		target = notifyURLPlain
	}
	rules := map[string]rule{
		"transaction_id": texts(32),
		"out_trade_no":   like(texts(32), orderNumber),
		"out_refund_no":  must(like(texts(64), refundNumber)),
		"reason":         texts(80),
		"source":         like(texts(30), refundSource),
		"notify_url":     like(texts(256), target),
		"amount": must(objects(map[string]rule{"refund": must(rule{kind: whole, min: 1}), "total": must(rule{kind: whole, min: 1}),
			"currency": must(like(texts(16), currency))})),
	}
	for name, id := range idRules(mode, true) {
		rules[name] = id
	}
	return rules
}

// refundCall takes a refund on (Global v3, refund). The answer says that much and no more. The caller holds s.mu.
func (s *Sim) refundCall(v *visit) reply {
	members, no := checkBody(v.body, refundRules(v.account.Mode, s.behaviour))
	if no != nil {
		return *no
	}
	var p refundRequest
	if err := json.Unmarshal(mustJSON(members), &p); err != nil {
		return *wrong("", "the body cannot be read", errnoParam)
	}
	if no := v.account.checkIDs(p.MchID+p.SpMchID, p.SubMchID); no != nil {
		return *no
	}
	switch {
	case p.AppID+p.SpAppID != v.account.AppID:
		return refusal(http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", "appid and mchid do not match", errnoAppID)
	case (p.TransactionID == "") == (p.OutTradeNo == ""):
		return *wrong("/transaction_id", "exactly one of transaction_id and out_trade_no is wanted", errnoParam)
	}
	o := s.find(v)
	if o == nil || !s.knows(v.api, o) {
		return noOrder(v.key)
	}
	return s.refundAnswer(o, p.wish())
}

func (s *Sim) refundAnswer(o *order, w refundWish) reply {
	r, no := s.refund(o, w)
	if no != nil {
		answer := no.reply()
		answer.order = o.orderKey
		return answer
	}
	answer := good(r.accepted())
	answer.order = o.orderKey
	return answer
}

// refundQuery tells of one refund, by WeChat Pay's number or by the merchant's (Global v3, query refund). The caller holds
// s.mu.
func (s *Sim) refundQuery(v *visit) reply {
	if no := checkQuery(v, nil); no != nil {
		return *no
	}
	r := s.findRefund(v)
	if r == nil || !s.knows(v.api, r.order) {
		return noRefund(v.key)
	}
	r.order.settle(time.Now())
	view := r.view()
	view["transaction_id"], view["out_trade_no"] = r.order.id, r.order.number
	answer := good(view)
	answer.order = r.order.orderKey
	return answer
}

// findRefund returns the refund that a path names, of the caller's own.
func (s *Sim) findRefund(v *visit) *refund {
	r := s.refundsByID[v.refundID]
	if v.refundNumber != "" {
		r = s.refundsByNumber[orderKey{v.account.MerchantID, v.refundNumber}]
	}
	if r == nil || r.order.merchant != v.account.MerchantID {
		return nil
	}
	return r
}

// refundList tells of all refunds of an order, page by page (Global v3, query all refunds). What is answered for an order
// without refunds is not documented: see Behaviour.NoRefundsFound. The caller holds s.mu.
func (s *Sim) refundList(v *visit) reply {
	if no := checkQuery(v, map[string]rule{"transaction_id": texts(32), "out_trade_no": like(texts(32), orderNumber),
		"offset": like(texts(9), smallNumber), "count": like(texts(9), smallNumber)}); no != nil {
		return *no
	}
	given := v.request.URL.Query()
	offset, count := numberOr(given.Get("offset"), 0), numberOr(given.Get("count"), refundPageMax)
	switch {
	case given.Has("transaction_id") == given.Has("out_trade_no"):
		return *inQuery(wrong("/transaction_id", "exactly one of transaction_id and out_trade_no is wanted", errnoParam))
	case count < 1 || count > refundPageMax:
		return *inQuery(wrong("/count", "it may be 1 to 20", errnoParam))
	}
	o := s.find(v)
	if o == nil || o.state == None || !s.knows(v.api, o) {
		return noOrder(v.key)
	}
	o.settle(time.Now())
	if len(o.refunded) == 0 && !s.behaviour.NoRefundsFound {
		return noRefund(v.key)
	}
	answer := good(o.refundPage(offset, count))
	answer.order = o.orderKey
	return answer
}

func (o *order) refundPage(offset, count int) map[string]any {
	page := []map[string]any{}
	for i := offset; i < min(offset+count, len(o.refunded)); i++ {
		page = append(page, o.refunded[i].view())
	}
	view := map[string]any{"id": o.id, "out_trade_no": o.number, "total_num": len(o.refunded), "current_total_num": len(page), "data": page,
		"amount": map[string]any{"total": o.total, "currency": o.currency, "payer_total": o.payerShare(o.total), "payer_currency": payerCurrency}}
	o.addIDs(view)
	return view
}

// addIDs writes the merchant's numbers into an answer or a notification.
func (o *order) addIDs(view map[string]any) {
	if o.account.Mode == Direct {
		view["mchid"] = o.account.MerchantID
		return
	}
	view["sp_mchid"], view["sub_mchid"] = o.account.MerchantID, o.account.SubMerchantID
}

// accepted is the refund as the refund call answers it.
func (r *refund) accepted() map[string]any {
	return map[string]any{"id": r.id, "out_refund_no": r.number, "create_time": wireTime(r.created),
		"amount": map[string]any{"refund": r.amount, "currency": r.currency, "payer_refund": r.order.payerShare(r.amount), "payer_currency": payerCurrency,
			"exchange_rate": r.order.exchangeRate()}}
}

const recvAccount = "建设银行借记卡0403" // where the money goes: bank, kind of card, last four digits

// view is the refund as a query answers it. The second source is spelled as the documents' samples spell it.
func (r *refund) view() map[string]any {
	v := r.accepted()
	v["status"], v["channel"], v["recv_account"], v["fund_source"] = r.state, "ORIGINAL", recvAccount, strings.Replace(r.source, "RECHARGE", "REchARGE", 1)
	if r.state == RefundSuccess {
		v["success_time"] = wireTime(r.ended)
	}
	return v
}

func noOrder(k orderKey) reply {
	r := refusal(http.StatusNotFound, "ORDER_NOT_EXIST", "There is no such order", errnoNoOrder)
	r.order = k
	return r
}

func noRefund(k orderKey) reply {
	r := refusal(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "There is no such refund", 0)
	r.order = k
	return r
}

func numberOr(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}
