package wxsim

import (
	"net/http"
	"time"
)

const (
	errnoNoOrder   = 268512771
	errnoOfAnother = 268447845 // the sub merchant does not match the order
)

// query answers how an order stands, by its own number or by WeChat Pay's (Global v3, query order). The caller holds s.mu.
func (s *Sim) query(v *visit) reply {
	if no := checkQuery(v); no != nil {
		return *no
	}
	o := s.find(v)
	if o == nil || o.state == None || !s.knows(v.api, o) {
		return absent(v.key)
	}
	o.settle(time.Now())
	return o.found(http.StatusOK)
}

// find returns the order that a path names, of the caller's own.
func (s *Sim) find(v *visit) *order {
	if v.id == "" {
		return s.orders[v.key]
	}
	if o := s.byID[v.id]; o != nil && o.merchant == v.account.MerchantID {
		return o
	}
	return nil
}

// checkQuery wants the ids of the mode in the query string, each once, and nothing else.
func checkQuery(v *visit) *reply {
	given := v.request.URL.Query()
	rules := idRules(v.account.Mode, false)
	for name := range rules {
		if given.Get(name) == "" {
			return inQuery(wrong("/"+name, "it is required", errnoParam))
		}
	}
	for name, values := range given {
		if _, known := rules[name]; !known || len(values) > 1 {
			return inQuery(wrong("/"+name, "no such parameter in this call, or more than once", errnoExtra))
		}
	}
	return v.account.checkIDs(given.Get("mchid")+given.Get("sp_mchid"), given.Get("sub_mchid"))
}

func inQuery(r *reply) *reply {
	r.trouble.Detail["location"] = "query"
	return r
}
