package scanner

import (
	"strings"
	"time"
)

// scanBytesMax bounds one scan, AIM identifier included. A payment code has at most 24 digits; a line that is longer is
// a web address, a label or a wrong baud rate.
const scanBytesMax = 64

// The control characters that scanners put around a code (ASCII).
const (
	stx = 0x02
	etx = 0x03
	tab = '\t'
	lf  = '\n'
	cr  = '\r'
	del = 0x7f
)

// Decoder turns what a device sends into events of kind KindScan and KindNoise. It reads no clock.
type Decoder interface {
	// Feed takes what one read returned, and when. An empty b is a look at the clock: the device was read and had
	// nothing to give.
	Feed(b []byte, at time.Time) []Event
	// Pending reports that something was fed that has not become an event yet, so that looks matter.
	Pending() bool
	// Reset forgets what is pending: half a code before an unplug must not join the next scan.
	Reset()
}

// Assembler cuts a stream of characters into scans. CR, LF, TAB, STX and ETX each end what came before, in any
// combination, and an empty scan is nothing; so does silence. Other bytes that are no printable ASCII are dropped and
// counted. It holds at most 64 bytes.
type Assembler struct {
	gap   time.Duration
	frame []byte
	began time.Time // of the first character in frame
	last  time.Time // of the last byte of any sort
	noise int
	full  bool // too long: everything is dropped until it is quiet
}

// NewAssembler returns an assembler that takes gap without a character as the end of a scan; 0 means that silence ends
// nothing. Silence counts only when a look (Feed with no bytes) finds it: bytes that are read late because the program
// was held up have been waiting in the kernel all the while, and are one scan.
func NewAssembler(gap time.Duration) *Assembler {
	return &Assembler{gap: gap, frame: make([]byte, 0, scanBytesMax)}
}

// Feed takes characters, or a look at the clock, and returns the scans that they complete.
func (a *Assembler) Feed(b []byte, at time.Time) []Event {
	if len(b) == 0 {
		return a.look(at)
	}
	var events []Event
	for _, c := range b {
		if e, ok := a.take(c, at); ok {
			events = append(events, e)
		}
	}
	a.last = at
	return events
}

// Pending reports that a scan has begun, or that too long a one is being dropped.
func (a *Assembler) Pending() bool { return len(a.frame) > 0 || a.full }

// Reset forgets what has begun.
func (a *Assembler) Reset() {
	a.frame, a.noise, a.full = a.frame[:0], 0, false
}

func (a *Assembler) look(at time.Time) []Event {
	if a.gap == 0 || !a.Pending() || at.Sub(a.last) < a.gap {
		return nil
	}
	if e, ok := a.end(a.last); ok {
		return []Event{e}
	}
	return nil
}

func (a *Assembler) take(c byte, at time.Time) (Event, bool) {
	switch {
	case isBoundary(c) && (!a.full || a.gap == 0):
		return a.end(at)
	case a.full:
		return Event{}, false
	case c < ' ' || c >= del:
		a.drop(c)
		return Event{}, false
	case len(a.frame) == scanBytesMax:
		return a.overflow(at), true
	case len(a.frame) == 0:
		a.began = at
	}
	a.frame = append(a.frame, c)
	return Event{}, false
}

// drop counts noise inside a scan. NUL is what a break or a padded report looks like, and is not counted.
func (a *Assembler) drop(c byte) {
	if c != 0 && len(a.frame) > 0 {
		a.noise++
	}
}

func (a *Assembler) overflow(at time.Time) Event {
	a.Reset()
	a.full = true
	return tooLong(at)
}

func tooLong(at time.Time) Event {
	return Event{Kind: KindNoise, At: at, Trouble: Trouble{
		Code: TroubleTooLong,
		What: "something longer than 64 characters was read and dropped",
		Next: "scan the customer's payment code; if it was one, check the scanner's baud rate and its suffix setting",
	}}
}

// end makes a scan of what has begun. The last character is taken to have come at at.
func (a *Assembler) end(at time.Time) (Event, bool) {
	text, took, noise := string(a.frame), at.Sub(a.began), a.noise
	a.Reset()
	return newScan(text, at, took, noise)
}

// newScan makes the event of one scan, with its AIM identifier taken off; ok is false where there is no text.
func newScan(text string, at time.Time, took time.Duration, noise int) (e Event, ok bool) {
	aim, text := cutAIM(text)
	if text == "" {
		return Event{}, false
	}
	scan := Scan{Text: NewText(text), AIM: aim, Symbology: symbologyOf(aim), Took: took, Noise: noise}
	scan.Characters = scan.Text.Characters()
	return Event{Kind: KindScan, At: at, Scan: scan}, true
}

func isBoundary(c byte) bool {
	return c == cr || c == lf || c == tab || c == stx || c == etx
}

// cutAIM takes an AIM identifier off the front: a bracket, a letter for the symbology and a modifier (ISO/IEC 15424).
func cutAIM(text string) (aim, rest string) {
	if len(text) < 3 || text[0] != ']' || !isLetter(text[1]) || !isLetter(text[2]) && !isDigit(text[2]) {
		return "", text
	}
	return text[1:3], text[3:]
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// symbologyOf names what the AIM identifier stands for (ISO/IEC 15424), or nothing where we do not know it.
func symbologyOf(aim string) string {
	switch {
	case aim == "":
		return ""
	case aim == "C1":
		return "gs1-128"
	case aim == "d2":
		return "gs1-data-matrix"
	case aim == "Q3":
		return "gs1-qr"
	}
	letters, names := "ACEGILQdez", []string{"code39", "code128", "ean-upc", "code93", "interleaved-2-of-5", "pdf417", "qr", "data-matrix", "gs1-databar", "aztec"}
	if i := strings.IndexByte(letters, aim[0]); i >= 0 {
		return names[i]
	}
	return ""
}
