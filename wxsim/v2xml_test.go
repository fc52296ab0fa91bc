package wxsim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// API Rules, data format: one flat <xml>.
func TestOnlyAFlatMessageIsRead(t *testing.T) {
	good := map[string]string{
		"plain and CDATA":   `<xml><a>1</a><b><![CDATA[x<y]]></b></xml>`,
		"a declaration":     `<?xml version="1.0" encoding="UTF-8"?>` + "\n<xml>\n <a>1</a>\n</xml>\n",
		"an empty value":    `<xml><a></a><b/></xml>`,
		"escaped":           `<xml><a>1 &lt; 2 &amp; 3</a></xml>`,
		"CDATA in two":      `<xml><a><![CDATA[x]]><![CDATA[y]]></a></xml>`,
		"lines within":      "<xml><a><![CDATA[\n1\n]]></a></xml>",
		"no fields":         `<xml></xml>`,
		"characters beyond": `<xml><a>支付</a></xml>`,
	}
	for name, text := range good {
		_, err := readXML([]byte(text), "xml")
		assert.NoError(t, err, name)
	}
	bad := map[string]string{
		"a DOCTYPE":                `<!DOCTYPE xml><xml><a>1</a></xml>`,
		"an entity":                `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><a>&e;</a></xml>`,
		"an unknown entity":        `<xml><a>&e;</a></xml>`,
		"a processing instruction": `<xml><?php x?><a>1</a></xml>`,
		"a late declaration":       `<xml/><?xml version="1.0"?>`,
		"another encoding":         `<?xml version="1.0" encoding="GBK"?><xml/>`,
		"a comment":                `<xml><a>1<!-- --></a></xml>`,
		"an attribute":             `<xml><a type="x">1</a></xml>`,
		"a name space":             `<x:xml xmlns:x="y"></x:xml>`,
		"within":                   `<xml><a><b>1</b></a></xml>`,
		"twice":                    `<xml><a>1</a><a>1</a></xml>`,
		"text between":             `<xml>1<a>1</a></xml>`,
		"another root":             `<root><a>1</a></root>`,
		"a second root":            `<xml></xml><xml></xml>`,
		"text behind":              `<xml></xml>x`,
		"text before":              `x<xml></xml>`,
		"cut off":                  `<xml><a>1</a>`,
		"not closed":               `<xml><a>1<a></xml>`,
		"nothing":                  ``,
		"not UTF-8":                "<xml><a>\xff</a></xml>",
		"too many":                 "<xml>" + many(v2FieldsMax+1) + "</xml>",
		"too long a name":          "<xml><" + strings.Repeat("n", v2NameMax+1) + "/></xml>",
	}
	for name, text := range bad {
		_, err := readXML([]byte(text), "xml")
		assert.Error(t, err, name)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		name := "f" + strings.Repeat("x", i%50) + strings.Repeat("y", i/50)
		b.WriteString("<" + name + "/>")
	}
	return b.String()
}

// What is written is read back, with and without CDATA.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	fields := []v2Field{textV2("a", "x]]>y<z>&'\"\n支付"), numberV2("b", 1250), textV2("c", ""), textV2("d", " ]]")}
	for _, cdata := range []bool{true, false} {
		text := writeXML("xml", fields, cdata)
		read, err := readXML(text, "xml")
		require.NoError(t, err, string(text))
		for _, f := range fields {
			assert.Equal(t, f.value, read[f.name])
		}
	}
	assert.Contains(t, string(writeXML("xml", fields, true)), "<b>1250</b>", "numbers stand plain beside CDATA")
}

func TestOutsideVectorsOfMessagesAreReadAlike(t *testing.T) {
	type message struct {
		Name, From, XML, Root string
		Expect                map[string]string
	}
	var file struct {
		Reject []message `json:"must_reject"`
		Own    []message `json:"own_additions_must_reject"`
		Parse  []message `json:"must_parse"`
	}
	outside(t, "xml.json", &file)
	require.True(t, len(file.Reject) > 0 && len(file.Own) > 0 && len(file.Parse) > 0)
	for _, m := range append(file.Reject, file.Own...) {
		for _, root := range []string{"xml", "foo", "batchjob", "movies", "html"} {
			_, err := readXML([]byte(m.XML), root)
			assert.Error(t, err, "%s with root %s", m.Name, root)
		}
	}
	for _, m := range file.Parse {
		read, err := readXML([]byte(m.XML), m.Root)
		require.NoError(t, err, m.From)
		for name, value := range m.Expect {
			assert.Equal(t, value, read[name], m.From+" "+name)
		}
	}
}

func FuzzReadXML(f *testing.F) {
	f.Add([]byte(`<xml><a><![CDATA[1]]></a></xml>`))
	f.Add([]byte(`<?xml version="1.0"?><xml><a>&lt;</a></xml>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		fields, err := readXML(text, "xml")
		if err != nil {
			return
		}
		var list []v2Field
		for name, value := range fields {
			list = append(list, textV2(name, value))
		}
		again, err := readXML(writeXML("xml", list, true), "xml")
		require.NoError(t, err)
		require.Equal(t, fields, again)
	})
}
