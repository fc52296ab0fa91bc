package scanner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Found is a device that may be a scanner, found without opening it.
type Found struct {
	Kind      string   `json:"kind"`             // "serial", "hid" or "evdev"
	Device    string   `json:"device,omitempty"` // serial: the path to configure; else the USB port path
	Mode      string   `json:"mode,omitempty"`   // hid: "pos"
	Name      string   `json:"name,omitempty"`   // maker and product as the device gives them
	VendorID  uint16   `json:"vendor_id,omitempty"`
	ProductID uint16   `json:"product_id,omitempty"`
	Serial    string   `json:"serial,omitempty"`
	Note      string   `json:"note,omitempty"`    // what to know before it is configured
	Holders   []Holder `json:"holders,omitempty"` // programs that have it open, as far as this user can see them
	Missing   []string `json:"missing,omitempty"` // what keeps posagent from reading it, and what to do

	twin   bool   // another of the same ids and serial number is plugged in
	likely bool   // a scanner's maker, or a scanner's kind of report
	node   string // where it is opened; empty where it has no node yet
	port   string // the USB port
}

// Listing is what List found.
type Listing struct {
	Devices []Found `json:"devices"`
	Partial bool    `json:"partial,omitempty"` // other users' programs could not be seen, so a device may be held by one
}

// List finds what may be a scanner on this computer, in sysfs: serial ports with hardware behind them, and USB HID
// devices that are keyboards or scanners. It opens no device and so disturbs none. An empty list is no error.
func List() []Found { return ListAll().Devices }

// ListAll is List, and says whether all programs could be seen.
func ListAll() Listing {
	at := systemPlaces()
	return Listing{Devices: listAt(at, &rules{dirs: ruleDirs}), Partial: !allSeen(at.input.proc)}
}

func listIn(sys, dev string) []Found {
	return listAt(places{hid: hidBus{sys: sys, dev: dev, supported: true}, input: inputBus{sys: sys, dev: dev}}, nil)
}

// listAt lists what is plugged in; r, where there is one, says what udev's rules give to posagent.
func listAt(at places, r *rules) []Found {
	found := candidates(at.input.sys, at.input.dev)
	for i := range found {
		found[i].Holders = holdersOf(at.input.proc, found[i].node)
		found[i].Missing = found[i].missing(at, r)
	}
	return found
}

// candidates lists what is plugged in, without a look at other programs.
func candidates(sys, dev string) []Found {
	return slices.Concat(serialPorts(sys, dev), hidScanners(sys, dev), chipsWithoutPort(sys, dev))
}

// TOML returns the lines of the configuration that name this device.
func (f Found) TOML() string {
	if f.Kind == "serial" {
		return fmt.Sprintf("[[scanner]]\nkind = \"serial\"\ndevice = %q\nbaud = 9600\n", f.Device)
	}
	lines := fmt.Sprintf("[[scanner]]\nkind = %q\nvendor_id = 0x%04x\nproduct_id = 0x%04x\n", f.Kind, f.VendorID, f.ProductID)
	if f.Mode != "" {
		lines += fmt.Sprintf("mode = %q\n", f.Mode)
	}
	switch {
	case f.twin:
		lines += fmt.Sprintf("device = %q\n", f.Device)
	case f.Serial != "":
		lines += fmt.Sprintf("serial = %q\n", f.Serial)
	}
	return lines
}

// Config returns the settings that name this device.
func (f Found) Config() Config {
	if f.Kind == "serial" {
		return Config{Kind: f.Kind, Device: f.Device}
	}
	cfg := Config{Kind: f.Kind, Mode: f.Mode, VendorID: f.VendorID, ProductID: f.ProductID}
	if f.twin {
		cfg.Device = f.Device
		return cfg
	}
	cfg.Serial = f.Serial
	return cfg
}

// serialPorts lists the ports that have hardware behind them.
func serialPorts(sys, dev string) []Found {
	entries, err := os.ReadDir(filepath.Join(sys, "class/tty"))
	if err != nil {
		return nil // no sysfs, no ports
	}
	names := stableNames(dev)
	var found []Found
	for _, entry := range entries {
		dir := filepath.Join(sys, "class/tty", entry.Name())
		if !hasHardware(dir, entry.Name()) {
			continue
		}
		node := filepath.Join(dev, entry.Name())
		found = append(found, foundPort(dir, node, names))
	}
	return found
}

// hasHardware reports a USB port, or a built-in one whose chip the kernel found.
func hasHardware(dir, name string) bool {
	if strings.HasPrefix(name, "ttyUSB") || strings.HasPrefix(name, "ttyACM") {
		return true
	}
	chip, err := strconv.Atoi(attr(dir, "type"))
	return strings.HasPrefix(name, "ttyS") && err == nil && chip > 0
}

func foundPort(dir, node string, names map[string]string) Found {
	f := Found{Kind: "serial", Device: orDefault(names[node], node), node: node}
	d, ok := usbParent(dir)
	if !ok {
		return f
	}
	f.VendorID, f.ProductID, f.Serial, f.Name, f.port = d.vendor, d.product, d.serial, d.name, d.port
	f.likely = scannerMaker(d.vendor)
	if f.Device == node {
		f.Note = "this name may change when another device is plugged in; posagent's udev rule gives a name that stays"
	}
	return f
}

// usbParent finds the USB device that a port belongs to.
func usbParent(dir string) (usbDevice, bool) {
	at, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
	if err != nil {
		return usbDevice{}, false
	}
	for ; at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, ok := hexAttr(at, "idVendor"); ok {
			return readDevice(at, ""), true
		}
	}
	return usbDevice{}, false
}

// stableNames maps a port's node to the name to configure: posagent's own first, then udev's by the device's identity.
func stableNames(dev string) map[string]string {
	names := map[string]string{}
	for _, pattern := range []string{"posagent-scanner*", "posagent/scanner*", "serial/by-id/*", "serial/by-path/*"} {
		links, _ := filepath.Glob(filepath.Join(dev, pattern)) // the patterns are sound
		for _, link := range links {
			node, err := filepath.EvalSymlinks(link)
			if err == nil && names[node] == "" {
				names[node] = link
			}
		}
	}
	return names
}

// hidScanners lists keyboards and point-of-sale scanners, one entry for each interface.
func hidScanners(sys, dev string) []Found {
	all := hidInterfaces(sys, dev)
	var found []Found
	for _, in := range all {
		if !in.keyboard && !in.pos {
			continue
		}
		f := foundHID(in)
		f.twin = slices.ContainsFunc(all, func(other usbInterface) bool {
			return other.port != in.port && other.ids() == in.ids() && other.serial == in.serial
		})
		found = append(found, f)
	}
	return found
}

// foundHID is a scanner that sends reports, or a keyboard, which the kernel reads.
func foundHID(in usbInterface) Found {
	f := Found{Kind: "hid", Mode: "pos", Device: in.port, Name: in.name, VendorID: in.vendor, ProductID: in.product, Serial: in.serial,
		node: in.node, port: in.port, likely: in.pos || scannerMaker(in.vendor)}
	if !in.keyboard {
		return f
	}
	f.Kind, f.Mode, f.node = "evdev", "", ""
	if len(in.keys) > 0 {
		f.node = in.keys[0]
	}
	f.Note = "a keyboard: configure it only if it is the scanner, for it then types into no window any more"
	return f
}
