package till

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var (
	sheetLink  = regexp.MustCompile(`<link rel="stylesheet" href="/page/([a-z]+\.css)">\n`)
	moduleLink = regexp.MustCompile(`(?m)^(?:import|export) .*from '\./([a-z_]+\.js)';$`)
	scriptLink = regexp.MustCompile(`<script type="module" src="/page/([a-z]+\.js)">`)
)

// firstPage is index.html as the root answers it: with every sheet in it, so that a browser shows something after one request alone, and
// with the names of all modules, so that it asks for them at once and not one behind the other.
type firstPage struct {
	text   []byte
	policy string // the Content-Security-Policy's source for the sheets
}

func newFirstPage(read func(name string) string) firstPage {
	text := read("index.html")
	var sheets strings.Builder
	text = sheetLink.ReplaceAllStringFunc(text, func(link string) string {
		sheets.WriteString(read(sheetLink.FindStringSubmatch(link)[1]))
		return ""
	})
	var preload strings.Builder
	var modules []string
	for _, script := range scriptLink.FindAllStringSubmatch(text, -1) {
		modules = modulesOf(read, script[1], modules)
	}
	for _, name := range modules {
		fmt.Fprintf(&preload, "<link rel=\"modulepreload\" href=\"/page/%s\">\n", name)
	}
	sum := sha256.Sum256([]byte(sheets.String()))
	text = strings.Replace(text, "</head>", "<style>"+sheets.String()+"</style>\n"+preload.String()+"</head>", 1)
	return firstPage{text: []byte(text), policy: "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"}
}

// modulesOf returns a module and all that it imports, each once.
func modulesOf(read func(string) string, name string, known []string) []string {
	if slices.Contains(known, name) {
		return known
	}
	known = append(known, name)
	for _, match := range moduleLink.FindAllStringSubmatch(read(name), -1) {
		known = modulesOf(read, match[1], known)
	}
	return known
}

// allow adds the sheets of the first page to the policy that an answer carries.
func (p firstPage) allow(h http.Header) {
	h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"), "style-src 'self'", "style-src 'self' "+p.policy, 1))
}

// packed is a text in gzip: the page's files hold nothing secret, so that their lengths tell nothing.
func packed(text []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a good one
	_, _ = w.Write(text)                                  // a buffer takes all
	_ = w.Close()
	return b.Bytes()
}
