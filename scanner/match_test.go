package scanner

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func in(port, serial string, keyboard, pos bool) usbInterface {
	return usbInterface{usbDevice: usbDevice{port: port, vendor: 0x1eab, product: 0x0c06, serial: serial}, path: port + ":1.0", keyboard: keyboard, pos: pos}
}

func TestMatchRefusesToGuess(t *testing.T) {
	keyboard, pos := in("1-1", "", true, false), in("1-1", "", false, true)
	pos.path = "1-1:1.1"
	left, right := in("1-3", "A", false, true), in("1-4", "B", false, true)
	twinL, twinR := in("1-3", "", false, true), in("1-4", "", false, true)
	mouse := in("1-1", "", false, false)
	for name, row := range map[string]struct {
		change  func(*Config)
		there   []usbInterface
		picks   string
		trouble TroubleCode
		says    string
	}{
		"nothing there":              {there: nil, trouble: TroubleNotThere, says: "scanner list"},
		"the POS interface":          {there: []usbInterface{keyboard, pos}, picks: "1-1:1.1"},
		"a keyboard unasked":         {there: []usbInterface{keyboard}, trouble: TroubleKeyboard, says: `mode = "keyboard"`},
		"a keyboard by its name":     {change: func(c *Config) { c.Mode = "keyboard" }, there: []usbInterface{keyboard, pos}, picks: "1-1:1.0"},
		"POS asked, a keyboard only": {change: func(c *Config) { c.Mode = "pos" }, there: []usbInterface{keyboard}, trouble: TroubleNoInterface},
		"keyboard asked, POS only":   {change: func(c *Config) { c.Mode = "keyboard" }, there: []usbInterface{pos}, trouble: TroubleNoInterface},
		"neither":                    {there: []usbInterface{mouse}, trouble: TroubleNoInterface},
		"two with serial numbers":    {there: []usbInterface{left, right}, trouble: TroubleAmbiguous, says: `serial = "A" or serial = "B"`},
		"one of two by its serial":   {change: func(c *Config) { c.Serial = "B" }, there: []usbInterface{left, right}, picks: "1-4:1.0"},
		"equal ones":                 {there: []usbInterface{twinL, twinR}, trouble: TroubleAmbiguous, says: `device = "1-3" or device = "1-4"`},
		"one of two by its port":     {change: func(c *Config) { c.Device = "1-4" }, there: []usbInterface{twinL, twinR}, picks: "1-4:1.0"},
		"another serial":             {change: func(c *Config) { c.Serial = "C" }, there: []usbInterface{left, right}, trouble: TroubleNotThere},
		"another product":            {change: func(c *Config) { c.ProductID = 1 }, there: []usbInterface{pos}, trouble: TroubleNotThere},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Kind: "hid", VendorID: 0x1eab, ProductID: 0x0c06, Mode: "auto"}
			if row.change != nil {
				row.change(&cfg)
			}
			got, err := match(cfg, row.there)
			if row.trouble == "" {
				require.NoError(t, err)
				assert.Equal(t, row.picks, got.path)
				return
			}
			require.Error(t, err)
			assert.Equal(t, row.trouble, asTrouble(err).Code)
			assert.Contains(t, err.Error(), row.says)
		})
	}
}
