package wxsim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// API v2, error codes of Quick Pay; return_msg: "signature failed, parameter format check error".
func TestARequestThatIsNotUnderstoodIsDenied(t *testing.T) {
	rows := map[string]struct {
		want  string
		edit  func(f map[string]string)
		spoil func(body string) string
	}{
		"no sign":             {"DENIED LACK_PARAMS", func(f map[string]string) { f["sign"] = "" }, nil},
		"a wrong sign":        {"DENIED SIGNERROR", func(f map[string]string) { f["sign"] = strings.Repeat("0", 32) }, nil},
		"an altered amount":   {"DENIED SIGNERROR", nil, func(b string) string { return strings.ReplaceAll(b, "[1250]", "[1]") }},
		"no nonce":            {"DENIED LACK_PARAMS", func(f map[string]string) { f["nonce_str"] = "" }, nil},
		"a long nonce":        {"DENIED PARAM_ERROR", func(f map[string]string) { f["nonce_str"] = strings.Repeat("n", 33) }, nil},
		"an odd sign type":    {"DENIED PARAM_ERROR", func(f map[string]string) { f["sign_type"] = "SHA1" }, nil},
		"no merchant":         {"DENIED LACK_PARAMS", func(f map[string]string) { f["mch_id"] = "" }, nil},
		"a stranger":          {"DENIED MCHID_NOT_EXIST", func(f map[string]string) { f["mch_id"] = "10000199" }, nil},
		"no shop":             {"DENIED LACK_PARAMS", func(f map[string]string) { f["sub_mch_id"] = "" }, nil},
		"a stranger's shop":   {"FAIL NOAUTH", func(f map[string]string) { f["sub_mch_id"] = "20000199" }, nil},
		"the own as a shop":   {"FAIL PARAM_ERROR", func(f map[string]string) { f["sub_mch_id"] = "10000100" }, nil},
		"another app":         {"FAIL APPID_MCHID_NOT_MATCH", func(f map[string]string) { f["appid"] = "wx0000000000000000" }, nil},
		"an unknown field":    {"DENIED PARAM_ERROR", func(f map[string]string) { f["out_trade_number"] = "A1" }, nil},
		"a nested element":    {"DENIED XML_FORMAT_ERROR", nil, func(b string) string { return strings.Replace(b, "</xml>", "<z><y>1</y></z></xml>", 1) }},
		"a field twice":       {"DENIED XML_FORMAT_ERROR", nil, func(b string) string { return strings.Replace(b, "</xml>", "<body>x</body></xml>", 1) }},
		"a DOCTYPE":           {"DENIED XML_FORMAT_ERROR", nil, func(b string) string { return "<!DOCTYPE xml>" + b }},
		"no XML":              {"DENIED XML_FORMAT_ERROR", nil, func(b string) string { return "a=1&b=2" }},
		"not UTF-8":           {"DENIED NOT_UTF8", nil, func(b string) string { return strings.Replace(b, "QQ", "\xff", 1) }},
		"nothing":             {"DENIED POST_DATA_EMPTY", nil, func(b string) string { return "" }},
		"2 MiB":               {"DENIED PARAM_ERROR", nil, func(b string) string { return strings.Repeat(b, 2<<20/len(b)) }},
		"no number":           {"DENIED LACK_PARAMS", func(f map[string]string) { f["out_trade_no"] = "" }, nil},
		"a long number":       {"DENIED PARAM_ERROR", func(f map[string]string) { f["out_trade_no"] = strings.Repeat("A", 33) }, nil},
		"no goods":            {"DENIED LACK_PARAMS", func(f map[string]string) { f["body"] = "" }, nil},
		"long goods":          {"DENIED PARAM_ERROR", func(f map[string]string) { f["body"] = strings.Repeat("b", 128) }, nil},
		"a long attach":       {"DENIED PARAM_ERROR", func(f map[string]string) { f["attach"] = strings.Repeat("a", 128) }, nil},
		"no code":             {"DENIED LACK_PARAMS", func(f map[string]string) { f["auth_code"] = "" }, nil},
		"no address":          {"DENIED LACK_PARAMS", func(f map[string]string) { f["spbill_create_ip"] = "" }, nil},
		"an odd address":      {"DENIED PARAM_ERROR", func(f map[string]string) { f["spbill_create_ip"] = "till-1" }, nil},
		"an amount of 0":      {"DENIED PARAM_ERROR", func(f map[string]string) { f["total_fee"] = "0" }, nil},
		"an amount of 12.50":  {"DENIED PARAM_ERROR", func(f map[string]string) { f["total_fee"] = "12.50" }, nil},
		"an amount of 01250":  {"DENIED PARAM_ERROR", func(f map[string]string) { f["total_fee"] = "01250" }, nil},
		"an odd currency":     {"DENIED PARAM_ERROR", func(f map[string]string) { f["fee_type"] = "XXX" }, nil},
		"detail is no JSON":   {"DENIED PARAM_ERROR", func(f map[string]string) { f["detail"] = "{" }, nil},
		"an odd version":      {"DENIED PARAM_ERROR", func(f map[string]string) { f["version"] = "2.0" }, nil},
		"an odd limit_pay":    {"DENIED PARAM_ERROR", func(f map[string]string) { f["limit_pay"] = "no_debit" }, nil},
		"half a time":         {"DENIED PARAM_ERROR", func(f map[string]string) { f["time_expire"] = "20250101" }, nil},
		"everything is there": {"SUCCESS", allOfMicropay, nil},
	}
	for name, row := range rows {
		townV2(t, Config{}, func(t *testing.T, c *tillV2) {
			c.edit, c.spoil = row.edit, row.spoil
			a, err := c.pay2("A1", realCode)
			got := strings.TrimSuffix(wordOf(a, err), "?")
			assert.Equal(t, row.want, got, name)
			assert.NotContains(t, a.body, realCode, "a payment code is never repeated: %s", name)
			if strings.HasPrefix(row.want, "DENIED") {
				assert.Equal(t, []string{"return_code", "return_msg"}, names(a.f), "return_code FAIL has no sign and no result: %s", name)
				assert.Equal(t, 200, a.status)
				assert.Equal(t, None, c.state2("A1"), name)
			} else {
				assert.NoError(t, a.trust, "result_code FAIL is signed: %s", name)
			}
		})
	}
}

func allOfMicropay(f map[string]string) {
	for name, value := range map[string]string{"version": "1.0", "device_info": "T1", "detail": `{"goods_detail":[]}`, "goods_tag": "x", "limit_pay": "no_credit",
		"time_start": "20250101000000", "time_expire": "20250101000100", "scene_info": `{"id":"S1"}`, "sub_appid": "wx2421b1c4370ec43c", "body": strings.Repeat("b", 127)} {
		f[name] = value
	}
}

// state2 is what the books say of a number.
func (c *tillV2) state2(number string) TradeState {
	line, _ := c.sim.Books().Order(number)
	return line.State
}

// API Rules, submit mode: use POST.
func TestOnlyPOSTIsTaken(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		a, err := c.post("GET", "/pay/orderquery", "")
		assert.Equal(t, "DENIED REQUIRE_POST_METHOD", wordOf(a, err))
	})
}

// The tables of errors list the codes of form and signature as err_code.
func TestErrorsOfFormCanStandInTheResult(t *testing.T) {
	townV2(t, Config{Behaviour: Behaviour{FormErrorsInResult: true}}, func(t *testing.T, c *tillV2) {
		c.edit = func(f map[string]string) { f["sign"] = strings.Repeat("0", 32) }
		assert.Equal(t, "FAIL SIGNERROR", c.query2("A1").word(), "and it is signed")
		c.edit = func(f map[string]string) { f["mch_id"] = "10000199" }
		assert.Equal(t, "DENIED MCHID_NOT_EXIST", c.query2("A1").word(), "with nobody's key there is no sign")
	})
}

// API Rules: MD5 or HMAC-SHA256; an answer is signed as its request was.
func TestAnAnswerIsSignedAsItsRequestWas(t *testing.T) {
	for signType, length := range map[string]int{"": 32, "MD5": 32, "HMAC-SHA256": 64} {
		townV2(t, Config{}, func(t *testing.T, c *tillV2) {
			c.signType = signType
			a := c.play2("A1", "pays-at-once")
			assert.NoError(t, a.trust)
			assert.Len(t, a.f["sign"], length)
		})
	}
}

// Direct: no sub merchant, neither sent nor answered.
func TestADirectMerchantHasOneSetOfIDsInV2(t *testing.T) {
	townV2(t, Config{Merchants: []Merchant{{Mode: Direct}}}, func(t *testing.T, c *tillV2) {
		a := c.play2("A1", "pays-at-once")
		assert.Equal(t, "SUCCESS", a.word())
		assert.NotContains(t, a.f, "sub_mch_id")
		c.edit = func(f map[string]string) { f["sub_mch_id"] = "20000100" }
		assert.Equal(t, "DENIED PARAM_ERROR", c.query2("A1").word())
	})
}

// Unknown fields may appear at any time, and are signed; CDATA and plain text are mixed, or there is none.
func TestAnswersAreNotAllOfOneForm(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.play2("A1", "pays-at-once")
		odd := 0
		for range 9 {
			a := c.query2("A1")
			assert.NoError(t, a.trust)
			if a.f["a_field_of_tomorrow"] != "" {
				odd++
			}
			assert.Contains(t, a.body, "<![CDATA[A1]]>")
			assert.Contains(t, a.body, "<total_fee>1250</total_fee>")
		}
		assert.Equal(t, 3, odd, "each third")
		c.sim.Behave(Behaviour{ExtraEvery: -1, NoCDATA: true})
		for range 3 {
			a := c.query2("A1")
			assert.NoError(t, a.trust)
			assert.NotContains(t, a.body, "CDATA")
			assert.NotContains(t, a.f, "a_field_of_tomorrow")
		}
	})
}

// Whether error answers are signed is not documented for v3; a simulator that signs none signs none of v2 either.
func TestErrorsUnsignedIsSoInV2Too(t *testing.T) {
	townV2(t, Config{Behaviour: Behaviour{ErrorsUnsigned: true}}, func(t *testing.T, c *tillV2) {
		assert.Equal(t, "FAIL NOTENOUGH?", c.play2("A1", "no-money").word())
		assert.Equal(t, "SUCCESS", c.play2("A2", "pays-at-once").word())
	})
}
