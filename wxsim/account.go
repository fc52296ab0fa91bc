package wxsim

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"
)

const (
	apiv3KeyBytes = 32 // AES-256
	apiv2KeyBytes = 32 // as the merchant platform asks for
)

// account is a merchant with what it holds towards WeChat Pay.
type account struct {
	Merchant
	certificate *x509.Certificate
	serial      string

	accepted []merchantCertificate // the one above among them
}

// openAccount gives a merchant a certificate and the secrets that he has not brought along.
func openAccount(m Merchant, by *authority, now time.Time) (*account, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if err := orMake(&m.Key); err != nil {
		return nil, err
	}
	if m.APIv3Key == "" {
		m.APIv3Key = randomText(apiv3KeyBytes)
	}
	if m.APIv2Key == "" {
		m.APIv2Key = randomText(apiv2KeyBytes)
	}
	a := &account{Merchant: m}
	first, err := a.certify(m.Key, by, now)
	if err != nil {
		return nil, err
	}
	a.accepted = []merchantCertificate{first}
	a.take(first)
	return a, nil
}

func keyPEM(key *rsa.PrivateKey) ([]byte, error) {
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), nil
}
