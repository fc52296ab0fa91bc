package v2

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"posagent/payflow"
	"posagent/wxclient"
)

// The bounds of a refund query.
const (
	refundsPage = 10  // "more than ten": the rest is asked for with offset
	refundsMax  = 100 // an order has at most 50
)

// QueryRefund asks what became of a refund, by its out_refund_no (refund query). Outcomes: RefundFound, NoSuchRefund. Every error is
// a *payflow.LostError: ask again.
func (c *Client) QueryRefund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	return c.queryRefund(ctx, o, "")
}

// QueryRefundByID asks by WeChat Pay's own number of the refund. The answer must name that number and o's out_refund_no. Outcomes
// and errors as QueryRefund's.
func (c *Client) QueryRefundByID(ctx context.Context, o payflow.RefundOrder, id payflow.RefundID) (payflow.RefundOutcome, error) {
	return c.queryRefund(ctx, o, id)
}

func (c *Client) queryRefund(ctx context.Context, o payflow.RefundOrder, id payflow.RefundID) (payflow.RefundOutcome, error) {
	o.Merchant = c.merchantOf(o.Merchant)
	f := ids(o.Merchant, 1)
	if id != "" {
		f.add("refund_id", string(id))
	} else {
		f.add("out_refund_no", string(o.OutRefundNo))
	}
	return c.askRefund(ctx, c.call("query refund", string(o.OutTradeNo), refundQueryPath, f), o, func(m message) (payflow.RefundOutcome, error) {
		return queryRefundOutcome(o, id, m)
	})
}

// queryRefundOutcome reads an answer to a query of one refund as if it were verified: it may hold others of the same order.
func queryRefundOutcome(o payflow.RefundOrder, id payflow.RefundID, m message) (payflow.RefundOutcome, error) {
	if m[resultCode] == fail && wxclient.SaysNoRefund(m.code()) {
		return payflow.RefundOutcome{Kind: payflow.NoSuchRefund, Code: m.code(), Text: m.words()}, nil
	}
	if m[resultCode] != success {
		return payflow.RefundOutcome{}, unlisted(m)
	}
	page, err := readRefunds(wxclient.PaymentOf(o), 0, m)
	if err != nil {
		return payflow.RefundOutcome{}, err
	}
	for _, r := range page.refunds {
		if r.OutRefundNo == o.OutRefundNo && (id == "" || r.RefundID == id) && !strange(o, r) {
			return payflow.RefundOutcome{Kind: payflow.RefundFound, Refund: r}, nil
		}
	}
	return payflow.RefundOutcome{}, lost(payflow.ReasonUnverified, errAnotherRefund)
}

// Refunds returns every refund of an order, by its out_trade_no (refund query with offset): none is an empty list. Every error is a
// *payflow.LostError: then nothing is known, not even a part. An order has at most 50 refunds; an answer that says more than 100 is
// not believed.
func (c *Client) Refunds(ctx context.Context, o payflow.Order) ([]payflow.RefundReport, error) {
	return c.refunds(ctx, o, "")
}

// RefundsByID returns every refund of a payment, by WeChat Pay's own number of it; otherwise as Refunds.
func (c *Client) RefundsByID(ctx context.Context, o payflow.Order, id payflow.TransactionID) ([]payflow.RefundReport, error) {
	return c.refunds(ctx, o, id)
}

func (c *Client) refunds(ctx context.Context, o payflow.Order, id payflow.TransactionID) ([]payflow.RefundReport, error) {
	o.Merchant = c.merchantOf(o.Merchant)
	var all []payflow.RefundReport
	total := -1
	for total != len(all) {
		page, err := c.refundsFrom(ctx, o, id, len(all))
		if err == nil {
			err = page.follows(total, all)
		}
		if err != nil {
			return nil, wxclient.About("query refunds of", string(o.OutTradeNo), err)
		}
		total = page.total
		all = append(all, page.refunds...)
	}
	return all, nil
}

func (c *Client) refundsFrom(ctx context.Context, o payflow.Order, id payflow.TransactionID, offset int) (refunds, error) {
	f := byNumber(o, id, 1)
	if offset > 0 {
		f.add("offset", strconv.Itoa(offset))
	}
	a, err := c.line.Ask(ctx, c.call("query refunds", string(o.OutTradeNo), refundQueryPath, f))
	if err != nil {
		return refunds{}, wxclient.LostCall("query refunds of", o, err)
	}
	var page refunds
	err = c.believe("query refunds of", string(o.OutTradeNo), o.Merchant, a, func(m message) verdict {
		var said error
		page, said = allRefunds(o, id, offset, m)
		return verdict{named: !page.none, said: said}
	})
	if err == nil && page.none && !c.line.Knows(o.HostFamily) {
		err = lost(payflow.ReasonConfiguration, fmt.Errorf("there is none here, but the payment was made at %s; put that host back behind the others in hosts", o.HostFamily))
	}
	return page, err
}

// refunds is one page of an order's refunds.
type refunds struct {
	none    bool // WeChat Pay says that there is none
	total   int
	refunds []payflow.RefundReport
}

func allRefunds(o payflow.Order, id payflow.TransactionID, offset int, m message) (refunds, error) {
	switch {
	case m[resultCode] == fail && wxclient.SaysNoRefund(m.code()):
		return refunds{none: true}, nil
	case m[resultCode] != success:
		return refunds{}, unlisted(m)
	case !namesPayment(o, id, m):
		return refunds{}, lost(payflow.ReasonUnverified, errAnother)
	}
	return readRefunds(o, offset, m)
}

// namesPayment reports that an answer names the payment that was asked for, and none beside it.
func namesPayment(o payflow.Order, id payflow.TransactionID, m message) bool {
	byNumber := o.OutTradeNo != "" && m["out_trade_no"] == string(o.OutTradeNo)
	byID := id != "" && m["transaction_id"] == string(id)
	return (byNumber || byID) && (byNumber || o.OutTradeNo == "" || m["out_trade_no"] == "") && (byID || id == "" || m["transaction_id"] == "")
}

// follows returns nil if the page goes on where the refunds so far end. Between two pages a refund may have been made: then the
// whole is asked for again another time.
func (page refunds) follows(total int, sofar []payflow.RefundReport) error {
	count := len(sofar) + len(page.refunds)
	if total >= 0 && page.total != total || count > page.total || len(page.refunds) == 0 && count != page.total {
		return lost(payflow.ReasonUnverified, fmt.Errorf("the pages do not add up: %d of %d refunds", count, page.total))
	}
	seen := make(map[payflow.OutRefundNo]bool, count)
	for _, r := range append(sofar[:len(sofar):len(sofar)], page.refunds...) {
		if seen[r.OutRefundNo] {
			return lost(payflow.ReasonUnverified, fmt.Errorf("refund %s is in it twice", r.OutRefundNo))
		}
		seen[r.OutRefundNo] = true
	}
	return nil
}

// readRefunds reads the refunds of a page: refund_count of them, each field with the refund's index at its end. The documents do not
// say whether the index of a later page begins with 0 or with the offset: both are read. Where total_refund_count is left out, a
// first page of fewer than ten holds them all.
func readRefunds(o payflow.Order, offset int, m message) (refunds, error) {
	count, err := strconv.Atoi(m["refund_count"])
	if err != nil || count < 0 || count > refundsMax {
		return refunds{}, lost(payflow.ReasonUnverified, fmt.Errorf("refund_count is %.20q", m["refund_count"]))
	}
	page := refunds{total: count}
	if text := m["total_refund_count"]; text != "" {
		page.total, err = strconv.Atoi(text)
	} else if offset > 0 || count >= refundsPage {
		err = errors.New("missing")
	}
	if err != nil || page.total < count || page.total > refundsMax {
		return refunds{}, lost(payflow.ReasonUnverified, fmt.Errorf("total_refund_count is %.20q", m["total_refund_count"]))
	}
	first := 0
	if m["out_refund_no_0"] == "" {
		first = offset
	}
	for i := range count {
		r, err := readRefund(o, "_"+strconv.Itoa(first+i), m)
		if err != nil {
			return refunds{}, err
		}
		page.refunds = append(page.refunds, r)
	}
	return page, nil
}

func readRefund(o payflow.Order, index string, m message) (payflow.RefundReport, error) {
	currency := payflow.Currency(wxclient.MaskText(orElse(m["refund_fee_type"+index], orElse(m["refund_fee_type"], orElse(m["fee_type"], string(o.Amount.Currency)))), 16))
	r := payflow.RefundReport{
		RefundID:      payflow.RefundID(wxclient.MaskID(m["refund_id"+index], 32)),
		OutRefundNo:   payflow.OutRefundNo(wxclient.Plain(m["out_refund_no"+index], outRefundNoMax)),
		TransactionID: payflow.TransactionID(wxclient.MaskID(m["transaction_id"], 32)),
		OutTradeNo:    payflow.OutTradeNo(wxclient.Plain(m["out_trade_no"], 32)),
		State:         wxclient.RefundStateOf(m["refund_status"+index]),
		Amount:        payflow.Amount{Minor: m.number("refund_fee" + index), Currency: currency},
		Total:         payflow.Amount{Minor: m.number("total_fee"), Currency: currency},
		Rate:          m.rate(),
		Channel:       wxclient.MaskText(m["refund_channel"+index], 32),
		Account:       wxclient.MaskText(m["refund_recv_accout"+index], 64), // as the documents spell it
		Source:        wxclient.RefundSourceOf(m["refund_account"+index]),
		SuccessTime:   m.time("refund_success_time"+index, time.DateTime),
	}
	if m["cash_refund_fee"+index] != "" {
		r.PayerAmount = payflow.Amount{Minor: m.number("cash_refund_fee" + index), Currency: m.currency("cash_refund_fee_type" + index)}
	}
	if r.OutRefundNo == "" || r.Amount.Minor == 0 || r.State == "" {
		return r, lost(payflow.ReasonUnverified, errors.New("a refund in it lacks number, amount or state"))
	}
	return r, nil
}
