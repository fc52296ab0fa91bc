package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"posagent/queue"
	"posagent/till"
)

// backupPoll is how often the daemon is asked whether a long backup has been made.
const backupPoll = 2 * time.Second

func backupCommand(p *program) *cobra.Command {
	to := ""
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Back the journal up now, while payments go on, and check the copy",
		Long: "Copies the journal, opens the copy and checks all of it, and packs it into one file, encrypted where age_recipient is set. With the\n" +
			"daemon running the daemon makes it; payments go on. The same is done each night at the hour in the [backup] section.\n\n" +
			"An unencrypted backup does not hold the journal's key: copy the folder keys beside the journal to a safe place off this PC once.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.backup(cmd.Context(), to) },
	}
	cmd.Flags().StringVar(&to, "to", "", "put it into this `FILE` or folder too, such as a USB stick")
	cmd.AddCommand(backupVerifyCommand(p), backupListCommand(p))
	return cmd
}

func (p *program) backup(ctx context.Context, to string) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	made, err := makeBackup(ctx, cfg)
	if err != nil {
		return err
	}
	if to != "" {
		if made.File, err = copyBackup(made.File, to); err != nil {
			return err
		}
	}
	return p.print(made, func(w io.Writer) { writeBackup(w, made, cfg) })
}

// makeBackup has the daemon make it, and makes it here where none answers.
func makeBackup(ctx context.Context, cfg Config) (till.Backup, error) {
	client, err := dialDaemon(ctx, cfg)
	if err == nil {
		defer client.Close()
		return backupByDaemon(ctx, client)
	}
	if !isAway(err) {
		return till.Backup{}, err
	}
	j, err := openToRead(journalOptions{}.config(cfg))
	if err != nil {
		return till.Backup{}, journalOpenFailure(err)
	}
	defer j.Close()
	made, err := backUpInto(ctx, j, cfg, time.Now())
	if err != nil {
		return till.Backup{}, backupFailure(err)
	}
	if err := queue.PruneBackups(cfg.backupFolder(), made.BackupHeader, made.File, cfg.Backup.Keep); err != nil {
		return till.Backup{}, &Failure{What: "the backup " + made.File + " was made, but old ones could not be removed: " + plainCause(err),
			Next: "see that the folder and its files belong to the user posagent", Err: err}
	}
	return backupView(made), nil
}

// backupByDaemon waits for the daemon's backup, however long that takes.
func backupByDaemon(ctx context.Context, client *till.Client) (till.Backup, error) {
	began := time.Now().Add(-time.Second)
	made, err := client.MakeBackup(ctx)
	var refused *till.Problem
	if !errors.As(err, &refused) || refused.Code != till.BackupGoesOn {
		return made, daemonFailure(err)
	}
	for {
		select {
		case <-ctx.Done():
			return made, ctx.Err()
		case <-time.After(backupPoll):
		}
		status, err := client.Status(ctx)
		switch b := status.Backup; {
		case err != nil:
			return made, daemonFailure(err)
		case b != nil && b.Failed != "":
			return made, &Failure{What: b.Failed, Next: "mend that, and make the backup again"}
		case b != nil && b.NewestAt.After(began.Add(-24*time.Hour)) && fileSince(b.File, began):
			return till.Backup{File: b.File, At: b.NewestAt, Verified: []string{}, NotVerified: []string{}}, nil
		}
	}
}

// fileSince reports a file that was made since then, by the file system's own clock.
func fileSince(path string, since time.Time) bool {
	info, err := os.Stat(path)
	return err == nil && info.ModTime().After(since)
}

// backupFailure parts a backup's error into what happened and what to do.
func backupFailure(err error) error {
	var wrong *queue.BackupError
	var open *queue.OpenError
	if !errors.As(err, &wrong) && !errors.As(err, &open) {
		return err
	}
	what, next := splitAdvice(err.Error())
	return &Failure{Code: ExitFailed, What: what, Next: next, Err: err}
}

// copyBackup puts a copy of a backup into a file or a folder: under another name first, compared, synced, and renamed.
func copyBackup(from, to string) (string, error) {
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		to = filepath.Join(to, filepath.Base(from))
	}
	fail := func(err error) (string, error) {
		return "", &Failure{What: fmt.Sprintf("the backup %s was made, but not copied to %s: %s", from, to, plainCause(err)),
			Next: "copy it as root: cp " + from + " " + to, Err: err}
	}
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		return fail(errors.New("that file is there already"))
	}
	beside := to + ".new"
	err := copyFile(from, beside)
	if err == nil {
		err = syncFile(beside)
	}
	if err == nil {
		_, err = queue.CheckBackup(context.Background(), beside)
	}
	if err == nil {
		err = os.Rename(beside, to)
	}
	if err == nil {
		err = syncFile(filepath.Dir(to))
	}
	if err != nil {
		_ = os.Remove(beside)
		return fail(err)
	}
	return to, nil
}

// syncFile returns when a file, or a folder's list, is on disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func writeBackup(w io.Writer, b till.Backup, cfg Config) {
	fmt.Fprintf(w, "%s\nof %s", b.File, b.At.In(cfg.Store.TimeZone).Format(time.DateTime))
	if b.Head != "" {
		fmt.Fprintf(w, ", %d bytes, up to entry %d\nhead %s", b.Bytes, b.Sequence, b.Head)
	}
	fmt.Fprintln(w)
	writeChecks(w, b.Verified, b.NotVerified)
	if b.Head != "" && b.Recipient == "" {
		fmt.Fprintf(w, "it is not encrypted, and holds no key: keep a copy of %s off this PC, or no backup can be restored\n", keyFileOf(cfg.Journal.File))
	}
}

func writeChecks(w io.Writer, verified, notVerified []string) {
	for _, v := range verified {
		fmt.Fprintf(w, "verified: %s\n", v)
	}
	for _, v := range notVerified {
		fmt.Fprintf(w, "NOT verified: %s\n", v)
	}
}

func backupVerifyCommand(p *program) *cobra.Command {
	identity := ""
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a backup: that it is what was written and, with the keys, that the journal in it is whole",
		Long: "Checks the file against its own digest, which needs no key. With the journal's key, and for an encrypted backup its private key, the\n" +
			"journal in it is unpacked into the temporary folder, checked as journal verify checks one, and removed again.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			check, err := queue.VerifyBackup(cmd.Context(), args[0], keyFileOf(cfg.Journal.File), identity, os.TempDir())
			if err != nil {
				return backupFailure(err)
			}
			return p.print(check, func(w io.Writer) { writeCheck(w, check, cfg) })
		},
	}
	cmd.Flags().StringVar(&identity, "identity", "", "the `FILE` with the private key of an encrypted backup, as age-keygen made it")
	return cmd
}

func writeCheck(w io.Writer, c queue.BackupCheck, cfg Config) {
	fmt.Fprintf(w, "%s\nof till %s %s, %s, up to entry %d\nhead %s\n", c.File, c.Store, c.Till, c.At.In(cfg.Store.TimeZone).Format(time.DateTime), c.Head.Sequence, c.Head)
	writeChecks(w, c.Verified, c.NotVerified)
}

// backupLine is one backup as backup list prints it.
type backupLine struct {
	File      string    `json:"file"`
	At        time.Time `json:"at,omitzero"`
	Store     string    `json:"store,omitempty"`
	Till      string    `json:"till,omitempty"`
	Sequence  uint64    `json:"sequence,omitempty"`
	Encrypted bool      `json:"encrypted"`
	Trouble   string    `json:"trouble,omitempty"` // why it can't be read
}

func backupListCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "list [FOLDER]",
		Short: "List backups, the newest first, by what their headers say",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			folder := cfg.backupFolder()
			if len(args) > 0 {
				folder = args[0]
			}
			all, err := queue.ListBackups(folder)
			if err != nil {
				return backupFailure(err)
			}
			lines := backupLines(all)
			return p.print(lines, func(w io.Writer) { writeBackupLines(w, folder, lines, cfg.Store.TimeZone) })
		},
	}
}

func backupLines(all []queue.BackupFile) []backupLine {
	lines := []backupLine{}
	for _, f := range all {
		l := backupLine{File: f.File, At: f.At, Store: f.Store, Till: f.Till, Sequence: f.Head.Sequence, Encrypted: f.Encrypted()}
		if f.Err != nil {
			l.Trouble = f.Err.Error()
		}
		lines = append(lines, l)
	}
	return lines
}

func writeBackupLines(w io.Writer, folder string, lines []backupLine, zone *time.Location) {
	if len(lines) == 0 {
		fmt.Fprintf(w, "no backup in %s\n", folder)
	}
	for _, l := range lines {
		if l.Trouble != "" {
			fmt.Fprintf(w, "NOT GOOD  %s\n", l.Trouble)
			continue
		}
		fmt.Fprintf(w, "%s  %s %s  up to entry %8d  %-13s  %s\n", l.At.In(zone).Format(time.DateTime), l.Store, l.Till, l.Sequence,
			map[bool]string{true: "encrypted", false: "not encrypted"}[l.Encrypted], l.File)
	}
}
