package queue

import "golang.org/x/sys/unix"

// roomOf returns what room the disk of a folder has; ok is false where the disk does not say.
func roomOf(folder string) (room diskRoom, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return diskRoom{}, false
	}
	return diskRoom{bytes: s.Bavail * uint64(s.Bsize), files: s.Ffree, counted: s.Files > 0}, true
}
