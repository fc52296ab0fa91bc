package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/configs"
)

// settings returns the values of a key of the unit, in order.
func settings(key string) []string {
	var values []string
	for _, line := range strings.Split(service, "\n") {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			values = append(values, value)
		}
	}
	return values
}

func TestUnitFacts(t *testing.T) {
	for key, want := range map[string]string{
		"Type":                     "notify",
		"WatchdogSec":              "30s",
		"Restart":                  "on-failure",
		"RestartPreventExitStatus": "2", // wrong configuration: reading it again mends nothing
		"StartLimitIntervalSec":    "0",
		"StateDirectory":           "posagent",
		"RuntimeDirectory":         "posagent",
		"User":                     "posagent",
		"DevicePolicy":             "closed",
		"LimitNOFILE":              "1024", // select(2) in the serial library
		"LimitNICE":                "-10",  // of the thread that reads a scanner
		"LimitCORE":                "0",    // no keys in a core file
		"CapabilityBoundingSet":    "",
		"NoNewPrivileges":          "yes",
		"ProtectSystem":            "strict",
	} {
		assert.Equal(t, []string{want}, settings(key), key)
	}
	assert.Empty(t, settings("PrivateDevices"), "it would hide the scanner")
	assert.NotContains(t, service, "network-online.target", "a till without network must start and say so")
}

func TestNetlinkIsAllowedOrThereIsNoScanner(t *testing.T) {
	require.Len(t, settings("RestrictAddressFamilies"), 1)
	families := strings.Fields(settings("RestrictAddressFamilies")[0])
	assert.ElementsMatch(t, []string{"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"}, families)
}

func TestDevicesAreAllowedByNumber(t *testing.T) {
	assert.ElementsMatch(t, []string{"char-189 rw", "char-188 rw", "char-166 rw", "char-4 rw", "char-13 rw"}, settings("DeviceAllow"))
	for _, d := range settings("DeviceAllow") {
		major, _, _ := strings.Cut(strings.TrimPrefix(d, "char-"), " ")
		_, err := strconv.Atoi(major)
		assert.NoError(t, err, "a name is looked up once, before the driver is loaded: %s", d)
	}
}

func TestEveryCredentialOfTheExampleIsHandedOver(t *testing.T) {
	wanted := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:# )?\w+ = "credential:([^"]+)"`).FindAllStringSubmatch(configs.Example, -1) {
		wanted[m[1]] = true
	}
	given := map[string]bool{}
	for _, line := range settings("LoadCredential") {
		name, file, _ := strings.Cut(line, ":")
		given[name] = true
		assert.Equal(t, "/etc/posagent/credentials/"+name, file)
		assert.Contains(t, settings("SetCredential"), name+`:\n`, "a missing file must reach posagent's own message")
	}
	assert.Equal(t, wanted, given)
}

func TestPathsOfTheExampleAreTheUnits(t *testing.T) {
	for _, path := range []string{"/var/lib/posagent/", "/run/posagent/"} {
		assert.Contains(t, configs.Example, path)
	}
	assert.Equal(t, Binary+" run --config /etc/posagent/posagent.toml", settings("ExecStart")[0])
}

// udevTerm is one KEY=="value" or KEY="value" of a rule.
var udevTerm = regexp.MustCompile(`^(?:[A-Z]+)(?:\{[A-Za-z_]+\})?(?:==|!=|=|\+=)"[^"]*"$`)

func ruleLines(t *testing.T) []string {
	t.Helper()
	var lines []string
	for _, line := range strings.Split(rules, "\n") {
		if line == "" || strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "#SUBSYSTEM") {
			continue
		}
		lines = append(lines, strings.TrimPrefix(line, "#"))
	}
	require.NotEmpty(t, lines)
	return lines
}

func TestRulesAreWellFormed(t *testing.T) {
	for _, line := range ruleLines(t) {
		for _, term := range strings.Split(line, ", ") {
			assert.Regexp(t, udevTerm, term, line)
		}
		if strings.HasPrefix(line, "SUBSYSTEM") {
			assert.Contains(t, line, `GROUP="posagent", MODE="0660"`)
			assert.Regexp(t, `(ATTRS?\{idVendor\}|KERNEL)==`, line, "never every device of a kind: one of them is the cashier's keyboard")
		}
	}
}

func TestGroupOfTheRulesIsASystemGroup(t *testing.T) {
	assert.Regexp(t, `(?m)^u posagent - `, sysusers)
	files := Files()
	at := func(name string) int { return slices.IndexFunc(files, func(f File) bool { return f.Name == name }) }
	assert.Less(t, at("posagent.sysusers"), at("70-posagent-scanner.rules"))
}

func TestNothingOfTheFolderIsForgotten(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") {
			names = append(names, e.Name())
		}
	}
	var listed []string
	for _, f := range Files() {
		listed = append(listed, f.Name)
		assert.NotEmpty(t, f.Content)
		assert.True(t, filepath.IsAbs(f.Path))
	}
	assert.ElementsMatch(t, names, listed)
}

// installable writes the unit with a program that exists here in the place of posagent, because systemd looks whether it does.
func installable(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed: the unit was not verified")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "posagent.service")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(service, Binary, self, 1)), 0o644))
	return file
}

// systemd-analyze verify exits 0 on a misspelt key, so any output is a failure.
func TestSystemdFindsNothingWrong(t *testing.T) {
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", installable(t)).CombinedOutput()
	assert.NoError(t, err)
	assert.Empty(t, string(out))
}

func TestUnitIsLockedIn(t *testing.T) {
	out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", installable(t)).CombinedOutput()
	found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Skipf("this systemd-analyze cannot judge a file: %v", err)
	}
	exposure, err := strconv.ParseFloat(string(found[1]), 64)
	require.NoError(t, err)
	assert.LessOrEqual(t, exposure, 1.7, "%s", out)
}
