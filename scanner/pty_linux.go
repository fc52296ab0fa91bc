package scanner

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// PTY is a pseudo-terminal that stands in for a serial scanner, in tests and in the demonstration: what is written to it
// arrives at its path as if a scanner had sent it.
type PTY struct {
	master *os.File
	path   string
}

// OpenPTY opens a pseudo-terminal in raw mode, without echo. Close unplugs it.
func OpenPTY() (*PTY, error) {
	master, err := os.OpenFile("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	number, err := unlockRaw(master)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up a pseudo-terminal: %w", err), master.Close())
	}
	return &PTY{master: master, path: "/dev/pts/" + strconv.Itoa(number)}, nil
}

// Path is the device that a scanner's configuration names.
func (p *PTY) Path() string { return p.path }

// Link makes name a symbolic link to the device, in place of an older one, as udev does when a scanner is plugged in.
func (p *PTY) Link(name string) error {
	fresh := name + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(p.path, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, name)
}

// Write sends b as the scanner would. It waits while some 4,000 bytes are unread; Close ends the wait.
func (p *PTY) Write(b []byte) (int, error) { return p.master.Write(b) }

// Read returns what the reader of the device has written to it, as an old till's line is written to; it waits for SetDeadline.
func (p *PTY) Read(b []byte) (int, error) { return p.master.Read(b) }

// SetDeadline bounds every read and write from now on.
func (p *PTY) SetDeadline(t time.Time) error { return p.master.SetDeadline(t) }

// Close unplugs: a reader of the device sees it go, and its path vanishes once the reader has closed it.
func (p *PTY) Close() error { return p.master.Close() }

// unlockRaw lets the device be opened, sets it raw and returns its number.
func unlockRaw(master *os.File) (number int, err error) {
	raw, err := master.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) { number, err = unlockRawFD(int(fd)) })
	return number, errors.Join(controlErr, err)
}

func unlockRawFD(fd int) (number int, err error) {
	if number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN); err != nil {
		return 0, err
	}
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return 0, err
	}
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return 0, err
	}
	settings.Iflag, settings.Oflag, settings.Lflag = 0, 0, 0
	return number, unix.IoctlSetTermios(fd, unix.TCSETS, settings)
}
