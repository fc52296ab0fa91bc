package wxclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"posagent/payflow"
)

const payTarget = "/v3/global/micropay/transactions/pay"

// Pay makes one micropay order (Quick Pay, submit payment). It signs and connects at once, and sends when leave is
// closed: the record is then on disk. If ctx ends first, nothing was sent, and the error says so.
//
// Outcomes: NotSent (no byte was written under TLS on any host; Reason and Text say why), Found, Refused, Collision. An
// error is always a *payflow.LostError: the order may have arrived. One call makes at most one whole arrival: the next
// host is tried only while nothing was written, and nothing is ever sent again.
func (c *Client) Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	o.Merchant = c.merchantOf(o)
	way := c.newWay(ctx)
	defer way.end()
	r, err := c.payRequest(o, code)
	if err != nil {
		return payflow.Outcome{Kind: payflow.NotSent, Reason: payflow.ReasonConfiguration, Text: err.Error()}, nil
	}
	authorization, err := c.signers.now().authorization(r, c.clock.Now())
	if err != nil {
		return payflow.Outcome{Kind: payflow.NotSent, Reason: payflow.ReasonConfiguration, Text: err.Error()}, nil
	}
	select {
	case <-leave:
	case <-ctx.Done():
		return payflow.Outcome{}, lost(payflow.ReasonTimeout, fmt.Errorf("pay %s: nothing was sent: %w", o.OutTradeNo, ctx.Err()))
	}
	a, err := way.send(ctx, outgoing{call: r.call, about: r.about, wire: func(hostName string) ([]byte, error) {
		return r.wire(hostName, c.agent, authorization), nil
	}})
	if unsent := (*notWrittenError)(nil); errors.As(err, &unsent) {
		return notSent(unsent), nil
	}
	if err != nil {
		return payflow.Outcome{}, lostCall("pay", o, err)
	}
	outcome, err := payOutcome(o, a)
	return c.believe(ctx, "pay", o, a, outcome, err)
}

func (c *Client) payRequest(o payflow.Order, code payflow.AuthCode) (request, error) {
	if code.IsZero() {
		return request{}, errors.New("there is no payment code")
	}
	body, err := c.payBody(o, code)
	return request{call: "pay", about: string(o.OutTradeNo), method: http.MethodPost, target: payTarget, body: body, header: c.keyHeader}, err
}
