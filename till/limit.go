package till

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// bucket allows so many at once, and one more each every.
type bucket struct {
	burst int
	every time.Duration
}

// The limits on what is tried and is wrong. What is right is never counted.
var (
	wrongTokensEach = bucket{20, 3 * time.Second} // of one remote address; a program with an old token asks again and again
	wrongTokensAll  = bucket{100, time.Second}
	wrongPINsEach   = bucket{8, 3 * time.Second}
	wrongPINsAll    = bucket{24, time.Second}
)

// limitedMax bounds the remote addresses that are remembered at one time; beyond them the limit on all holds.
const limitedMax = 1024

// limiter counts what was wrong, of each remote address and in all.
type limiter struct {
	each, all bucket

	mu    sync.Mutex           // guards what follows
	until map[string]time.Time // by address: when its bucket is whole again
	whole time.Time            // the same of all
}

func newLimiter(each, all bucket) *limiter {
	return &limiter{each: each, all: all, until: map[string]time.Time{}}
}

// wait is how long an address must wait before the next try; 0: it need not.
func (l *limiter) wait(address string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.each.wait(l.until[address], now), l.all.wait(l.whole, now))
}

// count remembers that an address tried what is wrong.
func (l *limiter) count(address string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = l.all.count(l.whole, now)
	if _, known := l.until[address]; !known && len(l.until) >= limitedMax && !l.forget(now) {
		return
	}
	l.until[address] = l.each.count(l.until[address], now)
}

// forget drops the addresses that have nothing to wait for, and reports whether there is room again.
func (l *limiter) forget(now time.Time) bool {
	for address, until := range l.until {
		if !until.After(now) {
			delete(l.until, address)
		}
	}
	return len(l.until) < limitedMax
}

func (b bucket) count(until, now time.Time) time.Time {
	if until.Before(now) {
		until = now
	}
	return until.Add(b.every)
}

// wait: a bucket that is whole at a time has room now if, with one more try, that time lies within what its burst is worth.
func (b bucket) wait(until, now time.Time) time.Duration {
	return max(0, max(0, until.Sub(now))-time.Duration(b.burst-1)*b.every)
}

// addressOf names where a request comes from: the address, of IPv6 the network of 64 bits that one machine may have whole.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "elsewhere"
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		network, err := ip.Prefix(64)
		if err == nil {
			return network.String()
		}
	}
	return ip.String()
}
