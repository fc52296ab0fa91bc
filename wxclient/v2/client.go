package v2

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"posagent/payflow"
	"posagent/wxclient"
)

const defaultQueryTimeout = 5 * time.Second / payflow.Pace // as the line's

// The bounds of an API key. WeChat Pay's have 32 characters; older ones were the merchant's own choice.
const (
	apiKeyMin = 8
	apiKeyMax = 128
)

// Config says who signs, with what, and which hosts are called. Fields marked required have no default.
type Config struct {
	// Hosts are the gateways, best first, each "https://name" or "https://name:port"; 1 to 8. Required.
	Hosts []string
	// RootCAs are the roots that a gateway's TLS certificate is checked against. Nil: the system's.
	RootCAs *x509.CertPool
	// Proxy is the address of an HTTP proxy ("http://host:port"). Empty: none. None is ever taken from the environment.
	Proxy string
	// Merchant is the set of ids; its MerchantID signs (the institution's in institution mode). Required.
	Merchant payflow.Merchant
	// APIKey is the API key (of API v2, not the API v3 key), 8 to 128 characters; WeChat Pay's have 32. Required.
	APIKey string
	// SignType is how requests are signed. Default MD5, as the documents'.
	SignType SignType
	// Certificate is the merchant's API certificate with its key. WeChat Pay demands it for reverse and refund. Without one the client
	// only asks, so that what is open can be finished: no payment is started when a reverse would be impossible.
	Certificate tls.Certificate
	// HeardFile keeps the nonces of the last answers for the next start, as wxclient.Config.HeardFile; another file than API v3's. Empty: none.
	HeardFile string
	// PayTimeout is how long a pay call may wait for its answer after its first byte. Default 15 s.
	PayTimeout time.Duration
	// QueryTimeout is how long any other call but the bill's may wait for its answer on one host. Default 5 s.
	QueryTimeout time.Duration
	// Version stands in the User-Agent, behind "posagent/". Default "dev".
	Version string
	// Dial opens a TCP connection. Nil: net.Dialer. Tests put net.Pipe here.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Now is the PC's clock. Nil: time.Now.
	Now func() time.Time
	// Log takes debug lines for each call, and warnings. The zero value is silent.
	Log zerolog.Logger
	// OnCondition is told when something that a person should know begins or ends. It must return at once. Nil: nobody.
	OnCondition func(wxclient.Condition)
}

// Client is one merchant's way to WeChat Pay by API v2. It is safe for use by several goroutines. Close ends it.
type Client struct {
	line        *wxclient.Line
	merchant    payflow.Merchant
	signer      signer
	certificate atomic.Pointer[tls.Certificate]
	untried     atomic.Bool // WeChat Pay was not seen to take the certificate yet
	nonces      wxclient.Nonces
	log         zerolog.Logger
	sumWithin   time.Duration // how long the refunds of an order may be asked for, beside a query
	kick        chan struct{} // wakes Run for a round trip
}

// New checks the configuration and returns a client that has called nobody yet. An error says which field is wrong and what to
// write instead.
func New(config Config) (*Client, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	c := &Client{
		merchant:  config.Merchant,
		signer:    signer{key: config.APIKey, kind: config.SignType},
		log:       config.Log,
		sumWithin: orElse(config.QueryTimeout, defaultQueryTimeout) * time.Duration(len(config.Hosts)),
		kick:      make(chan struct{}, 1),
	}
	if c.signer.kind == "" {
		c.signer.kind = MD5
	}
	if given := config.Certificate; len(given.Certificate) > 0 || given.PrivateKey != nil {
		if err := c.UseCertificate(given); err != nil {
			return nil, err
		}
	}
	var err error
	c.line, err = wxclient.NewLine(wxclient.LineConfig{
		Hosts: config.Hosts, RootCAs: config.RootCAs, Proxy: config.Proxy, PayTimeout: config.PayTimeout, QueryTimeout: config.QueryTimeout,
		Version: config.Version, Dial: config.Dial, Now: config.Now, Log: config.Log, OnCondition: config.OnCondition,
		Certificate: c.shown,
		Probe:       c.probe,
	})
	if err != nil {
		return nil, err
	}
	c.nonces.Keep(config.HeardFile, config.Log)
	return c, nil
}

func (config Config) check() error {
	m := config.Merchant
	switch {
	case len(config.APIKey) < apiKeyMin || len(config.APIKey) > apiKeyMax:
		return fmt.Errorf("API key has %d characters; WeChat Pay's have 32 (it is not the API v3 key)", len(config.APIKey))
	case config.SignType != "" && config.SignType != MD5 && config.SignType != HMACSHA256:
		return fmt.Errorf("sign type %.20q is neither \"MD5\" nor \"HMAC-SHA256\"", string(config.SignType))
	case m.Mode != payflow.Direct && m.Mode != payflow.Institution:
		return fmt.Errorf("mode %.20q is neither \"direct\" nor \"institution\"", string(m.Mode))
	case m.AppID == "" || m.MerchantID == "":
		return errors.New("app id and merchant id are both needed")
	case m.Mode == payflow.Institution && m.SubMerchantID == "":
		return errors.New("institution mode needs the shop's sub merchant id")
	case m.Mode == payflow.Direct && (m.SubMerchantID != "" || m.SubAppID != ""):
		return errors.New("direct mode takes no sub ids; leave them out, or set the mode to institution")
	}
	return nil
}

// UseCertificate shows another merchant certificate from the next call on: a renewed one is taken without a restart. An
// error means that certificate and key are not both there, or do not belong together; then nothing changes.
func (c *Client) UseCertificate(certificate tls.Certificate) error {
	if err := checkCertificate(certificate); err != nil {
		return err
	}
	before := c.certificate.Swap(&certificate)
	if before == nil || !bytes.Equal(before.Certificate[0], certificate.Certificate[0]) {
		c.untried.Store(true)
		if c.line != nil {
			c.line.CloseMutual() // those showed the one before
		}
		c.tripSoon()
	}
	return nil
}

var errNoCertificate = errors.New("there is no merchant certificate, so nothing could be taken back; install it, then: systemctl restart posagent")

// ready returns an error for a call that nothing may be sent of, because there is no certificate to make or to undo it with.
func (c *Client) ready(call wxclient.Call) error {
	if c.certificate.Load() == nil && (call.Mutual || call.Target == payPath) {
		return errNoCertificate
	}
	return nil
}

// shown returns the certificate for a handshake.
func (c *Client) shown() (*tls.Certificate, error) {
	if certificate := c.certificate.Load(); certificate != nil {
		return certificate, nil
	}
	return nil, errNoCertificate
}

func checkCertificate(certificate tls.Certificate) error {
	if len(certificate.Certificate) == 0 || certificate.PrivateKey == nil {
		return errors.New("the merchant API certificate and its key are missing; WeChat Pay demands them to take a payment back " +
			"(apiclient_cert.pem and apiclient_key.pem)")
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		return fmt.Errorf("read the merchant API certificate: %w", err)
	}
	key, signs := certificate.PrivateKey.(crypto.Signer)
	public, comparable := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !signs || !comparable || !public.Equal(key.Public()) {
		return errors.New("the merchant API certificate and the private key do not belong together")
	}
	return nil
}

// Close ends every connection and every call in flight. The client is of no use afterwards.
func (c *Client) Close() {
	c.line.Close()
	c.nonces.Close()
}

// State returns what is known now. ClockOffset is by the Date header, to a second, and corrects nothing; there are no platform
// certificates in API v2.
func (c *Client) State() wxclient.State { return c.line.State() }

// Now returns the PC's time: no signed time corrects it in API v2.
func (c *Client) Now() time.Time { return c.line.Now() }

// Verified reports that one answer has been verified since the client was made. No payment is armed before (rule 9).
func (c *Client) Verified() bool { return c.line.State().Verified }

// LinkUp reports that WeChat Pay could be connected to when last tried, and that the warm connection has not broken since.
func (c *Client) LinkUp() bool { return c.line.State().LinkUp }

// KeepWarm says whether a payment is armed. While it is, Run keeps one TLS connection ready; see wxclient.Client.KeepWarm.
func (c *Client) KeepWarm(on bool) { c.line.KeepWarm(on) }

// Warm makes sure now that a connection is ready for the next pay call. An error says for a person what to look at.
func (c *Client) Warm(ctx context.Context) error { return c.line.Warm(ctx) }
