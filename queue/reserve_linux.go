package queue

import "golang.org/x/sys/unix"

// freeBytes returns what an unprivileged process may still write on the disk of a folder; ok is false where the disk does not say. A quota may leave less.
func freeBytes(folder string) (free uint64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
