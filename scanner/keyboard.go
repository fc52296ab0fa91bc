package scanner

import (
	"bytes"
	"time"
)

// keyboardGap is the silence that ends a scan of a keyboard scanner without a suffix: scanners send a key each 7 to
// 16 ms, people none faster than 100 ms.
const keyboardGap = 100 * time.Millisecond

// A boot keyboard report: modifiers, a reserved byte, six keys (HID 1.11, appendix B.1). A report of nine bytes has a
// report id in front.
const (
	keyReportBytes = 8
	firstKeyByte   = 2
)

// Keyboard decodes the reports of a scanner that types as a keyboard. A key counts when it was not held in the report
// before. Enter, keypad Enter and Tab end a scan, or silence does. Reports are read by the device's descriptor where
// [Keyboard.Describe] was told it (with report ids, as key arrays of any length or with a bit for each key), and as boot
// reports else. It reads which key was pressed, never what it stands for, so that the computer's layout, CapsLock and
// NumLock change nothing.
type Keyboard struct {
	asm    *Assembler
	keys   keyFields
	report []byte          // of the report under way, where reads give it in pieces
	held   map[byte][]byte // the keys of the report before, by its id
	alt    altCode         // the Alt code that is being typed
	lossy  bool            // keys were lost: the rest of this scan is dropped
	lastAt time.Time       // of the last report
}

// altCode is a character typed by its number on the keypad while Alt is held, as scanners do that are set to work with
// any keyboard layout.
type altCode struct {
	number, digits int
	broken         bool // keys were lost in it: what is left of it may look like any character, an end too
}

// altDigitsMax is how many digits an Alt code has at most (0255).
const altDigitsMax = 4

// NewKeyboard returns a decoder of keyboard reports; gap of silence ends a scan without a suffix.
func NewKeyboard(gap time.Duration) *Keyboard { return NewFramedKeyboard(Framing{Gap: gap}) }

// NewFramedKeyboard returns a decoder of keyboard reports that wants what framing says around each scan. Enter is CR.
func NewFramedKeyboard(framing Framing) *Keyboard {
	return &Keyboard{asm: NewFramedAssembler(framing), held: map[byte][]byte{}}
}

// Describe takes the report descriptor of the device that was opened. One without keys leaves boot reports.
func (k *Keyboard) Describe(descriptor []byte) { k.keys = keyFieldsOf(descriptor) }

// Feed takes what one read gave, or a look at the clock, and returns the scans that it completes.
func (k *Keyboard) Feed(b []byte, at time.Time) []Event {
	if len(b) == 0 {
		return k.look(at)
	}
	var events []Event
	if k.Pending() && at.Sub(k.lastAt) >= max(heldUpMax, k.asm.framing.Gap) {
		events = k.standStill(at)
	}
	for len(b) > 0 {
		var report []byte
		if report, b = k.nextReport(b); report != nil {
			events = append(events, k.take(report, at)...)
		}
	}
	k.lastAt, k.asm.last = at, at // a key that is let go breaks the silence too
	return events
}

// standStill drops the scan under way, when the program stood still in its middle: the reports that wait then are the
// last 30, and those before them are lost.
func (k *Keyboard) standStill(at time.Time) []Event {
	k.report = k.report[:0]
	return k.lose(at, heldUpTrouble())
}

// nextReport cuts one report off what was read; nil where it is not whole yet, or is of another sort.
func (k *Keyboard) nextReport(b []byte) (report, rest []byte) {
	if len(k.keys.fields) == 0 {
		if len(b) == keyReportBytes+1 {
			b = b[1:]
		}
		if len(b) <= firstKeyByte {
			return nil, nil
		}
		return b, nil
	}
	first := b[:1]
	if len(k.report) > 0 {
		first = k.report
	}
	whole := k.keys.reports.bytes(k.keys.id(first))
	n := min(whole-len(k.report), len(b))
	if whole <= 1 { // a report that the descriptor does not tell of
		return nil, nil
	}
	k.report, b = append(k.report, b[:n]...), b[n:]
	if len(k.report) < whole {
		return nil, b
	}
	report = bytes.Clone(k.report)
	k.report = k.report[:0]
	return report, b
}

// take counts the keys of one report.
func (k *Keyboard) take(report []byte, at time.Time) []Event {
	mods, keys, ok := k.keys.pressed(report)
	if !ok {
		return nil // of another sort, such as the volume keys
	}
	if len(keys) > 0 && keys[0] <= lastErrorUsage {
		return k.lose(at, rolledOver())
	}
	var typed []byte
	if mods&leftAlt == 0 {
		typed = k.alt.end(typed)
	}
	fresh, id := 0, k.keys.id(report)
	for _, key := range keys {
		if bytes.IndexByte(k.held[id], key) < 0 {
			typed = k.press(typed, key, mods)
			fresh++
		}
	}
	k.held[id] = keys
	if fresh > 1 && k.keys.unordered {
		return k.lose(at, unorderedKeys())
	}
	return k.write(typed, at)
}

// Pending reports that a scan or an Alt code has begun, or that one is being dropped.
func (k *Keyboard) Pending() bool {
	return k.asm.Pending() || k.lossy || k.alt.digits > 0 || len(k.report) > 0
}

// Reset forgets what has begun, and which keys were held.
func (k *Keyboard) Reset() {
	k.asm.Reset()
	k.held = map[byte][]byte{}
	k.alt, k.lossy, k.report = altCode{}, false, k.report[:0]
}

func (k *Keyboard) look(at time.Time) []Event {
	quiet := at.Sub(k.lastAt) >= k.asm.framing.Gap
	if quiet && k.lossy {
		k.Reset()
	}
	if quiet {
		k.alt, k.report = altCode{}, k.report[:0] // Alt was held and never let go: that is no character
	}
	return k.asm.Feed(nil, at)
}

// lose drops the scan under way, for what is missing cannot be known. It says so once.
func (k *Keyboard) lose(at time.Time, why Trouble) []Event {
	if k.lossy {
		return nil
	}
	held := k.held
	k.Reset()
	k.held, k.lossy, k.alt.broken = held, true, true
	return []Event{noiseEvent(why, at)}
}

func rolledOver() Trouble {
	return Trouble{
		Code: TroubleGarbled,
		What: "the scanner reported that it could not tell its keys, and the scan was dropped",
		Next: "scan again; if it comes back, set a longer inter-character delay by the scanner's manual",
	}
}

func unorderedKeys() Trouble {
	return Trouble{
		Code: TroubleGarbled,
		What: "the scanner pressed several keys at once, so that their order cannot be known, and the scan was dropped",
		Next: "scan again; if it comes back, set a longer inter-character delay by the scanner's manual, or USB serial mode",
	}
}

// press appends what a key types.
func (k *Keyboard) press(typed []byte, key, mods byte) []byte {
	if digit, ok := padDigit(key); ok && mods&leftAlt != 0 {
		k.alt.add(digit)
		return typed
	}
	if mods&noText != 0 {
		return typed
	}
	if c, ok := keyChar(key, mods&anyShift != 0); ok {
		typed = append(typed, c)
	}
	return typed
}

// write gives what was typed to the assembler; after lost keys, only what follows the end of that scan.
func (k *Keyboard) write(typed []byte, at time.Time) []Event {
	if k.lossy {
		end := bytes.IndexFunc(typed, func(r rune) bool { return isBoundary(byte(r)) })
		if end < 0 {
			return nil
		}
		k.lossy = false
		typed = typed[end:]
	}
	if len(typed) == 0 {
		return nil
	}
	return k.asm.Feed(typed, at)
}

func (a *altCode) add(digit int) {
	if a.digits < altDigitsMax {
		a.number, a.digits = a.number*10+digit, a.digits+1
	}
}

// end appends the character whose number was typed, if one was. A number beyond a byte is two codes that ran together,
// and becomes a byte that is no character.
func (a *altCode) end(typed []byte) []byte {
	if a.digits > 0 && !a.broken {
		typed = append(typed, byte(min(a.number, noCharacter)))
	}
	*a = altCode{}
	return typed
}

const noCharacter = 0xFF
