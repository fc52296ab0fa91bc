package payflow

import (
	"strings"
	"time"
)

// stepFunc is what stories, walk and fuzz drive: Step, or Step with one rule taken out.
type stepFunc func(Payment, Event) (Payment, []Command)

// beginning is when every payment of the tests is armed.
var beginning = time.Date(2026, 3, 2, 18, 0, 0, 0, time.UTC)

const (
	ourTag   = "k3v9x0q27mzt5b1c"
	theirTag = "c8r2w6n4y1hj7p0d"
)

func anOrder() Order {
	return Order{
		OutTradeNo: "T1000042K7Q", Amount: Amount{Minor: 1250, Currency: "HKD"}, Tag: ourTag,
		Merchant: Merchant{Mode: Institution, AppID: "wx0000000000000001", MerchantID: "1900000001", SubMerchantID: "1900000109"},
		API:      APIv3, HostFamily: "apihk.mch.weixin.qq.com", SaleRef: "S-1001", Attempt: 1, Description: "Goods", Store: Store{ID: "hk-1", Till: "1"},
	}
}

func anArmed(t Timing) (Payment, []Command) { return Arm(anOrder(), t, beginning) }

func aCode() AuthCode { return AuthCode{digits: "134567890123454321"} }

// twist is what is odd about an order that WeChat Pay reports.
type twist string

const (
	straight      twist = ""
	anothersOrder twist = "another till's order"
	wrongAmount   twist = "wrong amount"
	wrongCurrency twist = "wrong currency"
	wrongMerchant twist = "another merchant"
	withoutAttach twist = "without attach"
	noAttachWrong twist = "without attach, wrong amount"
	otherNumber   twist = "another order number"
	otherNumberTo twist = "another order number and attach"
	numberMissing twist = "no order number"
)

// aTrade is our order as WeChat Pay reports it, with one thing odd.
func aTrade(o Order, state TradeState, odd twist) Trade {
	t := Trade{
		State: state, OutTradeNo: o.OutTradeNo, Amount: o.Amount, AppID: o.Merchant.AppID,
		MerchantID: o.Merchant.MerchantID, SubMerchantID: o.Merchant.SubMerchantID, Attach: o.Tag.Attach(o.Attach),
	}
	if state == TradeSuccess || state == TradeRefund {
		t.TransactionID = "4200002222202603021234567890"
	}
	switch odd {
	case anothersOrder:
		t.Attach = theirTag
	case wrongAmount:
		t.Amount.Minor++
	case wrongCurrency:
		t.Amount.Currency = "CNY"
	case wrongMerchant:
		t.SubMerchantID = "1900000110"
	case withoutAttach:
		t.Attach = ""
	case noAttachWrong:
		t.Attach, t.Amount.Minor = "", t.Amount.Minor+1
	case otherNumber:
		t.OutTradeNo += "X"
	case otherNumberTo:
		t.OutTradeNo, t.Attach = t.OutTradeNo+"X", theirTag
	case numberMissing:
		t.OutTradeNo = ""
	}
	return t
}

// aRefusal is a verified refusal as wxclient hands it over, for the codes that the stories use.
func aRefusal(code string) Outcome {
	reasons := map[string]Reason{"NOTENOUGH": ReasonNotEnough, "AUTHCODEEXPIRE": ReasonCodeExpired, "AUTHCODEINVALID": ReasonCodeInvalid,
		"FREQUENCYLIMITED": ReasonBusy, "RULELIMIT": ReasonLimit}
	reason, ok := reasons[code]
	if !ok {
		reason = ReasonRefused
	}
	return Outcome{Kind: Refused, Code: code, Reason: reason, Text: strings.ToLower(code)}
}

func aCollision(code string) Outcome {
	return Outcome{Kind: Collision, Code: code, Reason: ReasonNumberInUse}
}
