package wxsim

import (
	"crypto/tls"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const tcpUserTimeout = 0x12

// A pulled cable: nothing is acknowledged any more, so that the till's kernel gives up by itself.
func TestADeadLinkAcknowledgesNothing(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	defer sim.Close()
	url, err := sim.Start("")
	require.NoError(t, err)
	creds, err := sim.Credentials("")
	require.NoError(t, err)
	link, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: creds.Roots})
	require.NoError(t, err)
	defer link.NetConn().Close()
	giveUpAfter(t, link.NetConn(), 300*time.Millisecond)
	sim.DeadenLinks()
	_, err = link.Write([]byte("GET / HTTP/1.1\r\n"))
	require.NoError(t, err, "the kernel takes the bytes")
	link.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err = link.Read(make([]byte, 1))
	assert.ErrorIs(t, err, syscall.ETIMEDOUT)
}

func giveUpAfter(t *testing.T, c net.Conn, d time.Duration) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(d.Milliseconds()))
	}))
	require.NoError(t, err)
}
