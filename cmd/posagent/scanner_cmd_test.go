package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/scanner"
)

func TestScannerListSaysWhichSettingsToWrite(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	hid := scanner.Found{Kind: "hid", Mode: "pos", Name: "Maker Reader", VendorID: 0x0c2e, ProductID: 0x0901, Serial: "S1",
		Missing: []string{"posagent's udev rule is not installed: copy it"}}
	keyboard := scanner.Found{Kind: "evdev", Device: "1-2", Name: "Maker Keys", VendorID: 0x1eab, ProductID: 0x0003,
		Holders: []scanner.Holder{{PID: 812, Program: "Xorg"}}}
	serial := scanner.Found{Kind: "serial", Device: "/dev/ttyACM0", VendorID: 0x1eab, ProductID: 0x0c06, Note: "this name may change"}
	writeDevices(&out, []listed{{Found: hid, TOML: hid.TOML()}, {Found: keyboard, TOML: keyboard.TOML()}, {Found: serial, TOML: serial.TOML()}}, true)
	golden(t, "scanner_list", out.String())

	out.Reset()
	writeDevices(&out, nil, false)
	assert.Contains(t, out.String(), "no scanner found: plug it in")

	status, text, _ := posagent(t, "scanner", "list", "--json")
	assert.Equal(t, ExitDone, status)
	var devices []listed
	assert.NoError(t, json.Unmarshal([]byte(text), &devices))
}

// scans sends codes through a pseudo-terminal, as a serial scanner does, until the test ends.
func scans(t *testing.T, codes ...string) string {
	t.Helper()
	pty, err := scanner.OpenPTY()
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { _ = pty.Close() })
	go func() {
		for _, code := range codes {
			time.Sleep(300 * time.Millisecond)
			_, _ = pty.Write([]byte(code))
		}
	}()
	return pty.Path()
}

func TestScannerWatchMasksWhatItShows(t *testing.T) {
	t.Parallel()
	device := scans(t, "]Q1"+codePaid+"\r", "281234567890123456\r\n")
	status, out, stderr := posagent(t, "scanner", "watch", "--device", device, "--for", "1200ms")
	assert.Equal(t, ExitDone, status, stderr)
	assert.Contains(t, out, device+": ready: scan something")
	assert.Regexp(t, `a WeChat Pay payment code, 18 characters, in \d+ ms, AIM \]Q1`, out)
	assert.Contains(t, out, "an Alipay code, 18 characters")
	assert.NotContains(t, out, codePaid[:4])
	assert.NotContains(t, out, codePaid[14:])
	assert.NotContains(t, out, "2812")
}

func TestScannerWatchForAScript(t *testing.T) {
	t.Parallel()
	device := scans(t, codePaid+"\r")
	_, out, _ := posagent(t, "scanner", "watch", "--device", device, "--for", "800ms", "--json")
	var kinds []payflow.CodeKind
	for line := range strings.Lines(out) {
		var l scanLine
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		if l.Kind != "" {
			kinds = append(kinds, l.Kind)
		}
	}
	assert.Equal(t, []payflow.CodeKind{payflow.CodeWeChat}, kinds)
}

func TestScannerWatchSaysThatADeviceIsNotThere(t *testing.T) {
	t.Parallel()
	pc := newStorePC(t)
	pc.more = "[[scanner]]\nkind = \"serial\"\ndevice = \"/dev/posagent-nosuch\""
	status, out, _ := pc.run("scanner", "watch", "--for", "100ms")
	assert.Equal(t, ExitDone, status)
	assert.Contains(t, out, "absent: the scanner /dev/posagent-nosuch is not there; plug it in")
}

func TestScannerRecordAndPlay(t *testing.T) {
	t.Parallel()
	device := scans(t, codePaid+"\r")
	file := filepath.Join(t.TempDir(), "scan.rec")
	status, _, stderr := posagent(t, "scanner", "record", file, "--device", device, "--for", "800ms")
	assert.Equal(t, ExitDone, status, stderr)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds codes in clear")

	status, out, stderr := posagent(t, "scanner", "play", file, "--fast")
	assert.Equal(t, ExitDone, status, stderr)
	assert.Contains(t, out, "a WeChat Pay payment code")
	assert.Contains(t, out, "the same scans as when it was recorded")
	assert.NotContains(t, out, codePaid[:4])

	status, _, stderr = posagent(t, "scanner", "record", file, "--device", device, "--for", "100ms")
	assert.Equal(t, ExitFailed, status, "a recording is never overwritten")
	assert.Contains(t, stderr, "is there already")

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(text, []byte(codePaid), []byte("999999999999999999")), 0o600))
	status, out, stderr = posagent(t, "scanner", "play", file, "--fast")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "when it was recorded")
	assert.NotContains(t, out, "the same scans")
}

func TestScannerWithWrongWords(t *testing.T) {
	t.Parallel()
	pc := newStorePC(t)
	for _, args := range [][]string{
		{"watch"}, // none is configured
		{"watch", "--device", "relative", "--for", "10ms"},
		{"watch", "--hid", "nonsense"},
		{"watch", "--hid", "1eab:0c06", "--device", "/dev/ttyS0"},
		{"record"}, {"play"},
	} {
		status, _, stderr := pc.run(append([]string{"scanner"}, args...)...)
		assert.Equal(t, ExitUsage, status, args)
		assert.Contains(t, stderr, "what to do: ", args)
	}
	for _, file := range []string{"nosuch.rec", pc.file("text", "no recording")} {
		status, _, stderr := pc.run("scanner", "play", file)
		assert.Equal(t, ExitFailed, status)
		assert.Contains(t, stderr, "posagent scanner record")
	}
}
