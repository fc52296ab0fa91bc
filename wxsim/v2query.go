package wxsim

import (
	"net/http"
	"time"
)

// queryV2 answers how an order stands, by WeChat Pay's number or by its own; WeChat Pay's is preferred where both are given
// (API v2, query order).
func (s *Sim) queryV2(v *visit) reply {
	o := s.find(v)
	if o == nil || o.state == None || !s.knows(v.api, o) {
		return noOrder(v.key)
	}
	o.settle(time.Now())
	r := reply{status: http.StatusOK, order: o.orderKey, v2: &v2Answer{}}
	view := o.view()
	state := view["trade_state"].(TradeState)
	if state == Success || state == Refunded {
		r.v2.fields = o.paymentV2(v)
	} else {
		// Of an order that is not paid come the number and attach alone.
		r.v2.fields = append(o.idsV2(view), o.namesV2(view)...)
	}
	r.v2.fields = append(r.v2.fields, textV2("trade_state", string(state)), textV2("trade_state_desc", stateText(o.state)))
	return r
}

// knows reports whether an API knows an order. What one API says of an order that the other one made is not documented.
// Another till's order, and a number that was only spoken of, belong to both.
func (s *Sim) knows(api API, o *order) bool {
	return o.api == "" || o.api == api || s.behaviour.APIsShareOrders
}
