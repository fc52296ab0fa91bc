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

// Who stood in WeChat Pay's place has gone with the network: to log in to it would lead nowhere.
func TestACaptivePortalThatIsGoneIsNoLongerNamed(t *testing.T) {
	for name, gone := range map[string]error{"no name": &net.DNSError{Err: "no such host"}, "a pulled cable": errors.New("network is unreachable")} {
		t.Run(name, func(t *testing.T) {
			told := map[ConditionKind]bool{}
			c := &line{}
			c.clock = clock{pc: time.Now, conditions: &c.conditions}
			c.conditions.tell = func(c Condition) { told[c.Kind] = !c.Over }
			portal := errors.Join(x509.UnknownAuthorityError{}, gone) // one of two hosts
			_ = c.explainUnreachable(portal)
			assert.True(t, told[CaptivePortal])
			_ = c.explainUnreachable(portal)
			assert.True(t, told[CaptivePortal], "it still stands there")
			_ = c.explainUnreachable(gone)
			assert.False(t, told[CaptivePortal])
		})
	}
}
