package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// portAgain is the pause between tries of a serial port that is not there: trying it is one call.
const portAgain = 500 * time.Millisecond

// tillPort is an open serial port of a till, and the lock that keeps a second posagent away from it. It waits in Go's poller, so that
// closing it ends a read, and a write ends at its deadline.
type tillPort struct {
	*os.File
	settings serial.Port // holds the line as it was set; nothing is read or written by it
}

// openTillPort locks the port and sets its line. What came before is thrown away: it belongs to a sale that is over.
func openTillPort(path string, line PortLine, flag int) (*tillPort, error) {
	file, err := os.OpenFile(path, flag|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := lockPort(file); err != nil {
		return nil, errors.Join(fmt.Errorf("another program holds it: %w", err), file.Close())
	}
	settings, err := serial.Open(path, serialMode(line))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	p := &tillPort{File: file, settings: settings}
	if err := settings.ResetInputBuffer(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func lockPort(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	lost := raw.Control(func(fd uintptr) { err = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
	return errors.Join(lost, err)
}

func serialMode(line PortLine) *serial.Mode {
	mode := &serial.Mode{BaudRate: line.Baud, DataBits: line.DataBits, Parity: serial.NoParity, StopBits: serial.OneStopBit}
	switch line.Parity {
	case "even":
		mode.Parity = serial.EvenParity
	case "odd":
		mode.Parity = serial.OddParity
	}
	if line.StopBits == 2 {
		mode.StopBits = serial.TwoStopBits
	}
	return mode
}

// Close closes the port and gives up its lock.
func (p *tillPort) Close() error { return errors.Join(p.File.Close(), p.settings.Close()) }

// portState is where a till's port stands, for the status page.
type portState struct {
	mu    sync.Mutex // guards the rest
	ready bool
	why   string
	since time.Time
}

func (s *portState) set(ready bool, why string) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() || s.ready != ready || s.why != why {
		s.ready, s.why, s.since, changed = ready, why, time.Now(), true
	}
	return changed
}

func (s *portState) get() (ready bool, why string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready, s.why, s.since
}

// keepPort opens a port, serves it, and opens it again for as long as ctx lasts: a port may come back under the same name.
func keepPort(ctx context.Context, state *portState, open func() (*tillPort, error), serve func(context.Context, *tillPort) error, tell func(ready bool, why string)) {
	for ctx.Err() == nil {
		port, err := open()
		if err == nil {
			if state.set(true, "") {
				tell(true, "")
			}
			err = serve(ctx, port)
			_ = port.Close()
		}
		if ctx.Err() != nil {
			return
		}
		if why := portTrouble(err); state.set(false, why) {
			tell(false, why)
		}
		select {
		case <-ctx.Done():
		case <-time.After(portAgain):
		}
	}
}

// portTrouble says why a port can't be used, and what to do.
func portTrouble(err error) string {
	var hidden *serial.PortError
	switch {
	case err == nil:
		return "the port has ended; check its cable"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return "the port is not there; plug it in, or correct its name in the configuration"
	case errors.Is(err, fs.ErrPermission):
		return "the port may not be opened; add posagent's user to the group that owns it, and restart the service"
	case errors.Is(err, unix.EWOULDBLOCK):
		return "another program holds the port; stop it"
	case errors.As(err, &hidden):
		return "the port can't be set (" + hidden.EncodedErrorString() + "); check its name and its line settings"
	}
	return "the port has failed (" + plainCause(err) + "); check its cable"
}
