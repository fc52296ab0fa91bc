package scanner

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config says where codes come from. Zero values of optional fields mean the default that stands beside them.
type Config struct {
	Kind   string // "serial", "hid", "evdev", "auto" or "stdin"
	Device string // serial: the port's path. evdev, auto: a path below /dev/input/by-id. hid, evdev, auto, optional: the USB port such as "1-1.2", to tell two equal scanners apart

	Baud     int           // serial: 300 to 921600; default 9600
	DataBits int           // serial: 5 to 8; default 8
	Parity   string        // serial: "none", "odd", "even", "mark" or "space"; default "none"
	StopBits int           // serial: 1 or 2; default 1
	Prefix   string        // what each scan begins with, as ParseMark reads it; default nothing
	Suffix   string        // what each scan ends with, as ParseMark reads it; default any of CR, LF, TAB, STX, ETX, or silence
	Gap      time.Duration // silence that ends a scan without a suffix, 10 ms to 2 s; default by the kind and the baud rate

	VendorID  uint16 // hid, and evdev and auto where Device is no path: required
	ProductID uint16 // as VendorID
	Serial    string // as VendorID: the device's serial number; default any, if only one device matches
	Mode      string // hid: "auto" (the same as kind "auto"; default), "keyboard" (detaches the kernel's driver) or "pos"

	Stdin io.Reader // stdin: the lines' source; required

	Hotplug *Hotplug // shared by all scanners of a process; nil: scanners look for themselves every two seconds
}

// ConfigError is a setting that cannot work.
type ConfigError struct {
	Key  string // the setting's name in the configuration file
	What string // what is wrong with it
	Next string // what to write instead
}

// Error returns setting, mistake and remedy.
func (e *ConfigError) Error() string { return e.Key + " " + e.What + "; " + e.Next }

// New returns the source that cfg describes. It opens nothing: a device that is not there is waited for by Run. Every
// error is a *ConfigError.
func New(cfg Config) (Source, error) {
	switch {
	case cfg.Kind == "stdin" && cfg.Stdin == nil:
		return nil, &ConfigError{"kind", `"stdin" has no input here`, `write kind = "auto" or kind = "serial"`}
	case cfg.Kind == "stdin":
		return NewTyped("stdin", cfg.Stdin), nil
	case cfg.isAuto():
		return sourceOf(newAuto(cfg, systemPlaces()))
	case cfg.Kind == "serial", cfg.Kind == "hid", cfg.Kind == "evdev":
		return sourceOf(newHardware(cfg, systemPlaces()))
	}
	return nil, &ConfigError{"kind", fmt.Sprintf("%q is no kind of scanner", cfg.Kind), `write "auto", "serial", "hid", "evdev" or "stdin"`}
}

func sourceOf(d *device, err error) (Source, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

// The bounds of the gap that a person may set.
const (
	gapMin = 10 * time.Millisecond
	gapMax = 2 * time.Second
)

// gapOr returns the configured gap, or usual where none is set.
func (cfg Config) gapOr(usual time.Duration) (time.Duration, error) {
	if cfg.Gap == 0 {
		return usual, nil
	}
	if cfg.Gap < gapMin || cfg.Gap > gapMax {
		return 0, &ConfigError{"gap", fmt.Sprintf("%s is out of bounds", cfg.Gap), `write "10ms" to "2s", or leave it out`}
	}
	return cfg.Gap, nil
}

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return &ConfigError{key, fmt.Sprintf("%q is not known", value), "write one of " + strings.Join(allowed, ", ")}
}

func between(key string, value, low, high int) error {
	if value >= low && value <= high {
		return nil
	}
	return &ConfigError{key, fmt.Sprintf("%d is out of bounds", value), fmt.Sprintf("write %d to %d", low, high)}
}

func absolute(key, path string) error {
	if filepath.IsAbs(path) {
		return nil
	}
	return &ConfigError{key, fmt.Sprintf("%q is no absolute path", path),
		"write a path such as /dev/posagent-scanner or one of /dev/serial/by-id/; posagent scanner list shows them"}
}

func orDefault[T comparable](value, usual T) T {
	var zero T
	if value == zero {
		return usual
	}
	return value
}
