package wxsim

import "net/http"

// reverseV2 takes an order back, by the rules of v3's reverse (API v2, reverse). Its answer has recall: Y asks to call again,
// N says that it is of no use, or done.
func (s *Sim) reverseV2(v *visit) reply {
	o := s.find(v)
	switch {
	case o == nil && v.id != "":
		return recalled(refusal(http.StatusBadRequest, "INVALID_TRANSACTIONID", "transaction_id: there is no such order", 0), false)
	case o == nil:
		o = s.order(v.key)
	case o.state != None && !s.knows(v.api, o):
		return recalled(noOrder(o.orderKey), false)
	}
	if no := s.checkReverseTime(o, v); no != nil {
		return recalled(*no, true)
	}
	r := s.reverseOrder(o)
	if r.trouble == nil {
		r = reply{status: http.StatusOK, order: r.order}
	}
	return recalled(r, r.trouble != nil && r.trouble.Code == "TRADE_ERROR")
}

func recalled(r reply, again bool) reply {
	r.v2 = &v2Answer{fields: []v2Field{recall(again)}}
	return r
}

func recall(again bool) v2Field {
	if again {
		return textV2("recall", "Y")
	}
	return textV2("recall", "N")
}
