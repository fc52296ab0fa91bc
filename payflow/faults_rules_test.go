package payflow

import "time"

// ruleFaults take out the rules of the flow, one way or another. Rule 2 (what may have left) and rule 10 (the clock) speak of
// sockets and of clocks, which a pure step never sees: wxclient's tests hold them.
func ruleFaults() []fault {
	faults := []fault{
		{name: "rule 1: not sent is called unknown", step: heard(func(_ Payment, e *Event) {
			if e.Outcome.Kind == NotSent {
				e.Kind, e.Outcome = CallLost, Outcome{}
			}
		})},
		{name: "rule 1: a lost pay is sent again", step: on(func(p Payment, e Event) bool { return lost(p, e, PayCall) },
			func(p Payment, e Event) (Payment, []Command) { return sendsInstead(p, e, PayCall, SendPay) })},
		{name: "rule 3: any order is ours to take back", step: func(p Payment, e Event) (Payment, []Command) {
			p.Stranger = NoStranger
			return Step(p, e)
		}},
		{name: "rule 3: the amount is not compared", step: heard(func(p Payment, e *Event) { e.Outcome.Trade.Amount = p.Amount })},
		{name: "rule 3: the merchant is not compared", step: heard(func(p Payment, e *Event) {
			e.Outcome.Trade.MerchantID, e.Outcome.Trade.SubMerchantID = p.Merchant.MerchantID, p.Merchant.SubMerchantID
		})},
		{name: "rule 3: the number is not compared", step: heard(func(p Payment, e *Event) { e.Outcome.Trade.OutTradeNo = p.OutTradeNo })},
		{name: "rule 3: after a collision an answer without attach is ours", step: heard(func(p Payment, e *Event) {
			if e.Outcome.Trade.Attach == "" {
				e.Outcome.Trade.Attach = string(p.Tag)
			}
		})},
		{name: "rule 4: a refusal is final at once", step: endsOn(Declined, func(p Payment, e Event) bool { return fits(p, e, PayAnswered, Refused) })},
		{name: "rule 4: a collision is a refusal", step: heard(func(_ Payment, e *Event) {
			if e.Outcome.Kind == Collision {
				e.Outcome.Kind = Refused
			}
		})},
		{name: "rule 4: a refusal is forgotten", step: func(p Payment, e Event) (Payment, []Command) {
			p.Refusal.Kind = ""
			return Step(p, e)
		}},
		{name: "rule 5: one loss ends the asking", step: on(func(p Payment, e Event) bool { return p.Status == Confirming && lost(p, e, QueryCall) },
			func(p Payment, e Event) (Payment, []Command) {
				p.Call, p.NextCall, p.WakeAt = NoCall, QueryCall, e.At.Add(time.Hour)
				return p, []Command{{Kind: Wake, At: p.WakeAt}}
			})},
		{name: "rule 5: asks each second", step: func(p Payment, e Event) (Payment, []Command) {
			held := p.Timing
			p.Timing.QueryEvery = time.Second
			after, commands := Step(p, e)
			after.Timing = held
			return after, commands
		}},
		{name: "rule 5: too many calls, and no slower", step: heard(func(_ Payment, e *Event) { e.Lost.Busy = false })},
		{name: "rule 5: reverses as soon as it may", step: func(p Payment, e Event) (Payment, []Command) {
			p.Hurry = p.Hurry || p.Status == Confirming
			return Step(p, e)
		}},
		{name: "rule 6: reverses without a last query", step: on(func(p Payment, e Event) bool {
			return e.Kind == Woken && p.Status == Confirming && p.Call == NoCall && p.Stranger == NoStranger && !e.At.Before(p.ReverseDue())
		}, reversesNow)},
		{name: "rule 6: reverses without a pause", step: func(p Payment, e Event) (Payment, []Command) {
			if p.Restarts == 0 {
				p.NextReverseAt = time.Time{}
			}
			return Step(p, e)
		}},
		{name: "rule 6: reverses once only", step: on(func(p Payment, e Event) bool { return e.Kind == Woken && p.NextCall == ReverseCall && p.Reverses > 0 },
			func(p Payment, e Event) (Payment, []Command) {
				p.NextCall = QueryCall
				return Step(p, e)
			})},
		{name: "rule 6: five refused reverses, and nobody is told", step: func(p Payment, e Event) (Payment, []Command) {
			p.ReverseRefusals = 0
			return Step(p, e)
		}},
		{name: "rule 7: no reverse after T_dead", step: func(p Payment, e Event) (Payment, []Command) {
			p.DeadReverse = true
			return Step(p, e)
		}},
	}
	return append(faults, laterRuleFaults()...)
}

func laterRuleFaults() []fault {
	isCancel := func(p Payment, e Event) bool { return e.Kind == CancelAsked && p.Status == Confirming }
	return []fault{
		{name: "rule 8: a cancel is forgotten", step: on(isCancel, func(p Payment, _ Event) (Payment, []Command) { return p, nil })},
		{name: "rule 8: a cancel interrupts", step: on(isCancel, reversesNow)},
		{name: "rule 9: an unsigned refusal is believed", step: heard(func(p Payment, e *Event) {
			if lost(p, *e, PayCall) && e.Lost.Claim == Refused {
				e.Kind, e.Outcome = PayAnswered, aRefusal(e.Lost.Code)
			}
		})},
		{name: "rule 9: an unsigned refusal is not heard", step: heard(func(_ Payment, e *Event) {
			if e.Lost.Claim == Refused {
				e.Lost.Claim = ""
			}
		})},
		{name: "rule 9: an unsigned absence is believed", step: heard(func(p Payment, e *Event) {
			if lost(p, *e, QueryCall) && e.Lost.Claim == NoSuchOrder {
				e.Kind, e.Outcome = QueryAnswered, Outcome{Kind: NoSuchOrder}
			}
		})},
		{name: "rule 9: one unsigned absence is enough", step: func(p Payment, e Event) (Payment, []Command) {
			if p.AbsentAt.IsZero() && p.DeadReverseDone {
				p.AbsentAt = p.PayEndedAt
			}
			return Step(p, e)
		}},
		{name: "rule 9: unsigned absences without a verified 204", step: func(p Payment, e Event) (Payment, []Command) {
			p.DeadReverseDone = p.DeadReverse
			return Step(p, e)
		}},
		{name: "rule 9: an unsigned absence of what was there is believed", step: blindToMoney(func(e Event) bool { return e.Lost.Claim == NoSuchOrder })},
		{name: "rule 9: an unsigned absence is never believed", step: heard(func(_ Payment, e *Event) {
			if e.Lost.Claim == NoSuchOrder {
				e.Lost.Claim = ""
			}
		})},
		{name: "rule 11: not asked for after a restart", step: on(func(p Payment, e Event) bool { return e.Kind == Restarted && p.Status != Waiting },
			func(p Payment, e Event) (Payment, []Command) {
				p.Call, p.NextCall, p.WakeAt = NoCall, QueryCall, e.At.Add(time.Minute)
				p.PayEndedAt, p.FirstPayAt = e.At, e.At
				return p, []Command{{Kind: Wake, At: p.WakeAt}}
			})},
		{name: "rule 11: times go on over a restart", step: on(func(p Payment, e Event) bool { return e.Kind == Restarted && p.Status == Reversing },
			func(p Payment, e Event) (Payment, []Command) {
				after, commands := Step(p, e)
				after.PayEndedAt, after.FirstPayAt, after.NextReverseAt = p.PayEndedAt, p.FirstPayAt, p.NextReverseAt
				return after, commands
			})},
		{name: "rule 11: a payment outlives the restart without a scan", step: on(func(p Payment, e Event) bool { return e.Kind == Restarted && p.Status == Waiting },
			func(p Payment, _ Event) (Payment, []Command) { return p, []Command{{Kind: Wake, At: p.WakeAt}} })},
		{name: "rule 12: set aside at any time", step: on(func(_ Payment, e Event) bool { return e.Kind == SetAsideAsked },
			func(p Payment, e Event) (Payment, []Command) {
				held := p.PayEndedAt
				p.PayEndedAt = beginning.Add(-DeadAfter)
				after, commands := Step(p, e)
				after.PayEndedAt = held
				return after, commands
			})},
		{name: "rule 12: never set aside", step: on(func(_ Payment, e Event) bool { return e.Kind == SetAsideAsked },
			func(p Payment, _ Event) (Payment, []Command) { return p, nil })},
		{name: "rule 12: what is set aside is forgotten", step: on(func(p Payment, e Event) bool { return e.Kind == Woken && !p.SetAside.At.IsZero() },
			func(p Payment, _ Event) (Payment, []Command) { return p, nil })},
		{name: "rule 13: one start with an old order is enough", step: heard2(func(p *Payment, e Event) {
			if e.Kind == Restarted && e.Age > ReverseLifetime {
				p.OldStarts++
			}
		})},
		{name: "rule 13: the clock's word is ignored", step: heard(func(_ Payment, e *Event) { e.Age = 0 })},
		{name: "rule 13: WeChat Pay's word is ignored", step: heard(func(_ Payment, e *Event) {
			if e.Outcome.Kind == ReverseTooLate {
				e.Outcome.Kind = ReverseRefused
			}
		})},
		{name: "rule 13: too old for a reverse, and all back is no end", step: heard(func(p Payment, e *Event) {
			if refunded(p, *e) && p.Status == Confirming && p.ReverseTooLate {
				e.Outcome.Trade.Refunds = RefundSum{}
			}
		})},
		{name: "rule 13: too old hides what is known of refunds", step: changedAfter(func(_ Event, p *Payment) {
			if p.ReverseTooLate && p.Attention.refund() {
				p.Attention = AttentionReverseTooLate
			}
		})},
		{name: "rule 14: a code that was not sent is spent", step: changedAfter(func(_ Event, p *Payment) {
			p.CodeSpent = p.CodeSpent || p.Proof == ProofNotSent && !p.ScannedAt.IsZero()
		})},
		{name: "rule 14: a code whose order may have left is released", step: changedAfter(func(e Event, p *Payment) {
			p.CodeSpent = p.CodeSpent && e.Kind != CallLost
		})},
	}
}

// heard2 is Step on a payment that remembers something else.
func heard2(as func(*Payment, Event)) stepFunc {
	return func(p Payment, e Event) (Payment, []Command) {
		as(&p, e)
		return Step(p, e)
	}
}

// changedAfter is Step, and a last touch.
func changedAfter(as func(Event, *Payment)) stepFunc {
	return func(p Payment, e Event) (Payment, []Command) {
		after, commands := Step(p, e)
		as(e, &after)
		return after, commands
	}
}
