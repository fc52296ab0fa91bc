package wxsim

import (
	"crypto/x509"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// pkcs12 packs certificate, key and root as the merchant platform does (API Rules, table 5.2): the password is the merchant number.
// The cipher is the old one that every reader of such files knows.
func (c merchantCertificate) pkcs12(by *authority) ([]byte, error) {
	merchant := c.certificate.Subject.CommonName
	packed, err := pkcs12.LegacyDES.Encode(c.key, c.certificate, []*x509.Certificate{by.root}, merchant)
	if err != nil {
		return nil, fmt.Errorf("pack the certificate of merchant %s: %w", merchant, err)
	}
	return packed, nil
}
