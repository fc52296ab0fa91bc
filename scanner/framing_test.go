package scanner

import (
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// feedFramed gives an assembler each piece a millisecond after the one before, then half a second of silence.
func feedFramed(f Framing, pieces ...string) []Event {
	f.Gap = serialGap
	a, at := NewFramedAssembler(f), begin
	var events []Event
	for _, p := range pieces {
		events = append(events, a.Feed([]byte(p), at)...)
		at = at.Add(time.Millisecond)
	}
	return append(events, a.Feed(nil, at.Add(500*time.Millisecond))...)
}

// troubles are the codes of what was dropped.
func troubles(events []Event) []TroubleCode {
	var found []TroubleCode
	for _, e := range events {
		if e.Kind == KindNoise {
			found = append(found, e.Trouble.Code)
		}
	}
	return found
}

func TestConfiguredPrefixAndSuffix(t *testing.T) {
	for name, row := range map[string]struct{ prefix, suffix, sent string }{
		"CR": {"", "\r", code + "\r"}, "LF": {"", "\n", code + "\n"}, "CRLF": {"", "\r\n", code + "\r\n"}, "TAB": {"", "\t", code + "\t"},
		"ETX": {"", "\x03", code + "\x03"}, "STX and ETX": {"\x02", "\x03", "\x02" + code + "\x03"}, "a text": {"", "##", code + "##"},
		"a prefix alone":           {"WX:", "", "WX:" + code + "\r"},
		"a prefix without suffix":  {"WX:", "", "WX:" + code},
		"prefix and suffix":        {"<", ">", "<" + code + ">"},
		"a byte that is no letter": {"\xfe", "\xff", "\xfe" + code + "\xff"},
		"NUL":                      {"", "\x00", code + "\x00"},
		"more than the configured": {"", "\r", code + "\r\n"},
		"STX before it":            {"", "\r", "\x02" + code + "\r"},
		"an AIM identifier":        {"<", "\r", "<]Q1" + code + "\r"},
	} {
		t.Run(name, func(t *testing.T) {
			f, twice := Framing{Prefix: row.prefix, Suffix: row.suffix}, row.sent+row.sent
			assert.Equal(t, []string{code}, texts(feedFramed(f, row.sent)), "in one piece")
			assert.Equal(t, []string{code}, texts(feedFramed(f, strings.Split(row.sent, "")...)), "byte by byte")
			assert.Empty(t, troubles(feedFramed(f, row.sent)))
			if row.suffix != "" || strings.HasSuffix(row.sent, "\r") {
				assert.Equal(t, []string{code, code}, texts(feedFramed(f, twice)), "two in one read")
			}
		})
	}
}

func TestAScanWithoutItsPrefixOrSuffixIsRefusedAndSaid(t *testing.T) {
	for name, row := range map[string]struct {
		prefix, suffix, sent string
		scans                []string
		says                 string
	}{
		"cut short":               {"", "\r", code, nil, "suffix"},
		"half of a long suffix":   {"", "\r\n", code + "\r", nil, "suffix"},
		"no prefix":               {"WX:", "", code + "\r", nil, "prefix"},
		"half a prefix":           {"WX:", "\r", "X:" + code + "\r", nil, "prefix"},
		"its beginning lost":      {"\x02", "\x03", code[3:] + "\x03\x02" + code + "\x03", []string{code}, "prefix"},
		"its end lost":            {"\x02", "\x03", "\x02" + code[:9] + "\x02" + code + "\x03", []string{code}, "suffix"},
		"two without one between": {"<", "", "<" + code + "<" + code, []string{code}, "suffix"},
	} {
		t.Run(name, func(t *testing.T) {
			events := feedFramed(Framing{Prefix: row.prefix, Suffix: row.suffix}, row.sent)
			assert.Equal(t, row.scans, texts(events))
			require.Equal(t, []TroubleCode{TroubleUnframed}, troubles(events))
			assert.Contains(t, events[0].Trouble.What, row.says)
			assertNoCode(t, events[0].String())
		})
	}
}

func TestABoundaryInsideAConfiguredFrameIsNoise(t *testing.T) {
	events := feedFramed(Framing{Suffix: "##"}, code[:9]+"\r"+code[9:]+"##"+code+"##")
	assert.Equal(t, []string{code}, texts(events))
	assert.Equal(t, []TroubleCode{TroubleGarbled}, troubles(events))
	events = feedFramed(Framing{Suffix: "\r\n"}, code[:9]+"\r"+code[9:]+"\r\n"+code+"\r\n") // half a suffix is no character either
	assert.Equal(t, []string{code}, texts(events))
	assert.Equal(t, []TroubleCode{TroubleGarbled}, troubles(events))
}

// inSevenBits are the bytes that a scanner with seven data bits sends, as a port with eight reads them.
func inSevenBits(text string, parity func(ones int) bool) string {
	b := []byte(text)
	for i, c := range b {
		if parity(bits.OnesCount8(c)) {
			b[i] |= 0x80
		}
	}
	return string(b)
}

func TestAWrongParityIsNamedAndNeverACode(t *testing.T) {
	even := func(ones int) bool { return ones%2 == 1 }
	odd := func(ones int) bool { return ones%2 == 0 }
	mark := func(int) bool { return true }
	for name, row := range map[string]struct {
		sent string
		says string
	}{
		"7E1 read as 8N1": {inSevenBits(code+"\r", even), "even parity"},
		"7O1 read as 8N1": {inSevenBits(code+"\r", odd), "odd parity"},
		"7M1 read as 8N1": {inSevenBits(code+"\r", mark), "mark parity"},
		// The kernel gives NUL for a byte of wrong parity where it is told to check (INPCK).
		"8N1 read as 7E1": {strings.Map(func(r rune) rune { return keepIf(r, even) }, code+"\r"), "8 data bits"},
		"8N1 read as 7O1": {strings.Map(func(r rune) rune { return keepIf(r, odd) }, code+"\r"), "8 data bits"},
	} {
		t.Run(name, func(t *testing.T) {
			events := feedFramed(Framing{}, row.sent)
			assert.Empty(t, texts(events))
			require.Equal(t, []TroubleCode{TroubleParity}, troubles(events))
			assert.Contains(t, events[0].Trouble.What, row.says)
			assert.Contains(t, events[0].Trouble.Next, "data_bits")
		})
	}
	assert.Equal(t, []string{code}, texts(feedFramed(Framing{}, inSevenBits(code+"\r", func(int) bool { return false }))), "7S1 reads as 8N1")
}

// keepIf gives a character whose parity bit would be 0, and NUL for another.
func keepIf(r rune, parity func(ones int) bool) rune {
	if parity(bits.OnesCount8(byte(r))) {
		return 0
	}
	return r
}

func TestMarksAsAConfigurationWritesThem(t *testing.T) {
	for value, want := range map[string]string{"CR": "\r", "crlf": "\r\n", "Tab": "\t", "STX": "\x02", "ETX": "\x03", "\r": "\r", "##": "##", "": ""} {
		mark, err := ParseMark("suffix", value)
		require.NoError(t, err)
		assert.Equal(t, want, mark)
	}
	for value, says := range map[string]string{"a1": "digit", "much too long": "13 bytes"} {
		_, err := ParseMark("suffix", value)
		var bad *ConfigError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, "suffix", bad.Key)
		assert.Contains(t, err.Error(), says)
	}
}
