package wxsim

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
)

// The files that WriteCredentials writes, by the names that WeChat Pay's merchant platform and certificate tool use.
const (
	CertificateFile = "apiclient_cert.pem"
	KeyFile         = "apiclient_key.pem"
	APIv3KeyFile    = "api_v3_key"
	APIv2KeyFile    = "api_v2_key"
	PKCS12File      = "apiclient_cert.p12" // certificate and key in one; its password is the merchant number
	CAFile          = "ca.pem"             // the root to trust for TLS: the simulator is nobody's public authority
)

// Credentials are what a merchant's installer holds in his hands.
type Credentials struct {
	Mode          Mode
	AppID         string
	MerchantID    string
	SubMerchantID string // "" in direct mode
	CategoryCode  string
	Serial        string // of the certificate, 40 upper-case hex digits
	APIv3Key      string // 32 bytes
	APIv2Key      string // 32 characters
	PKCS12        []byte // certificate, key and CA; the password is MerchantID (API Rules, merchant certificate)
	Certificate   []byte // PEM
	PrivateKey    []byte // PEM, PKCS #8
	CA            []byte // PEM, the root that issued the gateway's TLS certificate
	Key           *rsa.PrivateKey
	Roots         *x509.CertPool

	PublicKeyID string // of WeChat Pay's public key: PUB_KEY_ID_ and 32 digits
	PublicKey   []byte // PEM, SubjectPublicKeyInfo
}

// Credentials returns those of a merchant; "" is the first one.
func (s *Sim) Credentials(merchantID string) (Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.account(merchantID)
	if err != nil {
		return Credentials{}, err
	}
	return s.credentials(a, a.accepted[0])
}

// V3Credentials returns those of a merchant without the packed file (PKCS12), which API v3 has no use for and whose making takes milliseconds; "" is
// the first one.
func (s *Sim) V3Credentials(merchantID string) (Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.account(merchantID)
	if err != nil {
		return Credentials{}, err
	}
	return s.v3Credentials(a, a.accepted[0])
}

// credentials are those of a merchant with one of his certificates. The caller holds s.mu.
func (s *Sim) credentials(a *account, c merchantCertificate) (Credentials, error) {
	whole, err := s.v3Credentials(a, c)
	if err != nil {
		return Credentials{}, err
	}
	whole.PKCS12, err = c.pkcs12(s.authority)
	return whole, err
}

func (s *Sim) v3Credentials(a *account, c merchantCertificate) (Credentials, error) {
	public, err := s.publicKey.publicKeyPEM()
	if err != nil {
		return Credentials{}, err
	}
	private, err := keyPEM(c.key)
	if err != nil {
		return Credentials{}, err
	}
	return Credentials{Mode: a.Mode, AppID: a.AppID, MerchantID: a.MerchantID, SubMerchantID: a.SubMerchantID, CategoryCode: a.CategoryCode,
		Serial: c.serial, APIv3Key: a.APIv3Key, APIv2Key: a.APIv2Key, Certificate: certificatePEM(c.certificate), PrivateKey: private,
		PublicKeyID: s.publicKey.serial, PublicKey: public,
		CA: append([]byte(nil), s.authority.pem...), Key: c.key, Roots: s.authority.pool()}, nil
}

// WriteCredentials writes the first merchant's certificate and key (PEM, and both as .p12), API keys, the root to trust and WeChat Pay's
// public key into dir, which it makes if need be. Files are readable by their owner alone.
func (s *Sim) WriteCredentials(dir string) error {
	c, err := s.Credentials("")
	if err != nil {
		return err
	}
	return c.Write(dir)
}

// Write writes the files into dir.
func (c Credentials) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	files := []struct {
		name string
		text []byte
	}{{CertificateFile, c.Certificate}, {KeyFile, c.PrivateKey}, {APIv3KeyFile, []byte(c.APIv3Key)}, {APIv2KeyFile, []byte(c.APIv2Key)},
		{PKCS12File, c.PKCS12}, {CAFile, c.CA}}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.text, 0o600); err != nil {
			return fmt.Errorf("write credentials: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, PublicKeyFile), c.PublicKey, 0o600); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	return nil
}
