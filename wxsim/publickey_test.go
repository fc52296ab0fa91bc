package wxsim

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// holdPublicKey gives the till WeChat Pay's public key, as its installer takes it from the merchant platform.
func (c *caller) holdPublicKey() {
	c.t.Helper()
	block, rest := pem.Decode(c.creds.PublicKey)
	require.Empty(c.t, rest)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(c.t, err)
	c.held[c.creds.PublicKeyID] = key.(*rsa.PublicKey)
}

func (c *caller) name(serial string) {
	c.before = func(r *http.Request) { r.Header.Set("Wechatpay-Serial", serial) }
}

// WeChat Pay public key (4012925289): the id is PUB_KEY_ID_ and digits; where a request names it, its answer is signed with it.
func TestAnAnswerIsSignedByThePublicKeyThatTheRequestNames(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		assert.Regexp(t, `^PUB_KEY_ID_[0-9]{32}$`, c.creds.PublicKeyID)
		c.holdPublicKey()
		assert.NotEqual(t, c.creds.PublicKeyID, c.query("A1").header.Get("Wechatpay-Serial"), "a request that names none")
		c.name(c.creds.PublicKeyID)
		a := c.mustPlay("A1", "pays-at-once")
		assert.Equal(t, c.creds.PublicKeyID, a.header.Get("Wechatpay-Serial"))
		assert.NoError(t, a.trust)
		assert.Equal(t, c.creds.PublicKeyID, c.query("A9").header.Get("Wechatpay-Serial"), "errors too")
		assert.Equal(t, 200, c.must("GET", "/v3/global/certificates", "").status, "certificates are still to be had")
		c.name("PUB_KEY_ID_00000000000000000000000000000000")
		assert.Equal(t, "400 PARAM_ERROR", whatCame(c.query("A1"), nil))
		c.name("4F0000000000000000000000000000000000000A")
		a = c.query("A1")
		assert.Equal(t, "200 SUCCESS", whatCame(a, nil), "a certificate that is gone is not minded")
	})
}

// Public key, switching: at the end there are no platform certificates, for anyone who names no key either.
func TestWithThePublicKeyAloneThereAreNoCertificates(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.holdPublicKey()
		c.sim.UsePublicKeyOnly()
		assert.Equal(t, "404 RESOURCE_NOT_EXISTS", whatCame(c.must("GET", "/v3/global/certificates", ""), nil))
		a := c.mustPlay("A1", "pays-at-once")
		assert.NoError(t, a.trust)
		assert.Equal(t, c.creds.PublicKeyID, a.header.Get("Wechatpay-Serial"))
	})
}

func TestThePublicKeyIsWrittenBesideTheCredentials(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	defer sim.Close()
	dir := t.TempDir()
	require.NoError(t, sim.WriteCredentials(dir))
	written, err := os.ReadFile(filepath.Join(dir, PublicKeyFile))
	require.NoError(t, err)
	creds, err := sim.Credentials("")
	require.NoError(t, err)
	assert.Equal(t, creds.PublicKey, written)
}
