package till

import (
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// The bounds of a pole display as it is followed here.
const (
	poleRows     = 2
	poleTextMax  = 80 // characters of a line of plain text
	poleParamMax = 64 // bytes of a command; what is longer is no command
)

// The bytes that begin a command.
const (
	poleESC = 0x1b
	poleUS  = 0x1f
)

// PoleProtocols returns what pole displays are spoken to in: plain lines of text, ESC/POS displays (Epson DM-D), CD5220.
func PoleProtocols() []string { return []string{"text", "escpos", "cd5220"} }

// poleScreen is what a pole display shows, by the bytes that the till sends it. What it does not know it passes over.
type poleScreen struct {
	protocol string
	columns  int
	rows     [poleRows][]byte
	row, col int
	lamp     string // the word beside the digits that is lit (ESC s n of displays with digits only)
	command  []byte // of a command that is not whole yet, with its first byte
	ended    bool   // plain text: the line has ended, and stays until the next begins
}

func newPoleScreen(protocol string, columns int) *poleScreen {
	s := &poleScreen{protocol: protocol, columns: columns}
	s.clear()
	return s
}

func (s *poleScreen) clear() {
	for i := range s.rows {
		s.rows[i] = nil
		if s.protocol != "text" {
			s.rows[i] = slices.Repeat([]byte{' '}, s.columns)
		}
	}
	s.row, s.col, s.lamp, s.command, s.ended = 0, 0, "", nil, false
}

// text is what stands on the display, a line for each row that is not empty.
func (s *poleScreen) text(decode func([]byte) string) string {
	lines := []string{}
	if s.lamp != "" {
		lines = append(lines, s.lamp)
	}
	for _, row := range s.rows {
		if line := strings.TrimSpace(decode(row)); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// poleDecoder reads a display's character set; what is no character there becomes U+FFFD, which is in no number.
func poleDecoder(name string) func([]byte) string {
	var from encoding.Encoding
	switch name {
	case "gbk":
		from = simplifiedchinese.GBK
	case "big5":
		from = traditionalchinese.Big5
	default:
		return func(b []byte) string { return strings.ToValidUTF8(string(b), "\ufffd") }
	}
	return func(b []byte) string {
		text, err := from.NewDecoder().Bytes(b)
		if err != nil {
			return ""
		}
		return string(text)
	}
}

func (s *poleScreen) feed(b []byte) {
	for _, c := range b {
		if s.protocol == "text" {
			s.plain(c)
		} else {
			s.control(c)
		}
	}
}

// plain follows a display that is sent lines.
func (s *poleScreen) plain(c byte) {
	switch {
	case c == '\r' || c == '\n':
		s.ended = true
	case c == 0x0c:
		s.clear()
	case c < 0x20 || c == 0x7f:
	case s.ended:
		s.rows[0], s.rows[1] = s.rows[1], []byte{c}
		s.ended = false
	case len(s.rows[1]) < poleTextMax:
		s.rows[1] = append(s.rows[1], c)
	}
}

// control follows a display with a cursor.
func (s *poleScreen) control(c byte) {
	switch {
	case s.command != nil:
		s.command = append(s.command, c)
		if s.whole() || len(s.command) >= poleParamMax {
			s.command = nil
		}
	case c == poleESC || c == poleUS:
		s.command = []byte{c}
	case c == 0x0c:
		s.clear()
	case c == 0x0b:
		s.move(0, 0)
	case c == 0x08:
		s.move(s.row, max(0, s.col-1))
	case c == 0x09:
		s.move(s.row, min(s.columns-1, s.col+1))
	case c == '\n':
		s.move((s.row+1)%poleRows, s.col)
	case c == '\r':
		s.move(s.row, 0)
	case c == 0x18:
		s.write(s.row, nil)
	case c >= 0x20 && c != 0x7f:
		s.put(c)
	}
}

func (s *poleScreen) move(row, col int) { s.row, s.col = row, col }

func (s *poleScreen) put(c byte) {
	s.rows[s.row][s.col] = c
	if s.col++; s.col == s.columns {
		s.move((s.row+1)%poleRows, 0)
	}
}

// write replaces a row by a text.
func (s *poleScreen) write(row int, text []byte) {
	for i := range s.rows[row] {
		s.rows[row][i] = ' '
	}
	copy(s.rows[row], text)
	s.move(row, 0)
}

// poleParams is how many bytes follow a command, where there are any.
var poleParams = map[byte]map[byte]int{
	poleESC: {'R': 1, 't': 1, 'f': 1, 'c': 1, '=': 1, '*': 1, '%': 1, '_': 1, '?': 1, 'l': 2, 's': 1},
	poleUS:  {'$': 2, 'X': 1, 'C': 1, 'E': 1, 'r': 1, 'T': 2, 'v': 1, '^': 2, '#': 2, ',': 1, '.': 1, ';': 1},
}

// whole reports that the command is whole, and carries it out.
func (s *poleScreen) whole() bool {
	first, op, params := s.command[0], s.command[1], s.command[2:]
	if first == poleESC && op == 'Q' {
		return s.wholeLine(params)
	}
	if first == poleESC && op == 'W' { // a window: 0 ends it, else four bounds follow
		return len(params) >= 1 && (params[0]%0x30 == 0 || len(params) == 5)
	}
	if len(params) < poleParams[first][op] {
		return false
	}
	switch {
	case first == poleESC && op == '@':
		s.clear()
	case first == poleESC && op == 'l', first == poleUS && op == '$':
		s.move(bounded(params[1], poleRows), bounded(params[0], s.columns))
	case first == poleESC && op == 's':
		s.lamp = map[byte]string{'1': "PRICE", '2': "TOTAL", '3': "COLLECT", '4': "CHANGE"}[params[0]]
	case first == poleUS && op == 'B':
		s.move(poleRows-1, 0)
	}
	return true
}

// bounded turns a place that counts from 1 into one that counts from 0.
func bounded(n byte, most int) int { return min(max(int(n)-1, 0), most-1) }

// wholeLine is ESC Q A (upper line) and ESC Q B (lower line) with a text, up to CR.
func (s *poleScreen) wholeLine(params []byte) bool {
	if len(params) == 0 {
		return false
	}
	if params[0] != 'A' && params[0] != 'B' && params[0] != 'D' {
		return true
	}
	last := len(params) - 1
	if params[last] == 0x18 { // the line is cleared instead
		return true
	}
	if params[last] != '\r' {
		return false
	}
	row := 0
	if params[0] == 'B' {
		row = 1
	}
	s.write(row, params[1:last])
	return true
}
