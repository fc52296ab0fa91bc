package wxclient

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
)

// signatureType names SHA-256 with RSA PKCS #1 v1.5 (API v3 signing page).
const signatureType = "WECHATPAY2-SHA256-RSA2048"

// request is one call as it is signed: method, request target byte for byte as sent, and body bytes as sent.
type request struct {
	call   string // what we are doing, for errors and the log: "pay", "query"
	about  string // the order number, or empty
	method string
	target string
	body   []byte
	by     *signer // nil: the pair in use
	header string  // further header lines, each begun by CRLF; not signed
}

// signer makes Authorization headers in the merchant's name.
type signer struct {
	merchantID string // mchid, or sp_mchid in institution mode
	serial     string // the merchant API certificate's, upper-case hex
	key        *rsa.PrivateKey
}

// authorization returns the header's value for r, made at that time with a fresh nonce.
func (s signer) authorization(r request, at time.Time) (string, error) {
	timestamp, nonce := strconv.FormatInt(at.Unix(), 10), rand.Text()
	signature, err := sign(s.key, requestText(r.method, r.target, timestamp, nonce, r.body))
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", r.call, err)
	}
	return signatureType + ` mchid="` + s.merchantID + `",nonce_str="` + nonce + `",serial_no="` + s.serial +
		`",timestamp="` + timestamp + `",signature="` + signature + `"`, nil
}

// requestText is what a request's signature covers: five lines, each ended by LF, also the last.
func requestText(method, target, timestamp, nonce string, body []byte) []byte {
	text := make([]byte, 0, len(method)+len(target)+len(timestamp)+len(nonce)+len(body)+5)
	text = append(append(text, method...), '\n')
	text = append(append(text, target...), '\n')
	text = append(append(text, timestamp...), '\n')
	text = append(append(text, nonce...), '\n')
	return append(append(text, body...), '\n')
}

func sign(key *rsa.PrivateKey, text []byte) (string, error) {
	digest := sha256.Sum256(text)
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}
