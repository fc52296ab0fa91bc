package wxsim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	scheme      = "WECHATPAY2-SHA256-RSA2048"
	skewMax     = 5 * time.Minute  // request timestamps (signature generation, troubleshooting)
	nonceKept   = 10 * time.Minute // a nonce is refused again for that long, which outlives its timestamp
	noncesMax   = 200_000
	errnoSign   = 268443699
	errnoParam  = 268435461
	errnoExtra  = 270924358
	errnoAppID  = 268445527
	errnoNoPair = 268443701
)

// authorization is what the Authorization header says.
type authorization struct{ mchid, nonce, serial, timestamp, signature string }

var authorizationPart = regexp.MustCompile(`^(mchid|nonce_str|serial_no|timestamp|signature)="([^"]*)"$`)

func parseAuthorization(header string) (authorization, error) {
	named, rest, found := strings.Cut(header, " ")
	if !found || named != scheme {
		return authorization{}, fmt.Errorf("the scheme is not %s", scheme)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		match := authorizationPart.FindStringSubmatch(part)
		if match == nil || parts[match[1]] != "" {
			return authorization{}, fmt.Errorf("%.20q is not one of the five parts, each once, with a comma and no blank between", part)
		}
		parts[match[1]] = match[2]
	}
	a := authorization{parts["mchid"], parts["nonce_str"], parts["serial_no"], parts["timestamp"], parts["signature"]}
	if a.mchid == "" || a.nonce == "" || a.serial == "" || a.timestamp == "" || a.signature == "" {
		return authorization{}, fmt.Errorf("one of mchid, nonce_str, serial_no, timestamp, signature is missing")
	}
	return a, nil
}

// authorize checks what every call must carry. It returns who calls, or the refusal. The caller holds s.mu.
func (s *Sim) authorize(v *visit) (*account, *reply) {
	if no := checkHeaders(v.request); no != nil {
		return nil, no
	}
	if no := s.checkSerialNamed(v.request); no != nil {
		return nil, no
	}
	a, err := parseAuthorization(v.request.Header.Get("Authorization"))
	if err != nil {
		return nil, signError(v, "", err.Error())
	}
	caller := s.accounts[a.mchid]
	if caller == nil {
		return nil, signError(v, "", "no merchant certificate is known for this mchid")
	}
	signedBy, known := caller.accepts(a.serial)
	if !known {
		return nil, signError(v, "", "serial_no is not that of the merchant's certificate")
	}
	message := v.request.Method + "\n" + v.request.RequestURI + "\n" + a.timestamp + "\n" + a.nonce + "\n"
	seconds, err := strconv.ParseInt(a.timestamp, 10, 64)
	if err != nil || s.clockNow().Sub(time.Unix(seconds, 0)).Abs() > skewMax {
		return nil, signError(v, message, "timestamp is not within 5 minutes of "+strconv.FormatInt(s.clockNow().Unix(), 10))
	}
	if !verifies(signedBy.key, message+string(v.body)+"\n", a.signature) {
		return nil, signError(v, message, "sign not match")
	}
	if !s.freshNonce(a.mchid + a.nonce) {
		s.violate(v.key, "a nonce was used twice")
		return nil, signError(v, message, "nonce_str was used before; a resend needs a fresh one")
	}
	return caller, nil
}

func verifies(key *rsa.PrivateKey, message, signature string) bool {
	raw, err := base64.StdEncoding.DecodeString(signature)
	digest := sha256.Sum256([]byte(message))
	return err == nil && rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], raw) == nil
}

// signError is 401 SIGN_ERROR with the server's own view of what was signed. The body is never in it: it holds a code.
func signError(v *visit, message, issue string) *reply {
	r := refusal(http.StatusUnauthorized, "SIGN_ERROR", "Signature error: "+issue, errnoSign)
	r.trouble.Detail = map[string]any{"field": "signature", "location": "authorization", "detail": map[string]any{"issue": issue},
		"sign_information": map[string]any{"method": v.request.Method, "url": v.request.RequestURI,
			"truncated_sign_message": message, "sign_message_length": len(message) + len(v.body) + 1}}
	return &r
}

// checkHeaders holds the basic rules: User-Agent and Accept are required, a body is JSON.
func checkHeaders(r *http.Request) *reply {
	agent := r.Header.Get("User-Agent")
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	var no reply
	switch {
	case agent == "" || strings.HasPrefix(agent, "Go-http-client/"):
		no = headerError("User-Agent", "a name of the caller's own is required")
	case !strings.Contains(r.Header.Get("Accept"), "application/json"):
		no = headerError("Accept", "application/json is required")
	case r.Method == http.MethodPost && strings.TrimSpace(kind) != "application/json":
		no = headerError("Content-Type", "application/json is required")
	default:
		return nil
	}
	return &no
}

func headerError(name, issue string) reply {
	return refusal(http.StatusBadRequest, "PARAM_ERROR", name+": "+issue, errnoParam).about(name, issue, "header")
}

// freshNonce reports whether a nonce is new, and remembers it.
func (s *Sim) freshNonce(nonce string) bool {
	now := time.Now()
	if len(s.nonces) >= noncesMax {
		for n, at := range s.nonces {
			if now.Sub(at) > nonceKept || len(s.nonces) >= noncesMax {
				delete(s.nonces, n)
			}
		}
	}
	at, seen := s.nonces[nonce]
	if seen && now.Sub(at) <= nonceKept {
		return false
	}
	s.nonces[nonce] = now
	return true
}
