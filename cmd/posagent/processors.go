package main

import "runtime"

// processorsMin is how many goroutines may run at once, on a computer with one processor too. A HID scanner that types as fast as USB
// allows fills the library's queue of 30 reports in 30 ms, and what the queue can't hold is lost from the front. With one place the
// reader, back from the library, waits behind whatever Go code runs for up to 10 ms at a time; with a second one the kernel lets it run
// at once, because it has slept. In the rig, with the status asked for all the while by two, one place lost 11 codes of 50, two places up to 15 of 200, and
// four places 1 of 200, which the reader's own priority (scanner/urgent_linux.go) mends.
const processorsMin = 4

func ensureProcessors() {
	if runtime.GOMAXPROCS(0) < processorsMin {
		runtime.GOMAXPROCS(processorsMin)
	}
}
