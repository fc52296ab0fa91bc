package rig

import (
	"bytes"
	"fmt"
)

// KeyboardDescriptor is the report descriptor of a keyboard in boot protocol: eight bits of modifiers, a reserved byte,
// five lights, six keys (HID 1.11, appendix B.1).
func KeyboardDescriptor() []byte {
	return []byte{
		0x05, 0x01, 0x09, 0x06, 0xA1, 0x01, // desktop page, keyboard, application
		0x05, 0x07, 0x19, 0xE0, 0x29, 0xE7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, // modifiers
		0x75, 0x08, 0x95, 0x01, 0x81, 0x03, // reserved
		0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x75, 0x01, 0x95, 0x05, 0x91, 0x02, 0x75, 0x03, 0x95, 0x01, 0x91, 0x03, // lights
		0x05, 0x07, 0x19, 0x00, 0x29, 0x65, 0x15, 0x00, 0x25, 0x65, 0x75, 0x08, 0x95, 0x06, 0x81, 0x00, // keys
		0xC0,
	}
}

// POSDescriptor is the report descriptor of a bar code scanner (HID Point of Sale Usage Tables 1.02, page 0x8C) whose input
// report 2 has 64 bytes: id, length, three bytes of the symbology, 56 of data, two of the maker's, and a bit that says that
// the scan goes on.
func POSDescriptor() []byte {
	return []byte{
		0x05, 0x8C, 0x09, 0x02, 0xA1, 0x01, // bar code scanner page, bar code scanner, application
		0x09, 0x12, 0xA1, 0x02, 0x85, 0x02, // scanned data report, logical, report 2
		0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, // bytes
		0x05, 0x01, 0x09, 0x3B, 0x95, 0x01, 0x81, 0x02, // byte count
		0x05, 0x8C, 0x09, 0xFB, 0x81, 0x02, 0x09, 0xFC, 0x81, 0x02, 0x09, 0xFD, 0x81, 0x02, // symbology identifier 1 to 3
		0x09, 0xFE, 0x95, 0x38, 0x82, 0x02, 0x01, // decoded data, buffered bytes
		0x06, 0x00, 0xFF, 0x09, 0x01, 0x95, 0x02, 0x81, 0x02, // the maker's
		0x05, 0x8C, 0x09, 0xFF, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, // decode data continued
		0xC0, 0xC0,
	}
}

// The usages of the keys that a scanner types payment codes with (HID Usage Tables 1.5, page 0x07).
const (
	usageOne   = 0x1E // 1 to 9 follow each other, then 0
	usageZero  = 0x27
	usageEnter = 0x28
)

// keyReports are the reports of a keyboard that types digits and, for a line's end, Enter: each key pressed, then let go.
func keyReports(text string) (reports [][]byte) {
	for _, c := range []byte(text) {
		reports = append(reports, []byte{0, 0, usageOf(c), 0, 0, 0, 0, 0}, make([]byte, 8))
	}
	return reports
}

func usageOf(c byte) byte {
	switch {
	case c == '\n':
		return usageEnter
	case c == '0':
		return usageZero
	case c >= '1' && c <= '9':
		return usageOne + c - '1'
	}
	panic(fmt.Sprintf("rig: no key types %q", c))
}

const (
	posReportBytes = 64
	posDataMax     = 56
)

// posReports are the reports of a scan with a symbology identifier of three bytes.
func posReports(aim, code string) (reports [][]byte) {
	for more := true; more; {
		part := code[:min(len(code), posDataMax)]
		code = code[len(part):]
		more = code != ""
		report := make([]byte, posReportBytes)
		report[0], report[1] = 2, byte(len(part))
		copy(report[2:], aim)
		copy(report[5:], part)
		if more {
			report[posReportBytes-1] = 1
		}
		reports = append(reports, bytes.Clone(report))
	}
	return reports
}
