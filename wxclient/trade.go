package wxclient

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"posagent/payflow"
)

// tradeAnswer is an order as pay and query answer it, or an error's body: which of the two is seen by what is there. Members
// that decide are read strictly; those that are only shown are left out when they are not what we expect.
type tradeAnswer struct {
	trouble
	ID                        string           `json:"id"`
	AppID                     string           `json:"appid"`
	ServiceProviderAppID      string           `json:"sp_appid"`
	MerchantID                string           `json:"mchid"`
	ServiceProviderMerchantID string           `json:"sp_mchid"`
	SubMerchantID             string           `json:"sub_mchid"`
	OutTradeNo                string           `json:"out_trade_no"`
	Attach                    string           `json:"attach"`
	TradeState                string           `json:"trade_state"`
	TradeStateText            shown            `json:"trade_state_desc"`
	BankType                  shown            `json:"bank_type"`
	SuccessTime               shown            `json:"success_time"`
	Amount                    tradeAnswerMoney `json:"amount"`
	Payer                     struct {
		OpenID                shown `json:"openid"`
		ServiceProviderOpenID shown `json:"sp_openid"`
	} `json:"payer"`
}

type tradeAnswerMoney struct {
	Total         int64  `json:"total"`
	Currency      string `json:"currency"`
	PayerTotal    shown  `json:"payer_total"`
	PayerCurrency shown  `json:"payer_currency"`
	ExchangeRate  struct {
		Type shown `json:"type"`
		Rate shown `json:"rate"`
	} `json:"exchange_rate"`
}

// shown is a member that is kept only to be shown: a string or a number, else nothing.
type shown string

// UnmarshalJSON takes a string or a number; anything else is left out, never an error.
func (s *shown) UnmarshalJSON(text []byte) error {
	var word string
	switch {
	case len(text) > 0 && (text[0] == '-' || text[0] >= '0' && text[0] <= '9'):
		*s = shown(text)
	case json.Unmarshal(text, &word) == nil:
		*s = shown(word)
	}
	return nil
}

// shownMax is above any number that is shown (a rate of a million, scaled by 10^8), and too short to be a payment code.
const shownMax = 1e14

func (s shown) number() int64 {
	var n int64
	if json.Unmarshal([]byte(s), &n) != nil || n < 0 || n > shownMax {
		return 0
	}
	return n
}

// trade returns the order as payflow's words. In institution mode the ids are the institution's and the shop's.
func (t tradeAnswer) trade(mode payflow.Mode) payflow.Trade {
	trade := payflow.Trade{
		State:         tradeState(t.TradeState),
		OutTradeNo:    payflow.OutTradeNo(t.OutTradeNo),
		TransactionID: payflow.TransactionID(maskID(t.ID, 32)),
		Amount: payflow.Amount{Minor: min(t.Amount.Total, payflow.AmountMax+1), // beyond any order of ours it is only wrong
			Currency: payflow.Currency(maskText(t.Amount.Currency, 16))},
		AppID:       maskID(t.AppID, 32),
		MerchantID:  maskID(t.MerchantID, 32),
		Attach:      maskID(t.Attach, attachMax),
		PayerAmount: payflow.Amount{Minor: t.Amount.PayerTotal.number(), Currency: payflow.Currency(maskText(string(t.Amount.PayerCurrency), 16))},
		RateType:    maskText(string(t.Amount.ExchangeRate.Type), 32),
		Rate:        t.Amount.ExchangeRate.Rate.number(),
		BankType:    maskText(string(t.BankType), 32),
		StateText:   maskText(string(t.TradeStateText), textMax),
		Payer:       PayerID(string(t.Payer.OpenID)),
	}
	if mode == payflow.Institution {
		trade.AppID, trade.MerchantID = maskID(t.ServiceProviderAppID, 32), maskID(t.ServiceProviderMerchantID, 32)
		trade.SubMerchantID = maskID(t.SubMerchantID, 32)
		trade.Payer = PayerID(string(t.Payer.ServiceProviderOpenID))
	}
	if at, err := time.Parse(time.RFC3339, string(t.SuccessTime)); err == nil {
		trade.SuccessTime = at
	}
	return trade
}

// openIDMax is the longest open id (query order), in characters.
const openIDMax = 128

// PayerID returns an open id as it came, or nothing where it cannot be one: what is cut or masked would make two payers one.
func PayerID(text string) string {
	if maskID(text, openIDMax) != text {
		return ""
	}
	return text
}

// tradeState reads a state in either spelling (USERPAYING, USER_PAYING). An unknown one is kept as it came.
func tradeState(text string) payflow.TradeState {
	switch state := payflow.TradeState(normalCode(text)); state {
	case payflow.TradeSuccess, payflow.TradeRefund, payflow.TradeNotPay, payflow.TradeClosed, payflow.TradeRevoked,
		payflow.TradeUserPaying, payflow.TradePayError:
		return state
	}
	return payflow.TradeState(maskText(text, 32))
}

// trouble is the body of an error answer.
type trouble struct {
	Code    string `json:"code"`
	Message shown  `json:"message"`
}

// readTrouble reads an error's body, with its code normal; a body that is none has no code.
func readTrouble(a answer) trouble {
	var t trouble
	if json.Unmarshal(a.body, &t) != nil {
		return trouble{}
	}
	return t.normal()
}

func (t trouble) normal() trouble {
	return trouble{Code: cut(maskText(normalCode(t.Code), len(t.Code)), 64), Message: shown(maskText(string(t.Message), textMax))}
}

// normalCode is how codes are compared: upper case, without underscores, because the Chinese and English pages spell the same
// code differently.
func normalCode(code string) string {
	return strings.ReplaceAll(strings.ToUpper(strings.TrimSpace(code)), "_", "")
}

func readTradeAnswer(a answer) (tradeAnswer, error) {
	var t tradeAnswer
	if err := json.Unmarshal(a.body, &t); err != nil {
		return tradeAnswer{}, fmt.Errorf("read the answer of status %d: %w", a.status, errNoTrade)
	}
	t.trouble = t.trouble.normal()
	return t, nil
}
