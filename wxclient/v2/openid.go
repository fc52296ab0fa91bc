package v2

import (
	"context"
	"errors"

	"posagent/payflow"
	"posagent/wxclient"
)

// OpenIDOutcome is what is known of a payment code's owner: an open id, or a definite refusal.
type OpenIDOutcome struct {
	OpenID    string         // within the app id
	SubOpenID string         // within the sub app id, where one is configured
	Reason    payflow.Reason // why WeChat Pay refused; empty where it did not
	Code      string         // WeChat Pay's error code: upper case, no underscores
	Text      string         // WeChat Pay's own words
}

// OpenID asks whose a payment code is (authorization code to open id). It takes no money, and it binds the code to this merchant until
// the customer's wallet shows the next one. Every error is a *payflow.LostError.
func (c *Client) OpenID(ctx context.Context, code payflow.AuthCode) (OpenIDOutcome, error) {
	const call = "open id"
	if code.IsZero() {
		return OpenIDOutcome{}, wxclient.About(call, "", lost(payflow.ReasonConfiguration, errors.New("there is no payment code")))
	}
	f := ids(c.merchant, 1)
	f.add("auth_code", code.Reveal())
	a, err := c.line.Ask(ctx, c.call(call, "", openIDPath, f))
	if err != nil {
		return OpenIDOutcome{}, wxclient.LostCall(call, payflow.Order{}, err)
	}
	var outcome OpenIDOutcome
	err = c.believe(call, "", c.merchant, a, func(m message) verdict {
		var said error
		outcome, said = openIDOutcome(m)
		return verdict{said: said}
	})
	if err != nil {
		return OpenIDOutcome{}, err
	}
	return outcome, nil
}

func openIDOutcome(m message) (OpenIDOutcome, error) {
	switch m[resultCode] {
	case success:
		if m["openid"] != "" {
			return OpenIDOutcome{OpenID: wxclient.MaskID(m["openid"], 128), SubOpenID: wxclient.MaskID(m["sub_openid"], 128)}, nil
		}
	case fail:
		if kind, reason, listed := wxclient.PayMeaning(m.code()); listed && kind == payflow.Refused {
			return OpenIDOutcome{Reason: reason, Code: m.code(), Text: m.words()}, nil
		}
	}
	return OpenIDOutcome{}, unlisted(m)
}
