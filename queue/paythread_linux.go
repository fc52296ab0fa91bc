package queue

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// payThread is a thread that waits for the next pay call, so that the call is signed while its record is committed. Left to
// itself the kernel keeps a woken thread on the processor of the one that woke it, where the other processor of a virtual machine
// sleeps, and the two then run one after the other (docs/figures.md). So for the millisecond that both take, each has a processor
// to itself: the engine's loop the one that it is on, the pay call one of the others.
type payThread struct {
	bell   int // an eventfd: ringing it wakes the thread itself, not the Go scheduler first
	thread int
	may    unix.CPUSet // the processors that this process may use
	busy   atomic.Bool // a call is on its way to the thread, or on it
	calls  chan func() // holds one
	ended  chan struct{}
}

// newPayThread starts the thread. An error says why there is none, as where the process may use one processor only; pay
// calls then start as any other goroutine.
func newPayThread() (*payThread, error) {
	t := &payThread{calls: make(chan func(), 1), ended: make(chan struct{})}
	if err := unix.SchedGetaffinity(0, &t.may); err != nil {
		return nil, fmt.Errorf("read the processors that may be used: %w", err)
	}
	if n := t.may.Count(); n < 2 {
		return nil, fmt.Errorf("%d processor may be used", n)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_SEMAPHORE) // each ring is heard once
	if err != nil {
		return nil, fmt.Errorf("make a bell: %w", err)
	}
	t.bell = bell
	running := make(chan struct{})
	go t.run(running)
	<-running
	return t, nil
}

func (t *payThread) run(running chan<- struct{}) {
	runtime.LockOSThread() // for good: a thread whose processors were chosen is not given back
	defer close(t.ended)
	defer unix.Close(t.bell)
	t.thread = unix.Gettid()
	close(running)
	for {
		t.listen()
		call, more := <-t.calls
		if !more {
			return
		}
		call()
		t.busy.Store(false)
	}
}

// listen waits for the bell.
func (t *payThread) listen() {
	var count [8]byte
	for {
		if _, err := unix.Read(t.bell, count[:]); err != unix.EINTR {
			return // what waits in calls is taken then, however the waiting ended
		}
	}
}

// start runs call on the thread, away from the processor that the caller is on, and keeps the caller on that one until it calls
// release. ok is false, and nothing was started, where the thread is still in a call. The caller is the engine's loop.
func (t *payThread) start(call func()) (release func(), ok bool) {
	if t == nil || !t.busy.CompareAndSwap(false, true) {
		return nil, false
	}
	t.calls <- call
	runtime.LockOSThread()
	release = t.part()
	t.ring()
	return release, true
}

// part gives the caller's thread and t's a processor each. Where the kernel forbids it, both run where they would.
func (t *payThread) part() (release func()) {
	here, err := processor()
	others, mine := t.may, unix.CPUSet{}
	others.Clear(here)
	mine.Set(here)
	if err != nil || others.Count() == 0 || unix.SchedSetaffinity(t.thread, &others) != nil || unix.SchedSetaffinity(0, &mine) != nil {
		return runtime.UnlockOSThread
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &t.may)
		runtime.UnlockOSThread()
	}
}

func (t *payThread) ring() {
	var once [8]byte
	binary.NativeEndian.PutUint64(once[:], 1)
	_, _ = unix.Write(t.bell, once[:]) // fails only when the counter is full: the thread has been rung for
}

// end lets the thread go. Nobody calls start any more.
func (t *payThread) end() {
	if t == nil {
		return
	}
	close(t.calls)
	t.ring()
	<-t.ended
}

// processor returns the number of the processor that the caller runs on.
func processor() (int, error) {
	var number uint32
	if _, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&number)), 0, 0); e != 0 {
		return 0, e
	}
	return int(number), nil
}
