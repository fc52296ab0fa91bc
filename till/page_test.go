package till

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// thePage is the page as a server gives it to a browser on this machine.
func thePage(t *testing.T) *aTill {
	t.Helper()
	return newTill(t, func(c *Config) { c.Page = Page(loadedWords(t)) })
}

func (a *aTill) browse(method, path string, header ...string) *httptest.ResponseRecorder {
	a.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:7080"+path, nil)
	r.RemoteAddr = "127.0.0.1:50000"
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.server.Handler().ServeHTTP(w, r)
	return w
}

func TestThePageIsServedAtTheRootWithItsSession(t *testing.T) {
	a := thePage(t)
	for _, address := range []string{"/", "/?view=customer", "/page/index.html", "/page/storybook.html"} {
		w := a.browse(http.MethodGet, address)
		require.Equal(t, http.StatusOK, w.Code, address)
		assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"), address)
		assert.Contains(t, w.Header().Get("Content-Security-Policy"), "script-src 'self'; style-src 'self'", address)
		assert.Equal(t, "no-cache", w.Header().Get("Cache-Control"), address)
		assert.NotEmpty(t, w.Result().Cookies(), address)
	}
}

func TestAFileIsSentAgainOnlyWhenItHasChanged(t *testing.T) {
	a := thePage(t)
	first := a.browse(http.MethodGet, "/page/view.js")
	require.Equal(t, http.StatusOK, first.Code)
	require.NotEmpty(t, first.Header().Get("ETag"))
	again := a.browse(http.MethodGet, "/page/view.js", "If-None-Match", first.Header().Get("ETag"))
	assert.Equal(t, http.StatusNotModified, again.Code)
	assert.Empty(t, again.Body.String())
	assert.Empty(t, a.browse(http.MethodHead, "/page/view.js").Body.String())
}

func TestWhatIsNoFileOfThePageIsNotFound(t *testing.T) {
	a := thePage(t)
	for _, address := range []string{"/page", "/page/", "/page/nothing.js", "/index.html", "/page/../server.go", "/words/en.json"} {
		w := a.browse(http.MethodGet, address)
		assert.Equal(t, http.StatusNotFound, w.Code, address)
		assert.NotContains(t, w.Body.String(), "nothing.js")
	}
}

var (
	references = regexp.MustCompile(`(?:href|src)="([^"]*)"|from '([^']*)'|import '([^']*)'|(?:load|call)\('([^']*)'\)`)
	addresses  = regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	inline     = regexp.MustCompile(`(?i)<style|<script[^>]*>[^<\s]|\son[a-z]+\s*=\s*"|\sstyle\s*=|javascript:|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\('style'`)
)

func TestEveryFileThatThePageLoadsIsBuiltInAndItsOwn(t *testing.T) {
	a := thePage(t)
	for _, name := range builtInPage() {
		text := a.browse(http.MethodGet, "/page/"+name).Body.String()
		for _, match := range references.FindAllStringSubmatch(text, -1) {
			reference := match[1] + match[2] + match[3] + match[4]
			if strings.HasPrefix(reference, "/v1/") || reference == "" {
				continue
			}
			target := path.Join("/page", reference)
			if strings.HasPrefix(reference, "/") {
				target = reference
			}
			w := a.browse(http.MethodGet, target)
			assert.Equal(t, http.StatusOK, w.Code, "%s loads %s", name, reference)
			assert.Equal(t, pageTypes[path.Ext(target)], w.Header().Get("Content-Type"), "%s loads %s", name, reference)
		}
		for _, address := range addresses.FindAllString(text, -1) {
			assert.Contains(t, []string{"http://www.w3.org"}, address, "%s names another host", name)
		}
		assert.NotRegexp(t, inline, text, "%s has script, style or HTML of a kind that the policy forbids", name)
	}
}

// labels that screens make up out of a status or a name.
func TestEveryLabelThatThePageNamesIsInTheCatalogue(t *testing.T) {
	w := loadedWords(t)
	labels := w.catalogues["en"].Labels
	named := regexp.MustCompile(`(?:label|both|labelIn|row|print)\((?:state, )?(?:state\.language, |second, )?'([a-z_]+)'|#say\('([a-z_]+)'\)|say\('([a-z_]+)'`)
	count := 0
	for _, name := range builtInPage() {
		text, err := pageFiles.ReadFile("page/" + name)
		require.NoError(t, err)
		for _, match := range named.FindAllStringSubmatch(string(text), -1) {
			key := match[1] + match[2]
			if match[3] != "" && name == "customer.js" {
				key = "customer_" + match[3]
			}
			if key == "" {
				continue
			}
			assert.Contains(t, labels, key, "%s names a label", name)
			count++
		}
	}
	assert.Greater(t, count, 50)
	for _, status := range payflow.Statuses() {
		assert.Contains(t, labels, "status_"+string(status))
	}
}

func TestThePageKnowsEveryCurrencyAndEveryNotice(t *testing.T) {
	var words pageWords
	require.NoError(t, json.Unmarshal(thePage(t).browse(http.MethodGet, "/page/words.json").Body.Bytes(), &words))
	assert.Equal(t, currencyOfPages{Sign: "HK$", Decimals: 2}, words.Currencies["HKD"])
	assert.Equal(t, currencyOfPages{Sign: "JP¥", Decimals: 0}, words.Currencies["JPY"])
	assert.Len(t, words.Currencies, len(payflow.Currencies()))
	for _, language := range WordLanguages() {
		for _, code := range []ProblemCode{AlreadyPaid, SaleOpen, TillBusy, WrongState, NotAside, NothingArmed, ScanBusy, SameCode, Stopping, Internal, BadRequest} {
			assert.NotEmpty(t, words.Languages[language].Notices[string(code)].NextStep, "%s in %s", code, language)
		}
	}
}

func TestTheStorybookHasEveryStatusAndNoCode(t *testing.T) {
	text := thePage(t).browse(http.MethodGet, "/page/stories.json").Body.Bytes()
	var book []story
	require.NoError(t, json.Unmarshal(text, &book))
	seen := map[payflow.Status]bool{}
	names := map[string]bool{}
	for _, s := range book {
		assert.False(t, names[s.Name], "two stories are called %s", s.Name)
		names[s.Name] = true
		if s.Payment != nil {
			seen[s.Payment.Status] = true
		}
	}
	for _, status := range payflow.Statuses() {
		assert.True(t, seen[status], "no story shows %s", status)
	}
	assert.NotRegexp(t, `[^0-9][0-9]{18}[^0-9]`, string(text))
}
