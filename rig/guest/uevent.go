//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The names that udev's rule of posagent's package gives to serial ports: the adapter's and a gadget's.
const (
	adapterLink = "/dev/posagent-scanner"
	gadgetLink  = "/dev/posagent-scanner2"
)

// ueventMax is the longest message that the kernel sends (lib/kobject_uevent.c: a buffer of 2048 bytes and a header).
const ueventMax = 4096

// uevents follows what the kernel tells of devices, as udev does.
type uevents struct {
	began time.Time

	mu    sync.Mutex // guards bound
	bound []bound    // the last of them, at most boundMax
}

// bound is a USB interface that a driver of the kernel's has taken.
type bound struct {
	at      time.Duration
	product string // "1eab/c06/", as the kernel writes vendor and product
}

const boundMax = 64

// followUevents gives a name that stays to whatever port a scanner has got this time, as udev would, and remembers when
// drivers took USB interfaces.
func followUevents(began time.Time) (*uevents, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(s, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		return nil, err
	}
	for _, node := range serialPorts() {
		linkPort("add", node)
	}
	u := &uevents{began: began}
	go u.follow(s)
	return u, nil
}

func (u *uevents) follow(socket int) {
	buf := make([]byte, ueventMax)
	for {
		n, _, err := unix.Recvfrom(socket, buf, 0)
		if err != nil && err != unix.EINTR && err != unix.ENOBUFS {
			fmt.Println("guest: uevents:", err)
			return
		}
		values := ueventValues(buf[:max(n, 0)])
		switch {
		case values["SUBSYSTEM"] == "tty":
			linkPort(values["ACTION"], values["DEVNAME"])
		case values["ACTION"] == "bind" && values["DEVTYPE"] == "usb_interface":
			u.note(values["PRODUCT"])
		}
	}
}

func (u *uevents) note(product string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bound = append(u.bound, bound{time.Since(u.began), product})
	u.bound = u.bound[max(0, len(u.bound)-boundMax):]
}

func (u *uevents) boundAfter(vendor, product uint16, after time.Duration) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, b := range u.bound {
		if b.at > after && strings.HasPrefix(b.product, fmt.Sprintf("%x/%x/", vendor, product)) {
			return b.at
		}
	}
	return 0
}

func serialPorts() []string {
	var names []string
	for _, pattern := range []string{"/dev/ttyUSB*", "/dev/ttyACM*"} {
		found, _ := filepath.Glob(pattern) // the pattern is sound
		for _, f := range found {
			names = append(names, filepath.Base(f))
		}
	}
	return names
}

// ueventValues reads a message: "ACTION@PATH" and then KEY=VALUE, each ended by NUL.
func ueventValues(message []byte) map[string]string {
	values := map[string]string{}
	for _, field := range bytes.Split(message, []byte{0}) {
		key, value, _ := strings.Cut(string(field), "=")
		values[key] = value
	}
	return values
}

func linkPort(action, node string) {
	link := ""
	switch {
	case strings.HasPrefix(node, "ttyUSB"):
		link = adapterLink
	case strings.HasPrefix(node, "ttyACM"):
		link = gadgetLink
	default:
		return
	}
	target := "/dev/" + node
	switch action {
	case "add":
		_ = os.Remove(link)
		if err := os.Symlink(target, link); err != nil {
			fmt.Println("guest: link:", err)
		}
	case "remove":
		if now, err := os.Readlink(link); err == nil && now == target {
			_ = os.Remove(link)
		}
	}
}
