package wxsim

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// v2Answer is what an answer of API v2 has beside that of v3.
type v2Answer struct {
	fields []v2Field // behind those of every answer
	denied bool      // return_code FAIL: nothing else is in it, no sign
	extra  bool      // it carries a field that no page lists
}

func (q *v2Request) number(name string) int64 {
	n, _ := strconv.ParseInt(q.fields[name], 10, 64)
	return n
}

// malformed is return_code FAIL: the request was not understood, or not believed (API v2, return_msg: signature failed, parameter
// format check error). It carries neither sign nor err_code; the code stands at the head of return_msg. The tables of errors list
// the same codes as err_code; Behaviour.FormErrorsInResult answers so.
func malformed(code, message string) *reply {
	r := refusal(http.StatusOK, code, message, 0)
	r.v2 = &v2Answer{denied: true}
	return &r
}

// v2Codes are the codes that API v2 spells its own way; the others it shares with v3, or no page of v2 has them.
var v2Codes = map[string]string{"NOT_ENOUGH": "NOTENOUGH", "AUTH_CODE_EXPIRE": "AUTHCODEEXPIRE", "NOT_SUPORT_CARD": "NOTSUPORTCARD",
	"RULE_LIMIT": "RULELIMIT", "SYSTEM_ERROR": "SYSTEMERROR", "BANK_ERROR": "BANKERROR", "USER_PAYING": "USERPAYING", "ORDER_PAID": "ORDERPAID",
	"ORDER_CLOSED": "ORDERCLOSED", "ORDER_REVERSED": "ORDERREVERSED", "ORDER_NOT_EXIST": "ORDERNOTEXIST", "NO_AUTH": "NOAUTH", "SIGN_ERROR": "SIGNERROR",
	"MCH_NOT_EXISTS": "MCHID_NOT_EXIST", "RESOURCE_NOT_EXISTS": "REFUNDNOTEXIST"}

// inV2 says in API v2's words what WeChat Pay has to say: every answer has status 200, but for pages and redirects, and an error is
// result_code FAIL with err_code. A service that is not there is return_code FAIL: threads show that for faults of the gateway.
// The caller holds s.mu.
func (s *Sim) inV2(v *visit, r reply) reply {
	if r.v2 == nil {
		r.v2 = &v2Answer{}
	}
	answer := *r.v2
	if r.trouble != nil {
		spelled := *r.trouble
		spelled.Code = orElse(v2Codes[spelled.Code], spelled.Code)
		answer.denied = answer.denied && !(s.behaviour.FormErrorsInResult && v.call != Bill) || r.status >= http.StatusBadGateway ||
			r.status == http.StatusRequestEntityTooLarge
		r.trouble, r.status = &spelled, http.StatusOK
		r.bare = r.bare || s.behaviour.ErrorsUnsigned || answer.denied
		if !answer.denied {
			answer.fields = append(answer.fields, again(v, spelled.Code, answer.fields)...)
		}
	}
	if every := s.behaviour.ExtraEvery; every > 0 && len(r.body) == 0 {
		s.answersV2++
		answer.extra = s.answersV2%every == 0
	}
	r.v2 = &answer
	return r
}

// again is recall Y where a fault stands for the answer to a reverse: call again (API v2, reverse).
func again(v *visit, code string, given []v2Field) []v2Field {
	if v.call != Reverse || slices.ContainsFunc(given, func(f v2Field) bool { return f.name == "recall" }) {
		return nil
	}
	return []v2Field{recall(code == "SYSTEMERROR")}
}

// sendV2 writes and signs an answer, and lets the fault spoil it.
func (s *Sim) sendV2(v *visit, r reply, b Behaviour, now time.Time) reply {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set("Date", now.UTC().Format(http.TimeFormat))
	if len(r.body) == 0 && r.status == http.StatusOK {
		r.header.Set("Content-Type", "text/xml; charset=utf-8")
		r.body = s.wordV2(v, r, b)
	}
	return v.fault.spoilV2(r, now)
}

// wordV2 is the body of an answer: return_code, return_msg, and unless they say FAIL the ids, nonce_str, result_code, err_code and the
// fields of the call, all of them signed with the sign type of the request.
func (s *Sim) wordV2(v *visit, r reply, b Behaviour) []byte {
	caller := s.accounts[v.v2.fields["mch_id"]]
	if r.v2.denied || caller == nil {
		denial := []v2Field{textV2("return_code", "FAIL"), textV2("return_msg", strings.TrimSpace(r.trouble.Code+" "+r.trouble.Message))}
		return writeXML("xml", append(denial, r.v2.fields...), !b.NoCDATA)
	}
	fields := []v2Field{textV2("return_code", "SUCCESS"), textV2("return_msg", "OK")}
	for _, name := range []string{"appid", "mch_id", "sub_appid", "sub_mch_id", "device_info"} {
		if value := v.v2.fields[name]; value != "" && !has(r.v2.fields, name) {
			fields = append(fields, textV2(name, value))
		}
	}
	fields = append(fields, textV2("nonce_str", randomText(32)))
	if r.trouble == nil {
		fields = append(fields, textV2("result_code", "SUCCESS"))
	} else {
		fields = append(fields, textV2("result_code", "FAIL"), textV2("err_code", r.trouble.Code), textV2("err_code_des", r.trouble.Message))
	}
	fields = append(fields, r.v2.fields...)
	if r.v2.extra {
		fields = append(fields, textV2("a_field_of_tomorrow", "1 < 2 & 3"))
	}
	if !r.bare && !v.fault.is(Unsigned) {
		fields = append(fields, textV2("sign", v.fault.signV2(fields, caller.APIv2Key, v.v2.signType())))
	}
	if v.fault.is(DuplicateHeaders) {
		fields = append(fields, fields[len(fields)-1])
	}
	return writeXML("xml", fields, !b.NoCDATA)
}

func has(fields []v2Field, name string) bool {
	return slices.ContainsFunc(fields, func(f v2Field) bool { return f.name == name })
}

// signV2 signs an answer, or as somebody else would. API v2 has no serial numbers: a signature under an unknown one is a forged one.
func (f *Fault) signV2(fields []v2Field, key, signType string) string {
	all := map[string]string{}
	for _, field := range fields {
		all[field.name] = field.value
	}
	switch {
	case f.is(Forged, UnknownSerial):
		key = randomText(apiv2KeyBytes)
	case f.is(Probe):
		return "WECHATPAY/SIGNTEST/" + signV2(all, key, signType)
	}
	return signV2(all, key, signType)
}

// spoilV2 changes what has been written. Stale and Rollover have no counterpart: an answer of API v2 has no time, and no certificate.
func (f *Fault) spoilV2(r reply, now time.Time) reply {
	switch {
	case f.is(Oversized):
		r.body = slices.Concat(r.body, bytes.Repeat([]byte(" "), oversize))
	case f.is(TrailingJSON):
		r.body = slices.Concat(r.body, []byte("<xml></xml>"))
	case f.is(WrongDate):
		r.header.Set("Date", now.Add(orElse(f.Delay, time.Hour)).UTC().Format(http.TimeFormat))
	case f.is(Truncated):
		r.cut = true
	case f.is(Gzip):
		r.body = squeeze(r.body)
		r.header.Set("Content-Encoding", "gzip")
	}
	return r
}
