package wxclient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"posagent/payflow"
)

const reverseTarget = "/v3/global/micropay/transactions/"

// Reverse takes an order back, by its out_trade_no (Quick Pay, reverse order): unpaid it is closed, paid it is refunded in
// full. Outcomes: ReverseDone (which proves nothing by itself: it is also given for an order that does not exist),
// ReverseRefused, ReverseTooLate. Every error is a *payflow.LostError. It is safe to repeat. The caller keeps the 15 s.
func (c *Client) Reverse(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	return c.reverse(ctx, o, "out-trade-no/"+url.PathEscape(string(o.OutTradeNo)))
}

// ReverseByID takes an order back by WeChat Pay's own number of the payment, otherwise as Reverse.
func (c *Client) ReverseByID(ctx context.Context, o payflow.Order, id payflow.TransactionID) (payflow.Outcome, error) {
	return c.reverse(ctx, o, "id/"+url.PathEscape(string(id)))
}

func (c *Client) reverse(ctx context.Context, o payflow.Order, way string) (payflow.Outcome, error) {
	body, err := json.Marshal(c.ids(o))
	if err != nil {
		return payflow.Outcome{}, lost(payflow.ReasonConfiguration, err)
	}
	a, err := c.call(ctx, request{call: "reverse", about: string(o.OutTradeNo), method: http.MethodPost, target: reverseTarget + way + "/reverse", body: body})
	if err != nil {
		return payflow.Outcome{}, lostCall("reverse", o, err)
	}
	outcome, err := reverseOutcome(o, a)
	return c.believe(ctx, "reverse", o, a, outcome, err)
}

// merchantIDs are the ids in a body: exactly one set (modes, 2.1).
type merchantIDs struct {
	MerchantID                string `json:"mchid,omitempty"`
	ServiceProviderMerchantID string `json:"sp_mchid,omitempty"`
	SubMerchantID             string `json:"sub_mchid,omitempty"`
}

func (c *Client) ids(o payflow.Order) merchantIDs {
	m := c.merchantOf(o)
	if m.Mode == payflow.Institution {
		return merchantIDs{ServiceProviderMerchantID: m.MerchantID, SubMerchantID: m.SubMerchantID}
	}
	return merchantIDs{MerchantID: m.MerchantID}
}
