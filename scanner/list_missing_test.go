package scanner

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// driver makes name the driver of an interface.
func (c *computer) driver(iface, name string) {
	c.t.Helper()
	dir := filepath.Join(c.sys, "bus/usb/drivers", name)
	require.NoError(c.t, os.MkdirAll(dir, 0o755))
	require.NoError(c.t, os.Symlink(dir, filepath.Join(c.sys, "bus/usb/devices", iface, "driver")))
}

func TestTheListSaysWhoHoldsADevice(t *testing.T) {
	c := newComputer(t)
	c.addPort("ttyACM0", c.plug("1-1", 0x1eab, 0x0c06, "", 0, mouseDescriptor), "")
	c.addProcess(321, "ModemManager", filepath.Join(c.dev, "ttyACM0"))
	found := listAt(places{hid: c.busOf(), input: c.inputOf()}, nil)
	require.Len(t, found, 1)
	assert.Equal(t, []Holder{{PID: 321, Program: "ModemManager"}}, found[0].Holders)
	assert.Empty(t, found[0].Missing)
}

func TestTheListSaysWhatIsMissing(t *testing.T) {
	c := newComputer(t)
	c.plug("1-1", 0x0c2e, 0x0b81, "", 0, scannerDescriptor)
	at := places{hid: c.busOf(), input: c.inputOf()}
	at.hid.supported = false
	folder := t.TempDir()
	r := &rules{dirs: []string{folder}}
	missing := func() []string { return listAt(at, r)[0].Missing }
	require.Len(t, missing(), 2)
	assert.Contains(t, missing()[0], "build with cgo")
	assert.Contains(t, missing()[1], "udev rule is not installed")

	at.hid.supported = true
	c.write(filepath.Join(folder, rulesFile), "ATTR{idVendor}==\"05E0\"\n")
	require.Len(t, missing(), 1)
	assert.Contains(t, missing()[0], "does not name vendor 0c2e")
	c.write(filepath.Join(folder, rulesFile), "ATTR{idVendor}==\"05E0|0C2E\"\n")
	assert.Empty(t, missing())

	require.NoError(t, os.Remove(filepath.Join(c.dev, "bus/usb/001/001")))
	require.Len(t, missing(), 1)
	assert.Contains(t, missing()[0], "is not there", "udev has not made its node")
}

func TestNobodyIsToldToGiveAwayTheCashiersKeyboard(t *testing.T) {
	c := newComputer(t)
	for port, vendor := range map[string]uint16{"1-1": 0x046d, "1-2": 0x1eab} {
		c.plug(port, vendor, 1, "", 1, keyboardDescriptor)
		c.addKeys(port, "event"+port[2:])
	}
	found := listAt(places{hid: c.busOf(), input: c.inputOf()}, &rules{})
	require.Len(t, found, 2)
	assert.Contains(t, found[0].Missing[0], "only if this is the scanner: ")
	assert.NotContains(t, found[1].Missing[0], "only if")
}

func TestTheMakersAreThoseOfTheRule(t *testing.T) {
	text, err := os.ReadFile("../systemd/" + rulesFile)
	require.NoError(t, err)
	r := &rules{dirs: []string{"../systemd"}}
	for _, vendor := range scannerMakers {
		_, covered := r.covers(vendor)
		assert.True(t, covered, "%04x", vendor)
	}
	for vendor := range serialChips {
		_, covered := r.covers(vendor)
		assert.True(t, covered, "%04x", vendor)
	}
	assert.Contains(t, string(text), `SUBSYSTEM=="input", KERNEL=="event*"`)
}

func TestAChipThatAnotherProgramTookIsListed(t *testing.T) {
	c := newComputer(t)
	c.plug("1-1", 0x1a86, 0x7523, "", 0, mouseDescriptor)
	at := places{hid: c.busOf(), input: c.inputOf()}
	require.Len(t, listAt(at, nil), 1)
	assert.Contains(t, listAt(at, nil)[0].Missing[0], "modprobe ch341")

	c.driver("1-1:1.0", "usbfs")
	assert.Contains(t, listAt(at, nil)[0].Missing[0], "a program has taken it")
	c.addProcess(5, "brltty", "/dev/null")
	assert.Contains(t, listAt(at, nil)[0].Missing[0], "remove the package brltty")

	dir := filepath.Join(c.sys, "bus/usb/devices/1-1")
	c.addPort("ttyUSB0", dir, "")
	require.Len(t, listAt(at, nil), 1)
	assert.Equal(t, filepath.Join(c.dev, "ttyUSB0"), listAt(at, nil)[0].Device, "with a port it is listed by that")
}

func TestAKeyboardThatAKilledProgramLeftIsExplained(t *testing.T) {
	c := newComputer(t)
	c.plug("1-1", 0x1eab, 0x0003, "", 1, nil)
	c.driver("1-1:1.0", "usbfs")
	found := listAt(places{hid: c.busOf(), input: c.inputOf()}, nil)
	require.Len(t, found, 1)
	assert.Equal(t, "evdev", found[0].Kind)
	assert.Contains(t, found[0].Missing[0], "was killed while it had")
}
