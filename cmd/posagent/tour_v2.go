package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"posagent/wxsim"
)

// withoutCertificate: over API v2, WeChat Pay takes no payment back and refunds none for whom does not show the merchant's
// certificate.
func (t *tour) withoutCertificate(ctx context.Context, _ *trialTill, s *telling) error {
	before := t.trial.sim.Books().Uncertified
	for _, call := range []struct {
		name wxsim.Call
		path string
	}{{wxsim.Reverse, "/secapi/pay/reverse"}, {wxsim.Refund, "/secapi/pay/refund"}} {
		said, err := t.trial.postBare(ctx, call.path)
		if err != nil {
			return err
		}
		s.say("somebody asks for a %s without the merchant's certificate; WeChat Pay: %s", call.name, said)
		if refused := t.trial.sim.Books().Uncertified[call.name] - before[call.name]; refused != 1 || !strings.HasPrefix(said, "400 ") {
			return fmt.Errorf("a %s without a certificate was answered %s", call.name, said)
		}
	}
	return nil
}

// postBare sends an empty order over verified TLS with no client certificate, and returns status and title of what came.
func (t *trial) postBare(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	credentials, err := t.sim.Credentials("")
	if err != nil {
		return "", err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: credentials.Roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+path, bytes.NewBufferString("<xml></xml>"))
	if err != nil {
		return "", err
	}
	got, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return "", err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(io.LimitReader(got.Body, 4096))
	if err != nil {
		return "", err
	}
	_, title, _ := strings.Cut(string(body), "<title>")
	title, _, _ = strings.Cut(title, "</title>")
	return fmt.Sprintf("%d %s", got.StatusCode, strings.TrimPrefix(title, "400 ")), nil
}
