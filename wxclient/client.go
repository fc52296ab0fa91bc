package wxclient

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"posagent/payflow"
)

// Bounds of a client.
const (
	apiv3KeyBytes = 32 // the documents' APIv3 key; with 16 bytes Go would silently run AES-128
	keyBitsMin    = 2048
)

// Config says who signs, with what, and which hosts are called. Fields marked required have no default.
type Config struct {
	// Hosts are the gateways, best first, each "https://name" or "https://name:port"; 1 to 8. Required.
	Hosts []string
	// RootCAs are the roots that a gateway's TLS certificate is checked against. Nil: the system's.
	RootCAs *x509.CertPool
	// Proxy is the address of an HTTP proxy ("http://host:port") that every connection goes through by CONNECT.
	// Empty: none. None is ever taken from the environment.
	Proxy string
	// Merchant is the set of ids; its MerchantID signs (sp_mchid in institution mode). Required.
	Merchant payflow.Merchant
	// SerialNo is the serial of the merchant's API certificate, in hex. Required.
	SerialNo string
	// PrivateKey is that certificate's key, RSA with 2048 bits or more. Required.
	PrivateKey *rsa.PrivateKey
	// APIv3Key is the 32-byte key that opens platform certificates. Required.
	APIv3Key []byte
	// CertificatesFile keeps the platform certificates (still sealed with the APIv3 key) for a start without network.
	// Empty: they are kept in memory alone.
	CertificatesFile string
	// HeardFile keeps the nonces and times of the last answers (32 KiB at most, nothing of what they said), so that the next start takes none of them
	// for an answer to what it asks. One client at a time may have it. Empty: a start knows nothing of the one before. A file that cannot be
	// used is logged, and otherwise as none.
	HeardFile string
	// PublicKeyID and PublicKey are WeChat Pay's public key and its id ("PUB_KEY_ID_…"), for a merchant in public-key mode or on the
	// way to it: answers are then asked to be signed with it, and platform certificates are believed as well. Both, or neither.
	PublicKeyID string
	PublicKey   *rsa.PublicKey
	// PayTimeout is how long a pay call may wait for its answer after its first byte. Default 15 s.
	PayTimeout time.Duration
	// QueryTimeout is how long any other call may wait for its answer on one host. Default 5 s.
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
	OnCondition func(Condition)
}

// Client is one merchant's way to WeChat Pay. It is safe for use by several goroutines. Close ends it.
type Client struct {
	*line
	merchant payflow.Merchant
	signers  signers
	apiv3Key []byte

	start        start
	nonces       nonces
	certificates certificates
	keyHeader    string // names the public key in every request; empty without one

	refreshing singleFlight
	kick       chan struct{} // wakes Run for a certificates call
}

// New checks the configuration and returns a client that has called nobody yet. It reads the stored platform
// certificates. An error says which field is wrong and what to write instead.
func New(config Config) (*Client, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	l, err := newLine(LineConfig{
		Hosts: config.Hosts, RootCAs: config.RootCAs, Proxy: config.Proxy, PayTimeout: config.PayTimeout, QueryTimeout: config.QueryTimeout,
		Version: config.Version, Dial: config.Dial, Now: config.Now, Log: config.Log, OnCondition: config.OnCondition,
	})
	if err != nil {
		return nil, err
	}
	c := &Client{
		line:         l,
		merchant:     config.Merchant,
		apiv3Key:     append([]byte(nil), config.APIv3Key...),
		certificates: certificates{file: config.CertificatesFile, merchantSerial: normalSerial(config.SerialNo)},
		kick:         make(chan struct{}, 1),
	}
	c.recallHeard(config.HeardFile)
	c.signers.begin(signer{merchantID: config.Merchant.MerchantID, serial: strings.ToUpper(config.SerialNo), key: config.PrivateKey})
	c.probing = func() outgoing {
		return c.signed(request{call: "certificates", method: http.MethodGet, target: certificatesTarget}, c.clock.Now)
	}
	c.holdPublicKey(config.PublicKeyID, config.PublicKey)
	c.loadCertificates()
	return c, nil
}

// recallHeard opens the file of what earlier starts heard, and takes what is in it.
func (c *Client) recallHeard(file string) {
	now := time.Now()
	kept, answers := openHeard(file, c.log)
	answers, latest := lately(answers)
	c.start.made, c.start.heard = now, latest
	if ahead := latest.Sub(c.clock.pc()); ahead > window {
		c.log.Warn().Str("file", file).Time("heard", latest).Msg("an earlier start heard WeChat Pay tell a time that this PC's clock has not reached; what is signed before it is not believed in the first ten minutes of each start. If that time is wrong, stop posagent, delete the file and start it again")
	}
	c.nonces.file = kept
	c.nonces.recall(answers, now)
}

func (config Config) check() error {
	m := config.Merchant
	switch {
	case config.PrivateKey == nil:
		return errors.New("private key is missing; give the key of the merchant API certificate (apiclient_key.pem)")
	case config.PrivateKey.N.BitLen() < keyBitsMin:
		return fmt.Errorf("private key has %d bits; WeChat Pay issues RSA keys of %d", config.PrivateKey.N.BitLen(), keyBitsMin)
	case len(config.APIv3Key) != apiv3KeyBytes:
		return fmt.Errorf("API v3 key has %d bytes; it must have exactly %d (it is not the older API key)", len(config.APIv3Key), apiv3KeyBytes)
	case config.SerialNo == "" || len(config.SerialNo) > 40 || strings.Trim(config.SerialNo, "0123456789abcdefABCDEF") != "":
		return fmt.Errorf("serial number %.50q is not 1 to 40 hex digits; take the merchant API certificate's", config.SerialNo)
	case m.Mode != payflow.Direct && m.Mode != payflow.Institution:
		return fmt.Errorf("mode %.20q is neither \"direct\" nor \"institution\"", m.Mode)
	case m.AppID == "" || m.MerchantID == "":
		return errors.New("app id and merchant id are both needed")
	case m.Mode == payflow.Institution && m.SubMerchantID == "":
		return errors.New("institution mode needs the shop's sub merchant id")
	case m.Mode == payflow.Direct && (m.SubMerchantID != "" || m.SubAppID != ""):
		return errors.New("direct mode takes no sub ids; leave them out, or set the mode to institution")
	}
	return checkPublicKey(config.PublicKeyID, config.PublicKey)
}

// Close ends every connection and every call in flight. The client is of no use afterwards.
func (c *Client) Close() {
	c.shutDown()
	c.refreshing.wait()
	c.nonces.file.close()
}

// State is what a status page shows of the connection to WeChat Pay.
type State struct {
	Host           string                // the host in use
	HostsAside     []string              // hosts that failed lately
	LinkUp         bool                  // see Client.LinkUp
	Verified       bool                  // see Client.Verified
	LastVerified   time.Time             // by the PC's clock; zero: never
	ClockKnown     bool                  // the PC's clock has been compared with WeChat Pay's signed time
	ClockOffset    time.Duration         // WeChat Pay's time minus the PC's
	ClockCorrected bool                  // signing and verifying go by the corrected clock
	Certificates   []PlatformCertificate // the platform certificates held
	PublicKeyID    string                // of the WeChat Pay public key held beside them; empty: none
}

// State returns what is known now.
func (c *Client) State() State {
	s := c.line.state()
	s.Certificates, s.PublicKeyID = c.certificates.list(), c.certificates.publicID
	return s
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// singleFlight lets one refresh run at a time; others wait for it.
type singleFlight struct {
	mu      sync.Mutex // guards all below
	running chan struct{}
	err     error
	began   time.Time
	all     sync.WaitGroup
}

// wait returns when none is running.
func (s *singleFlight) wait() { s.all.Wait() }
