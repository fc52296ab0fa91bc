package wxsim

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func refundOrder(number, refundNumber string, amount int) map[string]string {
	return map[string]string{"out_trade_no": number, "out_refund_no": refundNumber, "total_fee": "1250", "refund_fee": fmt.Sprint(amount), "refund_fee_type": "HKD"}
}

func (c *tillV2) refund2(number, refundNumber string, amount int) answerV2 {
	c.t.Helper()
	return c.ask("/secapi/pay/refund", refundOrder(number, refundNumber, amount))
}

func (c *tillV2) refundQuery2(f map[string]string) answerV2 {
	c.t.Helper()
	return c.ask("/pay/refundquery", f)
}

// API v2, submit refund: taken on, with the numbers; the same number again is the same refund.
func TestARefundIsTakenOnInV2(t *testing.T) {
	townV2(t, Config{Behaviour: Behaviour{ExtraEvery: -1}}, func(t *testing.T, c *tillV2) {
		id := c.play2("A1", "pays-at-once").f["transaction_id"]
		a := c.refund2("A1", "R1", 250)
		assert.NoError(t, a.trust)
		want := map[string]string{"transaction_id": id, "out_trade_no": "A1", "out_refund_no": "R1", "refund_fee": "250", "settlement_refund_fee": "250",
			"refund_fee_type": "HKD", "total_fee": "1250", "settlement_total_fee": "1250", "fee_type": "HKD", "cash_fee": "1150", "cash_fee_type": "CNY",
			"cash_refund_fee": "230", "cash_refund_fee_type": "CNY", "coupon_refund_fee": "0", "coupon_refund_count": "0"}
		for name, value := range want {
			assert.Equal(t, value, a.f[name], name)
		}
		assert.Regexp(t, `^5030[0-9]{24}$`, a.f["refund_id"])
		assert.Equal(t, a.f["refund_id"], c.refund2("A1", "R1", 250).f["refund_id"])
		assert.Equal(t, "FAIL INVALID_REQUEST", c.refund2("A1", "R1", 251).word())
		assert.Equal(t, "FAIL INVALID_REQUEST", c.refund2("A1", "R2", 1001).word())
		assert.Equal(t, "REFUND held 1250 back 0 R1 250 PROCESSING", c.books("A1"))
		assert.Equal(t, "REFUND", c.query2("A1").word())
		time.Sleep(5 * time.Second)
		assert.Equal(t, "REFUND held 1000 back 250 R1 250 SUCCESS", c.books("A1"))
	})
}

// API v2, submit refund: fields and their lengths; transaction_id or out_trade_no.
func TestARefundIsCheckedInV2(t *testing.T) {
	rows := map[string]struct {
		want string
		edit func(f map[string]string)
	}{
		"by the other number":  {"FAIL INVALID_TRANSACTIONID", func(f map[string]string) { f["transaction_id"] = "4200000000000000000000000000" }},
		"of no order":          {"FAIL ORDERNOTEXIST", func(f map[string]string) { f["out_trade_no"] = "NONE" }},
		"no number":            {"DENIED LACK_PARAMS", func(f map[string]string) { delete(f, "out_trade_no") }},
		"no refund number":     {"DENIED LACK_PARAMS", func(f map[string]string) { delete(f, "out_refund_no") }},
		"an odd refund number": {"DENIED PARAM_ERROR", func(f map[string]string) { f["out_refund_no"] = "R 1" }},
		"no total":             {"DENIED LACK_PARAMS", func(f map[string]string) { delete(f, "total_fee") }},
		"another total":        {"FAIL INVALID_REQUEST", func(f map[string]string) { f["total_fee"] = "1251" }},
		"no currency is CNY":   {"FAIL INVALID_REQUEST", func(f map[string]string) { delete(f, "refund_fee_type") }},
		"odd funds":            {"DENIED PARAM_ERROR", func(f map[string]string) { f["refund_account"] = "POCKET" }},
		"a URL with a query":   {"DENIED PARAM_ERROR", func(f map[string]string) { f["notify_url"] = "https://shop.test/n?x=1" }},
		"everything is there": {"SUCCESS", func(f map[string]string) {
			maps.Copy(f, map[string]string{"refund_desc": "soup was cold", "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS", "notify_url": "https://shop.test/n"})
		}},
	}
	for name, row := range rows {
		townV2(t, Config{}, func(t *testing.T, c *tillV2) {
			c.play2("A1", "pays-at-once")
			f := refundOrder("A1", "R1", 250)
			row.edit(f)
			assert.Equal(t, row.want, c.ask("/secapi/pay/refund", f).word(), name)
		})
	}
}

// API Rules, certificate requirement.
func TestRefundIsRefusedWithoutTheClientCertificate(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.showing(nil)
		c.play2("A1", "pays-at-once")
		assert.Equal(t, "400 page", c.refund2("A1", "R1", 250).word())
		assert.Empty(t, c.line("A1").Refunds)
		assert.Equal(t, map[Call]int{Refund: 1}, c.sim.Books().Uncertified)
		assert.Equal(t, "FAIL REFUNDNOTEXIST", c.refundQuery2(map[string]string{"out_refund_no": "R1"}).word(), "to ask needs none")
	})
}

// API v2, query refund: by one of four numbers; several refunds are numbered from 0, ten in an answer.
func TestRefundsAreFoundByFourNumbersInV2(t *testing.T) {
	townV2(t, Config{Behaviour: Behaviour{ExtraEvery: -1}}, func(t *testing.T, c *tillV2) {
		id := c.play2("A1", "pays-at-once").f["transaction_id"]
		var last string
		for i := range 12 {
			last = c.refund2("A1", fmt.Sprint("R", i), 1+i).f["refund_id"]
		}
		first := map[string]string{"out_trade_no": "A1"}
		a := c.refundQuery2(first)
		assert.NoError(t, a.trust)
		assert.Equal(t, "12 10 R0 R9", a.f["total_refund_count"]+" "+a.f["refund_count"]+" "+a.f["out_refund_no_0"]+" "+a.f["out_refund_no_9"])
		assert.Equal(t, "PROCESSING 1 ORIGINAL 建设银行借记卡0403", a.f["refund_status_0"]+" "+a.f["refund_fee_0"]+" "+a.f["refund_channel_0"]+" "+a.f["refund_recv_accout_0"])
		assert.NotContains(t, a.f, "refund_success_time_0")
		assert.NotContains(t, a.f, "out_refund_no_10")
		a = c.refundQuery2(map[string]string{"transaction_id": id, "offset": "10"})
		assert.Equal(t, "12 2 R10 R11", a.f["total_refund_count"]+" "+a.f["refund_count"]+" "+a.f["out_refund_no_0"]+" "+a.f["out_refund_no_1"])
		assert.Equal(t, "FAIL REFUNDNOTEXIST", c.refundQuery2(map[string]string{"transaction_id": id, "offset": "12"}).word())
		time.Sleep(5 * time.Second)
		a = c.refundQuery2(map[string]string{"refund_id": last, "out_refund_no": "R1", "out_trade_no": "A1"})
		assert.Equal(t, "1 R11 SUCCESS 12", a.f["refund_count"]+" "+a.f["out_refund_no_0"]+" "+a.f["refund_status_0"]+" "+a.f["refund_fee_0"])
		assert.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`, a.f["refund_success_time_0"])
		assert.Equal(t, "R1", c.refundQuery2(map[string]string{"out_refund_no": "R1", "transaction_id": id}).f["out_refund_no_0"])
		assert.Equal(t, "FAIL REFUNDNOTEXIST", c.refundQuery2(map[string]string{"out_refund_no": "R99", "out_trade_no": "A1"}).word())
		assert.Equal(t, "DENIED LACK_PARAMS", c.refundQuery2(nil).word())
	})
}

// API v2, query refund and submit refund: states and error codes.
func TestRefundScenariosDoTheSameOverV2(t *testing.T) {
	rows := map[string]struct{ taken, later string }{
		"refund-never-ends":   {"SUCCESS", "PROCESSING"},
		"refund-closed":       {"SUCCESS", "REFUNDCLOSE"},
		"refund-abnormal":     {"SUCCESS", "CHANGE"},
		"refund-no-money":     {"FAIL NOTENOUGH", ""},
		"refund-account-dead": {"FAIL USER_ACCOUNT_ABNORMAL", ""},
		"refund-overdue":      {"FAIL TRADE_OVERDUE", ""},
		"refund-error":        {"FAIL ERROR", ""},
		"refund-system-error": {"FAIL SYSTEMERROR", "SUCCESS"},
		"refund-retry":        {"FAIL BIZERR_NEED_RETRY", ""},
		"refund-too-soon":     {"FAIL INVALID_REQ_TOO_MUCH", ""},
		"refund-too-often":    {"FAIL FREQUENCY_LIMITED", ""},
		"refund-answer-lost":  {"lost", "SUCCESS"},
		"refund-unsigned":     {"SUCCESS?", "SUCCESS"},
	}
	for name, row := range rows {
		townV2(t, Config{}, func(t *testing.T, c *tillV2) {
			c.play2("A1", name)
			assert.Equal(t, row.taken, wordOf(c.call("/secapi/pay/refund", refundOrder("A1", "R1", 250))), name)
			time.Sleep(6 * time.Second)
			assert.Equal(t, row.later, c.refundQuery2(map[string]string{"out_refund_no": "R1"}).f["refund_status_0"], name)
		})
	}
}

// What one API says of the other's refunds is not documented.
func TestTheOtherAPIsRefundsAreNotThere(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.fetch()
		c.mustPlay("OF3", "pays-at-once")
		c.play2("OF2", "pays-at-once")
		assert.Equal(t, "FAIL ORDERNOTEXIST", c.refund2("OF3", "R1", 1).word())
		assert.Equal(t, "PROCESSING", c.refundOf("OF3", "R3", 1))
		assert.Equal(t, "PROCESSING", c.refundOf("OF2", "R2", 1))
		assert.Equal(t, "FAIL REFUNDNOTEXIST", c.refundQuery2(map[string]string{"out_refund_no": "R3"}).word())
		for path, status := range map[string]int{"/out-refund-no/R3?": 200, "/out-refund-no/R2?": 404, "?out_trade_no=OF3&": 200, "?out_trade_no=OF2&": 404} {
			assert.Equal(t, status, c.must("GET", refundsPath+path+c.ids(), "").status, path)
		}
		c.sim.Behave(Behaviour{APIsShareOrders: true})
		assert.Equal(t, "SUCCESS", c.refundQuery2(map[string]string{"out_refund_no": "R3"}).word())
		assert.Equal(t, 200, c.must("GET", refundsPath+"/out-refund-no/R2?"+c.ids(), "").status)
	})
}
