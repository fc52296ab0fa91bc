package queue

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// backupMark opens every backup; its number is the format's, and that of the record behind it.
const (
	backupMark   = "posagent-backup-1"
	backupFormat = 1
)

// backupHeaderBytes is how long the header is, filled up with line feeds: what follows can be cut off by a plain tail -c +4097.
const backupHeaderBytes = 4096

// backupBytesMax bounds what a header may say of sizes: a journal of a billion payments.
const backupBytesMax = 4 << 40

// backupByHand stands in every header, for who has the file and not this program.
const backupByHand = "By hand: tail -c +4097 FILE | tar xz; of an encrypted one: tail -c +4097 FILE | age -d -i IDENTITY | tar xz"

// BackupHeader is what a backup says of itself in the clear. It holds no payment and no key.
type BackupHeader struct {
	Format    int       `json:"format"`
	At        time.Time `json:"at"` // when the copy was made
	Store     string    `json:"store"`
	Till      string    `json:"till"`
	Journal   string    `json:"journal"`             // the journal's own id
	KeyID     string    `json:"key_id"`              // names the journal's key
	Head      Head      `json:"head"`                // the end of the chain in the copy
	Restored  uint64    `json:"restored,omitempty"`  // the entry of the last restore before it; 0: none
	Random    string    `json:"random,omitempty"`    // the random characters of the order numbers that were drawn when it was made
	Recipient string    `json:"recipient,omitempty"` // the public key that it is encrypted to; "": not encrypted
	HasKey    bool      `json:"has_key"`             // the journal's key is inside: only ever in an encrypted one

	JournalBytes  int64  `json:"journal_bytes"`
	JournalSHA256 string `json:"journal_sha256"`
	PayloadBytes  int64  `json:"payload_bytes"` // what follows the header
	PayloadSHA256 string `json:"payload_sha256"`

	text string // as it was written, which the seal is of
	seal string
}

// Encrypted reports whether a private key is needed to open it.
func (h BackupHeader) Encrypted() bool { return h.Recipient != "" }

// block is the header as it stands in the file, under the journal's key.
func (h BackupHeader) block(k keys) ([]byte, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write the header of a backup: %w", err)
	}
	text := backupMark + "\n" + string(body) + "\n"
	block := text + hex.EncodeToString(mac(k.memo, []byte(text))) + "\n" + backupByHand + "\n"
	if len(block) > backupHeaderBytes {
		return nil, fmt.Errorf("write the header of a backup: %d bytes are more than %d", len(block), backupHeaderBytes)
	}
	return append([]byte(block), bytes.Repeat([]byte{'\n'}, backupHeaderBytes-len(block))...), nil
}

// sealedBy reports whether the header was written under this key, and is as it was written.
func (h BackupHeader) sealedBy(k keys) bool {
	return hmac.Equal([]byte(h.seal), []byte(hex.EncodeToString(mac(k.memo, []byte(h.text)))))
}

// BackupKind tells apart why a backup cannot be used.
type BackupKind string

// Why a backup cannot be used, made or restored.
const (
	BackupNone          BackupKind = "not_a_backup"
	BackupNewerFormat   BackupKind = "newer_format"
	BackupDamaged       BackupKind = "damaged"
	BackupOtherTill     BackupKind = "other_till"
	BackupOtherKey      BackupKind = "other_key"      // the journal's key on this till is another
	BackupKeyMissing    BackupKind = "key_missing"    // it holds no key, and there is none on this till
	BackupNeedsIdentity BackupKind = "needs_identity" // it is encrypted, and no private key was given
	BackupWrongIdentity BackupKind = "wrong_identity" // the private key given is another
	BackupNoRoom        BackupKind = "no_room"
	BackupUnwritable    BackupKind = "unwritable"
	BackupNotFound      BackupKind = "not_found"
	BackupUnsound       BackupKind = "unsound" // the journal itself is damaged: a copy of it is no backup
)

// BackupError says why, and what to do now.
type BackupError struct {
	Kind BackupKind
	Text string // what happened; what to do now
	Err  error  // the cause, or nil
}

func (e *BackupError) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *BackupError) Unwrap() error { return e.Err }

func backupError(kind BackupKind, cause error, format string, args ...any) error {
	return &BackupError{Kind: kind, Text: fmt.Sprintf(format, args...), Err: cause}
}

// ReadBackupHeader reads a backup's header, and nothing of what follows. What it says is not proven by that: OpenBackup and
// VerifyBackup prove it. What is wrong is a *BackupError.
func ReadBackupHeader(path string) (BackupHeader, error) {
	file, err := os.Open(path)
	if err != nil {
		return BackupHeader{}, backupError(BackupNotFound, err, "the backup can't be read (%v); name the file, and see that this user may read it", err)
	}
	defer file.Close()
	h, err := readHeader(file)
	if err != nil {
		return BackupHeader{}, namedBackup(path, err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() != backupHeaderBytes+h.PayloadBytes {
		err = backupError(BackupDamaged, nil, "it has %d bytes, and had %d; use another backup", info.Size(), backupHeaderBytes+h.PayloadBytes)
	}
	return h, namedBackup(path, err)
}

// namedBackup puts the file's name before what is wrong with it.
func namedBackup(path string, err error) error {
	if err == nil {
		return nil
	}
	var wrong *BackupError
	if errors.As(err, &wrong) {
		return &BackupError{wrong.Kind, "the backup " + path + ": " + wrong.Text, err}
	}
	if mayPass(err) {
		return unreadable(path, err) // it may be good: an older one is not put in place for that
	}
	return backupError(BackupDamaged, err, "the backup %s can't be read (%v); use another backup", path, err)
}

func readHeader(r io.Reader) (BackupHeader, error) {
	block := make([]byte, backupHeaderBytes)
	n, err := io.ReadFull(r, block)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return BackupHeader{}, err
	}
	return parseHeader(block[:n])
}

// parseHeader takes a header apart and checks every field's form. The seal is kept, and checked by whoever has the key.
func parseHeader(block []byte) (BackupHeader, error) {
	mark, rest, _ := strings.Cut(string(block), "\n")
	if !strings.HasPrefix(mark, "posagent-backup-") {
		return BackupHeader{}, backupError(BackupNone, nil, "it is no backup of posagent; name a file that posagent backup made")
	}
	if mark != backupMark {
		return BackupHeader{}, backupError(BackupNewerFormat, nil, "a newer posagent made it; install that version and try again")
	}
	if len(block) != backupHeaderBytes {
		return BackupHeader{}, backupError(BackupDamaged, nil, "it is cut off within its header; use another backup")
	}
	body, rest, _ := strings.Cut(rest, "\n")
	mac, _, _ := strings.Cut(rest, "\n")
	h := BackupHeader{text: mark + "\n" + body + "\n", seal: mac}
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		return BackupHeader{}, backupError(BackupDamaged, err, "its header is damaged (%v); use another backup", err)
	}
	if err := h.check(); err != nil {
		return BackupHeader{}, backupError(BackupDamaged, err, "its header is damaged (%v); use another backup", err)
	}
	return h, nil
}

func (h BackupHeader) check() error {
	if h.Format > backupFormat {
		return errors.New("its format is newer than its mark says")
	}
	if err := checkIDs(h.Store, h.Till); err != nil {
		return err
	}
	if _, err := ParseHead(h.Head.String()); err != nil {
		return errors.New("it names no head")
	}
	for name, size := range map[string]int64{"journal": h.JournalBytes, "payload": h.PayloadBytes} {
		if size < 1 || size > backupBytesMax {
			return fmt.Errorf("the size of its %s is out of bounds", name)
		}
	}
	for _, digest := range []string{h.JournalSHA256, h.PayloadSHA256, h.seal} {
		if len(digest) != sealDigits || strings.Trim(digest, "0123456789abcdef") != "" {
			return errors.New("a digest is missing")
		}
	}
	if h.HasKey && !h.Encrypted() {
		return errors.New("it says that the key lies in it unencrypted")
	}
	return nil
}
