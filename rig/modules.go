package rig

import (
	"bytes"
	"debug/elf"
	"fmt"
	"path"
	"strings"
)

// wantedModules are the drivers that the guest needs: its line, a USB host, what scanners are driven by, and the parts of
// which it makes scanners of its own.
var wantedModules = []string{
	"virtio_pci", "virtio_console", "virtio_rng",
	"xhci_pci", "usbhid", "hid_generic", "evdev", "ftdi_sio", "cdc_acm",
	"libcomposite", "usb_f_hid", "usb_f_acm", "dummy_hcd",
}

// moduleFolders are the folders of a kernel package in which they and what they need lie.
var moduleFolders = []string{
	"kernel/drivers/virtio/", "kernel/drivers/char/", "kernel/drivers/usb/", "kernel/drivers/hid/", "kernel/drivers/input/", "kernel/fs/configfs/", "kernel/lib/",
}

// module is a driver as the package has it.
type module struct {
	name    string // with underscores
	image   []byte
	depends []string
}

// moduleName is the name of the module in a file, or "" where it is none. A compressed one keeps its file name's end.
func moduleName(file string) string {
	base, ok := strings.CutSuffix(path.Base(file), ".ko")
	if !ok {
		return ""
	}
	return strings.ReplaceAll(base, "-", "_")
}

// readModule reads which other modules one depends on.
func readModule(name string, image []byte) (module, error) {
	m := module{name: name, image: image}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return m, fmt.Errorf("module %s: %w", name, err)
	}
	section := file.Section(".modinfo")
	if section == nil {
		return m, fmt.Errorf("module %s has no section .modinfo", name)
	}
	info, err := section.Data()
	if err != nil {
		return m, fmt.Errorf("module %s: %w", name, err)
	}
	for _, line := range strings.Split(string(info), "\x00") {
		if names, ok := strings.CutPrefix(line, "depends="); ok && names != "" {
			m.depends = strings.Split(strings.ReplaceAll(names, "-", "_"), ",")
		}
	}
	return m, nil
}

// loadOrder is the modules to load, each after those that it depends on. What the kernel has built in is passed over.
func loadOrder(wanted []string, have map[string]module, builtIn map[string]bool) (order []module, err error) {
	seen := map[string]bool{}
	var add func(name, for_ string) error
	add = func(name, for_ string) error {
		if seen[name] || builtIn[name] {
			return nil
		}
		seen[name] = true
		m, ok := have[name]
		if !ok {
			return fmt.Errorf("the kernel's package has no module %s, for %s", name, for_)
		}
		for _, d := range m.depends {
			if err := add(d, name); err != nil {
				return err
			}
		}
		order = append(order, m)
		return nil
	}
	for _, name := range wanted {
		if err := add(name, "the rig"); err != nil {
			return nil, err
		}
	}
	return order, nil
}
