//go:build linux

package scanner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.bug.st/serial"
)

// openPTY opens a pseudo-terminal as a scanner's port.
func openPTY(t *testing.T) (*PTY, *serialPort) {
	t.Helper()
	pty := plug(t)
	opened, err := openSerial(pty.Path(), serial.Mode{BaudRate: 9600, DataBits: 8}, serialGap)
	require.NoError(t, err)
	p := opened.(*serialPort)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return pty, p
}

// returnsSoon fails when f hangs.
func returnsSoon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		require.Fail(t, "it hangs")
	}
}

func TestAnInterruptionEndsTheWaitUnderWayOrTheNextOne(t *testing.T) {
	pty, p := openPTY(t)
	read := func() (n int, err error) {
		returnsSoon(t, func() { n, err = p.Read(make([]byte, 16)) })
		return n, err
	}
	for range 3 {
		p.interrupt() // before there is a wait
		n, err := read()
		require.NoError(t, err)
		assert.Zero(t, n)
	}
	time.AfterFunc(50*time.Millisecond, p.interrupt) // in the middle of one
	n, err := read()
	require.NoError(t, err)
	assert.Zero(t, n)

	pty.types(t, "13")
	n, err = read()
	require.NoError(t, err)
	assert.Equal(t, 2, n, "and it takes nothing away")
}

func TestAWaitIsShortOnlyWhileAScanIsUnderWay(t *testing.T) {
	_, p := openPTY(t)
	p.await(true)
	returnsSoon(t, func() {
		n, err := p.Read(make([]byte, 16))
		assert.NoError(t, err)
		assert.Zero(t, n)
	})
	p.await(false)
	assert.Equal(t, serialWait, p.line.within)
}

func TestAPortWhoseNodeVanishesIsGone(t *testing.T) {
	_, p := openPTY(t)
	assert.False(t, p.gone())
	p.lock.node = "/dev/posagent-nosuch"
	assert.True(t, p.gone())
}

func TestAnInterruptionAfterTheCloseIsHarmless(t *testing.T) {
	pty := plug(t)
	opened, err := openSerial(pty.Path(), serial.Mode{BaudRate: 9600, DataBits: 8}, serialGap)
	require.NoError(t, err)
	require.NoError(t, opened.Close())
	opened.(wakefulPort).interrupt()
}

func TestWhatWasScannedWhileTheProgramWasStoppedIsDroppedAndSaid(t *testing.T) {
	pty, p := openPTY(t)
	stopped := time.Duration(0)
	p.now = func() time.Time {
		now := time.Now().Add(stopped)
		stopped = time.Minute // each read begins before the stop and ends behind it
		return now
	}
	p.await(false)
	pty.types(t, code+"\r"+code+"\r")
	_, err := p.Read(make([]byte, 8))
	require.ErrorIs(t, err, errStoodStill)

	p.now = time.Now
	p.await(false)
	pty.types(t, "13")
	n, err := p.Read(make([]byte, 64))
	require.NoError(t, err)
	assert.Equal(t, 2, n, "what comes afterwards is read, and nothing from before")
}

func TestAStopWithoutAScanIsNothing(t *testing.T) {
	var stopped time.Duration
	pty, p := openPTY(t)
	p.now = func() time.Time { // an hour passes from look to look
		stopped += time.Hour
		return time.Now().Add(stopped)
	}
	p.interrupt()
	n, err := p.Read(make([]byte, 8))
	require.NoError(t, err)
	assert.Zero(t, n)
	p.now = time.Now
	pty.types(t, "13")
	n, err = p.Read(make([]byte, 64))
	require.NoError(t, err)
	assert.Equal(t, 2, n)
}
