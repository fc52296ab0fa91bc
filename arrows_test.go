package posagent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// arrow says what a package may import of ours, and why not more.
type arrow struct {
	may []string
	why string
}

// arrows is the map of the house: a folder that is missing here, or imports what is not listed, is a mistake in one of the two.
var arrows = map[string]arrow{
	"payflow":      {nil, "the heart decides, and depends on nobody; no clock, no I/O"},
	"queue":        {[]string{"payflow"}, "the engine reaches WeChat Pay by its own Gateway interface, so that it can be driven by any"},
	"wxclient":     {[]string{"payflow"}, "the client turns answers into payflow's words and knows nothing of the journal"},
	"wxclient/v2":  {[]string{"payflow", "wxclient"}, "the client of API v2 shares the connection and the table of codes with that of v3"},
	"scanner":      {nil, "a scanner reads; what a code is, is decided in payflow"},
	"receipt":      {[]string{"payflow"}, "a receipt shows an entry, and asks nobody"},
	"till":         {[]string{"payflow", "receipt", "health", "till/page", "till/words"}, "the till is told by its Desk interface and holds no state of its own about money"},
	"till/words":   {nil, "words are data"},
	"till/page":    {nil, "the page is data"},
	"wxsim":        {nil, "the simulator shares no code with the client: a misreading of the documents must not agree with itself"},
	"health":       {nil, "a list of warnings; parts return typed conditions, cmd maps them"},
	"configs":      {nil, "data"},
	"systemd":      {nil, "data"},
	"rig":          {nil, "the machine runs posagent as a store does, and sees it only from outside"},
	"rig/guest":    {[]string{"rig"}, "process 1 of the machine speaks the messages of package rig, and sees posagent only from outside"},
	"cmd/posagent": {[]string{"*"}, "the wiring knows every part"},
}

// heartMayNot lists what payflow must not import: it reads no clock and does no I/O, so that it can be walked exhaustively.
var heartMayNot = map[string]string{
	"os": "I/O", "io": "I/O", "net": "I/O", "net/http": "I/O", "context": "waiting", "sync": "concurrency", "math/rand": "chance",
	"math/rand/v2": "chance", "crypto/rand": "chance", "log": "I/O", "log/slog": "I/O", "bufio": "I/O", "syscall": "I/O", "runtime": "the machine",
}

func TestEachPackageImportsOnlyWhatTheMapAllows(t *testing.T) {
	seen := map[string]bool{}
	eachGoFile(t, func(path string, file *ast.File, _ *token.FileSet) {
		folder := filepath.ToSlash(filepath.Dir(path))
		if folder == "." || strings.HasSuffix(path, "_test.go") {
			return
		}
		rule, known := arrows[folder]
		require.Truef(t, known, "folder %s is not on the map: add it to arrows, with what it may import and why", folder)
		seen[folder] = true
		for _, imported := range imports(file) {
			ours, isOurs := strings.CutPrefix(imported, "posagent/")
			if isOurs && !allowed(rule, ours) {
				t.Errorf("%s imports %s: %s", path, imported, rule.why)
			}
		}
	})
	for _, folder := range []string{"payflow", "queue", "wxclient", "scanner", "receipt", "till", "wxsim", "health", "configs", "systemd", "cmd/posagent"} {
		assert.Truef(t, seen[folder], "folder %s holds no code", folder)
	}
}

func TestTheHeartReadsNoClockAndDoesNoIO(t *testing.T) {
	eachGoFile(t, func(path string, file *ast.File, set *token.FileSet) {
		if filepath.Dir(path) != "payflow" || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, imported := range imports(file) {
			if what, no := heartMayNot[imported]; no {
				t.Errorf("%s imports %s (%s)", path, imported, what)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "time" {
				switch call.Sel.Name {
				case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick":
					t.Errorf("%s: time.%s: time arrives in Event.At", set.Position(call.Pos()), call.Sel.Name)
				}
			}
			return true
		})
	})
}

func TestTheSimulatorAndTheClientMeetOnlyInTests(t *testing.T) {
	eachGoFile(t, func(path string, file *ast.File, _ *token.FileSet) {
		if filepath.Dir(path) != "wxsim" {
			return
		}
		for _, imported := range imports(file) {
			assert.Falsef(t, strings.HasPrefix(imported, "posagent/"), "%s imports %s: the simulator is judged by the documents alone", path, imported)
		}
	})
}

func TestEachPackageSaysWhatItIsFor(t *testing.T) {
	documented := map[string]int{}
	eachGoFile(t, func(path string, file *ast.File, _ *token.FileSet) {
		folder := filepath.ToSlash(filepath.Dir(path))
		if folder == "." || strings.HasSuffix(path, "_test.go") {
			return
		}
		documented[folder] += 0
		if file.Doc != nil && (strings.HasPrefix(file.Doc.Text(), "Package ") || strings.HasPrefix(file.Doc.Text(), "Command ")) {
			documented[folder]++
		}
	})
	folders := make([]string, 0, len(documented))
	for folder := range documented {
		folders = append(folders, folder)
	}
	sort.Strings(folders)
	for _, folder := range folders {
		assert.Equalf(t, 1, documented[folder], "package in %s must have exactly one package comment", folder)
	}
}

func allowed(rule arrow, ours string) bool {
	for _, may := range rule.may {
		if may == "*" || may == ours {
			return true
		}
	}
	return false
}

func imports(file *ast.File) []string {
	var all []string
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			all = append(all, path)
		}
	}
	return all
}

func eachGoFile(t *testing.T, visit func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, path, source, parser.ParseComments)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(path), file, set)
		return nil
	})
	require.NoError(t, err)
}
