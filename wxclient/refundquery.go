package wxclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"posagent/payflow"
)

// The bounds of a query of all refunds.
const (
	refundsPage = 20 // count, "up to 20 records" (query all refunds)
	refundsMax  = 100
)

// QueryRefund asks what became of a refund, by its out_refund_no (query single refund). Outcomes: RefundFound, NoSuchRefund. Every
// error is a *payflow.LostError: ask again.
func (c *Client) QueryRefund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	return c.queryRefund(ctx, o, "", "/out-refund-no/"+url.PathEscape(string(o.OutRefundNo)))
}

// QueryRefundByID asks by WeChat Pay's own number of the refund. The answer must name that number and o's out_refund_no. Outcomes
// and errors as QueryRefund's.
func (c *Client) QueryRefundByID(ctx context.Context, o payflow.RefundOrder, id payflow.RefundID) (payflow.RefundOutcome, error) {
	return c.queryRefund(ctx, o, id, "/id/"+url.PathEscape(string(id)))
}

func (c *Client) queryRefund(ctx context.Context, o payflow.RefundOrder, id payflow.RefundID, way string) (payflow.RefundOutcome, error) {
	a, err := c.call(ctx, request{call: "query refund", about: string(o.OutTradeNo), method: http.MethodGet, target: refundsTarget + way + "?" + c.idsQuery(paymentOf(o))})
	if err != nil {
		return payflow.RefundOutcome{}, lostRefund("query refund", o, err)
	}
	outcome, err := queryRefundOutcome(o, id, a)
	outcome, err = c.believeRefund(ctx, "query refund", o, a, outcome, err)
	if !c.hosts.know(o.HostFamily) {
		return withoutAbsentRefund("query refund", o, outcome, err)
	}
	return outcome, err
}

// Refunds returns every refund of an order, by its out_trade_no (query all refunds): none is an empty list. Every error is a
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
	o.Merchant = c.merchantOf(o)
	var all []payflow.RefundReport
	total := -1
	for total != len(all) {
		page, err := c.refundsFrom(ctx, o, id, len(all))
		if err == nil {
			err = page.follows(total, all)
		}
		if err != nil {
			return nil, about("query refunds of", o, err)
		}
		total = page.TotalNum
		all = append(all, page.reports()...)
	}
	return all, nil
}

// refundsFrom returns one page of a verified answer. A verified "there are none" is a page too.
func (c *Client) refundsFrom(ctx context.Context, o payflow.Order, id payflow.TransactionID, offset int) (refundsAnswer, error) {
	a, err := c.call(ctx, request{call: "query refunds", about: string(o.OutTradeNo), method: http.MethodGet, target: c.allRefundsTarget(o, id, offset)})
	if err != nil {
		return refundsAnswer{}, lostCall("query refunds of", o, err)
	}
	page, said := readRefunds(o, id, a)
	trust := c.verify(ctx, a)
	c.noteAnswer(a, payflow.Outcome{Code: page.Code}, trust)
	if err := believed(payflow.Outcome{}, said, trust); err != nil {
		return refundsAnswer{}, err
	}
	c.noteBelieved(page.Code)
	if page.Code != "" && !c.hosts.know(o.HostFamily) {
		return refundsAnswer{}, lost(payflow.ReasonConfiguration, errElsewhere(o.HostFamily))
	}
	return page, nil
}

// allRefundsTarget writes the query in the order of the published example.
func (c *Client) allRefundsTarget(o payflow.Order, id payflow.TransactionID, offset int) string {
	by := "out_trade_no=" + url.QueryEscape(string(o.OutTradeNo))
	if id != "" {
		by = "transaction_id=" + url.QueryEscape(string(id))
	}
	return refundsTarget + "?" + by + "&count=" + strconv.Itoa(refundsPage) + "&offset=" + strconv.Itoa(offset) + "&" + c.idsQuery(o)
}

// refundsAnswer is one page of an order's refunds, or an error's body.
type refundsAnswer struct {
	trouble
	ID         string         `json:"id"` // of the payment
	OutTradeNo string         `json:"out_trade_no"`
	TotalNum   int            `json:"total_num"`
	Data       []refundAnswer `json:"data"`
	Amount     struct {
		Total    int64  `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

// readRefunds reads an answer to a query of all refunds as if it were verified. Code is set where there is none.
func readRefunds(o payflow.Order, id payflow.TransactionID, a answer) (refundsAnswer, error) {
	if a.status != http.StatusOK {
		t := readTrouble(a)
		if absentRefundCodes[t.Code] && a.status >= 400 && a.status < 500 {
			return refundsAnswer{trouble: t}, nil
		}
		return refundsAnswer{}, unlisted(a, t)
	}
	var page refundsAnswer
	if err := json.Unmarshal(a.body, &page); err != nil {
		return refundsAnswer{}, lost(payflow.ReasonUnverified, errNoTrade)
	}
	page.trouble = trouble{}
	byNumber := o.OutTradeNo != "" && page.OutTradeNo == string(o.OutTradeNo)
	byID := id != "" && page.ID == string(id)
	switch {
	case !byNumber && !byID, o.OutTradeNo != "" && page.OutTradeNo != "" && !byNumber, id != "" && page.ID != "" && !byID:
		return refundsAnswer{}, lost(payflow.ReasonUnverified, errAnotherOrder)
	case page.TotalNum < 0 || page.TotalNum > refundsMax || len(page.Data) > refundsMax:
		return refundsAnswer{}, lost(payflow.ReasonUnverified, fmt.Errorf("it says that there are %d refunds", page.TotalNum))
	}
	for i := range page.Data {
		if err := page.name(&page.Data[i]); err != nil {
			return refundsAnswer{}, lost(payflow.ReasonUnverified, err)
		}
	}
	return page, nil
}

var errUnnamedRefund = errors.New("a refund in it lacks number, amount or state, or is another order's")

// name gives a refund of the page the order's numbers, which the page says once for all.
func (page refundsAnswer) name(r *refundAnswer) error {
	r.ID, r.Status = orElse(r.ID, r.RefundID), orElse(r.Status, r.RefundStatus)
	another := r.OutTradeNo != "" && r.OutTradeNo != page.OutTradeNo || r.TransactionID != "" && r.TransactionID != page.ID
	if another || r.OutRefundNo == "" || r.Amount.Refund <= 0 || r.Amount.Currency == "" || r.Status == "" {
		return errUnnamedRefund
	}
	r.OutTradeNo, r.TransactionID = page.OutTradeNo, page.ID
	return nil
}

// follows returns nil if the page goes on where the refunds so far end. Between two pages a refund may have been made: then the
// whole is asked for again another time.
func (page refundsAnswer) follows(total int, sofar []payflow.RefundReport) error {
	count := len(sofar) + len(page.Data)
	if total >= 0 && page.TotalNum != total || count > page.TotalNum || len(page.Data) == 0 && count != page.TotalNum {
		return lost(payflow.ReasonUnverified, fmt.Errorf("the pages do not add up: %d of %d refunds", count, page.TotalNum))
	}
	seen := make(map[payflow.OutRefundNo]bool, count)
	for _, r := range append(sofar[:len(sofar):len(sofar)], page.reports()...) {
		if seen[r.OutRefundNo] {
			return lost(payflow.ReasonUnverified, fmt.Errorf("refund %s is in it twice", r.OutRefundNo))
		}
		seen[r.OutRefundNo] = true
	}
	return nil
}

func (page refundsAnswer) reports() []payflow.RefundReport {
	reports := make([]payflow.RefundReport, 0, len(page.Data))
	for _, r := range page.Data {
		report := r.report()
		if page.Amount.Total > 0 {
			report.Total = payflow.Amount{Minor: min(page.Amount.Total, payflow.AmountMax+1), Currency: payflow.Currency(maskText(page.Amount.Currency, 16))}
		}
		reports = append(reports, report)
	}
	return reports
}
