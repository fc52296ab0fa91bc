package wxclient

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"posagent/payflow"
)

const (
	warmKept  = 20 * time.Second / payflow.Pace // then another connection takes its place, before the gateway closes this one
	warmRetry = time.Second / payflow.Pace      // after a dial that failed
	warmLook  = 3 * time.Second / payflow.Pace  // between looks at a link that nobody waits for

	probeEvery  = 2 * time.Second / payflow.Pace // between questions on the link while a payment is armed
	probeWithin = 3 * time.Second / payflow.Pace // as long as connecting may take
)

var errSilent = errors.New("the gateway does not answer")

// warmth is the connection that waits for the next pay call while a payment is armed. Only pay takes it.
type warmth struct {
	mu   sync.Mutex // guards all below but wake
	on   bool
	link *link
	down bool
	// silent says that connections can be made and nothing comes back on them.
	silent bool
	wake   chan struct{} // holds one; tells Run that on or link has changed
}

// KeepWarm says whether a payment is armed. While it is, Run keeps one TLS connection ready, with keep-alive probes
// each second, so that a pulled cable shows within seconds and before the scan: see LinkUp and the condition LinkDown.
func (c *line) KeepWarm(on bool) {
	c.warm.mu.Lock()
	changed, spare := c.warm.on != on, c.warm.link
	c.warm.on = on
	if !on {
		c.warm.link = nil
	}
	c.warm.mu.Unlock()
	if !on && spare != nil {
		c.idle.put(spare)
	}
	if changed {
		c.warm.nudge()
	}
}

// Warm makes sure now that a connection is ready for the next pay call. An error means that none could be made; it
// says for a person what to look at.
func (c *line) Warm(ctx context.Context) error {
	if l := c.warm.current(); l != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectLimitAll)
	defer cancel()
	l, err := c.connect(ctx, c.hosts.order())
	if err != nil {
		return err
	}
	if old := c.warm.replace(l); old != nil {
		old.close(errRested)
	}
	c.warm.nudge()
	return nil
}

// LinkUp reports that WeChat Pay could be connected to when last tried, and that the warm connection has not broken since.
func (c *line) LinkUp() bool {
	c.warm.mu.Lock()
	defer c.warm.mu.Unlock()
	return !c.warm.down
}

// current returns the warm connection if it lives and is not too old.
func (w *warmth) current() *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.link == nil || !w.link.alive() || time.Since(w.link.opened) > warmKept {
		return nil
	}
	return w.link
}

// take gives the warm connection away to a pay call.
func (w *warmth) take() *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.link
	w.link = nil
	if l == nil || !l.alive() {
		return nil
	}
	return l
}

func (w *warmth) replace(l *link) (old *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, w.link = w.link, l
	return old
}

// giveUp takes l away, and reports whether it was still the warm connection.
func (w *warmth) giveUp(l *link) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.link != l {
		return false
	}
	w.link = nil
	return true
}

func (w *warmth) drop() {
	if l := w.replace(nil); l != nil {
		l.close(errRested)
	}
}

func (w *warmth) wanted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.on
}

func (w *warmth) setDown(down bool) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	down = down || w.silent
	changed = w.down != down
	w.down = down
	return changed
}

func (w *warmth) setSilent(silent bool) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed = w.silent != silent
	w.silent = silent
	return changed
}

func (w *warmth) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// keepWarm is Run's part: while KeepWarm is on, a connection that died or grew old is replaced at once.
func (c *line) keepWarm(ctx context.Context) {
	defer c.warm.drop()
	for ctx.Err() == nil {
		if !c.warm.wanted() {
			c.restWarm(ctx)
			continue
		}
		l := c.warm.current()
		if l == nil {
			if c.Warm(ctx) != nil {
				c.sleepWarm(ctx, nil, warmRetry)
			} else if l = c.warm.current(); l != nil && !c.LinkUp() {
				c.probe(ctx, l)
			}
			continue
		}
		rested := c.sleepWarm(ctx, l, min(probeEvery, warmKept-time.Since(l.opened)+time.Millisecond))
		if rested && c.warm.current() == l && c.warm.wanted() {
			c.probe(ctx, l)
		}
	}
}

// probe asks the gateway something small (the platform certificates, in API v3) beside the warm connection. Keep-alive sees a cable that is pulled at this PC or
// behind the next router; a link that some box further on keeps alive, and carries nothing, shows only when something is asked.
// A gateway that does not answer within three seconds is not one to send a pay call to.
func (c *line) probe(ctx context.Context, l *link) {
	probing, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	_, err := c.askHost(probing, l.host, c.probing())
	if err == nil || ctx.Err() != nil {
		return
	}
	if c.warm.giveUp(l) { // else a pay call has taken it meanwhile, and waits for its own answer
		l.close(errSilent)
	}
	c.warm.setSilent(true)
	c.noteBroken(errSilent)
}

// answered notes that something came back: a link that was silent carries again.
func (c *line) answered() {
	if c.warm.setSilent(false) {
		c.reachable()
	}
}

// restWarm is keepWarm while no payment is armed. A link that is down is tried until it is up all the same: no payment is
// armed before, so nothing else would.
func (c *line) restWarm(ctx context.Context) {
	if !c.LinkUp() && c.Warm(ctx) == nil { // its failure stands as a condition already
		if l := c.warm.current(); l != nil {
			c.probe(ctx, l)
		}
	}
	if spare := c.warm.replace(nil); spare != nil {
		c.idle.put(spare)
	}
	if !c.warm.wanted() {
		c.sleepWarm(ctx, nil, warmLook)
	}
}

// sleepWarm waits for a nudge, the end of l, or the pause (0: for ever), and reports that the pause was waited out. A nudge is no
// reason to probe: it comes right behind the handshake, when the scan may come too, and a probe's signature costs a core.
func (c *line) sleepWarm(ctx context.Context, l *link, pause time.Duration) (rested bool) {
	var dead <-chan struct{}
	if l != nil {
		dead = l.dead
	}
	var end <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		end = timer.C
	}
	select {
	case <-ctx.Done():
	case <-c.warm.wake:
	case <-end:
		return true
	case <-dead:
		c.noteBroken(l.reason())
	}
	return false
}

// noteBroken: a gateway that hangs up politely is no news before the next dial fails; a link that broke is.
func (c *line) noteBroken(why error) {
	polite := errors.Is(why, io.EOF) || errors.Is(why, errRested) || errors.Is(why, context.Canceled)
	if polite {
		return
	}
	c.idle.closeAll()
	if c.mutual != nil {
		c.mutual.idle.closeAll()
	}
	if c.warm.setDown(true) {
		c.conditions.begin(Condition{Kind: LinkDown, Text: "the connection to WeChat Pay broke; look at the network cable and the router. Take cash meanwhile"})
	}
}

// reachable notes that a connection could be made. After a silent link that alone is no news: something must come back on it.
func (c *line) reachable() {
	if c.warm.setDown(false) {
		c.conditions.over(LinkDown)
	}
	c.conditions.over(GatewayUnreachable)
	c.conditions.over(ClockUnusable)
	c.conditions.over(CaptivePortal)
}

// connect opens a connection to the first of these hosts that lets us; each that does not is set aside.
func (c *line) connect(ctx context.Context, line []*host) (*link, error) {
	var failures []error
	for _, h := range line {
		l, err := c.open(ctx, h)
		if err == nil {
			c.reachable()
			return l, nil
		}
		failures = append(failures, err)
		if context.Cause(ctx) == context.Canceled {
			return nil, errors.Join(failures...)
		}
		c.hosts.bad(h, time.Now())
		if ctx.Err() != nil {
			break
		}
	}
	return nil, c.unreachable(errors.Join(failures...))
}

// unreachable notes that no host could be connected to, and says why for a person.
func (c *line) unreachable(err error) error {
	c.warm.setDown(true)
	err = c.explainUnreachable(err)
	c.conditions.begin(Condition{Kind: GatewayUnreachable, Text: err.Error()})
	return err
}
