package wxsim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// API certificates, renewal: the new certificate works beside the old one, until the old one ends.
func TestTwoMerchantCertificatesWorkDuringTheOverlap(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		old := c.creds
		next, err := c.sim.AddMerchantCertificate("")
		require.NoError(t, err)
		assert.NotEqual(t, old.Serial, next.Serial)
		assert.Equal(t, old.APIv3Key, next.APIv3Key, "the keys are not the certificate's")
		given, err := c.sim.Credentials("")
		require.NoError(t, err)
		assert.Equal(t, old.Serial, given.Serial)

		assert.Equal(t, "200 SUCCESS", whatCame(c.mustPlay("A1", "pays-at-once"), nil))
		c.creds = next
		assert.Equal(t, "200 SUCCESS", whatCame(c.mustPlay("A2", "pays-at-once"), nil))
		c.creds.Key = old.Key
		assert.Equal(t, "401 SIGN_ERROR", whatCame(c.query("A2"), nil), "the old key under the new serial")

		require.NoError(t, c.sim.DropMerchantCertificate(old.Serial))
		c.creds = old
		assert.Equal(t, "401 SIGN_ERROR", whatCame(c.query("A2"), nil))
		c.creds = next
		assert.Equal(t, "200 SUCCESS", whatCame(c.query("A2"), nil))
		given, err = c.sim.Credentials("")
		require.NoError(t, err)
		assert.Equal(t, next.Serial, given.Serial)
		assert.Error(t, c.sim.DropMerchantCertificate(next.Serial), "the last one stays")
		assert.Error(t, c.sim.DropMerchantCertificate(old.Serial))
		_, err = c.sim.AddMerchantCertificate("1")
		assert.Error(t, err)
	})
}

func TestAMerchantHasOnlySoManyCertificates(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	defer sim.Close()
	for range 3 {
		_, err = sim.AddMerchantCertificate("10000100")
		require.NoError(t, err)
	}
	_, err = sim.AddMerchantCertificate("")
	assert.Error(t, err)
}

// A platform roll-over, the move to the public key and a merchant roll-over in the middle of traffic: whoever holds all the keys
// and asks once for an unknown serial loses no answer.
func TestEveryRollOverHappensInTheMiddleOfTraffic(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.holdPublicKey()
		serials := map[string]bool{}
		for i := range 60 {
			switch i {
			case 10:
				_, err := c.sim.AddCertificate()
				require.NoError(t, err)
			case 20:
				c.sim.UseCertificate()
			case 30:
				next, err := c.sim.AddMerchantCertificate("")
				require.NoError(t, err)
				old := c.creds.Serial
				c.creds = next
				defer func() { require.NoError(t, c.sim.DropMerchantCertificate(old)) }()
			case 40:
				c.name(c.creds.PublicKeyID)
			case 50:
				c.sim.UsePublicKeyOnly()
			}
			a := c.mustPlay("A"+CodeFor("pays-at-once", i), "pays-at-once")
			if _, held := c.held[a.header.Get("Wechatpay-Serial")]; !held {
				c.fetch()
				a.trust = c.verify(a)
			}
			require.NoError(t, a.trust, "payment %d", i)
			require.Equal(t, "SUCCESS", a.text("trade_state"))
			serials[a.header.Get("Wechatpay-Serial")] = true
		}
		assert.Len(t, serials, 3)
	})
}
