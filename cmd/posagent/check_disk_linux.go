package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"posagent/health"
)

// strangeOwner says that a file belongs to another user than its folder, as after a daemon that root has started by hand.
func strangeOwner(file string) string {
	mine, ok := ownerOf(file)
	folder, okFolder := ownerOf(filepath.Dir(file))
	if !ok || !okFolder || mine == folder {
		return ""
	}
	return fmt.Sprintf("%s belongs to user %d, its folder to user %d: the service could not write it", file, mine, folder)
}

func ownerOf(path string) (uint32, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}

// fastCommit warns of ext4's fast_commit on a kernel on which a power cut can lose data that fdatasync has reported as written.
func (c *checker) fastCommit(file string) {
	var system unix.Utsname
	if unix.Uname(&system) != nil {
		return
	}
	kernel := unix.ByteSliceToString(system.Release[:])
	if !fastCommitLoses(kernel) {
		c.ok("kernel", "%s", kernel)
		return
	}
	if fastCommitUsed(c.places.ext4, filepath.Dir(file)) {
		c.known("kernel", health.JournalFastCommit, kernel)
		return
	}
	c.ok("kernel", "%s, and fast_commit is not seen in use on the journal's disk", kernel)
}

// fastCommitLoses reports the kernels that have fast_commit without its repair: from 5.10 on, mended in 5.10.94, 5.15.27 and 5.17.
func fastCommitLoses(kernel string) bool {
	var major, minor, patch int
	_, _ = fmt.Sscanf(kernel, "%d.%d.%d", &major, &minor, &patch) // what is missing is 0
	if major != 5 || minor < 10 || minor > 16 {
		return false
	}
	return minor == 10 && patch < 94 || minor == 15 && patch < 27 || minor != 10 && minor != 15
}

// fastCommitUsed reports that the ext4 of a folder has made fast commits since it was mounted; the kernel counts them in fc_info.
func fastCommitUsed(ext4, folder string) bool {
	info, err := os.Stat(folder)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	node := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev))
	device, err := filepath.EvalSymlinks(node)
	if err != nil {
		return false
	}
	text, err := os.ReadFile(filepath.Join(ext4, filepath.Base(device), "fc_info"))
	return err == nil && fastCommitsIn(string(text)) > 0
}

// fastCommitsIn reads the count in "fc stats:\n12 commits\n…".
func fastCommitsIn(fcInfo string) int {
	for line := range strings.Lines(fcInfo) {
		count, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(count); err == nil && what == "commits" {
			return n
		}
	}
	return 0
}
