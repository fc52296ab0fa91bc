package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
)

// today is the day on which the tests look at certificates.
var today = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// merchantKeys are two keys made once: making one takes a while.
var merchantKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

// account is a merchant's files in a folder of their own, as the merchant platform gives them; a test spoils one thing.
type account struct {
	issuer, subject     string
	serial              string
	notBefore, notAfter time.Time
	key, signsWith      *rsa.PrivateKey
	apiKey              string
	mode                os.FileMode
}

func goodAccount() account {
	keys := merchantKeys()
	return account{issuer: caIssuer, subject: "10000100", serial: "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", notBefore: today.AddDate(-1, 0, 0), notAfter: today.AddDate(1, 0, 0),
		key: keys[0], signsWith: keys[0], apiKey: strings.Repeat("k", 32), mode: 0o600}
}

// certificate is the account's own, as its issuer would have made it.
func (a account) certificate(t testing.TB) *x509.Certificate {
	t.Helper()
	serial, ok := new(big.Int).SetString(a.serial, 16)
	require.True(t, ok)
	template := &x509.Certificate{SerialNumber: serial, Issuer: pkix.Name{CommonName: a.issuer},
		Subject: pkix.Name{CommonName: a.subject}, NotBefore: a.notBefore, NotAfter: a.notAfter}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: a.issuer}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &a.key.PublicKey, merchantKeys()[0])
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// install writes the files and returns a configuration that names them.
func (a account) install(t *testing.T) Config {
	t.Helper()
	der8, err := x509.MarshalPKCS8PrivateKey(a.signsWith)
	require.NoError(t, err)

	folder := t.TempDir()
	cfg := DefaultConfig()
	cfg.WeChat.MerchantID = "10000100"
	cfg.WeChat.Certificate = a.write(t, folder, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate(t).Raw}))
	cfg.WeChat.PrivateKey = a.write(t, folder, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der8}))
	cfg.WeChat.APIv3Key = a.write(t, folder, "api_v3_key", []byte(a.apiKey+"\n"))
	return cfg
}

func (a account) write(t *testing.T, folder, name string, content []byte) SecretRef {
	t.Helper()
	file := filepath.Join(folder, name)
	require.NoError(t, os.WriteFile(file, content, a.mode))
	require.NoError(t, os.Chmod(file, a.mode))
	return SecretRef(file)
}

func conditionCodes(conditions []Condition) []health.Code {
	codes := []health.Code{}
	for _, c := range conditions {
		codes = append(codes, c.Code)
	}
	return codes
}

// refused returns what makes credentials unfit.
func refused(t *testing.T, cfg Config) *CredentialsError {
	t.Helper()
	got, err := LoadCredentials(cfg, today)
	var unfit *CredentialsError
	require.ErrorAs(t, err, &unfit)
	assert.Equal(t, ExitUsage, exitStatus(err))
	assert.Empty(t, got)
	return unfit
}

func TestCredentialsThatBelongTogether(t *testing.T) {
	a := goodAccount()
	got, err := LoadCredentials(a.install(t), today)
	require.NoError(t, err)
	assert.Equal(t, "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", got.Serial)
	assert.True(t, got.PrivateKey.Equal(a.key))
	assert.Equal(t, a.apiKey, string(got.APIv3Key))
	assert.Empty(t, got.Warnings)
}

func TestCredentialsThatCanNeverWork(t *testing.T) {
	cases := map[string]struct {
		spoil func(*account)
		want  health.Code
		says  string
	}{
		"key of another certificate":  {func(a *account) { a.signsWith = merchantKeys()[1] }, health.KeyMismatch, "apiclient_key.pem that was made together"},
		"old API key of 16":           {func(a *account) { a.apiKey = "0123456789abcdef" }, health.APIKeyWrong, "holds 16 characters"},
		"API key of 33":               {func(a *account) { a.apiKey = strings.Repeat("k", 33) }, health.APIKeyWrong, "holds 33 characters"},
		"another merchant":            {func(a *account) { a.subject = "10000200" }, health.CertificateWrongMerchant, `the certificate says "10000200", the configuration "10000100"`},
		"issued by WeChat Pay itself": {func(a *account) { a.issuer, a.subject, a.serial = wechatIssuer, "Some Company Ltd", "0A1B2C3D4E5F" }, health.CertificateWrongKind, "press Upgrade"},
		"trial, another merchant":     {func(a *account) { a.issuer, a.subject = "Trial CA", "10000200" }, health.CertificateWrongMerchant, "10000200"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := goodAccount()
			c.spoil(&a)
			unfit := refused(t, a.install(t))
			assert.Equal(t, []health.Code{c.want}, conditionCodes(unfit.Conditions))
			assert.Contains(t, unfit.Error(), c.says)
			assert.NotContains(t, unfit.Error(), a.apiKey)
		})
	}
}

func TestAllThatIsUnfitIsToldAtOnce(t *testing.T) {
	a := goodAccount()
	a.subject, a.signsWith, a.apiKey = "10000200", merchantKeys()[1], "short"
	unfit := refused(t, a.install(t))
	assert.ElementsMatch(t, []health.Code{health.APIKeyWrong, health.CertificateWrongMerchant, health.KeyMismatch}, conditionCodes(unfit.Conditions))
	assert.Len(t, strings.Split(unfit.Error(), "\n"), 3)
}

func TestWhatMayBeTheClockOnlyWarns(t *testing.T) {
	cases := map[string]struct {
		spoil func(*account)
		want  []health.Code
	}{
		"expired":             {func(a *account) { a.notAfter = today.Add(-time.Minute) }, []health.Code{health.CertificateExpired}},
		"not valid yet":       {func(a *account) { a.notBefore = today.Add(time.Minute) }, []health.Code{health.CertificateNotYetValid}},
		"six days left":       {func(a *account) { a.notAfter = today.AddDate(0, 0, 6) }, []health.Code{health.Certificate7Days}},
		"an hour left":        {func(a *account) { a.notAfter = today.Add(time.Hour) }, []health.Code{health.Certificate1Day}},
		"61 days left":        {func(a *account) { a.notAfter = today.AddDate(0, 0, 61) }, nil},
		"of a simulator":      {func(a *account) { a.issuer = "Trial CA" }, []health.Code{health.CertificateUnknownKind}},
		"readable by others":  {func(a *account) { a.mode = 0o644 }, []health.Code{health.SecretReadable, health.SecretReadable, health.SecretReadable}},
		"writable by a group": {func(a *account) { a.mode = 0o660 }, []health.Code{health.SecretReadable, health.SecretReadable, health.SecretReadable}},
		"readable by a group": {func(a *account) { a.mode = 0o640 }, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := goodAccount()
			c.spoil(&a)
			got, err := LoadCredentials(a.install(t), today)
			require.NoError(t, err)
			assert.ElementsMatch(t, c.want, conditionCodes(got.Warnings))
		})
	}
}

func TestExpiredNamesThePCClock(t *testing.T) {
	a := goodAccount()
	a.notAfter = today.AddDate(0, 0, -3)
	got, err := LoadCredentials(a.install(t), today)
	require.NoError(t, err)
	assert.Contains(t, got.Warnings[0].String(), "the PC clock shows 2026-03-10")
}

func TestFilesThatAreSomethingElse(t *testing.T) {
	a := goodAccount()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	curve8, err := x509.MarshalPKCS8PrivateKey(curve)
	require.NoError(t, err)
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }

	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"a p12 bundle":         {[]byte{0x30, 0x82, 0x0a, 0x10}, "write the .p12 bundle as certificate"},
		"nothing":              {[]byte{}, "is empty; copy the file again"},
		"a certificate":        {block("CERTIFICATE", []byte{1}), "may be swapped"},
		"a damaged key":        {block("PRIVATE KEY", []byte{1, 2, 3}), "damaged key"},
		"a key with password":  {block("ENCRYPTED PRIVATE KEY", []byte{1}), "with a password"},
		"an older one as well": {[]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAQID\n-----END RSA PRIVATE KEY-----\n"), "with a password"},
		"a short key":          {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)), "1024 bits"},
		"a key of a curve":     {block("PRIVATE KEY", curve8), "not RSA"},
		"a large file":         {make([]byte, keyBytesMax+1), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := a.install(t)
			require.NoError(t, os.WriteFile(string(cfg.WeChat.PrivateKey), c.content, 0o600))
			unfit := refused(t, cfg)
			assert.Equal(t, []health.Code{health.KeyUnreadable}, conditionCodes(unfit.Conditions))
			assert.Contains(t, unfit.Error(), c.says)
		})
	}

	cfg := a.install(t)
	cfg.WeChat.Certificate = cfg.WeChat.PrivateKey
	assert.Contains(t, refused(t, cfg).Error(), "may be swapped")
}

func TestOlderKeyFormIsTaken(t *testing.T) {
	a := goodAccount()
	cfg := a.install(t)
	older := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(a.key)})
	require.NoError(t, os.WriteFile(string(cfg.WeChat.PrivateKey), older, 0o600))
	_, err := LoadCredentials(cfg, today)
	assert.NoError(t, err)
}

func TestSystemdCredentials(t *testing.T) {
	a := goodAccount()
	a.mode = 0o644 // systemd guards its folder itself
	cfg := a.install(t)
	cfg.CredentialsDir = filepath.Dir(string(cfg.WeChat.PrivateKey))
	cfg.WeChat.Certificate, cfg.WeChat.PrivateKey, cfg.WeChat.APIv3Key = "credential:cert.pem", "credential:key.pem", "credential:api_v3_key"
	got, err := LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Empty(t, got.Warnings)

	cfg.WeChat.APIv3Key = "credential:forgotten"
	_, _, err = cfg.ReadSecret(cfg.WeChat.APIv3Key, 100)
	assertFailure(t, err, ExitUsage, "credential:forgotten cannot be read", "LoadCredential=forgotten:FILE")

	// The unit's default for a file that was never installed is a blank one.
	require.NoError(t, os.WriteFile(filepath.Join(cfg.CredentialsDir, "forgotten"), []byte("\n"), 0o600))
	_, _, err = cfg.ReadSecret(cfg.WeChat.APIv3Key, 100)
	assertFailure(t, err, ExitUsage, "credential:forgotten cannot be read", "/etc/posagent/credentials/forgotten")

	cfg.CredentialsDir = ""
	_, _, err = cfg.ReadSecret(cfg.WeChat.APIv3Key, 100)
	assertFailure(t, err, ExitUsage, "systemd credential", "systemctl start posagent")
	assert.Equal(t, []health.Code{health.CertificateUnreadable, health.KeyUnreadable, health.APIKeyWrong}, conditionCodes(refused(t, cfg).Conditions))
}

func TestMissingSecretFile(t *testing.T) {
	_, _, err := DefaultConfig().ReadSecret(SecretRef(filepath.Join(t.TempDir(), "key.pem")), 100)
	assertFailure(t, err, ExitUsage, "key.pem", "put the file there")
	_, _, err = DefaultConfig().ReadSecret("", 100)
	assertFailure(t, err, ExitUsage, "does not name", "[wechat]")
}

// The outside vectors hold certificates of WeChat Pay's own software kits, with the serial as it is written in a request.
func TestSerialsAsTheKitsWriteThem(t *testing.T) {
	folder := os.Getenv("POSAGENT_VECTORS")
	if folder == "" {
		t.Skip("POSAGENT_VECTORS is not set: the outside vectors were not run")
	}
	data, err := os.ReadFile(filepath.Join(folder, "certificates.json"))
	require.NoError(t, err)
	var vectors struct {
		Certificates []struct {
			PEM    string `json:"pem"`
			Serial string `json:"serial_hex"`
		} `json:"certificates"`
	}
	require.NoError(t, json.Unmarshal(data, &vectors))
	require.NotEmpty(t, vectors.Certificates)
	for _, v := range vectors.Certificates {
		cert, err := parseCertificate([]byte(v.PEM))
		require.NoError(t, err, v.Serial)
		assert.Equal(t, v.Serial, serialOf(cert))
	}
}

// another is the account's next certificate: of another key and serial.
func (a account) another() account {
	keys := merchantKeys()
	a.key, a.signsWith, a.serial = keys[1], keys[1], "6268FAFEFDC096DE15EBE81A47057A7232F1B8E2"
	return a
}

// withNext adds the files of a second pair to a configuration.
func withNext(t *testing.T, cfg Config, next account) Config {
	t.Helper()
	other := next.install(t)
	cfg.WeChat.NextCertificate, cfg.WeChat.NextPrivateKey = other.WeChat.Certificate, other.WeChat.PrivateKey
	return cfg
}

func TestTwoCertificatesAtATime(t *testing.T) {
	a := goodAccount()
	got, err := LoadCredentials(withNext(t, a.install(t), a.another()), today)
	require.NoError(t, err)
	require.NotNil(t, got.Next)
	assert.Equal(t, a.serial, got.Serial)
	assert.Equal(t, "6268FAFEFDC096DE15EBE81A47057A7232F1B8E2", got.Next.Serial)
	assert.Empty(t, got.Warnings)
}

func TestASecondCertificateNeverStopsTheTill(t *testing.T) {
	a := goodAccount()
	for name, c := range map[string]struct {
		spoil func(next *account)
		says  string
	}{
		"another's key":    {func(n *account) { n.signsWith = merchantKeys()[0] }, "does not belong to the merchant certificate"},
		"another merchant": {func(n *account) { n.subject = "10000200" }, "another merchant number"},
		"ended":            {func(n *account) { n.notAfter = today.Add(-time.Hour) }, "ended on 2026-03-10"},
		"WeChat Pay's own": {func(n *account) { n.issuer = wechatIssuer }, "which API v3 does not take"},
	} {
		t.Run(name, func(t *testing.T) {
			next := a.another()
			c.spoil(&next)
			got, err := LoadCredentials(withNext(t, a.install(t), next), today)
			require.NoError(t, err)
			assert.Nil(t, got.Next)
			assert.Equal(t, []health.Code{health.NextCertificateUnfit}, conditionCodes(got.Warnings))
			assert.Contains(t, got.Warnings[0].Detail, c.says)
		})
	}
	cfg := a.install(t)
	cfg.WeChat.NextCertificate, cfg.WeChat.NextPrivateKey = "/nosuch/cert.pem", "/nosuch/key.pem"
	got, err := LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Contains(t, conditionCodes(got.Warnings), health.NextCertificateUnfit)

	cfg.WeChat.NextCertificate, cfg.WeChat.NextPrivateKey = cfg.WeChat.Certificate, cfg.WeChat.PrivateKey
	got, err = LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Nil(t, got.Next, "it was moved into its place")
	assert.Empty(t, got.Warnings)
}

func TestPublicKeyOfWeChatPay(t *testing.T) {
	a := goodAccount()
	spki, err := x509.MarshalPKIXPublicKey(merchantKeys()[1].Public())
	require.NoError(t, err)
	cfg := a.install(t)
	cfg.WeChat.PublicKeyID = "PUB_KEY_ID_0114232134912410000000000000"
	cfg.WeChat.PublicKey = a.write(t, t.TempDir(), "pub_key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	got, err := LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Equal(t, cfg.WeChat.PublicKeyID, got.PublicKeyID)
	assert.True(t, got.PublicKey.Equal(merchantKeys()[1].Public()))

	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	smallSPKI, err := x509.MarshalPKIXPublicKey(small.Public())
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	curveSPKI, err := x509.MarshalPKIXPublicKey(curve.Public())
	require.NoError(t, err)
	for says, block := range map[string]*pem.Block{
		"1024 bits":             {Type: "PUBLIC KEY", Bytes: smallSPKI},
		"not RSA":               {Type: "PUBLIC KEY", Bytes: curveSPKI},
		"a damaged public key":  {Type: "PUBLIC KEY", Bytes: []byte{1}},
		"no public key but a c": {Type: "CERTIFICATE", Bytes: []byte{1}},
		"no public key but a r": {Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&merchantKeys()[1].PublicKey)},
	} {
		require.NoError(t, os.WriteFile(string(cfg.WeChat.PublicKey), pem.EncodeToMemory(block), 0o600))
		unfit := refused(t, cfg)
		assert.Equal(t, []health.Code{health.PublicKeyUnreadable}, conditionCodes(unfit.Conditions))
		assert.Contains(t, unfit.Error(), says)
	}
}
