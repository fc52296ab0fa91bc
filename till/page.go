package till

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"posagent/payflow"
)

//go:embed page
var pageFiles embed.FS

// pageTypes are the media types of the page's files: a browser that is told nosniff runs and styles nothing of another.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
}

// pageFile is one file of the page, as it is answered.
type pageFile struct {
	name string
	kind string
	tag  string // changes with the text, so that a browser fetches a file again only after an update
	text []byte
	gzip []byte

	first firstPage // of the root alone
}

// Page serves the cashier's page at / and what it loads below /page/: the files that are built in, the words of the catalogue, and the
// prepared states of the storybook. Each is made when it is first asked for, from here alone, and it is the same for every caller: what
// is secret comes by the API.
func Page(w Words) http.Handler {
	files := map[string]func() pageFile{}
	keep := func(name string, text func() []byte) {
		files["/page/"+name] = sync.OnceValue(func() pageFile { return newPageFile(name, text()) })
	}
	for _, name := range builtInPage() {
		keep(name, func() []byte { return []byte(builtIn(name)) })
	}
	keep("words.json", func() []byte { return pageJSON(wordsOfPage(w)) })
	keep("stories.json", func() []byte { return pageJSON(stories(w)) })
	files["/"] = sync.OnceValue(func() pageFile {
		first := newFirstPage(builtIn)
		file := newPageFile("index.html", first.text)
		file.first = first
		return file
	})
	return pageHandler(files)
}

func newPageFile(name string, text []byte) pageFile {
	sum := sha256.Sum256(text)
	return pageFile{name: name, kind: pageTypes[path.Ext(name)], tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, text: text, gzip: packed(text)}
}

// builtIn returns a file of the page.
func builtIn(name string) string {
	text, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic("till: the page is not built in: " + err.Error())
	}
	return string(text)
}

func pageHandler(files map[string]func() pageFile) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open, ok := files[r.URL.Path]
		if !ok {
			newProblem(NotFound, "").write(w)
			return
		}
		file := open()
		w.Header().Set("Content-Type", file.kind)
		if file.first.policy != "" {
			file.first.allow(w.Header())
		}
		text, tag := file.text, file.tag
		w.Header().Add("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			text, tag = file.gzip, `"`+strings.Trim(file.tag, `"`)+`-gzip"`
			w.Header().Set("Content-Encoding", "gzip")
		}
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, file.name, time.Time{}, bytes.NewReader(text))
	})
}

// builtInPage returns the names of the page's files.
func builtInPage() []string {
	entries, err := pageFiles.ReadDir("page")
	if err != nil {
		panic("till: the page is not built in: " + err.Error())
	}
	var names []string
	for _, e := range entries {
		if _, known := pageTypes[path.Ext(e.Name())]; known {
			names = append(names, e.Name())
		}
	}
	return names
}

func pageJSON(of any) []byte {
	text, err := json.Marshal(of)
	if err != nil {
		panic("till: what the page is told does not marshal: " + err.Error())
	}
	return text
}

// pageWords is what the page says by itself; the words of a payment come with the payment.
type pageWords struct {
	Languages  map[string]pageLanguage              `json:"languages"`
	Currencies map[payflow.Currency]currencyOfPages `json:"currencies"`
}

type pageLanguage struct {
	Labels  map[string]string   `json:"labels"`
	Notices map[string]wordPair `json:"notices"`
}

// currencyOfPages is how an amount that is being typed is shown.
type currencyOfPages struct {
	Sign     string `json:"sign"`
	Decimals int    `json:"decimals"`
}

func wordsOfPage(w Words) pageWords {
	p := pageWords{Languages: map[string]pageLanguage{}, Currencies: map[payflow.Currency]currencyOfPages{}}
	for language, c := range w.catalogues {
		p.Languages[language] = pageLanguage{Labels: c.Labels, Notices: c.Notices}
	}
	for currency, decimals := range payflow.Currencies() {
		sign, _, _ := strings.Cut(payflow.Amount{Currency: currency}.String(), " ")
		p.Currencies[currency] = currencyOfPages{Sign: sign, Decimals: decimals}
	}
	return p
}
