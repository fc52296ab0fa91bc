package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/configs"
	"posagent/scanner"
)

// learnedKeyboard is a keyboard scanner that a code came from.
func learnedKeyboard() listed {
	f := scanner.Found{Kind: "evdev", VendorID: 0x1eab, ProductID: 0x0003, Serial: "S7"}
	return listed{Found: f, TOML: f.TOML()}
}

func learnedPort(device string) listed {
	f := scanner.Found{Kind: "serial", Device: device, VendorID: 0x1eab, ProductID: 0x0c06}
	return listed{Found: f, TOML: f.TOML()}
}

func nothingPresent(scanner.Config) bool    { return false }
func everythingPresent(scanner.Config) bool { return true }

func TestALearnedScannerIsAddedAndTheRestStaysAsItIs(t *testing.T) {
	for name, before := range map[string]string{
		"no scanner": leastConfig, "no line end": strings.TrimRight(leastConfig, "\n"), "comments": leastConfig + "# the end\n\n",
		"another till's CR LF": strings.ReplaceAll(leastConfig, "\n", "\r\n"),
	} {
		fresh, change, err := withScanner("/x.toml", []byte(before), learnedKeyboard(), nothingPresent)
		require.NoError(t, err, name)
		assert.Equal(t, changeAdded, change)
		assert.True(t, strings.HasPrefix(string(fresh), before), name)
		cfg, err := parseConfig("/x.toml", fresh)
		require.NoError(t, err, name)
		require.Len(t, cfg.Scanners, 1)
		assert.Equal(t, uint16(0x1eab), cfg.Scanners[0].VendorID)
		if strings.Contains(before, "\r\n") {
			assert.Equal(t, strings.Count(string(fresh), "\n"), strings.Count(string(fresh), "\r\n"))
		}

		again, change, err := withScanner("/x.toml", fresh, learnedKeyboard(), everythingPresent)
		require.NoError(t, err)
		assert.Equal(t, changeNone, change, "what is there is not written twice")
		assert.Equal(t, string(fresh), string(again))
	}
}

func TestALearnedScannerTakesThePlaceOfOneThatIsAway(t *testing.T) {
	before := configs.Example
	fresh, change, err := withScanner("/x.toml", []byte(before), learnedKeyboard(), nothingPresent)
	require.NoError(t, err)
	assert.Equal(t, changeReplaced, change)
	cfg, err := parseConfig("/x.toml", fresh)
	require.NoError(t, err)
	require.Len(t, cfg.Scanners, 1)
	assert.Equal(t, "evdev", cfg.Scanners[0].Kind)
	head, tail, ok := strings.Cut(string(fresh), learnedKeyboard().TOML)
	require.True(t, ok)
	assert.True(t, strings.HasPrefix(before, head), "every byte before it stays")
	assert.True(t, strings.HasSuffix(before, tail), "every byte behind it stays")
	assert.Contains(t, tail, "# A USB scanner instead:", "the comments behind the section stay")
}

func TestALearnedScannerStandsBesideThoseThatArePluggedIn(t *testing.T) {
	before := leastConfig + "[[scanner]]\nkind = \"serial\"\ndevice = \"/dev/ttyUSB0\"\n[api]\nlisten = \"127.0.0.1:7081\"\n"
	fresh, change, err := withScanner("/x.toml", []byte(before), learnedKeyboard(), everythingPresent)
	require.NoError(t, err)
	assert.Equal(t, changeAdded, change)
	cfg, err := parseConfig("/x.toml", fresh)
	require.NoError(t, err)
	assert.Len(t, cfg.Scanners, 2)

	two := before + "[[scanner]]\nkind = \"serial\"\ndevice = \"/dev/ttyUSB1\"\n"
	_, change, err = withScanner("/x.toml", []byte(two), learnedKeyboard(), nothingPresent)
	require.NoError(t, err)
	assert.Equal(t, changeAdded, change, "which of two that are away it replaces is not guessed")
}

func TestALearnedScannerTakesThePlaceOfItsOwnOldSection(t *testing.T) {
	other := "[[scanner]]\nkind = \"serial\"\ndevice = \"/dev/ttyUSB0\"\n"
	before := leastConfig + other + "[[scanner]]\nkind = \"hid\"\nvendor_id = 0x1eab\nproduct_id = 0x0003\nmode = \"keyboard\"\n"
	fresh, change, err := withScanner("/x.toml", []byte(before), learnedKeyboard(), everythingPresent)
	require.NoError(t, err)
	assert.Equal(t, changeReplaced, change)
	assert.Equal(t, leastConfig+other+learnedKeyboard().TOML, string(fresh))
}

func TestAPortsOtherNameIsTheSamePort(t *testing.T) {
	dir := t.TempDir()
	node, link := filepath.Join(dir, "ttyACM0"), filepath.Join(dir, "posagent-scanner")
	require.NoError(t, os.WriteFile(node, nil, 0o600))
	require.NoError(t, os.Symlink(node, link))
	before := []byte(leastConfig + "[[scanner]]\nkind = \"serial\"\ndevice = \"" + link + "\"\nbaud = 115200\n")
	_, change, err := withScanner("/x.toml", before, learnedPort(node), everythingPresent)
	require.NoError(t, err)
	assert.Equal(t, changeNone, change, "the name that the installer gave it stays, and its speed")

	asked := learnedPort(node)
	asked.baud = 19200
	_, change, err = withScanner("/x.toml", before, asked, everythingPresent)
	require.NoError(t, err)
	assert.Equal(t, changeReplaced, change, "a speed that was asked for, and worked, counts")
}

func TestAConfigurationThatCannotBeWrittenIntoIsLeftAlone(t *testing.T) {
	four := leastConfig
	for _, port := range []string{"0", "1", "2", "3"} {
		four += "[[scanner]]\nkind = \"serial\"\ndevice = \"/dev/ttyUSB" + port + "\"\n"
	}
	inline := "scanner = [{kind = \"serial\", device = \"/dev/ttyUSB0\"}]\n" + leastConfig
	for text, says := range map[string]string{
		four: "has 4 scanners already", "[store\n": "this is not TOML", inline: "not a section of its own", leastConfig + "[scanner]\nkind = \"stdin\"\n": "sections of their own",
	} {
		present := everythingPresent
		if text == inline {
			present = nothingPresent
		}
		_, _, err := withScanner("/x.toml", []byte(text), learnedKeyboard(), present)
		assert.ErrorContains(t, err, says)
	}
}

func TestTheFileIsReplacedInOneStepWithItsMode(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "till.toml"), filepath.Join(dir, "posagent.toml")
	require.NoError(t, os.WriteFile(file, []byte(leastConfig), 0o640))
	require.NoError(t, os.Symlink(file, link))
	change, err := writeScanner(link, learnedKeyboard())
	require.NoError(t, err)
	assert.Equal(t, changeAdded, change)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, leastConfig+"\n"+learnedKeyboard().TOML, string(text))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2, "nothing is left beside it")
	info, err = os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSymlink, "a link stays a link")

	_, err = writeScanner(filepath.Join(dir, "none.toml"), learnedKeyboard())
	assert.ErrorContains(t, err, "cannot be read")
}

func TestScannerLearnSaysThatNothingCame(t *testing.T) {
	t.Parallel()
	status, out, stderr := posagent(t, "scanner", "learn", "--for", "100ms")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, out, "Scan any code")
	assert.Contains(t, stderr, "what to do: ")

	status, out, stderr = posagent(t, "scanner", "learn", "--for", "100ms", "--config", filepath.Join(t.TempDir(), "none.toml"))
	assert.Equal(t, ExitUsage, status)
	assert.NotContains(t, out, "Scan any code", "nobody is asked to scan for a file that cannot be written")
	assert.Contains(t, stderr, "cannot be read")
}

func TestWhatLearnPrints(t *testing.T) {
	var out strings.Builder
	result := learnedResult{Device: learnedKeyboard(), Characters: 18, TookMS: 271.4}
	writeLearned(&out, result)
	result.File, result.Change = "/etc/posagent/posagent.toml", changeReplaced
	writeLearned(&out, result)
	result.Change = changeNone
	writeLearned(&out, result)
	golden(t, "scanner_learn", out.String())
}

func TestAFileWithAMistakeElsewhereIsNotMadeUnreadable(t *testing.T) {
	before := "[store]\nunknown = 1\n[[scanner]]\nkind = \"serial\"\ndevice = \"\"\"/dev/ttyUSB0\\\n\"\"\"\n"
	_, _, err := withScanner("/x.toml", []byte(before), learnedKeyboard(), nothingPresent)
	assert.ErrorContains(t, err, "by hand", "the last setting has two lines, and half of it would stay")

	simple := strings.ReplaceAll(before, "\"\"\"/dev/ttyUSB0\\\n\"\"\"", `"/dev/ttyUSB0"`)
	_, change, err := withScanner("/x.toml", []byte(simple), learnedKeyboard(), nothingPresent)
	require.NoError(t, err, "what is wrong elsewhere is told by check")
	assert.Equal(t, changeReplaced, change)
}

func TestHowAScannerFramesItsCodesStaysWhereItIsReadInAnotherWay(t *testing.T) {
	before := leastConfig + "[[scanner]]\nkind = \"hid\"\nvendor_id = 0x1eab\nproduct_id = 0x0003\nmode = \"keyboard\"\nsuffix = \"ENTER\"\n"
	fresh, change, err := withScanner("/x.toml", []byte(before), learnedKeyboard(), everythingPresent)
	require.NoError(t, err)
	assert.Equal(t, changeReplaced, change)
	cfg, err := parseConfig("/x.toml", fresh)
	require.NoError(t, err)
	assert.Equal(t, "ENTER", cfg.Scanners[0].Suffix)
	_, change, err = withScanner("/x.toml", fresh, learnedKeyboard(), everythingPresent)
	require.NoError(t, err)
	assert.Equal(t, changeNone, change)

	fresh, _, err = withScanner("/x.toml", []byte(strings.ReplaceAll(before, "0x0003", "0x0004")), learnedKeyboard(), nothingPresent)
	require.NoError(t, err)
	assert.NotContains(t, string(fresh), "suffix", "another scanner frames its codes in its own way")
}

func TestALineThatWasSetByHandAndAWordToThePersonAfterStay(t *testing.T) {
	before := leastConfig + "[[scanner]]\n# Mei's till, the black one\nkind = \"serial\"\ndevice = \"/dev/ttyUSB7\"\nvendor_id = 0x1eab\nproduct_id = 0x0c06\n" +
		"  parity = \"even\" # as the old till wanted\ndata_bits = 7\nbaud = 19200\n# behind it\n"
	fresh, change, err := withScanner("/x.toml", []byte(before), learnedPort("/dev/ttyACM3"), everythingPresent)
	require.NoError(t, err)
	assert.Equal(t, changeReplaced, change)
	cfg, err := parseConfig("/x.toml", fresh)
	require.NoError(t, err)
	require.Len(t, cfg.Scanners, 1)
	got := cfg.Scanners[0]
	assert.Equal(t, []any{"even", 7, 19200}, []any{got.Parity, got.DataBits, got.Baud})
	assert.Contains(t, string(fresh), "# Mei's till, the black one\n")
	assert.Contains(t, string(fresh), "# as the old till wanted\n")
	assert.True(t, strings.HasSuffix(string(fresh), "# behind it\n"))

	sameAsKeyboard := scanner.Found{Kind: "evdev", VendorID: 0x1eab, ProductID: 0x0c06}
	asKeyboard, _, err := withScanner("/x.toml", []byte(strings.ReplaceAll(before, "device = \"/dev/ttyUSB7\"\n", "")), listed{Found: sameAsKeyboard, TOML: sameAsKeyboard.TOML()}, nothingPresent)
	require.NoError(t, err)
	assert.Contains(t, string(asKeyboard), "# Mei's till, the black one\n")
	assert.NotContains(t, string(asKeyboard), "parity", "a keyboard has no line to set")

	faster := learnedPort("/dev/ttyACM3")
	faster.baud = 115200
	fresh, _, err = withScanner("/x.toml", []byte(before), faster, everythingPresent)
	require.NoError(t, err)
	assert.NotContains(t, string(fresh), "19200", "the speed that it was heard at counts")
}

func TestAScannerIsConfiguredOnce(t *testing.T) {
	port, keyboard := "[[scanner]]\nkind = \"serial\"\ndevice = \"/dev/ttyUSB0\"\n", "[[scanner]]\nkind = \"evdev\"\nvendor_id = 0x1eab\nproduct_id = 3\n"
	for _, section := range []string{port, keyboard} {
		_, err := parseConfig("/x.toml", []byte(leastConfig+section+section))
		assert.ErrorContains(t, err, "names the same scanner as the section in line 11")
	}
	_, err := parseConfig("/x.toml", []byte(leastConfig+port+keyboard+keyboard[:len(keyboard)-1]+"\nserial = \"S2\"\n"))
	assert.NoError(t, err, "two of one model")
}
