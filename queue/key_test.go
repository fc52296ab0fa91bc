package queue

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestACodesHashIsTheSameForOneKeyAndAnotherForEachOther(t *testing.T) {
	one, other := newBook(t), newBook(t)
	code, err := payflow.ParseAuthCode("134567890123456789", "", nil)
	require.NoError(t, err)
	hash := one.HashCode(code)
	one.reopen()
	assert.Equal(t, hash, one.HashCode(code))
	assert.Len(t, hash, 24)
	assert.NotEqual(t, hash, other.HashCode(code))
}

func TestEachTagIsItsOwn(t *testing.T) {
	b := newBook(t)
	seen := map[payflow.AttachTag]bool{}
	for range 1000 {
		tag := b.NewTag()
		assert.Len(t, string(tag), payflow.AttachTagLength)
		assert.False(t, seen[tag])
		seen[tag] = true
	}
}

func TestTheKeyIsItsOwnersAlone(t *testing.T) {
	b := newBook(t)
	for _, path := range []string{b.cfg.KeyFile, b.cfg.memoFile(), b.cfg.File} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
	}
}

func TestTheSecretOfTheKeyFileIsNotInTheJournal(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	text, err := os.ReadFile(b.cfg.KeyFile)
	require.NoError(t, err)
	content, err := os.ReadFile(b.cfg.File)
	require.NoError(t, err)
	assert.NotContains(t, string(content), string(text[len(keyFileMark)+1:len(keyFileMark)+33]))
}
