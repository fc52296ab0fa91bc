package main

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diskFree returns the bytes that an unprivileged process may still write on the disk of file.
func diskFree(file string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(file), &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
