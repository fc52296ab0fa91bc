package v2

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/xml"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
)

// These tests have a gateway of their own, smaller and ruder than wxsim: it answers what a test tells it to, and counts what arrives. It
// signs as the documents say, with code that the client does not share.

const (
	testKey    = "192006250b4c09247ec02edce69f6a2d" // the document's example
	testCode   = "134650720866361395"
	firstHost  = "first.test"
	secondHost = "second.test"
)

var (
	webKey      = sync.OnceValue(newKey)
	merchantKey = sync.OnceValue(newKey)
)

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// reply is one scripted answer. The zero seal is a good sign, MD5 unless the request was signed otherwise.
type reply struct {
	status int               // 0: 200
	with   map[string]string // the elements, beside return_code, the ids and nonce_str
	raw    string            // instead of elements
	seal   string            // "", "none", "forged", "md5", "another key"
	nonce  string
	header map[string]string
	drop   bool // hang up instead
	hang   bool // never answer
}

type arrival struct {
	path, host string
	body       string
	with       map[string]string
	shown      bool // the merchant's certificate
	shownBy    string
	header     http.Header
}

type gateway struct {
	t       *testing.T
	roots   *x509.CertPool
	webCert tls.Certificate
	answer  func(a arrival) reply
	mute    bool
	demand  tls.ClientAuthType

	mu       sync.Mutex // guards answer, mute and all below
	arrivals []arrival
	server   *http.Server
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{t: t, demand: tls.RequestClientCert}
	g.webCert, g.roots = selfSigned(t, "gateway", webKey())
	g.answer = func(arrival) reply { return refusal("ORDERNOTEXIST") }
	g.server = &http.Server{Handler: g, ErrorLog: log.New(io.Discard, "", 0)}
	t.Cleanup(func() { g.server.Close() })
	return g
}

func selfSigned(t *testing.T, name string, key *ecdsa.PrivateKey) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{firstHost, secondHost},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(1000 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	text, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(text)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{text}, PrivateKey: key}, roots
}

// serve takes connections from l until the test ends. It asks for a client certificate of an authority that issued none, as a gateway
// may: crypto/tls left to itself would then send none.
func (g *gateway) serve(l net.Listener) {
	go g.server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{g.webCert}, ClientAuth: g.demand, ClientCAs: g.roots}))
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	a := arrival{path: r.Method + " " + r.URL.RequestURI(), host: r.Host, body: string(body), with: elements(g.t, body), shown: len(r.TLS.PeerCertificates) > 0, header: r.Header.Clone()}
	if a.shown {
		a.shownBy = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	g.mu.Lock()
	g.arrivals = append(g.arrivals, a)
	answer, mute := g.answer, g.mute
	g.mu.Unlock()
	if mute {
		<-r.Context().Done()
		return
	}
	if want := signOf(a.with, testKey, len(a.with["sign"]) == 64); a.with["sign"] != want {
		g.t.Errorf("the request's sign is %s, not %s", a.with["sign"], want)
	}
	if strings.Contains(a.path, "/secapi/") != a.shown {
		g.t.Errorf("%s: certificate shown: %v", a.path, a.shown)
	}
	g.write(w, r, a, answer(a))
}

func (g *gateway) write(w http.ResponseWriter, r *http.Request, a arrival, p reply) {
	if p.drop {
		panic(http.ErrAbortHandler)
	}
	if p.hang {
		<-r.Context().Done()
		return
	}
	for name, value := range p.header {
		w.Header().Set(name, value)
	}
	if p.status != 0 {
		w.WriteHeader(p.status)
	}
	_, _ = io.WriteString(w, p.text(a))
}

// text returns the whole answer, signed as the request was.
func (p reply) text(a arrival) string {
	if p.raw != "" || p.with == nil {
		return p.raw
	}
	with := map[string]string{"return_code": "SUCCESS", "return_msg": "OK", "appid": testMerchant().AppID, "mch_id": testMerchant().MerchantID,
		"sub_mch_id": testMerchant().SubMerchantID, "nonce_str": rand.Text(), "a_new_field": "of next year"}
	for name, value := range p.with {
		with[name] = value
	}
	if p.nonce != "" {
		with["nonce_str"] = p.nonce
	}
	byHMAC := a.with["sign_type"] == "HMAC-SHA256" && p.seal != "md5"
	switch p.seal {
	case "", "md5":
		with["sign"] = signOf(with, testKey, byHMAC)
	case "another key":
		with["sign"] = signOf(with, "another key altogether", byHMAC)
	case "forged":
		with["sign"] = signOf(with, testKey, byHMAC)
		with["total_fee"] += "1"
	}
	return xmlOf("xml", with)
}

func xmlOf(root string, with map[string]string) string {
	names := make([]string, 0, len(with))
	for name := range with {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString("<" + root + ">\n")
	for _, name := range names {
		b.WriteString("  <" + name + "><![CDATA[" + with[name] + "]]></" + name + ">\n")
	}
	b.WriteString("</" + root + ">")
	return b.String()
}

// signOf signs as seed 001 says.
func signOf(with map[string]string, key string, byHMAC bool) string {
	var pairs []string
	for name, value := range with {
		if name != "sign" && value != "" {
			pairs = append(pairs, name+"="+value)
		}
	}
	sort.Strings(pairs)
	text := strings.Join(pairs, "&") + "&key=" + key
	if byHMAC {
		mac := hmac.New(sha256.New, []byte(key))
		io.WriteString(mac, text)
		return fmt.Sprintf("%X", mac.Sum(nil))
	}
	return fmt.Sprintf("%X", md5.Sum([]byte(text)))
}

// elements reads a request as any XML reader would.
func elements(t *testing.T, body []byte) map[string]string {
	var root struct {
		All []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(body, &root); err != nil {
		t.Errorf("the request is no XML: %v", err)
	}
	with := map[string]string{}
	for _, e := range root.All {
		with[e.XMLName.Local] = e.Text
	}
	return with
}

func (g *gateway) script(answer func(a arrival) reply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

func (g *gateway) always(p reply) { g.script(func(arrival) reply { return p }) }

func (g *gateway) setMute(mute bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mute = mute
}

// count returns how many whole requests arrived at a path.
func (g *gateway) count(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, a := range g.arrivals {
		if a.path == "POST "+path {
			n++
		}
	}
	return n
}

func (g *gateway) last() arrival {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.arrivals[len(g.arrivals)-1]
}

func refusal(code string) reply {
	return reply{with: map[string]string{"result_code": "FAIL", "err_code": code, "err_code_des": "WeChat Pay's own words"}}
}

// paid is the answer to a micropay call, or with a state the one to a query.
func paid(o payflow.Order, state string) reply {
	with := map[string]string{"result_code": "SUCCESS", "openid": "oUpF8uMEb4qRXf22hE3X68TekukE", "is_subscribe": "N", "trade_type": "MICROPAY", "bank_type": "CCB_DEBIT",
		"fee_type": string(o.Amount.Currency), "total_fee": fmt.Sprint(o.Amount.Minor), "cash_fee": "1100", "cash_fee_type": "CNY", "rate": "89000000",
		"transaction_id": "1008450740201411110005820873", "out_trade_no": string(o.OutTradeNo), "attach": o.Tag.Attach(o.Attach), "time_end": "20141111170043"}
	if state != "" {
		with["trade_state"], with["trade_state_desc"] = state, "in words"
	}
	return reply{with: with}
}

// pipes is a network of net.Pipe, for bubbles in which time is fake. A host can be cut off.
type pipes struct {
	mu    sync.Mutex
	hosts map[string]*pipeListener
	dials int
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
	p.dials++
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

func testConfig(t *testing.T, g *gateway, dial func(context.Context, string, string) (net.Conn, error), hosts ...string) Config {
	addresses := make([]string, len(hosts))
	for i, h := range hosts {
		addresses[i] = "https://" + h
	}
	certificate, _ := selfSigned(t, testMerchant().MerchantID, merchantKey())
	return Config{Hosts: addresses, RootCAs: g.roots, Merchant: testMerchant(), APIKey: testKey, Certificate: certificate, Dial: dial}
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
func inTown(t *testing.T, change ...func(*Config)) (*gateway, *Client) {
	t.Helper()
	g := newGateway(t)
	config := testConfig(t, g, newPipes(g, firstHost).dial, firstHost)
	for _, do := range change {
		do(&config)
	}
	c := newClient(t, config)
	require.NoError(t, c.FirstRoundTrip(t.Context()))
	return g, c
}

// told collects conditions.
type told struct {
	mu  sync.Mutex
	all []wxclient.Condition
}

func (s *told) hear(c wxclient.Condition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, c)
}

// stands returns the last condition of a kind that is not over.
func (s *told) stands(kind wxclient.ConditionKind) *wxclient.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last *wxclient.Condition
	for _, c := range s.all {
		if c.Kind == kind {
			last = &c
		}
	}
	if last != nil && last.Over {
		return nil
	}
	return last
}

func testOrder() payflow.Order {
	return payflow.Order{OutTradeNo: "SZTX001T1A1", Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, Tag: "ABCDEFGH01234567", Merchant: testMerchant(),
		API: payflow.APIv2, Description: "Image Store - QQ Doll", Store: payflow.Store{ID: "SZTX001", Name: "Tencent Building", Address: "Nanshan", Till: "T1", DeviceIP: "192.0.2.7"}}
}

func testRefund() payflow.RefundOrder {
	o := testOrder()
	return payflow.RefundOrder{OutRefundNo: "SZTX001T1A1-1", OutTradeNo: o.OutTradeNo, Merchant: o.Merchant, API: o.API, Total: o.Amount,
		Amount: payflow.Amount{Minor: 250, Currency: "HKD"}, Reason: "one doll back", NotifyURL: "https://store.example/notify"}
}

func testAuthCode(t *testing.T) payflow.AuthCode {
	code, err := payflow.ParseAuthCode(testCode, "", nil)
	require.NoError(t, err)
	return code
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
