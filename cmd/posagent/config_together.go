package main

import (
	"fmt"
	"slices"
	"strings"
)

// together checks what no setting can show alone. A rule is only asked where its settings are each in order, so that one slip is told once.
func (l *configLoader) together(c *Config) {
	if len(l.mistakes) > 0 && l.root.keys["wechat"] == nil {
		return
	}
	l.modeTogether(c.WeChat)
	if c.WeChat.MerchantCategoryCode == "" && l.clean("wechat", "merchant_category_code") {
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

// scannerTogether sees that a scanner names its device, and nothing that would be ignored for its kind.
func (l *configLoader) scannerTogether(table *node, s Scanner) {
	need := map[string][]string{"serial": {"device"}, "hid": {"vendor_id", "product_id"}}
	for _, key := range need[s.Kind] {
		if table.keys[key] == nil {
			l.note(table.pos, "[[scanner]] "+key, "", fmt.Sprintf("is missing, and kind = %q requires it; write for example %s", s.Kind, scannerExample[key]))
		}
	}
	for _, key := range table.order {
		serves := scannerServes[key]
		if s.Kind != "" && len(serves) > 0 && !slices.Contains(serves, s.Kind) {
			l.note(table.keys[key].key, "[[scanner]] "+key, "", fmt.Sprintf("is for kind = \"%s\" and would be ignored; take it out", strings.Join(serves, `" or "`)))
		}
	}
}

// scannerServes says which kinds of scanner a setting means something for.
var scannerServes = map[string][]string{
	"device": {"serial", "hid"}, "gap": {"serial", "hid"},
	"baud": {"serial"}, "data_bits": {"serial"}, "parity": {"serial"}, "stop_bits": {"serial"},
	"vendor_id": {"hid"}, "product_id": {"hid"}, "serial": {"hid"}, "mode": {"hid"},
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
