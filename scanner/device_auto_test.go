package scanner

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var autoScanner = Config{Kind: "auto", VendorID: 0x1eab, ProductID: 0x0003}

func TestAutoFindsOutWhatADeviceIs(t *testing.T) {
	c := newComputer(t)
	keyboard := c.plug("1-1", 0x1eab, 0x0001, "", 1, keyboardDescriptor)
	c.plug("1-2", 0x1eab, 0x0002, "", 0, scannerDescriptor)
	port := c.plug("1-3", 0x1eab, 0x0003, "", 0, mouseDescriptor)
	c.addPort("ttyACM0", port, "")
	both := c.plug("1-4", 0x1eab, 0x0004, "", 1, keyboardDescriptor)
	c.addInterface("1-4", 1, 0, scannerDescriptor)
	c.plug("1-5", 0x1eab, 0x0005, "", 2, mouseDescriptor)
	at := places{hid: c.busOf(), input: c.inputOf()}
	for product, want := range map[uint16]Config{
		1: {Kind: "evdev", VendorID: 0x1eab, ProductID: 1},
		2: {Kind: "hid", Mode: "pos", VendorID: 0x1eab, ProductID: 2},
		3: {Kind: "serial", Device: filepath.Join(c.dev, "ttyACM0")},
		4: {Kind: "hid", Mode: "pos", VendorID: 0x1eab, ProductID: 4},
	} {
		for _, kind := range []Config{{Kind: "auto"}, {Kind: "hid"}, {Kind: "hid", Mode: "auto"}} {
			kind.VendorID, kind.ProductID = 0x1eab, product
			got, err := resolve(kind, at)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
	}
	_, err := resolve(Config{Kind: "auto", VendorID: 0x1eab, ProductID: 5}, at)
	assert.Equal(t, TroubleNoInterface, asTrouble(err).Code, "a mouse is no scanner")
	for device, kind := range map[string]string{"/dev/posagent-scanner": "serial", filepath.Join(c.dev, "input/by-id/x"): "evdev"} {
		got, err := resolve(Config{Kind: "auto", Device: device}, at)
		require.NoError(t, err)
		assert.Equal(t, kind, got.Kind)
	}
	settled := Config{Kind: "hid", Mode: "keyboard", VendorID: 1, ProductID: 2}
	got, err := Resolve(settled)
	require.NoError(t, err)
	assert.Equal(t, settled, got, "the library that detaches the driver is used where it is written, and only there")
	_, _ = keyboard, both
}

func TestAutoRefusesToGuessBetweenTwoPorts(t *testing.T) {
	c := newComputer(t)
	c.addPort("ttyACM0", c.plug("1-1", 0x1eab, 0x0003, "A", 0, mouseDescriptor), "")
	c.addPort("ttyACM1", c.plug("1-2", 0x1eab, 0x0003, "B", 0, mouseDescriptor), "")
	at := places{hid: c.busOf(), input: c.inputOf()}
	_, err := resolve(autoScanner, at)
	require.Equal(t, TroubleAmbiguous, asTrouble(err).Code)
	assert.Contains(t, err.Error(), `serial = "A" or serial = "B"`)
	named := autoScanner
	named.Serial = "B"
	got, err := resolve(named, at)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(c.dev, "ttyACM1"), got.Device)
	named = autoScanner
	named.Device = "1-1"
	got, err = resolve(named, at)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(c.dev, "ttyACM0"), got.Device)
}

func TestAScannerThatWasSetToAnotherModeIsReadOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-2", 0x1eab, 0x0003, "", 1, keyboardDescriptor)
		c.addKeys("1-2", "event5")
		gone := step{after: time.Second, err: unix.ENODEV}
		keys := newFakeKeys(t, append(typeKeys(500, append(keysOf(code), codeEnter)...), gone)...)
		pos := &fakeHandle{fakePort: fakePort{t: t, steps: stepsOf(posReport(18, "]Q1", code, false))}}
		d, err := newAuto(autoScanner, places{hid: c.busOf(pos), input: c.inputOf(keys)})
		require.NoError(t, err)
		time.AfterFunc(1500*time.Millisecond, func() {
			c.unplug("1-2")
			c.plug("1-3", 0x1eab, 0x0003, "", 0, scannerDescriptor)
		})
		events := watchFor(t, d, 10*time.Second)
		assert.Equal(t, []State{Ready, Lost, Ready}, states(events))
		assert.Equal(t, []string{code, code}, texts(events))
		assert.Equal(t, "auto 1eab:0003", events[0].Device)
	})
}

func TestASwappedScannerIsToldOf(t *testing.T) {
	c := newComputer(t)
	at := places{hid: c.busOf(), input: c.inputOf()}
	say := func(cfg Config) *Trouble {
		_, err := resolve(cfg, at)
		require.Error(t, err)
		return asTrouble(err)
	}
	c.plug("1-1", 0x046d, 0xc31c, "", 1, keyboardDescriptor) // the cashier's keyboard
	assert.NotContains(t, say(autoScanner).What, "another one")

	c.plug("1-2", 0x0c2e, 0x0b81, "S1", 0, scannerDescriptor)
	trouble := say(autoScanner)
	assert.Equal(t, TroubleSwapped, trouble.Code)
	assert.Contains(t, trouble.What, "but another one is: 0c2e:0b81 (Maker Scanner)")
	assert.Contains(t, trouble.Next, "posagent scanner learn")
	trouble = say(Config{Kind: "auto", VendorID: 0x0c2e, ProductID: 0x0b81, Serial: "S0"})
	assert.Contains(t, trouble.What, "serial S1 at USB port 1-2", "the same model with another number")

	lock, err := claimPort(filepath.Join(c.dev, "bus/usb/001/002"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(at.input.proc, 0o755))
	locks, err := os.Open("/proc/locks")
	require.NoError(t, err)
	defer locks.Close()
	text, err := io.ReadAll(locks)
	require.NoError(t, err)
	c.write(filepath.Join(at.input.proc, "locks"), string(text))
	assert.NotContains(t, say(autoScanner).What, "another one", "that one is another section's")
	require.NoError(t, lock.release())
}

func TestASwapIsSaidWhenItHappensAndWhenItIsUndone(t *testing.T) {
	for _, cfg := range []Config{autoScanner, evdevScanner} {
		synctest.Test(t, func(t *testing.T) {
			c := newComputer(t)
			c.plug("1-2", 0x1eab, 0x0003, "", 1, keyboardDescriptor)
			c.addKeys("1-2", "event5")
			keys := newFakeKeys(t, step{after: time.Second, err: unix.ENODEV})
			d, err := newAutoOrEvdev(cfg, places{hid: c.busOf(), input: c.inputOf(keys)})
			require.NoError(t, err)
			time.AfterFunc(900*time.Millisecond, func() { c.unplug("1-2") })
			time.AfterFunc(10*time.Second, func() { c.plug("1-3", 0x0c2e, 0x0b81, "", 0, scannerDescriptor) })
			time.AfterFunc(20*time.Second, func() { c.unplug("1-3") })
			var said []string
			for _, e := range watchFor(t, d, 30*time.Second) {
				said = append(said, e.State.String()+" "+string(e.Trouble.Code))
			}
			assert.Equal(t, []string{"ready ", "lost not_there", "lost swapped", "lost not_there"}, said)
		})
	}
}

func TestAutoIsRecordedOnlyOnceItIsSettled(t *testing.T) {
	c := newComputer(t)
	d, err := newAuto(autoScanner, places{hid: c.busOf(), input: c.inputOf()})
	require.NoError(t, err)
	_, err = Record(d, io.Discard)
	assert.Error(t, err)
}

func TestAutoTakesAndChecksTheLineSettings(t *testing.T) {
	for key, cfg := range map[string]Config{
		"baud": {Kind: "auto", Device: "/dev/x", Baud: 1}, "gap": {Kind: "auto", Device: "/dev/x", Gap: time.Hour}, "mode": {Kind: "hid", Mode: "x", VendorID: 1, ProductID: 1},
	} {
		_, err := New(cfg)
		var mistake *ConfigError
		require.ErrorAs(t, err, &mistake)
		assert.Equal(t, key, mistake.Key)
	}
}

// A keyboard that is no boot keyboard is told apart by its report descriptor alone, which is there once the kernel's driver
// has asked for it: some tens of milliseconds after the first message tells of the device.
func TestADeviceIsNotTakenForAScannerBeforeTheKernelHasReadWhatItIs(t *testing.T) {
	c := newComputer(t)
	dir := c.plug("1-1", 0x1eab, 0x0003, "", 0, nil)
	c.write(filepath.Join(dir, "power/connected_duration"), "40\n")
	at := places{hid: c.busOf(), input: c.inputOf()}
	for _, in := range hidInterfaces(c.sys, c.dev) {
		assert.False(t, in.pos, "reading it would take it from the cashier, if it is a keyboard")
	}
	assert.Empty(t, candidates(c.sys, c.dev), "nor does learn open it")
	for _, kind := range []Config{{Kind: "auto"}, {Kind: "hid", Mode: "pos"}} {
		kind.VendorID, kind.ProductID = 0x1eab, 0x0003
		kind.Mode = orDefault(kind.Mode, "auto")
		_, err := matchOrOther(kind, at)
		require.Error(t, err)
		assert.True(t, asTrouble(err).settles(), "it is looked at again a moment later: %v", err)
	}

	c.addInterface("1-1", 0, 0, keyboardDescriptor)
	got, err := resolve(autoScanner, at)
	require.NoError(t, err)
	assert.Equal(t, "evdev", got.Kind)
}

func TestADeviceOfTwoKindsIsNotTakenForAKeyboardTooSoon(t *testing.T) {
	c := newComputer(t)
	dir := c.plug("1-1", 0x1eab, 0x0003, "", 1, keyboardDescriptor)
	c.addInterface("1-1", 1, 0, nil) // HID POS, as will be seen
	c.write(filepath.Join(dir, "power/connected_duration"), "40\n")
	at := places{hid: c.busOf(), input: c.inputOf()}
	_, err := resolve(autoScanner, at)
	require.Error(t, err)
	assert.True(t, asTrouble(err).settles())
	asKeyboard := autoScanner
	asKeyboard.Mode = "keyboard"
	in, err := matchOrOther(asKeyboard, at)
	require.NoError(t, err, "a keyboard that is asked for is one")
	assert.Equal(t, "1-1:1.0", in.path)

	c.write(filepath.Join(dir, "power/connected_duration"), "60000\n")
	got, err := resolve(autoScanner, at)
	require.NoError(t, err)
	assert.Equal(t, "pos", got.Mode, "no driver of the kernel took it: a program that read it was killed")
}
