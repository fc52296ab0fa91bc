package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// posagent runs the program in this process and returns its exit status and what it printed.
func posagent(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, &out, &err)
	return status, out.String(), err.String()
}

func TestWithoutACommandTheHelpIsShown(t *testing.T) {
	status, out, _ := posagent(t)
	assert.Equal(t, ExitDone, status)
	assert.Contains(t, out, "posagent demo")
}

func TestWrongUsageEndsWithTwoAndSaysWhereToLook(t *testing.T) {
	for _, args := range [][]string{{"nosuch"}, {"--nosuch"}, {"version", "--nosuch"}, {"version", "extra"}} {
		status, out, err := posagent(t, args...)
		assert.Equal(t, ExitUsage, status, args)
		assert.Empty(t, out, args)
		assert.Contains(t, err, "what to do: see: posagent", args)
	}
}

func TestVersion(t *testing.T) {
	status, out, _ := posagent(t, "version")
	assert.Equal(t, ExitDone, status)
	assert.Regexp(t, `^posagent \S+ \(commit .*go1\..*\)\n$`, out)

	_, out, _ = posagent(t, "version", "--json")
	var v Version
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	assert.NotEmpty(t, v.Go)
}

func TestEveryCommandSaysWhatItDoes(t *testing.T) {
	root := newRoot(&program{})
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		assert.NotEmpty(t, c.Short, c.CommandPath())
		assert.NotContains(t, c.Short, "\n", c.CommandPath())
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

func TestExitStatusOfErrors(t *testing.T) {
	assert.Equal(t, ExitDone, exitStatus(nil))
	assert.Equal(t, ExitFailed, exitStatus(errors.New("x")))
	assert.Equal(t, ExitFailed, exitStatus(&Failure{What: "x"}))
	assert.Equal(t, ExitUncertain, exitStatus(fmt.Errorf("pay: %w", &Failure{Code: ExitUncertain})))
	assert.Equal(t, ExitUsage, exitStatus(fmt.Errorf("start: %w", &ConfigError{})))
}

func TestErrorsAreToldToAPersonAndToAScript(t *testing.T) {
	failure := &Failure{What: "the journal is held by another process", Next: "stop it", Code: ExitFailed}
	var person, script bytes.Buffer
	tellError(&person, failure, false)
	assert.Equal(t, "posagent: the journal is held by another process\nwhat to do: stop it\n", person.String())
	tellError(&script, failure, true)
	assert.JSONEq(t, `{"error":"the journal is held by another process","next_step":"stop it","exit":1}`, script.String())

	script.Reset()
	_, err := parseConfig(configFile, []byte(without("currency")))
	tellError(&script, err, true)
	var got told
	require.NoError(t, json.Unmarshal(script.Bytes(), &got))
	assert.Equal(t, ExitUsage, got.Exit)
	require.Len(t, got.Mistakes, 1)
	assert.Equal(t, Position{Line: 3, Column: 2}, got.Mistakes[0].Position)
}
