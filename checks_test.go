package posagent

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryVariableThatTheChecksSetIsRead: a variable that no test reads asks for a thousand tries and gets one, and nobody sees it.
func TestEveryVariableThatTheChecksSetIsRead(t *testing.T) {
	var code strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	}))
	said := []string{".ci/run", ".ci/release", "README.md"}
	docs, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	variable := regexp.MustCompile(`POSAGENT_[A-Z0-9_]+`)
	found := 0
	for _, path := range append(said, docs...) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, name := range variable.FindAllString(string(text), -1) {
			found++
			assert.Truef(t, strings.Contains(code.String(), `"`+name+`"`), "%s speaks of %s, and no code reads it", path, name)
		}
	}
	assert.Greater(t, found, 50)
}
