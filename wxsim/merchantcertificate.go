package wxsim

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"
)

const merchantCertificatesMax = 4 // of one merchant, accepted at once

// merchantCertificate is one certificate of a merchant's, with the key that only the merchant has in truth.
type merchantCertificate struct {
	certificate *x509.Certificate
	serial      string
	key         *rsa.PrivateKey
}

// certify issues a certificate as the CA does: subject CN is the merchant number, the serial has 40 digits (API certificates,
// differences).
func (a *account) certify(key *rsa.PrivateKey, by *authority, now time.Time) (merchantCertificate, error) {
	template := &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		Subject: pkix.Name{CommonName: a.MerchantID, Organization: []string{"WeChat Pay merchant system"}, Country: []string{"CN"}}}
	issued, err := by.issue(template, &key.PublicKey, now)
	if err != nil {
		return merchantCertificate{}, err
	}
	return merchantCertificate{certificate: issued, serial: serialOf(issued), key: key}, nil
}

// accepts returns the merchant's certificate of a serial, while it is accepted.
func (a *account) accepts(serial string) (merchantCertificate, bool) {
	i := slices.IndexFunc(a.accepted, func(c merchantCertificate) bool { return c.serial == serial })
	if i < 0 {
		return merchantCertificate{}, false
	}
	return a.accepted[i], true
}

// AddMerchantCertificate issues one more certificate to a merchant ("" is the first) and returns the credentials that hold it.
// It is accepted from now on, beside those that are there: both work during the overlap of a renewal (API certificates,
// renewal), until DropMerchantCertificate.
func (s *Sim) AddMerchantCertificate(merchantID string) (Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.account(merchantID)
	if err != nil {
		return Credentials{}, err
	}
	if len(a.accepted) >= merchantCertificatesMax {
		return Credentials{}, fmt.Errorf("merchant %s has %d certificates already; drop one", a.MerchantID, len(a.accepted))
	}
	key := s.keys.NextMerchant
	if slices.ContainsFunc(a.accepted, func(c merchantCertificate) bool { return c.key == key }) || a != s.first {
		key = nil
	}
	if err := orMake(&key); err != nil {
		return Credentials{}, err
	}
	added, err := a.certify(key, s.authority, s.clockNow())
	if err != nil {
		return Credentials{}, err
	}
	a.accepted = append(a.accepted, added)
	return s.credentials(a, added)
}

// DropMerchantCertificate ends a merchant's certificate at once: requests that it signs are refused from now on. The last
// one cannot be dropped.
func (s *Sim) DropMerchantCertificate(serial string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if _, known := a.accepts(serial); !known {
			continue
		}
		if len(a.accepted) == 1 {
			return fmt.Errorf("merchant %s has no other certificate", a.MerchantID)
		}
		a.accepted = slices.DeleteFunc(a.accepted, func(c merchantCertificate) bool { return c.serial == serial })
		a.take(a.accepted[0])
		return nil
	}
	return errors.New("no merchant has a certificate of that serial")
}

// take makes a certificate the one that Credentials gives out.
func (a *account) take(c merchantCertificate) {
	a.certificate, a.serial, a.Key = c.certificate, c.serial, c.key
}

// account finds a merchant; "" is the first.
func (s *Sim) account(merchantID string) (*account, error) {
	if merchantID == "" {
		return s.first, nil
	}
	if a := s.accounts[merchantID]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("merchant %.20s is not known to this simulator", merchantID)
}
