package wxclient

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// The two benchmarks make the same warm, signed and verified pay call: ours, and one by net/http alone with our own
// signing. Compare their ns/op and allocs/op; both count the gateway's share too, which is the same.

func benchGateway(b *testing.B) (*Client, string) {
	g := newGateway(&testing.T{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go g.server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{g.webCert}}))
	b.Cleanup(func() { g.server.Close() })
	g.always(reply{status: 200, body: paidBody(testOrder())})
	c, err := New(testConfig(g, nil, l.Addr().String()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	if err := c.FirstRoundTrip(b.Context()); err != nil {
		b.Fatal(err)
	}
	return c, l.Addr().String()
}

func BenchmarkPay(b *testing.B) {
	c, _ := benchGateway(b)
	code := testAuthCode(&testing.T{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Pay(b.Context(), testOrder(), code, gone()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPayByNetHTTP(b *testing.B) {
	c, addr := benchGateway(b)
	code := testAuthCode(&testing.T{})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: c.dialer.tls, MaxIdleConns: 1}}
	b.ReportAllocs()
	for b.Loop() {
		body, err := c.payBody(testOrder(), code)
		if err != nil {
			b.Fatal(err)
		}
		authorization, err := c.signers.now().authorization(request{method: http.MethodPost, target: payTarget, body: body}, c.Now())
		if err != nil {
			b.Fatal(err)
		}
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "https://"+addr+payTarget, strings.NewReader(string(body)))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", authorization)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json")
		got, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		text, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		a := answer{status: got.StatusCode, header: got.Header, body: text, host: c.hosts.all[0], sentAt: c.Now(), gotAt: c.Now()}
		if err := c.verifyOnce(a); err != nil {
			b.Fatal(err)
		}
		if _, err := payOutcome(testOrder(), a); err != nil {
			b.Fatal(err)
		}
	}
}
