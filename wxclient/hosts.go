package wxclient

import (
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"posagent/payflow"
)

// hostPause is how long a host that failed stands at the end of the line before it is probed.
const hostPause = 30 * time.Second / payflow.Pace

// host is one gateway. The host is not signed, so the same request goes to any of them.
type host struct {
	name   string // as it stands in the Host header
	addr   string // host:port to dial
	server string // the name that its TLS certificate must carry

	failed bool // guarded by hosts.mu, as is dueAt
	dueAt  time.Time
}

// hosts are the gateways in the configuration's order, and the one in use. It stays in use until it fails.
type hosts struct {
	all []*host

	mu    sync.Mutex // guards inUse and each host's failed and dueAt
	inUse int
}

func parseHosts(addresses []string) ([]*host, error) {
	all := make([]*host, 0, len(addresses))
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("host %.80q: write it as \"https://apihk.mch.weixin.qq.com\", without a path", address)
		}
		port := u.Port()
		h := &host{name: u.Hostname(), server: u.Hostname()}
		if port == "" {
			port = "443"
		} else if port != "443" {
			h.name = u.Host
		}
		h.addr = joinPort(u.Hostname(), port)
		all = append(all, h)
	}
	return all, nil
}

// know reports that an order's gateway, as its record names it, is one of these. A record that names none is older than the name.
func (s *hosts) know(address string) bool {
	if address == "" {
		return true
	}
	named, err := parseHosts([]string{address})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(s.all, func(h *host) bool { return h.addr == named[0].addr })
}

// order returns every host: the one in use first, then the others as configured, those that failed last.
func (s *hosts) order() []*host {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := make([]*host, 0, len(s.all))
	line = append(line, s.all[s.inUse])
	for _, failed := range []bool{false, true} {
		for i, h := range s.all {
			if i != s.inUse && h.failed == failed {
				line = append(line, h)
			}
		}
	}
	return line
}

// good clears a host's failure: it has given a verified answer.
func (s *hosts) good(h *host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.failed = false
}

// bad sets a host aside, and takes the next good one in use.
func (s *hosts) bad(h *host, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.failed, h.dueAt = true, now.Add(hostPause)
	for i, other := range s.all {
		if s.all[s.inUse].failed && !other.failed {
			s.inUse = i
		}
	}
}

// due returns the hosts that failed and whose pause is over.
func (s *hosts) due(now time.Time) []*host {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*host
	for _, h := range s.all {
		if h.failed && !now.Before(h.dueAt) {
			due = append(due, h)
		}
	}
	return due
}

func (s *hosts) state(now time.Time) (inUse string, aside []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.all {
		if h.failed && now.Before(h.dueAt) {
			aside = append(aside, h.name)
		}
	}
	return s.all[s.inUse].name, aside
}
