package wxsim

import (
	"fmt"
	"net/http"
	"time"
)

const refundPageV2 = 10 // refunds in one answer; offset asks for those behind (API v2, query refund)

// refundV2 takes a refund on (API v2, submit refund). The answer says that much and no more. Rules and refunds are v3's. An odd
// answer of a scenario's is an odd answer here too.
func (s *Sim) refundV2(v *visit) reply {
	q := v.v2
	o := s.find(v)
	if o == nil || o.state == None || !s.knows(v.api, o) {
		if v.id != "" {
			return refusal(http.StatusBadRequest, "INVALID_TRANSACTIONID", "transaction_id: there is no such order", 0)
		}
		return noOrder(v.key)
	}
	r, no := s.refund(o, refundWish{number: v.refundNumber, amount: v.total, total: q.number("total_fee"), currency: orElse(q.fields["refund_fee_type"], "CNY"),
		reason: q.fields["refund_desc"], source: q.fields["refund_account"], notify: q.fields["notify_url"]})
	if r != nil {
		r.compose = (*Sim).noticeOfRefundV2
	}
	if no != nil {
		answer := no.reply()
		answer.order = o.orderKey
		return answer
	}
	return reply{status: http.StatusOK, order: o.orderKey, v2: &v2Answer{fields: append(o.refundHeadV2(),
		textV2("out_refund_no", r.number), textV2("refund_id", r.id), numberV2("refund_fee", r.amount), numberV2("settlement_refund_fee", r.amount),
		textV2("refund_fee_type", r.currency), numberV2("cash_refund_fee", o.payerShare(r.amount)), textV2("cash_refund_fee_type", payerCurrency),
		numberV2("coupon_refund_fee", 0), numberV2("coupon_refund_count", 0))}}
}

// refundHeadV2 is what refund and query refund say of the order.
func (o *order) refundHeadV2() []v2Field {
	return []v2Field{textV2("transaction_id", o.id), textV2("out_trade_no", o.number), numberV2("total_fee", o.total),
		numberV2("settlement_total_fee", o.total), textV2("fee_type", o.currency), numberV2("cash_fee", o.payerShare(o.total)),
		textV2("cash_fee_type", payerCurrency)}
}

// refundQueryV2 tells of a refund, or of an order's refunds from offset on, ten at most (API v2, query refund). Of several numbers
// the first counts: refund_id, out_refund_no, transaction_id, out_trade_no. The pages number the fields from 0; that an answer from an
// offset begins at 0 again is how we read them.
func (s *Sim) refundQueryV2(v *visit) reply {
	if v.refundID != "" || v.refundNumber != "" {
		r := s.findRefund(v)
		if r == nil || !s.knows(v.api, r.order) {
			return noRefund(v.key)
		}
		r.order.settle(time.Now())
		return refundsAnswerV2(r.order, []*refund{r}, len(r.order.refunded))
	}
	o := s.find(v)
	if o == nil || o.state == None || !s.knows(v.api, o) {
		return noRefund(v.key)
	}
	o.settle(time.Now())
	from := int(v.v2.number("offset"))
	if from >= len(o.refunded) {
		return noRefund(v.key)
	}
	return refundsAnswerV2(o, o.refunded[from:min(from+refundPageV2, len(o.refunded))], len(o.refunded))
}

func refundsAnswerV2(o *order, some []*refund, all int) reply {
	fields := append(o.refundHeadV2(), numberV2("total_refund_count", int64(all)), numberV2("refund_count", int64(len(some))))
	for i, r := range some {
		fields = append(fields, r.fieldsV2(fmt.Sprint("_", i))...)
	}
	return reply{status: http.StatusOK, order: o.orderKey, v2: &v2Answer{fields: fields}}
}

// fieldsV2 is one of the refunds of an answer. The receiving account is spelled as the pages spell it.
func (r *refund) fieldsV2(n string) []v2Field {
	fields := []v2Field{textV2("out_refund_no"+n, r.number), textV2("refund_id"+n, r.id), textV2("refund_channel"+n, "ORIGINAL"),
		numberV2("refund_fee"+n, r.amount), numberV2("settlement_refund_fee"+n, r.amount), textV2("refund_status"+n, statusV2(r.state)),
		textV2("refund_account"+n, r.source), textV2("refund_recv_accout"+n, recvAccount)}
	if r.state == RefundSuccess {
		fields = append(fields, textV2("refund_success_time"+n, chinaTime(r.ended).Format(statementTime)))
	}
	return fields
}

// statusV2 is the state in API v2's words: what v3 calls abnormal is CHANGE.
func statusV2(state RefundState) string {
	if state == RefundAbnormal {
		return "CHANGE"
	}
	return string(state)
}
