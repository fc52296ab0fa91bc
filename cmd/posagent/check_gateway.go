package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"posagent/health"
	"posagent/payflow"
	"posagent/wxclient"
	"posagent/wxclient/v2"
)

// strangerBits is the size of the key that tries the way where the credentials are unfit; nothing is signed with it.
const strangerBits = 2048

// hostCheck is what was seen of one gateway host.
type hostCheck struct {
	host        string
	addresses   []string // by DNS; none through a proxy
	linkErr     error    // name, connection, TLS
	linkTook    time.Duration
	tripErr     error // the verified round trip
	tripTook    time.Duration
	state       wxclient.State
	takeBackErr error               // API v2: whether WeChat Pay takes the merchant certificate
	clock       *wxclient.Condition // that the clock is off or unusable
}

// gateway checks each host at once: name, connection, TLS, and one certificates call whose answer is verified. That call costs nothing.
func (c *checker) gateway(ctx context.Context) {
	roots, err := rootsWith(c.cfg.WeChat.CAFile)
	if err != nil {
		c.failBy("ca_file", err)
		return
	}
	config, err := c.clientConfig()
	if err != nil {
		c.failBy("gateway", err)
		return
	}
	config.RootCAs = roots
	ctx, stop := context.WithTimeout(ctx, checkGatewayWithin)
	defer stop()
	seen := make([]hostCheck, len(c.cfg.WeChat.Hosts))
	var asking sync.WaitGroup
	for i, host := range c.cfg.WeChat.Hosts {
		asking.Go(func() { seen[i] = c.askHost(ctx, host, config) })
	}
	asking.Wait()
	c.tellHosts(seen)
	c.tryNext(ctx, config)
	c.tellClock(seen)
}

// verifies says that a verified round trip can be made: the credentials are fit.
func (c *checker) verifies() bool { return c.fit }

// tryNext makes one certificates call with the second certificate: whether WeChat Pay takes it already.
func (c *checker) tryNext(ctx context.Context, config wxclient.Config) {
	if !c.verifies() || c.creds.Next == nil || c.cfg.WeChat.API == string(payflow.APIv2) { // v2 signs without it
		return
	}
	config.SerialNo, config.PrivateKey = c.creds.Next.Serial, c.creds.Next.PrivateKey
	seen := c.askHost(ctx, c.cfg.WeChat.Hosts[0], config)
	switch {
	case seen.linkErr != nil: // told already
	case seen.tripErr != nil:
		what, _ := splitAdvice(seen.tripErr.Error())
		c.known("next verified answer", health.NextCertificateRefused, what)
	default:
		c.ok("next verified answer", "WeChat Pay takes the next certificate, so the daemon uses it by itself")
	}
}

// clientConfig is the daemon's, without a file for the platform certificates. Unfit credentials are replaced by a key of no account:
// the way to the gateway can be tried even so.
func (c *checker) clientConfig() (wxclient.Config, error) {
	w := c.cfg.WeChat
	config := wxclient.Config{Proxy: w.Proxy, Merchant: (&agent{cfg: c.cfg}).merchant(), Version: version(), Now: c.now,
		SerialNo: c.creds.Serial, PrivateKey: c.creds.PrivateKey, APIv3Key: c.creds.APIv3Key,
		PublicKeyID: c.creds.PublicKeyID, PublicKey: c.creds.PublicKey}
	if c.verifies() && c.cfg.WeChat.API == string(payflow.APIv3) {
		return config, nil
	}
	key, err := rsa.GenerateKey(rand.Reader, strangerBits)
	config.SerialNo, config.PrivateKey, config.APIv3Key, config.PublicKeyID, config.PublicKey = "0", key, make([]byte, apiKeyBytes), "", nil
	return config, err
}

func (c *checker) askHost(ctx context.Context, host string, config wxclient.Config) hostCheck {
	seen := hostCheck{host: host}
	config.Hosts = []string{host}
	var told sync.Mutex // guards seen.clock
	config.OnCondition = func(condition wxclient.Condition) {
		told.Lock()
		defer told.Unlock()
		if !condition.Over && (condition.Kind == wxclient.ClockOff || condition.Kind == wxclient.ClockUnusable) {
			seen.clock = &condition
		}
	}
	client, err := wxclient.New(config)
	if err != nil {
		seen.linkErr = err
		return seen
	}
	defer client.Close()
	if config.Proxy == "" {
		seen.addresses = addressesOf(ctx, host)
	}
	began := time.Now()
	seen.linkErr = client.Warm(ctx)
	seen.linkTook = time.Since(began)
	if seen.linkErr == nil && c.verifies() && c.cfg.WeChat.API == string(payflow.APIv2) {
		c.askHostV2(ctx, &seen, config)
	} else if seen.linkErr == nil && c.verifies() {
		began = time.Now()
		seen.tripErr = client.FirstRoundTrip(ctx)
		seen.tripTook = time.Since(began)
		seen.state = client.State()
	}
	return seen
}

// askHostV2 asks for an order that cannot exist, and takes it back: the first shows that the API key fits, the second that the merchant
// certificate is taken. Neither moves money.
func (c *checker) askHostV2(ctx context.Context, seen *hostCheck, config wxclient.Config) {
	w := c.cfg.WeChat
	client, err := v2.New(v2.Config{Hosts: config.Hosts, RootCAs: config.RootCAs, Proxy: config.Proxy, Merchant: config.Merchant,
		APIKey: string(c.creds.APIv2Key), SignType: v2.SignType(w.SignType), Certificate: c.creds.shown(), Version: config.Version,
		Now: config.Now, OnCondition: config.OnCondition})
	if err != nil {
		seen.tripErr = err
		return
	}
	defer client.Close()
	began := time.Now()
	seen.tripErr = client.FirstRoundTrip(ctx)
	seen.tripTook = time.Since(began)
	if seen.tripErr == nil && c.creds.Certificate != nil {
		seen.takeBackErr = client.TryCertificate(ctx)
	}
	seen.state = client.State()
}

// shown is the certificate and key as they go on a connection; nothing where one of them is missing.
func (c Credentials) shown() tls.Certificate {
	if c.Certificate == nil || c.PrivateKey == nil {
		return tls.Certificate{}
	}
	return tls.Certificate{Certificate: [][]byte{c.Certificate.Raw}, PrivateKey: c.PrivateKey, Leaf: c.Certificate}
}

func addressesOf(ctx context.Context, host string) []string {
	u, err := url.Parse(host)
	if err != nil {
		return nil
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		return nil // Warm fails by it, and says so
	}
	return addresses
}

// tellHosts: one host that answers is enough to sell, and a second one in reserve is wanted.
func (c *checker) tellHosts(seen []hostCheck) {
	reached, verified := 0, 0
	for _, s := range seen {
		if s.linkErr == nil {
			reached++
		}
		if s.linkErr == nil && s.tripErr == nil {
			verified++
		}
	}
	for _, s := range seen {
		if s.linkErr != nil {
			c.gatewayTrouble("gateway", s.host, s.linkErr, reached > 0)
			continue
		}
		c.ok("gateway", "%s%s reached with TLS in %d ms", bareHost(s.host), inParentheses(strings.Join(s.addresses, ", ")), s.linkTook.Milliseconds())
		switch {
		case !c.verifies():
		case s.tripErr != nil:
			c.gatewayTrouble("verified answer", s.host, s.tripErr, verified > 0)
		case c.cfg.WeChat.API == string(payflow.APIv2):
			c.ok("verified answer", "%s answered in %d ms, signed with the API v2 key", bareHost(s.host), s.tripTook.Milliseconds())
			c.tellTakingBack(s, verified > 1)
		default:
			c.ok("verified answer", "%s answered in %d ms, signed by a platform certificate that is valid to %s", bareHost(s.host), s.tripTook.Milliseconds(), newest(s.state).Format(time.DateOnly))
		}
	}
	if !c.fit {
		c.warn("verified answer", "not tried, because the credentials are unfit", "mend the credentials first")
	}
}

// tellTakingBack: without a certificate a line above says so already.
func (c *checker) tellTakingBack(s hostCheck, another bool) {
	switch {
	case c.creds.Certificate == nil:
	case s.takeBackErr != nil:
		c.gatewayTrouble("taking back", s.host, s.takeBackErr, another)
	default:
		c.ok("taking back", "%s takes the merchant certificate", bareHost(s.host))
	}
}

func newest(s wxclient.State) time.Time {
	var latest time.Time
	for _, certificate := range s.Certificates {
		if certificate.NotAfter.After(latest) {
			latest = certificate.NotAfter
		}
	}
	return latest
}

// bareHost is a host without the scheme, which is always the same.
func bareHost(host string) string { return strings.TrimPrefix(host, "https://") }

// gatewayTrouble tells an error of the client's: what happened, the cause in parentheses, and what to do.
func (c *checker) gatewayTrouble(check, host string, err error, another bool) {
	if errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), ";") {
		err = fmt.Errorf("no answer within %s; look at the network and the firewall", checkGatewayWithin)
	}
	text, cause := err.Error(), ""
	if at := strings.LastIndex(text, " ("); at > strings.Index(text, "; ") && strings.HasSuffix(text, ")") {
		text, cause = text[:at], strings.TrimSuffix(text[at+2:], ")")
	}
	what, next := splitAdvice(text)
	line := checked{check, verdictFail, bareHost(host) + ": " + what + inParentheses(cause), next}
	if another {
		line.Verdict, line.Fix = verdictWarn, line.Fix+" (another host serves meanwhile)"
	}
	c.add(line)
}

// tellClock compares this PC's clock with WeChat Pay's, as far as it answered.
func (c *checker) tellClock(seen []hostCheck) {
	for _, s := range seen {
		if s.clock != nil {
			c.clockOff(*s.clock)
			return
		}
	}
	for _, s := range seen {
		if s.state.ClockKnown {
			c.ok("clock", "%s from WeChat Pay's", s.state.ClockOffset.Abs().Round(time.Second))
			return
		}
	}
	c.warn("clock", "not compared with WeChat Pay's, which did not answer", "mend the way to the gateway; posagent takes no payment before the clock was compared")
}

func (c *checker) clockOff(condition wxclient.Condition) {
	code := health.ClockOff
	switch {
	case condition.Kind == wxclient.ClockUnusable:
		code = health.ClockUnset // nothing can be reached, so nothing corrects it
	case condition.Red:
		code = health.ClockOffMuch
	}
	w, _ := health.Find(code)
	what, _ := splitAdvice(condition.Text)
	line := checked{"clock", verdictWarn, what, w.NextStep.EN}
	if condition.Red {
		line.Verdict = verdictFail
	}
	c.add(line)
}
