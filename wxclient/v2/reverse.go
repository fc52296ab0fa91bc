package v2

import (
	"context"

	"posagent/payflow"
	"posagent/wxclient"
)

// Reverse takes an order back, by its out_trade_no (reverse; mutual TLS): unpaid it is closed, paid it is refunded in full.
// Outcomes: ReverseDone (which proves nothing by itself: it is also given for an order that does not exist), ReverseRefused,
// ReverseTooLate. Every error is a *payflow.LostError; where WeChat Pay asks for the call again (recall=Y), that is one too. It is
// safe to repeat. The caller keeps the 15 s.
func (c *Client) Reverse(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	return c.reverse(ctx, o, "")
}

// ReverseByID takes an order back by WeChat Pay's own number of the payment, otherwise as Reverse.
func (c *Client) ReverseByID(ctx context.Context, o payflow.Order, id payflow.TransactionID) (payflow.Outcome, error) {
	return c.reverse(ctx, o, id)
}

func (c *Client) reverse(ctx context.Context, o payflow.Order, id payflow.TransactionID) (payflow.Outcome, error) {
	o.Merchant = c.merchantOf(o.Merchant)
	return c.ask(ctx, c.call("reverse", string(o.OutTradeNo), reversePath, byNumber(o, id, 0)), o, reverseOutcome)
}

const recallNo = "N"

// reverseOutcome reads an answer to a reverse as if it were verified. Only recall=N says that it is done: Y asks for the call
// again, and anything else is not listed. SYSTEMERROR asks for it again too.
func reverseOutcome(m message) (payflow.Outcome, error) {
	code := m.code()
	switch {
	case m[resultCode] == success && m["recall"] == recallNo:
		return payflow.Outcome{Kind: payflow.ReverseDone}, nil
	case m[resultCode] != fail || code == "" || code == codeSystemError || m["recall"] == "Y":
		return payflow.Outcome{}, unlisted(m)
	case wxclient.SaysTooLate(code):
		return payflow.Outcome{Kind: payflow.ReverseTooLate, Code: code, Text: m.words()}, nil
	}
	return payflow.Outcome{Kind: payflow.ReverseRefused, Code: code, Text: m.words()}, nil
}

const codeSystemError = "SYSTEMERROR"
