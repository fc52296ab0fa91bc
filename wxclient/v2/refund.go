package v2

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"posagent/payflow"
	"posagent/wxclient"
)

// The lengths of a refund's fields (API v2, submit refund).
const (
	outRefundNoMax = 64
	refundDescMax  = 80
	refundFromMax  = 30
	notifyURLMax   = 256
)

// Refund asks WeChat Pay to give money back (submit refund; mutual TLS), by transaction_id where it is known and else by
// out_trade_no.
//
// Outcomes: RefundAccepted (taken on: no money has moved yet, see QueryRefund), RefundDeclined, RefundLater. Every error is a
// *payflow.LostError: the refund may have been taken on. It is safe to repeat with the same out_refund_no, and it is the caller's duty
// to: a new number is a second refund. Two refunds of one order are a minute apart.
func (c *Client) Refund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	o.Merchant = c.merchantOf(o.Merchant)
	if err := checkRefund(o); err != nil {
		return payflow.RefundOutcome{}, wxclient.About("refund", string(o.OutRefundNo), lost(payflow.ReasonConfiguration, fmt.Errorf("nothing was sent: %w", err)))
	}
	return c.askRefund(ctx, c.call("refund", string(o.OutTradeNo), refundPath, c.refundFields(o)), o, func(m message) (payflow.RefundOutcome, error) {
		return refundOutcome(o, m)
	})
}

func (c *Client) refundFields(o payflow.RefundOrder) fields {
	f := byNumber(paymentOf(o), o.TransactionID, 7)
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
	u, err := url.Parse(o.NotifyURL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(o.NotifyURL, "?#") || len(o.NotifyURL) > notifyURLMax {
		if o.NotifyURL != "" {
			c.log.Warn().Str("out_refund_no", string(o.OutRefundNo)).Msg("notify_url left out: it must be https, without a query part, of at most 256 bytes")
		}
		return ""
	}
	return o.NotifyURL
}

// checkRefund refuses what no answer could be compared with.
func checkRefund(o payflow.RefundOrder) error {
	switch {
	case !isOutRefundNo(o.OutRefundNo):
		return fmt.Errorf("refund number %.70q is not 1 to %d letters, digits or _-|*@", string(o.OutRefundNo), outRefundNoMax)
	case o.TransactionID == "" && o.OutTradeNo == "":
		return errors.New("the refund names no payment")
	case o.Amount.Minor < 1 || o.Amount.Minor > o.Total.Minor || o.Amount.Currency != o.Total.Currency:
		return fmt.Errorf("%s of %s cannot be given back", o.Amount, o.Total)
	}
	return nil
}

func isOutRefundNo(no payflow.OutRefundNo) bool {
	return no != "" && len(no) <= outRefundNoMax &&
		strings.Trim(string(no), "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-|*@") == ""
}

// paymentOf returns the payment that is refunded, as far as a refund knows it.
func paymentOf(o payflow.RefundOrder) payflow.Order {
	return payflow.Order{OutTradeNo: o.OutTradeNo, Amount: o.Total, Merchant: o.Merchant, API: o.API, HostFamily: o.HostFamily}
}

// askRefund makes a call about a refund and judges its answer.
func (c *Client) askRefund(ctx context.Context, call wxclient.Call, o payflow.RefundOrder, judge func(message) (payflow.RefundOutcome, error)) (payflow.RefundOutcome, error) {
	a, err := c.line.Ask(ctx, call)
	if err != nil {
		return payflow.RefundOutcome{}, wxclient.LostCall(call.Name, paymentOf(o), err)
	}
	var outcome payflow.RefundOutcome
	err = c.believe(call.Name, string(o.OutRefundNo), o.Merchant, a, func(m message) verdict {
		var said error
		outcome, said = judge(m)
		return verdict{named: outcome.Kind == payflow.RefundAccepted || outcome.Kind == payflow.RefundFound, said: said}
	})
	if err == nil && outcome.Kind != payflow.RefundAccepted && outcome.Kind != payflow.RefundFound && !c.line.Knows(o.HostFamily) {
		err = wxclient.About(call.Name, string(o.OutRefundNo), elsewhere(o.HostFamily))
	}
	if err != nil {
		return payflow.RefundOutcome{}, err
	}
	return outcome, nil
}

// elsewhere is the error of a refusal by a gateway that never had the payment.
func elsewhere(hostFamily string) error {
	return lost(payflow.ReasonConfiguration, fmt.Errorf("it is not known here, but the payment was made at %s; put that host back behind the others in hosts", hostFamily))
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
		if kind, listed := refundMeaning(m.code()); listed {
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
		OutRefundNo:   payflow.OutRefundNo(wxclient.MaskID(m["out_refund_no"], outRefundNoMax)),
		TransactionID: payflow.TransactionID(wxclient.MaskID(m["transaction_id"], 32)),
		OutTradeNo:    payflow.OutTradeNo(wxclient.MaskID(m["out_trade_no"], 32)),
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
