package till

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"posagent/payflow"
)

// Refund asks for money of a paid payment to be given back. The same key with the same body is the same refund: after an
// *UnreachableError, ask again with the same key.
func (c *Client) Refund(ctx context.Context, payment payflow.OutTradeNo, body RefundBody, key string) (Refund, error) {
	var r Refund
	err := c.send(ctx, http.MethodPost, paymentPath(payment, "/refunds"), body, http.Header{"Idempotency-Key": {key}}, &r)
	return r, err
}

// RefundNow returns a refund as it is now.
func (c *Client) RefundNow(ctx context.Context, id payflow.OutRefundNo) (Refund, error) {
	return callFor[Refund](ctx, c, http.MethodGet, refundPath(id, ""), nil)
}

// FollowRefund waits until a refund is final or ctx ends, as WaitFinal does for a payment. The refund that it returns with an error is
// the last one it saw.
func (c *Client) FollowRefund(ctx context.Context, id payflow.OutRefundNo, changed func(Refund)) (Refund, error) {
	var last Refund
	for {
		query := "?wait=" + strconv.Itoa(clientPoll) + "&since=" + strconv.FormatUint(last.Version, 10)
		r, err := callFor[Refund](ctx, c, http.MethodGet, refundPath(id, query), nil)
		switch {
		case err == nil:
			if changed != nil && r.Version != last.Version {
				changed(r)
			}
			if last = r; r.Final {
				return r, nil
			}
		case !passing(err):
			return last, err
		default:
			pause(ctx, clientRetry)
		}
		if ctx.Err() != nil {
			return last, ctx.Err()
		}
	}
}

// Attention returns what a person must look at.
func (c *Client) Attention(ctx context.Context) (AttentionList, error) {
	return callFor[AttentionList](ctx, c, http.MethodGet, "/v1/attention", nil)
}

func refundPath(id payflow.OutRefundNo, rest string) string {
	return "/v1/refunds/" + url.PathEscape(string(id)) + rest
}
