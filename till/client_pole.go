package till

import (
	"context"
	"net/http"
)

// Pole returns what the old till's display offers now.
func (c *Client) Pole(ctx context.Context) (PoleState, error) {
	return callFor[PoleState](ctx, c, http.MethodGet, "/v1/pole", nil)
}

// ArmPole arms an offer of the old till's display; a *Problem with the code NoTotal where it is offered no more.
func (c *Client) ArmPole(ctx context.Context, offer string) (Payment, error) {
	return callFor[Payment](ctx, c, http.MethodPost, "/v1/pole/arm", PoleBody{Offer: offer})
}
