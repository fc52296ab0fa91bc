package posagent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var writeMutations = flag.Bool("write-mutations", false, "write what the mutation run found into docs/reliability.md")

const (
	mutationsBegin = "<!-- written by: POSAGENT_MUTATIONS=all go test . -run EveryRuleIsHeld -timeout 3h -write-mutations -->\n"
	mutationsEnd   = "<!-- end of what the mutation run wrote -->\n"
	mutationTime   = 10 * time.Minute // of one run of the tests
	redShown       = 3
	// mutationSkip leaves out tests that plant faults of their own, or are of refunds, late truths and damage: they take most of the time, and
	// would only say the same again.
	mutationSkip = "Fault|LateTruth|OfARefund|OtherSettings|Planted|Soak|ClonedPC|Damage|Flipped|OlderCopy|Backup|Restore"
)

// TestEveryRuleIsHeldByATest switches each rule off in turn, and demands that some test turns red. POSAGENT_MUTATIONS=all runs them
// all; a rule's number, or what is switched off, runs that one.
func TestEveryRuleIsHeldByATest(t *testing.T) {
	asked := os.Getenv("POSAGENT_MUTATIONS")
	if asked == "" {
		t.Skip("the mutation run was not made: it takes an hour or two; POSAGENT_MUTATIONS=all asks for it")
	}
	var rows []string
	for i, m := range mutations {
		if asked != "all" && m.rule != asked && m.off != asked {
			continue
		}
		red, err := m.turnsRed(t.Context(), t.TempDir())
		require.NoError(t, err, "%s: %s", m.rule, m.off)
		assert.NotEmpty(t, red, "no test holds rule %s: %s", m.rule, m.off)
		rows = append(rows, m.row(red))
		t.Logf("%d of %d: %s", i+1, len(mutations), rows[len(rows)-1])
	}
	require.NotEmpty(t, rows, "POSAGENT_MUTATIONS is \"all\", a rule of the list, or what is switched off")
	if *writeMutations {
		rewriteMutations(t, rows)
	}
}

// turnsRed runs the tests with the rule switched off, and returns those that failed.
func (m mutation) turnsRed(ctx context.Context, dir string) ([]string, error) {
	overlay, err := m.overlay(dir)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, mutationTime+time.Minute)
	defer stop()
	args := []string{"test", "-json", "-count=1", "-vet=off", "-skip", mutationSkip, "-timeout=" + mutationTime.String(), "-overlay", overlay}
	for _, p := range strings.Fields(m.run) {
		args = append(args, "./"+p)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "POSAGENT_MUTATIONS=")
	output, _ := cmd.Output() // its end is told by the events
	return redOf(output)
}

// overlay writes the file with the rule taken out, and the list that has go test read it in the place of the true one.
func (m mutation) overlay(dir string) (string, error) {
	text, err := m.mutated()
	if err != nil {
		return "", err
	}
	instead := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(instead, text, 0o600); err != nil {
		return "", err
	}
	there, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{there: instead}})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, list, 0o600)
}

func (m mutation) mutated() ([]byte, error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(text, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("%s: what is to be switched off stands there %d times: %s", m.file, n, m.old)
	}
	return bytes.Replace(text, []byte(m.old), []byte(m.new), 1), nil
}

// redOf reads the tests that failed out of go test's events. A rule whose absence does not build proves nothing.
func redOf(output []byte) ([]string, error) {
	var red []string
	running := map[string]bool{} // when its package ends: a panic leaves the tests that ran without a word of their end
	for lines := bufio.NewScanner(bytes.NewReader(output)); lines.Scan(); {
		var e struct{ Action, Package, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		if e.Action == "build-fail" || strings.Contains(e.Output, "[build failed]") {
			return nil, fmt.Errorf("it does not build: %s", output)
		}
		top, _, _ := strings.Cut(e.Test, "/")
		name := strings.TrimPrefix(e.Package, "posagent/") + "." + top
		switch {
		case e.Action == "run":
			running[name] = true
		case e.Action == "fail" && top == "":
			red = slices.AppendSeq(red, maps.Keys(running))
			clear(running)
		case e.Action == "fail":
			red = append(red, name)
			delete(running, name)
		case e.Action == "pass", e.Action == "skip":
			if !strings.Contains(e.Test, "/") {
				delete(running, name)
			}
		}
	}
	slices.Sort(red)
	return slices.Compact(red), nil
}

func (m mutation) row(red []string) string {
	shown := strings.Join(red[:min(len(red), redShown)], ", ")
	if more := len(red) - redShown; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("| %s | %s | %s |\n", m.rule, m.off, shown)
}

func mutationsWritten(t *testing.T) (before, rows, after string) {
	t.Helper()
	text, err := os.ReadFile("docs/reliability.md")
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), mutationsBegin)
	require.True(t, ok, "docs/reliability.md has no place for the mutation run")
	rows, after, ok = strings.Cut(rest, mutationsEnd)
	require.True(t, ok, "the mutation run's table has no end")
	return before, rows, after
}

// rewriteMutations writes the rows of this run over those of an earlier one, in the order of the list.
func rewriteMutations(t *testing.T, rows []string) {
	t.Helper()
	before, written, after := mutationsWritten(t)
	var table strings.Builder
	table.WriteString("| rule | switched off | what turned red |\n| --- | --- | --- |\n")
	for _, m := range mutations {
		for row := range strings.Lines(strings.Join(rows, "") + written) {
			if strings.HasPrefix(row, m.row(nil)[:len(m.row(nil))-len(" |\n")]) {
				table.WriteString(row)
				break
			}
		}
	}
	require.NoError(t, os.WriteFile("docs/reliability.md", []byte(before+mutationsBegin+table.String()+mutationsEnd+after), 0o600))
}

// TestTheMutationsFitTheCodeAndTheDocument holds the list to the code, and the written table to both.
func TestTheMutationsFitTheCodeAndTheDocument(t *testing.T) {
	_, written, _ := mutationsWritten(t)
	rules := map[string]bool{}
	for _, m := range mutations {
		rules[m.rule] = true
		text, err := m.mutated()
		require.NoError(t, err)
		require.NotEmpty(t, text)
		_, row, ok := strings.Cut(written, fmt.Sprintf("| %s | %s | ", m.rule, m.off))
		if !assert.Truef(t, ok, "the mutation run has not written rule %s: %s", m.rule, m.off) {
			continue
		}
		row, _, _ = strings.Cut(row, " |\n")
		names := regexp.MustCompile(`([a-z0-9/]+)\.((?:Test|Fuzz|Example)\w+)`).FindAllStringSubmatch(row, -1)
		assert.NotEmptyf(t, names, "nothing turned red: %s", m.off)
		for _, name := range names {
			assert.Truef(t, testIsThere(t, name[1], name[2]), "what turned red is gone: %s", name[0])
		}
	}
	for n := 1; n <= 14; n++ {
		assert.Truef(t, rules[fmt.Sprint(n)], "rule %d is never switched off", n)
	}
	assert.Equal(t, len(mutations), strings.Count(written, "\n")-2, "the table holds a rule that is not in the list")
}

// testIsThere reports that a folder has a test of that name.
func testIsThere(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Contains(text, []byte("\nfunc "+name+"("))
	})
}

func TestARuleThatNoTestHoldsIsNoticed(t *testing.T) {
	red, err := redOf([]byte(`{"Action":"pass","Package":"posagent/payflow","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"posagent/payflow"}`))
	require.NoError(t, err)
	assert.Empty(t, red)
	red, err = redOf([]byte(`{"Action":"fail","Package":"posagent/payflow","Test":"TestA/b"}` + "\n" + `{"Action":"fail","Package":"posagent/payflow","Test":"TestA"}`))
	require.NoError(t, err)
	assert.Equal(t, []string{"payflow.TestA"}, red)
	red, err = redOf([]byte(`{"Action":"run","Package":"posagent/payflow","Test":"TestA"}` + "\n" + `{"Action":"fail","Package":"posagent/payflow"}`))
	require.NoError(t, err)
	assert.Equal(t, []string{"payflow.TestA"}, red, "it panicked")
	_, err = redOf([]byte(`{"Action":"output","Package":"posagent/payflow","Output":"FAIL\tposagent/payflow [build failed]\n"}`))
	require.Error(t, err)
	_, err = mutation{file: "go.mod", old: "no such text"}.mutated()
	require.ErrorContains(t, err, "0 times")
}
