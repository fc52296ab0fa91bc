package wxsim

import (
	"net/http"
	"regexp"
)

// API is one of WeChat Pay's two interfaces. They know the same orders.
type API string

// The two. An order remembers the one that made it.
const (
	V3 API = "v3" // Global, JSON
	V2 API = "v2" // XML
)

// The calls that API v2 alone has.
const (
	Bill   Call = "bill"   // download bill
	OpenID Call = "openid" // code to openid
)

// v2Paths are API v2's calls (API v2, transport).
var v2Paths = map[string]Call{
	"/pay/micropay":           Pay,
	"/pay/orderquery":         Query,
	"/secapi/pay/reverse":     Reverse,
	"/secapi/pay/refund":      Refund,
	"/pay/refundquery":        RefundQuery,
	"/pay/downloadbill":       Bill,
	"/tools/authcodetoopenid": OpenID,
}

// v2Request is what a request of API v2 says.
type v2Request struct {
	fields map[string]string // nil: it cannot be read
	err    error             // why
}

// isV2 takes a request for one of API v2's paths, whatever its method.
func (v *visit) isV2() bool {
	call, found := v2Paths[v.request.URL.Path]
	if found {
		v.call, v.api, v.v2 = call, V2, &v2Request{}
	}
	return found
}

var numberInXML = regexp.MustCompile(`<out_trade_no>(?:<!\[CDATA\[)?([^<\]]{1,64})`)

// learnV2 reads what can be read of a request's body, whole or not: API v2 names order and merchant there.
func (v *visit) learnV2() {
	q := v.v2
	q.fields, q.err = readXML(v.body, "xml")
	if q.err == nil {
		v.merchant, v.number, v.id = q.fields["mch_id"], q.fields["out_trade_no"], q.fields["transaction_id"]
		v.code, v.total = q.fields["auth_code"], q.number("total_fee")
		v.refundID, v.refundNumber = q.fields["refund_id"], q.fields["out_refund_no"]
		switch {
		case v.call == Refund:
			v.total = q.number("refund_fee")
		case v.refundID != "":
			v.refundNumber = "" // the first of the numbers counts
		}
		return
	}
	if found := numberInXML.FindSubmatch(v.body); found != nil {
		v.number = string(found[1])
	}
}

// carryOutV2 checks a request as WeChat Pay does, and does what it asks. The caller holds s.mu.
func (s *Sim) carryOutV2(v *visit) reply {
	if no := s.admitV2(v); no != nil {
		return *no
	}
	switch v.call {
	case Pay:
		return s.payV2(v)
	case Query:
		return s.queryV2(v)
	case Reverse:
		return s.reverseV2(v)
	case Refund:
		return s.refundV2(v)
	case RefundQuery:
		return s.refundQueryV2(v)
	case Bill:
		return s.billV2(v)
	}
	return s.openIDV2(v)
}

// admitV2 holds what every request must be: POST, with the client certificate where the call wants one, not empty, a flat
// XML message with the fields of its page, signed, and with the ids of the merchant that signed it.
func (s *Sim) admitV2(v *visit) *reply {
	if v.request.Method != http.MethodPost {
		return malformed("REQUIRE_POST_METHOD", "use POST")
	}
	if no := s.checkCertificate(v); no != nil {
		return no
	}
	if no := v.checkFormV2(); no != nil {
		return no
	}
	fields := v.v2.fields
	caller := s.accounts[fields["mch_id"]]
	if caller == nil {
		return malformed("MCHID_NOT_EXIST", "mch_id: there is no such merchant")
	}
	if no := checkFieldsV2(v.call, fields, rulesV2(v.call, caller.Mode)); no != nil {
		return no
	}
	if !v.v2.signedBy(caller.APIv2Key) {
		return malformed("SIGNERROR", "the sign is not that of the fields under the API key")
	}
	v.account = caller
	if no := s.checkHolder(v); no != nil {
		return no
	}
	return caller.checkIDsV2(fields)
}

// checkFormV2 holds the shape of a request.
func (v *visit) checkFormV2() *reply {
	switch {
	case len(v.body) == 0:
		return malformed("POST_DATA_EMPTY", "the body is empty")
	case v.v2.err == errNotUTF8:
		return malformed("NOT_UTF8", "use UTF-8")
	case v.v2.err != nil:
		return malformed("XML_FORMAT_ERROR", "the body is not <xml> with one element for each field")
	case v.v2.fields["mch_id"] == "":
		return malformed("LACK_PARAMS", "mch_id: it is required")
	}
	return nil
}

// checkIDsV2 holds the ids against the caller's.
func (a *account) checkIDsV2(fields map[string]string) *reply {
	sub := fields["sub_mch_id"]
	var no reply
	switch {
	case fields["appid"] != a.AppID:
		no = refusal(http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", "appid and mch_id do not match", errnoAppID)
	case a.Mode == Institution && sub == a.MerchantID:
		no = refusal(http.StatusBadRequest, "PARAM_ERROR", "sub_mch_id equals the own mch_id", errnoParam)
	case sub != a.SubMerchantID:
		no = refusal(http.StatusForbidden, "NO_AUTH", "there is no relation between mch_id and sub_mch_id", errnoNoPair)
	default:
		return nil
	}
	return &no
}
