package scanner

import (
	"context"
	"fmt"
	"time"
)

// Source is something that codes come from.
type Source interface {
	// Run reads until ctx is done or the source has an end and reached it; both return nil. A device that is not
	// there is no error: Run waits for it and delivers a change of state. deliver is called from one goroutine at a
	// time and must return when ctx is done. A consumer that is slow loses the oldest scans, never the newest state,
	// and Event.Dropped counts what it lost. When Run has returned, the device is closed. Run is called once.
	Run(ctx context.Context, deliver func(Event)) error
}

// Kind tells events apart.
type Kind int

// The kinds of event.
const (
	KindScan  Kind = iota + 1 // Event.Scan holds a complete scan
	KindState                 // Event.State is new; Event.Trouble says why, unless the device is ready
	KindNoise                 // something was read and dropped; Event.Trouble says what to do
)

// Event is one thing that happened at a device. It prints without any character of a scan.
type Event struct {
	Kind    Kind
	Device  string    // the device as the configuration names it
	At      time.Time // when the last byte of a scan was read, or when the state changed
	Scan    Scan      // for KindScan
	State   State     // for KindState
	Trouble Trouble   // for KindNoise, and for KindState unless Ready
	Dropped uint64    // events that were dropped since Run began because the consumer was slow
}

// String says what happened, for a log or a terminal, without any character of a scan.
func (e Event) String() string {
	switch e.Kind {
	case KindScan:
		return fmt.Sprintf("%s: scan of %s", e.Device, e.Scan)
	case KindNoise:
		return fmt.Sprintf("%s: %s", e.Device, e.Trouble.Error())
	}
	if e.State == Ready {
		return fmt.Sprintf("%s: ready", e.Device)
	}
	return fmt.Sprintf("%s: %s: %s", e.Device, e.State, e.Trouble.Error())
}

// Scan is one complete code as the device sent it, without framing.
type Scan struct {
	Text       Text          // the characters, a secret
	AIM        string        // the AIM identifier without its bracket ("Q1", "C0"), or empty where the scanner sends none
	Symbology  string        // the kind of bar code if the AIM identifier tells ("qr", "code128"), or empty
	Characters int           // how many characters Text has; 1 to 64
	Took       time.Duration // from the first character to the last; a person types slower than a scanner
}

// String describes the scan without any of its characters.
func (s Scan) String() string {
	if s.AIM == "" {
		return s.Text.String()
	}
	return s.Text.String() + " ]" + s.AIM
}

// State is what a device is doing.
type State int

// The states of a device, drawn in the package's documentation.
const (
	Absent   State = iota + 1 // it is not there; it is waited for
	Settling                  // it is there but may not be opened yet (udev sets its mode); tried for 2 s
	Ready                     // it is open and read
	Lost                      // it was ready and went away; it is waited for
	Blocked                   // it is there and cannot be used until a person does something; it is tried again
)

// String names the state in one word.
func (s State) String() string {
	switch s {
	case Absent:
		return "absent"
	case Settling:
		return "settling"
	case Ready:
		return "ready"
	case Lost:
		return "lost"
	case Blocked:
		return "blocked"
	}
	return "unknown"
}
