package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/till"
)

// typing runs the program with a text on its standard input.
func typing(t *testing.T, text string, args ...string) (out, stderr string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	root := newRoot(&program{stdout: &o, stderr: &e})
	root.SetIn(strings.NewReader(text))
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func TestAnOperatorIsAddedListedChangedAndRemoved(t *testing.T) {
	config, folder := peoplePC(t)
	out, stderr, err := typing(t, "735192\n", "operator", "add", "m001", "--name", "Lee Ka Yan", "--role", "manager", "--config", config)
	require.NoError(t, err)
	assert.Equal(t, "M001 (Lee Ka Yan) is added\n", out)
	assert.NotContains(t, out+stderr, "735192")
	_, _, err = typing(t, "2580\r\n", "operator", "add", "P001", "--name", "陳小明", "--config", config)
	require.NoError(t, err)

	operators, err := till.OpenOperators(filepath.Join(folder, "operators.json"))
	require.NoError(t, err, "it lies beside the tokens file")
	_, _, err = operators.SignIn(till.PINSeat{}, "P001", "2580", time.Now())
	require.NoError(t, err)
	_, _, err = typing(t, "9021\n", "operator", "pin", "P001", "--config", config)
	require.NoError(t, err)
	in, _, err := operators.SignIn(till.PINSeat{}, "P001", "9021", time.Now())
	require.NoError(t, err)
	for range 3 {
		_, _, _ = operators.SignIn(till.PINSeat{Known: in.Seat}, "P001", "1111", time.Now())
	}
	_, out, _ = posagent(t, "operator", "list", "--config", config)
	assert.Regexp(t, `(?m)^M001 +manager +Lee Ka Yan$`, out)
	assert.Regexp(t, `(?m)^P001 +cashier +陳小明  waits (29|30) s after wrong PINs$`, out)
	_, out, _ = posagent(t, "operator", "list", "--json", "--config", config)
	var list []operatorShown
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	assert.Len(t, list, 2)
	for _, never := range []string{"sum", "salt", "argon", "mark"} {
		assert.NotContains(t, out, never)
	}

	status, out, _ := posagent(t, "operator", "role", "P001", "installer", "--config", config)
	assert.Equal(t, ExitDone, status)
	assert.Contains(t, out, "is installer now")
	status, _, stderr = posagent(t, "operator", "remove", "M001", "--config", config)
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "add another manager first")
	status, _, _ = posagent(t, "operator", "remove", "P001", "--config", config)
	assert.Equal(t, ExitDone, status)
	status, _, _ = posagent(t, "operator", "remove", "M001", "--config", config)
	assert.Equal(t, ExitDone, status)
	_, out, _ = posagent(t, "operator", "list", "--config", config)
	assert.Contains(t, out, "not even for a refund")
}

func TestAPINThatIsRefusedIsNeverRepeated(t *testing.T) {
	config, _ := peoplePC(t)
	for _, text := range []string{"12ab\n", "1234\n", "864209753\n", "", "\n", strings.Repeat("8642", 100)} {
		out, stderr, err := typing(t, text, "operator", "add", "M001", "--name", "Lee", "--role", "manager", "--config", config)
		require.Error(t, err, text)
		if pin := strings.TrimSpace(text); pin != "" && pin != "1234" { // which the message gives as an example of a run
			assert.NotContains(t, out+stderr+err.Error(), pin)
		}
	}
}

func TestAPINIsNoArgument(t *testing.T) {
	config, _ := peoplePC(t)
	status, _, _ := posagent(t, "operator", "add", "M001", "735192", "--name", "Lee", "--config", config)
	assert.Equal(t, ExitUsage, status)
}
