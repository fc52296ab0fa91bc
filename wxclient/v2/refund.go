package v2

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"posagent/payflow"
	"posagent/wxclient"
)

// The lengths of a refund's fields (API v2, submit refund).
const (
	outRefundNoMax = 64
	refundDescMax  = 80
	refundFromMax  = 30
)

// Refund asks WeChat Pay to give money back (submit refund; mutual TLS), by transaction_id where it is known and else by
// out_trade_no.
//
// Outcomes: RefundAccepted (taken on: no money has moved yet, see QueryRefund), RefundDeclined, RefundLater. Every error is a
// *payflow.LostError: the refund may have been taken on. It is safe to repeat with the same out_refund_no, and it is the caller's duty
// to: a new number is a second refund. Two refunds of one order are a minute apart. Where an attempt was lost before, a later
// RefundDeclined is believed only after QueryRefund: a refusal of the repeat is none of the first.
func (c *Client) Refund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	o.Merchant = c.merchantOf(o.Merchant)
	if err := wxclient.CheckRefund(o); err != nil {
		return payflow.RefundOutcome{}, wxclient.About("refund", string(o.OutRefundNo), lost(payflow.ReasonConfiguration, fmt.Errorf("nothing was sent: %w", err)))
	}
	return c.askRefund(ctx, c.call("refund", string(o.OutTradeNo), refundPath, c.refundFields(o)), o, func(m message) (payflow.RefundOutcome, error) {
		return refundOutcome(o, m)
	})
}

func (c *Client) refundFields(o payflow.RefundOrder) fields {
	f := byNumber(wxclient.PaymentOf(o), o.TransactionID, 7)
	f.add("out_refund_no", string(o.OutRefundNo))
	f.add("total_fee", strconv.FormatInt(o.Total.Minor, 10))
	f.add("refund_fee", strconv.FormatInt(o.Amount.Minor, 10))
	f.add("refund_fee_type", string(o.Amount.Currency))
	f.add("refund_desc", text(o.Reason, refundDescMax))
	f.add("refund_account", text(string(o.Source), refundFromMax))
	f.add("notify_url", c.notifyURL(o))
	return f
}

// notifyURL leaves out an address that WeChat Pay would not take: no refund fails for its notification, because we ask for the
// result anyhow. Every repeat leaves it out too.
func (c *Client) notifyURL(o payflow.RefundOrder) string {
	if o.NotifyURL == "" {
		return ""
	}
	if err := wxclient.CheckNotifyURL(o.NotifyURL); err != nil {
		c.log.Warn().Str("out_refund_no", string(o.OutRefundNo)).Err(err).Msg("notify_url left out")
		return ""
	}
	return o.NotifyURL
}

// askRefund makes a call about a refund and judges its answer.
func (c *Client) askRefund(ctx context.Context, call wxclient.Call, o payflow.RefundOrder, judge func(message) (payflow.RefundOutcome, error)) (payflow.RefundOutcome, error) {
	if err := c.ready(call); err != nil {
		return payflow.RefundOutcome{}, wxclient.About(call.Name, string(o.OutRefundNo), lost(payflow.ReasonConfiguration, fmt.Errorf("nothing was sent: %w", err)))
	}
	a, err := c.line.Ask(ctx, call)
	if err != nil {
		err = wxclient.LostCall(call.Name, wxclient.PaymentOf(o), err)
		c.noteCertificate(call, a, err)
		return payflow.RefundOutcome{}, err
	}
	var outcome payflow.RefundOutcome
	err = c.believe(call.Name, string(o.OutRefundNo), o.Merchant, a, func(m message) verdict {
		var said error
		outcome, said = judge(m)
		return verdict{named: outcome.Kind == payflow.RefundAccepted || outcome.Kind == payflow.RefundFound, claim: wxclient.RefundClaim(outcome), said: said}
	})
	c.noteCertificate(call, a, err)
	if err != nil {
		outcome = payflow.RefundOutcome{}
	}
	return c.line.WithoutAbsentRefund(call.Name, o, outcome, err)
}

var errAnotherRefund = errors.New("the answer does not name this refund")

// refundOutcome reads an answer to a refund as if it were verified. An error means that it says nothing definite.
func refundOutcome(o payflow.RefundOrder, m message) (payflow.RefundOutcome, error) {
	switch m[resultCode] {
	case success:
		r := refundAccepted(o, m)
		if r.OutRefundNo != o.OutRefundNo || strange(o, r) {
			return payflow.RefundOutcome{}, lost(payflow.ReasonUnverified, errAnotherRefund)
		}
		return payflow.RefundOutcome{Kind: payflow.RefundAccepted, Refund: r}, nil
	case fail:
		if kind, listed := wxclient.RefundMeaning(m.code()); listed {
			return payflow.RefundOutcome{Kind: kind, Code: m.code(), Text: m.words()}, nil
		}
	}
	return payflow.RefundOutcome{}, unlisted(m)
}

// strange reports a refund that is of another payment, or of another amount.
func strange(o payflow.RefundOrder, r payflow.RefundReport) bool {
	return r.OutTradeNo != "" && o.OutTradeNo != "" && r.OutTradeNo != o.OutTradeNo ||
		r.TransactionID != "" && o.TransactionID != "" && r.TransactionID != o.TransactionID || r.Amount != o.Amount
}

// refundAccepted reads the answer to a refund. Where the answer leaves the currency out, it is the payment's: a refund has no other.
func refundAccepted(o payflow.RefundOrder, m message) payflow.RefundReport {
	currency := payflow.Currency(wxclient.MaskText(orElse(m["refund_fee_type"], orElse(m["fee_type"], string(o.Amount.Currency))), 16))
	r := payflow.RefundReport{
		RefundID:      payflow.RefundID(wxclient.MaskID(m["refund_id"], 32)),
		OutRefundNo:   payflow.OutRefundNo(wxclient.Plain(m["out_refund_no"], outRefundNoMax)),
		TransactionID: payflow.TransactionID(wxclient.MaskID(m["transaction_id"], 32)),
		OutTradeNo:    payflow.OutTradeNo(wxclient.Plain(m["out_trade_no"], 32)),
		State:         payflow.RefundStateProcessing,
		Amount:        payflow.Amount{Minor: m.number("refund_fee"), Currency: currency},
		Total:         payflow.Amount{Minor: m.number("total_fee"), Currency: currency},
		Rate:          m.rate(),
		Channel:       wxclient.MaskText(m["refund_channel"], 32),
	}
	if m["cash_refund_fee"] != "" {
		r.PayerAmount = payflow.Amount{Minor: m.number("cash_refund_fee"), Currency: m.currency("cash_refund_fee_type")}
	}
	return r
}
