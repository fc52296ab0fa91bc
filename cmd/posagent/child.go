package main

import (
	"os/exec"
	"runtime"
)

// startChild starts a process of a trial, which the kernel ends when the trial is ended; exited brings its end. The kernel goes by the
// thread that started it, not by the process: a thread that Go gives up, as it does with one that a goroutine was bound to, would take the
// child along. So the thread is kept for as long as the child lives.
func startChild(cmd *exec.Cmd) (exited chan error, err error) {
	cmd.SysProcAttr = diesWithParent()
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
