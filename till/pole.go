package till

import (
	"context"
	"crypto/rand"
	"io"
	"slices"
	"sync"
	"time"

	"posagent/payflow"
)

// The usual waits of a pole display's tap.
const (
	poleSettle = 400 * time.Millisecond
	poleFresh  = time.Minute
)

// PoleConfig is how a pole display is read. Zero values serve, but for the rule's currency, which is the server's where it is left out.
type PoleConfig struct {
	Protocol string // one of PoleProtocols; "": text
	Columns  int    // of a display with a cursor; 0: 20
	Encoding string // utf-8, gbk, big5; "": utf-8
	Rule     PoleRule
	Settle   time.Duration // a total that stood unchanged for so long is one; 0: 400 ms
	Fresh    time.Duration // one that stood longer is offered no more; 0: one minute
}

// PoleOffer is a total of the old till that the cashier may take: by Enter on the page, or by scanning the customer's code.
type PoleOffer struct {
	Key    string         // of this offer, and of no other
	Amount payflow.Amount // at most the rule's Most
	At     time.Time      // when the display had settled
	Until  time.Time      // it is offered no longer
}

// Pole reads what an old till shows on its customer display, finds the total, and arms it where the cashier wishes. Nothing is ever
// written to the display's line.
//
// A total is offered once it has stood for Settle, and until the display changes, Fresh is over, it was taken, or any payment of this till
// has ended: what stood there before that end is the old sale's. A total that was taken or let go is offered again only after the display
// has shown something else. Where the total changes while its payment waits for a code, that is cancelled and the new total is armed;
// once a code was scanned nothing is touched.
type Pole struct {
	s      *Server
	cfg    PoleConfig
	finder *poleFinder
	decode func([]byte) string

	arming sync.Mutex // held while a payment is armed, or armed anew: one wish at a time

	mu      sync.Mutex // guards what is below
	screen  *poleScreen
	text    string // on the display
	changed time.Time
	settled bool
	total   poleTotal // on the settled display; zero: none
	offer   *PoleOffer
	spent   payflow.Amount     // was taken or let go, and still stands there
	armed   payflow.OutTradeNo // what was armed by the last offer; "": none
	asked   chan struct{}      // closed and replaced at each change of the offer
}

// NewPole makes the tap of a server's till. Serve reads the line. An error is a fault of the rule.
func (s *Server) NewPole(cfg PoleConfig) (*Pole, error) {
	if cfg.Rule.Currency == "" {
		cfg.Rule.Currency = s.cfg.Currency
	}
	p, err := newPole(cfg)
	if err != nil {
		return nil, err
	}
	p.s = s
	s.pole = p
	return p, nil
}

func newPole(cfg PoleConfig) (*Pole, error) {
	cfg.Protocol = orText(cfg.Protocol, "text")
	if cfg.Columns == 0 {
		cfg.Columns = 20
	}
	if cfg.Settle == 0 {
		cfg.Settle = poleSettle
	}
	if cfg.Fresh == 0 {
		cfg.Fresh = poleFresh
	}
	finder, err := newPoleFinder(cfg.Rule)
	return &Pole{cfg: cfg, finder: finder, decode: poleDecoder(cfg.Encoding), screen: newPoleScreen(cfg.Protocol, cfg.Columns), asked: make(chan struct{})}, err
}

func orText(text, usual string) string {
	if text == "" {
		return usual
	}
	return text
}

// hear takes what a line gives until it fails, and tells why it did.
func (p *Pole) hear(line io.Reader) <-chan error {
	failed := make(chan error, 1)
	go func() {
		buf := make([]byte, 256)
		for {
			n, err := line.Read(buf)
			p.take(buf[:n], time.Now())
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	return failed
}

// Serve reads the display's line until it fails or ctx ends; the caller closes it then, which ends the read. The error says why it failed.
func (p *Pole) Serve(ctx context.Context, line io.Reader) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := p.hear(line)
	tick := time.NewTicker(max(p.cfg.Settle/8, 10*time.Millisecond))
	defer tick.Stop()
	defer p.letGo() // a line that is away shows no total
	for {
		select {
		case <-tick.C:
			p.look(ctx, time.Now())
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// Watch lets go of what stands on the display whenever a payment of this till ends, until ctx ends.
func (p *Pole) Watch(ctx context.Context) {
	for ctx.Err() == nil {
		for a := range p.s.cfg.Desk.Subscribe(ctx) {
			if a.Refund == nil && a.Entry.Status.Final() {
				p.paymentEnded(a.Entry)
			}
		}
		p.letGo() // an end may have been missed
	}
}

func (p *Pole) paymentEnded(e payflow.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed == e.OutTradeNo {
		p.armed = ""
	} else if !e.Acknowledged.At.IsZero() {
		return // an old payment was answered
	}
	p.drop()
}

func (p *Pole) letGo() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

// drop lets go of the total that stands there. A new one must come first. p.mu is held.
func (p *Pole) drop() {
	p.spent = p.total.amount
	if p.spent == (payflow.Amount{}) && !p.settled {
		if total, ok := p.finder.find(p.text); ok {
			p.spent = total.amount
		}
	}
	p.setOffer(nil)
}

func (p *Pole) setOffer(o *PoleOffer) {
	if p.offer == nil && o == nil {
		return
	}
	p.offer = o
	close(p.asked)
	p.asked = make(chan struct{})
}

// take follows what the till has sent. An offer is withdrawn by the first byte that changes the display.
func (p *Pole) take(b []byte, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.screen.feed(b)
	text := p.screen.text(p.decode)
	if text == p.text {
		return
	}
	p.text, p.changed, p.settled, p.total = text, at, false, poleTotal{}
	p.setOffer(nil)
}

// look finds out what the display shows once it has settled, and lets the armed payment follow.
func (p *Pole) look(ctx context.Context, at time.Time) {
	ctx = byWay(ctx, "pole display")
	if !p.settle(at) {
		return
	}
	p.arming.Lock()
	defer p.arming.Unlock()
	p.mu.Lock()
	armed, offer := p.armed, p.offer
	p.mu.Unlock()
	if armed == "" {
		return
	}
	e, err := p.s.cfg.Desk.Payment(armed)
	if err != nil || e.Status != payflow.Waiting || offer != nil && offer.Amount == e.Amount {
		return
	}
	if e, err = p.s.cfg.Desk.Cancel(ctx, armed, ""); err != nil || e.Status != payflow.Cancelled || offer == nil {
		return
	}
	_, _ = p.arm(ctx, *offer, e.Operator) // a refusal is shown where the total is taken again
}

// settle reports that the display has settled since the last look, and makes an offer of a new total.
func (p *Pole) settle(at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.offer != nil && at.After(p.offer.Until) {
		p.drop()
	}
	if p.settled || at.Sub(p.changed) < p.cfg.Settle {
		return false
	}
	p.settled = true
	total, found := p.finder.find(p.text)
	p.total = total
	switch {
	case !found:
		p.spent = payflow.Amount{} // something else stands there: the next total is a new one
	case total.amount != p.spent:
		p.spent = payflow.Amount{}
		p.setOffer(&PoleOffer{Key: poleKey(at, total.receipt), Amount: total.amount, At: at, Until: at.Add(p.cfg.Fresh)})
	}
	return true
}

// poleKey names an offer: by the till's own number of the sale on that day, or by the time and a word drawn for it.
func poleKey(at time.Time, receipt string) string {
	if receipt != "" {
		return "POLE-" + at.Format("20060102") + "-" + receipt
	}
	return "POLE-" + at.Format("20060102-150405") + "-" + rand.Text()[:6]
}

// Offer returns the total that may be taken now.
func (p *Pole) Offer(at time.Time) (PoleOffer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.offer == nil || at.After(p.offer.Until) {
		return PoleOffer{}, false
	}
	return *p.offer, true
}

// Arm arms the total of an offer for an operator, or says that it is offered no more.
func (p *Pole) Arm(ctx context.Context, key, operator string) (payflow.Entry, error) {
	p.arming.Lock()
	defer p.arming.Unlock()
	offer, ok := p.Offer(p.s.now())
	if !ok || offer.Key != key {
		return payflow.Entry{}, newProblem(NoTotal, "")
	}
	return p.arm(ctx, offer, operator)
}

// ArmForScan arms the total that is offered, where nothing holds the till and no result waits for its answer on the page: scanning the
// customer's code is the cashier's wish. Where a cashier must have signed in to sell, a scan says nothing of who it was: then the page
// arms. It reports whether it did.
func (p *Pole) ArmForScan(ctx context.Context) bool {
	p.arming.Lock()
	defer p.arming.Unlock()
	if _, holds := p.s.cfg.Desk.Holding(); holds {
		return false
	}
	offer, ok := p.Offer(p.s.now())
	if !ok || p.resultWaits() || p.s.signIns.mustSignInToSell() {
		return false
	}
	_, err := p.arm(byWay(ctx, "pole display"), offer, "")
	return err == nil
}

// resultWaits reports a result that a cashier has yet to answer: until then the page takes no new amount, and a scan must not slip past it.
// One that was never sent has nothing to be answered.
func (p *Pole) resultWaits() bool {
	untold, err := p.s.cfg.Desk.Unannounced()
	return err != nil || slices.ContainsFunc(untold, func(e payflow.Entry) bool { return e.Status != payflow.Cancelled })
}

// arm arms an offer and lets go of it. p.arming is held. The key makes one payment of it, however often it is wished.
func (p *Pole) arm(ctx context.Context, o PoleOffer, operator string) (payflow.Entry, error) {
	e, err := p.s.cfg.Desk.Arm(ctx, payflow.ArmRequest{Amount: o.Amount, SaleRef: payflow.SaleRef(o.Key), IdempotencyKey: o.Key, Operator: operator})
	if err != nil {
		return e, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = e.OutTradeNo
	p.drop()
	return e, nil
}

// PoleLook is what a tap sees, for whoever sets one up.
type PoleLook struct {
	Text  string // on the display, a line for each row
	Total string // the total as a person reads it; "": none is found
}

// PoleWatch follows a line outside the daemon: tell is told each display that has settled, until the line fails or ctx ends.
func PoleWatch(ctx context.Context, cfg PoleConfig, line io.Reader, tell func(PoleLook)) error {
	p, err := newPole(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := p.hear(line)
	tick := time.NewTicker(max(p.cfg.Settle/8, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
		if p.settle(time.Now()) {
			look := PoleLook{Text: p.text}
			if total, ok := p.finder.find(p.text); ok {
				look.Total = total.amount.String()
			}
			tell(look)
		}
	}
}
