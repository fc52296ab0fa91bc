// Package systemd installs: it holds the files by which a Linux PC runs posagent as a service, embedded, so that the program can write
// them where the package did not.
//
//	posagent.service            the unit: started at boot, watched, restarted, locked in
//	70-posagent-scanner.rules   udev: scanners belong to the group posagent and have a name that stays
//	posagent.sysusers           the system user and group that both need
//	posagent.tmpfiles           the folders of configuration and credentials
//
// # Why the unit is as it is
//
// Type=notify: the daemon says READY=1 once the journal is open and the API answers. It does not wait for WeChat Pay: a till without
// network must say so on its page, not hang at boot. WatchdogSec: the loop that owns the payments feeds it, so a daemon that hangs is
// ended and started again, and asks for what was open.
//
// RestartPreventExitStatus=2: a wrong configuration does not get better by being read again. StartLimitIntervalSec=0: anything else is
// tried again for ever.
//
// SetCredential with a blank value (one line end) stands behind each LoadCredential: without it a missing file would end in a message of systemd's
// that names no next step. posagent takes a blank credential for a missing one.
//
// AF_NETLINK: without it libusb finds no USB device and reports no error, and nobody tells that a scanner was plugged in. DeviceAllow
// by number (189 USB, 188 ttyUSB, 166 ttyACM, 4 ttyS, 13 input devices, which keyboard scanners are; which of those may be opened says
// the udev rule): a name such as char-ttyUSB is looked up when the unit starts, and then stays forbidden if the driver is loaded later, which
// is when the first scanner is plugged in. PrivateDevices would hide the scanner altogether. LimitNOFILE=1024: the serial library waits
// with select(2), which cannot take a higher descriptor. LimitCORE=0: a core file would hold the keys.
package systemd
