package scanner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// The silence that ends a scan from a serial port: 50 ms, some 48 characters' time at 9600 baud, and never less than ten
// characters' time of ten bits.
const (
	serialGap     = 50 * time.Millisecond
	gapCharacters = 10
	bitsPerChar   = 10
)

// readSliceMax bounds how long a read of the library waits; it is only begun when there is something to read.
const readSliceMax = 200 * time.Millisecond

// newSerial returns the source of a scanner on a serial port: a real one, a USB serial chip, CDC-ACM or a
// pseudo-terminal. CDC-ACM and pseudo-terminals ignore baud rate, data bits, parity and stop bits.
func newSerial(cfg Config) (*device, error) {
	mode, err := serialMode(cfg)
	if err != nil {
		return nil, err
	}
	if err := absolute("device", cfg.Device); err != nil {
		return nil, err
	}
	framing, err := cfg.framing(max(serialGap, gapCharacters*bitsPerChar*time.Second/time.Duration(mode.BaudRate)))
	if err != nil {
		return nil, err
	}
	path, form := cfg.Device, format{decodeText, framing}
	return &device{
		name:    path,
		opener:  func() (port, error) { return openSerial(path, mode, framing.Gap) },
		decoder: form.decoder(),
		format:  form,
		lost:    func(err error) *Trouble { return serialLost(path, err) },
		hotplug: cfg.Hotplug,
	}, nil
}

// serialMode checks the settings of the line.
func serialMode(cfg Config) (serial.Mode, error) {
	baud, bits := orDefault(cfg.Baud, 9600), orDefault(cfg.DataBits, 8)
	stop, parity := orDefault(cfg.StopBits, 1), orDefault(cfg.Parity, "none")
	err := errors.Join(
		between("baud", baud, 300, 921600),
		between("data_bits", bits, 5, 8),
		between("stop_bits", stop, 1, 2),
		oneOf("parity", parity, "none", "odd", "even", "mark", "space"),
	)
	if err != nil {
		return serial.Mode{}, firstOf(err)
	}
	mode := serial.Mode{BaudRate: baud, DataBits: bits, Parity: parityOf(parity), StopBits: serial.OneStopBit}
	if stop == 2 {
		mode.StopBits = serial.TwoStopBits
	}
	return mode, nil
}

// firstOf returns the first mistake: a person mends one line at a time.
func firstOf(err error) error {
	var first *ConfigError
	errors.As(err, &first)
	return first
}

func parityOf(name string) serial.Parity {
	switch name {
	case "odd":
		return serial.OddParity
	case "even":
		return serial.EvenParity
	case "mark":
		return serial.MarkParity
	case "space":
		return serial.SpaceParity
	}
	return serial.NoParity
}

// serialPort is an open port and the lock that keeps a second reader of ours away. The lock's descriptor waits for what
// comes, in Go's poller: for as long as nothing does, that costs one look a second.
type serialPort struct {
	serial.Port
	lock  *claim
	slice time.Duration // how long a read waits while a scan is under way
	line  waiter
	now   func() time.Time
}

// How long a read of a port waits while nothing comes, and how much longer it may take before it is certain that this
// program was stopped meanwhile. A sale takes longer than that.
const (
	serialWait = time.Second
	stoppedMin = 2 * time.Second
)

// errStoodStill is a read that ended long after it should have: what was scanned meanwhile has been thrown away.
var errStoodStill = errors.New("the program stood still, and what was scanned meanwhile was dropped")

// await lets the next read wait long, or only for a slice because silence may end a scan.
func (p *serialPort) await(pending bool) {
	p.line.within = serialWait
	if pending {
		p.line.within = p.slice
	}
}

// Read returns what came, or nothing when the wait is over or was ended. The kernel keeps what comes while the program is
// stopped; a code among it was shown for a sale that may be over, and errStoodStill says that it was thrown away.
func (p *serialPort) Read(b []byte) (int, error) {
	began := p.now()
	n, err := p.line.read(b)
	if err != nil || p.now().Sub(began) < p.line.within+stoppedMin {
		return n, err
	}
	return 0, p.throwAway(n > 0)
}

// throwAway reads until nothing comes for a slice.
func (p *serialPort) throwAway(some bool) error {
	rest := make([]byte, readBytesMax)
	p.line.within = p.slice
	for range quietReadsMax {
		began := time.Now()
		n, err := p.line.read(rest)
		if err != nil {
			return err
		}
		if n == 0 && time.Since(began) >= p.slice { // else it was only woken, as it is when the computer wakes up
			break
		}
		some = some || n > 0
	}
	if some {
		return errStoodStill
	}
	return nil
}

func (p *serialPort) interrupt() { p.line.interrupt() }

func (p *serialPort) gone() bool { return p.lock.gone() }

// Close closes the port, then the lock.
func (p *serialPort) Close() error {
	return errors.Join(p.Port.Close(), p.lock.release())
}

// openSerial claims and opens the port. What a scanner sent before is thrown away: a code is never queued. So is the rest
// of a scan in whose middle the port was opened, which alone might look like a shorter code.
func openSerial(path string, mode serial.Mode, gap time.Duration) (port, error) {
	lock, err := claimPort(path)
	if err != nil {
		return nil, err
	}
	p, err := serial.Open(path, &mode)
	if err != nil {
		_ = lock.release()
		return nil, openTrouble(path, err)
	}
	// Set once, before the first read: the library does not guard it against a read that is under way.
	slice := min(gap/2, readSliceMax)
	if err := errors.Join(p.SetReadTimeout(slice), p.ResetInputBuffer(), quieten(p)); err != nil {
		_ = errors.Join(p.Close(), lock.release())
		return nil, openTrouble(path, err)
	}
	return &serialPort{Port: p, lock: lock, slice: slice, line: waiter{file: lock.file}, now: time.Now}, nil
}

// quietReadsMax bounds how long a line that never falls silent is waited for when it is opened.
const quietReadsMax = 64

// quieten reads until nothing comes for a slice.
func quieten(p io.Reader) error {
	rest := make([]byte, readBytesMax)
	for range quietReadsMax {
		if n, err := p.Read(rest); n == 0 || err != nil {
			return err
		}
	}
	return nil
}

// openTrouble explains an error of the library, which hides errno behind codes of its own.
func openTrouble(path string, err error) *Trouble {
	var code *serial.PortError
	if !errors.As(err, &code) {
		return nodeTrouble(path, err)
	}
	switch code.Code() {
	case serial.PortBusy:
		return nodeTrouble(path, unix.EBUSY)
	case serial.PermissionDenied:
		return nodeTrouble(path, unix.EACCES)
	case serial.PortNotFound:
		return nodeTrouble(path, unix.ENOENT)
	}
	return notSerial(path, code.EncodedErrorString())
}

func notSerial(path, why string) *Trouble {
	return &Trouble{
		Code: TroubleNotSerial,
		What: fmt.Sprintf("%s cannot be used as a serial port (%s)", path, why),
		Next: "set device to the scanner's port, which posagent scanner list shows, and check baud, data_bits, parity and stop_bits",
	}
}

// serialLost explains a read error. The library gives one code for unplugging and closing; we close nothing while we
// read, so it was unplugged or has failed.
func serialLost(path string, err error) *Trouble {
	if _, statErr := os.Stat(path); statErr != nil {
		return &Trouble{Code: TroubleNotThere, What: "the scanner " + path + " was unplugged", Next: "plug it in again"}
	}
	return &Trouble{
		Code: TroubleBroken,
		What: fmt.Sprintf("the scanner %s went away or failed (%v)", path, err),
		Next: "check its cable and plug it in again",
	}
}
