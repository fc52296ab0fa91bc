package scanner

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// code is an invented payment code of WeChat Pay's form.
const code = "134567890123456789"

var begin = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// texts are the scans among events, revealed.
func texts(events []Event) []string {
	var found []string
	for _, e := range events {
		if e.Kind == KindScan {
			found = append(found, e.Scan.Text.Reveal())
		}
	}
	return found
}

// feed gives an assembler each piece a millisecond after the one before, then half a second of silence.
func feed(pieces ...string) []Event {
	a, at := NewAssembler(serialGap), begin
	var events []Event
	for _, p := range pieces {
		events = append(events, a.Feed([]byte(p), at)...)
		at = at.Add(time.Millisecond)
	}
	return append(events, a.Feed(nil, at.Add(500*time.Millisecond))...)
}

func TestEverySuffixGivesOneScan(t *testing.T) {
	for name, sent := range map[string]string{
		"CR": code + "\r", "LF": code + "\n", "CRLF": code + "\r\n", "TAB": code + "\t",
		"STX and ETX": "\x02" + code + "\x03", "STX and CR": "\x02" + code + "\r", "CR twice": code + "\r\r",
		"TAB and CR": code + "\t\r", "CRLF twice": code + "\r\n\r\n", "none": code, "ETX and CRLF": code + "\x03\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, []string{code}, texts(feed(sent)), "in one piece")
			assert.Equal(t, []string{code}, texts(feed(strings.Split(sent, "")...)), "byte by byte")
		})
	}
}

func TestSTXBeginsAnew(t *testing.T) {
	assert.Equal(t, []string{"12", code}, texts(feed("12\x02"+code+"\x03")), "what stood before it does not join the code")
}

func TestEmptyFramesAreNothing(t *testing.T) {
	assert.Empty(t, feed("\r\n", "\r", "\x02\x03", "\t\t", "]Q1\r", "\x00\x00"))
}

func TestAIMIdentifierIsTakenOffAndKept(t *testing.T) {
	for sent, want := range map[string]struct{ text, aim, symbology string }{
		"]Q1" + code:       {code, "Q1", "qr"},
		"]C0" + code:       {code, "C0", "code128"},
		"]C1" + code:       {code, "C1", "gs1-128"},
		"]E04006381333931": {"4006381333931", "E0", "ean-upc"},
		"]d2" + code:       {code, "d2", "gs1-data-matrix"},
		"]X0" + code:       {code, "X0", ""},
		"]:x" + code:       {"]:x" + code, "", ""},
		code:               {code, "", ""},
	} {
		events := feed(sent + "\r")
		require.Len(t, events, 1, sent)
		scan := events[0].Scan
		assert.Equal(t, want.text, scan.Text.Reveal())
		assert.Equal(t, want.aim, scan.AIM)
		assert.Equal(t, want.symbology, scan.Symbology)
		assert.Equal(t, len(want.text), scan.Characters)
	}
}

func TestSilenceEndsAScanWithoutSuffix(t *testing.T) {
	a := NewAssembler(50 * time.Millisecond)
	assert.Empty(t, a.Feed([]byte(code), begin))
	assert.Empty(t, a.Feed(nil, begin.Add(49*time.Millisecond)), "not quiet for long enough")
	events := a.Feed(nil, begin.Add(50*time.Millisecond))
	require.Equal(t, []string{code}, texts(events))
	assert.Equal(t, begin, events[0].At, "the scan's time is its last character's")
	assert.Empty(t, a.Feed(nil, begin.Add(time.Second)), "silence after silence is nothing")
}

func TestAHeldUpProgramDoesNotTearAScan(t *testing.T) {
	a := NewAssembler(50 * time.Millisecond)
	assert.Empty(t, a.Feed([]byte(code[:7]), begin))
	late := begin.Add(300 * time.Millisecond) // the rest waited in the kernel: no read in between came back empty
	assert.Equal(t, []string{code}, texts(a.Feed([]byte(code[7:]+"\r"), late)))
}

func TestTooLongIsDroppedUntilItIsQuietAndSaid(t *testing.T) {
	a := NewAssembler(50 * time.Millisecond)
	events := a.Feed(bytes.Repeat([]byte("7"), scanBytesMax), begin)
	require.Empty(t, events)
	events = a.Feed([]byte("7"+code+"\r"+code+"\r"), begin)
	require.Len(t, events, 1, "the tail of a long line is no scan, although it ends with a suffix")
	assert.Equal(t, KindNoise, events[0].Kind)
	assert.Equal(t, TroubleTooLong, events[0].Trouble.Code)
	assert.Empty(t, a.Feed(nil, begin.Add(time.Second)), "what was dropped does not come back")
	assert.Equal(t, []string{code}, texts(a.Feed([]byte(code+"\r"), begin.Add(2*time.Second))))
}

func TestSixtyFourCharactersAreAScan(t *testing.T) {
	long := strings.Repeat("8", scanBytesMax)
	assert.Equal(t, []string{long}, texts(feed(long+"\r")))
}

func TestNoiseInsideAScanRefusesIt(t *testing.T) {
	for name, sent := range map[string]string{
		"in the middle": code[:9] + "\xfe" + code[9:], "a byte for a digit": code[:4] + "\x80" + code[5:] + "7",
		"before it": "\xff" + code, "after it": code + "\x1b", "a break in it": code[:9] + "\x00" + code[9:],
		"a first digit lost to it": "\x00" + code, "a last digit lost to it": code + "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			events := feed(sent + "\r" + code[:17] + "0\r")
			require.Len(t, events, 2)
			assert.Equal(t, TroubleGarbled, events[0].Trouble.Code)
			assertNoCode(t, events[0].String())
			assert.Equal(t, []string{code[:17] + "0"}, texts(events), "the next scan is whole")
		})
	}
}

func TestNoiseBetweenScansIsNothing(t *testing.T) {
	a := NewAssembler(serialGap)
	assert.Empty(t, a.Feed([]byte("\x00\xff\x00"), begin), "the cable was plugged in")
	assert.Empty(t, a.Feed(nil, begin.Add(serialGap)))
	assert.False(t, a.Pending())
	assert.Equal(t, []string{code}, texts(a.Feed([]byte(code+"\r"), begin.Add(time.Second))))
	assert.Equal(t, []string{code, code}, texts(feed(code+"\r\xff\r"+code+"\r")))
}

func TestMuchNoiseIsSaid(t *testing.T) {
	events := feed(strings.Repeat("\xfe\x00", 20))
	require.Len(t, events, 1)
	assert.Equal(t, TroubleGarbled, events[0].Trouble.Code)
}

func TestTwoCodesWithoutAnythingBetweenAreNoCode(t *testing.T) {
	events := feed(code + code)
	require.Equal(t, []string{code + code}, texts(events))
	assert.Equal(t, 36, events[0].Scan.Characters, "whoever judges it sees that it is no code")
	assert.Equal(t, TroubleTooLong, feed(code + code + code + code)[0].Trouble.Code)
}

func TestAScanInWhoseMiddleTheProgramStoodStillIsInDoubt(t *testing.T) {
	a := NewAssembler(serialGap)
	a.Feed([]byte(code[:3]), begin)
	events := a.Feed([]byte(code[3:]+"\r"+code+"\r"), begin.Add(heldUpMax)) // the last digits may be another code's
	require.Len(t, events, 2)
	assert.Equal(t, TroubleHeldUp, events[0].Trouble.Code)
	assert.Equal(t, []string{code}, texts(events), "only that scan is in doubt")
}

func TestHalfACodeDoesNotJoinTheNext(t *testing.T) {
	a := NewAssembler(50 * time.Millisecond)
	a.Feed([]byte(code[:9]), begin)
	require.True(t, a.Pending())
	a.Reset() // as on every opening of the port
	assert.False(t, a.Pending())
	assert.Equal(t, []string{code}, texts(a.Feed([]byte(code+"\r"), begin)))
}

func TestARepeatedScanIsHandedOverAgain(t *testing.T) {
	a := NewAssembler(50 * time.Millisecond)
	first := a.Feed([]byte(code+"\r"), begin)
	second := a.Feed([]byte(code+"\r"), begin.Add(120*time.Millisecond))
	require.Equal(t, []string{code}, texts(second))
	assert.Equal(t, 120*time.Millisecond, second[0].At.Sub(first[0].At), "others decide by the time")
}

func TestAScanKnowsHowLongItTook(t *testing.T) {
	a := NewAssembler(50 * time.Millisecond)
	for i := range len(code) {
		a.Feed([]byte{code[i]}, begin.Add(time.Duration(i)*time.Millisecond))
	}
	events := a.Feed(nil, begin.Add(time.Second))
	require.Len(t, events, 1)
	assert.Equal(t, 17*time.Millisecond, events[0].Scan.Took)
}

// FuzzAssemble holds what must be true of any bytes, cut into reads in any way.
func FuzzAssemble(f *testing.F) {
	f.Add([]byte(code+"\r\n"), byte(3), "", "")
	f.Add([]byte("\x02]Q1"+code+"\x03"), byte(1), "\x02", "\x03")
	f.Add(bytes.Repeat([]byte{'9'}, 200), byte(7), "", "\r\n")
	f.Add([]byte("]Q1\x00\xff\r\t"+code), byte(64), "WX", "")
	f.Fuzz(func(t *testing.T, sent []byte, step byte, prefix, suffix string) {
		framing := Framing{Prefix: prefix[:min(len(prefix), markBytesMax)], Suffix: suffix[:min(len(suffix), markBytesMax)], Gap: serialGap}
		whole, cut := NewFramedAssembler(framing), NewFramedAssembler(framing)
		at := begin
		var a, b []Event
		if len(sent) > 0 {
			a = whole.Feed(sent, at)
		}
		for piece := range slicesOf(sent, int(step)+1) {
			b = append(b, cut.Feed(piece, at)...)
		}
		a = append(a, whole.Feed(nil, at.Add(time.Second))...)
		b = append(b, cut.Feed(nil, at.Add(time.Second))...)
		require.Equal(t, texts(a), texts(b), "how reads cut the stream must not matter")
		require.False(t, whole.Pending(), "silence ends everything")
		total := 0
		for _, text := range texts(a) {
			total += len(text)
			require.NotEmpty(t, text)
			require.LessOrEqual(t, len(text), scanBytesMax)
			require.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }))
			require.Contains(t, string(sent), text, "nothing is made up, and nothing left out of the middle")
		}
		require.LessOrEqual(t, total, len(sent), "nothing comes twice")
	})
}

func slicesOf(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}
