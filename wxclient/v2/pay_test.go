package v2

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestPayBringsAVerifiedTrade(t *testing.T) {
	for _, kind := range []SignType{MD5, HMACSHA256} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, c := inTown(t, func(config *Config) { config.SignType = kind })
				o := testOrder()
				g.always(paid(o, ""))

				outcome, err := c.Pay(t.Context(), o, testAuthCode(t), gone())

				require.NoError(t, err)
				assert.Equal(t, payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeSuccess, OutTradeNo: o.OutTradeNo,
					TransactionID: "1008450740201411110005820873", Amount: o.Amount, AppID: o.Merchant.AppID, MerchantID: "10000100", SubMerchantID: "20000100",
					Attach: "ABCDEFGH01234567", PayerAmount: payflow.Amount{Minor: 1100, Currency: "CNY"}, Rate: 89000000, BankType: "CCB_DEBIT",
					SuccessTime: time.Date(2014, 11, 11, 17, 0, 43, 0, storeTime), Payer: "oUpF8uMEb4qRXf22hE3X68TekukE"}}, outcome)
				assert.Equal(t, 1, g.count(payPath))
			})
		})
	}
}

func TestPayCarriesExactlyOneSetOfIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		o.Merchant.SubAppID = "wxsub"
		o.Attach, o.GoodsTag, o.LimitPay, o.Operator = "their <text> & more", "1234", "no_credit", "P001"
		o.Detail = `{"cost_price":1,"goods_detail":[{"goods_id":"a","goods_name":"doll 🧸 ]]>","price":12345678901234567890}]}`
		_, _ = c.Pay(t.Context(), o, testAuthCode(t), gone())
		sent := g.last().with
		assert.Len(t, sent["sign"], 32)
		assert.NotEmpty(t, sent["nonce_str"])
		assert.LessOrEqual(t, len(sent["nonce_str"]), 32)
		delete(sent, "sign")
		delete(sent, "nonce_str")
		assert.Equal(t, map[string]string{"appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "sub_appid": "wxsub", "sub_mch_id": "20000100", "version": "1.0",
			"device_info": "T1", "body": "Image Store - QQ Doll", "attach": "ABCDEFGH01234567 their <text> & more", "out_trade_no": "SZTX001T1A1",
			"detail":    `{"cost_price":1,"goods_detail":[{"goods_id":"a","goods_name":"doll ? ]]\u003e","price":12345678901234567890}]}`,
			"total_fee": "1250", "fee_type": "HKD", "spbill_create_ip": "192.0.2.7", "goods_tag": "1234", "limit_pay": "no_credit", "auth_code": testCode,
			"scene_info": `{"store_info":{"id":"SZTX001","name":"Tencent Building","address":"Nanshan"}}`}, sent)

		o.Merchant = payflow.Merchant{Mode: payflow.Direct, AppID: "wxdirect", MerchantID: "1900000109"}
		o.Store.DeviceIP = ""
		_, _ = c.Pay(t.Context(), o, testAuthCode(t), gone())
		sent = g.last().with
		assert.Equal(t, "wxdirect", sent["appid"])
		assert.Equal(t, "1900000109", sent["mch_id"])
		assert.Equal(t, "127.0.0.1", sent["spbill_create_ip"], "the field is required")
		assert.NotContains(t, sent, "sub_mch_id")
		assert.NotContains(t, sent, "sub_appid")
		assert.NotContains(t, sent, "sign_type", "MD5 is what is taken for granted")
	})
}

func TestHMACIsSaidAndSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t, func(config *Config) { config.SignType = HMACSHA256 })
		_, _ = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		assert.Equal(t, "HMAC-SHA256", g.last().with["sign_type"])
		assert.Len(t, g.last().with["sign"], 64)
	})
}

func TestTextsAreCutToTheirLimits(t *testing.T) {
	c := &Client{}
	o := testOrder()
	o.Description = strings.Repeat("店", 100) + "\n"
	o.Attach = strings.Repeat("x", 500)
	o.Store.Address = strings.Repeat("路", 100)
	o.Detail = `["no object"]`
	sent := map[string]string{}
	for _, p := range c.payFields(o, testAuthCode(t)) {
		sent[p.name] = p.value
	}
	assert.Equal(t, strings.Repeat("店", 42), sent["body"])
	assert.Len(t, sent["attach"], 127)
	assert.True(t, strings.HasPrefix(sent["attach"], "ABCDEFGH01234567 xxx"))
	assert.LessOrEqual(t, len(sent["scene_info"]), 256)
	assert.Contains(t, sent["scene_info"], "Tencent Building")
	assert.NotContains(t, sent, "detail")
	o.Store.Name, o.Store.Address = strings.Repeat("\"", 300), ""
	assert.Equal(t, `{"store_info":{"id":"SZTX001"}}`, scene(o.Store))
	assert.Empty(t, scene(payflow.Store{}))
}

func TestPayWaitsForTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(paid(testOrder(), ""))
		leave, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), leave)
			assert.NoError(t, err)
		}()
		time.Sleep(5 * time.Second)
		require.Zero(t, g.count(payPath), "the record is not on disk yet")
		close(leave)
		<-done
		require.Equal(t, 1, g.count(payPath))
	})
}

func TestPayGivenUpBeforeTheRecordSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Pay(ctx, testOrder(), testAuthCode(t), make(chan struct{}))
		lostOf(t, err)
		assert.Zero(t, g.count(payPath))
	})
}

func TestPayNotSentWhenNoHostCanBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		network := newPipes(g, firstHost, secondHost)
		c := newClient(t, testConfig(t, g, network.dial, firstHost, secondHost))
		network.set(firstHost, "silent")
		network.set(secondHost, "silent")
		start := time.Now()
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.NotSent, outcome.Kind)
		assert.Equal(t, payflow.ReasonNoNetwork, outcome.Reason)
		assert.Equal(t, 6*time.Second, time.Since(start), "3 s a host, 6 s in all")
		assert.Zero(t, g.count(payPath))
		assert.False(t, c.LinkUp())
	})
}

func TestPayWithoutACodeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		outcome, err := c.Pay(t.Context(), testOrder(), payflow.AuthCode{}, gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.NotSent, outcome.Kind)
		assert.Zero(t, g.count(payPath))
	})
}

func TestPayGoesToTheNextHostWhileNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		network := newPipes(g, firstHost, secondHost)
		network.set(firstHost, "refuse")
		c := newClient(t, testConfig(t, g, network.dial, firstHost, secondHost))
		g.always(paid(testOrder(), ""))
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.Found, outcome.Kind)
		assert.Equal(t, secondHost, g.last().host)
		assert.Equal(t, secondHost, c.State().Host)
		assert.Equal(t, []string{firstHost}, c.State().HostsAside)
	})
}

func TestPayNeverGoesToTheNextHostOnceItMayHaveLeft(t *testing.T) {
	for name, p := range map[string]reply{
		"hung up": {drop: true}, "never answered": {hang: true}, "redirected": {status: 307, header: map[string]string{"Location": "https://" + secondHost + payPath}},
		"bad gateway": {status: 502, raw: "<html>"}, "a login page": {raw: "<html><body>hello</body></html>"}, "return_code FAIL": {raw: "<xml><return_code>FAIL</return_code></xml>"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				c := newClient(t, testConfig(t, g, newPipes(g, firstHost, secondHost).dial, firstHost, secondHost))
				g.always(p)
				start := time.Now()
				_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
				assert.Empty(t, lostOf(t, err).Claim)
				assert.Equal(t, 1, g.count(payPath))
				assert.LessOrEqual(t, time.Since(start), 15*time.Second)
			})
		})
	}
}

func TestPaySendsWhatItMustAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		_, _ = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		h := g.last().header
		assert.Equal(t, "text/xml; charset=utf-8", h.Get("Content-Type"))
		assert.Regexp(t, `^posagent/`, h.Get("User-Agent"))
		for name := range h {
			assert.Contains(t, []string{"Content-Type", "User-Agent", "Content-Length"}, name)
		}
	})
}

func TestACallIsSignedAnewForEachHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := newClient(t, testConfig(t, g, newPipes(g, firstHost, secondHost).dial, firstHost, secondHost))
		nonces := map[string]bool{}
		g.script(func(a arrival) reply {
			nonces[a.with["nonce_str"]] = true
			if a.host == firstHost {
				return reply{status: 503}
			}
			return refusal("ORDERNOTEXIST")
		})
		outcome, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		assert.Equal(t, payflow.NoSuchOrder, outcome.Kind)
		assert.Len(t, nonces, 2)
	})
}

// TestSigningAPayCallIsCheap: sign and XML of a pay call, there and back, take at most 60 allocations. The goods detail is neither: its
// JSON is made plain first.
func TestSigningAPayCallIsCheap(t *testing.T) {
	for _, kind := range []SignType{MD5, HMACSHA256} {
		c := &Client{signer: signer{testKey, kind}}
		c.certificate.Store(&tls.Certificate{})
		o, code := testOrder(), testAuthCode(t)
		o.Attach, o.GoodsTag, o.LimitPay = "a & b", "1234", "no_credit"
		sent := testing.AllocsPerRun(100, func() {
			call, err := c.payCall(o, code)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = call.Body()
		})
		answer := []byte(paid(o, "").text(arrival{with: map[string]string{"sign_type": string(kind)}}))
		read := testing.AllocsPerRun(100, func() {
			m, err := readXML(answer, xmlRoot)
			if err != nil || c.signer.verify(m) != nil {
				t.Fatal("not read")
			}
		})
		assert.LessOrEqual(t, sent+read, 60.0, "%s: %v there and %v back", kind, sent, read)
		t.Logf("%s: %v allocations to sign and write, %v to read and verify the answer", kind, sent, read)
	}
}

// What XML cannot carry, and blanks that a reader may cut off though they were signed, would have the whole sale refused.
func TestGoodsDetailCostsNoSale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(paid(testOrder(), ""))
		for detail, want := range map[string]string{
			`{"goods_name":"` + "\ufffe" + `"}`: `{"goods_name":"?"}`,
			"{\"goods_name\":\"\uffff\"}":       `{"goods_name":"?"}`,
			`{"goods_name":"a"}  `:              `{"goods_name":"a"}`,
		} {
			o := testOrder()
			o.Detail = detail
			_, err := c.Pay(t.Context(), o, testAuthCode(t), gone())
			require.NoError(t, err, detail)
			assert.Equal(t, want, g.last().with["detail"], "%q", detail)
		}
	})
}
