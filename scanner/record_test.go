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

// recordings are the devices whose recordings stand in testdata. Their codes are invented.
func recordings(t *testing.T) map[string]*device {
	asDevice := func(name string, f format, ports ...any) *device {
		d := fakeDevice(append([]any{away}, ports...)...)
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
	quiet := []step{{after: 200 * time.Millisecond}}
	gone := []step{{after: time.Millisecond, err: errors.New("gone")}}
	text, keys, pos := format{decodeText, Framing{Gap: serialGap}}, format{decodeKeyboard, Framing{Gap: keyboardGap}}, format{decodePOS, Framing{}}
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
