package wxsim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// whatTillsSeeInV2 is what the pay call of each scenario says over API v2, where the queries say the same as in v3. Sources: API v2,
// Quick Pay, error codes; the codes that no page of v2 has keep v3's spelling.
var whatTillsSeeInV2 = map[string]string{
	"password-pays": "FAIL USERPAYING", "password-pays-200": "FAIL USERPAYING", "password-pays-202": "FAIL USERPAYING",
	"password-refused": "FAIL USERPAYING", "password-never": "FAIL USERPAYING", "password-late": "FAIL USERPAYING",
	"pays-in-the-gap": "FAIL USERPAYING", "pay-error": "FAIL USERPAYING",

	"no-money": "FAIL NOTENOUGH", "expired-code": "FAIL AUTHCODEEXPIRE", "reused-code": "FAIL AUTH_CODE_ERROR", "not-a-code": "FAIL AUTH_CODE_INVALID",
	"card-not-supported": "FAIL NOTSUPORTCARD", "over-the-limit": "FAIL RULELIMIT", "account-error": "FAIL ACCOUNT_ERROR",
	"too-many-requests": "FAIL RATE_LIMITED", "no-money-order-open": "FAIL NOTENOUGH", "hidden-deduction": "FAIL NOTENOUGH",

	"system-error-paid": "FAIL SYSTEMERROR", "system-error-unpaid": "FAIL SYSTEMERROR", "system-error-no-order": "FAIL SYSTEMERROR",
	"bank-error-paid-later": "FAIL BANKERROR", "unlisted-error": "FAIL A_CODE_OF_TOMORROW",
	"number-of-another-paid": "FAIL ORDERPAID", "number-of-another-unpaid": "FAIL OUT_TRADE_NO_USED", "number-of-another-closed": "FAIL ORDERCLOSED",
	"buyer-mismatch": "FAIL BUYER_MISMATCH",

	"unknown-state": "FAIL USERPAYING",

	"bad-gateway": "502 page", "bad-gateway-paid": "502 page", "unavailable": "DENIED SERVICE_UNAVAILABLE", "unsigned": "SUCCESS?",
	"refused-unsigned": "FAIL NOTENOUGH?", "forged": "SUCCESS?", "unknown-serial": "SUCCESS?", "rolled-over": "SUCCESS",
	"redirect": "307 page", "redirect-elsewhere": "307 page", "trailing-json": "SUCCESS?", "duplicate-headers": "SUCCESS?", "gzip": "200 page", "stale": "SUCCESS", "probe": "SUCCESS?",

	"resource-not-there": "FAIL REFUNDNOTEXIST", "number-of-another-reversed": "FAIL ORDERREVERSED", "no-authority": "FAIL NOAUTH", "sign-error": "FAIL SIGNERROR",
	"merchant-unknown": "FAIL MCHID_NOT_EXIST", "order-not-there": "FAIL ORDERNOTEXIST",

	"reverse-refused": "FAIL USERPAYING", "reverse-answer-lost": "FAIL USERPAYING", "query-answers-lost": "FAIL USERPAYING",
}

func TestEachScenarioDoesTheSameOverV2(t *testing.T) {
	for i, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			want, listed := whatTillsSee[s.Name]
			require.True(t, listed, "scenario %s has no line", s.Name)
			pays := orElse(whatTillsSeeInV2[s.Name], inV2Words(want.pay))
			townV2(t, Config{}, func(t *testing.T, c *tillV2) {
				c.play2("BEFORE", "pays-at-once") // something to replay
				a, err := c.pay2("A1", s.Code(i))
				assert.Equal(t, pays, wordOf(a, err), "the pay call")
				if s.Name == "replayed" {
					assert.Equal(t, "BEFORE", a.f["out_trade_no"])
				}
				time.Sleep(time.Second)
				assert.Equal(t, inV2Words(want.soon), c.seenInQuery2("A1"), "after 1 s")
				time.Sleep(11 * time.Second)
				assert.Equal(t, inV2Words(want.later), c.seenInQuery2("A1"), "after 12 s")
				time.Sleep(48 * time.Second)
				line := c.line("A1")
				assert.Equal(t, want.end, fmt.Sprintf("%s charged %d held %d", line.State, line.Charged, line.Held))
				if line.State != None && !line.Foreign {
					assert.Equal(t, V2, line.API)
				}
			})
		})
	}
}

func wordOf(a answerV2, err error) string {
	if err != nil {
		return "lost"
	}
	return a.word()
}

// inV2Words says over v2 what v3 says, where nothing but the form of the answer differs.
func inV2Words(seen string) string {
	status, code, found := strings.Cut(seen, " ")
	switch {
	case seen == "ORDER_NOT_EXIST":
		return "FAIL ORDERNOTEXIST"
	case found && status != "200":
		return "FAIL " + code
	case found:
		return code
	}
	return seen
}

func (c *tillV2) seenInQuery2(number string) string {
	return wordOf(c.call("/pay/orderquery", map[string]string{"out_trade_no": number}))
}

func TestTheLyingScenariosLieInEveryAnswerOfV2(t *testing.T) {
	lies := map[string]func(f map[string]string) bool{
		"wrong-amount":     func(f map[string]string) bool { return f["total_fee"] == "1251" },
		"wrong-currency":   func(f map[string]string) bool { return f["fee_type"] == "MOP" },
		"another-attach":   func(f map[string]string) bool { return f["attach"] != "" && f["attach"] != "TAG00001" },
		"no-attach":        func(f map[string]string) bool { _, there := f["attach"]; return !there },
		"another-number":   func(f map[string]string) bool { return f["out_trade_no"] != "A1" },
		"another-merchant": func(f map[string]string) bool { return f["mch_id"] == "19999999" },
	}
	for name, told := range lies {
		townV2(t, Config{}, func(t *testing.T, c *tillV2) {
			a := c.play2("A1", name)
			require.NoError(t, a.trust)
			assert.True(t, told(a.f), "%s in the pay answer: %v", name, a.f)
			a = c.query2("A1")
			require.NoError(t, a.trust)
			assert.True(t, told(a.f), "%s in the query: %v", name, a.f)
		})
	}
}

// A replay is an earlier answer to the letter, and so never one of the other API.
func TestNoAnswerIsReplayedOverTheOtherAPI(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.fetch()
		c.mustPlay("BEFORE", "pays-at-once")
		_, err := c.pay2("A1", CodeFor("replayed", 1))
		assert.Error(t, err, "there is none")
		c.play2("A2", "pays-at-once")
		a, err := c.pay2("A3", CodeFor("replayed", 2))
		require.NoError(t, err)
		assert.Equal(t, "A2", a.f["out_trade_no"])
		assert.NoError(t, a.trust)
	})
}
