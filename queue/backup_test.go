package queue

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// backupIn makes a backup of the book into a folder of its own.
func (b *book) backup(more ...func(*BackupOptions)) Backup {
	b.t.Helper()
	made, err := b.tryBackup(more...)
	require.NoError(b.t, err)
	return made
}

func (b *book) tryBackup(more ...func(*BackupOptions)) (Backup, error) {
	b.t.Helper()
	require.NoError(b.t, os.MkdirAll(b.backups(), 0o700))
	o := BackupOptions{To: filepath.Join(b.backups(), BackupName("SZTX001", "T1", b.now))}
	for _, change := range more {
		change(&o)
	}
	return b.Backup(b.t.Context(), o)
}

func (b *book) backups() string {
	return filepath.Join(filepath.Dir(filepath.Dir(b.cfg.File)), "backup")
}

func encryptedTo(recipient string) func(*BackupOptions) {
	return func(o *BackupOptions) { o.Recipient = recipient }
}

// kindOf is the kind of an error about a backup.
func kindOf(t *testing.T, err error) BackupKind {
	t.Helper()
	var wrong *BackupError
	require.ErrorAs(t, err, &wrong, "%v", err)
	what, next, ok := strings.Cut(wrong.Text, "; ")
	assert.True(t, ok && what != "" && next != "", "%q says what happened and what to do", wrong.Text)
	return wrong.Kind
}

func TestABackupIsTheJournalAsItStood(t *testing.T) {
	b := newBook(t)
	for i := range 5 {
		b.paid(fmt.Sprint("key ", i), fmt.Sprint("A-", i))
	}
	head := b.Head()
	made := b.backup()
	b.paid("key later", "A-9")

	assert.Equal(t, head, made.Head)
	assert.Equal(t, "SZTX001", made.Store)
	assert.Equal(t, head.Sequence, made.Events)
	assert.EqualValues(t, 5, made.Payments)
	assert.False(t, made.HasKey)
	check, err := VerifyBackup(t.Context(), made.File, b.cfg.KeyFile, "", t.TempDir())
	require.NoError(t, err)
	assert.True(t, check.Opened)
	assert.Equal(t, head, check.Head)
	assert.Equal(t, []string{filepath.Base(made.File)}, names(t, b.backups()), "nothing half made is left")
	assert.NoFileExists(t, b.cfg.File+".copying")
	info, err := os.Stat(made.File)
	require.NoError(t, err)
	assert.EqualValues(t, 0o600, info.Mode().Perm())
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestTheKeyIsNeverInABackupThatAnybodyCanRead(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	key, err := os.ReadFile(b.cfg.KeyFile)
	require.NoError(t, err)
	secret := strings.Fields(string(key))[1]
	recipient, identity := keyPair(t)

	clear := unpackedByHand(t, b.backup().File, nil)
	assert.NotContains(t, clear, archivedKey)
	assert.NotContains(t, string(clear[archivedJournal]), secret)
	assert.Contains(t, string(clear[archivedJournal]), "A-1")

	b.now = b.now.Add(time.Hour)
	made := b.backup(encryptedTo(recipient))
	whole, err := os.ReadFile(made.File)
	require.NoError(t, err)
	assert.NotContains(t, string(whole), secret)
	assert.NotContains(t, string(whole), "A-1")
	identities, err := readIdentities(identity)
	require.NoError(t, err)
	opened := unpackedByHand(t, made.File, identities)
	assert.Equal(t, string(key), string(opened[archivedKey]), "the journal is useless without its key, so that it lies in the encrypted one")
	assert.NotEmpty(t, made.NotVerified, "that it can be decrypted is not known on the till")
}

// unpackedByHand does what the header tells a person without this program: tail, age, tar.
func unpackedByHand(t *testing.T, path string, identities []age.Identity) map[string][]byte {
	t.Helper()
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	payload := io.Reader(bytes.NewReader(whole[4096:]))
	if identities != nil {
		payload, err = age.Decrypt(payload, identities...)
		require.NoError(t, err)
	}
	packed, err := gzip.NewReader(payload)
	require.NoError(t, err)
	files := map[string][]byte{}
	for archive := tar.NewReader(packed); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		files[entry.Name], err = io.ReadAll(archive)
		require.NoError(t, err)
	}
}

func TestAnEncryptedBackupIsVerifiedWithItsPrivateKeyAndWithNothingElse(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	recipient, identity := keyPair(t)
	_, other := keyPair(t)
	made := b.backup(encryptedTo(recipient))
	folder := t.TempDir()

	check, err := VerifyBackup(t.Context(), made.File, "no key", "", folder)
	require.NoError(t, err, "its digest needs no key")
	assert.False(t, check.Opened)
	assert.NotEmpty(t, check.NotVerified)
	check, err = VerifyBackup(t.Context(), made.File, "no key", identity, folder)
	require.NoError(t, err)
	assert.True(t, check.Opened)
	assert.Equal(t, made.Events, check.Events)
	_, err = VerifyBackup(t.Context(), made.File, "no key", other, folder)
	assert.Equal(t, BackupWrongIdentity, kindOf(t, err))
	_, err = VerifyBackup(t.Context(), made.File, "no key", b.cfg.KeyFile, folder)
	assert.Equal(t, BackupWrongIdentity, kindOf(t, err))
	assert.Empty(t, names(t, folder), "nothing of a journal is left in the clear")
}

// backupCommits is how many commits are made beside backups: some in every run, POSAGENT_BACKUP_COMMITS=1000 in the long ones.
func backupCommits(t *testing.T) int {
	t.Helper()
	asked := os.Getenv("POSAGENT_BACKUP_COMMITS")
	if asked == "" {
		return 200
	}
	n, err := strconv.Atoi(asked)
	require.NoError(t, err)
	return n
}

// Commits all the time, and three backups among them: each is the journal as one of those commits left it.
func TestABackupWhilePaymentsGoOnIsAWholePrefix(t *testing.T) {
	b, commits := newBook(t), backupCommits(t)
	heads := map[Head]bool{b.Head(): true}
	selling := make(chan struct{})
	go func() {
		defer close(selling)
		for i := range commits / 2 {
			entry := b.arm(fmt.Sprint("key ", i), fmt.Sprint("A-", i))
			heads[b.Head()] = true
			b.become(entry, payflow.Cancelled)
			heads[b.Head()] = true
		}
	}()
	var made []Backup
	for _, from := range []int{commits / 50, commits * 2 / 5, commits * 4 / 5} {
		for int(b.Head().Sequence) < from {
			time.Sleep(time.Millisecond)
		}
		made = append(made, b.backup(func(o *BackupOptions) { o.To += fmt.Sprint("-", from) }))
	}
	<-selling
	for i, m := range made {
		assert.True(t, heads[m.Head], "backup %d ends at %s, where no step ended", i, m.Head)
		check, err := VerifyBackup(t.Context(), m.File, b.cfg.KeyFile, "", t.TempDir())
		require.NoError(t, err)
		assert.Equal(t, m.Head.Sequence, check.Events)
	}
	assert.Greater(t, made[len(made)-1].Head.Sequence, made[0].Head.Sequence, "payments went on meanwhile")
}

func TestAStepIsNotHeldUpByABackup(t *testing.T) {
	b := newBook(t)
	b.paid("key 0", "A-0")
	for _, held := range []string{"backup copy", "backup copied", "backup pack", "backup read back", "backup rename"} {
		committed := false
		b.Journal.cfg.fault = func(step string) error {
			if step == held {
				b.paid("key "+held, "A-1")
				committed = true
			}
			return nil
		}
		b.now = b.now.Add(time.Hour)
		b.backup()
		assert.True(t, committed, held)
	}
	b.Journal.cfg.fault = nil
}

// everyStepOfABackup are the moments at which a test cuts it off.
func everyStepOfABackup(t *testing.T, encrypted bool) []string {
	t.Helper()
	b := newBook(t)
	b.paid("key 1", "A-1")
	var steps []string
	b.Journal.cfg.fault = func(step string) error { steps = append(steps, step); return nil }
	if recipient, _ := keyPair(t); encrypted {
		b.backup(encryptedTo(recipient))
	} else {
		b.backup()
	}
	b.Journal.cfg.fault = nil
	require.Greater(t, len(steps), 5)
	return steps
}

// A kill at a step leaves the disk as it is at that moment: a copy of the folder shows it.
func TestAKillAtAnyStepOfABackupLeavesOneOrNoneAndTheOlderOnes(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		for _, cut := range everyStepOfABackup(t, encrypted) {
			b := newBook(t)
			b.paid("key 1", "A-1")
			older := b.backup()
			b.now = b.now.Add(24 * time.Hour)
			b.paid("key 2", "A-2")
			killed := t.TempDir()
			b.Journal.cfg.fault = func(step string) error {
				if step == cut {
					require.NoError(t, os.CopyFS(killed, os.DirFS(filepath.Dir(b.backups()))))
				}
				return nil
			}
			recipient, identity := keyPair(t)
			more := []func(*BackupOptions){}
			if encrypted {
				more = append(more, encryptedTo(recipient))
			}
			b.backup(more...)
			b.Journal.cfg.fault = nil

			after := bookIn(t, killed)
			all, err := ListBackups(after.backups())
			require.NoError(t, err)
			require.NotEmpty(t, all, cut)
			for _, f := range all {
				require.NoError(t, f.Err, cut)
				_, err := VerifyBackup(t.Context(), f.File, after.cfg.KeyFile, identity, t.TempDir())
				assert.NoError(t, err, cut)
			}
			assert.Equal(t, older.Head, all[len(all)-1].Head, cut)
			after.now = b.now
			after.open()
			if len(all) == 1 { // else the new one was made
				after.backup()
			}
			newest, found, err := NewestBackup(after.backups(), "SZTX001", "T1", b.now)
			require.NoError(t, err)
			require.True(t, found)
			require.NoError(t, PruneBackups(after.backups(), newest.BackupHeader, newest.File, 2))
			assert.Len(t, names(t, after.backups()), 2, cut)
			assert.NoFileExists(t, after.cfg.File+".copying", cut)
			require.NoError(t, after.Close())
		}
	}
}

func TestADiskErrorAtAnyStepOfABackupCostsNothingElse(t *testing.T) {
	for _, full := range []bool{true, false} {
		for _, cut := range everyStepOfABackup(t, false) {
			if cut == "backup made" {
				continue // it is made
			}
			b := newBook(t)
			b.paid("key 1", "A-1")
			b.Journal.cfg.fault = func(step string) error {
				switch {
				case step != cut:
					return nil
				case full:
					return syscall.ENOSPC
				}
				return syscall.EIO
			}
			_, err := b.tryBackup()
			want := map[bool]BackupKind{true: BackupNoRoom, false: BackupUnwritable}[full]
			assert.Equal(t, want, kindOf(t, err), cut)
			b.Journal.cfg.fault = nil
			assert.Empty(t, names(t, b.backups()), "%s: nothing half made is left", cut)
			b.paid("key 2", "A-2") // the journal goes on
			assert.False(t, b.ReserveUsed(), "the reserve is for payments")
			b.backup()
		}
	}
}

func TestNoBackupIsBegunWithoutRoomForItAndForPayments(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	info, err := os.Stat(b.cfg.File)
	require.NoError(t, err)
	free := uint64(backupRoomBytes)
	_, err = b.tryBackup(func(o *BackupOptions) { o.Free = func(string) (uint64, error) { return free, nil } })
	assert.Equal(t, BackupNoRoom, kindOf(t, err))
	assert.Empty(t, names(t, b.backups()))
	free += 2 * uint64(info.Size())
	b.backup(func(o *BackupOptions) { o.Free = func(string) (uint64, error) { return free, nil } })
}

func TestNoBackupIsWrittenOver(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	made := b.backup()
	before, err := os.ReadFile(made.File)
	require.NoError(t, err)
	b.paid("key 2", "A-2")
	_, err = b.tryBackup()
	assert.Equal(t, BackupUnwritable, kindOf(t, err))
	after, err := os.ReadFile(made.File)
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

func TestADamagedJournalGivesNoBackup(t *testing.T) {
	b := damagedBook(t)
	b.fill(20)
	entry := b.paid("key x", "A-1")
	require.NoError(t, b.Close())
	whole := b.copyOf()
	for _, at := range copiesIn(whole, []byte(`"out_trade_no":"`+string(entry.OutTradeNo)), 3) {
		b.flip(at, 1)
	}
	b.cfg.ReadOnly = true
	b.open()
	_, err := b.tryBackup()
	assert.Equal(t, BackupUnsound, kindOf(t, err))
	assert.Empty(t, names(t, b.backups()))
	require.NoError(t, b.Close())
}

// Some bytes; POSAGENT_BACKUP_FLIPS=1 tries every one.
func TestAGarbledBackupIsNeverTakenForAGoodOne(t *testing.T) {
	every := 53
	if os.Getenv("POSAGENT_BACKUP_FLIPS") != "" {
		every = 1
	}
	b := newBook(t)
	b.fill(20)
	recipient, identity := keyPair(t)
	for _, made := range []Backup{b.backup(), b.backup(encryptedTo(recipient), func(o *BackupOptions) { o.To += "2" })} {
		whole, err := os.ReadFile(made.File)
		require.NoError(t, err)
		spoilt := filepath.Join(t.TempDir(), "spoilt.backup")
		try := func(content []byte, what string) {
			require.NoError(t, os.WriteFile(spoilt, content, 0o600))
			_, err := VerifyBackup(t.Context(), spoilt, b.cfg.KeyFile, identity, t.TempDir())
			require.Error(t, err, what)
			kindOf(t, err)
		}
		for _, size := range []int{0, 1, 100, backupHeaderBytes - 1, backupHeaderBytes, len(whole) / 2, len(whole) - 1} {
			try(whole[:size], fmt.Sprint("cut to ", size))
		}
		try(append(bytes.Clone(whole), 0), "a byte more")
		end := bytes.Index(whole, []byte(backupByHand)) // the advice behind it is sealed by nobody, and read by nobody
		tried := 0
		for at := every % 11; at < len(whole); at += every {
			if at >= end && at < backupHeaderBytes {
				continue
			}
			spoilt := bytes.Clone(whole)
			spoilt[at] ^= 1 << (at % 8)
			try(spoilt, fmt.Sprintf("bit %d of byte %d", at%8, at))
			tried++
		}
		t.Logf("%d of %d bytes flipped", tried, len(whole))
	}
}

func TestTheOldestBackupsGoAndNoOtherTills(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	other := filepath.Join(b.backups(), BackupName("SZTX001", "T2", b.now))
	first := b.backup()
	text, err := os.ReadFile(first.File)
	require.NoError(t, err)
	foreign := bytes.Replace(text, []byte(`"till":"T1"`), []byte(`"till":"T2"`), 1)
	require.NoError(t, os.WriteFile(other, foreign, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(b.backups(), "garbled.backup"), []byte("?"), 0o600))
	require.NoError(t, os.WriteFile(first.File+".new", []byte("half"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(b.backups(), "notes.txt"), []byte("mine"), 0o600))
	var made Backup
	for range 4 {
		b.now = b.now.Add(24 * time.Hour)
		made = b.backup()
		require.NoError(t, PruneBackups(b.backups(), made.BackupHeader, made.File, 3))
	}
	left := names(t, b.backups())
	assert.Len(t, left, 3+3, "three of ours, the other till's, the garbled one, the notes: %v", left)
	assert.NotContains(t, left, filepath.Base(first.File))
	assert.Contains(t, left, filepath.Base(other))
	newest, found, err := NewestBackup(b.backups(), "SZTX001", "T1", b.now)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, made.File, newest.File)

	b.now = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC) // a dead battery
	made = b.backup()
	require.NoError(t, PruneBackups(b.backups(), made.BackupHeader, made.File, 3))
	assert.FileExists(t, made.File, "the one just made stays, whatever its date")
}

// A dead battery can also show a year to come: the backup of that day must not pass for the newest until then.
func TestABackupThatIsDatedAheadIsNoNewest(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	now := b.now
	b.now = now.AddDate(4, 0, 0)
	ahead := b.backup()
	b.now = now
	good := b.backup()
	newest, found, err := NewestBackup(b.backups(), "SZTX001", "T1", now)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, good.File, newest.File)
	all, err := ListBackups(b.backups())
	require.NoError(t, err)
	FutureLast(all, now)
	assert.Equal(t, good.File, all[0].File)
	b.now = now.AddDate(0, 0, 1)
	next := b.backup()
	require.NoError(t, PruneBackups(b.backups(), next.BackupHeader, next.File, 2))
	assert.Equal(t, []string{filepath.Base(good.File), filepath.Base(next.File)}, names(t, b.backups()))
	assert.NoFileExists(t, ahead.File)
}

func TestAFolderWithoutBackupsHoldsNone(t *testing.T) {
	_, found, err := NewestBackup(filepath.Join(t.TempDir(), "none"), "SZTX001", "T1", time.Now())
	require.NoError(t, err)
	assert.False(t, found)
}

func FuzzBackupHeader(f *testing.F) {
	k, err := deriveKeys(make([]byte, keyBytes))
	require.NoError(f, err)
	h := BackupHeader{Format: 1, At: time.Unix(1, 0).UTC(), Store: "S", Till: "T", KeyID: k.id, Head: Head{3, strings.Repeat("a", 64)},
		JournalBytes: 1, JournalSHA256: strings.Repeat("b", 64), PayloadBytes: 1, PayloadSHA256: strings.Repeat("c", 64)}
	block, err := h.block(k)
	require.NoError(f, err)
	f.Add(bytes.TrimRight(block, "\n"))
	f.Add([]byte(backupMark + "\n{}\n"))
	f.Add([]byte("posagent-backup-2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		block := text
		if len(text) < backupHeaderBytes { // short texts, filled up, are found through sooner
			block = append(bytes.Clone(text), bytes.Repeat([]byte{'\n'}, backupHeaderBytes-len(text))...)
		}
		got, err := parseHeader(block)
		if err != nil {
			kindOf(t, err)
			return
		}
		require.NoError(t, got.check())
		if got.sealedBy(k) {
			assert.Equal(t, h.Head, got.Head, "nothing is believed but what was sealed")
			assert.Equal(t, h.PayloadSHA256, got.PayloadSHA256)
		}
	})
}
