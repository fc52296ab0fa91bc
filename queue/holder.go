package queue

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// locksFile is where Linux lists who holds which lock.
const locksFile = "/proc/locks"

// holderHint names the process that holds the file's lock, " (process 1205)", where the system tells; else nothing.
func holderHint(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	locks, err := os.Open(locksFile)
	if err != nil {
		return ""
	}
	defer locks.Close()
	inode := ":" + strconv.FormatUint(stat.Ino, 10)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 1205 08:01:131075 0 EOF
		f := strings.Fields(lines.Text())
		if len(f) >= 6 && f[1] == "FLOCK" && strings.HasSuffix(f[5], inode) {
			return " (process " + f[4] + ")"
		}
	}
	return ""
}

// hold holds the folder. Readers hold it beside each other, and make none.
func (cfg JournalConfig) hold() (free func(), err error) {
	if cfg.ReadOnly {
		return holdFolder(cfg.File, syscall.LOCK_SH)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.File), 0o750); err != nil {
		return nil, unseen(cfg.File, err)
	}
	return holdFolder(cfg.File, syscall.LOCK_EX)
}

// holdFolder keeps two posagents apart of which each makes a journal in the folder, or puts one in place. It waits a moment for one that only looks. The hold ends
// with the process.
func holdFolder(journal string, how int) (free func(), err error) {
	folder, err := os.Open(filepath.Dir(journal))
	if err != nil {
		return nil, unseen(journal, err)
	}
	err = flockSoon(folder, how)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = &OpenError{OpenLocked, "another posagent is making or restoring the journal " + journal + "; wait until it has ended", err}
	case err != nil:
		err = unseen(journal, err)
	default:
		return func() { _ = release(folder) }, nil
	}
	return nil, errors.Join(err, folder.Close())
}

// flockSoon is flock that waits a moment.
func flockSoon(file *os.File, how int) error {
	err := flock(file, how)
	for began := time.Now(); errors.Is(err, syscall.EWOULDBLOCK) && time.Since(began) < lockWait; err = flock(file, how) {
		time.Sleep(lockWait / 30)
	}
	return err
}

// flock locks a file, syscall.LOCK_EX or LOCK_SH, or says syscall.EWOULDBLOCK.
func flock(file *os.File, how int) error {
	for {
		if err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB); err != syscall.EINTR {
			return err
		}
	}
}

// release lets go of a file that bbolt has panicked over. Closing is not enough: its memory map keeps the lock.
func release(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}
