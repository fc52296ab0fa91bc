package main

import (
	"crypto/x509"
	"fmt"
	"regexp"
)

// certificateKind is one of the two kinds of merchant certificate that the certificate page tells apart, or neither.
type certificateKind string

// The kinds. Only a CA-issued certificate serves API v3; either serves API v2.
const (
	kindCA      certificateKind = "CA-issued"
	kindWeChat  certificateKind = "WeChat-Pay-issued"
	kindUnknown certificateKind = "unknown" // a simulator's, or one of a time to come
)

// What tells the kinds apart, and who a CA-issued certificate is made out to (certificate page, "API Certificate Differences").
const (
	caIssuer     = "Tenpay.com Root CA"
	wechatIssuer = "MmpaymchCA"

	caSerialLength     = 40
	caSerialLeast      = 36 // zeros at its beginning are not kept in a certificate
	wechatSerialBelow  = 20
	wechatSerialLength = "fewer than 20"
)

// caName is the common name of a CA-issued certificate: the merchant number.
var caName = regexp.MustCompile(`^[0-9]{8,10}$`)

// trustChain is the file of the issuing certificates that belongs to a kind, with its digests as the certificate page prints them. The
// page breaks the SHA-256 digests with a blank, which is taken out here.
type trustChain struct {
	File   string `json:"file"`
	MD5    string `json:"md5"`
	SHA256 string `json:"sha256"`
}

// trustChainOf is the zero value for an unknown kind.
func trustChainOf(kind certificateKind) trustChain {
	switch kind {
	case kindCA:
		return trustChain{"CertTrustChain.p7b", "77e0db6559b07624f538b1acf4ad81ca", "fc4ef43a7fb2b08263345453e56297daf998a5dac6c501b38eb2df18a55f6a13"}
	case kindWeChat:
		return trustChain{"CertTrustChainWX.p7b", "c91ddfb6e9f0533e9a78dcdc89ca1080", "c826a1c900d445c372fff25968988c002493688c491c8e66cc8276a17003a12e"}
	}
	return trustChain{}
}

// kindOf tells the kind by the issuer, and sees that serial and common name agree. Where they do not, the kind is unknown and odd says
// what contradicts; for an issuer of neither kind odd names the issuer.
func kindOf(cert *x509.Certificate) (kind certificateKind, odd string) {
	serial, name := serialOf(cert), cert.Subject.CommonName
	switch issuer := cert.Issuer.CommonName; issuer {
	case caIssuer:
		if n := len(serial); n < caSerialLeast || n > caSerialLength {
			return kindUnknown, fmt.Sprintf("issued by %s, but its serial has %d characters and not %d", caIssuer, n, caSerialLength)
		}
		if !caName.MatchString(name) {
			return kindUnknown, fmt.Sprintf("issued by %s, but made out to %.40q and not to a merchant number", caIssuer, name)
		}
		return kindCA, ""
	case wechatIssuer:
		if n := len(serial); n >= wechatSerialBelow {
			return kindUnknown, fmt.Sprintf("issued by %s, but its serial has %d characters and not %s", wechatIssuer, n, wechatSerialLength)
		}
		return kindWeChat, ""
	default:
		return kindUnknown, fmt.Sprintf("issued by %.60q", issuer)
	}
}
