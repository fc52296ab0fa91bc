package wxclient

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAPayConnectionForgetsWhatItCouldNotDeliver(t *testing.T) {
	g := newGateway(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.serve(listener)
	c := newClient(t, testConfig(g, nil, listener.Addr().String()))
	require.NoError(t, c.Warm(t.Context()))
	l := c.warm.current()

	assert.Equal(t, 1, option(t, l, unix.SOL_SOCKET, unix.SO_KEEPALIVE))
	assert.Equal(t, 1, option(t, l, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE))
	assert.Equal(t, 1, option(t, l, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL))
	assert.Equal(t, 2, option(t, l, unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
	assert.Zero(t, option(t, l, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT), "it would overrule the number of keep-alive probes")
	linger, err := lingerOf(l)
	require.NoError(t, err)
	assert.Equal(t, unix.Linger{Onoff: 1, Linger: 0}, *linger)

	g.always(reply{status: 200, body: paidBody(testOrder())})
	_, err = c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
	require.NoError(t, err)
	assert.Equal(t, int((15 * time.Second).Milliseconds()), option(t, l, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT))
}

func option(t *testing.T, l *link, level, name int) (value int) {
	t.Helper()
	raw, err := l.conn.Conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, name) }))
	require.NoError(t, err)
	return value
}

func lingerOf(l *link) (linger *unix.Linger, err error) {
	raw, err := l.conn.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) { linger, err = unix.GetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER) })
	if controlErr != nil {
		return nil, controlErr
	}
	return linger, err
}
