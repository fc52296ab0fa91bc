package wxclient

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// payRow is one line of the documents' table: a code with an underscore at each word, its HTTP status, and what it says.
type payRow struct {
	code   string
	status int
	kind   payflow.OutcomeKind // empty: unknown
	reason payflow.Reason
}

var payRows = []payRow{
	{"AUTH_CODE_EXPIRE", 403, payflow.Refused, payflow.ReasonCodeExpired},
	{"AUTH_CODE_ERROR", 400, payflow.Refused, payflow.ReasonCodeUsed},
	{"AUTH_CODE_INVALID", 400, payflow.Refused, payflow.ReasonCodeInvalid},
	{"NOT_ENOUGH", 403, payflow.Refused, payflow.ReasonNotEnough},
	{"NOT_SUPORT_CARD", 403, payflow.Refused, payflow.ReasonCard},
	{"NOT_SUPPORT_CARD", 403, payflow.Refused, payflow.ReasonCard},
	{"RULE_LIMIT", 403, payflow.Refused, payflow.ReasonLimit},
	{"ACCOUNT_ERROR", 403, payflow.Refused, payflow.ReasonAccount},
	{"TRADE_ERROR", 403, payflow.Refused, payflow.ReasonRefused},
	{"INVALID_REQUEST", 400, payflow.Refused, payflow.ReasonRefused},
	{"ORDER_PAID", 400, payflow.Collision, payflow.ReasonNumberInUse},
	{"OUT_TRADE_NO_USED", 403, payflow.Collision, payflow.ReasonNumberInUse},
	{"BUYER_MISMATCH", 400, payflow.Collision, payflow.ReasonNumberInUse},
	{"ORDER_CLOSED", 400, payflow.Collision, payflow.ReasonNumberInUse},
	{"ORDER_REVERSED", 400, payflow.Collision, payflow.ReasonNumberInUse},
	{"RATE_LIMITED", 429, payflow.Refused, payflow.ReasonBusy},
	{"RATELIMIT_EXCEEDED", 429, payflow.Refused, payflow.ReasonBusy},
	{"FREQUENCY_LIMIT_EXCEED", 429, payflow.Refused, payflow.ReasonBusy},
	{"FREQUENCY_LIMIT_EXCEEDED", 429, payflow.Refused, payflow.ReasonBusy},
	{"FREQUENCY_LIMIT_OF_TOMORROW", 429, payflow.Refused, payflow.ReasonBusy},
	{"NO_AUTH", 403, payflow.Refused, payflow.ReasonConfiguration},
	{"SIGN_ERROR", 401, payflow.Refused, payflow.ReasonConfiguration},
	{"PARAM_ERROR", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"LACK_PARAMS", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"APPID_NOT_EXIST", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"MCHID_NOT_EXIST", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"MCH_NOT_EXISTS", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"APPID_MCHID_NOT_MATCH", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"XML_FORMAT_ERROR", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"NOT_UTF8", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"REQUIRE_POST_METHOD", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"POST_DATA_EMPTY", 400, payflow.Refused, payflow.ReasonConfiguration},
	{"SYSTEM_ERROR", 500, "", ""},
	{"BANK_ERROR", 500, "", ""},
	{"OPENID_MISMATCH", 500, "", ""},
	{"SERVICE_UNAVAILABLE", 503, "", ""},
	{"SYSTEM_ERROR", 400, "", ""},
	{"PARAM_ERROR", 500, "", ""}, // a fault's code is not believed, whatever it is
	{"NEVER_HEARD_OF", 400, "", ""},
	{"ORDER_NOT_EXIST", 404, "", ""},
}

func TestOutcomeOfAPayAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for _, row := range payRows {
			for _, code := range []string{row.code, strings.ReplaceAll(row.code, "_", ""), strings.ToLower(row.code)} {
				body := `{"code":"` + code + `","message":"why","detail":{"field":"#/x"}}`
				g.always(reply{status: row.status, body: body})
				outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
				g.always(reply{status: row.status, body: body, seal: "none"})
				_, unsignedErr := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
				g.always(reply{status: row.status, body: body, seal: "forged"})
				_, forgedErr := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())

				claim := lostOf(t, unsignedErr)
				assert.Equal(t, payflow.Lost{Reason: payflow.ReasonUnverified}, lostOf(t, forgedErr), code)
				if row.kind == "" {
					lostOf(t, err)
					assert.Empty(t, claim.Claim, code)
					continue
				}
				require.NoError(t, err, code)
				assert.Equal(t, payflow.Outcome{Kind: row.kind, Code: normalCode(row.code), Reason: row.reason, Text: "why"}, outcome, code)
				assert.Equal(t, payflow.Lost{Reason: row.reason, Claim: row.kind, Code: normalCode(row.code), Busy: row.reason == payflow.ReasonBusy}, claim, code)
			}
		}
	})
}

func TestOutcomeTableHasNoLineThatIsNotTested(t *testing.T) {
	tested := map[string]bool{}
	for _, row := range payRows {
		tested[normalCode(row.code)] = true
	}
	for code := range payCodes {
		assert.True(t, tested[code], code)
	}
}

func TestOutcomeOfAPasswordBeingAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		for _, p := range []reply{
			{status: 202, body: `{"code":"USERPAYING","message":"password"}`},
			{status: 202, body: `{"code":"USER_PAYING"}`},
			{status: 202, body: tradeBody(o, "USER_PAYING")},
			{status: 202, body: `{"trade_state":"USERPAYING"}`},
			{status: 200, body: tradeBody(o, "USERPAYING")},
			{status: 400, body: `{"code":"USERPAYING"}`},
			{status: 500, body: `{"code":"USERPAYING"}`},
		} {
			g.always(p)
			outcome, err := c.Pay(t.Context(), o, testAuthCode(t), gone())
			require.NoError(t, err, p.body)
			assert.Equal(t, payflow.Found, outcome.Kind, p.body)
			assert.Equal(t, payflow.TradeUserPaying, outcome.Trade.State, p.body)
			p.seal = "none"
			g.always(p)
			_, err = c.Pay(t.Context(), o, testAuthCode(t), gone())
			assert.Empty(t, lostOf(t, err).Claim, p.body)
		}
	})
}

func TestOutcomeIsLostUnlessTheAnswerIsAboutThisOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		other := testOrder()
		other.OutTradeNo = "ANOTHER1"
		for _, p := range []reply{
			{status: 200, body: paidBody(other)},
			{status: 200, body: `{"trade_state":"SUCCESS"}`},
			{status: 200, body: `{"trade_state":"CLOSED"}`},
			{status: 200, body: `{}`},
			{status: 200, body: ``},
			{status: 204, body: ``},
			{status: 200, body: paidBody(testOrder()) + `{}`},
			{status: 200, body: `<html>`},
			{status: 202, body: `{"code":"SYSTEM_ERROR"}`},
			{status: 200, body: `{"code":"ORDERPAID"}`},
			{status: 200, body: strings.Replace(paidBody(testOrder()), `"total":1250`, `"total":"1250"`, 1)},
			{status: 302, body: paidBody(testOrder())},
		} {
			g.always(p)
			_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
			lostOf(t, err)
			_, err = c.Query(t.Context(), testOrder())
			lostOf(t, err)
		}
	})
}

func TestOutcomeOfAQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		for _, state := range []payflow.TradeState{"SUCCESS", "REFUND", "NOTPAY", "CLOSED", "REVOKED", "USERPAYING", "PAYERROR", "SOMETHING_NEW"} {
			g.always(reply{status: 200, body: tradeBody(o, string(state))})
			outcome, err := c.Query(t.Context(), o)
			require.NoError(t, err)
			assert.Equal(t, payflow.Found, outcome.Kind)
			assert.Equal(t, state, outcome.Trade.State)
		}
		for _, code := range []string{"ORDER_NOT_EXIST", "ORDERNOTEXIST", "NOT_FOUND", "RESOURCE_NOT_EXISTS"} {
			g.always(reply{status: 404, body: `{"code":"` + code + `"}`})
			outcome, err := c.Query(t.Context(), o)
			require.NoError(t, err)
			assert.Equal(t, payflow.NoSuchOrder, outcome.Kind)
			g.always(reply{status: 404, body: `{"code":"` + code + `"}`, seal: "none"})
			_, err = c.Query(t.Context(), o)
			assert.Equal(t, payflow.NoSuchOrder, lostOf(t, err).Claim)
			g.always(reply{status: 404, body: `{"code":"` + code + `"}`, seal: "forged"})
			_, err = c.Query(t.Context(), o)
			assert.Empty(t, lostOf(t, err).Claim)
		}
		for _, p := range []reply{{status: 404, body: `<html>404`}, {status: 404, body: `{"code":"SOMETHING"}`}, {status: 500, body: `{"code":"NOT_FOUND"}`},
			{status: 401, body: `{"code":"SIGN_ERROR"}`}, {status: 403, body: `{"code":"NOTENOUGH"}`}} {
			g.always(p)
			_, err := c.Query(t.Context(), o)
			assert.Empty(t, lostOf(t, err).Claim, p.body)
		}
		for _, seal := range []string{"", "none"} {
			g.always(reply{status: 429, body: `{"code":"RATELIMIT_EXCEEDED"}`, seal: seal})
			_, err := c.Query(t.Context(), o)
			assert.True(t, lostOf(t, err).Busy)
		}
	})
}

func TestAGatewayThatNeverHadTheOrderProvesNothingByNotKnowingIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		for _, made := range []string{"https://" + firstHost, ""} {
			o.HostFamily = made
			g.always(reply{status: 404, body: `{"code":"ORDER_NOT_EXIST"}`})
			outcome, err := c.Query(t.Context(), o)
			require.NoError(t, err)
			assert.Equal(t, payflow.NoSuchOrder, outcome.Kind)
		}
		o.HostFamily = "https://gateway-of-before.example"
		for _, seal := range []string{"", "none"} {
			g.always(reply{status: 404, body: `{"code":"ORDER_NOT_EXIST"}`, seal: seal})
			_, err := c.Query(t.Context(), o)
			assert.Empty(t, lostOf(t, err).Claim)
			assert.ErrorContains(t, err, "put that host back")
		}
		g.always(reply{status: 200, body: tradeBody(o, "SUCCESS")})
		outcome, err := c.Query(t.Context(), o)
		require.NoError(t, err, "one that knows it may be believed")
		assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State)
	})
}

func TestOutcomeOfAReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		for _, row := range []struct {
			p    reply
			kind payflow.OutcomeKind
		}{
			{reply{status: 204}, payflow.ReverseDone},
			{reply{status: 200, body: `{"out_trade_no":"SZTX001T1A1"}`}, payflow.ReverseDone},
			{reply{status: 200, body: `{}`}, payflow.ReverseDone},
			{reply{status: 400, body: `{"code":"TRADE_ERROR"}`}, payflow.ReverseRefused},
			{reply{status: 403, body: `{"code":"ANY_OTHER"}`}, payflow.ReverseRefused},
			{reply{status: 400, body: `{"code":"REVERSE_EXPIRE"}`}, payflow.ReverseTooLate},
			{reply{status: 200, body: `{"out_trade_no":"ANOTHER1"}`}, ""},
			{reply{status: 200, body: `<html>`}, ""},
			{reply{status: 500, body: `{"code":"SYSTEM_ERROR"}`}, ""},
			{reply{status: 429, body: `{"code":"RATE_LIMITED"}`}, ""},
			{reply{status: 204, seal: "none"}, ""},
			{reply{status: 204, seal: "forged"}, ""},
			{reply{status: 400, body: `{"code":"REVERSE_EXPIRE"}`, seal: "none"}, ""},
		} {
			g.always(row.p)
			outcome, err := c.Reverse(t.Context(), o)
			if row.kind == "" {
				assert.Empty(t, lostOf(t, err).Claim, row.p)
				continue
			}
			require.NoError(t, err, row.p)
			assert.Equal(t, row.kind, outcome.Kind, row.p)
		}
		assert.JSONEq(t, `{"sp_mchid":"10000100","sub_mchid":"20000100"}`, g.lastBody())
		assert.NotZero(t, g.count("POST /v3/global/micropay/transactions/out-trade-no/SZTX001T1A1/reverse"))
	})
}

func TestOutcomeIsACollisionWhenTheRequestIDSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for number, want := range map[string]payflow.OutcomeKind{
			"268449538": payflow.Collision, "268498689": payflow.Collision, // already paid
			"268498688": payflow.Collision, // re-entry with different parameters
			"268435461": payflow.Refused,   // bad parameter
		} {
			g.always(reply{status: 400, body: `{"code":"INVALID_REQUEST"}`, header: map[string]string{"Request-ID": "08F78BB0-" + number}})
			outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
			require.NoError(t, err, number)
			assert.Equal(t, want, outcome.Kind, number)
		}
	})
}

func TestOutcomeThatRefusesTheSetUpIsToldForEachCodeThatDoes(t *testing.T) {
	for code, told := range map[string]bool{
		"SIGN_ERROR": true, "NO_AUTH": true, "APPID_NOT_EXIST": true, "MCHID_NOT_EXIST": true, "MCH_NOT_EXISTS": true, "APPID_MCHID_NOT_MATCH": true,
		"PARAM_ERROR": false, "NOT_ENOUGH": false, "NEVER_HEARD_OF": false,
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newGateway(t)
			config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
			raised := false
			config.OnCondition = func(c Condition) {
				raised = raised || c.Kind == ConfigurationRefused && c.Red && c.Code == normalCode(code)
			}
			c := newClient(t, config)
			require.NoError(t, c.FirstRoundTrip(t.Context()))
			g.always(reply{status: 400, body: `{"code":"` + code + `"}`})
			_, _ = c.Query(t.Context(), testOrder()) // what the query makes of it is another test's matter
			assert.Equal(t, told, raised, code)
		})
	}
}

func TestOutcomeThatRefusesTheSetUpStandsUntilACallIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var told []Condition
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		config.OnCondition = func(c Condition) {
			if c.Kind == ConfigurationRefused {
				told = append(told, c)
			}
		}
		c := newClient(t, config)
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		g.always(reply{status: 403, body: `{"code":"NO_AUTH"}`})
		_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		_, err = c.Refund(t.Context(), exampleRefund())
		require.NoError(t, err)
		require.Len(t, told, 1)
		assert.False(t, told[0].Over)
		g.always(reply{status: 404, body: `{"code":"ORDER_NOT_EXIST"}`})
		_, err = c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		require.Len(t, told, 2)
		assert.True(t, told[1].Over)
	})
}
