//go:build linux

// Command guest is process 1 of the rig's virtual machine. It mounts what a program needs, loads the drivers, names serial
// ports as udev would, and then does what the host asks on the line: it runs posagent, calls its local API, plays gadgets
// and looks at the machine's own console. Package rig has the other end and the messages.
package main

import (
	"errors"
	"fmt"
	"net/rpc"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"posagent/rig"
)

func main() {
	err := live()
	fmt.Println("guest:", err) // on the serial console; the end of process 1 ends the machine
	os.Exit(1)
}

func live() error {
	began := time.Now()
	if err := settle(); err != nil {
		return err
	}
	console, err := openConsole()
	if err != nil {
		return err
	}
	u, err := followUevents(began)
	if err != nil {
		return err
	}
	line, err := openLine()
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	g := &Guest{began: began, console: console, uevents: u, programs: programs{all: map[string]*program{}}, gadgets: gadgets{all: map[string]rig.Gadget{}}}
	if err := server.RegisterName(rig.ServiceName, g); err != nil {
		return err
	}
	server.ServeConn(line)
	return errors.New("the line has ended")
}

// settle makes a machine of a bare kernel.
func settle() error {
	mounts := []struct{ kind, on string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"}}
	for _, m := range mounts {
		if err := unix.Mount(m.kind, m.on, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.on, err)
		}
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := unix.Mount("configfs", "/sys/kernel/config", "configfs", 0, ""); err != nil {
		return fmt.Errorf("mount configfs: %w", err)
	}
	return loopbackUp()
}

// moduleOptions are those of a driver that needs some: the loop has room for four gadgets.
var moduleOptions = map[string]string{"dummy_hcd.ko": "num=4"}

func loadModules() error {
	list, err := os.ReadFile("/modules/order")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(list)) {
		file, err := os.Open(filepath.Join("/modules", name))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(file.Fd()), moduleOptions[name], 0)
		file.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	return nil
}

// loopbackUp brings the one network interface up, over which posagent reaches simulated WeChat Pay.
func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	ifreq, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifreq.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifreq)
}

// openLine finds the virtio port by its name, which appears a moment after its driver.
func openLine() (*os.File, error) {
	for range 1000 {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name") // the pattern is sound
		for _, file := range names {
			name, _ := os.ReadFile(file)
			if strings.TrimSpace(string(name)) == rig.LineName {
				return os.OpenFile(filepath.Join("/dev", filepath.Base(filepath.Dir(file))), os.O_RDWR, 0)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.New("no line to the host")
}
