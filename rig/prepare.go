package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Kit is what a machine is booted from.
type Kit struct {
	Kernel    string // an image that QEMU boots
	Initramfs string // the guest's whole file system
}

// Prepare makes a kit in folder. What is downloaded lies in cache and is used again.
func Prepare(ctx context.Context, cache, folder string) (Kit, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Kit{}, err
	}
	k, err := fetchKernel(ctx, cache)
	if err != nil {
		return Kit{}, fmt.Errorf("the guest's kernel: %w", err)
	}
	files, err := programs(ctx, folder)
	if err != nil {
		return Kit{}, err
	}
	drivers, err := driverFiles(k)
	if err != nil {
		return Kit{}, err
	}
	kit := Kit{Kernel: k.image, Initramfs: filepath.Join(folder, "initramfs")}
	return kit, os.WriteFile(kit.Initramfs, initramfs(append(append(bareFiles(), files...), drivers...)), 0o644)
}

// bareFiles are what every guest has: the places to mount things on, and the console that the kernel opens for process 1.
func bareFiles() []entry {
	files := []entry{{name: "dev", mode: typeFolder | 0o755}, {name: "dev/console", mode: typeCharacter | 0o600, major: 5, minor: 1}}
	for _, name := range []string{"proc", "sys", "run", "tmp", "var", "etc", "etc/posagent"} {
		files = append(files, entry{name: name, mode: typeFolder | 0o755})
	}
	return append(files,
		entry{name: "etc/passwd", mode: typeRegular | 0o644, data: []byte("root:x:0:0::/:/\n")},
		entry{name: "etc/group", mode: typeRegular | 0o644, data: []byte("root:x:0:\n")})
}

// programs builds posagent as a store has it, with cgo, and the guest's process 1, and adds the libraries that they load.
func programs(ctx context.Context, folder string) ([]entry, error) {
	posagent, guest := filepath.Join(folder, "posagent"), filepath.Join(folder, "guest")
	if _, err := output(ctx, "", "env", "CGO_ENABLED=1", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", posagent, "posagent/cmd/posagent"); err != nil {
		return nil, err
	}
	if _, err := output(ctx, "", "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", guest, "posagent/rig/guest"); err != nil {
		return nil, err
	}
	files := map[string]string{"init": guest, "bin/posagent": posagent}
	libraries, err := librariesOf(ctx, posagent)
	if err != nil {
		return nil, err
	}
	for _, l := range libraries {
		files[strings.TrimPrefix(l, "/")] = l
	}
	return filesOf(files, 0o755)
}

var libraryPath = regexp.MustCompile(`(?m)(/\S+) \(0x[0-9a-f]+\)$`)

func librariesOf(ctx context.Context, program string) (paths []string, err error) {
	text, err := output(ctx, "", "ldd", program)
	if err != nil {
		return nil, err
	}
	for _, found := range libraryPath.FindAllStringSubmatch(string(text), -1) {
		paths = append(paths, found[1])
	}
	return paths, nil
}

func driverFiles(k kernel) ([]entry, error) {
	files, list := map[string]string{}, ""
	for _, m := range k.modules {
		files["modules/"+filepath.Base(m)] = m
		list += filepath.Base(m) + "\n"
	}
	entries, err := filesOf(files, 0o644)
	return append(entries, entry{name: "modules/order", mode: typeRegular | 0o644, data: []byte(list)}), err
}

// filesOf reads files of this machine for the guest, by their names there.
func filesOf(names map[string]string, rights uint32) (entries []entry, err error) {
	for name, from := range names {
		data, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: name, mode: typeRegular | rights, data: data})
	}
	return entries, nil
}
