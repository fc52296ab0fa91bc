package queue

import (
	"context"
	"strings"
	"time"

	"posagent/payflow"
)

// refundArrives is how long a refund is under way at the model.
const refundArrives = 25 * time.Second

// modelRefund is a refund as the model holds it.
type modelRefund struct {
	no    payflow.OutRefundNo
	order *modelOrder
	minor int64
	state payflow.RefundState
}

// giveBack takes a refund on: the same number is the same refund, and no sum above what was paid.
func (m *modelPay) giveBack(o payflow.RefundOrder, no payflow.OutRefundNo) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	order := m.byNo[o.OutTradeNo]
	if order == nil {
		return reply{isError: true, refund: payflow.RefundOutcome{Kind: payflow.RefundDeclined, Code: "RESOURCENOTEXISTS"}}
	}
	sum := int64(0)
	for _, r := range m.gives {
		if r.no == no {
			return reply{refund: payflow.RefundOutcome{Kind: payflow.RefundAccepted, Refund: m.report(r)}}
		}
		if r.order == order && r.state != payflow.RefundStateClosed {
			sum += r.minor
		}
	}
	if order.state != payflow.TradeSuccess && order.state != payflow.TradeRefund || sum+o.Amount.Minor > order.amount.Minor {
		return reply{isError: true, refund: payflow.RefundOutcome{Kind: payflow.RefundDeclined, Code: "INVALIDREQUEST"}}
	}
	r := &modelRefund{no: no, order: order, minor: o.Amount.Minor, state: payflow.RefundStateProcessing}
	m.gives = append(m.gives, r)
	time.AfterFunc(refundArrives, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		r.state = payflow.RefundStateSuccess
		order.given += r.minor
		order.state = payflow.TradeRefund
		m.w.log.add(worldLine{Kind: worldMoney, No: order.no, Sale: order.sale, Net: order.net(), State: order.state, Refund: r.no, Text: wishedRefund})
	})
	return reply{refund: payflow.RefundOutcome{Kind: payflow.RefundAccepted, Refund: m.report(r)}}
}

func (m *modelPay) report(r *modelRefund) payflow.RefundReport {
	return payflow.RefundReport{RefundID: payflow.RefundID("50" + string(r.no)), OutRefundNo: r.no, OutTradeNo: r.order.no, TransactionID: payflow.TransactionID("42" + string(r.order.no)),
		State: r.state, Amount: payflow.Amount{Minor: r.minor, Currency: r.order.amount.Currency}, Total: r.order.amount}
}

func (m *modelPay) refundQuery(no payflow.OutRefundNo) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.gives {
		if r.no == no {
			return reply{refund: payflow.RefundOutcome{Kind: payflow.RefundFound, Refund: m.report(r)}}
		}
	}
	return reply{isError: true, refund: payflow.RefundOutcome{Kind: payflow.NoSuchRefund, Code: "RESOURCENOTEXISTS"}}
}

func (m *modelPay) refundList(no payflow.OutTradeNo) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := reply{refund: payflow.RefundOutcome{Kind: payflow.RefundFound}, list: []payflow.RefundReport{}}
	for _, give := range m.gives {
		if give.order.no == no {
			r.list = append(r.list, m.report(give))
		}
	}
	return r
}

// sumOf adds up the refunds of an order. mu is held.
func (m *modelPay) sumOf(order *modelOrder) payflow.RefundSum {
	sum := payflow.RefundSum{Known: true}
	for _, r := range m.gives {
		switch {
		case r.order != order:
		case r.state == payflow.RefundStateSuccess:
			sum.Done += r.minor
		default:
			sum.Pending += r.minor
		}
	}
	return sum
}

// refunds is what WeChat Pay holds of refunds at the end.
func (f *fastForm) refunds() (all []worldRefund) {
	for _, r := range f.model.gives {
		all = append(all, worldRefund{Refund: r.no, No: r.order.no, Minor: r.minor, State: r.state})
	}
	return all
}

// aboutRefund is a call about a refund. The order that it carries is for the log alone.
func (g *fastGateway) aboutRefund(ctx context.Context, ask payflow.CallKind, o payflow.RefundOrder, do func() reply) *heard {
	order := payflow.Order{OutTradeNo: o.OutTradeNo}
	return g.call(ctx, &fastCall{ask: ask, order: order, refund: o.OutRefundNo, minor: o.Amount.Minor, do: do}, payWaits)
}

func (g *fastGateway) Refund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	no := o.OutRefundNo
	if g.w.plant.refundNo != nil {
		no = g.w.plant.refundNo(&fastCall{g: g, refund: no})
	}
	h := g.aboutRefund(ctx, refundCall, o, func() reply { return g.model.giveBack(o, no) })
	return h.refund, h.err
}

func (g *fastGateway) QueryRefund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	h := g.aboutRefund(ctx, refundQueryCall, o, func() reply { return g.model.refundQuery(o.OutRefundNo) })
	return h.refund, h.err
}

func (g *fastGateway) Refunds(ctx context.Context, o payflow.Order) ([]payflow.RefundReport, error) {
	h := g.aboutRefund(ctx, refundListCall, payflow.RefundOrder{OutTradeNo: o.OutTradeNo, OutRefundNo: "all"}, func() reply { return g.model.refundList(o.OutTradeNo) })
	return h.list, h.err
}

// judgeRefunds holds refunds to the same rules: recorded first, one refund for one wish, never more than was paid, and told as it is.
func (j *worldJudge) judgeRefunds(disk, held []worldRefund) {
	known := map[payflow.OutRefundNo]worldRefund{}
	for _, r := range disk {
		known[r.Refund] = r
	}
	perPayment := map[payflow.OutTradeNo]int{}
	done := map[payflow.OutRefundNo]bool{}
	for _, r := range held {
		perPayment[r.No]++
	}
	for _, no := range j.inTurn {
		if n := perPayment[no]; n > len(j.wishes[no]) {
			j.breach("I2", no, "%d refunds for %d wishes", n, len(j.wishes[no]))
		}
	}
	for _, r := range held {
		done[r.Refund] = r.State == payflow.RefundStateSuccess
		switch there := known[r.Refund]; {
		case there.Refund == "":
			j.breach("I2", r.No, "WeChat Pay holds the refund %s, and the journal does not know that number", r.Refund)
		case there.Minor != r.Minor:
			j.breach("I2", r.No, "the refund %s gave %d back, and the journal says %d", r.Refund, r.Minor, there.Minor)
		case there.Status == payflow.RefundRefused:
			j.breach("I4", r.No, "the refund %s is called refused, and WeChat Pay says %s", r.Refund, r.State)
		}
	}
	for _, r := range disk {
		if r.Status == payflow.RefundDone && !done[r.Refund] {
			j.breach("I4", r.No, "the refund %s is called done, and the money is not back", r.Refund)
		}
		if j.script.Heal != 0 && !r.Status.Final() && !r.Attention {
			j.breach("L4", r.No, "the refund %s is %s at the end", r.Refund, r.Status)
		}
	}
}

// What becomes of a wish for a refund, beside wishedRefund, which is that it was taken: unheard of so far, and refused.
const (
	unheardRefund = "refund, unheard"
	refusedRefund = "refund, refused"
)

// wishHeard keeps which refunds were wished for: the same key is the same refund.
func (j *worldJudge) wishHeard(l *worldLine) {
	wishes := j.wishes[l.No]
	if wishes == nil {
		wishes = map[string]payflow.OutRefundNo{}
		j.wishes[l.No] = wishes
	}
	before, known := wishes[l.Key]
	switch {
	case l.Text == unheardRefund && !known:
		wishes[l.Key] = ""
	case l.Text == refusedRefund && before == "":
		delete(wishes, l.Key)
	case l.Text == wishedRefund:
		if before != "" && before != l.Refund {
			j.breach("I2", l.No, "the wish %s is refund %s, and was %s", l.Key, l.Refund, before)
		}
		wishes[l.Key] = l.Refund
	}
}

// refundSent is I1 and I12 for refunds.
func (j *worldJudge) refundSent(l *worldLine) {
	if j.failed[l.Boot] {
		j.breach("I12", l.No, "%s was sent after a commit failed", l.Ask)
	}
	if l.Ask != refundCall {
		return
	}
	for _, r := range l.Refunds {
		if r.Refund == l.Refund && r.Minor == l.Net {
			return
		}
	}
	j.breach("I1", l.No, "the refund %s of %d left, and is not on disk", l.Refund, l.Net)
}

// aboutRefund reports a line of a call about a refund.
func (l *worldLine) aboutRefund() bool {
	return strings.HasPrefix(string(l.Ask), string(refundCall))
}
