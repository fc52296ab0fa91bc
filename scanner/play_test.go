package scanner

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// playFast plays a recording without its pauses.
func playFast(t *testing.T, recording string) ([]Event, error) {
	t.Helper()
	p, err := Play(strings.NewReader(recording))
	if err != nil {
		return nil, err
	}
	p.Fast = true
	var events []Event
	err = p.Run(t.Context(), func(e Event) { events = append(events, e) })
	return events, err
}

func golden(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".jsonl")
	require.NoError(t, err)
	return string(b)
}

func TestPlayingStopsAtTheFirstDifference(t *testing.T) {
	whole := golden(t, "serial_suffixes")
	changed := strings.Replace(whole, `"text":"`+code+`"`, `"text":"`+code+`0"`, 1)
	require.NotEqual(t, whole, changed)
	events, err := playFast(t, changed)
	require.ErrorContains(t, err, "line 4 of the recording gave a scan of (19 characters) when it was recorded, and gives a scan of (18 characters) now")
	assertNoCode(t, err.Error())
	assert.Len(t, texts(events), 1, "what the read gives now is shown all the same")

	changed = strings.Replace(whole, `"aim":"Q1"`, `"aim":"C0"`, 1)
	_, err = playFast(t, changed)
	assert.ErrorContains(t, err, "]C0")

	changed = strings.Replace(whole, `,"scans":[{"text":"`+code+`"}]`, "", 1)
	_, err = playFast(t, changed)
	assert.ErrorContains(t, err, "gave nothing when it was recorded")

	_, err = playFast(t, strings.Replace(golden(t, "serial_noise"), `"too_long"`, `"parity"`, 1))
	assert.ErrorContains(t, err, "something dropped (too_long) now")
}

func TestFastPlaysWithoutPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := playFast(t, golden(t, "serial_unplugged"))
		require.NoError(t, err)
		assert.Zero(t, time.Since(start))
	})
}

func TestFilesThatAreNoRecordings(t *testing.T) {
	whole := golden(t, "serial_suffixes")
	for name, row := range map[string]struct{ file, says string }{
		"empty":           {"", "no recording"},
		"text":            {"hello\n", "no recording"},
		"another version": {strings.Replace(whole, `recording":1`, `recording":2`, 1), "version 2"},
		"another decoder": {strings.Replace(whole, `"decoder":"text"`, `"decoder":"morse"`, 1), `"morse"`},
		"cut short":       {whole[:len(whole)-20], "cut short"},
		"no bytes":        {whole + `{"ns":1,"bytes":"xyz"}` + "\n", "holds no bytes"},
		"nothing in it":   {whole + `{"ns":1}` + "\n", "neither bytes nor a state"},
		"a long line":     {whole + strings.Repeat("x", recordingLineMax+1), "too long"},
	} {
		_, err := playFast(t, row.file)
		assert.ErrorContains(t, err, row.says, name)
	}
}

func FuzzPlay(f *testing.F) {
	for _, name := range []string{"serial_suffixes", "keyboard_main_row", "pos_honeywell"} {
		b, err := os.ReadFile("testdata/" + name + ".jsonl")
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := Play(bytes.NewReader(file))
		if err != nil {
			return
		}
		p.Fast = true
		_ = p.Run(t.Context(), func(e Event) { _ = e.String() })
	})
}
