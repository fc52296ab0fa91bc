package wxclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"posagent/payflow"
)

const refundsTarget = "/v3/global/refunds"

// The lengths of a refund's fields (refund API).
const (
	outRefundNoMax  = 64
	refundReasonMax = 80
	notifyURLMax    = 256
	sourceMax       = 32
)

// Refund asks WeChat Pay to give money back (refund API), by transaction_id where it is known and else by out_trade_no.
//
// Outcomes: RefundAccepted (taken on: no money has moved yet, see QueryRefund), RefundDeclined, RefundLater. Every error is a
// *payflow.LostError: the refund may have been taken on. It is safe to repeat with the same out_refund_no, and it is the caller's
// duty to: a new number is a second refund. Two refunds of one order are a minute apart. Where an attempt was lost before, a later
// RefundDeclined is believed only after QueryRefund: a refusal of the repeat is none of the first.
func (c *Client) Refund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	body, err := c.refundBody(o)
	if err != nil {
		return payflow.RefundOutcome{}, aboutRefund("refund", o, lost(payflow.ReasonConfiguration, fmt.Errorf("nothing was sent: %w", err)))
	}
	a, err := c.call(ctx, request{call: "refund", about: string(o.OutTradeNo), method: http.MethodPost, target: refundsTarget, body: body})
	if err != nil {
		return payflow.RefundOutcome{}, lostRefund("refund", o, err)
	}
	outcome, err := refundOutcome(o, a)
	outcome, err = c.believeRefund(ctx, "refund", o, a, outcome, err)
	if !c.hosts.know(o.HostFamily) {
		return withoutAbsentRefund("refund", o, outcome, err)
	}
	return outcome, err
}

// refundBody is the call's body, with exactly one of the two sets of ids.
type refundBody struct {
	AppID                string `json:"appid,omitempty"`
	ServiceProviderAppID string `json:"sp_appid,omitempty"`
	SubAppID             string `json:"sub_appid,omitempty"`
	merchantIDs
	TransactionID payflow.TransactionID `json:"transaction_id,omitempty"`
	OutTradeNo    payflow.OutTradeNo    `json:"out_trade_no,omitempty"`
	OutRefundNo   payflow.OutRefundNo   `json:"out_refund_no"`
	Reason        string                `json:"reason,omitempty"`
	Source        string                `json:"source,omitempty"`
	Amount        refundMoney           `json:"amount"`
	NotifyURL     string                `json:"notify_url,omitempty"`
}

type refundMoney struct {
	Refund   int64            `json:"refund"`
	Total    int64            `json:"total"`
	Currency payflow.Currency `json:"currency"`
}

func (c *Client) refundBody(o payflow.RefundOrder) ([]byte, error) {
	if err := checkRefund(o); err != nil {
		return nil, err
	}
	m := c.merchantOf(paymentOf(o))
	wire := refundBody{
		merchantIDs:   c.ids(paymentOf(o)),
		TransactionID: o.TransactionID,
		OutRefundNo:   o.OutRefundNo,
		Reason:        plain(o.Reason, refundReasonMax),
		Source:        plain(string(o.Source), sourceMax),
		Amount:        refundMoney{o.Amount.Minor, o.Total.Minor, o.Amount.Currency},
		NotifyURL:     c.notifyURL(o),
	}
	if o.TransactionID == "" {
		wire.OutTradeNo = o.OutTradeNo
	}
	if m.Mode == payflow.Institution {
		wire.ServiceProviderAppID, wire.SubAppID = m.AppID, m.SubAppID
	} else {
		wire.AppID = m.AppID
	}
	return json.Marshal(wire)
}

// checkRefund refuses what no answer could be compared with.
func checkRefund(o payflow.RefundOrder) error {
	switch {
	case !isOutRefundNo(o.OutRefundNo):
		return fmt.Errorf("refund number %.70q is not 1 to %d letters, digits or _-|*@", o.OutRefundNo, outRefundNoMax)
	case o.TransactionID == "" && o.OutTradeNo == "":
		return errors.New("the refund names no payment")
	case o.Amount.Minor < 1 || o.Amount.Minor > o.Total.Minor || o.Amount.Currency != o.Total.Currency:
		return fmt.Errorf("%s of %s cannot be given back", o.Amount, o.Total)
	}
	return nil
}

func isOutRefundNo(no payflow.OutRefundNo) bool {
	return no != "" && len(no) <= outRefundNoMax && strings.Trim(string(no), "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-|*@") == ""
}

// notifyURL leaves out an address that WeChat Pay would not take: no refund fails for its notification, because we ask for the
// result anyhow. Every repeat leaves it out too.
func (c *Client) notifyURL(o payflow.RefundOrder) string {
	if o.NotifyURL == "" {
		return ""
	}
	if err := CheckNotifyURL(o.NotifyURL); err != nil {
		c.log.Warn().Str("out_refund_no", string(o.OutRefundNo)).Err(err).Msg("notify_url left out")
		return ""
	}
	return o.NotifyURL
}

// CheckNotifyURL checks an address that WeChat Pay is to send notifications to: https, without a query part, at most 256 bytes
// (refund API). An error says what to write instead.
func CheckNotifyURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(address, "?#") || len(address) > notifyURLMax || plain(address, notifyURLMax) != address {
		return fmt.Errorf("notify_url %.80q: write it as \"https://store.example/notify\", without a query part, in at most %d bytes", address, notifyURLMax)
	}
	return nil
}

// paymentOf returns the payment that is refunded, as far as a refund knows it.
func paymentOf(o payflow.RefundOrder) payflow.Order {
	return payflow.Order{OutTradeNo: o.OutTradeNo, Amount: o.Total, Merchant: o.Merchant, API: o.API, HostFamily: o.HostFamily}
}
