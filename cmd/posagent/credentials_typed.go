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

// secret returns a function that reports whether a text holds an API key or a piece of a private key. Whoever pastes one into a
// reference or a note would have it journaled, shown and printed.
func (c Credentials) secret() func(text string) bool {
	var keys []string
	var private string
	for _, key := range [][]byte{c.APIv3Key, c.APIv2Key} {
		if len(key) > 0 {
			keys = append(keys, string(key))
		}
	}
	private = c.Pair.textOfKey()
	if c.Next != nil {
		private += "\n" + c.Next.textOfKey()
	}
	return func(text string) bool {
		for _, key := range keys {
			if strings.Contains(text, key) {
				return true
			}
		}
		return holdsPieceOf(private, text)
	}
}

// textOfKey is the private key as it stands in a file of either form, in one line each.
func (p Pair) textOfKey() string {
	if p.PrivateKey == nil {
		return ""
	}
	text := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(p.PrivateKey))
	if pkcs8, err := x509.MarshalPKCS8PrivateKey(p.PrivateKey); err == nil {
		text += "\n" + base64.StdEncoding.EncodeToString(pkcs8)
	}
	return text
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
