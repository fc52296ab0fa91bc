package scanner

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The groups of messages: the kernel's own, and udev's, which come when a node has its name, group and mode.
const (
	ueventKernel = 1
	ueventUdev   = 2
)

// listenUevents opens the kernel's line for plugging in and out. It is read by Go's poller, so waiting costs nothing.
func listenUevents() (io.ReadCloser, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, err
	}
	address := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: ueventKernel | ueventUdev}
	if err := unix.Bind(fd, address); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "uevents"), nil
}

// messagesLost reports that more was told than the line could keep.
func messagesLost(err error) bool { return errors.Is(err, unix.ENOBUFS) }
