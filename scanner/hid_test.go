package scanner

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeHandle is an opened HID device that plays steps.
type fakeHandle struct {
	fakePort
	features [][]byte
	refuses  error // what SendFeatureReport answers
}

func (h *fakeHandle) ReadTimeout(b []byte, ms int) (int, error) {
	assert.Positive(h.t, ms, "0 is a poll in the library, and below it waits for ever")
	h.slice = time.Duration(ms) * time.Millisecond
	return h.Read(b)
}

func (h *fakeHandle) SendFeatureReport(b []byte) (int, error) {
	h.features = append(h.features, b)
	return len(b), h.refuses
}

// stepsOf makes a step of each report, a millisecond apart, each followed by an empty report as some devices send.
func stepsOf(reports ...[]byte) []step {
	var steps []step
	for _, r := range reports {
		steps = append(steps, step{after: time.Millisecond, bytes: string(r)}, step{})
	}
	return steps
}

// busOf is the computer's USB, where opening gives handles in turn.
func (c *computer) busOf(handles ...*fakeHandle) hidBus {
	return hidBus{sys: c.sys, dev: c.dev, supported: true, open: func(usbInterface) (hidHandle, error) {
		if len(handles) == 0 {
			return nil, errors.New("hidapi: failed to open device")
		}
		h := handles[0]
		handles = handles[1:]
		return h, nil
	}}
}

func hidSource(t *testing.T, cfg Config, bus hidBus) *device {
	t.Helper()
	cfg.Kind = "hid"
	d, err := newHID(cfg, bus)
	require.NoError(t, err)
	return d
}

var (
	posScanner      = Config{VendorID: 0x05e0, ProductID: 0x1300}
	keyboardScanner = Config{VendorID: 0x1eab, ProductID: 0x0003, Mode: "keyboard"}
)

func TestAPointOfSaleScannerIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", posScanner.VendorID, posScanner.ProductID, "", 0, scannerDescriptor)
		h := &fakeHandle{fakePort: fakePort{t: t, steps: stepsOf(posReport(18, "]Q1", code, false), posReport(18, "]Q1", code, false))}}
		events := watchFor(t, hidSource(t, posScanner, c.busOf(h)), time.Second)
		assert.Equal(t, []string{code, code}, texts(events))
		assert.Equal(t, "hid 05e0:1300", events[0].Device)
		assert.Empty(t, h.features, "only the makers that need it get the report")
		assert.True(t, h.closed)
	})
}

func TestAKeyboardScannerIsReadAndUnpluggedInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", keyboardScanner.VendorID, keyboardScanner.ProductID, "", 1, keyboardDescriptor)
		gone := step{after: time.Millisecond, err: errors.New("hidapi: hid_error is not implemented yet")}
		first := &fakeHandle{fakePort: fakePort{t: t, steps: append(stepsOf(typed(code[:9])...), gone)}}
		second := &fakeHandle{fakePort: fakePort{t: t, steps: stepsOf(append(typed(code), press(0x28)...)...)}}
		events := watchFor(t, hidSource(t, keyboardScanner, c.busOf(first, second)), 5*time.Second)
		assert.Equal(t, []State{Ready, Lost, Ready}, states(events))
		assert.Equal(t, []string{code}, texts(events))
		assert.True(t, first.closed)
	})
}

func TestReadsOfAHIDDeviceAreLongWhileNothingIsScanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", posScanner.VendorID, posScanner.ProductID, "", 0, scannerDescriptor)
		h := &fakeHandle{fakePort: fakePort{t: t}}
		watchFor(t, hidSource(t, posScanner, c.busOf(h)), 10*time.Second)
		assert.LessOrEqual(t, h.reads, int(10*time.Second/hidIdle)+1)
		p := &hidPort{}
		p.await(true)
		assert.Equal(t, hidSlice, p.slice, "silence that ends a scan is noticed in time")
	})
}

func TestAHIDDeviceWhoseNodeVanishesIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", posScanner.VendorID, posScanner.ProductID, "", 0, scannerDescriptor)
		d := hidSource(t, posScanner, c.busOf(&fakeHandle{fakePort: fakePort{t: t}}))
		d.hotplug = &Hotplug{listen: fakeLine(nil)}
		time.AfterFunc(time.Second, func() {
			c.unplug("1-1")
			assert.NoError(t, os.RemoveAll(filepath.Join(c.dev, "bus")))
			d.hotplug.ring()
		})
		events := watchFor(t, d, 1800*time.Millisecond)
		require.Equal(t, []State{Ready, Lost}, states(events), "though no read has failed")
		assert.Equal(t, TroubleNotThere, events[1].Trouble.Code)
	})
}

func TestAReadErrorIsExplainedBySysfs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", posScanner.VendorID, posScanner.ProductID, "", 0, scannerDescriptor)
		failing := func() *fakeHandle {
			return &fakeHandle{fakePort: fakePort{t: t, steps: []step{{after: time.Second, err: errors.New("hidapi: unknown failure")}}}}
		}
		d := hidSource(t, posScanner, c.busOf(failing()))
		events := watchFor(t, d, 1200*time.Millisecond)
		require.Equal(t, []State{Ready, Lost}, states(events))
		assert.Equal(t, TroubleBroken, events[1].Trouble.Code, "it is still plugged in")

		d = hidSource(t, posScanner, c.busOf(failing()))
		time.AfterFunc(500*time.Millisecond, func() { c.unplug("1-1") })
		events = watchFor(t, d, 3*time.Second)
		require.Equal(t, []State{Ready, Lost}, states(events))
		assert.Equal(t, TroubleNotThere, events[1].Trouble.Code)
		assert.Equal(t, "the scanner hid 05e0:1300 was unplugged; plug it in again", events[1].Trouble.Error())
	})
}

func TestHoneywellAndYoujieAreToldToSendHere(t *testing.T) {
	for _, vendor := range []uint16{0x0c2e, 0x23d0} {
		synctest.Test(t, func(t *testing.T) {
			c := newComputer(t)
			c.plug("1-1", vendor, 1, "", 0, scannerDescriptor)
			h := &fakeHandle{fakePort: fakePort{t: t}}
			watchFor(t, hidSource(t, Config{VendorID: vendor, ProductID: 1}, c.busOf(h)), time.Second)
			assert.Equal(t, [][]byte{{254, 1}}, h.features)
		})
	}
}

func TestAKeyboardIsNotToldToSendHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", vendorHoneywell, 1, "", 1, keyboardDescriptor)
		h := &fakeHandle{fakePort: fakePort{t: t}}
		events := watchFor(t, hidSource(t, Config{VendorID: vendorHoneywell, ProductID: 1, Mode: "keyboard"}, c.busOf(h)), time.Second)
		assert.Equal(t, []State{Ready}, states(events))
		assert.Empty(t, h.features)
	})
}

func TestAFailedOpeningLeavesNoLockBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", posScanner.VendorID, posScanner.ProductID, "", 0, scannerDescriptor)
		h := &fakeHandle{fakePort: fakePort{t: t}}
		bus, tries := c.busOf(h), 0
		opens := bus.open
		bus.open = func(in usbInterface) (hidHandle, error) {
			if tries++; tries < 5 {
				return nil, errors.New("hidapi: failed to open device")
			}
			return opens(in)
		}
		events := watchFor(t, hidSource(t, posScanner, bus), time.Minute)
		assert.Equal(t, []State{Settling, Ready}, states(events))
	})
}

func TestAScannerThatRefusesToSendHereIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", vendorHoneywell, 1, "", 0, scannerDescriptor)
		h := &fakeHandle{fakePort: fakePort{t: t}, refuses: errors.New("stalled")}
		events := watchFor(t, hidSource(t, Config{VendorID: vendorHoneywell, ProductID: 1}, c.busOf(h)), 50*time.Millisecond)
		require.Len(t, events, 1)
		assert.Contains(t, events[0].Trouble.What, "could not be told to send its scans here")
		assert.True(t, h.closed)
	})
}

func TestABuildWithoutHIDSupportSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", posScanner.VendorID, posScanner.ProductID, "", 0, scannerDescriptor)
		bus := c.busOf()
		bus.supported = false
		events := watchFor(t, hidSource(t, posScanner, bus), time.Minute)
		require.Equal(t, []State{Blocked}, states(events))
		assert.Equal(t, TroubleNoHID, events[0].Trouble.Code)
		assert.Contains(t, events[0].Trouble.Next, `kind = "serial"`)
	})
}

func TestTheNodeTellsWhyOpeningFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", posScanner.VendorID, posScanner.ProductID, "", 0, scannerDescriptor)
		events := watchFor(t, hidSource(t, posScanner, c.busOf()), time.Minute)
		require.Equal(t, []State{Settling, Blocked}, states(events), "the node opens and the library does not: another program has it")
		assert.Equal(t, TroubleBusy, events[1].Trouble.Code)

		require.NoError(t, os.RemoveAll(filepath.Join(c.dev, "bus")))
		events = watchFor(t, hidSource(t, posScanner, c.busOf()), time.Second)
		assert.Equal(t, []State{Absent}, states(events), "udev has not made the node yet")

		node := filepath.Join(c.dev, "bus/usb/001/001")
		c.write(node, "")
		held, err := claimPort(node)
		require.NoError(t, err)
		events = watchFor(t, hidSource(t, posScanner, c.busOf()), time.Second)
		assert.Equal(t, TroubleBusy, events[0].Trouble.Code, "another posagent has it")
		require.NoError(t, held.release())
	})
}

func TestHIDSettingsThatCannotWork(t *testing.T) {
	for key, cfg := range map[string]Config{
		"vendor_id":  {Kind: "hid", ProductID: 1},
		"product_id": {Kind: "hid", VendorID: 1},
		"mode":       {Kind: "hid", VendorID: 1, ProductID: 1, Mode: "mouse"},
		"gap":        {Kind: "hid", VendorID: 1, ProductID: 1, Gap: time.Hour},
	} {
		source, err := New(cfg)
		var mistake *ConfigError
		require.ErrorAs(t, err, &mistake)
		assert.Equal(t, key, mistake.Key)
		assert.Nil(t, source)
	}
	_, err := New(Config{Kind: "hid", VendorID: 1, ProductID: 1})
	assert.NoError(t, err)
}
