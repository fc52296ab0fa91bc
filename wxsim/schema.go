package wxsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
)

// rule is what the documents say of one member of a body. Lengths count bytes: the documents do not say bytes or
// characters, and a text that fits in bytes fits in both.
type rule struct {
	kind     kind
	must     bool
	min, max int64 // of a text's bytes, or of a whole number; max 0: no limit
	like     *regexp.Regexp
	members  map[string]rule // of an object
	items    *rule           // of a list
}

type kind string

const (
	text   kind = "string"
	whole  kind = "integer"
	object kind = "object"
	list   kind = "array"
)

func must(r rule) rule                      { r.must = true; return r }
func texts(max int64) rule                  { return rule{kind: text, min: 1, max: max} }
func objects(m map[string]rule) rule        { return rule{kind: object, members: m} }
func like(r rule, form *regexp.Regexp) rule { r.like = form; return r }

// The forms that texts must have.
var (
	// The currencies that the Global documents list.
	currency = regexp.MustCompile(`^(CNY|HKD|GBP|USD|JPY|CAD|AUD|EUR|NZD|KRW|THB|SGD|RUB|CHF|SEK|DKK|NOK|AED|TRY|MOP|TWD|CZK|MYR|PHP|IDR|MNT|QAR|HUF|KHR|ISK)$`)
	// What an order number may be made of (order numbers, terms): 1 to 32 of letters, digits and _ - | *.
	orderNumber = regexp.MustCompile(`^[0-9A-Za-z_\-|*]{1,32}$`)
	micropay    = regexp.MustCompile(`^MICROPAY$`)
	noCredit    = regexp.MustCompile(`^no_credit$`)
	category    = regexp.MustCompile(`^[0-9]{4}$`) // from the Global list; the three-digit business codes belong to v2
)

// payRules is the pay call's body (Quick Pay, submit payment), with the ids of a mode.
func payRules(mode Mode) map[string]rule {
	rules := map[string]rule{
		"description":            must(texts(127)),
		"attach":                 texts(127),
		"out_trade_no":           must(like(texts(32), orderNumber)),
		"goods_tag":              texts(32),
		"trade_type":             must(like(texts(16), micropay)),
		"limit_pay":              like(texts(32), noCredit),
		"merchant_category_code": must(like(texts(16), category)),
		"payer":                  must(objects(map[string]rule{"auth_code": must(texts(128))})),
		"amount": must(objects(map[string]rule{"total": must(rule{kind: whole, min: 1}),
			"currency": must(like(texts(16), currency))})),
		"scene_info": objects(map[string]rule{"device_id": texts(32), "device_ip": texts(45), "payer_client_ip": texts(45), "operator_id": texts(32),
			"store_info": objects(map[string]rule{"id": texts(32), "name": must(texts(256)), "address": must(texts(512))})}),
		"detail": objects(map[string]rule{"cost_price": {kind: whole}, "receipt_id": texts(32), "goods_detail": {kind: list, items: &goodsRule}}),
	}
	for name, id := range idRules(mode, true) {
		rules[name] = id
	}
	return rules
}

var goodsRule = objects(map[string]rule{"goods_id": must(texts(32)), "wxpay_goods_id": texts(32), "goods_name": texts(256),
	"quantity": must(rule{kind: whole, min: 1}), "price": must(rule{kind: whole})})

// idRules is one set of ids (modes: send exactly one set). Pay names the app too, reverse and query do not.
func idRules(mode Mode, withApp bool) map[string]rule {
	rules := map[string]rule{}
	if mode == Direct {
		rules["mchid"] = must(texts(32))
		if withApp {
			rules["appid"] = must(texts(32))
		}
		return rules
	}
	rules["sp_mchid"], rules["sub_mchid"] = must(texts(32)), must(texts(32))
	if withApp {
		rules["sp_appid"], rules["sub_appid"] = must(texts(32)), texts(32)
	}
	return rules
}

// checkBody decodes a body and holds it against its rules. It returns the members, or the refusal.
func checkBody(body []byte, rules map[string]rule) (map[string]any, *reply) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var members map[string]any
	if err := decoder.Decode(&members); err != nil || members == nil {
		return nil, wrong("", "the body is no JSON object", errnoParam)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, wrong("", "something follows the JSON object", errnoParam)
	}
	return members, objects(rules).check("", members)
}

func (r rule) check(at string, value any) *reply {
	switch value := value.(type) {
	case string:
		return r.checkText(at, value)
	case json.Number:
		return r.checkNumber(at, value)
	case map[string]any:
		return r.checkObject(at, value)
	case []any:
		return r.checkList(at, value)
	}
	return wrong(at, fmt.Sprintf("%v is not allowed here", value), errnoParam) // null, true, false
}

func (r rule) checkText(at, value string) *reply {
	switch {
	case r.kind != text:
		return wrong(at, "it must be of type "+string(r.kind), errnoParam)
	case int64(len(value)) < r.min || int64(len(value)) > r.max:
		return wrong(at, fmt.Sprintf("it has %d bytes, and may have %d to %d", len(value), r.min, r.max), errnoParam)
	case hasLongCharacter(value):
		return wrong(at, "it has a character of 4 bytes", errnoParam)
	case r.like != nil && !r.like.MatchString(value):
		return wrong(at, "it has not the form that it must have", errnoParam)
	}
	return nil
}

// hasLongCharacter finds what basic rules forbid: characters of 4 bytes in UTF-8.
func hasLongCharacter(value string) bool {
	return slices.ContainsFunc([]rune(value), func(c rune) bool { return c > 0xffff })
}

func (r rule) checkNumber(at string, value json.Number) *reply {
	n, err := strconv.ParseInt(value.String(), 10, 64)
	if r.kind != whole || err != nil {
		return wrong(at, "it must be of type "+string(r.kind), errnoParam)
	}
	if n < r.min {
		return wrong(at, fmt.Sprintf("it must be at least %d", r.min), errnoParam)
	}
	return nil
}

func (r rule) checkObject(at string, value map[string]any) *reply {
	if r.kind != object {
		return wrong(at, "it must be of type "+string(r.kind), errnoParam)
	}
	for name, member := range r.members {
		if _, there := value[name]; member.must && !there {
			return wrong(at+"/"+name, "it is required", errnoParam)
		}
	}
	for name, member := range value {
		known, there := r.members[name]
		if !there {
			return wrong(at+"/"+name, "no such parameter in this call", errnoExtra)
		}
		if no := known.check(at+"/"+name, member); no != nil {
			return no
		}
	}
	return nil
}

func (r rule) checkList(at string, value []any) *reply {
	if r.kind != list {
		return wrong(at, "it must be of type "+string(r.kind), errnoParam)
	}
	for i, item := range value {
		if no := r.items.check(at+"/"+strconv.Itoa(i), item); no != nil {
			return no
		}
	}
	return nil
}

// wrong is 400 PARAM_ERROR about the member at a JSON pointer. It never repeats the value: it may be a payment code.
func wrong(at, issue string, number int) *reply {
	r := refusal(http.StatusBadRequest, "PARAM_ERROR", orElse(at, "body")+": "+issue, number).about(at, issue, "body")
	return &r
}
