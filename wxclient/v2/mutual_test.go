package v2

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
)

func TestOnRealSocketsTheCertificateIsDemandedAndShown(t *testing.T) {
	g := newGateway(t)
	g.demand = tls.RequireAnyClientCert // on this whole host, as WeChat Pay does for /secapi
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.serve(l)
	c := newClient(t, testConfig(t, g, nil, l.Addr().String()))
	g.always(reply{with: map[string]string{"result_code": "SUCCESS", "recall": "N"}})
	outcome, err := c.Reverse(t.Context(), testOrder())
	require.NoError(t, err)
	assert.Equal(t, payflow.ReverseDone, outcome.Kind)
	_, err = c.Query(t.Context(), testOrder())
	lostOf(t, err)
	assert.Zero(t, g.count(queryPath), "a call that shows none is turned away before it arrives")
}

// TestOpenSSLAcceptsOurMutualTLS has openssl's own server demand the certificate and verify it by the merchant's authority, under both
// versions of TLS. It names an authority in its request that issued nothing.
func TestOpenSSLAcceptsOurMutualTLS(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed, and CI must judge mutual TLS by it")
		}
		t.Skip("openssl is not installed: mutual TLS is not judged by it")
	}
	authority := newAuthority(t)
	merchant := authority.issue(t, "the merchant of this test")
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			server := startOpenSSL(t, openssl, authority, version)
			config := testConfig(t, newGateway(t), nil, server.addr)
			config.RootCAs, config.Certificate, config.QueryTimeout = authority.pool(), merchant, time.Second
			c := newClient(t, config)
			_, _ = c.Reverse(t.Context(), testOrder()) // it answers nothing that we would believe
			assert.Eventually(t, func() bool { return strings.Contains(server.said(), "<out_trade_no>SZTX001T1A1</out_trade_no>") }, 5*time.Second, 20*time.Millisecond,
				"the call arrived: %s", server.said())
			assert.Contains(t, server.said(), "POST "+reversePath+" HTTP/1.1")
			assert.Contains(t, server.said(), "the merchant of this test", "the certificate that it was shown")
		})
		t.Run(version+" of a stranger", func(t *testing.T) {
			server := startOpenSSL(t, openssl, authority, version)
			config := testConfig(t, newGateway(t), nil, server.addr) // its certificate signs itself
			config.RootCAs, config.QueryTimeout = authority.pool(), time.Second
			var told told
			config.OnCondition = told.hear
			c := newClient(t, config)
			require.ErrorContains(t, c.TryCertificate(t.Context()), "does not take the merchant certificate")
			assert.NotNil(t, told.stands(CertificateRefused))
			assert.Nil(t, told.stands(wxclient.GatewayUnreachable), "the network is as it should be")
			assert.Empty(t, c.State().HostsAside)
			_, err := c.Reverse(t.Context(), testOrder())
			lostOf(t, err)
			assert.NotContains(t, server.said(), reversePath)
		})
	}
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key := newKey()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	text, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(text)
	require.NoError(t, err)
	return authority{parsed, key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func (a authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	text, err := x509.CreateCertificate(rand.Reader, c, a.certificate, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{text}, PrivateKey: key}
}

// opensslServer is "openssl s_server", and what it has printed.
type opensslServer struct {
	addr string
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (s *opensslServer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *opensslServer) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func startOpenSSL(t *testing.T, openssl string, a authority, version string) *opensslServer {
	t.Helper()
	folder := t.TempDir()
	server := a.issue(t, "gateway")
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	require.NoError(t, err)
	writePEM(t, filepath.Join(folder, "server.pem"), "CERTIFICATE", server.Certificate[0])
	writePEM(t, filepath.Join(folder, "server.key"), "PRIVATE KEY", key)
	writePEM(t, filepath.Join(folder, "authority.pem"), "CERTIFICATE", a.certificate.Raw)
	named, _ := selfSigned(t, "named, and issues nothing", webKey())
	writePEM(t, filepath.Join(folder, "named.pem"), "CERTIFICATE", named.Certificate[0])
	s := &opensslServer{addr: "127.0.0.1:" + strconv.Itoa(freePort(t))}
	command := exec.Command(openssl, "s_server", "-accept", s.addr, "-cert", filepath.Join(folder, "server.pem"), "-key", filepath.Join(folder, "server.key"),
		"-verifyCAfile", filepath.Join(folder, "authority.pem"), "-CAfile", filepath.Join(folder, "named.pem"), "-Verify", "2", "-verify_return_error", version)
	command.Stdout, command.Stderr = s, s
	held, err := command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = held.Close()
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	require.Eventually(t, func() bool { return strings.Contains(s.said(), "ACCEPT") }, 10*time.Second, 10*time.Millisecond, "openssl did not start")
	return s
}

func writePEM(t *testing.T, file, kind string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: text}), 0o600))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
