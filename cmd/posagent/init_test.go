package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const aPage = "https://pos.example.com"

// inits runs init for a page below a folder.
func inits(t *testing.T, root, page string, more ...string) (report initReport, status int, stderr string) {
	t.Helper()
	config, _ := peoplePC(t)
	status, out, stderr := posagent(t, append([]string{"init", "--browser-till", page, "--root", root, "--json", "--config", config}, more...)...)
	if status == ExitDone {
		require.NoError(t, json.Unmarshal([]byte(out), &report), out)
	}
	return report, status, stderr
}

func policyIn(t *testing.T, root, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if os.IsNotExist(err) {
		return ""
	}
	require.NoError(t, err)
	return string(text)
}

const (
	chromePolicy  = "etc/opt/chrome/policies/managed/posagent.json"
	firefoxPolicy = "etc/firefox/policies/policies.json"
)

func TestInitLetsAPageCallThisPCInEveryBrowser(t *testing.T) {
	root := t.TempDir()
	report, status, stderr := inits(t, root, aPage+"/till/?a=1")
	require.Equal(t, ExitDone, status, stderr)
	assert.Equal(t, aPage, report.Origin, "the page's origin is what a browser sends")
	assert.Equal(t, `cors_origins = ["https://pos.example.com"]`, report.CORS)
	require.Len(t, report.Files, 5)
	for _, file := range []string{chromePolicy, "etc/chromium/policies/managed/posagent.json", "etc/chromium-browser/policies/managed/posagent.json", "etc/opt/edge/policies/managed/posagent.json"} {
		assert.JSONEq(t, `{"LocalNetworkAccessAllowedForUrls":["https://pos.example.com"],"LoopbackNetworkAllowedForUrls":["https://pos.example.com"]}`, policyIn(t, root, file), file)
		info, err := os.Stat(filepath.Join(root, file))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o644), info.Mode().Perm(), "every user's browser reads it")
	}
	assert.JSONEq(t, `{"policies":{"LocalNetworkAccess":{"SkipDomains":["pos.example.com"]}}}`, policyIn(t, root, firefoxPolicy))

	report, _, _ = inits(t, root, aPage)
	for _, c := range report.Files {
		assert.Equal(t, unchanged, c.Change, c.File)
	}
	_, _, _ = inits(t, root, "https://other.example:8443")
	assert.Contains(t, policyIn(t, root, chromePolicy), "https://other.example:8443", "a second page joins the first")
	_, _, _ = inits(t, root, "https://other.example:8443", "--undo")
	_, status, _ = inits(t, root, aPage, "--undo")
	require.Equal(t, ExitDone, status)
	for _, file := range []string{chromePolicy, firefoxPolicy} {
		assert.Empty(t, policyIn(t, root, file), "undone, nothing is left")
	}
}

func TestInitLeavesOthersPoliciesAlone(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, firefoxPolicy)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	const others = `{"policies":{"DisableTelemetry":true,"LocalNetworkAccess":{"Enabled":true,"SkipDomains":["erp.example.com"]},"Number":12345678901234567890}}`
	require.NoError(t, os.WriteFile(file, []byte(others), 0o644))
	_, status, stderr := inits(t, root, aPage)
	require.Equal(t, ExitDone, status, stderr)
	assert.Contains(t, policyIn(t, root, firefoxPolicy), "12345678901234567890", "numbers stay as they were written")
	assert.JSONEq(t, `["erp.example.com","pos.example.com"]`, listOfTest(t, root))
	_, _, _ = inits(t, root, aPage, "--undo")
	assert.JSONEq(t, others, policyIn(t, root, firefoxPolicy))
}

func listOfTest(t *testing.T, root string) string {
	t.Helper()
	var all struct {
		Policies struct {
			LocalNetworkAccess struct{ SkipDomains json.RawMessage }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(policyIn(t, root, firefoxPolicy)), &all))
	return string(all.Policies.LocalNetworkAccess.SkipDomains)
}

func TestAPolicyFileThatCannotBeUnderstoodStopsAllOfIt(t *testing.T) {
	for _, bad := range []string{"{", "[]", `{"policies":[]}`, `{"policies":{"LocalNetworkAccess":{"SkipDomains":"x"}}}`} {
		root := t.TempDir()
		file := filepath.Join(root, firefoxPolicy)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(bad), 0o644))
		_, status, stderr := inits(t, root, aPage)
		assert.Equal(t, ExitFailed, status, bad)
		assert.Contains(t, stderr, "nothing was changed")
		assert.Empty(t, policyIn(t, root, chromePolicy), "not even the others")
		assert.Equal(t, bad, policyIn(t, root, firefoxPolicy))
	}
}

func TestADryRunWritesNothing(t *testing.T) {
	root := t.TempDir()
	config, _ := peoplePC(t)
	status, out, _ := posagent(t, "init", "--browser-till", aPage, "--root", root, "--dry-run", "--config", config)
	assert.Equal(t, ExitDone, status)
	assert.Contains(t, out, "to write")
	assert.Contains(t, out, `"LoopbackNetworkAllowedForUrls"`)
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestPagesThatMayNotCallThisPC(t *testing.T) {
	for page, says := range map[string]string{
		"http://pos.example.com": "http://", "pos.example.com": "no address", "": "does one thing", "ftp://pos.example.com": "https://", "https://": "no address",
		"https://me:pw@pos.example.com": "password", "https://*.example.com": "one host", "https://[::1]": "one host", "https://pos.example.com:99999": "port", "mailto:a@b": "no address",
	} {
		root := t.TempDir()
		_, status, stderr := inits(t, root, page)
		assert.Equal(t, ExitUsage, status, page)
		assert.Contains(t, stderr, says, page)
		assert.Empty(t, policyIn(t, root, chromePolicy), page)
	}
	origin, err := pageOrigin("https://POS.example.com:443/")
	require.NoError(t, err)
	assert.Equal(t, aPage, origin, "as browsers write it")
}

func TestPlainInitSaysWhatItDoes(t *testing.T) {
	status, _, stderr := posagent(t, "init")
	assert.Equal(t, ExitUsage, status)
	assert.Contains(t, stderr, "so far does one thing")
	assert.Contains(t, stderr, "configs/posagent.toml")
}

// checkedBrowsers returns the lines about browsers of a check below a folder.
func checkedBrowsers(root string, origins ...string) []checked {
	c := &checker{cfg: Config{API: API{CORSOrigins: origins}}, places: places{root: root}}
	c.browsers()
	return c.lines
}

func TestCheckSaysWhetherABrowserLetsThePageIn(t *testing.T) {
	root := t.TempDir()
	assert.Empty(t, checkedBrowsers(root, aPage), "no browser is here")
	for _, b := range browsers() {
		program := filepath.Join(root, b.looks[0])
		require.NoError(t, os.MkdirAll(filepath.Dir(program), 0o755))
		require.NoError(t, os.WriteFile(program, nil, 0o755))
	}
	assert.Empty(t, checkedBrowsers(root), "no page is configured, and none is let in")
	verdicts := func(origins ...string) []verdict {
		var all []verdict
		for _, line := range checkedBrowsers(root, origins...) {
			all = append(all, line.Verdict)
		}
		return all
	}
	assert.Equal(t, []verdict{verdictWarn, verdictWarn, verdictWarn, verdictWarn, verdictWarn}, verdicts(aPage))
	_, _, _ = inits(t, root, aPage)
	assert.Equal(t, []verdict{verdictOK, verdictOK, verdictOK, verdictOK, verdictOK}, verdicts(aPage))
	lines := checkedBrowsers(root, "https://other.example")
	assert.Contains(t, lines[0].Fix, "--browser-till https://other.example")
	lines = checkedBrowsers(root)
	assert.Contains(t, lines[0].Fix, "--undo --browser-till "+aPage)

	// A policy for old versions alone is not enough for the new ones.
	require.NoError(t, os.WriteFile(filepath.Join(root, chromePolicy), []byte(`{"LocalNetworkAccessAllowedForUrls":["https://pos.example.com"]}`), 0o644))
	assert.Equal(t, verdictWarn, verdicts(aPage)[0])
	require.NoError(t, os.WriteFile(filepath.Join(root, chromePolicy), []byte(`{`), 0o644))
	lines = checkedBrowsers(root, aPage)
	assert.Equal(t, verdictFail, lines[0].Verdict)
	assert.Contains(t, lines[0].Evidence, "no JSON object")
}
