package queue

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// lostBook is a journal that was backed up, written on, and damaged.
type lostBook struct {
	*book
	made  Backup
	head  Head   // of the journal at its end
	spoil []byte // the damaged file
}

func newLostBook(t *testing.T, more ...func(*BackupOptions)) *lostBook {
	t.Helper()
	b := bookIn(t, t.TempDir())
	b.open()
	b.paid("key 1", "A-1")
	l := &lostBook{book: b, made: b.backup(more...)}
	b.paid("key 2", "A-2")
	l.head = b.Head()
	require.NoError(t, b.Close())
	l.damage()
	return l
}

// damage tears the pages behind the two that bbolt checks.
func (l *lostBook) damage() {
	l.t.Helper()
	l.spoil = l.copyOf()
	for i := 2 * os.Getpagesize(); i < len(l.spoil); i++ {
		l.spoil[i] = 0
	}
	l.putBack(l.spoil)
}

func (l *lostBook) try(more ...func(*RestoreOptions)) (Restored, error) {
	o := RestoreOptions{From: l.made.File, Operator: "ANNA", Reason: "the disk died"}
	for _, change := range more {
		change(&o)
	}
	return RestoreBackup(l.t.Context(), l.cfg, o)
}

func (l *lostBook) restore(more ...func(*RestoreOptions)) Restored {
	l.t.Helper()
	done, err := l.try(more...)
	require.NoError(l.t, err)
	return done
}

func withIdentity(file string) func(*RestoreOptions) {
	return func(o *RestoreOptions) { o.IdentityFile = file }
}

// mustBeRestored opens the journal as a start does: nothing strange is found, and it is the backup with the restore behind it.
func (l *lostBook) mustBeRestored(at string) {
	l.t.Helper()
	l.open()
	assert.Empty(l.t, l.FoundAtStart(), at)
	assert.Equal(l.t, l.made.Head.Sequence+1, l.Head().Sequence, at)
	events, err := l.Events(l.made.Head.Sequence, 5)
	require.NoError(l.t, err)
	require.Len(l.t, events, 1)
	assert.Equal(l.t, EventRestored, events[0].Kind)
	assert.Equal(l.t, "ANNA", events[0].Operator)
	assert.Contains(l.t, events[0].Note, "the disk died")
	report, err := l.Verify(l.t.Context(), nil)
	require.NoError(l.t, err)
	assert.True(l.t, report.Clean(), report.String())
	l.paid("key 3", "A-3")
	require.NoError(l.t, l.Close())
}

// restoreCases are the two kinds of backup: one without a key, beside the till's, and one with it, on a till that has lost its own.
func restoreCases(t *testing.T) map[string]func() (*lostBook, []func(*RestoreOptions)) {
	recipient, identity := keyPair(t)
	return map[string]func() (*lostBook, []func(*RestoreOptions)){
		"plain": func() (*lostBook, []func(*RestoreOptions)) { return newLostBook(t), nil },
		"encrypted, and the key gone": func() (*lostBook, []func(*RestoreOptions)) {
			l := newLostBook(t, encryptedTo(recipient))
			require.NoError(t, os.Remove(l.cfg.KeyFile))
			return l, []func(*RestoreOptions){withIdentity(identity)}
		},
		"encrypted, and the key garbled": func() (*lostBook, []func(*RestoreOptions)) {
			l := newLostBook(t, encryptedTo(recipient))
			require.NoError(t, os.WriteFile(l.cfg.KeyFile, []byte("?"), 0o600))
			return l, []func(*RestoreOptions){withIdentity(identity)}
		},
	}
}

func TestAKillAtAnyStepOfARestoreLeavesTheOldOrTheNew(t *testing.T) {
	for name, begin := range restoreCases(t) {
		t.Run(name, func(t *testing.T) {
			l, more := begin()
			type moment struct{ step, folder string }
			var moments []moment
			l.cfg.fault = func(step string) error {
				folder := filepath.Join(t.TempDir(), "disk")
				require.NoError(t, os.CopyFS(folder, os.DirFS(filepath.Dir(l.backups()))))
				moments = append(moments, moment{step, folder})
				return nil
			}
			done := l.restore(more...)
			l.cfg.fault = nil
			assert.Equal(t, l.head.Sequence, done.Lost.Sequence)
			aside, err := os.ReadFile(done.Aside)
			require.NoError(t, err)
			assert.Equal(t, l.spoil, aside, "the damaged journal is kept, byte for byte")
			assert.NoFileExists(t, l.cfg.File+".restoring")
			l.mustBeRestored("the end")

			old, restored := 0, 0
			for _, m := range moments {
				after := &lostBook{book: bookIn(t, m.folder), made: l.made, head: l.head, spoil: l.spoil}
				after.now = l.now
				if string(after.copyOf()) == string(l.spoil) {
					old++
					after.made.File = filepath.Join(after.backups(), filepath.Base(l.made.File))
					after.restore(more...) // a second try
				} else {
					restored++
				}
				after.mustBeRestored(m.step)
			}
			assert.Greater(t, old, 4)
			assert.Positive(t, restored, "the memo comes behind the rename")
		})
	}
}

func TestADiskErrorAtAnyStepOfARestoreLeavesTheOldOrTheNew(t *testing.T) {
	cases := restoreCases(t)
	delete(cases, "encrypted, and the key gone") // takes the steps of the garbled one, which takes those of the plain one too
	delete(cases, "plain")
	for name, begin := range cases {
		t.Run(name, func(t *testing.T) {
			var steps []string
			l, more := begin()
			l.cfg.fault = func(step string) error { steps = append(steps, step); return nil }
			l.restore(more...)
			for i, cut := range steps {
				l, more := begin()
				at := 0
				l.cfg.fault = func(step string) error {
					at++
					switch {
					case at != i+1:
						return nil
					case step == "read the key":
						return syscall.EIO // no room is no error of reading
					}
					return syscall.ENOSPC
				}
				_, err := l.try(more...)
				l.cfg.fault = nil
				if cut == "restore memo" { // it is made up for at the next start
					require.NoError(t, err)
					l.mustBeRestored(cut)
					continue
				}
				require.Error(t, err, cut)
				assert.Equal(t, l.spoil, l.copyOf(), cut)
				assert.NoFileExists(t, l.cfg.File+".restoring", cut)
				l.restore(more...)
				l.mustBeRestored(cut)
			}
		})
	}
}

func TestWhatCanNotBeRestoredIsToldAndNothingIsLost(t *testing.T) {
	recipient, identity := keyPair(t)
	_, other := keyPair(t)
	plain := func() *lostBook { return newLostBook(t) }
	encrypted := func() *lostBook { return newLostBook(t, encryptedTo(recipient)) }
	for _, c := range []struct {
		name  string
		begin func() *lostBook
		spoil func(l *lostBook)
		more  func(*RestoreOptions)
		want  BackupKind
	}{
		{"no such file", plain, nil, func(o *RestoreOptions) { o.From += "?" }, BackupNotFound},
		{"no backup", plain, nil, func(o *RestoreOptions) { o.From = o.From[:strings.LastIndex(o.From, "/")] + "/../keys/journal.key" }, BackupNone},
		{"another till's", plain, func(l *lostBook) { l.cfg.TillID = "T2" }, nil, BackupOtherTill},
		{"the key is gone and not in it", plain, func(l *lostBook) { require.NoError(t, os.Remove(l.cfg.KeyFile)) }, nil, BackupKeyMissing},
		{"the key is another", plain, func(l *lostBook) { require.NoError(t, writeKey(l.cfg.KeyFile, newSecret())) }, nil, BackupOtherKey},
		{"encrypted, and a new journal was begun", encrypted, func(l *lostBook) { require.NoError(t, writeKey(l.cfg.KeyFile, newSecret())) }, withIdentity(identity), BackupOtherKey},
		{"encrypted, no private key", encrypted, nil, nil, BackupNeedsIdentity},
		{"encrypted, another private key", encrypted, nil, withIdentity(other), BackupWrongIdentity},
		{"cut off", plain, func(l *lostBook) { require.NoError(t, os.Truncate(l.made.File, 5000)) }, nil, BackupDamaged},
		{"no room", plain, nil, func(o *RestoreOptions) { o.Free = func(string) (uint64, error) { return 1 << 20, nil } }, BackupNoRoom},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := c.begin()
			whole := *l
			if c.spoil != nil {
				c.spoil(l)
			}
			key, _ := os.ReadFile(l.cfg.KeyFile)
			var more []func(*RestoreOptions)
			if c.more != nil {
				more = append(more, c.more)
			}
			_, err := l.try(more...)
			assert.Equal(t, c.want, kindOf(t, err), "%v", err)
			now, _ := os.ReadFile(whole.cfg.KeyFile)
			assert.Equal(t, key, now)
			assert.Equal(t, l.spoil, l.copyOf())
			for _, name := range names(t, filepath.Dir(l.cfg.File)) {
				assert.False(t, strings.Contains(name, ".restoring") || strings.Contains(name, ".aside"), name)
			}
		})
	}
}

func TestAJournalThatNothingIsWrongWithIsNotReplaced(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	made := b.backup()
	b.paid("key 2", "A-2")
	o := RestoreOptions{From: made.File, Operator: "ANNA", Reason: "curiosity"}
	_, err := RestoreBackup(t.Context(), b.cfg, o)
	var open *OpenError
	require.ErrorAs(t, err, &open, "it runs")
	assert.Equal(t, OpenLocked, open.Kind)
	require.NoError(t, b.Close())
	before := b.copyOf()
	_, err = RestoreBackup(t.Context(), b.cfg, o)
	assert.Equal(t, BackupUnsound, kindOf(t, err))
	assert.Equal(t, before, b.copyOf())

	o.Operator = ""
	_, err = RestoreBackup(t.Context(), b.cfg, o)
	require.Error(t, err, "it is a person's word")
}

// A file that can't be opened as a journal may still be held by a posagent that had it open before it was spoilt.
func TestADamagedJournalThatSomebodyHoldsIsNotReplaced(t *testing.T) {
	recipient, identity := keyPair(t)
	for _, keyGone := range []bool{false, true} {
		l := newLostBook(t, encryptedTo(recipient))
		if keyGone {
			require.NoError(t, os.Remove(l.cfg.KeyFile))
		}
		holder, err := os.Open(l.cfg.File)
		require.NoError(t, err)
		require.NoError(t, flock(holder, syscall.LOCK_EX))
		_, err = l.try(withIdentity(identity))
		var open *OpenError
		require.ErrorAs(t, err, &open)
		assert.Equal(t, OpenLocked, open.Kind)
		assert.Equal(t, l.spoil, l.copyOf())
		require.NoError(t, holder.Close())
		l.restore(withIdentity(identity))
	}
}

func TestAnOlderBackupThanAnotherIsRestoredWhereItIsNamed(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.open()
	b.paid("key 1", "A-1")
	older := b.backup()
	b.now = b.now.AddDate(0, 0, 1)
	b.paid("key 2", "A-2")
	newer := b.backup()
	require.NoError(t, b.Close())
	l := &lostBook{book: b, made: older, head: newer.Head}
	l.damage()
	newest, found, err := NewestBackup(b.backups(), "SZTX001", "T1", b.now)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, newer.File, newest.File)
	done := l.restore()
	assert.Equal(t, older.Head, done.Backup.Head)
	assert.Equal(t, newer.Head.Sequence, done.Lost.Sequence)
	l.mustBeRestored("older")
}

// The start after a restore that could not write the memo: the old memo names entries that are gone, and the restore has named them.
func TestTheOldMemoIsAccountedForAndAStrangersIsNot(t *testing.T) {
	l := newLostBook(t)
	l.cfg.fault = func(step string) error {
		if step == "restore memo" {
			return syscall.EIO
		}
		return nil
	}
	l.restore()
	l.cfg.fault = nil
	cfg := l.cfg
	cfg.ReadOnly = true
	j, err := OpenJournal(cfg)
	require.NoError(t, err)
	report, err := j.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.True(t, report.Clean(), report.String())
	assert.Contains(t, report.String(), "replaced by the last restore")
	require.NoError(t, j.Close())

	k, err := readKey(l.cfg.KeyFile)
	require.NoError(t, err)
	stranger := Head{Sequence: l.head.Sequence + 5, Hash: l.head.Hash}
	require.NoError(t, writeFile(l.cfg.memoFile(), memoText(k, stranger)))
	l.open()
	assert.NotEmpty(t, l.FoundAtStart(), "any other head of entries that are gone is a finding as ever")
	require.NoError(t, l.Close())
}

// A journal that is begun anew leaves the old one all that a restore of it needs.
func TestBeginningAnewKeepsTheOldStarts(t *testing.T) {
	l := newLostBook(t)
	before, err := os.ReadFile(l.cfg.startsFile())
	require.NoError(t, err)
	l.cfg.BeginNew = true
	l.open()
	asides, err := filepath.Glob(l.cfg.startsFile() + ".aside-*")
	require.NoError(t, err)
	require.Len(t, asides, 1)
	after, err := os.ReadFile(asides[0])
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

// A new journal was begun, and then the key and a backup of the old one turned up: its starts are read from where they were set aside.
func TestARestoreReadsTheStartsThatWereSetAside(t *testing.T) {
	l := newLostBook(t)
	key, err := os.ReadFile(l.cfg.KeyFile)
	require.NoError(t, err)
	require.NoError(t, os.Rename(l.made.File, l.made.File+".kept"))
	l.made.File += ".kept"
	l.putBack(l.spoil)
	l.cfg.BeginNew = true
	l.open()
	require.NoError(t, l.Close())
	l.cfg.BeginNew = false
	require.NoError(t, os.Remove(l.cfg.File))
	require.NoError(t, os.WriteFile(l.cfg.KeyFile, key, 0o600))
	before, err := readStarts(l.cfg.startsFile()+l.cfg.asideSuffix(), l.keysOf(key))
	require.NoError(t, err)
	r := &restore{cfg: l.cfg, u: unpacked{keys: l.keysOf(key)}}
	noted, read, _ := r.notedStarts()
	assert.True(t, read)
	assert.Equal(t, before, noted)
	l.restore()
	l.open()
	assert.NoFileExists(t, l.cfg.startsFile()+".new")
	asides, err := filepath.Glob(l.cfg.startsFile() + ".aside-*")
	require.NoError(t, err)
	assert.Len(t, asides, 2, "the new journal's list was set aside too, and not written over")
}

func (b *book) keysOf(text []byte) keys {
	b.t.Helper()
	k, err := parseKey("", text)
	require.NoError(b.t, err)
	return k
}

// An older backup was restored and sold on; then the newer one is put in place: what was sold in between is asked for too.
func TestARestoreAsksForWhatWasSoldBehindARestoreOfAnOlderBackup(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.open()
	b.paid("key 1", "A-1")
	older := b.backup()
	b.now = b.now.AddDate(0, 0, 1)
	for _, key := range []string{"key 2", "key 3", "key 4"} {
		b.paid(key, "A-"+key)
	}
	newer := b.backup()
	require.NoError(t, b.Close())
	l := &lostBook{book: b, made: older, head: newer.Head}
	l.damage()
	l.restore()
	l.open()
	lost := l.paid("key 5", "A-5").OutTradeNo
	random := l.ownCharacters()
	require.NoError(t, l.Close())
	l.damage()
	l.made = newer
	l.restore()
	l.open()
	assert.Contains(t, string(lost), random)
	assert.Contains(t, l.searched(), random)
}

// searched are the random characters of the numbers that WeChat Pay is to be asked for, in their order.
func (b *book) searched() (randoms []string) {
	b.t.Helper()
	require.NoError(b.t, b.view(func(tx *bbolt.Tx) error {
		r, err := b.searches(tx)
		for _, s := range r.Searches {
			randoms = append(randoms, s.Random)
		}
		return err
	}))
	return randoms
}

// A person may order a restore of a journal that nothing is wrong with but that it could not be read for a moment: what was sold since the backup would be lost for that.
func TestAJournalThatCannotBeReadNowIsNotReplaced(t *testing.T) {
	recipient, identity := keyPair(t)
	for name, fail := range map[string]func(*JournalConfig, error){
		"the key": func(cfg *JournalConfig, err error) { cfg.fault = failing("read the key", err) },
		"the memo": func(cfg *JournalConfig, err error) {
			met := false
			cfg.unread = func(path string) error {
				if met || path != cfg.memoFile() {
					return nil
				}
				met = true
				return err
			}
		},
	} {
		for _, cause := range []error{syscall.EIO, syscall.EMFILE, syscall.ENOMEM} {
			b := newBook(t)
			made := b.backup(encryptedTo(recipient))
			b.paid("key 2", "A-2")
			require.NoError(t, b.Close())
			before := b.copyOf()
			cfg := b.cfg
			fail(&cfg, cause)
			_, err := RestoreBackup(t.Context(), cfg, RestoreOptions{From: made.File, IdentityFile: identity, Operator: "an installer", Reason: "a try"})
			assert.Truef(t, isUnreadable(err), "%s, %v: %v", name, cause, err)
			assert.Equal(t, before, b.copyOf(), name)
			b.open()
		}
	}
}

func TestABackupThatCannotBeReadNowIsNotCalledDamaged(t *testing.T) {
	assert.True(t, isUnreadable(namedBackup("a.backup", &fs.PathError{Op: "open", Path: "a.backup", Err: syscall.EMFILE})))
	var wrong *BackupError
	require.ErrorAs(t, namedBackup("a.backup", &fs.PathError{Op: "open", Path: "a.backup", Err: syscall.EACCES}), &wrong)
	assert.Equal(t, BackupDamaged, wrong.Kind)
}
