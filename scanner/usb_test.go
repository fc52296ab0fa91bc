package scanner

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A few bytes of report descriptors: usage page, usage, collection.
var (
	keyboardDescriptor = []byte{0x05, 0x01, 0x09, 0x06, 0xA1, 0x01}
	mouseDescriptor    = []byte{0x05, 0x01, 0x09, 0x02, 0xA1, 0x01}
	scannerDescriptor  = []byte{0x05, 0x8C, 0x09, 0x02, 0xA1, 0x01}
)

// computer is a folder with the parts of sysfs and dev that are read.
type computer struct {
	t        *testing.T
	sys, dev string
	devices  int
}

func newComputer(t *testing.T) *computer {
	t.Helper()
	c := &computer{t: t, sys: filepath.Join(t.TempDir(), "sys"), dev: filepath.Join(t.TempDir(), "dev")}
	require.NoError(t, os.MkdirAll(c.dev, 0o755))
	return c
}

func (c *computer) write(path, value string) {
	c.t.Helper()
	require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(c.t, os.WriteFile(path, []byte(value), 0o600))
}

// plug adds a device with one HID interface and returns the device's folder.
func (c *computer) plug(port string, vendor, product uint16, serial string, protocol int, descriptor []byte) string {
	c.t.Helper()
	c.devices++
	dir := filepath.Join(c.sys, "bus/usb/devices", port)
	for name, value := range map[string]string{
		"idVendor": fmt.Sprintf("%04x\n", vendor), "idProduct": fmt.Sprintf("%04x\n", product), "serial": serial + "\n",
		"manufacturer": "Maker\n", "product": "Scanner\n", "busnum": "1\n", "devnum": fmt.Sprintf("%d\n", c.devices),
	} {
		c.write(filepath.Join(dir, name), value)
	}
	c.write(filepath.Join(c.dev, fmt.Sprintf("bus/usb/001/%03d", c.devices)), "")
	c.addInterface(port, 0, protocol, descriptor)
	return dir
}

func (c *computer) addInterface(port string, number, protocol int, descriptor []byte) {
	c.t.Helper()
	dir := filepath.Join(c.sys, "bus/usb/devices", fmt.Sprintf("%s:1.%d", port, number))
	c.write(filepath.Join(dir, "bInterfaceClass"), "03\n")
	c.write(filepath.Join(dir, "bInterfaceProtocol"), fmt.Sprintf("%02d\n", protocol))
	if descriptor != nil {
		c.write(filepath.Join(dir, "0003:1234:5678.0001/report_descriptor"), string(descriptor))
	}
}

func (c *computer) unplug(port string) {
	c.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(c.sys, "bus/usb/devices", port+"*"))
	require.NoError(c.t, err)
	for _, dir := range dirs {
		require.NoError(c.t, os.RemoveAll(dir))
	}
}

func TestInterfacesAreToldApartInSysfs(t *testing.T) {
	c := newComputer(t)
	c.plug("1-1", 0x0c2e, 0x0b81, "S1", 0, scannerDescriptor)
	c.plug("1-2", 0x046d, 0xc31c, "", 1, keyboardDescriptor)
	c.addInterface("1-2", 1, 0, []byte{0x05, 0x0C, 0x09, 0x01, 0xA1, 0x01}) // media keys
	c.plug("1-3", 0x046d, 0xc077, "", 2, mouseDescriptor)
	c.plug("1-4", 0x1eab, 0x8306, "", 0, nil) // no kernel driver, no descriptor
	c.plug("1-6", 0x046d, 0xc077, "", 2, nil)
	c.plug("1-5", 0x1234, 0x0001, "", 0, keyboardDescriptor)
	var seen []string
	for _, in := range hidInterfaces(c.sys, c.dev) {
		seen = append(seen, fmt.Sprintf("%s keyboard=%t pos=%t", in.path, in.keyboard, in.pos))
	}
	assert.Equal(t, []string{
		"1-1:1.0 keyboard=false pos=true", "1-2:1.0 keyboard=true pos=false", "1-2:1.1 keyboard=false pos=false",
		"1-3:1.0 keyboard=false pos=false", "1-4:1.0 keyboard=false pos=true", "1-5:1.0 keyboard=true pos=false",
		"1-6:1.0 keyboard=false pos=false",
	}, seen)
	first := hidInterfaces(c.sys, c.dev)[0]
	assert.Equal(t, filepath.Join(c.dev, "bus/usb/001/001"), first.node)
	assert.Equal(t, "0c2e:0b81 at USB port 1-1 (Maker Scanner), serial S1", first.String())
	assert.Empty(t, hidInterfaces(filepath.Join(c.sys, "none"), c.dev), "no USB is no error")
}

func TestTheFirstUsageOfADescriptor(t *testing.T) {
	page, usage, known := firstUsage([]byte{0x06, 0x8C, 0x00, 0x0A, 0x02, 0x00, 0xA1, 0x01})
	assert.True(t, known)
	assert.Equal(t, uint32(0x8C), page)
	assert.Equal(t, uint32(2), usage)
	page, usage, known = firstUsage([]byte{0x05, 0x01, 0x0B, 0x02, 0x00, 0x8C, 0x00, 0xA1, 0x01})
	assert.True(t, known, "a usage of four bytes brings its page along")
	assert.Equal(t, []uint32{0x8C, 2}, []uint32{page, usage})
	for _, bad := range [][]byte{nil, {0x05}, {0x05, 0x01, 0x07, 0x01}, {0xFE, 0x01, 0x00}} {
		_, _, known := firstUsage(bad)
		assert.False(t, known)
	}
}

func FuzzFirstUsage(f *testing.F) {
	f.Add(scannerDescriptor)
	f.Add([]byte{0x07, 1, 2, 3, 4, 0xFE, 0, 0})
	f.Fuzz(func(_ *testing.T, descriptor []byte) { firstUsage(descriptor) })
}

func TestWhatADeviceCallsItselfCannotSteerATerminalOrBreakTheConfiguration(t *testing.T) {
	c := newComputer(t)
	dir := c.plug("1-1", 0x1eab, 0x0001, "S\x1b[31m\x017\x7f", 1, keyboardDescriptor)
	c.write(filepath.Join(dir, "product"), "Scanner\x1b]0;rm -rf\x07\r\nready: scan something\n")
	c.addProcess(7, "cat\x1b[2J", filepath.Join(c.dev, "x"))
	in := hidInterfaces(c.sys, c.dev)[0]
	assert.Equal(t, "S[31m7", in.serial)
	assert.Equal(t, "Maker Scanner]0;rm -rfready: scan something", in.name)
	assert.Contains(t, candidates(c.sys, c.dev)[0].TOML(), "serial = \"S[31m7\"\n", "a text that TOML can write")
	_, err := match(Config{Kind: "evdev", Mode: "keyboard", VendorID: 0x1eab, ProductID: 0x0001, Serial: "S[31m7"}, hidInterfaces(c.sys, c.dev))
	require.NoError(t, err, "and one that names it")
	assert.Equal(t, "cat[2J", holdersOf(c.inputOf().proc, filepath.Join(c.dev, "x"))[0].Program)
}
