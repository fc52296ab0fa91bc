//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"posagent/rig"
)

// gadgetFolder is where the kernel's configfs makes USB devices out of folders and files.
const gadgetFolder = "/sys/kernel/config/usb_gadget"

// gadgets are the USB devices that this machine plays to itself.
type gadgets struct {
	mu  sync.Mutex // guards all
	all map[string]rig.Gadget
}

func (g *gadgets) of(name string) (rig.Gadget, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if found, ok := g.all[name]; ok {
		return found, nil
	}
	return rig.Gadget{}, fmt.Errorf("no gadget %s was made", name)
}

// Make makes a gadget; it is not plugged in yet.
func (g *Guest) Make(gadget rig.Gadget, _ *rig.Nothing) error {
	dir, function := filepath.Join(gadgetFolder, gadget.Name), functionOf(gadget)
	for _, folder := range []string{dir, dir + "/strings/0x409", dir + "/configs/c.1", dir + "/functions/" + function} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
	}
	values := map[string]string{
		"idVendor": fmt.Sprintf("%#04x", gadget.Vendor), "idProduct": fmt.Sprintf("%#04x", gadget.Product),
		"strings/0x409/manufacturer": "Rig", "strings/0x409/product": gadget.Title, "strings/0x409/serialnumber": gadget.Serial,
	}
	for name, value := range functionValues(gadget.Kind) {
		values["functions/"+function+"/"+name] = value
	}
	for name, value := range values {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink(dir+"/functions/"+function, dir+"/configs/c.1/"+function); err != nil {
		return err
	}
	g.gadgets.mu.Lock()
	g.gadgets.all[gadget.Name] = gadget
	g.gadgets.mu.Unlock()
	return nil
}

func functionOf(gadget rig.Gadget) string {
	if gadget.Kind == rig.GadgetACM {
		return "acm." + gadget.Name
	}
	return "hid." + gadget.Name
}

func functionValues(kind string) map[string]string {
	switch kind {
	case rig.GadgetKeyboard:
		return map[string]string{"protocol": "1", "subclass": "1", "report_length": "8", "report_desc": string(rig.KeyboardDescriptor())}
	case rig.GadgetPOS:
		return map[string]string{"protocol": "0", "subclass": "0", "report_length": "64", "report_desc": string(rig.POSDescriptor())}
	}
	return nil
}

// Plug plugs a gadget in, and says when it began to.
func (g *Guest) Plug(args rig.GadgetArgs, reply *rig.Moment) error {
	gadget, err := g.gadgets.of(args.Name)
	if err != nil {
		return err
	}
	return g.bind(args.Name, fmt.Sprintf("dummy_udc.%d", gadget.Controller), reply)
}

// Unplug pulls a gadget out, and says when it began to.
func (g *Guest) Unplug(args rig.GadgetArgs, reply *rig.Moment) error {
	return g.bind(args.Name, "\n", reply)
}

func (g *Guest) bind(name, controller string, reply *rig.Moment) error {
	reply.At = g.now()
	return os.WriteFile(filepath.Join(gadgetFolder, name, "UDC"), []byte(controller), 0o644)
}

// Play has a gadget send. Each write waits until the bus has taken the one before, as a device's endpoint does.
func (g *Guest) Play(args rig.PlayArgs, reply *rig.PlayReply) error {
	gadget, err := g.gadgets.of(args.Name)
	if err != nil {
		return err
	}
	device, err := openGadget(gadget)
	if err != nil {
		return err
	}
	defer device.Close()
	began := time.Now()
	for _, part := range args.Parts {
		at := time.Now()
		if err := send(device, part, began.Add(args.Within)); err != nil {
			return fmt.Errorf("gadget %s: %w", gadget.Name, err)
		}
		reply.Longest = max(reply.Longest, time.Since(at))
		time.Sleep(args.Pause)
	}
	reply.Took = time.Since(began)
	return nil
}

func openGadget(gadget rig.Gadget) (*os.File, error) {
	node, err := nodeOf(gadget)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", node, err)
	}
	if gadget.Kind == rig.GadgetACM {
		if err := makeRaw(fd); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	return os.NewFile(uintptr(fd), node), nil
}

// nodeOf is where the gadget's own side is written to.
func nodeOf(gadget rig.Gadget) (string, error) {
	dir := filepath.Join(gadgetFolder, gadget.Name, "functions", functionOf(gadget))
	if gadget.Kind == rig.GadgetACM {
		number, err := os.ReadFile(dir + "/port_num")
		return "/dev/ttyGS" + strings.TrimSpace(string(number)), err
	}
	numbers, err := os.ReadFile(dir + "/dev")
	_, minor, _ := strings.Cut(strings.TrimSpace(string(numbers)), ":")
	return "/dev/hidg" + minor, err
}

func makeRaw(fd int) error {
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	settings.Iflag, settings.Oflag, settings.Lflag = 0, 0, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, settings)
}

// send writes a part whole; a device that does not poll has ended by then.
func send(device *os.File, part []byte, by time.Time) error {
	if err := device.SetWriteDeadline(by); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return err
	}
	_, err := device.Write(part)
	return err
}
