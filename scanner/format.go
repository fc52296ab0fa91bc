package scanner

import "time"

// The decoders that a recording may name.
const (
	decodeText     = "text"     // an Assembler
	decodeKeyboard = "keyboard" // keyboard reports
	decodePOS      = "pos"      // point-of-sale reports
	decodeEvdev    = "evdev"    // key events of the kernel
)

// format says how a device's bytes become scans; a recording begins with it.
type format struct {
	Decoder string
	Gap     time.Duration // the silence that ends a scan
}

// known reports a decoder that this version has.
func (f format) known() bool {
	return f.Decoder == decodeText || f.Decoder == decodeKeyboard || f.Decoder == decodePOS || f.Decoder == decodeEvdev
}

// decoder returns a fresh decoder of the format, which must be known.
func (f format) decoder() Decoder {
	switch f.Decoder {
	case decodeKeyboard:
		return NewKeyboard(f.Gap)
	case decodePOS:
		return NewPOS()
	case decodeEvdev:
		return NewKeyEvents(f.Gap)
	}
	return NewAssembler(f.Gap)
}
