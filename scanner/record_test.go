package scanner

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// pieces makes a step of each text, a millisecond apart.
func pieces(sent ...string) []step {
	var steps []step
	for _, s := range sent {
		steps = append(steps, step{after: time.Millisecond, bytes: s})
	}
	return steps
}

// describedPort is a port that knows its report descriptor.
type describedPort struct {
	*fakePort
	descriptor []byte
}

func (p *describedPort) Descriptor() []byte { return p.descriptor }

// recordings are the devices whose recordings stand in testdata. Their codes are invented.
func recordings(t *testing.T) map[string]*device {
	asDevice := func(name string, f format, ports ...any) *device {
		d := fakeDevice(append(append([]any{away}, ports...), away)...)
		d.name, d.format, d.decoder = name, f, f.decoder()
		return d
	}
	port := func(steps ...[]step) *fakePort {
		p := &fakePort{t: t, slice: hidSlice}
		for _, s := range steps {
			p.steps = append(p.steps, s...)
		}
		return p
	}
	onDevice := func(descriptor string, reports [][]byte) *describedPort {
		return &describedPort{port(stepsOf(reports...), []step{{after: time.Millisecond, err: errors.New("gone")}}), unhex(t, descriptor)}
	}
	other, makers, writers := "109876543210987654", posMakers(t), keyWriters()
	boot, withIDs, bitmap := writers[1], writers[2], writers[3]
	quiet := []step{{after: 200 * time.Millisecond}}
	gone := []step{{after: time.Millisecond, err: errors.New("gone")}}
	text, keys, pos := format{decodeText, Framing{Gap: serialGap}}, format{decodeKeyboard, Framing{Gap: keyboardGap}}, format{decodePOS, Framing{}}
	stxETX := format{decodeText, Framing{Prefix: "\x02", Suffix: "\x03", Gap: serialGap}}
	return map[string]*device{
		"serial_suffixes": asDevice("/dev/posagent-scanner", text, port(
			pieces(code+"\r", code+"\n", code+"\r\n", code+"\t", "\x02"+code+"\x03", "]Q1"+code+"\r\r"))),
		"serial_no_suffix": asDevice("/dev/posagent-scanner", text, port(
			pieces(strings.Split(code, "")...), quiet, pieces(code[:10], code[10:]), quiet)),
		"serial_noise": asDevice("/dev/posagent-scanner", text, port(
			pieces("\x00\xff\xfe", "\x80"+code[:4]+"\x00"+code[4:]+"\r", strings.Repeat("9", 100)+"\r"), quiet, pieces(code+"\r"))),
		"serial_unplugged": asDevice("/dev/posagent-scanner", text,
			port(pieces(code[:9]), gone), away, port(pieces(code+"\r"))),
		"keyboard_main_row":         asDevice("hid 1eab:0003", keys, port(stepsOf(append(typed(code), press(0x28)...)...))),
		"keyboard_keypad_unplugged": asDevice("hid 1eab:0003", keys, port(stepsOf(onPad(code[:9])...), gone), port(stepsOf(append(onPad(code), press(0x58)...)...))),
		"serial_cr":                 asDevice("/dev/posagent-scanner", text, port(pieces(code+"\r"))),
		"serial_aim":                asDevice("/dev/posagent-scanner", text, port(pieces("]Q1"+code+"\r", "]C1"+code+"\r", "]E0"+"4006381333931\r"))),
		"serial_two_in_one_read":    asDevice("/dev/posagent-scanner", text, port(pieces(code+"\r"+other+"\r", code+other), quiet)),
		"serial_stx_etx":            asDevice("/dev/posagent-scanner", stxETX, port(pieces("\x02"+code+"\x03", code[3:]+"\x03", "\x02"+code[:9]), quiet)),
		"serial_seven_bits_even":    asDevice("/dev/posagent-scanner", text, port(pieces(inSevenBits(code+"\r", func(ones int) bool { return ones%2 == 1 })), quiet)),
		"keyboard_keypad":           asDevice("a Datalogic Gryphon", keys, onDevice(gryphonKeyboard, boot.press(0, append(pad(code), enterKey)...))),
		"keyboard_alt_codes":        asDevice("a Datalogic Gryphon", keys, onDevice(gryphonKeyboard, append(boot.altCodes(code), boot.press(0, enterKey)...))),
		"keyboard_bit_for_each_key": asDevice("hid 1eab:0003", keys, onDevice(keyboardBitmap, bitmap.press(0, append(row(code), enterKey)...))),
		"keyboard_report_ids":       asDevice("hid 1eab:0003", keys, onDevice(keyboardWithIDs, withIDs.press(0, append(row(code), enterKey)...))),
		"evdev_main_row": asDevice("evdev 1eab:0003", format{decodeEvdev, Framing{Gap: keyboardGap}},
			port(stepsOf(append(keyEventsOf(code), appendKey(nil, 28, keyDown), appendKey(nil, 28, keyUp))...))),
		"pos_access_is": asDevice("an Access-IS scanner", pos, onDevice("", makers["Access-IS LSR118"].reports), onDevice("", makers["Access-IS LSR118 in two reports"].reports)),
		"pos_voyager":   asDevice("a Honeywell Voyager", pos, onDevice("", makers["Honeywell Voyager 1602g"].reports), onDevice("", makers["Honeywell Voyager 1400g"].reports)),
		"pos_quio":      asDevice("a Quio scanner", pos, onDevice("", makers["Quio QU-R-302"].reports)),
		"pos_described": asDevice("a scanner with a descriptor", pos, onDevice(posDescriptor, makers["by the usage tables"].reports)),
		"pos_honeywell": asDevice("hid 0c2e:0b81", pos, port(stepsOf(
			posReport(18, "]Q1", code, false), posReport(56, "]X0", strings.Repeat("Product", 8), true), posReport(5, "]X0", "12345", false)))),
		"pos_newland_in_pieces": asDevice("hid 1eab:8310", pos, port(stepsOf(cutUp(posReport(18, "", code, false), 8)...))),
	}
}

func cutUp(b []byte, size int) (reads [][]byte) {
	for piece := range slicesOf(b, size) {
		reads = append(reads, piece)
	}
	return reads
}

func TestRecordingsAreGoldenAndPlayBack(t *testing.T) {
	for name := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".jsonl")
			var file bytes.Buffer
			var live, played []Event
			synctest.Test(t, func(t *testing.T) {
				source, err := Record(recordings(t)[name], &file)
				require.NoError(t, err)
				live = watchFor(t, source, 5*time.Second)
			})
			if *update {
				require.NoError(t, os.WriteFile(path, file.Bytes(), 0o644))
			}
			golden, err := os.ReadFile(path)
			require.NoError(t, err, "go test ./scanner -update writes it")
			require.Equal(t, string(golden), file.String())
			synctest.Test(t, func(t *testing.T) {
				source, err := Play(bytes.NewReader(golden))
				require.NoError(t, err)
				played = watchFor(t, source, time.Hour)
			})
			assert.Equal(t, texts(live), texts(played))
			assert.Equal(t, states(live), states(played))
			require.Equal(t, len(live), len(played))
			for i := range live {
				assert.Equal(t, live[i].At.Sub(live[0].At), played[i].At.Sub(played[0].At), "with the recorded pauses")
				assert.Equal(t, live[i].Device, played[i].Device)
				assert.Equal(t, live[i].Trouble, played[i].Trouble)
			}
		})
	}
}

func TestARecordingSaysThatItHoldsCodes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		head, _, _ := strings.Cut(string(b), "\n")
		assert.Contains(t, head, "codes in clear")
		assert.Contains(t, head, "delete it")
	}
}

func TestOnlyHardwareIsRecorded(t *testing.T) {
	_, err := Record(NewTyped("stdin", strings.NewReader("")), &bytes.Buffer{})
	assert.ErrorContains(t, err, "only a serial or HID scanner")
}

// fullDisk takes some lines and then no more.
type fullDisk struct{ lines int }

func (w *fullDisk) Write(b []byte) (int, error) {
	if w.lines--; w.lines < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(b), nil
}

func TestARecordingWithAHoleIsNotGoneOnWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{t: t, slice: 25 * time.Millisecond, steps: pieces(code+"\r", code+"\r", code+"\r")}
		source, err := Record(fakeDevice(p), &fullDisk{lines: 2})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		assert.ErrorContains(t, source.Run(ctx, func(Event) {}), "no space left")
		assert.NoError(t, ctx.Err(), "it ended by itself")
		assert.True(t, p.closed)
	})
}
