package wxsim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
)

// WeChat Pay's public key is the other way in which it signs: one key without a certificate and without an end, that a merchant
// takes from the merchant platform and holds in his configuration. No page of the Global documents tells of it; what is played
// here is the mainland page (WeChat Pay public key, 4012925289).

const publicKeyPrefix = "PUB_KEY_ID_"

// newPublicKey gives a key an id of 32 digits.
func newPublicKey(key *rsa.PrivateKey) *platform {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		panic("wxsim: make the id of the public key: " + err.Error())
	}
	return &platform{serial: fmt.Sprintf("%s01%030d", publicKeyPrefix, n), key: key, signer: signerOf(key)}
}

// PublicKeyFile is where Credentials.Write puts WeChat Pay's public key.
const PublicKeyFile = "pub_key.pem"

// publicKeyPEM is the key as the merchant platform gives it: SubjectPublicKeyInfo.
func (p *platform) publicKeyPEM() ([]byte, error) {
	text, err := x509.MarshalPKIXPublicKey(&p.key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("write WeChat Pay's public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: text}), nil
}

// MovePublicKey lets the public key sign that share of the notifications, in percent, as WeChat Pay moves a merchant over in
// steps of 0.1, 1, 5, 10, 20, 50 and 100 % (public key, switching). Answers are signed by the public key where the request's
// Wechatpay-Serial names it, at whatever share; and all of them from UsePublicKeyOnly on.
func (s *Sim) MovePublicKey(percent float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.movedShare = min(max(percent, 0), 100)
}

// UsePublicKeyOnly ends the platform certificates: the public key signs everything, and the certificates call answers that
// there are none, as it does for a merchant that never had any. It is not taken back (public key, switching).
func (s *Sim) UsePublicKeyOnly() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publicKeyOnly = true
}

// noCertificates is what the certificates call says to a merchant that has the public key alone.
func noCertificates() reply {
	return refusal(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "There is no platform certificate to be had; use the WeChat Pay public key", 0)
}

// answerSigner is whose signature an answer gets. The caller holds s.mu.
func (s *Sim) answerSigner(v *visit) *platform {
	if s.publicKeyOnly || v.request.Header.Get("Wechatpay-Serial") == s.publicKey.serial {
		return s.publicKey
	}
	return s.signs
}

// noticeSigner is whose signature the next notification gets: the public key takes its share evenly. The caller holds s.mu.
func (s *Sim) noticeSigner() *platform {
	if s.publicKeyOnly {
		return s.publicKey
	}
	if s.movedSum += s.movedShare; s.movedSum >= 100 {
		s.movedSum -= 100
		return s.publicKey
	}
	return s.signs
}

// checkSerialNamed refuses a request that names a public key which is not WeChat Pay's. The serial of a certificate that is
// gone is not minded: it only says what the caller holds.
func (s *Sim) checkSerialNamed(r *http.Request) *reply {
	named := r.Header.Get("Wechatpay-Serial")
	if !strings.HasPrefix(named, publicKeyPrefix) || named == s.publicKey.serial {
		return nil
	}
	no := headerError("Wechatpay-Serial", "there is no WeChat Pay public key of that id")
	return &no
}
