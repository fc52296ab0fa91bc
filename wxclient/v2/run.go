package v2

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"posagent/payflow"
	"posagent/wxclient"
)

const (
	tripEvery    = time.Hour / payflow.Pace       // so that the clock is compared, and a refusal is seen, before the next customer stands there
	firstRetry   = 2 * time.Second / payflow.Pace // after a round trip that failed, doubling
	firstRetryMx = 30 * time.Second / payflow.Pace
	recheckEvery = 30 * time.Second / payflow.Pace // hosts that were set aside
	tripLimit    = 20 * time.Second / payflow.Pace // one round trip over every host
)

// absentNumber returns an order number that cannot exist: none of ours holds a hyphen, and 130 bits are random.
func absentNumber() payflow.OutTradeNo { return payflow.OutTradeNo("PROBE-" + rand.Text()) }

func (c *Client) absentOrder() payflow.Order {
	return payflow.Order{OutTradeNo: absentNumber(), Merchant: c.merchant}
}

// probe is the small call that shows that a gateway answers: it asks for an order that cannot exist, and costs nothing.
func (c *Client) probe() wxclient.Call {
	call := c.queryCall(c.absentOrder(), "")
	call.Name = "probe"
	return call
}

// FirstRoundTrip asks for an order that cannot exist, and returns nil when the answer was verified and says so: then the API key
// and the merchant's ids fit. Where errors carry no sign, "no such order" carries none either; then that order is taken back, which
// succeeds though there is none, and that answer must be signed. An error says for a person what is wrong and what to do.
func (c *Client) FirstRoundTrip(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tripLimit)
	defer cancel()
	o := c.absentOrder()
	outcome, err := c.Query(ctx, o)
	if err == nil && outcome.Kind != payflow.NoSuchOrder {
		err = fmt.Errorf("%w: it names an order that cannot exist", errNotAPI)
	}
	if saysAbsent(err) {
		err = c.tryReverse(ctx, o)
	}
	return c.explained(err)
}

// TryCertificate takes an order back that cannot exist, and returns nil when WeChat Pay took the merchant's certificate and said that it
// is done: it is documented to say so of an order that it does not know. It moves no money. An error says for a person what is wrong.
func (c *Client) TryCertificate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tripLimit)
	defer cancel()
	err := c.tryReverse(ctx, c.absentOrder())
	if notTaken(err) {
		return fmt.Errorf("%s (%w)", certificateWords, err)
	}
	return c.explained(err)
}

const certificateWords = "WeChat Pay does not take the merchant certificate, so no payment can be taken back; " +
	"check that certificate and private_key are this merchant's, and not expired"

func (c *Client) tryReverse(ctx context.Context, absent payflow.Order) error {
	outcome, err := c.Reverse(ctx, absent)
	if err == nil && outcome.Kind != payflow.ReverseDone {
		err = unlisted(message{resultCode: fail, "err_code": outcome.Code, "err_code_des": outcome.Text})
	}
	return err
}

// saysAbsent reports an answer that says, without a sign, that there is no such order.
func saysAbsent(err error) bool {
	l := (*payflow.LostError)(nil)
	return errors.As(err, &l) && l.Lost.Claim == payflow.NoSuchOrder
}

// explained puts words for a person before an error, and raises the condition where it will not pass by itself.
func (c *Client) explained(err error) error {
	if over := c.line.Life().Err(); over != nil || err == nil {
		return over
	}
	if unlinked := wxclient.NoLink(err); unlinked != nil {
		return unlinked // it has its words, and its condition
	}
	words, ours := explain(err)
	err = fmt.Errorf("%s (%w)", words, err)
	if ours {
		c.line.Begin(wxclient.Condition{Kind: wxclient.ConfigurationRefused, Red: !c.Verified(), Text: err.Error()})
	}
	return err
}

// explain says for a person what an answer means that is no verified one: what happened, and what to do now. ours says that it may be
// this till's set-up, and will not pass by itself.
func explain(err error) (words string, ours bool) {
	l := (*payflow.LostError)(nil)
	switch {
	case errors.Is(err, errNotTaken):
		return "WeChat Pay did not take the call; check that api_v2_key, sign_type, app_id and merchant_id are this merchant's", true
	case errors.Is(err, errForged):
		return "the answer's sign does not fit; check api_v2_key (it is not the API v3 key), and look for an intercepting device", true
	case errors.Is(err, errUnsigned):
		return "the answer carries no sign; check hosts, and that the merchant may use API v2", true
	case notTaken(err):
		return certificateWords, true
	case errors.Is(err, errNoCertificate):
		return "WeChat Pay's answers carry no sign, and without a merchant certificate none can be had that does", true
	case errors.As(err, &l) && wxclient.SaysConfiguration(l.Lost.Code):
		return "WeChat Pay refuses this merchant; check api_v2_key, app_id and merchant_id, and its rights on the merchant platform", true
	case errors.Is(err, errShape):
		return "what answers is not WeChat Pay's API v2; check hosts, and look for a login page or an intercepting device", true
	}
	return "WeChat Pay is not available just now; it is asked again by itself", false
}

// Run keeps the client ready until ctx ends: it makes the first round trip and shows the certificate, again after a pause while either
// fails, and makes the round trip every hour from then on; it looks after hosts that failed, and keeps a connection warm while KeepWarm asks for it. It returns when all that has ended.
func (c *Client) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.line.Life(), cancel)()
	warm := make(chan struct{})
	go func() {
		defer close(warm)
		c.line.RunWarm(ctx)
	}()
	c.keepTripping(ctx)
	<-warm
}

func (c *Client) keepTripping(ctx context.Context) {
	retry := firstRetry
	for ctx.Err() == nil {
		err := c.FirstRoundTrip(ctx)
		if err == nil {
			err = c.tryUntried(ctx)
		}
		pause := tripEvery
		if err == nil {
			retry = firstRetry
		} else {
			pause, retry = retry, min(2*retry, firstRetryMx)
			c.log.Warn().Err(err).Msg("no verified round trip")
		}
		c.rest(ctx, pause, err == nil)
	}
}

// tryUntried shows a certificate that was not seen to be taken, so that no payment is started which could not be taken back. Its error
// says that it is refused: any other failure says nothing of it.
func (c *Client) tryUntried(ctx context.Context) error {
	if !c.untried.Load() {
		return nil
	}
	if err := c.TryCertificate(ctx); notTaken(err) {
		return err
	}
	return nil
}

// rest waits for the pause to end, or for ctx or, where it may be cut short, for a kick; meanwhile hosts that were set aside are
// asked again when due.
func (c *Client) rest(ctx context.Context, pause time.Duration, short bool) {
	kick := c.kick
	if !short {
		kick = nil // the pause is short by itself, and the trip that failed has kicked
	}
	end := time.NewTimer(pause)
	defer end.Stop()
	recheck := time.NewTicker(recheckEvery)
	defer recheck.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-kick:
			return
		case <-recheck.C:
			c.line.Recheck(ctx, c.goodTrip)
		}
	}
}

// goodTrip judges the answer to a probe.
func (c *Client) goodTrip(a wxclient.Answer) error {
	o := c.absentOrder()
	_, err := c.believeOrder("probe", o, a, func(m message) (payflow.Outcome, error) { return queryOutcome(o, "", m) })
	if saysAbsent(err) { // it answers as the others do
		return nil
	}
	return err
}

// tripSoon asks Run for a round trip, because something that one may mend was seen.
func (c *Client) tripSoon() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}
