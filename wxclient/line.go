package wxclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"posagent/payflow"
)

// Bounds and defaults of a line.
const (
	defaultPayTimeout   = 15 * time.Second / payflow.Pace // slow pay answers of several seconds are normal: WeChat tries the customer's cards in turn
	defaultQueryTimeout = 5 * time.Second / payflow.Pace
	hostsMax            = 8
)

// LineConfig says which hosts a Line leads to, and how. The fields that Config has too mean the same here.
type LineConfig struct {
	Hosts        []string // required
	RootCAs      *x509.CertPool
	Proxy        string
	PayTimeout   time.Duration
	QueryTimeout time.Duration
	Version      string
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error)
	Now          func() time.Time
	Log          zerolog.Logger
	OnCondition  func(Condition)
	// Certificate returns the merchant's certificate for the connections on which WeChat Pay demands it. It is asked at
	// each handshake, so that a new one is taken without a restart. Nil: no call is Mutual.
	Certificate func() (*tls.Certificate, error)
	// Probe returns a small call that costs nothing, to be asked of a gateway to see that it answers. Required.
	Probe func() Call
}

// Line is the way to WeChat Pay's gateways for a client of another API than v3 (package v2): hosts and fail-over, verified
// TLS, one warm connection while a payment is armed, at most one whole arrival of a pay call, and what a person is told
// when any of that fails. It signs nothing and believes nothing. It is safe for use by several goroutines. Close ends it.
type Line struct{ line *line }

// NewLine checks the configuration and returns a line that has called nobody yet. An error says which field is wrong and
// what to write instead.
func NewLine(config LineConfig) (*Line, error) {
	if config.Probe == nil {
		return nil, errors.New("a line needs a call to probe a gateway with")
	}
	l, err := newLine(config)
	if err != nil {
		return nil, err
	}
	l.probing = func() outgoing { return config.Probe().outgoing(l.agent) }
	return &Line{l}, nil
}

// Call is one HTTP POST to be made.
type Call struct {
	Name        string // what we are doing, for errors and the log: "pay", "query"
	About       string // the order number, or empty
	Target      string // the path
	ContentType string
	Mutual      bool // the gateway demands the merchant's certificate: on a connection of its own kind
	// Body returns the body. It is asked anew for each connection, because each call carries a signature of its own.
	Body func() ([]byte, error)
}

// Answer is what came back, not verified yet. Its body has at most 1 MiB.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Host   string // as it stands in the Host header

	whole answer
}

// Ask makes a call that may be made twice (query, reverse, refund): on a failure, or a 5xx, the next host is asked at
// once. It returns the last host's answer or error; see LostCall for the error.
func (l *Line) Ask(ctx context.Context, call Call) (Answer, error) {
	a, err := l.line.ask(ctx, call.outgoing(l.line.agent))
	return a.public(), err
}

// Download makes a call whose answer may be too large to hold. The body of a 200 is given to take as it comes, unpacked where it was
// packed on the way, and bounded; every other answer is returned whole. It has a connection of its own. Where a connection fails or
// the answer is a 5xx, the next host is asked, and take is called anew; what take itself refuses is returned.
func (l *Line) Download(ctx context.Context, call Call, take func(a Answer, plain io.Reader) error) (Answer, error) {
	a, err := l.line.download(ctx, call.outgoing(l.line.agent), func(a answer, plain io.Reader) error { return take(a.public(), plain) })
	return a.public(), err
}

// Way begins one pay call: it looks for a connection at once, while the call is signed and its record written. End it.
func (l *Line) Way(ctx context.Context) *Way { return &Way{l.line.newWay(ctx)} }

// Way is how one pay call finds its connection. It serves one call.
type Way struct{ way *way }

// Send writes the call on the first connection that takes a byte of it, and waits for the answer on that one alone. The
// next host is tried only while nothing was written; see NotSent for the error.
func (w *Way) Send(ctx context.Context, call Call) (Answer, error) {
	a, err := w.way.send(ctx, call.outgoing(w.way.c.agent))
	return a.public(), err
}

// End gives back a connection that was not used.
func (w *Way) End() { w.way.end() }

// NotSent reports whether an error of Way.Send means that no byte of the call was written under TLS on any host, and
// returns the outcome that says so.
func NotSent(err error) (payflow.Outcome, bool) {
	unsent := (*notWrittenError)(nil)
	if !errors.As(err, &unsent) {
		return payflow.Outcome{}, false
	}
	return notSent(unsent), true
}

// LostCall turns an error of Ask or Send into the *payflow.LostError that names why the call brought no answer.
func LostCall(call string, o payflow.Order, err error) error { return lostCall(call, o, err) }

// Recheck makes the probe call on each host that was set aside and whose pause is over. It stays aside unless good says
// nil of its answer.
func (l *Line) Recheck(ctx context.Context, good func(Answer) error) {
	for _, h := range l.line.hosts.due(time.Now()) {
		a, err := l.line.askHost(ctx, h, l.line.probing())
		if err == nil {
			err = good(a.public())
		}
		if err != nil {
			l.line.hosts.bad(h, time.Now())
		} else {
			l.line.hosts.good(h)
		}
	}
}

// Accept notes that an answer was verified: its host is good, and the first round trip is made.
func (l *Line) Accept(a Answer) {
	l.line.hosts.good(a.whole.host)
	l.line.noteVerified()
}

// CompareClock compares the PC's clock with the Date header of a verified answer: for State and for the condition ClockOff, and
// for nothing else. No time that is not signed corrects ours.
func (l *Line) CompareClock(a Answer) { l.line.clock.compare(a.whole) }

// Begin tells a condition unless it stands already as it is; Over tells its end, if it stood.
func (l *Line) Begin(c Condition) { l.line.conditions.begin(c) }

// Over tells that a condition has ended, if it stood.
func (l *Line) Over(kind ConditionKind) { l.line.conditions.over(kind) }

// KeepWarm says whether a payment is armed; see Client.KeepWarm.
func (l *Line) KeepWarm(on bool) { l.line.KeepWarm(on) }

// Warm makes sure now that a connection is ready for the next pay call; see Client.Warm.
func (l *Line) Warm(ctx context.Context) error { return l.line.Warm(ctx) }

// CloseMutual closes the connections that showed the merchant's certificate and wait for a next call: another one is to be shown.
func (l *Line) CloseMutual() {
	if l.line.mutual != nil {
		l.line.mutual.idle.closeAll()
	}
}

// RunWarm keeps the warm connection until ctx or the line ends: it is to run beside everything else.
func (l *Line) RunWarm(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.line.life, cancel)()
	l.line.keepWarm(ctx)
}

// State returns what is known of the connection now; it names no platform certificates.
func (l *Line) State() State { return l.line.state() }

// Now returns the PC's time, or the corrected one where a signed time has corrected it.
func (l *Line) Now() time.Time { return l.line.Now() }

// Life is a context that ends with Close.
func (l *Line) Life() context.Context { return l.line.life }

// Close ends every connection and every call in flight.
func (l *Line) Close() { l.line.shutDown() }

func (c Call) outgoing(agent string) outgoing {
	return outgoing{call: c.Name, about: c.About, mutual: c.Mutual, wire: func(hostName string) ([]byte, error) {
		body, err := c.Body()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		return postWire(c.Target, hostName, agent, c.ContentType, body), nil
	}}
}

func (a answer) public() Answer {
	return Answer{Status: a.status, Header: a.header, Body: a.body, Host: nameOf(a.host), whole: a}
}

// outgoing is one call as a line sends it.
type outgoing struct {
	call, about string
	mutual      bool
	wire        func(hostName string) ([]byte, error) // the whole HTTP request: one Write
}

// noLinkError says that no host could be connected to; nothing was sent.
type noLinkError struct{ err error }

func (e *noLinkError) Error() string { return e.err.Error() }
func (e *noLinkError) Unwrap() error { return e.err }

// line is what every client holds: the hosts, the connections to them, and what is known of both.
type line struct {
	agent        string
	payTimeout   time.Duration
	queryTimeout time.Duration
	log          zerolog.Logger

	dialer     dialer
	hosts      *hosts
	idle       idleLinks
	mutual     *mutual // nil: no call is mutual
	warm       warmth
	clock      clock
	conditions conditions
	probing    func() outgoing // what is asked to see that a gateway answers

	life         context.Context // ends with Close
	end          context.CancelFunc
	lastVerified atomic.Int64 // unix nanoseconds of the PC's clock; 0: never
}

// mutual is how the calls go on which the gateway demands the merchant's certificate. Their connections are never used for
// another call, and no other's for them.
type mutual struct {
	dialer dialer
	idle   idleLinks
}

func newLine(config LineConfig) (*line, error) {
	if len(config.Hosts) == 0 || len(config.Hosts) > hostsMax {
		return nil, fmt.Errorf("hosts: %d are given; write 1 to %d, such as \"https://apihk.mch.weixin.qq.com\"", len(config.Hosts), hostsMax)
	}
	all, err := parseHosts(config.Hosts)
	if err != nil {
		return nil, err
	}
	now := config.Now
	if now == nil {
		now = time.Now
	}
	l := &line{
		agent:        "posagent/" + orElse(config.Version, "dev"),
		payTimeout:   orElse(config.PayTimeout, defaultPayTimeout),
		queryTimeout: orElse(config.QueryTimeout, defaultQueryTimeout),
		log:          config.Log,
		hosts:        &hosts{all: all},
	}
	l.life, l.end = context.WithCancel(context.Background())
	l.conditions.tell = config.OnCondition
	l.clock = clock{pc: now, conditions: &l.conditions}
	l.warm.wake = make(chan struct{}, 1)
	if l.dialer, err = newDialer(config, &l.clock); err != nil {
		return nil, err
	}
	if config.Certificate != nil {
		l.mutual = &mutual{dialer: l.dialer.showing(config.Certificate)}
	}
	return l, nil
}

func (c *line) shutDown() {
	c.end()
	c.warm.drop()
	c.idle.shutDown()
	if c.mutual != nil {
		c.mutual.idle.shutDown()
	}
}

func (c *line) state() State {
	s := State{LinkUp: c.LinkUp(), Verified: c.Verified()}
	s.Host, s.HostsAside = c.hosts.state(time.Now())
	s.ClockOffset, s.ClockKnown, s.ClockCorrected = c.clock.state()
	if at := c.lastVerified.Load(); at != 0 {
		s.LastVerified = time.Unix(0, at)
	}
	return s
}

// Now returns the time by the corrected clock: the PC's, or WeChat Pay's where the PC's is off by 240 s or more.
func (c *line) Now() time.Time { return c.clock.Now() }

// Verified reports that one answer has been verified since the client was made. No payment is armed before (rule 9).
func (c *line) Verified() bool { return c.lastVerified.Load() != 0 }

func (c *line) noteVerified() {
	first := c.lastVerified.Swap(c.clock.pc().UnixNano()) == 0
	if first {
		c.conditions.begin(Condition{Kind: RoundTripVerified, Text: "WeChat Pay has answered, and its signature is good"})
	}
}

// ask makes a call that may be made twice: on a failure, or a 5xx, the next host is asked at once, with a signature of its
// own. It returns the last host's answer or error.
func (c *line) ask(ctx context.Context, o outgoing) (answer, error) {
	var last answer
	var failures []error
	unlinked := true
	for _, h := range c.hosts.order() {
		a, err := c.askHost(ctx, h, o)
		if err == nil && a.status < http.StatusInternalServerError {
			return a, nil
		}
		if err == nil {
			last = a
		} else {
			failures = append(failures, err)
		}
		turnedAway := o.mutual && TurnedAway(err)
		unlinked = unlinked && errors.As(err, new(*noLinkError)) && !turnedAway
		if ctx.Err() != nil {
			break
		}
		if !turnedAway { // else it is no fault of the host's
			c.hosts.bad(h, time.Now())
		}
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

// TurnedAway reports an error which says that a gateway ended the connection by a TLS alert, as it does where it does not take the
// merchant's certificate: in the handshake, or under TLS 1.3 behind it.
func TurnedAway(err error) bool {
	op := (*net.OpError)(nil)
	return errors.As(err, &op) && op.Op == "remote error"
}

// askHost makes the call on one host: on a waiting connection if there is one, and when that turns out to be dead, on a new one.
func (c *line) askHost(ctx context.Context, h *host, o outgoing) (answer, error) {
	idle, by := &c.idle, c.dialer
	if o.mutual && c.mutual == nil {
		return answer{}, errors.New(o.call + ": it needs the merchant's certificate, and none is given")
	}
	if o.mutual {
		idle, by = &c.mutual.idle, c.mutual.dialer
	}
	if l := idle.take(h); l != nil {
		if a, err := c.askLink(ctx, l, o); err == nil || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			return a, err
		}
	}
	l, err := c.openBy(ctx, h, by)
	if err != nil {
		return answer{}, &noLinkError{err}
	}
	c.reachable()
	return c.askLink(ctx, l, o)
}

func (c *line) askLink(ctx context.Context, l *link, o outgoing) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.queryTimeout)
	defer cancel()
	return c.exchange(ctx, l, o)
}

// exchange sends o on l, writes the debug line, and puts l back for the next call.
func (c *line) exchange(ctx context.Context, l *link, o outgoing) (answer, error) {
	wire, err := o.wire(l.host.name)
	if err != nil {
		l.close(errRested)
		return answer{}, &notWrittenError{err}
	}
	sent := c.clock.pc()
	a, err := l.exchange(ctx, wire)
	a.sentAt, a.gotAt = sent, c.clock.pc()
	line := c.log.Debug().Str("call", o.call).Str("out_trade_no", o.about).Str("host", l.host.name).
		Int64("elapsed_ms", a.gotAt.Sub(sent).Milliseconds())
	if err != nil {
		l.close(errRested) // one that was not even written on: nobody else would
		line.Err(err).Msg("wire")
		return a, err
	}
	c.answered()
	line.Int("status", a.status).Str("request_id", requestID(a)).Int("bytes", len(a.body)).Msg("wire")
	if l.alive() {
		c.putBack(l, o.mutual)
	}
	return a, nil
}

func (c *line) putBack(l *link, mutual bool) {
	if mutual {
		c.mutual.idle.put(l)
		return
	}
	c.idle.put(l)
}
