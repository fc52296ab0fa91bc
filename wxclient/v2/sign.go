package v2

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// SignType is how requests are signed.
type SignType string

// The two kinds (API v2, signature algorithm). Answers of either kind are taken.
const (
	MD5        SignType = "MD5"
	HMACSHA256 SignType = "HMAC-SHA256"
)

// field is one parameter of a call.
type field struct{ name, value string }

// fields are a call's parameters. Those that are empty are neither signed nor sent.
type fields []field

// add puts a parameter in, unless it is empty.
func (f *fields) add(name, value string) {
	if value != "" {
		*f = append(*f, field{name, value})
	}
}

// sort orders the parameters by the ASCII codes of their names, as they are signed.
func (f fields) sort() {
	slices.SortFunc(f, func(a, b field) int { return strings.Compare(a.name, b.name) })
}

const (
	signField     = "sign"
	signTypeField = "sign_type"
	nonceField    = "nonce_str"
)

// signer signs with the merchant's API key.
type signer struct {
	key  string
	kind SignType
}

// sign returns the sign of sorted parameters. A parameter named sign is left out, and so is one that is empty.
func (s signer) sign(sorted fields, kind SignType) string {
	size := len("&key=") + len(s.key)
	for _, p := range sorted {
		size += len(p.name) + len(p.value) + 2
	}
	text := make([]byte, 0, size)
	for _, p := range sorted {
		if p.value != "" && p.name != signField {
			text = append(append(append(append(text, p.name...), '='), p.value...), '&')
		}
	}
	text = append(append(text, "key="...), s.key...)
	return s.digest(text, kind)
}

// digest is in upper-case hex. The API key ends the text for both kinds; for HMAC it is the key as well.
func (s signer) digest(text []byte, kind SignType) string {
	if kind == HMACSHA256 {
		mac := hmac.New(sha256.New, []byte(s.key))
		mac.Write(text)
		return upperHex(mac.Sum(nil))
	}
	sum := md5.Sum(text)
	return upperHex(sum[:])
}

func upperHex(sum []byte) string {
	out := make([]byte, hex.EncodedLen(len(sum)))
	hex.Encode(out, sum)
	for i, c := range out {
		if c >= 'a' {
			out[i] = c - 'a' + 'A'
		}
	}
	return string(out)
}

var (
	errUnsigned = errors.New("it carries no sign")
	errForged   = errors.New("its sign does not fit")
)

// verify checks an answer's sign over everything that was received. Its length tells its kind.
func (s signer) verify(m message) error {
	var kind SignType
	switch len(m[signField]) {
	case 0:
		return errUnsigned
	case 2 * md5.Size:
		kind = MD5
	case 2 * sha256.Size:
		kind = HMACSHA256
	default:
		return errForged
	}
	if !hmac.Equal([]byte(s.sign(m.sorted(), kind)), []byte(m[signField])) {
		return errForged
	}
	return nil
}
