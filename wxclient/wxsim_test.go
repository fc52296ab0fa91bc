package wxclient

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

var simKeys = sync.OnceValue(func() wxsim.Keys {
	keys, err := wxsim.NewKeys()
	if err != nil {
		panic(err)
	}
	return keys
})

// store is a till's client before a simulated WeChat Pay, in a bubble.
type store struct {
	t        *testing.T
	sim      *wxsim.Sim
	client   *Client
	setUp    Config
	merchant payflow.Merchant
	orders   int
}

func newStore(t *testing.T, config wxsim.Config) *store {
	config.Keys, config.Hosts = simKeys(), []string{firstHost, secondHost}
	sim, err := wxsim.New(config)
	require.NoError(t, err)
	t.Cleanup(sim.Close)
	network := &pipes{hosts: map[string]*pipeListener{}}
	for _, h := range config.Hosts {
		l := &pipeListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		network.hosts[h+":443"] = l
		go sim.Serve(l)
	}
	k, err := sim.Credentials("")
	require.NoError(t, err)
	s := &store{t: t, sim: sim, merchant: payflow.Merchant{Mode: payflow.Mode(k.Mode), AppID: k.AppID, MerchantID: k.MerchantID,
		SubMerchantID: k.SubMerchantID, CategoryCode: k.CategoryCode}}
	s.setUp = Config{Hosts: []string{"https://" + firstHost, "https://" + secondHost}, RootCAs: k.Roots, Merchant: s.merchant, SerialNo: k.Serial,
		PrivateKey: k.Key, APIv3Key: []byte(k.APIv3Key), Dial: network.dial}
	s.client = newClient(t, s.setUp)
	return s
}

func (s *store) order() payflow.Order {
	s.orders++
	o := testOrder()
	o.OutTradeNo, o.Merchant = payflow.OutTradeNo(fmt.Sprintf("SZTX001T1N%d", s.orders)), s.merchant
	return o
}

func (s *store) code(scenario string) payflow.AuthCode {
	code, err := payflow.ParseAuthCode(wxsim.CodeFor(scenario, s.orders), "", nil)
	require.NoError(s.t, err)
	return code
}

// scan pays one order as the customer of a scenario would.
func (s *store) scan(scenario string) (payflow.Order, payflow.Outcome, error) {
	o := s.order()
	outcome, err := s.client.Pay(s.t.Context(), o, s.code(scenario), gone())
	return o, outcome, err
}

func bothModes(t *testing.T, story func(t *testing.T, s *store)) {
	for _, mode := range []wxsim.Mode{wxsim.Institution, wxsim.Direct} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t, wxsim.Config{Merchants: []wxsim.Merchant{{Mode: mode}}})
				require.NoError(t, s.client.FirstRoundTrip(t.Context()))
				story(t, s)
				assert.Empty(t, s.sim.Books().Violations)
			})
		})
	}
}

func TestWithTheSimulatorAPaymentIsMadeAskedForAndTakenBack(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		o, outcome, err := s.scan("pays-at-once")
		require.NoError(t, err)
		require.Equal(t, payflow.Found, outcome.Kind)
		assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State)
		assert.Equal(t, o.Amount, outcome.Trade.Amount)
		assert.Equal(t, s.merchant.MerchantID, outcome.Trade.MerchantID)
		assert.Equal(t, s.merchant.SubMerchantID, outcome.Trade.SubMerchantID)
		assert.True(t, o.Tag.Carries(outcome.Trade.Attach))

		byID, err := s.client.QueryByID(t.Context(), o, outcome.Trade.TransactionID)
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeSuccess, byID.Trade.State)
		time.Sleep(payflow.ReverseGuard)
		reversed, err := s.client.Reverse(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.ReverseDone, reversed.Kind)
		after, err := s.client.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeRevoked, after.Trade.State)

		missing, err := s.client.Query(t.Context(), s.order())
		require.NoError(t, err)
		assert.Equal(t, payflow.NoSuchOrder, missing.Kind)
	})
}

func TestWithTheSimulatorEachWalletIsUnderstood(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		for scenario, want := range map[string]payflow.Outcome{
			"password-pays":            {Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeUserPaying}},
			"password-pays-200":        {Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeUserPaying}},
			"password-pays-202":        {Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeUserPaying}},
			"slow-answer":              {Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeSuccess}},
			"no-money":                 {Kind: payflow.Refused, Reason: payflow.ReasonNotEnough},
			"expired-code":             {Kind: payflow.Refused, Reason: payflow.ReasonCodeExpired},
			"reused-code":              {Kind: payflow.Refused, Reason: payflow.ReasonCodeUsed},
			"not-a-code":               {Kind: payflow.Refused, Reason: payflow.ReasonCodeInvalid},
			"card-not-supported":       {Kind: payflow.Refused, Reason: payflow.ReasonCard},
			"over-the-limit":           {Kind: payflow.Refused, Reason: payflow.ReasonLimit},
			"account-error":            {Kind: payflow.Refused, Reason: payflow.ReasonAccount},
			"too-many-requests":        {Kind: payflow.Refused, Reason: payflow.ReasonBusy},
			"number-of-another-paid":   {Kind: payflow.Collision, Reason: payflow.ReasonNumberInUse},
			"number-of-another-unpaid": {Kind: payflow.Collision, Reason: payflow.ReasonNumberInUse},
			"number-of-another-closed": {Kind: payflow.Collision, Reason: payflow.ReasonNumberInUse},
			"buyer-mismatch":           {Kind: payflow.Collision, Reason: payflow.ReasonNumberInUse},
			"system-error-paid":        {},
			"system-error-no-order":    {},
			"unlisted-error":           {},
		} {
			_, outcome, err := s.scan(scenario)
			if want.Kind == "" {
				assert.Empty(t, lostOf(t, err).Claim, scenario)
				continue
			}
			require.NoError(t, err, scenario)
			assert.Equal(t, want.Kind, outcome.Kind, scenario)
			assert.Equal(t, want.Reason, outcome.Reason, scenario)
			assert.Equal(t, want.Trade.State, outcome.Trade.State, scenario)
		}
	})
}

func TestWithTheSimulatorEveryFaultOnAPayCallIsUnknownOrHarmless(t *testing.T) {
	harmless := map[wxsim.Kind]bool{wxsim.Rollover: true, wxsim.WrongDate: true, wxsim.Gzip: true}
	for _, kind := range wxsim.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t, wxsim.Config{})
				require.NoError(t, s.client.FirstRoundTrip(t.Context()))
				_, _, err := s.scan("pays-at-once") // something to replay
				require.NoError(t, err)
				time.Sleep(time.Minute)
				fault := wxsim.Fault{On: wxsim.Pay, Kind: kind}
				if kind == wxsim.Refuse {
					fault.Status, fault.Code = 403, "NOT_ENOUGH"
				}
				s.sim.Inject(fault)
				o, outcome, err := s.scan("pays-at-once")
				switch {
				case kind == wxsim.Refuse:
					require.NoError(t, err)
					assert.Equal(t, payflow.Refused, outcome.Kind)
				case harmless[kind]:
					require.NoError(t, err)
					assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State)
				default:
					assert.Empty(t, lostOf(t, err).Claim)
				}
				time.Sleep(time.Minute)
				book, _ := s.sim.Books().Order(string(o.OutTradeNo))
				assert.LessOrEqual(t, book.PayWhole, 1)
				assert.LessOrEqual(t, book.Charged, 1)
				s.sim.Heal()
				asked, err := s.client.Query(t.Context(), o)
				require.NoError(t, err, "and the next query finds out")
				assert.Equal(t, book.State == wxsim.None, asked.Kind == payflow.NoSuchOrder)
				assert.Empty(t, s.sim.Books().Violations)
			})
		})
	}
}

func TestWithTheSimulatorAClockThatIsOffIsCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{Clock: 47 * time.Minute})
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		_, outcome, err := s.scan("pays-at-once")
		require.NoError(t, err)
		assert.Equal(t, payflow.Found, outcome.Kind)
		assert.InDelta(t, float64(47*time.Minute), float64(s.client.State().ClockOffset), float64(2*time.Second))
		s.sim.SetClock(0)
		time.Sleep(15 * time.Second)
		asked, err := s.client.Query(t.Context(), s.order())
		require.NoError(t, err, "refused for its time, corrected, asked again")
		assert.Equal(t, payflow.NoSuchOrder, asked.Kind)
	})
}

func TestWithTheSimulatorUnsignedErrorsAreClaimsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{Behaviour: wxsim.Behaviour{ErrorsUnsigned: true, OldSpelling: true}})
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		o, _, err := s.scan("no-money")
		assert.Equal(t, payflow.Lost{Reason: payflow.ReasonNotEnough, Claim: payflow.Refused, Code: "NOTENOUGH"}, lostOf(t, err))
		_, err = s.client.Query(t.Context(), o)
		assert.Equal(t, payflow.NoSuchOrder, lostOf(t, err).Claim)
	})
}
