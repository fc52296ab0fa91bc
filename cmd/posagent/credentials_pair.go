package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"time"

	"posagent/health"
)

// pair reads a certificate and its key, from two PEM files or one .p12 bundle, and checks all that can be checked of them.
func (l *credentialsLoader) pair(certificate, key SecretRef, now time.Time) Pair {
	p, ok := l.readPair(certificate, key)
	if !ok {
		return Pair{}
	}
	l.kind(p.Certificate)
	l.merchant(p.Certificate, l.cfg.WeChat.MerchantID)
	l.dates(p.Certificate, now)
	l.together(p.Certificate, p.PrivateKey, certificate, key)
	return p
}

// readPair is false after noting why there is none, or why one of the two is missing.
func (l *credentialsLoader) readPair(certificate, key SecretRef) (Pair, bool) {
	var cert *x509.Certificate
	var private *rsa.PrivateKey
	switch {
	case l.clientCertificateMissing(certificate, key):
		return Pair{}, false
	case isP12(certificate):
		cert, private = l.p12(certificate)
	default:
		cert, private = l.certificate(certificate), l.privateKey(key)
	}
	if cert != nil && private == nil { // still worth telling
		l.kind(cert)
		l.merchant(cert, l.cfg.WeChat.MerchantID)
	}
	if cert == nil || private == nil {
		return Pair{}, false
	}
	return makePair(cert, private), true
}

func makePair(cert *x509.Certificate, key *rsa.PrivateKey) Pair {
	kind, _ := kindOf(cert)
	return Pair{Certificate: cert, Kind: kind, Serial: serialOf(cert), PrivateKey: key,
		TLS: tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}}
}

// clientCertificateMissing: API v2 pays without a certificate, and only with one it takes back. A till that has none starts, finishes what
// is open, and takes no payment.
func (l *credentialsLoader) clientCertificateMissing(certificate, key SecretRef) bool {
	if l.cfg.WeChat.API != "v2" {
		return false
	}
	refs := []SecretRef{certificate, key}
	if isP12(certificate) {
		refs = refs[:1]
	}
	for _, ref := range refs {
		if _, _, err := l.cfg.ReadSecret(ref, p12BytesMax); errors.Is(err, fs.ErrNotExist) {
			l.warn(health.ClientCertificateMissing, "%s", ref)
			return true
		}
	}
	return false
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

// p12 reads a bundle; its password is the merchant id unless another is named.
func (l *credentialsLoader) p12(ref SecretRef) (*x509.Certificate, *rsa.PrivateKey) {
	content := l.read(ref, p12BytesMax, health.CertificateUnreadable)
	password, ok := l.password()
	if content == nil || !ok {
		return nil, nil
	}
	cert, key, err := parseP12(content, password)
	if err != nil {
		l.refuse(health.CertificateUnreadable, "%s %s", ref, err)
	}
	return cert, key
}

func (l *credentialsLoader) password() (string, bool) {
	ref := l.cfg.WeChat.P12Password
	if ref == "" {
		return l.cfg.WeChat.MerchantID, true
	}
	content := l.read(ref, passwordBytesMax, health.CertificateUnreadable)
	return string(bytes.TrimRight(content, "\r\n")), content != nil
}

// next reads the second pair. That it is unfit only warns, whatever the reason: the first one serves.
func (l *credentialsLoader) next(current Pair, now time.Time) *Pair {
	w := l.cfg.WeChat
	if w.NextCertificate == "" {
		return nil
	}
	other := credentialsLoader{cfg: l.cfg}
	p := other.pair(w.NextCertificate, w.NextPrivateKey, now)
	for _, c := range other.unfit {
		l.warn(health.NextCertificateUnfit, "%s", c.inWords())
	}
	for _, c := range other.warnings {
		if c.Code == health.SecretReadable || c.Code == health.CertificateUnknownKind {
			l.warnings = append(l.warnings, c)
		}
	}
	switch {
	case p.Certificate == nil && len(other.unfit) == 0:
		l.warn(health.NextCertificateUnfit, "%s is not there", w.NextCertificate)
	case len(other.unfit) > 0 || p.Serial == current.Serial:
		return nil // the same one twice: it was moved into its final place already
	case now.After(p.Certificate.NotAfter):
		l.warn(health.NextCertificateUnfit, "%s ended on %s", w.NextCertificate, p.Certificate.NotAfter.Format(time.DateOnly))
	default:
		return &p
	}
	return nil
}

// inWords is the condition without its next step.
func (c Condition) inWords() string {
	w, _ := health.Find(c.Code)
	return w.Title.EN + inParentheses(c.Detail)
}

// kind tells a certificate of WeChat Pay's own from a CA-issued one; a simulator's is neither.
func (l *credentialsLoader) kind(cert *x509.Certificate) {
	kind, odd := kindOf(cert)
	switch {
	case l.cfg.WeChat.API != "v2" && cert.Issuer.CommonName == wechatIssuer:
		l.refuse(health.CertificateWrongKind, "issued by %s", wechatIssuer)
	case kind == kindUnknown:
		l.warn(health.CertificateUnknownKind, "%s", odd)
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
	if c, holds := dateCondition(cert, now, "the PC clock shows"); holds {
		l.warnings = append(l.warnings, c)
	}
}

// dateCondition tells of an end that is near or past, with what the super administrator must do and until when. It repeats the date that
// it was judged by, after words that say whose it is.
func dateCondition(cert *x509.Certificate, now time.Time, clock string) (Condition, bool) {
	shown := fmt.Sprintf("valid from %s to %s, %s %s",
		cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly), clock, now.Format(time.DateOnly))
	if now.Before(cert.NotBefore) {
		return Condition{health.CertificateNotYetValid, shown}, true
	}
	code, due := health.ExpiryCode(wholeDays(cert.NotAfter.Sub(now)))
	return Condition{code, shown + ", " + dutyOf(cert.NotBefore, cert.NotAfter, now).When()}, due
}

// wholeDays counts the days that are left, and below zero those that were begun since.
func wholeDays(left time.Duration) int { return int(math.Floor(float64(left) / float64(day))) }

func (l *credentialsLoader) together(cert *x509.Certificate, key *rsa.PrivateKey, certificate, private SecretRef) {
	if fits(cert, key) {
		return
	}
	if isP12(certificate) {
		l.refuse(health.KeyMismatch, "both in %s", certificate)
		return
	}
	l.refuse(health.KeyMismatch, "%s and %s", private, certificate)
}
