package wxsim

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Notify says how notifications leave the simulator. The zero value sends those of refunds that name a notify_url on this machine.
type Notify struct {
	// Dial opens the connections, to any host; nil: only to loopback, with the machine's own network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Through is where every notification goes, whatever host its URL names, as a shop's reverse proxy would pass it on: scheme, host
	// and port, such as http://127.0.0.1:7081. "": to the URL itself.
	Through string
	Roots   *x509.CertPool // to trust where the target is https; nil: the system's
	// Payments is the URL that gets a notification of each payment. "": none, as with Quick Pay in truth.
	Payments string
}

const (
	noticeWait   = 5 * time.Second // for the merchant's answer
	noticesMax   = 10_000          // kept in the books, and on their way at once
	noticeAnswer = 4 << 10         // bytes of an answer that are read
)

// NotifySchedule are the waits after an attempt that was not taken (notification of refund result: 24 h 4 min in all).
func NotifySchedule() []time.Duration {
	const s, m, h = time.Second, time.Minute, time.Hour
	return []time.Duration{15 * s, 15 * s, 30 * s, 3 * m, 10 * m, 20 * m, 30 * m, 30 * m, 30 * m, 60 * m, 3 * h, 3 * h, 3 * h, 6 * h, 6 * h}
}

// postman carries notifications. It ends with the simulator.
type postman struct {
	client *http.Client
	ctx    context.Context // over when the simulator closes
	leave  context.CancelFunc
}

func newPostman(n Notify) *postman {
	p := &postman{}
	p.ctx, p.leave = context.WithCancel(context.Background())
	p.client = &http.Client{Timeout: noticeWait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: n.Dial, TLSClientConfig: &tls.Config{RootCAs: n.Roots, Time: time.Now}, DisableKeepAlives: true}}
	return p
}

// notifyRefund sends a notification once a refund has ended. The caller holds s.mu.
func (s *Sim) notifyRefund(r *refund) {
	if r.notify == "" {
		return
	}
	s.carry(func() {
		if !s.network.wait(time.Until(r.due)) {
			return
		}
		s.mu.Lock()
		r.order.settle(time.Now())
		n, err := r.compose(s, r)
		s.mu.Unlock()
		if err == nil {
			s.deliver(n)
		}
	})
}

// notifyPayment sends a notification once an order is paid, if it ever is. The caller holds s.mu.
func (s *Sim) notifyPayment(o *order) {
	if s.notify.Payments == "" {
		return
	}
	var paid *notice // made now, while the order says so: a refund may follow at once
	if o.state == Success {
		paid, _ = s.noticeOfPayment(o)
	}
	s.carry(func() {
		if paid != nil {
			s.deliver(paid)
			return
		}
		for {
			n, next := s.paidNow(o)
			if n != nil {
				s.deliver(n)
			}
			if next.IsZero() || !s.network.wait(time.Until(next)) {
				return
			}
		}
	})
}

// paidNow returns the notification of an order that is paid, or when to look again; neither, where it will not be paid any more.
func (s *Sim) paidNow(o *order) (*notice, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.settle(time.Now())
	switch {
	case o.state == Success:
		n, _ := s.noticeOfPayment(o)
		return n, time.Time{}
	case o.state.unpaid() && len(o.plan) > 0:
		return nil, o.plan[0].at
	}
	return nil, time.Time{}
}

// carry runs f beside everything else, until the simulator closes at the latest. Beyond so many at once it is left out. The caller
// holds s.mu.
func (s *Sim) carry(f func()) {
	if s.carriers >= noticesMax {
		return
	}
	s.carriers++
	s.network.run(func() {
		f()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.carriers--
	})
}

// deliver sends a notification until it is taken or the schedule is at its end.
func (s *Sim) deliver(n *notice) {
	if !s.keepNotice(n) {
		return
	}
	for _, wait := range append([]time.Duration{0}, NotifySchedule()...) {
		s.mu.Lock()
		faster, twice := s.behaviour.NotifyFaster, s.behaviour.NotifyTwice
		s.mu.Unlock()
		if !s.network.wait(time.Duration(float64(wait) / faster)) {
			return
		}
		taken := s.post(n)
		if taken && twice {
			s.post(n)
		}
		if taken {
			return
		}
	}
}

// keepNotice writes a notification into the books, unless they are full.
func (s *Sim) keepNotice(n *notice) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.notices) >= noticesMax {
		return false
	}
	s.notices = append(s.notices, n)
	return true
}

// post sends a notification once, and reports whether it was taken.
func (s *Sim) post(n *notice) bool {
	s.mu.Lock()
	f := s.takeFault(func(f *Fault) bool { return f.On == Notice && (f.Order == "" || f.Order == n.Number) })
	s.mu.Unlock()
	attempt, answer := s.attempt(n, f)
	taken := attempt.Error == "" && n.taken(attempt.Status, answer)
	s.mu.Lock()
	defer s.mu.Unlock()
	n.Attempts = append(n.Attempts, attempt)
	n.Taken = n.Taken || taken
	return taken
}

func (s *Sim) attempt(n *notice, f *Fault) (NoticeAttempt, []byte) {
	a := NoticeAttempt{At: time.Now()}
	request, err := s.noticeRequest(n, f)
	if err != nil {
		a.Error = err.Error()
		return a, nil
	}
	a.Serial = request.Header.Get("Wechatpay-Serial")
	status, answer, err := s.postman.send(request)
	switch {
	case err != nil:
		a.Error = err.Error()
	case f.is(DropAnswer):
		a.Error = "the answer is lost"
	default:
		a.Status = status
	}
	return a, answer
}

func (p *postman) send(request *http.Request) (int, []byte, error) {
	response, err := p.client.Do(request.WithContext(p.ctx))
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, noticeAnswer))
	return response.StatusCode, body, err
}

// noticeRequest signs a notification anew, as an answer is signed, and lets a fault spoil it.
func (s *Sim) noticeRequest(n *notice, f *Fault) (*http.Request, error) {
	target, err := s.target(n.to)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if f.is(Rollover) {
		s.rollOver()
	}
	by, behaviour := s.noticeSigner(), s.behaviour
	s.mu.Unlock()
	r := reply{status: http.StatusOK, body: n.body, header: http.Header{"Content-Type": {n.contentType}}, bare: n.unsigned}
	if n.unsigned && f.is(Forged, UnknownSerial) {
		r.body = n.forged
	}
	now := s.clockNow()
	r.finish(behaviour, now)
	r = f.dress(r)
	if !r.bare {
		r.seal(s.sealer(&visit{fault: f}, by), f.sealTime(now))
	}
	r = f.spoil(r, by, now)
	request, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	request.Header = r.header
	request.Header.Set("User-Agent", "Mozilla/4.0")
	request.Header.Set("Accept", "*/*")
	request.Host = hostOf(n.to)
	return request, nil
}

// target is where a notification for an URL goes.
func (s *Sim) target(to string) (string, error) {
	u, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	if s.notify.Through != "" {
		through, err := url.Parse(s.notify.Through)
		if err != nil {
			return "", err
		}
		u.Scheme, u.Host = through.Scheme, through.Host
	}
	if s.notify.Dial == nil && !isLoopback(u.Hostname()) {
		return "", fmt.Errorf("not sent: %s is not on this machine; see Notify", u.Host)
	}
	return u.String(), nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func hostOf(to string) string {
	u, err := url.Parse(to)
	if err != nil {
		return ""
	}
	return u.Host
}

// Probe sends a merchant the traffic that WeChat Pay probes with: a notification whose signature begins WECHATPAY/SIGNTEST/. Whoever
// verifies answers it with a failure. It returns the status that came back.
func (s *Sim) Probe(to string) (status int, err error) {
	s.mu.Lock()
	n, err := s.newNotice(&order{orderKey: orderKey{merchant: s.first.MerchantID}, account: s.first}, to, "REFUND.SUCCESS", "退款成功", "refund", map[string]any{})
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	request, err := s.noticeRequest(n, &Fault{Kind: Probe})
	if err != nil {
		return 0, err
	}
	status, _, err = s.postman.send(request)
	return status, err
}

func (s *Sim) noticeBooks() []NoticeBook {
	var all []NoticeBook
	for _, n := range s.notices {
		book := n.NoticeBook
		book.Attempts = slices.Clone(n.Attempts)
		all = append(all, book)
	}
	return all
}
