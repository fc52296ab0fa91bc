package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNoSecretInWhatAWrongConfigurationIsTold puts secrets where a path, an address or a number belongs, as people do.
func TestNoSecretInWhatAWrongConfigurationIsTold(t *testing.T) {
	t.Parallel()
	s := newHiding(t)
	password := s.secret("a password", "Tr0ub4dor-and-3-more")
	tt, err := openTrialTill(filepath.Join(s.dir, "W1"), "W1", trialConfig{StoreID: "SZTX001", TillID: "W1", Account: s.gateway.account()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tt.pty.Close() })
	file := filepath.Join(tt.dir, "posagent.toml")
	right, err := os.ReadFile(file)
	require.NoError(t, err)
	key := strings.TrimSpace(string(sure(os.ReadFile(filepath.Join(s.gateway.dir, "apiclient_key.pem")))))

	tried := 0
	refused := func(text string) {
		t.Helper()
		tried++
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		for _, args := range [][]string{{"status"}, {"journal", "list", "--json"}} { // both read the whole configuration first
			status, out, errs := posagent(t, append(args, "--config", file)...)
			assert.NotEqual(t, ExitDone, status, args)
			s.search("what "+args[0]+" says of a wrong configuration", []byte(out))
			s.search("what "+args[0]+" says of a wrong configuration, as an error", []byte(errs))
		}
	}
	refused(settingIn(string(right), "[wechat]", "p12_password", tomlText(password))) // elsewhere a bare password can't be told from a path
	short := []string{s.key, s.next("pays-at-once"), "http://till:" + password + "@127.0.0.1:3128"}
	for _, secret := range append(short, key, s.pem[0]) {
		for _, setting := range []string{"certificate", "private_key", "api_v3_key", "next_certificate", "next_private_key", "p12_password", "api_v2_key", "public_key", "proxy"} {
			refused(settingIn(string(right), "[wechat]", setting, tomlText(secret)))
		}
		refused(settingIn(string(right), "[wechat]", "private_key", strings.ReplaceAll(secret, "\n", " "))) // without quotation marks
	}
	for _, secret := range short {
		value := tomlText(secret)
		for _, setting := range []string{"merchant_id", "app_id", "mode", "sign_type", "no_such_setting", "ca_file"} {
			refused(settingIn(string(right), "[wechat]", setting, value))
		}
		refused(settingIn(string(right), "[wechat]", "hosts", "["+value+"]"))
		refused(settingIn(string(right), "[wechat]", "api_v3_key", value[:len(value)-1])) // with one quotation mark
		refused(settingIn(string(right), "[api]", "listen", value))
		refused(settingIn(string(right), "[flow]", "pay_timeout", value))
		refused(strings.Replace(string(right), "[flow]", "["+secret+"]", 1))
		refused(value + "\n" + string(right))
	}
	// Files that hold something else, or too little.
	for name, content := range map[string]string{"api_v3_key": s.key[:20], "apiclient_key.pem": s.key + "\n", "apiclient_cert.pem": key, "ca.pem": key} {
		whole := sure(os.ReadFile(filepath.Join(s.gateway.dir, name)))
		require.NoError(t, os.WriteFile(filepath.Join(s.gateway.dir, name), []byte(content), 0o600))
		require.NoError(t, os.WriteFile(file, right, 0o600))
		for _, args := range [][]string{{"run"}, {"check"}, {"check", "--json"}} {
			status, out, errs := posagent(t, append(args, "--config", file)...)
			assert.NotEqual(t, ExitDone, status, args)
			s.search("what "+args[0]+" says of wrong credentials", []byte(out+errs))
		}
		require.NoError(t, os.WriteFile(filepath.Join(s.gateway.dir, name), whole, 0o600))
	}
	require.NoError(t, os.Remove(file))
	s.searchFiles(t, tt.dir)
	t.Logf("%d wrong configurations", tried)
	s.nothing(t)
}

// settingIn puts a setting in place of the section's own, or adds it.
func settingIn(text, section, setting, value string) string {
	lines := []string{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, setting+" = ") {
			lines = append(lines, line)
		}
		if strings.TrimSpace(line) == section {
			lines = append(lines, setting+" = "+value+"\n")
		}
	}
	return strings.Join(lines, "")
}

func tomlText(text string) string {
	if strings.Contains(text, "\n") {
		return "'''\n" + text + "'''"
	}
	return `"` + text + `"`
}

func sure[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
