package posagent

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	backticked = regexp.MustCompile("`([^`]+)`")
	linked     = regexp.MustCompile(`\]\(([^)]+)\)`)
	fenced     = regexp.MustCompile("(?s)```.*?```")
	aPath      = regexp.MustCompile(`^[a-z.][A-Za-z0-9_./-]*/[A-Za-z0-9_./-]*$`)
)

// Every file that README and the documents name must be there.
func TestWhatTheDocumentsNameIsThere(t *testing.T) {
	for _, document := range []string{"README.md", "docs/life-of-a-payment.md", "docs/wechat-pay.md", "docs/scanners.md"} {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		named := 0
		for _, m := range backticked.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			if !aPath.MatchString(m[1]) || strings.HasPrefix(m[1], "/") {
				continue
			}
			named++
			_, err := os.Stat(m[1])
			assert.NoErrorf(t, err, "%s names %s", document, m[1])
		}
		if document == "README.md" {
			for _, m := range linked.FindAllStringSubmatch(string(text), -1) {
				_, err := os.Stat(m[1])
				assert.NoErrorf(t, err, "%s links %s", document, m[1])
			}
			assert.Greater(t, named, 15, "README's table names files")
		}
	}
}

// Every Go name that the life of a payment tells of must be in the code.
func TestTheLifeOfAPaymentNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("docs/life-of-a-payment.md")
	require.NoError(t, err)
	code, err := exec.Command("git", "grep", "-h", "-E", "^func |^\t[A-Z][A-Za-z]+ +(=|[A-Z])|^type ", "--", "*.go").Output()
	if err != nil {
		t.Skip("the names were not looked up: git is not here, or this is no checkout")
	}
	for _, m := range backticked.FindAllStringSubmatch(string(text), -1) {
		name := m[1][strings.LastIndex(m[1], ".")+1:]
		if !regexp.MustCompile(`^[A-Z][A-Za-z]+$`).MatchString(name) {
			continue
		}
		assert.Containsf(t, string(code), name, "docs/life-of-a-payment.md tells of %s", m[1])
	}
}

// README lists exactly the sub-commands that the program has.
func TestReadmeListsEveryCommand(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	root, err := os.ReadFile("cmd/posagent/root.go")
	require.NoError(t, err)
	commands := regexp.MustCompile(`\t\t([a-z]+)Command,`).FindAllStringSubmatch(string(root), -1)
	require.NotEmpty(t, commands)
	for _, c := range commands {
		assert.Containsf(t, string(readme), "`"+c[1], "README does not list %s", c[1])
	}
}
