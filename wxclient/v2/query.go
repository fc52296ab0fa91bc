package v2

import (
	"context"

	"posagent/payflow"
	"posagent/wxclient"
)

// Query asks what became of an order, by its out_trade_no (order query). Outcomes: Found, NoSuchOrder. Every error is a
// *payflow.LostError: ask again. With the state REFUND the order's refunds are asked for too, and added up in Trade.Refunds.
func (c *Client) Query(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	return c.query(ctx, o, "")
}

// QueryByID asks by WeChat Pay's own number of the payment. The answer must name that number, and o's out_trade_no where o has
// one. Outcomes and errors as Query's.
func (c *Client) QueryByID(ctx context.Context, o payflow.Order, id payflow.TransactionID) (payflow.Outcome, error) {
	return c.query(ctx, o, id)
}

func (c *Client) query(ctx context.Context, o payflow.Order, id payflow.TransactionID) (payflow.Outcome, error) {
	o.Merchant = c.merchantOf(o.Merchant)
	outcome, err := c.ask(ctx, c.queryCall(o, id), o, func(m message) (payflow.Outcome, error) { return queryOutcome(o, id, m) })
	if err == nil && outcome.Kind == payflow.Found && outcome.Trade.State == payflow.TradeRefund {
		outcome.Trade.Refunds = c.sumRefunds(ctx, o, outcome.Trade)
	}
	return c.line.WithoutAbsence(o, outcome, err)
}

func (c *Client) queryCall(o payflow.Order, id payflow.TransactionID) wxclient.Call {
	return c.call("query", string(o.OutTradeNo), queryPath, byNumber(o, id, 0))
}

// byNumber names an order by WeChat Pay's number where it is given, else by ours.
func byNumber(o payflow.Order, id payflow.TransactionID, room int) fields {
	f := ids(o.Merchant, 1+room)
	if id != "" {
		f.add("transaction_id", string(id))
		return f
	}
	f.add("out_trade_no", string(o.OutTradeNo))
	return f
}

// queryOutcome reads an answer to a query as if it were verified. An error means that it says nothing definite.
func queryOutcome(o payflow.Order, id payflow.TransactionID, m message) (payflow.Outcome, error) {
	switch code := m.code(); {
	case m[resultCode] == success && m["trade_state"] != "":
		return foundOutcome(o, id, m, m["trade_state"])
	case m[resultCode] == fail && wxclient.SaysAbsent(code):
		return payflow.Outcome{Kind: payflow.NoSuchOrder, Code: code, Text: m.words()}, nil
	}
	return payflow.Outcome{}, unlisted(m)
}

// sumRefunds adds up an order's refunds; the zero value says that they could not be.
func (c *Client) sumRefunds(ctx context.Context, o payflow.Order, t payflow.Trade) payflow.RefundSum {
	if o.OutTradeNo == "" {
		o.OutTradeNo = t.OutTradeNo
	}
	ctx, cancel := context.WithTimeout(ctx, c.sumWithin)
	defer cancel()
	all, err := c.refunds(ctx, o, t.TransactionID)
	if err != nil || len(all) == 0 { // that there are none contradicts the state
		c.log.Debug().Str("out_trade_no", string(o.OutTradeNo)).Err(err).Msg("refunds not added up")
		return payflow.RefundSum{}
	}
	return payflow.SumRefunds(t.OutTradeNo, t.Amount, all)
}
