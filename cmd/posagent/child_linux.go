package main

import "syscall"

// diesWithParent has the kernel end a trial's daemon when the trial itself is ended.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
