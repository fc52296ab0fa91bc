//go:build linux

package scanner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// till runs a source beside a test, as a till would.
type till struct {
	t      *testing.T
	events chan Event
	cancel context.CancelFunc
	ended  chan error
}

func runTill(t *testing.T, source Source) *till {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	at := &till{t: t, events: make(chan Event, 4096), cancel: cancel, ended: make(chan error, 1)}
	go func() { at.ended <- source.Run(ctx, func(e Event) { at.events <- e }) }()
	t.Cleanup(at.stop)
	return at
}

func (at *till) stop() {
	at.cancel()
	if at.ended != nil {
		assert.NoError(at.t, <-at.ended)
		at.ended = nil
	}
}

// next waits for the next event; ten seconds are for a machine that does much else.
func (at *till) next() Event {
	at.t.Helper()
	select {
	case e := <-at.events:
		return e
	case <-time.After(10 * time.Second):
		require.Fail(at.t, "nothing came")
		return Event{}
	}
}

func (at *till) becomes(s State) Event {
	at.t.Helper()
	for {
		if e := at.next(); e.Kind == KindState && e.State == s {
			return e
		}
	}
}

func (at *till) reads(want string) {
	at.t.Helper()
	e := at.next()
	require.Equal(at.t, KindScan, e.Kind, "%s", e)
	assert.Equal(at.t, want, e.Scan.Text.Reveal())
}

func plug(t *testing.T) *PTY {
	t.Helper()
	p, err := OpenPTY()
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func (p *PTY) types(t *testing.T, sent string) {
	t.Helper()
	_, err := p.Write([]byte(sent))
	require.NoError(t, err)
}

func serialSource(t *testing.T, path string) Source {
	t.Helper()
	s, err := New(Config{Kind: "serial", Device: path})
	require.NoError(t, err)
	return s
}

func TestACodeArrivesThroughASerialPort(t *testing.T) {
	p := plug(t)
	at := runTill(t, serialSource(t, p.Path()))
	at.becomes(Ready)
	p.types(t, "]Q1"+code+"\r\n")
	e := at.next()
	assert.Equal(t, code, e.Scan.Text.Reveal())
	assert.Equal(t, "Q1", e.Scan.AIM)
	assert.Equal(t, p.Path(), e.Device)
	assert.WithinDuration(t, time.Now(), e.At, time.Minute)
	p.types(t, code) // no suffix: silence ends it
	at.reads(code)
}

func TestAThousandCodesWithEverySuffix(t *testing.T) {
	p := plug(t)
	at := runTill(t, serialSource(t, p.Path()))
	at.becomes(Ready)
	suffixes := []string{"\r", "\n", "\r\n", "\t", "\x03", "\r\r", "\t\r\n"}
	for i := range 1000 {
		want := fmt.Sprintf("13%016d", i)
		p.types(t, want+suffixes[i%len(suffixes)])
		at.reads(want)
	}
}

func TestUnpluggedAndPluggedInAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "posagent-scanner")
	at := runTill(t, serialSource(t, name))
	e := at.becomes(Absent)
	assert.Equal(t, TroubleNotThere, e.Trouble.Code)
	assert.Contains(t, e.Trouble.What, name)

	p := plug(t)
	require.NoError(t, p.Link(name))
	at.becomes(Ready)
	p.types(t, code[:9]) // half a code, and then the cable goes
	require.NoError(t, p.Close())
	at.becomes(Lost)

	again := plug(t)
	require.NoError(t, again.Link(name))
	at.becomes(Ready)
	again.types(t, code+"\r")
	at.reads(code)
}

func TestGarbageGivesNoScan(t *testing.T) {
	p := plug(t)
	at := runTill(t, serialSource(t, p.Path()))
	at.becomes(Ready)
	p.types(t, string(bytes.Repeat([]byte{0, 0x80, 0xff, 0x1b}, 300))+"\r")
	e := at.next()
	require.Equal(t, TroubleGarbled, e.Trouble.Code)
	p.types(t, string(bytes.Repeat([]byte("x7"), 400))) // a wrong device that talks without end
	e = at.next()
	require.Equal(t, KindNoise, e.Kind)
	assert.Equal(t, TroubleTooLong, e.Trouble.Code)
	time.Sleep(3 * serialGap) // real silence
	p.types(t, code+"\r")
	at.reads(code)
}

func TestWhatCameBeforeThePortWasOpenIsNotRead(t *testing.T) {
	p := plug(t)
	keep, err := os.OpenFile(p.Path(), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	defer keep.Close()
	p.types(t, "139999999999999999\r")
	at := runTill(t, serialSource(t, p.Path()))
	at.becomes(Ready)
	p.types(t, code+"\r")
	at.reads(code)
}

func TestAPortThatIsOpenedInTheMiddleOfAScan(t *testing.T) {
	// Of an Alipay code of 22 digits, the 18 that come after the opening would pass for one of WeChat Pay.
	rest := &fakePort{t: t, steps: append(pieces(strings.Split(code+"\r", "")...), step{}, step{bytes: "9"})}
	require.NoError(t, quieten(rest))
	assert.Equal(t, 1, len(rest.steps), "read until nothing came for a slice, and no further")

	endless := &fakePort{t: t, steps: pieces(strings.Split(strings.Repeat("7", 1000), "")...)}
	require.NoError(t, quieten(endless))
	assert.Equal(t, quietReadsMax, endless.reads, "a line that is never silent does not keep it from being read")

	asked := time.Now()
	opened, err := openSerial(plug(t).Path(), serial.Mode{BaudRate: 9600, DataBits: 8}, serialGap)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(asked), serialGap/2, "a port is not said to be open before it was silent")
	require.NoError(t, opened.Close())

	failing := &fakePort{t: t, steps: []step{{bytes: "1"}, {err: errors.New("gone")}}}
	assert.Error(t, quieten(failing))
}

func TestASecondReaderOfOnePortIsRefused(t *testing.T) {
	p := plug(t)
	first := runTill(t, serialSource(t, p.Path()))
	first.becomes(Ready)
	name := filepath.Join(t.TempDir(), "by-id") // another name of the same port
	require.NoError(t, p.Link(name))
	second := runTill(t, serialSource(t, name))
	e := second.becomes(Settling)
	assert.Equal(t, TroubleBusy, e.Trouble.Code)
	p.types(t, code+"\r")
	first.reads(code)
	first.stop()
	second.becomes(Ready) // the lock ended with its holder
}

func TestThePortIsReleasedWhenRunReturns(t *testing.T) {
	p := plug(t)
	at := runTill(t, serialSource(t, p.Path()))
	at.becomes(Ready)
	at.stop()
	c, err := claimPort(p.Path())
	require.NoError(t, err)
	require.NoError(t, c.release())
}

func TestOpenErrorsAreToldApart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	mode := serial.Mode{BaudRate: 9600, DataBits: 8}
	_, err := openSerial(filepath.Join(dir, "none"), mode, serialGap)
	assert.Equal(t, TroubleNotThere, asTrouble(err).Code)
	_, err = openSerial(file, mode, serialGap)
	assert.Equal(t, TroubleNotSerial, asTrouble(err).Code, "a file is no port")
	assert.Contains(t, err.Error(), "posagent scanner list")

	for errno, want := range map[unix.Errno]TroubleCode{
		unix.ENOENT: TroubleNotThere, unix.ENODEV: TroubleNotThere, unix.ENXIO: TroubleNotThere,
		unix.EACCES: TroubleNoPermission, unix.EPERM: TroubleNoPermission,
		unix.EBUSY: TroubleBusy, unix.EWOULDBLOCK: TroubleBusy, unix.EIO: TroubleBroken,
	} {
		assert.Equal(t, want, nodeTrouble(file, errno).Code, errno.Error())
	}
	assert.Contains(t, nodeTrouble(file, unix.EACCES).Error(), "group ")
	assert.Contains(t, nodeTrouble(file, unix.EACCES).Error(), "udev rule")
}

func TestAPortIsNotReadWithTooManyFilesOpen(t *testing.T) {
	p := plug(t)
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if limit.Cur < descriptorsMax+50 {
		t.Skip("the limit of open files is lower than the bound")
	}
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	for {
		fd, err := unix.FcntlInt(null.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		defer unix.Close(fd)
		if fd > descriptorsMax {
			break
		}
	}
	_, err = claimPort(p.Path())
	require.Error(t, err)
	assert.Equal(t, TroubleManyFiles, asTrouble(err).Code)
}
