package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// badLine is a TCP proxy on loopback between a till and simulated WeChat Pay. It ends the till's TLS and begins its own, so that it can
// spoil the line at any byte of a request or an answer, and below TLS too. It has its own authority: to the till it is the gateway.
type badLine struct {
	url      string
	roots    *x509.CertPool
	listener net.Listener
	gateway  string // host:port of the simulator
	upstream *tls.Config
	good     *tls.Config
	wrong    *tls.Config // its certificate is another authority's
	other    *tls.Config // its certificate is another name's

	mu      sync.Mutex // guards all below
	fault   lineFault
	left    int // how often the fault strikes; -1: always
	struck  int
	heard   int // bytes of requests that came out of the till's TLS while the fault stood
	conns   map[net.Conn]bool
	closed  bool
	running sync.WaitGroup
}

// lineFault is a way in which the line goes wrong.
type lineFault string

const (
	soundLine lineFault = ""

	// Before TLS stands: nothing of a call can have left.
	refusedLine   lineFault = "refused"           // nobody takes the connection: it is reset as it comes
	strangerLine  lineFault = "wrong certificate" // of an authority that the till does not trust
	silentLine    lineFault = "silent handshake"  // the connection stands, and nothing comes back
	brokenShake   lineFault = "handshake cut"     // closed behind the first bytes of the handshake
	nobodyByName  lineFault = "name not found"    // the host's name has no address
	strangersName lineFault = "another's name"    // a certificate of the right authority for another name
	nobodyListens lineFault = "nobody listens"    // the port is shut

	// The request is written, and does not arrive whole.
	dropBefore  lineFault = "drop before"  // read, not passed on, closed
	resetBefore lineFault = "reset before" // the same with SO_LINGER 0
	stallBefore lineFault = "stall before" // read, not passed on, and nothing comes back
	cutRequest  lineFault = "request cut"  // half of it is passed on
	badGateway  lineFault = "502"          // not passed on; a web page comes back
	redirected  lineFault = "redirect"     // not passed on; 307 to another address
	loginPage   lineFault = "login page"   // not passed on; 200 and a web page, as in a hotel

	// The request arrives, and the answer comes to grief.
	dropAfter      lineFault = "drop after"
	resetAfter     lineFault = "reset after"
	stallAfter     lineFault = "stall after"
	cutHead        lineFault = "cut in mid-header"
	cutBody        lineFault = "cut in mid-body"
	badGatewayLate lineFault = "502 after"     // carried out; a web page comes back
	dripForEver    lineFault = "drip for ever" // a byte at a time, slower than the till waits
	altered        lineFault = "altered"       // one digit of the signed answer is another

	// The line is slow or talkative, and no harm is done.
	slowDrip lineFault = "slow drip"      // a few bytes at a time, all of them in time
	twice    lineFault = "answered twice" // the same answer again, which nobody asked for
)

// newBadLine listens in front of a simulator. clientCertificate is what it shows there on behalf of a till that has shown its own.
func newBadLine(t testing.TB, gateway string, trusted *x509.CertPool, clientCertificate tls.Certificate) *badLine {
	t.Helper()
	u, err := url.Parse(gateway)
	require.NoError(t, err)
	b := &badLine{gateway: u.Host, conns: map[net.Conn]bool{}, left: -1}
	b.upstream = &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &clientCertificate, nil }}
	authority := newLineAuthority(t)
	b.roots = authority.pool
	b.good, b.wrong = authority.serving(t, "127.0.0.1"), newLineAuthority(t).serving(t, "127.0.0.1")
	b.other = authority.serving(t, "other.example")
	b.listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b.url = "https://" + b.listener.Addr().String()
	b.running.Go(b.accept)
	return b
}

// lineAuthority issues the proxy's certificates.
type lineAuthority struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
	pool *x509.CertPool
}

func newLineAuthority(t testing.TB) *lineAuthority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a line's authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	root, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return &lineAuthority{key, root, pool}
}

func (a *lineAuthority) serving(t testing.TB, name string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, key.Public(), a.key)
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
}

// set makes the line go wrong times times; -1: until it is set anew.
func (b *badLine) set(f lineFault, times int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault, b.left, b.struck, b.heard = f, times, 0, 0
}

// take returns the fault that strikes now, if it is one of these.
func (b *badLine) take(early bool) lineFault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == 0 || b.fault.beforeTLS() != early {
		return soundLine
	}
	if b.left > 0 {
		b.left--
	}
	if b.fault != soundLine {
		b.struck++
	}
	return b.fault
}

func (b *badLine) seen() (struck, heard int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.struck, b.heard
}

// standing returns how many connections are served.
func (b *badLine) standing() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

func (f lineFault) beforeTLS() bool {
	switch f {
	case refusedLine, strangerLine, silentLine, brokenShake, nobodyByName, strangersName, nobodyListens:
		return true
	}
	return false
}

func (b *badLine) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		if b.closed {
			conn.Close()
		}
		b.conns[conn] = true
		b.mu.Unlock()
		b.running.Go(func() {
			b.serve(conn)
			conn.Close()
			b.mu.Lock()
			delete(b.conns, conn)
			b.mu.Unlock()
		})
	}
}

// hangUp closes every connection that stands, so that the next call needs a new one.
func (b *badLine) hangUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.conns {
		conn.Close()
	}
}

func (b *badLine) close() {
	b.listener.Close()
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.hangUp()
	b.running.Wait()
}

func (b *badLine) serve(conn net.Conn) {
	config := b.good
	switch b.take(true) {
	case refusedLine:
		reset(conn)
		return
	case brokenShake:
		_, _ = conn.Read(make([]byte, 64))
		return
	case silentLine:
		_, _ = io.Copy(io.Discard, conn)
		return
	case strangerLine:
		config = b.wrong
	case strangersName:
		config = b.other
	}
	till := tls.Server(conn, config)
	if till.Handshake() != nil {
		return
	}
	upstream := b.upstream
	if len(till.ConnectionState().PeerCertificates) == 0 {
		upstream = b.upstream.Clone()
		upstream.GetClientCertificate = nil
	}
	gateway, err := tls.Dial("tcp", b.gateway, upstream)
	if err != nil {
		return
	}
	defer gateway.Close()
	fromTill, fromGateway := &lineRecorder{from: till}, &lineRecorder{from: gateway}
	in, back := bufio.NewReader(fromTill), bufio.NewReader(fromGateway)
	for b.pass(conn, till, gateway, fromTill, fromGateway, in, back) {
	}
}

// lineRecorder keeps what is read through it.
type lineRecorder struct {
	from io.Reader
	kept bytes.Buffer
}

func (r *lineRecorder) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.kept.Write(p[:n])
	return n, err
}

// pass carries one request there and its answer back, as far as the fault lets it.
func (b *badLine) pass(raw net.Conn, till, gateway *tls.Conn, fromTill, fromGateway *lineRecorder, in, back *bufio.Reader) (again bool) {
	fromTill.kept.Reset()
	request, err := http.ReadRequest(in)
	if err == nil {
		_, err = io.Copy(io.Discard, request.Body)
	}
	if err != nil {
		return false
	}
	whole := fromTill.kept.Bytes()
	b.mu.Lock()
	b.heard += len(whole)
	b.mu.Unlock()
	f := b.take(false)
	if page := f.page(b.url); page != "" && f != badGatewayLate {
		_, err = io.WriteString(till, page)
		return err == nil
	}
	switch f {
	case dropBefore:
		return false
	case resetBefore:
		reset(raw)
		return false
	case stallBefore:
		_, _ = io.Copy(io.Discard, till)
		return false
	case cutRequest:
		_, _ = gateway.Write(whole[:len(whole)/2])
		return false
	}
	fromGateway.kept.Reset()
	if _, err := gateway.Write(whole); err != nil {
		return false
	}
	answer, err := http.ReadResponse(back, request)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
	}
	if err != nil {
		return false
	}
	return b.giveBack(f, raw, till, fromGateway.kept.Bytes())
}

// giveBack writes the answer, or what the fault leaves of it.
func (b *badLine) giveBack(f lineFault, raw net.Conn, till *tls.Conn, answer []byte) (again bool) {
	head := bytes.Index(answer, []byte("\r\n\r\n")) + 4
	var err error
	switch f {
	case dropAfter:
		return false
	case resetAfter:
		reset(raw)
		return false
	case stallAfter:
		_, _ = io.Copy(io.Discard, till)
		return false
	case cutHead:
		_, _ = till.Write(answer[:head/2])
		return false
	case cutBody:
		_, _ = till.Write(answer[:min(head+(len(answer)-head)/2, len(answer)-1)])
		return false
	case badGatewayLate:
		_, err = io.WriteString(till, f.page(b.url))
	case dripForEver:
		err = drip(till, answer, 1, 20*time.Millisecond)
	case slowDrip:
		err = drip(till, answer, 1+len(answer)/20, time.Millisecond)
	case altered:
		_, err = till.Write(alter(answer, head))
	case twice:
		_, err = till.Write(append(bytes.Clone(answer), answer...))
	default:
		_, err = till.Write(answer)
	}
	return err == nil
}

// page is what some box on the way answers by itself.
func (f lineFault) page(elsewhere string) string {
	const web = "<html><body>Please sign in</body></html>\n"
	switch f {
	case badGateway, badGatewayLate:
		return "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 41\r\n\r\n" + web
	case redirected:
		return "HTTP/1.1 307 Temporary Redirect\r\nLocation: " + elsewhere + "/elsewhere\r\nContent-Length: 0\r\n\r\n"
	case loginPage:
		return "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 41\r\n\r\n" + web
	}
	return ""
}

// drip writes a few bytes at a time.
func drip(to io.Writer, answer []byte, bytesEach int, pause time.Duration) error {
	for len(answer) > 0 {
		n := min(bytesEach, len(answer))
		if _, err := to.Write(answer[:n]); err != nil {
			return err
		}
		answer = answer[n:]
		time.Sleep(pause)
	}
	return nil
}

// alter makes one digit of the body another, or of the signature where there is no body.
func alter(answer []byte, head int) []byte {
	other := bytes.Clone(answer)
	from := head
	if head >= len(other) {
		from = bytes.Index(bytes.ToLower(other), []byte("wechatpay-signature:")) + len("wechatpay-signature:")
	}
	for i := from; i < len(other); i++ {
		if other[i] >= '0' && other[i] <= '9' {
			other[i] = '0' + (other[i]-'0'+1)%10
			return other
		}
	}
	return other[:len(other)-1]
}

// reset closes a connection with RST.
func reset(conn net.Conn) {
	if tcp, is := conn.(*net.TCPConn); is {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// nameServer answers every question with "no such name", on loopback.
func nameServer(t testing.TB) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		question := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(question)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil || n < 12 {
				continue
			}
			answer := bytes.Clone(question[:n])
			answer[2], answer[3] = 0x81, 0x83 // an answer; no such name
			answer[10], answer[11] = 0, 0     // nothing beside the question
			end := 12
			for end < n && answer[end] != 0 {
				end += int(answer[end]) + 1
			}
			_, _ = conn.WriteTo(answer[:min(end+5, n)], from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	dialer := &net.Dialer{}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}
