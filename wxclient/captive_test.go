package wxclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSomethingElseAtTheGatewaysAddressIsNamed(t *testing.T) {
	for name, story := range map[string]struct {
		err     error
		captive bool
	}{
		"a firewall's own certificate":      {x509.UnknownAuthorityError{}, true},
		"a login page's certificate":        {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "apihk.mch.weixin.qq.com"}, true},
		"a login page without TLS":          {tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, true},
		"no name":                           {&net.DNSError{Err: "no such host"}, false},
		"a pulled cable":                    {errors.New("network is unreachable"), false},
		"a certificate from before 'today'": {x509.CertificateInvalidError{Reason: x509.Expired}, false},
	} {
		t.Run(name, func(t *testing.T) {
			told := map[ConditionKind]bool{}
			c := &line{}
			c.clock = clock{pc: time.Now, conditions: &c.conditions}
			c.conditions.tell = func(c Condition) { told[c.Kind] = !c.Over }
			_ = c.explainUnreachable(story.err)
			assert.Equal(t, story.captive, told[CaptivePortal])
			c.conditions.over(CaptivePortal)
			assert.False(t, told[CaptivePortal])
		})
	}
}
