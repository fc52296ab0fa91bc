package scanner

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keyOf is the main row's key of an unshifted character.
func keyOf(c byte) byte { return byte(firstKey + strings.IndexByte(plainKeys, c)) }

func report(mods byte, keys ...byte) []byte {
	r := make([]byte, keyReportBytes)
	r[0] = mods
	copy(r[firstKeyByte:], keys)
	return r
}

// press gives the reports of keys that are pressed and released one after another.
func press(keys ...byte) [][]byte {
	var reports [][]byte
	for _, key := range keys {
		reports = append(reports, report(0, key), report(0))
	}
	return reports
}

// typed gives the reports of a text that needs no shift, by the main row.
func typed(text string) [][]byte {
	var keys []byte
	for i := range len(text) {
		keys = append(keys, keyOf(text[i]))
	}
	return press(keys...)
}

// onPad gives the reports of digits by the keypad.
func onPad(digits string) [][]byte {
	var keys []byte
	for _, d := range digits {
		keys = append(keys, byte(padDigitOne+(int(d-'0')+9)%10))
	}
	return press(keys...)
}

// feedReports gives a decoder a report each millisecond, then half a second of silence.
func feedReports(d Decoder, reports ...[]byte) []Event {
	at := begin
	var events []Event
	for _, r := range reports {
		events = append(events, d.Feed(r, at)...)
		at = at.Add(time.Millisecond)
	}
	return append(events, d.Feed(nil, at.Add(500*time.Millisecond))...)
}

func TestBothDigitRowsAndEachEndKey(t *testing.T) {
	rows := map[string][][]byte{"main row": typed(code), "keypad": onPad(code)}
	ends := map[string][][]byte{"Enter": press(0x28), "keypad Enter": press(0x58), "Tab": press(0x2B), "none": nil}
	for row, digits := range rows {
		for end, last := range ends {
			t.Run(row+" "+end, func(t *testing.T) {
				assert.Equal(t, []string{code}, texts(feedReports(NewKeyboard(keyboardGap), append(digits, last...)...)))
			})
		}
	}
}

func TestDigitsByTheirUsages(t *testing.T) {
	// HID Usage Tables, page 0x07: 0x1E is 1 and 0x27 is 0; on the keypad 0x59 is 1 and 0x62 is 0.
	for usage := byte(0x1E); usage <= 0x27; usage++ {
		c, ok := keyChar(usage, false)
		require.True(t, ok)
		assert.Equal(t, strconv.Itoa(int(usage-0x1E+1)%10), string(c))
	}
	for usage := byte(0x59); usage <= 0x62; usage++ {
		c, ok := keyChar(usage, false)
		require.True(t, ok)
		assert.Equal(t, strconv.Itoa(int(usage-0x59+1)%10), string(c))
	}
}

func TestTheTwoKeyMapsMatch(t *testing.T) {
	require.Equal(t, len(plainKeys), len(shiftKeys))
	for usage, want := range map[byte]string{0x04: "aA", 0x1D: "zZ", 0x1E: "1!", 0x2D: "-_", 0x2F: "[{", 0x30: "]}", 0x33: ";:", 0x38: "/?"} {
		plain, _ := keyChar(usage, false)
		shifted, _ := keyChar(usage, true)
		assert.Equal(t, want, string([]byte{plain, shifted}))
	}
	for _, none := range []byte{0x00, 0x03, 0x39, 0x46, 0x53, 0x64, 0xFF} {
		_, ok := keyChar(none, false)
		assert.False(t, ok, "usage %#x types nothing", none)
	}
}

func TestShiftMakesLettersAndTheBracketOfAnAIMIdentifier(t *testing.T) {
	reports := [][]byte{report(0, keyOf(']')), report(0), report(leftShift, keyOf('q')), report(0), report(0, keyOf('1')), report(0)}
	events := feedReports(NewKeyboard(keyboardGap), append(append(reports, typed(code)...), press(0x28)...)...)
	require.Equal(t, []string{code}, texts(events))
	assert.Equal(t, "Q1", events[0].Scan.AIM)
	assert.Equal(t, []string{"Ab"}, texts(feedReports(NewKeyboard(keyboardGap),
		report(rightShift), report(rightShift, keyOf('a')), report(rightShift), report(0, keyOf('b')), report(0))))
}

func TestAHeldKeyCountsOnce(t *testing.T) {
	one, two := keyOf('1'), keyOf('2')
	rolled := [][]byte{report(0, one), report(0, one, two), report(0, two), report(0), report(0, one), report(0, one), report(0)}
	assert.Equal(t, []string{"121"}, texts(feedReports(NewKeyboard(keyboardGap), rolled...)))
}

func TestRolloverDiscardsTheScanAndOnlyThat(t *testing.T) {
	full := report(0, 1, 1, 1, 1, 1, 1)
	reports := append(typed(code[:9]), full, full)
	reports = append(append(reports, typed(code[9:])...), press(0x28)...)
	reports = append(append(reports, typed("12345")...), press(0x28)...)
	events := feedReports(NewKeyboard(keyboardGap), reports...)
	require.Len(t, events, 2, "said once")
	assert.Equal(t, TroubleGarbled, events[0].Trouble.Code)
	assert.Equal(t, []string{"12345"}, texts(events))
}

func TestRolloverWithoutSuffixEndsWithSilence(t *testing.T) {
	k := NewKeyboard(keyboardGap)
	events := feedReports(k, append(typed(code), report(0, 1, 1, 1, 1, 1, 1))...)
	assert.Empty(t, texts(events))
	assert.False(t, k.Pending())
	assert.Equal(t, []string{code}, texts(feedReports(k, typed(code)...)))
}

func TestAltCodesAreDecoded(t *testing.T) {
	var reports [][]byte
	for i := range len(code) {
		reports = append(reports, report(leftAlt))
		for _, digit := range "0" + strconv.Itoa(int(code[i])) {
			reports = append(reports, report(leftAlt, byte(padDigitOne+(int(digit-'0')+9)%10)), report(leftAlt))
		}
		reports = append(reports, report(0))
	}
	reports = append(reports, press(0x28)...)
	assert.Equal(t, []string{code}, texts(feedReports(NewKeyboard(keyboardGap), reports...)))
}

func TestAnAltThatIsNeverLetGoIsNoCharacter(t *testing.T) {
	k := NewKeyboard(keyboardGap)
	assert.Empty(t, feedReports(k, report(leftAlt), report(leftAlt, padDigitOne), report(leftAlt)))
	assert.False(t, k.Pending())
	assert.Equal(t, []string{code}, texts(feedReports(k, typed(code)...)))
}

func TestShortcutsAreNoText(t *testing.T) {
	assert.Empty(t, texts(feedReports(NewKeyboard(keyboardGap), report(leftCtrl, keyOf('v')), report(0), report(leftGUI, keyOf('l')), report(0))))
}

func TestAReportWithAnIDInFront(t *testing.T) {
	var reports [][]byte
	for _, r := range append(typed(code), press(0x28)...) {
		reports = append(reports, append([]byte{1}, r...))
	}
	assert.Equal(t, []string{code}, texts(feedReports(NewKeyboard(keyboardGap), reports...)))
}

func TestKeysOfHalfAScanDoNotJoinTheNext(t *testing.T) {
	k := NewKeyboard(keyboardGap)
	for _, r := range typed(code[:9]) {
		k.Feed(r, begin)
	}
	k.Feed(report(0, keyOf('1')), begin) // unplugged while a key is down
	k.Reset()
	assert.Equal(t, []string{code}, texts(feedReports(k, append(typed(code), press(0x28)...)...)), "its first digit is the key that was down")
}

func FuzzKeyboard(f *testing.F) {
	var seed []byte
	for _, r := range append(typed(code), press(0x28)...) {
		seed = append(seed, r...)
	}
	f.Add(seed, byte(8))
	f.Add([]byte{0, 0, 1, 1, 1, 1, 1, 1}, byte(8))
	f.Add([]byte{4, 0, 0x59, 0, 0, 0, 0, 0, 0, 0}, byte(5))
	f.Fuzz(func(t *testing.T, sent []byte, size byte) {
		checkDecoder(t, NewKeyboard(keyboardGap), sent, int(size)%16+1)
	})
}

// checkDecoder holds what must be true of any decoder and any reads.
func checkDecoder(t *testing.T, d Decoder, sent []byte, size int) {
	var reports [][]byte
	for piece := range slicesOf(sent, size) {
		reports = append(reports, piece)
	}
	events := feedReports(d, reports...)
	d.Feed(nil, begin.Add(time.Hour))
	require.False(t, d.Pending(), "silence ends everything")
	for _, text := range texts(events) {
		require.NotEmpty(t, text)
		require.LessOrEqual(t, len(text), scanBytesMax)
		require.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }))
	}
}
