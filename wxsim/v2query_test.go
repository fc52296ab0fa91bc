package wxsim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// API v2, query order: by transaction_id, which is preferred, or by out_trade_no; one is required.
func TestAnOrderIsFoundByEitherNumberInV2(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		id := c.play2("A1", "pays-at-once").f["transaction_id"]
		query := func(f map[string]string) answerV2 { return c.ask("/pay/orderquery", f) }
		a := query(map[string]string{"transaction_id": id})
		assert.NoError(t, a.trust)
		assert.Equal(t, "A1 SUCCESS Payment succeeded 1250", a.f["out_trade_no"]+" "+a.f["trade_state"]+" "+a.f["trade_state_desc"]+" "+a.f["total_fee"])
		assert.Equal(t, "A1", query(map[string]string{"transaction_id": id, "out_trade_no": "A2"}).f["out_trade_no"])
		assert.Equal(t, "FAIL ORDERNOTEXIST", query(map[string]string{"transaction_id": "4200" + id[5:] + "0", "out_trade_no": "A1"}).word())
		assert.Equal(t, "FAIL ORDERNOTEXIST", query(map[string]string{"out_trade_no": "A2"}).word())
		assert.Equal(t, "DENIED LACK_PARAMS", query(nil).word())
	})
}

// API v2, query order: of an order that is not paid come the number and attach alone.
func TestAnUnpaidOrderHasNoAmountsInV2(t *testing.T) {
	townV2(t, Config{Behaviour: Behaviour{ExtraEvery: -1}}, func(t *testing.T, c *tillV2) {
		c.play2("A1", "password-never")
		a := c.query2("A1")
		assert.Equal(t, "USERPAYING", a.word())
		short := []string{"appid", "attach", "mch_id", "nonce_str", "out_trade_no", "result_code", "return_code", "return_msg", "sign", "sub_mch_id", "trade_state",
			"trade_state_desc"}
		assert.Equal(t, short, names(a.f))
		time.Sleep(45 * time.Second)
		a = c.query2("A1")
		assert.Equal(t, "REVOKED", a.word(), "after 45 s WeChat Pay revokes it")
		assert.Equal(t, short, names(a.f))
	})
}

// What one API says of an order that the other one made is not documented.
func TestTheOtherAPIsOrdersAreNotThere(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.fetch()
		c.mustPlay("OF3", "pays-at-once")
		c.play2("OF2", "pays-at-once")
		assert.Equal(t, []API{V3, V2}, []API{c.line("OF3").API, c.line("OF2").API})
		time.Sleep(15 * time.Second)
		assert.Equal(t, "FAIL ORDERNOTEXIST", c.query2("OF3").word())
		assert.Equal(t, "ORDER_NOT_EXIST", c.state("OF2"))
		assert.Equal(t, "FAIL ORDERNOTEXIST", c.reverse2("OF3").word())
		assert.Equal(t, 404, c.reverse("OF2").status)
		assert.Equal(t, []TradeState{Success, Success}, []TradeState{c.line("OF3").State, c.line("OF2").State})

		c.sim.Behave(Behaviour{APIsShareOrders: true})
		assert.Equal(t, "SUCCESS", c.query2("OF3").word())
		assert.Equal(t, "SUCCESS", c.state("OF2"))
		assert.Equal(t, "SUCCESS", c.reverse2("OF3").word())
		assert.Equal(t, 204, c.reverse("OF2").status)
		assert.Equal(t, []TradeState{Revoked, Revoked}, []TradeState{c.line("OF3").State, c.line("OF2").State})
	})
}

// Another till's order, placed by a test, is seen by both.
func TestAnotherTillsOrderIsSeenByBothAPIs(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.fetch()
		assert.NoError(t, c.sim.Place(Foreign{Number: "F1", Attach: "OTHER"}))
		assert.Equal(t, "SUCCESS", c.query2("F1").word())
		assert.Equal(t, "OTHER", c.query2("F1").f["attach"])
		assert.Equal(t, "SUCCESS", c.state("F1"))
	})
}
