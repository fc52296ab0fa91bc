package wxclient

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	sealAlgorithm   = "AEAD_AES_256_GCM"
	certificatesMax = 64 // WeChat Pay holds a few at a time
)

// PlatformCertificate is one of WeChat Pay's own, with which it signs answers.
type PlatformCertificate struct {
	Serial    string // upper-case hex
	NotBefore time.Time
	NotAfter  time.Time // the earlier of the certificate's own and of the expire_time that WeChat Pay gave
}

// platformCertificate is one with its key, and sealed as it came.
type platformCertificate struct {
	PlatformCertificate
	key    *rsa.PublicKey
	sealed sealedCertificate
}

// certificates are the platform certificates held, by serial: several at a time, because a new one appears before the
// old one goes. WeChat Pay's public key may be held beside them: an answer's Wechatpay-Serial says which of all it is signed with.
type certificates struct {
	file           string
	merchantSerial string
	publicID       string         // of the public key, as configured; empty: none
	public         *rsa.PublicKey // it does not expire

	mu   sync.RWMutex // guards held
	held map[string]platformCertificate
}

// key returns the public key for a serial, or an error where none that is valid now is held.
func (s *certificates) key(serial string, now time.Time) (*rsa.PublicKey, error) {
	if key, named := s.publicKey(serial); named {
		return key, nil
	}
	s.mu.RLock()
	held, ok := s.held[serial]
	s.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("platform certificate %.40s is not held", serial)
	}
	return held.keyAt(now)
}

func (p platformCertificate) keyAt(now time.Time) (*rsa.PublicKey, error) {
	switch {
	case now.Before(p.NotBefore):
		return nil, fmt.Errorf("platform certificate %s is valid only from %s on", p.Serial, p.NotBefore.UTC().Format(time.DateTime))
	case now.After(p.NotAfter):
		return nil, fmt.Errorf("platform certificate %s expired on %s", p.Serial, p.NotAfter.UTC().Format(time.DateTime))
	}
	return p.key, nil
}

// add takes fresh certificates, drops what has expired, and reports whether the set differs from before.
func (s *certificates) add(fresh []platformCertificate, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = make(map[string]platformCertificate)
	}
	changed := false
	for _, p := range fresh {
		old, had := s.held[p.Serial]
		changed = changed || !had || !old.NotAfter.Equal(p.NotAfter)
		s.held[p.Serial] = p
	}
	for serial, p := range s.held {
		if now.After(p.NotAfter) && len(s.held) > 1 {
			delete(s.held, serial)
			changed = true
		}
	}
	return changed
}

// list returns what is held, the one that lasts longest first.
func (s *certificates) list() []PlatformCertificate {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]PlatformCertificate, 0, len(s.held))
	for _, p := range s.held {
		all = append(all, p.PlatformCertificate)
	}
	slices.SortFunc(all, func(a, b PlatformCertificate) int { return b.NotAfter.Compare(a.NotAfter) })
	return all
}

func (s *certificates) sealed() []sealedCertificate {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]sealedCertificate, 0, len(s.held))
	for _, p := range s.held {
		all = append(all, p.sealed)
	}
	slices.SortFunc(all, func(a, b sealedCertificate) int { return strings.Compare(a.SerialNo, b.SerialNo) })
	return all
}

// sealedCertificates is the answer of the certificates call; sealedCertificate is one item of it.
type sealedCertificates struct {
	Data []sealedCertificate `json:"data"`
}

type sealedCertificate struct {
	SerialNo   string     `json:"serial_no"`
	ExpireTime string     `json:"expire_time,omitempty"`
	Encrypted  sealedText `json:"encrypt_certificate"`
}

type sealedText struct {
	Algorithm      string `json:"algorithm"`
	Nonce          string `json:"nonce"`
	AssociatedData string `json:"associated_data"`
	Ciphertext     string `json:"ciphertext"`
}

// errWrongAPIv3Key is what a seal that does not open nearly always means.
var errWrongAPIv3Key = errors.New("the API v3 key does not open WeChat Pay's platform certificates; " +
	"copy the 32-character API v3 key from the merchant platform again (it is not the older API key)")

// openCertificates decodes a certificates answer and opens each item. That a seal opens proves who wrote it: only
// WeChat Pay and the merchant hold the key.
func openCertificates(body, key []byte, merchantSerial string) ([]platformCertificate, error) {
	var wire sealedCertificates
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, fmt.Errorf("read platform certificates: %w", err)
	}
	if len(wire.Data) == 0 || len(wire.Data) > certificatesMax {
		return nil, fmt.Errorf("the answer holds %d platform certificates", len(wire.Data))
	}
	var opened []platformCertificate
	for _, sealed := range wire.Data {
		if sealed.Encrypted.Algorithm != sealAlgorithm {
			continue // a kind of the future; ours are all of this one
		}
		p, err := sealed.open(key, merchantSerial)
		if err != nil {
			return nil, err
		}
		opened = append(opened, p)
	}
	if len(opened) == 0 {
		return nil, errors.New("the answer holds no platform certificate of kind " + sealAlgorithm)
	}
	return opened, nil
}

func (s sealedCertificate) open(key []byte, merchantSerial string) (platformCertificate, error) {
	text, err := unseal(key, s.Encrypted)
	if err != nil {
		return platformCertificate{}, fmt.Errorf("%w (%w)", errWrongAPIv3Key, err)
	}
	certificate, err := parseCertificate(text)
	if err != nil {
		return platformCertificate{}, err
	}
	public, isRSA := certificate.PublicKey.(*rsa.PublicKey)
	serial := serialOf(certificate.SerialNumber)
	switch {
	case serial != normalSerial(s.SerialNo):
		return platformCertificate{}, fmt.Errorf("platform certificate %s came as %.40q", serial, s.SerialNo)
	case serial == merchantSerial:
		return platformCertificate{}, fmt.Errorf("certificate %s is the merchant's own, not a platform certificate", serial)
	case !isRSA || public.N.BitLen() < keyBitsMin:
		return platformCertificate{}, fmt.Errorf("platform certificate %s holds no RSA key of %d bits", serial, keyBitsMin)
	}
	p := platformCertificate{key: public, sealed: s}
	p.Serial, p.NotBefore, p.NotAfter = serial, certificate.NotBefore, certificate.NotAfter
	if expire, err := time.Parse(time.RFC3339, strings.TrimSpace(s.ExpireTime)); err == nil && expire.Before(p.NotAfter) {
		p.NotAfter = expire
	}
	return p, nil
}

func parseCertificate(text []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("a platform certificate is no PEM certificate")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read platform certificate: %w", err)
	}
	return certificate, nil
}

// normalSerial is how serials are compared: upper-case hex without leading zeros.
func normalSerial(serial string) string {
	return strings.TrimLeft(strings.ToUpper(strings.TrimSpace(serial)), "0")
}

func serialOf(n *big.Int) string { return normalSerial(n.Text(16)) }
