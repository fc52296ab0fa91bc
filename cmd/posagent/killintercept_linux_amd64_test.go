package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An interceptor runs a program as its tracer and is asked at each of the program's storage and socket calls, of whichever thread,
// before the kernel carries the call out. So the calls are counted over the whole process, in the order in which they are made
// (strace counts for each thread), and each can be let pass, made slow, cut short, refused with an error, or be the moment of a kill.

// callName is a system call as the manual names it.
type callName string

// intercepted are the calls at which the program stops: what changes files, and what sends on sockets or opens them.
var intercepted = map[uint64]callName{
	unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64", unix.SYS_FDATASYNC: "fdatasync", unix.SYS_FSYNC: "fsync", unix.SYS_FTRUNCATE: "ftruncate",
	unix.SYS_RENAME: "rename", unix.SYS_RENAMEAT: "rename", unix.SYS_RENAMEAT2: "rename", unix.SYS_UNLINK: "unlink", unix.SYS_UNLINKAT: "unlink",
	unix.SYS_OPENAT: "openat", unix.SYS_CONNECT: "connect", unix.SYS_ACCEPT4: "accept4", unix.SYS_SHUTDOWN: "shutdown",
}

// stoppedCall is one call, not carried out yet.
type stoppedCall struct {
	name   callName
	path   string // of the file; "socket" for a socket
	thread int
	flags  uint64 // of openat
}

func (c stoppedCall) String() string { return fmt.Sprintf("%s(%s)", c.name, filepath.Base(c.path)) }

// onDisk reports a call on a file below dir that can change it; the log is the supervisor's.
func (c stoppedCall) onDisk(dir string) bool {
	if !strings.HasPrefix(c.path, dir+"/") || strings.HasSuffix(c.path, "/daemon.log") {
		return false
	}
	return c.name != "openat" || c.flags&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT) != 0
}

func (c stoppedCall) onSocket() bool { return c.path == "socket" }

// treatment is what becomes of a stopped call. The zero value lets it pass.
type treatment struct {
	kill  bool
	errno syscall.Errno // it fails so, and is not carried out
	short bool          // half of the bytes are written, and the program is told so
	delay time.Duration
	// settled, where there is one, has the call wait until what the program's other threads had under way has come out, and is told
	// that moment, in which the call goes on or fails. So what leaves the program behind it was not on its way before.
	settled func()
}

// A call that waits until all else has settled waits so long at least, for who listens outside to have heard, and no longer than settleMax: a program
// that is asked without end is never still. It is still when it made no call for settleStill.
const (
	settleMin   = 100 * time.Millisecond
	settleStill = 30 * time.Millisecond
	settleMax   = 2 * time.Second
)

// interceptor traces one process. decide is asked in turn, never two at a time.
type interceptor struct {
	decide func(stoppedCall) treatment
	pid    int
	known  map[int]bool
	late   []lateThread
	last   time.Time // when the program last made a call
}

// lateThread is a thread whose call is slow: it goes on then, or when the program is still.
type lateThread struct {
	tid     int
	at      time.Time
	settled func()
}

func (l lateThread) goesOn(now, last time.Time) bool {
	if l.settled == nil || now.Before(l.at) {
		return !now.Before(l.at)
	}
	return now.Sub(last) >= settleStill || now.Sub(l.at) >= settleMax-settleMin
}

// startIntercepted starts the program. ended tells how it ended, once.
func startIntercepted(binary string, args, env []string, output *os.File, decide func(stoppedCall) treatment) (pid int, ended <-chan error, err error) {
	type start struct {
		pid int
		err error
	}
	started, over := make(chan start), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the tracer is a thread, not a process; the thread ends with this function
		i := &interceptor{decide: decide, known: map[int]bool{}}
		err := i.begin(binary, args, env, output)
		started <- start{i.pid, err}
		if err == nil {
			over <- i.follow()
		}
	}()
	s := <-started
	return s.pid, over, s.err
}

func (i *interceptor) begin(binary string, args, env []string, output *os.File) error {
	attr := &syscall.ProcAttr{Env: env, Files: []uintptr{0, output.Fd(), output.Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true}}
	pid, err := syscall.ForkExec(binary, append([]string{binary}, args...), attr)
	if err != nil {
		return fmt.Errorf("start under trace: %w", err)
	}
	i.pid = pid
	i.known[pid] = true
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WALL, nil); err != nil {
		return err
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(pid, options); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return syscall.PtraceCont(pid, 0)
}

// follow serves stops until the process has ended.
func (i *interceptor) follow() error {
	for {
		i.release()
		wait := syscall.WALL | unix.WNOTHREAD
		if len(i.late) > 0 {
			wait |= syscall.WNOHANG
		}
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &status, wait, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return fmt.Errorf("wait for the traced process: %w", err)
		case tid == 0:
			time.Sleep(time.Millisecond)
		case status.Exited() || status.Signaled():
			if tid == i.pid {
				return endOf(status)
			}
		case status.Stopped():
			i.stopped(tid, status)
		}
	}
}

func endOf(status syscall.WaitStatus) error {
	if status.Signaled() {
		return fmt.Errorf("signal: %s", status.Signal())
	}
	if status.ExitStatus() != 0 {
		return exitStatusError(status.ExitStatus())
	}
	return nil
}

// exitStatusError is an exit status that is not 0.
type exitStatusError int

func (e exitStatusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func (i *interceptor) stopped(tid int, status syscall.WaitStatus) {
	signal := status.StopSignal()
	fresh := !i.known[tid]
	i.known[tid] = true
	switch {
	case signal == syscall.SIGTRAP && status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		i.atCall(tid)
	case signal == syscall.SIGTRAP, signal == syscall.SIGSTOP && fresh:
		_ = syscall.PtraceCont(tid, 0)
	default:
		_ = syscall.PtraceCont(tid, int(signal))
	}
}

func (i *interceptor) atCall(tid int) {
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) != nil {
		return // it was killed meanwhile
	}
	i.last = time.Now()
	v := i.decide(i.describe(tid, regs))
	switch {
	case v.kill:
		_ = syscall.Kill(i.pid, syscall.SIGKILL)
		return
	case v.errno != 0:
		regs.Orig_rax, regs.Rax = ^uint64(0), uint64(-int64(v.errno))
		_ = syscall.PtraceSetRegs(tid, &regs)
	case v.short && regs.Rdx > 1:
		regs.Rdx /= 2
		_ = syscall.PtraceSetRegs(tid, &regs)
	}
	if v.settled != nil {
		v.delay = max(v.delay, settleMin)
	}
	if v.delay > 0 {
		i.late = append(i.late, lateThread{tid, time.Now().Add(v.delay), v.settled})
		return
	}
	_ = syscall.PtraceCont(tid, 0)
}

func (i *interceptor) release() {
	now, kept := time.Now(), i.late[:0]
	for _, l := range i.late {
		if !l.goesOn(now, i.last) {
			kept = append(kept, l)
			continue
		}
		if l.settled != nil {
			l.settled()
		}
		_ = syscall.PtraceCont(l.tid, 0)
	}
	i.late = kept
}

func (i *interceptor) describe(tid int, regs syscall.PtraceRegs) stoppedCall {
	c := stoppedCall{name: intercepted[regs.Orig_rax], thread: tid}
	switch regs.Orig_rax {
	case unix.SYS_RENAME, unix.SYS_UNLINK:
		c.path = textAt(tid, regs.Rdi)
	case unix.SYS_OPENAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT:
		c.path, c.flags = textAt(tid, regs.Rsi), regs.Rdx
	default:
		c.path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", i.pid, int32(regs.Rdi)))
		if strings.HasPrefix(c.path, "socket:") {
			c.path = "socket"
		}
	}
	return c
}

// textAt reads a path out of the traced process.
func textAt(tid int, at uint64) string {
	var buffer [512]byte
	n, _ := syscall.PtracePeekData(tid, uintptr(at), buffer[:])
	text, _, _ := strings.Cut(string(buffer[:n]), "\x00")
	return text
}

// becomeIntercepted installs, for every thread of this process, the filter that stops it at each intercepted call.
func becomeIntercepted() error {
	const loadNumber, jumpEqual, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{{Code: loadNumber, K: 0}}
	left := len(intercepted)
	for number := range intercepted {
		filter = append(filter, unix.SockFilter{Code: jumpEqual, Jt: uint8(left), K: uint32(number)})
		left--
	}
	filter = append(filter, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW}, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_TRACE})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}
