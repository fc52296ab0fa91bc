package posagent

import (
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
	code := goText(t, ".", func(string) bool { return true })
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
			assert.Truef(t, strings.Contains(code, `"`+name+`"`), "%s speaks of %s, and no code reads it", path, name)
		}
	}
	assert.Greater(t, found, 50)
}
