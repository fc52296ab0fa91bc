package wxsim

import (
	"net/http"
	"time"
)

// play is how one order's customer, wallet and WeChat Pay behave. The zero value pays at once.
type play struct {
	asks   bool          // the customer is asked for the password
	asksBy int           // the status that says so; 0: as Behaviour says
	pays   time.Duration // after the pay call; 0: at once, or after the password; never: not at all
	fails  time.Duration // the order reads PAYERROR from then on; 0: it does not
	leaves time.Duration // the customer gives up, and it reads NOTPAY

	answer        oddAnswer     // to the pay call, instead of the order
	slow          time.Duration // the pay answer takes that long
	paysOnReverse bool          // the payment lands just before the reverse
	stubborn      bool          // a reverse is refused "during payment" for 30 s
	lie           lie
	foreign       Foreign // another till's order stands under the number
	faults        []Fault // on calls for this order

	refund *refundPlay // what becomes of its refunds
}

const never = -1 * time.Second

// now reports that the money moves with the pay call itself.
func (p play) now() bool { return !p.asks && p.pays == 0 && p.fails == 0 && p.leaves == 0 }

// oddAnswer is an error that WeChat Pay gives to the pay call.
type oddAnswer struct {
	status int
	code   string
	made   bool // the order is there all the same
}

func (a oddAnswer) reply() reply { return a.problem().reply() }

// problem is nil where there is no such answer.
func (a oddAnswer) problem() *problem {
	if a.code == "" {
		return nil
	}
	number := 0
	if a.code == "RATE_LIMITED" {
		number = 268447840
	}
	return &problem{a.status, a.code, messages[a.code], number}
}

// messages are the texts of errors. They name the code's meaning and what the documents tell the caller to do.
var messages = map[string]string{
	"NOT_ENOUGH":          "The balance is too small; pay by another card",
	"AUTH_CODE_EXPIRE":    "The payment code has expired; refresh it and scan again",
	"AUTH_CODE_ERROR":     "The payment code was used; refresh it and scan again",
	"AUTH_CODE_INVALID":   "101 The payment code is not valid; scan the code of the WeChat wallet",
	"NOT_SUPORT_CARD":     "The card is not supported; pay by another card",
	"RULE_LIMIT":          "The transaction is refused by the risk rules",
	"ACCOUNT_ERROR":       "The customer's account is abnormal",
	"TRADE_ERROR":         "The transaction is refused",
	"SYSTEM_ERROR":        "System error; query the order",
	"BANK_ERROR":          "The bank's system is abnormal; query the order",
	"RATE_LIMITED":        "Too many requests; try again later",
	"INVALID_REQUEST":     "The request is not valid",
	"ORDER_PAID":          "The order has been paid",
	"BUYER_MISMATCH":      "The order belongs to another payer",
	"OUT_TRADE_NO_USED":   "The order number is used",
	"SERVICE_UNAVAILABLE": "The service is not available; try again later",

	"PARAM_ERROR":              "A parameter is wrong",
	"SIGN_ERROR":               "The signature is wrong",
	"NO_AUTH":                  "The merchant has no authority for this call",
	"APPID_MCHID_NOT_MATCH":    "appid and mchid do not match",
	"APPID_NOT_EXIST":          "The appid does not exist",
	"MCH_NOT_EXISTS":           "The merchant does not exist",
	"RATELIMIT_EXCEEDED":       "Too many requests; try again later",
	"FREQUENCY_LIMIT_EXCEEDED": "Too many requests; try again later",
	"FREQUENCY_LIMIT_EXCEED":   "Too many requests; try again later",
	"OPENID_MISMATCH":          "The openid and the appid do not match",
	"NOT_FOUND":                "There is no such call",
	"RESOURCE_NOT_EXISTS":      "There is no such resource",
	"ORDER_NOT_EXIST":          "There is no such order",

	"USER_ACCOUNT_ABNORMAL": "The customer's account is closed; give the money back by other means",
	"TRADE_OVERDUE":         "The order was paid more than a year ago",
	"ERROR":                 "The refund is refused; see the merchant platform",
	"BIZERR_NEED_RETRY":     "The refund was not taken on; ask again with the same number",
	"INVALID_REQ_TOO_MUCH":  "Two refunds of one order are a minute apart; ask again with the same number",
	"FREQUENCY_LIMITED":     "Orders more than a month old are refunded more slowly; ask again with the same number",
}

func refused(status int, code string) oddAnswer { return oddAnswer{status: status, code: code} }

func muddled(code string) oddAnswer {
	return oddAnswer{status: http.StatusInternalServerError, code: code, made: true}
}

// lie is something untrue in the answers about an order.
type lie string

const (
	truth         lie = ""
	wrongAmount   lie = "wrong amount"
	wrongCurrency lie = "wrong currency"
	othersAttach  lie = "another's attach"
	noAttach      lie = "no attach"
	otherNumber   lie = "another order's number"
	otherMerchant lie = "another merchant"
	oddState      lie = "a state that nobody knows"
)

// tell changes an answer. Only a payment is lied about, and an unpaid order for the odd state: an order that has ended is
// shown as it is.
func (l lie) tell(v map[string]any) {
	state := v["trade_state"].(TradeState)
	amount := v["amount"].(map[string]any)
	if l == oddState && state == NotPay {
		v["trade_state"] = TradeState("ACCEPT")
	}
	if state != Success {
		return
	}
	switch l {
	case wrongAmount:
		amount["total"] = amount["total"].(int64) + 1
	case wrongCurrency:
		amount["currency"] = "MOP"
	case othersAttach:
		v["attach"] = "ANOTHERTILL00000"
	case noAttach:
		delete(v, "attach")
	case otherNumber:
		v["out_trade_no"] = "ANOTHER" + v["out_trade_no"].(string)[:1]
	case otherMerchant:
		for _, name := range []string{"mchid", "sp_mchid"} {
			if _, there := v[name]; there {
				v[name] = "19999999"
			}
		}
	}
}
