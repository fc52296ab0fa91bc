package main

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestTheKernelTellsThatANetworkCardChanges in a network of the test's own, which only root can make.
func TestTheKernelTellsThatANetworkCardChanges(t *testing.T) {
	told := make(chan bool, 1)
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never let go of: the thread ends with its network
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- err
			return
		}
		made <- nil
		changed := networkChanges(t.Context())
		if changed == nil || !switchCardOn("lo") {
			told <- false
			return
		}
		select {
		case <-changed:
			told <- true
		case <-time.After(10 * time.Second):
			told <- false
		}
	}()
	if err := <-made; err != nil {
		t.Skipf("no network of the test's own can be made here: %v", err)
	}
	assert.True(t, <-told)
}

func switchCardOn(name string) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return false
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request) == nil
}

func TestNobodyListensToTheKernelWhenTheTillHasEnded(t *testing.T) {
	before := countHandles(t)
	ctx, stop := context.WithCancel(t.Context())
	require.NotNil(t, networkChanges(ctx))
	stop()
	assert.LessOrEqual(t, leastOf(func() int { return countHandles(t) }, before), before)
}
