package payflow

// refunded reports an answer to the query in flight that shows the order refunded.
func refunded(p Payment, e Event) bool {
	return fits(p, e, QueryAnswered, Found) && e.Outcome.Trade.State == TradeRefund
}

// refundFaults take out what is proof and what is not of an order that WeChat Pay calls REFUND.
func refundFaults() []fault {
	return []fault{
		{name: "refunds on their way taken as proof", step: heard(func(p Payment, e *Event) {
			if sum := &e.Outcome.Trade.Refunds; refunded(p, *e) {
				sum.Done, sum.Pending = sum.Done+sum.Pending, 0
			}
		})},
		{name: "a refund that failed is not seen", step: heard(func(p Payment, e *Event) {
			if refunded(p, *e) {
				e.Outcome.Trade.Refunds.Dead = 0
			}
		})},
		{name: "refunds that could not be added up taken as all back", step: heard(func(p Payment, e *Event) {
			if t := &e.Outcome.Trade; refunded(p, *e) && !t.Refunds.Known {
				t.Refunds = RefundSum{Known: true, Done: t.Amount.Minor}
			}
		})},
		{name: "refunds are held against what we asked, not against what was taken", step: heard(func(p Payment, e *Event) {
			if refunded(p, *e) {
				e.Outcome.Trade.Amount = p.Amount
			}
		})},
		{name: "refunds are never proof", step: heard(func(p Payment, e *Event) {
			if refunded(p, *e) {
				e.Outcome.Trade.Refunds = RefundSum{}
			}
		})},
		{name: "what was known of refunds is forgotten", step: heard2(func(p *Payment, e Event) {
			if refunded(*p, e) && !e.Outcome.Trade.Refunds.Known {
				p.Attention = ""
			}
		})},
		{name: "a loss while refunds are watched brings a reverse", step: on(func(p Payment, e Event) bool { return lost(p, e, QueryCall) && p.Attention.refund() },
			func(p Payment, e Event) (Payment, []Command) {
				held := p.Attention
				p.Attention = AttentionReverseRefused
				after, commands := Step(p, e)
				after.Attention = held
				return after, commands
			})},
		{name: "an order whose money was seen may be absent", step: blindToMoney(func(e Event) bool { return e.Outcome.Kind == NoSuchOrder })},
		{name: "a false alarm stays behind the end", step: func(p Payment, e Event) (Payment, []Command) {
			after, commands := Step(p, e)
			if p.Open() && after.Status.Final() {
				after.Attention = p.Attention
			}
			return after, commands
		}},
	}
}

// giveBackFaults take out what rule 13 says of the refund. A story catches each; the walk alone finds them too.
func giveBackFaults() []fault {
	return []fault{
		{name: "no money goes back where no reverse is possible", step: givesBack(func(p Payment, e Event, given []Command) []Command { return nil })},
		{name: "all is given back though a part is back already", step: givesBack(func(p Payment, e Event, given []Command) []Command {
			for i := range given {
				given[i].Amount = p.Amount
			}
			return given
		})},
		{name: "money is given back though one refund failed", step: givesBack(func(p Payment, e Event, given []Command) []Command {
			if p.Status == Reversing && p.ReverseTooLate && fits(p, e, QueryAnswered, Found) && e.Outcome.Trade.Refunds.Dead > 0 {
				return []Command{{Kind: GiveBack, Amount: p.Amount}}
			}
			return given
		})},
		{name: "money is given back of which nothing is known", step: givesBack(func(p Payment, e Event, given []Command) []Command {
			if p.Status == Reversing && p.ReverseTooLate && lost(p, e, QueryCall) {
				return []Command{{Kind: GiveBack, Amount: p.Amount}}
			}
			return given
		})},
		{name: "money is given back while a reverse is possible", step: givesBack(func(p Payment, e Event, given []Command) []Command {
			if p.Status == Reversing && fits(p, e, QueryAnswered, Found) && look(p, e.Outcome.Trade) == seenOurs {
				return []Command{{Kind: GiveBack, Amount: p.Amount}}
			}
			return given
		})},
		{name: "money is given back while a reverse may be in flight", step: givesBack(func(p Payment, e Event, given []Command) []Command {
			if p.Status == Reversing && p.ReverseTooLate && fits(p, e, QueryAnswered, Found) && look(p, e.Outcome.Trade) == seenOurs {
				return []Command{{Kind: GiveBack, Amount: p.Amount}}
			}
			return given
		})},
	}
}

// givesBack is Step with another mind about what goes back by a refund.
func givesBack(other func(p Payment, e Event, given []Command) []Command) stepFunc {
	return func(p Payment, e Event) (Payment, []Command) {
		after, commands := Step(p, e)
		var kept, given []Command
		for _, c := range commands {
			if c.Kind == GiveBack {
				given = append(given, c)
				continue
			}
			kept = append(kept, c)
		}
		if p.Status.Final() || after.Status.Final() {
			return after, commands
		}
		return after, append(kept, other(p, e, given)...)
	}
}

// blindToMoney forgets for one event that the money was seen.
func blindToMoney(when func(Event) bool) stepFunc {
	return on(func(p Payment, e Event) bool { return p.MoneySeen && p.Call == QueryCall && when(e) }, func(p Payment, e Event) (Payment, []Command) {
		p.MoneySeen = false
		after, commands := Step(p, e)
		after.MoneySeen = true
		return after, commands
	})
}
