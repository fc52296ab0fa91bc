package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"posagent/health"
)

// Bounds of the files that hold credentials: real ones have 1 to 4 kB, a chain of certificates at most 16.
const (
	certificateBytesMax = 64 << 10
	keyBytesMax         = 16 << 10
	apiKeyBytesMax      = 256
	apiKeyBytes         = 32 // the API v3 key: AES-256; WeChat Pay's pages say 32 characters. The older API key has as many
)

// Pair is a merchant certificate and its private key. They belong together and to the merchant number.
type Pair struct {
	Certificate *x509.Certificate
	Kind        certificateKind
	Serial      string // of the certificate, upper-case hexadecimal, as the Authorization header names it
	PrivateKey  *rsa.PrivateKey
	TLS         tls.Certificate // the same two, for calls that API v2 wants a client certificate for
}

// Credentials is what an account signs its calls with and opens sealed answers with. Its parts fit together.
type Credentials struct {
	Pair               // empty with API v2 where no certificate is installed: then no payment is started
	Next        *Pair  // the second one during an overlap; nil: none
	APIv3Key    []byte // 32 bytes; nil where API v2 is spoken and none is installed
	APIv2Key    []byte // 32 bytes; nil where API v3 is spoken and none is installed
	PublicKeyID string // PUB_KEY_ID_…; "": platform certificates alone
	PublicKey   *rsa.PublicKey
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

// LoadCredentials reads certificate, private key, keys and public key and checks that they belong together and to the merchant number,
// at the time now. What can never work is a *CredentialsError (exit status 2). A certificate that has expired or is not valid yet is among
// the Warnings: it may be this PC's clock that is wrong, and a payment that is open must still be asked for. So is a second certificate
// that is unfit: the first one serves.
func LoadCredentials(cfg Config, now time.Time) (Credentials, error) {
	w := cfg.WeChat
	l := credentialsLoader{cfg: cfg}
	var c Credentials
	c.Pair = l.pair(w.Certificate, w.PrivateKey, now)
	c.APIv3Key, c.APIv2Key = l.apiKeys()
	c.PublicKeyID, c.PublicKey = w.PublicKeyID, l.publicKey(w.PublicKey)
	if len(l.unfit) > 0 {
		return Credentials{}, &CredentialsError{Conditions: l.unfit}
	}
	c.Next = l.next(c.Pair, now)
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

// apiKeys reads the key of the API that is spoken, and the other's where it is installed: an order made by the other is finished by it.
func (l *credentialsLoader) apiKeys() (v3, v2 []byte) {
	w := l.cfg.WeChat
	if w.API == "v2" {
		return l.spareKey(w.APIv3Key), l.apiKey(w.APIv2Key, health.APIv2KeyWrong)
	}
	return l.apiKey(w.APIv3Key, health.APIKeyWrong), l.spareKey(w.APIv2Key)
}

// apiKey takes exactly 32 bytes; the line end that an editor puts behind them does not count.
func (l *credentialsLoader) apiKey(ref SecretRef, wrong health.Code) []byte {
	content := l.read(ref, apiKeyBytesMax, wrong)
	key := bytes.TrimRight(content, "\r\n")
	if content != nil && len(key) != apiKeyBytes {
		l.refuse(wrong, "%s holds %d characters", ref, len(key))
	}
	return key
}

// spareKey is a key that another API would need; nil where there is none, or something else.
func (l *credentialsLoader) spareKey(ref SecretRef) []byte {
	if ref == "" {
		return nil
	}
	content, _, err := l.cfg.ReadSecret(ref, apiKeyBytesMax)
	key := bytes.TrimRight(content, "\r\n")
	if err != nil || len(key) != apiKeyBytes {
		return nil
	}
	return key
}

// publicKey reads the key that answers are verified with in public-key mode; none is named without it.
func (l *credentialsLoader) publicKey(ref SecretRef) *rsa.PublicKey {
	if ref == "" {
		return nil
	}
	content := l.read(ref, keyBytesMax, health.PublicKeyUnreadable)
	if content == nil {
		return nil
	}
	key, err := parsePublicKey(content)
	if err != nil {
		l.refuse(health.PublicKeyUnreadable, "%s %s", ref, err)
	}
	return key
}
