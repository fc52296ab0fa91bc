package posagent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryWarningIsGivenSomewhere: a warning that nothing gives is a promise that somebody is told, and nobody is.
func TestEveryWarningIsGivenSomewhere(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("health", "codes.go"), nil, 0)
	require.NoError(t, err)
	var codes []string
	byDays := map[string]bool{} // health chooses these by a certificate's days
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "Code" {
				codes = append(codes, n.Names[0].Name)
			}
		case *ast.FuncDecl, *ast.CompositeLit:
			ast.Inspect(n, func(n ast.Node) bool {
				if name, ok := n.(*ast.Ident); ok && strings.HasPrefix(name.Name, "Certificate") {
					byDays[name.Name] = true
				}
				return true
			})
		}
		return true
	})
	require.Greater(t, len(codes), 40)
	program := goText(t, "cmd", func(path string) bool { return !strings.HasSuffix(path, "_test.go") })
	for _, code := range codes {
		assert.True(t, byDays[code] || strings.Contains(program, "health."+code), "nothing gives the warning %s", code)
	}
}

// goText is all Go files below a folder that keep lets pass, one behind the other.
func goText(t *testing.T, folder string, keep func(path string) bool) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || !keep(path) {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}))
	return all.String()
}
