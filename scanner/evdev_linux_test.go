package scanner

import (
	"os"
	"testing"
	"time"

	"github.com/holoplot/go-evdev"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheCodesAreThoseOfTheKernel(t *testing.T) {
	for c, usage := range map[evdev.EvCode]byte{
		evdev.KEY_1: 0x1E, evdev.KEY_9: 0x26, evdev.KEY_0: 0x27, evdev.KEY_A: 0x04, evdev.KEY_Z: 0x1D, evdev.KEY_Q: 0x14, evdev.KEY_P: 0x13, evdev.KEY_M: 0x10,
		evdev.KEY_L: 0x0F, evdev.KEY_ENTER: 0x28, evdev.KEY_TAB: 0x2B, evdev.KEY_SPACE: 0x2C, evdev.KEY_MINUS: 0x2D, evdev.KEY_EQUAL: 0x2E,
		evdev.KEY_LEFTBRACE: 0x2F, evdev.KEY_RIGHTBRACE: 0x30, evdev.KEY_BACKSLASH: 0x31, evdev.KEY_SEMICOLON: 0x33, evdev.KEY_APOSTROPHE: 0x34,
		evdev.KEY_GRAVE: 0x35, evdev.KEY_COMMA: 0x36, evdev.KEY_DOT: 0x37, evdev.KEY_SLASH: 0x38, evdev.KEY_KPSLASH: 0x54, evdev.KEY_KPASTERISK: 0x55,
		evdev.KEY_KPMINUS: 0x56, evdev.KEY_KPPLUS: 0x57, evdev.KEY_KPENTER: 0x58, evdev.KEY_KP1: 0x59, evdev.KEY_KP5: 0x5D, evdev.KEY_KP9: 0x61,
		evdev.KEY_KP0: 0x62, evdev.KEY_KPDOT: 0x63, evdev.KEY_102ND: 0x64,
	} {
		assert.Equal(t, usage, usageOfCode[c], "code %d", c)
	}
	for c, bit := range map[evdev.EvCode]byte{
		evdev.KEY_LEFTCTRL: leftCtrl, evdev.KEY_LEFTSHIFT: leftShift, evdev.KEY_LEFTALT: leftAlt, evdev.KEY_LEFTMETA: leftGUI,
		evdev.KEY_RIGHTCTRL: rightCtrl, evdev.KEY_RIGHTSHIFT: rightShift, evdev.KEY_RIGHTALT: rightAlt, evdev.KEY_RIGHTMETA: rightGUI,
	} {
		assert.Equal(t, bit, modifierOfCode[uint16(c)], "code %d", c)
	}
	for _, lock := range []evdev.EvCode{evdev.KEY_CAPSLOCK, evdev.KEY_NUMLOCK} {
		assert.Zero(t, usageOfCode[lock], "a lock types nothing")
	}
	assert.Equal(t, []int{evdev.KEY_1, evdev.KEY_0}, []int{digitCodes[0][0], digitCodes[0][9]})
	assert.Equal(t, []int{evdev.KEY_KP7, evdev.KEY_KP0}, []int{digitCodes[1][0], digitCodes[1][9]})
}

func TestAFileIsNoKeyboard(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "event")
	require.NoError(t, err)
	defer file.Close()
	_, err = openKeys(file.Name())
	assert.Error(t, err)
	_, err = openKeys(file.Name() + "none")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// virtualKeyboard is a keyboard of the kernel's uinput, which types what it is told.
func virtualKeyboard(t *testing.T) (keyboard *evdev.InputDevice, node string) {
	t.Helper()
	keys := []evdev.EvCode{}
	for c := evdev.EvCode(1); c < 128; c++ {
		keys = append(keys, c)
	}
	keyboard, err := evdev.CreateDevice("posagent test", evdev.InputID{BusType: 3, Vendor: 0x1eab, Product: 0x0003}, map[evdev.EvType][]evdev.EvCode{evdev.EV_KEY: keys})
	if err != nil {
		t.Skip("no virtual keyboards (uinput) here, so the grab is tried in the virtual machine alone: ", err)
	}
	t.Cleanup(func() { _ = evdev.DestroyDevice(keyboard) })
	paths, err := evdev.ListDevicePaths()
	require.NoError(t, err)
	for _, p := range paths {
		if p.Name == "posagent test" {
			return keyboard, p.Path
		}
	}
	t.Skip("the kernel has made a virtual keyboard, and /dev/input does not show it")
	return nil, ""
}

// typeOn types, each event after a pause.
func typeOn(t *testing.T, keyboard *evdev.InputDevice, pause time.Duration, records []byte) {
	t.Helper()
	for len(records) > 0 {
		e := evdev.InputEvent{Type: evdev.EV_KEY, Code: evdev.EvCode(uint16(records[1]) | uint16(records[2])<<8), Value: int32(records[3])}
		require.NoError(t, keyboard.WriteOne(&e))
		require.NoError(t, keyboard.WriteOne(&evdev.InputEvent{Type: evdev.EV_SYN, Code: evdev.SYN_REPORT}))
		records = records[keyRecordBytes:]
		time.Sleep(pause)
	}
}

func TestAVirtualKeyboardIsGrabbedReadAndLost(t *testing.T) {
	keyboard, node := virtualKeyboard(t)
	bus := inputBus{sys: t.TempDir(), dev: "/dev", proc: "/proc", open: openKeys}
	link := t.TempDir() + "/input/by-id/scanner"
	require.NoError(t, os.MkdirAll(link[:len(link)-len("/scanner")], 0o755))
	require.NoError(t, os.Symlink(node, link))
	bus.dev = link[:len(link)-len("/input/by-id/scanner")]
	d, err := newEvdev(Config{Kind: "evdev", Device: link}, bus)
	require.NoError(t, err)
	at := runTill(t, d)
	at.becomes(Ready)
	other, err := evdev.Open(node)
	require.NoError(t, err)
	defer other.Close()
	assert.EqualError(t, other.Grab(), "device or resource busy", "nobody else gets its keys")
	for range 20 {
		typeOn(t, keyboard, time.Millisecond, struck(append(keysOf(code), codeEnter)...))
		at.reads(code)
	}
	for range 20 { // faster than any scanner: the kernel keeps 64 events, and says where it dropped some
		typeOn(t, keyboard, 0, struck(append(keysOf(code), codeEnter)...))
		switch e := at.next(); e.Kind {
		case KindScan:
			assert.Equal(t, code, e.Scan.Text.Reveal())
		default:
			assert.Equal(t, TroubleGarbled, e.Trouble.Code)
		}
		time.Sleep(2 * keyboardGap)
	}
	require.NoError(t, evdev.DestroyDevice(keyboard))
	assert.Equal(t, TroubleNotThere, at.becomes(Lost).Trouble.Code)
}
