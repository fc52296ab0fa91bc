package scanner

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// urgentNice is the priority of a thread that reads a HID device, as nice values go. The unit allows it (LimitNICE).
const urgentNice = -10

// urgent gives the calling goroutine a thread that goes before the others of this computer, with all threads that the C library starts from it, and
// returns what ends that. A HID scanner at USB's own rate fills the library's 30 reports in 30 ms; what the
// queue can't hold is lost. Without the right to it nothing changes.
func urgent() (end func()) {
	runtime.LockOSThread()
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err == nil {
		err = unix.Setpriority(unix.PRIO_PROCESS, 0, urgentNice)
	}
	return func() {
		if err == nil && unix.Setpriority(unix.PRIO_PROCESS, 0, 20-before) != nil {
			return // the thread ends with its goroutine
		}
		runtime.UnlockOSThread()
	}
}
