package wxsim

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// found answers with the order as it stands.
func (o *order) found(status int) reply {
	r := good(o.view())
	r.status, r.order = status, o.orderKey
	return r
}

const userPayingText = "The customer is entering the password. Query the order."

// userPaying says that the password is being typed: in mainland v3 a 202 with a bare code has been seen (WxJava, issue
// 4050), else a 200 with the order.
func (o *order) userPaying(b Behaviour) reply {
	if status := orElse(o.play.asksBy, b.UserPaying); status == http.StatusAccepted {
		r := refusal(status, "USER_PAYING", userPayingText, 0)
		r.order = o.orderKey
		return r
	}
	return o.found(http.StatusOK)
}

// payerOf is the openid of the wallet that shows a code: the same code, the same customer.
func payerOf(code string) string {
	sum := sha256.Sum256([]byte(code))
	return "oUpF8u" + hex.EncodeToString(sum[:])[:22]
}

// view is the order as pay and query answer it (Global v3, query order). What an unpaid order has not is left out.
func (o *order) view() map[string]any {
	v := map[string]any{"out_trade_no": o.number, "trade_type": "MICROPAY", "trade_state": o.state, "trade_state_desc": stateText(o.state),
		"attach": o.attach, "amount": map[string]any{"total": o.total, "currency": o.currency}}
	payer := map[string]any{}
	if o.account.Mode == Direct {
		v["appid"], v["mchid"], payer["openid"] = o.account.AppID, o.account.MerchantID, o.payer
	} else {
		v["sp_appid"], v["sp_mchid"], v["sub_mchid"] = o.account.AppID, o.account.MerchantID, o.account.SubMerchantID
		payer["sp_openid"], payer["sub_openid"] = o.payer, ""
	}
	if !o.paid.IsZero() {
		v["id"], v["bank_type"], v["success_time"], v["payer"] = o.id, "CCB_DEBIT", wireTime(o.paid), payer
		v["amount"] = o.paidAmount()
	}
	if o.attach == "" {
		delete(v, "attach")
	}
	o.play.lie.tell(v)
	return v
}

const (
	rateScale = 100_000_000 // exchange rates are scaled by 10^8
	rateToCNY = 92_000_000

	payerCurrency = "CNY" // of the wallets that pay
)

// paidAmount adds what the payer paid: CNY, at a rate of 0.92 where the order is in another currency.
func (o *order) paidAmount() map[string]any {
	return map[string]any{"total": o.total, "currency": o.currency, "payer_total": o.payerShare(o.total), "payer_currency": payerCurrency,
		"exchange_rate": o.exchangeRate()}
}

// rate is what one unit of the order's currency is in the payer's, scaled by 10^8.
func (o *order) rate() int64 {
	if o.currency == payerCurrency {
		return rateScale
	}
	return rateToCNY
}

// payerShare is an amount in the payer's currency: at least one minor unit, rounded down.
func (o *order) payerShare(amount int64) int64 {
	return max(1, amount/rateScale*o.rate()+amount%rateScale*o.rate()/rateScale)
}

func (o *order) exchangeRate() map[string]any {
	return map[string]any{"type": "SETTLEMENT_RATE", "rate": o.rate()}
}

func stateText(state TradeState) string {
	switch state {
	case Success:
		return "Payment succeeded"
	case UserPaying:
		return "The customer is entering the password"
	case NotPay:
		return "Not paid"
	case PayError:
		return "Payment failed, please reverse the order"
	case Revoked:
		return "Reversed"
	case Closed:
		return "Closed"
	case Refunded:
		return "Refunded"
	}
	return string(state)
}
