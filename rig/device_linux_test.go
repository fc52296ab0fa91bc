package rig

import (
	"fmt"
	"time"
)

// device is a scanner on the bench: how the configuration names it, how it scans, how it is plugged and unplugged.
type device struct {
	name   string
	config string // its [[scanner]] section
	shown  string // a part of its name in the daemon's status
	per200 int    // how many of 200 codes it scans

	vendor, product uint16
	silence         time.Duration // that ends a scan without a suffix, where that is longer than it takes to pull a plug

	scan  func(s *shop, code string) (longest time.Duration) // that a part of the code took
	half  func(s *shop, digits string)                       // the begin of a scan
	pause time.Duration                                      // of a gadget, after each report; 0 is the endpoint's own rate, a report each millisecond
	// plug and unplug return when they began, by the guest's clock.
	plug, unplug func(s *shop) time.Duration
}

// The gadgets that the guest plays. Their numbers are of no maker's scanner that needs a special word.
var (
	wedge   = Gadget{Name: "wedge", Kind: GadgetKeyboard, Controller: 0, Vendor: 0x1eab, Product: 0x0c06, Title: "Wedge", Serial: "W-0001"}
	pos     = Gadget{Name: "pos", Kind: GadgetPOS, Controller: 1, Vendor: 0x1eab, Product: 0x0c10, Title: "POS", Serial: "P-0001"}
	virtual = Gadget{Name: "acm", Kind: GadgetACM, Controller: 2, Vendor: 0x1eab, Product: 0x8306, Title: "ACM", Serial: "A-0001"}
)

// scannerPace is the pause after a move of a key, two of which are a character: no scanner types one in less than 7 ms. At the endpoint's
// own rate the 64 events that the kernel keeps are 21 ms of a scan, and the 30 reports that the HID library keeps are 30 ms: a starved
// machine loses some, and the scan is refused and named then.
const scannerPace = 3 * time.Millisecond

// typingGap is the silence that ends what keyboards type here.
const typingGap = time.Second

// hidConfig and its sisters are sections as posagent scanner list shows them.
func hidConfig(kind, mode string, vendor, product uint16, serial string) string {
	text := fmt.Sprintf("kind = %q\nvendor_id = \"%04x\"\nproduct_id = \"%04x\"\nserial = %q\n", kind, vendor, product, serial)
	if mode != "" {
		text += fmt.Sprintf("mode = %q\n", mode)
	}
	if mode != "pos" {
		text += fmt.Sprintf("gap = %q\n", typingGap) // a busy host stops guest and typist for longer than a scanner ever pauses
	}
	return text
}

func serialConfig(port string) string { return fmt.Sprintf("kind = \"serial\"\ndevice = %q\n", port) }

func ids(vendor, product uint16) string { return fmt.Sprintf("%04x:%04x", vendor, product) }

// sessions are the runs of the daemon, each with the scanners that it reads at the same time; a keyboard is read in one
// way at a time. To add a scanner, add a line. On a machine that does nothing else karalabe/hid reads a keyboard at the
// endpoint's own rate, which is more than any scanner's.
func sessions(alone bool) [][]device {
	hidPace := scannerPace
	if alone {
		hidPace = 0
	}
	return [][]device{{
		typing(device{name: "QEMU's keyboard by hid", config: hidConfig("hid", "keyboard", KeyboardVendor, KeyboardProduct, KeyboardSerial), per200: 200}),
		playing(wedge, device{name: "a gadget keyboard by hid", pause: hidPace, config: hidConfig("hid", "keyboard", wedge.Vendor, wedge.Product, wedge.Serial), per200: 200}),
		sending(device{name: "QEMU's serial adapter", config: serialConfig("/dev/posagent-scanner"), shown: "/dev/posagent-scanner", per200: 200}),
		playing(pos, device{name: "a gadget HID POS scanner", config: hidConfig("hid", "pos", pos.Vendor, pos.Product, pos.Serial), per200: 100}),
	}, {
		playing(wedge, device{name: "a gadget keyboard by evdev", pause: scannerPace, config: hidConfig("evdev", "", wedge.Vendor, wedge.Product, wedge.Serial), per200: 100}),
		typing(device{name: "QEMU's keyboard by evdev", config: hidConfig("evdev", "", KeyboardVendor, KeyboardProduct, KeyboardSerial), per200: 100}),
		playing(virtual, device{name: "a gadget CDC-ACM scanner", config: serialConfig("/dev/posagent-scanner2"), shown: "/dev/posagent-scanner2", per200: 100}),
	}}
}

// typing is a scanner that QEMU's keyboard plays.
func typing(d device) device {
	d.silence = typingGap
	d.vendor, d.product, d.shown = KeyboardVendor, KeyboardProduct, ids(KeyboardVendor, KeyboardProduct)
	d.scan = func(s *shop, code string) time.Duration { return s.typed(code + "\n") }
	d.half = func(s *shop, digits string) { s.typed(digits) }
	d.plug = func(s *shop) time.Duration { return s.timed(s.m.PlugKeyboard) }
	d.unplug = func(s *shop) time.Duration { return s.timed(s.m.UnplugKeyboard) }
	return d
}

// sending is a scanner behind QEMU's USB serial adapter.
func sending(d device) device {
	d.vendor, d.product = SerialVendor, SerialProduct
	d.scan = func(s *shop, code string) time.Duration {
		s.must(s.m.Send([]byte(code + "\r")))
		return 0
	}
	d.half = func(s *shop, digits string) { s.must(s.m.Send([]byte(digits))) }
	d.plug = func(s *shop) time.Duration { return s.timed(s.m.PlugAdapter) }
	d.unplug = func(s *shop) time.Duration { return s.timed(s.m.UnplugAdapter) }
	return d
}

// playing is a scanner that the guest plays.
func playing(g Gadget, d device) device {
	d.vendor, d.product = g.Vendor, g.Product
	if g.Kind == GadgetKeyboard {
		d.silence = typingGap
	}
	if d.shown == "" {
		d.shown = ids(g.Vendor, g.Product)
	}
	d.scan = func(s *shop, code string) time.Duration { return s.play(g, d.pause, scanParts(g.Kind, code)) }
	d.half = func(s *shop, digits string) { s.play(g, d.pause, halfParts(g.Kind, digits)) }
	d.plug = func(s *shop) time.Duration { return s.bind("Plug", g) }
	d.unplug = func(s *shop) time.Duration { return s.bind("Unplug", g) }
	return d
}

// scanParts is what a gadget writes for a scan.
func scanParts(kind, code string) [][]byte {
	switch kind {
	case GadgetKeyboard:
		return keyReports(code + "\n")
	case GadgetPOS:
		return posReports("]Q1", code)
	}
	return [][]byte{[]byte("]Q1" + code + "\r")}
}

// halfParts is what it writes until the plug is pulled.
func halfParts(kind, digits string) [][]byte {
	switch kind {
	case GadgetKeyboard:
		return keyReports(digits)
	case GadgetPOS:
		reports := posReports("]Q1", digits)
		reports[0][posReportBytes-1] = 1 // it goes on in a report that never comes
		return reports
	}
	return [][]byte{[]byte("]Q1" + digits)}
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) typed(text string) (longest time.Duration) {
	s.t.Helper()
	longest, err := s.m.Type(s.t.Context(), text)
	s.must(err)
	return longest
}

func (s *shop) play(g Gadget, pause time.Duration, parts [][]byte) (longest time.Duration) {
	s.t.Helper()
	var reply PlayReply
	s.ask("Play", PlayArgs{Name: g.Name, Parts: parts, Pause: pause, Within: time.Minute}, &reply)
	return reply.Longest
}

// timed does something at the monitor, and returns the guest's time before it.
func (s *shop) timed(do func() error) time.Duration {
	s.t.Helper()
	var now Moment
	s.ask("Now", Nothing{}, &now)
	s.must(do())
	return now.At
}

func (s *shop) bind(method string, g Gadget) time.Duration {
	s.t.Helper()
	var now Moment
	s.ask(method, GadgetArgs{Name: g.Name}, &now)
	return now.At
}
