package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"posagent/health"
	"posagent/payflow"
	"posagent/queue"
	"posagent/till"
)

// When the daemon looks whether a backup is due, and what it makes of one that failed.
const (
	backupFirst    = 2 * time.Minute // after the start: payments that a stop left open come first
	backupLook     = time.Minute
	backupAgain    = time.Hour // after one that failed
	backupOldAfter = 48 * time.Hour
)

// backups is the daemon's making of backups: one at a time, and what is known of the newest.
type backups struct {
	mu      sync.Mutex // guards what follows
	running *backupRun // nil: none is being made
	newest  queue.BackupFile
	found   bool
	failed  string
	again   time.Time // not before then, after one that failed
	since   time.Time // of the first look
}

// wait returns when no backup is being made.
func (b *backups) wait() {
	b.mu.Lock()
	run := b.running
	b.mu.Unlock()
	if run != nil {
		<-run.done
	}
}

// backupRun is one backup that is being made; done is closed when it has ended.
type backupRun struct {
	done chan struct{}
	made queue.Backup
	err  error
}

// tendBackups makes the nightly backups, and one after a restore, until ctx ends. A night that the PC was off is made up for.
func (a *agent) tendBackups(ctx context.Context) {
	wait := time.NewTimer(backupFirst)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		a.lookAtBackups()
		if a.backupDue() {
			_, _ = a.MakeBackup(ctx) // the warning and the log tell
		}
		wait.Reset(backupLook)
	}
}

// lookAtBackups finds the newest one, and keeps the warning about its age true.
func (a *agent) lookAtBackups() {
	b, now := &a.backups, a.bestClock()
	newest, found, err := queue.NewestBackup(a.cfg.backupFolder(), a.cfg.Store.ID, a.cfg.Till.ID, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		b.since = now
	}
	if err == nil {
		b.newest, b.found = newest, found
	}
	last := b.since
	if b.found {
		last = b.newest.At
	}
	a.warnIf(a.cfg.Backup.At != "" && now.Sub(last) > backupOldAfter, health.BackupOld, backupAge(b.newest, b.found, now))
}

func backupAge(newest queue.BackupFile, found bool, now time.Time) string {
	if !found {
		return "there is none"
	}
	return fmt.Sprintf("%d hours", int(now.Sub(newest.At)/time.Hour))
}

// backupDue reports that the last nightly hour has passed without a backup since, or that the journal was restored since the newest: the new
// characters of its order numbers are in no backup yet.
func (a *agent) backupDue() bool {
	b, now := &a.backups, a.bestClock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.cfg.Backup.At == "" || a.readOnly != nil || b.running != nil || now.Before(b.again) {
		return false
	}
	return !b.found || b.newest.At.Before(lastNightly(now, a.cfg.Backup.At, a.cfg.Store.TimeZone)) || b.newest.Restored != a.journal.LastRestore()
}

// lastNightly is the newest moment not after now at which the store's clocks show that hour and minute.
func lastNightly(now time.Time, at string, zone *time.Location) time.Time {
	local := now.In(zone)
	hour, err := time.Parse("15:04", at)
	if err != nil {
		panic("posagent: the hour of the nightly backup was not checked: " + err.Error())
	}
	for days := 0; ; days++ {
		night := time.Date(local.Year(), local.Month(), local.Day()-days, hour.Hour(), hour.Minute(), 0, 0, zone)
		if !night.After(now) {
			return night
		}
	}
}

// bestClock is WeChat Pay's time where it is known.
func (a *agent) bestClock() time.Time {
	if now, known := a.correctedClock(); known {
		return now
	}
	return time.Now()
}

// MakeBackup makes a backup now and waits for it as long as ctx lasts; a call while one is being made waits for that one.
func (a *agent) MakeBackup(ctx context.Context) (till.Backup, error) {
	b := &a.backups
	b.mu.Lock()
	run := b.running
	if run == nil {
		run = &backupRun{done: make(chan struct{})}
		b.running = run
		go a.runBackup(run)
	}
	b.mu.Unlock()
	select {
	case <-run.done:
	case <-ctx.Done():
		return till.Backup{}, ctx.Err()
	}
	if run.err != nil {
		return till.Backup{}, backupProblem(run.err)
	}
	return backupView(run.made), nil
}

// backupProblem is told to who asked: a backup's own words, which hold nothing that the caller sent.
func backupProblem(err error) error {
	var wrong *queue.BackupError
	if !errors.As(err, &wrong) {
		return err
	}
	return till.NewBackupProblem(wrong.Text)
}

func (a *agent) runBackup(run *backupRun) {
	run.made, run.err = a.makeBackup(a.life)
	b := &a.backups
	b.mu.Lock()
	b.running = nil
	if run.err == nil {
		b.failed, b.again = "", time.Time{}
		b.newest, b.found = queue.BackupFile{File: run.made.File, BackupHeader: run.made.BackupHeader}, true
	} else if a.life.Err() == nil {
		b.failed, b.again = run.err.Error(), a.bestClock().Add(backupAgain)
	}
	failed := b.failed
	b.mu.Unlock()
	a.warnIf(failed != "", health.BackupNotMade, failed)
	if run.err == nil {
		a.health.Clear(health.BackupOld)
	}
	close(run.done)
}

// makeBackup makes one in the till's folder, and then removes the oldest.
func (a *agent) makeBackup(ctx context.Context) (queue.Backup, error) {
	if a.readOnly != nil {
		return queue.Backup{}, &payflow.NotReadyError{Code: "journal", Text: payflow.ErrJournalClosed.Error()}
	}
	began := time.Now()
	made, err := backUpInto(ctx, a.journal, a.cfg, a.bestClock())
	if err != nil {
		a.log.Error().Err(err).Msg("the backup was not made")
		return made, err
	}
	a.log.Info().Str("file", made.File).Str("head", made.Head.String()).Int64("bytes", made.PayloadBytes).Bool("encrypted", made.Encrypted()).
		Int64("elapsed_ms", time.Since(began).Milliseconds()).Msg("backup")
	if err := queue.PruneBackups(a.cfg.backupFolder(), made.BackupHeader, made.File, a.cfg.Backup.Keep); err != nil {
		a.log.Warn().Err(err).Msg("old backups could not be removed")
	}
	return made, nil
}

// backUpInto backs a journal up into the configured folder, which is made for its owner alone where it is not there.
func backUpInto(ctx context.Context, j *queue.Journal, cfg Config, now time.Time) (queue.Backup, error) {
	folder := cfg.backupFolder()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return queue.Backup{}, &queue.BackupError{Kind: queue.BackupUnwritable, Err: err,
			Text: fmt.Sprintf("the folder of the backups can't be made (%s); make %s for the user posagent, or correct folder in the [backup] section", plainCause(err), folder)}
	}
	return j.Backup(ctx, queue.BackupOptions{To: filepath.Join(folder, queue.BackupName(cfg.Store.ID, cfg.Till.ID, now)), Recipient: cfg.Backup.AgeRecipient,
		Now: func() time.Time { return now }, Free: roomIn})
}

// roomIn is how many bytes a folder's disk takes.
func roomIn(folder string) (uint64, error) { return diskFree(filepath.Join(folder, "x")) }

func backupView(made queue.Backup) till.Backup {
	return till.Backup{File: made.File, At: made.At, Sequence: made.Head.Sequence, Head: made.Head.String(), Recipient: made.Recipient,
		Bytes: made.PayloadBytes, Verified: append([]string{}, made.Verified...), NotVerified: append([]string{}, made.NotVerified...)}
}

// backupState is what the status says of the backups; nil before they were looked at.
func (a *agent) backupState() *till.BackupState {
	b, now := &a.backups, a.bestClock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() && !b.found {
		return nil
	}
	state := &till.BackupState{Nightly: a.cfg.Backup.At, Failed: b.failed}
	if b.found {
		state.NewestAt, state.File, state.Encrypted = b.newest.At, b.newest.File, b.newest.Encrypted()
		state.AgeHours = max(0, int(now.Sub(b.newest.At)/time.Hour))
	}
	return state
}
