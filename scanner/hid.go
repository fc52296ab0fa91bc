package scanner

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/karalabe/hid"
)

// How long a read of a HID device waits: while a scan is under way, so that silence is noticed in time, and else. The
// library's 0 would be a poll that returns at once, and nothing can end a read from outside.
const (
	hidSlice = 25 * time.Millisecond
	hidIdle  = 500 * time.Millisecond
)

// hidHandle is what is used of an open HID device. It must be read and closed by one goroutine: closing it under a
// reader is a use of freed memory in the C library.
type hidHandle interface {
	// ReadTimeout waits for ms milliseconds. 0 and no error means that nothing came, or a report of no bytes.
	ReadTimeout(b []byte, ms int) (int, error)
	SendFeatureReport(b []byte) (int, error)
	Close() error
}

// hidBus is where HID devices are found and opened.
type hidBus struct {
	sys, dev  string
	supported bool // false where the program was built without cgo
	open      func(in usbInterface) (hidHandle, error)
}

// systemBus is this computer's. It opens by the name that sysfs gives, and never enumerates: that would talk to every
// HID device of the computer, the cashier's keyboard too.
func systemBus() hidBus {
	return hidBus{sys: "/sys", dev: "/dev", supported: hid.Supported(), open: func(in usbInterface) (hidHandle, error) {
		return hid.DeviceInfo{Path: in.path, VendorID: in.vendor, ProductID: in.product}.Open()
	}}
}

// newHID returns the source of a USB scanner that sends HID reports.
func newHID(cfg Config, bus hidBus) (*device, error) {
	cfg.Mode = orDefault(cfg.Mode, "auto")
	if err := oneOf("mode", cfg.Mode, "auto", "keyboard", "pos"); err != nil {
		return nil, err
	}
	if cfg.VendorID == 0 {
		return nil, &ConfigError{"vendor_id", "is missing", "write the number that posagent scanner list shows, such as 0x1eab"}
	}
	if cfg.ProductID == 0 {
		return nil, &ConfigError{"product_id", "is missing", "write the number that posagent scanner list shows, such as 0x0c06"}
	}
	form, err := hidFormat(cfg)
	if err != nil {
		return nil, err
	}
	h := &hidDevice{cfg: cfg, bus: bus}
	return &device{name: cfg.Name(), opener: h.opener, decoder: form.decoder(), format: form, lost: h.lost,
		every: lookEvery, hotplug: cfg.Hotplug, urgent: true}, nil
}

func hidFormat(cfg Config) (format, error) {
	framing, err := cfg.framing(keyboardGap)
	if err != nil {
		return format{}, err
	}
	if cfg.Mode == "keyboard" {
		return format{decodeKeyboard, framing}, nil
	}
	return format{decodePOS, Framing{Prefix: framing.Prefix, Suffix: framing.Suffix}}, nil // auto opens no keyboard
}

// hidDevice finds and opens the configured device. Only the device's one goroutine uses it.
type hidDevice struct {
	cfg Config
	bus hidBus
	in  usbInterface // what was opened last
}

func (h *hidDevice) opener() (port, error) {
	if !h.bus.supported {
		return nil, noHIDSupport()
	}
	in, err := matchOrOther(h.cfg, places{hid: h.bus, input: inputBus{sys: h.bus.sys, dev: h.bus.dev, proc: "/proc"}})
	if err != nil {
		return nil, err
	}
	lock, err := claimPort(in.node) // the library says only that opening failed, and this says why
	if err != nil {
		return nil, err
	}
	descriptor := reportDescriptor(filepath.Join(h.bus.sys, "bus/usb/devices", in.path)) // it goes with the kernel's driver
	handle, err := h.bus.open(in)
	if err != nil {
		return nil, errors.Join(claimFailed(in, err), lock.release())
	}
	p := &hidPort{handle: handle, lock: lock, slice: hidSlice, descriptor: descriptor}
	if err := wake(in, h.cfg.Mode, handle); err != nil {
		return nil, errors.Join(wakeFailed(in, err), p.Close())
	}
	h.in = in
	return p, nil
}

// lost explains a read error, which the library does not: the device is gone from sysfs, or it has failed.
func (h *hidDevice) lost(err error) *Trouble {
	there := slices.ContainsFunc(hidInterfaces(h.bus.sys, h.bus.dev), func(in usbInterface) bool { return in.path == h.in.path })
	if !there {
		return &Trouble{Code: TroubleNotThere, What: "the scanner " + h.cfg.Name() + " was unplugged", Next: "plug it in again"}
	}
	return &Trouble{Code: TroubleBroken,
		What: fmt.Sprintf("the scanner %s does not answer any more (%v)", h.cfg.Name(), err),
		Next: "unplug it, wait five seconds and plug it in again"}
}

// hidPort is an open device, read in slices, and the lock on its node.
type hidPort struct {
	handle     hidHandle
	lock       *claim
	slice      time.Duration
	descriptor []byte
}

// Descriptor is the device's report descriptor, or nothing where no driver of the kernel had it.
func (p *hidPort) Descriptor() []byte { return p.descriptor }

func (p *hidPort) await(pending bool) {
	p.slice = hidIdle
	if pending {
		p.slice = hidSlice
	}
}

func (p *hidPort) gone() bool { return p.lock.gone() }

// Read returns one report, or nothing.
func (p *hidPort) Read(b []byte) (int, error) {
	return p.handle.ReadTimeout(b, int(p.slice.Milliseconds()))
}

// Close gives the device back to the kernel's driver.
func (p *hidPort) Close() error { return errors.Join(p.handle.Close(), p.lock.release()) }

// Makers whose scanners send point-of-sale reports only after feature report 254 was set to 1.
const (
	vendorHoneywell  = 0x0c2e
	vendorYoujie     = 0x23d0
	wakeReport       = 254
	wakeReportEnable = 1
)

func wake(in usbInterface, mode string, handle hidHandle) error {
	if mode == "keyboard" || in.vendor != vendorHoneywell && in.vendor != vendorYoujie {
		return nil
	}
	_, err := handle.SendFeatureReport([]byte{wakeReport, wakeReportEnable})
	return err
}

func noHIDSupport() *Trouble {
	return &Trouble{Code: TroubleNoHID,
		What: "this posagent was built without support for HID scanners (CGO_ENABLED=0)",
		Next: `set the scanner to USB serial (virtual COM port) by its manual and write kind = "serial", or install the packaged posagent`}
}

func claimFailed(in usbInterface, err error) *Trouble {
	return &Trouble{Code: TroubleBusy,
		What: fmt.Sprintf("the scanner %s cannot be taken over (%v)", in, err),
		Next: "stop other programs that use it, or unplug it and plug it in again"}
}

func wakeFailed(in usbInterface, err error) *Trouble {
	return &Trouble{Code: TroubleBroken,
		What: fmt.Sprintf("the scanner %s could not be told to send its scans here (%v)", in, err),
		Next: `plug it in again; if that does not help, set it to USB serial by its manual and write kind = "serial"`}
}
