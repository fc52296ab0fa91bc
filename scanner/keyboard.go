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
// before. Enter, keypad Enter and Tab end a scan, or silence does.
type Keyboard struct {
	asm    *Assembler
	held   []byte    // the keys of the report before
	alt    altCode   // the Alt code that is being typed
	lossy  bool      // keys were lost: the rest of this scan is dropped
	lastAt time.Time // of the last report
}

// altCode is a character typed by its number on the keypad while Alt is held, as scanners do that are set to work with
// any keyboard layout.
type altCode struct{ number, digits int }

// altDigitsMax is how many digits an Alt code has at most (0255).
const altDigitsMax = 4

// NewKeyboard returns a decoder of keyboard reports; gap of silence ends a scan without a suffix.
func NewKeyboard(gap time.Duration) *Keyboard { return &Keyboard{asm: NewAssembler(gap)} }

// Feed takes one report, or a look at the clock, and returns the scans that it completes.
func (k *Keyboard) Feed(b []byte, at time.Time) []Event {
	if len(b) == keyReportBytes+1 {
		b = b[1:]
	}
	if len(b) <= firstKeyByte {
		return k.look(at)
	}
	k.lastAt = at
	mods, keys := b[0], b[firstKeyByte:min(len(b), keyReportBytes)]
	if keys[0] != 0 && keys[0] <= lastErrorUsage {
		return k.lose(at)
	}
	var typed []byte
	if mods&leftAlt == 0 {
		typed = k.alt.end(typed)
	}
	for _, key := range keys {
		if key != 0 && !bytes.Contains(k.held, []byte{key}) {
			typed = k.press(typed, key, mods)
		}
	}
	k.held = append(k.held[:0], keys...)
	return k.write(typed, at)
}

// Pending reports that a scan or an Alt code has begun, or that one is being dropped.
func (k *Keyboard) Pending() bool { return k.asm.Pending() || k.lossy || k.alt.digits > 0 }

// Reset forgets what has begun, and which keys were held.
func (k *Keyboard) Reset() {
	k.asm.Reset()
	k.held, k.alt, k.lossy = k.held[:0], altCode{}, false
}

func (k *Keyboard) look(at time.Time) []Event {
	quiet := at.Sub(k.lastAt) >= k.asm.gap
	if quiet && k.lossy {
		k.Reset()
	}
	if quiet {
		k.alt = altCode{} // Alt was held and never let go: that is no character
	}
	return k.asm.Feed(nil, at)
}

// lose drops the scan under way, for what is missing cannot be known.
func (k *Keyboard) lose(at time.Time) []Event {
	if k.lossy {
		return nil
	}
	k.Reset()
	k.lossy = true
	return []Event{{Kind: KindNoise, At: at, Trouble: Trouble{
		Code: TroubleGarbled,
		What: "the scanner reported that it could not tell its keys, and the scan was dropped",
		Next: "scan again; if it comes back, set a longer inter-character delay by the scanner's manual",
	}}}
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

// end appends the character whose number was typed, if one was.
func (a *altCode) end(typed []byte) []byte {
	if a.digits > 0 {
		typed = append(typed, byte(a.number))
	}
	*a = altCode{}
	return typed
}
