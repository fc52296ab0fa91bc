package wxclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
)

// explainedError is an error with words for a person before it: what happened, and what to do now.
type explainedError struct {
	words string
	clock bool // the PC's clock is the cause
	err   error
}

func (e *explainedError) Error() string { return e.words + " (" + e.err.Error() + ")" }
func (e *explainedError) Unwrap() error { return e.err }

// explainUnreachable names what keeps us from connecting.
func (c *line) explainUnreachable(err error) error {
	var invalid x509.CertificateInvalidError
	var name *net.DNSError
	var handshake tls.RecordHeaderError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		words := "the gateway's certificate is expired or not yet valid: " + clockShowsText(c.clock.pc())
		c.conditions.begin(Condition{Kind: ClockUnusable, Red: true, Text: words})
		return &explainedError{words, true, err}
	case errors.As(err, new(x509.UnknownAuthorityError)), errors.As(err, new(x509.HostnameError)), errors.As(err, &invalid):
		c.conditions.begin(Condition{Kind: CaptivePortal, Red: true, Text: "another's certificate stands at the gateway's address"})
		return &explainedError{"the gateway's certificate is not trusted; look for an intercepting firewall, or set ca_file for a trial gateway", false, err}
	case errors.As(err, &handshake):
		c.conditions.begin(Condition{Kind: CaptivePortal, Red: true, Text: "what answers at the gateway's address does not speak TLS"})
		return &explainedError{"what answers at the gateway's address does not speak TLS; look for a login page of the network", false, err}
	}
	c.conditions.over(CaptivePortal) // nothing answers there any more, in whose place ever
	if errors.As(err, &name) {
		return &explainedError{"the gateway's name was not found; look at the network and its DNS server", false, err}
	}
	return &explainedError{"no connection to WeChat Pay; look at the network cable, the router and the firewall", false, err}
}

// explainCertificates says what an answer other than 200 to the certificates call means.
func (c *Client) explainCertificates(a answer) error {
	t := readTrouble(a)
	err := fmt.Errorf("%s answered %d %s %s", a.host.name, a.status, t.Code, t.Message)
	switch {
	case t.Code == codeSignError || a.status == http.StatusUnauthorized:
		if offset, ok := c.clock.hint(a); ok && offset.Abs() >= clockHintMin {
			return &explainedError{"WeChat Pay does not accept our signature because " + clockOffText(offset), true, err}
		}
		return &explainedError{"WeChat Pay does not accept our signature; check that merchant_id, certificate and private_key belong together", false, err}
	case configurationCodes[t.Code]:
		return &explainedError{"WeChat Pay refuses this merchant; check merchant_id and its rights on the merchant platform", false, err}
	case a.status == http.StatusNotFound:
		return &explainedError{"the host does not offer WeChat Pay's Global API; check hosts", false, err}
	case a.status >= http.StatusInternalServerError || a.status == http.StatusTooManyRequests:
		return &explainedError{"WeChat Pay is not available just now; it is asked again by itself", false, err}
	}
	return &explainedError{"what answers is not WeChat Pay's API; check hosts, and look for a login page or an intercepting device", false, err}
}

// explainUnverified says what a certificates answer of status 200 that cannot be believed means.
func (c *Client) explainUnverified(a answer, err error) error {
	if errors.Is(err, errWrongAPIv3Key) {
		return err
	}
	words := "what answers at " + a.host.name + " is not WeChat Pay's API; check hosts, and look for a login page or an intercepting device"
	return &explainedError{words, false, err}
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}
