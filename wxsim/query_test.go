package wxsim

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Query order (Global v3, 2.3): by id and by out_trade_no, with the ids of the mode.
func TestAnOrderIsFoundByEitherNumber(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		paid := c.mustPlay("A1", "pays-at-once")
		byID := c.must("GET", "/v3/global/transactions/id/"+paid.text("id")+"?"+c.ids(), "")
		assert.NoError(t, byID.trust)
		assert.Equal(t, paid.members, byID.members)
		assert.Equal(t, paid.members, c.query("A1").members)
		assert.Equal(t, "404 ORDER_NOT_EXIST", whatCame(c.must("GET", "/v3/global/transactions/id/4200000000000000000000000000?"+c.ids(), ""), nil))
		assert.Equal(t, 2, countCalls(c.line("A1"), Query))
	})
}

func countCalls(line OrderBook, call Call) int {
	n := 0
	for _, a := range line.Arrivals {
		if a.Call == call {
			n++
		}
	}
	return n
}

// Query order: payer_total and success_time are absent when unpaid; only the out_trade_no form works before an id is known.
func TestAnUnpaidOrderHasNoIDAndNoTimeOfPayment(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "password-pays")
		a := c.query("A1")
		for _, name := range []string{"id", "success_time", "payer", "bank_type"} {
			assert.NotContains(t, a.members, name)
		}
		assert.NotContains(t, a.members["amount"], "payer_total")
		assert.Equal(t, "TAG00001", a.text("attach"), "which comes back in every answer")
	})
}

// HTTP status and errors: 404 ORDER_NOT_EXIST, error number 268512771.
func TestAnUnknownOrderIsNotFound(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		a := c.query("A1")
		assert.Equal(t, "404 ORDER_NOT_EXIST", whatCame(a, nil))
		assert.True(t, strings.HasSuffix(a.header.Get("Request-ID"), "-268512771"))
		assert.LessOrEqual(t, len(a.text("code")), 32)
		assert.NotEmpty(t, a.text("message"))
	})
}

// Modes: query strings hold mchid, or sp_mchid and sub_mchid; nothing else.
func TestQueryStringsHoldExactlyTheIDsOfTheMode(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		for _, query := range []string{"", "?sp_mchid=10000100", "?sub_mchid=20000100", "?mchid=10000100", "?" + c.ids() + "&mchid=10000100", "?" + c.ids() + "&x=1",
			"?" + c.ids() + "&sub_mchid=20000100"} {
			a := c.must("GET", "/v3/global/transactions/out-trade-no/A1"+query, "")
			assert.Equal(t, "400 PARAM_ERROR", whatCame(a, nil), query)
		}
		assert.Equal(t, "403 NO_AUTH", whatCame(c.must("GET", "/v3/global/transactions/out-trade-no/A1?sp_mchid=10000100&sub_mchid=2", ""), nil))
	})
}

// Order numbers: | and * are allowed and need escaping in the path.
func TestANumberMayNeedEscapingInThePath(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A|1*", "pays-at-once")
		assert.Equal(t, "SUCCESS", c.state("A%7C1%2A"))
	})
}

// Codes are spelt differently between the Chinese and English pages.
func TestCodesCanBeSpeltEitherWay(t *testing.T) {
	town(t, Config{Behaviour: Behaviour{OldSpelling: true}}, func(t *testing.T, c *caller) {
		c.fetch()
		assert.Equal(t, "404 ORDERNOTEXIST", whatCame(c.query("A1"), nil))
		assert.Equal(t, "500 SYSTEMERROR", whatCame(c.mustPlay("A2", "system-error-paid"), nil))
	})
}

// Doubts: signature presence on error answers is not documented.
func TestErrorsCanComeUnsigned(t *testing.T) {
	town(t, Config{Behaviour: Behaviour{ErrorsUnsigned: true}}, func(t *testing.T, c *caller) {
		c.fetch()
		assert.Error(t, c.query("A1").trust)
		assert.NoError(t, c.mustPlay("A1", "pays-at-once").trust)
		assert.Error(t, c.mustPlay("A2", "no-money").trust)
		time.Sleep(15 * time.Second)
		assert.NoError(t, c.reverse("A1").trust, "a 204 is no error")
		c.sim.Behave(Behaviour{})
		assert.NoError(t, c.query("A3").trust)
	})
}

// Endpoints: anything else is not there.
func TestOtherAddressesAreNotFound(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		for _, target := range []string{"/", "/v3/certificates", "/v3/global/transactions/out-trade-no/", "/v3/global/transactions/out-trade-no/A/B", "/v3/global/transactions/A1"} {
			assert.Equal(t, "404 NOT_FOUND", whatCame(c.must("GET", target, ""), nil), target)
		}
		assert.Equal(t, "404 NOT_FOUND", whatCame(c.must("GET", payPath, ""), nil), "pay is a POST")
	})
}
