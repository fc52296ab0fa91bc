package queue

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openPayThread returns a thread that ends with the test, and the processors that this test's own may use.
func openPayThread(t *testing.T) (*payThread, unix.CPUSet) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	var may unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &may))
	thread, err := newPayThread()
	if may.Count() < 2 {
		require.Error(t, err)
		t.Skip("skipped: a pay call's own thread needs a second processor, and this machine lets the test use one")
	}
	require.NoError(t, err)
	t.Cleanup(thread.end)
	return thread, may
}

func TestAPayCallAndItsCommitHaveAProcessorEach(t *testing.T) {
	thread, may := openPayThread(t)
	for range 200 {
		ran := make(chan int, 1)
		release, ok := thread.start(func() {
			number, err := processor()
			assert.NoError(t, err)
			ran <- number
		})
		require.True(t, ok)
		mine, err := processor()
		require.NoError(t, err)
		var now unix.CPUSet
		require.NoError(t, unix.SchedGetaffinity(0, &now))
		assert.Equal(t, 1, now.Count(), "the loop stays where it is")
		assert.NotEqual(t, mine, <-ran)
		release()
		require.NoError(t, unix.SchedGetaffinity(0, &now))
		require.Equal(t, may, now, "the loop may go anywhere again")
		require.Eventually(t, func() bool { return !thread.busy.Load() }, time.Minute, time.Microsecond)
	}
}

func TestAPayCallDoesNotWaitForTheOneBefore(t *testing.T) {
	thread, _ := openPayThread(t)
	over := make(chan struct{})
	defer close(over)
	release, ok := thread.start(func() { <-over })
	require.True(t, ok)
	release()
	_, ok = thread.start(func() {})
	assert.False(t, ok, "the thread is in a call: this one must start as any other goroutine")
}
