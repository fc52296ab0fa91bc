package till

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files again")

func TestTheDocumentIsTheOneInTheFolder(t *testing.T) {
	got := newTill(t).get("/v1/openapi.json")
	require.Equal(t, http.StatusOK, got.Status)
	if *update {
		require.NoError(t, os.WriteFile("testdata/openapi.json", []byte(got.Body), 0o644))
	}
	golden, err := os.ReadFile("testdata/openapi.json")
	require.NoError(t, err)
	assert.True(t, string(golden) == got.Body, "the API changed: run the test with -update, and review the difference as code")
	assert.Contains(t, got.Body, `"openapi": "3.1.0"`)
}

func TestTheDocumentNamesEveryProblem(t *testing.T) {
	got := newTill(t).get("/v1/openapi.json")
	outside := map[ProblemCode]bool{NotFound: true, MethodNotAllowed: true} // of no call
	for code := range problemKinds {
		if !outside[code] {
			assert.Contains(t, got.Body, string(code)+": ")
		}
	}
}

// holdToDocument fails the test when a call answers what the document does not say.
func (a *aTill) holdToDocument(r *http.Request, got answer) {
	a.t.Helper()
	_, pattern := a.server.mux.Handler(r)
	method, path, _ := strings.Cut(pattern, " ")
	item := a.server.api.OpenAPI().Paths[path]
	if item == nil || !cleanPath(r.URL.Path) {
		return // no call of the API
	}
	op := map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post}[method]
	require.NotNil(a.t, op, "%s is not in the document", pattern)
	if r.Method == http.MethodOptions {
		return
	}
	said := op.Responses[strconv.Itoa(got.Status)]
	require.NotNil(a.t, said, "%s answered %d, which the document does not say: %s", pattern, got.Status, got.Body)
	kind, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
	media := said.Content[kind]
	require.NotNil(a.t, media, "%s answered %d as %q, which the document does not say", pattern, got.Status, kind)
	if kind == "text/event-stream" || kind == "image/svg+xml" || kind == "text/plain" {
		return
	}
	var body any
	require.NoError(a.t, json.Unmarshal([]byte(got.Body), &body))
	var found huma.ValidateResult
	huma.Validate(a.server.api.OpenAPI().Components.Schemas, media.Schema, huma.NewPathBuffer([]byte{}, 0), huma.ModeReadFromServer, body, &found)
	assert.Empty(a.t, found.Errors, "%s answered %d in another form than the document's: %s", pattern, got.Status, got.Body)
	if got.Status >= 400 {
		p := got.problem()
		assert.Contains(a.t, said.Description, string(p.Code)+": ", "%s answered %s, which the document does not say", pattern, p.Code)
	}
}
