package wxclient

import (
	"crypto/rsa"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

const testPublicKeyID = "PUB_KEY_ID_0114232134912410000000000000"

// onPublicKey gives the gateway WeChat Pay's public key to sign with, and the client's configuration the same.
func onPublicKey(g *gateway, config *Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keys[testPublicKeyID] = strangerKey()
	config.PublicKeyID, config.PublicKey = testPublicKeyID, &strangerKey().PublicKey
}

// noCertificates makes the certificates call answer as for a merchant who has none; seal as reply's.
func noCertificates(g *gateway, seal string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noCertificates = &reply{status: 404, body: `{"code":"RESOURCE_NOT_EXISTS","message":"no usable platform certificate"}`, seal: seal}
}

func TestPublicKeyAndCertificatesAreHeldBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		onPublicKey(g, &config)
		c := newClient(t, config)
		require.NoError(t, c.FirstRoundTrip(t.Context()), "an answer that a platform certificate signed is believed as before")
		assert.Equal(t, testPublicKeyID, c.State().PublicKeyID)
		assert.Len(t, c.State().Certificates, 1)
		o := testOrder()
		g.always(reply{status: 200, body: paidBody(o)})
		for _, serial := range []string{testPublicKeyID, "7A", testPublicKeyID, strings.ToLower(testPublicKeyID)} {
			if g.keys[serial] == nil {
				g.keys[serial] = strangerKey()
			}
			g.signWith(serial)
			_, err := c.Query(t.Context(), o)
			require.NoError(t, err, serial)
			_, err = c.Pay(t.Context(), o, testAuthCode(t), gone())
			require.NoError(t, err, serial)
		}
		for _, h := range g.headers {
			assert.Equal(t, testPublicKeyID, h.Get("Wechatpay-Serial"), "every request names the key that it wants")
		}
		g.signWith("7A")
		g.keys["7A"] = strangerKey()
		_, err := c.Query(t.Context(), o)
		lostOf(t, err) // the serial chooses the key: the public key's signature under a certificate's serial is forged
		g.signWith(testPublicKeyID)
		g.keys[testPublicKeyID] = platformKey()
		_, err = c.Query(t.Context(), o)
		lostOf(t, err)
	})
}

func TestPublicKeyIsNotNamedWhereNoneIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 200, body: paidBody(testOrder())})
		_, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		for _, h := range g.headers {
			assert.NotContains(t, h, "Wechatpay-Serial")
		}
		assert.Empty(t, c.State().PublicKeyID)
		g.keys[testPublicKeyID] = strangerKey()
		g.signWith(testPublicKeyID)
		_, err = c.Query(t.Context(), testOrder())
		lostOf(t, err)
		assert.Contains(t, unknownSerialText(testPublicKeyID), "set public_key_id and public_key")
	})
}

// A merchant in public-key mode gets no platform certificates: the first round trip is made all the same.
func TestPublicKeyAloneMakesTheFirstRoundTrip(t *testing.T) {
	for name, row := range map[string]struct {
		certificates, query string // seals
		settlements         int    // calls
	}{
		"errors are signed":     {"", "", 0},
		"errors are not signed": {"none", "none", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
				config.CertificatesFile = filepath.Join(t.TempDir(), "platform.json")
				onPublicKey(g, &config)
				g.signWith(testPublicKeyID)
				noCertificates(g, row.certificates)
				g.script(func(r *http.Request, _ string) reply {
					if strings.HasPrefix(r.URL.Path, "/v3/global/settle/") {
						return reply{status: 200, body: `{"data":[],"total_count":0,"offset":0,"limit":1}`}
					}
					return reply{status: 404, body: `{"code":"ORDER_NOT_EXIST"}`, seal: row.query}
				})
				c := newClient(t, config)
				require.False(t, c.Verified())
				require.NoError(t, c.FirstRoundTrip(t.Context()))
				assert.True(t, c.Verified())
				assert.Equal(t, row.settlements, g.count("/settlements"))
				assert.Empty(t, c.State().Certificates)
				g.always(reply{status: 200, body: paidBody(testOrder())})
				outcome, err := c.Query(t.Context(), testOrder())
				require.NoError(t, err)
				assert.Equal(t, payflow.Found, outcome.Kind)
			})
		})
	}
}

func TestPublicKeyAloneDoesNotHideWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		onPublicKey(g, &config)
		g.signWith(testPublicKeyID)
		noCertificates(g, "")
		c := newClient(t, config)
		for name, p := range map[string]reply{
			"our signature": {status: 401, body: `{"code":"SIGN_ERROR"}`}, "our rights": {status: 403, body: `{"code":"NO_AUTH"}`}, "a fault": {status: 500},
			"another key": {status: 404, body: `{"code":"ORDER_NOT_EXIST"}`, seal: "forged"}, "nothing signed at all": {status: 404, body: `{"code":"ORDER_NOT_EXIST"}`, seal: "none"},
			"a login page": {status: 404, body: "<html>", seal: "none"},
		} {
			g.always(p)
			assert.Error(t, c.FirstRoundTrip(t.Context()), name)
		}
	})
}

// A till whose clock is wrong as well gets there by the same call.
func TestPublicKeyAloneWithAWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.now = func() time.Time { return time.Now().Add(10 * time.Minute) }
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		onPublicKey(g, &config)
		g.signWith(testPublicKeyID)
		noCertificates(g, "")
		g.script(func(r *http.Request, _ string) reply {
			date := map[string]string{"Date": g.now().UTC().Format(http.TimeFormat)}
			if g.now().Sub(signedTime(r)).Abs() > 5*time.Minute {
				return reply{status: 401, body: `{"code":"SIGN_ERROR"}`, header: date}
			}
			return reply{status: 404, body: `{"code":"ORDER_NOT_EXIST"}`, header: date}
		})
		c := newClient(t, config)
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		assert.True(t, c.State().ClockCorrected)
	})
}

func TestPublicKeySettingsAreChecked(t *testing.T) {
	g := newGateway(t)
	for words, spoil := range map[string]func(*Config){
		"needed together":    func(c *Config) { c.PublicKeyID = "" },
		"are needed":         func(c *Config) { c.PublicKey = nil },
		"not \"PUB_KEY_ID_":  func(c *Config) { c.PublicKeyID = "5F1C72E2A8931B72" },
		"copy the id":        func(c *Config) { c.PublicKeyID = "PUB_KEY_ID_1\r\nX: y" },
		"no RSA key of 2048": func(c *Config) { c.PublicKey = &rsa.PublicKey{N: strangerKey().N, E: 3}; c.PublicKey.N = nil },
	} {
		config := testConfig(g, nil, firstHost)
		onPublicKey(g, &config)
		spoil(&config)
		_, err := New(config)
		assert.ErrorContains(t, err, words)
	}
}
