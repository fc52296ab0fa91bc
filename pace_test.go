package posagent

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The build tag fasttime divides every time of the rules, for trials on real processes. What follows proves that the default build
// has no trace of it, and that the tagged build forgets none.

// paced are the folders in which times of the rules stand, payflow first, because others divide by its Pace.
var paced = []string{"payflow", "queue", "wxclient", "wxclient/v2", "wxsim"}

// keptTimes are the times that are the same in both builds, by folder and declaration: those that are compared with a clock's time of
// day, or with an age in days, and those of the machine itself.
var keptTimes = map[string]string{
	"wxclient.clockWarn": "a difference of clocks", "wxclient.clockCorrect": "a difference of clocks", "wxclient.clockAgree": "a difference of clocks",
	"wxclient.window": "a difference of clocks", "wxclient.offsetStep": "a difference of clocks",
	"wxclient.nonceKept":     "outlives the window of the clocks",
	"wxclient.keepAliveIdle": "the kernel counts whole seconds", "wxclient.keepAliveEvery": "the kernel counts whole seconds",
	"wxclient.noticeKept": "an age in days", "wxclient/v2.noticeKept": "an age in days", "wxclient.expiringWithin": "an age in days",
	"queue.lockWait": "another process of this machine", "queue.aheadMax": "a difference of clocks", "queue.setBackMax": "a difference of clocks", "queue.owing": "an age in days",
	"wxclient.signedTo": "what a signed time is cut off to",

	"wxsim.certificateAge": "an age in days", "wxsim.certificateLife": "an age in days", "wxsim.oldLives": "an age in days",
	"wxsim.refundLast": "an age in days", "wxsim.statementDays": "an age in days", "wxsim.statementRows": "a time of day", "wxsim.settledBy": "a time of day",
	"wxsim.skewMax": "a difference of clocks", "wxsim.staleness": "a difference of clocks", "wxsim.nonceKept": "outlives the window of the clocks",
	"wxsim.handshakeMax": "the machine's", "wxsim.idleMax": "the machine's", "wxsim.deadMax": "the machine's", "wxsim.readMax": "the machine's",
	"wxsim.noticeWait": "the machine's", "wxsim.NotifySchedule": "Behaviour.NotifyFaster divides it", "wxsim.never": "no time, a mark",
}

// buildOf returns a folder's files, with the tag or without.
func buildOf(t *testing.T, folder string, tags ...string) []string {
	t.Helper()
	context := build.Default
	context.BuildTags = tags
	p, err := context.ImportDir(folder, 0)
	require.NoError(t, err)
	return p.GoFiles
}

func TestTheDefaultBuildHasNoTraceOfFasttime(t *testing.T) {
	const tagged, plain = "pace_fasttime.go", "pace.go"
	folders := 0
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if name := entry.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		p, err := build.Default.ImportDir(path, 0)
		if err != nil {
			return nil // no Go files
		}
		for _, name := range append(p.GoFiles, p.IgnoredGoFiles...) {
			source, err := os.ReadFile(filepath.Join(path, name))
			require.NoError(t, err)
			if name == tagged {
				folders++
				assert.NotContains(t, p.GoFiles, name, "%s is built without the tag", path)
				continue
			}
			for _, found := range regexp.MustCompile(`(?m)^.*\b[Pp]ace\b\s*(?:[-+*/%&|^]|<<|>>)?=.*$`).FindAllString(string(source), -1) {
				assert.Regexp(t, `^const [Pp]ace = 1$`, found, "%s/%s", path, name)
				assert.Equal(t, plain, name)
			}
			for _, line := range regexp.MustCompile(`(?m)^//go:build .*fasttime.*$`).FindAllString(string(source), -1) {
				assert.Equal(t, "//go:build !fasttime", line, "%s/%s", path, name)
				assert.Equal(t, plain, name)
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, 2, folders, "the tag has a file in payflow and one in wxsim, and no other")
	for _, folder := range paced {
		before, after := buildOf(t, folder), buildOf(t, folder, "fasttime")
		before = slices.DeleteFunc(before, func(name string) bool { return name == plain })
		after = slices.DeleteFunc(after, func(name string) bool { return name == tagged })
		assert.Equal(t, before, after, "%s: beside the divisor both builds have the same files", folder)
	}
}

// Every constant time in the packages that hold the rules is divided by 50 under the tag, or it is on the list of those that are kept,
// with the reason. So a rule that comes later and is not divided is found here.
func TestTheTagDividesEveryTimeOfTheRules(t *testing.T) {
	real, fast := newTimesReader(t), newTimesReader(t, "fasttime")
	divided, kept := 0, map[string]bool{}
	for _, folder := range paced {
		before, after := real.read(folder), fast.read(folder)
		require.Equal(t, len(before), len(after), folder)
		for _, at := range slices.Sorted(maps.Keys(before)) {
			was, is := before[at], after[at]
			_, list := keptTimes[was.where]
			switch {
			case was.value == is.value*50:
				divided++
				assert.False(t, list, "%s at %s is divided and on the list of those that are kept", was.where, at)
			case was.value == is.value && list:
				kept[was.where] = true
			default:
				t.Errorf("%s at %s is %s, and %s under the tag: divide it by Pace, or write down why it is kept", was.where, at, was.value, is.value)
			}
		}
	}
	for name := range keptTimes {
		assert.True(t, kept[name], "%s is on the list of kept times, and is no such time", name)
	}
	t.Logf("%d times are divided, %d declarations keep theirs", divided, len(kept))
	assert.Greater(t, divided, 60)
}

// A setting is a time of the rules as it stands in the file, checked as such, and divided where the agent hands it on: once.
func TestEachSettingOfTheFlowIsDividedOnce(t *testing.T) {
	source, err := os.ReadFile("cmd/posagent/agent.go")
	require.NoError(t, err)
	handed := regexp.MustCompile(`a\.cfg\.(?:Flow\.\w+|Till\.ScanWithin)( / payflow\.Pace)?`).FindAllStringSubmatch(string(source), -1)
	assert.Len(t, handed, 5)
	for _, setting := range handed {
		assert.NotEmpty(t, setting[1], setting[0])
	}
}

// constTime is one constant time in the source, and the declaration that it stands in.
type constTime struct {
	value time.Duration
	where string
}

// timesReader works out the constant times of one build. Of other packages it knows time and payflow alone: no more is needed.
type timesReader struct {
	t     *testing.T
	tags  []string
	known map[string]*types.Package
}

func newTimesReader(t *testing.T, tags ...string) *timesReader {
	t.Helper()
	clock, err := importer.ForCompiler(token.NewFileSet(), "source", nil).Import("time")
	require.NoError(t, err)
	return &timesReader{t: t, tags: tags, known: map[string]*types.Package{"time": clock}}
}

// Import is types.Importer's.
func (r *timesReader) Import(path string) (*types.Package, error) {
	if p := r.known[path]; p != nil {
		return p, nil
	}
	empty := types.NewPackage(path, filepath.Base(path))
	empty.MarkComplete()
	return empty, nil
}

func (r *timesReader) read(folder string) map[string]constTime {
	r.t.Helper()
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range buildOf(r.t, folder, r.tags...) {
		file, err := parser.ParseFile(files, filepath.Join(folder, name), nil, 0)
		require.NoError(r.t, err)
		parsed = append(parsed, file)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	check := types.Config{Importer: r, Error: func(error) {}} // what the empty packages lack is no matter here
	p, _ := check.Check("posagent/"+folder, files, parsed, info)
	r.known[p.Path()] = p
	found := map[string]constTime{}
	for _, file := range parsed {
		for _, decl := range file.Decls {
			r.collect(files, info, folder, decl, found)
		}
	}
	return found
}

// collect notes every whole constant expression in which a unit of time stands. What names a constant is that constant, and what
// is a unit alone converts or rounds, unless it is all of a declaration.
func (r *timesReader) collect(files *token.FileSet, info *types.Info, folder string, decl ast.Decl, found map[string]constTime) {
	var where string
	declared := map[ast.Expr]bool{}
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if !isFunc(decl) {
				where = folder + "." + n.Names[0].Name
			}
			for _, value := range n.Values {
				declared[value] = true
			}
		case *ast.FuncDecl:
			where = folder + "." + n.Name.Name
		case ast.Expr:
			value, is := info.Types[n]
			if !is || value.Value == nil || value.Type == nil || value.Type.String() != "time.Duration" {
				return true
			}
			nanoseconds, exact := constant.Int64Val(constant.ToInt(value.Value))
			if exact && holdsUnit(n) && (!isUnit(n) || declared[n]) {
				found[fmt.Sprint(files.Position(n.Pos()))] = constTime{time.Duration(nanoseconds), where}
			}
			return false
		}
		return true
	})
}

func isFunc(decl ast.Decl) bool { _, is := decl.(*ast.FuncDecl); return is }

// isUnit reports time.Second and its like.
func isUnit(n ast.Node) bool {
	s, is := n.(*ast.SelectorExpr)
	if !is {
		return false
	}
	from, named := s.X.(*ast.Ident)
	return named && from.Name == "time"
}

func holdsUnit(n ast.Node) (holds bool) {
	ast.Inspect(n, func(inner ast.Node) bool {
		holds = holds || inner != nil && isUnit(inner)
		return !holds
	})
	return holds
}
