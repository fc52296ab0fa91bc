package scanner

import (
	"bytes"
	"strings"
	"time"
)

// scanBytesMax bounds one scan, AIM identifier included. A payment code has at most 24 digits; a line that is longer is
// a web address, a label or a wrong baud rate.
const scanBytesMax = 64

// Control characters (ASCII).
const (
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

// heldUpMax is how long a program may stand still in the middle of a scan before the scan is in doubt. Nobody can show a
// scanner two codes within half a second; after more, what was read before and what waited may be parts of two.
const heldUpMax = 500 * time.Millisecond

// noiseScanMin is how many bytes without a character among them are said: it is the shortest bar code of a shop. Less is
// a cable being plugged in.
const noiseScanMin = 8

// Assembler cuts a stream of characters into scans. Without a configured suffix CR, LF, TAB, STX and ETX each end what
// came before, in any combination, and so does silence; an empty scan is nothing. It holds at most 64 characters.
//
// What it gives is a code that was sent whole, or nothing: a scan with any byte in it that is no printable ASCII, one
// without the configured prefix or suffix, and one in whose middle the program stood still for half a second become an
// event of kind KindNoise that says so. What it cannot see is a character that the line swallowed without a trace; for
// that a payment code has exactly 18 digits, and two codes without anything between them have 36.
type Assembler struct {
	framing Framing
	frame   []byte
	began   time.Time // of the first byte of the scan
	last    time.Time // of the last byte of any sort
	noise   int       // bytes of the scan that are no characters
	parity  parityRun
	heldUp  bool
	full    bool // too long: everything is dropped until it is quiet
}

// NewAssembler returns an assembler that takes gap without a character as the end of a scan; 0 means that silence ends
// nothing. Silence counts only when a look (Feed with no bytes) finds it: bytes that are read late because the program
// was held up have been waiting in the kernel all the while, and are one scan, up to half a second.
func NewAssembler(gap time.Duration) *Assembler { return NewFramedAssembler(Framing{Gap: gap}) }

// NewFramedAssembler returns an assembler that wants what framing says around each scan.
func NewFramedAssembler(framing Framing) *Assembler {
	return &Assembler{framing: framing, frame: make([]byte, 0, framing.frameMax())}
}

// Feed takes characters, or a look at the clock, and returns the scans that they complete.
func (a *Assembler) Feed(b []byte, at time.Time) []Event {
	if len(b) == 0 {
		return a.look(at)
	}
	if a.stoodStill(at) {
		a.heldUp = true
	}
	var events []Event
	for _, c := range b {
		events = append(events, a.take(c, at)...)
	}
	a.last = at
	return events
}

// Pending reports that a scan has begun, or that too long a one is being dropped.
func (a *Assembler) Pending() bool { return a.parity.bytes > 0 || a.full }

// Reset forgets what has begun.
func (a *Assembler) Reset() {
	a.frame, a.noise, a.parity, a.heldUp, a.full = a.frame[:0], 0, parityRun{}, false, false
}

// stoodStill reports that the scan under way goes on after a pause that no look has seen.
func (a *Assembler) stoodStill(at time.Time) bool {
	return a.framing.Gap > 0 && a.Pending() && at.Sub(a.last) >= max(heldUpMax, a.framing.Gap)
}

func (a *Assembler) look(at time.Time) []Event {
	if a.framing.Gap == 0 || !a.Pending() || at.Sub(a.last) < a.framing.Gap {
		return nil
	}
	return a.end(a.last)
}

// flush ends the scan that has begun, as the end of a report does. A configured suffix need not stand before it.
func (a *Assembler) flush(at time.Time) []Event {
	if s := a.framing.Suffix; s != "" && a.Pending() && !bytes.HasSuffix(a.frame, []byte(s)) {
		a.frame = append(a.frame, s...)
	}
	return a.end(at)
}

func (a *Assembler) take(c byte, at time.Time) []Event {
	switch {
	case a.full && (a.framing.Gap > 0 || !isBoundary(c)):
		return nil
	case a.full, a.framing.ends(c):
		return a.end(at)
	case isBoundary(c) && !a.Pending() && !a.framing.opens(c):
		return nil // the rest of a suffix that is longer than the configured one
	case len(a.frame) == a.framing.frameMax():
		a.Reset()
		a.full = true
		return []Event{noiseEvent(tooLong(), at)}
	case !a.Pending():
		a.began = at
	}
	a.parity.add(c)
	if !isPrintable(c) && !a.framing.holds(c) {
		a.noise++
		return nil
	}
	a.frame = append(a.frame, c)
	if a.framing.Suffix != "" && bytes.HasSuffix(a.frame, []byte(a.framing.Suffix)) {
		return a.end(at)
	}
	return nil
}

func tooLong() Trouble {
	return Trouble{
		Code: TroubleTooLong,
		What: "something longer than 64 characters was read and dropped",
		Next: "scan the customer's payment code; if it was one, check the scanner's baud rate and its suffix setting",
	}
}

func noiseEvent(t Trouble, at time.Time) Event { return Event{Kind: KindNoise, At: at, Trouble: t} }

// end makes a scan of what has begun, or says why it is none. The last character is taken to have come at at.
func (a *Assembler) end(at time.Time) []Event {
	defer a.Reset()
	if a.full {
		return nil
	}
	f := a.framing.open(string(a.frame))
	if t, bad := a.trouble(f); bad {
		return []Event{noiseEvent(t, at)}
	}
	var events []Event
	if f.before {
		events = append(events, noiseEvent(unframedTrouble("suffix"), at))
	}
	if e, ok := newScan(f.body, at, at.Sub(a.began)); ok {
		events = append(events, e)
	}
	return events
}

// trouble says why what has begun is no scan.
func (a *Assembler) trouble(f opened) (Trouble, bool) {
	noise, why := a.noise+unprintable(f.body), a.parity.wrong()
	switch {
	case f.body == "" && noise < noiseScanMin:
		return Trouble{}, false
	case noise > 0 && why != "":
		return parityTrouble(why), true
	case noise > 0:
		return garbledTrouble(), true
	case a.heldUp:
		return heldUpTrouble(), true
	case f.missing != "":
		return unframedTrouble(f.missing), true
	}
	return Trouble{}, false
}

// newScan makes the event of one scan, with its AIM identifier taken off; ok is false where there is no text.
func newScan(text string, at time.Time, took time.Duration) (e Event, ok bool) {
	aim, text := cutAIM(text)
	if text == "" {
		return Event{}, false
	}
	scan := Scan{Text: NewText(text), AIM: aim, Symbology: symbologyOf(aim), Took: took}
	scan.Characters = scan.Text.Characters()
	return Event{Kind: KindScan, At: at, Scan: scan}, true
}

// boundaries end a scan where no suffix is configured.
const boundaries = "\r\n\t\x02\x03"

func isBoundary(c byte) bool  { return strings.IndexByte(boundaries, c) >= 0 }
func isPrintable(c byte) bool { return c >= ' ' && c < del }

func unprintable(text string) (n int) {
	for i := range len(text) {
		if !isPrintable(text[i]) {
			n++
		}
	}
	return n
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
