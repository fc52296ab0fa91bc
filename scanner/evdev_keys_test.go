package scanner

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// codeOf is the kernel's code of a HID usage.
func codeOf(usage byte) uint16 {
	return uint16(slices.Index(usageOfCode[:], usage)) //nolint:gosec // the table is short
}

// struck gives the records of keys that go down and up one after another.
func struck(codes ...uint16) []byte {
	var records []byte
	for _, c := range codes {
		records = appendKey(appendKey(records, c, keyDown), c, keyUp)
	}
	return records
}

// keysOf gives the codes of a text by the main row.
func keysOf(text string) []uint16 {
	var codes []uint16
	for i := range len(text) {
		codes = append(codes, codeOf(keyOf(text[i])))
	}
	return codes
}

const (
	codeEnter, codeTab, codePadEnter, codeLeftShift, codeLeftAlt, codeCapsLock, codeNumLock = 28, 15, 96, 42, 56, 58, 69
)

var padCodes = []uint16{82, 79, 80, 81, 75, 76, 77, 71, 72, 73}

func onPadCodes(digits string) []uint16 {
	var codes []uint16
	for _, d := range digits {
		codes = append(codes, padCodes[d-'0'])
	}
	return codes
}

// feedKeys gives a decoder records, one event each millisecond, then half a second of silence.
func feedKeys(records []byte) []Event {
	var each [][]byte
	for r := range slices.Chunk(records, keyRecordBytes) {
		each = append(each, r)
	}
	return feedReports(NewKeyEvents(keyboardGap), each...)
}

func TestKeyEventsOfBothDigitRowsAndEachEndKey(t *testing.T) {
	for name, digits := range map[string][]uint16{"main row": keysOf(code), "keypad": onPadCodes(code)} {
		for end, last := range map[string][]uint16{"Enter": {codeEnter}, "keypad Enter": {codePadEnter}, "Tab": {codeTab}, "none": nil} {
			t.Run(name+" "+end, func(t *testing.T) {
				assert.Equal(t, []string{code}, texts(feedKeys(struck(append(digits, last...)...))))
			})
		}
	}
}

func TestLocksMakeNoDifferenceToKeyEvents(t *testing.T) {
	keys := append([]uint16{codeCapsLock, codeNumLock}, keysOf(code)...)
	keys = append(keys, codeNumLock, codeEnter)
	assert.Equal(t, []string{code}, texts(feedKeys(struck(keys...))))
}

func TestKeyEventsByAltAndKeypad(t *testing.T) {
	var records []byte
	for _, c := range code {
		records = appendKey(records, codeLeftAlt, keyDown)
		records = append(records, struck(onPadCodes("00"+string('4'+(c-'0'+8)/10)+string('0'+(c-'0'+8)%10))...)...)
		records = appendKey(records, codeLeftAlt, keyUp)
	}
	assert.Equal(t, []string{code}, texts(feedKeys(append(records, struck(codeEnter)...))))
}

func TestShiftCountsInKeyEventsOnlyWhileItIsDown(t *testing.T) {
	var records []byte
	records = appendKey(records, codeLeftShift, keyDown)
	records = append(records, struck(keysOf("q")...)...)
	records = appendKey(records, codeLeftShift, keyUp)
	records = append(records, struck(append(keysOf("q1"), codeEnter)...)...)
	assert.Equal(t, []string{"Qq1"}, texts(feedKeys(records)))
}

func TestAKeyThatTheKernelRepeatsIsOneKey(t *testing.T) {
	var records []byte
	for _, c := range keysOf(code) {
		records = appendKey(records, c, keyDown)
		records = appendKey(appendKey(records, c, 2), c, 2)
		records = appendKey(records, c, keyUp)
	}
	assert.Equal(t, []string{code}, texts(feedKeys(append(records, struck(codeEnter)...))))
}

func TestAShiftThatTheKernelRepeatsStaysDown(t *testing.T) {
	records := appendKey(appendKey(nil, codeLeftShift, keyDown), codeLeftShift, 2)
	records = append(records, struck(keysOf("q")...)...)
	records = appendKey(records, codeLeftShift, keyUp)
	assert.Equal(t, []string{"Q"}, texts(feedKeys(append(records, struck(codeEnter)...))))
}

func TestKeysThatOverlapAreEachRead(t *testing.T) {
	var records []byte
	keys := keysOf("1234567890")
	for _, c := range keys { // each goes down before any goes up: more than a report holds
		records = appendKey(records, c, keyDown)
	}
	for _, c := range keys {
		records = appendKey(records, c, keyUp)
	}
	assert.Equal(t, []string{"1234567890"}, texts(feedKeys(append(records, struck(codeEnter)...))))
}

func TestLostKeysDropTheScanAndSaySo(t *testing.T) {
	half := append(struck(keysOf(code[:9])...), appendLost(nil)...)
	events := feedKeys(slices.Concat(half, struck(keysOf(code[10:])...), struck(codeEnter), struck(keysOf(code)...), struck(codeEnter)))
	require.Len(t, events, 2)
	assert.Equal(t, TroubleGarbled, events[0].Trouble.Code)
	assert.Equal(t, []string{code}, texts(events), "the next scan is whole")
}

func TestAModifierWhoseReleaseWasLostIsForgotten(t *testing.T) {
	records := appendLost(appendKey(nil, codeLeftShift, keyDown))
	records = append(records, struck(codeEnter)...)
	events := feedKeys(slices.Concat(records, struck(keysOf(code)...), struck(codeEnter)))
	assert.Equal(t, []string{code}, texts(events))
}

func TestHalfACodeOfKeyEventsIsForgottenByReset(t *testing.T) {
	k := NewKeyEvents(keyboardGap)
	k.Feed(appendKey(struck(keysOf(code[:9])...), codeLeftShift, keyDown), begin)
	assert.True(t, k.Pending())
	k.Reset()
	assert.False(t, k.Pending())
	events := k.Feed(struck(append(keysOf(code), codeEnter)...), begin.Add(time.Second))
	assert.Equal(t, []string{code}, texts(events))
}

func TestARecordThatIsCutShortIsNoKey(t *testing.T) {
	k := NewKeyEvents(keyboardGap)
	assert.Empty(t, k.Feed(append(struck(keysOf("1")...), recordKey, 3), begin))
	assert.Equal(t, []string{"1"}, texts(k.Feed(struck(codeEnter), begin)))
}

func FuzzKeyEvents(f *testing.F) {
	f.Add(struck(append(keysOf(code), codeEnter)...))
	f.Add(appendLost(appendKey(nil, 65535, 1)))
	f.Fuzz(func(t *testing.T, records []byte) {
		k := NewKeyEvents(keyboardGap)
		for _, e := range append(k.Feed(records, begin), k.Feed(nil, begin.Add(time.Minute))...) {
			assert.LessOrEqual(t, e.Scan.Characters, scanBytesMax)
		}
		assert.LessOrEqual(t, len(k.held), keyReportBytes-firstKeyByte)
	})
}
