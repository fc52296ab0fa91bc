package v2

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// The client of API v2 against simulated WeChat Pay, which shares no code with it.

var simKeys = sync.OnceValue(func() wxsim.Keys {
	keys, err := wxsim.NewKeys()
	if err != nil {
		panic(err)
	}
	return keys
})

// line is a listener whose connections are pipes.
type line struct {
	conns chan net.Conn
	shut  chan struct{}
	once  sync.Once
}

func newLine() *line { return &line{conns: make(chan net.Conn), shut: make(chan struct{})} }

func (l *line) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}
func (l *line) Close() error   { l.once.Do(func() { close(l.shut) }); return nil }
func (l *line) Addr() net.Addr { return &net.UnixAddr{Name: "line"} }

func (l *line) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}

// store is a till on API v2 before a simulated WeChat Pay, in a bubble.
type store struct {
	t        *testing.T
	sim      *wxsim.Sim
	client   *Client
	config   Config
	merchant payflow.Merchant
	orders   int
}

// inStore tells a story in both modes and with both kinds of sign.
func inStore(t *testing.T, config wxsim.Config, story func(t *testing.T, s *store)) {
	t.Helper()
	for _, mode := range []wxsim.Mode{wxsim.Institution, wxsim.Direct} {
		for _, kind := range []SignType{MD5, HMACSHA256} {
			t.Run(fmt.Sprint(mode, " ", kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					config := config
					config.Keys, config.Hosts, config.Merchants = simKeys(), []string{firstHost}, []wxsim.Merchant{{Mode: mode}}
					sim, err := wxsim.New(config)
					require.NoError(t, err)
					defer sim.Close()
					l := newLine()
					go sim.Serve(l)
					k, err := sim.Credentials("")
					require.NoError(t, err)
					certificate, err := tls.X509KeyPair(k.Certificate, k.PrivateKey)
					require.NoError(t, err)
					s := &store{t: t, sim: sim, merchant: payflow.Merchant{Mode: payflow.Mode(k.Mode), AppID: k.AppID, MerchantID: k.MerchantID, SubMerchantID: k.SubMerchantID}}
					s.config = Config{Hosts: []string{"https://" + firstHost}, RootCAs: k.Roots, Merchant: s.merchant, APIKey: k.APIv2Key, SignType: kind, Certificate: certificate, Dial: l.dial}
					s.client, err = New(s.config)
					require.NoError(t, err)
					defer s.client.Close()
					require.NoError(t, s.client.FirstRoundTrip(t.Context()))
					story(t, s)
					assert.Empty(t, sim.Books().Violations)
				})
			})
		}
	}
}

func (s *store) scan(scenario string) (payflow.Order, payflow.Outcome, error) {
	s.t.Helper()
	s.orders++
	o := payflow.Order{OutTradeNo: payflow.OutTradeNo(fmt.Sprintf("SZTX001T1N%d", s.orders)), Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, Tag: "ABCDEFGH01234567", Merchant: s.merchant,
		API: payflow.APIv2, Description: "Image Store <&> 公仔", Store: payflow.Store{ID: "SZTX001", Name: "Tencent Building", Address: "Nanshan", Till: "T1", DeviceIP: "59.37.125.32"}}
	code, err := payflow.ParseAuthCode(wxsim.CodeFor(scenario, s.orders), "", nil)
	require.NoError(s.t, err)
	leave := make(chan struct{})
	close(leave)
	outcome, err := s.client.Pay(s.t.Context(), o, code, leave)
	return o, outcome, err
}

func TestWithTheSimulatorAPaymentIsMadeAskedForAndTakenBack(t *testing.T) {
	inStore(t, wxsim.Config{}, func(t *testing.T, s *store) {
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		require.Equal(t, payflow.TradeSuccess, paid.Trade.State)
		assert.Equal(t, o.Amount, paid.Trade.Amount)
		assert.True(t, o.Tag.Carries(paid.Trade.Attach))
		byID, err := s.client.QueryByID(t.Context(), o, paid.Trade.TransactionID)
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeSuccess, byID.Trade.State)
		time.Sleep(payflow.ReverseGuard)
		reversed, err := s.client.Reverse(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.ReverseDone, reversed.Kind)
		after, err := s.client.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeRevoked, after.Trade.State)

		second, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		time.Sleep(payflow.ReverseGuard)
		reversed, err = s.client.ReverseByID(t.Context(), second, paid.Trade.TransactionID)
		require.NoError(t, err)
		assert.Equal(t, payflow.ReverseDone, reversed.Kind)
		book, _ := s.sim.Books().Order(string(second.OutTradeNo))
		assert.Zero(t, book.Held)
	})
}

func TestWithTheSimulatorMoneyIsGivenBackAndAskedFor(t *testing.T) {
	inStore(t, wxsim.Config{}, func(t *testing.T, s *store) {
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		back := payflow.RefundOrder{OutRefundNo: "R1", OutTradeNo: o.OutTradeNo, TransactionID: paid.Trade.TransactionID, Merchant: o.Merchant, API: payflow.APIv2,
			Amount: payflow.Amount{Minor: 500, Currency: "HKD"}, Total: o.Amount, Reason: "sold out"}
		taken, err := s.client.Refund(t.Context(), back)
		require.NoError(t, err)
		require.Equal(t, payflow.RefundAccepted, taken.Kind)
		time.Sleep(time.Minute)
		byNumber, err := s.client.QueryRefund(t.Context(), back)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundStateSuccess, byNumber.Refund.State)
		byID, err := s.client.QueryRefundByID(t.Context(), back, taken.Refund.RefundID)
		require.NoError(t, err)
		assert.Equal(t, byNumber.Refund.OutRefundNo, byID.Refund.OutRefundNo)
		for name, list := range map[string]func() ([]payflow.RefundReport, error){
			"by our number": func() ([]payflow.RefundReport, error) { return s.client.Refunds(t.Context(), o) },
			"by WeChat's": func() ([]payflow.RefundReport, error) {
				return s.client.RefundsByID(t.Context(), o, paid.Trade.TransactionID)
			},
		} {
			all, err := list()
			require.NoError(t, err, name)
			assert.Equal(t, payflow.RefundSum{Known: true, Done: 500}, payflow.SumRefunds(o.OutTradeNo, o.Amount, all), name)
		}
	})
}

func TestWithTheSimulatorABillIsKeptAndACodeTellsItsOpenID(t *testing.T) {
	inStore(t, wxsim.Config{}, func(t *testing.T, s *store) {
		_, _, err := s.scan("pays-at-once")
		require.NoError(t, err)
		day := time.Now().In(time.FixedZone("GMT+8", 8*60*60)).Format("20060102")
		time.Sleep(48 * time.Hour)
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		bill, err := s.client.Statement(t.Context(), day, filepath.Join(t.TempDir(), day+".csv"))
		require.NoError(t, err)
		assert.False(t, bill.None)
		code, err := payflow.ParseAuthCode(wxsim.CodeFor("pays-at-once", 99), "", nil)
		require.NoError(t, err)
		who, err := s.client.OpenID(t.Context(), code)
		require.NoError(t, err)
		assert.NotEmpty(t, who.OpenID)
	})
}

// shop knows one refund, and keeps what it is told of.
type shop struct {
	refund payflow.RefundOrder
	told   chan payflow.RefundReport
}

func (s *shop) Refund(no payflow.OutRefundNo) (payflow.RefundOrder, bool) {
	return s.refund, no == s.refund.OutRefundNo
}
func (s *shop) Payment(payflow.OutTradeNo) (payflow.Order, bool)     { return payflow.Order{}, false }
func (s *shop) PaymentNotified(context.Context, payflow.Trade) error { return nil }
func (s *shop) RefundNotified(_ context.Context, r payflow.RefundReport) error {
	s.told <- r
	return nil
}

func TestWithTheSimulatorARefundIsNotified(t *testing.T) {
	var knock *line
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		return knock.dial(ctx, network, address)
	}
	inStore(t, wxsim.Config{Notify: wxsim.Notify{Dial: dial, Through: "http://shop.test"}}, func(t *testing.T, s *store) {
		knock = newLine()
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		journal := &shop{told: make(chan payflow.RefundReport, 8), refund: payflow.RefundOrder{OutRefundNo: "R1", OutTradeNo: o.OutTradeNo, TransactionID: paid.Trade.TransactionID,
			Merchant: o.Merchant, API: payflow.APIv2, Amount: payflow.Amount{Minor: 500, Currency: "HKD"}, Total: o.Amount, NotifyURL: "https://shop.test/refund"}}
		server := &http.Server{Handler: s.client.Notifications(journal)}
		go server.Serve(knock)
		defer server.Close()
		_, err = s.client.Refund(t.Context(), journal.refund)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Len(t, journal.told, 1)
		told := <-journal.told
		assert.EqualValues(t, "R1", told.OutRefundNo)
		assert.Equal(t, payflow.RefundStateSuccess, told.State)
	})
}

func TestWithTheSimulatorReverseAndRefundAreRefusedWithoutTheCertificate(t *testing.T) {
	inStore(t, wxsim.Config{}, func(t *testing.T, s *store) {
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		stranger, _ := selfSigned(t, "stranger", webKey())
		require.NoError(t, s.client.UseCertificate(stranger))
		time.Sleep(payflow.ReverseGuard)
		_, err = s.client.Reverse(t.Context(), o)
		require.Error(t, err)
		_, err = s.client.Refund(t.Context(), payflow.RefundOrder{OutRefundNo: "R1", OutTradeNo: o.OutTradeNo, TransactionID: paid.Trade.TransactionID, Merchant: o.Merchant, API: payflow.APIv2,
			Amount: o.Amount, Total: o.Amount})
		require.Error(t, err)
		book, _ := s.sim.Books().Order(string(o.OutTradeNo))
		assert.Equal(t, o.Amount.Minor, book.Held, "nothing went back")
	})
}
