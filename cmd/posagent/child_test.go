package main

import (
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A daemon's pay calls have a thread of their own, which ends with the daemon: it must not take other daemons of the same trial along.
func TestAChildOutlivesTheThreadsThatEnd(t *testing.T) {
	child := exec.Command("sleep", "60")
	exited, err := startChild(child)
	require.NoError(t, err)
	for range 20 {
		var threads sync.WaitGroup
		for range 8 {
			threads.Go(func() {
				runtime.LockOSThread() // for good: the thread ends with this goroutine
				time.Sleep(time.Millisecond)
			})
		}
		threads.Wait()
	}
	select {
	case end := <-exited:
		assert.Fail(t, "the child has ended", "%v", end)
	default:
		require.NoError(t, child.Process.Kill())
		<-exited
	}
}
