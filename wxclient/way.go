package wxclient

import (
	"context"
	"errors"
	"time"

	"posagent/payflow"
)

// notSent is the certainty that nothing of a pay call has left, with the reason in words.
func notSent(unsent *notWrittenError) payflow.Outcome {
	return payflow.Outcome{Kind: payflow.NotSent, Reason: notSentReason(unsent), Text: cut(unsent.err.Error(), textMax)}
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
	c       *line
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

func (c *line) newWay(ctx context.Context) *way {
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
func (w *way) send(ctx context.Context, o outgoing) (answer, error) {
	for {
		l, err := w.next()
		if err != nil {
			return answer{}, &notWrittenError{err}
		}
		limitUnanswered(l.conn.Conn, w.c.payTimeout)
		a, err := w.once(ctx, l, o)
		if err == nil || !errors.As(err, new(*notWrittenError)) {
			if err != nil {
				w.c.hosts.bad(l.host, time.Now())
			}
			return a, err
		}
	}
}

func (w *way) once(ctx context.Context, l *link, o outgoing) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, w.c.payTimeout)
	defer cancel()
	return w.c.exchange(ctx, l, o)
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
