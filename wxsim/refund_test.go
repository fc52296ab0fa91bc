package wxsim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refundOf asks for a refund without any API, as both APIs do inside.
func (c *caller) refundOf(number, refundNumber string, amount int64) string {
	c.t.Helper()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	o := c.sim.orders[orderKey{c.creds.MerchantID, number}]
	require.NotNil(c.t, o)
	r, no := c.sim.refund(o, refundWish{number: refundNumber, amount: amount, total: o.total, currency: o.currency})
	switch {
	case no != nil:
		return fmt.Sprint(no.status, " ", no.code)
	case r == nil:
		return "nothing"
	}
	return string(r.state)
}

// books is what a journal is compared with: what is held, what went back, and each refund.
func (c *caller) books(number string) string {
	line := c.line(number)
	text := fmt.Sprintf("%s held %d back %d", line.State, line.Held, line.GaveBack)
	for _, r := range line.Refunds {
		text += fmt.Sprintf(" %s %d %s", r.Number, r.Amount, r.State)
	}
	return text
}

// Query refund: PROCESSING, then SUCCESS. The order reads REFUND from the first refund on; the money is held until it is
// through.
func TestARefundIsTakenOnAndGoesThroughLater(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		assert.Equal(t, "PROCESSING", c.refundOf("A1", "R1", 250))
		assert.Equal(t, "REFUND held 1250 back 0 R1 250 PROCESSING", c.books("A1"))
		time.Sleep(5 * time.Second)
		assert.Equal(t, "REFUND held 1000 back 250 R1 250 SUCCESS", c.books("A1"))
		refund := c.line("A1").Refunds[0]
		assert.Equal(t, 5*time.Second, refund.Ended.Sub(refund.Created))
	})
}

// Refund, notes: the sum is not more than what was paid; the same number is the same refund.
func TestRefundsNeverAddUpToMoreThanWasPaid(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		c.mustPlay("A2", "pays-at-once")
		assert.Equal(t, "PROCESSING", c.refundOf("A1", "R1", 1000))
		assert.Equal(t, "400 INVALID_REQUEST", c.refundOf("A1", "R2", 251), "what is on its way counts")
		assert.Equal(t, "PROCESSING", c.refundOf("A1", "R1", 1000), "re-entry")
		assert.Equal(t, "400 INVALID_REQUEST", c.refundOf("A1", "R1", 999), "the number with another amount")
		assert.Equal(t, "400 INVALID_REQUEST", c.refundOf("A2", "R1", 1000), "the number with another order")
		assert.Equal(t, "PROCESSING", c.refundOf("A1", "R2", 250))
		time.Sleep(10 * time.Second)
		assert.Equal(t, "400 INVALID_REQUEST", c.refundOf("A1", "R3", 1))
		assert.Equal(t, "REFUND held 0 back 1250 R1 1000 SUCCESS R2 250 SUCCESS", c.books("A1"))
		assert.Equal(t, "SUCCESS held 1250 back 0", c.books("A2"))
	})
}

// Refund, notes: at most 50 for one order, within a year (365 days) of the payment, and a minute apart.
func TestRefundsHaveLimitsInNumberAndTime(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		c.mustPlay("A2", "pays-at-once")
		for i := range 50 {
			require.Equal(t, "PROCESSING", c.refundOf("A1", fmt.Sprint("R", i), 1))
		}
		assert.Equal(t, "400 INVALID_REQUEST", c.refundOf("A1", "R50", 1))

		c.sim.Behave(Behaviour{RefundGap: time.Minute})
		assert.Equal(t, "PROCESSING", c.refundOf("A2", "S1", 1))
		time.Sleep(59 * time.Second)
		assert.Equal(t, "429 INVALID_REQ_TOO_MUCH", c.refundOf("A2", "S2", 1))
		assert.Equal(t, "SUCCESS", c.refundOf("A2", "S1", 1), "the same refund may be asked for again")
		time.Sleep(time.Second)
		assert.Equal(t, "PROCESSING", c.refundOf("A2", "S2", 1))
		time.Sleep(365 * 24 * time.Hour)
		assert.Equal(t, "403 TRADE_OVERDUE", c.refundOf("A2", "S3", 1))
	})
}

// Refund: an order that is not paid, or was taken back, has nothing to give.
func TestOnlyAPaidOrderIsRefunded(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "password-pays")
		c.mustPlay("A2", "pays-at-once")
		c.mustPlay("A3", "no-money")
		assert.Equal(t, "400 INVALID_REQUEST", c.refundOf("A1", "R1", 1))
		assert.Equal(t, "404 ORDER_NOT_EXIST", c.refundOf("A3", "R3", 1))
		time.Sleep(15 * time.Second)
		assert.Equal(t, "PROCESSING", c.refundOf("A1", "R1", 1), "the same number, now that it is paid")
		require.Equal(t, 204, c.reverse("A2").status)
		assert.Equal(t, "400 INVALID_REQUEST", c.refundOf("A2", "R2", 1))
		assert.Equal(t, "REVOKED held 0 back 1250", c.books("A2"))
	})
}

// Query refund, states; refund, error codes. A refund takes its scenario from its order.
func TestARefundGoesAsItsScenarioSays(t *testing.T) {
	rows := map[string]struct{ first, second, later, books string }{
		"pays-at-once":                 {"200 ", "200 ", "SUCCESS", "REFUND held 1000 back 250 R 250 SUCCESS"},
		"refund-never-ends":            {"200 ", "200 ", "PROCESSING", "REFUND held 1250 back 0 R 250 PROCESSING"},
		"refund-closed":                {"200 ", "200 ", "REFUNDCLOSE", "REFUND held 1250 back 0 R 250 REFUNDCLOSE"},
		"refund-abnormal":              {"200 ", "200 ", "ABNORMAL", "REFUND held 1250 back 0 R 250 ABNORMAL"},
		"refund-no-money":              {"403 NOT_ENOUGH", "403 NOT_ENOUGH", "RESOURCE_NOT_EXISTS", "SUCCESS held 1250 back 0"},
		"refund-account-dead":          {"403 USER_ACCOUNT_ABNORMAL", "403 USER_ACCOUNT_ABNORMAL", "RESOURCE_NOT_EXISTS", "SUCCESS held 1250 back 0"},
		"refund-overdue":               {"403 TRADE_OVERDUE", "403 TRADE_OVERDUE", "RESOURCE_NOT_EXISTS", "SUCCESS held 1250 back 0"},
		"refund-error":                 {"403 ERROR", "403 ERROR", "RESOURCE_NOT_EXISTS", "SUCCESS held 1250 back 0"},
		"refund-system-error":          {"500 SYSTEM_ERROR", "200 ", "SUCCESS", "REFUND held 1000 back 250 R 250 SUCCESS"},
		"refund-system-error-not-made": {"500 SYSTEM_ERROR", "200 ", "SUCCESS", "REFUND held 1000 back 250 R 250 SUCCESS"},
		"refund-retry":                 {"500 BIZERR_NEED_RETRY", "200 ", "SUCCESS", "REFUND held 1000 back 250 R 250 SUCCESS"},
		"refund-too-soon":              {"429 INVALID_REQ_TOO_MUCH", "200 ", "SUCCESS", "REFUND held 1000 back 250 R 250 SUCCESS"},
		"refund-too-often":             {"429 FREQUENCY_LIMITED", "200 ", "SUCCESS", "REFUND held 1000 back 250 R 250 SUCCESS"},
		"refund-answer-lost":           {"lost", "lost", "SUCCESS", "REFUND held 1000 back 250 R 250 SUCCESS"},
		"refund-unsigned":              {"200 ?", "200 ?", "SUCCESS", "REFUND held 1000 back 250 R 250 SUCCESS"},
	}
	for _, s := range Scenarios() {
		if strings.HasPrefix(s.Name, "refund-") {
			assert.Contains(t, rows, s.Name)
		}
	}
	for scenario, want := range rows {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.fetch()
			c.mustPlay("A1", scenario)
			body := jsonText(c.refundBody("A1", "R", 250, 1250))
			assert.Equal(t, want.first, whatCame(c.send("POST", "/v3/global/refunds", body)), scenario)
			time.Sleep(time.Minute)
			assert.Equal(t, want.second, whatCame(c.send("POST", "/v3/global/refunds", body)), scenario)
			time.Sleep(5 * time.Second)
			assert.Equal(t, want.later, c.refundStatus("R"), scenario)
			assert.Equal(t, want.books, c.books("A1"), scenario)
		})
	}
}

// An order without a refund scenario leaves it to the refund's amount of 99.NN. A closed refund's money may be asked for again.
func TestTheAmountOfARefundChoosesItsScenario(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		require.Equal(t, 200, c.must("POST", payPath, jsonText(c.payBody("A1", realCode, 20000))).status)
		assert.Equal(t, "PROCESSING", c.refundOf("A1", "R1", 9984))
		assert.Equal(t, "403 NOT_ENOUGH", c.refundOf("A1", "R2", 9986))
		assert.Equal(t, "PROCESSING", c.refundOf("A1", "R3", 9910), "a scenario of payments alone")
		time.Sleep(5 * time.Second)
		assert.Equal(t, "PROCESSING", c.refundOf("A1", "R4", 10090))
		time.Sleep(5 * time.Second)
		assert.Equal(t, "REFUND held 0 back 20000 R1 9984 REFUNDCLOSE R3 9910 SUCCESS R4 10090 SUCCESS", c.books("A1"))
	})
}

// A refund on the merchant platform is through at once and stands in the same books.
func TestARefundOnTheMerchantPlatformStandsInTheBooks(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		require.NoError(t, c.sim.Refund("", "A1", 250))
		line := c.line("A1")
		require.Len(t, line.Refunds, 1)
		assert.Equal(t, RefundSuccess, line.Refunds[0].State)
		assert.Equal(t, []int64{1000, 250}, []int64{line.Held, line.GaveBack})
		assert.Equal(t, "PROCESSING", c.refundOf("A1", "R1", 1000))
		assert.Error(t, c.sim.Refund("", "A1", 1))
	})
}
