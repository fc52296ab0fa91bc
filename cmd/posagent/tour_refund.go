package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posagent/payflow"
	"posagent/till"
)

// refundWithin is how long the tour's refund may take: simulated WeChat Pay gives back after 5 s, and is asked at 5 s and at 15 s.
const refundWithin = 60 * time.Second

// refundedInPart: a customer brings one of two things back. The wish is sent twice, as by a nervous hand, and is one refund.
func (t *tour) refundedInPart(ctx context.Context, tt *trialTill, s *telling) error {
	p, err := sell(ctx, tt, s, "T1-1005", 1250, t.trial.code("pays-at-once"))
	if err := errors.Join(err, mustEnd(p, payflow.Paid, "")); err != nil {
		return err
	}
	s.say("the customer brings one thing back; the manager refunds HK$ 2.50 of %s, and presses twice", p.AmountText)
	wish := till.RefundBody{Amount: 250, Reason: "one of two returned", Operator: "M001"}
	first, err := tt.client.Refund(ctx, p.ID, wish, "tour-refund")
	if err != nil {
		return err
	}
	again, err := tt.client.Refund(ctx, p.ID, wish, "tour-refund")
	if err != nil {
		return err
	}
	if again.ID != first.ID {
		return fmt.Errorf("one wish became two refunds, %s and %s", first.ID, again.ID)
	}
	within, stop := context.WithTimeout(ctx, refundWithin)
	defer stop()
	last, err := tt.client.FollowRefund(within, first.ID, func(r till.Refund) {
		s.say("manager's page: %s  ->  %s", r.Message.EN, r.NextStep.EN)
		s.say("        %s  ->  %s", r.Message.ZhHant, r.NextStep.ZhHant)
	})
	if err != nil || last.Status != payflow.RefundDone {
		return errors.Join(err, fmt.Errorf("the refund ended %s (%s), must end %s", last.Status, last.Why, payflow.RefundDone))
	}
	_, err = tt.client.Refund(ctx, p.ID, till.RefundBody{Amount: 1001, Reason: "more than is left"}, "tour-too-much")
	var refused *till.Problem
	if !errors.As(err, &refused) || refused.Code != till.RefundTooMuch {
		return fmt.Errorf("more than is left was not refused: %w", err)
	}
	s.say("more than is left is refused: %s", refused.Detail)
	p, err = tt.client.Payment(ctx, p.ID)
	if err == nil && (p.Status != payflow.Paid || p.Refunded != 250 || p.Refundable != 1000) {
		err = fmt.Errorf("the payment is %s, %d refunded, %d left", p.Status, p.Refunded, p.Refundable)
	}
	return err
}
