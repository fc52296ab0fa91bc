package scanner

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.bug.st/serial"
)

func TestBadSettingsNameTheKeyAndTheRemedy(t *testing.T) {
	good := Config{Kind: "serial", Device: "/dev/posagent-scanner"}
	for name, row := range map[string]struct {
		change func(*Config)
		key    string
	}{
		"kind":      {func(c *Config) { c.Kind = "bluetooth" }, "kind"},
		"no kind":   {func(c *Config) { c.Kind = "" }, "kind"},
		"evdev":     {func(c *Config) { c.Kind = "evdev" }, "device"}, // not a name of an input device
		"event":     {func(c *Config) { c.Kind, c.Device = "evdev", "/dev/input/event5" }, "device"},
		"climbing":  {func(c *Config) { c.Kind, c.Device = "evdev", "/dev/input/by-id/../event5" }, "device"},
		"auto":      {func(c *Config) { c.Kind, c.Device = "auto", "/dev/input/event5" }, "device"},
		"no vendor": {func(c *Config) { c.Kind, c.Device = "evdev", "" }, "vendor_id"},
		"class":     {func(c *Config) { c.Kind, c.Device = "auto", "" }, "vendor_id"},
		"port only": {func(c *Config) { c.Kind, c.Device = "auto", "1-2" }, "vendor_id"},
		"product":   {func(c *Config) { c.Kind, c.Device, c.VendorID = "auto", "", 1 }, "product_id"},
		"product 2": {func(c *Config) { c.Kind, c.Device, c.VendorID = "evdev", "", 1 }, "product_id"},
		"stdin":     {func(c *Config) { c.Kind = "stdin" }, "kind"},
		"no device": {func(c *Config) { c.Device = "" }, "device"},
		"relative":  {func(c *Config) { c.Device = "ttyUSB0" }, "device"},
		"baud":      {func(c *Config) { c.Baud = 12 }, "baud"},
		"data bits": {func(c *Config) { c.DataBits = 9 }, "data_bits"},
		"stop bits": {func(c *Config) { c.StopBits = 3 }, "stop_bits"},
		"parity":    {func(c *Config) { c.Parity = "some" }, "parity"},
		"short gap": {func(c *Config) { c.Gap = time.Millisecond }, "gap"},
		"gap":       {func(c *Config) { c.Gap = time.Hour }, "gap"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			row.change(&cfg)
			_, err := New(cfg)
			var mistake *ConfigError
			require.ErrorAs(t, err, &mistake)
			assert.Equal(t, row.key, mistake.Key)
			assert.Contains(t, mistake.Next, "write", "the remedy says what to write")
		})
	}
	for _, cfg := range []Config{
		good,
		{Kind: "auto", Device: "/dev/posagent-scanner", Baud: 115200},
		{Kind: "auto", Device: "/dev/input/by-id/usb-Maker_Scanner-event-kbd"},
		{Kind: "auto", VendorID: 1, ProductID: 1},
		{Kind: "evdev", Device: "/dev/input/by-id/usb-Maker_Scanner-event-kbd"},
		{Kind: "evdev", VendorID: 1, ProductID: 1, Device: "1-2"},
	} {
		_, err := New(cfg)
		require.NoError(t, err)
	}
}

func TestEveryLineSettingOfTheDocumentedRangeIsTaken(t *testing.T) {
	for _, parity := range []string{"none", "odd", "even", "mark", "space"} {
		for _, stop := range []int{1, 2} {
			_, err := New(Config{Kind: "serial", Device: "/dev/x", Baud: 115200, DataBits: 7, Parity: parity, StopBits: stop, Gap: time.Second})
			assert.NoError(t, err)
		}
	}
}

func TestTheLineSettingsReachThePort(t *testing.T) {
	mode, err := serialMode(Config{Baud: 19200, DataBits: 7, Parity: "odd", StopBits: 2})
	require.NoError(t, err)
	assert.Equal(t, serial.Mode{BaudRate: 19200, DataBits: 7, Parity: serial.OddParity, StopBits: serial.TwoStopBits}, mode)
	mode, err = serialMode(Config{})
	require.NoError(t, err)
	assert.Equal(t, serial.Mode{BaudRate: 9600, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit}, mode)
	for name, want := range map[string]serial.Parity{"even": serial.EvenParity, "mark": serial.MarkParity, "space": serial.SpaceParity} {
		assert.Equal(t, want, parityOf(name))
	}
}

func TestTheGapGrowsWhereTheLineIsSlow(t *testing.T) {
	for baud, want := range map[int]time.Duration{115200: serialGap, 9600: serialGap, 1200: time.Second / 12, 300: time.Second / 3} {
		d, err := newSerial(Config{Kind: "serial", Device: "/dev/x", Baud: baud})
		require.NoError(t, err)
		assert.InDelta(t, want, d.decoder.(*Assembler).framing.Gap, float64(time.Millisecond))
	}
}

func TestStdinIsASource(t *testing.T) {
	source, err := New(Config{Kind: "stdin", Stdin: strings.NewReader(code + "\n")})
	require.NoError(t, err)
	assert.IsType(t, &Typed{}, source)
}

func TestPrefixAndSuffixReachEveryKindOfScanner(t *testing.T) {
	for name, cfg := range map[string]Config{
		"serial": {Kind: "serial", Device: "/dev/ttyS0"}, "hid": {Kind: "hid", VendorID: 0x05e0, ProductID: 0x1300, Mode: "pos"},
		"keyboard": {Kind: "hid", VendorID: 0x05e0, ProductID: 0x1200, Mode: "keyboard"}, "evdev": {Kind: "evdev", VendorID: 0x05e0, ProductID: 0x1200},
	} {
		cfg.Prefix, cfg.Suffix = "stx", "CRLF"
		source, err := New(cfg)
		require.NoError(t, err, name)
		form := source.(*device).format
		assert.Equal(t, "\x02", form.Prefix, name)
		assert.Equal(t, "\r\n", form.Suffix, name)
		cfg.Suffix = "1"
		_, err = New(cfg)
		assert.ErrorContains(t, err, "suffix has a digit", name)
	}
}
