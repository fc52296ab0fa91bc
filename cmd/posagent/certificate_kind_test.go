package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
)

// The certificate page, "API Certificate Differences": issuer, length of the serial, common name.
func TestKindsOfMerchantCertificate(t *testing.T) {
	long, short := goodAccount().serial, "0A1B2C3D4E5F"
	for name, c := range map[string]struct {
		issuer, serial, subject string
		want                    certificateKind
		odd                     string
	}{
		"CA-issued":                    {caIssuer, long, "10000100", kindCA, ""},
		"CA-issued, ten digits":        {caIssuer, long, "1000010012", kindCA, ""},
		"CA-issued, zeros in front":    {caIssuer, "00" + long[2:], "10000100", kindCA, ""},
		"WeChat-Pay-issued":            {wechatIssuer, short, "Some Company Ltd", kindWeChat, ""},
		"a simulator's":                {"Trial CA", long, "10000100", kindUnknown, `issued by "Trial CA"`},
		"CA's name on a short serial":  {caIssuer, short, "10000100", kindUnknown, "its serial has 12 characters and not 40"},
		"CA's name, company name":      {caIssuer, long, "Some Company Ltd", kindUnknown, "not to a merchant number"},
		"CA's name, seven digits":      {caIssuer, long, "1000010", kindUnknown, "not to a merchant number"},
		"WeChat Pay's name, CA serial": {wechatIssuer, long, "Some Company Ltd", kindUnknown, "has 40 characters and not fewer than 20"},
	} {
		t.Run(name, func(t *testing.T) {
			a := goodAccount()
			a.issuer, a.serial, a.subject = c.issuer, c.serial, c.subject
			kind, odd := kindOf(a.certificate(t))
			assert.Equal(t, c.want, kind)
			if c.odd == "" {
				assert.Empty(t, odd)
			}
			assert.Contains(t, odd, c.odd)
		})
	}
}

// API v2 takes both kinds; API v3 none with WeChat Pay's own issuer, whatever its serial.
func TestWeChatPaysOwnKindServesAPIv2Alone(t *testing.T) {
	a := goodAccount()
	a.issuer, a.subject, a.serial = wechatIssuer, "Some Company Ltd", "0A1B2C3D4E5F"
	cfg := a.install(t)
	assert.Equal(t, []health.Code{health.CertificateWrongKind}, conditionCodes(refused(t, cfg).Conditions))

	cfg = onV2(t, a)
	got, err := LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Equal(t, kindWeChat, got.Kind)
	assert.Empty(t, got.Warnings)
}

func TestTrustChainsAreThoseOfThePage(t *testing.T) {
	for _, kind := range []certificateKind{kindCA, kindWeChat} {
		chain := trustChainOf(kind)
		assert.Regexp(t, `^[0-9a-f]{32}$`, chain.MD5)
		assert.Regexp(t, `^[0-9a-f]{64}$`, chain.SHA256)
	}
	assert.Empty(t, trustChainOf(kindUnknown))
}

// onV2 installs the account for API v2, with the older API key.
func onV2(t *testing.T, a account) Config {
	t.Helper()
	cfg := a.install(t)
	folder := t.TempDir()
	cfg.WeChat.API, cfg.WeChat.APIv3Key = "v2", SecretRef(folder+"/nosuch")
	cfg.WeChat.APIv2Key = a.write(t, folder, "api_v2_key", []byte(strings.Repeat("2", 32)+"\n"))
	return cfg
}

func TestCredentialsOfAPIv2(t *testing.T) {
	a := goodAccount()
	cfg := onV2(t, a)
	got, err := LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("2", 32), string(got.APIv2Key))
	assert.Nil(t, got.APIv3Key, "not needed, and not there")
	assert.Empty(t, got.Warnings)

	cfg.WeChat.APIv3Key = a.write(t, t.TempDir(), "api_v3_key", []byte(a.apiKey))
	got, err = LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Equal(t, a.apiKey, string(got.APIv3Key), "orders made by v3 are finished by it")

	cfg.WeChat.APIv2Key = a.write(t, t.TempDir(), "api_v2_key", []byte("short"))
	assert.Equal(t, []health.Code{health.APIv2KeyWrong}, conditionCodes(refused(t, cfg).Conditions))
}

func TestAPIv3TakesTheOlderKeyAlong(t *testing.T) {
	a := goodAccount()
	cfg := a.install(t)
	got, err := LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Nil(t, got.APIv2Key)
	cfg.WeChat.APIv2Key = a.write(t, t.TempDir(), "api_v2_key", []byte(strings.Repeat("2", 32)))
	got, err = LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Len(t, got.APIv2Key, 32, "orders made by v2 are finished by it")
}

// Without a client certificate API v2 pays and can't take back: the till starts, so that open payments are asked for, and sells nothing.
func TestAPIv2WithoutAClientCertificateStartsAndWarns(t *testing.T) {
	for name, spoil := range map[string]func(cfg *Config){
		"no certificate": func(cfg *Config) { require.NoError(t, os.Remove(string(cfg.WeChat.Certificate))) },
		"no key":         func(cfg *Config) { require.NoError(t, os.Remove(string(cfg.WeChat.PrivateKey))) },
		"no bundle":      func(cfg *Config) { cfg.WeChat.Certificate, cfg.WeChat.PrivateKey = "/nosuch/apiclient_cert.p12", "" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := onV2(t, goodAccount())
			spoil(&cfg)
			got, err := LoadCredentials(cfg, today)
			require.NoError(t, err)
			assert.Nil(t, got.Certificate)
			assert.Equal(t, []health.Code{health.ClientCertificateMissing}, conditionCodes(got.Warnings))
		})
	}
	cfg := goodAccount().install(t)
	require.NoError(t, os.Remove(string(cfg.WeChat.Certificate)))
	assert.Equal(t, []health.Code{health.CertificateUnreadable}, conditionCodes(refused(t, cfg).Conditions), "API v3 signs with it")
}
