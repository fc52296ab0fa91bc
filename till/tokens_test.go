package till

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATokenIsShownOnceAndKeptAsAHash(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.json")
	tokens, err := OpenTokens(file)
	require.NoError(t, err)
	text, made, err := tokens.Create("till software", []Scope{ScopePay})
	require.NoError(t, err)

	held, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(held), strings.TrimPrefix(text, tokenStart))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	assert.Len(t, left, 1, "no temporary file stays")

	again, err := OpenTokens(file)
	require.NoError(t, err)
	known, ok := again.Check(text)
	require.True(t, ok)
	assert.Equal(t, made, known)
	_, ok = again.Check(text + "x")
	assert.False(t, ok)
}

func TestATokenOfAnotherProcessIsSeenAndARevokedOneIsNot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.json")
	daemon, err := OpenTokens(file)
	require.NoError(t, err)
	command, err := OpenTokens(file)
	require.NoError(t, err)
	text, made, err := command.Create("kiosk", []Scope{ScopePay, ScopeReport})
	require.NoError(t, err)
	_, ok := daemon.Check(text)
	require.True(t, ok)
	gone, err := command.Revoke(made.ID)
	require.NoError(t, err)
	assert.Equal(t, made, gone)
	_, ok = daemon.Check(text)
	assert.False(t, ok)
	_, err = command.Revoke(made.ID)
	assert.ErrorContains(t, err, "list the tokens")
	require.NoError(t, os.Remove(file))
	list, err := daemon.List()
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestATokensFileThatOthersMayOpenOpensNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.json")
	tokens, err := OpenTokens(file)
	require.NoError(t, err)
	text, _, err := tokens.Create("kiosk", []Scope{ScopePay})
	require.NoError(t, err)
	require.NoError(t, os.Chmod(file, 0o640))
	_, ok := tokens.Check(text)
	assert.False(t, ok)
	_, err = OpenTokens(file)
	assert.ErrorContains(t, err, "chmod 600")
}

func TestABadTokensFileIsNamedAndNotReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.json")
	for text, says := range map[string]string{"{": "restore it", `{"version":9}`: "version 9"} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := OpenTokens(file)
		assert.ErrorContains(t, err, says)
	}
}

func TestATokenNeedsANameAndAScope(t *testing.T) {
	tokens, err := OpenTokens(filepath.Join(t.TempDir(), "tokens.json"))
	require.NoError(t, err)
	_, _, err = tokens.Create("", []Scope{ScopePay})
	assert.ErrorContains(t, err, "name")
	_, _, err = tokens.Create("kiosk", nil)
	assert.ErrorContains(t, err, "scope")
	for _, name := range []string{" ", "two\nlines", tokenStart + strings.Repeat("a", 43), aCode} {
		_, _, err = tokens.Create(name, []Scope{ScopePay})
		assert.ErrorContains(t, err, "name the program", name)
	}
	_, _, err = tokens.Create("kiosk", []Scope{"root"})
	assert.ErrorContains(t, err, "no scope")
	var none *Tokens
	_, ok := none.Check("posagent_x")
	assert.False(t, ok)
}

func TestAScopeThatIsNamedTwiceIsKeptOnce(t *testing.T) {
	tokens, err := OpenTokens(filepath.Join(t.TempDir(), "tokens.json"))
	require.NoError(t, err)
	_, made, err := tokens.Create("kiosk", []Scope{ScopeRefund, ScopePay, ScopeRefund})
	require.NoError(t, err)
	assert.Equal(t, []Scope{ScopePay, ScopeRefund}, made.Scopes)
}

func TestOfManyWritersAtOnceNoneLosesAToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.json")
	const writers = 20
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			tokens, err := OpenTokens(file) // as a process of its own has it
			if assert.NoError(t, err) {
				_, _, err = tokens.Create("kiosk", []Scope{ScopePay})
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
	tokens, err := OpenTokens(file)
	require.NoError(t, err)
	list, err := tokens.List()
	require.NoError(t, err)
	assert.Len(t, list, writers)
}

func TestWhoHoldsTheFileForLongIsNamedAsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "tokens.json")
		tokens, err := OpenTokens(file)
		require.NoError(t, err)
		free, err := tokens.file.hold()
		require.NoError(t, err)
		_, _, err = tokens.Create("kiosk", []Scope{ScopePay})
		assert.ErrorContains(t, err, "another posagent is writing")
		free()
		_, _, err = tokens.Create("kiosk", []Scope{ScopePay})
		assert.NoError(t, err)
	})
}
