package wxclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"posagent/payflow"
)

// What answers about refunds mean. The tables of their codes stand with the others, in outcome.go.

// refundOutcome reads an answer to a refund as if it were verified. An error means that it says nothing definite.
func refundOutcome(o payflow.RefundOrder, a answer) (payflow.RefundOutcome, error) {
	if a.status == http.StatusOK {
		r, err := readRefundAnswer(a.body)
		if err == nil {
			err = r.of(o)
		}
		if err != nil {
			return payflow.RefundOutcome{}, lost(payflow.ReasonUnverified, err)
		}
		return payflow.RefundOutcome{Kind: payflow.RefundAccepted, Refund: r.report()}, nil
	}
	t := readTrouble(a)
	kind, listed := refundCodes[t.Code]
	switch {
	case a.status == http.StatusTooManyRequests:
		kind = payflow.RefundLater
	case !listed || a.status < 400 || a.status >= 500:
		return payflow.RefundOutcome{}, unlisted(a, t)
	case collisionNumbers[requestNumber(a)]: // the number was taken on before: only a query tells as what
		return payflow.RefundOutcome{}, &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonNumberInUse, Code: t.Code}, Err: errRefundNumber}
	}
	return payflow.RefundOutcome{Kind: kind, Code: t.Code, Text: string(t.Message)}, nil
}

var errRefundNumber = errors.New("the refund number is in use; its refund must be asked for")

// queryRefundOutcome reads an answer to a query of one refund, likewise.
func queryRefundOutcome(o payflow.RefundOrder, id payflow.RefundID, a answer) (payflow.RefundOutcome, error) {
	if a.status != http.StatusOK {
		t := readTrouble(a)
		if absentRefundCodes[t.Code] && a.status >= 400 && a.status < 500 {
			return payflow.RefundOutcome{Kind: payflow.NoSuchRefund, Code: t.Code, Text: string(t.Message)}, nil
		}
		return payflow.RefundOutcome{}, unlisted(a, t)
	}
	r, err := readRefundAnswer(a.body)
	if err == nil {
		err = r.of(o)
	}
	switch {
	case err != nil:
	case id != "" && r.ID != string(id):
		err = errAnotherRefund
	case r.Status == "":
		err = errNoTrade
	}
	if err != nil {
		return payflow.RefundOutcome{}, lost(payflow.ReasonUnverified, err)
	}
	return payflow.RefundOutcome{Kind: payflow.RefundFound, Refund: r.report()}, nil
}

// believeRefund gives an answer's outcome out if the answer is verified, as believe does.
func (c *Client) believeRefund(ctx context.Context, call string, o payflow.RefundOrder, a answer, outcome payflow.RefundOutcome, said error) (payflow.RefundOutcome, error) {
	trust := c.verify(ctx, a)
	c.noteAnswer(a, payflow.Outcome{Code: outcome.Code}, trust)
	if err := believed(refundClaim(outcome), said, trust); err != nil {
		return payflow.RefundOutcome{}, aboutRefund(call, o, err)
	}
	c.noteBelieved(outcome.Code)
	return outcome, nil
}

// refundClaim is what an unsigned answer about a refund claims, in the words of a payment's.
func refundClaim(outcome payflow.RefundOutcome) payflow.Outcome {
	switch outcome.Kind {
	case payflow.RefundDeclined:
		return payflow.Outcome{Kind: payflow.Refused, Code: outcome.Code, Reason: payflow.ReasonRefused}
	case payflow.RefundLater:
		return payflow.Outcome{Kind: payflow.Refused, Code: outcome.Code, Reason: payflow.ReasonBusy}
	case payflow.NoSuchRefund:
		return payflow.Outcome{Kind: payflow.NoSuchOrder, Code: outcome.Code}
	}
	return payflow.Outcome{}
}

// absentOrderCodes say, in the answer to a refund, that there is no such payment.
var absentOrderCodes = map[string]bool{"ORDERNOTEXIST": true, "NOTFOUND": true, "RESOURCENOTEXISTS": true, "REFUNDNOTEXIST": true}

// withoutAbsentRefund takes "no such refund" and "no such order" out of an answer: the payment was made at a gateway that is not
// configured any more, and one that never had it proves nothing by not knowing it.
func withoutAbsentRefund(call string, o payflow.RefundOrder, outcome payflow.RefundOutcome, err error) (payflow.RefundOutcome, error) {
	code := outcome.Code
	if l := (*payflow.LostError)(nil); errors.As(err, &l) {
		code = l.Lost.Code
	}
	if !absentOrderCodes[code] {
		return outcome, err
	}
	return payflow.RefundOutcome{}, aboutRefund(call, o, lost(payflow.ReasonConfiguration, errElsewhere(o.HostFamily)))
}

func errElsewhere(hostFamily string) error {
	return fmt.Errorf("it is not here, but the payment was made at %s; put that host back behind the others in hosts until all is refunded", hostFamily)
}

func aboutRefund(call string, o payflow.RefundOrder, err error) error {
	return about(fmt.Sprintf("%s %s of", call, o.OutRefundNo), paymentOf(o), err)
}

func lostRefund(call string, o payflow.RefundOrder, err error) error {
	return lostCall(fmt.Sprintf("%s %s of", call, o.OutRefundNo), paymentOf(o), err)
}
