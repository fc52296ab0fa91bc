package v2

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"posagent/payflow"
	"posagent/wxclient"
)

// The paths of API v2. Those under /secapi demand the merchant's certificate.
const (
	payPath         = "/pay/micropay"
	queryPath       = "/pay/orderquery"
	reversePath     = "/secapi/pay/reverse"
	refundPath      = "/secapi/pay/refund"
	refundQueryPath = "/pay/refundquery"
	billPath        = "/pay/downloadbill"
	openIDPath      = "/tools/authcodetoopenid"
)

const contentType = "text/xml; charset=utf-8"

// call is one POST whose body is signed anew, with a nonce of its own, for each connection that it goes out on.
func (c *Client) call(name, about, path string, parameters fields) wxclient.Call {
	return wxclient.Call{Name: name, About: about, Target: path, ContentType: contentType, Mutual: demandsCertificate(path),
		Body: func() ([]byte, error) { return c.envelope(parameters), nil }}
}

func demandsCertificate(path string) bool { return path == reversePath || path == refundPath }

// envelope returns the parameters with nonce and sign, as XML.
func (c *Client) envelope(parameters fields) []byte {
	all := slices.Grow(slices.Clone(parameters), 3)
	all.add(nonceField, rand.Text())
	if c.signer.kind != MD5 {
		all.add(signTypeField, string(c.signer.kind))
	}
	all.sort()
	all.add(signField, c.signer.sign(all, c.signer.kind))
	return all.write()
}

// ids are the parameters that every call begins with: exactly one set.
func ids(m payflow.Merchant, room int) fields {
	f := make(fields, 0, 4+room)
	f.add("appid", m.AppID)
	f.add("mch_id", m.MerchantID)
	if m.Mode == payflow.Institution {
		f.add("sub_appid", m.SubAppID)
		f.add("sub_mch_id", m.SubMerchantID)
	}
	return f
}

// merchantOf returns the ids that the order was made under, which may be older than the configuration.
func (c *Client) merchantOf(m payflow.Merchant) payflow.Merchant {
	if m.MerchantID == "" {
		return c.merchant
	}
	return m
}

// ask makes a call about an order that may be made twice, and judges its answer.
func (c *Client) ask(ctx context.Context, call wxclient.Call, o payflow.Order, judge func(message) (payflow.Outcome, error)) (payflow.Outcome, error) {
	if err := c.ready(call); err != nil {
		return payflow.Outcome{}, wxclient.About(call.Name, string(o.OutTradeNo), lost(payflow.ReasonConfiguration, fmt.Errorf("nothing was sent: %w", err)))
	}
	a, err := c.line.Ask(ctx, call)
	if err != nil {
		err = wxclient.LostCall(call.Name, o, err)
		c.noteCertificate(call, a, err)
		return payflow.Outcome{}, err
	}
	outcome, err := c.believeOrder(call.Name, o, a, judge)
	c.noteCertificate(call, a, err)
	return outcome, err
}

// CertificateRefused: WeChat Pay does not take the merchant's certificate, so nothing can be taken back or refunded. Run asks again, and
// it ends with the next reverse or refund that is answered.
const CertificateRefused wxclient.ConditionKind = "merchant_certificate_refused"

// errBadRequest is status 400: a gateway of WeChat Pay's answers so where a certificate is missing or unfit.
var errBadRequest = errors.New("status 400")

// notTaken reports the two ways in which a gateway refuses a certificate: by a TLS alert, or by a page with status 400.
func notTaken(err error) bool { return wxclient.TurnedAway(err) || errors.Is(err, errBadRequest) }

func (c *Client) noteCertificate(call wxclient.Call, a wxclient.Answer, err error) {
	switch {
	case !call.Mutual:
	case notTaken(err):
		c.untried.Store(true)
		c.tripSoon()
		c.line.Begin(wxclient.Condition{Kind: CertificateRefused, Red: true, Text: certificateWords})
	case a.Status == http.StatusOK: // whatever it says
		c.untried.Store(false)
		c.line.Over(CertificateRefused)
	}
}
