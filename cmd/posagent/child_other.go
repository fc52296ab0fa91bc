//go:build !linux

package main

import "syscall"

// diesWithParent is known on Linux alone.
func diesWithParent() *syscall.SysProcAttr { return nil }
