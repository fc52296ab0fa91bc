package wxsim

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Quick Pay, submit payment (Global v3, 2.2): the answer of a paid order in institution mode.
func TestAPaidOrderIsAnsweredWithEveryMemberOfTheDocument(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		a, err := c.pay("A1", realCode)
		require.NoError(t, err)
		require.NoError(t, a.trust)
		assert.Equal(t, "wx2421b1c4370ec43b 10000100 20000100", a.text("sp_appid")+" "+a.text("sp_mchid")+" "+a.text("sub_mchid"))
		assert.Equal(t, "A1 MICROPAY SUCCESS TAG00001", a.text("out_trade_no")+" "+a.text("trade_type")+" "+a.text("trade_state")+" "+a.text("attach"))
		assert.Regexp(t, `^4200[0-9]{24}$`, a.text("id"), "the transaction id; the member is not called transaction_id")
		assert.NotContains(t, a.members, "transaction_id")
		amount := a.members["amount"].(map[string]any)
		assert.Equal(t, []any{1250.0, "HKD", "CNY"}, []any{amount["total"], amount["currency"], amount["payer_currency"]})
		assert.Equal(t, 92000000.0, amount["exchange_rate"].(map[string]any)["rate"], "scaled by 10^8")
		assert.Contains(t, a.members["payer"], "sp_openid")
		paid, err := time.Parse(time.RFC3339, a.text("success_time"))
		require.NoError(t, err)
		assert.True(t, strings.HasSuffix(a.text("success_time"), "+08:00"))
		assert.WithinDuration(t, time.Now(), paid, 2*time.Second)
		assert.Regexp(t, `^08[0-9A-F]{40}-0$`, a.header.Get("Request-ID"))
	})
}

// Modes: direct has mchid and appid alone.
func TestADirectMerchantSendsAndGetsItsOwnSetOfIDs(t *testing.T) {
	town(t, Config{Merchants: []Merchant{{Mode: Direct}}}, func(t *testing.T, c *caller) {
		c.fetch()
		a, err := c.pay("A1", realCode)
		require.NoError(t, err)
		assert.Equal(t, "wx2421b1c4370ec43b 10000100", a.text("appid")+" "+a.text("mchid"))
		assert.NotContains(t, a.members, "sp_mchid")
		assert.Contains(t, a.members["payer"], "openid")
		assert.Equal(t, "SUCCESS", c.state("A1"))
		time.Sleep(15 * time.Second)
		assert.Equal(t, 204, c.reverse("A1").status)
	})
}

// Modes: send exactly one set.
func TestIDsOfTheOtherModeOrOfBothAreRefused(t *testing.T) {
	rows := map[string]func(map[string]any){
		"a direct id beside":       func(b map[string]any) { b["mchid"] = "10000100" },
		"an appid beside":          func(b map[string]any) { b["appid"] = "wx2421b1c4370ec43b" },
		"no sub merchant":          func(b map[string]any) { delete(b, "sub_mchid") },
		"another app":              func(b map[string]any) { b["sp_appid"] = "wx0000000000000000" },
		"a stranger's shop":        func(b map[string]any) { b["sub_mchid"] = "20000199" },
		"the own number as a shop": func(b map[string]any) { b["sub_mchid"] = "10000100" },
	}
	want := map[string]string{"another app": "400 APPID_MCHID_NOT_MATCH", "a stranger's shop": "403 NO_AUTH"}
	for name, change := range rows {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.fetch()
			body := c.payBody("A1", realCode, 1)
			change(body)
			assert.Equal(t, orElse(want[name], "400 PARAM_ERROR"), whatCame(c.must("POST", payPath, jsonText(body)), nil), name)
		})
	}
}

// Order numbers and idempotency: the same number with the same parameters is a safe re-entry while the order is unpaid.
func TestTheSamePayCallAgainFindsTheSameOrder(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		body := jsonText(c.payBody("A1", CodeFor("password-pays", 1), 1250))
		assert.Equal(t, "202 USER_PAYING", whatCame(c.must("POST", payPath, body), nil))
		assert.Equal(t, "202 USER_PAYING", whatCame(c.must("POST", payPath, body), nil))
		time.Sleep(7 * time.Second)
		again := c.must("POST", payPath, body)
		assert.Equal(t, "403 ORDER_PAID", whatCame(again, nil), "a paid number cannot be used again")
		assert.True(t, strings.HasSuffix(again.header.Get("Request-ID"), "-268449538"))
		line := c.line("A1")
		assert.Equal(t, []int{1, 3}, []int{line.Charged, line.PayWhole})
		assert.Equal(t, []bool{false, true, true}, []bool{line.Arrivals[0].Duplicate, line.Arrivals[1].Duplicate, line.Arrivals[2].Duplicate})
		assert.Empty(t, c.violations(), "which no document forbids")
	})
}

// Order numbers and idempotency: other parameters are 268498688, another payer is BUYER_MISMATCH.
func TestOneNumberTakesNeitherAnotherAmountNorAnotherPayer(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		code := CodeFor("password-pays", 1)
		c.must("POST", payPath, jsonText(c.payBody("A1", code, 1250)))
		a := c.must("POST", payPath, jsonText(c.payBody("A1", code, 1300)))
		assert.Equal(t, "400 INVALID_REQUEST", whatCame(a, nil))
		assert.True(t, strings.HasSuffix(a.header.Get("Request-ID"), "-268498688"))
		assert.Equal(t, []string{"one number with two amounts"}, c.violations())
		a = c.must("POST", payPath, jsonText(c.payBody("A1", CodeFor("pays-at-once", 2), 1250)))
		assert.Equal(t, "403 BUYER_MISMATCH", whatCame(a, nil))
		assert.Equal(t, int64(1250), c.line("A1").Total)
	})
}

// Order numbers and idempotency: a closed or reversed number cannot be used again.
func TestAReversedNumberCannotBeUsedAgain(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		time.Sleep(15 * time.Second)
		require.Equal(t, 204, c.reverse("A1").status)
		assert.Equal(t, "403 ORDER_REVERSED", whatCame(c.mustPlay("A1", "pays-at-once"), nil))
		require.NoError(t, c.sim.Place(Foreign{Number: "A2", State: Closed}))
		assert.Equal(t, "400 ORDER_CLOSED", whatCame(c.mustPlay("A2", "pays-at-once"), nil))
	})
}

// Payment code: one order per code; it refreshes on use.
func TestACodeServesOneOrder(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		_, err := c.pay("A1", realCode)
		require.NoError(t, err)
		a, err := c.pay("A2", realCode)
		require.NoError(t, err)
		assert.Equal(t, "403 AUTH_CODE_ERROR", whatCame(a, nil))
		assert.Equal(t, []string{"one payment code in two orders"}, c.violations())
		assert.Equal(t, "ORDER_NOT_EXIST", c.state("A2"))
	})
}

// The same holds for a code whose first order was lost on the way: it may have left, so it may not go out again.
func TestACodeThatWentOutInALostOrderIsAViolationInAnother(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{On: Pay, Kind: DropAnswer})
		_, err := c.pay("A1", CodeFor("no-money", 1))
		require.Error(t, err)
		_, err = c.pay("A2", CodeFor("no-money", 1))
		require.NoError(t, err)
		assert.Equal(t, []string{"one payment code in two orders"}, c.violations())
	})
}

// Payment code: it lives 1 minute.
func TestACodeLivesAMinute(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.ShowCode(realCode)
		c.sim.ShowCode("130000000000000000")
		time.Sleep(59 * time.Second)
		a, _ := c.pay("A1", realCode)
		assert.Equal(t, "200 SUCCESS", whatCame(a, nil))
		time.Sleep(2 * time.Second)
		a, _ = c.pay("A2", "130000000000000000")
		assert.Equal(t, "403 AUTH_CODE_EXPIRE", whatCame(a, nil))
	})
}

// A pay call that is read more than a minute after it was sent finds a dead code.
func TestAPayCallThatIsReadTooLateFindsADeadCode(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{On: Pay, Kind: ReadLate, Delay: 61 * time.Second})
		_, err := c.pay("A1", realCode)
		require.Error(t, err)
		time.Sleep(time.Minute)
		line := c.line("A1")
		assert.Equal(t, None, line.State)
		assert.Equal(t, "AUTH_CODE_EXPIRE", line.Arrivals[0].Code)
		assert.True(t, line.Arrivals[0].Late)
		assert.Equal(t, 1, c.sim.Books().Calls[Pay].Late)
	})
}

// Payment code: 18 digits, prefix 10 to 15. Others at the till: Alipay 25 to 30, UnionPay 62.
func TestOnlyAWeChatCodeIsAPaymentCode(t *testing.T) {
	for _, code := range []string{"28763443825664394", "281234567890123456", "6212345678901234567", "134650720866361", "160000000000000000", "13465072086636139X"} {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.fetch()
			a, _ := c.pay("A1", code)
			assert.Equal(t, "400 AUTH_CODE_INVALID", whatCame(a, nil), code)
		})
	}
}

// Order numbers: unique per merchant number.
func TestTwoMerchantsMayUseTheSameNumber(t *testing.T) {
	two := Config{Merchants: []Merchant{{}, {MerchantID: "10000200", SubMerchantID: "20000200"}}}
	town(t, two, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		other := *c
		var err error
		other.creds, err = c.sim.Credentials("10000200")
		require.NoError(t, err)
		other.fetch()
		assert.Equal(t, "ORDER_NOT_EXIST", other.state("A1"))
		other.counter = 100
		assert.Equal(t, "200 SUCCESS", whatCame(other.mustPlay("A1", "pays-at-once"), nil))
		assert.Len(t, c.sim.Books().Orders, 2)
		ours := c.query("A1").text("id")
		theirs := other.must("GET", "/v3/global/transactions/id/"+ours+"?"+other.ids(), "")
		assert.Equal(t, "404 ORDER_NOT_EXIST", whatCame(theirs, nil), "nobody sees another merchant's order")
	})
}

// Quick Pay: an order still unpaid 45 s after its creation is revoked by WeChat Pay itself.
func TestAnUnpaidOrderIsRevokedAfter45Seconds(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "password-never")
		time.Sleep(44 * time.Second)
		assert.Equal(t, "USERPAYING", c.state("A1"))
		time.Sleep(time.Second)
		assert.Equal(t, "REVOKED", c.state("A1"))
		assert.Equal(t, 45*time.Second, c.line("A1").Ended.Sub(c.line("A1").Created))
	})
}

// Screen states name both forms: a 202 with a bare code (WxJava 4050), or 200 with trade_state.
func TestUserPayingComesAsTheSimulatorIsSet(t *testing.T) {
	town(t, Config{Behaviour: Behaviour{UserPaying: 200, OldSpelling: true}}, func(t *testing.T, c *caller) {
		c.fetch()
		assert.Equal(t, "200 USERPAYING", whatCame(c.mustPlay("A1", "password-pays"), nil))
		assert.Equal(t, "202 USERPAYING", whatCame(c.mustPlay("A2", "password-pays-202"), nil))
	})
}
