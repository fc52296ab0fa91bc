package scanner

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// addProcess adds a program that has node open twice.
func (c *computer) addProcess(pid int, program, node string) {
	c.t.Helper()
	dir := filepath.Join(c.sys, "proc", strconv.Itoa(pid))
	c.write(filepath.Join(dir, "comm"), program+"\n")
	require.NoError(c.t, os.MkdirAll(filepath.Join(dir, "fd"), 0o755))
	for _, fd := range []string{"3", "4"} {
		require.NoError(c.t, os.Symlink(node, filepath.Join(dir, "fd", fd)))
	}
}

func TestTheProgramsThatHoldADeviceAreNamedOnce(t *testing.T) {
	c := newComputer(t)
	node := filepath.Join(c.dev, "ttyACM0")
	c.addProcess(12, "ModemManager", node)
	c.addProcess(13, "other", "/dev/null")
	proc := filepath.Join(c.sys, "proc")
	assert.Equal(t, []Holder{{PID: 12, Program: "ModemManager"}}, holdersOf(proc, node))
	assert.Equal(t, "ModemManager (process 12)", describeHolders(holdersOf(proc, node)))
	assert.Empty(t, holdersOf(proc, filepath.Join(c.dev, "ttyACM1")))
	assert.True(t, runs(proc, "ModemManager"))
	assert.False(t, runs(proc, "Modem"))
	assert.True(t, allSeen(proc))
	assert.False(t, allSeen(filepath.Join(c.sys, "none")))
}

func TestThisProgramIsFoundAsAHolder(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "node")
	require.NoError(t, err)
	defer file.Close()
	name, err := filepath.EvalSymlinks(file.Name())
	require.NoError(t, err)
	holders := holdersOf("/proc", name)
	require.Len(t, holders, 1)
	assert.Equal(t, os.Getpid(), holders[0].PID)
}

func TestOnlySoManyHoldersAreNamed(t *testing.T) {
	c := newComputer(t)
	for pid := range 20 {
		c.addProcess(pid+1, "many", "/dev/x")
	}
	assert.Len(t, holdersOf(filepath.Join(c.sys, "proc"), "/dev/x"), holdersMax)
}
