package wxclient

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// noLinkError says that no host could be connected to; nothing was sent.
type noLinkError struct{ err error }

func (e *noLinkError) Error() string { return e.err.Error() }
func (e *noLinkError) Unwrap() error { return e.err }

// call makes a call that may be made twice (query, reverse, certificates): on a failure, or a 5xx, the next host is
// asked at once, with a signature of its own. It returns the last host's answer or error. Where our signature is
// refused, a certificates call may correct the clock, and the call is made once more.
func (c *Client) call(ctx context.Context, r request) (answer, error) {
	a, err := c.callAt(ctx, r, c.clock.Now)
	if err == nil && a.status == http.StatusUnauthorized && c.refresh(ctx, false) == nil {
		return c.callAt(ctx, r, c.clock.Now)
	}
	return a, err
}

func (c *Client) callAt(ctx context.Context, r request, now func() time.Time) (answer, error) {
	var last answer
	var failures []error
	unlinked := true
	for _, h := range c.hosts.order() {
		a, err := c.callHost(ctx, h, r, now)
		if err == nil && a.status < http.StatusInternalServerError {
			return a, nil
		}
		if err == nil {
			last = a
		} else {
			failures = append(failures, err)
		}
		unlinked = unlinked && errors.As(err, new(*noLinkError))
		if ctx.Err() != nil {
			break
		}
		c.hosts.bad(h, time.Now())
	}
	if last.header != nil {
		return last, nil
	}
	err := errors.Join(failures...)
	if unlinked && ctx.Err() == nil {
		return last, &noLinkError{c.unreachable(err)}
	}
	return last, err
}

// callHost makes the call on one host: on a waiting connection if there is one, and when that turns out to be dead, on a new one.
func (c *Client) callHost(ctx context.Context, h *host, r request, now func() time.Time) (answer, error) {
	if l := c.idle.take(h); l != nil {
		if a, err := c.callLink(ctx, l, r, now); err == nil || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			return a, err
		}
	}
	l, err := c.open(ctx, h)
	if err != nil {
		return answer{}, &noLinkError{err}
	}
	c.reachable()
	return c.callLink(ctx, l, r, now)
}

func (c *Client) callLink(ctx context.Context, l *link, r request, now func() time.Time) (answer, error) {
	authorization, err := c.signer.authorization(r, now())
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.queryTimeout)
	defer cancel()
	return c.exchange(ctx, l, r, authorization)
}

// exchange sends r on l, writes the debug line, and puts l back for the next call.
func (c *Client) exchange(ctx context.Context, l *link, r request, authorization string) (answer, error) {
	sent := c.clock.pc()
	a, err := l.exchange(ctx, r.wire(l.host.name, c.agent, authorization))
	a.sentAt, a.gotAt = sent, c.clock.pc()
	line := c.log.Debug().Str("call", r.call).Str("out_trade_no", r.about).Str("host", l.host.name).
		Int64("elapsed_ms", a.gotAt.Sub(sent).Milliseconds())
	if err != nil {
		line.Err(err).Msg("wire")
		return a, err
	}
	c.answered()
	line.Int("status", a.status).Str("request_id", requestID(a)).Int("bytes", len(a.body)).Msg("wire")
	if l.alive() {
		c.idle.put(l)
	}
	return a, nil
}

const requestIDMax = 64

// wire returns the whole HTTP request: one Write.
func (r request) wire(hostName, agent, authorization string) []byte {
	b := make([]byte, 0, 320+len(r.target)+len(authorization)+len(r.body))
	b = append(append(append(b, r.method...), ' '), r.target...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), hostName...)
	b = append(append(b, "\r\nUser-Agent: "...), agent...)
	b = append(b, "\r\nAccept: application/json\r\nContent-Type: application/json\r\nAuthorization: "...)
	b = append(b, authorization...)
	if r.method != http.MethodGet {
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(r.body)), 10)
	}
	return append(append(b, "\r\n\r\n"...), r.body...)
}
