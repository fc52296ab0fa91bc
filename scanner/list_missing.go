package scanner

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// scannerMakers are the USB vendor numbers of makers whose devices are scanners, as posagent's udev rule has them.
var scannerMakers = []uint16{0x1eab, 0x0c2e, 0x05e0, 0x05f9, 0x23d0, 0x0488}

// serialChips are the vendor numbers of the serial chips in scanners and their cables, with the kernel's driver of each.
var serialChips = map[uint16]string{0x0403: "ftdi_sio", 0x10c4: "cp210x", 0x1a86: "ch341", 0x067b: "pl2303"}

func scannerMaker(vendor uint16) bool { return slices.Contains(scannerMakers, vendor) }

// rulesFile is posagent's udev rule; ruleDirs is where udev looks for it.
const rulesFile = "70-posagent-scanner.rules"

var ruleDirs = []string{"/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"}

// rules is what posagent's udev rule says, read from the first folder that has it.
type rules struct{ dirs []string }

// covers reports a rule that is installed and names the vendor.
func (r *rules) covers(vendor uint16) (installed, covered bool) {
	for _, dir := range r.dirs {
		text, err := os.ReadFile(filepath.Join(dir, rulesFile))
		if err == nil {
			return true, bytes.Contains(bytes.ToLower(text), fmt.Appendf(nil, "%04x", vendor))
		}
	}
	return false, false
}

// missing says what keeps posagent from reading the device, and what to do about each.
func (f Found) missing(at places, r *rules) []string {
	var all []string
	if f.Kind == "hid" && !at.hid.supported {
		all = append(all, "this build of posagent cannot read HID POS scanners: install the build with cgo, or set the scanner to USB serial")
	}
	if f.node == "" {
		return append(all, f.driverMissing(at))
	}
	if err := unix.Access(f.node, unix.R_OK|unix.W_OK); err != nil {
		all = append(all, nodeTrouble(f.node, err).Error())
	}
	if r == nil || f.VendorID == 0 {
		return all
	}
	for _, m := range ruleMissing(r, f.VendorID) {
		if f.Kind == "evdev" && !f.likely { // posagent is not to be given the cashier's keyboard
			m = "only if this is the scanner: " + m
		}
		all = append(all, m)
	}
	return all
}

func ruleMissing(r *rules, vendor uint16) []string {
	switch installed, covered := r.covers(vendor); {
	case !installed:
		return []string{"posagent's udev rule is not installed: copy " + rulesFile + " to /etc/udev/rules.d, run udevadm control --reload and plug the scanner in again"}
	case !covered:
		return []string{fmt.Sprintf("posagent's udev rule does not name vendor %04x: copy %s to /etc/udev/rules.d, add the number, run udevadm control --reload and plug the scanner in again",
			vendor, rulesFile)}
	}
	return nil
}

// driverMissing says why a device that is plugged in has no node.
func (f Found) driverMissing(at places) string {
	if taken(at.input.sys, f.port) {
		if runs(at.input.proc, "brltty") {
			return "brltty has taken it for a braille display: remove the package brltty and plug the scanner in again"
		}
		return "a program has taken it from the kernel's driver, or was killed while it had: end that program and plug the scanner in again"
	}
	if driver, ok := serialChips[f.VendorID]; ok && f.Kind == "serial" {
		return "the kernel's driver has made no port of it: run modprobe " + driver + " and plug it in again"
	}
	return "the kernel's driver has not taken it yet: plug it in again"
}

// taken reports a USB device of which a program holds an interface in place of a driver of the kernel.
func taken(sys, port string) bool {
	drivers, _ := filepath.Glob(filepath.Join(sys, "bus/usb/devices", port+":*", "driver")) // the pattern is sound
	return slices.ContainsFunc(drivers, func(link string) bool {
		target, err := os.Readlink(link)
		return err == nil && filepath.Base(target) == "usbfs"
	})
}

// chipsWithoutPort lists serial chips that are plugged in and have no port: something has taken them, or their driver
// is not there.
func chipsWithoutPort(sys, dev string) []Found {
	ports := usbPorts(sys, dev)
	dirs, _ := filepath.Glob(filepath.Join(sys, "bus/usb/devices/*-*")) // the pattern is sound
	var found []Found
	for _, dir := range dirs {
		d := readDevice(dir, dev)
		_, chip := serialChips[d.vendor]
		if !chip || slices.ContainsFunc(ports, func(p usbPort) bool { return p.port == d.port }) {
			continue
		}
		found = append(found, Found{Kind: "serial", Device: "/dev/posagent-scanner", Name: d.name, VendorID: d.vendor, ProductID: d.product,
			Serial: d.serial, port: d.port, Note: "a serial chip without a port"})
	}
	return found
}

// lockedByPosagent reports a node that a posagent reads, from the kernel's list of locks: opening a port only to see
// whether it is locked would wake what is plugged in there.
func lockedByPosagent(proc, node string) bool {
	var stat unix.Stat_t
	if node == "" || unix.Stat(node, &stat) != nil {
		return false
	}
	locks, err := os.ReadFile(filepath.Join(proc, "locks"))
	if err != nil {
		return false
	}
	inode := fmt.Appendf(nil, " %02x:%02x:%d ", unix.Major(uint64(stat.Dev)), unix.Minor(uint64(stat.Dev)), stat.Ino)
	for line := range bytes.Lines(locks) {
		if bytes.Contains(line, []byte("FLOCK")) && bytes.Contains(line, inode) {
			return true
		}
	}
	return false
}
