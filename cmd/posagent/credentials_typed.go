package main

import (
	"crypto/x509"
	"encoding/base64"
	"regexp"
	"strings"
)

// keyPiece is how many characters of a private key's text tell that it was pasted: no word and no number has as many of base64.
const keyPiece = 24

var base64Runs = regexp.MustCompile(`[0-9A-Za-z+/]{24,}`)

// secret returns a function that reports whether a text holds the API v3 key or a piece of the private key. Whoever pastes one into a
// reference or a note would have it journaled, shown and printed.
func (c Credentials) secret() func(text string) bool {
	key := string(c.APIv3Key)
	private := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(c.PrivateKey))
	if pkcs8, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey); err == nil {
		private += "\n" + base64.StdEncoding.EncodeToString(pkcs8)
	}
	return func(text string) bool { return strings.Contains(text, key) || holdsPieceOf(private, text) }
}

func holdsPieceOf(private, text string) bool {
	for _, run := range base64Runs.FindAllString(text, -1) {
		for at := 0; at+keyPiece <= len(run); at++ {
			if strings.Contains(private, run[at:at+keyPiece]) {
				return true
			}
		}
	}
	return false
}
