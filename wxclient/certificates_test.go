package wxclient

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestCertificatesAreStoredSealedAndServeAnOfflineStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		config.CertificatesFile = filepath.Join(t.TempDir(), "platform.json")
		require.NoError(t, newClient(t, config).FirstRoundTrip(t.Context()))

		info, err := os.Stat(config.CertificatesFile)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		left, err := os.ReadDir(filepath.Dir(config.CertificatesFile))
		require.NoError(t, err)
		assert.Len(t, left, 1, "no temporary file is left")

		again := newClient(t, config)
		assert.Len(t, again.State().Certificates, 1)
		assert.False(t, again.Verified(), "what is stored is no round trip")
		g.always(reply{status: 200, body: paidBody(testOrder())})
		outcome, err := again.Query(t.Context(), testOrder())
		require.NoError(t, err)
		assert.Equal(t, payflow.Found, outcome.Kind)
		assert.Equal(t, 1, g.count("certificates"))

		text, err := os.ReadFile(config.CertificatesFile)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(config.CertificatesFile, []byte(strings.Replace(string(text), `"ciphertext":"`, `"ciphertext":"AAAA`, 1)), 0o600))
		assert.Empty(t, newClient(t, config).State().Certificates, "a changed file is not believed")
		config.APIv3Key = []byte(strings.Repeat("x", 32))
		assert.Empty(t, newClient(t, config).State().Certificates)
	})
}

func TestCertificatesThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		for name, row := range map[string]struct {
			spoil func(g *gateway, config *Config)
			words string
		}{
			"another API v3 key": {func(_ *gateway, c *Config) { c.APIv3Key = []byte(strings.Repeat("k", 32)) }, "API v3 key does not open"},
			"the merchant's own": {func(g *gateway, c *Config) { c.SerialNo = "7A" }, "merchant's own"},
			"a short key": {func(g *gateway, _ *Config) {
				g.addPlatform("7C", newRSA(1024), from, to)
				g.handOut("7A", "7C")
			}, "no RSA key of 2048 bits"},
			"another serial":        {func(g *gateway, _ *Config) { g.pems["7D"] = g.pems["7A"]; g.handOut("7D") }, "came as"},
			"expired":               {func(g *gateway, _ *Config) { g.addPlatform("7A", platformKey(), from, from.Add(time.Minute)) }, "expired on"},
			"signed by one unknown": {func(g *gateway, _ *Config) { g.addPlatform("7E", strangerKey(), from, to); g.signWith("7E") }, "is not held"},
		} {
			t.Log(name)
			g := newGateway(t)
			config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
			row.spoil(g, &config)
			c := newClient(t, config)
			require.ErrorContains(t, c.FirstRoundTrip(t.Context()), row.words, name)
			assert.False(t, c.Verified(), name)
			assert.Empty(t, c.State().Certificates, name)
			c.Close()
			g.server.Close()
		}
	})
}

func TestCertificatesErrorsAreExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := newClient(t, testConfig(g, newPipes(g, firstHost).dial, firstHost))
		for _, row := range []struct {
			p     reply
			words string
		}{
			{reply{status: 404, body: "<html>", seal: "none"}, "check hosts"},
			{reply{status: 200, body: "<html>please log in</html>", seal: "none"}, "login page"},
			{reply{status: 302, body: "", seal: "none"}, "login page"},
			{reply{status: 401, body: `{"code":"SIGN_ERROR"}`}, "certificate and private_key belong together"},
			{reply{status: 403, body: `{"code":"NO_AUTH"}`, seal: "none"}, "check merchant_id"},
			{reply{status: 503, body: ``, seal: "none"}, "not available just now"},
		} {
			server := g.server
			server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.write(w, r, row.p) })
			require.ErrorContains(t, c.FirstRoundTrip(t.Context()), row.words)
		}
	})
}

func TestCertificatesAreFetchedAgainWithin12Hours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := newClient(t, testConfig(g, newPipes(g, firstHost).dial, firstHost))
		done := make(chan struct{})
		go func() { defer close(done); c.Run(t.Context()) }()
		time.Sleep(12 * time.Hour)
		assert.True(t, c.Verified())
		assert.Equal(t, 2, g.count("certificates"))
		g.addPlatform("7F", strangerKey(), time.Now(), time.Now().Add(24*time.Hour))
		g.handOut("7A", "7F")
		time.Sleep(11 * time.Hour)
		assert.Len(t, c.State().Certificates, 2, "a new one is there before it is used")
		c.Close()
		<-done
	})
}

func TestCertificatesFirstRoundTripIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		network := newPipes(g, firstHost)
		network.set(firstHost, "refuse")
		c := newClient(t, testConfig(g, network.dial, firstHost))
		done := make(chan struct{})
		go func() { defer close(done); c.Run(t.Context()) }()
		time.Sleep(20 * time.Second)
		assert.False(t, c.Verified())
		assert.False(t, c.LinkUp())
		network.set(firstHost, "")
		time.Sleep(30 * time.Second)
		assert.True(t, c.Verified())
		assert.True(t, c.LinkUp())
		c.Close()
		<-done
	})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	g := newGateway(t)
	for words, spoil := range map[string]func(*Config){
		"hosts":           func(c *Config) { c.Hosts = nil },
		"without a path":  func(c *Config) { c.Hosts = []string{"https://api.mch.weixin.qq.com/hk"} },
		"host \"http":     func(c *Config) { c.Hosts = []string{"http://apihk.mch.weixin.qq.com"} },
		"exactly 32":      func(c *Config) { c.APIv3Key = c.APIv3Key[:16] },
		"private key":     func(c *Config) { c.PrivateKey = nil },
		"1024 bits":       func(c *Config) { c.PrivateKey = newRSA(1024) },
		"serial number":   func(c *Config) { c.SerialNo = "XYZ" },
		"mode":            func(c *Config) { c.Merchant.Mode = "both" },
		"sub merchant id": func(c *Config) { c.Merchant.SubMerchantID = "" },
		"no sub ids":      func(c *Config) { c.Merchant.Mode = payflow.Direct },
		"app id":          func(c *Config) { c.Merchant.AppID = "" },
		"proxy":           func(c *Config) { c.Proxy = "socks5://secret@x" },
	} {
		config := testConfig(g, nil, firstHost)
		spoil(&config)
		_, err := New(config)
		require.ErrorContains(t, err, words)
		assert.NotContains(t, err.Error(), "secret")
	}
}
