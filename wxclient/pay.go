package wxclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"posagent/payflow"
)

const payTarget = "/v3/global/micropay/transactions/pay"

// Pay makes one micropay order (Quick Pay, submit payment). It signs and connects at once, and sends when leave is
// closed: the record is then on disk. If ctx ends first, nothing was sent, and the error says so.
//
// Outcomes: NotSent (no byte was written under TLS on any host; Reason and Text say why), Found, Refused, Collision. An
// error is always a *payflow.LostError: the order may have arrived. One call makes at most one whole arrival: the next
// host is tried only while nothing was written, and nothing is ever sent again.
func (c *Client) Pay(ctx context.Context, o payflow.Order, code payflow.AuthCode, leave <-chan struct{}) (payflow.Outcome, error) {
	o.Merchant = c.merchantOf(o)
	way := c.newWay(ctx)
	defer way.end()
	r, err := c.payRequest(o, code)
	if err != nil {
		return payflow.Outcome{Kind: payflow.NotSent, Reason: payflow.ReasonConfiguration, Text: err.Error()}, nil
	}
	authorization, err := c.signer.authorization(r, c.clock.Now())
	if err != nil {
		return payflow.Outcome{Kind: payflow.NotSent, Reason: payflow.ReasonConfiguration, Text: err.Error()}, nil
	}
	select {
	case <-leave:
	case <-ctx.Done():
		return payflow.Outcome{}, lost(payflow.ReasonTimeout, fmt.Errorf("pay %s: nothing was sent: %w", o.OutTradeNo, ctx.Err()))
	}
	a, err := way.send(ctx, r, authorization)
	if unsent := (*notWrittenError)(nil); errors.As(err, &unsent) {
		return payflow.Outcome{Kind: payflow.NotSent, Reason: notSentReason(err), Text: cut(unsent.err.Error(), textMax)}, nil
	}
	if err != nil {
		return payflow.Outcome{}, lostCall("pay", o, err)
	}
	outcome, err := payOutcome(o, a)
	return c.believe(ctx, "pay", o, a, outcome, err)
}

func (c *Client) payRequest(o payflow.Order, code payflow.AuthCode) (request, error) {
	if code.IsZero() {
		return request{}, errors.New("there is no payment code")
	}
	body, err := c.payBody(o, code)
	return request{call: "pay", about: string(o.OutTradeNo), method: http.MethodPost, target: payTarget, body: body}, err
}

func notSentReason(err error) payflow.Reason {
	if words := (*explainedError)(nil); errors.As(err, &words) && words.clock {
		return payflow.ReasonClock
	}
	return payflow.ReasonNoNetwork
}

// way is how one pay call finds its connection: the warm one, else one that waits, else a new one that is opened while
// the call is signed and its record written. Connecting takes 3 s a host and 6 s in all.
type way struct {
	c       *Client
	ctx     context.Context // ends with the 6 s
	cancel  context.CancelFunc
	link    *link
	dialled chan dialled // nil when nothing is being opened
	line    []*host      // what may still be dialled
}

type dialled struct {
	link *link
	line []*host // the hosts that were not tried
	err  error
}

func (c *Client) newWay(ctx context.Context) *way {
	w := &way{c: c, line: c.hosts.order()}
	w.ctx, w.cancel = context.WithTimeout(ctx, connectLimitAll)
	if w.link = c.warm.take(); w.link == nil {
		w.link = c.idle.take(w.line[0])
	}
	if w.link == nil {
		w.dialled = make(chan dialled, 1)
		go func(line []*host) { w.dialled <- w.dial(line) }(w.line)
	}
	return w
}

func (w *way) dial(line []*host) dialled {
	l, err := w.c.connect(w.ctx, line)
	if err != nil {
		return dialled{err: err}
	}
	for i, h := range line {
		if h == l.host {
			line = line[i+1:]
			break
		}
	}
	return dialled{link: l, line: line}
}

// next returns a connection on which nothing was written yet.
func (w *way) next() (*link, error) {
	if l := w.link; l != nil {
		w.link = nil
		return l, nil
	}
	got := dialled{err: errors.New("no host is left to try")}
	switch {
	case w.dialled != nil:
		got = <-w.dialled
		w.dialled = nil
	case len(w.line) > 0:
		got = w.dial(w.line)
	}
	w.line = got.line
	return got.link, got.err
}

// send writes the call on the first connection that takes a byte of it, and waits for the answer on that one alone.
func (w *way) send(ctx context.Context, r request, authorization string) (answer, error) {
	for {
		l, err := w.next()
		if err != nil {
			return answer{}, &notWrittenError{err}
		}
		limitUnanswered(l.conn.Conn, w.c.payTimeout)
		a, err := w.once(ctx, l, r, authorization)
		if err == nil || !errors.As(err, new(*notWrittenError)) {
			if err != nil {
				w.c.hosts.bad(l.host, time.Now())
			}
			return a, err
		}
	}
}

func (w *way) once(ctx context.Context, l *link, r request, authorization string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, w.c.payTimeout)
	defer cancel()
	return w.c.exchange(ctx, l, r, authorization)
}

// end gives back a connection that was not used.
func (w *way) end() {
	w.cancel()
	if w.dialled != nil {
		w.link = (<-w.dialled).link
	}
	if w.link != nil {
		w.c.idle.put(w.link)
	}
}
