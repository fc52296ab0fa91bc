package queue

import (
	"errors"
	"time"

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
	bugForgetsHeard fullBug = "a start forgets what was heard"
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
	"reversed sooner than 15 s after the pay call": "I3", reversedAnothers: "rule 3",
}

// fullPlants are the bugs of the full form, each with the invariant that must see it.
var fullPlants = []plantedBug{
	{bugNoSync, "I1", nil},
	{bugErrorIgnored, "I12", withCommitErrors},
	{bugPayEarly, "I1", nil},
	{bugPayTwice, "I2", withCalls(payflow.PayCall, answerLost, requestLost)},
	{bugUnsigned, "I14", withUnsigned},
	{bugReplay, "I14", withReplays},
	{bugLostIsNo, "I14", withLostAnswers},
	{bugAnyAttach, "I4", withCalls(payflow.PayCall, numberTaken)},
	{bugForgetsOpen, "I6", withCuts},
	{bugForgetsHeard, "I14", withReplaysOverStarts},
}

// withCalls has the first calls of a kind go wrong, by turns.
func withCalls(call payflow.CallKind, troubles ...worldTrouble) func(*worldScript) {
	return func(s *worldScript) {
		s.Calls, s.Commits, s.Cuts = nil, nil, nil
		for n := 1; n <= 6; n++ {
			s.Calls = append(s.Calls, worldCallFault{Call: call, N: n, Kind: troubles[n%len(troubles)]})
		}
	}
}

// withReplays has a customer who does not pay be asked about, and each second answer be the one before.
func withReplays(s *worldScript) {
	withCalls(payflow.QueryCall, answerForged, "")(s)
	s.Sales[0].Customer, s.Sales[0].Scan, s.Sales[0].Cancel = customerNever, worldTime(2*time.Second), 0
}

// withReplaysOverStarts has a killed process be back at once, and the first thing that it asks be answered by what the one before it was told.
func withReplaysOverStarts(s *worldScript) {
	withReplays(s)
	s.Calls = []worldCallFault{{Call: payflow.QueryCall, N: 3, Kind: powerAnswered, For: worldTime(time.Second)}, {Call: payflow.QueryCall, N: 4, Kind: answerReplayed}}
}

// withLostAnswers has a pay call be refused though it was paid, and the question after it be lost.
func withLostAnswers(s *worldScript) {
	withCalls(payflow.QueryCall, answerLost, requestLost)(s)
	s.Sales[0].Customer, s.Sales[0].Scan, s.Sales[0].Cancel = customerPays, worldTime(2*time.Second), 0
	for n := 1; n <= 6; n++ {
		s.Calls = append(s.Calls, worldCallFault{Call: payflow.PayCall, N: n, Kind: refusedButDone})
	}
}

// withUnsigned has every second answer come unsigned.
func withUnsigned(s *worldScript) {
	s.Calls, s.Commits, s.Cuts, s.UnsignedErrors = nil, nil, nil, true
	for n := 1; n <= 12; n++ {
		for _, call := range []payflow.CallKind{payflow.PayCall, payflow.QueryCall} {
			s.Calls = append(s.Calls, worldCallFault{Call: call, N: n, Kind: answerUnsigned})
		}
	}
}

// withCommitErrors has commits fail.
func withCommitErrors(s *worldScript) {
	s.Calls, s.Cuts, s.Commits = nil, nil, nil
	for n := 2; n < 30; n += 3 {
		s.Commits = append(s.Commits, worldCommitFault{N: n, Kind: commitEIO, Down: worldTime(3 * time.Second)})
	}
}

// withCuts has the power go while payments are open.
func withCuts(s *worldScript) {
	withCalls(payflow.PayCall, answerLost)(s)
	s.Cuts = []worldCut{{At: worldTime(20 * time.Second), Down: worldTime(5 * time.Second)}, {At: worldTime(60 * time.Second), Down: worldTime(5 * time.Second)}}
}
