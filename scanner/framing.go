package scanner

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// What can be wrong with the characters of a scan, beside [TroubleTooLong] and [TroubleGarbled].
const (
	TroubleParity   TroubleCode = "parity"   // data bits and parity of the port are not the scanner's
	TroubleUnframed TroubleCode = "unframed" // the configured prefix or suffix was missing
	TroubleHeldUp   TroubleCode = "held_up"  // the program stood still in the middle of a scan
)

// Framing says what stands around a code and how a scan ends. The zero value is right for most scanners.
type Framing struct {
	// Prefix is what each scan begins with; a scan without it has lost its beginning and is refused. Default none.
	Prefix string
	// Suffix is what each scan ends with; a scan that silence ends before it has lost its end and is refused. Default: any
	// of CR, LF, TAB, STX and ETX ends a scan, and silence does.
	Suffix string
	// Gap is the silence that ends a scan; 0 means that silence ends nothing.
	Gap time.Duration
}

// markBytesMax bounds a prefix and a suffix.
const markBytesMax = 8

// The names that a prefix or a suffix may be written by.
var namedMarks = map[string]string{
	"CR": "\r", "LF": "\n", "CRLF": "\r\n", "TAB": "\t", "STX": "\x02", "ETX": "\x03", "NUL": "\x00", "ENTER": "\r",
}

// ParseMark reads a prefix or suffix as a configuration writes it: CR, LF, CRLF, TAB, STX, ETX, NUL or ENTER in any case,
// or else the text itself, at most 8 bytes. A digit in it is refused, for it could not be told from the code's. key names
// the setting in the error, which is a *ConfigError.
func ParseMark(key, value string) (string, error) {
	if mark, named := namedMarks[strings.ToUpper(value)]; named {
		return mark, nil
	}
	if len(value) > markBytesMax {
		return "", &ConfigError{key, fmt.Sprintf("has %d bytes", len(value)), "write at most 8, or CR, LF, CRLF, TAB, STX, ETX"}
	}
	if strings.ContainsAny(value, "0123456789") {
		return "", &ConfigError{key, "has a digit, which cannot be told from the code's", "set another by the scanner's manual"}
	}
	return value, nil
}

// framing reads how a configured scanner frames its codes; usual is the gap where none is set.
func (cfg Config) framing(usual time.Duration) (f Framing, err error) {
	if f.Gap, err = cfg.gapOr(usual); err != nil {
		return Framing{}, err
	}
	if f.Prefix, err = ParseMark("prefix", cfg.Prefix); err != nil {
		return Framing{}, err
	}
	f.Suffix, err = ParseMark("suffix", cfg.Suffix)
	return f, err
}

// frameMax bounds the bytes of one scan with what stands around it.
func (f Framing) frameMax() int { return len(f.Prefix) + scanBytesMax + len(f.Suffix) }

// ends reports a byte that ends a scan by itself.
func (f Framing) ends(c byte) bool {
	return f.Suffix == "" && isBoundary(c) && strings.IndexByte(f.Prefix, c) < 0
}

// holds reports a byte that belongs into the frame although it is no printable character.
func (f Framing) holds(c byte) bool {
	return strings.IndexByte(f.Prefix, c) >= 0 || strings.IndexByte(f.Suffix, c) >= 0
}

// opens reports a byte that a prefix begins with.
func (f Framing) opens(c byte) bool { return strings.IndexByte(f.Prefix, c) == 0 }

// opened is a frame with its prefix and suffix taken off.
type opened struct {
	body    string
	before  bool   // a part of another scan stands before the prefix
	missing string // "prefix", "suffix" or nothing
}

// open takes prefix and suffix off a frame. What stands before the last prefix is another scan, which lost its end.
func (f Framing) open(frame string) opened {
	o := opened{}
	body, ended := strings.CutSuffix(frame, f.Suffix)
	if !ended {
		o.missing = "suffix"
	}
	if f.Prefix != "" {
		if at := strings.LastIndex(body, f.Prefix); at < 0 {
			o.missing = "prefix"
		} else {
			o.before, body = at > 0, body[at+len(f.Prefix):]
		}
	}
	o.body = strings.Trim(body, boundaries)
	return o
}

// parityRun follows what the eighth bits of a scan's bytes have in common: seven data bits and a parity bit that are read
// as eight data bits give bytes of one parity.
type parityRun struct{ bytes, even, odd, high, nul int }

func (p *parityRun) add(c byte) {
	p.bytes++
	switch {
	case c == 0:
		p.nul++
	case bits.OnesCount8(c)%2 == 0:
		p.even++
	default:
		p.odd++
	}
	if c >= 0x80 {
		p.high++
	}
}

// parityBytesMin is how many bytes in a row must agree before parity is named: by chance eight do once in 256 scans.
const parityBytesMin = 8

// wrong names the setting that would explain a scan with noise in it, or nothing.
func (p parityRun) wrong() string {
	if p.bytes < parityBytesMin {
		return ""
	}
	switch {
	case p.nul == 0 && p.high == p.bytes:
		return "it seems to be set to 7 data bits and mark parity"
	case p.nul == 0 && p.even == p.bytes && p.high > 0:
		return "it seems to be set to 7 data bits and even parity"
	case p.nul == 0 && p.odd == p.bytes && p.high > 0:
		return "it seems to be set to 7 data bits and odd parity"
	case p.nul > 0 && p.high == 0 && (p.even == 0) != (p.odd == 0): // the kernel gives NUL for a byte whose parity is wrong
		return "it seems to be set to 8 data bits and no parity, and the port to a parity"
	}
	return ""
}

func parityTrouble(why string) Trouble {
	return Trouble{Code: TroubleParity,
		What: "a scan came with characters that the port cannot read: the scanner's data bits or parity are not the port's (" + why + ")",
		Next: "make data_bits and parity in the [[scanner]] section those of the scanner, or set the scanner to 8 data bits and no parity by its manual"}
}

func garbledTrouble() Trouble {
	return Trouble{Code: TroubleGarbled,
		What: "a scan came with bytes in it that are no characters, so a digit may be missing, and was dropped",
		Next: "scan again; if it comes back, check the scanner's cable, baud rate, data bits and parity"}
}

func unframedTrouble(what string) Trouble {
	return Trouble{Code: TroubleUnframed,
		What: "a scan came without the " + what + " that the configuration names, and was dropped",
		Next: "scan again; if it comes back, correct prefix and suffix in the [[scanner]] section, or set the scanner by its manual"}
}

func heldUpTrouble() Trouble {
	return Trouble{Code: TroubleHeldUp,
		What: "this computer stood still in the middle of a scan, so that it may be two halves, and it was dropped",
		Next: "scan again; if it comes back, find out what keeps this computer busy"}
}

func stoodStillTrouble() Trouble {
	return Trouble{Code: TroubleHeldUp,
		What: "this computer stood still, and what was scanned meanwhile was dropped, for the sale may be over",
		Next: "scan again; if it comes back, find out what keeps this computer busy"}
}
