package scanner

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unhex reads a descriptor as it is written down.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	require.NoError(t, err)
	return b
}

// Report descriptors of keyboards.
const (
	// Datalogic Gryphon GD4400, as dumped in felis/USB_Host_Shield_2.0, issue 669.
	gryphonKeyboard = `05 01 09 06 A1 01 05 07 19 E0 29 E7 15 00 25 01 75 01 95 08 81 02 95 01 75 08 81 01 95 05 75 01
		05 08 19 01 29 05 91 02 95 01 75 03 91 01 95 06 75 08 15 00 26 FF 00 05 07 19 00 2A FF 00 81 00 C0`
	// The same with report id 1 and an id for volume keys beside it.
	keyboardWithIDs = `05 01 09 06 A1 01 85 01 05 07 19 E0 29 E7 15 00 25 01 75 01 95 08 81 02 95 01 75 08 81 01
		95 06 75 08 15 00 25 65 05 07 19 00 29 65 81 00 C0
		05 0C 09 01 A1 01 85 03 15 00 25 01 09 E9 09 EA 75 01 95 02 81 02 95 06 81 01 C0`
	// Modifiers, then a bit for each of the keys 0x00 to 0x77: fifteen bytes (N-key rollover).
	keyboardBitmap = `05 01 09 06 A1 01 05 07 19 E0 29 E7 15 00 25 01 75 01 95 08 81 02
		05 07 19 00 29 77 15 00 25 01 75 01 95 78 81 02 C0`
	// Modifiers and an array of sixteen keys with no reserved byte.
	keyboardSixteen = `05 01 09 06 A1 01 05 07 19 E0 29 E7 15 00 25 01 75 01 95 08 81 02
		95 10 75 08 15 00 26 A4 00 05 07 19 00 2A A4 00 81 00 C0`
	// An array that begins at key 0x04, with one bit array of modifiers listed one by one.
	keyboardShifted = `05 01 09 06 A1 01 05 07 09 E0 09 E1 09 E2 09 E3 09 E4 09 E5 09 E6 09 E7 15 00 25 01 75 01 95 08 81 02
		95 04 75 08 15 01 25 62 05 07 19 04 29 65 81 00 C0`
)

// keyWriter writes the reports of one kind of keyboard.
type keyWriter struct {
	name       string
	descriptor string
	write      func(mods byte, keys ...byte) []byte
}

func keyWriters() []keyWriter {
	return []keyWriter{
		{"boot report, no descriptor", "", report},
		{"boot report by the Gryphon's descriptor", gryphonKeyboard, report},
		{"report id", keyboardWithIDs, func(mods byte, keys ...byte) []byte { return append([]byte{1}, report(mods, keys...)...) }},
		{"a bit for each key", keyboardBitmap, func(mods byte, keys ...byte) []byte {
			r := make([]byte, 16)
			r[0] = mods
			for _, key := range keys {
				r[1+key/8] |= 1 << (key % 8)
			}
			return r
		}},
		{"sixteen keys", keyboardSixteen, func(mods byte, keys ...byte) []byte {
			r := make([]byte, 17)
			r[0] = mods
			copy(r[1:], keys)
			return r
		}},
		{"keys counted from 0x04", keyboardShifted, func(mods byte, keys ...byte) []byte {
			r := []byte{mods, 0, 0, 0, 0}
			for i, key := range keys {
				r[1+i] = key - 3
			}
			return r
		}},
	}
}

// keyboard returns a decoder that was told the descriptor.
func (w keyWriter) keyboard(t testing.TB) *Keyboard {
	t.Helper()
	k := NewKeyboard(keyboardGap)
	k.Describe(unhex(t, w.descriptor))
	return k
}

// press gives the reports of keys that are pressed and let go one after another, with mods held all the while.
func (w keyWriter) press(mods byte, keys ...byte) (reports [][]byte) {
	for _, key := range keys {
		reports = append(reports, w.write(mods, key), w.write(mods))
	}
	return reports
}

// row gives the keys of digits by the main row, and pad by the keypad.
func row(digits string) (keys []byte) {
	for i := range len(digits) {
		keys = append(keys, keyOf(digits[i]))
	}
	return keys
}

func pad(digits string) (keys []byte) {
	for _, d := range digits {
		keys = append(keys, byte(padDigitOne+(int(d-'0')+9)%10))
	}
	return keys
}

const (
	enterKey = 0x28
	capsLock = 0x39
	numLock  = 0x53
	padEnter = 0x58
	tabKey   = 0x2B
	rollOver = 0x01
)

// altCodes gives the reports of a text typed as Alt codes, each with a leading zero.
func (w keyWriter) altCodes(text string) (reports [][]byte) {
	for i := range len(text) {
		reports = append(reports, w.write(leftAlt))
		reports = append(reports, w.press(leftAlt, pad("0"+strconv.Itoa(int(text[i])))...)...)
		reports = append(reports, w.write(0))
	}
	return reports
}

func TestEveryKeyboardByEveryWayOfTyping(t *testing.T) {
	for _, w := range keyWriters() {
		t.Run(w.name, func(t *testing.T) {
			caps := append(w.press(0, capsLock, numLock), w.press(0, row(code[:9])...)...)
			caps = append(append(caps, w.press(0, capsLock, numLock)...), w.press(0, row(code[9:])...)...)
			for name, reports := range map[string][][]byte{
				"main row": w.press(0, row(code)...), "keypad": w.press(0, pad(code)...), "Alt codes": w.altCodes(code),
				"CapsLock and NumLock pressed in between": caps,
				"both rows in turn":                       append(w.press(0, row(code[:9])...), w.press(0, pad(code[9:])...)...),
			} {
				for ending, last := range map[string][][]byte{
					"Enter": w.press(0, enterKey), "keypad Enter": w.press(0, padEnter), "Tab": w.press(0, tabKey), "silence": nil,
				} {
					events := feedReports(w.keyboard(t), append(bytesOf(reports), last...)...)
					assert.Equal(t, []string{code}, texts(events), "%s, %s", name, ending)
				}
			}
		})
	}
}

func bytesOf(reports [][]byte) [][]byte { return append([][]byte{}, reports...) }

func TestLayoutHasNoPartInIt(t *testing.T) {
	// A French keyboard needs Shift for the digits of its main row; a scanner set to it sends Shift with each. The keys
	// say more than the computer would make of them, so that such a scanner must be told to send a United States layout.
	w := keyWriters()[0]
	shifted := feedReports(w.keyboard(t), w.press(leftShift, row("12")...)...)
	assert.Equal(t, []string{"!@"}, texts(shifted), "no digit is made up")
	assert.Equal(t, []string{"12"}, texts(feedReports(w.keyboard(t), w.press(leftShift, pad("12")...)...)), "the keypad knows no Shift")
}

func TestKeysPressedAtOnceHaveNoOrderInABitmap(t *testing.T) {
	w := keyWriters()[3]
	reports := append([][]byte{w.write(0, keyOf('1'), keyOf('3'))}, w.press(0, append(row(code[2:]), enterKey)...)...)
	events := feedReports(w.keyboard(t), append(reports, w.press(0, append(row(code), enterKey)...)...)...)
	assert.Equal(t, []TroubleCode{TroubleGarbled}, troubles(events))
	assert.Equal(t, []string{code}, texts(events))
	rolled := [][]byte{w.write(0, keyOf('1')), w.write(0, keyOf('1'), keyOf('2')), w.write(0, keyOf('2')), w.write(0)}
	assert.Equal(t, []string{"12"}, texts(feedReports(w.keyboard(t), rolled...)), "one after another they have")
}

func TestRolloverOfEveryKeyboard(t *testing.T) {
	for _, w := range keyWriters()[:5] {
		reports := append(w.press(0, row(code[:9])...), w.write(0, rollOver, rollOver))
		reports = append(reports, w.press(0, append(row(code[9:]), enterKey)...)...)
		events := feedReports(w.keyboard(t), append(reports, w.press(0, append(row(code), enterKey)...)...)...)
		assert.Equal(t, []TroubleCode{TroubleGarbled}, troubles(events), w.name)
		assert.Equal(t, []string{code}, texts(events), w.name)
	}
}

func TestReportsInPiecesAndWithOthersBetween(t *testing.T) {
	w := keyWriters()[3] // 16 bytes over an endpoint of eight
	var pieces [][]byte
	for _, r := range w.press(0, append(row(code), enterKey)...) {
		pieces = append(pieces, r[:8], r[8:])
	}
	assert.Equal(t, []string{code}, texts(feedReports(w.keyboard(t), pieces...)))

	ids := keyWriters()[2]
	var mixed [][]byte
	for _, r := range ids.press(0, append(row(code), enterKey)...) {
		mixed = append(mixed, r, []byte{3, 1}, []byte{9, 9, 9})
	}
	assert.Equal(t, []string{code}, texts(feedReports(ids.keyboard(t), mixed...)), "volume keys and unknown reports are no keys")
}

func TestKeysOfTwoReportsAreHeldApart(t *testing.T) {
	// An array in report 1 and a bit for each key in report 2, as keyboards have that are boot keyboards too.
	const both = `05 01 09 06 A1 01 85 01 05 07 19 E0 29 E7 15 00 25 01 75 01 95 08 81 02
		95 06 75 08 15 00 25 65 19 00 29 65 81 00 85 02 19 00 29 77 25 01 75 01 95 78 81 02 C0`
	k := NewKeyboard(keyboardGap)
	k.Describe(unhex(t, both))
	bit := func(keys ...byte) []byte {
		r := append([]byte{2}, make([]byte, 15)...)
		for _, key := range keys {
			r[1+key/8] |= 1 << (key % 8)
		}
		return r
	}
	none := make([]byte, 8)
	none[0] = 1
	reports := [][]byte{bit(keyOf('1')), none, bit(keyOf('1'), keyOf('3')), none, bit(keyOf('3')), bit()}
	assert.Equal(t, []string{"13"}, texts(feedReports(k, reports...)))
}

func TestAKeyboardScanInWhoseMiddleTheProgramStoodStill(t *testing.T) {
	// The library keeps the last 30 reports: of two scans of 38 reports each, the first three digits were read, and of
	// what waited the last fifteen digits of the second are left. Together they would be 18.
	k, at := NewKeyboard(keyboardGap), begin
	other := "109876543210987654"
	for _, r := range typed(code[:3]) {
		k.Feed(r, at)
	}
	at = at.Add(2 * time.Second)
	waited := append(typed(code[3:]), press(enterKey)...)
	waited = append(append(waited, typed(other)...), press(enterKey)...)
	var events []Event
	for _, r := range waited[len(waited)-32:] {
		events = append(events, k.Feed(r, at)...)
	}
	assert.Empty(t, texts(events))
	assert.Equal(t, []TroubleCode{TroubleHeldUp}, troubles(events))
	assert.Equal(t, []string{code}, texts(feedReports(k, append(typed(code), press(enterKey)...)...)))
}

func TestAnAltCodeInWhoseMiddleTheProgramStoodStill(t *testing.T) {
	k, at := NewKeyboard(keyboardGap), begin
	k.Feed(report(leftAlt, pad("5")[0]), at)
	k.Feed(report(leftAlt), at)
	at = at.Add(heldUpMax)
	var events []Event
	for _, r := range append([][]byte{report(leftAlt, pad("3")[0]), report(leftAlt), report(0)}, append(typed(code[1:]), press(enterKey)...)...) {
		events = append(events, k.Feed(r, at)...)
	}
	assert.Empty(t, texts(events), "5 and 3 may be of two codes, and would be the first digit of a third")
	assert.Equal(t, []TroubleCode{TroubleHeldUp}, troubles(events))
}

func TestTheFieldsOfADescriptor(t *testing.T) {
	reports, ok := parseDescriptor(unhex(t, gryphonKeyboard))
	require.True(t, ok)
	require.Len(t, reports.fields, 2, "modifiers and keys: what is constant says nothing")
	assert.Equal(t, 16, reports.fields[1].at)
	assert.Equal(t, keyReportBytes, reports.bytes(0))
}

func TestTwoAltCodesThatRanTogetherAreNoCharacter(t *testing.T) {
	reports := append([][]byte{report(leftAlt)}, report(leftAlt, pad("4")[0]), report(leftAlt), report(leftAlt, pad("9")[0]), report(leftAlt),
		report(leftAlt, pad("1")[0]), report(leftAlt), report(leftAlt, pad("3")[0]), report(leftAlt), report(0))
	events := feedReports(NewKeyboard(keyboardGap), append(reports, typed(code[1:])...)...)
	assert.Empty(t, texts(events))
	assert.Equal(t, []TroubleCode{TroubleGarbled}, troubles(events))
}

func TestDescriptorsThatAreNone(t *testing.T) {
	for name, d := range map[string][]byte{
		"nothing": nil, "cut short": unhex(t, gryphonKeyboard)[:41], "a long item": {itemLong, 1, 0, 0}, "pop of nothing": {itemPop},
		"reserved": {0x0C}, "pushed without end": bytes.Repeat([]byte{itemPush}, 20), "too long": bytes.Repeat([]byte{0xC0}, descriptorBytesMax+1),
		"a mouse":           unhex(t, "05 01 09 02 A1 01 05 09 19 01 29 03 15 00 25 01 75 01 95 03 81 02 C0"),
		"reports too large": unhex(t, "05 07 19 00 29 77 75 FF 96 FF 7F 81 02"),
	} {
		k := NewKeyboard(keyboardGap)
		k.Describe(d)
		assert.Equal(t, []string{code}, texts(feedReports(k, append(typed(code), press(enterKey)...)...)), "%s: boot reports", name)
		assert.False(t, posFieldsOf(d).known, name)
	}
}

func FuzzDescriptor(f *testing.F) {
	for _, d := range []string{gryphonKeyboard, keyboardWithIDs, keyboardBitmap, keyboardSixteen, keyboardShifted, posDescriptor} {
		f.Add(unhex(f, d), []byte{1, 0, 0, 0x1E, 0, 0, 0, 0, 0, 2, 5, ']', 'Q', '1', '7', '7'}, byte(8))
	}
	f.Fuzz(func(t *testing.T, descriptor, sent []byte, size byte) {
		k, p := NewKeyboard(keyboardGap), NewPOS()
		k.Describe(descriptor)
		p.Describe(descriptor)
		checkDecoder(t, k, sent, int(size)%64+1)
		checkDecoder(t, p, sent, int(size)%64+1)
	})
}

func TestAFieldOfNoBitsAndManyValuesCostsNothing(t *testing.T) {
	// A boot keyboard whose descriptor goes on with 200 fields of 65535 keys of no bits each.
	hostile := gryphonKeyboard + strings.Repeat(" 05 07 19 04 75 00 96 FF FF 15 00 81 00", 200)
	k := NewKeyboard(keyboardGap)
	k.Describe(unhex(t, hostile))
	require.Less(t, values(k.keys.fields), reportBitsMax+1, "a report has no more values than bits")
	events := k.Feed(report(0, 0x1E), begin)
	events = append(events, k.Feed(report(0), begin)...)
	events = append(events, k.Feed(report(0, 0x28), begin)...)
	assert.Equal(t, []string{"1"}, texts(events), "and keys that no bit stands for are not pressed")
}

// GOARCH=386 CGO_ENABLED=0 go test ./scanner -run TestALengthBeyondAWordIsRefused runs it with such words.
func TestALengthBeyondAWordIsRefused(t *testing.T) {
	// 65535 values of 65535 bits: in 32 bits that is less than nothing.
	_, ok := parseDescriptor(unhex(t, "05 07 19 E0 29 E7 76 FF FF 96 FF FF 81 02"))
	assert.False(t, ok)
}

func values(fields []inputField) (n int) {
	for _, f := range fields {
		n += f.count
	}
	return n
}
