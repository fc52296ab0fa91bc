package wxsim

import (
	"net"
	"syscall"
	"unsafe"
)

// deafen makes the kernel drop every packet that comes for a TCP connection, by a socket filter that accepts nothing: no
// byte is acknowledged and no keep-alive probe answered, just as if the cable had been pulled. Other connections (pipes)
// are dead only above the kernel.
func deafen(c net.Conn) {
	tcp, isTCP := c.(*net.TCPConn)
	if !isTCP {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		dropAll := [1]syscall.SockFilter{{Code: syscall.BPF_RET | syscall.BPF_K}}
		program := syscall.SockFprog{Len: 1, Filter: &dropAll[0]}
		syscall.Syscall6(syscall.SYS_SETSOCKOPT, fd, syscall.SOL_SOCKET, syscall.SO_ATTACH_FILTER,
			uintptr(unsafe.Pointer(&program)), unsafe.Sizeof(program), 0)
	})
}
