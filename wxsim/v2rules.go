package wxsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
)

// rulesV2 returns what the page of a call says of its fields: which must be there, and how long they may be. Lengths count bytes.
// The rules of schema.go serve here too: a whole number is a text of digits.
func rulesV2(call Call, mode Mode) map[string]rule {
	rules := map[string]rule{"appid": must(texts(32)), "mch_id": must(texts(32)), "nonce_str": must(texts(32)), "sign": must(texts(64)),
		"sign_type": like(texts(32), signTypes)}
	if mode == Institution {
		rules["sub_mch_id"], rules["sub_appid"] = must(texts(32)), texts(32)
	}
	maps.Copy(rules, ownRulesV2[call])
	return rules
}

// The forms of texts. What both APIs ask for is in schema.go.
var (
	signTypes  = regexp.MustCompile(`^(MD5|HMAC-SHA256)$`)
	versionV2  = regexp.MustCompile(`^1\.0$`)
	minuteTime = regexp.MustCompile(`^[0-9]{14}$`) // yyyyMMddHHmmss
	billDay    = regexp.MustCompile(`^[0-9]{8}$`)
	billTypes  = regexp.MustCompile(`^(ALL|SUCCESS|REFUND|RECHARGE_REFUND)$`)
	packed     = regexp.MustCompile(`^GZIP$`)
)

// ownRulesV2 are a call's own fields (API v2: Quick Pay, query order, reverse, refund, query refund, download bill, code to openid).
var ownRulesV2 = map[Call]map[string]rule{
	Pay: {
		"version": like(texts(32), versionV2), "device_info": texts(32), "body": must(texts(127)), "detail": texts(6000), "attach": texts(127),
		"out_trade_no": must(like(texts(32), orderNumber)), "total_fee": must(rule{kind: whole, min: 1}), "fee_type": like(texts(16), currency),
		"spbill_create_ip": must(texts(64)), "goods_tag": texts(32), "limit_pay": like(texts(32), noCredit),
		"time_start": like(texts(14), minuteTime), "time_expire": like(texts(14), minuteTime), "auth_code": must(texts(128)), "scene_info": texts(256),
	},
	Query:   {"version": like(texts(32), versionV2), "transaction_id": texts(32), "out_trade_no": like(texts(32), orderNumber)},
	Reverse: {"version": like(texts(32), versionV2), "transaction_id": texts(32), "out_trade_no": like(texts(32), orderNumber)},
	Refund: {
		"transaction_id": texts(32), "out_trade_no": like(texts(32), orderNumber), "out_refund_no": must(like(texts(64), refundNumber)),
		"total_fee": must(rule{kind: whole, min: 1}), "refund_fee": must(rule{kind: whole, min: 1}), "refund_fee_type": like(texts(16), currency),
		"refund_desc": texts(80), "refund_account": like(texts(30), refundSource), "notify_url": like(texts(256), notifyURLPlain),
	},
	RefundQuery: {"transaction_id": texts(32), "out_trade_no": like(texts(32), orderNumber), "out_refund_no": like(texts(64), refundNumber),
		"refund_id": texts(32), "offset": {kind: whole}},
	Bill: {"device_info": texts(32), "bill_date": must(like(texts(8), billDay)), "bill_type": like(texts(16), billTypes),
		"tar_type": like(texts(8), packed)},
	OpenID: {"auth_code": must(texts(128))},
}

// oneOfV2 are names of which a call must carry one.
var oneOfV2 = map[Call][]string{
	Query:       {"transaction_id", "out_trade_no"},
	Reverse:     {"transaction_id", "out_trade_no"},
	Refund:      {"transaction_id", "out_trade_no"},
	RefundQuery: {"refund_id", "out_refund_no", "transaction_id", "out_trade_no"},
}

// checkFieldsV2 holds a request's fields against the rules. An empty value is no value. It never repeats a value: it may be a payment code.
func checkFieldsV2(call Call, fields map[string]string, rules map[string]rule) *reply {
	names := slices.Sorted(maps.Keys(fields))
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		if rules[name].must && fields[name] == "" {
			return malformed("LACK_PARAMS", name+": it is required")
		}
	}
	if any := oneOfV2[call]; any != nil && !slices.ContainsFunc(any, func(name string) bool { return fields[name] != "" }) {
		return malformed("LACK_PARAMS", fmt.Sprintf("one of %v is required", any))
	}
	for _, name := range names {
		r, known := rules[name]
		if !known {
			return malformed("PARAM_ERROR", name+": no such parameter in this call")
		}
		if issue := r.issueV2(fields[name]); fields[name] != "" && issue != "" {
			return malformed("PARAM_ERROR", name+": "+issue)
		}
	}
	return checkTextsV2(fields)
}

// checkTextsV2 holds what a length does not say: JSON where the page wants it, and an address.
func checkTextsV2(fields map[string]string) *reply {
	for _, name := range []string{"detail", "scene_info"} {
		if text := fields[name]; text != "" && !json.Valid([]byte(text)) {
			return malformed("PARAM_ERROR", name+": it is no JSON")
		}
	}
	if ip := fields["spbill_create_ip"]; ip != "" && net.ParseIP(ip) == nil {
		return malformed("PARAM_ERROR", "spbill_create_ip: it is no address")
	}
	return nil
}

// issueV2 says what is wrong with a value, or "".
func (r rule) issueV2(value string) string {
	if r.kind == whole {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < r.min || strconv.FormatInt(n, 10) != value {
			return fmt.Sprintf("it must be a whole number of at least %d", r.min)
		}
		return ""
	}
	if no := r.checkText("", value); no != nil {
		return no.trouble.Detail["issue"].(string)
	}
	return ""
}
