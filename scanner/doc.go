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
// when a port is closed under a reader. Where a wait can be ended from outside (serial ports, keyboards) it lasts as long
// as nothing comes; elsewhere it is cut in slices, so that a cancelled context is seen soon. The goroutine never waits
// for its consumer. Time comes from the clock and never from a read that returned nothing.
package scanner
