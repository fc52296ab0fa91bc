package scanner

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryTroubleIsExplainedToInstallers(t *testing.T) {
	text, err := os.ReadFile("../docs/scanners.md")
	require.NoError(t, err)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	declared := regexp.MustCompile(`TroubleCode = "(\w+)"`)
	found := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range declared.FindAllSubmatch(source, -1) {
			found++
			assert.Contains(t, string(text), "`"+string(m[1])+"`", "docs/scanners.md says what to do")
		}
	}
	assert.Greater(t, found, 10)
}
