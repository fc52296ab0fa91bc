package main

import (
	"slices"
	"time"

	"posagent/health"
	"posagent/wxclient"
)

// offerNext gives the client the second pair of the configuration.
func (a *agent) offerNext() {
	if next := a.creds.get().Next; next != nil {
		a.offer(*next)
	}
}

// offer gives the client of API v3 a pair to try. It fits, or it would not have been loaded.
func (a *agent) offer(p Pair) {
	if a.v3 == nil {
		return
	}
	if err := a.v3.OfferKey(p.Serial, p.PrivateKey); err != nil {
		a.health.Set(health.CertificateChangeUnfit, err.Error())
		return
	}
	waits := p.Serial != a.v3.KeySerial()
	a.warnIf(waits, health.NextCertificateWaits, p.Serial)
	if waits {
		a.log.Info().Str("serial", p.Serial).Msg("a new merchant certificate is loaded; it signs once WeChat Pay takes it")
	}
}

// takeCredentials is told of a fit set of files that differs from the one before.
func (a *agent) takeCredentials(fresh Credentials) {
	offer, restart := (*Pair)(nil), false
	if a.cfg.WeChat.API == "v2" {
		restart = a.creds.replace(fresh)
		a.showCertificate()
	} else {
		offer, restart = a.creds.renew(fresh)
	}
	if offer != nil {
		a.offer(*offer)
	}
	if restart {
		a.log.Warn().Msg("an API key or WeChat Pay's public key was changed; restart when no payment is open")
	}
	a.warnIf(restart, health.KeysRestart, "")
	over := ofFiles()
	for _, w := range fresh.Warnings {
		if slices.Contains(ofFiles(), w.Code) {
			a.health.Set(w.Code, w.Detail)
			over = slices.DeleteFunc(over, func(c health.Code) bool { return c == w.Code })
		}
	}
	a.health.Clear(over...)
}

// showCertificate gives the client of API v2 the certificate that WeChat Pay is to be shown from the next connection on.
func (a *agent) showCertificate() {
	if a.v2 == nil || a.creds.get().Certificate == nil {
		return
	}
	certificate, err := a.creds.clientCertificate(a.client.Now())
	if err == nil {
		err = a.v2.UseCertificate(*certificate)
	}
	if err != nil {
		a.log.Warn().Err(err).Msg("the merchant certificate for taking back was not changed")
	}
}

// ofFiles are the warnings that another set of files can end; those about dates are kept by warnOfCertificate.
func ofFiles() []health.Code {
	return []health.Code{health.SecretReadable, health.CertificateUnknownKind, health.NextCertificateUnfit, health.ClientCertificateMissing}
}

// takeKeyChange is told which merchant certificate signs from now on, and which one is not taken.
func (a *agent) takeKeyChange(c wxclient.Condition) {
	switch {
	case c.Kind == wxclient.MerchantKeyChanged && !c.Over:
		a.creds.inUse(c.Serial)
		a.log.Info().Str("serial", c.Serial).Msg("another merchant certificate signs from now on")
		waiting := a.creds.isWaiting()
		a.warnIf(waiting, health.NextCertificateWaits, c.Serial)
		next := a.cfg.WeChat.NextCertificate != "" && !waiting
		a.warnIf(next, health.NextCertificateInUse, c.Serial)
		a.warnOfCertificate()
	case c.Kind == wxclient.MerchantKeyRefused:
		a.warnIf(!c.Over, health.NextCertificateRefused, c.Text)
	}
}

// warnOfCertificate keeps the warning about the dates of the certificate that signs true, by the corrected clock.
func (a *agent) warnOfCertificate() {
	a.showCertificate() // the second one where the first has ended
	var due health.Code
	if cert := a.creds.get().Certificate; cert != nil {
		condition, holds := dateCondition(cert, a.client.Now(), "by WeChat Pay's clock it is")
		if holds {
			due = condition.Code
			a.health.Set(condition.Code, condition.Detail)
		}
	}
	a.health.Clear(slices.DeleteFunc(health.CertificateCodes(), func(c health.Code) bool { return c == due })...)
}

// unableToReverse says why what is paid now could not be taken back: then no payment is started. nil is fit. now is the corrected time.
func unableToReverse(api string, c Credentials, now time.Time) error {
	switch {
	case c.Certificate == nil:
		return notReady("no_certificate", "there is no merchant certificate, so nothing could be taken back; take cash, install it, then: systemctl restart posagent")
	case !fits(c.Certificate, c.PrivateKey):
		return notReady("key_mismatch", "the private key does not belong to the merchant certificate; take cash, and install the key that was made with it")
	case now.After(c.Certificate.NotAfter) && !secondServes(api, c, now):
		return notReady("certificate", "the merchant certificate has expired; take cash, and put the new certificate in place")
	case now.Before(c.Certificate.NotBefore):
		return notReady("certificate_early", "the merchant certificate is not valid yet; take cash, and look at the date of this PC")
	}
	return nil
}

// secondServes: API v2 shows the second certificate where the first has ended; API v3 has it in use by then, or WeChat Pay does not take it.
func secondServes(api string, c Credentials, now time.Time) bool {
	return api == "v2" && c.Next != nil && !now.After(c.Next.Certificate.NotAfter) && !now.Before(c.Next.Certificate.NotBefore)
}
