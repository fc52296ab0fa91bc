package wxclient

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// These tests have a gateway of their own, smaller and ruder than wxsim: it answers what a test tells it to, and counts
// what arrives. It signs as the documents say, with code that the client does not share.

var (
	merchantKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	platformKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	strangerKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	webKey      = sync.OnceValue(func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
)

func newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

const (
	testAPIv3Key = "0123456789abcdef0123456789ABCDEF"
	testSerial   = "5F1C72E2A8931B72A2E13AF8DEE92471EB397115"
	testCode     = "134650720866361395"
	firstHost    = "first.test"
	secondHost   = "second.test"
)

// reply is one scripted answer. The zero seal is a good signature.
type reply struct {
	status int
	body   string
	seal   string // "", "none", "forged", "stranger", "probe", "twice", "half", "stale"
	header map[string]string
	nonce  string
	drop   bool // hang up instead
	hang   bool // never answer
}

type gateway struct {
	t        *testing.T
	now      func() time.Time
	roots    *x509.CertPool
	webCert  tls.Certificate
	serial   string // signs with this one
	pems     map[string]string
	keys     map[string]*rsa.PrivateKey
	handedTo []string // serials that the certificates call hands out
	mute     bool     // every request is read, and none answered
	// noCertificates answers the certificates call instead of what is handed out.
	noCertificates *reply
	answer         func(r *http.Request, body string) reply

	mu       sync.Mutex
	arrivals []string // "POST /path" of every whole request
	bodies   []string
	headers  []http.Header
	hosts    []string
	server   *http.Server
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{t: t, now: time.Now, pems: map[string]string{}, keys: map[string]*rsa.PrivateKey{}}
	g.addPlatform("7A", platformKey(), time.Now().Add(-time.Hour), time.Now().Add(365*24*time.Hour))
	g.serial, g.handedTo = "7A", []string{"7A"}
	g.makeWebCertificate(time.Now().Add(-24*time.Hour), time.Now().Add(1000*24*time.Hour))
	g.answer = func(*http.Request, string) reply { return reply{status: 404, body: `{"code":"ORDER_NOT_EXIST"}`} }
	g.server = &http.Server{Handler: g, ErrorLog: log.New(io.Discard, "", 0)}
	t.Cleanup(func() { g.server.Close() })
	return g
}

func (g *gateway) addPlatform(serial string, key *rsa.PrivateKey, from, to time.Time) {
	n, _ := new(big.Int).SetString(serial, 16)
	text := g.certificate(&x509.Certificate{SerialNumber: n, Subject: pkix.Name{CommonName: "Tenpay.com"}, NotBefore: from, NotAfter: to}, &key.PublicKey, key)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pems[serial] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text}))
	g.keys[serial] = key
}

// handOut makes the certificates call hand these out.
func (g *gateway) handOut(serials ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handedTo = serials
}

// signWith makes answers signed by this platform certificate.
func (g *gateway) signWith(serial string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serial = serial
}

func (g *gateway) certificate(c *x509.Certificate, public, private any) []byte {
	text, err := x509.CreateCertificate(rand.Reader, c, c, public, private)
	require.NoError(g.t, err)
	return text
}

func (g *gateway) makeWebCertificate(from, to time.Time) {
	text := g.certificate(&x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{firstHost, secondHost}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true}, &webKey().PublicKey, webKey())
	parsed, err := x509.ParseCertificate(text)
	require.NoError(g.t, err)
	g.roots = x509.NewCertPool()
	g.roots.AddCert(parsed)
	g.webCert = tls.Certificate{Certificate: [][]byte{text}, PrivateKey: webKey()}
}

// serve takes connections from l until the test ends.
func (g *gateway) serve(l net.Listener) {
	go g.server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{g.webCert}}))
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	g.mu.Lock()
	g.arrivals = append(g.arrivals, r.Method+" "+r.URL.RequestURI())
	g.bodies = append(g.bodies, string(body))
	g.headers = append(g.headers, r.Header.Clone())
	g.hosts = append(g.hosts, r.Host)
	answer, mute := g.answer, g.mute
	g.mu.Unlock()
	if mute {
		<-r.Context().Done()
		return
	}
	if r.URL.Path == "/v3/global/certificates" {
		answer = g.certificates
	}
	g.write(w, r, answer(r, string(body)))
}

func (g *gateway) setMute(mute bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mute = mute
}

func (g *gateway) script(answer func(r *http.Request, body string) reply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

func (g *gateway) always(p reply) { g.script(func(*http.Request, string) reply { return p }) }

func (g *gateway) write(w http.ResponseWriter, r *http.Request, p reply) {
	if p.drop {
		panic(http.ErrAbortHandler)
	}
	if p.hang {
		<-r.Context().Done()
		return
	}
	g.seal(w.Header(), p)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for name, value := range p.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(p.status)
	_, _ = io.WriteString(w, p.body)
}

func (g *gateway) seal(h http.Header, p reply) {
	g.mu.Lock()
	serial, now, key := g.serial, g.now(), g.keys[g.serial]
	g.mu.Unlock()
	if p.seal == "none" {
		return
	}
	if p.seal == "stale" {
		now = now.Add(-6 * time.Minute)
	}
	nonce, timestamp := p.nonce, strconv.FormatInt(now.Unix(), 10)
	if nonce == "" {
		nonce = rand.Text()
	}
	if p.seal == "stranger" {
		serial, key = "BAD5E41A1", strangerKey()
	}
	digest := sha256.Sum256([]byte(timestamp + "\n" + nonce + "\n" + p.body + "\n"))
	raw, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	require.NoError(g.t, err)
	if p.seal == "forged" {
		raw[9] ^= 1
	}
	value := base64.StdEncoding.EncodeToString(raw)
	if p.seal == "probe" {
		value = "WECHATPAY/SIGNTEST/" + value
	}
	h.Set("Wechatpay-Timestamp", timestamp)
	h.Set("Wechatpay-Nonce", nonce)
	h.Set("Wechatpay-Signature", value)
	h.Set("Wechatpay-Serial", serial)
	switch p.seal {
	case "half":
		h.Del("Wechatpay-Signature")
	case "twice":
		h.Add("Wechatpay-Nonce", nonce)
	}
}

func (g *gateway) certificates(r *http.Request, _ string) reply {
	if off := g.now().Sub(signedTime(r)).Abs(); off > 5*time.Minute {
		return reply{status: 401, body: `{"code":"SIGN_ERROR","message":"timestamp"}`, header: map[string]string{"Date": g.now().UTC().Format(http.TimeFormat)}}
	}
	g.mu.Lock()
	no := g.noCertificates
	g.mu.Unlock()
	if no != nil {
		return *no
	}
	return reply{status: 200, body: g.certificatesBody()}
}

func signedTime(r *http.Request) time.Time {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), `timestamp="`)
	seconds, _ := strconv.ParseInt(rest[:max(0, strings.IndexByte(rest, '"'))], 10, 64)
	return time.Unix(seconds, 0)
}

func (g *gateway) certificatesBody() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var items []string
	for _, serial := range g.handedTo {
		items = append(items, sealItem(g.t, testAPIv3Key, serial, g.pems[serial]))
	}
	return `{"data":[` + strings.Join(items, ",") + `]}`
}

func sealItem(t *testing.T, key, serial, text string) string {
	block, err := aes.NewCipher([]byte(key))
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	sealed := aead.Seal(nil, []byte("abcdefghijkl"), []byte(text), []byte("certificate"))
	item, err := json.Marshal(map[string]any{"serial_no": serial, "effective_time ": "2020-01-01T00:00:00+08:00", "encrypt_certificate": map[string]string{
		"algorithm": "AEAD_AES_256_GCM", "nonce": "abcdefghijkl", "associated_data": "certificate", "ciphertext": base64.StdEncoding.EncodeToString(sealed)}})
	require.NoError(t, err)
	return string(item)
}

// count returns how many whole requests arrived whose line contains part.
func (g *gateway) count(part string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, line := range g.arrivals {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func (g *gateway) lastBody() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bodies[len(g.bodies)-1]
}

// pipes is a network of net.Pipe, for bubbles in which time is fake. A host can be cut off.
type pipes struct {
	mu    sync.Mutex
	hosts map[string]*pipeListener
	dials []string
	wrap  func(net.Conn) net.Conn
}

type pipeListener struct {
	conns chan net.Conn
	shut  chan struct{}
	once  sync.Once
	state string // "", "refuse", "silent"
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.shut) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func newPipes(g *gateway, hosts ...string) *pipes {
	p := &pipes{hosts: map[string]*pipeListener{}}
	for _, h := range hosts {
		l := &pipeListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		p.hosts[h+":443"] = l
		g.serve(l)
	}
	return p
}

func (p *pipes) set(host, state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts[host+":443"].state = state
}

func (p *pipes) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	p.mu.Lock()
	p.dials = append(p.dials, addr)
	l, wrap := p.hosts[addr], p.wrap
	state := l.state
	p.mu.Unlock()
	switch state {
	case "refuse":
		return nil, &net.OpError{Op: "dial", Err: io.ErrClosedPipe}
	case "silent":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
	case <-l.shut:
		return nil, net.ErrClosed
	}
	if wrap != nil {
		return wrap(ours), nil
	}
	return ours, nil
}

func testConfig(g *gateway, dial func(context.Context, string, string) (net.Conn, error), hosts ...string) Config {
	addresses := make([]string, len(hosts))
	for i, h := range hosts {
		addresses[i] = "https://" + h
	}
	return Config{Hosts: addresses, RootCAs: g.roots, Merchant: testMerchant(), SerialNo: testSerial, PrivateKey: merchantKey(),
		APIv3Key: []byte(testAPIv3Key), Dial: dial}
}

func testMerchant() payflow.Merchant {
	return payflow.Merchant{Mode: payflow.Institution, AppID: "wx2421b1c4370ec43b", MerchantID: "10000100", SubMerchantID: "20000100", CategoryCode: "4111"}
}

func newClient(t *testing.T, config Config) *Client {
	t.Helper()
	c, err := New(config)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// inTown returns a gateway on one host and a client that has had its first round trip. It is for use in a bubble.
func inTown(t *testing.T) (*gateway, *Client) {
	t.Helper()
	g := newGateway(t)
	c := newClient(t, testConfig(g, newPipes(g, firstHost).dial, firstHost))
	require.NoError(t, c.FirstRoundTrip(t.Context()))
	return g, c
}

func testOrder() payflow.Order {
	return payflow.Order{OutTradeNo: "SZTX001T1A1", Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, Tag: "ABCDEFGH01234567", Merchant: testMerchant(),
		API: payflow.APIv3, Description: "Image Store - QQ Doll", Store: payflow.Store{ID: "SZTX001", Name: "Tencent Building", Address: "Nanshan", Till: "T1"}}
}

func testAuthCode(t *testing.T) payflow.AuthCode {
	code, err := payflow.ParseAuthCode(testCode, "", nil)
	require.NoError(t, err)
	return code
}

func paidBody(o payflow.Order) string {
	return tradeBody(o, "SUCCESS")
}

func tradeBody(o payflow.Order, state string) string {
	text, _ := json.Marshal(map[string]any{"id": "1008450740201411110005820873", "sp_appid": o.Merchant.AppID, "sp_mchid": o.Merchant.MerchantID,
		"sub_mchid": o.Merchant.SubMerchantID, "out_trade_no": o.OutTradeNo, "trade_state": state, "attach": o.Tag.Attach(o.Attach),
		"amount": map[string]any{"total": o.Amount.Minor, "currency": o.Amount.Currency, "payer_total": 1100, "payer_currency": "CNY",
			"exchange_rate": map[string]any{"type": "SETTLEMENT_RATE", "rate": 8000000}}, "success_time": "2018-06-08T10:34:56+08:00", "bank_type": "CCB_DEBIT"})
	return string(text)
}

func lostOf(t *testing.T, err error) payflow.Lost {
	t.Helper()
	var l *payflow.LostError
	require.ErrorAs(t, err, &l)
	return l.Lost
}

func gone() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
