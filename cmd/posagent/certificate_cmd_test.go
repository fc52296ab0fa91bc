package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"
)

// shown is what certificate show prints of an account's certificate so many days from its end.
func shown(t *testing.T, a account, days int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "apiclient_cert.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate(t).Raw}), 0o644))
	var out bytes.Buffer
	require.NoError(t, (&program{stdout: &out}).showCertificate(file, "", a.notAfter.AddDate(0, 0, days)))
	return out.String()
}

func TestCertificateShowSaysWhatToDoByWhen(t *testing.T) {
	ofFiveYears := goodAccount()
	ofFiveYears.notBefore = ofFiveYears.notAfter.AddDate(-5, 0, 0)
	wechats := goodAccount()
	wechats.issuer, wechats.subject, wechats.serial = wechatIssuer, "Some Company\nLtd", "0A1B2C3D4E5F"
	var all string
	for _, row := range []struct {
		name string
		a    account
		days int
	}{
		{"61 days before its end", goodAccount(), -61}, {"60 days before its end", goodAccount(), -60}, {"at its end", goodAccount(), 0},
		{"1 day after its end", goodAccount(), 1}, {"31 days after its end", goodAccount(), 31},
		{"five years old, at its end", ofFiveYears, 0}, {"issued by WeChat Pay, 1 day before its end", wechats, -1},
	} {
		all += fmt.Sprintf("--- %s\n%s\n", row.name, shown(t, row.a, row.days))
	}
	exactly(t, "certificate_show", all)
}

// exactly is golden for what depends on no clock and no machine.
func exactly(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *updateGolden {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run the test with -update, and read what it wrote")
	assert.Equal(t, string(want), got)
}

func TestCertificateShowOfABundleForAScript(t *testing.T) {
	a := goodAccount()
	folder := t.TempDir()
	file := string(a.write(t, folder, "a bundle", a.bundle(t, pkcs12.LegacyDES, "a password")))
	password := string(a.write(t, folder, "password", []byte("a password\n")))
	status, out, stderr := posagent(t, "certificate", "show", file, "--password-file", password, "--json")
	require.Equal(t, ExitDone, status, stderr)
	var r certificateReport
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	assert.Equal(t, kindCA, r.Kind)
	assert.Equal(t, "10000100", r.CommonName)
	assert.Equal(t, a.serial, r.Serial)
	assert.Equal(t, 40, r.SerialLength)
	assert.Equal(t, "in this file, and belongs to the certificate", r.PrivateKey)
	assert.NotContains(t, out, "PRIVATE KEY")
}

func TestCertificateShowTakesThePasswordOfTheConfiguration(t *testing.T) {
	pc := newStorePC(t)
	file := pc.file("apiclient_cert.p12", string(pc.account.bundle(t, pkcs12.Modern2023, "10000100")))
	status, out, stderr := pc.run("certificate", "show", file)
	require.Equal(t, ExitDone, status, stderr)
	assert.Contains(t, out, `common name   "10000100"`)
}

func TestWhatIsNoCertificateIsNamed(t *testing.T) {
	a := goodAccount()
	folder := t.TempDir()
	bundle := string(a.write(t, folder, "c.p12", a.bundle(t, pkcs12.Modern2023, "a password")))
	key := string(a.install(t).WeChat.PrivateKey)
	nothing := filepath.Join(folder, "nosuch.toml")
	for _, row := range []struct {
		args       []string
		status     int
		says, next string
	}{
		{[]string{filepath.Join(folder, "nosuch.pem")}, ExitUsage, "nosuch.pem cannot be read: no such file", "name a certificate file"},
		{[]string{key}, ExitFailed, "holds no certificate but a private key", ""},
		{[]string{bundle}, ExitUsage, "no configuration says it", "--password-file"},
		{[]string{bundle, "--password-file", key}, ExitUsage, "too large", "the password alone"},
		{[]string{bundle, "--password-file", string(a.write(t, folder, "wrong", []byte("wrong")))}, ExitFailed, "does not open with its password", "--password-file"},
		{[]string{string(a.write(t, folder, "empty", nil)), "--password-file", bundle + ".pw"}, ExitUsage, "c.p12.pw cannot be read", ""},
		{[]string{string(a.write(t, folder, "large", make([]byte, certificateBytesMax+1)))}, ExitUsage, "is larger than 65536 bytes", "see that it is a certificate"},
		{nil, ExitUsage, "accepts 1 arg(s)", "posagent certificate show --help"},
	} {
		status, out, stderr := posagent(t, append([]string{"certificate", "show", "--config", nothing}, row.args...)...)
		assert.Equal(t, row.status, status, row.says)
		assert.Empty(t, out)
		assert.Contains(t, stderr, row.says)
		assert.Contains(t, stderr, row.next)
	}
}
