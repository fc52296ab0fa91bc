package v2

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
)

// but returns a reply with some elements changed; an empty one is left out.
func (p reply) but(pairs ...string) reply {
	p.with = maps.Clone(p.with)
	for i := 0; i < len(pairs); i += 2 {
		p.with[pairs[i]] = pairs[i+1]
	}
	return p
}

func (p reply) sealed(seal string) reply { p.seal = seal; return p }

// TestEachListedCodeHasTheTablesMeaning drives every code of the micropay error table, in both spellings, signed and unsigned.
func TestEachListedCodeHasTheTablesMeaning(t *testing.T) {
	type meaning struct {
		kind   payflow.OutcomeKind
		reason payflow.Reason
	}
	refused := func(r payflow.Reason) meaning { return meaning{payflow.Refused, r} }
	inUse := meaning{payflow.Collision, payflow.ReasonNumberInUse}
	configuration := refused(payflow.ReasonConfiguration)
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for code, want := range map[string]meaning{
			"AUTHCODEEXPIRE": refused(payflow.ReasonCodeExpired), "AUTH_CODE_ERROR": refused(payflow.ReasonCodeUsed), "AUTH_CODE_INVALID": refused(payflow.ReasonCodeInvalid),
			"NOTENOUGH": refused(payflow.ReasonNotEnough), "NOTSUPORTCARD": refused(payflow.ReasonCard), "RULELIMIT": refused(payflow.ReasonLimit),
			"TRADE_ERROR": refused(payflow.ReasonRefused), "INVALID_REQUEST": refused(payflow.ReasonRefused),
			"ORDERPAID": inUse, "OUT_TRADE_NO_USED": inUse, "BUYER_MISMATCH": inUse, "ORDERCLOSED": inUse, "ORDERREVERSED": inUse,
			"NOAUTH": configuration, "APPID_NOT_EXIST": configuration, "MCHID_NOT_EXIST": configuration, "APPID_MCHID_NOT_MATCH": configuration, "SIGNERROR": configuration,
			"LACK_PARAMS": configuration, "PARAM_ERROR": configuration, "XML_FORMAT_ERROR": configuration, "NOT_UTF8": configuration, "REQUIRE_POST_METHOD": configuration,
			"POST_DATA_EMPTY": configuration, "SYSTEMERROR": {}, "BANKERROR": {}, "A_CODE_OF_NEXT_YEAR": {}, "": {},
		} {
			normal := strings.ReplaceAll(code, "_", "")
			for _, spelling := range []string{code, normal, strings.ToLower(code)} {
				g.always(refusal(spelling))
				outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
				if want.kind == "" {
					assert.Empty(t, lostOf(t, err).Claim, spelling)
					assert.Equal(t, normal, lostOf(t, err).Code)
				} else {
					require.NoError(t, err, spelling)
					assert.Equal(t, payflow.Outcome{Kind: want.kind, Code: normal, Reason: want.reason, Text: "WeChat Pay's own words"}, outcome)
				}
				g.always(refusal(spelling).sealed("none"))
				_, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
				assert.Equal(t, want.kind, lostOf(t, err).Claim, "unsigned %s is a claim and no more", spelling)

				g.always(refusal(spelling).sealed("another key"))
				_, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
				assert.Equal(t, payflow.Lost{Reason: payflow.ReasonUnverified}, lostOf(t, err), "a wrong sign leaves nothing")
			}
		}
	})
}

func TestTheCustomerIsAskedForThePassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for _, code := range []string{"USERPAYING", "USER_PAYING"} {
			g.always(refusal(code))
			outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
			require.NoError(t, err)
			assert.Equal(t, payflow.Found, outcome.Kind)
			assert.Equal(t, payflow.TradeUserPaying, outcome.Trade.State)
		}
	})
}

// TestAnAnswerIsJudgedInTheDocumentsOrder: transport, return_code, sign, result_code, err_code.
func TestAnAnswerIsJudgedInTheDocumentsOrder(t *testing.T) {
	good := paid(testOrder(), "")
	for name, c := range map[string]struct {
		reply  reply
		reason payflow.Reason
	}{
		"503":                     {reply{status: 503, with: good.with}, payflow.ReasonServer},
		"429":                     {reply{status: 429, with: good.with}, payflow.ReasonServer},
		"204":                     {reply{status: 204}, payflow.ReasonServer},
		"a page":                  {reply{raw: "<html><body>login</body></html>"}, payflow.ReasonUnverified},
		"nothing":                 {reply{}, payflow.ReasonUnverified},
		"return_code FAIL":        {good.but("return_code", "FAIL"), payflow.ReasonServer},
		"no return_code":          {good.but("return_code", ""), payflow.ReasonServer},
		"return_code of no kind":  {good.but("return_code", "success"), payflow.ReasonServer},
		"forged":                  {good.sealed("forged"), payflow.ReasonUnverified},
		"another key":             {good.sealed("another key"), payflow.ReasonUnverified},
		"unsigned":                {good.sealed("none"), payflow.ReasonUnverified},
		"no result_code":          {good.but("result_code", ""), payflow.ReasonServer},
		"result_code of no kind":  {good.but("result_code", "MAYBE"), payflow.ReasonServer},
		"another order":           {good.but("out_trade_no", "ANOTHER"), payflow.ReasonUnverified},
		"no order":                {good.but("out_trade_no", ""), payflow.ReasonUnverified},
		"a sign of another kind":  {reply{raw: xmlOf("xml", map[string]string{"return_code": "SUCCESS", "result_code": "SUCCESS", "sign": "AB"})}, payflow.ReasonUnverified},
		"nested":                  {reply{raw: "<xml><return_code>SUCCESS</return_code><a><b>1</b></a></xml>"}, payflow.ReasonUnverified},
		"a body over the maximum": {reply{raw: "<xml><a>" + strings.Repeat("x", 2<<20) + "</a></xml>"}, payflow.ReasonLink},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, client := inTown(t)
				g.always(c.reply)
				_, err := client.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
				l := lostOf(t, err)
				assert.Empty(t, l.Claim, "a payment that is only claimed is not even shown")
				assert.Equal(t, c.reason, l.Reason)
				assert.Equal(t, name == "429", l.Busy)
			})
		})
	}
}

func TestAnMD5SignIsTakenThoughWeSignByHMAC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t, func(config *Config) { config.SignType = HMACSHA256 })
		g.always(paid(testOrder(), "").sealed("md5"))
		_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		assert.NoError(t, err)
	})
}

// TestWhatIsNotOursReachesTheFlowAsItIs: payflow compares amount, currency, merchant and attach (rule 3).
func TestWhatIsNotOursReachesTheFlowAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(paid(testOrder(), "").but("total_fee", "1", "mch_id", "999", "attach", "ANOTHERSATTACH00", "fee_type", ""))
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.Amount{Minor: 1, Currency: "CNY"}, outcome.Trade.Amount, "the documents' own currency where none is given")
		assert.Equal(t, "999", outcome.Trade.MerchantID)
		assert.False(t, testOrder().Tag.Carries(outcome.Trade.Attach))
		for _, total := range []string{"", "x", "-1", "1.0", "99999999999999999999"} {
			g.always(paid(testOrder(), "").but("total_fee", total))
			outcome, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
			require.NoError(t, err)
			assert.NotEqual(t, testOrder().Amount, outcome.Trade.Amount)
		}
	})
}

func TestQueryKnowsEveryState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for text, want := range map[string]payflow.TradeState{"SUCCESS": payflow.TradeSuccess, "NOTPAY": payflow.TradeNotPay, "CLOSED": payflow.TradeClosed, "REVOKED": payflow.TradeRevoked,
			"USERPAYING": payflow.TradeUserPaying, "USER_PAYING": payflow.TradeUserPaying, "PAYERROR": payflow.TradePayError, "ACCEPT": "ACCEPT", "NEXT_YEARS": "NEXT_YEARS"} {
			g.always(paid(testOrder(), text))
			outcome, err := c.Query(t.Context(), testOrder())
			require.NoError(t, err, text)
			assert.Equal(t, want, outcome.Trade.State)
		}
		g.always(paid(testOrder(), ""))
		_, err := c.Query(t.Context(), testOrder())
		assert.Equal(t, payflow.ReasonServer, lostOf(t, err).Reason, "a query's answer without a state is no SUCCESS")
	})
}

func TestQueryByEitherNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(paid(testOrder(), "SUCCESS"))
		_, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		assert.Equal(t, "SZTX001T1A1", g.last().with["out_trade_no"])
		assert.NotContains(t, g.last().with, "transaction_id")

		_, err = c.QueryByID(t.Context(), testOrder(), "1008450740201411110005820873")
		require.NoError(t, err)
		assert.Equal(t, "1008450740201411110005820873", g.last().with["transaction_id"])
		assert.NotContains(t, g.last().with, "out_trade_no")
		_, err = c.QueryByID(t.Context(), testOrder(), "another")
		assert.Equal(t, payflow.ReasonUnverified, lostOf(t, err).Reason)
		_, err = c.QueryByID(t.Context(), payflow.Order{OutTradeNo: "ANOTHER"}, "1008450740201411110005820873")
		assert.Equal(t, payflow.ReasonUnverified, lostOf(t, err).Reason)
		_, err = c.QueryByID(t.Context(), payflow.Order{}, "1008450740201411110005820873")
		assert.NoError(t, err)
	})
}

func TestNoSuchOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for _, code := range []string{"ORDERNOTEXIST", "ORDER_NOT_EXIST"} {
			g.always(refusal(code))
			outcome, err := c.Query(t.Context(), testOrder())
			require.NoError(t, err)
			assert.Equal(t, payflow.NoSuchOrder, outcome.Kind)
		}
		g.always(refusal("ORDERNOTEXIST").sealed("none"))
		_, err := c.Query(t.Context(), testOrder())
		assert.Equal(t, payflow.NoSuchOrder, lostOf(t, err).Claim)

		g.always(refusal("ORDERNOTEXIST"))
		elsewhere := testOrder()
		elsewhere.HostFamily = "https://another.example"
		_, err = c.Query(t.Context(), elsewhere)
		assert.Equal(t, payflow.ReasonConfiguration, lostOf(t, err).Reason, "a gateway that never had the order proves nothing")

		g.always(refusal("SYSTEMERROR"))
		_, err = c.Query(t.Context(), testOrder())
		assert.Equal(t, "SYSTEMERROR", lostOf(t, err).Code)
	})
}

// TestAKeptAnswerThatNamesNoOrderCountsOnce: within ten minutes, and for this merchant only.
func TestAKeptAnswerThatNamesNoOrderCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		kept := refusal("ORDERNOTEXIST")
		kept.nonce = "5d2b6c2a8db53831f7eda20af46e531c"
		g.always(kept)
		_, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		_, err = c.Query(t.Context(), testOrder())
		assert.Equal(t, payflow.Lost{Reason: payflow.ReasonUnverified}, lostOf(t, err))
		time.Sleep(11 * time.Minute)
		_, err = c.Query(t.Context(), testOrder())
		assert.NoError(t, err)

		named := paid(testOrder(), "SUCCESS")
		named.nonce = "another"
		g.always(named)
		for range 2 {
			_, err = c.Query(t.Context(), testOrder())
			assert.NoError(t, err, "this one names the order")
		}
		kept.nonce = "another"
		g.always(kept)
		_, err = c.Query(t.Context(), testOrder())
		assert.Error(t, err, "whatever answer the nonce came in")

		for name, other := range map[string]reply{"no nonce": refusal("ORDERNOTEXIST").but("nonce_str", ""), "another shop": refusal("ORDERNOTEXIST").but("sub_mch_id", "1"),
			"another merchant": refusal("ORDERNOTEXIST").but("mch_id", "1"), "another app": refusal("ORDERNOTEXIST").but("appid", "1")} {
			g.always(other)
			_, err = c.Query(t.Context(), testOrder())
			assert.Equal(t, payflow.ReasonUnverified, lostOf(t, err).Reason, name)
		}
	})
}

func TestReverseIsSaidTwiceWhereItIsAskedFor(t *testing.T) {
	ok := reply{with: map[string]string{"result_code": "SUCCESS", "recall": "N"}}
	for name, c := range map[string]struct {
		reply reply
		kind  payflow.OutcomeKind
		lost  string // its code, "-" for none
	}{
		"done":              {ok, payflow.ReverseDone, ""},
		"again":             {ok.but("recall", "Y"), "", "-"},
		"not said":          {ok.but("recall", ""), "", "-"},
		"again, refused":    {refusal("USERPAYING").but("recall", "Y"), "", "USERPAYING"},
		"a fault":           {refusal("SYSTEMERROR").but("recall", "N"), "", "SYSTEMERROR"},
		"too late":          {refusal("REVERSE_EXPIRE").but("recall", "N"), payflow.ReverseTooLate, ""},
		"refused":           {refusal("INVALID_TRANSACTIONID").but("recall", "N"), payflow.ReverseRefused, ""},
		"refused, unlisted": {refusal("NEXT_YEARS"), payflow.ReverseRefused, ""},
		"no code":           {refusal(""), "", "-"},
		"unsigned":          {ok.sealed("none"), "", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, client := inTown(t)
				g.always(c.reply)
				outcome, err := client.Reverse(t.Context(), testOrder())
				if c.lost != "" {
					assert.Equal(t, strings.Trim(c.lost, "-"), lostOf(t, err).Code)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, c.kind, outcome.Kind)
				assert.True(t, g.last().shown, "the merchant's certificate")
				_, err = client.ReverseByID(t.Context(), testOrder(), "1008450740201411110005820873")
				require.NoError(t, err)
				assert.Equal(t, "1008450740201411110005820873", g.last().with["transaction_id"])
			})
		})
	}
}

func TestAKeptReverseCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{with: map[string]string{"result_code": "SUCCESS", "recall": "N"}, nonce: "kept"})
		_, err := c.Reverse(t.Context(), testOrder())
		require.NoError(t, err)
		_, err = c.Reverse(t.Context(), testOrder())
		assert.Equal(t, payflow.ReasonUnverified, lostOf(t, err).Reason)
	})
}

func TestASetUpThatIsRefusedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told told
		g, c := inTown(t, func(config *Config) { config.OnCondition = told.hear })
		for _, seal := range []string{"", "none"} {
			g.always(refusal("NOAUTH").sealed(seal))
			_, _ = c.Query(t.Context(), testOrder())
			stands := told.stands(wxclient.ConfigurationRefused)
			require.NotNil(t, stands)
			assert.True(t, stands.Red)
			assert.Equal(t, "NOAUTH", stands.Code)
			g.always(refusal("ORDERNOTEXIST"))
			_, err := c.Query(t.Context(), testOrder())
			require.NoError(t, err)
			assert.Nil(t, told.stands(wxclient.ConfigurationRefused))
		}
		g.always(refusal("NOAUTH").sealed("forged"))
		_, _ = c.Query(t.Context(), testOrder())
		assert.Nil(t, told.stands(wxclient.ConfigurationRefused), "anybody can say so")
	})
}

// TestNoAnswerShowsACode: an answer may repeat what we sent, and a payment code is never written down.
func TestNoAnswerShowsACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(refusal("AUTH_CODE_INVALID").but("err_code_des", "101 "+testCode))
		outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.NotContains(t, outcome.Text, testCode)
		g.always(reply{raw: "<xml><return_code>FAIL</return_code><return_msg>" + testCode + "</return_msg></xml>"})
		_, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		assert.NotContains(t, err.Error(), testCode)
		g.always(paid(testOrder(), "").but("attach", testCode, "bank_type", testCode, "transaction_id", testCode))
		outcome, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.NotContains(t, errors.New(outcome.Trade.Attach+outcome.Trade.BankType+string(outcome.Trade.TransactionID)).Error(), testCode)
	})
}

func FuzzReadAnswers(f *testing.F) {
	o := testOrder()
	for _, p := range []reply{paid(o, ""), paid(o, "REFUND"), refusal("ORDERNOTEXIST"), refusal("AUTHCODEEXPIRE"), refundPage(2, 0, 2, 0), accepted(testRefund()),
		{with: map[string]string{"result_code": "SUCCESS", "recall": "N", "openid": "x"}}, {raw: "<xml><return_code>FAIL</return_code></xml>"}} {
		f.Add([]byte(p.text(arrival{})))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := hear(wxclient.Answer{Status: 200, Body: body})
		if err != nil {
			lostOf(t, err)
			return
		}
		_ = signer{key: testKey}.verify(m)
		for _, judge := range []func(message) (payflow.Outcome, error){
			func(m message) (payflow.Outcome, error) { return payOutcome(o, m) },
			func(m message) (payflow.Outcome, error) { return queryOutcome(o, "", m) },
			func(m message) (payflow.Outcome, error) { return queryOutcome(o, "42", m) },
			reverseOutcome,
		} {
			outcome, err := judge(m)
			if err != nil {
				lostOf(t, err)
			} else if outcome.Kind == payflow.Found && outcome.Trade.State == payflow.TradeSuccess && outcome.Trade.OutTradeNo != o.OutTradeNo {
				t.Fatalf("%+v", outcome)
			}
		}
		outcome, err := refundOutcome(testRefund(), m)
		if err != nil {
			lostOf(t, err)
		} else if outcome.Kind == payflow.RefundAccepted && outcome.Refund.Amount != testRefund().Amount {
			t.Fatalf("%+v", outcome)
		}
		_, _ = queryRefundOutcome(testRefund(), "", m)
		_, _ = openIDOutcome(m)
		page, err := allRefunds(o, "", 0, m)
		if err == nil && !page.none && page.total < len(page.refunds) {
			t.Fatalf("%+v", page)
		}
	})
}
