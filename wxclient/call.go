package wxclient

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

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
	return c.ask(ctx, c.signed(r, now))
}

// callHost makes the call on one host.
func (c *Client) callHost(ctx context.Context, h *host, r request, now func() time.Time) (answer, error) {
	return c.askHost(ctx, h, c.signed(r, now))
}

// signed is r as it goes out: signed anew for each connection, by that clock.
func (c *Client) signed(r request, now func() time.Time) outgoing {
	r.header += c.keyHeader
	return outgoing{call: r.call, about: r.about, wire: func(hostName string) ([]byte, error) {
		authorization, err := orElse(r.by, c.signers.now()).authorization(r, now())
		if err != nil {
			return nil, err
		}
		return r.wire(hostName, c.agent, authorization), nil
	}}
}

const requestIDMax = 64

// wire returns the whole HTTP request: one Write.
func (r request) wire(hostName, agent, authorization string) []byte {
	b := make([]byte, 0, 320+len(r.target)+len(authorization)+len(r.body))
	b = append(append(append(b, r.method...), ' '), r.target...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), hostName...)
	b = append(append(b, "\r\nUser-Agent: "...), agent...)
	b = append(b, "\r\nAccept: application/json\r\nContent-Type: application/json\r\nAuthorization: "...)
	b = append(append(b, authorization...), r.header...)
	if r.method != http.MethodGet {
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(r.body)), 10)
	}
	return append(append(b, "\r\n\r\n"...), r.body...)
}

// postWire returns the whole HTTP request of a POST that carries its signature in its body.
func postWire(target, hostName, agent, contentType string, body []byte) []byte {
	b := make([]byte, 0, 200+len(target)+len(body))
	b = append(append(append(b, "POST "...), target...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, hostName...), "\r\nUser-Agent: "...)
	b = append(append(b, agent...), "\r\nContent-Type: "...)
	b = append(append(b, contentType...), "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	return append(append(b, "\r\n\r\n"...), body...)
}
