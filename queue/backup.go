package queue

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"go.etcd.io/bbolt"
)

// Names within a backup's archive.
const (
	archivedJournal = "journal.db"
	archivedKey     = "journal.key"
)

const (
	// backupSyncBytes is how much of a copy is written between two syncs. A payment's commit must wait for what the disk holds back,
	// so that this is kept small.
	backupSyncBytes = 4 << 20
	// backupRoomBytes must stay free beside what a backup or a restore needs: payments go on meanwhile, and they come first.
	backupRoomBytes = 64 << 20
)

// BackupOptions says where a backup goes. To is required.
type BackupOptions struct {
	To        string                              // the file to make; it must not be there yet
	Recipient string                              // age1…: encrypted to that public key, with the journal's key inside; "": not encrypted, and without the key
	Now       func() time.Time                    // the best clock that there is; nil: the journal's
	Free      func(folder string) (uint64, error) // the room on a folder's disk, in bytes; nil: it is not asked
}

// Backup is a backup that was made, and what was verified of it.
type Backup struct {
	File string `json:"file"`
	BackupHeader
	Events   uint64 `json:"events"` // entries of the chain that were verified
	Payments uint64 `json:"payments"`
	// Verified says what was checked, and NotVerified what could not be.
	Verified    []string `json:"verified"`
	NotVerified []string `json:"not_verified"`
}

// Backup copies the journal while payments go on, verifies the copy, and packs it into one file. It returns when that is on disk.
//
//  1. the copy, FILE.copying beside the journal, by a read transaction: the state between two steps. Commits go on.
//  2. the copy is opened for reading only: bbolt's check, every seal, the chain to its head
//  3. it is packed, and encrypted, into TO.new, which is read again and compared
//  4. TO.new renamed to TO, folder synced
//
// A crash leaves a complete backup or none, and at most FILE.copying and TO.new, which the next one writes over. The clear copy
// never leaves the journal's own folder where the backup is encrypted. What went wrong is a *BackupError; the journal is none the worse.
func (j *Journal) Backup(ctx context.Context, o BackupOptions) (Backup, error) {
	made, err := j.backup(ctx, o)
	var known *BackupError
	switch {
	case err == nil || errors.As(err, &known) || ctx.Err() != nil:
	case isFull(err):
		err = noRoom(filepath.Dir(o.To), err)
	default:
		err = backupError(BackupUnwritable, err, "the backup %s was not made (%v); see that its folder is there and belongs to the user posagent", o.To, err)
	}
	return made, err
}

func (j *Journal) backup(ctx context.Context, o BackupOptions) (Backup, error) {
	if o.Now == nil {
		o.Now = j.cfg.Now
	}
	if there, err := exists(o.To); err != nil || there {
		return Backup{}, backupError(BackupUnwritable, err, "%s is there already; name another file, because no backup is ever written over", o.To)
	}
	key, err := j.keyForBackup(o.Recipient)
	if err != nil {
		return Backup{}, err
	}
	if err := j.roomForBackup(o); err != nil {
		return Backup{}, err
	}
	work := j.cfg.File + ".copying"
	defer func() { _ = os.Remove(work) }() // what stays is written over by the next
	h, err := j.copyTo(ctx, work, o.Now())
	if err != nil {
		return Backup{}, err
	}
	if err := j.cfg.step("backup copied"); err != nil {
		return Backup{}, err
	}
	made := Backup{File: o.To, BackupHeader: h}
	if err := j.checkCopy(ctx, work, &made); err != nil {
		return Backup{}, err
	}
	if err := j.pack(ctx, work, key, o, &made); err != nil {
		return Backup{}, err
	}
	return made, nil
}

// keyForBackup returns the text of the key file for an encrypted backup, which is useless without it. A backup that anybody can read holds none.
func (j *Journal) keyForBackup(recipient string) ([]byte, error) {
	if recipient == "" {
		return nil, nil
	}
	if err := CheckRecipient(recipient); err != nil {
		return nil, backupError(BackupUnwritable, err, "no backup was made: the public key is not right: %v; correct age_recipient", err)
	}
	text, err := os.ReadFile(j.cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	if k, err := parseKey(j.cfg.KeyFile, text); err != nil || k.id != j.keys.id {
		return nil, backupError(BackupUnsound, err, "the key file %s is not the one that this journal was opened with; put it back from its copy", j.cfg.KeyFile)
	}
	return text, nil
}

// roomForBackup asks before anything is written: the clear copy lies on the journal's own disk, and payments must not run out of room for it.
func (j *Journal) roomForBackup(o BackupOptions) error {
	if err := j.cfg.step("backup room"); err != nil {
		return err
	}
	var size int64
	if err := j.view(func(tx *bbolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		return err
	}
	return roomFor(o.Free, size, filepath.Dir(j.cfg.File), filepath.Dir(o.To))
}

func roomFor(free func(string) (uint64, error), size int64, folders ...string) error {
	if free == nil {
		return nil
	}
	for _, folder := range folders {
		has, err := free(folder)
		if err == nil && has < 2*uint64(size)+backupRoomBytes {
			return noRoom(folder, nil)
		}
	}
	return nil
}

func noRoom(folder string, err error) error {
	return backupError(BackupNoRoom, err, "there is no room on the disk of %s; remove old backups or other files, never the journal, and try again", folder)
}

// copyTo writes the journal as it stands between two steps, and returns what the copy is.
func (j *Journal) copyTo(ctx context.Context, path string, at time.Time) (h BackupHeader, err error) {
	if err := j.cfg.step("backup copy"); err != nil {
		return h, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return h, err
	}
	out := &steadyWriter{ctx: ctx, file: file, hash: sha256.New()}
	err = j.view(func(tx *bbolt.Tx) error {
		about, err := j.about(tx)
		if err != nil {
			return err
		}
		head, err := j.lastHead(tx)
		if err != nil {
			return err
		}
		h = BackupHeader{Format: backupFormat, At: at.UTC(), Store: about.Store, Till: about.Till, Journal: about.ID, KeyID: about.KeyID, Random: j.characters(about),
			Head: head, Restored: about.Restored}
		_, err = tx.WriteTo(out)
		return err
	})
	err = errors.Join(err, file.Sync(), file.Close())
	h.JournalBytes, h.JournalSHA256 = out.n, hex.EncodeToString(out.hash.Sum(nil))
	var damage *DamageError
	if errors.As(err, &damage) {
		return h, unsound(err)
	}
	return h, err
}

func unsound(err error) error {
	return backupError(BackupUnsound, err, "no backup was made, because the journal itself is not what was written (%v); run: posagent journal verify, and keep the backups that there are", err)
}

// steadyWriter writes to a file a little at a time, each on disk before the next, and ends when ctx does.
type steadyWriter struct {
	ctx   context.Context
	file  *os.File
	hash  hash.Hash // nil: none
	n     int64
	dirty int
}

func (w *steadyWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.file.Write(p)
	w.n += int64(n)
	if w.hash != nil {
		_, _ = w.hash.Write(p[:n]) // never fails
	}
	if w.dirty += n; err == nil && w.dirty >= backupSyncBytes {
		w.dirty = 0
		err = w.file.Sync()
	}
	return n, err
}

// checkCopy opens the copy for reading only and verifies it as a journal is verified, up to its head.
func (j *Journal) checkCopy(ctx context.Context, path string, made *Backup) error {
	report, err := verifyCopy(ctx, path, j.keys, made.Head)
	if err != nil {
		return err
	}
	made.Events, made.Payments = report.Events, report.Payments
	made.Verified = append(made.Verified, fmt.Sprintf("the copy opens, its pages are sound, and its %d entries are whole up to the head %s", report.Events, made.Head))
	return nil
}

// verifyCopy verifies a clear copy of a journal. Its error is a *BackupError where the copy is not whole.
func verifyCopy(ctx context.Context, path string, k keys, head Head) (Report, error) {
	c, err := openCopied(path, k)
	if err != nil {
		return Report{}, unsound(err)
	}
	defer func() { _ = c.letGo() }() // it was opened for reading only
	report, err := c.Verify(ctx, []Head{head})
	if err != nil {
		return report, err
	}
	for _, f := range report.Findings {
		if f.Kind != FoundAtAStart { // of the journal's past, and not of this copy
			return report, unsound(errors.New(f.Text))
		}
	}
	return report, nil
}

// openCopied opens a clear copy of a journal for reading, with a key that need not lie beside it, and with no head memo.
func openCopied(path string, k keys) (*Journal, error) {
	c := &Journal{cfg: JournalConfig{File: path, KeyFile: path + ".key", ReadOnly: true, Location: time.UTC, Now: time.Now}, keys: k}
	if err := c.openBolt(path); err != nil {
		return nil, err
	}
	if err := c.recognise(); err != nil {
		return nil, errors.Join(err, c.letGo())
	}
	return c, nil
}

// pack makes the backup's file of the clear copy.
func (j *Journal) pack(ctx context.Context, work string, key []byte, o BackupOptions, made *Backup) error {
	if err := j.cfg.step("backup pack"); err != nil {
		return err
	}
	made.Recipient, made.HasKey = o.Recipient, key != nil
	beside := o.To + ".new"
	err := j.writePacked(ctx, work, key, beside, &made.BackupHeader)
	if err == nil {
		err = j.cfg.step("backup read back")
	}
	if err == nil {
		err = checkPacked(ctx, beside, made)
	}
	if err == nil {
		err = os.Remove(work)
	}
	if err == nil {
		err = j.cfg.step("backup rename")
	}
	if err == nil {
		ownLike(beside)
		err = os.Rename(beside, o.To)
	}
	if err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	if err := syncFolder(filepath.Dir(o.To)); err != nil {
		return err
	}
	return j.cfg.step("backup made")
}

func (j *Journal) writePacked(ctx context.Context, work string, key []byte, path string, h *BackupHeader) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = j.writeInto(ctx, file, work, key, h)
	return errors.Join(err, file.Close())
}

func (j *Journal) writeInto(ctx context.Context, file *os.File, work string, key []byte, h *BackupHeader) error {
	if _, err := file.Write(make([]byte, backupHeaderBytes)); err != nil {
		return err
	}
	payload := &steadyWriter{ctx: ctx, file: file, hash: sha256.New()}
	if err := writePayload(payload, work, key, *h); err != nil {
		return err
	}
	h.PayloadBytes, h.PayloadSHA256 = payload.n, hex.EncodeToString(payload.hash.Sum(nil))
	block, err := h.block(j.keys)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(block, 0)
	return errors.Join(err, file.Sync())
}

// writePayload is what follows the header: a gzipped tar, encrypted by age where there is a recipient.
func writePayload(w io.Writer, work string, key []byte, h BackupHeader) error {
	sealed := io.WriteCloser(nopCloser{w})
	if h.Encrypted() {
		recipient, err := recipientOf(h.Recipient)
		if err != nil {
			return err
		}
		if sealed, err = age.Encrypt(w, recipient); err != nil {
			return err
		}
	}
	packed, err := gzip.NewWriterLevel(sealed, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(packed)
	if key != nil {
		if err := writeEntry(archive, archivedKey, int64(len(key)), func() (int, error) { return archive.Write(key) }); err != nil {
			return err
		}
	}
	copied, err := os.Open(work)
	if err != nil {
		return err
	}
	defer copied.Close()
	err = writeEntry(archive, archivedJournal, h.JournalBytes, func() (int, error) {
		n, err := io.Copy(archive, copied)
		return int(n), err
	})
	if err != nil {
		return err
	}
	return errors.Join(archive.Close(), packed.Close(), sealed.Close())
}

func writeEntry(archive *tar.Writer, name string, size int64, write func() (int, error)) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, Format: tar.FormatGNU}); err != nil {
		return err
	}
	_, err := write()
	return err
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// checkPacked reads the file that was written: all of it against its digest, and a clear one to the last byte of the journal in it.
func checkPacked(ctx context.Context, path string, made *Backup) error {
	b, err := openBackup(path)
	if err != nil {
		return err
	}
	defer b.close()
	if b.header.PayloadSHA256 != made.PayloadSHA256 || b.header.Head != made.Head {
		return backupError(BackupDamaged, nil, "the disk gives back another backup than was written; check the disk")
	}
	if err := b.checkPayload(ctx); err != nil {
		return err
	}
	made.Verified = append(made.Verified, fmt.Sprintf("the file was read again: its %d bytes are those that were written", backupHeaderBytes+made.PayloadBytes))
	if made.Encrypted() {
		made.NotVerified = append(made.NotVerified, "that the file can be decrypted: the private key is not on this till (try it where the key is: posagent backup verify FILE --identity KEYFILE)")
		return nil
	}
	made.NotVerified = append(made.NotVerified, "that a copy of the journal's key is kept elsewhere: an unencrypted backup holds none, and without it the backup can't be restored")
	if _, err := b.unpack(ctx, nil, io.Discard); err != nil {
		return err
	}
	made.Verified = append(made.Verified, "the journal in the file is the copy, byte for byte")
	return nil
}
