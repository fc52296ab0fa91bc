package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/till"
)

// peoplePC is a PC with a configuration and no daemon: the files of tokens and operators lie beside the configuration.
func peoplePC(t *testing.T) (config, folder string) {
	t.Helper()
	folder = t.TempDir()
	config = filepath.Join(folder, "posagent.toml")
	text := leastConfig + "\n[api]\ntokens_file = \"tokens.json\"\n"
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	return config, folder
}

func TestATokenIsMadeListedAndRevoked(t *testing.T) {
	config, folder := peoplePC(t)
	status, out, stderr := posagent(t, "token", "add", "till software", "--scope", "pay,refund", "--config", config)
	require.Equal(t, ExitDone, status, stderr)
	token := regexp.MustCompile(`(?m)^  (posagent_\S+)$`).FindStringSubmatch(out)
	require.NotNil(t, token, out)
	tokens, err := till.OpenTokens(filepath.Join(folder, "tokens.json"))
	require.NoError(t, err)
	known, ok := tokens.Check(token[1])
	require.True(t, ok)
	assert.Equal(t, []till.Scope{till.ScopePay, till.ScopeRefund}, known.Scopes)

	_, out, _ = posagent(t, "token", "list", "--config", config)
	assert.Regexp(t, known.ID+`  till software +pay,refund`, out)
	assert.NotContains(t, out, token[1])

	status, out, _ = posagent(t, "token", "revoke", known.ID, "--config", config)
	assert.Equal(t, ExitDone, status)
	assert.Contains(t, out, "till software is revoked")
	_, ok = tokens.Check(token[1])
	assert.False(t, ok)
	_, out, _ = posagent(t, "token", "list", "--config", config)
	assert.Contains(t, out, "no tokens in")
}

func TestAScriptReadsATokenAsJSON(t *testing.T) {
	config, _ := peoplePC(t)
	_, out, _ := posagent(t, "token", "add", "kiosk", "--scope", "pay", "--json", "--config", config)
	var made tokenShown
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	assert.NotEmpty(t, made.Token)
	_, out, _ = posagent(t, "token", "list", "--json", "--config", config)
	var list []tokenShown
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	made.Token = ""
	assert.Equal(t, []tokenShown{made}, list)
	_, out, _ = posagent(t, "token", "revoke", made.ID, "--json", "--config", config)
	assert.Contains(t, out, made.ID)
	_, out, _ = posagent(t, "token", "list", "--json", "--config", config)
	assert.Equal(t, "[]\n", out)
}

func TestATokenThatCannotBeMadeIsSaidWithWhatToDo(t *testing.T) {
	config, folder := peoplePC(t)
	for _, c := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"add", "kiosk"}, ExitUsage, "needs a scope"},
		{[]string{"add", "kiosk", "--scope", "root"}, ExitUsage, "is no scope; write pay, refund, report or admin"},
		{[]string{"add", "", "--scope", "pay"}, ExitUsage, "name the program"},
		{[]string{"revoke", "1a2b3c4d"}, ExitFailed, "list the tokens"},
		{[]string{"add"}, ExitUsage, "--help"},
	} {
		status, out, stderr := posagent(t, append(append([]string{"token"}, c.args...), "--config", config)...)
		assert.Equal(t, c.exit, status, c.args)
		assert.Empty(t, out, c.args)
		assert.Contains(t, regexp.MustCompile(`\nwhat to do: `).ReplaceAllString(stderr, "; "), c.says, c.args)
	}
	// Somebody gives the token itself where its id belongs: it is not repeated.
	_, out, _ := posagent(t, "token", "add", "kiosk", "--scope", "pay", "--json", "--config", config)
	var made tokenShown
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	_, _, stderr := posagent(t, "token", "revoke", made.Token, "--config", config)
	assert.NotContains(t, stderr, made.Token)

	require.NoError(t, os.Chmod(filepath.Join(folder, "tokens.json"), 0o644))
	status, _, stderr := posagent(t, "token", "list", "--config", config)
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "chmod 600")
}

// Made by root, the file must belong to the service, which reads it.
func TestWhatRootMakesBelongsToTheFoldersOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	config, folder := peoplePC(t)
	require.NoError(t, os.Chown(folder, 4242, 4243))
	_, _, stderr := posagent(t, "token", "add", "kiosk", "--scope", "pay", "--config", config)
	require.Empty(t, stderr)
	assert.Equal(t, "4242:4243", ownerAndGroup(t, filepath.Join(folder, "tokens.json")))
}
func ownerAndGroup(t *testing.T, file string) string {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", stat.Uid, stat.Gid)
}
