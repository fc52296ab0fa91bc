package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/queue"
)

// The unit does not restart on ExitUsage: what may pass by itself must never end so.
func TestAStartIsTriedAgainWhereTheJournalMayOpenByItself(t *testing.T) {
	for kind, status := range map[queue.OpenKind]int{
		queue.OpenLocked: ExitFailed, queue.OpenUnwritable: ExitFailed, queue.OpenUnreadable: ExitFailed,
		queue.OpenDamaged: ExitUsage, queue.OpenKeyMissing: ExitUsage, queue.OpenKeyWrong: ExitUsage, queue.OpenNewerFormat: ExitUsage, queue.OpenMissing: ExitUsage,
	} {
		assert.Equal(t, status, exitStatus(journalFailure(&queue.OpenError{Kind: kind, Text: "it is so"})), kind)
	}
}

func TestASocketIsTakenOverOnlyFromTheDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	require.NoError(t, removeDeadSocket(path), "none is there")

	other, err := net.Listen("unix", path)
	require.NoError(t, err)
	other.(*net.UnixListener).SetUnlinkOnClose(false) // as a kill leaves it
	assert.ErrorContains(t, removeDeadSocket(path), "another program listens")
	assert.FileExists(t, path)

	require.NoError(t, other.Close())
	require.NoError(t, removeDeadSocket(path))
	assert.NoFileExists(t, path)

	require.NoError(t, os.WriteFile(path, []byte("somebody's"), 0o600))
	assert.ErrorContains(t, removeDeadSocket(path), "no socket")
	assert.FileExists(t, path)

	dead, link := filepath.Join(t.TempDir(), "dead"), filepath.Join(t.TempDir(), "link")
	other, err = net.Listen("unix", dead)
	require.NoError(t, err)
	other.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, other.Close())
	require.NoError(t, os.Symlink(dead, link))
	assert.ErrorContains(t, removeDeadSocket(link), "no socket", "a link is followed by nobody")
	_, err = os.Lstat(link)
	assert.NoError(t, err)
	assert.FileExists(t, dead)
}

// Whatever the umask of whoever starts the daemon, the socket's file lets in its owner and its group alone.
func TestTheSocketsFileLetsInItsOwnerAndGroup(t *testing.T) {
	a := &agent{}
	defer a.close()
	path := filepath.Join(t.TempDir(), "run", "posagent.sock")
	require.NoError(t, a.listenSocket(path))
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	info, err = os.Lstat(filepath.Dir(path))
	require.NoError(t, err)
	assert.Zero(t, info.Mode().Perm()&0o027)
}
