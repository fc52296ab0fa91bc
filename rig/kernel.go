package rig

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// kernelPackage is the package that depends on Debian's newest kernel. The cloud flavour has no USB.
const kernelPackage = "linux-image-amd64"

// kernel is an unpacked one: an image that QEMU boots, and its modules in the order in which they are loaded.
type kernel struct {
	image   string
	modules []string
}

// fileMax bounds one file of the package: the image and the modules are far below.
const fileMax = 64 << 20

// fetchKernel returns Debian's kernel out of the cache, or downloads and unpacks it there.
func fetchKernel(ctx context.Context, cache string) (kernel, error) {
	name, err := newestKernel(ctx)
	if err != nil {
		return kernel{}, err
	}
	folder := filepath.Join(cache, name)
	if k, err := unpackedKernel(folder); err == nil {
		return k, nil
	}
	working, err := os.MkdirTemp(cache, "kernel-*")
	if err != nil {
		return kernel{}, err
	}
	defer os.RemoveAll(working)
	if _, err := output(ctx, working, "apt-get", "download", "-q", name); err != nil {
		return kernel{}, fmt.Errorf("%w; apt-get update may help", err)
	}
	debs, _ := filepath.Glob(filepath.Join(working, "*.deb")) // the pattern is sound
	if len(debs) != 1 {
		return kernel{}, fmt.Errorf("apt-get download %s left %d packages", name, len(debs))
	}
	ready := filepath.Join(working, "ready")
	if err := unpackKernel(ctx, debs[0], ready); err != nil {
		return kernel{}, err
	}
	if err := os.Rename(ready, folder); err != nil && !errors.Is(err, os.ErrExist) {
		return kernel{}, err
	}
	return unpackedKernel(folder)
}

var dependsOn = regexp.MustCompile(`Depends: (linux-image-[0-9][^\s]*)`)

func newestKernel(ctx context.Context) (string, error) {
	text, err := output(ctx, "", "apt-cache", "depends", kernelPackage)
	if err != nil {
		return "", err
	}
	found := dependsOn.FindStringSubmatch(string(text))
	if found == nil {
		return "", fmt.Errorf("apt-cache knows no kernel behind %s; run apt-get update", kernelPackage)
	}
	return found[1], nil
}

// unpackedKernel is what unpackKernel left.
func unpackedKernel(folder string) (kernel, error) {
	k := kernel{image: filepath.Join(folder, "image")}
	if _, err := os.Stat(k.image); err != nil {
		return k, err
	}
	list, err := os.ReadFile(filepath.Join(folder, "modules"))
	if err != nil {
		return k, err
	}
	for name := range strings.FieldsSeq(string(list)) {
		k.modules = append(k.modules, filepath.Join(folder, name+".ko"))
	}
	return k, nil
}

// unpackKernel writes the image and the modules that are wanted into a new folder, and beside them the order of these.
func unpackKernel(ctx context.Context, deb, folder string) error {
	p := kernelParts{have: map[string]module{}, builtIn: map[string]bool{}}
	if err := p.read(ctx, deb); err != nil {
		return err
	}
	order, err := loadOrder(wantedModules, p.have, p.builtIn)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	image, err := bareKernel(ctx, p.image)
	if err != nil {
		return err
	}
	files := map[string][]byte{"image": image}
	var names []string
	for _, m := range order {
		files[m.name+".ko"] = m.image
		names = append(names, m.name)
	}
	files["modules"] = []byte(strings.Join(names, "\n") + "\n")
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// kernelParts is what is taken out of a kernel's package.
type kernelParts struct {
	image   []byte
	have    map[string]module
	builtIn map[string]bool
}

func (p *kernelParts) read(ctx context.Context, deb string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = p.readTar(ctx, tar.NewReader(out))
	_, _ = io.Copy(io.Discard, out) // so that it can end
	if waitErr := cmd.Wait(); err == nil && waitErr != nil {
		err = fmt.Errorf("dpkg-deb %s: %w", deb, waitErr)
	}
	if err == nil && p.image == nil {
		err = fmt.Errorf("%s holds no kernel", deb)
	}
	return err
}

func (p *kernelParts) readTar(ctx context.Context, archive *tar.Reader) error {
	for {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if head.Typeflag != tar.TypeReg {
			continue
		}
		if err := p.take(ctx, head.Name, archive); err != nil {
			return err
		}
	}
}

func (p *kernelParts) take(ctx context.Context, name string, r io.Reader) error {
	base := filepath.Base(name)
	switch {
	case strings.HasPrefix(base, "vmlinuz-"):
		data, err := io.ReadAll(io.LimitReader(r, fileMax))
		p.image = data
		return err
	case base == "modules.builtin":
		data, err := io.ReadAll(io.LimitReader(r, fileMax))
		for file := range strings.FieldsSeq(string(data)) {
			p.builtIn[moduleName(file)] = true
		}
		return err
	case !inModuleFolder(name):
		return nil
	}
	plain, packed := strings.CutSuffix(name, ".xz")
	if moduleName(plain) == "" {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(r, fileMax))
	if err == nil && packed {
		data, err = unpackWith(ctx, data, "xz", "-dc")
	}
	if err != nil {
		return err
	}
	m, err := readModule(moduleName(plain), data)
	p.have[m.name] = m
	return err
}

func inModuleFolder(name string) bool {
	for _, folder := range moduleFolders {
		if strings.Contains(name, "/"+folder) {
			return true
		}
	}
	return false
}

// Where a bzImage's header says how it is made up (the kernel's x86 boot protocol, 2.08 and later).
const (
	headerMagicAt     = 0x202
	setupSectorsAt    = 0x1f1
	protocolAt        = 0x206
	payloadOffsetAt   = 0x248
	payloadLengthAt   = 0x24c
	headerBytes       = 0x250
	sectorBytes       = 512
	payloadProtocol   = 0x0208
	payloadTrailBytes = 4 // the unpacked size, behind the packed bytes
)

// bareKernel takes the ELF image out of a bzImage: QEMU boots it by its PVH entry, without the kernel having to unpack
// itself in emulation, which takes seconds. Where it can't be taken out, the bzImage serves.
func bareKernel(ctx context.Context, image []byte) ([]byte, error) {
	payload, err := payloadOf(image)
	if err != nil {
		return nil, err
	}
	var bare []byte
	switch {
	case bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")):
		bare, err = unpackWith(ctx, payload, "xz", "-dc")
	case bytes.HasPrefix(payload, []byte("\x28\xb5\x2f\xfd")):
		bare, err = unpackWith(ctx, payload, "zstd", "-dc")
	case bytes.HasPrefix(payload, []byte("\x1f\x8b")):
		bare, err = gunzip(payload)
	}
	if err != nil || !bytes.HasPrefix(bare, []byte("\x7fELF")) {
		return image, nil
	}
	return bare, nil
}

func payloadOf(image []byte) ([]byte, error) {
	if len(image) < headerBytes || string(image[headerMagicAt:headerMagicAt+4]) != "HdrS" || binary.LittleEndian.Uint16(image[protocolAt:]) < payloadProtocol {
		return nil, errors.New("the kernel's package holds no bzImage")
	}
	start := (int(image[setupSectorsAt])+1)*sectorBytes + int(binary.LittleEndian.Uint32(image[payloadOffsetAt:]))
	length := int(binary.LittleEndian.Uint32(image[payloadLengthAt:])) - payloadTrailBytes
	if length < 0 || start+length > len(image) {
		return nil, errors.New("the kernel's image is cut off")
	}
	return image[start : start+length], nil
}

func gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, 4*fileMax))
}

// unpackWith hands data to a program and returns what it makes of it.
func unpackWith(ctx context.Context, data []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(data)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, tail(complaint.Bytes(), 500))
	}
	return out.Bytes(), nil
}

// output runs a program in a folder and returns what it prints; an error holds what it complained of.
func output(ctx context.Context, folder, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail(complaint.Bytes(), 2000))
	}
	return out.Bytes(), nil
}

// tail is the end of a text, at most so many bytes of it.
func tail(text []byte, most int) []byte {
	if len(text) > most {
		return text[len(text)-most:]
	}
	return text
}
