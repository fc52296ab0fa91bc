package v2

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"posagent/wxclient"
)

// The bounds of a message.
const (
	messageMax  = 1 << 20 // bytes
	elementsMax = 4096    // fifty refunds with twenty coupons each stay far below
)

// message is an answer's elements by name.
type message map[string]string

// sorted returns the elements as they are signed.
func (m message) sorted() fields {
	all := make(fields, 0, len(m))
	for name, value := range m {
		all.add(name, value)
	}
	all.sort()
	return all
}

// xmlRoot is what calls and answers are wrapped in.
const xmlRoot = "xml"

// write returns the parameters as XML. A text that holds markup is written as CDATA, all others as they are.
func (f fields) write() []byte {
	size := len("<xml></xml>")
	for _, p := range f {
		size += 2*len(p.name) + len(p.value) + len("<></>") + len("<![CDATA[]]>")
	}
	w := make(xmlText, 0, size)
	w.open(xmlRoot)
	for _, p := range f {
		w.open(p.name)
		w.value(p.value)
		w.end(p.name)
	}
	w.end(xmlRoot)
	return w
}

// xmlText is XML that is being written, token by token.
type xmlText []byte

func (w *xmlText) open(name string) { *w = append(append(append(*w, '<'), name...), '>') }
func (w *xmlText) end(name string)  { *w = append(append(append(*w, "</"...), name...), '>') }

const cdataEnd = "]]>"

func (w *xmlText) value(text string) {
	switch {
	case !strings.ContainsAny(text, "<>&"):
		*w = append(*w, text...)
	case !strings.Contains(text, cdataEnd):
		*w = append(append(append(*w, "<![CDATA["...), text...), cdataEnd...)
	default: // CDATA cannot hold its own end
		*w = append(*w, xmlEscaper.Replace(text)...)
	}
}

var xmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// text makes a text fit for API v2: as wxclient.Plain does, without what XML cannot carry, and without blanks at its ends: what
// a reader makes of those is not documented, and they are signed.
func text(from string, limit int) string {
	return strings.TrimFunc(wxclient.Plain(strings.Map(noncharacter, from), limit), unicode.IsSpace)
}

func noncharacter(r rune) rune {
	if r == 0xFFFE || r == 0xFFFF {
		return '?'
	}
	return r
}

var errShape = errors.New("it is no flat XML message")

func misshapen(why string) error { return fmt.Errorf("%w: %s", errShape, why) }

// readXML reads a flat message: a root that holds elements of text, each name once. It takes no more of XML than such a message needs, so
// that no two readers can read it in two ways, and nothing in it is dangerous to read: the declaration, tags without attributes, text
// with the five named entities and numeric ones, CDATA. DOCTYPE, processing instructions, comments, name spaces, elements within
// elements, a name that comes twice, text beside the elements and whatever follows the end are refused, and so is what is not UTF-8. What
// it takes, encoding/xml reads alike (FuzzReadXML).
func readXML(from []byte, root string) (message, error) {
	switch {
	case len(from) > messageMax:
		return nil, misshapen("over 1 MiB")
	case !utf8.Valid(from):
		return nil, misshapen("not UTF-8")
	}
	s := xmlScanner{left: string(from)}
	if strings.ContainsFunc(s.left, notXML) {
		return nil, misshapen("a character that XML does not have")
	}
	s.declaration()
	s.blanks()
	if name, empty, err := s.open(); err != nil || name != root || empty {
		return nil, misshapen("its root is not " + root)
	}
	m, err := s.elements(root)
	if err != nil {
		return nil, err
	}
	if s.blanks(); s.left != "" {
		return nil, misshapen("something behind its end")
	}
	return m, nil
}

// notXML reports characters that XML 1.0 does not have.
func notXML(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// xmlScanner reads tokens off the front of what is left.
type xmlScanner struct{ left string }

var declarationPattern = regexp.MustCompile(`^<\?xml\s+version=["']1\.0["'](\s+encoding=["'](?i:utf-8)["'])?(\s+standalone=["'](yes|no)["'])?\s*\?>`)

func (s *xmlScanner) declaration() {
	if strings.HasPrefix(s.left, "<?") {
		s.left = s.left[len(declarationPattern.FindString(s.left)):]
	}
}

const blanks = " \t\r\n"

func (s *xmlScanner) blanks() { s.left = strings.TrimLeft(s.left, blanks) }

// open reads a start tag. empty says that it is its own end.
func (s *xmlScanner) open() (name string, empty bool, err error) {
	if !s.skip("<") {
		return "", false, misshapen("text beside its elements, or an early end")
	}
	name = s.name()
	s.blanks()
	empty = s.skip("/")
	if name == "" || !s.skip(">") {
		return "", false, misshapen("neither start nor end of an element")
	}
	return name, empty, nil
}

func (s *xmlScanner) end(name string) bool {
	if !s.skip("</") || s.name() != name {
		return false
	}
	s.blanks()
	return s.skip(">")
}

// name reads an element's name: ASCII letters, digits and underscore, beginning with no digit.
func (s *xmlScanner) name() string {
	n := 0
	for n < len(s.left) && isNameByte(s.left[n], n > 0) {
		n++
	}
	name := s.left[:n]
	s.left = s.left[n:]
	return name
}

func isNameByte(b byte, digits bool) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' || digits && b >= '0' && b <= '9'
}

func (s *xmlScanner) skip(token string) (there bool) {
	s.left, there = strings.CutPrefix(s.left, token)
	return there
}

// elements reads up to the root's end.
func (s *xmlScanner) elements(root string) (message, error) {
	m := make(message, 32)
	for {
		s.blanks()
		if strings.HasPrefix(s.left, "</") {
			if !s.end(root) {
				return nil, misshapen("the root does not end")
			}
			return m, nil
		}
		name, empty, err := s.open()
		if err != nil {
			return nil, err
		}
		value := ""
		if !empty {
			if value, err = s.value(name); err != nil {
				return nil, err
			}
		}
		if _, twice := m[name]; twice || len(m) >= elementsMax {
			return nil, misshapen("a name that comes twice, or too many names")
		}
		m[name] = value
	}
}

const cdataBegin = "<![CDATA["

// value reads an element's text and its end.
func (s *xmlScanner) value(name string) (string, error) {
	var first string // nearly always the only piece
	var more strings.Builder
	for n := 0; ; n++ {
		piece, err := s.piece()
		switch {
		case err != nil:
			return "", err
		case n == 0:
			first = piece
		default:
			more.WriteString(piece)
		}
		switch {
		case s.left == "" || s.left[0] != '<' || strings.HasPrefix(s.left, cdataBegin):
		case !s.end(name):
			return "", misshapen("something within an element, or its end by another name")
		default:
			return first + more.String(), nil
		}
	}
}

// piece reads one CDATA section, or text up to the next tag.
func (s *xmlScanner) piece() (string, error) {
	if s.skip(cdataBegin) {
		text, behind, ended := strings.Cut(s.left, cdataEnd)
		if !ended {
			return "", misshapen("an early end")
		}
		s.left = behind
		return newlines(text), nil
	}
	n := strings.IndexByte(s.left, '<')
	if n < 0 {
		return "", misshapen("an early end")
	}
	text := s.left[:n]
	s.left = s.left[n:]
	if strings.Contains(text, cdataEnd) {
		return "", misshapen("the end of a CDATA section that never began")
	}
	return unescape(newlines(text))
}

// newlines makes every end of a line a LF, as XML says.
func newlines(text string) string {
	if !strings.Contains(text, "\r") {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// unescape resolves entities. A message has no DOCTYPE, so there are the five of XML, and numbers.
func unescape(text string) (string, error) {
	if !strings.Contains(text, "&") {
		return text, nil
	}
	var b strings.Builder
	for {
		before, behind, more := strings.Cut(text, "&")
		b.WriteString(before)
		if !more {
			return b.String(), nil
		}
		entity, after, ended := strings.Cut(behind, ";")
		r, known := entityRune(entity)
		if !ended || !known {
			return "", misshapen("an entity that is not XML's")
		}
		b.WriteRune(r)
		text = after
	}
}

func entityRune(entity string) (rune, bool) {
	switch entity {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, numeric := strings.CutPrefix(entity, "#")
	base := 10
	if hexDigits, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hexDigits, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	r := rune(n)
	return r, numeric && err == nil && utf8.ValidRune(r) && !notXML(r)
}
