package scanner

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// addPort makes a serial port; usb is the folder of the USB device that it belongs to, or empty.
func (c *computer) addPort(name, usb, chip string) {
	c.t.Helper()
	dir := filepath.Join(c.sys, "class/tty", name)
	c.write(filepath.Join(dir, "type"), chip+"\n")
	c.write(filepath.Join(c.dev, name), "")
	if usb != "" {
		at := filepath.Join(usb, "tty-interface", name)
		require.NoError(c.t, os.MkdirAll(at, 0o755))
		require.NoError(c.t, os.Symlink(at, filepath.Join(dir, "device")))
	}
}

func (c *computer) link(name, target string) {
	c.t.Helper()
	path := filepath.Join(c.dev, name)
	require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(c.t, os.Symlink(filepath.Join(c.dev, target), path))
}

func TestListFindsSerialPortsWithHardware(t *testing.T) {
	c := newComputer(t)
	ftdi := c.plug("1-1", 0x0403, 0x6001, "F-1", 0, mouseDescriptor)
	acm := c.plug("1-2", 0x1eab, 0x0c06, "", 0, mouseDescriptor)
	c.addPort("ttyUSB0", ftdi, "")
	c.addPort("ttyACM0", acm, "")
	c.addPort("ttyS0", "", "4")
	c.addPort("ttyS1", "", "0") // a name without a chip
	c.addPort("tty1", "", "")
	c.link("serial/by-id/usb-Maker_Scanner_F-1-if00", "ttyUSB0")
	c.link("serial/by-path/pci-usb-1", "ttyUSB0")
	found := listIn(c.sys, c.dev)
	require.Len(t, found, 3)
	acm0, builtIn, usb0 := found[0], found[1], found[2]
	assert.Equal(t, filepath.Join(c.dev, "ttyACM0"), acm0.Device)
	assert.Contains(t, acm0.Note, "udev rule", "the bare name may change")
	assert.Equal(t, filepath.Join(c.dev, "ttyS0"), builtIn.Device)
	assert.Equal(t, filepath.Join(c.dev, "serial/by-id/usb-Maker_Scanner_F-1-if00"), usb0.Device)
	assert.Equal(t, uint16(0x0403), usb0.VendorID)
	assert.Equal(t, "Maker Scanner", usb0.Name)
	assert.Equal(t, "F-1", usb0.Serial)
	assert.Empty(t, usb0.Note)
	assert.Equal(t, "[[scanner]]\nkind = \"serial\"\ndevice = \""+usb0.Device+"\"\nbaud = 9600\n", usb0.TOML())
}

func TestPosagentsOwnNameComesFirst(t *testing.T) {
	c := newComputer(t)
	c.addPort("ttyUSB0", c.plug("1-1", 0x0403, 0x6001, "F-1", 0, mouseDescriptor), "")
	c.link("serial/by-id/usb-Maker_Scanner_F-1-if00", "ttyUSB0")
	c.link("posagent-scanner", "ttyUSB0")
	assert.Equal(t, filepath.Join(c.dev, "posagent-scanner"), listIn(c.sys, c.dev)[0].Device)
}

func TestListFindsHIDScannersAndSaysWhatToWrite(t *testing.T) {
	c := newComputer(t)
	c.plug("1-1", 0x0c2e, 0x0b81, "S1", 0, scannerDescriptor)
	c.plug("1-2", 0x1eab, 0x0003, "", 1, keyboardDescriptor)
	c.plug("1-3", 0x1eab, 0x0003, "", 1, keyboardDescriptor)
	c.plug("1-4", 0x046d, 0xc077, "", 2, mouseDescriptor)
	found := listIn(c.sys, c.dev)
	require.Len(t, found, 3, "a mouse is no scanner")
	assert.Equal(t, "[[scanner]]\nkind = \"hid\"\nvendor_id = 0x0c2e\nproduct_id = 0x0b81\nmode = \"pos\"\nserial = \"S1\"\n", found[0].TOML())
	assert.Equal(t, "[[scanner]]\nkind = \"evdev\"\nvendor_id = 0x1eab\nproduct_id = 0x0003\ndevice = \"1-2\"\n", found[1].TOML())
	assert.Contains(t, found[1].Note, "a keyboard")
	for _, f := range found {
		cfg := f.Config()
		if f.Kind == "evdev" {
			cfg.Mode = "keyboard"
		}
		in, err := match(cfg, hidInterfaces(c.sys, c.dev))
		require.NoError(t, err, "what the list says to write picks this device")
		assert.Equal(t, f.Device, in.port)
	}
}

func TestAComputerWithoutAnythingHasAnEmptyList(t *testing.T) {
	assert.Empty(t, listIn(t.TempDir(), t.TempDir()))
}

func TestListOfThisComputerOpensNothingAndDoesNotFail(t *testing.T) {
	for _, f := range List() {
		assert.Contains(t, f.TOML(), "[[scanner]]")
	}
}
