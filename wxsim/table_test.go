package wxsim

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the table in doc.go")

var tableInDoc = regexp.MustCompile(`(?s)(// # Scenarios\n//\n)(.*?)(package wxsim)`)

// Here the data is the document: what simulate --help prints is what doc.go says.
func TestTheTableInDocGoIsTheTableOfScenarios(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var want strings.Builder
	for line := range strings.Lines(Table()) {
		want.WriteString("//\t" + line)
	}
	if *update {
		doc = tableInDoc.ReplaceAll(doc, []byte("${1}"+strings.ReplaceAll(want.String(), "$", "$$")+"${3}"))
		require.NoError(t, os.WriteFile("doc.go", doc, 0o644))
	}
	found := tableInDoc.FindSubmatch(doc)
	require.NotNil(t, found)
	assert.Equal(t, want.String(), string(found[2]), "run go test ./wxsim -run Table -update")
}

func TestScenariosHaveDigitsAndNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Scenarios() {
		assert.Regexp(t, `^[0-9]{2}$`, s.Digits)
		assert.False(t, seen[s.Digits] || seen[s.Name], "%s %s stands twice", s.Digits, s.Name)
		seen[s.Digits], seen[s.Name] = true, true
		assert.Regexp(t, `^1[0-5]0000[0-9]{10}`+s.Digits+`$`, s.Code(7))
		assert.Len(t, s.Pattern(), 18)
		assert.NotEqual(t, s.Code(7), s.Code(8))
	}
	assert.Equal(t, int64(9941), mustFind(t, "answer-lost").Amount())
	assert.Panics(t, func() { CodeFor("no such name", 1) })
}

func mustFind(t *testing.T, name string) Scenario {
	t.Helper()
	s, found := Find(name)
	require.True(t, found)
	return s
}
