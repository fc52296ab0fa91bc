package main

import "runtime"

// processorsMin is how many goroutines may run at once, on a computer with one processor too. A HID scanner that types as fast as USB
// allows fills the library's queue of 30 reports in 30 ms, and what the queue can't hold is lost from the front. With one place the
// reader, back from the library, waits behind whatever Go code runs for up to 10 ms at a time; with a second one the kernel lets it run
// at once, because it has slept. In the rig, with the status asked for all the while, one place lost 11 codes of 50, and two lost none.
const processorsMin = 4

func ensureProcessors() {
	if runtime.GOMAXPROCS(0) < processorsMin {
		runtime.GOMAXPROCS(processorsMin)
	}
}
