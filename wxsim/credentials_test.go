package wxsim

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// API certificates, differences: issuer Tenpay.com Root CA, a serial of 40, subject CN the merchant number.
func TestTheMerchantCertificateIsOfTheKindThatTheCAIssues(t *testing.T) {
	sim, err := New(Config{Keys: testKeys(), Merchants: []Merchant{{Mode: Direct, MerchantID: "1900000109"}}})
	require.NoError(t, err)
	defer sim.Close()
	dir := filepath.Join(t.TempDir(), "credentials")
	require.NoError(t, sim.WriteCredentials(dir))

	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, CertificateFile), filepath.Join(dir, KeyFile))
	require.NoError(t, err, "the key fits the certificate")
	assert.Equal(t, "Tenpay.com Root CA", pair.Leaf.Issuer.CommonName)
	assert.Equal(t, "1900000109", pair.Leaf.Subject.CommonName)
	assert.Len(t, serialOf(pair.Leaf), 40)
	assert.True(t, pair.Leaf.NotBefore.Before(time.Now()) && pair.Leaf.NotAfter.After(time.Now().AddDate(1, 0, 0)))

	key, err := os.ReadFile(filepath.Join(dir, APIv3KeyFile))
	require.NoError(t, err)
	assert.Len(t, key, 32, "the API v3 key: exactly 32 bytes, and no line feed")
	info, err := os.Stat(filepath.Join(dir, KeyFile))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	creds, err := sim.Credentials("1900000109")
	require.NoError(t, err)
	assert.Equal(t, serialOf(pair.Leaf), creds.Serial)
	_, err = sim.Credentials("1")
	assert.Error(t, err)
}

// Hosts: apihk and its documented backup, and this machine.
func TestTheGatewayCertificateIsGoodForItsNames(t *testing.T) {
	sim, err := New(Config{Keys: testKeys(), Hosts: []string{"shop.test"}})
	require.NoError(t, err)
	defer sim.Close()
	creds, err := sim.Credentials("")
	require.NoError(t, err)
	web := sim.tls.Certificates[0].Leaf
	for _, name := range append(gatewayNames(), "shop.test") {
		_, err := web.Verify(x509.VerifyOptions{DNSName: name, Roots: creds.Roots})
		assert.NoError(t, err, name)
	}
	block, _ := pem.Decode(creds.CA)
	root, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	assert.True(t, root.IsCA)
}

func TestABadConfigurationIsNamed(t *testing.T) {
	for want, merchants := range map[string][]Merchant{
		"neither": {{Mode: "both"}},
		"no sub":  {{Mode: Direct, SubMerchantID: "2"}},
		"has 16":  {{APIv3Key: "0123456789abcdef"}},
		"twice":   {{}, {}},
	} {
		_, err := New(Config{Keys: testKeys(), Merchants: merchants})
		assert.ErrorContains(t, err, want)
	}
}
