package wxsim

import (
	"maps"
	"net/http"
	"time"
)

const (
	errnoNoOrder   = 268512771
	errnoOfAnother = 268447845 // the sub merchant does not match the order
)

// query answers how an order stands, by its own number or by WeChat Pay's (Global v3, query order). The caller holds s.mu.
func (s *Sim) query(v *visit) reply {
	if no := checkQuery(v, nil); no != nil {
		return *no
	}
	o := s.find(v)
	if o == nil || o.state == None || !s.knows(v.api, o) {
		return noOrder(v.key)
	}
	o.settle(time.Now())
	return o.found(http.StatusOK)
}

// find returns the order that a path or a body names, of the caller's own.
func (s *Sim) find(v *visit) *order {
	if v.id == "" {
		return s.orders[v.key]
	}
	if o := s.byID[v.id]; o != nil && o.merchant == v.account.MerchantID {
		return o
	}
	return nil
}

// checkQuery wants the ids of the mode in the query string and what else the call takes, each once, and nothing more.
func checkQuery(v *visit, more map[string]rule) *reply {
	rules := idRules(v.account.Mode, false)
	maps.Copy(rules, more)
	if no := checkParameters(v, rules); no != nil {
		return no
	}
	given := v.request.URL.Query()
	return v.account.checkIDs(given.Get("mchid")+given.Get("sp_mchid"), given.Get("sub_mchid"))
}

// checkParameters holds a query string against its rules.
func checkParameters(v *visit, rules map[string]rule) *reply {
	given := v.request.URL.Query()
	for name, rule := range rules {
		if rule.must && given.Get(name) == "" {
			return inQuery(wrong("/"+name, "it is required", errnoParam))
		}
	}
	for name, values := range given {
		rule, known := rules[name]
		if !known || len(values) > 1 {
			return inQuery(wrong("/"+name, "no such parameter in this call, or more than once", errnoExtra))
		}
		if no := rule.checkText("/"+name, values[0]); no != nil {
			return inQuery(no)
		}
	}
	return nil
}

func inQuery(r *reply) *reply {
	r.trouble.Detail["location"] = "query"
	return r
}
