package main

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// ordinaryPriority keeps the benchmarks from asking for real-time priority.
const ordinaryPriority = "POSAGENT_FIGURES_ORDINARY"

// undisturbed gives this process real-time priority until the benchmark ends, where that is permitted, and says whether it has it.
// Everything that is compared runs in this process. On a machine that others load, the figure is then the program's and not theirs.
func undisturbed(b *testing.B) string {
	if os.Getenv(ordinaryPriority) == "1" {
		return "ordinary priority"
	}
	if err := schedule(unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 10}); err != nil {
		return "ordinary priority (real-time: " + err.Error() + ")"
	}
	b.Cleanup(func() { _ = schedule(unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}) })
	return "real-time priority"
}

// schedule sets every thread of this process; those that it makes later inherit it.
func schedule(attr unix.SchedAttr) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(id, &attr, 0); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}
