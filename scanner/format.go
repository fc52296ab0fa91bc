package scanner

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
	Framing
}

// known reports a decoder that this version has.
func (f format) known() bool {
	return f.Decoder == decodeText || f.Decoder == decodeKeyboard || f.Decoder == decodePOS || f.Decoder == decodeEvdev
}

// decoder returns a fresh decoder of the format, which must be known.
func (f format) decoder() Decoder {
	switch f.Decoder {
	case decodeKeyboard:
		return NewFramedKeyboard(f.Framing)
	case decodePOS:
		return NewFramedPOS(f.Framing)
	case decodeEvdev:
		return NewFramedKeyEvents(f.Framing)
	}
	return NewFramedAssembler(f.Framing)
}
