package wxsim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

const (
	certificateAge  = 24 * time.Hour           // certificates were issued a day ago, so that a clock a little behind accepts them
	certificateLife = 5 * 365 * 24 * time.Hour // from now on
	serialBytes     = 20                       // 40 hex digits: a certificate issued by the CA (API certificates, differences)
)

// authority issues certificates under a root of its own.
type authority struct {
	root *x509.Certificate
	pem  []byte
	key  crypto.Signer
}

// newAuthority makes a root that has the issuer name of the documents' CA.
func newAuthority(name string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", name, err)
	}
	root := &x509.Certificate{SerialNumber: newSerial(), Subject: pkix.Name{CommonName: name, Organization: []string{"Tenpay.com"}},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	a := &authority{root: root, key: key}
	issued, err := a.issue(root, key.Public(), now)
	if err != nil {
		return nil, err
	}
	a.root, a.pem = issued, certificatePEM(issued)
	return a, nil
}

// pool holds the root alone.
func (a *authority) pool() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(a.root)
	return roots
}

// issue signs a certificate that is valid from a day before now until five years after.
func (a *authority) issue(template *x509.Certificate, public crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	template.NotBefore, template.NotAfter = now.Add(-certificateAge), now.Add(certificateLife)
	if template.SerialNumber == nil {
		template.SerialNumber = newSerial()
	}
	text, err := x509.CreateCertificate(rand.Reader, template, a.root, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate to %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(text)
}

// gatewayNames are what a client may call the gateway: loopback, and the hosts of the documents.
func gatewayNames() []string {
	return []string{"localhost", "127.0.0.1", "::1", "apihk.mch.weixin.qq.com", "api.mch.weixin.qq.com", "api2.mch.weixin.qq.com", "apius.mch.weixin.qq.com"}
}

// web issues the gateway's TLS certificate for the given names and addresses.
func (a *authority) web(names []string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the gateway's TLS key: %w", err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	issued, err := a.issue(template, key.Public(), now)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{issued.Raw}, PrivateKey: key, Leaf: issued}, nil
}

// newSerial returns a random number of exactly 40 hex digits that fits the 20 bytes that X.509 allows.
func newSerial() *big.Int {
	raw := make([]byte, serialBytes)
	rand.Read(raw)
	raw[0] = raw[0]&0x6f | 0x10
	return new(big.Int).SetBytes(raw)
}

// serialOf prints a serial as the platform does: upper-case hex.
func serialOf(c *x509.Certificate) string { return strings.ToUpper(c.SerialNumber.Text(16)) }

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
