package queue

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
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

// release lets go of a file that bbolt has panicked over. Closing is not enough: its memory map keeps the lock.
func release(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}
