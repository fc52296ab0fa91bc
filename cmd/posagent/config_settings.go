package main

import (
	"path/filepath"
	"time"
)

// section is one [name] of the file, or each [[name]] of a list.
type section struct {
	name     string
	settings []setting
}

// setting is one key: what it may hold, and where it goes.
type setting struct {
	key      string
	take     func(*node) error // keeps the value, or says what it must be
	required string            // an example of what to write; "" where a default serves
	secret   bool              // its value is never repeated in a message
}

// into makes a setting out of a rule and the field that it fills.
func into[T any](key string, field *T, r rule[T]) setting {
	return setting{key: key, take: func(n *node) error {
		v, err := r(n)
		if err == nil {
			*field = v
		}
		return err
	}}
}

// needed marks a setting that has no default.
func (s setting) needed(example string) setting {
	s.required = example
	return s
}

// hidden marks a setting whose value could be a secret.
func (s setting) hidden() setting {
	s.secret = true
	return s
}

// sections is every setting of the file but those of a scanner, with its rule. configs/posagent.toml explains each to an installer.
func sections(c *Config) []section {
	folder := filepath.Dir(c.File)
	return []section{
		{"store", storeSettings(&c.Store)},
		{"till", tillSettings(&c.Till)},
		{"wechat", append(accountSettings(&c.WeChat, folder), secretSettings(&c.WeChat, folder)...)},
		{"flow", flowSettings(&c.Flow)},
		{"journal", []setting{into("file", &c.Journal.File, path(folder, `"/var/lib/posagent/journal.db"`))}},
		{"backup", backupSettings(&c.Backup, folder)},
		{"api", apiSettings(&c.API, folder)},
		{"operators", peopleSettings(&c.Operators, folder)},
		{"pole", poleSettings(&c.Pole)},
		{"receipt", receiptSettings(&c.Receipt)},
	}
}

func storeSettings(s *Store) []setting {
	return []setting{
		into("id", &s.ID, matching(`[0-9A-Z]{1,12}`, "1 to 12 capital letters and digits", `"SZTX001"`)).needed(`id = "SZTX001"`),
		into("name", &s.Name, text(127, `"Tencent Building Branch"`)),
		into("address", &s.Address, text(128, `"Nanshan District, Shenzhen"`)),
		into("time_zone", &s.TimeZone, timeZone),
	}
}

func tillSettings(t *Till) []setting {
	prefix := matching(`[0-9]{1,6}`, "1 to 6 digits, in quotes", `"13"`)
	return []setting{
		into("id", &t.ID, matching(`[0-9A-Z]{1,4}`, "1 to 4 capital letters and digits", `"T1"`)).needed(`id = "T1"`),
		into("currency", &t.Currency, currency).needed(`currency = "HKD"`),
		into("scan_within", &t.ScanWithin, between(10*time.Second, 10*time.Minute, `"90s"`)),
		into("language", &t.Language, oneOf("en", "zh-Hans", "zh-Hant")),
		into("code_prefixes", &t.CodePrefixes, listOf(1, 20, prefix, `["10", "11", "12", "13", "14", "15"]`)),
		into("allow_code_in_api", &t.AllowCodeInAPI, yesNo),
		into("device_ip", &t.DeviceIP, orNothing(ipAddress)),
	}
}

// accountSettings: the lengths are those of the field tables of the v3 Global pay call; merchant numbers are digits, 8 to 10 today.
func accountSettings(w *WeChat, folder string) []setting {
	merchant := matching(`[0-9]{8,32}`, "the merchant number, 8 or more digits, in quotes", `"10000100"`)
	appID := matching(`wx[0-9A-Za-z]{1,30}`, "the app id, wx and letters or digits", `"wx2421b1c4370ec43b"`)
	return []setting{
		into("api", &w.API, oneOf("v3", "v2")),
		into("mode", &w.Mode, oneOf("institution", "direct")),
		into("app_id", &w.AppID, appID).needed(`app_id = "wx2421b1c4370ec43b"`),
		into("merchant_id", &w.MerchantID, merchant).needed(`merchant_id = "10000100"`),
		into("sub_app_id", &w.SubAppID, orNothing(appID)),
		into("sub_merchant_id", &w.SubMerchantID, orNothing(merchant)),
		into("merchant_category_code", &w.MerchantCategoryCode, orNothing(matching(`[0-9]{1,16}`,
			"the merchant category code, digits in quotes", `"4111"`))),
		into("hosts", &w.Hosts, listOf(1, 4, httpsHost, `["https://apihk.mch.weixin.qq.com", "https://api.mch.weixin.qq.com"]`)),
		into("ca_file", &w.CAFile, orNothing(path(folder, `"trial-root.pem"`))),
		into("proxy", &w.Proxy, orNothing(proxyURL)).hidden(),
		into("notify_url", &w.NotifyURL, orNothing(notifyURL)),
		into("notify_listen", &w.NotifyListen, orNothing(listenAddress)),
		into("public_key_id", &w.PublicKeyID, orNothing(matching(`PUB_KEY_ID_[0-9A-Za-z_]{1,53}`,
			"the id that the merchant platform shows beside the public key: it begins with PUB_KEY_ID_", `"PUB_KEY_ID_0114232134912410000000000000"`))),
		into("sign_type", &w.SignType, oneOf("HMAC-SHA256", "MD5")),
	}
}

func secretSettings(w *WeChat, folder string) []setting {
	ref := func(example string) rule[SecretRef] { return secretRef(folder, example) }
	return []setting{
		into("certificate", &w.Certificate, ref(`"credential:apiclient_cert.pem"`)).hidden(),
		into("private_key", &w.PrivateKey, ref(`"credential:apiclient_key.pem"`)).hidden(),
		into("api_v3_key", &w.APIv3Key, noRef(ref(`"credential:api_v3_key"`))).hidden(),
		into("api_v2_key", &w.APIv2Key, noRef(ref(`"credential:api_v2_key"`))).hidden(),
		into("next_certificate", &w.NextCertificate, noRef(ref(`"next/apiclient_cert.pem"`))).hidden(),
		into("next_private_key", &w.NextPrivateKey, noRef(ref(`"next/apiclient_key.pem"`))).hidden(),
		into("p12_password", &w.P12Password, noRef(ref(`"credential:p12_password"`))).hidden(),
		into("public_key", &w.PublicKey, noRef(ref(`"credential:pub_key.pem"`))).hidden(),
	}
}

func flowSettings(f *Flow) []setting {
	return []setting{
		into("query_every", &f.QueryEvery, between(3*time.Second, 10*time.Second, `"3s"`)),
		into("reverse_after", &f.ReverseAfter, between(15*time.Second, 44*time.Second, `"40s"`)),
		into("pay_timeout", &f.PayTimeout, between(5*time.Second, 30*time.Second, `"15s"`)),
	}
}

// scannerSettings: vendor and product numbers mean nothing for kind serial, the line settings nothing for HID; scannerTogether sees to it.
func scannerSettings(s *Scanner, folder string) []setting {
	return []setting{
		into("kind", &s.Kind, oneOf("auto", "serial", "hid", "evdev", "stdin")).needed(`kind = "serial"`),
		into("device", &s.Device, scannerDevice(s, folder)), // below kind, which it depends on
		into("baud", &s.Baud, whole(300, 921600, "9600")),
		into("data_bits", &s.DataBits, whole(5, 8, "8")),
		into("parity", &s.Parity, oneOf("none", "even", "odd", "mark", "space")),
		into("stop_bits", &s.StopBits, whole(1, 2, "1")),
		into("prefix", &s.Prefix, scannerMark),
		into("suffix", &s.Suffix, scannerMark),
		into("gap", &s.Gap, between(10*time.Millisecond, 2*time.Second, `"50ms"`)),
		into("vendor_id", &s.VendorID, usbID),
		into("product_id", &s.ProductID, usbID),
		into("serial", &s.Serial, text(126, `"SN-0001"`)),
		into("mode", &s.Mode, oneOf("auto", "keyboard", "pos")),
	}
}

func apiSettings(a *API, folder string) []setting {
	return []setting{
		into("listen", &a.Listen, listenAddress),
		into("socket", &a.Socket, orNothing(path(folder, `"/run/posagent/posagent.sock"`))),
		into("tokens_file", &a.TokensFile, path(folder, `"/var/lib/posagent/tokens.json"`)),
		into("allowed_hosts", &a.AllowedHosts, listOf(0, 16, hostName, `["till-1.lan"]`)),
		into("cors_origins", &a.CORSOrigins, listOf(0, 16, origin, `["https://pos.example.com"]`)),
		into("line_listen", &a.LineListen, orNothing(lineAddress)),
		into("line_baud", &a.LinePort.Baud, whole(300, 921600, "9600")),
		into("line_data_bits", &a.LinePort.DataBits, whole(7, 8, "8")),
		into("line_parity", &a.LinePort.Parity, oneOf("none", "even", "odd")),
		into("line_stop_bits", &a.LinePort.StopBits, whole(1, 2, "1")),
	}
}

func receiptSettings(r *Receipt) []setting {
	return []setting{
		into("printer", &r.Printer, only("none", ": receipts are shown as text")),
		into("width", &r.Width, whole(24, 80, "48")),
	}
}
