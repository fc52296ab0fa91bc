package wxclient

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"errors"
)

// openSensitive opens a field that WeChat Pay has encrypted to the merchant's certificate: RSA-OAEP with SHA-1 and an empty
// label, base64 (sensitive-field encryption). No answer of Quick Pay carries such a field today; an answer may bring new
// members at any time, and this is how one of them would be read.
func openSensitive(key *rsa.PrivateKey, text string) (string, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", errors.New("the cipher text is not base64")
	}
	open, err := rsa.DecryptOAEP(sha1.New(), rand.Reader, key, sealed, nil)
	if err != nil {
		return "", errors.New("the field does not open with this key")
	}
	return string(open), nil
}
