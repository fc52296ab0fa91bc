package scanner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// posReport makes a report of 64 bytes: id, length, then head and data, and the continued bit.
func posReport(length int, head, data string, continued bool) []byte {
	r := make([]byte, posReportBytes)
	r[0], r[posLengthAt] = posReportID, byte(length)
	copy(r[posAIMAt:], head+data)
	r[posMakerAt] = 's'
	if continued {
		r[posContinuedAt] = posContinued
	}
	return r
}

func TestEachLayoutOfAPointOfSaleReport(t *testing.T) {
	for name, row := range map[string]struct {
		report []byte
		text   string
		aim    string
	}{
		"AIM identifier in front":           {posReport(18, "]Q1", code, false), code, "Q1"},
		"the same one byte later":           {posReport(18, "\x00]Q1", code, false), code, "Q1"},
		"with a suffix in the data":         {posReport(19, "]C0", code+"\r", false), code, "C0"},
		"no AIM identifier":                 {posReport(18, "\x00\x00\x00", code, false), code, ""},
		"Newland, data from the third byte": {posReport(18, "", code, false), code, ""},
		"Newland with an AIM identifier":    {posReport(21, "", "]Q1"+code, false), code, "Q1"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{64, 8, 7, 1} {
				var reads [][]byte
				for piece := range slicesOf(row.report, size) {
					reads = append(reads, piece)
				}
				events := feedReports(NewPOS(), reads...)
				require.Equal(t, []string{row.text}, texts(events), "read in pieces of %d bytes", size)
				assert.Equal(t, row.aim, events[0].Scan.AIM)
			}
		})
	}
}

func TestReportsAreJoined(t *testing.T) {
	long := strings.Repeat("7", 56) + "12345"
	events := feedReports(NewPOS(), posReport(56, "]Q1", long[:56], true), posReport(5, "]Q1", long[56:], false))
	require.Equal(t, []string{long}, texts(events))
	assert.Equal(t, "Q1", events[0].Scan.AIM)
}

func TestAJoinedScanThatIsTooLongIsDroppedAlone(t *testing.T) {
	part := strings.Repeat("7", 56)
	events := feedReports(NewPOS(), posReport(56, "]Q1", part, true), posReport(56, "]Q1", part, false), posReport(18, "]Q1", code, false))
	assert.Equal(t, []string{code}, texts(events))
	assert.Equal(t, TroubleTooLong, events[0].Trouble.Code)
}

func TestAnAnnouncedReportThatNeverComes(t *testing.T) {
	p := NewPOS()
	events := feedReports(p, posReport(9, "]Q1", code[:9], true))
	assert.Empty(t, texts(events))
	require.Len(t, events, 1)
	assert.Equal(t, TroubleGarbled, events[0].Trouble.Code)
	assert.Equal(t, []string{code}, texts(feedReports(p, posReport(18, "]Q1", code, false))))
}

func TestAShorterReportIsCompleteWhenItIsQuiet(t *testing.T) {
	short := posReport(18, "]Q1", code, false)[:posDataAt+18]
	assert.Equal(t, []string{code}, texts(feedReports(NewPOS(), short)))
}

func TestAReportThatMakesNoSenseIsDroppedAndSaid(t *testing.T) {
	for name, r := range map[string][]byte{
		"a length beyond the report": posReport(200, "]Q1", code, false),
		"a length beyond the data":   posReport(57, "]Q1", code, false),
		"cut off":                    posReport(18, "]Q1", code, false)[:10],
		"nothing but its id":         {posReportID},
	} {
		events := feedReports(NewPOS(), r)
		require.Len(t, events, 1, name)
		assert.Equal(t, TroubleGarbled, events[0].Trouble.Code, name)
	}
}

func TestReportsOfAnotherSortAreNotScans(t *testing.T) {
	status := slices.Repeat([]byte{0x05}, 64)
	p := NewPOS()
	assert.Empty(t, feedReports(p, status))
	assert.Empty(t, feedReports(p, posReport(0, "]Q1", "", false)), "a report without data is nothing")
}

func TestEmptyReportsBetweenTheReadsOfOneReport(t *testing.T) {
	r := posReport(18, "]Q1", code, false)
	assert.Equal(t, []string{code}, texts(feedReports(NewPOS(), r[:32], nil, nil, r[32:])), "a report of no bytes is no silence")
}

func TestHalfAReportBeforeAnUnplug(t *testing.T) {
	p := NewPOS()
	p.Feed(posReport(9, "]Q1", code[:9], true), begin)
	p.Feed(posReport(9, "]Q1", code[9:], false)[:20], begin)
	require.True(t, p.Pending())
	p.Reset()
	assert.Equal(t, []string{code}, texts(feedReports(p, posReport(18, "]Q1", code, false))))
}

func FuzzPOS(f *testing.F) {
	f.Add(posReport(18, "]Q1", code, false), byte(63))
	f.Add(append(posReport(56, "]Q1", strings.Repeat("7", 56), true), posReport(5, "]Q1", "12345", false)...), byte(7))
	f.Add([]byte{2, 255, ']'}, byte(63))
	f.Fuzz(func(t *testing.T, sent []byte, size byte) {
		p := NewPOS()
		checkDecoder(t, p, sent, int(size)%64+1)
		p.Feed(nil, begin.Add(time.Hour))
	})
}

// posDescriptor is a report descriptor of a scanner by the HID Point of Sale Usage Tables 1.02: report 2 has a byte
// count, symbology identifiers 1 to 3, 56 bytes of decoded data, two bytes of padding and the bit that says that the data
// goes on.
const posDescriptor = `05 8C 09 02 A1 01 85 02 09 12 A1 02 05 01 09 3B 15 00 26 FF 00 75 08 95 01 81 02
	05 8C 09 FB 09 FC 09 FD 95 03 81 02 09 FE 95 38 82 02 01 95 02 81 01
	09 FF 25 01 75 01 95 01 81 02 95 07 81 01 C0 C0`

// otherPOSDescriptor has no report id and no byte count, the data first, and the bit that goes on before the symbology.
const otherPOSDescriptor = `05 8C 09 02 A1 01 15 00 26 FF 00 75 08 09 FE 95 20 82 02 01
	09 FF 25 01 75 01 95 01 81 02 95 07 81 01 26 FF 00 75 08 95 01 09 FB 81 02 09 FC 81 02 09 FD 81 02 C0`

// posMakers are the reports of makers whose layout is public, each written as its source shows it.
func posMakers(t testing.TB) map[string]struct {
	descriptor string
	reports    [][]byte
	text, aim  string
} {
	honeywell := func(length int, data string, maker byte, more bool) []byte {
		r := posReport(length, "]X0", data, more)
		r[posMakerAt] = maker
		return r
	}
	return map[string]struct {
		descriptor string
		reports    [][]byte
		text, aim  string
	}{
		// HID reports, appendix B of the LSR118 Product Manual (also LSR116, ATR110), Access-IS 2020: id, length, AIM
		// identifier in bytes 2 to 4, data in 5 to 60, a further identifier, and "data cont'd" in byte 63.
		"Access-IS LSR118": {"", [][]byte{accessIS(18, "]Q1", code, 0)}, code, "Q1"},
		// Its example of a boarding pass of 60 bytes in two reports, of which only the form is taken here.
		"Access-IS LSR118 in two reports": {"", [][]byte{accessIS(56, "]Q0", strings.Repeat("M1GATHER", 7), 1), accessIS(4, "]Q0", "ABCD", 0)},
			strings.Repeat("M1GATHER", 7) + "ABCD", "Q0"},
		// Honeywell Voyager 1602g, dumped in HenkVanAsselt/python_hon_usbhid, README: 2, 56, ']X0', data, 63, 0, 1.
		"Honeywell Voyager 1602g": {"", [][]byte{honeywell(20, code+"\r\n", 63, false)}, code, "X0"},
		// Honeywell Voyager 1400g: NielsLeenheer/WebHidBarcodeScanner, src/main.js, takes one byte less than the length,
		// for its last is the suffix, and knows a QR code by 's' in byte 61.
		"Honeywell Voyager 1400g": {"", [][]byte{posReport(19, "]Q1", code+"\r", false)}, code, "Q1"},
		// Newland NLS-FM420 Integration Guide, page 47, and NLS-HR200, page 43 ("Getting Scanned Data"): id, length, data in
		// bytes 2 to 57, four reserved, Newland's symbology identifier in byte 62 or 0, continued in byte 63.
		"Newland NLS-FM420": {"", [][]byte{newland(code, 0x0B)}, code, ""},
		// Quio QU-R-302 manual, page 79, the same layout: id, length, data in bytes 2 to 57, symbology in byte 62.
		"Quio QU-R-302": {"", [][]byte{newland(code, 0)}, code, ""},
		// By descriptor: HID Point of Sale Usage Tables 1.02, section 3.
		"by the usage tables":              {posDescriptor, [][]byte{posReport(18, "]Q1", code, false)}, code, "Q1"},
		"by the usage tables, another way": {otherPOSDescriptor, [][]byte{append(append([]byte(code), make([]byte, 15)...), ']', 'C', '0')}, code, "C0"},
		"a descriptor one byte off":        {posDescriptor, [][]byte{posReport(18, "\x00]Q1", code, false)}, code, "Q1"},
	}
}

func accessIS(length int, aim, data string, more byte) []byte {
	r := append([]byte{2, byte(length)}, aim+data...)
	r = append(r, make([]byte, 64-len(r))...)
	r[61], r[63] = 's', more
	return r
}

func newland(data string, symbology byte) []byte {
	r := append([]byte{2, byte(len(data))}, data...)
	r = append(r, make([]byte, 64-len(r))...)
	r[62] = symbology
	return r
}

func TestReportsOfMakersByTheirManuals(t *testing.T) {
	for name, row := range posMakers(t) {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{64, 8, 1} {
				p := NewPOS()
				p.Describe(unhex(t, row.descriptor))
				var reads [][]byte
				for _, r := range row.reports {
					reads = append(reads, cutUp(r, size)...)
				}
				events := feedReports(p, reads...)
				require.Equal(t, []string{row.text}, texts(events), "in pieces of %d", size)
				assert.Equal(t, row.aim, events[0].Scan.AIM)
			}
		})
	}
}

func TestAPieceOfAReportThatWasLostGivesNoCode(t *testing.T) {
	long := "28" + strings.Repeat("1", 6) + code // of 26 digits, whose last or first 18 would pass for a code
	for _, descriptor := range []string{"", posDescriptor} {
		whole := cutUp(posReport(26, "]Q1", long, false), 8)
		for lost := range whole {
			p := NewPOS()
			p.Describe(unhex(t, descriptor))
			reads := append(slices.Delete(slices.Clone(whole), lost, lost+1), cutUp(posReport(18, "]Q1", code, false), 8)...)
			for _, text := range texts(feedReports(p, reads...)) {
				assert.Contains(t, []string{long, code}, text, "piece %d lost", lost)
			}
		}
	}
}

func TestReportsOfTwoCodesAreNotJoined(t *testing.T) {
	p := NewPOS()
	first := feedReports(p, posReport(9, "]Q1", code[:9], true), posReport(9, "]C0", code[9:], false))
	assert.Empty(t, texts(first), "their symbology differs")
	p.Reset()
	p.Feed(posReport(9, "]Q1", code[:9], true), begin)
	late := p.Feed(posReport(9, "]Q1", code[9:], false), begin.Add(heldUpMax))
	assert.Equal(t, []TroubleCode{TroubleHeldUp}, troubles(late))
	assert.Equal(t, []string{code[9:]}, texts(late), "nine digits, which are no code")
}
