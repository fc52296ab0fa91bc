package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// together checks what no setting can show alone. A rule is only asked where its settings are each in order, so that one slip is told once.
func (l *configLoader) together(c *Config) {
	if len(l.mistakes) > 0 && l.root.keys["wechat"] == nil {
		return
	}
	l.modeTogether(c.WeChat)
	l.secretsTogether(&c.WeChat)
	if c.WeChat.API == "v3" && c.WeChat.MerchantCategoryCode == "" && l.clean("wechat", "api") && l.clean("wechat", "merchant_category_code") {
		l.note(l.at("wechat", "merchant_category_code"), "[wechat] merchant_category_code", "",
			"is missing, and API v3 requires it; write for example merchant_category_code = \"4111\"")
	}
	if !onLoopback(c.API.Listen) && len(c.API.AllowedHosts) == 0 && l.clean("api", "listen") && l.clean("api", "allowed_hosts") {
		l.note(l.at("api", "listen"), "[api] listen", fmt.Sprintf("%q", c.API.Listen),
			"would let other machines in; write \"127.0.0.1:7080\", or name this PC in allowed_hosts if that is what you want")
	}
	if len(c.API.Socket) > 107 {
		l.note(l.at("api", "socket"), "[api] socket", "", "must be at most 107 bytes as an absolute path; write for example \"/run/posagent/posagent.sock\"")
	}
}

func (l *configLoader) modeTogether(w WeChat) {
	if !l.clean("wechat", "mode") {
		return
	}
	direct := w.Mode == "direct"
	if direct && w.SubMerchantID != "" {
		l.note(l.at("wechat", "sub_merchant_id"), "[wechat] sub_merchant_id", fmt.Sprintf("%q", w.SubMerchantID),
			"must not stand with mode = \"direct\"; take it out, or write mode = \"institution\"")
	}
	if direct && w.SubAppID != "" {
		l.note(l.at("wechat", "sub_app_id"), "[wechat] sub_app_id", fmt.Sprintf("%q", w.SubAppID),
			"must not stand with mode = \"direct\"; take it out, or write mode = \"institution\"")
	}
	if !direct && w.SubMerchantID == "" && l.clean("wechat", "sub_merchant_id") {
		l.note(l.at("wechat", "sub_merchant_id"), "[wechat] sub_merchant_id", "",
			"is missing, and institution mode requires it; write for example sub_merchant_id = \"20000100\", or mode = \"direct\"")
	}
}

// secretsTogether sees that each secret that is needed is named, and none that would be ignored.
func (l *configLoader) secretsTogether(w *WeChat) {
	l.apiKeysTogether(*w)
	if isP12(w.Certificate) && !l.has("wechat", "private_key") {
		w.PrivateKey = ""
	}
	l.pairTogether("certificate", "private_key", w.Certificate, w.PrivateKey)
	if w.NextCertificate == "" && w.NextPrivateKey != "" {
		l.lacks("next_certificate", "stands nowhere, and next_private_key is its key; write next_certificate, or take next_private_key out")
	}
	if w.NextCertificate != "" {
		l.pairTogether("next_certificate", "next_private_key", w.NextCertificate, w.NextPrivateKey)
	}
	if w.P12Password != "" && !isP12(w.Certificate) && !isP12(w.NextCertificate) {
		l.lacks("p12_password", "is for a .p12 bundle and would be ignored; take it out, or write the bundle as certificate")
	}
	if w.PublicKeyID == "" && w.PublicKey != "" {
		l.lacks("public_key_id", "is missing, and public_key needs it; write the id that the merchant platform shows beside the key, or take public_key out")
	}
	if w.PublicKeyID != "" && w.PublicKey == "" {
		l.lacks("public_key", "is missing, and public_key_id needs it; write the path of pub_key.pem, or take public_key_id out")
	}
}

// apiKeysTogether: each API has a key of its own; the other's is only wanted for orders that were made by the other.
func (l *configLoader) apiKeysTogether(w WeChat) {
	if w.API == "v2" && w.APIv2Key == "" {
		l.lacks("api_v2_key", "is missing, and API v2 requires it; write for example api_v2_key = \"credential:api_v2_key\"")
	}
	if w.API == "v3" && w.APIv3Key == "" {
		l.lacks("api_v3_key", "is missing, and API v3 requires it; write for example api_v3_key = \"credential:api_v3_key\"")
	}
}

// pairTogether: a .p12 bundle holds the key itself, a PEM certificate has it in another file.
func (l *configLoader) pairTogether(certificateKey, privateKey string, certificate, private SecretRef) {
	switch {
	case isP12(certificate) && private != "":
		l.lacks(privateKey, fmt.Sprintf("would be ignored, because the .p12 bundle of %s holds the key; take %s out", certificateKey, privateKey))
	case !isP12(certificate) && isP12(private):
		l.lacks(privateKey, fmt.Sprintf("names a .p12 bundle, which holds the certificate too; write it as %s, and take %s out", certificateKey, privateKey))
	case !isP12(certificate) && private == "":
		l.lacks(privateKey, fmt.Sprintf("is missing, and %s needs it; write for example %s = \"credential:apiclient_key.pem\"", certificateKey, privateKey))
	}
}

// lacks notes a mistake of the [wechat] section that shows only beside other settings. Its value may be a secret and is not told.
func (l *configLoader) lacks(key, wrong string) {
	if l.clean("wechat", key) && l.clean("wechat", "api") {
		l.note(l.at("wechat", key), settingName("wechat", key), "", wrong)
	}
}

// has says whether the file has the setting.
func (l *configLoader) has(section, key string) bool {
	table := l.root.keys[section]
	return table != nil && table.keys[key] != nil
}

// scannerTogether sees that a scanner names its device, and nothing that would be ignored for its kind.
func (l *configLoader) scannerTogether(table *node, s Scanner) {
	for _, key := range scannerNeeds(s) {
		if table.keys[key] == nil {
			l.note(table.pos, "[[scanner]] "+key, "", fmt.Sprintf("is missing, and kind = %q requires it; write for example %s", s.Kind, scannerExample[key]))
		}
	}
	for _, key := range table.order {
		if names := []string{"vendor_id", "product_id", "serial"}; filepath.IsAbs(s.Device) && s.Kind != "serial" && slices.Contains(names, key) {
			l.note(table.keys[key].key, "[[scanner]] "+key, "", "would be ignored, because device names the scanner by its path; take one of them out")
		}
		serves := scannerServes[key]
		if s.Kind != "" && len(serves) > 0 && !slices.Contains(serves, s.Kind) {
			l.note(table.keys[key].key, "[[scanner]] "+key, "", fmt.Sprintf("is for kind = \"%s\" and would be ignored; take it out", strings.Join(serves, `" or "`)))
		}
	}
}

// scannerNeeds lists the settings that name a scanner. A keyboard is never opened by its class alone: it could be the cashier's.
func scannerNeeds(s Scanner) []string {
	switch {
	case s.Kind == "serial":
		return []string{"device"}
	case s.Kind == "hid", (s.Kind == "evdev" || s.Kind == "auto") && !filepath.IsAbs(s.Device):
		return []string{"vendor_id", "product_id"}
	}
	return nil
}

// scannerServes says which kinds of scanner a setting means something for.
var scannerServes = map[string][]string{
	"device": {"serial", "hid", "evdev", "auto"}, "gap": {"serial", "hid", "evdev", "auto"},
	"prefix": {"serial", "hid", "evdev", "auto"}, "suffix": {"serial", "hid", "evdev", "auto"},
	"baud": {"serial", "auto"}, "data_bits": {"serial", "auto"}, "parity": {"serial", "auto"}, "stop_bits": {"serial", "auto"},
	"vendor_id": {"hid", "evdev", "auto"}, "product_id": {"hid", "evdev", "auto"}, "serial": {"hid", "evdev", "auto"}, "mode": {"hid"},
}

var scannerExample = map[string]string{"device": `device = "/dev/posagent-scanner"`, "vendor_id": `vendor_id = "05e0"`, "product_id": `product_id = "1200"`}

// at is where a setting's value stands, or where its section begins when it was left out.
func (l *configLoader) at(section, key string) Position {
	table := l.root.keys[section]
	switch {
	case table == nil:
		return Position{1, 1}
	case table.keys[key] == nil:
		return table.pos
	}
	return table.keys[key].pos
}

// clean says whether no mistake was noted for this very setting yet.
func (l *configLoader) clean(section, key string) bool {
	for _, m := range l.mistakes {
		if m.Setting == settingName(section, key) {
			return false
		}
	}
	return true
}
