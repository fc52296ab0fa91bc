// Package scanner reads codes: from serial ports, from USB HID devices, from keyboards that are grabbed, from typed lines
// and from recordings. It frames what a device sends into scans, follows devices that come and go, and says in plain words
// why one is not there.
//
// Most readers need three things: [New] makes a [Source] out of a [Config]; [Source.Run] delivers an [Event] for each
// scan and for each change of the device's [State]; [Text.Reveal] gives a scan's characters, which print masked because
// a payment code is one minute of spending power.
//
// What a code is (a WeChat Pay payment code, another wallet's, a goods label) and whether it counts now are not decided
// here: every complete scan is handed over with its time and the scanner's AIM identifier, a repeated one too.
//
// # What a scan is
//
// What comes out is a code that went in whole, or nothing and a word why. A scan ends with its suffix, or with silence
// where none is configured ([Framing]). It is refused, and an [Event] of kind KindNoise says so, where anything shows that
// a part may be missing: a byte that is no character, a parity that is not the port's, a prefix or suffix that is not
// there, keys that rolled over, a report with a hole, half a second in its middle during which this program stood still.
// A port that is opened in the middle of a scan throws the rest of it away, and an unplug throws away what had begun. Two
// codes with nothing between them are one text of 36 digits, and a digit that the line swallowed without a trace leaves
// 17: whoever judges codes refuses both. FuzzWholeCodes and TestWhatComesOutIsACodeThatWentInWhole play scripts of such
// faults against every decoder; POSAGENT_SCANS=N plays N of them, POSAGENT_SCAN_SEED=N the one of that number.
//
// # A device's states
//
//	Absent --- plugged in ---> Settling --- refused for 2 s ---> Blocked
//	   |                          |                                |
//	   |                          | opened                         | opened
//	   | opened                   v                                |
//	   +----------------------> Ready <----------------------------+
//	                            |   ^
//	             any read error v   | opened
//	                            Lost --- refused ---> Settling
//
// Absent, Lost and Blocked try to open when the kernel or udev tells that something was plugged in ([Hotplug]), and
// besides: twice a second where that is one call, every two seconds where the bus has to be looked at. Settling tries ten
// times a second.
//
// One goroutine opens, reads and closes a device, and nobody else closes it: both libraries for ports and HID misbehave
// when a port is closed under a reader. Where a wait can be ended from outside (serial ports, keyboards) it is long: as
// long as nothing comes for a keyboard, and a second for a port, so that one that lasted longer shows that the program was
// stopped meanwhile; what was scanned then is dropped. Elsewhere it is cut in slices, so that a cancelled context is seen
// soon. The goroutine never waits for its consumer. Time comes from the clock and never from a read that returned nothing.
package scanner
