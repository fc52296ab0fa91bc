//go:build !linux

package wxclient

import (
	"net"
	"time"
)

// limitUnanswered does nothing here: the system has no TCP_USER_TIMEOUT. A pay call still ends at its own limit, and
// closing with SO_LINGER 0 still throws away what was not acknowledged.
func limitUnanswered(net.Conn, time.Duration) {}
