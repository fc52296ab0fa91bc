package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/configs"
)

// leastConfig holds the settings without a default, and nothing else.
const leastConfig = `[store]
id = "SZTX001"
[till]
id = "T1"
currency = "HKD"
[wechat]
app_id = "wx2421b1c4370ec43b"
merchant_id = "10000100"
sub_merchant_id = "20000100"
merchant_category_code = "4111"
`

const configFile = "/etc/posagent/posagent.toml"

// with returns the least configuration with lines added below a section's header.
func with(section, lines string) string {
	header := "[" + section + "]\n"
	if !strings.Contains(leastConfig, header) {
		return leastConfig + header + lines + "\n"
	}
	return strings.Replace(leastConfig, header, header+lines+"\n", 1)
}

// without returns the least configuration without the lines that begin so.
func without(prefix string) string {
	var kept []string
	for _, line := range strings.Split(leastConfig, "\n") {
		if !strings.HasPrefix(line, prefix) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func parse(t *testing.T, text string) Config {
	t.Helper()
	cfg, err := parseConfig(configFile, []byte(text))
	require.NoError(t, err)
	return cfg
}

// mistakes returns what is wrong with a text, one line each.
func mistakes(t *testing.T, text string) []string {
	t.Helper()
	_, err := parseConfig(configFile, []byte(text))
	var wrong *ConfigError
	require.ErrorAs(t, err, &wrong, "the text was taken:\n%s", text)
	require.Equal(t, ExitUsage, exitStatus(err))
	return strings.Split(err.Error(), "\n")
}

func TestExampleSaysEveryDefault(t *testing.T) {
	example, least := parse(t, configs.Example), parse(t, leastConfig)
	least.Store.Name, least.Store.Address = "Tencent Building Branch", "Nanshan District, Shenzhen"
	least.Scanners = []Scanner{{Kind: "serial", Device: "/dev/posagent-scanner", Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1, Mode: "auto"}}
	assert.Equal(t, least, example, "what the example writes and what a file without it gives")
}

var nextSection = regexp.MustCompile(`\n\[[a-z]`) // not [[scanner]], which may stand twice

func TestExampleNamesEverySetting(t *testing.T) {
	var c Config
	var s Scanner
	all := append(sections(&c), section{"scanner", scannerSettings(&s, "/")})
	for _, sec := range all {
		_, text, found := strings.Cut(configs.Example, "["+sec.name+"]")
		require.True(t, found, sec.name)
		if end := nextSection.FindStringIndex(text); end != nil {
			text = text[:end[0]]
		}
		for _, k := range sec.settings {
			assert.Regexp(t, `(?m)^(# )?`+k.key+` = `, text, "[%s] in the example", sec.name)
		}
	}
}

func TestExamplesHIDScannerIsRight(t *testing.T) {
	_, hid, _ := strings.Cut(configs.Example, "# A USB scanner instead:\n")
	hid, _, _ = strings.Cut(hid, "\n[journal]")
	hid = strings.ReplaceAll(hid, "# ", "")
	var lines []string
	for _, line := range strings.Split(hid, "\n") {
		if strings.HasPrefix(line, "[[") || strings.Contains(line, " = ") {
			lines = append(lines, line)
		}
	}
	cfg := parse(t, leastConfig+strings.Join(lines, "\n"))
	require.Len(t, cfg.Scanners, 1)
	assert.Equal(t, uint16(0x05e0), cfg.Scanners[0].VendorID)
	assert.Equal(t, uint16(0x1200), cfg.Scanners[0].ProductID)
}

func TestStoreNameIsTheIDWhereNoneIsGiven(t *testing.T) {
	assert.Equal(t, "SZTX001", parse(t, leastConfig).Store.Name)
}

func TestMistakeNamesPlaceSettingValueAndCure(t *testing.T) {
	text := with("flow", `  reverse_after = "50s"`)
	got := mistakes(t, text)
	assert.Equal(t, []string{`posagent.toml:12:19: [flow] reverse_after = "50s": must be 15s to 44s; write for example "40s"`}, got)
}

func TestBounds(t *testing.T) {
	for _, ok := range []string{
		`[flow] reverse_after = "15s"`, `[flow] reverse_after = "44s"`, `[flow] query_every = "3s"`, `[flow] query_every = "10s"`,
		`[flow] pay_timeout = "5s"`, `[flow] pay_timeout = "30s"`, `[till] scan_within = "10s"`, `[till] scan_within = "10m"`,
		`[till] language = "zh-Hant"`, `[till] code_prefixes = ["160"]`, `[till] allow_code_in_api = true`, `[till] device_ip = "10.0.0.9"`,
		`[store] time_zone = "Asia/Tokyo"`, `[wechat] hosts = ["https://127.0.0.1:7443"]`, `[wechat] proxy = "http://10.0.0.1:3128"`,
		`[api] listen = "[::1]:7080"`, `[api] listen = "localhost:0"`, `[api] socket = ""`, `[api] cors_origins = ["http://localhost:3000"]`,
		`[receipt] width = 32`, `[wechat] sign_type = "MD5"`, `[wechat] api_v2_key = ""`, `[wechat] notify_listen = "10.0.0.9:8443"`,
		`[wechat] notify_url = "https://pay.example.com:8443/wechat/notify"`, `[wechat] notify_url = "https://x.example/` + strings.Repeat("n", 238) + `"`,
	} {
		section, line, _ := strings.Cut(ok[1:], "] ")
		_, err := parseConfig(configFile, []byte(with(section, line)))
		assert.NoError(t, err, ok)
	}
}

func TestBadValuesAreNamed(t *testing.T) {
	cases := []struct{ section, line, want string }{
		{"flow", `reverse_after = "14s"`, `must be 15s to 44s`},
		{"flow", `reverse_after = "44.001s"`, `must be 15s to 44s`},
		{"flow", `reverse_after = 40`, `must be a duration in quotes, 15s to 44s; write for example "40s"`},
		{"flow", `query_every = "2.9s"`, `must be 3s to 10s`},
		{"flow", `pay_timeout = "31s"`, `must be 5s to 30s`},
		{"flow", `pay_timeout = "fast"`, `must be a duration in quotes`},
		{"till", `scan_within = "11m"`, `must be 10s to 10m`},
		{"till", `language = "zh"`, `must be one of en, zh-Hans, zh-Hant`},
		{"till", `code_prefixes = []`, `must be a list of 1 to 20 texts`},
		{"till", `code_prefixes = ["1x"]`, `"1x": must be 1 to 6 digits`},
		{"till", `code_prefixes = ["10", "10"]`, `stands twice`},
		{"till", `code_prefixes = "10"`, `must be a list`},
		{"till", `allow_code_in_api = "yes"`, `must be true or false`},
		{"till", `device_ip = "till-1"`, `must be an IP address`},
		{"store", `time_zone = "Hong Kong"`, `must be a time zone of the IANA table`},
		{"store", `time_zone = "Local"`, `must be the name of a time zone`},
		{"store", `name = "two\nlines"`, `one line of at most 127 characters`},
		{"wechat", `mode = "merchant"`, `must be one of institution, direct`},
		{"wechat", `api = "v4"`, `must be one of v3, v2`},
		{"wechat", `hosts = ["http://apihk.mch.weixin.qq.com"]`, `must be https://host`},
		{"wechat", `hosts = ["https://apihk.mch.weixin.qq.com/v3"]`, `must be https://host`},
		{"wechat", `hosts = ["https://u:p@apihk.mch.weixin.qq.com"]`, `must be https://host`},
		{"wechat", `hosts = ["https://a:99999"]`, `must be https://host`},
		{"wechat", `notify_listen = ":8443"`, `must be address:port; write for example "127.0.0.1:7080"`},
		{"wechat", `notify_url = "http://x.example/n"`, `must be https://host/path as WeChat Pay can reach it; write for example "https://pay.example.com/notify"`},
		{"wechat", `notify_url = "https://x.example/n?shop=1"`, `must be without a query part`},
		{"wechat", `notify_url = "https://x.example/n#top"`, `must be without a query part`},
		{"wechat", `notify_url = "https://u:p@x.example/n"`, `must be https://host/path`},
		{"wechat", `notify_url = "https://x.example/` + strings.Repeat("n", 239) + `"`, `must be at most 256 bytes long`},
		{"wechat", "public_key_id = \"0114232134912410000000000000\"\npublic_key = \"p.pem\"", `it begins with PUB_KEY_ID_; write for example`},
		{"wechat", "public_key_id = \"PUB_KEY_ID_\"\npublic_key = \"p.pem\"", `it begins with PUB_KEY_ID_`},
		{"wechat", `certificate = "credential:../key"`, `must be credential: and a name`},
		{"api", `listen = "7080"`, `must be address:port`},
		{"api", `line_listen = "0.0.0.0:7081"`, `must be an address on loopback`},
		{"api", `line_listen = "192.168.1.5:7081"`, `must be an address on loopback`},
		{"api", `line_listen = "serial:ttyS1"`, `must be an address on loopback`},
		{"api", `cors_origins = ["*"]`, `must be an exact origin`},
		{"api", `allowed_hosts = ["http://till"]`, `must be a host name`},
		{"receipt", `printer = "tcp://10.0.0.5:9100"`, `is not served by this build of posagent and would be ignored; write "none"`},
		{"receipt", `width = 200`, `must be a whole number from 24 to 80`},
		{"receipt", `width = "48"`, `must be a whole number`},
		{"journal", `file = ""`, `must be the path of a file`},
	}
	for _, c := range cases {
		got := mistakes(t, with(c.section, c.line))
		require.Len(t, got, 1, c.line)
		key, _, _ := strings.Cut(c.line, " ")
		assert.Contains(t, got[0], "["+c.section+"] "+key, c.line)
		assert.Contains(t, got[0], c.want, c.line)
		assert.Regexp(t, `^posagent\.toml:\d+:\d+: `, got[0])
	}
}

func TestIdsThatDoNotFitAnOrderNumber(t *testing.T) {
	for _, line := range []string{`id = "SZTX001"`, `id = "T1"`} {
		for _, bad := range []string{`id = "lower"`, `id = ""`, `id = "SZTX001SZTX001"`, `id = "A-1"`} {
			got := mistakes(t, strings.Replace(leastConfig, line, bad, 1))
			assert.Contains(t, got[0], "capital letters and digits")
		}
	}
	assert.Contains(t, mistakes(t, strings.Replace(leastConfig, `"T1"`, `"T1234"`, 1))[0], "1 to 4 capital letters and digits")
	assert.Contains(t, mistakes(t, strings.Replace(leastConfig, `"HKD"`, `"hkd"`, 1))[0], "three capital letters")
	assert.Contains(t, mistakes(t, strings.Replace(leastConfig, `"HKD"`, `"VND"`, 1))[0], `"VND": must be three capital letters, one of those that WeChat Pay lists (AED`)
}

func TestWhatHasNoDefaultMustBeThere(t *testing.T) {
	for _, key := range []string{"app_id", "merchant_id", "sub_merchant_id", "merchant_category_code", "currency"} {
		got := mistakes(t, without(key))
		require.Len(t, got, 1, key)
		assert.Regexp(t, `^posagent\.toml:\d+:2: \[(wechat|till)\] `+key+` ?: is missing`, strings.Replace(got[0], key+":", key+" :", 1))
		assert.Contains(t, got[0], "write for example "+key+` = "`)
	}
	got := mistakes(t, "")
	require.Len(t, got, 3)
	assert.Contains(t, got[0], `posagent.toml:1:1: [store]: is missing; write the section with at least id = "SZTX001"`)
}

func TestDirectModeHasNoSubMerchant(t *testing.T) {
	got := mistakes(t, with("wechat", `mode = "direct"`))
	require.Len(t, got, 1)
	assert.Contains(t, got[0], `[wechat] sub_merchant_id = "20000100": must not stand with mode = "direct"`)

	direct := strings.Replace(without("sub_merchant_id"), "[wechat]\n", "[wechat]\nmode = \"direct\"\n", 1)
	assert.Equal(t, "direct", parse(t, direct).WeChat.Mode)

	got = mistakes(t, strings.Replace(direct, "[wechat]\n", "[wechat]\nsub_app_id = \"wx1\"\n", 1))
	assert.Contains(t, got[0], `[wechat] sub_app_id`)
}

func TestSettingsThatNeedEachOther(t *testing.T) {
	const id = `public_key_id = "PUB_KEY_ID_0114232134912410000000000000"`
	for lines, want := range map[string]string{
		id:                                `[wechat] public_key: is missing, and public_key_id needs it; write the path of pub_key.pem, or take public_key_id out`,
		`public_key = "pub_key.pem"`:      `[wechat] public_key_id: is missing, and public_key needs it; write the id that the merchant platform shows beside the key`,
		`next_certificate = "n.pem"`:      `[wechat] next_private_key: is missing, and next_certificate needs it; write for example next_private_key = `,
		`next_private_key = "n.pem"`:      `[wechat] next_certificate: stands nowhere, and next_private_key is its key; write next_certificate, or take next_private_key out`,
		`p12_password = "password"`:       `[wechat] p12_password: is for a .p12 bundle and would be ignored; take it out, or write the bundle as certificate`,
		`private_key = "c.p12"`:           `[wechat] private_key: names a .p12 bundle, which holds the certificate too; write it as certificate, and take private_key out`,
		`api_v3_key = ""`:                 `[wechat] api_v3_key: is missing, and API v3 requires it; write for example api_v3_key = `,
		"api = \"v2\"\napi_v2_key = \"\"": `[wechat] api_v2_key: is missing, and API v2 requires it; write for example api_v2_key = `,
		"certificate = \"c.P12\"\nprivate_key = \"k.pem\"":           `[wechat] private_key: would be ignored, because the .p12 bundle of certificate holds the key; take private_key out`,
		"next_certificate = \"n.pfx\"\nnext_private_key = \"k.pem\"": `[wechat] next_private_key: would be ignored, because the .p12 bundle of next_certificate holds the key`,
	} {
		got := mistakes(t, with("wechat", lines))
		require.Len(t, got, 1, lines)
		assert.Contains(t, got[0], want, lines)
		assert.Regexp(t, `^posagent\.toml:\d+:\d+: `, got[0])
	}
	cfg := parse(t, with("wechat", id+"\npublic_key = \"pub_key.pem\""))
	assert.Equal(t, SecretRef("/etc/posagent/pub_key.pem"), cfg.WeChat.PublicKey)
	cfg = parse(t, with("wechat", "next_certificate = \"credential:n.pem\"\nnext_private_key = \"k.pem\""))
	assert.Equal(t, SecretRef("credential:n.pem"), cfg.WeChat.NextCertificate)
}

func TestABundleBringsItsKey(t *testing.T) {
	cfg := parse(t, with("wechat", "certificate = \"apiclient_cert.p12\"\np12_password = \"password\"\nnext_certificate = \"next.p12\""))
	assert.Equal(t, SecretRef("/etc/posagent/apiclient_cert.p12"), cfg.WeChat.Certificate)
	assert.Empty(t, cfg.WeChat.PrivateKey, "the default is a PEM file's")
	assert.Equal(t, SecretRef("/etc/posagent/password"), cfg.WeChat.P12Password)
	assert.Empty(t, parse(t, with("wechat", `certificate = "credential:apiclient_cert.p12"`)).WeChat.PrivateKey)
}

func TestAPIv2NeedsItsOwnKeyAndNoCategory(t *testing.T) {
	cfg := parse(t, strings.Replace(without("merchant_category_code"), "[wechat]\n", "[wechat]\napi = \"v2\"\napi_v3_key = \"\"\n", 1))
	assert.Equal(t, "v2", cfg.WeChat.API)
	assert.Equal(t, SecretRef("credential:api_v2_key"), cfg.WeChat.APIv2Key)
	assert.Equal(t, "HMAC-SHA256", cfg.WeChat.SignType)
}

func TestOtherMachinesAreLetInOnlyByName(t *testing.T) {
	got := mistakes(t, with("api", `listen = "0.0.0.0:7080"`))
	assert.Contains(t, got[0], `posagent.toml:12:10: [api] listen = "0.0.0.0:7080": would let other machines in; write "127.0.0.1:7080"`)
	cfg := parse(t, with("api", "listen = \"0.0.0.0:7080\"\nallowed_hosts = [\"Till-1.lan\"]"))
	assert.Equal(t, []string{"till-1.lan"}, cfg.API.AllowedHosts)
}

func TestSocketPathsFitTheKernel(t *testing.T) {
	got := mistakes(t, with("api", `socket = "/run/`+strings.Repeat("a/", 60)+`s"`))
	require.Len(t, got, 1)
	assert.Contains(t, got[0], "[api] socket: must be at most 107 bytes")
}

func TestNearMissSuggestsTheRightKey(t *testing.T) {
	cases := []struct{ section, line, want string }{
		{"flow", `reverse_afer = "40s"`, "[flow] reverse_afer: is not a setting; write reverse_after"},
		{"flow", `Query-Every = "3s"`, "[flow] Query-Every: is not a setting; write query_every"},
		{"till", `langauge = "en"`, "[till] langauge: is not a setting; write language"},
		{"till", `reverse_after = "40s"`, "[till] reverse_after: is not a setting; it belongs below [flow]"},
		{"journal", `colour = "red"`, "[journal] colour: is not a setting; take it out; known here: file"},
		{"jornal", `file = "x"`, "[jornal]: is not a section; write journal"},
	}
	for _, c := range cases {
		assert.Contains(t, mistakes(t, with(c.section, c.line))[0], c.want)
	}
	assert.Contains(t, mistakes(t, "pay_timeout = \"15s\"\n"+leastConfig)[0], "posagent.toml:1:1: pay_timeout: stands in no section; move it below [flow]")
}

func TestAllMistakesAreToldAtOnceInTheOrderOfLines(t *testing.T) {
	text := "[flow]\nquery_every = \"1s\"\nnope = 1\n" + strings.Replace(leastConfig, `"T1"`, `"t1"`, 1) + "[receipt]\nwidth = 1\n"
	got := mistakes(t, text)
	require.Len(t, got, 4)
	for i, place := range []string{":2:15:", ":3:1:", ":7:6:", ":15:9:"} {
		assert.Contains(t, got[i], place)
	}
}

func TestMistakesAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "unknown_key_%d = 1\n", i)
	}
	got := mistakes(t, leastConfig+"[flow]\n"+text.String())
	require.Len(t, got, 21)
	assert.Equal(t, "and 30 more", got[20])
}

func TestTextThatIsNoTOML(t *testing.T) {
	got := mistakes(t, "[store]\nid = SZTX001\n")
	require.Len(t, got, 1)
	assert.Regexp(t, `^posagent\.toml:2:\d+: this is not TOML: .*write key = value, text in "quotes"`, got[0])
	got = mistakes(t, leastConfig+"app_id = \"wx1\"\n")
	assert.Contains(t, got[0], "posagent.toml:11:1: ")
	assert.Contains(t, got[0], "each key once")
}

func TestColumnsCountCharacters(t *testing.T) {
	got := mistakes(t, leastConfig+`flow = { "逆" = 1, query_every = "1s" }`)
	assert.Contains(t, strings.Join(got, "\n"), `posagent.toml:11:1: [wechat] flow`)
	got = mistakes(t, "store = { id = \"SZTX001\", name = \"騰訊\", time_zone = \"X\" }\n"+strings.Replace(leastConfig, "[store]\nid = \"SZTX001\"\n", "", 1))
	assert.Contains(t, got[0], "posagent.toml:1:52: [store] time_zone")
}

func TestFilesFromWindowsAreRead(t *testing.T) {
	cfg := parse(t, "\ufeff"+strings.ReplaceAll(leastConfig, "\n", "\r\n"))
	assert.Equal(t, "T1", cfg.Till.ID)
}

func TestRelativePathsStartAtTheFile(t *testing.T) {
	text := with("wechat", "certificate = \"keys/cert.pem\"\nprivate_key = \"/srv/key.pem\"\nca_file = \"root.pem\"") + "[journal]\nfile = \"../j.db\"\n"
	cfg := parse(t, text)
	assert.Equal(t, SecretRef("/etc/posagent/keys/cert.pem"), cfg.WeChat.Certificate)
	assert.Equal(t, SecretRef("/srv/key.pem"), cfg.WeChat.PrivateKey)
	assert.Equal(t, "/etc/posagent/root.pem", cfg.WeChat.CAFile)
	assert.Equal(t, "/etc/j.db", cfg.Journal.File)
}

func TestScanners(t *testing.T) {
	cfg := parse(t, leastConfig+`
[[scanner]]
kind = "serial"
device = "/dev/ttyUSB0"
baud = 115_200
[[scanner]]
kind = "hid"
vendor_id = 0x05e0
product_id = "1200"
mode = "keyboard"
device = "1-1.2"
gap = "80ms"
[[scanner]]
kind = "stdin"
`)
	require.Len(t, cfg.Scanners, 3)
	assert.Equal(t, Scanner{Kind: "serial", Device: "/dev/ttyUSB0", Baud: 115200, DataBits: 8, Parity: "none", StopBits: 1, Mode: "auto"}, cfg.Scanners[0])
	assert.Equal(t, uint16(0x5e0), cfg.Scanners[1].VendorID)
	assert.Equal(t, "1-1.2", cfg.Scanners[1].Device)

	for scanner, want := range map[string]string{
		"[[scanner]]\nkind = \"serial\"":                                              "[[scanner]] device: is missing, and kind = \"serial\" requires it",
		"[[scanner]]\nkind = \"hid\"\nvendor_id = \"05e0\"":                           "[[scanner]] product_id: is missing",
		"[[scanner]]\nkind = \"stdin\"\nbaud = 9600":                                  "[[scanner]] baud: is for kind = \"serial\" or \"auto\" and would be ignored",
		"[[scanner]]\nkind = \"stdin\"\ndevice = \"x\"":                               "[[scanner]] device: is for kind = \"serial\" or \"hid\" or \"evdev\" or \"auto\" and would be ignored",
		"[[scanner]]\nkind = \"hid\"\nvendor_id=1\nproduct_id=2\ndevice = \"/dev/x\"": "must be the USB port that the scanner is plugged into",
		"[[scanner]]\nkind = \"evdev\"\nvendor_id=1":                                  "[[scanner]] product_id: is missing, and kind = \"evdev\" requires it",
		"[[scanner]]\nkind = \"auto\"\ndevice=\"1-2\"\nproduct_id=1":                  "[[scanner]] vendor_id: is missing, and kind = \"auto\" requires it",
		"[[scanner]]\nkind = \"auto\"\ndevice=\"/dev/x\"\nserial=\"S\"":               "[[scanner]] serial: would be ignored, because device names the scanner by its path",
		"[[scanner]]\nkind=\"evdev\"\nvendor_id=1\nproduct_id=2\nmode=\"keyboard\"":   "[[scanner]] mode: is for kind = \"hid\" and would be ignored",
		"[[scanner]]\nkind = \"serial\"\ndevice = \"/dev/ttyS0\"\nsuffix = \"9\"":     "a text without a digit",
		"[[scanner]]\nkind = \"ps2\"":                                                 "must be one of auto, serial, hid, evdev, stdin",
		"[[scanner]]\ndevice = \"/dev/ttyS0\"":                                        "[[scanner]] kind: is missing",
		"[scanner]\nkind = \"stdin\"":                                                 "write [[scanner]] with double brackets",
		strings.Repeat("[[scanner]]\nkind = \"stdin\"\n", 5):                          "[[scanner]]: stands more than 4 times",
		"[[scanner]]\nkind=\"hid\"\nvendor_id=\"zz\"\nproduct_id=\"1\"":               "must be the number that lsusb prints",
	} {
		got := mistakes(t, leastConfig+scanner+"\n")
		assert.Len(t, got, 1, scanner)
		assert.Contains(t, got[0], want)
	}
}

func TestASecretInTheFileIsNeverRepeated(t *testing.T) {
	const key = "0123456789abcdef0123456789ABCDEF"
	pem := "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkq"
	for _, line := range []string{
		`api_v3_key = "` + key + `"`, `api_v3_key = "credential:` + key + `"`, `private_key = "` + pem + `"`, `certificate = """` + "\n" + pem + `"""`,
		`public_key = "` + pem + `"`, `p12_password = "` + key + `"`, `proxy = "http://user:` + key + `@10.0.0.1:3128"`,
		`api_v2_key = "` + key + `"`, `mode = "` + key + `"`, `hosts = ["` + key + `"]`, `api_v3_ky = "` + key + `"`, `api_v3_key = ` + key, `sub_app_id = "` + key + `"`,
	} {
		got := strings.Join(mistakes(t, with("wechat", line)), "\n")
		assert.NotContains(t, got, key, line)
		assert.NotContains(t, got, "MIIE", line)
		assert.NotContains(t, got, key[:16], line)
	}
	// A password has no shape to be known by: what may hold one is never repeated, whatever it looks like.
	for _, line := range []string{`p12_password = "hunter2"`, `proxy = "http://till:hunter2@10.0.0.1:3128"`, `next_private_key = "hunter2"`, `private_key = ["hunter2"]`} {
		assert.NotContains(t, strings.Join(mistakes(t, with("wechat", line)), "\n"), "hunter2", line)
	}
	got := mistakes(t, with("wechat", `api_v3_key = "`+key+`"`))
	assert.Contains(t, got[0], `posagent.toml:7:14: [wechat] api_v3_key: this looks like the secret itself`)
}

func TestLoadConfigFile(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "posagent.toml")

	_, err := LoadConfig(file)
	assertFailure(t, err, ExitUsage, "cannot be read", "posagent demo")

	require.NoError(t, os.WriteFile(file, []byte(leastConfig), 0o600))
	cfg, err := LoadConfig(file)
	require.NoError(t, err)
	assert.Equal(t, file, cfg.File)
	assert.Equal(t, 40*time.Second, cfg.Flow.ReverseAfter)

	require.NoError(t, os.WriteFile(file, make([]byte, configBytesMax+1), 0o600))
	_, err = LoadConfig(file)
	assertFailure(t, err, ExitUsage, "larger than 1 MiB", "--config")

	_, err = LoadConfig(folder)
	assertFailure(t, err, ExitUsage, "is a directory", "--config")
}

func assertFailure(t *testing.T, err error, code int, what, next string) {
	t.Helper()
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, code, exitStatus(err))
	assert.Contains(t, failure.What, what)
	assert.Contains(t, failure.Next, next)
}

func FuzzParseConfig(f *testing.F) {
	f.Add(configs.Example)
	f.Add(leastConfig + "[[scanner]]\nkind = [[1], {a.b = 2}]\n")
	f.Add("store = []\ntill = 1\n[[wechat]]\n[scanner.x]\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parseConfig(configFile, []byte(text))
		if err == nil {
			return
		}
		lines := strings.Count(text, "\n") + 1
		var wrong *ConfigError
		require.ErrorAs(t, err, &wrong)
		for _, m := range wrong.Mistakes {
			assert.True(t, m.Line >= 1 && m.Line <= lines && m.Column >= 1, "%+v", m)
		}
	})
}
