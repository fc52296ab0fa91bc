package v2

import (
	"context"
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
)

func TestNewSaysWhatIsWrong(t *testing.T) {
	g := newGateway(t)
	for want, change := range map[string]func(*Config){
		"hosts: 0 are given":             func(c *Config) { c.Hosts = nil },
		"host \"http://x\"":              func(c *Config) { c.Hosts = []string{"http://x"} },
		"API key has 0 characters":       func(c *Config) { c.APIKey = "" },
		"API key has 129 characters":     func(c *Config) { c.APIKey = string(make([]byte, 129)) },
		"sign type \"SHA1\"":             func(c *Config) { c.SignType = "SHA1" },
		"mode \"both\"":                  func(c *Config) { c.Merchant.Mode = "both" },
		"app id and merchant id":         func(c *Config) { c.Merchant.AppID = "" },
		"institution mode needs":         func(c *Config) { c.Merchant.SubMerchantID = "" },
		"direct mode takes no sub ids":   func(c *Config) { c.Merchant.Mode = payflow.Direct },
		"certificate and its key are":    func(c *Config) { c.Certificate.PrivateKey = nil },
		"do not belong together":         func(c *Config) { c.Certificate.PrivateKey = webKey() },
		"read the merchant API certific": func(c *Config) { c.Certificate.Certificate = [][]byte{{1}} },
		"proxy: write it as":             func(c *Config) { c.Proxy = "proxy:1" },
	} {
		config := testConfig(t, g, nil, firstHost)
		change(&config)
		_, err := New(config)
		assert.ErrorContains(t, err, want)
	}
}

// TestWithoutACertificateTheClientOnlyAsks: an order that is open can still be finished, and none is begun.
func TestWithoutACertificateTheClientOnlyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t, func(config *Config) { config.Certificate = tls.Certificate{} })
		g.always(paid(testOrder(), "SUCCESS"))
		outcome, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State)

		outcome, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
		require.NoError(t, err)
		assert.Equal(t, payflow.NotSent, outcome.Kind)
		assert.Equal(t, payflow.ReasonConfiguration, outcome.Reason)
		_, err = c.Reverse(t.Context(), testOrder())
		assert.Equal(t, payflow.Lost{Reason: payflow.ReasonConfiguration}, lostOf(t, err), "not known is never no")
		_, err = c.Refund(t.Context(), testRefund())
		assert.Equal(t, payflow.Lost{Reason: payflow.ReasonConfiguration}, lostOf(t, err))
		assert.Equal(t, []int{0, 0, 0}, []int{g.count(payPath), g.count(reversePath), g.count(refundPath)})
		assert.Empty(t, c.State().HostsAside, "it is no fault of the gateway's")

		require.ErrorContains(t, c.UseCertificate(tls.Certificate{}), "its key are missing")
		require.NoError(t, c.UseCertificate(testConfig(t, g, nil, firstHost).Certificate))
		_, _ = c.Reverse(t.Context(), testOrder())
		assert.Equal(t, 1, g.count(reversePath))
	})
}

// gatewayOf is what queue.Gateway asks for.
type gatewayOf interface {
	Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error)
	Query(ctx context.Context, o payflow.Order) (payflow.Outcome, error)
	QueryByID(ctx context.Context, o payflow.Order, id payflow.TransactionID) (payflow.Outcome, error)
	Reverse(ctx context.Context, o payflow.Order) (payflow.Outcome, error)
	ReverseByID(ctx context.Context, o payflow.Order, id payflow.TransactionID) (payflow.Outcome, error)
	KeepWarm(on bool)
	Warm(ctx context.Context) error
	Run(ctx context.Context)
	Close()
	State() wxclient.State
	Verified() bool
	LinkUp() bool
	FirstRoundTrip(ctx context.Context) error
}

var (
	_ gatewayOf = (*Client)(nil)
	_ gatewayOf = (*wxclient.Client)(nil)
)

func TestARenewedCertificateIsShownFromTheNextConnectionOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		reverse := func() string {
			g.always(reply{with: map[string]string{"result_code": "SUCCESS", "recall": "N"}})
			_, err := c.Reverse(t.Context(), testOrder())
			require.NoError(t, err)
			return g.last().shownBy
		}
		assert.Equal(t, "10000100", reverse())
		renewed, _ := selfSigned(t, "renewed", merchantKey())
		require.NoError(t, c.UseCertificate(renewed))
		require.Error(t, c.UseCertificate(tls.Certificate{}), "and without one there is none to show")
		time.Sleep(time.Minute) // idle connections have ended
		assert.Equal(t, "renewed", reverse())
	})
}

// TestTheCertificateGoesOnConnectionsOfItsOwn: the gateway of these tests complains of a certificate that is shown without need, and of
// one that is missing where it is demanded.
func TestTheCertificateGoesOnConnectionsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		network := newPipes(g, firstHost)
		c := newClient(t, testConfig(t, g, network.dial, firstHost))
		for range 3 {
			g.always(paid(testOrder(), "NOTPAY"))
			_, err := c.Query(t.Context(), testOrder())
			require.NoError(t, err)
			g.always(reply{with: map[string]string{"result_code": "SUCCESS", "recall": "N"}})
			_, err = c.Reverse(t.Context(), testOrder())
			require.NoError(t, err)
		}
		assert.Equal(t, 2, network.dials, "one of each kind, and each is used again")
	})
}
