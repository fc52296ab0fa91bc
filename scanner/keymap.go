package scanner

// The keys of a keyboard report, by usage of page 0x07 (HID Usage Tables, section 10), as a United States keyboard has
// them. Scanners send digits by both digit rows. The host's layout and CapsLock have no part in it.
const (
	firstKey  = 0x04
	plainKeys = "abcdefghijklmnopqrstuvwxyz1234567890\r\x1b\b\t -=[]\\#;'`,./"
	shiftKeys = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*()\r\x1b\b\t _+{}|~:\"~<>?"

	firstPadKey  = 0x54
	padKeys      = "/*-+\r1234567890."
	padDigitOne  = 0x59
	padDigitZero = 0x62
)

// Usages 0x01 to 0x03 stand in all six places when the keyboard could not tell its keys: rolled over, failed, undefined.
const lastErrorUsage = 0x03

// The bits of a report's first byte.
const (
	leftCtrl   = 0x01
	leftShift  = 0x02
	leftAlt    = 0x04
	leftGUI    = 0x08
	rightCtrl  = 0x10
	rightShift = 0x20
	rightAlt   = 0x40
	rightGUI   = 0x80

	anyShift = leftShift | rightShift
	noText   = leftCtrl | rightCtrl | leftAlt | rightAlt | leftGUI | rightGUI
)

// keyChar returns the character of a key, or ok false where it has none.
func keyChar(usage byte, shift bool) (c byte, ok bool) {
	keys, first := plainKeys, byte(firstKey)
	if shift {
		keys = shiftKeys
	}
	if usage >= firstPadKey {
		keys, first = padKeys, firstPadKey
	}
	if usage < first || int(usage-first) >= len(keys) {
		return 0, false
	}
	return keys[usage-first], true
}

// padDigit returns the digit of a keypad key, as Alt codes are typed with.
func padDigit(usage byte) (digit int, ok bool) {
	if usage < padDigitOne || usage > padDigitZero {
		return 0, false
	}
	return int(usage-padDigitOne+1) % 10, true
}
