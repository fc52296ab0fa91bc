package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pelletier/go-toml/v2/unstable"

	"posagent/scanner"
)

// What became of the configuration.
const (
	changeNone     = "none"
	changeReplaced = "replaced"
	changeAdded    = "added"
)

func changeText(change string) string {
	switch change {
	case changeNone:
		return "this scanner is configured there already; nothing was changed"
	case changeReplaced:
		return "these lines were written in place of a scanner's that is not plugged in, or of this one's"
	}
	return "these lines were added"
}

// writeScanner writes the lines of a device into a configuration file and leaves every other byte as it was. They take the place of
// a section that names the same device, or of the only section whose scanner is not plugged in; else they are added at the end.
func writeScanner(file string, device listed) (change string, err error) {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return "", configFileFailure(file, err)
	}
	data, err := readConfigFile(real)
	if err != nil {
		return "", err
	}
	fresh, change, err := withScanner(real, data, device, scanner.Present)
	if err != nil || change == changeNone {
		return change, err
	}
	return change, replaceConfig(real, fresh)
}

// mayReplaceConfig reports why a configuration could not be written into.
func mayReplaceConfig(file string) error {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return configFileFailure(file, err)
	}
	data, err := readConfigFile(real)
	if err != nil {
		return err
	}
	if _, mistake := parseTree(bytes.TrimPrefix(data, []byte("\ufeff"))); mistake != nil {
		return newConfigError(real, []Mistake{*mistake})
	}
	trial, err := os.CreateTemp(filepath.Dir(real), filepath.Base(real)+".*.new")
	if err != nil {
		return configNotWritten(real, err)
	}
	return errors.Join(trial.Close(), os.Remove(trial.Name()))
}

// withScanner returns the text of a configuration with the device's section in it; present tells whether a configured scanner is
// plugged in.
func withScanner(file string, data []byte, device listed, present func(scanner.Config) bool) (fresh []byte, change string, err error) {
	root, mistake := parseTree(bytes.TrimPrefix(data, []byte("\ufeff")))
	if mistake != nil {
		return nil, "", newConfigError(file, []Mistake{*mistake})
	}
	sections, err := scannerSections(root)
	if err != nil {
		return nil, "", err
	}
	at := slices.IndexFunc(sections, func(s Scanner) bool { return names(s, device.Found) })
	if at >= 0 && scannerConfig(sections[at]) == sameAs(device, sections[at]) {
		return data, changeNone, nil
	}
	lines := device.TOML
	if at >= 0 {
		lines = withKept(lines, data, root.keys["scanner"].items[at], device)
	} else {
		at = onlyAway(sections, present)
	}
	switch {
	case at >= 0:
		change = changeReplaced
		fresh, err = replaceSection(data, root.keys["scanner"].items[at], lines)
	case len(sections) >= scannersMax:
		err = &Failure{What: fmt.Sprintf("%s has %d scanners already, and all are plugged in", file, len(sections)), Next: "take one of them out and run it again"}
	default:
		change, fresh = changeAdded, addSection(data, device.TOML)
	}
	if err != nil {
		return nil, "", err
	}
	return fresh, change, worsened(file, data, fresh)
}

// scannerSections reads the scanners that a file has, whatever else is wrong with it.
func scannerSections(root *node) ([]Scanner, error) {
	list := root.keys["scanner"]
	if list == nil {
		return nil, nil
	}
	l := &configLoader{root: root}
	c := Config{}
	l.readScanners(&c)
	if list.kind != unstable.Array || len(c.Scanners) != len(list.items) {
		return nil, &Failure{Code: ExitUsage, What: "the configuration's scanners are not sections of their own", Next: "write each as [[scanner]] with its settings below, or write the lines by hand"}
	}
	return c.Scanners, nil
}

// names reports a section that names the device, as whatever kind.
func names(s Scanner, f scanner.Found) bool {
	if s.VendorID != 0 {
		return s.VendorID == f.VendorID && s.ProductID == f.ProductID && (s.Serial == "" || s.Serial == f.Serial) &&
			(f.Kind == "serial" || s.Device == "" || s.Device == f.Device)
	}
	return s.Device != "" && (s.Device == f.Device || samePort(s.Device, f.Device))
}

// samePort reports two names of one port.
func samePort(a, b string) bool {
	at, err := filepath.EvalSymlinks(a)
	if err != nil {
		return false
	}
	other, err := filepath.EvalSymlinks(b)
	return err == nil && at == other
}

// sameAs is what the section would be if it were written anew, with the line settings that it has.
func sameAs(device listed, s Scanner) scanner.Config {
	c := scannerConfig(s)
	want := device.Config()
	c.Kind, c.VendorID, c.ProductID, c.Serial = want.Kind, want.VendorID, want.ProductID, want.Serial
	if want.Kind != "serial" || !samePort(c.Device, want.Device) { // a name of its own that the installer gave the port stays
		c.Device = want.Device
	}
	if want.Mode != "" {
		c.Mode = want.Mode
	}
	if device.baud != 0 && want.Kind == "serial" {
		c.Baud = device.baud
	}
	return c
}

// onlyAway is the section of the one scanner that is not plugged in; -1 where there are none or several.
func onlyAway(sections []Scanner, present func(scanner.Config) bool) int {
	found := -1
	for i, s := range sections {
		if present(scannerConfig(s)) {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = i
	}
	return found
}

// replaceSection puts lines in the place of a section, from its header to its last setting.
func replaceSection(data []byte, table *node, lines string) ([]byte, error) {
	starts, last := lineStarts(data), lastLine(table)
	from, to := starts[table.pos.Line-1], len(data)
	if last < len(starts) {
		to = starts[last]
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data[from:], " \t"), []byte("[[")) {
		return nil, &Failure{Code: ExitUsage, What: "the configuration's scanner is not a section of its own", Next: "write it as [[scanner]] with its settings below, or write the lines by hand"}
	}
	return slices.Concat(data[:from], asIn(data, lines), data[to:]), nil
}

// withKept adds to a device's lines those of its section that stay when it is read in another way: how it frames codes, how its line
// is set where it stays a serial one, and what the installer wrote beside them.
func withKept(lines string, data []byte, table *node, device listed) string {
	stay := []string{"prefix", "suffix", "gap"}
	if device.Kind == "serial" {
		stay = append(stay, "data_bits", "parity", "stop_bits")
	}
	if _, set := table.keys["baud"]; set && device.Kind == "serial" && device.baud == 0 {
		stay = append(stay, "baud")
		lines = strings.ReplaceAll(lines, "baud = 9600\n", "") // the default that a port is listed with
	}
	starts := lineStarts(data)
	for _, key := range table.order {
		if slices.Contains(stay, key) {
			lines += textOfLine(data, starts[table.keys[key].pos.Line-1]) + "\n"
		}
	}
	return lines + commentLines(data, table)
}

// commentLines are the lines of a section, from its header to its last setting, that are a person's comment and nothing else.
func commentLines(data []byte, table *node) (lines string) {
	starts := lineStarts(data)
	for line := table.pos.Line; line < lastLine(table); line++ {
		if text := textOfLine(data, starts[line]); strings.HasPrefix(text, "#") {
			lines += text + "\n"
		}
	}
	return lines
}

// lastLine is the line of a section's last setting, counted from 1.
func lastLine(table *node) int {
	last := table.pos.Line
	for _, key := range table.order {
		last = max(last, table.keys[key].pos.Line)
	}
	return last
}

// textOfLine is the line that begins at a byte, without the blanks at its ends.
func textOfLine(data []byte, at int) string {
	line, _, _ := strings.Cut(string(data[at:]), "\n")
	return strings.TrimSpace(line)
}

// addSection puts lines at the end.
func addSection(data []byte, lines string) []byte {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		lines = "\n" + lines
	}
	return slices.Concat(data, asIn(data, "\n"+lines))
}

// asIn writes lines with the line ends that the file has.
func asIn(data []byte, lines string) []byte {
	if bytes.Contains(data, []byte("\r\n")) {
		lines = strings.ReplaceAll(lines, "\n", "\r\n")
	}
	return []byte(lines)
}

// worsened refuses a text that has mistakes where the one before had none, and one that cannot be read at all.
func worsened(file string, before, after []byte) error {
	if _, err := parseConfig(file, before); err != nil { // what is wrong is told by check
		if _, mistake := parseTree(bytes.TrimPrefix(after, []byte("\ufeff"))); mistake != nil {
			return &Failure{What: "the scanner's section in " + file + " is written so that it cannot be replaced", Next: "write the lines by hand"}
		}
		return nil
	}
	_, err := parseConfig(file, after)
	return err
}

// replaceConfig replaces a configuration file in one step, with its owner and mode.
func replaceConfig(file string, data []byte) error {
	err := replaceFile(file, data)
	if err == nil {
		return nil
	}
	return configNotWritten(file, err)
}

func configNotWritten(file string, err error) error {
	return &Failure{What: fmt.Sprintf("the configuration %s can't be written: %s", file, plainCause(err)),
		Next: "run it with sudo, or write the lines by hand", Err: err}
}

func replaceFile(file string, data []byte) (err error) {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	beside, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.new")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(beside.Name())
		}
	}()
	_, err = beside.Write(data)
	err = errors.Join(err, ownedAs(beside, info), beside.Chmod(info.Mode().Perm()), beside.Sync(), beside.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(beside.Name(), file); err != nil {
		return err
	}
	return syncFile(filepath.Dir(file))
}

// ownedAs gives a new file the owner of the one that it replaces.
func ownedAs(f *os.File, like os.FileInfo) error {
	stat, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	if now, ok := mine.Sys().(*syscall.Stat_t); ok && now.Uid == stat.Uid && now.Gid == stat.Gid {
		return nil
	}
	return f.Chown(int(stat.Uid), int(stat.Gid))
}
