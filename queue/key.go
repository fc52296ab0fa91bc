package queue

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"posagent/payflow"
)

// keyBytes is the length of the journal's key: as long as the hash that it keys.
const keyBytes = 32

// keyFileMark opens every key file; its number is the format's.
const keyFileMark = "posagent-journal-key-1"

// keys are what the journal's one secret is good for, one key for each use.
type keys struct {
	id    string // names the secret, and tells nothing of it
	chain []byte // seals events
	state []byte // seals every other record
	code  []byte // hashes payment codes
	memo  []byte // seals the head memo
}

// HashCode returns a keyed hash of a payment code, 24 characters. The journal keeps it to know a code that is read a
// second time; without the key file nobody can find the code by trying all of them.
func (j *Journal) HashCode(code payflow.AuthCode) string {
	return hex.EncodeToString(mac(j.keys.code, []byte(code.Reveal()))[:12])
}

// NewTag draws the random mark that a pay call carries in attach: 80 bits as payflow.AttachTagLength characters.
func (j *Journal) NewTag() payflow.AttachTag {
	return payflow.AttachTag(rand.Text()[:payflow.AttachTagLength])
}

func newSecret() []byte {
	secret := make([]byte, keyBytes)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// deriveKeys is HKDF-SHA-256 (RFC 5869), one label for each use.
func deriveKeys(secret []byte) (keys, error) {
	var k keys
	var id []byte
	for _, use := range []struct {
		label string
		key   *[]byte
	}{{"id", &id}, {"chain", &k.chain}, {"state", &k.state}, {"code", &k.code}, {"memo", &k.memo}} {
		key, err := hkdf.Key(sha256.New, secret, nil, "posagent journal "+use.label, keyBytes)
		if err != nil {
			return keys{}, fmt.Errorf("derive the journal's %s key: %w", use.label, err)
		}
		*use.key = key
	}
	k.id = hex.EncodeToString(id[:8])
	return k, nil
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// readKey reads the key file. An error that is fs.ErrNotExist says that there is none.
func readKey(path string) (keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return keys{}, err
	}
	return parseKey(path, text)
}

// parseKey reads the text of a key file.
func parseKey(path string, text []byte) (keys, error) {
	mark, digits, ok := strings.Cut(strings.TrimSpace(string(text)), " ")
	secret, err := hex.DecodeString(digits)
	if !ok || mark != keyFileMark || err != nil || len(secret) != keyBytes {
		return keys{}, fmt.Errorf("%s is not a journal key of posagent", path)
	}
	return deriveKeys(secret)
}

// writeKey makes the key file, for its owner alone, and returns when it is on disk.
func writeKey(path string, secret []byte) error {
	return writeFile(path, []byte(keyFileMark+" "+hex.EncodeToString(secret)+"\n"))
}
