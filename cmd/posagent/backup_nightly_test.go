package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
	"posagent/queue"
	"posagent/till"
	"posagent/wxclient"
)

// clockOnly is a way to WeChat Pay that only knows the time.
type clockOnly struct {
	wechat
	now time.Time
}

func (c *clockOnly) Now() time.Time        { return c.now }
func (c *clockOnly) State() wxclient.State { return wxclient.State{ClockKnown: true} }

// nightShift is an agent with a journal, and no more than backups need.
type nightShift struct {
	*agent
	t     *testing.T
	clock *clockOnly
}

func newNightShift(t *testing.T) *nightShift {
	t.Helper()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Store.ID, cfg.Till.ID, cfg.Journal.File = "SZTX001", "T1", filepath.Join(dir, "journal.db")
	clock := &clockOnly{now: time.Date(2026, 3, 10, 15, 0, 0, 0, cfg.Store.TimeZone)}
	a := &agent{cfg: cfg, client: clock, log: zerolog.Nop(), health: health.NewTracker(health.Config{}), life: t.Context()}
	require.NoError(t, a.openJournal(agentOptions{}))
	t.Cleanup(func() { a.backups.wait(); _ = a.journal.Close() })
	return &nightShift{agent: a, t: t, clock: clock}
}

// lookAt is what the daemon does each minute; it reports whether a backup was made.
func (n *nightShift) lookAt(day, hour, minute int) bool {
	n.t.Helper()
	n.clock.now = time.Date(2026, 3, day, hour, minute, 0, 0, n.cfg.Store.TimeZone)
	n.lookAtBackups()
	if !n.backupDue() {
		return false
	}
	_, err := n.MakeBackup(n.t.Context())
	return err == nil
}

func (n *nightShift) files() int {
	all, err := queue.ListBackups(n.cfg.backupFolder())
	require.NoError(n.t, err)
	return len(all)
}

func TestANightlyBackupIsMadeOnceANightAndMadeUpForAfterANightOff(t *testing.T) {
	n := newNightShift(t)
	assert.True(t, n.lookAt(10, 15, 0), "there is none yet")
	assert.False(t, n.lookAt(10, 15, 1))
	assert.False(t, n.lookAt(11, 3, 29))
	assert.True(t, n.lookAt(11, 3, 30))
	assert.False(t, n.lookAt(11, 3, 31))
	assert.False(t, n.lookAt(12, 3, 29))
	assert.True(t, n.lookAt(13, 9, 0), "the PC was off at night, and the shop opens at nine")
	assert.False(t, n.lookAt(13, 9, 1))
	n.cfg.Backup.At = ""
	assert.False(t, n.lookAt(20, 9, 0), "switched off")
	assert.Equal(t, 3, n.files())
}

func TestOldBackupsGoWhenANewOneIsMade(t *testing.T) {
	n := newNightShift(t)
	n.cfg.Backup.Keep = 2
	for day := 10; day < 15; day++ {
		require.True(t, n.lookAt(day, 3, 30))
	}
	assert.Equal(t, 2, n.files())
	require.NoError(t, os.Chmod(n.cfg.backupFolder(), 0o700))
	n.cfg.Backup.AgeRecipient = "nobody's"
	assert.False(t, n.lookAt(15, 3, 30))
	assert.Equal(t, 2, n.files(), "none goes for one that was not made")
}

func TestABackupThatFailsIsAWarningWithANextStepAndIsTriedAgainInAnHour(t *testing.T) {
	n := newNightShift(t)
	n.cfg.Backup.Folder = filepath.Join(filepath.Dir(n.cfg.Journal.File), "stick")
	require.NoError(t, os.WriteFile(n.cfg.Backup.Folder, []byte("a file"), 0o600))
	assert.False(t, n.lookAt(10, 3, 30))
	assert.True(t, n.health.Holds(health.BackupNotMade))
	assert.Contains(t, n.backupState().Failed, "stick")
	require.NoError(t, os.Remove(n.cfg.Backup.Folder))
	assert.False(t, n.lookAt(10, 4, 29))
	assert.True(t, n.lookAt(10, 4, 31))
	assert.False(t, n.health.Holds(health.BackupNotMade))
	state := n.backupState()
	assert.Empty(t, state.Failed)
	assert.NotEmpty(t, state.File)

	n.cfg.Backup.AgeRecipient = "nobody's"
	assert.False(t, n.lookAt(12, 4, 32))
	assert.True(t, n.health.Holds(health.BackupOld), "two days without a good one")
	assert.Equal(t, 48, n.backupState().AgeHours)
	n.cfg.Backup.AgeRecipient = ""
	assert.True(t, n.lookAt(12, 6, 0))
	n.lookAt(12, 6, 1)
	assert.False(t, n.health.Holds(health.BackupOld))
}

func TestABackupIsMadeAfterARestoreWhateverTheHour(t *testing.T) {
	n := newNightShift(t)
	require.True(t, n.lookAt(10, 15, 0))
	newest, found, err := queue.NewestBackup(n.cfg.backupFolder(), "SZTX001", "T1", n.clock.now)
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, n.journal.Close())
	require.NoError(t, os.Remove(n.cfg.Journal.File))
	_, err = queue.RestoreBackup(t.Context(), n.journalConfig(false), queue.RestoreOptions{From: newest.File, Operator: "ANNA", Reason: "disk died"})
	require.NoError(t, err)
	require.NoError(t, n.openJournal(agentOptions{}))
	assert.True(t, n.lookAt(10, 16, 0), "the new characters of its order numbers are in no backup yet")
	assert.False(t, n.lookAt(10, 16, 1))
}

func TestWhoAsksForABackupWhileOneIsMadeGetsThatOne(t *testing.T) {
	n := newNightShift(t)
	asked, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := n.MakeBackup(asked)
	require.ErrorIs(t, err, context.Canceled, "who no longer waits is let go, and the backup goes on")
	made, err := n.MakeBackup(t.Context())
	require.NoError(t, err)
	assert.FileExists(t, made.File)

	n.cfg.Backup.AgeRecipient = "nobody's"
	n.clock.now = n.clock.now.Add(time.Hour)
	_, err = n.MakeBackup(t.Context())
	var told *till.Problem
	require.ErrorAs(t, err, &told)
	assert.Equal(t, till.BackupFailed, told.Code)
	n.readOnly = errors.New("a full disk")
	_, err = n.MakeBackup(t.Context())
	var notReady *payflow.NotReadyError
	assert.ErrorAs(t, err, &notReady)
}

func TestTheHourOfTheNightIsTheStores(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return moment
	}
	for _, row := range []struct{ now, want string }{
		{"2026-03-10T03:30:00+01:00", "2026-03-10T03:30:00+01:00"},
		{"2026-03-10T03:29:59+01:00", "2026-03-09T03:30:00+01:00"},
		{"2026-03-01T01:00:00+01:00", "2026-02-28T03:30:00+01:00"},
		{"2026-03-29T12:00:00+02:00", "2026-03-29T03:30:00+02:00"}, // summer time began at two
	} {
		assert.True(t, at(row.want).Equal(lastNightly(at(row.now), "03:30", berlin)), row.now)
	}
	skipped := lastNightly(at("2026-03-29T12:00:00+02:00"), "02:30", berlin) // an hour that this night does not have
	assert.Equal(t, 29, skipped.Day())
}

func TestBackupSettingsAreStrict(t *testing.T) {
	for _, row := range []struct{ line, want string }{
		{`at = "3:30"`, "hours and minutes"}, {`at = "24:00"`, "hours and minutes"}, {`keep = 0`, "1 to 400"}, {`keep = "14"`, "whole number"},
		{`age_recipient = "age1xyz"`, "public key of age"}, {`folders = "x"`, "folder"},
		{`age_recipient = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"`, "this is a private key"},
	} {
		got := mistakes(t, with("backup", row.line))
		require.Len(t, got, 1, row.line)
		assert.Contains(t, got[0], row.want)
		assert.NotContains(t, got[0], "GFPYYSJZ")
	}
	cfg := parse(t, with("backup", "folder = \"/mnt/usb\"\nat = \"\"\nkeep = 3"))
	assert.Equal(t, Backup{Folder: "/mnt/usb", Keep: 3}, cfg.Backup)
	assert.Equal(t, "/mnt/usb", cfg.backupFolder())
	assert.Equal(t, "/var/lib/posagent/backup", parse(t, leastConfig).backupFolder())
}
