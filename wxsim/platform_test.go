package wxsim

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Platform certificates, bootstrap: the first answer is signed by a certificate contained in it.
func TestTheCertificatesAnswerIsSignedByACertificateThatItHolds(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		a := c.fetch()
		assert.NoError(t, a.trust)
		assert.Len(t, c.held, 1)
		assert.Contains(t, c.held, a.header.Get("Wechatpay-Serial"))
		assert.Len(t, a.header.Get("Wechatpay-Serial"), 40)
		assert.NotEqual(t, c.creds.Serial, a.header.Get("Wechatpay-Serial"))
		assert.Equal(t, 401, func() int { c.offset = time.Hour; return c.must("GET", "/v3/global/certificates", "").status }())
	})
}

// Platform certificates: the members of an item.
func TestACertificateItemHasTheMembersOfTheDocument(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		var list struct{ Data []map[string]any }
		require.NoError(t, json.Unmarshal(c.fetch().body, &list))
		item := list.Data[0]
		for _, name := range []string{"effective_time", "expire_time"} {
			_, err := time.Parse(time.RFC3339, item[name].(string))
			assert.NoError(t, err, name)
		}
		sealed := item["encrypt_certificate"].(map[string]any)
		assert.Equal(t, "AEAD_AES_256_GCM", sealed["algorithm"])
		assert.Equal(t, "certificate", sealed["associated_data"])
		assert.Len(t, sealed["nonce"], 12)
	})
}

// Platform certificates, rotation: the new one appears before it is used, and the old one's life is shortened to 24 h.
func TestANewPlatformCertificateAppearsThenSigns(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		old := c.query("A1").header.Get("Wechatpay-Serial")
		added, err := c.sim.AddCertificate()
		require.NoError(t, err)
		assert.Equal(t, old, c.query("A1").header.Get("Wechatpay-Serial"), "the old one still signs")
		c.fetch()
		assert.Len(t, c.held, 2)
		c.sim.UseCertificate()
		a := c.query("A1")
		assert.Equal(t, added, a.header.Get("Wechatpay-Serial"))
		assert.NoError(t, a.trust)
		assert.WithinDuration(t, time.Now().Add(24*time.Hour), expiryOf(t, c, old), 2*time.Second)
		c.sim.DropCertificates()
		assert.NotContains(t, string(c.fetch().body), old)
	})
}

func expiryOf(t *testing.T, c *caller, serial string) time.Time {
	var list struct {
		Data []struct {
			Serial string    `json:"serial_no"`
			Expire time.Time `json:"expire_time"`
		}
	}
	require.NoError(t, json.Unmarshal(c.fetch().body, &list))
	for _, item := range list.Data {
		if item.Serial == serial {
			return item.Expire
		}
	}
	t.Fatalf("certificate %s is not listed", serial)
	return time.Time{}
}

// Request-ID has the form id-errno.
func TestEveryAnswerHasARequestID(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		ids := map[string]bool{c.fetch().header.Get("Request-ID"): true, c.query("A1").header.Get("Request-ID"): true}
		assert.Len(t, ids, 2)
		for id := range ids {
			assert.GreaterOrEqual(t, strings.LastIndexByte(id, '-'), 10)
		}
	})
}

func TestFurtherRollOversSignWithTheKeysThatWereMadeForThem(t *testing.T) {
	keys := testKeys()
	require.NoError(t, keys.MakeLater(1))
	sim, err := New(Config{Keys: keys})
	require.NoError(t, err)
	for range 3 {
		_, err := sim.AddCertificate()
		require.NoError(t, err)
	}
	require.Len(t, sim.platforms, 4)
	assert.Same(t, keys.NextPlatform, sim.platforms[1].key)
	assert.Same(t, keys.Later[0], sim.platforms[2].key)
	assert.NotContains(t, []any{keys.Platform, keys.NextPlatform, keys.Later[0]}, sim.platforms[3].key, "once they are used up, a key is made")
}
