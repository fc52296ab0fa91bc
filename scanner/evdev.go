package scanner

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// keyDevice is what is used of an open input device. Unlike the others it may be closed under a reader: that ends the
// read.
type keyDevice interface {
	read() ([]byte, error) // waits for events; see appendKey and appendLost for what it returns
	held() (bool, error)   // reports a key that is down
	grab() error           // from now on nobody else sees its keys
	release() error        // undoes grab
	close() error
}

// inputBus is where keyboards are found and opened.
type inputBus struct {
	sys, dev, proc string
	open           func(node string) (keyDevice, error)
}

func systemInput() inputBus {
	return inputBus{sys: "/sys", dev: "/dev", proc: "/proc", open: openKeys}
}

// The times of taking a keyboard over.
const (
	// grabQuiet is the silence before it: scanners send a key each 7 to 16 ms.
	grabQuiet = 40 * time.Millisecond
	// grabWithin is how long silence is waited for in one try.
	grabWithin = 400 * time.Millisecond
)

// keySlice is how long a read of a keyboard waits while a scan is under way.
const keySlice = 25 * time.Millisecond

// keyBatches bounds the reads that wait for the decoder: some three scans of 19 keys.
const keyBatches = 64

// newEvdev returns the source of a keyboard scanner that the kernel's own driver reads. It is grabbed: while it is open,
// its keys reach posagent alone. The grab ends with the process, however that ends.
func newEvdev(cfg Config, bus inputBus) (*device, error) { return newKeysSource(cfg, bus, false) }

// newKeysSource returns the source of a keyboard; listen reads it beside everybody else, without a grab.
func newKeysSource(cfg Config, bus inputBus, listen bool) (*device, error) {
	framing, err := cfg.framing(keyboardGap)
	if err != nil {
		return nil, err
	}
	if err := evdevNamed(cfg, bus.dev); err != nil {
		return nil, err
	}
	form := format{decodeEvdev, framing}
	e := &evdevDevice{cfg: cfg, bus: bus, listen: listen}
	return &device{name: cfg.Name(), opener: e.opener, decoder: form.decoder(), format: form, lost: e.lost,
		every: lookEvery, hotplug: cfg.Hotplug}, nil
}

// evdevNamed sees that the keyboard is named so that it can be no other: the cashier's own would fall silent. The number
// in /dev/input/event5 is another device's after the next start.
func evdevNamed(cfg Config, dev string) error {
	byID := filepath.Join(dev, "input/by-id") + "/"
	switch {
	case strings.HasPrefix(cfg.Device, "/") && !strings.HasPrefix(filepath.Clean(cfg.Device), byID):
		return &ConfigError{"device", fmt.Sprintf("%q may be another keyboard after the next start", cfg.Device),
			"write the scanner's name below " + byID + ", or vendor_id and product_id; posagent scanner list shows them"}
	case strings.HasPrefix(cfg.Device, "/"):
		return nil
	case cfg.VendorID == 0:
		return &ConfigError{"vendor_id", "is missing", "write the number that posagent scanner list shows, such as 0x1eab"}
	case cfg.ProductID == 0:
		return &ConfigError{"product_id", "is missing", "write the number that posagent scanner list shows, such as 0x0003"}
	}
	return nil
}

// evdevDevice finds and opens the configured keyboard. Only the device's one goroutine uses it.
type evdevDevice struct {
	cfg    Config
	bus    inputBus
	listen bool   // read without a grab, beside everybody else
	node   string // what was opened last
}

func (e *evdevDevice) opener() (port, error) {
	node, err := e.find()
	if err != nil {
		return nil, err
	}
	lock, err := claimPort(node)
	if err != nil {
		return nil, e.held(err, node)
	}
	keys, err := e.bus.open(node)
	if err != nil {
		return nil, errors.Join(nodeTrouble(node, err), lock.release())
	}
	p := newKeyPort(keys, lock)
	if e.listen {
		return p, nil
	}
	if err := e.takeOver(p); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	e.node = node
	return p, nil
}

// find returns the node of the keyboard that the configuration names.
func (e *evdevDevice) find() (node string, err error) {
	if !strings.HasPrefix(e.cfg.Device, "/") {
		asKeyboard := e.cfg
		asKeyboard.Mode = "keyboard"
		in, err := matchOrOther(asKeyboard, places{hid: hidBus{supported: true}, input: e.bus})
		if err != nil {
			return "", err
		}
		return in.keysNode()
	}
	node, err = filepath.EvalSymlinks(e.cfg.Device)
	if err != nil {
		return "", nodeTrouble(e.cfg.Device, unix.ENOENT)
	}
	return node, alone(node, hidInterfaces(e.bus.sys, e.bus.dev))
}

// keysNode is the input device that types a keyboard's digits.
func (in usbInterface) keysNode() (string, error) {
	if len(in.keys) > 0 {
		return in.keys[0], nil
	}
	// It settles where the kernel is about to make the node.
	return "", &Trouble{Code: TroubleBroken,
		What: fmt.Sprintf("%s has no input device: the kernel's keyboard driver does not hold it", in),
		Next: "unplug it, wait five seconds and plug it in again; a program that read it and was killed leaves it like that"}
}

// alone refuses a name that two equal devices share: udev gives it to the one that was plugged in last.
func alone(node string, all []usbInterface) error {
	i := slices.IndexFunc(all, func(in usbInterface) bool { return slices.Contains(in.keys, node) })
	if i < 0 {
		return nil
	}
	for _, other := range all {
		if other.port != all[i].port && other.keyboard && other.ids() == all[i].ids() && other.serial == all[i].serial {
			return ambiguous(all[i], other)
		}
	}
	return nil
}

// takeOver waits until no key is down and grabs the keyboard: a key that was pressed before and let go after would stay
// down for everybody else. A code that is typed meanwhile is cut in two, so what is left of it is dropped.
func (e *evdevDevice) takeOver(p *keyPort) error {
	typing := false
	for began := time.Now(); ; {
		if time.Since(began) > grabWithin {
			return &Trouble{Code: TroubleKeyHeld,
				What: fmt.Sprintf("the scanner %s is typing, or one of its keys is held down, so it cannot be taken over", e.cfg.Name()),
				Next: "let go of its trigger; if it stays so, unplug it and plug it in again"}
		}
		spoke, err := p.quiet(grabQuiet)
		if err != nil {
			return e.lost(err)
		}
		typing = typing || spoke
		down, err := p.keys.held()
		if err != nil {
			return e.lost(err)
		}
		if spoke || down {
			typing = true
			continue
		}
		if err := p.keys.grab(); err != nil {
			return e.grabFailed(err, p.lock.node)
		}
		if down, err := p.keys.held(); err == nil && !down {
			p.doubt(typing)
			return nil
		}
		if err := p.keys.release(); err != nil { // a key went down between the look and the grab
			return e.lost(err)
		}
		typing = true
	}
}

func (e *evdevDevice) grabFailed(err error, node string) error {
	if isErrno(err, unix.EBUSY) {
		return e.held(nodeTrouble(node, unix.EBUSY), node)
	}
	return e.lost(err)
}

// held says who else has the node open, where that can be seen. Having it open is no grab, so these are who it may be.
func (e *evdevDevice) held(err error, node string) error {
	t := asTrouble(err)
	if t.Code != TroubleBusy {
		return t
	}
	who := describeHolders(holdersOf(e.bus.proc, node))
	if who == "" {
		return t
	}
	return &Trouble{Code: t.Code, What: t.What + ": it is open in " + who, Next: t.Next}
}

// lost explains a read error.
func (e *evdevDevice) lost(err error) *Trouble {
	if _, findErr := e.find(); isErrno(err, unix.ENODEV) || findErr != nil {
		return &Trouble{Code: TroubleNotThere, What: "the scanner " + e.cfg.Name() + " was unplugged", Next: "plug it in again"}
	}
	return &Trouble{Code: TroubleBroken,
		What: fmt.Sprintf("the scanner %s does not answer any more (%v)", e.cfg.Name(), err),
		Next: "unplug it, wait five seconds and plug it in again"}
}

// isErrno tells errors of the library, which gives an errno's text alone.
func isErrno(err error, errno unix.Errno) bool {
	return errors.Is(err, errno) || err != nil && err.Error() == errno.Error()
}

// keyPort is an open keyboard. A goroutine of its own does nothing but read: the kernel keeps 64 events, ten keys'
// worth, and drops them all when they are not fetched in time.
type keyPort struct {
	keys    keyDevice
	lock    *claim
	batches chan keyBatch
	woken   chan struct{} // has one place
	within  time.Duration // how long a read waits; 0 is for ever
	closing chan struct{}
	ended   sync.WaitGroup
}

// keyBatch is what one read of the kernel gave.
type keyBatch struct {
	records []byte
	err     error
}

func newKeyPort(keys keyDevice, lock *claim) *keyPort {
	p := &keyPort{keys: keys, lock: lock, batches: make(chan keyBatch, keyBatches), woken: make(chan struct{}, 1), closing: make(chan struct{})}
	p.ended.Go(p.fetch)
	return p
}

// fetch reads until the device fails or is closed.
func (p *keyPort) fetch() {
	for {
		records, err := p.keys.read()
		if len(records) == 0 && err == nil {
			continue
		}
		select {
		case p.batches <- keyBatch{records, err}:
		case <-p.closing:
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *keyPort) await(pending bool) {
	p.within = 0
	if pending {
		p.within = keySlice
	}
}

// Read returns the records of one read of the kernel, or nothing when the wait is over or was ended.
func (p *keyPort) Read(b []byte) (int, error) {
	var over <-chan time.Time
	if p.within > 0 {
		t := time.NewTimer(p.within)
		defer t.Stop()
		over = t.C
	}
	select {
	case batch := <-p.batches:
		return copy(b, batch.records), batch.err
	case <-over:
	case <-p.woken:
	}
	return 0, nil
}

func (p *keyPort) interrupt() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

func (p *keyPort) gone() bool { return p.lock.gone() }

// quiet waits for d and reports whether a key moved meanwhile.
func (p *keyPort) quiet(d time.Duration) (spoke bool, err error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case batch := <-p.batches:
		return true, batch.err
	case <-t.C:
		return false, nil
	}
}

// doubt has the decoder drop the scan under way, where one was being typed.
func (p *keyPort) doubt(typing bool) {
	if !typing {
		return
	}
	select {
	case p.batches <- keyBatch{records: appendLost(nil)}:
	default: // so many keys wait that the reader is behind: the kernel will say that it dropped some
	}
}

// Close ends the grab and gives the keyboard back.
func (p *keyPort) Close() error {
	close(p.closing)
	err := p.keys.close()
	p.ended.Wait()
	return errors.Join(err, p.lock.release())
}
