package main

import (
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
	w := c.cfg.WeChat
	a.line("certificate", func() { c.creds.Certificate = a.l.certificate(w.Certificate) }, func() string {
		c.creds.Serial = serialOf(c.creds.Certificate)
		return fmt.Sprintf("%s, serial %s", w.Certificate, c.creds.Serial)
	})
	a.line("private key", func() { c.creds.PrivateKey = a.l.privateKey(w.PrivateKey) }, func() string {
		return fmt.Sprintf("%s, RSA with %d bits", w.PrivateKey, c.creds.PrivateKey.N.BitLen())
	})
	a.line("API v3 key", func() { c.creds.APIv3Key = a.l.apiKey(w.APIv3Key) }, func() string {
		return fmt.Sprintf("%s, %d characters", w.APIv3Key, len(c.creds.APIv3Key))
	})
	a.ofCertificate()
	c.fit = len(a.l.unfit) == 0
}

// accountCheck turns what a credentialsLoader notes at each step into lines.
type accountCheck struct {
	c *checker
	l credentialsLoader
}

// ofCertificate checks what only a certificate can tell.
func (a *accountCheck) ofCertificate() {
	c, cert := a.c, a.c.creds.Certificate
	if cert == nil {
		return
	}
	a.line("certificate kind", func() { a.l.kind(cert) }, func() string { return "issued by " + cert.Issuer.CommonName })
	a.line("merchant id", func() { a.l.merchant(cert, c.cfg.WeChat.MerchantID) }, func() string { return c.cfg.WeChat.MerchantID + ", as the certificate says" })
	a.line("certificate dates", func() { a.l.dates(cert, c.now()) }, func() string {
		return fmt.Sprintf("valid to %s (%d days)", cert.NotAfter.Format(time.DateOnly), int(cert.NotAfter.Sub(c.now())/(24*time.Hour)))
	})
	if c.creds.PrivateKey != nil {
		a.line("key fits certificate", func() { a.l.pair(cert, c.creds.PrivateKey) }, func() string { return "they belong together" })
	}
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
	if what, next := splitAdvice(condition.Detail); next != "" {
		a.c.fail(check, what, next)
		return
	}
	a.c.known(check, condition.Code, condition.Detail)
}

// credentialsFolder finds the systemd credentials for a check by hand, which systemd gives none: the files that the unit hands over.
// It reports false where there are none to be read.
func (c *checker) credentialsFolder() bool {
	w := c.cfg.WeChat
	wanted := slices.ContainsFunc([]SecretRef{w.Certificate, w.PrivateKey, w.APIv3Key}, func(r SecretRef) bool {
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
		"run it as root (sudo posagent check), or put apiclient_cert.pem, apiclient_key.pem and api_v3_key into "+c.places.credentials[0])
	return false
}
