package wxsim

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (c *caller) settlements(query string) answer {
	c.t.Helper()
	return c.must("GET", "/v3/global/settle/settlements?"+query, "")
}

func payoutsOf(a answer) []string {
	var all []string
	for _, item := range a.members["data"].([]any) {
		item := item.(map[string]any)
		amount := item["amount"].(map[string]any)
		all = append(all, fmt.Sprint(item["trade_start_date"], " ", item["settlement_date"], " ", amount["currency"], " pay ", amount["pay"], " refund ", amount["refund"],
			" net ", amount["net"], " fee ", amount["fee"], " settled ", amount["settled"], " unsettle ", amount["unsettle"]))
	}
	return all
}

// Settlement query (2.8; seed 002): SETTLED by the day of the payout, UNSETTLE what is still to come, page by page; settled is the
// next day's (business rules, T+1).
func TestADaysTradeIsUnsettledAndThenSettled(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch() // 8:00 of 1 January 2000, GMT+8
		for i := range 4 {
			c.mustPlay(fmt.Sprint("A", i), "pays-at-once")
		}
		c.refund("A1", "R1", 250)
		c.mustPlay("B1", "refund-closed")
		c.refund("B1", "R2", 250)
		time.Sleep(15 * time.Second)
		require.Equal(t, 204, c.reverse("A2").status)
		unsettled := c.settlements("settle_state=UNSETTLE&offset=0&limit=10")
		assert.NoError(t, unsettled.trust)
		assert.Equal(t, []string{"20000101 <nil> HKD pay 6250 refund 1500 net 4750 fee 29 settled 0 unsettle 4721"}, payoutsOf(unsettled))
		assert.Empty(t, payoutsOf(c.settlements("settle_state=SETTLED&offset=0&limit=10")))

		time.Sleep(24 * time.Hour)
		c.mustPlay("C1", "pays-at-once")
		time.Sleep(24 * time.Hour)
		c.mustPlay("D1", "pays-at-once")
		settled := c.settlements("settle_state=SETTLED&offset=0&limit=10&sub_mchid=20000100")
		assert.Equal(t, []string{"20000101 20000102 HKD pay 6250 refund 1500 net 4750 fee 29 settled 4721 unsettle 0",
			"20000102 20000103 HKD pay 1250 refund 0 net 1250 fee 8 settled 1242 unsettle 0"}, payoutsOf(settled))
		assert.Equal(t, []any{2.0, 0.0, 10.0}, []any{settled.members["total_count"], settled.members["offset"], settled.members["limit"]})
		assert.Equal(t, "CHINA_MAINLAND", settled.members["data"].([]any)[0].(map[string]any)["wallet_region"])
		assert.Len(t, payoutsOf(c.settlements("settle_state=SETTLED&offset=1&limit=1")), 1)
		assert.Empty(t, payoutsOf(c.settlements("settle_state=SETTLED&offset=2&limit=1")))
		assert.Len(t, payoutsOf(c.settlements("settle_state=SETTLED&offset=0&limit=5&settle_start_date=20000103&settle_end_date=20000131")), 1)
		assert.Len(t, payoutsOf(c.settlements("settle_state=UNSETTLE&offset=0&limit=5")), 1)
	})
}

func TestASettlementQueryIsHeldAgainstThePage(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		for _, bad := range []string{"offset=0&limit=5", "settle_state=OPEN&offset=0&limit=5", "settle_state=SETTLED&limit=5", "settle_state=SETTLED&offset=0",
			"settle_state=SETTLED&offset=0&limit=0", "settle_state=SETTLED&offset=0&limit=101", "sette_state=SETTLED&offset=0&limit=5",
			"settle_state=SETTLED&offset=0&limit=5&settle_start_date=20000102", "settle_state=SETTLED&offset=0&limit=5&settle_start_date=20000103&settle_end_date=20000102"} {
			assert.Equal(t, "400 PARAM_ERROR", whatCame(c.settlements(bad), nil), bad)
		}
		assert.Equal(t, "403 NO_AUTH", whatCame(c.settlements("settle_state=SETTLED&offset=0&limit=5&sub_mchid=20000200"), nil))
	})
}
