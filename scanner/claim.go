package scanner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// descriptorsMax is the number of open files from which on no port is opened: the serial library waits by select, which
// holds descriptors below 1024 and panics above.
const descriptorsMax = 1000

// claim is a lock on a device's node. It is advisory and ends with the process, however that ends. The exclusive mode of
// a terminal does not stop root; this does, as far as the other is a posagent too.
type claim struct {
	file *os.File
	node string // without symbolic links
}

// claimPort opens the node at path, which tells its errors apart, and locks it. Its errors are *Trouble.
func claimPort(path string) (*claim, error) {
	fd, err := openNode(path)
	if err != nil {
		return nil, nodeTrouble(path, err)
	}
	node, err := filepath.EvalSymlinks(path)
	if err != nil {
		node = path // it was there a moment ago
	}
	c := &claim{file: os.NewFile(uintptr(fd), path), node: node}
	if fd > descriptorsMax {
		_ = c.release()
		return nil, &Trouble{Code: TroubleManyFiles,
			What: fmt.Sprintf("posagent has %d files open, too many to read %s", fd, path),
			Next: "restart posagent, and report this with a support bundle"}
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = c.release()
		return nil, nodeTrouble(path, err)
	}
	return c, nil
}

func (c *claim) release() error { return c.file.Close() }

// gone reports that the node has vanished, as it does when the device is unplugged. Another one that has since got its
// name is not noticed here; reading fails then.
func (c *claim) gone() bool {
	_, err := os.Stat(c.node)
	return errors.Is(err, fs.ErrNotExist)
}

// openNode opens without waiting for a carrier and without making the port our terminal.
func openNode(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// nodeTrouble explains why a device's node cannot be opened.
func nodeTrouble(path string, err error) *Trouble {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENOTDIR):
		return &Trouble{Code: TroubleNotThere,
			What: "the scanner " + path + " is not there",
			Next: "plug it in; if it is plugged in, set device to what posagent scanner list shows"}
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return &Trouble{Code: TroubleNoPermission,
			What: fmt.Sprintf("posagent may not open the scanner %s (%s)", path, ownerOf(path)),
			Next: "install the udev rule of posagent's package and plug the scanner in again, or add posagent's user to that group and restart it"}
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EWOULDBLOCK):
		return &Trouble{Code: TroubleBusy,
			What: "another program holds the scanner " + path,
			Next: "stop the other posagent, ModemManager, brltty or terminal program that uses it"}
	}
	return &Trouble{Code: TroubleBroken,
		What: fmt.Sprintf("the scanner %s cannot be opened (%v)", path, err),
		Next: "unplug it, wait five seconds and plug it in again"}
}

// ownerOf names the group that may open the node, in the words of ls.
func ownerOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "its owner cannot be read"
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Mode().String()
	}
	group := strconv.FormatUint(uint64(stat.Gid), 10)
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Sprintf("group %s, mode %04o", group, info.Mode().Perm())
}
