package main

import (
	"context"
	"net"
	"net/url"
	"time"

	"posagent/payflow"
)

// idleLooks is how a till at which nothing is armed finds out that WeChat Pay can't be reached: nothing else would say so before the next
// customer stands there. With a payment armed the client looks for itself, each two seconds.
//
// A line that is cut without a word is told of within 19 s at most: 10 s to the next look, 3 s in which no connection comes, 6 s in which the
// client tries every host (rule 1). A plug that is pulled, or a network that is left, is told by the kernel and looked after at once. What stands
// in WeChat Pay's place (a login page, an intercepting firewall), or takes a connection and says nothing, shows under TLS alone: at once where the
// network has changed, else within two minutes.
type idleLooks struct {
	each   time.Duration // connecting, without a word: some 400 bytes
	whole  time.Duration // connecting and TLS: some 9 kB, which is 7 MB a day
	pause  time.Duration // before a look at a network that changes: it changes more than once
	within time.Duration // a connection comes, or does not
}

var idleLooksOfStore = idleLooks{each: 10 * time.Second / payflow.Pace, whole: 2 * time.Minute / payflow.Pace, pause: time.Second / payflow.Pace, within: 3 * time.Second / payflow.Pace}

// watchIdleLine looks until ctx ends.
func (a *agent) watchIdleLine(ctx context.Context, looks idleLooks, changed <-chan struct{}) {
	if a.practice != nil {
		return // a training till's WeChat Pay is in this process
	}
	tick := time.NewTicker(looks.each)
	defer tick.Stop()
	whole := time.Now().Add(looks.whole)
	for {
		withTLS := false
		select {
		case <-ctx.Done():
			return
		case <-changed:
			withTLS = true
			rest(ctx, looks.pause)
		case <-tick.C:
		}
		if _, armed := a.engine.Holding(); armed || !a.client.LinkUp() {
			continue // the client looks for itself
		}
		if withTLS = withTLS || time.Now().After(whole); withTLS {
			whole = time.Now().Add(looks.whole)
		}
		if withTLS || !a.connects(ctx, looks.within) {
			_ = a.client.Warm(ctx) // what it finds becomes a condition, and a warning
		}
	}
}

// connects reports that the way to WeChat Pay takes a connection: that to the first of its hosts that does, or to the proxy.
func (a *agent) connects(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for _, where := range a.lineAddresses() {
		conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", where)
		if err == nil {
			_ = conn.Close()
			return true
		}
	}
	return false
}

func (a *agent) lineAddresses() []string {
	w := a.cfg.WeChat
	urls := w.Hosts
	if w.Proxy != "" {
		urls = []string{w.Proxy}
	}
	var addresses []string
	for _, text := range urls {
		if u, err := url.Parse(text); err == nil { // the client has read them before
			port := u.Port()
			if port == "" {
				port = "443"
			}
			addresses = append(addresses, net.JoinHostPort(u.Hostname(), port))
		}
	}
	return addresses
}

// rest waits for a pause or the end of ctx.
func rest(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}
