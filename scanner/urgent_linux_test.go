package scanner

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func threadNice(t *testing.T) int {
	t.Helper()
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // the kernel's answer is 20 less the nice value
	require.NoError(t, err)
	return 20 - raw
}

func TestAThreadThatReadsAScannerGoesBeforeOthers(t *testing.T) {
	usual := threadNice(t)
	end := urgent()
	held := threadNice(t)
	end()
	if held != urgentNice {
		t.Skipf("this user may not raise a priority: it stayed %d", held)
	}
	assert.Equal(t, usual, threadNice(t), "the thread is as it was, for other goroutines")
}
