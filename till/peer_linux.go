package till

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerGroupsMax bounds the groups of a peer that are looked at; Linux itself allows 65,536.
const peerGroupsMax = 1024

// peerOf asks the kernel who opened the other end of a unix socket: the process as it was when it connected, whatever it says or becomes.
func peerOf(c *net.UnixConn) (peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var p peer
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failed = fmt.Errorf("ask who is at the socket: %w", err)
			return
		}
		p = peer{uid: cred.Uid, groups: append(peerGroups(fd), cred.Gid)}
	})
	return p, errors.Join(err, failed)
}

// peerGroups returns the peer's further groups; none where the kernel (before 4.13) does not tell, or there are more than we look at.
func peerGroups(fd uintptr) []uint32 {
	groups := make([]uint32, peerGroupsMax)
	size := uint32(len(groups) * int(unsafe.Sizeof(groups[0])))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return nil
	}
	return slices.Clone(groups[:size/uint32(unsafe.Sizeof(groups[0]))])
}
