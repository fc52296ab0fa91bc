package scanner

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// usbInterface is one HID interface of a USB device as sysfs shows it, without any traffic on the bus.
type usbInterface struct {
	usbDevice
	path     string // "1-1.2:1.0", which is also hidapi's name of it
	keyboard bool
	pos      bool
	fresh    bool     // the kernel may not have found out yet what it is
	keys     []string // the nodes of its input devices that type digits
}

// freshFor is how long after a device was plugged in an interface without a driver of the kernel may still get one. Only
// then is it known what it is; a keyboard that is no boot keyboard looks like a scanner until then.
const freshFor = 1500 * time.Millisecond

// usbDevice is what sysfs tells of a USB device.
type usbDevice struct {
	port    string // "1-1.2": bus and ports, the same for whatever is plugged in there
	vendor  uint16
	product uint16
	serial  string
	name    string // maker and product as the device gives them
	node    string // below dev, where it is opened
}

// The classes that tell HID interfaces apart (USB HID 1.11, sections 4.1 and 4.3; usage pages 0x01 and 0x8C).
const (
	hidClass         = 0x03
	keyboardProtocol = 0x01
	mouseProtocol    = 0x02
	desktopPage      = 0x01
	keyboardUsage    = 0x06
	scannerPage      = 0x8C
)

// hidInterfaces lists the HID interfaces below sys (usually /sys), in the order of their names. Where there is no USB at
// all the list is empty.
func hidInterfaces(sys, dev string) []usbInterface {
	dirs, _ := filepath.Glob(filepath.Join(sys, "bus/usb/devices/*:*")) // the pattern is sound
	slices.Sort(dirs)
	var found []usbInterface
	for _, dir := range dirs {
		if class, ok := hexAttr(dir, "bInterfaceClass"); ok && class == hidClass {
			found = append(found, readInterface(dir, dev))
		}
	}
	return found
}

func readInterface(dir, dev string) usbInterface {
	name := filepath.Base(dir)
	port, _, _ := strings.Cut(name, ":")
	in := usbInterface{usbDevice: readDevice(filepath.Join(filepath.Dir(dir), port), dev), path: name}
	protocol, _ := hexAttr(dir, "bInterfaceProtocol")
	page, usage, known := firstUsage(reportDescriptor(dir))
	in.keys = keyNodes(dir, dev)
	in.keyboard = protocol == keyboardProtocol || known && page == desktopPage && usage == keyboardUsage || len(in.keys) > 0
	in.fresh = !in.keyboard && protocol != mouseProtocol && !known && justPlugged(filepath.Join(filepath.Dir(dir), port))
	// Without a kernel driver there is no descriptor to read; an interface that is no boot device then may be a scanner.
	in.pos = !in.keyboard && protocol != mouseProtocol && (page == scannerPage || !known) && !in.fresh
	return in
}

// justPlugged reports a USB device that has not been plugged in for long, where the kernel tells for how long.
func justPlugged(dir string) bool {
	ms, err := strconv.ParseInt(attr(dir, "power/connected_duration"), 10, 64)
	return err == nil && ms < freshFor.Milliseconds()
}

func readDevice(dir, dev string) usbDevice {
	vendor, _ := hexAttr(dir, "idVendor")
	product, _ := hexAttr(dir, "idProduct")
	bus, _ := strconv.Atoi(attr(dir, "busnum"))
	number, _ := strconv.Atoi(attr(dir, "devnum"))
	return usbDevice{
		port: filepath.Base(dir), vendor: uint16(vendor), product: uint16(product), serial: attr(dir, "serial"),
		name: strings.TrimSpace(attr(dir, "manufacturer") + " " + attr(dir, "product")),
		node: filepath.Join(dev, "bus/usb", fmt.Sprintf("%03d/%03d", bus, number)),
	}
}

// attr reads an attribute; one that is not there, or vanished with its device, is empty. What a device calls itself is shown
// on a terminal and written into the configuration, so characters that steer a terminal are left out.
func attr(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.Map(printableOnly, string(b)))
}

func printableOnly(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}

func hexAttr(dir, name string) (value uint64, ok bool) {
	value, err := strconv.ParseUint(attr(dir, name), 16, 16)
	return value, err == nil
}

// reportDescriptor is there while a HID driver of the kernel holds the interface.
func reportDescriptor(dir string) []byte {
	files, _ := filepath.Glob(filepath.Join(dir, "*/report_descriptor")) // the pattern is sound
	if len(files) == 0 {
		return nil
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		return nil
	}
	return b
}

// The short items of a report descriptor that come before the first collection (HID 1.11, section 6.2.2).
const (
	itemUsagePage  = 0x04
	itemUsage      = 0x08
	itemCollection = 0xA0
	itemTagMask    = 0xFC
	itemSizeMask   = 0x03
	itemLong       = 0xFE
)

// firstUsage reads the usage page and usage of a descriptor's first collection.
func firstUsage(descriptor []byte) (page, usage uint32, known bool) {
	for i := 0; i < len(descriptor) && descriptor[i] != itemLong; {
		size := int(descriptor[i] & itemSizeMask)
		if size == 3 {
			size = 4
		}
		if i+1+size > len(descriptor) {
			break
		}
		value := littleEndian(descriptor[i+1 : i+1+size])
		switch descriptor[i] & itemTagMask {
		case itemUsagePage:
			page = value
		case itemUsage:
			usage = value
			if size == 4 { // the page travels with the usage
				page, usage = value>>16, value&0xffff
			}
		case itemCollection:
			return page, usage, true
		}
		i += 1 + size
	}
	return 0, 0, false
}

func littleEndian(b []byte) (value uint32) {
	for i, c := range b {
		value |= uint32(c) << (8 * i)
	}
	return value
}

// ids writes a device's ids as lsusb does.
func (d usbDevice) ids() string { return fmt.Sprintf("%04x:%04x", d.vendor, d.product) }

// String names a device for a person who stands before it.
func (d usbDevice) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s at USB port %s", d.ids(), d.port)
	if d.name != "" {
		fmt.Fprintf(&b, " (%s)", d.name)
	}
	if d.serial != "" {
		fmt.Fprintf(&b, ", serial %s", d.serial)
	}
	return b.String()
}
