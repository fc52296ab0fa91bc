package queue

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// backupSuffix ends the name of every backup.
const backupSuffix = ".backup"

// backupsMost bounds how many files of a folder are looked at.
const backupsMost = 2000

// BackupName is the name of a till's backup of that moment: names sort as times do.
func BackupName(store, till string, at time.Time) string {
	return backupPrefix(store, till) + at.UTC().Format("20060102T150405.000Z") + backupSuffix
}

func backupPrefix(store, till string) string { return "posagent-" + store + "-" + till + "-" }

// BackupFile is one backup in a folder: its header, or why that can't be read.
type BackupFile struct {
	File string
	BackupHeader
	Err error
}

// ListBackups returns every backup of a folder, the newest first, and those that can't be read at the end. A folder that is not there holds none.
// Their headers alone are read.
func ListBackups(folder string) ([]BackupFile, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, backupError(BackupNotFound, err, "the folder of the backups can't be read (%v); see that it is there, and that this user may look into it", err)
	}
	var all []BackupFile
	for _, e := range entries {
		if len(all) == backupsMost || e.IsDir() || !strings.HasSuffix(e.Name(), backupSuffix) {
			continue
		}
		f := BackupFile{File: filepath.Join(folder, e.Name())}
		f.BackupHeader, f.Err = ReadBackupHeader(f.File)
		all = append(all, f)
	}
	slices.SortStableFunc(all, newerFirst)
	return all, nil
}

func newerFirst(a, b BackupFile) int {
	if (a.Err == nil) != (b.Err == nil) {
		return map[bool]int{true: -1, false: 1}[a.Err == nil]
	}
	return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Head.Sequence, a.Head.Sequence), strings.Compare(b.File, a.File))
}

// aheadMax is how far a backup's date may lie ahead: more was written by a clock that was wrong.
const aheadMax = time.Hour

// FutureLast moves backups that were dated by a clock that ran ahead behind all others, which are in their order: such a one would be taken for
// the newest for years. now is the best clock that there is.
func FutureLast(all []BackupFile, now time.Time) {
	slices.SortStableFunc(all, func(a, b BackupFile) int {
		return cmp.Compare(rankOf(a, now), rankOf(b, now))
	})
}

func rankOf(f BackupFile, now time.Time) int {
	switch {
	case f.Err != nil:
		return 2
	case f.At.After(now.Add(aheadMax)):
		return 1
	}
	return 0
}

// NewestBackup returns the newest backup of a till in a folder by its header, of those that are not dated ahead of now. found is false where there is none.
func NewestBackup(folder, store, till string, now time.Time) (newest BackupFile, found bool, err error) {
	all, err := ListBackups(folder)
	all = slices.DeleteFunc(all, func(f BackupFile) bool { return rankOf(f, now) != 0 })
	for _, f := range all {
		if f.Err == nil && f.Store == store && f.Till == till {
			return f, true, nil
		}
	}
	return BackupFile{}, false, err
}

// PruneBackups removes a till's oldest backups beyond keep, and what a crash left half written. Call it after a new one was made and verified: made is that
// one, and it is never removed, whatever the clocks said. Other tills' backups, and files that can't be read, are left alone.
func PruneBackups(folder string, made BackupHeader, file string, keep int) error {
	all, err := ListBackups(folder)
	if err != nil {
		return err
	}
	FutureLast(all, made.At)
	kept := 0
	for _, f := range all {
		switch {
		case f.Err != nil || f.Store != made.Store || f.Till != made.Till || f.File == file:
			continue
		case kept < keep-1:
			kept++
			continue
		}
		err = errors.Join(err, os.Remove(f.File))
	}
	left, globErr := filepath.Glob(filepath.Join(folder, backupPrefix(made.Store, made.Till)+"*"+backupSuffix+".new"))
	for _, half := range left {
		err = errors.Join(err, os.Remove(half))
	}
	return errors.Join(err, globErr)
}
