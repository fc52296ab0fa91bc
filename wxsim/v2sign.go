package wxsim

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
)

// The sign types (API Rules, signature algorithm). MD5 is meant where a request names none.
const (
	signMD5  = "MD5"
	signHMAC = "HMAC-SHA256"
)

// signV2 signs the fields of a message: those that have a value, without sign itself, by name in ASCII order, name=value joined
// by &, then &key= and the API key; MD5, or HMAC-SHA256 under the API key, in capitals. Values are signed as they are, not as
// they stand in the XML (API Rules, general steps to create a signature).
func signV2(fields map[string]string, key, signType string) string {
	var names []string
	for name, value := range fields {
		if value != "" && name != "sign" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		text.WriteString(name + "=" + fields[name] + "&")
	}
	text.WriteString("key=" + key)
	return strings.ToUpper(hex.EncodeToString(digestV2(text.String(), key, signType)))
}

func digestV2(text, key, signType string) []byte {
	if signType == signHMAC {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	sum := md5.Sum([]byte(text))
	return sum[:]
}

// signedBy reports whether a request is signed under a merchant's API key.
func (q *v2Request) signedBy(key string) bool {
	want := signV2(q.fields, key, q.signType())
	return subtle.ConstantTimeCompare([]byte(want), []byte(q.fields["sign"])) == 1
}

func (q *v2Request) signType() string { return orElse(q.fields["sign_type"], signMD5) }
