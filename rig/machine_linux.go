package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// The two USB devices that QEMU itself emulates.
const (
	KeyboardVendor, KeyboardProduct = 0x0627, 0x0001 // usb-kbd
	SerialVendor, SerialProduct     = 0x0403, 0x6001 // usb-serial, an FTDI chip
	KeyboardSerial, AdapterSerial   = "K-0001", "F-0001"
)

// keyPace is the pause after each move of a key, of which QEMU's keyboard holds 16 until the guest fetches them; what comes
// faster is lost.
const keyPace = 15 * time.Millisecond

// memoryMB is the guest's memory: the file system takes a fifth of it.
const memoryMB = 384

// Machine is a running virtual machine. Its methods may be called by several goroutines.
type Machine struct {
	folder  string
	cmd     *exec.Cmd
	exited  chan error
	monitor *monitor
	guest   *rpc.Client
	adapter net.Conn // the far end of the USB serial adapter
}

// Clock is how fast a machine's clock goes.
type Clock int

// The clocks of a machine.
const (
	// RealTime is the host's clock: devices answer in their own time, and a busy host makes the guest slow.
	RealTime Clock = iota
	// Counted gives each instruction of the guest two nanoseconds of its clock, however long the host takes for it: a core of
	// InstructionsASecond, which measures the same on an idle host and on a busy one.
	Counted
)

// InstructionsASecond is what the core of a Counted machine does, some tenth of a till's.
const InstructionsASecond = 500_000_000

// accelerator is what QEMU is told of a clock.
func (c Clock) accelerator() []string {
	if c == Counted {
		return []string{"-accel", "tcg,thread=single", "-icount", "shift=1"}
	}
	return []string{"-accel", "tcg,thread=multi"}
}

// Boot starts a machine from a kit by a clock and waits until its guest answers. Folder holds its sockets and its console's log; its
// name must be short, for a socket's path has at most 107 bytes.
func Boot(ctx context.Context, kit Kit, folder string, clock Clock) (*Machine, error) {
	m := &Machine{folder: folder}
	if err := m.start(kit, clock); err != nil {
		return nil, err
	}
	if err := m.connect(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%s", errors.Join(err, m.End()), m.ConsoleLog())
	}
	return m, nil
}

func (m *Machine) at(name string) string { return filepath.Join(m.folder, name) }

func (m *Machine) start(kit Kit, clock Clock) error {
	socket := func(id string) string { return "socket,id=" + id + ",server=on,wait=off,path=" + m.at(id) }
	m.cmd = exec.Command("qemu-system-x86_64", append(clock.accelerator(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35,i8042=off", "-cpu", "qemu64", "-m", fmt.Sprint(memoryMB),
		"-kernel", kit.Kernel, "-initrd", kit.Initramfs, "-append", "console=ttyS0 quiet panic=-1 loglevel=4",
		"-serial", "file:"+m.at("console.log"), "-qmp", "unix:"+m.at("monitor")+",server=on,wait=off",
		"-chardev", socket("line"), "-chardev", socket("adapter"),
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=line,name="+LineName, "-device", "virtio-rng-pci",
		"-device", "qemu-xhci,id=usb")...)
	complaint, err := os.Create(m.at("qemu.log"))
	if err != nil {
		return err
	}
	defer complaint.Close()
	m.cmd.Stdout, m.cmd.Stderr = complaint, complaint
	m.exited, err = startTied(m.cmd)
	return err
}

// startTied starts a process that the kernel ends when this one ends. The kernel goes by the thread that started it, so
// the thread is kept for as long as the process lives.
func startTied(cmd *exec.Cmd) (exited chan error, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, exited := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			exited <- cmd.Wait()
		}
	}()
	return exited, <-started
}

// connect opens the lines to QEMU and waits for the guest.
func (m *Machine) connect(ctx context.Context) error {
	control, err := m.dial(ctx, "monitor")
	if err != nil {
		return err
	}
	if m.monitor, err = openMonitor(control); err != nil {
		return err
	}
	if m.adapter, err = m.dial(ctx, "adapter"); err != nil {
		return err
	}
	line, err := m.dial(ctx, "line")
	if err != nil {
		return err
	}
	m.guest = rpc.NewClient(line)
	return m.Ask(ctx, "Now", Nothing{}, &Moment{})
}

// dialEvery is the pause between tries while QEMU makes its sockets.
const dialEvery = 20 * time.Millisecond

func (m *Machine) dial(ctx context.Context, name string) (net.Conn, error) {
	for {
		conn, err := net.Dial("unix", m.at(name))
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case ended := <-m.exited:
			m.exited <- ended
			return nil, fmt.Errorf("QEMU has ended: %w", ended)
		case <-time.After(dialEvery):
		}
	}
}

// Ask calls a method of the guest. When ctx ends first, the call goes on there and its answer is dropped.
func (m *Machine) Ask(ctx context.Context, method string, args, reply any) error {
	call := m.guest.Go(ServiceName+"."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if call.Error != nil {
			return fmt.Errorf("the guest, %s: %w", method, call.Error)
		}
		return nil
	case ended := <-m.exited:
		m.exited <- ended
		return fmt.Errorf("the guest, %s: QEMU has ended: %w", method, ended)
	case <-ctx.Done():
		return fmt.Errorf("the guest, %s: %w", method, ctx.Err())
	}
}

// PlugKeyboard plugs QEMU's USB keyboard in.
func (m *Machine) PlugKeyboard() error {
	return m.plug(map[string]any{"driver": "usb-kbd", "id": "keyboard", "bus": "usb.0", "port": "1", "serial": KeyboardSerial})
}

// UnplugKeyboard pulls it out.
func (m *Machine) UnplugKeyboard() error {
	return m.monitor.do("device_del", map[string]any{"id": "keyboard"})
}

// PlugAdapter plugs QEMU's USB serial adapter in.
func (m *Machine) PlugAdapter() error {
	return m.plug(map[string]any{"driver": "usb-serial", "id": "serial", "bus": "usb.0", "port": "2", "chardev": "adapter", "serial": AdapterSerial})
}

// UnplugAdapter pulls it out.
func (m *Machine) UnplugAdapter() error {
	return m.monitor.do("device_del", map[string]any{"id": "serial"})
}

// plugWithin is how long QEMU may take to let go of a device that was just pulled out.
const plugWithin = 30 * time.Second

// plug plugs a device in, as soon as QEMU has let go of the one that was there before.
func (m *Machine) plug(device map[string]any) error {
	by := time.Now().Add(plugWithin)
	for {
		err := m.monitor.do("device_add", device)
		if err == nil || time.Now().After(by) {
			return err
		}
		time.Sleep(dialEvery)
	}
}

// Type types digits on the keyboard, a key down and up each 30 ms, and Enter for a line's end. Behind each key it waits for
// a word from the guest: on a busy machine the guest may stand still for longer than the keyboard can hold. It returns the
// longest that one key took: what took as long as the silence that ends a scan was no scanner.
func (m *Machine) Type(ctx context.Context, text string) (longest time.Duration, err error) {
	for _, c := range text {
		key := string(c)
		if c == '\n' {
			key = "ret"
		}
		began := time.Now()
		if err := m.strike(ctx, key); err != nil {
			return longest, err
		}
		longest = max(longest, time.Since(began))
	}
	return longest, nil
}

func (m *Machine) strike(ctx context.Context, key string) error {
	for _, down := range []bool{true, false} {
		if err := m.monitor.press(key, down); err != nil {
			return err
		}
		time.Sleep(keyPace)
	}
	return m.Ask(ctx, "Now", Nothing{}, &Moment{})
}

// Send sends bytes into the serial adapter, as a scanner behind it would.
func (m *Machine) Send(data []byte) error {
	_, err := m.adapter.Write(data)
	return err
}

// logMax bounds what is shown of a log.
const logMax = 8 << 10

// ConsoleLog is the end of what kernel and process 1 wrote on the guest's serial console, and of QEMU's complaints.
func (m *Machine) ConsoleLog() string {
	console, _ := os.ReadFile(m.at("console.log")) // a log that can't be read is an empty one
	complaint, _ := os.ReadFile(m.at("qemu.log"))
	return fmt.Sprintf("console of the guest:\n%s\nQEMU:\n%s", tail(console, logMax), tail(complaint, logMax))
}

// Memory is what QEMU itself holds resident, in bytes.
func (m *Machine) Memory() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", m.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var size, resident int
	_, _ = fmt.Sscan(string(text), &size, &resident) // the kernel writes numbers
	return resident * os.Getpagesize()
}

// endWithin is how long QEMU may take to end when it is told to.
const endWithin = 5 * time.Second

// End ends the machine and returns when QEMU has gone.
func (m *Machine) End() error {
	if m.guest != nil {
		defer m.guest.Close()
	}
	if m.monitor != nil {
		go func() { _ = m.monitor.do("quit", nil) }() // it may hang with what it is to end
	}
	defer m.closeLines()
	select {
	case <-m.exited:
		return nil
	case <-time.After(endWithin):
	}
	err := m.cmd.Process.Kill()
	<-m.exited
	return err
}

func (m *Machine) closeLines() {
	if m.monitor != nil {
		_ = m.monitor.conn.Close()
	}
	if m.adapter != nil {
		_ = m.adapter.Close()
	}
}
