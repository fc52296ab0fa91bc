package queue

import (
	"errors"

	"posagent/payflow"
)

// fullBug is a bug that is planted for a world of the full form, where only the full form can have it.
type fullBug string

const (
	bugNone         fullBug = ""
	bugNoSync       fullBug = "commits are not synced"
	bugErrorIgnored fullBug = "a commit's error is ignored"
	bugPayEarly     fullBug = "the pay call leaves before its record"
	bugPayTwice     fullBug = "a lost pay call is sent again"
	bugUnsigned     fullBug = "an unsigned error is believed"
	bugReplay       fullBug = "an answer counts twice"
	bugLostIsNo     fullBug = "a lost answer means that there is no order"
	bugAnyAttach    fullBug = "whose order it is is not looked at"
	bugForgetsOpen  fullBug = "a start forgets an open payment"
)

// spoil is what the planted bug makes of an answer.
func (bug fullBug) spoil(c *fullCall, outcome payflow.Outcome, err error) (payflow.Outcome, error) {
	var lost *payflow.LostError
	wasLost := errors.As(err, &lost)
	switch {
	case bug == bugUnsigned && wasLost && lost.Lost.Claim != "":
		return payflow.Outcome{Kind: lost.Lost.Claim, Code: lost.Lost.Code, Reason: lost.Lost.Reason}, nil
	case bug == bugLostIsNo && wasLost && c.ask == payflow.QueryCall:
		return payflow.Outcome{Kind: payflow.NoSuchOrder}, nil
	case bug == bugAnyAttach && outcome.Kind == payflow.Found:
		outcome.Trade.Attach = c.order.Tag.Attach(c.order.Attach)
		outcome.Trade.Amount = c.order.Amount
	}
	return outcome, err
}

// violated names the invariants of what WeChat Pay sees a till do.
var violated = map[string]string{
	"a nonce was used twice": "I14", "one payment code in two orders": "I2", "one number with two amounts": "I2",
	"reversed sooner than 15 s after the pay call": "I3", "reversed another till's order": "rule 3",
}
