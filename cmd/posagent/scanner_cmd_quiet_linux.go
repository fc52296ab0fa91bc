package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// quietTerminal stops a terminal from showing what is typed, until the returned function is called, which throws away what was typed
// meanwhile: a scanned code must neither be seen nor be run as a command. What is no terminal is left alone.
func quietTerminal(f *os.File) (restore func()) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	quiet := *before
	quiet.Lflag &^= unix.ECHO | unix.ICANON
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return func() {}
	}
	return func() {
		_ = unix.IoctlSetTermios(fd, unix.TCSETSF, before) // TCSETSF throws the input away
	}
}
