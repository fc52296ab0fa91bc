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
	hadBeen       twist = "had been paid"
	anothersHad   twist = "another till's, had been paid"
)

// What the refunds of an order add up to, as an answer tells it; straight leaves it out, as a client does that could not add them up.
const (
	allBack       twist = "all back"
	onItsWay      twist = "on its way"
	partBack      twist = "a part"
	partOnItsWay  twist = "a part, on its way"
	oneFailed     twist = "one failed"
	failedOnceAll twist = "one failed, all back by another"
	noneListed    twist = "no refund listed"
	moreThanPaid  twist = "more than was paid"
	backNoNumber  twist = "all back, no order number"
	backNoAttach  twist = "all back, without attach"
	backOdd       twist = "all back, wrong amount"
	backAsAsked   twist = "wrong amount, back what we asked"
	backMerchant  twist = "all back, another merchant"
	backCurrency  twist = "all back, wrong currency"
)

// refundsOf is the sum that goes with a twist, for an order of that total of which we asked for less or as much.
func refundsOf(odd twist, total, asked int64) RefundSum {
	switch odd {
	case allBack, backNoNumber, backNoAttach, backOdd, backMerchant, backCurrency:
		return RefundSum{Known: true, Done: total}
	case onItsWay:
		return RefundSum{Known: true, Done: 250, Pending: total - 250}
	case partBack:
		return RefundSum{Known: true, Done: 250}
	case partOnItsWay:
		return RefundSum{Known: true, Pending: 250}
	case oneFailed:
		return RefundSum{Known: true, Done: 250, Dead: 1}
	case failedOnceAll:
		return RefundSum{Known: true, Done: total, Dead: 1}
	case noneListed:
		return RefundSum{Known: true}
	case moreThanPaid:
		return RefundSum{Known: true, Done: total, Pending: 1}
	case backAsAsked:
		return RefundSum{Known: true, Done: asked}
	}
	return RefundSum{}
}

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
	case wrongAmount, backOdd, backAsAsked:
		t.Amount.Minor++
	case wrongCurrency, backCurrency:
		t.Amount.Currency = "CNY"
	case wrongMerchant, backMerchant:
		t.SubMerchantID = "1900000110"
	case withoutAttach, backNoAttach:
		t.Attach = ""
	case noAttachWrong:
		t.Attach, t.Amount.Minor = "", t.Amount.Minor+1
	case hadBeen:
		t.SuccessTime = beginning
	case anothersHad:
		t.Attach, t.SuccessTime = theirTag, beginning
	case otherNumber:
		t.OutTradeNo += "X"
	case otherNumberTo:
		t.OutTradeNo, t.Attach = t.OutTradeNo+"X", theirTag
	case numberMissing, backNoNumber:
		t.OutTradeNo = ""
	}
	t.Refunds = refundsOf(odd, t.Amount.Minor, o.Amount.Minor)
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
