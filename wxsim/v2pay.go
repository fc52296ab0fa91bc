package wxsim

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"
)

// payV2 makes an order, or answers for the one that is there (API v2, Quick Pay). The rules are those of v3, and the orders too.
func (s *Sim) payV2(v *visit) reply {
	q := v.v2
	p := payRequest{OutTradeNo: v.number, Attach: q.fields["attach"], Description: q.fields["body"], params: q.params(), device: q.fields["device_info"]}
	p.Payer.AuthCode = v.code
	p.Amount.Total, p.Amount.Currency = v.total, orElse(q.fields["fee_type"], "CNY")
	r := s.payOrder(v, p)
	if r.trouble != nil {
		return r
	}
	o := s.orders[r.order]
	r.body = nil
	switch o.state {
	case Success:
		r.v2 = &v2Answer{fields: o.paymentV2(v)}
		return r
	case PayError:
		r.trouble = &trouble{Code: "TRADE_ERROR", Message: stateText(PayError)}
	default:
		r.trouble = &trouble{Code: "USER_PAYING", Message: userPayingText}
	}
	return r
}

// params are the same for the same request, whatever its nonce and signature.
func (q *v2Request) params() [32]byte {
	rest := maps.Clone(q.fields)
	for _, name := range []string{"nonce_str", "sign", "sign_type"} {
		delete(rest, name)
	}
	return sha256.Sum256(mustJSON(rest))
}

// paymentV2 is a paid order as pay and query answer it (API v2, Quick Pay). It is made from v3's view, so that a scenario lies the
// same way in both.
func (o *order) paymentV2(v *visit) []v2Field {
	view := o.view()
	amount := view["amount"].(map[string]any)
	fields := append(o.idsV2(view), textV2("openid", o.payer), textV2("is_subscribe", "N"))
	if v.v2.fields["sub_appid"] != "" {
		fields = append(fields, textV2("sub_openid", "s"+o.payer[1:]), textV2("sub_is_subscribe", "N"))
	}
	fields = append(fields, textV2("trade_type", "MICROPAY"), textV2("bank_type", "CCB_DEBIT"), textV2("fee_type", amount["currency"].(string)),
		numberV2("total_fee", amount["total"].(int64)), numberV2("settlement_total_fee", amount["total"].(int64)))
	if paid, is := amount["payer_total"]; is {
		rate := amount["exchange_rate"].(map[string]any)["rate"]
		fields = append(fields, numberV2("cash_fee", paid.(int64)), textV2("cash_fee_type", amount["payer_currency"].(string)),
			v2Field{name: "rate", value: fmt.Sprint(rate), plain: true})
	}
	fields = append(fields, textV2("transaction_id", o.id))
	return append(append(fields, o.namesV2(view)...), textV2("time_end", timeV2(o.paid)))
}

// idsV2 are the ids that an answer names, where they are not those of the request.
func (o *order) idsV2(view map[string]any) []v2Field {
	for _, name := range []string{"sp_mchid", "mchid"} {
		if id, there := view[name]; there && id != o.merchant {
			return []v2Field{textV2("mch_id", id.(string))}
		}
	}
	return nil
}

// namesV2 are the merchant's own words for an order.
func (o *order) namesV2(view map[string]any) []v2Field {
	fields := []v2Field{textV2("out_trade_no", view["out_trade_no"].(string))}
	if attach, there := view["attach"]; there {
		fields = append(fields, textV2("attach", attach.(string)))
	}
	return fields
}

// timeV2 prints a time as API v2 does: yyyyMMddHHmmss in GMT+8.
func timeV2(at time.Time) string {
	return chinaTime(at).Format("20060102150405")
}

// openIDV2 says whose code it is (API v2, code to openid). The code can still pay: it is bound to the merchant, not used up.
func (s *Sim) openIDV2(v *visit) reply {
	now := time.Now()
	seen := s.see(v.code, v.seen)
	if no := s.checkCode(&order{}, v.code, seen, now); no != nil {
		return *no
	}
	if r := s.choose(v.code, 0).play.answer; strings.HasPrefix(r.code, "AUTH_CODE_") || r.code == "SYSTEM_ERROR" {
		return r.reply()
	}
	return reply{status: http.StatusOK, v2: &v2Answer{fields: []v2Field{textV2("openid", payerOf(v.code))}}}
}
