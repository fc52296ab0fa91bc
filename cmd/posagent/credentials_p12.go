package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// Bounds of a .p12 bundle. The platform's have 2048 rounds and about 3 kB; a bundle names its own number of rounds, and a file with
// 2³¹ of them would keep a processor busy for an hour.
const (
	p12BytesMax      = 64 << 10
	p12RoundsMax     = 1_000_000 // of one key derivation; a bundle makes four at most: about 2 s
	p12KeyBytesMax   = 64        // that a bundle may ask of a derivation
	p12DepthMax      = 24        // of values inside values; real bundles have 12
	p12Within        = 10 * time.Second
	passwordBytesMax = 1024
)

var (
	errNotP12      = errors.New("is no .p12 bundle, or a damaged one; copy apiclient_cert.p12 of the merchant platform again")
	errP12Password = errors.New("does not open with its password, which is the merchant id unless it was changed; " +
		"put the right one into a file of its own and name that as p12_password")
	errP12Slow = errors.New("wants more work to be opened than any bundle of WeChat Pay's; make it anew with openssl pkcs12 -export, or install the PEM files")
)

// isP12 reports that a file is meant to be a .p12 bundle, by its name.
func isP12(ref SecretRef) bool {
	name := strings.ToLower(string(ref))
	return strings.HasSuffix(name, ".p12") || strings.HasSuffix(name, ".pfx")
}

// parseP12 opens a bundle and returns its private key and the certificate that belongs to it. It ends within 10 s whatever it is given.
// Errors say what was found instead, never its content.
func parseP12(content []byte, password string) (*x509.Certificate, *rsa.PrivateKey, error) {
	if len(content) > p12BytesMax {
		return nil, nil, fmt.Errorf("is larger than %d bytes; see that it is the right file", p12BytesMax)
	}
	if len(content) == 0 {
		return nil, nil, errEmptyFile
	}
	if err := boundP12(content); err != nil {
		return nil, nil, err
	}
	// What is sealed inside can't be looked at beforehand: only who knows the password can have put a costly key there.
	return openWithin(p12Within, func() (*x509.Certificate, *rsa.PrivateKey, error) { return openP12(content, password) })
}

// openWithin leaves an opening that does not end in time to itself.
func openWithin(limit time.Duration, open func() (*x509.Certificate, *rsa.PrivateKey, error)) (*x509.Certificate, *rsa.PrivateKey, error) {
	type opened struct {
		cert *x509.Certificate
		key  *rsa.PrivateKey
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		cert, key, err := open()
		done <- opened{cert, key, err}
	}()
	end := time.NewTimer(limit)
	defer end.Stop()
	select {
	case o := <-done:
		return o.cert, o.key, o.err
	case <-end.C:
		return nil, nil, errP12Slow
	}
}

func openP12(content []byte, password string) (cert *x509.Certificate, key *rsa.PrivateKey, err error) {
	defer func() { // a reader of others', on bytes of others'
		if recover() != nil {
			cert, key, err = nil, nil, errNotP12
		}
	}()
	anyKey, first, rest, err := pkcs12.DecodeChain(content, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, nil, errP12Password
	case err != nil && strings.HasSuffix(err.Error(), "private key missing"):
		return nil, nil, errors.New("holds no private key; export the bundle again, with its key")
	case err != nil && strings.HasSuffix(err.Error(), "certificate missing"):
		return nil, nil, errors.New("holds no certificate; export the bundle again, with its certificate")
	case err != nil:
		return nil, nil, errNotP12
	}
	key, isRSA := anyKey.(*rsa.PrivateKey)
	if !isRSA {
		return nil, nil, errors.New("holds a key that is not RSA, which WeChat Pay does not issue; copy apiclient_cert.p12 again")
	}
	if bits := key.N.BitLen(); bits < rsaBitsLeast {
		return nil, nil, fmt.Errorf("holds a key of %d bits, and WeChat Pay's have %d; copy apiclient_cert.p12 again", bits, rsaBitsLeast)
	}
	for _, c := range append([]*x509.Certificate{first}, rest...) {
		if fits(c, key) {
			return c, key, nil
		}
	}
	return first, key, nil // that they do not belong together is told as for a PEM pair
}

// fits reports that a certificate was made out for a key.
func fits(cert *x509.Certificate, key *rsa.PrivateKey) bool {
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	return ok && public.Equal(&key.PublicKey)
}

// boundP12 looks at every number of rounds that stands in the open, before anything is computed with it.
func boundP12(content []byte) error {
	var whole asn1.RawValue
	rest, err := asn1.Unmarshal(content, &whole)
	if err != nil || len(rest) > 0 || whole.Class != asn1.ClassUniversal || whole.Tag != asn1.TagSequence || !whole.IsCompound {
		return errNotP12
	}
	return boundP12Values(whole.Bytes, 1)
}

// boundP12Values walks values that follow each other. In each of the forms (MacData, the old parameters, PBKDF2's) the rounds follow
// the salt, an OCTET STRING, and PBKDF2's length of the key follows the rounds.
func boundP12Values(content []byte, depth int) error {
	if depth > p12DepthMax {
		return errNotP12
	}
	behindSalt := -1 // which place behind the last OCTET STRING; -1: none was seen
	for len(content) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(content, &v)
		if err != nil {
			return nil // what follows can't be read by anybody
		}
		content = rest
		octets := v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString
		switch {
		case octets:
			behindSalt = 0
		case behindSalt >= 0:
			behindSalt++
		}
		if err := boundP12Number(v, behindSalt); err != nil {
			return err
		}
		if v.IsCompound || octets && len(v.Bytes) > 0 && v.Bytes[0] == 0x30 {
			if err := boundP12Values(v.Bytes, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// boundP12Number bounds a number by its place behind a salt: rounds, then bytes of the key.
func boundP12Number(v asn1.RawValue, behindSalt int) error {
	if v.Class != asn1.ClassUniversal || v.Tag != asn1.TagInteger || behindSalt < 1 {
		return nil
	}
	most := int64(p12KeyBytesMax)
	if behindSalt == 1 {
		most = p12RoundsMax
	}
	var n int64
	if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil || n > most {
		return errP12Slow
	}
	return nil
}
