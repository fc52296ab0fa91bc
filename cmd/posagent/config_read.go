package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// scannersMax bounds the list of scanners: a desk has one or two.
const scannersMax = 4

// configLoader gathers the mistakes of one file.
type configLoader struct {
	file     string
	root     *node
	sections []section
	mistakes []Mistake
}

func (l *configLoader) err() error { return newConfigError(l.file, l.mistakes) }

// read fills the configuration section by section and notes every mistake on the way.
func (l *configLoader) read(c *Config) {
	l.sections = sections(c)
	names := []string{"scanner"}
	for _, s := range l.sections {
		names = append(names, s.name)
		l.readSection(s)
	}
	for _, name := range l.root.order {
		if !slices.Contains(names, name) {
			l.unknownSection(name, names)
		}
	}
	l.readScanners(c)
}

func (l *configLoader) readSection(s section) {
	table := l.root.keys[s.name]
	switch {
	case table == nil:
		l.absentSection(s)
	case table.kind != unstable.Table:
		l.note(table.key, s.name, "", fmt.Sprintf("is a section; write [%s] on a line of its own, and its settings below", s.name))
	default:
		l.readTable(table, s)
	}
}

// absentSection is no mistake where every setting has a default.
func (l *configLoader) absentSection(s section) {
	var wanted []string
	for _, k := range s.settings {
		if k.required != "" {
			wanted = append(wanted, k.required)
		}
	}
	if len(wanted) > 0 {
		l.note(Position{1, 1}, "["+s.name+"]", "", "is missing; write the section with at least "+strings.Join(wanted, ", "))
	}
}

func (l *configLoader) readTable(table *node, s section) {
	keys := make([]string, 0, len(s.settings))
	for _, k := range s.settings {
		keys = append(keys, k.key)
		n := table.keys[k.key]
		switch {
		case n != nil:
			l.readSetting(n, s.name, k)
		case k.required != "":
			l.note(table.pos, settingName(s.name, k.key), "", "is missing and has no default; write for example "+k.required)
		}
	}
	for _, key := range table.order {
		if !slices.Contains(keys, key) {
			l.note(table.keys[key].key, settingName(s.name, key), "", "is not a setting; "+l.instead(key, keys))
		}
	}
}

func (l *configLoader) readSetting(n *node, section string, k setting) {
	err := k.take(n)
	if err == nil {
		return
	}
	at := n
	if item, ok := err.(*itemError); ok {
		at = item.item
	}
	shown := shownValue(at)
	if k.secret {
		shown = ""
	}
	l.note(at.pos, settingName(section, k.key), shown, err.Error())
}

func (l *configLoader) readScanners(c *Config) {
	list := l.root.keys["scanner"]
	switch {
	case list == nil:
		return
	case list.kind != unstable.Array || slices.ContainsFunc(list.items, func(n *node) bool { return n.kind != unstable.Table }):
		l.note(list.key, "scanner", "", "is a list of sections; write [[scanner]] with double brackets")
		return
	case len(list.items) > scannersMax:
		l.note(list.items[scannersMax].pos, "[[scanner]]", "", fmt.Sprintf("stands more than %d times; leave out what this till does not use", scannersMax))
		return
	}
	lines := map[string]int{} // of the sections, by the name under which status and events know their scanners
	for _, table := range list.items {
		s := Scanner{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1, Mode: "auto"}
		l.readTable(table, section{"[scanner]", scannerSettings(&s, filepath.Dir(l.file))})
		l.scannerTogether(table, s)
		name := scannerConfig(s).Name()
		if line := lines[name]; line > 0 && (s.Device != "" || s.VendorID != 0) {
			l.note(table.pos, "[[scanner]]", "", fmt.Sprintf("names the same scanner as the section in line %d; take one of them out", line))
		}
		lines[name] = table.pos.Line
		c.Scanners = append(c.Scanners, s)
	}
}

// unknownSection says which section was meant, or where a setting that stands outside any section belongs.
func (l *configLoader) unknownSection(name string, names []string) {
	n := l.root.keys[name]
	for _, s := range l.sections {
		if n.kind != unstable.Table && slices.ContainsFunc(s.settings, func(k setting) bool { return k.key == name }) {
			l.note(n.key, name, "", fmt.Sprintf("stands in no section; move it below [%s]", s.name))
			return
		}
	}
	l.note(n.key, "["+name+"]", "", "is not a section; "+l.instead(name, names))
}

// instead names the setting that was probably meant, or where it would belong, or all there are.
func (l *configLoader) instead(key string, known []string) string {
	if near, ok := nearest(key, known); ok {
		return "write " + near
	}
	for _, s := range l.sections {
		for _, k := range s.settings {
			if k.key == key {
				return fmt.Sprintf("it belongs below [%s]", s.name)
			}
		}
	}
	return "take it out; known here: " + strings.Join(known, ", ")
}

func (l *configLoader) note(at Position, setting, value, wrong string) {
	l.mistakes = append(l.mistakes, Mistake{Position: at, Setting: setting, Value: value, Must: wrong})
}

func settingName(section, key string) string { return "[" + section + "] " + keyWord(key) }

// keyWord prints a key as one word: a key of any text, control characters included, may stand in quotes in TOML.
func keyWord(key string) string {
	if len([]rune(key)) > 40 {
		key = string([]rune(key)[:40]) + "…"
	}
	quoted := strconv.Quote(key)
	if quoted == `"`+key+`"` && !strings.ContainsAny(key, " .") {
		return key
	}
	return quoted
}

// shownValue is the value as it was written, shortened, and nothing at all where it could be part of a key.
func shownValue(n *node) string {
	if n.raw == "" || looksLikeKey(n.text) || longRun.MatchString(n.text) {
		return ""
	}
	written := []rune(n.raw)
	if len(written) > 60 {
		return string(written[:60]) + "…"
	}
	return n.raw
}
