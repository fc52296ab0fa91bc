package posagent

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// docs/wechat-pay.md has a table of every operation of WeChat Pay's documents: our function, the simulator's handler and the test.
// It must be true: what it names is there, and the named test, run alone, executes the function and the handler.

// operation is one line of the table.
type operation struct {
	what, path, function, handler, test string
}

const nothing = "none" // stands where there is no handler, because nothing is called

func readOperations(t *testing.T) (all []operation) {
	t.Helper()
	text, err := os.ReadFile("docs/wechat-pay.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Operations\n")
	require.True(t, found, "docs/wechat-pay.md has no section Operations")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") || strings.Contains(line, "| our function |") {
			continue
		}
		require.Lenf(t, cells, 6, "%s", line)
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		all = append(all, operation{cells[0], cells[2], cells[3], cells[4], cells[5]})
	}
	require.NotEmpty(t, all)
	return all
}

// span is where a function's body stands.
type span struct {
	file       string
	from, till int // lines
}

// functions are all of the house by the names of their packages and their own: "wxclient.Client.Pay", "wxsim.Sim.pay", "v2.TestX".
func functions(t *testing.T) map[string]span {
	t.Helper()
	all := map[string]span{}
	eachGoFile(t, func(path string, file *ast.File, set *token.FileSet) {
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			home := filepath.ToSlash(filepath.Dir(path))
			if home == "." {
				continue
			}
			all[home[strings.LastIndexByte(home, '/')+1:]+"."+receiver(f)+f.Name.Name] = span{path, set.Position(f.Body.Lbrace).Line, set.Position(f.Body.Rbrace).Line}
		}
	})
	return all
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name + "."
	}
	return "."
}

// missing returns what an operation names and is not there.
func (o operation) missing(there map[string]span) (all []string) {
	named := []string{o.function, o.test}
	if o.handler != nothing {
		named = append(named, o.handler)
	}
	return slices.DeleteFunc(named, func(name string) bool {
		_, ok := there[name]
		return ok
	})
}

// folder is that of the package in a name, such as "v2.Client.Pay".
func folder(name string) string {
	switch name, _, _ := strings.Cut(name, "."); name {
	case "posagent":
		return "cmd/posagent"
	case "v2":
		return "wxclient/v2"
	default:
		return name
	}
}

// coverage is which lines of each file a test has executed.
type coverage map[string][]span

func (c coverage) reaches(f span) bool {
	return slices.ContainsFunc(c[f.file], func(block span) bool { return block.from >= f.from && block.till <= f.till })
}

// runAlone runs one test by itself and returns what it executed. Test programs are built once for each package.
type lonelyTests struct {
	programs map[string]string
	covered  []string // the packages that are watched
	seen     map[string]coverage
}

func (l *lonelyTests) runAlone(t *testing.T, test string) coverage {
	t.Helper()
	if seen, ok := l.seen[test]; ok {
		return seen
	}
	home := folder(test)
	if l.programs[home] == "" {
		l.programs[home] = filepath.Join(t.TempDir(), "alone.test")
		out, err := exec.Command("go", "test", "-c", "-coverpkg", strings.Join(l.covered, ","), "-o", l.programs[home], "./"+home).CombinedOutput()
		require.NoErrorf(t, err, "%s", out)
	}
	profile := filepath.Join(t.TempDir(), "profile")
	run := exec.Command(l.programs[home], "-test.run", "^"+test[strings.LastIndexByte(test, '.')+1:]+"$", "-test.coverprofile", profile, "-test.timeout", "120s")
	run.Dir = home
	out, err := run.CombinedOutput()
	require.NoErrorf(t, err, "%s: %s", test, out)
	l.seen[test] = readProfile(t, profile)
	return l.seen[test]
}

// readProfile reads the blocks that were executed: "posagent/wxsim/pay.go:42.38,45.2 2 1".
func readProfile(t *testing.T, path string) coverage {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	c := coverage{}
	for line := range strings.Lines(string(text)) {
		name, rest, found := strings.Cut(strings.TrimPrefix(line, "posagent/"), ":")
		fields := strings.Fields(rest)
		if !found || len(fields) != 3 || fields[2] == "0" {
			continue
		}
		from, till, _ := strings.Cut(fields[0], ",")
		c[name] = append(c[name], span{name, lineOf(from), lineOf(till)})
	}
	return c
}

func lineOf(place string) int {
	line, _, _ := strings.Cut(place, ".")
	n, _ := strconv.Atoi(line)
	return n
}

func TestEachOperationNamesWhatIsThere(t *testing.T) {
	there := functions(t)
	for _, o := range readOperations(t) {
		assert.Emptyf(t, o.missing(there), "docs/wechat-pay.md, %s, names what is not there", o.what)
	}
}

func TestEachOperationHasATestThatReachesFunctionAndHandler(t *testing.T) {
	takesMinutes(t)
	there, operations := functions(t), readOperations(t)
	packages := map[string]bool{}
	for _, o := range operations {
		for _, name := range []string{o.function, o.handler} {
			if name != nothing {
				packages["posagent/"+folder(name)] = true
			}
		}
	}
	tests := lonelyTests{programs: map[string]string{}, covered: slices.Sorted(maps.Keys(packages)), seen: map[string]coverage{}}
	for _, o := range operations {
		require.Emptyf(t, o.missing(there), "docs/wechat-pay.md, %s, names what is not there", o.what)
		executed := tests.runAlone(t, o.test)
		assert.Truef(t, executed.reaches(there[o.function]), "%s: %s does not reach %s", o.what, o.test, o.function)
		if o.handler != nothing {
			assert.Truef(t, executed.reaches(there[o.handler]), "%s: %s does not reach %s", o.what, o.test, o.handler)
		}
	}
}

// A table that names what is not there, or a test that does not go where it says, must be noticed.
func TestAnOperationThatIsNotThereOrNotReachedIsNoticed(t *testing.T) {
	there := functions(t)
	good := operation{"pay", "POST /x", "wxclient.Client.Pay", "wxsim.Sim.pay", "wxclient.TestPlainText"}
	assert.Empty(t, good.missing(there))
	for _, planted := range []operation{
		{function: "wxclient.Client.Pray", handler: good.handler, test: good.test},
		{function: good.function, handler: "wxsim.Sim.pray", test: good.test},
		{function: good.function, handler: good.handler, test: "wxclient.TestNothing"},
		{function: nothing, handler: nothing, test: good.test},
	} {
		assert.Len(t, planted.missing(there), 1)
	}
}

func TestATestThatDoesNotGoWhereTheTableSaysIsNoticed(t *testing.T) {
	takesMinutes(t)
	there := functions(t)
	tests := lonelyTests{programs: map[string]string{}, covered: []string{"posagent/wxclient"}, seen: map[string]coverage{}}
	executed := tests.runAlone(t, "wxclient.TestPlainText")
	assert.True(t, executed.reaches(there["wxclient.plain"]))
	assert.False(t, executed.reaches(there["wxclient.Client.Pay"]), "this test makes no call")
}
