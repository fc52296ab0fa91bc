package v2

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadXMLTakesFlatMessages(t *testing.T) {
	for text, want := range map[string]message{
		"<xml></xml>":                   {},
		"<xml><a>1</a><b_2/></xml>":     {"a": "1", "b_2": ""},
		"<xml ><a >x</a ><b /></xml>\n": {"a": "x", "b": ""},
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml>\n <a><![CDATA[<b> & ]]]></a>\n</xml>":         {"a": "<b> & ]"},
		"<?xml version='1.0' encoding='utf-8' standalone='yes' ?><xml><a>&lt;&#65;&#x42;&amp;</a></xml>": {"a": "<AB&"},
		"<xml><a> x <![CDATA[]]><![CDATA[y]]> z</a></xml>":                                               {"a": " x y z"},
		"<xml><a>one\r\ntwo\rthree</a></xml>":                                                            {"a": "one\ntwo\nthree"},
		"<xml><a>支付测试 🧸</a></xml>":                                                                       {"a": "支付测试 🧸"},
	} {
		got, err := readXML([]byte(text), "xml")
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
}

func TestReadXMLRefusesWhatTwoReadersMayReadInTwoWays(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                 "",
		"no XML":                  "hello",
		"a byte order mark":       "\ufeff<xml></xml>",
		"an early end":            "<xml><a>1</a>",
		"an early end in CDATA":   "<xml><a><![CDATA[1</a></xml>",
		"an early end in a tag":   "<xml><a",
		"another root":            "<html><a>1</a></html>",
		"an empty root":           "<xml/>",
		"a second root":           "<xml><a>1</a></xml><xml/>",
		"text behind the end":     "<xml><a>1</a></xml>x",
		"text between":            "<xml><a>1</a>x</xml>",
		"a name twice":            "<xml><a>1</a><a>1</a></xml>",
		"an empty name twice":     "<xml><a/><a/></xml>",
		"elements within":         "<xml><a><b>1</b></a></xml>",
		"another's end":           "<xml><a>1</b></xml>",
		"a DOCTYPE":               "<!DOCTYPE x><xml><a>1</a></xml>",
		"an entity of its own":    `<!DOCTYPE x [<!ENTITY a "1">]><xml><a>&a;</a></xml>`,
		"an unknown entity":       "<xml><a>&a;</a></xml>",
		"an entity without end":   "<xml><a>&amp</a></xml>",
		"a surrogate":             "<xml><a>&#xD800;</a></xml>",
		"a numbered NUL":          "<xml><a>&#0;</a></xml>",
		"a NUL":                   "<xml><a>\x00</a></xml>",
		"an instruction":          "<xml><?php 1 ?><a>1</a></xml>",
		"an instruction first":    "<?php 1 ?><xml><a>1</a></xml>",
		"a second declaration":    `<?xml version="1.0"?><?xml version="1.0"?><xml><a>1</a></xml>`,
		"another encoding":        `<?xml version="1.0" encoding="GBK"?><xml><a>1</a></xml>`,
		"a comment":               "<xml><a>1<!-- --></a></xml>",
		"a comment between":       "<xml><!-- --><a>1</a></xml>",
		"an attribute":            `<xml><a b="1">1</a></xml>`,
		"a name space":            "<xml><b:a>1</b:a></xml>",
		"the end of no CDATA":     "<xml><a>]]></a></xml>",
		"CDATA between":           "<xml><![CDATA[1]]><a>1</a></xml>",
		"bytes that are no UTF-8": "<xml><a>\xff</a></xml>",
		"over 1 MiB":              "<xml><a>" + strings.Repeat("x", messageMax) + "</a></xml>",
		"too many names":          "<xml>" + manyNames(elementsMax+1) + "</xml>",
	} {
		_, err := readXML([]byte(text), "xml")
		assert.ErrorIs(t, err, errShape, name)
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("<a" + strings.Repeat("b", i%97) + "_" + strings.Repeat("c", i/97) + "/>")
	}
	return b.String()
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	texts := []string{"plain", "a < b & c > d", "]]>", "a ]]> & <b>", "支付测试", `{"a":"b"}`, "&amp;", "]]", "<![CDATA[x]]>"}
	var f fields
	want := message{}
	for i, text := range texts {
		name := "n" + string(rune('a'+i))
		f.add(name, text)
		want[name] = text
	}
	got, err := readXML(f.write(), "xml")
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, map[string]string(want), elements(t, f.write()), "and so does another reader")
}

func TestManyPiecesAreReadInTime(t *testing.T) {
	_, err := readXML([]byte("<xml><a>"+strings.Repeat("<![CDATA[x]]>", 80_000)+"</a></xml>"), "xml")
	require.NoError(t, err)
}

// byTokens reads a flat message by encoding/xml: the second opinion.
func byTokens(t *testing.T, text []byte) message {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	m, name, depth := message{}, "", 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return m
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			require.Empty(t, token.Attr)
			if depth++; depth == 2 {
				name = token.Name.Local
				require.NotContains(t, m, name)
				m[name] = ""
			}
			require.LessOrEqual(t, depth, 2)
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 2 {
				m[name] += string(token)
			} else {
				require.Empty(t, bytes.TrimSpace(token))
			}
		case xml.ProcInst:
			require.Equal(t, "xml", token.Target)
		default:
			t.Fatalf("%T", token)
		}
	}
}

func FuzzReadXML(f *testing.F) {
	f.Add([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml>\n <a><![CDATA[<b> & ]]]></a><b/><c>&lt;&#65;\r\n</c>\n</xml>"))
	f.Add([]byte("<xml><a>1<!-- --></a><?x?></xml>"))
	f.Add([]byte("<!DOCTYPE x [<!ENTITY a \"1\">]><xml><a>&a;</a></xml>"))
	f.Add(fields{{"a", "]]>"}, {"b", "<x>"}}.write())
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := readXML(text, "xml")
		if err != nil {
			require.ErrorIs(t, err, errShape)
			return
		}
		require.Equal(t, byTokens(t, text), m)
		again, err := readXML(m.sorted().write(), "xml")
		require.NoError(t, err)
		require.Equal(t, m.sorted(), again.sorted())
	})
}
