package scanner

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeKeys is an input device that plays steps; closing it ends a read.
type fakeKeys struct {
	t       *testing.T
	steps   []step
	down    []bool // what each look for held keys finds; then none
	grabs   []error
	grabbed bool
	freed   int // times that a grab was given back
	closed  chan struct{}
}

func newFakeKeys(t *testing.T, steps ...step) *fakeKeys {
	return &fakeKeys{t: t, steps: steps, closed: make(chan struct{})}
}

func (k *fakeKeys) read() ([]byte, error) {
	if len(k.steps) == 0 {
		<-k.closed
		return nil, os.ErrClosed
	}
	s := k.steps[0]
	k.steps = k.steps[1:]
	select {
	case <-time.After(s.after):
		return []byte(s.bytes), s.err
	case <-k.closed:
		return nil, os.ErrClosed
	}
}

func (k *fakeKeys) held() (bool, error) {
	if len(k.down) == 0 {
		return false, nil
	}
	down := k.down[0]
	k.down = k.down[1:]
	return down, nil
}

func (k *fakeKeys) grab() error {
	if len(k.grabs) > 0 {
		err := k.grabs[0]
		k.grabs = k.grabs[1:]
		if err != nil {
			return err
		}
	}
	k.grabbed = true
	return nil
}

func (k *fakeKeys) release() error {
	k.grabbed = false
	k.freed++
	return nil
}

func (k *fakeKeys) close() error {
	close(k.closed)
	return nil
}

// at gives a step that many milliseconds after the one before.
func keysAfter(ms int, records []byte) step {
	return step{after: time.Duration(ms) * time.Millisecond, bytes: string(records)}
}

// typeKeys gives the steps of keys that are struck every 15 ms, the first after so many milliseconds.
func typeKeys(ms int, codes ...uint16) []step {
	var steps []step
	for _, c := range codes {
		steps = append(steps, keysAfter(ms, struck(c)))
		ms = 15
	}
	return steps
}

// addKeys gives the keyboard interface at port an input device that types digits.
func (c *computer) addKeys(port, event string) (node string) {
	c.t.Helper()
	dir := filepath.Join(c.sys, "bus/usb/devices", port+":1.0/0003:1234:5678.0001/input/input7")
	c.write(filepath.Join(dir, event, "dev"), "13:70\n")
	keys := "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n"
	if strconv.IntSize == 32 {
		keys = "10000 7 ff9f207a c14057ff febeffdf ffefffff ffffffff fffffffe\n"
	}
	c.write(filepath.Join(dir, "capabilities/key"), keys)
	node = filepath.Join(c.dev, "input", event)
	c.write(node, "")
	return node
}

// inputOf is the computer's keyboards, where opening gives keys in turn.
func (c *computer) inputOf(keys ...*fakeKeys) inputBus {
	return inputBus{sys: c.sys, dev: c.dev, proc: filepath.Join(c.sys, "proc"), open: func(string) (keyDevice, error) {
		if len(keys) == 0 {
			return nil, unix.ENODEV
		}
		k := keys[0]
		keys = keys[1:]
		return k, nil
	}}
}

var evdevScanner = Config{Kind: "evdev", VendorID: 0x1eab, ProductID: 0x0003}

func evdevSource(t *testing.T, cfg Config, bus inputBus) *device {
	t.Helper()
	d, err := newEvdev(cfg, bus)
	require.NoError(t, err)
	return d
}

// withKeyboard runs a story with a keyboard scanner that is plugged in.
func withKeyboard(t *testing.T, story func(t *testing.T, c *computer, node string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-2", 0x1eab, 0x0003, "", 1, keyboardDescriptor)
		story(t, c, c.addKeys("1-2", "event5"))
	})
}

func TestAKeyboardScannerIsGrabbedAndRead(t *testing.T) {
	withKeyboard(t, func(t *testing.T, c *computer, _ string) {
		k := newFakeKeys(t, append(typeKeys(1000, append(keysOf(code), codeEnter)...), typeKeys(500, onPadCodes(code)...)...)...)
		events := watchFor(t, evdevSource(t, evdevScanner, c.inputOf(k)), 5*time.Second)
		assert.Equal(t, []State{Ready}, states(events))
		assert.Equal(t, []string{code, code}, texts(events), "with a suffix, and with silence behind it")
		assert.Equal(t, "evdev 1eab:0003", events[0].Device)
		assert.True(t, k.grabbed)
	})
}

func TestAKeyboardIsNamedByItsIdentity(t *testing.T) {
	withKeyboard(t, func(t *testing.T, c *computer, node string) {
		c.link("input/by-id/usb-Maker_Scanner-event-kbd", "input/event5")
		cfg := Config{Kind: "evdev", Device: filepath.Join(c.dev, "input/by-id/usb-Maker_Scanner-event-kbd")}
		k := newFakeKeys(t, typeKeys(1000, append(keysOf(code), codeEnter)...)...)
		events := watchFor(t, evdevSource(t, cfg, c.inputOf(k)), 3*time.Second)
		assert.Equal(t, []string{code}, texts(events))
		assert.Equal(t, cfg.Device, events[0].Device)

		c.plug("1-3", 0x1eab, 0x0003, "", 1, keyboardDescriptor)
		events = watchFor(t, evdevSource(t, cfg, c.inputOf(newFakeKeys(t))), time.Second)
		require.Equal(t, []State{Blocked}, states(events), "two equal ones share the name")
		assert.Equal(t, TroubleAmbiguous, events[0].Trouble.Code)

		_, err := newEvdev(Config{Kind: "evdev", Device: node}, c.inputOf())
		assert.ErrorContains(t, err, "may be another keyboard after the next start")
	})
}

func TestAKeyThatIsDownIsWaitedForBeforeTheGrab(t *testing.T) {
	withKeyboard(t, func(t *testing.T, c *computer, _ string) {
		k := newFakeKeys(t, typeKeys(2000, append(keysOf(code), codeEnter)...)...)
		k.down = []bool{true, true, true} // then up
		start := time.Now()
		events := watchFor(t, evdevSource(t, evdevScanner, c.inputOf(k)), 5*time.Second)
		require.Equal(t, []State{Ready}, states(events))
		assert.Equal(t, 4*grabQuiet, events[0].At.Sub(start), "a key that is let go after the grab would stay down for everybody else")
		assert.Equal(t, []string{code}, texts(events))
	})
}

func TestAKeyThatStaysDownIsSaid(t *testing.T) {
	withKeyboard(t, func(t *testing.T, c *computer, _ string) {
		var all []*fakeKeys
		for range 40 {
			k := newFakeKeys(t)
			for range 100 {
				k.down = append(k.down, true)
			}
			all = append(all, k)
		}
		events := watchFor(t, evdevSource(t, evdevScanner, c.inputOf(all...)), 10*time.Second)
		require.Equal(t, []State{Settling, Blocked}, states(events))
		assert.Equal(t, TroubleKeyHeld, events[1].Trouble.Code)
		for _, k := range all {
			assert.False(t, k.grabbed)
		}
	})
}

func TestAKeyThatGoesDownAtTheGrabGivesItBack(t *testing.T) {
	withKeyboard(t, func(t *testing.T, c *computer, _ string) {
		k := newFakeKeys(t)
		k.down = []bool{false, true}
		events := watchFor(t, evdevSource(t, evdevScanner, c.inputOf(k)), time.Second)
		assert.Equal(t, []State{Ready}, states(events))
		assert.Equal(t, 1, k.freed)
	})
}

func TestACodeThatIsTypedDuringTheTakeoverIsDropped(t *testing.T) {
	withKeyboard(t, func(t *testing.T, c *computer, _ string) {
		// 24 digits, whose first few go to the window that has the keyboard: what is left could look like a code of its own.
		keys := append(onPadCodes("280000"), append(keysOf(code), codeEnter)...)
		steps := typeKeys(1, keys[:2]...)
		steps = append(steps, keysAfter(60, struck(keys[2]))) // a pause as long as the silence that is waited for
		steps = append(steps, typeKeys(15, keys[3:]...)...)
		k := newFakeKeys(t, append(steps, typeKeys(1000, append(keysOf(code), codeEnter)...)...)...)
		events := watchFor(t, evdevSource(t, evdevScanner, c.inputOf(k)), 5*time.Second)
		assert.Equal(t, []string{code}, texts(events), "only the one that was typed afterwards")
		assert.Equal(t, TroubleGarbled, events[1].Trouble.Code, "and it is said")
	})
}

func TestAKeyboardThatAnotherProgramHasGrabbed(t *testing.T) {
	withKeyboard(t, func(t *testing.T, c *computer, node string) {
		c.addProcess(77, "otherd", node)
		var all []*fakeKeys
		for range 40 {
			k := newFakeKeys(t)
			k.grabs = []error{errors.New("device or resource busy")} // the library gives the errno's text alone
			all = append(all, k)
		}
		events := watchFor(t, evdevSource(t, evdevScanner, c.inputOf(all...)), 10*time.Second)
		require.Equal(t, []State{Settling, Blocked}, states(events))
		assert.Equal(t, TroubleBusy, events[1].Trouble.Code)
		assert.Contains(t, events[1].Trouble.What, "otherd (process 77)")
	})
}

func TestAKeyboardScannerIsUnpluggedInMidCode(t *testing.T) {
	withKeyboard(t, func(t *testing.T, c *computer, _ string) {
		gone := step{after: time.Millisecond, err: &os.PathError{Op: "read", Path: "event5", Err: unix.ENODEV}}
		first := newFakeKeys(t, append(typeKeys(500, keysOf(code[:9])...), gone)...)
		second := newFakeKeys(t, typeKeys(500, append(keysOf(code), codeEnter)...)...)
		events := watchFor(t, evdevSource(t, evdevScanner, c.inputOf(first, second)), 5*time.Second)
		require.Equal(t, []State{Ready, Lost, Ready}, states(events))
		assert.Equal(t, TroubleNotThere, events[1].Trouble.Code)
		assert.Equal(t, []string{code}, texts(events))
	})
}

func TestAKeyboardWhoseNodeVanishesIsLost(t *testing.T) {
	withKeyboard(t, func(t *testing.T, c *computer, node string) {
		d := evdevSource(t, evdevScanner, c.inputOf(newFakeKeys(t)))
		d.hotplug = &Hotplug{listen: fakeLine(nil)}
		time.AfterFunc(time.Second, func() {
			c.unplug("1-2")
			assert.NoError(t, os.Remove(node))
			d.hotplug.ring()
		})
		events := watchFor(t, d, 1100*time.Millisecond)
		require.Equal(t, []State{Ready, Lost}, states(events), "though no read has failed")
		assert.Equal(t, TroubleNotThere, events[1].Trouble.Code)
	})
}

func TestAKeyboardThatTheKernelDoesNotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-2", 0x1eab, 0x0003, "", 1, nil)
		events := watchFor(t, evdevSource(t, evdevScanner, c.inputOf()), 10*time.Second)
		require.Equal(t, []State{Settling, Blocked}, states(events))
		assert.Contains(t, events[1].Trouble.Error(), "the kernel's keyboard driver does not hold it; unplug it")
	})
}

func TestTheCashiersKeyboardIsNeverOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", 0x046d, 0xc31c, "", 1, keyboardDescriptor)
		c.addKeys("1-1", "event3")
		bus := c.inputOf(newFakeKeys(t))
		bus.open = func(node string) (keyDevice, error) {
			t.Error("opened", node)
			return nil, unix.ENODEV
		}
		for _, cfg := range []Config{evdevScanner, {Kind: "auto", VendorID: 0x1eab, ProductID: 0x0003}, {Kind: "evdev", VendorID: 0x046d, ProductID: 1}} {
			d, err := newAutoOrEvdev(cfg, places{hid: c.busOf(), input: bus})
			require.NoError(t, err)
			events := watchFor(t, d, 10*time.Second)
			assert.Equal(t, []State{Absent}, states(events))
		}
	})
}

func newAutoOrEvdev(cfg Config, at places) (*device, error) {
	if cfg.isAuto() {
		return newAuto(cfg, at)
	}
	return newHardware(cfg, at)
}

func TestOnlyInputDevicesThatTypeDigitsCount(t *testing.T) {
	c := newComputer(t)
	c.plug("1-2", 0x1eab, 0x0003, "", 1, keyboardDescriptor)
	node := c.addKeys("1-2", "event5")
	media := filepath.Join(c.sys, "bus/usb/devices/1-2:1.0/0003:1234:5678.0001/input/input8")
	c.write(filepath.Join(media, "event4/dev"), "13:69\n")
	c.write(filepath.Join(media, "capabilities/key"), "3f000303ff 0 0 483ffff17aff32d bfd4444600000000 1 130ff38b17d000 677bfad9415fed 19ed68000004400 10000002\n")
	assert.Equal(t, []string{node}, hidInterfaces(c.sys, c.dev)[0].keys)
	assert.True(t, typesDigits("ffc"), "the main row alone")
	for _, few := range []string{"", "ff8", "0 7fc", "word"} {
		assert.False(t, typesDigits(few), few)
	}
}
