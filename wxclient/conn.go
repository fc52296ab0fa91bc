package wxclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"posagent/payflow"
)

// The bounds of rule 1, and those of a connection.
const (
	connectLimit    = 3 * time.Second / payflow.Pace // connect and TLS, each host
	connectLimitAll = 6 * time.Second / payflow.Pace // connect and TLS, all hosts of one pay call
	keepAliveIdle   = time.Second                    // a pulled cable shows after idle + probes x interval
	keepAliveEvery  = time.Second
	keepAliveProbes = 2
	proxyAnswerMax  = 8 << 10 // bytes of a proxy's answer to CONNECT
)

// dialer opens verified TLS connections.
type dialer struct {
	tls   *tls.Config
	proxy *url.URL
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
}

func newDialer(config LineConfig, clock *clock) (dialer, error) {
	d := dialer{dial: config.Dial, tls: &tls.Config{
		RootCAs:    config.RootCAs,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		Time:       clock.Now,
		// A request is one record and one Write, not a first packet of it and a rest.
		DynamicRecordSizingDisabled: true,
		// No session cache: a warm connection saves more than resuming does, and each connection verifies anew.
	}}
	if d.dial == nil {
		d.dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	if config.Proxy == "" {
		return d, nil
	}
	proxy, err := url.Parse(config.Proxy)
	if err != nil || proxy.Scheme != "http" || proxy.Hostname() == "" || proxy.Port() == "" {
		return d, errors.New("proxy: write it as \"http://host:port\"") // the text may hold a password, so it is not shown
	}
	d.proxy = proxy
	return d, nil
}

// showing returns a dialer that shows this certificate whenever a gateway asks for one. Left to itself, crypto/tls sends one
// only if it fits the authorities that the gateway names, and WeChat Pay's list need not name the merchant's.
func (d dialer) showing(certificate func() (*tls.Certificate, error)) dialer {
	d.tls = d.tls.Clone()
	d.tls.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate() }
	return d
}

// open connects to h and shakes hands, within 3 s. From then on every Write under TLS is counted.
func (d dialer) open(ctx context.Context, h *host) (*countedConn, *tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	raw, err := d.connect(ctx, h)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", h.name, err)
	}
	tune(raw)
	counted := &countedConn{Conn: raw}
	config := d.tls.Clone()
	config.ServerName = h.server
	secure := tls.Client(counted, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, nil, fmt.Errorf("shake hands with %s: %w", h.name, err)
	}
	counted.counting.Store(true)
	return counted, secure, nil
}

func (d dialer) connect(ctx context.Context, h *host) (net.Conn, error) {
	if d.proxy == nil {
		return d.dial(ctx, "tcp", h.addr)
	}
	conn, err := d.dial(ctx, "tcp", d.proxy.Host)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = d.askProxy(conn, h)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return conn, nil
}

func (d dialer) askProxy(conn net.Conn, h *host) error {
	text := "CONNECT " + h.addr + " HTTP/1.1\r\nHost: " + h.addr + "\r\n"
	if user := d.proxy.User; user != nil {
		password, _ := user.Password()
		text += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)) + "\r\n"
	}
	if _, err := conn.Write([]byte(text + "\r\n")); err != nil {
		return err
	}
	// One byte at a time: what follows the answer belongs to TLS.
	read := bufio.NewReaderSize(&oneByte{conn: conn, left: proxyAnswerMax}, 16)
	got, err := http.ReadResponse(read, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %d to CONNECT", got.StatusCode)
	}
	return nil
}

// oneByte reads one byte at a time, up to a bound.
type oneByte struct {
	conn net.Conn
	left int
}

func (o *oneByte) Read(p []byte) (int, error) {
	if o.left--; o.left < 0 {
		return 0, errors.New("its answer is too long")
	}
	return o.conn.Read(p[:min(1, len(p))])
}

// countedConn is the connection under TLS. It counts the Writes after the handshake before they are made: as long as
// there is none, nothing of a call can have left (rule 2).
type countedConn struct {
	net.Conn
	counting atomic.Bool
	writes   atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	if c.counting.Load() {
		c.writes.Add(1)
	}
	return c.Conn.Write(p)
}

// tune makes closing throw away what the kernel still holds instead of delivering it later, and makes a dead peer
// show within about three seconds. Connections that are not TCP (tests) have neither.
func tune(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tcp.SetLinger(0)
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveEvery, Count: keepAliveProbes})
}

func joinPort(name, port string) string { return net.JoinHostPort(name, port) }
