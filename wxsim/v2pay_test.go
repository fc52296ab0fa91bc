package wxsim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// API v2, Quick Pay: the answer of a paid order.
func TestAPaidOrderIsAnsweredWithTheFieldsOfV2(t *testing.T) {
	townV2(t, Config{Behaviour: Behaviour{ExtraEvery: -1}}, func(t *testing.T, c *tillV2) {
		f := payment("A1", realCode)
		f["device_info"], f["sub_appid"] = "T1", "wx2421b1c4370ec43c"
		a := c.ask("/pay/micropay", f)
		assert.NoError(t, a.trust)
		want := map[string]string{"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": "wx2421b1c4370ec43b",
			"mch_id": "10000100", "sub_mch_id": "20000100", "sub_appid": "wx2421b1c4370ec43c", "device_info": "T1", "trade_type": "MICROPAY",
			"fee_type": "HKD", "total_fee": "1250", "settlement_total_fee": "1250", "cash_fee": "1150", "cash_fee_type": "CNY", "rate": "92000000",
			"out_trade_no": "A1", "attach": "TAG00001"}
		for name, value := range want {
			assert.Equal(t, value, a.f[name], name)
		}
		assert.Regexp(t, `^4200[0-9]{24}$`, a.f["transaction_id"])
		assert.Regexp(t, `^[0-9A-Za-z]{32}$`, a.f["nonce_str"])
		paid, err := time.ParseInLocation("20060102150405", a.f["time_end"], time.FixedZone("GMT+8", 8*3600))
		assert.NoError(t, err)
		assert.WithinDuration(t, time.Now(), paid, 2*time.Second)
		assert.NotContains(t, a.f, "trade_state", "that is the query's")
		assert.Equal(t, []string{"appid", "attach", "bank_type", "cash_fee", "cash_fee_type", "device_info", "fee_type", "is_subscribe", "mch_id", "nonce_str",
			"openid", "out_trade_no", "rate", "result_code", "return_code", "return_msg", "settlement_total_fee", "sign", "sub_appid", "sub_is_subscribe",
			"sub_mch_id", "sub_openid", "time_end", "total_fee", "trade_type", "transaction_id"}, names(a.f))
	})
}

// API v2, Quick Pay: fee_type is CNY where none is said.
func TestTheCurrencyIsCNYWhereNoneIsSaid(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.edit = func(f map[string]string) { delete(f, "fee_type") }
		a := c.play2("A1", "pays-at-once")
		assert.Equal(t, "CNY 1250 1250", a.f["fee_type"]+" "+a.f["total_fee"]+" "+a.f["cash_fee"])
		assert.Equal(t, "CNY", c.line("A1").Currency)
	})
}

// Order numbers and idempotency: the rules are v3's. The nonce of a re-entry is a fresh one.
func TestOneNumberIsOneOrderOverBothAPIs(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.fetch()
		code := CodeFor("password-pays", 1)
		for range 2 {
			a, err := c.pay2("A1", code)
			assert.Equal(t, "FAIL USERPAYING", wordOf(a, err))
		}
		f := payment("A1", code)
		f["total_fee"] = "1300"
		assert.Equal(t, "FAIL INVALID_REQUEST", c.ask("/pay/micropay", f).word())
		a, err := c.pay2("A1", CodeFor("pays-at-once", 2))
		assert.Equal(t, "FAIL BUYER_MISMATCH", wordOf(a, err))
		time.Sleep(7 * time.Second)
		a, err = c.pay2("A1", code)
		assert.Equal(t, "FAIL ORDERPAID", wordOf(a, err))
		assert.Equal(t, "403 ORDER_PAID", whatCame(c.pay("A1", code)), "the number is the same number in v3")
		assert.Equal(t, []string{"one number with two amounts", "one payment code in two orders"}[:1], c.violations()[:1])
		assert.Equal(t, V2, c.line("A1").API)
		assert.Equal(t, 1, c.line("A1").Charged)
	})
}

// Payment code: one order a code, one minute; over whichever API.
func TestACodeServesOneOrderOverBothAPIs(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.fetch()
		c.pay("A1", realCode)
		a, err := c.pay2("A2", realCode)
		assert.Equal(t, "FAIL AUTH_CODE_ERROR", wordOf(a, err))
		assert.Equal(t, []string{"one payment code in two orders"}, c.violations())
		c.sim.ShowCode("134650720866361396")
		time.Sleep(61 * time.Second)
		a, err = c.pay2("A3", "134650720866361396")
		assert.Equal(t, "FAIL AUTHCODEEXPIRE", wordOf(a, err))
		a, err = c.pay2("A4", "284650720866361396")
		assert.Equal(t, "FAIL AUTH_CODE_INVALID", wordOf(a, err))
	})
}

// API v2, code to openid: the same wallet, and the code can still pay.
func TestACodeTellsItsCustomerAndStillPays(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		openID := func(code string) answerV2 {
			return c.ask("/tools/authcodetoopenid", map[string]string{"auth_code": code})
		}
		a := openID(realCode)
		assert.NoError(t, a.trust)
		assert.Regexp(t, `^oUpF8u`, a.f["openid"])
		paid, err := c.pay2("A1", realCode)
		assert.NoError(t, err)
		assert.Equal(t, a.f["openid"], paid.f["openid"])
		assert.Equal(t, "FAIL AUTH_CODE_ERROR", openID(realCode).word(), "used")
		assert.Equal(t, "FAIL AUTH_CODE_INVALID", openID("1").word())
		assert.Equal(t, "FAIL AUTHCODEEXPIRE", openID(CodeFor("expired-code", 1)).word())
		assert.Equal(t, "FAIL SYSTEMERROR", openID(CodeFor("system-error-paid", 1)).word())
		assert.Equal(t, "DENIED LACK_PARAMS", openID("").word())
		assert.Empty(t, c.violations())
	})
}

// Faults are armed for a call, whichever API it comes by.
func TestFaultsActOnBothAPIs(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.sim.Inject(Fault{On: Query, Kind: Refuse, Status: 400, Code: "SYSTEM_ERROR", Order: "A1"})
		assert.Equal(t, "FAIL SYSTEMERROR", c.query2("A1").word())
		c.sim.Inject(Fault{On: OpenID, Kind: DropUnread})
		_, err := c.call("/tools/authcodetoopenid", map[string]string{"auth_code": realCode})
		assert.Error(t, err)
		c.sim.Inject(Fault{On: Pay, Kind: DropHalf})
		_, err = c.pay2("A2", realCode)
		assert.Error(t, err)
		counts := c.sim.Books().Calls
		assert.Equal(t, []int{1, 1, 1}, []int{counts[Query].Whole, counts[OpenID].Partial, counts[Pay].Partial})
	})
}
