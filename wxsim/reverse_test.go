package wxsim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Reverse (Global v3, 2.4): success is 204 without a body; paid means refunded in full.
func TestAReverseRefundsAPaidOrderInFull(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		time.Sleep(15 * time.Second)
		a := c.reverse("A1")
		assert.Equal(t, 204, a.status)
		assert.Empty(t, a.body)
		assert.NoError(t, a.trust, "signed over the empty body")
		assert.Equal(t, "REVOKED", c.state("A1"))
		line := c.line("A1")
		assert.Equal(t, []int64{1, 0, 1250}, []int64{int64(line.Charged), line.Held, line.GaveBack})
		assert.Empty(t, c.violations())
	})
}

// Reverse: an unpaid order is closed; it can be reversed again without harm.
func TestAReverseEndsAnUnpaidOrder(t *testing.T) {
	for closes, want := range map[bool]string{false: "REVOKED", true: "CLOSED"} {
		town(t, Config{Behaviour: Behaviour{ReverseCloses: closes}}, func(t *testing.T, c *caller) {
			c.fetch()
			c.mustPlay("A1", "password-pays")
			c.mustPlay("A2", "system-error-unpaid")
			time.Sleep(15 * time.Second)
			assert.Equal(t, 204, c.reverse("A2").status)
			assert.Equal(t, want, c.state("A2"))
			assert.Equal(t, 204, c.reverse("A2").status)
			assert.Equal(t, 204, c.reverse("A1").status)
			assert.Equal(t, "REVOKED", c.state("A1"), "it had been paid")
			assert.Equal(t, int64(0), c.line("A2").GaveBack)
		})
	}
}

// Reverse by WeChat Pay's own number.
func TestAnOrderIsReversedByItsTransactionID(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		paid := c.mustPlay("A1", "pays-at-once")
		time.Sleep(15 * time.Second)
		a := c.must("POST", "/v3/global/micropay/transactions/id/"+paid.text("id")+"/reverse", c.reverseBody())
		assert.Equal(t, 204, a.status)
		assert.Equal(t, "REVOKED", c.state("A1"))
	})
}

// Reverse: call it after minimum 15 seconds (the text on cancelling an order).
func TestAReverseSoonerThan15SecondsIsRefusedAndWrittenDown(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		time.Sleep(15*time.Second - time.Millisecond)
		assert.Equal(t, "400 INVALID_REQUEST", whatCame(c.reverse("A1"), nil))
		assert.Equal(t, []string{"reversed sooner than 15 s after the pay call"}, c.violations())
		assert.Equal(t, "SUCCESS", c.state("A1"))
		time.Sleep(time.Millisecond)
		assert.Equal(t, 204, c.reverse("A1").status)
	})
}

// The same where the pay call was cut off, as far as it named its order.
func TestTheFifteenSecondsCountFromAPayCallThatWasCutOffToo(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{On: Pay, Order: "A1", Kind: DropUnread})
		_, err := c.play("A1", "pays-at-once")
		require.Error(t, err)
		c.reverse("A1")
		assert.Len(t, c.violations(), 1)
	})
}

// A pay call that WeChat Pay reads late makes a young order: its reverse is refused, and nobody is blamed.
func TestAReverseOfAnOrderThatCameLateIsRefusedWithoutBlame(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{On: Pay, Kind: ReadLate, Delay: 30 * time.Second})
		_, err := c.play("A1", "pays-at-once")
		require.Error(t, err)
		time.Sleep(20 * time.Second)
		assert.Equal(t, "400 INVALID_REQUEST", whatCame(c.reverse("A1"), nil))
		assert.Empty(t, c.violations())
		time.Sleep(15 * time.Second)
		assert.Equal(t, 204, c.reverse("A1").status)
	})
}

// Reverse gives success for an order that does not exist (v2 4013637944).
func TestAReverseOfAnUnknownOrderIsDone(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		assert.Equal(t, 204, c.reverse("A1").status)
		assert.Equal(t, "ORDER_NOT_EXIST", c.state("A1"))
		unknownID := "/v3/global/micropay/transactions/id/4200000000000000000000000009/reverse"
		assert.Equal(t, 204, c.must("POST", unknownID, c.reverseBody()).status)
	})
}

// Closing the loop, the race that no document covers: a pay call after the reverse of its unknown number.
func TestAPayCallAfterTheReverseOfItsNumberGoesAsTheSimulatorIsSet(t *testing.T) {
	for blocks, want := range map[bool]string{false: "200 SUCCESS", true: "403 ORDER_REVERSED"} {
		town(t, Config{Behaviour: Behaviour{ReverseBlocks: blocks}}, func(t *testing.T, c *caller) {
			c.fetch()
			require.Equal(t, 204, c.reverse("A1").status)
			assert.Equal(t, want, whatCame(c.mustPlay("A1", "pays-at-once"), nil))
		})
	}
}

// Reverse: orders up to 7 days old (REVERSE_EXPIRE).
func TestAReverseComesTooLateAfterSevenDays(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		time.Sleep(7*24*time.Hour + time.Second)
		assert.Equal(t, "403 REVERSE_EXPIRE", whatCame(c.reverse("A1"), nil))
		assert.Equal(t, int64(1250), c.line("A1").Held)
	})
}

// Query order: REFUND is paid, then at least one refund. What a reverse does then is not documented: it is refused.
func TestAnOrderRefundedInPartReadsRefundAndIsNotReversed(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		require.NoError(t, c.sim.Refund("", "A1", 250))
		assert.Error(t, c.sim.Refund("", "A1", 1001))
		assert.Error(t, c.sim.Refund("", "A9", 1))
		time.Sleep(15 * time.Second)
		assert.Equal(t, "REFUND", c.state("A1"))
		assert.Equal(t, "400 INVALID_REQUEST", whatCame(c.reverse("A1"), nil))
		assert.Equal(t, int64(1000), c.line("A1").Held)
	})
}

// Reverse: the body holds the ids of the mode only.
func TestAReverseBodyHoldsTheIDsAlone(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		for _, body := range []string{"", "{}", `{"sp_mchid":"10000100"}`, `{"mchid":"10000100"}`, `{"sp_mchid":"10000100","sub_mchid":"20000100","x":1}`,
			`{"sp_mchid":"10000200","sub_mchid":"20000100"}`} {
			a := c.must("POST", "/v3/global/micropay/transactions/out-trade-no/A1/reverse", body)
			assert.Equal(t, "400 PARAM_ERROR", whatCame(a, nil), body)
		}
	})
}
