package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"posagent/health"
	"posagent/payflow"
	"posagent/queue"
	"posagent/till"
)

// refundDesk refuses a refund that could not be made now, with the reason, before it is journaled; all else is the engine's. A repeat
// of one that is journaled is never refused.
type refundDesk struct {
	*queue.Engine
	agent *agent
}

var _ till.RefundDesk = refundDesk{}

// Refund asks the engine where the payment's own API can be spoken.
func (d refundDesk) Refund(ctx context.Context, r payflow.RefundRequest) (payflow.RefundEntry, error) {
	_, err := d.RefundOf(payflow.NewOutRefundNo(r.OutTradeNo, payflow.WishPerson, r.IdempotencyKey))
	payment, unknown := d.Payment(r.OutTradeNo)
	if err != nil && unknown == nil {
		if err := d.agent.unableToRefund(payment.API); err != nil {
			return payflow.RefundEntry{}, err
		}
	}
	return d.Engine.Refund(ctx, r)
}

// unableToRefund says why no refund can be asked for by an API, or nil.
func (a *agent) unableToRefund(api payflow.API) error {
	if w, ok := a.client.(*ways); ok && !w.speaks(api) {
		return notReady("other_api", fmt.Sprintf("this payment was made by API %s, whose key is not installed: put api_%s_key back in the [wechat] section and restart posagent, or refund on the merchant platform", api, api))
	}
	if err := unableToReverse(string(api), a.creds.get(), a.client.Now()); err != nil {
		return err
	}
	return nil
}

// duplicatesEvery is how often a store day is looked through for payments made twice: it reads all of the day.
const duplicatesEvery = time.Minute

// refundsWarned is what warnOfRefunds keeps between two looks.
type refundsWarned struct {
	lookedAt time.Time // for payments made twice
}

// warnOfRefunds keeps the warnings about money that goes back true: refunds and late truths that need a person, and payments made twice.
func (a *agent) warnOfRefunds() {
	attention := ""
	for _, r := range a.engine.OpenRefunds() {
		if r.Attention != "" {
			attention = string(r.OutTradeNo)
		}
	}
	a.warnIf(attention != "", health.RefundAttention, attention)
	held, unanswered, twice := "", "", ""
	late, err := a.engine.LateTruths()
	for _, e := range late {
		switch {
		case e.BackTwice():
			twice = string(e.OutTradeNo)
		case e.Late.MoneySeen:
			held = string(e.OutTradeNo)
		case e.Late.Attention != "":
			unanswered = string(e.OutTradeNo)
		}
	}
	a.warnIf(err == nil && held != "", health.LateSuccess, held)
	a.warnIf(err == nil && unanswered != "", health.LateUnanswered, unanswered)
	a.warnIf(err == nil && twice != "", health.PaidBackTwice, twice)
	if time.Since(a.refundsWarned.lookedAt) >= duplicatesEvery {
		pairs, err := a.engine.SuspectedDuplicates(time.Now().In(a.cfg.Store.TimeZone).Format(time.DateOnly))
		a.refundsWarned.lookedAt = time.Now()
		pairs = slices.DeleteFunc(pairs, func(p payflow.SuspectedDuplicate) bool { return a.allBack(p.First) || a.allBack(p.Second) })
		a.warnIf(err == nil && len(pairs) > 0, health.SuspectedDuplicate, fmt.Sprint(len(pairs)))
	}
}

// allBack reports a payment all of which was refunded, or is about to be.
func (a *agent) allBack(e payflow.Entry) bool {
	refunds, err := a.engine.RefundsOfPayment(e.OutTradeNo)
	back := int64(0)
	for _, r := range refunds {
		if !r.Dead() {
			back += r.Amount.Minor
		}
	}
	return err == nil && back >= e.Amount.Minor
}
