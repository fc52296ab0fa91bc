package till

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// lineIn is one line as it came, without its end and its checksum. With a fault the text is dropped: it is nothing to be repeated.
type lineIn struct {
	text    string
	checked bool     // it carried a checksum, which fits
	fault   lineCode // why it is no line; "": it is one
}

// lineDecoder cuts bytes into lines. A line ends with CR, LF or CR LF; empty ones are passed over. A longer line than lineBytesMax is
// refused once and skipped to its end.
type lineDecoder struct {
	held []byte
	skip bool      // the line is too long: nothing more of it is kept
	last time.Time // when a byte came last
}

// feed takes what one read gave and returns the lines that are whole. The rest of a line that stays away for lineLostMax never comes:
// its beginning is dropped, so that it can't become the beginning of another line.
func (d *lineDecoder) feed(b []byte, at time.Time) []lineIn {
	var lines []lineIn
	if (len(d.held) > 0 || d.skip) && at.Sub(d.last) > lineLostMax {
		d.held, d.skip = d.held[:0], false
		lines = append(lines, lineIn{fault: lineCutOff})
	}
	d.last = at
	for _, c := range b {
		switch {
		case c == '\r' || c == '\n':
			if line, some := d.end(); some {
				lines = append(lines, line)
			}
		case d.skip:
		case len(d.held) == lineBytesMax:
			d.held, d.skip = d.held[:0], true
			lines = append(lines, lineIn{fault: lineTooLong})
		default:
			d.held = append(d.held, c)
		}
	}
	return lines
}

// end takes the line that is held; there is none behind a line that was too long, or between CR and LF.
func (d *lineDecoder) end() (lineIn, bool) {
	held := string(d.held)
	d.held = d.held[:0]
	if d.skip || held == "" {
		d.skip = false
		return lineIn{}, false
	}
	if !lineText(held) {
		return lineIn{fault: lineNotText}, true
	}
	return checkLine(held), true
}

// lineText reports valid UTF-8 without control characters but the tab.
func lineText(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if r != '\t' && (r < 0x20 || r >= 0x7f && r < 0xa0) {
			return false
		}
	}
	return true
}

// sumBytes is the length of a checksum at a line's end: a star and two hexadecimal digits.
const sumBytes = 3

// checkLine takes the checksum off a line that carries one, which a serial line with noise should.
func checkLine(text string) lineIn {
	at := len(text) - sumBytes
	if at < 0 || text[at] != '*' {
		return lineIn{text: text}
	}
	sum, err := strconv.ParseUint(text[at+1:], 16, 8)
	if err != nil || byte(sum) != lineSum(text[:at]) {
		return lineIn{fault: lineBadSum}
	}
	return lineIn{text: text[:at], checked: true}
}

// lineSum is the exclusive or of every byte.
func lineSum(text string) byte {
	sum := byte(0)
	for i := range len(text) {
		sum ^= text[i]
	}
	return sum
}

// summed is a line with its checksum.
func summed(text string) string { return fmt.Sprintf("%s*%02X", text, lineSum(text)) }
