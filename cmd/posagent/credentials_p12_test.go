package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"

	"posagent/health"
)

// bundle is the account's certificate and key as one .p12 file.
func (a account) bundle(t testing.TB, how *pkcs12.Encoder, password string, chain ...*x509.Certificate) []byte {
	t.Helper()
	content, err := how.Encode(a.signsWith, a.certificate(t), chain, password)
	require.NoError(t, err)
	return content
}

// issuerOf is a certificate of the issuing authority, as bundles bring one along.
func issuerOf(t testing.TB) *x509.Certificate {
	t.Helper()
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: caIssuer}, NotBefore: today.AddDate(-9, 0, 0), NotAfter: today.AddDate(9, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, root, root, merchantKeys()[1].Public(), merchantKeys()[1])
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func TestBundlesOldAndNewAreOpened(t *testing.T) {
	a := goodAccount()
	for name, content := range map[string][]byte{
		"RC2":              a.bundle(t, pkcs12.LegacyRC2, "10000100"),
		"3DES":             a.bundle(t, pkcs12.LegacyDES, "10000100"),
		"AES":              a.bundle(t, pkcs12.Modern2023, "10000100"),
		"AES, new seal":    a.bundle(t, pkcs12.Modern2026, "10000100"),
		"AES, with chain":  a.bundle(t, pkcs12.Modern2023, "10000100", issuerOf(t)),
		"3DES, with chain": a.bundle(t, pkcs12.LegacyDES, "10000100", issuerOf(t)),
		"600,000 rounds":   a.bundle(t, pkcs12.Modern2023.WithIterations(600_000), "10000100"),
	} {
		t.Run(name, func(t *testing.T) {
			cert, key, err := parseP12(content, "10000100")
			require.NoError(t, err)
			assert.Equal(t, "10000100", cert.Subject.CommonName)
			assert.True(t, key.Equal(a.key))
		})
	}
}

func TestTheCertificateOfTheKeyIsTakenOutOfAChain(t *testing.T) {
	a := goodAccount()
	content, err := pkcs12.Modern2023.Encode(a.key, issuerOf(t), []*x509.Certificate{a.certificate(t)}, "10000100")
	require.NoError(t, err)
	cert, _, err := parseP12(content, "10000100")
	require.NoError(t, err)
	assert.Equal(t, "10000100", cert.Subject.CommonName, "the chain stands first here")
}

func TestABundleServesAsCertificateAndKey(t *testing.T) {
	a := goodAccount()
	cfg := a.installBundle(t, a.bundle(t, pkcs12.LegacyDES, "10000100"))
	got, err := LoadCredentials(cfg, today)
	require.NoError(t, err)
	assert.Equal(t, "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", got.Serial)
	assert.True(t, got.PrivateKey.Equal(a.key))
	assert.Equal(t, kindCA, got.Kind)
	assert.Equal(t, got.Certificate.Raw, got.TLS.Certificate[0])
	assert.Empty(t, got.Warnings)

	cfg = a.installBundle(t, a.bundle(t, pkcs12.Modern2023, "another password"))
	cfg.WeChat.P12Password = a.write(t, t.TempDir(), "password", []byte("another password\n"))
	_, err = LoadCredentials(cfg, today)
	require.NoError(t, err)
}

// installBundle writes the files with a bundle in place of the PEM pair.
func (a account) installBundle(t *testing.T, content []byte) Config {
	t.Helper()
	cfg := a.install(t)
	cfg.WeChat.Certificate = a.write(t, filepath.Dir(string(cfg.WeChat.Certificate)), "apiclient_cert.p12", content)
	cfg.WeChat.PrivateKey = ""
	return cfg
}

func TestBundlesThatCannotBeUsed(t *testing.T) {
	a := goodAccount()
	stranger := a
	stranger.signsWith = merchantKeys()[1]
	other := a
	other.subject = "10000200"
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	encode := func(key any) []byte {
		content, err := pkcs12.Modern2023.Encode(key, a.certificate(t), nil, "10000100")
		require.NoError(t, err)
		return content
	}
	certificates, err := pkcs12.Modern2023.EncodeTrustStore([]*x509.Certificate{a.certificate(t)}, "10000100")
	require.NoError(t, err)
	good := a.bundle(t, pkcs12.Modern2023, "10000100")
	for name, c := range map[string]struct {
		content []byte
		want    health.Code
		says    string
	}{
		"another password":     {a.bundle(t, pkcs12.LegacyDES, "secret"), health.CertificateUnreadable, "does not open with its password, which is the merchant id unless it was changed"},
		"another, new kind":    {a.bundle(t, pkcs12.Modern2026, "secret"), health.CertificateUnreadable, "name that as p12_password"},
		"cut off":              {good[:len(good)-10], health.CertificateUnreadable, "copy apiclient_cert.p12 of the merchant platform again"},
		"with something after": {append(append([]byte{}, good...), 0), health.CertificateUnreadable, "a damaged one"},
		"a PEM text":           {[]byte("-----BEGIN CERTIFICATE-----\n"), health.CertificateUnreadable, "is no .p12 bundle"},
		"nothing":              {nil, health.CertificateUnreadable, "is empty; copy the file again"},
		"no key":               {certificates, health.CertificateUnreadable, "holds no private key; export the bundle again"},
		"a short key":          {encode(small), health.CertificateUnreadable, "1024 bits"},
		"a key of a curve":     {encode(curve), health.CertificateUnreadable, "not RSA"},
		"a large file":         {make([]byte, p12BytesMax+1), health.CertificateUnreadable, "larger than"},
		"another's key":        {stranger.bundle(t, pkcs12.Modern2023, "10000100"), health.KeyMismatch, "both in"},
		"another merchant":     {other.bundle(t, pkcs12.Modern2023, "10000100"), health.CertificateWrongMerchant, `the certificate says "10000200"`},
	} {
		t.Run(name, func(t *testing.T) {
			unfit := refused(t, a.installBundle(t, c.content))
			assert.Equal(t, []health.Code{c.want}, conditionCodes(unfit.Conditions))
			assert.Contains(t, unfit.Error(), c.says)
		})
	}
}

func TestAPasswordIsNeverRepeated(t *testing.T) {
	a := goodAccount()
	cfg := a.installBundle(t, a.bundle(t, pkcs12.Modern2023, "right"))
	cfg.WeChat.P12Password = a.write(t, t.TempDir(), "password", []byte("Tr0ub4dor"))
	assert.NotContains(t, refused(t, cfg).Error(), "Tr0ub4dor")
	cfg.WeChat.P12Password = SecretRef(filepath.Join(t.TempDir(), "nosuch"))
	assert.Contains(t, refused(t, cfg).Error(), "nosuch cannot be read")
}

// withRounds returns a bundle with another number of rounds in each place that names them: nothing in it can be opened any more.
func withRounds(t testing.TB, content []byte, rounds int64) []byte {
	t.Helper()
	var whole struct {
		Version int
		Safe    asn1.RawValue
		Mac     struct {
			Digest asn1.RawValue
			Salt   []byte
			Rounds int64 `asn1:"optional"`
		}
	}
	_, err := asn1.Unmarshal(content, &whole)
	require.NoError(t, err)
	whole.Mac.Rounds = rounds
	out, err := asn1.Marshal(whole)
	require.NoError(t, err)
	return out
}

func TestABundleThatWouldTakeAnHourIsRefusedAtOnce(t *testing.T) {
	a := goodAccount()
	for name, content := range map[string][]byte{
		"in the seal":         withRounds(t, a.bundle(t, pkcs12.LegacyDES, "10000100"), 1<<31-1),
		"in the seal, larger": withRounds(t, a.bundle(t, pkcs12.Modern2023, "10000100"), 1<<62),
		"in the parameters":   pbes2Rounds(t, 1<<30),
		"in the old ones":     oldRounds(t, 1<<30),
		"a key of a gigabyte": pbkdf2Key(t, 1<<30),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, _, err := parseP12(content, "10000100")
			assert.ErrorIs(t, err, errP12Slow)
			assert.Less(t, time.Since(began), time.Second)
		})
	}
}

// pbes2Rounds is a bundle whose sealed key asks for so many rounds, in the new form.
func pbes2Rounds(t *testing.T, rounds int64) []byte {
	t.Helper()
	type algorithm struct {
		OID    asn1.ObjectIdentifier
		Params struct {
			Salt   []byte
			Rounds int64
		}
	}
	var sealed struct {
		Outer struct {
			OID asn1.ObjectIdentifier
			KDF algorithm
		}
		Data []byte
	}
	sealed.Outer.OID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	sealed.Outer.KDF.OID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	sealed.Outer.KDF.Params.Salt, sealed.Outer.KDF.Params.Rounds = []byte("saltsalt"), rounds
	return inSafe(t, sealed)
}

// oldRounds is the same in the form of before PBES2.
func oldRounds(t *testing.T, rounds int64) []byte {
	t.Helper()
	var sealed struct {
		Algorithm struct {
			OID    asn1.ObjectIdentifier
			Params struct {
				Salt   []byte
				Rounds int64
			}
		}
		Data []byte
	}
	sealed.Algorithm.OID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	sealed.Algorithm.Params.Salt, sealed.Algorithm.Params.Rounds = []byte("saltsalt"), rounds
	return inSafe(t, sealed)
}

// pbkdf2Key asks for a key of so many bytes.
func pbkdf2Key(t *testing.T, bytes int64) []byte {
	t.Helper()
	return inSafe(t, struct {
		Salt   []byte
		Rounds int64
		Bytes  int64
	}{[]byte("saltsalt"), 2048, bytes})
}

// inSafe puts a value where bundles have theirs: in octets in a tagged value.
func inSafe(t *testing.T, v any) []byte {
	t.Helper()
	inner, err := asn1.Marshal(v)
	require.NoError(t, err)
	octets, err := asn1.Marshal(inner)
	require.NoError(t, err)
	whole, err := asn1.Marshal(struct {
		Version int
		Safe    struct {
			OID     asn1.ObjectIdentifier
			Content asn1.RawValue
		}
	}{3, struct {
		OID     asn1.ObjectIdentifier
		Content asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: octets}}})
	require.NoError(t, err)
	return whole
}

func TestAnOpeningThatDoesNotEndIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, _, err := openWithin(p12Within, func() (*x509.Certificate, *rsa.PrivateKey, error) {
			time.Sleep(time.Hour)
			return nil, nil, nil
		})
		assert.ErrorIs(t, err, errP12Slow)
		assert.Equal(t, p12Within, time.Since(began))
		time.Sleep(time.Hour)
	})
}

func TestValuesInsideValuesAreBounded(t *testing.T) {
	content := []byte{0x30, 0x00}
	for range 40 {
		var err error
		content, err = asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: content})
		require.NoError(t, err)
	}
	_, _, err := parseP12(content, "")
	assert.ErrorIs(t, err, errNotP12)
}

// Any bytes give an answer, soon.
func FuzzP12(f *testing.F) {
	a := goodAccount()
	for _, how := range []*pkcs12.Encoder{pkcs12.LegacyRC2, pkcs12.LegacyDES, pkcs12.Modern2023, pkcs12.Modern2026} {
		f.Add(a.bundle(f, how, "10000100"))
	}
	f.Add(withRounds(f, a.bundle(f, pkcs12.LegacyDES, "10000100"), 1<<31-1))
	f.Fuzz(func(t *testing.T, content []byte) {
		began := time.Now()
		cert, key, err := parseP12(content, "10000100")
		if err == nil {
			require.NotNil(t, cert)
			require.NotNil(t, key)
		}
		assert.Less(t, time.Since(began), p12Within+time.Second)
	})
}

// Any bytes in the place of a certificate give a certificate or words.
func FuzzCertificate(f *testing.F) {
	a := goodAccount()
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate(f).Raw}))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		cert, err := parseCertificate(content)
		if err != nil {
			assert.NotEmpty(t, err.Error())
			return
		}
		kind, odd := kindOf(cert)
		assert.Equal(t, kind == kindUnknown, odd != "")
		d := dutyOf(cert.NotBefore, cert.NotAfter, today)
		assert.NotEmpty(t, d.When())
		assert.NotContains(t, d.How(), "\n")
	})
}

// Any bytes in the place of a key give a key of 2048 bits or more, or words that do not repeat them.
func FuzzPrivateAndPublicKey(f *testing.F) {
	keys := merchantKeys()
	der8, err := x509.MarshalPKCS8PrivateKey(keys[0])
	require.NoError(f, err)
	spki, err := x509.MarshalPKIXPublicKey(keys[0].Public())
	require.NoError(f, err)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der8}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(keys[0])}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	f.Fuzz(func(t *testing.T, content []byte) {
		if key, err := parsePrivateKey(content); err == nil {
			assert.GreaterOrEqual(t, key.N.BitLen(), rsaBitsLeast)
		}
		if key, err := parsePublicKey(content); err == nil {
			assert.GreaterOrEqual(t, key.N.BitLen(), rsaBitsLeast)
		}
	})
}

// OpenSSL is a second judge: what it exports is opened.
func TestBundlesOfOpenSSL(t *testing.T) {
	a := goodAccount()
	cfg := a.install(t)
	for _, how := range [][]string{nil, {"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"}} {
		file := filepath.Join(t.TempDir(), "apiclient_cert.p12")
		args := append([]string{"pkcs12", "-export", "-in", string(cfg.WeChat.Certificate), "-inkey", string(cfg.WeChat.PrivateKey), "-out", file, "-passout", "pass:10000100"}, how...)
		openssl(t, args...)
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		_, key, err := parseP12(content, "10000100")
		require.NoError(t, err, strings.Join(how, " "))
		assert.True(t, key.Equal(a.key))
	}
}

func openssl(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not here: what it exports was not tried")
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	require.NoError(t, err, string(out))
}
