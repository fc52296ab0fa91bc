package scanner

import (
	"fmt"
	"slices"
	"strings"
)

// match picks the one interface that cfg means. It refuses to guess: a wrong guess silences the cashier's keyboard.
func match(cfg Config, all []usbInterface) (usbInterface, error) {
	mine := slices.DeleteFunc(slices.Clone(all), func(in usbInterface) bool { return !cfg.names(in) })
	if len(mine) == 0 {
		return usbInterface{}, notPlugged(cfg)
	}
	if others := slices.IndexFunc(mine, func(in usbInterface) bool { return in.port != mine[0].port }); others > 0 {
		return usbInterface{}, ambiguous(mine[0], mine[others])
	}
	keyboard := slices.IndexFunc(mine, func(in usbInterface) bool { return in.keyboard })
	pos := slices.IndexFunc(mine, func(in usbInterface) bool { return in.pos })
	switch {
	case cfg.Mode == "keyboard" && keyboard >= 0:
		return mine[keyboard], nil
	case slices.ContainsFunc(mine, func(in usbInterface) bool { return in.fresh }):
		return usbInterface{}, notKnownYet(mine[0])
	case cfg.Mode != "keyboard" && pos >= 0:
		return mine[pos], nil
	case cfg.Mode != "pos" && keyboard >= 0:
		return usbInterface{}, unnamedKeyboard(mine[keyboard])
	}
	return usbInterface{}, noInterface(cfg, mine[0])
}

// names reports an interface of the device that cfg names.
func (cfg Config) names(in usbInterface) bool {
	return in.vendor == cfg.VendorID && in.product == cfg.ProductID &&
		(cfg.Serial == "" || in.serial == cfg.Serial) &&
		(cfg.Device == "" || in.port == cfg.Device || in.path == cfg.Device)
}

// Name is how the configured device is called on screen, in the log and in events: by its path, or by its kind and ids.
func (cfg Config) Name() string {
	if cfg.VendorID == 0 {
		return orDefault(cfg.Device, cfg.Kind)
	}
	name := fmt.Sprintf("%s %04x:%04x", cfg.Kind, cfg.VendorID, cfg.ProductID)
	for _, more := range []string{cfg.Serial, cfg.Device} {
		if more != "" {
			name += " " + more
		}
	}
	return name
}

func notPlugged(cfg Config) *Trouble {
	return &Trouble{Code: TroubleNotThere,
		What: "the scanner " + cfg.Name() + " is not there",
		Next: "plug it in; if it is plugged in, set vendor_id, product_id and serial to what posagent scanner list shows"}
}

func ambiguous(a, b usbInterface) *Trouble {
	next := fmt.Sprintf("write device = %q or device = %q, the USB port of the one that this till uses", a.port, b.port)
	if a.serial != b.serial {
		next = fmt.Sprintf("write serial = %q or serial = %q, the one that this till uses", a.serial, b.serial)
	}
	return &Trouble{Code: TroubleAmbiguous, What: fmt.Sprintf("two scanners match the configuration: %s, and %s", a, b), Next: next}
}

// notKnownYet settles.
func notKnownYet(in usbInterface) *Trouble {
	return &Trouble{Code: TroubleBroken,
		What: fmt.Sprintf("the computer is finding out what %s is", in),
		Next: "wait a moment; if it stays so, unplug it and plug it in again"}
}

func unnamedKeyboard(in usbInterface) *Trouble {
	return &Trouble{Code: TroubleKeyboard,
		What: fmt.Sprintf("%s is a keyboard to this computer", in),
		Next: `if it is the scanner, write mode = "keyboard" (it then types into no window any more); better, set it to HID POS or USB serial by its manual`}
}

func noInterface(cfg Config, in usbInterface) *Trouble {
	return &Trouble{Code: TroubleNoInterface,
		What: fmt.Sprintf("%s has no %s interface", in, strings.ToUpper(cfg.Mode)),
		Next: "set the scanner to HID POS or to keyboard by the programming codes of its manual, and write the mode that posagent scanner list shows"}
}
