package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// rsaBitsLeast is what WeChat Pay's certificates have; a shorter key is none of theirs.
const rsaBitsLeast = 2048

// parseCertificate returns the first certificate of a PEM text. Errors say what was found instead, never its content.
func parseCertificate(content []byte) (*x509.Certificate, error) {
	block, err := firstBlock(content, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("holds a damaged certificate; download it again")
	}
	return cert, nil
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

var errEncryptedKey = errors.New("holds a key with a password; take the password off with openssl pkey")

// firstBlock returns the first PEM block of one of the types.
func firstBlock(content []byte, types ...string) (*pem.Block, error) {
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
	case len(seen) == 0:
		return nil, errNotPEM
	case seen[0] == "ENCRYPTED PRIVATE KEY" && types[0] == "PRIVATE KEY":
		return nil, errEncryptedKey
	}
	return nil, fmt.Errorf("holds no %s but a %.40s; the files of the [wechat] section may be swapped", strings.ToLower(types[0]), strings.ToLower(seen[0]))
}
