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
	Kind      string `json:"kind"`             // "serial" or "hid"
	Device    string `json:"device,omitempty"` // serial: the path to configure; hid: the USB port path
	Mode      string `json:"mode,omitempty"`   // hid: "keyboard" or "pos"
	Name      string `json:"name,omitempty"`   // maker and product as the device gives them
	VendorID  uint16 `json:"vendor_id,omitempty"`
	ProductID uint16 `json:"product_id,omitempty"`
	Serial    string `json:"serial,omitempty"`
	Note      string `json:"note,omitempty"` // what to know before it is configured
	twin      bool   // another of the same ids and serial number is plugged in
}

// List finds what may be a scanner on this computer, in sysfs: serial ports with hardware behind them, and USB HID
// devices that are keyboards or scanners. It opens no device and so disturbs none. An empty list is no error.
func List() []Found { return listIn("/sys", "/dev") }

func listIn(sys, dev string) []Found {
	return append(serialPorts(sys, dev), hidScanners(sys, dev)...)
}

// TOML returns the lines of the configuration that name this device.
func (f Found) TOML() string {
	if f.Kind == "serial" {
		return fmt.Sprintf("[[scanner]]\nkind = \"serial\"\ndevice = %q\nbaud = 9600\n", f.Device)
	}
	lines := fmt.Sprintf("[[scanner]]\nkind = \"hid\"\nvendor_id = 0x%04x\nproduct_id = 0x%04x\nmode = %q\n", f.VendorID, f.ProductID, f.Mode)
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
	f := Found{Kind: "serial", Device: orDefault(names[node], node)}
	d, ok := usbParent(dir)
	if !ok {
		return f
	}
	f.VendorID, f.ProductID, f.Serial, f.Name = d.vendor, d.product, d.serial, d.name
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
		f := Found{Kind: "hid", Device: in.port, Mode: "pos", Name: in.name, VendorID: in.vendor, ProductID: in.product, Serial: in.serial}
		if in.keyboard {
			f.Mode = "keyboard"
			f.Note = "a keyboard: configure it only if it is the scanner, for it then types into no window any more"
		}
		f.twin = slices.ContainsFunc(all, func(other usbInterface) bool {
			return other.port != in.port && other.ids() == in.ids() && other.serial == in.serial
		})
		found = append(found, f)
	}
	return found
}
