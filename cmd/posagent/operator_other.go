//go:build !linux

package main

import (
	"errors"
	"os"
)

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func hideTyping(*os.File) (show func(), err error) {
	return nil, errors.New("typing is hidden on Linux only")
}
