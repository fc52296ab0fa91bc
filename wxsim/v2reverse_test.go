package wxsim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func recallOf(a answerV2) string { return a.word() + " recall " + a.f["recall"] }

// API v2, reverse: unpaid it ends, paid it is refunded in full; it may be called again; recall N.
func TestAReverseTakesTheOrderBackInV2(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.play2("PAID", "pays-at-once")
		c.play2("UNPAID", "password-never")
		c.play2("GAP", "pays-in-the-gap")
		time.Sleep(15 * time.Second)
		for _, number := range []string{"PAID", "UNPAID", "GAP", "PAID"} {
			a := c.reverse2(number)
			assert.NoError(t, a.trust)
			assert.Equal(t, "SUCCESS recall N", recallOf(a), number)
			assert.Equal(t, "REVOKED", c.query2(number).word())
		}
		assert.Equal(t, []int64{1250, 0, 1250}, []int64{c.line("PAID").GaveBack, c.line("UNPAID").GaveBack, c.line("GAP").GaveBack})
		assert.Empty(t, c.violations())
		assert.Equal(t, "FAIL ORDERREVERSED", c.play2("PAID", "pays-at-once").word())
	})
}

// Reverse order: after a minimum of 15 seconds.
func TestAReverseBefore15SecondsIsRefusedInV2(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.play2("A1", "pays-at-once")
		time.Sleep(14900 * time.Millisecond)
		assert.Equal(t, "FAIL INVALID_REQUEST recall Y", recallOf(c.reverse2("A1")))
		assert.Equal(t, []string{"reversed sooner than 15 s after the pay call"}, c.violations())
		time.Sleep(100 * time.Millisecond)
		assert.Equal(t, "SUCCESS recall N", recallOf(c.reverse2("A1")))
	})
}

// API v2, reverse: recall Y asks to call again.
func TestAReverseThatIsRefusedForNowAsksToBeCalledAgain(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.play2("A1", "reverse-refused")
		c.pay2("A2", CodeFor("never-ends", 1))
		time.Sleep(15 * time.Second)
		assert.Equal(t, "FAIL SYSTEMERROR recall Y", recallOf(c.reverse2("A2")))
		assert.Equal(t, "FAIL TRADE_ERROR recall Y", recallOf(c.reverse2("A1")))
		time.Sleep(30 * time.Second)
		assert.Equal(t, "SUCCESS recall N", recallOf(c.reverse2("A1")))
		c.play2("A3", "reverse-answer-lost")
		time.Sleep(15 * time.Second)
		_, err := c.call("/secapi/pay/reverse", map[string]string{"out_trade_no": "A3"})
		assert.Error(t, err)
		assert.Equal(t, "REVOKED", c.query2("A3").word())
	})
}

// API v2, reverse: an order that does not exist gives success; a later pay call makes it all the same, unless it is set otherwise.
func TestAReverseOfNothingIsDoneInV2(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		assert.Equal(t, "SUCCESS recall N", recallOf(c.reverse2("A1")))
		assert.Equal(t, "SUCCESS", c.play2("A1", "pays-at-once").word())
		c.sim.Behave(Behaviour{ReverseBlocks: true})
		c.reverse2("A2")
		assert.Equal(t, "FAIL ORDERREVERSED", c.play2("A2", "pays-at-once").word())
		byID := c.ask("/secapi/pay/reverse", map[string]string{"transaction_id": "4200000000000000000000000000"})
		assert.Equal(t, "FAIL INVALID_TRANSACTIONID recall N", recallOf(byID))
	})
}

// API v2, reverse: up to 7 days; then refund.
func TestAReverseAfterSevenDaysIsTooLateInV2(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		id := c.play2("A1", "pays-at-once").f["transaction_id"]
		time.Sleep(7*24*time.Hour + time.Second)
		assert.Equal(t, "FAIL REVERSE_EXPIRE recall N", recallOf(c.ask("/secapi/pay/reverse", map[string]string{"transaction_id": id})))
		assert.Equal(t, Success, c.line("A1").State)
	})
}
