package wxclient

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// limitUnanswered sets TCP_USER_TIMEOUT: how long sent bytes may stay unacknowledged before the kernel gives the
// connection up. Zero takes it off. While it is set it also decides, instead of the number of probes, when keep-alive
// gives up; so it is set for a pay call only, not while a connection waits.
func limitUnanswered(conn net.Conn, limit time.Duration) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
	})
}
