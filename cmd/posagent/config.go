package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"posagent/payflow"
	"posagent/till"
)

// DefaultConfigFile is read when no --config is given.
const DefaultConfigFile = "/etc/posagent/posagent.toml"

// configBytesMax bounds a configuration file: a real one has about 6 kB, so more than 1 MiB is some other file.
const configBytesMax = 1 << 20

// Config is the whole configuration of one till, checked: every field is within the bounds given beside it, every path is absolute,
// and the settings fit together. LoadConfig makes one from a file, DefaultConfig one without the shop's own facts.
type Config struct {
	File           string // the file that was read, absolute; "" for none
	CredentialsDir string // where systemd put the credentials ($CREDENTIALS_DIRECTORY); "" when it started no service

	Store     Store
	Till      Till
	WeChat    WeChat
	Flow      Flow
	Scanners  []Scanner // at most 4; none is allowed, codes then come by the page or the API
	Journal   Journal
	Backup    Backup
	API       API
	Pole      Pole
	Operators People
	Receipt   Receipt
}

// Store is the shop.
type Store struct {
	ID       string         // 1 to 12 of [0-9A-Z]; part of every order number
	Name     string         // at most 127 characters; default: the id
	Address  string         // at most 128 characters; may be empty
	TimeZone *time.Location // IANA name; default Asia/Hong_Kong; the store's day ends at its midnight
}

// Till is this cash desk.
type Till struct {
	ID             string // 1 to 4 of [0-9A-Z]; part of every order number
	Currency       payflow.Currency
	ScanWithin     time.Duration // default 90s, 10s to 10m; an armed payment without a scan is cancelled then
	Language       string        // en (default), zh-Hans, zh-Hant
	CodePrefixes   []string      // digits; default 10 to 15; at most 20 of 1 to 6 digits
	AllowCodeInAPI bool          // default false; true lets till software hand in the code it scanned itself
	DeviceIP       string        // an IPv4 or IPv6 address; "": found out
}

// WeChat is the account with WeChat Pay.
type WeChat struct {
	API                  string    // v3 (default) or v2
	Mode                 string    // institution (default) or direct
	AppID                string    // starts with wx; at most 32 characters; sp_appid in institution mode
	MerchantID           string    // 8 to 32 digits; sp_mchid in institution mode
	SubAppID             string    // institution only; may be empty
	SubMerchantID        string    // institution only, and required there
	MerchantCategoryCode string    // 1 to 16 digits; required for v3
	Hosts                []string  // https://host[:port], 1 to 4, in the order they are tried
	CAFile               string    // PEM of an extra trusted root; "" for none
	Certificate          SecretRef // PEM, or a bundle whose name ends in .p12 or .pfx
	PrivateKey           SecretRef // PEM; "" with a bundle
	NextCertificate      SecretRef // the second pair of an overlap, as the first; "": none
	NextPrivateKey       SecretRef
	P12Password          SecretRef // of the bundles; "": the merchant id
	Proxy                string    // http://host:port; "" for none
	NotifyURL            string    // https, no query part, at most 256 bytes; "": no notifications
	NotifyListen         string    // address:port; "": no listener
	APIv3Key             SecretRef // required for v3; for v2 may be ""
	APIv2Key             SecretRef // required for v2; for v3 may be ""
	PublicKeyID          string    // PUB_KEY_ID_…; "": platform certificates alone
	PublicKey            SecretRef // PEM, SubjectPublicKeyInfo; "" where PublicKeyID is
	SignType             string    // v2 only: HMAC-SHA256 (default) or MD5
}

// Flow is the timing of a payment. The rules that these numbers serve are payflow's.
type Flow struct {
	QueryEvery   time.Duration // default 3s, 3s to 10s
	ReverseAfter time.Duration // default 40s, 15s to 44s, from the start of the pay call
	PayTimeout   time.Duration // default 15s, 5s to 30s
}

// Scanner is one source of codes. Its fields are those of scanner.Config.
type Scanner struct {
	Kind      string        // auto, serial, hid, evdev, stdin
	Device    string        // serial, evdev, auto: a path, absolute. hid, evdev, auto: the USB port such as 1-1.2, to tell two alike apart; "": any
	Baud      int           // serial, auto: default 9600, 300 to 921600
	DataBits  int           // serial, auto: default 8, 5 to 8
	Parity    string        // serial, auto: none (default), even, odd, mark, space
	StopBits  int           // serial, auto: default 1; 1 or 2
	Prefix    string        // what each code begins with: CR, LF, CRLF, TAB, STX, ETX or a text; "": nothing
	Suffix    string        // what each code ends with; "": any of those, or silence
	Gap       time.Duration // silence that ends a code without a suffix, 10ms to 2s; 0: by kind and baud rate
	VendorID  uint16        // hid, evdev, auto: as lsusb prints it
	ProductID uint16        // hid, evdev, auto
	Serial    string        // hid, evdev, auto: the device's serial number, to tell two alike apart; "": any
	Mode      string        // hid: auto (default, the same as kind auto), keyboard (detaches the kernel's driver), pos
}

// Journal is where payments are kept.
type Journal struct {
	File string // default /var/lib/posagent/journal.db
}

// Backup is when and where the journal is backed up.
type Backup struct {
	Folder       string // "": the folder backup beside the journal
	At           string // the time of the store's day, "03:30" (default); "": no nightly backup
	Keep         int    // so many are kept; default 14, 1 to 400
	AgeRecipient string // a public key of age that they are encrypted to; "": not encrypted, and without the journal's key
}

// API is how till software and the pages reach the daemon.
type API struct {
	Listen       string   // host:port, loopback unless AllowedHosts names this PC; default 127.0.0.1:7080
	Socket       string   // unix socket, path of at most 107 bytes; default /run/posagent/posagent.sock; "": none
	TokensFile   string   // default /var/lib/posagent/tokens.json
	AllowedHosts []string // host names beyond 127.0.0.1, localhost and [::1]; at most 16
	CORSOrigins  []string // exact origins, scheme://host[:port]; at most 16
	LineListen   string   // the line protocol for old tills: host:port on loopback, or serial: and an absolute path; "": none
	LinePort     PortLine // of a line protocol on a serial port
}

// PortLine is how a serial line is set, as the other end's manual says.
type PortLine struct {
	Baud     int    // default 9600, 300 to 921600
	DataBits int    // default 8, 7 or 8
	Parity   string // none (default), even, odd
	StopBits int    // default 1; 1 or 2
}

// Pole is the tap of a pole display: a serial port on which posagent reads what the till writes to its customer display.
type Pole struct {
	Device   string // absolute path; "": no tap
	Line     PortLine
	Protocol string        // text (default), escpos, cd5220
	Encoding string        // utf-8 (default), gbk, big5
	Columns  int           // default 20, 8 to 40
	Words    []string      // what stands before a total; at most 16
	NotWords []string      // what stands on a display that shows no total to be paid; at most 16
	Rule     string        // a regular expression with the group amount, in place of Words; "": Words
	Decimal  string        // . (default) or ,
	Amounts  string        // major (default): 12 is HK$ 12.00; minor: 1250 is HK$ 12.50
	Most     int           // the largest total in minor units; default 1,000,000
	Settle   time.Duration // default 400ms, 100ms to 5s; a total that stood so long is one
	Fresh    time.Duration // default 60s, 5s to 10m; an older total is offered no more
}

// Receipt is the slip.
type Receipt struct {
	Printer string // none; others are refused by this build
	Width   int    // characters a line; default 48, 24 to 80
}

// DefaultConfig returns the configuration that an empty file would give: all defaults, none of the settings that only the shop knows
// (store and till id, currency, the ids at WeChat Pay).
func DefaultConfig() Config {
	return Config{
		Store: Store{TimeZone: hongKong()},
		Till: Till{ScanWithin: 90 * time.Second, Language: "en",
			CodePrefixes: payflow.DefaultCodePrefixes()},
		WeChat: WeChat{API: "v3", Mode: "institution",
			Hosts:       []string{"https://apihk.mch.weixin.qq.com", "https://api.mch.weixin.qq.com"},
			Certificate: "credential:apiclient_cert.pem", PrivateKey: "credential:apiclient_key.pem",
			APIv3Key: "credential:api_v3_key", APIv2Key: "credential:api_v2_key", SignType: "HMAC-SHA256"},
		Flow:    Flow{QueryEvery: 3 * time.Second, ReverseAfter: 40 * time.Second, PayTimeout: 15 * time.Second},
		Journal: Journal{File: "/var/lib/posagent/journal.db"},
		Backup:  Backup{At: "03:30", Keep: 14},
		API: API{Listen: "127.0.0.1:7080", Socket: "/run/posagent/posagent.sock",
			TokensFile: "/var/lib/posagent/tokens.json", LinePort: PortLine{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1}},
		Pole: Pole{Line: PortLine{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1}, Protocol: "text", Encoding: "utf-8", Columns: 20,
			Words: till.PoleWords(), NotWords: till.PoleNotWords(), Decimal: ".", Amounts: "major", Most: 1_000_000,
			Settle: 400 * time.Millisecond, Fresh: time.Minute},
		Operators: People{LockAfter: 10 * time.Minute},
		Receipt:   Receipt{Printer: "none", Width: 48},
	}
}

func hongKong() *time.Location {
	zone, err := time.LoadLocation("Asia/Hong_Kong")
	if err != nil {
		panic("posagent: Asia/Hong_Kong is not in the built-in time zone table: " + err.Error())
	}
	return zone
}

// LoadConfig reads and checks a configuration file. Mistakes in it come back together as a *ConfigError, each with line and column; a
// file that cannot be read at all is a *Failure. Both mean exit status 2. No secret is read here: see Config.ReadSecret.
func LoadConfig(path string) (Config, error) {
	file, err := filepath.Abs(path)
	if err != nil {
		return Config{}, fmt.Errorf("find %s: %w", path, err)
	}
	data, err := readConfigFile(file)
	if err != nil {
		return Config{}, err
	}
	return parseConfig(file, data)
}

// parseConfig checks the text of a configuration file. file is its absolute path: messages name it, and relative paths start at its folder.
func parseConfig(file string, data []byte) (Config, error) {
	l := &configLoader{file: file}
	cfg := DefaultConfig()
	cfg.File, cfg.CredentialsDir = file, os.Getenv("CREDENTIALS_DIRECTORY")
	root, mistake := parseTree(bytes.TrimPrefix(data, []byte("\ufeff")))
	if mistake != nil {
		l.mistakes = append(l.mistakes, *mistake)
		return Config{}, l.err()
	}
	l.root = root
	l.read(&cfg)
	l.together(&cfg)
	if err := l.err(); err != nil {
		return Config{}, err
	}
	if cfg.Store.Name == "" {
		cfg.Store.Name = cfg.Store.ID
	}
	return cfg, nil
}

func readConfigFile(file string) ([]byte, error) {
	f, err := openSecret(file)
	if err != nil {
		return nil, configFileFailure(file, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, configBytesMax+1))
	if err != nil {
		return nil, configFileFailure(file, err)
	}
	if len(data) > configBytesMax {
		return nil, &Failure{Code: ExitUsage, What: fmt.Sprintf("%s is larger than 1 MiB", file),
			Next: "name the configuration file with --config; a real one is a few kilobytes"}
	}
	return data, nil
}

func configFileFailure(file string, err error) error {
	next := "see that it is a readable file, or name another with --config FILE"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		next = "name the file with --config FILE; to try posagent without one, run: posagent demo"
	case errors.Is(err, fs.ErrPermission):
		next = "run the command as the service's user (sudo -u posagent …) or give this user the right to read the file"
	}
	return &Failure{Code: ExitUsage, What: fmt.Sprintf("the configuration %s cannot be read: %s", file, plainCause(err)), Next: next}
}

// plainCause is the reason of a file error without the call and the path, which the sentence around it already names.
func plainCause(err error) string {
	var inPath *fs.PathError
	if errors.As(err, &inPath) {
		return inPath.Err.Error()
	}
	return err.Error()
}
