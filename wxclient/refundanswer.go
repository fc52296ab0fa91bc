package wxclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"posagent/payflow"
)

// refundAnswer is a refund as refund, refund query and refund notification say it, or an error's body. Members that decide are read
// strictly; those that are only shown are left out when they are not what we expect.
type refundAnswer struct {
	trouble
	ID            string            `json:"id"`
	RefundID      string            `json:"refund_id"` // a notification's word for it
	OutRefundNo   string            `json:"out_refund_no"`
	TransactionID string            `json:"transaction_id"`
	OutTradeNo    string            `json:"out_trade_no"`
	Status        string            `json:"status"`
	RefundStatus  string            `json:"refund_status"` // a notification's word for it
	Channel       shown             `json:"channel"`
	Account       shown             `json:"recv_account"`
	Source        shown             `json:"fund_source"`
	CreateTime    shown             `json:"create_time"`
	SuccessTime   shown             `json:"success_time"`
	Amount        refundAnswerMoney `json:"amount"`
}

type refundAnswerMoney struct {
	Refund        int64  `json:"refund"`
	Total         int64  `json:"total"`
	Currency      string `json:"currency"`
	PayerRefund   shown  `json:"payer_refund"`
	PayerCurrency shown  `json:"payer_currency"`
	ExchangeRate  struct {
		Type shown `json:"type"`
		Rate shown `json:"rate"`
	} `json:"exchange_rate"`
}

func readRefundAnswer(body []byte) (refundAnswer, error) {
	var r refundAnswer
	if err := json.Unmarshal(body, &r); err != nil {
		return refundAnswer{}, fmt.Errorf("read the refund: %w", errNoTrade)
	}
	r.trouble = r.trouble.normal()
	r.ID, r.Status = orElse(r.ID, r.RefundID), orElse(r.Status, r.RefundStatus)
	return r, nil
}

var (
	errAnotherRefund = errors.New("the answer does not name this refund")
	errAnotherAmount = errors.New("the answer names this refund with another amount")
)

// of returns nil if the answer is about o: it names our number and our amount, and contradicts nothing else that we know.
func (r refundAnswer) of(o payflow.RefundOrder) error {
	switch {
	case r.OutRefundNo == "" || r.OutRefundNo != string(o.OutRefundNo),
		r.OutTradeNo != "" && o.OutTradeNo != "" && r.OutTradeNo != string(o.OutTradeNo),
		r.TransactionID != "" && o.TransactionID != "" && r.TransactionID != string(o.TransactionID):
		return errAnotherRefund
	case r.Amount.Refund != o.Amount.Minor || r.Amount.Currency != string(o.Amount.Currency),
		r.Amount.Total != 0 && r.Amount.Total != o.Total.Minor:
		return errAnotherAmount
	}
	return nil
}

// report returns the refund as payflow's words.
func (r refundAnswer) report() payflow.RefundReport {
	currency := payflow.Currency(maskText(r.Amount.Currency, 16))
	report := payflow.RefundReport{
		RefundID:      payflow.RefundID(maskID(r.ID, 32)),
		OutRefundNo:   payflow.OutRefundNo(plain(r.OutRefundNo, outRefundNoMax)),
		TransactionID: payflow.TransactionID(maskID(r.TransactionID, 32)),
		OutTradeNo:    payflow.OutTradeNo(plain(r.OutTradeNo, 32)),
		State:         refundState(r.Status),
		Amount:        payflow.Amount{Minor: min(r.Amount.Refund, payflow.AmountMax+1), Currency: currency},
		PayerAmount:   payflow.Amount{Minor: r.Amount.PayerRefund.number(), Currency: payflow.Currency(maskText(string(r.Amount.PayerCurrency), 16))},
		RateType:      maskText(string(r.Amount.ExchangeRate.Type), 32),
		Rate:          r.Amount.ExchangeRate.Rate.number(),
		Channel:       maskText(string(r.Channel), 32),
		Account:       maskText(string(r.Account), accountMax),
		Source:        refundSource(string(r.Source)),
		CreatedAt:     shownTime(r.CreateTime),
		SuccessTime:   shownTime(r.SuccessTime),
	}
	if r.Amount.Total != 0 {
		report.Total = payflow.Amount{Minor: min(r.Amount.Total, payflow.AmountMax+1), Currency: currency}
	}
	return report
}

const accountMax = 64 // of recv_account, in bytes: a bank's name and four digits

func shownTime(s shown) time.Time {
	at, err := time.Parse(time.RFC3339, string(s))
	if err != nil {
		return time.Time{}
	}
	return at
}

// refundState reads a state in any of its spellings: REFUNDCLOSE and CLOSED, and API v2's CHANGE for ABNORMAL. An unknown one is kept
// as it came.
func refundState(text string) payflow.RefundState {
	switch normalCode(text) {
	case "SUCCESS":
		return payflow.RefundStateSuccess
	case "PROCESSING":
		return payflow.RefundStateProcessing
	case "REFUNDCLOSE", "REFUNDCLOSED", "CLOSED":
		return payflow.RefundStateClosed
	case "ABNORMAL", "CHANGE":
		return payflow.RefundStateAbnormal
	}
	return payflow.RefundState(maskText(text, 32))
}

// refundSource reads a purse without case: the pages write REFUND_SOURCE_REchARGE_FUNDS as well.
func refundSource(text string) payflow.RefundSource {
	return payflow.RefundSource(maskText(strings.ToUpper(text), 32))
}
