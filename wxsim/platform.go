package wxsim

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// platform is one of WeChat Pay's own certificates, with which it signs.
type platform struct {
	certificate *x509.Certificate
	serial      string
	key         *rsa.PrivateKey
	signer      func() quickSigner // by key, made once
	expires     time.Time          // as the certificates call gives it; shortened when the certificate is replaced
}

// oldLives is how long a replaced platform certificate lives on (Global, chapter 3.2.8: shortened 24 h ahead).
const oldLives = 24 * time.Hour

func newPlatform(by *authority, key *rsa.PrivateKey, now time.Time) (*platform, error) {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "Tenpay.com sign", Organization: []string{"Tenpay.com"}}, KeyUsage: x509.KeyUsageDigitalSignature}
	issued, err := by.issue(template, &key.PublicKey, now)
	if err != nil {
		return nil, err
	}
	return &platform{certificate: issued, serial: serialOf(issued), key: key, signer: signerOf(key), expires: issued.NotAfter}, nil
}

// sign signs text as WeChat Pay signs its answers: SHA256 with RSA, PKCS #1 v1.5, base64.
func (p *platform) sign(text string) string {
	return base64.StdEncoding.EncodeToString(p.signer().sign(sha256.Sum256([]byte(text))))
}

// AddCertificate makes a new platform certificate appear beside those that are there, and returns its serial. The old ones
// go on signing until UseCertificate: WeChat Pay shows a new one at least 24 h before it uses it.
func (s *Sim) AddCertificate() (serial string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addCertificate()
}

// UseCertificate makes the newest platform certificate sign from now on; the others expire 24 h later.
func (s *Sim) UseCertificate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.useCertificate()
}

// DropCertificates forgets every platform certificate but the one in use.
func (s *Sim) DropCertificates() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.platforms = []*platform{s.signs}
}

const platformsMax = 8

func (s *Sim) addCertificate() (string, error) {
	key := s.keys.nextPlatform(func(key *rsa.PrivateKey) bool {
		return slices.ContainsFunc(s.platforms, func(p *platform) bool { return p.key == key })
	})
	if err := orMakeQuick(&key); err != nil {
		return "", err
	}
	p, err := newPlatform(s.authority, key, s.clockNow())
	if err != nil {
		return "", err
	}
	s.platforms = append(s.platforms, p)
	if len(s.platforms) > platformsMax {
		s.platforms = slices.Delete(s.platforms, 0, 1)
	}
	return p.serial, nil
}

func (s *Sim) useCertificate() {
	for _, p := range s.platforms {
		if shortened := s.clockNow().Add(oldLives); shortened.Before(p.expires) {
			p.expires = shortened
		}
	}
	s.signs = s.platforms[len(s.platforms)-1]
	s.signs.expires = s.signs.certificate.NotAfter
}

// certificatesAnswer is the body of the certificates call (Global v3, chapter 3.2.8), sealed for one merchant.
type certificatesAnswer struct {
	Data []sealedCertificate `json:"data"`
}

type sealedCertificate struct {
	Serial    string     `json:"serial_no"`
	Effective string     `json:"effective_time"`
	Expire    string     `json:"expire_time"`
	Sealed    sealedText `json:"encrypt_certificate"`
}

type sealedText struct {
	Algorithm  string `json:"algorithm"`
	Nonce      string `json:"nonce"`
	Associated string `json:"associated_data"`
	Ciphertext string `json:"ciphertext"`
}

func (s *Sim) certificates(a *account) (reply, error) {
	var answer certificatesAnswer
	for _, p := range s.platforms {
		sealed, err := sealText(a.APIv3Key, string(certificatePEM(p.certificate)), "certificate")
		if err != nil {
			return reply{}, err
		}
		answer.Data = append(answer.Data, sealedCertificate{Serial: p.serial, Effective: wireTime(p.certificate.NotBefore), Expire: wireTime(p.expires), Sealed: sealed})
	}
	return good(answer), nil
}

// sealText encrypts as the documents say: AES-256-GCM under the API v3 key, the tag last.
func sealText(key, text, associated string) (sealedText, error) {
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		return sealedText{}, fmt.Errorf("seal under the API v3 key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return sealedText{}, fmt.Errorf("seal under the API v3 key: %w", err)
	}
	nonce := randomText(aead.NonceSize())
	sealed := aead.Seal(nil, []byte(nonce), []byte(text), []byte(associated))
	return sealedText{Algorithm: "AEAD_AES_256_GCM", Nonce: nonce, Associated: associated, Ciphertext: base64.StdEncoding.EncodeToString(sealed)}, nil
}

// randomText returns n random characters of [0-9A-Za-z].
func randomText(n int) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	raw := make([]byte, n)
	rand.Read(raw)
	var b strings.Builder
	for _, r := range raw {
		b.WriteByte(letters[int(r)%len(letters)])
	}
	return b.String()
}

// wireTime prints a time as the documents do: RFC 3339 in GMT+8.
func wireTime(at time.Time) string {
	return chinaTime(at).Format(time.RFC3339)
}

// chinaTime is WeChat Pay's own zone.
func chinaTime(at time.Time) time.Time { return at.In(time.FixedZone("CST", 8*60*60)) }
