package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"

	"posagent/queue"
	"posagent/systemd"
)

func TestCheckOfAPCOnWhichAllIsWell(t *testing.T) {
	status, out, stderr := newStorePC(t).run("check")
	assert.Equal(t, ExitDone, status, stderr)
	assert.Empty(t, stderr)
	golden(t, "check_well", out)
}

func TestCheckForAScript(t *testing.T) {
	status, out, _ := newStorePC(t).run("check", "--json")
	assert.Equal(t, ExitDone, status)
	var report checkReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.True(t, report.OK)
	assert.Zero(t, report.Failed)
	assert.Greater(t, len(report.Checks), 15)
}

// TestEachThingThatIsWrong spoils one thing at a time: it has a message of its own with the next step, and the right exit status.
func TestEachThingThatIsWrong(t *testing.T) {
	rows := []struct {
		name, verdict, check string
		says, next           string
		status               int
		spoil                func(pc *storePC)
	}{
		{"a key that does not fit", "fail", "key fits certificate", "does not belong", "Install the apiclient_key.pem that was made together with this certificate", ExitFailed,
			func(pc *storePC) { pc.account.signsWith = merchantKeys()[1] }},
		{"an expired certificate", "fail", "certificate dates", "Upgrade by", "press Upgrade beside it on the merchant platform", ExitFailed,
			func(pc *storePC) { pc.account.notAfter = time.Now().AddDate(0, 0, -3) }},
		{"a certificate that ends in a week", "warn", "certificate dates", "Renew by", "Have the super administrator press Renewal", ExitDone,
			func(pc *storePC) { pc.account.notAfter = time.Now().AddDate(0, 0, 6) }},
		{"the older API key of 16 characters", "fail", "API v3 key", "holds 16 characters", "Set an API v3 key", ExitFailed,
			func(pc *storePC) { pc.account.apiKey = "0123456789abcdef" }},
		{"another API v3 key of 32", "fail", "verified answer", "API v3 key", "", ExitFailed,
			func(pc *storePC) { pc.account.apiKey = strings.Repeat("x", 32) }},
		{"a merchant id that is not the certificate's", "fail", "merchant id", `the certificate says "10000100", the configuration "10000200"`, "merchant", ExitFailed,
			func(pc *storePC) { pc.set["merchant_id"] = `"10000200"` }},
		{"a merchant that WeChat Pay does not know", "fail", "verified answer", "does not accept our signature", "check that merchant_id, certificate and private_key belong together", ExitFailed,
			func(pc *storePC) { pc.gateway.merchant = "10000900" }},
		{"a secret that others can read", "warn", "private key", "Other users of this PC can read", "chmod 600", ExitDone,
			func(pc *storePC) { pc.account.mode = 0o644 }},
		{"no certificate file", "fail", "certificate", "cannot be read", "put the file there", ExitFailed,
			func(pc *storePC) { pc.set["certificate"] = `"nosuch.pem"` }},
		{"a missing device", "fail", "scanner serial", "the scanner /dev/posagent-nosuch is not there", "plug it in", ExitFailed,
			func(pc *storePC) { pc.more = "[[scanner]]\nkind = \"serial\"\ndevice = \"/dev/posagent-nosuch\"" }},
		{"an unreachable gateway", "fail", "gateway", "no connection to WeChat Pay", "look at the network cable", ExitFailed,
			func(pc *storePC) { pc.hosts = []string{"https://" + closedPort(pc.t)} }},
		{"one gateway of two unreachable", "warn", "gateway", "no connection to WeChat Pay", "another host serves meanwhile", ExitDone,
			func(pc *storePC) { pc.hosts = append(pc.hosts, "https://"+closedPort(pc.t)) }},
		{"a gateway that is none", "fail", "gateway", "not trusted", "ca_file", ExitFailed,
			func(pc *storePC) { pc.set["ca_file"] = `""` }},
		{"a clock that is ten minutes behind", "fail", "clock", "the PC clock is 10m", "timedatectl set-ntp true", ExitFailed,
			func(pc *storePC) { pc.gateway.offset = 10*time.Minute + 30*time.Second }},
		{"a clock that is ten minutes ahead", "fail", "clock", "the PC clock is 10m", "timedatectl set-ntp true", ExitFailed,
			func(pc *storePC) { pc.gateway.offset = -10*time.Minute - 30*time.Second }},
		{"a second certificate that WeChat Pay takes", "ok", "next verified answer", "WeChat Pay takes the next certificate", "", ExitDone,
			func(pc *storePC) { pc.setNext() }},
		{"a second certificate that it does not take yet", "warn", "next verified answer", "WeChat Pay refuses the new merchant certificate", "tried again by itself", ExitDone,
			func(pc *storePC) { pc.gateway.unknown.Store(pc.setNext(), true) }},
		{"a second certificate of another key", "warn", "next certificate", "can't be used (The private key does not belong", "take next_certificate out", ExitDone,
			func(pc *storePC) {
				pc.setNext()
				pc.set["next_private_key"] = tomlText(pc.file("k.pem", pc.otherKey()))
			}},
		{"a second certificate that can't be read", "warn", "next certificate", "The second merchant certificate (next_certificate) can't be used", "The first one serves", ExitDone,
			func(pc *storePC) { pc.setNext(); pc.set["next_certificate"] = `"nosuch.pem"` }},
		{"an address for notifications that is the API's", "fail", "notify address", "is the address of the API too", "notify_listen", ExitFailed,
			func(pc *storePC) { pc.set["notify_listen"] = `"127.0.0.1:0"` }},
		{"a bundle with another password", "fail", "certificate", "does not open with its password", "name that as p12_password", ExitFailed,
			func(pc *storePC) { pc.setBundle("another") }},
		{"a category code of API v2's list", "warn", "API v3", `merchant_category_code "484" is not of the Global list`, "the one of the Global list", ExitDone,
			func(pc *storePC) { pc.set["merchant_category_code"] = `"484"` }},
		{"a public key that is none", "fail", "public key", "is not PEM text", "", ExitFailed,
			func(pc *storePC) {
				pc.set["public_key_id"], pc.set["public_key"] = `"PUB_KEY_ID_1"`, tomlText(pc.file("pub_key.pem", "none"))
			}},
		{"API v2, and the certificate is WeChat Pay's own", "ok", "move to API v3", "the super administrator clicks Upgrade", "serves API v2 too", ExitDone,
			func(pc *storePC) {
				pc.speakV2()
				pc.account.issuer, pc.account.subject, pc.account.serial = wechatIssuer, "Some Company Ltd", "0A1B2C3D4E5F"
			}},
		{"API v2 without a client certificate", "fail", "certificate", "a payment could not be reversed", "Take cash. Install apiclient_cert.pem", ExitFailed,
			func(pc *storePC) { pc.speakV2(); pc.set["certificate"] = `"nosuch.pem"` }},
		{"API v2 with a key that is none", "fail", "API v2 key", "holds 5 characters", "older API key", ExitFailed,
			func(pc *storePC) { pc.speakV2(); pc.file("api_v2_key", "short") }},
		{"API v2 with another key", "fail", "verified answer", "the answer's sign does not fit", "check api_v2_key", ExitFailed,
			func(pc *storePC) { pc.speakV2(); pc.file("api_v2_key", strings.Repeat("3", 32)) }},
		{"API v2 and a clock that is ten minutes behind", "fail", "clock", "the PC clock is 10m", "timedatectl set-ntp true", ExitFailed,
			func(pc *storePC) { pc.speakV2(); pc.gateway.offset = 10*time.Minute + 30*time.Second }},
		{"a clock that is a minute and a half ahead", "warn", "clock", "the PC clock is 1m3", "timedatectl set-ntp true", ExitDone,
			func(pc *storePC) { pc.gateway.offset = -95 * time.Second }},
		{"a damaged journal", "fail", "journal", "is damaged", "copy it before anything else", ExitFailed,
			func(pc *storePC) { pc.makeJournal(); pc.scribble("journal.db", 0, 16<<10) }},
		{"a journal in which an entry was edited", "fail", "journal", "findings, the first: ", "posagent journal verify", ExitFailed,
			func(pc *storePC) { pc.makeJournal(); pc.replace("journal.db", `"kind":"created"`, `"kind":"crea7ed"`) }},
		{"a journal without its key", "fail", "journal", "its key", "put the key back", ExitFailed,
			func(pc *storePC) {
				pc.makeJournal()
				require.NoError(pc.t, os.Remove(keyFileOf(pc.path("journal.db"))))
			}},
		{"a journal that has gone", "fail", "journal", "journal", "", ExitFailed,
			func(pc *storePC) { pc.makeJournal(); require.NoError(pc.t, os.Remove(pc.path("journal.db"))) }},
		{"another process with the journal", "fail", "journal", "none answers on", "a second daemon can't work on the same journal", ExitFailed,
			func(pc *storePC) { j := pc.holdJournal(); pc.t.Cleanup(func() { _ = j.Close() }) }},
		{"a reserve that was given up", "warn", "disk reserve", "is not there", "make room on the disk", ExitDone,
			func(pc *storePC) { pc.makeJournal(); require.NoError(pc.t, os.Remove(pc.path("journal.db.reserve"))) }},
		{"a folder in the way of the head memo", "warn", "journal key folder", "is no file", "holds no folder", ExitDone,
			func(pc *storePC) {
				pc.makeJournal()
				require.NoError(pc.t, os.Mkdir(keyFileOf(pc.path("journal.db"))+".head.new", 0o700))
			}},
		{"a folder that is not there", "fail", "journal writable", "is not there", "install -d", ExitFailed,
			func(pc *storePC) { pc.journal = "nosuch/journal.db" }},
		{"an address that another program has", "fail", "API address", "can't listen on", "ss -tlnp", ExitFailed,
			func(pc *storePC) { pc.listen = takenPort(pc.t) }},
		{"a file in the socket's place", "fail", "API socket", "is no socket", "move that file away", ExitFailed,
			func(pc *storePC) { pc.file("posagent.sock", "") }},
		{"tokens that others can read", "fail", "tokens", "may be opened by others", "chmod 600", ExitFailed,
			func(pc *storePC) { require.NoError(pc.t, os.Chmod(pc.file("tokens.json", `{"version":1}`), 0o644)) }},
		{"a misspelt setting", "fail", "configuration", "[wechat] mode = \"directt\"", "institution", ExitUsage,
			func(pc *storePC) { pc.set["mode"] = `"directt"` }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			pc := newStorePC(t)
			row.spoil(pc)
			status, out, stderr := pc.run("check")
			assert.Equal(t, row.status, status, out+stderr)
			line := lineOf(out, row.verdict, row.check)
			require.NotEmpty(t, line, "no such line in:\n%s", out)
			what, _, _ := strings.Cut(line, "; ")
			assert.Contains(t, what, row.says)
			if row.next != "" {
				assert.Contains(t, strings.TrimPrefix(line, what), row.next)
			}
		})
	}
}

// What a store on API v2 needs for v3, each need with its cure, and that nothing else is wrong.
func TestCheckOfAStoreOnAPIv2(t *testing.T) {
	pc := newStorePC(t)
	pc.speakV2()
	pc.set["merchant_category_code"], pc.set["api_v3_key"] = `"484"`, `""`
	status, out, stderr := pc.run("check")
	assert.Equal(t, ExitDone, status, stderr)
	golden(t, "check_v2", out)
	assert.NotZero(t, pc.gateway.calls.Load(), "an order that cannot exist is asked for, which costs nothing")

	pc.set["merchant_category_code"], pc.set["api_v3_key"] = `"4111"`, tomlText(pc.file("api_v3_key", pc.account.apiKey))
	_, out, _ = pc.run("check")
	assert.Contains(t, lineOf(out, "ok", "move to API v3"), `possible at any quiet hour with api = "v3"`)
}

// speakV2 makes this a till of API v2.
func (pc *storePC) speakV2() {
	pc.set["api"], pc.set["api_v2_key"] = `"v2"`, tomlText(pc.file("api_v2_key", strings.Repeat("2", 32)))
}

// setNext installs a second certificate and returns its serial.
func (pc *storePC) setNext() string {
	pc.t.Helper()
	next := pc.account.another()
	w := next.install(pc.t).WeChat
	pc.set["next_certificate"], pc.set["next_private_key"] = tomlText(string(w.Certificate)), tomlText(string(w.PrivateKey))
	return next.serial
}

func (pc *storePC) otherKey() string {
	pc.t.Helper()
	text, err := os.ReadFile(string(pc.account.install(pc.t).WeChat.PrivateKey))
	require.NoError(pc.t, err)
	return string(text)
}

// setBundle installs the certificate as a .p12.
func (pc *storePC) setBundle(password string) {
	pc.t.Helper()
	pc.set["certificate"] = tomlText(pc.file("apiclient_cert.p12", string(pc.account.bundle(pc.t, pkcs12.Modern2023, password))))
	pc.set["private_key"] = ""
}

func TestCheckGoesOnWithoutNetwork(t *testing.T) {
	pc := newStorePC(t)
	pc.hosts = []string{"https://" + closedPort(t)}
	began := time.Now()
	_, out, _ := pc.run("check")
	assert.Less(t, time.Since(began), 20*time.Second)
	golden(t, "check_no_network", out)
}

func TestCheckCallsNobodyWithUnfitCredentials(t *testing.T) {
	pc := newStorePC(t)
	pc.account.signsWith = merchantKeys()[1]
	_, out, _ := pc.run("check")
	assert.Contains(t, lineOf(out, "ok", "gateway"), "reached with TLS", "the way is tried even so")
	assert.Contains(t, lineOf(out, "warn", "verified answer"), "mend the credentials first")
	assert.Zero(t, pc.gateway.calls.Load())
}

func TestCheckOfAConfigurationThatCannotBeUsed(t *testing.T) {
	pc := newStorePC(t)
	pc.set["mode"], pc.set["hostz"] = `"directt"`, `[]`
	status, out, stderr := pc.run("check")
	assert.Equal(t, ExitUsage, status)
	assert.Equal(t, 2, strings.Count(out, "fail  configuration"), out)
	assert.Contains(t, stderr, "what to do: correct the file")

	status, out, _ = posagent(t, "check", "--config", filepath.Join(t.TempDir(), "nosuch.toml"))
	assert.Equal(t, ExitUsage, status)
	assert.Contains(t, lineOf(out, "fail", "configuration"), "no such file")
}

func TestCheckTakesTheServicesCredentialsByHand(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	var out bytes.Buffer
	c := &checker{cfg: goodAccount().install(t), now: time.Now, places: thisPC(), tell: func(line checked) { writeChecked(&out, line) }}
	folder := filepath.Dir(string(c.cfg.WeChat.Certificate))
	c.places.credentials = []string{filepath.Join(folder, "nosuch"), folder}
	c.cfg.WeChat.Certificate, c.cfg.WeChat.PrivateKey, c.cfg.WeChat.APIv3Key = "credential:cert.pem", "credential:key.pem", "credential:api_v3_key"
	c.account()
	assert.True(t, c.fit, out.String())
	assert.Contains(t, lineOf(out.String(), "ok", "systemd credentials"), folder)
	assert.Contains(t, lineOf(out.String(), "ok", "key fits certificate"), "belong together")

	out.Reset()
	c.cfg.CredentialsDir, c.places.credentials = "", []string{filepath.Join(folder, "nosuch")}
	c.account()
	assert.Contains(t, lineOf(out.String(), "fail", "systemd credentials"), "run it as root")
}

func TestAClockThatWasNeverSet(t *testing.T) {
	for shows, want := range map[string]checked{
		"1970-01-01T00:03:00Z": {"clock set", verdictFail, "1970-01-01 00:03, as a PC does that has lost its time", "battery"},
		"2019-06-01T00:00:00Z": {"clock set", verdictFail, "2019-06-01", "timedatectl"},
		"2199-06-01T00:00:00Z": {"clock set", verdictOK, "2199-06-01", ""},
	} {
		at, err := time.Parse(time.RFC3339, shows)
		require.NoError(t, err)
		c := &checker{now: func() time.Time { return at }}
		c.clockSet()
		require.Len(t, c.lines, 1)
		assert.Equal(t, want.Verdict, c.lines[0].Verdict, shows)
		assert.Contains(t, c.lines[0].Evidence, want.Evidence)
		assert.Contains(t, c.lines[0].Fix, want.Fix)
	}
}

func TestKernelsThatLoseFastCommits(t *testing.T) {
	for kernel, loses := range map[string]bool{
		"4.19.0-27-amd64": false, "5.9.16": false, "5.10.0-9-amd64": true, "5.10.93": true, "5.10.94": false, "5.13.0-52-generic": true,
		"5.15.26": true, "5.15.27": false, "5.15.0-25-generic": true, "5.16.20": true, "5.17.0": false, "6.1.0-18-amd64": false, "": false,
	} {
		assert.Equal(t, loses, fastCommitLoses(kernel), kernel)
	}
	assert.Equal(t, 12, fastCommitsIn("fc stats:\n12 commits\n3 ineligible\n"))
	assert.Equal(t, 0, fastCommitsIn("fc stats:\n0 commits\n"))
}

func TestProgramsThatMeddleWithScanners(t *testing.T) {
	proc, rules := t.TempDir(), t.TempDir()
	for pid, name := range map[string]string{"1": "systemd", "412": "ModemManager", "415": "brltty"} {
		require.NoError(t, os.MkdirAll(filepath.Join(proc, pid), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(proc, pid, "comm"), []byte(name+"\n"), 0o644))
	}
	c := &checker{places: places{proc: proc, rules: []string{rules}, system: "linux"}}
	c.meddlers()
	require.Len(t, c.lines, 2)
	assert.Contains(t, c.lines[0].Evidence, "ModemManager runs")
	assert.Contains(t, c.lines[1].Evidence, "brltty runs")

	var shipped []string
	for _, f := range systemd.Files() {
		shipped = append(shipped, f.Name)
	}
	assert.Contains(t, shipped, udevRules)
	require.NoError(t, os.WriteFile(filepath.Join(rules, udevRules), nil, 0o644))
	c.lines = nil
	c.meddlers()
	assert.Empty(t, c.lines, "the rule keeps both away")
}

func (pc *storePC) path(name string) string { return filepath.Join(pc.folder, name) }

func (pc *storePC) holdJournal() *queue.Journal {
	pc.t.Helper()
	file := pc.path("journal.db")
	j, err := queue.OpenJournal(queue.JournalConfig{File: file, KeyFile: keyFileOf(file), ReserveFile: file + ".reserve", StoreID: "SZTX001", TillID: "T1"})
	require.NoError(pc.t, err)
	return j
}

func (pc *storePC) makeJournal() { require.NoError(pc.t, pc.holdJournal().Close()) }

// replace changes a text in a file for another of the same length.
func (pc *storePC) replace(name, from, to string) {
	pc.t.Helper()
	text, err := os.ReadFile(pc.path(name))
	require.NoError(pc.t, err)
	require.Contains(pc.t, string(text), from)
	require.NoError(pc.t, os.WriteFile(pc.path(name), bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o600))
}

// scribble overwrites part of a file.
func (pc *storePC) scribble(name string, at int64, bytes int) {
	pc.t.Helper()
	f, err := os.OpenFile(pc.path(name), os.O_RDWR, 0)
	require.NoError(pc.t, err)
	defer f.Close()
	_, err = f.WriteAt(make([]byte, bytes), at)
	require.NoError(pc.t, err)
}

// closedPort is an address on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// takenPort is an address on which somebody else listens.
func takenPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
