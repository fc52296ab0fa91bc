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
	Key    string          // of this offer, and of no other
	Sale   payflow.SaleRef // by the till's own number of the sale on that day, where the rule finds one; else the key
	Amount payflow.Amount  // at most the rule's Most
	At     time.Time       // when the display had settled
	Until  time.Time       // it is offered no longer
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
	price   payflow.Amount     // of armed
	begun   bool               // a line was read
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
	return &Pole{cfg: cfg, finder: finder, decode: poleDecoder(cfg.Encoding), screen: newPoleScreen(cfg.Protocol, cfg.Columns), settled: true, asked: make(chan struct{})}, err
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
	p.begin(time.Now())
	failed := p.hear(line)
	tick := time.NewTicker(max(p.cfg.Settle/8, 10*time.Millisecond))
	defer tick.Stop()
	defer p.letGo() // a line that is away shows no total
	for {
		select {
		case <-tick.C:
			p.look(ctx, time.Now())
		case err := <-failed:
			p.lost(byWay(ctx, "pole display"))
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// poleRemembers is how long after a payment's end, in another start, its total may still stand on the display.
const poleRemembers = time.Hour

// begin reads a line for the first time: a till that redraws its display shows the total of the last payment as if it were a new one.
func (p *Pole) begin(at time.Time) {
	last, err := p.s.cfg.Desk.Recent(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun && err == nil && len(last) == 1 && at.Sub(last[0].ArmedAt) < poleRemembers {
		p.spent = last[0].Amount
	}
	p.begun = true
}

// lost is a line that has gone: what the display shows from now on nobody knows, so that what waits for a code is cancelled, and nothing
// that comes later is put together with what stood there.
func (p *Pole) lost(ctx context.Context) {
	p.arming.Lock()
	defer p.arming.Unlock()
	p.mu.Lock()
	p.drop()
	p.screen.clear()
	p.text, p.settled, p.total = "", true, poleTotal{}
	armed := p.armed
	p.mu.Unlock()
	if e, err := p.s.cfg.Desk.Payment(armed); armed != "" && err == nil && e.Status == payflow.Waiting {
		_, _ = p.s.cfg.Desk.Cancel(ctx, armed, "") // where it fails, Stands keeps the code away
	}
}

// Stands reports that a code which comes now may pay the payment that waits for it: one that was armed from the display only while its
// total stands there. A display that is being written is waited for; a total that turns out to be another takes no code that came before.
func (p *Pole) Stands() bool {
	before, stands := p.standing()
	for end := time.Now().Add(min(2*p.cfg.Settle, poleWait)); !stands && time.Now().Before(end); {
		time.Sleep(max(p.cfg.Settle/8, 10*time.Millisecond))
		var now payflow.OutTradeNo
		if now, stands = p.standing(); now != before {
			return false
		}
	}
	return stands
}

// poleWait bounds how long a code waits for the display; the customer stands there.
const poleWait = time.Second

// standing is what waits for a code by the display's total ("": nothing does), and whether that total stands there now. A display that is
// looked at is waited for: between the end of the old total's payment and the new one's nothing is told.
func (p *Pole) standing() (payflow.OutTradeNo, bool) {
	p.arming.Lock()
	defer p.arming.Unlock()
	p.mu.Lock()
	armed, same := p.armed, p.settled && p.total.amount == p.price
	p.mu.Unlock()
	if armed == "" || same {
		return armed, true
	}
	if e, err := p.s.cfg.Desk.Payment(armed); err == nil && e.Status != payflow.Waiting {
		return "", true
	}
	return armed, false
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
	total := p.total
	if !p.settled {
		total, _ = p.finder.find(p.text)
	}
	if p.text != "" { // of an empty one nothing is known: what was let go before may come again
		p.spent = total.amount
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
		o := &PoleOffer{Key: poleKey(at, ""), Amount: total.amount, At: at, Until: at.Add(p.cfg.Fresh)}
		if o.Sale = payflow.SaleRef(o.Key); total.receipt != "" {
			o.Sale = payflow.SaleRef(poleKey(at, total.receipt))
		}
		p.setOffer(o)
	}
	return true
}

// poleKey names a sale by the till's own number of it on that day, or an offer by the time and a word drawn for it.
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
// arms. In training a scan alone takes no money either. It reports whether it did.
func (p *Pole) ArmForScan(ctx context.Context) bool {
	p.arming.Lock()
	defer p.arming.Unlock()
	if _, holds := p.s.cfg.Desk.Holding(); holds {
		return false
	}
	offer, ok := p.Offer(p.s.now())
	if !ok || p.s.training.Load() != nil || p.resultWaits() || p.s.signIns.mustSignInToSell() {
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
	e, err := p.s.cfg.Desk.Arm(ctx, payflow.ArmRequest{Amount: o.Amount, SaleRef: o.Sale, IdempotencyKey: o.Key, Operator: operator})
	if err != nil {
		return e, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.price = e.OutTradeNo, e.Amount
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
