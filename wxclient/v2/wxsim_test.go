package v2

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
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
	told     told
	merchant payflow.Merchant
	orders   int
}

func newStore(t *testing.T, config wxsim.Config, change ...func(*Config)) *store {
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
	certificate, err := tls.X509KeyPair(k.Certificate, k.PrivateKey)
	require.NoError(t, err)
	s := &store{t: t, sim: sim, merchant: payflow.Merchant{Mode: payflow.Mode(k.Mode), AppID: k.AppID, MerchantID: k.MerchantID, SubMerchantID: k.SubMerchantID}}
	till := Config{Hosts: []string{"https://" + firstHost, "https://" + secondHost}, RootCAs: k.Roots, Merchant: s.merchant, APIKey: k.APIv2Key,
		Certificate: certificate, Dial: network.dial, OnCondition: s.told.hear}
	for _, do := range change {
		do(&till)
	}
	s.client = newClient(t, till)
	return s
}

func (s *store) order() payflow.Order {
	s.orders++
	o := testOrder()
	o.OutTradeNo, o.Merchant = payflow.OutTradeNo(fmt.Sprintf("SZTX001T1N%d", s.orders)), s.merchant
	return o
}

// scan pays one order as the customer of a scenario would.
func (s *store) scan(scenario string) (payflow.Order, payflow.Outcome, error) {
	o := s.order()
	code, err := payflow.ParseAuthCode(wxsim.CodeFor(scenario, s.orders), "", nil)
	require.NoError(s.t, err)
	outcome, err := s.client.Pay(s.t.Context(), o, code, gone())
	return o, outcome, err
}

func (s *store) refundOf(o payflow.Order, no string, minor int64) payflow.RefundOrder {
	return payflow.RefundOrder{OutRefundNo: payflow.OutRefundNo(no), OutTradeNo: o.OutTradeNo, Merchant: o.Merchant, API: o.API, Total: o.Amount,
		Amount: payflow.Amount{Minor: minor, Currency: o.Amount.Currency}, Reason: "goods back"}
}

func bothModes(t *testing.T, story func(t *testing.T, s *store)) {
	for _, mode := range []wxsim.Mode{wxsim.Institution, wxsim.Direct} {
		for _, kind := range []SignType{MD5, HMACSHA256} {
			t.Run(string(mode)+" "+string(kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStore(t, wxsim.Config{Merchants: []wxsim.Merchant{{Mode: mode}}}, func(c *Config) { c.SignType = kind })
					require.NoError(t, s.client.FirstRoundTrip(t.Context()))
					story(t, s)
					assert.Empty(t, s.sim.Books().Violations)
				})
			})
		}
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
		assert.WithinDuration(t, time.Now(), outcome.Trade.SuccessTime, 2*time.Second)

		require.NoError(t, s.client.TryCertificate(t.Context()))
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

func TestWithTheSimulatorAnOrderIsTakenBackByItsID(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		o, outcome, err := s.scan("pays-at-once")
		require.NoError(t, err)
		time.Sleep(payflow.ReverseGuard)
		reversed, err := s.client.ReverseByID(t.Context(), o, outcome.Trade.TransactionID)
		require.NoError(t, err)
		assert.Equal(t, payflow.ReverseDone, reversed.Kind)
	})
}

func TestWithTheSimulatorRefundsAreMadeAskedForAndAddedUp(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		none, err := s.client.Refunds(t.Context(), o)
		require.NoError(t, err)
		assert.Empty(t, none)
		unknown, err := s.client.QueryRefund(t.Context(), s.refundOf(o, "NONE", 1))
		require.NoError(t, err)
		assert.Equal(t, payflow.NoSuchRefund, unknown.Kind)

		const parts = 12 // more than a page
		for i := range parts {
			r := s.refundOf(o, fmt.Sprintf("%s-%d", o.OutTradeNo, i+1), 100)
			if i%2 == 1 {
				r.TransactionID = paid.Trade.TransactionID
			}
			accepted, err := s.client.Refund(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, payflow.RefundAccepted, accepted.Kind)
			time.Sleep(time.Minute)
			found, err := s.client.QueryRefund(t.Context(), r)
			require.NoError(t, err)
			assert.Equal(t, payflow.RefundStateSuccess, found.Refund.State)
			assert.Equal(t, r.Amount, found.Refund.Amount)
			byID, err := s.client.QueryRefundByID(t.Context(), r, accepted.Refund.RefundID)
			require.NoError(t, err)
			assert.Equal(t, payflow.RefundFound, byID.Kind)
		}
		for _, ask := range []func() ([]payflow.RefundReport, error){
			func() ([]payflow.RefundReport, error) { return s.client.Refunds(t.Context(), o) },
			func() ([]payflow.RefundReport, error) {
				return s.client.RefundsByID(t.Context(), o, paid.Trade.TransactionID)
			},
		} {
			all, err := ask()
			require.NoError(t, err)
			assert.Len(t, all, parts)
		}
		after, err := s.client.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeRefund, after.Trade.State)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 100 * parts}, after.Trade.Refunds)
		book, _ := s.sim.Books().Order(string(o.OutTradeNo))
		assert.EqualValues(t, 100*parts, book.GaveBack)
	})
}

func TestWithTheSimulatorRefusedRefunds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{})
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		for scenario, want := range map[string]payflow.RefundOutcomeKind{"refund-no-money": payflow.RefundDeclined, "refund-account-dead": payflow.RefundDeclined,
			"refund-overdue": payflow.RefundDeclined, "refund-error": payflow.RefundDeclined, "refund-too-soon": payflow.RefundLater, "refund-too-often": payflow.RefundLater,
			"refund-system-error": "", "refund-system-error-not-made": "", "refund-retry": "", "refund-answer-lost": "", "refund-unsigned": ""} {
			o, _, err := s.scan(scenario)
			require.NoError(t, err, scenario)
			r := s.refundOf(o, string(o.OutTradeNo)+"-1", 100)
			outcome, err := s.client.Refund(t.Context(), r)
			if want == "" {
				lostOf(t, err)
				continue
			}
			require.NoError(t, err, scenario)
			assert.Equal(t, want, outcome.Kind, scenario)
		}
	})
}

func TestWithTheSimulatorEachWalletIsUnderstood(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		for scenario, want := range map[string]payflow.Outcome{
			"password-pays":            {Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeUserPaying}},
			"slow-answer":              {Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeSuccess}},
			"no-money":                 {Kind: payflow.Refused, Reason: payflow.ReasonNotEnough},
			"expired-code":             {Kind: payflow.Refused, Reason: payflow.ReasonCodeExpired},
			"reused-code":              {Kind: payflow.Refused, Reason: payflow.ReasonCodeUsed},
			"not-a-code":               {Kind: payflow.Refused, Reason: payflow.ReasonCodeInvalid},
			"card-not-supported":       {Kind: payflow.Refused, Reason: payflow.ReasonCard},
			"over-the-limit":           {Kind: payflow.Refused, Reason: payflow.ReasonLimit},
			"account-error":            {Kind: payflow.Refused, Reason: payflow.ReasonAccount},
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
				time.Sleep(time.Minute)
				book, _ := s.sim.Books().Order(string(o.OutTradeNo))
				switch {
				case err != nil:
					assert.Empty(t, lostOf(t, err).Claim)
				case outcome.Kind == payflow.Found:
					assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State)
					assert.Equal(t, 1, book.Charged)
				case outcome.Kind == payflow.NotSent:
					assert.Zero(t, book.PayWhole)
				default:
					assert.Equal(t, wxsim.Refuse, kind)
				}
				assert.LessOrEqual(t, book.PayWhole, 1)
				assert.LessOrEqual(t, book.Charged, 1)
				s.sim.Heal()
				asked, err := s.client.Query(t.Context(), o)
				require.NoError(t, err, "and the next query finds out")
				assert.Equal(t, book.State == wxsim.None, asked.Kind == payflow.NoSuchOrder)
				assert.Empty(t, s.sim.Books().Violations)
				t.Log(kind, outcome.Kind, err)
			})
		})
	}
}

func TestWithTheSimulatorUnsignedErrorsAreClaimsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{Behaviour: wxsim.Behaviour{ErrorsUnsigned: true}})
		require.NoError(t, s.client.FirstRoundTrip(t.Context()), "a reverse of what cannot exist is answered, and signed")
		assert.True(t, s.client.Verified())
		assert.Empty(t, s.sim.Books().Violations)
		o, _, err := s.scan("no-money")
		assert.Equal(t, payflow.Lost{Reason: payflow.ReasonNotEnough, Claim: payflow.Refused, Code: "NOTENOUGH"}, lostOf(t, err))
		_, err = s.client.Query(t.Context(), o)
		assert.Equal(t, payflow.NoSuchOrder, lostOf(t, err).Claim)
	})
}

func TestWithTheSimulatorAClockThatIsOffStopsNobody(t *testing.T) {
	for _, off := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t, wxsim.Config{Clock: off})
			require.NoError(t, s.client.FirstRoundTrip(t.Context()))
			_, outcome, err := s.scan("pays-at-once")
			require.NoError(t, err)
			assert.Equal(t, payflow.Found, outcome.Kind)
			stands := s.told.stands(wxclient.ClockOff)
			require.NotNil(t, stands)
			assert.True(t, stands.Red)
		})
	}
}

// TestWithTheSimulatorAReverseNeedsTheMerchantsCertificate: another's is refused, and so the reverse is not known, never done.
func TestWithTheSimulatorAReverseNeedsTheMerchantsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stranger, _ := selfSigned(t, "10000100", merchantKey())
		s := newStore(t, wxsim.Config{}, func(c *Config) { c.Certificate = stranger })
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		require.ErrorContains(t, s.client.TryCertificate(t.Context()), "does not take the merchant certificate")
		require.NotNil(t, s.told.stands(CertificateRefused))
		o, _, err := s.scan("pays-at-once")
		require.NoError(t, err)
		time.Sleep(payflow.ReverseGuard)
		_, err = s.client.Reverse(t.Context(), o)
		lostOf(t, err)
		_, err = s.client.Refund(t.Context(), s.refundOf(o, "R1", 1))
		lostOf(t, err)
		books := s.sim.Books()
		assert.NotZero(t, books.Uncertified[wxsim.Reverse])
		assert.NotZero(t, books.Uncertified[wxsim.Refund])
		book, _ := books.Order(string(o.OutTradeNo))
		assert.Equal(t, o.Amount.Minor, book.Held)
	})
}

func TestWithTheSimulatorABillIsDownloadedAndRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bill.csv")
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{})
		none, err := s.client.Statement(t.Context(), "20000101", file)
		require.NoError(t, err)
		assert.True(t, none.None)
		day := time.Now().In(storeTime).Format(dayFormat)
		var paid []payflow.Order
		for range 3 {
			o, _, err := s.scan("pays-at-once")
			require.NoError(t, err)
			paid = append(paid, o)
		}
		time.Sleep(36 * time.Hour)
		kept, err := s.client.Statement(t.Context(), day, file)
		require.NoError(t, err)
		require.False(t, kept.None)
		assert.False(t, kept.Verified)
		bill, err := os.Open(file)
		require.NoError(t, err)
		defer bill.Close()
		seen := map[payflow.OutTradeNo]payflow.StatementRow{}
		summary, err := wxclient.ReadStatement(bill, func(r payflow.StatementRow) error { seen[r.OutTradeNo] = r; return nil })
		require.NoError(t, err)
		assert.True(t, summary.Told)
		assert.Len(t, seen, len(paid))
		for _, o := range paid {
			assert.Equal(t, o.Amount, seen[o.OutTradeNo].Amount)
			assert.True(t, o.Tag.Carries(seen[o.OutTradeNo].Attach))
		}
	})
}

func TestWithTheSimulatorAnotherKeyIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{}, func(c *Config) { c.APIKey = strings.Repeat("x", 32) })
		require.ErrorContains(t, s.client.FirstRoundTrip(t.Context()), "check that api_v2_key")
		require.NotNil(t, s.told.stands(wxclient.ConfigurationRefused))
	})
}
