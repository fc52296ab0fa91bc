package queue

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"
)

// keyBytesMax bounds the key file in a backup.
const keyBytesMax = 4 << 10

// backupFile is a backup that is being read.
type backupFile struct {
	path   string
	file   *os.File
	header BackupHeader
}

// openBackup reads the header and keeps the file open, so that what is checked and what is unpacked is one and the same.
func openBackup(path string) (*backupFile, error) {
	h, err := ReadBackupHeader(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, namedBackup(path, err)
	}
	return &backupFile{path: path, file: file, header: h}, nil
}

func (b *backupFile) close() { _ = b.file.Close() } // it was opened for reading only

// payload reads what follows the header, and ends when ctx does.
func (b *backupFile) payload(ctx context.Context) io.Reader {
	return &endingReader{ctx, io.NewSectionReader(b.file, backupHeaderBytes, b.header.PayloadBytes)}
}

type endingReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *endingReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// checkPayload compares the whole file with the digest in its header. It needs no key.
func (b *backupFile) checkPayload(ctx context.Context) error {
	digest := sha256.New()
	n, err := io.Copy(digest, b.payload(ctx))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return namedBackup(b.path, err)
	}
	if n != b.header.PayloadBytes || hex.EncodeToString(digest.Sum(nil)) != b.header.PayloadSHA256 {
		return namedBackup(b.path, backupError(BackupDamaged, nil, "it is not what was written: its digest differs; use another backup"))
	}
	return nil
}

// unpack writes the journal to w, and returns the text of the key file where the backup holds one. What it has written is the journal of
// the header only if there is no error.
func (b *backupFile) unpack(ctx context.Context, identities []age.Identity, w io.Writer) (key []byte, err error) {
	key, err = b.unpackFrom(b.payload(ctx), identities, w)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var wrong *BackupError
	if err == nil || isFull(err) || errors.As(err, &wrong) {
		return key, namedUnlessFull(b.path, err)
	}
	return nil, namedBackup(b.path, err)
}

func namedUnlessFull(path string, err error) error {
	if isFull(err) {
		return noRoom(filepath.Dir(path), err)
	}
	return namedBackup(path, err)
}

func (b *backupFile) unpackFrom(payload io.Reader, identities []age.Identity, w io.Writer) (key []byte, err error) {
	if b.header.Encrypted() {
		if payload, err = b.decrypt(payload, identities); err != nil {
			return nil, err
		}
	}
	packed, err := gzip.NewReader(bufio.NewReader(payload))
	if err != nil {
		return nil, err
	}
	archive := tar.NewReader(packed)
	for {
		entry, err := archive.Next()
		switch {
		case err == nil && entry.Name == archivedKey && key == nil && b.header.HasKey:
			if key, err = io.ReadAll(io.LimitReader(archive, keyBytesMax)); err != nil {
				return nil, err
			}
		case err == nil && entry.Name == archivedJournal && entry.Size == b.header.JournalBytes:
			return key, b.unpackJournal(archive, w)
		case err == nil:
			return nil, fmt.Errorf("it holds %.40q where something else belongs", entry.Name)
		default:
			return nil, err
		}
	}
}

func (b *backupFile) unpackJournal(r io.Reader, w io.Writer) error {
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, digest), io.LimitReader(r, b.header.JournalBytes))
	if err != nil {
		return err
	}
	if n != b.header.JournalBytes || hex.EncodeToString(digest.Sum(nil)) != b.header.JournalSHA256 {
		return errors.New("the journal in it is not the one that was copied")
	}
	return nil
}

func (b *backupFile) decrypt(payload io.Reader, identities []age.Identity) (io.Reader, error) {
	if len(identities) == 0 {
		return nil, backupError(BackupNeedsIdentity, nil, "it is encrypted to %s; name the file with its private key: --identity FILE", b.header.Recipient)
	}
	clear, err := age.Decrypt(payload, identities...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, backupError(BackupWrongIdentity, err, "the private key given is not the one that it is encrypted to (%s); name the file with the right one", b.header.Recipient)
	}
	return clear, err
}

// CheckBackup compares a backup with its own digest. It needs no key, and proves nothing of the journal in it: VerifyBackup does.
func CheckBackup(ctx context.Context, path string) (BackupHeader, error) {
	b, err := openBackup(path)
	if err != nil {
		return BackupHeader{}, err
	}
	defer b.close()
	return b.header, b.checkPayload(ctx)
}

// BackupCheck is what VerifyBackup read, and what it could not.
type BackupCheck struct {
	File string `json:"file"`
	BackupHeader
	Opened      bool     `json:"opened"` // the journal in it was opened and verified
	Events      uint64   `json:"events"`
	Payments    uint64   `json:"payments"`
	Verified    []string `json:"verified"`
	NotVerified []string `json:"not_verified"`
}

// VerifyBackup checks a backup as far as the keys at hand allow: the file against its own digest, and with the keys the journal in it as a
// journal is verified. keyFile is the journal's key, for a backup that holds none; identityFile ("": none) the private key for one that is
// encrypted. The journal is unpacked into folder, and removed again. An error says that the backup is not good, or that it could not be read.
func VerifyBackup(ctx context.Context, path, keyFile, identityFile, folder string) (BackupCheck, error) {
	b, err := openBackup(path)
	if err != nil {
		return BackupCheck{}, err
	}
	defer b.close()
	c := BackupCheck{File: path, BackupHeader: b.header}
	if err := b.checkPayload(ctx); err != nil {
		return c, err
	}
	c.Verified = append(c.Verified, "the file is what was written: its digest is right")
	if b.header.Encrypted() && identityFile == "" {
		c.NotVerified = append(c.NotVerified, "the journal in it: it is encrypted, and no private key was given (--identity FILE)")
		return c, nil
	}
	work, err := os.CreateTemp(folder, "posagent-backup-*")
	if err != nil {
		return c, backupError(BackupUnwritable, err, "the backup can't be unpacked for a look (%v); see that there is room in %s", err, folder)
	}
	_ = work.Close()
	defer func() { _ = os.Remove(work.Name()) }()
	u, err := b.unpackChecked(ctx, work.Name(), keyFile, identityFile)
	if err != nil {
		return c, err
	}
	c.Opened, c.Events, c.Payments = true, u.report.Events, u.report.Payments
	c.Verified = append(c.Verified, fmt.Sprintf("the journal in it opens, its pages are sound, and its %d entries are whole up to the head %s", c.Events, b.header.Head))
	return c, nil
}

// unpacked is the journal out of a backup, verified.
type unpacked struct {
	keys    keys
	keyText []byte // out of the backup; nil: it holds none
	report  Report
}

// unpackChecked unpacks the journal to a file, on disk when it returns, and verifies it: header, digest, pages, seals, chain and head.
func (b *backupFile) unpackChecked(ctx context.Context, to, keyFile, identityFile string) (unpacked, error) {
	identities, err := b.identities(identityFile)
	if err != nil {
		return unpacked{}, err
	}
	keyText, err := b.unpackTo(ctx, to, identities)
	if err != nil {
		return unpacked{}, err
	}
	u := unpacked{keyText: keyText}
	if u.keys, err = b.keysFor(keyText, keyFile); err != nil {
		return unpacked{}, err
	}
	if !b.header.sealedBy(u.keys) {
		return unpacked{}, namedBackup(b.path, backupError(BackupDamaged, nil, "its header is not what was written; use another backup"))
	}
	u.report, err = verifyCopy(ctx, to, u.keys, b.header.Head)
	var wrong *BackupError
	if errors.As(err, &wrong) {
		err = backupError(BackupDamaged, err, "the journal in it is not whole (%v); use another backup", errors.Unwrap(wrong))
	}
	return u, namedBackup(b.path, err)
}

func (b *backupFile) identities(file string) ([]age.Identity, error) {
	if !b.header.Encrypted() || file == "" {
		return nil, nil
	}
	identities, err := readIdentities(file)
	if err != nil {
		return nil, backupError(BackupWrongIdentity, err, "the private key can't be read (%v); name the file that age-keygen made", err)
	}
	return identities, nil
}

func (b *backupFile) unpackTo(ctx context.Context, to string, identities []age.Identity) (keyText []byte, err error) {
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, backupError(BackupUnwritable, err, "the backup can't be unpacked (%v); run the command as the service's user, with room on the disk", err)
	}
	keyText, err = b.unpack(ctx, identities, &steadyWriter{ctx: ctx, file: file})
	return keyText, errors.Join(err, file.Sync(), file.Close())
}

// keysFor returns the journal's keys: those in the backup, or those of the till's own key file.
func (b *backupFile) keysFor(keyText []byte, keyFile string) (keys, error) {
	if keyText != nil {
		k, err := parseKey(archivedKey, keyText)
		if err != nil || k.id != b.header.KeyID {
			return keys{}, namedBackup(b.path, backupError(BackupDamaged, err, "the key in it is not the journal's; use another backup"))
		}
		return k, nil
	}
	k, err := readKey(keyFile)
	if errors.Is(err, os.ErrNotExist) {
		return keys{}, backupError(BackupKeyMissing, err, "the backup %s is not encrypted and so holds no key, and there is none at %s; put the key back from its copy, and try again", b.path, keyFile)
	}
	if err != nil {
		return keys{}, backupError(BackupKeyMissing, err, "the journal's key can't be read (%v); put it back from its copy, readable by the user posagent", err)
	}
	if k.id != b.header.KeyID {
		return keys{}, backupError(BackupOtherKey, nil, "the backup %s was sealed by another key than %s; put back the key that was copied with it, or name a backup of this journal", b.path, keyFile)
	}
	return k, nil
}
