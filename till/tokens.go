package till

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Scope is what a token opens.
type Scope string

// The scopes. None contains another.
const (
	ScopePay    Scope = "pay"    // arm, cancel, acknowledge, set aside; read payments
	ScopeRefund Scope = "refund" // give money back
	ScopeReport Scope = "report" // read payments and the journal
	ScopeAdmin  Scope = "admin"  // change this till's set-up
)

// Scopes returns every scope.
func Scopes() []Scope { return []Scope{ScopePay, ScopeRefund, ScopeReport, ScopeAdmin} }

const (
	tokensMax      = 100 // tokens of one till
	tokenNameMax   = 64  // characters
	tokenStart     = "posagent_"
	tokenSecretLen = 32 // random bytes; enough that a plain SHA-256 of them can't be searched
)

// Token is one program's right to call, as the file holds it: a hash, never the token.
type Token struct {
	ID      string    `json:"id"` // 8 hexadecimal digits
	Name    string    `json:"name"`
	Scopes  []Scope   `json:"scopes"`
	Hash    string    `json:"sha256"`
	Created time.Time `json:"created"`
}

// Tokens are the tokens in a file. A change of the file by another process is seen at the next Check. Of two that write at once, the
// later waits for the earlier: no change is lost.
type Tokens struct {
	file privateFile

	mu    sync.Mutex // guards what follows
	list  []Token
	stamp fileStamp
}

type tokensFile struct {
	Version int     `json:"version"`
	Tokens  []Token `json:"tokens"`
}

// OpenTokens reads the tokens in a file; a file that is not there holds none. It refuses a file that others than its owner may open.
func OpenTokens(file string) (*Tokens, error) {
	t := &Tokens{file: privateFile{path: file, what: "the tokens file"}}
	if err := t.refresh(); err != nil {
		return nil, err
	}
	return t, nil
}

// Check returns the token that a text is. A file that can't be read opens nothing that it did not open before.
func (t *Tokens) Check(text string) (Token, bool) {
	if t == nil || !strings.HasPrefix(text, tokenStart) {
		return Token{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refreshLocked(); err != nil {
		return Token{}, false
	}
	hash := []byte(hashToken(text))
	for _, known := range t.list {
		if subtle.ConstantTimeCompare(hash, []byte(known.Hash)) == 1 {
			return known, true
		}
	}
	return Token{}, false
}

// Create makes a token and returns its text, which is shown this once and kept nowhere. At most 100 tokens, each with 1 to 64
// characters of name and at least one scope.
func (t *Tokens) Create(name string, scopes []Scope) (string, Token, error) {
	if err := CheckToken(name, scopes); err != nil {
		return "", Token{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	free, err := t.beginChange()
	if err != nil {
		return "", Token{}, err
	}
	defer free()
	if len(t.list) >= tokensMax {
		return "", Token{}, fmt.Errorf("there are %d tokens already; revoke one that is no longer used", tokensMax)
	}
	secret := make([]byte, tokenSecretLen)
	id := make([]byte, 4)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	_, _ = rand.Read(id)
	text := tokenStart + base64.RawURLEncoding.EncodeToString(secret)
	made := Token{ID: hex.EncodeToString(id), Name: name, Scopes: slices.Compact(slices.Sorted(slices.Values(scopes))), Hash: hashToken(text), Created: time.Now().UTC().Truncate(time.Second)}
	if err := t.save(append(slices.Clone(t.list), made)); err != nil {
		return "", Token{}, err
	}
	return text, made, nil
}

// List returns the tokens, the oldest first.
func (t *Tokens) List() ([]Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.refreshLocked()
	return slices.Clone(t.list), err
}

// Revoke removes the token of an id and returns it. It opens nothing from then on.
func (t *Tokens) Revoke(id string) (Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	free, err := t.beginChange()
	if err != nil {
		return Token{}, err
	}
	defer free()
	at := slices.IndexFunc(t.list, func(k Token) bool { return k.ID == id })
	if at < 0 {
		return Token{}, &NoTokenError{}
	}
	gone := t.list[at]
	return gone, t.save(slices.Delete(slices.Clone(t.list), at, at+1))
}

// NoTokenError says that no token has an id. It does not repeat the id: somebody may have given the token itself.
type NoTokenError struct{}

func (*NoTokenError) Error() string {
	return "no token has this id; list the tokens for their ids, 8 characters each"
}

// beginChange keeps other writers away, and reads what they have written.
func (t *Tokens) beginChange() (free func(), err error) {
	free, err = t.file.hold()
	if err != nil {
		return nil, err
	}
	if err := t.refreshLocked(); err != nil {
		free()
		return nil, err
	}
	return free, nil
}

// CheckToken says what is wrong with the name and the scopes of a token that is to be made; nil where nothing is.
func CheckToken(name string, scopes []Scope) error {
	if strings.TrimSpace(name) == "" || len([]rune(name)) > tokenNameMax || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("a token needs a name of 1 to %d printable characters; name the program that uses it", tokenNameMax)
	}
	if holdsToken(name) || holdsCode(name, nil) {
		return errors.New("the name holds what looks like a token or a payment code; name the program that uses the token")
	}
	if len(scopes) == 0 {
		return errors.New("a token needs a scope; write pay, refund, report or admin")
	}
	for _, s := range scopes {
		if !slices.Contains(Scopes(), s) {
			return fmt.Errorf("%.20q is no scope; write pay, refund, report or admin", string(s))
		}
	}
	return nil
}

func hashToken(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (t *Tokens) refresh() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refreshLocked()
}

// refreshLocked reads the file again when it has changed.
func (t *Tokens) refreshLocked() error {
	stamp, err := t.file.look()
	if err != nil || stamp == t.stamp {
		return err
	}
	if stamp == (fileStamp{}) {
		t.list, t.stamp = nil, stamp
		return nil
	}
	return t.load(stamp)
}

func (t *Tokens) load(stamp fileStamp) error {
	text, err := t.file.read()
	if err != nil {
		return err
	}
	var held tokensFile
	if err := json.Unmarshal(text, &held); err != nil {
		return fmt.Errorf("read the tokens file %s: %w; restore it, or remove it and make the tokens again", t.file.path, err)
	}
	if held.Version != 1 {
		return fmt.Errorf("the tokens file %s has version %d, and this program knows 1; use the program that wrote it", t.file.path, held.Version)
	}
	t.list, t.stamp = held.Tokens, stamp
	return nil
}

// save writes the list. The caller holds the file.
func (t *Tokens) save(list []Token) error {
	text, err := json.MarshalIndent(tokensFile{Version: 1, Tokens: list}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the tokens file: %w", err)
	}
	if err := t.file.write(append(text, '\n')); err != nil {
		return err
	}
	return t.refreshLocked()
}
