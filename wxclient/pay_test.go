package wxclient

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestPayBringsAVerifiedTrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		g.always(reply{status: 200, body: paidBody(o)})

		outcome, err := c.Pay(t.Context(), o, testAuthCode(t), gone())

		require.NoError(t, err)
		assert.Equal(t, payflow.Found, outcome.Kind)
		assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State)
		assert.Equal(t, o.Amount, outcome.Trade.Amount)
		assert.Equal(t, payflow.TransactionID("1008450740201411110005820873"), outcome.Trade.TransactionID)
		assert.Equal(t, payflow.Amount{Minor: 1100, Currency: "CNY"}, outcome.Trade.PayerAmount)
		assert.True(t, o.Tag.Carries(outcome.Trade.Attach))
		assert.Equal(t, "10000100", outcome.Trade.MerchantID)
		assert.Equal(t, "20000100", outcome.Trade.SubMerchantID)
		assert.Equal(t, 1, g.count("micropay/transactions/pay"))
	})
}

func TestPayWaitsForTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 200, body: paidBody(testOrder())})
		leave, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), leave)
			assert.NoError(t, err)
		}()
		time.Sleep(5 * time.Second)
		require.Zero(t, g.count("pay"), "the record is not on disk yet")
		close(leave)
		<-done
		require.Equal(t, 1, g.count("pay"))
	})
}

func TestPayGivenUpBeforeTheRecordSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Pay(ctx, testOrder(), testAuthCode(t), make(chan struct{}))
		lostOf(t, err)
		assert.Zero(t, g.count("pay"))
	})
}

func TestPayCarriesExactlyOneSetOfIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		o.Attach, o.GoodsTag, o.LimitPay, o.Operator = "their text", "1234", "no_credit", "P001"
		o.Detail = `{"cost_price":1,"goods_detail":[{"goods_id":"a","goods_name":"doll 🧸","price":12345678901234567890}]}`
		_, _ = c.Pay(t.Context(), o, testAuthCode(t), gone())
		assert.JSONEq(t, `{"sp_appid":"wx2421b1c4370ec43b","sp_mchid":"10000100","sub_mchid":"20000100","out_trade_no":"SZTX001T1A1","description":"Image Store - QQ Doll",
			"attach":"ABCDEFGH01234567 their text","goods_tag":"1234","trade_type":"MICROPAY","limit_pay":"no_credit","merchant_category_code":"4111",
			"payer":{"auth_code":"134650720866361395"},"amount":{"total":1250,"currency":"HKD"},
			"scene_info":{"device_id":"T1","operator_id":"P001","store_info":{"id":"SZTX001","name":"Tencent Building","address":"Nanshan"}},
			"detail":{"cost_price":1,"goods_detail":[{"goods_id":"a","goods_name":"doll ?","price":12345678901234567890}]}}`, g.lastBody())

		o.Store.Address = ""
		o.Merchant = payflow.Merchant{Mode: payflow.Direct, AppID: "wxdirect", MerchantID: "1900000109", CategoryCode: "1011"}
		_, _ = c.Pay(t.Context(), o, testAuthCode(t), gone())
		var sent map[string]any
		require.NoError(t, json.Unmarshal([]byte(g.lastBody()), &sent))
		assert.Equal(t, "wxdirect", sent["appid"])
		assert.NotContains(t, sent["scene_info"], "store_info", "the documents require its address")
		assert.Equal(t, "1900000109", sent["mchid"])
		for _, institutional := range []string{"sp_appid", "sp_mchid", "sub_mchid", "sub_appid"} {
			assert.NotContains(t, sent, institutional)
		}
	})
}

func TestPayGivesEachHostThreeSecondsAndAllOfThemSix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const thirdHost = "third.test"
		g := newGateway(t)
		net := newPipes(g, firstHost, secondHost, thirdHost)
		c := newClient(t, testConfig(g, net.dial, firstHost, secondHost, thirdHost))
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		g.always(reply{status: 200, body: paidBody(testOrder())})
		c.idle.closeAll()
		net.set(firstHost, "silent")
		start := time.Now()
		_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(start))

		c.idle.closeAll()
		net.set(secondHost, "silent")
		net.set(thirdHost, "silent")
		start = time.Now()
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.NotSent, outcome.Kind)
		assert.Equal(t, 6*time.Second, time.Since(start), "and the third host is not tried")
	})
}

func TestPayNotSentWhenNoHostCanBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		net := newPipes(g, firstHost, secondHost)
		c := newClient(t, testConfig(g, net.dial, firstHost, secondHost))
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		c.idle.closeAll()
		net.set(firstHost, "silent")
		net.set(secondHost, "silent")
		start := time.Now()

		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())

		require.NoError(t, err)
		assert.Equal(t, payflow.NotSent, outcome.Kind)
		assert.Equal(t, payflow.ReasonNoNetwork, outcome.Reason)
		assert.Equal(t, 6*time.Second, time.Since(start), "3 s a host, 6 s in all")
		assert.Zero(t, g.count("pay"))
		assert.False(t, c.LinkUp())
	})
}

func TestPayGoesToTheNextHostWhileNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		net := newPipes(g, firstHost, secondHost)
		net.set(firstHost, "refuse")
		c := newClient(t, testConfig(g, net.dial, firstHost, secondHost))
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		g.always(reply{status: 200, body: paidBody(testOrder())})
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.Found, outcome.Kind)
		assert.Equal(t, secondHost, g.hosts[len(g.hosts)-1])
		assert.Equal(t, secondHost, c.State().Host)
		assert.Equal(t, []string{firstHost}, c.State().HostsAside)
	})
}

func TestPayNeverGoesToTheNextHostOnceItMayHaveLeft(t *testing.T) {
	for name, p := range map[string]reply{
		"hung up": {drop: true}, "never answered": {hang: true}, "redirected": {status: 307, header: map[string]string{"Location": "https://" + secondHost + payTarget}},
		"bad gateway": {status: 502, body: "<html>", seal: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				c := newClient(t, testConfig(g, newPipes(g, firstHost, secondHost).dial, firstHost, secondHost))
				require.NoError(t, c.FirstRoundTrip(t.Context()))
				g.always(p)
				start := time.Now()
				_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
				l := lostOf(t, err)
				assert.Empty(t, l.Claim)
				assert.Equal(t, 1, g.count("pay"))
				assert.LessOrEqual(t, time.Since(start), 15*time.Second)
			})
		})
	}
}

func TestPayOnAWarmConnectionThatDiedGoesOnOnANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		require.NoError(t, c.Warm(t.Context()))
		dead := c.warm.current()
		g.always(reply{status: 200, body: paidBody(testOrder())})
		dead.conn.Conn.Close() // the reader has not noticed yet
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		if err == nil {
			assert.Equal(t, payflow.Found, outcome.Kind)
		}
		assert.LessOrEqual(t, g.count("pay"), 1)
		synctest.Wait()
		outcome, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err, "by now the death is known")
		assert.Equal(t, payflow.Found, outcome.Kind)
	})
}

// The connection that the call took dies while its record is written: nothing was sent on it, so the call goes on at once on another one.
func TestPayGoesOnWhereItsConnectionDiesBeforeTheFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		require.NoError(t, c.Warm(t.Context()))
		taken := c.warm.current()
		g.always(reply{status: 200, body: paidBody(testOrder())})
		leave := make(chan struct{})
		var outcome payflow.Outcome
		var err error
		paid := make(chan struct{})
		go func() {
			defer close(paid)
			outcome, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), leave)
		}()
		synctest.Wait()
		taken.conn.Conn.Close()
		synctest.Wait()
		require.False(t, taken.alive(), "its death is known before the call may leave")
		close(leave)
		<-paid
		require.NoError(t, err)
		assert.Equal(t, payflow.Found, outcome.Kind, outcome.Text)
		assert.Equal(t, 1, g.count("pay"))
	})
}

func TestPaySendsWhatItMustAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		_, _ = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		h := g.headers[len(g.headers)-1]
		assert.Equal(t, "application/json", h.Get("Accept"))
		assert.Equal(t, "application/json", h.Get("Content-Type"))
		assert.Regexp(t, `^posagent/`, h.Get("User-Agent"))
		assert.Regexp(t, `^WECHATPAY2-SHA256-RSA2048 mchid="10000100",nonce_str="[0-9A-Za-z]{16,32}",serial_no="5F1C72E2A8931B72A2E13AF8DEE92471EB397115",timestamp="[0-9]{9,10}",signature="[^"]+"$`, h.Get("Authorization"))
		for name := range h {
			assert.Contains(t, []string{"Accept", "Content-Type", "User-Agent", "Authorization", "Content-Length"}, http.CanonicalHeaderKey(name))
		}
	})
}
