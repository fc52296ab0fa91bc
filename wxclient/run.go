package wxclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"posagent/payflow"
)

const (
	refreshEvery  = 10 * time.Hour / payflow.Pace  // WeChat Pay asks for less than 12 h
	refreshJitter = time.Hour / payflow.Pace       // so that a chain's tills do not call together
	firstRetry    = 2 * time.Second / payflow.Pace // after a failed certificates call, doubling
	firstRetryMax = 30 * time.Second / payflow.Pace
)

// Run keeps the client ready until ctx ends: it makes the first round trip, again after a pause while it fails, fetches
// the platform certificates every ten to eleven hours, looks after hosts that failed, and keeps a connection warm
// while KeepWarm asks for it. It returns when all that has ended.
func (c *Client) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	warm := make(chan struct{})
	go func() {
		defer close(warm)
		c.keepWarm(ctx)
	}()
	c.keepFresh(ctx)
	<-warm
}

func (c *Client) keepFresh(ctx context.Context) {
	retry, byName := firstRetry, true
	for ctx.Err() == nil {
		err := c.refresh(ctx, byName)
		pause := c.signers.patience(refreshEvery + rand.N(refreshJitter))
		switch {
		case err == nil:
			retry = firstRetry
		case errors.Is(err, errRefreshedLately):
			pause = refreshPause
		default:
			pause, retry = retry, min(2*retry, firstRetryMax)
			c.log.Warn().Err(err).Msg("platform certificates not fetched")
		}
		byName = c.idleUntil(ctx, pause)
	}
}

// idleUntil waits for the pause to end (true), or for a kick or ctx (false); meanwhile hosts that were set aside are
// probed when due.
func (c *Client) idleUntil(ctx context.Context, pause time.Duration) bool {
	end := time.NewTimer(pause)
	defer end.Stop()
	probe := time.NewTicker(hostPause)
	defer probe.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			return true
		case <-c.kick:
			return false
		case <-probe.C:
			c.probeHosts(ctx)
		}
	}
}

// refreshSoon asks Run for a certificates call, because something that one may mend was seen.
func (c *Client) refreshSoon() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// probeHosts makes one certificates call to each host whose pause is over; a verified answer brings it back in line.
func (c *Client) probeHosts(ctx context.Context) {
	for _, h := range c.hosts.due(time.Now()) {
		a, err := c.callHost(ctx, h, request{call: "probe", method: http.MethodGet, target: certificatesTarget}, c.clock.Now)
		if err == nil {
			err = c.takeCertificates(a, c.clock.Now())
		}
		if err != nil {
			c.hosts.bad(h, time.Now())
		}
	}
}
