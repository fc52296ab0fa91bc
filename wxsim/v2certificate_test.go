package wxsim

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"
)

// API Rules, certificate requirement: a merchant certificate is required for calling submit refund and revoke order.
func TestReverseIsRefusedWithoutTheClientCertificate(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.showing(nil)
		require.Equal(t, "SUCCESS", c.play2("A1", "pays-at-once").word(), "pay needs none")
		require.Equal(t, "SUCCESS", c.query2("A1").word(), "nor does query")
		time.Sleep(15 * time.Second)
		a := c.reverse2("A1")
		assert.Equal(t, "400 page", a.word())
		assert.Contains(t, a.body, "No required SSL certificate was sent")
		assert.Equal(t, Success, c.line("A1").State, "nothing was done")
		assert.Equal(t, map[Call]int{Reverse: 1}, c.sim.Books().Uncertified)
		arrivals := c.line("A1").Arrivals
		assert.Equal(t, 400, arrivals[len(arrivals)-1].Status)
	})
}

// API certificates: it must be one that WeChat Pay issued to this merchant.
func TestReverseTakesNoOtherCertificateThanTheMerchantsOwn(t *testing.T) {
	other, err := newAuthority("Tenpay.com Root CA", time.Now())
	require.NoError(t, err)
	issued := func(by *authority, name string, now time.Time) *tls.Certificate {
		key := testKeys().Stranger
		c, err := by.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}}, &key.PublicKey, now)
		require.NoError(t, err)
		return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
	}
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		require.Equal(t, "SUCCESS", c.play2("A1", "pays-at-once").word())
		time.Sleep(15 * time.Second)
		now := time.Now()
		rows := []struct {
			name, want  string
			certificate *tls.Certificate
		}{
			{"of another authority", "400 page", issued(other, c.creds.MerchantID, now)},
			{"expired", "400 page", issued(c.sim.authority, c.creds.MerchantID, now.AddDate(-6, 0, 0))},
			{"not yet valid", "400 page", issued(c.sim.authority, c.creds.MerchantID, now.AddDate(0, 0, 3))},
			{"another merchant's", "DENIED PARAM_ERROR", issued(c.sim.authority, "10000199", now)},
		}
		for i, row := range rows {
			c.showing(row.certificate)
			assert.Equal(t, row.want, c.reverse2("A1").word(), row.name)
			assert.Equal(t, i+1, c.sim.Books().Uncertified[Reverse], row.name)
		}
		assert.Equal(t, Success, c.line("A1").State)
	})
}

// API certificates, renewal: both work during the overlap, then the old one no longer.
func TestBothCertificatesOfARenewalAreGoodForReverse(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		require.Equal(t, "SUCCESS", c.play2("A1", "pays-at-once").word())
		time.Sleep(15 * time.Second)
		old := c.creds.Serial
		renewed, err := c.sim.AddMerchantCertificate("")
		require.NoError(t, err)
		assert.Equal(t, "SUCCESS", c.reverse2("A1").word(), "the old one")
		c.showingFile(renewed)
		assert.Equal(t, "SUCCESS", c.reverse2("A1").word(), "the new one")
		require.NoError(t, c.sim.DropMerchantCertificate(old))
		assert.Equal(t, "SUCCESS", c.reverse2("A1").word())
		c.showingFile(c.creds)
		assert.Equal(t, "DENIED PARAM_ERROR", c.reverse2("A1").word(), "the old one is over")
	})
}

// The certificate is asked of every client, and none is demanded of API v3.
func TestAClientOfV3NeedsNoCertificateAndMayShowOne(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.fetch()
		assert.Equal(t, "200 SUCCESS", whatCame(c.mustPlay("A1", "pays-at-once"), nil))
		c.web = c.web2
		assert.Equal(t, "200 SUCCESS", whatCame(c.mustPlay("A2", "pays-at-once"), nil))
	})
}

// Transport, a trap of Go's: crypto/tls shows a client certificate only to those who name its issuer, unless it is told to.
func TestAGatewayThatNamesOtherIssuersIsShownTheCertificateAllTheSame(t *testing.T) {
	for _, otherCAs := range []bool{false, true} {
		townV2(t, Config{OtherCAs: otherCAs}, func(t *testing.T, c *tillV2) {
			assert.Equal(t, "SUCCESS", c.reverse2("A1").word(), "a till that shows it to everyone")
			config := c.web2.Transport.(*http.Transport).TLSClientConfig
			shown, err := config.GetClientCertificate(nil)
			require.NoError(t, err)
			config = config.Clone()
			config.GetClientCertificate, config.Certificates = nil, []tls.Certificate{*shown}
			c.web2.CloseIdleConnections()
			c.web2.Transport.(*http.Transport).TLSClientConfig = config
			want := map[bool]string{false: "SUCCESS", true: "400 page"}[otherCAs]
			assert.Equal(t, want, c.reverse2("A1").word(), "a till that leaves it to crypto/tls")
		})
	}
}

// Without TLS there is no certificate.
func TestTheHandlerWithoutTLSRefusesReverse(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	defer sim.Close()
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	c := newTillV2(t, newCaller(t, sim, server.URL, nil))
	assert.Equal(t, "400 page", c.reverse2("A1").word())
	assert.Equal(t, "FAIL ORDERNOTEXIST", c.query2("A1").word())
	c.web2.CloseIdleConnections()
}

// API Rules, table 5.2: apiclient_cert.p12 opens with the merchant number; the API key has 32 characters.
func TestTheInstallerGetsWhatATillOfV2Needs(t *testing.T) {
	sim, err := New(Config{Keys: testKeys(), Merchants: []Merchant{{MerchantID: "1900000109"}}})
	require.NoError(t, err)
	defer sim.Close()
	dir := t.TempDir()
	require.NoError(t, sim.WriteCredentials(dir))
	packed, err := os.ReadFile(filepath.Join(dir, PKCS12File))
	require.NoError(t, err)
	_, certificate, chain, err := pkcs12.DecodeChain(packed, "1900000109")
	require.NoError(t, err)
	assert.Equal(t, "1900000109", certificate.Subject.CommonName)
	assert.Len(t, chain, 1, "the root is in it")
	_, _, _, err = pkcs12.DecodeChain(packed, "10000100")
	assert.Error(t, err)
	key, err := os.ReadFile(filepath.Join(dir, APIv2KeyFile))
	require.NoError(t, err)
	assert.Len(t, key, 32, "and no line feed")
	creds, err := sim.Credentials("")
	require.NoError(t, err)
	assert.Equal(t, creds.APIv2Key, string(key))
	assert.NotEqual(t, creds.APIv3Key, creds.APIv2Key, "the two keys are separate")

	_, err = New(Config{Keys: testKeys(), Merchants: []Merchant{{APIv2Key: "short"}}})
	assert.ErrorContains(t, err, "API key of v2 has 5 characters")
}
