package wxsim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	v2FieldsMax = 200 // elements of a message; the longest of the pages has some thirty
	v2NameMax   = 64  // bytes of an element's name
)

var (
	errNotUTF8 = errors.New("the text is not UTF-8")
	errNotFlat = errors.New("the message is not one flat element")
)

// readXML reads a message of API v2: a root of the given name, in it elements that hold text alone, each name once, and nothing
// before or behind but blanks and a declaration. A DOCTYPE, a processing instruction, a comment, an attribute, an element
// within an element, a second element of one name: two readers can differ about each of them, and so about what was signed.
func readXML(body []byte, root string) (map[string]string, error) {
	if !utf8.Valid(body) {
		return nil, errNotUTF8
	}
	r := xmlReader{tokens: xml.NewDecoder(bytes.NewReader(body)), root: root, fields: map[string]string{}}
	for {
		token, err := r.tokens.Token()
		if errors.Is(err, io.EOF) && r.ended {
			return r.fields, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotFlat, err)
		}
		if err := r.take(token); err != nil {
			return nil, err
		}
		r.begun = true
	}
}

// xmlReader is how far a message has been read.
type xmlReader struct {
	tokens *xml.Decoder
	root   string
	begun  bool // something was read
	open   bool // inside the root
	ended  bool // behind it
	name   string
	text   strings.Builder
	fields map[string]string
}

func (r *xmlReader) take(token xml.Token) error {
	switch token := token.(type) {
	case xml.ProcInst:
		if token.Target != "xml" || r.begun {
			return fmt.Errorf("%w: a processing instruction", errNotFlat)
		}
	case xml.StartElement:
		return r.start(token)
	case xml.CharData:
		return r.characters(token)
	case xml.EndElement:
		r.end()
	default:
		return fmt.Errorf("%w: a DOCTYPE or a comment", errNotFlat)
	}
	return nil
}

func (r *xmlReader) start(e xml.StartElement) error {
	_, twice := r.fields[e.Name.Local]
	switch {
	case e.Name.Space != "" || len(e.Attr) > 0:
		return fmt.Errorf("%w: an attribute or a name space", errNotFlat)
	case !r.open && (r.ended || e.Name.Local != r.root):
		return fmt.Errorf("%w: the root is not one <%s>", errNotFlat, r.root)
	case !r.open:
		r.open = true
	case r.name != "":
		return fmt.Errorf("%w: an element within %.64q", errNotFlat, r.name)
	case twice:
		return fmt.Errorf("%w: %.64q stands twice", errNotFlat, e.Name.Local)
	case len(r.fields) >= v2FieldsMax || len(e.Name.Local) > v2NameMax:
		return fmt.Errorf("%w: too many elements, or too long a name", errNotFlat)
	default:
		r.name = e.Name.Local
		r.text.Reset()
	}
	return nil
}

func (r *xmlReader) characters(text []byte) error {
	switch {
	case r.name != "":
		r.text.Write(text)
	case len(bytes.TrimSpace(text)) > 0:
		return fmt.Errorf("%w: text between the elements", errNotFlat)
	}
	return nil
}

func (r *xmlReader) end() {
	if r.name == "" {
		r.open, r.ended = false, true
		return
	}
	r.fields[r.name] = r.text.String()
	r.name = ""
}

// v2Field is one element of a message.
type v2Field struct {
	name, value string
	plain       bool // without CDATA
}

// textV2 is a field as the pages print text: in CDATA.
func textV2(name, value string) v2Field { return v2Field{name: name, value: value} }

// numberV2 is a field as the pages print numbers: plain.
func numberV2(name string, value int64) v2Field {
	return v2Field{name: name, value: fmt.Sprint(value), plain: true}
}

// writeXML writes a message. Without CDATA every value is escaped instead, which means the same.
func writeXML(root string, fields []v2Field, cdata bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%s>\n", root)
	for _, f := range fields {
		fmt.Fprintf(&b, "<%s>", f.name)
		if f.plain || !cdata {
			xml.EscapeText(&b, []byte(f.value))
		} else {
			b.WriteString("<![CDATA[" + strings.ReplaceAll(f.value, "]]>", "]]]]><![CDATA[>") + "]]>")
		}
		fmt.Fprintf(&b, "</%s>\n", f.name)
	}
	fmt.Fprintf(&b, "</%s>\n", root)
	return b.Bytes()
}
