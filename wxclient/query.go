package wxclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"posagent/payflow"
)

const queryTarget = "/v3/global/transactions/"

// Query asks what became of an order, by its out_trade_no (query order). Outcomes: Found, NoSuchOrder. Every error is
// a *payflow.LostError: ask again. Of an order that is found in state REFUND every refund is asked for at once, and their sum goes
// with it; where that second answer is lost or not believed, the sum stays unknown.
func (c *Client) Query(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	return c.query(ctx, o, "", "out-trade-no/"+url.PathEscape(string(o.OutTradeNo)))
}

// QueryByID asks by WeChat Pay's own number of the payment. The answer must name that number, and o's out_trade_no
// where o has one. Outcomes and errors as Query's.
func (c *Client) QueryByID(ctx context.Context, o payflow.Order, id payflow.TransactionID) (payflow.Outcome, error) {
	return c.query(ctx, o, id, "id/"+url.PathEscape(string(id)))
}

func (c *Client) query(ctx context.Context, o payflow.Order, id payflow.TransactionID, way string) (payflow.Outcome, error) {
	o.Merchant = c.merchantOf(o)
	began := time.Now()
	r := request{call: "query", about: string(o.OutTradeNo), method: http.MethodGet, target: queryTarget + way + "?" + c.idsQuery(o)}
	a, err := c.call(ctx, r)
	if err != nil {
		return payflow.Outcome{}, lostCall("query", o, err)
	}
	outcome, err := queryOutcome(o, id, a)
	outcome, err = c.believe(ctx, "query", o, a, outcome, err)
	if outcome.Kind == payflow.Found && outcome.Trade.State == payflow.TradeRefund {
		outcome.Trade.Refunds = c.sumRefunds(ctx, o, id, outcome.Trade, began)
	}
	if !c.hosts.know(o.HostFamily) {
		return withoutAbsence(o, outcome, err)
	}
	return outcome, err
}

// sumRefunds adds up the refunds of an order that reads REFUND, within what the query was allowed to take on all hosts. What is
// not known for certain is the zero sum. That there are none contradicts the state, and is not known either.
func (c *Client) sumRefunds(ctx context.Context, o payflow.Order, id payflow.TransactionID, t payflow.Trade, began time.Time) payflow.RefundSum {
	ctx, cancel := context.WithDeadline(ctx, began.Add(c.queryTimeout*time.Duration(len(c.hosts.all))))
	defer cancel()
	o.OutTradeNo = orElse(o.OutTradeNo, t.OutTradeNo)
	refunds, err := c.refunds(ctx, o, orElse(id, t.TransactionID))
	if err != nil || len(refunds) == 0 {
		c.log.Debug().Str("out_trade_no", string(o.OutTradeNo)).Err(err).Msg("refunds not added up")
		return payflow.RefundSum{}
	}
	return payflow.SumRefunds(t.OutTradeNo, t.Amount, refunds)
}

// withoutAbsence takes "no such order" out of an answer: the order was made at a gateway that is not configured any more, and
// one that never had it proves nothing by not knowing it.
func withoutAbsence(o payflow.Order, outcome payflow.Outcome, err error) (payflow.Outcome, error) {
	l := (*payflow.LostError)(nil)
	if outcome.Kind != payflow.NoSuchOrder && (!errors.As(err, &l) || l.Lost.Claim != payflow.NoSuchOrder) {
		return outcome, err
	}
	return payflow.Outcome{}, lost(payflow.ReasonConfiguration, fmt.Errorf(
		"query %s: no such order here, but it was made at %s; put that host back behind the others in hosts until the payment has ended", o.OutTradeNo, o.HostFamily))
}

// idsQuery returns the mode's ids as a query string: exactly one set (modes, 2.1).
func (c *Client) idsQuery(o payflow.Order) string {
	m := c.merchantOf(o)
	if m.Mode == payflow.Institution {
		return "sp_mchid=" + url.QueryEscape(m.MerchantID) + "&sub_mchid=" + url.QueryEscape(m.SubMerchantID)
	}
	return "mchid=" + url.QueryEscape(m.MerchantID)
}

// merchantOf returns the ids that the order was made under, which may be older than the configuration.
func (c *Client) merchantOf(o payflow.Order) payflow.Merchant {
	if o.Merchant.MerchantID == "" {
		return c.merchant
	}
	return o.Merchant
}
