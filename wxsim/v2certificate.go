package wxsim

import (
	"crypto/x509"
	"net/http"
)

// certifiedV2 are the calls of API v2 that give money back: they demand the merchant's certificate (API Rules, certificate requirement).
var certifiedV2 = map[Call]bool{Reverse: true, Refund: true}

// checkCertificate demands, for these calls, a client certificate that the simulator's authority issued. The gateway asks every
// client for one and lets those pass that have none, for API v3 shares the address; so a call without one fails as it does
// behind WeChat Pay's own gateway: a page with status 400, before anything of the request is looked at.
func (s *Sim) checkCertificate(v *visit) *reply {
	if !certifiedV2[v.call] {
		return nil
	}
	given := v.certificate()
	switch {
	case given == nil:
		return s.uncertified(v, "No required SSL certificate was sent")
	case given.CheckSignatureFrom(s.authority.root) != nil, s.clockNow().After(given.NotAfter), s.clockNow().Before(given.NotBefore):
		return s.uncertified(v, "The SSL certificate error")
	}
	return nil
}

// checkHolder demands that the certificate is one of the merchant who signed, and still accepted: several are during a renewal.
func (s *Sim) checkHolder(v *visit) *reply {
	if !certifiedV2[v.call] {
		return nil
	}
	if _, accepted := v.account.accepts(serialOf(v.certificate())); accepted {
		return nil
	}
	s.tally.uncertified[v.call]++
	return malformed("PARAM_ERROR", "the client certificate is not one of mch_id's, or no longer")
}

// nameOtherCAs makes the handshake name an authority that has issued nothing.
func (s *Sim) nameOtherCAs() error {
	other, err := newAuthority("MmpaymchCA", s.clockNow())
	if err == nil {
		s.tls.ClientCAs = other.pool()
	}
	return err
}

// certificate is what the client showed in the handshake, nil if nothing.
func (v *visit) certificate() *x509.Certificate {
	if v.request.TLS == nil || len(v.request.TLS.PeerCertificates) == 0 {
		return nil
	}
	return v.request.TLS.PeerCertificates[0]
}

func (s *Sim) uncertified(v *visit, why string) *reply {
	s.tally.uncertified[v.call]++
	page := "<html>\r\n<head><title>400 " + why + "</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n<center>" + why +
		"</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	return &reply{status: http.StatusBadRequest, body: []byte(page), bare: true, header: http.Header{"Content-Type": {"text/html"}}}
}
