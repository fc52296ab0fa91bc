package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// rsaBitsLeast is what WeChat Pay's certificates have; a shorter key is none of theirs.
const rsaBitsLeast = 2048

// parseCertificate returns the merchant's certificate of a PEM text: the first one that issued none of the others, in whichever order a
// chain stands there. Errors say what was found instead, never its content.
func parseCertificate(content []byte) (*x509.Certificate, error) {
	if _, err := firstBlock(content, "CERTIFICATE"); err != nil {
		return nil, err
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	var all []*x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a damaged certificate; download it again")
		}
		all = append(all, cert)
	}
	for _, cert := range all {
		if !issuedOneOf(cert, all) {
			return cert, nil
		}
	}
	return all[0], nil
}

func issuedOneOf(cert *x509.Certificate, all []*x509.Certificate) bool {
	return slices.ContainsFunc(all, func(other *x509.Certificate) bool {
		return !other.Equal(cert) && bytes.Equal(other.RawIssuer, cert.RawSubject)
	})
}

// parsePrivateKey returns the RSA key of a PEM text, PKCS #8 or PKCS #1, without a password.
func parsePrivateKey(content []byte) (*rsa.PrivateKey, error) {
	block, err := firstBlock(content, "PRIVATE KEY", "RSA PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	if block.Headers["Proc-Type"] != "" {
		return nil, errEncryptedKey
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if block.Type == "PRIVATE KEY" {
		var any8 any
		any8, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		var isRSA bool
		if key, isRSA = any8.(*rsa.PrivateKey); err == nil && !isRSA {
			return nil, errors.New("holds a key that is not RSA, which WeChat Pay does not issue")
		}
	}
	if err != nil {
		return nil, errors.New("holds a damaged key; export it again")
	}
	if bits := key.N.BitLen(); bits < rsaBitsLeast {
		return nil, fmt.Errorf("holds a key of %d bits, and WeChat Pay's have %d", bits, rsaBitsLeast)
	}
	return key, nil
}

// parsePublicKey returns the RSA key of a PEM text of kind SubjectPublicKeyInfo, as the merchant platform gives WeChat Pay's.
func parsePublicKey(content []byte) (*rsa.PublicKey, error) {
	block, err := firstBlock(content, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("holds a damaged public key; download pub_key.pem again")
	}
	key, isRSA := public.(*rsa.PublicKey)
	if !isRSA {
		return nil, errors.New("holds a public key that is not RSA, which WeChat Pay's is; download pub_key.pem again")
	}
	if bits := key.N.BitLen(); bits < rsaBitsLeast {
		return nil, fmt.Errorf("holds a public key of %d bits, and WeChat Pay's has %d; download pub_key.pem again", bits, rsaBitsLeast)
	}
	return key, nil
}

var errNotPEM = errors.New("is not PEM text; install the .pem file, or write the .p12 bundle as certificate, with a name that ends in .p12")

var (
	errEmptyFile = errors.New("is empty; copy the file again")
	errCutPEM    = errors.New("is damaged or cut off; copy the whole file again")
)

var errEncryptedKey = errors.New("holds a key with a password; take the password off with openssl pkey")

// firstBlock returns the first PEM block of one of the types.
func firstBlock(content []byte, types ...string) (*pem.Block, error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff")) // some editors put it before the text
	var seen []string
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		for _, t := range types {
			if block.Type == t {
				return block, nil
			}
		}
		seen = append(seen, block.Type)
	}
	switch {
	case len(bytes.TrimSpace(content)) == 0:
		return nil, errEmptyFile
	case len(seen) == 0 && bytes.Contains(content, []byte("-----BEGIN ")):
		return nil, errCutPEM
	case len(seen) == 0:
		return nil, errNotPEM
	case types[0] == "PRIVATE KEY" && strings.HasPrefix(seen[0], "EC "):
		return nil, errors.New("holds a key that is not RSA, which WeChat Pay does not issue; copy apiclient_key.pem again")
	case seen[0] == "ENCRYPTED PRIVATE KEY" && types[0] == "PRIVATE KEY":
		return nil, errEncryptedKey
	}
	return nil, fmt.Errorf("holds no %s but a %.40s; the files of the [wechat] section may be swapped", strings.ToLower(types[0]), strings.ToLower(seen[0]))
}
