package wxsim

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// seen is what a till sees of one scenario, and what the books say after a minute.
type seen struct {
	pay   string // "status state-or-code", with "?" where the signature is not good, or "lost"
	soon  string // the query after 1 s
	later string // after 12 s
	end   string // after 60 s: what the books say
}

// Sources of the rows: Global v3, error codes and trade states; Quick Pay, 45 s; the networks of this world.
var whatTillsSee = map[string]seen{
	"pays-at-once":      {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"password-pays":     {"202 USER_PAYING", "USERPAYING", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"password-pays-200": {"200 USERPAYING", "USERPAYING", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"password-pays-202": {"202 USER_PAYING", "USERPAYING", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"password-refused":  {"202 USER_PAYING", "USERPAYING", "NOTPAY", "REVOKED charged 0 held 0"},
	"password-never":    {"202 USER_PAYING", "USERPAYING", "USERPAYING", "REVOKED charged 0 held 0"},
	"password-late":     {"202 USER_PAYING", "USERPAYING", "USERPAYING", "SUCCESS charged 1 held 1250"},
	"pays-in-the-gap":   {"202 USER_PAYING", "USERPAYING", "USERPAYING", "REVOKED charged 0 held 0"},
	"slow-answer":       {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"pay-error":         {"202 USER_PAYING", "USERPAYING", "PAYERROR", "REVOKED charged 0 held 0"},

	"no-money":            {"403 NOT_ENOUGH", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"expired-code":        {"403 AUTH_CODE_EXPIRE", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"reused-code":         {"403 AUTH_CODE_ERROR", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"not-a-code":          {"400 AUTH_CODE_INVALID", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"card-not-supported":  {"403 NOT_SUPORT_CARD", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"over-the-limit":      {"403 RULE_LIMIT", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"account-error":       {"403 ACCOUNT_ERROR", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"too-many-requests":   {"429 RATE_LIMITED", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"no-money-order-open": {"403 NOT_ENOUGH", "NOTPAY", "NOTPAY", "REVOKED charged 0 held 0"},
	"hidden-deduction":    {"403 NOT_ENOUGH", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},

	"system-error-paid":        {"500 SYSTEM_ERROR", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"system-error-unpaid":      {"500 SYSTEM_ERROR", "NOTPAY", "NOTPAY", "REVOKED charged 0 held 0"},
	"system-error-no-order":    {"500 SYSTEM_ERROR", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"bank-error-paid-later":    {"500 BANK_ERROR", "NOTPAY", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"unlisted-error":           {"403 A_CODE_OF_TOMORROW", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"number-of-another-paid":   {"403 ORDER_PAID", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"number-of-another-unpaid": {"403 OUT_TRADE_NO_USED", "NOTPAY", "NOTPAY", "NOTPAY charged 0 held 0"},
	"number-of-another-closed": {"400 ORDER_CLOSED", "CLOSED", "CLOSED", "CLOSED charged 0 held 0"},
	"buyer-mismatch":           {"403 BUYER_MISMATCH", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},

	"wrong-amount":     {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"wrong-currency":   {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"another-attach":   {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"no-attach":        {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"another-number":   {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"another-merchant": {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"unknown-state":    {"200 ACCEPT", "ACCEPT", "ACCEPT", "REVOKED charged 0 held 0"},

	"request-lost":       {"lost", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"answer-lost":        {"lost", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"answer-lost-unpaid": {"lost", "NOTPAY", "NOTPAY", "REVOKED charged 0 held 0"},
	"answer-late":        {"lost", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"stall":              {"lost", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"stall-paid":         {"lost", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"bad-gateway":        {"502 ?", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"bad-gateway-paid":   {"502 ?", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"unavailable":        {"503 SERVICE_UNAVAILABLE", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"unsigned":           {"200 SUCCESS?", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refused-unsigned":   {"403 NOT_ENOUGH?", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"forged":             {"200 SUCCESS?", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"unknown-serial":     {"200 SUCCESS?", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"replayed":           {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"rolled-over":        {"200 SUCCESS?", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"redirect":           {"307 ?", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"redirect-elsewhere": {"307 ?", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"dead-link":          {"lost", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"read-late":          {"lost", "ORDER_NOT_EXIST", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"wrong-date":         {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"truncated":          {"lost", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"oversized":          {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"trailing-json":      {"200 ", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"duplicate-headers":  {"200 SUCCESS?", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"gzip":               {"200 ?", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"stale":              {"200 SUCCESS?", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"probe":              {"200 SUCCESS?", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},

	"never-ends":          {"lost", "lost", "lost", "REVOKED charged 0 held 0"},
	"reverse-refused":     {"202 USER_PAYING", "USERPAYING", "USERPAYING", "REVOKED charged 0 held 0"},
	"reverse-answer-lost": {"202 USER_PAYING", "USERPAYING", "USERPAYING", "REVOKED charged 0 held 0"},
	"query-answers-lost":  {"202 USER_PAYING", "lost", "lost", "SUCCESS charged 1 held 1250"},

	"number-of-another-reversed":   {"403 ORDER_REVERSED", "REVOKED", "REVOKED", "REVOKED charged 0 held 0"},
	"wrong-parameter":              {"400 PARAM_ERROR", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"invalid-request":              {"400 INVALID_REQUEST", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"trade-error":                  {"403 TRADE_ERROR", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"no-authority":                 {"403 NO_AUTH", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"sign-error":                   {"401 SIGN_ERROR", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"appid-mismatch":               {"400 APPID_MCHID_NOT_MATCH", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"merchant-unknown":             {"400 MCH_NOT_EXISTS", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"appid-unknown":                {"400 APPID_NOT_EXIST", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"rate-exceeded":                {"429 RATELIMIT_EXCEEDED", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"frequency-exceeded":           {"429 FREQUENCY_LIMIT_EXCEEDED", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"frequency-exceed":             {"429 FREQUENCY_LIMIT_EXCEED", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"openid-mismatch":              {"500 OPENID_MISMATCH", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"not-found":                    {"404 NOT_FOUND", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"resource-not-there":           {"404 RESOURCE_NOT_EXISTS", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"order-not-there":              {"404 ORDER_NOT_EXIST", "ORDER_NOT_EXIST", "ORDER_NOT_EXIST", " charged 0 held 0"},
	"refund-never-ends":            {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-closed":                {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-abnormal":              {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-no-money":              {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-account-dead":          {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-overdue":               {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-error":                 {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-system-error":          {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-system-error-not-made": {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-retry":                 {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-too-soon":              {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-too-often":             {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-answer-lost":           {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
	"refund-unsigned":              {"200 SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS charged 1 held 1250"},
}

func TestEachScenarioDoesWhatItsLineSays(t *testing.T) {
	for i, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			want, listed := whatTillsSee[s.Name]
			require.True(t, listed, "scenario %s has no line here", s.Name)
			town(t, Config{}, func(t *testing.T, c *caller) {
				c.fetch()
				c.mustPlay("BEFORE", "pays-at-once") // something to replay
				a, err := c.pay("A1", s.Code(i))
				assert.Equal(t, want.pay, whatCame(a, err), "the pay call")
				if s.Name == "rolled-over" {
					assert.NoError(t, c.fetch().trust, "the new certificate is among those to be had")
				}
				time.Sleep(time.Second)
				assert.Equal(t, want.soon, c.seenInQuery("A1"), "after 1 s")
				time.Sleep(11 * time.Second)
				assert.Equal(t, want.later, c.seenInQuery("A1"), "after 12 s")
				time.Sleep(48 * time.Second)
				line := c.line("A1")
				assert.Equal(t, want.end, fmt.Sprintf("%s charged %d held %d", line.State, line.Charged, line.Held))
			})
		})
	}
}

func whatCame(a answer, err error) string {
	if err != nil {
		return "lost"
	}
	mark := ""
	if a.trust != nil {
		mark = "?"
	}
	return fmt.Sprint(a.status, " ", a.text("code"), a.text("trade_state"), mark)
}

func (c *caller) seenInQuery(number string) string {
	a, err := c.send("GET", "/v3/global/transactions/out-trade-no/"+number+"?"+c.ids(), "")
	if err != nil {
		return "lost"
	}
	assert.NoError(c.t, a.trust)
	return a.text("code") + a.text("trade_state")
}

func TestTheLyingScenariosLieInEveryAnswer(t *testing.T) {
	lies := map[string]func(a answer) bool{
		"wrong-amount":     func(a answer) bool { return a.total() == 1251 },
		"wrong-currency":   func(a answer) bool { return a.members["amount"].(map[string]any)["currency"] == "MOP" },
		"another-attach":   func(a answer) bool { return a.text("attach") != "" && a.text("attach") != "TAG00001" },
		"no-attach":        func(a answer) bool { return a.members["attach"] == nil },
		"another-number":   func(a answer) bool { return a.text("out_trade_no") != "A1" },
		"another-merchant": func(a answer) bool { return a.text("sp_mchid") != "10000100" },
	}
	for name, lies := range lies {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.fetch()
			assert.True(t, lies(c.mustPlay("A1", name)), "%s: the pay answer", name)
			assert.True(t, lies(c.query("A1")), "%s: the query", name)
		})
	}
}

func TestTheCodeWinsOverTheAmountAndOrdinaryOnesPayAtOnce(t *testing.T) {
	rows := []struct {
		code  string
		total int64
		want  string
	}{
		{realCode, 1250, "200 SUCCESS"},
		{realCode, 9910, "403 NOT_ENOUGH"},
		{realCode, 9900, "200 SUCCESS"},
		{realCode, 9999, "200 SUCCESS"},  // no scenario 99
		{realCode, 10010, "200 SUCCESS"}, // not 99.10
		{CodeFor("expired-code", 1), 9910, "403 AUTH_CODE_EXPIRE"},
		{CodeFor("pays-at-once", 1), 9910, "200 SUCCESS"},
		{"130000000000000199", 9910, "200 SUCCESS"}, // a scenario code of no scenario
		{"134650720866361310", 1250, "200 SUCCESS"}, // ends in 10, but is no scenario code
	}
	for _, row := range rows {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.fetch()
			assert.Equal(t, row.want, whatCame(c.send(http.MethodPost, payPath, jsonText(c.payBody("A1", row.code, row.total)))), "%v", row)
		})
	}
}

// A payment in the gap between the last query and the reverse (closing the loop).
func TestAPaymentThatLandsJustBeforeTheReverseIsRefunded(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-in-the-gap")
		time.Sleep(20 * time.Second)
		assert.Equal(t, "USERPAYING", c.state("A1"))
		assert.Equal(t, 204, c.reverse("A1").status)
		line := c.line("A1")
		assert.Equal(t, Revoked, line.State)
		assert.Equal(t, []int64{1, 0, 1250}, []int64{int64(line.Charged), line.Held, line.GaveBack})
	})
}

// "Cannot cancel during payment" can last 30 s and more (Quick Pay FAQ).
func TestAReverseMayBeRefusedForHalfAMinute(t *testing.T) {
	town(t, Config{Behaviour: Behaviour{RevokeAfter: time.Hour}}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "reverse-refused")
		time.Sleep(40 * time.Second)
		assert.Equal(t, "TRADE_ERROR", c.reverse("A1").text("code"))
		time.Sleep(6 * time.Second)
		assert.Equal(t, 204, c.reverse("A1").status)
	})
}

func TestAPaymentThatNeverEndsLosesEveryQueryAndRefusesEveryReverse(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		_, err := c.play("A1", "never-ends")
		require.Error(t, err)
		for range 10 {
			time.Sleep(16 * time.Second)
			assert.Equal(t, "lost", c.seenInQuery("A1"))
			assert.Equal(t, "500 SYSTEM_ERROR", whatCame(c.reverse("A1"), nil))
		}
	})
}
