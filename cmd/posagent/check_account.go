package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"posagent/health"
)

// account checks the credentials, each condition on a line of its own. A condition that can't be judged without another has no line.
func (c *checker) account() {
	if !c.credentialsFolder() {
		return
	}
	a := accountCheck{c: c, l: credentialsLoader{cfg: c.cfg}}
	a.pair()
	a.keys()
	c.creds.PublicKeyID = c.cfg.WeChat.PublicKeyID
	c.fit = len(a.l.unfit) == 0
	if c.fit {
		a.next()
	}
	c.upgradePath()
}

// accountCheck turns what a credentialsLoader notes at each step into lines.
type accountCheck struct {
	c *checker
	l credentialsLoader
}

// pair checks the merchant certificate and its private key, each by itself and then together.
func (a *accountCheck) pair() {
	w, creds := a.c.cfg.WeChat, &a.c.creds
	switch {
	case a.l.clientCertificateMissing(w.Certificate, w.PrivateKey):
		for _, condition := range a.l.warnings {
			a.condition("certificate", condition)
		}
		return
	case isP12(w.Certificate):
		a.line("certificate", func() { creds.Certificate, creds.PrivateKey = a.l.p12(w.Certificate) }, func() string {
			return fmt.Sprintf("%s, serial %s, with an RSA key of %d bits", w.Certificate, serialOf(creds.Certificate), creds.PrivateKey.N.BitLen())
		})
	default:
		a.line("certificate", func() { creds.Certificate = a.l.certificate(w.Certificate) }, func() string {
			return fmt.Sprintf("%s, serial %s", w.Certificate, serialOf(creds.Certificate))
		})
		a.line("private key", func() { creds.PrivateKey = a.l.privateKey(w.PrivateKey) }, func() string {
			return fmt.Sprintf("%s, RSA with %d bits", w.PrivateKey, creds.PrivateKey.N.BitLen())
		})
	}
	if creds.Certificate != nil {
		creds.Serial = serialOf(creds.Certificate)
		a.ofCertificate()
	}
}

// keys checks the key of the API that is spoken, and WeChat Pay's public key where one is named.
func (a *accountCheck) keys() {
	w, creds := a.c.cfg.WeChat, &a.c.creds
	if w.API == "v2" {
		a.line("API v2 key", func() { creds.APIv3Key, creds.APIv2Key = a.l.apiKeys() }, func() string {
			return fmt.Sprintf("%s, %d characters", w.APIv2Key, len(creds.APIv2Key))
		})
	} else {
		a.line("API v3 key", func() { creds.APIv3Key, creds.APIv2Key = a.l.apiKeys() }, func() string {
			return fmt.Sprintf("%s, %d characters", w.APIv3Key, len(creds.APIv3Key))
		})
	}
	if w.PublicKey != "" {
		a.line("public key", func() { creds.PublicKey = a.l.publicKey(w.PublicKey) }, func() string {
			return fmt.Sprintf("%s, %s, RSA with %d bits", w.PublicKeyID, w.PublicKey, creds.PublicKey.N.BitLen())
		})
	}
}

// ofCertificate checks what only a certificate can tell.
func (a *accountCheck) ofCertificate() {
	c, cert := a.c, a.c.creds.Certificate
	a.line("certificate kind", func() { a.l.kind(cert) }, func() string {
		kind, _ := kindOf(cert)
		return fmt.Sprintf("%s, by %s", kind, cert.Issuer.CommonName)
	})
	a.line("merchant id", func() { a.l.merchant(cert, c.cfg.WeChat.MerchantID) }, func() string { return merchantIDEvidence(cert, c.cfg.WeChat.MerchantID) })
	a.line("certificate dates", func() { a.l.dates(cert, c.now()) }, func() string {
		return fmt.Sprintf("valid to %s (%d days), %s", cert.NotAfter.Format(time.DateOnly), wholeDays(cert.NotAfter.Sub(c.now())),
			dutyOf(cert.NotBefore, cert.NotAfter, c.now()).When())
	})
	if c.creds.PrivateKey != nil {
		a.line("key fits certificate", func() { a.l.together(cert, c.creds.PrivateKey, c.cfg.WeChat.Certificate, c.cfg.WeChat.PrivateKey) },
			func() string { return "they belong together" })
	}
}

func merchantIDEvidence(cert *x509.Certificate, merchantID string) string {
	if cert.Subject.CommonName == merchantID {
		return merchantID + ", as the certificate says"
	}
	return merchantID + "; the certificate names none"
}

// next checks the second pair; without one there is no line.
func (a *accountCheck) next() {
	c, w := a.c, a.c.cfg.WeChat
	if w.NextCertificate == "" {
		return
	}
	a.line("next certificate", func() { c.creds.Next = a.l.next(c.creds.Pair, c.now()) }, func() string {
		if c.creds.Next == nil {
			return "the same as certificate: next_certificate can be taken out"
		}
		cert := c.creds.Next.Certificate
		return fmt.Sprintf("%s, serial %s, valid from %s to %s", w.NextCertificate, c.creds.Next.Serial, cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly))
	})
}

// line runs one step and tells what it noted, or that all is well.
func (a *accountCheck) line(check string, step func(), well func() string) {
	unfit, warned := len(a.l.unfit), len(a.l.warnings)
	step()
	for _, condition := range slices.Concat(a.l.unfit[unfit:], a.l.warnings[warned:]) {
		a.condition(check, condition)
	}
	if len(a.l.unfit) == unfit && !slices.ContainsFunc(a.l.warnings[warned:], func(w Condition) bool { return w.Code != health.SecretReadable }) {
		a.c.ok(check, "%s", well())
	}
}

// condition tells one condition. A detail that says itself what to do, as that of a file which can't be read, knows better than the list.
func (a *accountCheck) condition(check string, condition Condition) {
	if what, next := splitAdvice(condition.Detail); next != "" && condition.Code != health.NextCertificateUnfit {
		a.c.fail(check, what, next)
		return
	}
	a.c.known(check, condition.Code, condition.Detail)
}

// credentialsFolder finds the systemd credentials for a check by hand, which systemd gives none: the files that the unit hands over.
// It reports false where there are none to be read.
func (c *checker) credentialsFolder() bool {
	w := c.cfg.WeChat
	key := w.APIv3Key
	if w.API == "v2" {
		key = w.APIv2Key
	}
	wanted := slices.ContainsFunc([]SecretRef{w.Certificate, w.PrivateKey, w.NextCertificate, w.NextPrivateKey, w.P12Password, w.PublicKey, key}, func(r SecretRef) bool {
		return strings.HasPrefix(string(r), credentialPrefix)
	})
	switch {
	case !wanted:
		return true
	case c.cfg.CredentialsDir != "":
		c.ok("systemd credentials", "%s", c.cfg.CredentialsDir)
		return true
	}
	for _, folder := range c.places.credentials {
		if _, err := os.ReadDir(folder); err == nil {
			c.cfg.CredentialsDir = folder
			c.ok("systemd credentials", "%s, which the service is given", folder)
			return true
		}
	}
	c.fail("systemd credentials", "none of "+strings.Join(c.places.credentials, ", ")+" can be read by this user",
		"run it as root (sudo posagent check), or put apiclient_cert.pem, apiclient_key.pem and the API key into "+c.places.credentials[0])
	return false
}
