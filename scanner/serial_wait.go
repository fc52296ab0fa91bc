package scanner

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// waiter reads a file when there is something to read. One goroutine reads; any may interrupt.
type waiter struct {
	file   *os.File
	within time.Duration // how long a wait may last; 0 is for ever
	woken  atomic.Bool
}

// read waits until there is something to read, and reads it: a scan's last byte is one call away from its first reader. It
// returns nothing when the time is over or somebody interrupted, and an error when the device has failed or hung up.
func (w *waiter) read(b []byte) (n int, err error) {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var until time.Time
	if w.within > 0 {
		until = time.Now().Add(w.within)
	}
	if err := w.file.SetReadDeadline(until); err != nil {
		return 0, err
	}
	if w.woken.Swap(false) { // only now: an interruption from here on moves the deadline that was just set
		return 0, nil
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, failed = readNow(int(fd), b)
		return !errors.Is(failed, unix.EAGAIN)
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.woken.Store(false)
		return 0, nil
	}
	return n, errors.Join(err, failed)
}

// interrupt ends the wait under way, or else the next one.
func (w *waiter) interrupt() {
	w.woken.Store(true)
	_ = w.file.SetReadDeadline(time.Unix(1, 0)) // it fails only when the file is closed, and then nobody waits
}

// readNow reads what is there. A terminal that has hung up gives nothing and no error, and that is its end.
func readNow(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
