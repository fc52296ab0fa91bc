package scanner

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// waiter waits until a file can be read, without reading it. One goroutine waits; any may interrupt.
type waiter struct {
	file   *os.File
	within time.Duration // how long a wait may last; 0 is for ever
	woken  atomic.Bool
}

// wait returns true once there is something to read, or the device has failed, which reading it then tells; false when
// the time is over or somebody interrupted.
func (w *waiter) wait() (came bool, err error) {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return false, err
	}
	var until time.Time
	if w.within > 0 {
		until = time.Now().Add(w.within)
	}
	if err := w.file.SetReadDeadline(until); err != nil {
		return false, err
	}
	if w.woken.Swap(false) { // only now: an interruption from here on moves the deadline that was just set
		return false, nil
	}
	err = raw.Read(func(fd uintptr) bool {
		came = readable(fd)
		return came
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.woken.Store(false)
		return false, nil
	}
	return came, err
}

// interrupt ends the wait under way, or else the next one.
func (w *waiter) interrupt() {
	w.woken.Store(true)
	_ = w.file.SetReadDeadline(time.Unix(1, 0)) // it fails only when the file is closed, and then nobody waits
}

// readable reports whether a read would not wait.
func readable(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return n > 0 && err == nil
}
