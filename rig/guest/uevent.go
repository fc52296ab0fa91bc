//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The names that udev's rule of posagent's package gives to serial ports: the adapter's and a gadget's.
const (
	adapterLink = "/dev/posagent-scanner"
	gadgetLink  = "/dev/posagent-scanner2"
)

// ueventMax is the longest message that the kernel sends (lib/kobject_uevent.c: a buffer of 2048 bytes and a header).
const ueventMax = 4096

// nameSerialPorts does what udev would: it links a name that stays to whatever port a scanner has got this time.
func nameSerialPorts() error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return err
	}
	if err := unix.Bind(s, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		return err
	}
	for _, node := range serialPorts() {
		linkPort("add", node)
	}
	go func() {
		buf := make([]byte, ueventMax)
		for {
			n, _, err := unix.Recvfrom(s, buf, 0)
			if err != nil && err != unix.EINTR && err != unix.ENOBUFS {
				fmt.Println("guest: uevents:", err)
				return
			}
			if action, node := ttyEvent(buf[:max(n, 0)]); node != "" {
				linkPort(action, node)
			}
		}
	}()
	return nil
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

// ttyEvent reads what came or went out of a message: "ACTION@PATH" and then KEY=VALUE, each ended by NUL.
func ttyEvent(message []byte) (action, node string) {
	values := map[string]string{}
	for _, field := range bytes.Split(message, []byte{0}) {
		key, value, _ := strings.Cut(string(field), "=")
		values[key] = value
	}
	if values["SUBSYSTEM"] != "tty" {
		return "", ""
	}
	return values["ACTION"], values["DEVNAME"]
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
