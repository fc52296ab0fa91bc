package v2

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// accepted is the answer to a refund.
func accepted(o payflow.RefundOrder) reply {
	return reply{with: map[string]string{"result_code": "SUCCESS", "transaction_id": "1008450740201411110005820873", "out_trade_no": string(o.OutTradeNo),
		"out_refund_no": string(o.OutRefundNo), "refund_id": "50000408942018111907145868882", "refund_fee": fmt.Sprint(o.Amount.Minor), "total_fee": fmt.Sprint(o.Total.Minor),
		"fee_type": "HKD", "cash_refund_fee": "220", "cash_refund_fee_type": "CNY"}}
}

func TestRefundIsTakenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testRefund()
		o.Source = payflow.RefundFromUnsettled
		g.always(accepted(o))
		outcome, err := c.Refund(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundOutcome{Kind: payflow.RefundAccepted, Refund: payflow.RefundReport{RefundID: "50000408942018111907145868882", OutRefundNo: o.OutRefundNo,
			TransactionID: "1008450740201411110005820873", OutTradeNo: o.OutTradeNo, State: payflow.RefundStateProcessing, Amount: o.Amount, Total: o.Total,
			PayerAmount: payflow.Amount{Minor: 220, Currency: "CNY"}}}, outcome)
		sent := g.last().with
		assert.True(t, g.last().shown)
		delete(sent, "sign")
		delete(sent, "nonce_str")
		assert.Equal(t, map[string]string{"appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "sub_mch_id": "20000100", "out_trade_no": "SZTX001T1A1", "out_refund_no": "SZTX001T1A1-1",
			"total_fee": "1250", "refund_fee": "250", "refund_fee_type": "HKD", "refund_desc": "one doll back", "refund_account": "REFUND_SOURCE_UNSETTLED_FUNDS",
			"notify_url": "https://store.example/notify"}, sent)

		o.TransactionID, o.NotifyURL = "1008450740201411110005820873", "http://store.example/notify?x"
		g.always(accepted(o))
		_, err = c.Refund(t.Context(), o)
		require.NoError(t, err)
		assert.NotContains(t, g.last().with, "out_trade_no")
		assert.NotContains(t, g.last().with, "notify_url", "WeChat Pay would refuse the refund for it")
	})
}

func TestARefundThatIsNotTheOneAskedForIsUnknown(t *testing.T) {
	good := accepted(testRefund())
	for name, p := range map[string]reply{
		"another number": good.but("out_refund_no", "X"), "another payment": good.but("out_trade_no", "X"), "another amount": good.but("refund_fee", "251"),
		"another currency": good.but("fee_type", "CNY"), "unsigned": good.sealed("none"), "forged": good.sealed("forged"), "no result": good.but("result_code", ""),
		"a fault": refusal("SYSTEMERROR"), "again": refusal("BIZERR_NEED_RETRY"), "next year's code": refusal("NEXT_YEARS"), "a page": {raw: "<html>"}, "down": {status: 502},
		"an unsigned refusal": refusal("NOTENOUGH").sealed("none"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, c := inTown(t)
				g.always(p)
				_, err := c.Refund(t.Context(), testRefund())
				lostOf(t, err)
			})
		})
	}
}

func TestRefusedRefunds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for code, want := range map[string]payflow.RefundOutcomeKind{"NOTENOUGH": payflow.RefundDeclined, "USER_ACCOUNT_ABNORMAL": payflow.RefundDeclined,
			"TRADE_OVERDUE": payflow.RefundDeclined, "ERROR": payflow.RefundDeclined, "INVALID_TRANSACTIONID": payflow.RefundDeclined, "ORDERNOTEXIST": payflow.RefundDeclined,
			"PARAM_ERROR": payflow.RefundDeclined, "SIGNERROR": payflow.RefundDeclined, "INVALID_REQ_TOO_MUCH": payflow.RefundLater, "FREQUENCY_LIMITED": payflow.RefundLater} {
			g.always(refusal(code))
			outcome, err := c.Refund(t.Context(), testRefund())
			require.NoError(t, err, code)
			assert.Equal(t, want, outcome.Kind, code)
			assert.Equal(t, strings.ReplaceAll(code, "_", ""), outcome.Code)
		}
		kept := refusal("NOTENOUGH")
		kept.nonce = "kept"
		g.always(kept)
		_, err := c.Refund(t.Context(), testRefund())
		require.NoError(t, err)
		_, err = c.Refund(t.Context(), testRefund())
		lostOf(t, err)
		elsewhere := testRefund()
		elsewhere.HostFamily = "https://another.example"
		g.always(refusal("ORDERNOTEXIST"))
		_, err = c.Refund(t.Context(), elsewhere)
		assert.Equal(t, payflow.ReasonConfiguration, lostOf(t, err).Reason)
	})
}

func TestNoRefundIsSentThatNoAnswerCouldBeComparedWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for name, change := range map[string]func(*payflow.RefundOrder){
			"no number": func(o *payflow.RefundOrder) { o.OutRefundNo = "" }, "a strange number": func(o *payflow.RefundOrder) { o.OutRefundNo = "a b" },
			"no payment": func(o *payflow.RefundOrder) { o.OutTradeNo = "" }, "too much": func(o *payflow.RefundOrder) { o.Amount.Minor = 1251 },
			"nothing": func(o *payflow.RefundOrder) { o.Amount.Minor = 0 }, "another currency": func(o *payflow.RefundOrder) { o.Amount.Currency = "CNY" },
		} {
			o := testRefund()
			change(&o)
			_, err := c.Refund(t.Context(), o)
			assert.Equal(t, payflow.ReasonConfiguration, lostOf(t, err).Reason, name)
		}
		assert.Zero(t, g.count(refundPath))
	})
}

// refundPage is the answer to a refund query: count refunds from the first-th on, with indexes from base.
func refundPage(total, first, count, base int) reply {
	with := map[string]string{"result_code": "SUCCESS", "transaction_id": "1008450740201411110005820873", "out_trade_no": "SZTX001T1A1", "total_fee": "1250", "fee_type": "HKD",
		"total_refund_count": strconv.Itoa(total), "refund_count": strconv.Itoa(count)}
	for i := range count {
		index := "_" + strconv.Itoa(base+i)
		with["out_refund_no"+index] = fmt.Sprintf("SZTX001T1A1-%d", first+i+1)
		with["refund_id"+index] = fmt.Sprintf("5000040894201811190714586%04d", first+i+1)
		with["refund_fee"+index] = "25"
		with["refund_status"+index] = "SUCCESS"
		with["refund_channel"+index] = "ORIGINAL"
		with["refund_recv_accout"+index] = "支付用户零钱"
		with["refund_success_time"+index] = "2016-07-25 15:26:26"
	}
	return reply{with: with}
}

func TestQueryRefund(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testRefund()
		o.Amount.Minor = 25
		page := refundPage(2, 0, 2, 0)
		for text, want := range map[string]payflow.RefundState{"SUCCESS": payflow.RefundStateSuccess, "REFUNDCLOSE": payflow.RefundStateClosed, "PROCESSING": payflow.RefundStateProcessing,
			"CHANGE": payflow.RefundStateAbnormal, "REFUND_CLOSE": payflow.RefundStateClosed, "NEXT_YEARS": "NEXT_YEARS"} {
			g.always(page.but("refund_status_0", text))
			outcome, err := c.QueryRefund(t.Context(), o)
			require.NoError(t, err, text)
			assert.Equal(t, payflow.RefundFound, outcome.Kind)
			assert.Equal(t, want, outcome.Refund.State)
			assert.Equal(t, o.OutRefundNo, outcome.Refund.OutRefundNo)
			assert.Equal(t, payflow.Amount{Minor: 25, Currency: "HKD"}, outcome.Refund.Amount)
			assert.Equal(t, time.Date(2016, 7, 25, 15, 26, 26, 0, storeTime), outcome.Refund.SuccessTime)
		}
		assert.Equal(t, "SZTX001T1A1-1", g.last().with["out_refund_no"])
		assert.False(t, g.last().shown)
		_, err := c.QueryRefundByID(t.Context(), o, "50000408942018111907145860001")
		require.NoError(t, err)
		assert.Equal(t, "50000408942018111907145860001", g.last().with["refund_id"])
		_, err = c.QueryRefundByID(t.Context(), o, "50000408942018111907145860002")
		assert.Error(t, err, "that one has another out_refund_no")

		o.OutRefundNo = "SZTX001T1A1-9"
		_, err = c.QueryRefund(t.Context(), o)
		assert.Equal(t, payflow.ReasonUnverified, lostOf(t, err).Reason)
		g.always(refusal("REFUNDNOTEXIST"))
		outcome, err := c.QueryRefund(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.NoSuchRefund, outcome.Kind)
		g.always(refusal("SYSTEMERROR"))
		_, err = c.QueryRefund(t.Context(), o)
		assert.Equal(t, "SYSTEMERROR", lostOf(t, err).Code)
	})
}

func TestRefundsAreReadPageByPage(t *testing.T) {
	for name, base := range map[string]func(offset int) int{"indexes from 0": func(int) int { return 0 }, "indexes from the offset": func(offset int) int { return offset }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, c := inTown(t)
				g.script(func(a arrival) reply {
					offset, _ := strconv.Atoi(a.with["offset"])
					return refundPage(23, offset, min(10, 23-offset), base(offset))
				})
				all, err := c.Refunds(t.Context(), testOrder())
				require.NoError(t, err)
				require.Len(t, all, 23)
				assert.Equal(t, payflow.OutRefundNo("SZTX001T1A1-23"), all[22].OutRefundNo)
				assert.Equal(t, 3, g.count(refundQueryPath))
				_, err = c.RefundsByID(t.Context(), testOrder(), "1008450740201411110005820873")
				require.NoError(t, err)
				assert.Equal(t, "1008450740201411110005820873", g.last().with["transaction_id"])
			})
		})
	}
}

func TestRefundsThatDoNotAddUpAreUnknown(t *testing.T) {
	whole := refundPage(2, 0, 2, 0)
	for name, p := range map[string]reply{
		"fewer than told": refundPage(3, 0, 0, 0), "more than told": whole.but("total_refund_count", "1"), "too many": whole.but("total_refund_count", "101"),
		"no count": whole.but("refund_count", ""), "a count of no kind": whole.but("refund_count", "-1"), "twice the same": whole.but("out_refund_no_1", "SZTX001T1A1-1"),
		"one without amount": whole.but("refund_fee_1", ""), "one without number": whole.but("out_refund_no_1", ""), "one without state": whole.but("refund_status_1", ""),
		"another order's": whole.but("out_trade_no", "X"), "no order's": whole.but("out_trade_no", ""), "ten without a total": refundPage(10, 0, 10, 0).but("total_refund_count", ""),
		"the first page for ever": refundPage(20, 0, 10, 0), "unsigned": whole.sealed("none"), "a fault": refusal("SYSTEMERROR"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, c := inTown(t)
				g.always(p)
				all, err := c.Refunds(t.Context(), testOrder())
				lostOf(t, err)
				assert.Empty(t, all, "not even a part")
			})
		})
	}
}

func TestNoRefundsIsAnEmptyList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for _, p := range []reply{refusal("REFUNDNOTEXIST"), refundPage(0, 0, 0, 0), refundPage(0, 0, 0, 0).but("total_refund_count", "")} {
			g.always(p)
			all, err := c.Refunds(t.Context(), testOrder())
			require.NoError(t, err)
			assert.Empty(t, all)
		}
	})
}

func TestAQueryThatFindsARefundAddsThemUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		refunds := refundPage(3, 0, 3, 0).but("refund_fee_0", "1000", "refund_status_1", "PROCESSING", "refund_status_2", "CHANGE")
		g.script(func(a arrival) reply {
			if strings.HasSuffix(a.path, refundQueryPath) {
				return refunds
			}
			return paid(testOrder(), "REFUND")
		})
		outcome, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeRefund, outcome.Trade.State)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 1000, Pending: 25, Dead: 1}, outcome.Trade.Refunds)

		for _, unknown := range []reply{refusal("SYSTEMERROR"), refusal("REFUNDNOTEXIST"), refunds.but("fee_type", "CNY"), {hang: true}} {
			refunds = unknown
			outcome, err = c.Query(t.Context(), testOrder())
			require.NoError(t, err)
			assert.Equal(t, payflow.RefundSum{}, outcome.Trade.Refunds)
		}
	})
}

// An order number may hold 18 digits in a row: a store and a till of eight digits, the date and the counter. It is no payment code.
func TestARefundOfAnOrderWhoseNumberHoldsEighteenDigits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		order := testOrder()
		order.OutTradeNo = "123456712611260001KX7Q2B"
		o := testRefund()
		o.OutTradeNo, o.OutRefundNo = order.OutTradeNo, payflow.OutRefundNo(order.OutTradeNo+"-1")
		page := refundPage(1, 0, 1, 0).but("out_trade_no", string(o.OutTradeNo), "out_refund_no_0", string(o.OutRefundNo), "refund_fee_0", "250")

		g.always(accepted(o))
		outcome, err := c.Refund(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, []any{o.OutRefundNo, o.OutTradeNo}, []any{outcome.Refund.OutRefundNo, outcome.Refund.OutTradeNo})

		g.always(page)
		outcome, err = c.QueryRefund(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, []any{o.OutRefundNo, o.OutTradeNo}, []any{outcome.Refund.OutRefundNo, outcome.Refund.OutTradeNo})

		g.script(func(a arrival) reply {
			if strings.HasSuffix(a.path, refundQueryPath) {
				return page
			}
			return paid(order, "REFUND")
		})
		found, err := c.Query(t.Context(), order)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 250}, found.Trade.Refunds, "else a reverse is never proved by it")
	})
}
