package scanner

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// places are where devices are found, and how those that are no files are opened.
type places struct {
	hid   hidBus
	input inputBus
}

func systemPlaces() places { return places{hid: systemBus(), input: systemInput()} }

// chosenPort is a port of a device that was found out only when it was opened.
type chosenPort struct {
	port
	by *device // reads it
}

// newAuto returns the source of a device that is named, and whose kind is found out whenever it is opened: the same
// scanner may have been set to another mode meanwhile.
func newAuto(cfg Config, at places) (*device, error) {
	if err := autoNamed(cfg, at); err != nil {
		return nil, err
	}
	if _, err := serialMode(cfg); err != nil {
		return nil, err
	}
	if _, err := cfg.framing(serialGap); err != nil {
		return nil, err
	}
	cfg.Stdin = nil // so that settings can be compared
	a := &autoDevice{cfg: cfg, at: at}
	return &device{name: cfg.Name(), opener: a.opener, decoder: NewAssembler(0), lost: asTrouble, every: lookEvery, hotplug: cfg.Hotplug, urgent: true,
		unsettled: true}, nil
}

// autoNamed refuses a device that only its class would name: it could be the cashier's keyboard.
func autoNamed(cfg Config, at places) error {
	path := strings.HasPrefix(cfg.Device, "/")
	if path && inputPath(cfg.Device, at.input.dev) {
		return evdevNamed(cfg, at.input.dev)
	}
	switch {
	case path:
		return nil
	case cfg.VendorID == 0:
		return &ConfigError{"vendor_id", "is missing", "write the number that posagent scanner list shows, such as 0x1eab, or the scanner's path as device"}
	case cfg.ProductID == 0:
		return &ConfigError{"product_id", "is missing", "write the number that posagent scanner list shows, such as 0x0c06"}
	}
	return nil
}

func inputPath(path, dev string) bool {
	return strings.HasPrefix(filepath.Clean(path), filepath.Join(dev, "input")+"/")
}

// autoDevice finds out what the configured device is. Only the device's one goroutine uses it.
type autoDevice struct {
	cfg Config
	at  places
	by  *device // what was opened last
	as  Config  // and what it was opened as
}

func (a *autoDevice) opener() (port, error) {
	cfg, err := resolve(a.cfg, a.at)
	if err != nil {
		return nil, err
	}
	if a.by == nil || cfg != a.as {
		if a.by, err = newHardware(cfg, a.at); err != nil {
			return nil, err
		}
		a.as = cfg
	}
	p, err := a.by.opener()
	if err != nil {
		return nil, err
	}
	return &chosenPort{port: p, by: a.by}, nil
}

// newHardware returns the source of a device of a settled kind.
func newHardware(cfg Config, at places) (*device, error) {
	switch cfg.Kind {
	case "hid":
		return newHID(cfg, at.hid)
	case "evdev":
		return newEvdev(cfg, at.input)
	}
	return newSerial(cfg)
}

// Resolve returns cfg with its kind and mode settled by what is plugged in now: "serial", "hid" with a mode, or "evdev".
// A configuration that leaves nothing open is returned as it is. Its error is a *Trouble.
func Resolve(cfg Config) (Config, error) {
	if !cfg.isAuto() {
		return cfg, nil
	}
	return resolve(cfg, systemPlaces())
}

// isAuto reports a configuration that leaves open what the device is.
func (cfg Config) isAuto() bool {
	return cfg.Kind == "auto" || cfg.Kind == "hid" && orDefault(cfg.Mode, "auto") == "auto"
}

// resolve finds out in sysfs what the named device is. A serial port comes before HID POS, and that before a keyboard: a
// device that is several is set to the first two on purpose.
func resolve(cfg Config, at places) (Config, error) {
	if strings.HasPrefix(cfg.Device, "/") {
		cfg.Kind = "serial"
		if inputPath(cfg.Device, at.input.dev) {
			cfg.Kind = "evdev"
		}
		return cfg, nil
	}
	others := func(p usbPort) bool { return !cfg.names(usbInterface{usbDevice: p.usbDevice, path: p.port}) }
	ports := slices.DeleteFunc(usbPorts(at.input.sys, at.input.dev), others)
	if len(ports) > 0 {
		return serialOf(cfg, ports)
	}
	cfg.Mode = "auto"
	_, err := matchOrOther(cfg, at)
	switch {
	case err == nil:
		cfg.Kind, cfg.Mode = "hid", "pos"
	case asTrouble(err).Code == TroubleKeyboard:
		cfg.Kind, cfg.Mode = "evdev", ""
	default:
		return cfg, err
	}
	return cfg, nil
}

// serialOf names the serial port of the one device that cfg means.
func serialOf(cfg Config, ports []usbPort) (Config, error) {
	for _, other := range ports[1:] {
		if other.port != ports[0].port {
			return cfg, ambiguous(usbInterface{usbDevice: ports[0].usbDevice}, usbInterface{usbDevice: other.usbDevice})
		}
	}
	cfg.Kind, cfg.Mode, cfg.Device = "serial", "", ports[0].tty
	cfg.VendorID, cfg.ProductID, cfg.Serial = 0, 0, ""
	return cfg, nil
}

// usbPort is a serial port of a USB device.
type usbPort struct {
	usbDevice
	tty string // its node
}

// usbPorts lists the serial ports of USB devices, in the order of their names.
func usbPorts(sys, dev string) []usbPort {
	dirs, _ := filepath.Glob(filepath.Join(sys, "class/tty/tty*")) // the pattern is sound
	var found []usbPort
	for _, dir := range dirs {
		if d, ok := usbParent(dir); ok {
			found = append(found, usbPort{usbDevice: d, tty: filepath.Join(dev, filepath.Base(dir))})
		}
	}
	return found
}

// matchOrOther is match, and tells of another scanner where the named one is not there.
func matchOrOther(cfg Config, at places) (usbInterface, error) {
	in, err := match(cfg, hidInterfaces(at.input.sys, at.input.dev))
	if err != nil && asTrouble(err).Code == TroubleNotThere {
		return in, instead(cfg, at)
	}
	return in, err
}

// instead says that the named scanner is not there, and which other one is, where one is: the store may have swapped it.
func instead(cfg Config, at places) *Trouble {
	t := notPlugged(cfg)
	for _, f := range candidates(at.input.sys, at.input.dev) {
		if !f.likely || f.VendorID == 0 || lockedByPosagent(at.input.proc, f.node) {
			continue
		}
		t.What += fmt.Sprintf(", but another one is: %04x:%04x%s", f.VendorID, f.ProductID, orNothing(" (", f.Name, ")"))
		if f.VendorID == cfg.VendorID && f.ProductID == cfg.ProductID {
			t.What += orNothing(", serial ", f.Serial, "") + " at USB port " + f.port
		}
		t.Code = TroubleSwapped
		t.Next = "if the scanner was swapped, write the lines that posagent scanner list shows for it, or run posagent scanner learn; else plug the old one in"
		return t
	}
	return t
}

// orNothing wraps text, where there is any.
func orNothing(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}
