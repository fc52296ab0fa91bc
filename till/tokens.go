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
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
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
	tokensFileMax  = 1 << 20
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

// Tokens are the tokens in a file. A change of the file by another process is seen at the next Check. One writer at a time: of two that
// write at once, the later wins.
type Tokens struct {
	file string

	mu    sync.Mutex // guards what follows
	list  []Token
	stamp fileStamp
}

type fileStamp struct {
	size    int64
	changed time.Time
}

type tokensFile struct {
	Version int     `json:"version"`
	Tokens  []Token `json:"tokens"`
}

// OpenTokens reads the tokens in a file; a file that is not there holds none. It refuses a file that others than its owner may open.
func OpenTokens(file string) (*Tokens, error) {
	t := &Tokens{file: file}
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
	if err := checkToken(name, scopes); err != nil {
		return "", Token{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refreshLocked(); err != nil {
		return "", Token{}, err
	}
	if len(t.list) >= tokensMax {
		return "", Token{}, fmt.Errorf("there are %d tokens already; revoke one that is no longer used", tokensMax)
	}
	secret := make([]byte, tokenSecretLen)
	id := make([]byte, 4)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	_, _ = rand.Read(id)
	text := tokenStart + base64.RawURLEncoding.EncodeToString(secret)
	made := Token{ID: hex.EncodeToString(id), Name: name, Scopes: slices.Clone(scopes), Hash: hashToken(text), Created: time.Now().UTC().Truncate(time.Second)}
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

// Revoke removes the token of an id. It opens nothing from then on.
func (t *Tokens) Revoke(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refreshLocked(); err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(t.list), func(k Token) bool { return k.ID == id })
	if len(rest) == len(t.list) {
		return fmt.Errorf("no token has the id %.20q; list the tokens for their ids", id)
	}
	return t.save(rest)
}

func checkToken(name string, scopes []Scope) error {
	if name == "" || len([]rune(name)) > tokenNameMax {
		return fmt.Errorf("a token needs a name of 1 to %d characters; name the program that uses it", tokenNameMax)
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
	info, err := os.Stat(t.file)
	if errors.Is(err, fs.ErrNotExist) {
		t.list, t.stamp = nil, fileStamp{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the tokens file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("the tokens file %s may be opened by others (mode %04o); run: chmod 600 %s", t.file, mode, t.file)
	}
	if stamp := (fileStamp{info.Size(), info.ModTime()}); stamp != t.stamp {
		return t.load(stamp)
	}
	return nil
}

func (t *Tokens) load(stamp fileStamp) error {
	if stamp.size > tokensFileMax {
		return fmt.Errorf("the tokens file %s is larger than 1 MiB: it is some other file", t.file)
	}
	text, err := os.ReadFile(t.file)
	if err != nil {
		return fmt.Errorf("read the tokens file: %w", err)
	}
	var held tokensFile
	if err := json.Unmarshal(text, &held); err != nil {
		return fmt.Errorf("read the tokens file %s: %w; restore it, or remove it and make the tokens again", t.file, err)
	}
	if held.Version != 1 {
		return fmt.Errorf("the tokens file %s has version %d, and this program knows 1; use the program that wrote it", t.file, held.Version)
	}
	t.list, t.stamp = held.Tokens, stamp
	return nil
}

// save writes the file under another name and renames it, so that a power cut leaves the old list or the new one.
func (t *Tokens) save(list []Token) error {
	text, err := json.MarshalIndent(tokensFile{Version: 1, Tokens: list}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the tokens file: %w", err)
	}
	if err := writeAtomic(t.file, append(text, '\n')); err != nil {
		return fmt.Errorf("write the tokens file: %w", err)
	}
	t.stamp = fileStamp{}
	return t.refreshLocked()
}

// writeAtomic puts a private file in place with its content and its name on disk.
func writeAtomic(file string, content []byte) error {
	folder := filepath.Dir(file)
	tmp, err := os.CreateTemp(folder, ".tokens-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	return syncFolder(folder)
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
