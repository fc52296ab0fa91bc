//go:build linux

package main

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// consoleMax bounds what is kept of what was typed on the console.
const consoleMax = 64 << 10

// console is the machine's first virtual terminal: what a keyboard types that nobody has taken over arrives there, and is
// echoed on its screen.
type console struct {
	tty *os.File

	mu   sync.Mutex // guards read
	read []byte
}

// openConsole has the terminal give each key at once, and echo it.
func openConsole() (*console, error) {
	tty, err := os.OpenFile("/dev/tty1", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(tty.Fd())
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	settings.Lflag = settings.Lflag&^(unix.ICANON|unix.ISIG) | unix.ECHO
	settings.Cc[unix.VMIN], settings.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, settings); err != nil {
		return nil, err
	}
	c := &console{tty: tty}
	go c.listen()
	return c, nil
}

func (c *console) listen() {
	buf := make([]byte, 256)
	for {
		n, err := c.tty.Read(buf)
		if err != nil {
			return
		}
		c.mu.Lock()
		if len(c.read)+n <= consoleMax {
			c.read = append(c.read, buf[:n]...)
		}
		c.mu.Unlock()
	}
}

// look returns what was read since the last look, and the screen; then it wipes the screen.
func (c *console) look() (read, screen []byte, err error) {
	screen, err = os.ReadFile("/dev/vcs1")
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	read, c.read = c.read, nil
	c.mu.Unlock()
	_, err = c.tty.WriteString("\x1b[H\x1b[2J")
	return read, screen, err
}
