package scanner

// Setup says how the scanners of one maker are set up for posagent, as far as the maker's public manuals tell.
type Setup struct {
	Maker   string      `json:"maker"`
	Vendors []uint16    `json:"vendors"` // the USB vendor numbers that its scanners have
	Steps   []SetupStep `json:"steps"`
}

// SetupStep is one wish, and where to find the bar code that fulfils it. The bar codes of the manuals are drawn and their
// data is not written beside them, and one that is wrong by a character may set a scanner so that it needs its maker's
// help. So none is drawn here: the manual's own is scanned.
type SetupStep struct {
	Wish   string `json:"wish"`   // what it is good for
	Look   string `json:"look"`   // the name to look for and the chapter, as the manual calls them
	Manual string `json:"manual"` // in which manual that was read
	Know   string `json:"know,omitempty"`
}

// The wishes, the best first.
const (
	wishSerial = "send codes through a serial port (no key press reaches another window, nothing depends on a keyboard layout)"
	wishPOS    = "send codes as point-of-sale reports, where it has no serial mode (the same, by mode = \"pos\")"
	wishSuffix = "end each code with CR (a scan is whole at once, not after a silence; write suffix = \"CR\" then)"
)

// Setups lists the makers whose public manuals were read.
func Setups() []Setup {
	return []Setup{
		{"Honeywell", []uint16{vendorHoneywell, vendorYoujie}, []SetupStep{
			{wishSerial, `"USB Serial", in the chapter "Programming the Interface"`, "Voyager 1602g User's Guide, contents; Voyager 1200g/1202g User's Guide, contents",
				`the manual calls it USB COM emulation, terminal ID 130 (Xenon 1900 User's Guide, "Host Command Acknowledgment")`},
			{wishPOS, `"USB HID", in the chapter "Programming the Interface"`, "Voyager 1602g User's Guide, contents", ""},
			{wishSuffix, `"Add Suffix", in the chapter "Data Editing"; the hexadecimal digits of CR are 0 and D`, `1300g and Xenon 1910 User's Guides, "Prefix/Suffix Overview"`,
				"the Plug and Play codes of the interfaces add CR and LF by themselves, which is as good"},
		}},
		{"Zebra (Symbol, Motorola)", []uint16{0x05e0}, []SetupStep{
			{wishSerial, `the USB device types, in the chapter "USB Interface": the one that is called a COM port or CDC`, "DS3408 Product Reference Guide, contents; the newer guides (DS4208, DS6707, DS6708) follow it", ""},
			{wishSuffix, `a suffix of CR or Enter, in the chapters "User Preferences" and "Miscellaneous Scanner Options"`, "DS3408 Product Reference Guide, contents", ""},
		}},
		{"Datalogic", []uint16{0x05f9}, []SetupStep{
			{wishSerial, "the chapter on interfaces: the one that is called a COM port", "Gryphon I GD44XX/GBT4400/GM440X Product Reference Guide",
				"programming begins and ends with the code \"Enter/Exit Programming Mode\" on each page"},
			{wishSuffix, `"Set Suffix" (or "terminator"), then 0 and D, then "End"`, "Custom Prefix and Suffix Instructions (Gryphon GD4100, GM4100, GBT4100, GD4300, QuickScan QD2100, QW2100, PowerScan, Touch)",
				"on a serial interface the terminator is CR and LF from the works (Gryphon D and M, \"Header/Terminator Selection\"), which is as good"},
		}},
		{"Newland", []uint16{0x1eab}, []SetupStep{
			{wishSerial, `the chapter "USB Interface": the one that is called a COM port or CDC`, "NLS-FM420 Integration Guide, chapter \"USB Interface\"", "switch code programming on first: \"Code Programming ON\" stands on each page (on newer models \"Enter Setup\")"},
			{wishPOS, `"HID-POS", in the chapter "USB Interface"`, "NLS-FM420 Integration Guide, page 47; NLS-HR200, page 43", ""},
			{wishSuffix, "the chapter on prefixes and suffixes: CR as the last character", "the user manual of the model; this chapter was not read here", ""},
		}},
		{"any other", nil, []SetupStep{
			{wishSerial, `"USB serial", "USB virtual COM", "USB CDC" or "USB COM port", in the chapter on interfaces`, "the manual or the leaflet of the scanner", ""},
			{wishPOS, `"HID POS" or "USB HID POS scanner"`, "the same", ""},
			{wishSuffix, `"add suffix CR", "terminator CR" or "Enter", in the chapter on prefixes, suffixes or data format`, "the same", ""},
		}},
	}
}
