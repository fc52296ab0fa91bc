package scanner

import (
	"bytes"
	"slices"
	"time"
)

// A read of an input device is handed on, and recorded, as records of four bytes: 1, the key's code in two bytes (low
// byte first) and what it did; or 0, which says that the kernel dropped events (SYN_DROPPED).
const (
	keyRecordBytes = 4
	recordLost     = 0
	recordKey      = 1
)

// keyEventsMax is how many events are read at once: the kernel keeps 64, and the records fit in one read.
const keyEventsMax = readBytesMax / keyRecordBytes

// What a key did (input-event-codes of the kernel).
const (
	keyUp   = 0
	keyDown = 1
)

func appendKey(records []byte, code uint16, value byte) []byte {
	return append(records, recordKey, byte(code), byte(code>>8), value)
}

func appendLost(records []byte) []byte { return append(records, recordLost, 0, 0, 0) }

// usageOfCode is the HID usage that the kernel makes each key code from (drivers/hid/hid-input.c); 0 is a key without a
// character. It ends at the 102nd key.
var usageOfCode = [...]byte{
	1: 0x29, 2: 0x1E, 3: 0x1F, 4: 0x20, 5: 0x21, 6: 0x22, 7: 0x23, 8: 0x24, 9: 0x25, 10: 0x26, 11: 0x27, // Esc, digits
	12: 0x2D, 13: 0x2E, 14: 0x2A, 15: 0x2B, // - = Backspace Tab
	16: 0x14, 17: 0x1A, 18: 0x08, 19: 0x15, 20: 0x17, 21: 0x1C, 22: 0x18, 23: 0x0C, 24: 0x12, 25: 0x13, // q to p
	26: 0x2F, 27: 0x30, 28: 0x28, // [ ] Enter
	30: 0x04, 31: 0x16, 32: 0x07, 33: 0x09, 34: 0x0A, 35: 0x0B, 36: 0x0D, 37: 0x0E, 38: 0x0F, // a to l
	39: 0x33, 40: 0x34, 41: 0x35, 43: 0x31, // ; ' ` \
	44: 0x1D, 45: 0x1B, 46: 0x06, 47: 0x19, 48: 0x05, 49: 0x11, 50: 0x10, // z to m
	51: 0x36, 52: 0x37, 53: 0x38, 55: 0x55, 57: 0x2C, // , . / keypad * Space
	71: 0x5F, 72: 0x60, 73: 0x61, 74: 0x56, 75: 0x5C, 76: 0x5D, 77: 0x5E, 78: 0x57, // keypad 7 8 9 - 4 5 6 +
	79: 0x59, 80: 0x5A, 81: 0x5B, 82: 0x62, 83: 0x63, 96: 0x58, 98: 0x54, // keypad 1 2 3 0 . Enter /
	86: 0x64,
}

// modifierOfCode is the bit of a keyboard report that each modifier has.
var modifierOfCode = map[uint16]byte{
	29: leftCtrl, 42: leftShift, 56: leftAlt, 125: leftGUI, 97: rightCtrl, 54: rightShift, 100: rightAlt, 126: rightGUI,
}

// KeyEvents decodes the key events of a keyboard scanner that the kernel reads. It makes of them the reports that the
// scanner sent, so that keyboards are decoded alike whichever way they are read: by the place of the key, without the
// computer's layout, CapsLock and NumLock.
type KeyEvents struct {
	keys *Keyboard
	mods byte
	held []byte // usages, at most six, the newest last
}

// NewKeyEvents returns a decoder of key events; gap of silence ends a scan without a suffix.
func NewKeyEvents(gap time.Duration) *KeyEvents { return NewFramedKeyEvents(Framing{Gap: gap}) }

// NewFramedKeyEvents returns a decoder of key events that wants what framing says around each scan. Enter is CR.
func NewFramedKeyEvents(framing Framing) *KeyEvents {
	return &KeyEvents{keys: NewFramedKeyboard(framing)}
}

// Feed takes records of four bytes, or a look at the clock, and returns the scans that they complete.
func (k *KeyEvents) Feed(b []byte, at time.Time) []Event {
	if len(b) < keyRecordBytes {
		return k.keys.Feed(nil, at)
	}
	var events []Event
	for record := range slices.Chunk(b, keyRecordBytes) {
		if len(record) == keyRecordBytes {
			events = append(events, k.take(record, at)...)
		}
	}
	return events
}

// Pending reports that a scan has begun, or that one is being dropped.
func (k *KeyEvents) Pending() bool { return k.keys.Pending() }

// Reset forgets what has begun, and which keys were held.
func (k *KeyEvents) Reset() {
	k.keys.Reset()
	k.mods, k.held = 0, k.held[:0]
}

func (k *KeyEvents) take(record []byte, at time.Time) []Event {
	if record[0] == recordLost {
		// Which keys are down now is not known; those that are will be seen again only when they are pressed anew.
		k.mods, k.held = 0, k.held[:0]
		return k.keys.Feed(rolloverReport(), at)
	}
	code, did := uint16(record[1])|uint16(record[2])<<8, record[3]
	if did != keyUp && did != keyDown || !k.move(code, did == keyDown) {
		return nil // the kernel repeats a key that stays down; the scanner did not send that
	}
	report := make([]byte, keyReportBytes)
	report[0] = k.mods
	copy(report[firstKeyByte:], k.held)
	return k.keys.Feed(report, at)
}

// move notes that a key went down or up; false means that it has no part in any text.
func (k *KeyEvents) move(code uint16, down bool) bool {
	if bit, ok := modifierOfCode[code]; ok {
		k.mods &^= bit
		if down {
			k.mods |= bit
		}
		return true
	}
	if int(code) >= len(usageOfCode) || usageOfCode[code] == 0 {
		return false
	}
	usage := usageOfCode[code]
	if i := bytes.IndexByte(k.held, usage); i >= 0 {
		k.held = slices.Delete(k.held, i, i+1)
	}
	if !down {
		return true
	}
	if len(k.held) == keyReportBytes-firstKeyByte {
		k.held = slices.Delete(k.held, 0, 1)
	}
	k.held = append(k.held, usage)
	return true
}

// rolloverReport is the report of a keyboard that cannot tell its keys.
func rolloverReport() []byte {
	return append(make([]byte, firstKeyByte), bytes.Repeat([]byte{1}, keyReportBytes-firstKeyByte)...)
}
