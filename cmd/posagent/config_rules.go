package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"posagent/payflow"
	"posagent/scanner"
)

// rule turns a value of the file into T, or says what it must be and what to write instead.
type rule[T any] func(*node) (T, error)

// itemError is a mistake in one item of a list: the message then names the item's place and value.
type itemError struct {
	item *node
	err  error
}

func (e *itemError) Error() string { return e.err.Error() }

// must words a broken rule.
func must(what, example string) error {
	return fmt.Errorf("must be %s; write for example %s", what, example)
}

// text takes any printable text on one line of at most so many characters.
func text(charactersMax int, example string) rule[string] {
	return func(n *node) (string, error) {
		if n.kind != unstable.String {
			return "", must("text in quotes", example)
		}
		if len([]rune(n.text)) > charactersMax || strings.ContainsFunc(n.text, unicode.IsControl) {
			return "", must(fmt.Sprintf("one line of at most %d characters", charactersMax), example)
		}
		return n.text, nil
	}
}

// matching takes text that fits the whole pattern.
func matching(pattern, what, example string) rule[string] {
	fits := regexp.MustCompile("^(?:" + pattern + ")$")
	return func(n *node) (string, error) {
		if n.kind != unstable.String || !fits.MatchString(n.text) {
			return "", must(what, example)
		}
		return n.text, nil
	}
}

// oneOf takes one of the words, spelt exactly so.
func oneOf(words ...string) rule[string] {
	return func(n *node) (string, error) {
		if n.kind != unstable.String || !slices.Contains(words, n.text) {
			return "", must("one of "+strings.Join(words, ", "), strconv.Quote(words[0]))
		}
		return n.text, nil
	}
}

// between takes a duration such as "40s", from shortest to longest, both allowed.
func between(shortest, longest time.Duration, example string) rule[time.Duration] {
	return func(n *node) (time.Duration, error) {
		d, err := time.ParseDuration(n.text)
		if n.kind != unstable.String || err != nil {
			return 0, must("a duration in quotes, "+span(shortest)+" to "+span(longest), example)
		}
		if d < shortest || d > longest {
			return 0, must(span(shortest)+" to "+span(longest), example)
		}
		return d, nil
	}
}

// span prints a duration without its empty parts: 10m, not 10m0s.
func span(d time.Duration) string {
	return strings.TrimSuffix(d.String(), "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(d.String(), "m0s")]
}

// whole takes a whole number from least to most, both allowed.
func whole(least, most int, example string) rule[int] {
	return func(n *node) (int, error) {
		v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 32)
		if n.kind != unstable.Integer || err != nil || int(v) < least || int(v) > most {
			return 0, must(fmt.Sprintf("a whole number from %d to %d", least, most), example)
		}
		return int(v), nil
	}
}

func yesNo(n *node) (bool, error) {
	if n.kind != unstable.Bool {
		return false, must("true or false, without quotes", "false")
	}
	return n.text == "true", nil
}

// listOf takes a list without repeats, of at least and at most so many items that each fit the rule.
func listOf(least, most int, item rule[string], example string) rule[[]string] {
	return func(n *node) ([]string, error) {
		if n.kind != unstable.Array || len(n.items) < least || len(n.items) > most {
			return nil, must(fmt.Sprintf("a list of %d to %d texts", least, most), example)
		}
		var out []string
		for _, it := range n.items {
			v, err := item(it)
			if err == nil && slices.Contains(out, v) {
				err = errors.New("stands twice in the list; write each once")
			}
			if err != nil {
				return nil, &itemError{it, err}
			}
			out = append(out, v)
		}
		return out, nil
	}
}

// orNothing lets "" through and asks the rule about anything else.
func orNothing(r rule[string]) rule[string] {
	return func(n *node) (string, error) {
		if n.kind == unstable.String && n.text == "" {
			return "", nil
		}
		return r(n)
	}
}

// only takes the one value that changes nothing, for a setting whose part this build does not have.
func only(value, instead string) rule[string] {
	return func(n *node) (string, error) {
		if n.kind != unstable.String || n.text != value {
			return "", fmt.Errorf("is not served by this build of posagent and would be ignored; write %q%s", value, instead)
		}
		return value, nil
	}
}

// path takes the name of a file; a relative one starts at the folder of the configuration file.
func path(folder, example string) rule[string] {
	return func(n *node) (string, error) {
		if n.kind != unstable.String || n.text == "" {
			return "", must("the path of a file, in quotes", example)
		}
		if looksLikeKey(n.text) {
			return "", errSecretInFile
		}
		return absolute(folder, n.text), nil
	}
}

func absolute(folder, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(folder, name)
}

// ipAddress takes an address as scene_info.device_ip wants it: no name, no zone.
func ipAddress(n *node) (string, error) {
	ip, err := netip.ParseAddr(n.text)
	if n.kind != unstable.String || err != nil || ip.Zone() != "" {
		return "", must("an IP address, or \"\" to have it found out", `"192.168.1.20"`)
	}
	return ip.String(), nil
}

// timeZone takes a name of the IANA table; the table is built in.
func timeZone(n *node) (*time.Location, error) {
	if n.kind != unstable.String || n.text == "" || n.text == "Local" {
		return nil, must("the name of a time zone", `"Asia/Hong_Kong"`)
	}
	zone, err := time.LoadLocation(n.text)
	if err != nil {
		return nil, must("a time zone of the IANA table, Area/City", `"Asia/Hong_Kong"`)
	}
	return zone, nil
}

// usbID takes the number of a USB vendor or product, 0x05e0 or "05e0" as lsusb prints it.
func usbID(n *node) (uint16, error) {
	digits := strings.TrimPrefix(strings.ToLower(n.text), "0x")
	base := 16
	if n.kind == unstable.Integer && digits == strings.ToLower(n.text) {
		base = 10
	}
	v, err := strconv.ParseUint(digits, base, 16)
	if n.kind != unstable.Integer && n.kind != unstable.String || err != nil || v == 0 {
		return 0, must("the number that lsusb prints, four hexadecimal digits", `"05e0"`)
	}
	return uint16(v), nil
}

// currency takes a currency out of payflow's table: the ones that WeChat Pay lists.
func currency(n *node) (payflow.Currency, error) {
	c, err := payflow.ParseCurrency(n.text)
	if n.kind == unstable.String && err == nil {
		return c, nil
	}
	var listed []string
	for known := range payflow.Currencies() {
		listed = append(listed, string(known))
	}
	slices.Sort(listed)
	return "", must("three capital letters, one of those that WeChat Pay lists ("+strings.Join(listed, " ")+")", `"HKD"`)
}

// scannerMark takes what stands before or behind a code.
func scannerMark(n *node) (string, error) {
	value, err := text(8, `"CR"`)(n)
	if err != nil {
		return "", err
	}
	if _, err := scanner.ParseMark("", value); err != nil {
		return "", must("CR, LF, CRLF, TAB, STX, ETX, or a text without a digit", `"CR"`)
	}
	return value, nil
}

// scannerDevice takes the path of a serial port or of a keyboard below /dev/input/by-id, and for a USB device that is named by its
// numbers the USB port as sysfs names it.
func scannerDevice(s *Scanner, folder string) rule[string] {
	usbPort := matching(`[0-9]+-[0-9]+(\.[0-9]+)*`, "the USB port that the scanner is plugged into", `"1-1.2"`)
	port := path(folder, `"/dev/posagent-scanner"`)
	return func(n *node) (string, error) {
		if s.Kind == "hid" || (s.Kind == "evdev" || s.Kind == "auto") && !strings.Contains(n.text, "/") {
			return usbPort(n)
		}
		return port(n)
	}
}
