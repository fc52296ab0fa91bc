package till

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"
)

// SocketMode is what the unix socket's file must let in: its owner and its group, nobody else.
const SocketMode fs.FileMode = 0o660

// peer is who opened the other end of the unix socket, by the kernel's word.
type peer struct {
	uid    uint32
	groups []uint32
}

func (p peer) String() string { return fmt.Sprintf("uid %d", p.uid) }

type peerKey struct{}

// seatedPeer is what the kernel said of a connection.
type seatedPeer struct {
	peer
	err    error
	socket string // the file
}

// withPeer keeps with each connection to the unix socket who is at its other end.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return ctx // a connection in memory
	}
	p, err := peerOf(unix)
	return context.WithValue(ctx, peerKey{}, seatedPeer{p, err, unix.LocalAddr().String()})
}

// socketCaller lets in the daemon's own user, root, and the owner and the group of the socket's file. The file's mode says the same to the
// kernel; it is held here again, because a mode is changed by hand in a moment, and what it opens moves money.
func socketCaller(r *http.Request) (caller, *Problem) {
	c := caller{name: "socket", scopes: Scopes(), via: "socket"}
	p, known := r.Context().Value(peerKey{}).(seatedPeer)
	if !known {
		return c, nil
	}
	if p.err != nil || !p.mayOpen(p.socket) {
		return caller{}, newProblem(Forbidden, "this user is neither the owner of the socket nor in its group")
	}
	c.peer = p.String()
	c.name, c.via = "socket "+c.peer, "socket "+c.peer
	return c, nil
}

func (p peer) mayOpen(socket string) bool {
	if p.uid == 0 || p.uid == uint32(os.Geteuid()) {
		return true
	}
	info, err := os.Lstat(socket)
	if err != nil {
		return false // whoever is not the daemon's own user must be found on the file
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (p.uid == stat.Uid || slices.Contains(p.groups, stat.Gid))
}
