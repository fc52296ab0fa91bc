package scanner

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeLine gives a line that is silent until it is closed, or the error of opening it.
func fakeLine(err error) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		if err != nil {
			return nil, err
		}
		r, _ := io.Pipe()
		return r, nil
	}
}

// message writes as the kernel does.
func message(subsystem string) []byte {
	return []byte("add@/devices/pci0/usb1/1-1\x00ACTION=add\x00DEVPATH=/devices/pci0/usb1/1-1\x00SUBSYSTEM=" + subsystem + "\x00SEQNUM=1\x00")
}

func TestOnlyMessagesAboutKindsOfDevicesThatScannersAreWake(t *testing.T) {
	for _, subsystem := range []string{"usb", "tty", "input", "hid", "hidraw", "usb-serial"} {
		assert.True(t, mayBeScanner(message(subsystem)), subsystem)
	}
	for _, subsystem := range []string{"block", "power_supply", "usbmon", "net"} {
		assert.False(t, mayBeScanner(message(subsystem)), subsystem)
	}
	assert.False(t, mayBeScanner(nil))
}

// line is a line whose reads are scripted.
type line struct {
	reads  chan any // []byte or error
	closed chan struct{}
}

func (l *line) Read(b []byte) (int, error) {
	select {
	case r := <-l.reads:
		if err, failed := r.(error); failed {
			return 0, err
		}
		return copy(b, r.([]byte)), nil
	case <-l.closed:
		return 0, io.EOF
	}
}

func (l *line) Close() error {
	close(l.closed)
	return nil
}

func TestOneLineServesAllScanners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, opened := &line{reads: make(chan any), closed: make(chan struct{})}, 0
		h := &Hotplug{listen: func() (io.ReadCloser, error) { opened++; return l, nil }}
		var first, second atomic.Int32
		leaveFirst := h.join(func() { first.Add(1) })
		leaveSecond := h.join(func() { second.Add(1) })
		l.reads <- message("tty")
		l.reads <- message("block")
		l.reads <- error(syscall.ENOBUFS) // some were lost: they may have been about a scanner
		synctest.Wait()
		assert.Equal(t, []int32{2, 2}, []int32{first.Load(), second.Load()})
		leaveFirst()
		l.reads <- message("usb")
		synctest.Wait()
		assert.Equal(t, []int32{2, 3}, []int32{first.Load(), second.Load()})
		leaveSecond()
		assert.Equal(t, 1, opened)

		l.closed = make(chan struct{})
		leave := h.join(func() {}) // a later run listens anew
		assert.Equal(t, 2, opened)
		l.reads <- errors.New("broken")
		synctest.Wait()
		leave()
	})
}

func TestALineThatBreaksIsOpenedAnewForTheNextScanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []*line
		h := &Hotplug{listen: func() (io.ReadCloser, error) {
			lines = append(lines, &line{reads: make(chan any), closed: make(chan struct{})})
			return lines[len(lines)-1], nil
		}}
		var rang atomic.Int32
		leaveFirst := h.join(func() { rang.Add(1) })
		lines[0].reads <- errors.New("broken")
		synctest.Wait()
		assert.Equal(t, int32(1), rang.Load(), "what was missed is looked for")
		_, open := <-lines[0].closed
		assert.False(t, open)

		leaveSecond := h.join(func() {})
		require.Len(t, lines, 2)
		lines[1].reads <- message("usb")
		synctest.Wait()
		assert.Equal(t, int32(2), rang.Load(), "and those who were there hear again")
		leaveSecond()
		leaveFirst()
	})
}

func TestASystemThatDoesNotLetUsListenIsNoError(t *testing.T) {
	h := &Hotplug{listen: fakeLine(errors.ErrUnsupported)}
	h.join(func() {})()
	var none *Hotplug
	none.join(func() {})()
}

func TestThisSystemsLineOpensAndCloses(t *testing.T) {
	l, err := listenUevents()
	if err != nil {
		t.Skip("this system does not let us listen: ", err)
	}
	require.NoError(t, l.Close())
	h := NewHotplug()
	h.join(func() {})()
}
