package scanner

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A scripted line: what a scanner sends is put into pieces that are lost whole (a byte, a report, a packet), reads join and
// split them, and a script of faults cuts codes, loses pieces, adds noise and lets the program stand still. Each fault
// leaves the trace that it leaves in life; a digit that vanishes without one cannot be noticed by anybody.

// faultyLine is one kind of scanner on one kind of decoder.
type faultyLine struct {
	name    string
	decoder func() Decoder
	encode  func(code string) [][]byte // without a suffix
	digitAt func(n int) int            // the piece after which n digits were sent
	suffix  [][]byte
	noise   [][]byte // pieces that show that something was lost; none where a loss shows by itself
	joins   bool     // reads may hold any number of pieces
	lengths []int    // of codes that are only ever sent cut
	kept    int      // how many pieces wait for a program that stands still; 0 for all
}

// lines are the scanners of the model.
func lines(t testing.TB) []faultyLine {
	bytesOf := func(text string) (pieces [][]byte) { return cutUp([]byte(text), 1) }
	noise := [][]byte{{0}, {0x80}, {0xFF}, {0x1B}}
	all := []faultyLine{
		{name: "serial", decoder: func() Decoder { return NewAssembler(serialGap) }, encode: bytesOf,
			digitAt: func(n int) int { return n }, suffix: bytesOf("\r"), noise: noise, joins: true},
		{name: "serial, STX and ETX configured",
			decoder: func() Decoder { return NewFramedAssembler(Framing{Prefix: "\x02", Suffix: "\x03", Gap: serialGap}) },
			encode:  func(code string) [][]byte { return bytesOf("\x02" + code) },
			digitAt: func(n int) int { return n + 1 }, suffix: bytesOf("\x03"), noise: noise, joins: true, lengths: []int{19, 24}},
		{name: "serial, seven bits read as eight", decoder: func() Decoder { return NewAssembler(serialGap) },
			encode: func(code string) [][]byte {
				return bytesOf(inSevenBits(code, func(ones int) bool { return ones%2 == 1 }))
			},
			digitAt: func(n int) int { return n }, suffix: bytesOf("\x8d"), noise: noise, joins: true},
	}
	for _, w := range keyWriters() {
		descriptor := unhex(t, w.descriptor)
		all = append(all, faultyLine{name: "keyboard, " + w.name, decoder: func() Decoder { k := NewKeyboard(keyboardGap); k.Describe(descriptor); return k },
			encode:  func(code string) [][]byte { return w.press(0, row(code)...) },
			digitAt: func(n int) int { return 2 * n }, suffix: w.press(0, enterKey), kept: 32, noise: [][]byte{w.write(0, rollOver, rollOver, rollOver)}})
	}
	all = slices.DeleteFunc(all, func(l faultyLine) bool { return l.name == "keyboard, keys counted from 0x04" }) // it cannot say that it rolled over
	all = append(all, faultyLine{name: "keyboard, events of the kernel", decoder: func() Decoder { return NewKeyEvents(keyboardGap) },
		encode: keyEventsOf, digitAt: func(n int) int { return 2 * n }, suffix: cutUp(appendKey(appendKey(nil, 28, keyDown), 28, keyUp), keyRecordBytes),
		noise: [][]byte{appendLost(nil)}, joins: true})
	for _, descriptor := range [][]byte{nil, unhex(t, posDescriptor)} {
		for _, size := range []int{64, 8} {
			all = append(all, faultyLine{name: fmt.Sprintf("point of sale, packets of %d, described %t", size, descriptor != nil),
				decoder: func() Decoder { p := NewPOS(); p.Describe(descriptor); return p },
				encode:  func(code string) [][]byte { return cutUp(posReport(len(code), "]Q1", code, false), size) },
				digitAt: func(n int) int { return (posDataAt + n) / size }, lengths: []int{26}})
		}
	}
	return all
}

// keyEventsOf are the events of digits typed by the main row: key codes 2 to 11 are 1 to 0.
func keyEventsOf(digits string) (records [][]byte) {
	for i := range len(digits) {
		key := uint16(digits[i]-'0'+9)%10 + 2
		records = append(records, appendKey(nil, key, keyDown), appendKey(nil, key, keyUp))
	}
	return records
}

// scripted plays one script on one line.
type scripted struct {
	faultyLine
	rng     *rand.Rand
	decoder Decoder
	at      time.Time
	codes   int
	whole   map[string]bool // codes that went in whole
	must    []string        // of those, the ones with silence on both sides
	events  []Event
	story   []string
	cutAt   int // how many digits of the last code that was cut came
}

func (s *scripted) tell(format string, args ...any) {
	s.story = append(s.story, fmt.Sprintf(format, args...))
}

// newCode is a code that was never sent before.
func (s *scripted) newCode(digits int) string {
	s.codes++
	return fmt.Sprintf("1%d%03d", s.rng.IntN(6), s.codes) + strings.Repeat(strconv.Itoa(s.rng.IntN(10)), 5) + s.digits(digits-10)
}

func (s *scripted) digits(n int) (text string) {
	for range n {
		text += strconv.Itoa(s.rng.IntN(10))
	}
	return text
}

// send gives pieces to the decoder, in reads as they come, with short pauses.
func (s *scripted) send(pieces [][]byte) {
	for len(pieces) > 0 {
		n := 1
		if s.joins {
			n = 1 + s.rng.IntN(len(pieces))
		}
		s.feed(slices.Concat(pieces[:n]...))
		pieces = pieces[n:]
		s.at = s.at.Add(time.Duration(s.rng.IntN(8)) * time.Millisecond)
		if s.rng.IntN(40) == 0 {
			s.at = s.at.Add(300 * time.Millisecond) // held up, but not for long
		}
	}
}

func (s *scripted) feed(b []byte) { s.events = append(s.events, s.decoder.Feed(b, s.at)...) }

// silence is long enough for any decoder, and looked at.
func (s *scripted) silence() {
	for range 4 {
		s.at = s.at.Add(60 * time.Millisecond)
		s.feed(nil)
	}
}

// trace is what shows a decoder that something is missing.
func (s *scripted) trace() {
	kinds := []string{"unplugged", "silence", "stood still"}
	if len(s.noise) > 0 {
		kinds = append(kinds, "noise")
	}
	kind := kinds[s.rng.IntN(len(kinds))]
	s.tell("%s", kind)
	switch kind {
	case "unplugged":
		s.decoder.Reset()
	case "silence":
		s.silence()
	case "stood still":
		s.at = s.at.Add(heldUpMax + time.Duration(s.rng.IntN(2000))*time.Millisecond)
	case "noise":
		s.send([][]byte{s.noise[s.rng.IntN(len(s.noise))]})
	}
}

func (s *scripted) cutCode() (pieces [][]byte, code string) {
	lengths := append([]int{18, 18, 18}, s.lengths...)
	code = s.newCode(lengths[s.rng.IntN(len(lengths))])
	return s.encode(code), code
}

// move is one thing that happens.
func (s *scripted) move() {
	switch s.rng.IntN(9) {
	case 0, 1:
		code := s.newCode(18)
		s.tell("alone")
		s.silence()
		s.whole[code], s.must = true, append(s.must, code)
		s.send(append(s.encode(code), s.suffix...))
		s.silence()
	case 2:
		code := s.newCode(18)
		s.tell("whole")
		s.whole[code] = true
		s.send(append(s.encode(code), s.suffix...))
	case 3:
		code := s.newCode(18)
		s.tell("whole without a suffix")
		s.whole[code] = true
		s.send(s.encode(code))
	case 4:
		pieces, code := s.cutCode()
		kept := 1 + s.rng.IntN(17)
		s.cutAt = kept
		s.tell("the first %d of %d digits", kept, len(code))
		s.send(pieces[:s.digitAt(kept)])
		s.trace()
	case 5:
		pieces, code := s.cutCode()
		lost := 1 + s.rng.IntN(17)
		if s.cutAt > 0 && s.rng.IntN(2) == 0 {
			lost = s.cutAt // with the half that came before it would be a code
		}
		s.trace()
		s.tell("all but the first %d of %d digits", lost, len(code))
		s.whole[code] = s.digitAt(lost) == 0 // a packet that has them all
		s.send(append(pieces[s.digitAt(lost):], s.suffix...))
	case 6:
		s.lose()
	case 7:
		s.overrun()
	case 8:
		s.trace()
	}
}

// lose sends a code with some digits replaced by what shows that they are missing; of a long code often so many that 18
// are left.
func (s *scripted) lose() {
	code := s.newCode([]int{18, 19, 24, 26}[s.rng.IntN(4)])
	pieces, lost := s.encode(code), 1+s.rng.IntN(3)
	if len(code) > 18 && s.rng.IntN(4) > 0 {
		lost = len(code) - 18
	}
	from := s.rng.IntN(len(code) - lost + 1)
	first, end := s.digitAt(from), s.digitAt(from+lost)
	if first == end {
		end = min(first+1, len(pieces)) // packets
	}
	s.tell("digits %d to %d of %d lost", from, from+lost, len(code))
	var instead [][]byte
	if len(s.noise) > 0 {
		instead = [][]byte{s.noise[s.rng.IntN(len(s.noise))]}
	}
	s.send(slices.Concat(pieces[:first], instead, pieces[end:], s.suffix))
}

// overrun lets the program stand still while more waits than a HID library keeps: the oldest reports are lost.
func (s *scripted) overrun() {
	if s.kept == 0 {
		return
	}
	first, code := s.cutCode()
	second, other := s.cutCode()
	read := s.digitAt(1 + s.rng.IntN(17))
	s.tell("stood still after %d pieces of %d digits; of the rest and one more code the last %d pieces are left", read, len(code), s.kept)
	waits := slices.Concat(first[min(read, len(first)):], s.suffix, second, s.suffix)
	s.whole[other] = len(second)+len(s.suffix) <= s.kept
	s.send(first[:min(read, len(first))])
	s.at = s.at.Add(heldUpMax + time.Duration(s.rng.IntN(2000))*time.Millisecond)
	s.send(waits[max(0, len(waits)-s.kept):])
}

// play plays the script of a seed and returns what is wrong with what came out.
func (l faultyLine) play(seed uint64, spoil func(Decoder) Decoder) (wrong string, story []string) {
	return l.playFrom(rand.NewPCG(seed, 1), spoil)
}

// chosen is a source of choices that a fuzzer makes, eight bits each, and chance's when it has made its last.
type chosen struct {
	bytes []byte
	after *rand.PCG
}

func (c *chosen) Uint64() uint64 {
	if len(c.bytes) == 0 {
		return c.after.Uint64()
	}
	b := c.bytes[0]
	c.bytes = c.bytes[1:]
	return uint64(b) * 0x0101_0101_0101_0101
}

// FuzzWholeCodes plays the scripts that the fuzzer chooses on every line: what comes out is a code that went in whole.
func FuzzWholeCodes(f *testing.F) {
	f.Add(byte(0), []byte{4, 8, 0, 200, 17, 99, 130, 7, 1})
	f.Add(byte(1), []byte{255, 100, 3, 9, 64})
	f.Add(byte(9), []byte{12, 250, 180, 90, 33, 33, 8})
	all := lines(f)
	f.Fuzz(func(t *testing.T, which byte, choices []byte) {
		l := all[int(which)%len(all)]
		wrong, story := l.playFrom(&chosen{choices, rand.NewPCG(1, 1)}, nil)
		require.Empty(t, wrong, "%s\n%s", l.name, strings.Join(story, "\n"))
	})
}

func (l faultyLine) playFrom(choices rand.Source, spoil func(Decoder) Decoder) (wrong string, story []string) {
	s := &scripted{faultyLine: l, rng: rand.New(choices), decoder: l.decoder(), at: begin, whole: map[string]bool{}}
	if spoil != nil {
		s.decoder = spoil(s.decoder)
	}
	for range 2 + s.rng.IntN(10) {
		s.move()
	}
	s.silence()
	return s.judge(), s.story
}

func (s *scripted) judge() string {
	came := map[string]int{}
	for _, text := range texts(s.events) {
		came[text]++
		if len(text) == 18 && !s.whole[text] {
			return "a code came out that did not go in whole"
		}
	}
	for _, text := range s.must {
		if came[text] != 1 && !s.unreadable() {
			return fmt.Sprintf("a code that stood alone came out %d times", came[text])
		}
	}
	for _, n := range came {
		if n > 1 && s.unreadable() {
			return "a code came out twice"
		}
	}
	if s.unreadable() && len(came) > 0 {
		return s.unreadableCame(came)
	}
	if s.decoder.Pending() {
		return "silence does not end everything"
	}
	return ""
}

// unreadable reports a line whose port cannot read its scanner.
func (s *scripted) unreadable() bool { return strings.Contains(s.name, "seven bits") }

func (s *scripted) unreadableCame(came map[string]int) string {
	for text := range came {
		if len(text) >= 18 {
			return "a code came out of a line that cannot be read"
		}
	}
	return ""
}

// scanSeeds are the seeds to play: POSAGENT_SCANS says how many, POSAGENT_SCAN_SEED names one.
func scanSeeds(t testing.TB, usual int) (from, to uint64) {
	t.Helper()
	if text := os.Getenv("POSAGENT_SCAN_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		return seed, seed + 1
	}
	n := usual
	if text := os.Getenv("POSAGENT_SCANS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	return 0, uint64(n)
}

func TestWhatComesOutIsACodeThatWentInWhole(t *testing.T) {
	from, to := scanSeeds(t, 300)
	for _, l := range lines(t) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			for seed := from; seed < to; seed++ {
				if wrong, story := l.play(seed, nil); wrong != "" {
					require.Fail(t, wrong, "%s\nPOSAGENT_SCAN_SEED=%d go test ./scanner -run %s", strings.Join(story, "\n"), seed, t.Name())
				}
			}
		})
	}
}

// The faults that the model must notice, put between the line and its decoder.
type (
	deafToNoise struct{ Decoder } // drops what is no character
	deafToKeys  struct{ Decoder } // drops the report that keys rolled over
	blindToTime struct {          // takes a stall for a moment
		Decoder
		last    time.Time
		missing time.Duration
	}
	neverResets struct{ Decoder } // joins what came before an unplug to what comes after
	neverLooks  struct{ Decoder } // does not see silence
	blindToGaps struct{ Decoder } // takes padding in a report for an end
)

func (d deafToNoise) Feed(b []byte, at time.Time) []Event {
	clean := slices.DeleteFunc(slices.Clone(b), func(c byte) bool { return !isPrintable(c) && !isBoundary(c) })
	if len(clean) == 0 && len(b) > 0 {
		return nil
	}
	return d.Decoder.Feed(clean, at)
}

func (d deafToKeys) Feed(b []byte, at time.Time) []Event {
	if k, ok := d.Decoder.(*Keyboard); ok && len(b) > 0 {
		if _, keys, _ := k.keys.pressed(b); len(keys) > 0 && keys[0] == rollOver {
			return nil
		}
	}
	return d.Decoder.Feed(b, at)
}

func (d *blindToTime) Feed(b []byte, at time.Time) []Event {
	if len(b) > 0 && !d.last.IsZero() && at.Sub(d.last) >= heldUpMax {
		d.missing += at.Sub(d.last)
	}
	d.last = at
	return d.Decoder.Feed(b, at.Add(-d.missing))
}

func (neverResets) Reset() {}

func (d neverLooks) Feed(b []byte, at time.Time) []Event {
	if len(b) == 0 {
		return nil
	}
	return d.Decoder.Feed(b, at)
}

func (d blindToGaps) Feed(b []byte, at time.Time) []Event {
	p := d.Decoder.(*POS)
	if len(p.report) > posDataAt && len(p.report)+len(b) >= posReportBytes-8 {
		data := append(slices.Clone(p.report), b...)[posDataAt:]
		p.report[posLengthAt] = byte(max(0, slices.Index(data, 0)))
	}
	return d.Decoder.Feed(b, at)
}

func TestTheModelNoticesPlantedFaults(t *testing.T) {
	for _, row := range []struct {
		fault string
		line  string
		spoil func(Decoder) Decoder
	}{
		{"noise is dropped", "serial", func(d Decoder) Decoder { return deafToNoise{d} }},
		{"noise is dropped", "serial, STX and ETX configured", func(d Decoder) Decoder { return deafToNoise{d} }},
		{"a rollover is dropped", "keyboard, boot report, no descriptor", func(d Decoder) Decoder { return deafToKeys{d} }},
		{"a stall is not seen", "keyboard, boot report, no descriptor", func(d Decoder) Decoder { return &blindToTime{Decoder: d} }},
		{"a stall is not seen", "serial", func(d Decoder) Decoder { return &blindToTime{Decoder: d} }},
		{"an unplug is not seen", "serial", func(d Decoder) Decoder { return neverResets{d} }},
		{"an unplug is not seen", "keyboard, a bit for each key", func(d Decoder) Decoder { return neverResets{d} }},
		{"silence is not seen", "serial", func(d Decoder) Decoder { return neverLooks{d} }},
		{"a lost packet is not seen", "point of sale, packets of 8, described false", func(d Decoder) Decoder { return blindToGaps{d} }},
	} {
		t.Run(row.fault+" on "+row.line, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(lines(t), func(l faultyLine) bool { return l.name == row.line })
			require.GreaterOrEqual(t, i, 0)
			l := lines(t)[i]
			for seed := range uint64(3000) {
				if wrong, _ := l.play(seed, row.spoil); wrong != "" {
					t.Logf("script %d notices it: %s", seed, wrong)
					return
				}
			}
			require.Fail(t, "no script notices it")
		})
	}
}
