package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"regexp"
	"strings"
	"time"

	"posagent/health"
)

// Bounds of the files that hold credentials: real ones have 1 to 4 kB, a chain of certificates at most 16.
const (
	certificateBytesMax = 64 << 10
	keyBytesMax         = 16 << 10
	apiKeyBytesMax      = 256
	apiKeyBytes         = 32 // APIv3 key: AES-256; WeChat Pay's pages say 32 characters
)

// What tells the two kinds of merchant certificate apart, and who a CA-issued one is made out to.
const (
	caIssuer     = "Tenpay.com Root CA"
	wechatIssuer = "MmpaymchCA" // fit for API v2 only
)

// Credentials is what an account signs its calls with and opens sealed answers with. Its parts fit together.
type Credentials struct {
	Certificate *x509.Certificate
	Serial      string // of the certificate, upper-case hexadecimal, as the Authorization header names it
	PrivateKey  *rsa.PrivateKey
	APIv3Key    []byte      // 32 bytes
	Warnings    []Condition // what hinders nothing yet, or only by this PC's clock
}

// Condition is something that health warns of, with what is particular about it.
type Condition struct {
	Code   health.Code
	Detail string // one line; holds no secret
}

// CredentialsError is everything that makes credentials unfit, so that one visit mends it all.
type CredentialsError struct {
	Conditions []Condition
}

// Error tells each condition on a line: what happened (particulars); what to do.
func (e *CredentialsError) Error() string {
	lines := make([]string, 0, len(e.Conditions))
	for _, c := range e.Conditions {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

// String is the condition in English with its next step.
func (c Condition) String() string {
	w, _ := health.Find(c.Code)
	return fmt.Sprintf("%s (%s); %s", w.Title.EN, c.Detail, w.NextStep.EN)
}

// LoadCredentials reads certificate, private key and API v3 key and checks that they belong together and to the merchant number, at the
// time now. What can never work is a *CredentialsError (exit status 2). A certificate that has expired or is not valid yet is among the
// Warnings: it may be this PC's clock that is wrong, and a payment that is open must still be asked for.
func LoadCredentials(cfg Config, now time.Time) (Credentials, error) {
	l := credentialsLoader{cfg: cfg}
	c := Credentials{
		Certificate: l.certificate(cfg.WeChat.Certificate),
		PrivateKey:  l.privateKey(cfg.WeChat.PrivateKey),
		APIv3Key:    l.apiKey(cfg.WeChat.APIv3Key),
	}
	if c.Certificate != nil {
		c.Serial = serialOf(c.Certificate)
		l.kind(c.Certificate)
		l.merchant(c.Certificate, cfg.WeChat.MerchantID)
		l.dates(c.Certificate, now)
	}
	if c.Certificate != nil && c.PrivateKey != nil {
		l.pair(c.Certificate, c.PrivateKey)
	}
	if len(l.unfit) > 0 {
		return Credentials{}, &CredentialsError{Conditions: l.unfit}
	}
	c.Warnings = l.warnings
	return c, nil
}

// serialOf is the serial as requests and answers name it: whole bytes, upper-case hexadecimal.
func serialOf(cert *x509.Certificate) string { return fmt.Sprintf("%X", cert.SerialNumber.Bytes()) }

type credentialsLoader struct {
	cfg      Config
	unfit    []Condition
	warnings []Condition
}

func (l *credentialsLoader) refuse(code health.Code, format string, args ...any) {
	l.unfit = append(l.unfit, Condition{code, fmt.Sprintf(format, args...)})
}

func (l *credentialsLoader) warn(code health.Code, format string, args ...any) {
	l.warnings = append(l.warnings, Condition{code, fmt.Sprintf(format, args...)})
}

// read returns the content of a secret's file, or nil after noting why there is none.
func (l *credentialsLoader) read(ref SecretRef, bytesMax int, unreadable health.Code) []byte {
	content, tooOpen, err := l.cfg.ReadSecret(ref, bytesMax)
	if err != nil {
		l.refuse(unreadable, "%s", err)
		return nil
	}
	if tooOpen {
		l.warn(health.SecretReadable, "%s", ref)
	}
	return content
}

func (l *credentialsLoader) certificate(ref SecretRef) *x509.Certificate {
	content := l.read(ref, certificateBytesMax, health.CertificateUnreadable)
	if content == nil {
		return nil
	}
	cert, err := parseCertificate(content)
	if err != nil {
		l.refuse(health.CertificateUnreadable, "%s %s", ref, err)
	}
	return cert
}

func (l *credentialsLoader) privateKey(ref SecretRef) *rsa.PrivateKey {
	content := l.read(ref, keyBytesMax, health.KeyUnreadable)
	if content == nil {
		return nil
	}
	key, err := parsePrivateKey(content)
	if err != nil {
		l.refuse(health.KeyUnreadable, "%s %s", ref, err)
	}
	return key
}

// apiKey takes exactly 32 bytes; the line end that an editor puts behind them does not count.
func (l *credentialsLoader) apiKey(ref SecretRef) []byte {
	content := l.read(ref, apiKeyBytesMax, health.APIKeyWrong)
	key := bytes.TrimRight(content, "\r\n")
	if content != nil && len(key) != apiKeyBytes {
		l.refuse(health.APIKeyWrong, "%s holds %d characters", ref, len(key))
	}
	return key
}

// kind tells a certificate of WeChat Pay's own from a CA-issued one; a simulator's is neither.
func (l *credentialsLoader) kind(cert *x509.Certificate) {
	issuer := cert.Issuer.CommonName
	switch issuer {
	case caIssuer:
	case wechatIssuer:
		l.refuse(health.CertificateWrongKind, "issued by %s", wechatIssuer)
	default:
		l.warn(health.CertificateUnknownKind, "issued by %.60q", issuer)
	}
}

var merchantNumber = regexp.MustCompile(`^[0-9]{8,32}$`)

// merchant compares the merchant number: a CA-issued certificate has it as its common name. Another issuer's counts where it has one.
func (l *credentialsLoader) merchant(cert *x509.Certificate, merchantID string) {
	name := cert.Subject.CommonName
	if cert.Issuer.CommonName != caIssuer && !merchantNumber.MatchString(name) {
		return
	}
	if name != merchantID {
		l.refuse(health.CertificateWrongMerchant, "the certificate says %.40q, the configuration %q", name, merchantID)
	}
}

func (l *credentialsLoader) dates(cert *x509.Certificate, now time.Time) {
	const day = 24 * time.Hour
	shown := fmt.Sprintf("valid from %s to %s, the PC clock shows %s",
		cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly), now.Format(time.DateTime))
	left := cert.NotAfter.Sub(now)
	switch code, due := health.ExpiryCode(int(left / day)); {
	case now.Before(cert.NotBefore):
		l.warn(health.CertificateNotYetValid, "%s", shown)
	case left < 0:
		l.warn(health.CertificateExpired, "%s", shown)
	case due:
		l.warn(code, "%s", shown)
	}
}

func (l *credentialsLoader) pair(cert *x509.Certificate, key *rsa.PrivateKey) {
	if public, ok := cert.PublicKey.(*rsa.PublicKey); !ok || !public.Equal(&key.PublicKey) {
		l.refuse(health.KeyMismatch, "%s and %s", l.cfg.WeChat.PrivateKey, l.cfg.WeChat.Certificate)
	}
}
