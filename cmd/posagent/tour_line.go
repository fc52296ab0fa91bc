package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"posagent/payflow"
	"posagent/scanner"
	"posagent/till"
)

// oldTill is an old till's side of the line protocol or of its pole display.
type oldTill struct {
	say  io.Writer
	hear *bufio.Reader
	end  func() error
}

// lineAnswerWithin is how long the tour waits for one line.
const lineAnswerWithin = 60 * time.Second

// dialLine connects to a till's line protocol over TCP.
func dialLine(address string) (*oldTill, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(lineAnswerWithin)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &oldTill{say: conn, hear: bufio.NewReader(conn), end: conn.Close}, nil
}

// next reads one line, and tells it.
func (o *oldTill) next(s *telling) (string, error) {
	line, err := o.hear.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	s.say("till reads:  %s", line)
	return line, nil
}

// ask sends a line and reads the first that answers it.
func (o *oldTill) ask(s *telling, line string) (string, error) {
	s.say("till writes: %s", line)
	if _, err := io.WriteString(o.say, line+"\r\n"); err != nil {
		return "", err
	}
	return o.next(s)
}

// until reads lines up to one that begins with a word.
func (o *oldTill) until(s *telling, word string) (string, error) {
	for {
		line, err := o.next(s)
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(line, word+" ") {
			return line, nil
		}
		if strings.HasPrefix(line, "OK ") || strings.HasPrefix(line, "NO ") || strings.HasPrefix(line, "ERR ") {
			return "", fmt.Errorf("the till was told %q, must be told %s", line, word)
		}
	}
}

// sale sells one thing by the line protocol: PAY, the customer's code, and the result, which must begin with end.
func (o *oldTill) sale(tt *trialTill, s *telling, sale string, minor int64, code, end string) (string, error) {
	first, err := o.ask(s, fmt.Sprintf("PAY %s %d", sale, minor))
	if err != nil || !strings.HasPrefix(first, "WAIT ") {
		return "", errors.Join(err, fmt.Errorf("PAY was answered %q", first))
	}
	s.say("customer shows a code; the scanner reads it")
	if err := tt.scan(code); err != nil {
		return "", err
	}
	last, err := o.until(s, end)
	if err != nil {
		return "", err
	}
	id := strings.Fields(last)[1]
	if !strings.HasPrefix(first, "WAIT "+id) {
		return "", fmt.Errorf("the result %q is of another payment than %q", last, first)
	}
	if _, err := o.ask(s, "ACK "+id); err != nil {
		return "", err
	}
	return id, nil
}

// lineOverTCP: an old till speaks lines. It crashes after its result has come and asks again, which charges nothing.
func (t *tour) lineOverTCP(_ context.Context, tt *trialTill, s *telling) error {
	old, err := dialLine(tt.old.address)
	if err != nil {
		return err
	}
	id, err := old.sale(tt, s, "L1-1001", 1250, t.trial.code("pays-at-once"), "OK")
	if err := errors.Join(err, old.end()); err != nil {
		return err
	}
	s.say("the till crashes, starts again, and asks for the same sale")
	if old, err = dialLine(tt.old.address); err != nil {
		return err
	}
	defer old.end()
	again, err := old.ask(s, "PAY L1-1001 1250")
	if err != nil || !strings.HasPrefix(again, "OK "+id+" ") {
		return errors.Join(err, fmt.Errorf("the same sale was answered %q", again))
	}
	_, err = old.sale(tt, s, "L1-1002", 99900, t.trial.code("no-money"), "NO")
	return err
}

// lineOverPort: the same over a serial port.
func (t *tour) lineOverPort(_ context.Context, tt *trialTill, s *telling) error {
	port := tt.old.line
	if err := port.SetDeadline(time.Now().Add(lineAnswerWithin)); err != nil {
		return err
	}
	old := &oldTill{say: port, hear: bufio.NewReader(port)}
	if answer, err := old.ask(s, "TEST"); err != nil || answer != "READY" {
		return errors.Join(err, fmt.Errorf("TEST was answered %q", answer))
	}
	if _, err := old.sale(tt, s, "L2-1001", 3300, t.trial.code("password-pays"), "OK"); err != nil {
		return err
	}
	if _, err := old.ask(s, "DAYEND"); err != nil {
		return err
	}
	sum, err := old.until(s, "SUM")
	if err != nil || sum != "SUM PAID 1 3300" {
		return errors.Join(err, fmt.Errorf("the day adds up to %q", sum))
	}
	return nil
}

// poleTap: a till that speaks nothing at all; only what it shows its customers is read.
func (t *tour) poleTap(ctx context.Context, tt *trialTill, s *telling) error {
	show := func(text string) error {
		s.say("display: %q", text)
		_, err := tt.old.pole.Write([]byte("\x1b@" + text))
		return err
	}
	if err := errors.Join(show("APPLES         4.50"), show("TOTAL     HK$ 18.80")); err != nil {
		return err
	}
	offer, err := tt.awaitOffer(ctx)
	if err != nil || offer.Amount != 1880 {
		return errors.Join(err, fmt.Errorf("%d was found on the display", offer.Amount))
	}
	s.say("screen: %s from the till; customer shows a code, the scanner reads it", offer.AmountText)
	if err := tt.scan(t.trial.code("pays-at-once")); err != nil {
		return err
	}
	p, err := tt.armedFor(ctx, offer.ID)
	if err != nil {
		return err
	}
	if p, err = tt.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Final }); err != nil {
		return err
	}
	if err := errors.Join(mustEnd(p, payflow.Paid, ""), handOver(ctx, tt, s, p)); err != nil {
		return err
	}
	s.say("a code is scanned once more while the old total still stands there")
	if err := tt.scan(t.trial.code("pays-at-once")); err != nil {
		return err
	}
	time.Sleep(time.Second)
	list, err := tt.client.Payments(ctx, till.PaymentsQuery{Limit: 1})
	if err != nil || len(list.Payments) != 1 || list.Payments[0].ID != p.ID {
		return errors.Join(err, errors.New("a total of a sale that was paid was armed again"))
	}
	s.say("nothing is charged")
	return show("THANK YOU")
}

// awaitOffer returns what the display offers.
func (t *trialTill) awaitOffer(ctx context.Context) (till.PoleView, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		state, err := t.client.Pole(ctx)
		if err == nil && state.Offer != nil {
			return *state.Offer, nil
		}
		select {
		case <-ctx.Done():
			return till.PoleView{}, errors.Join(err, errors.New("the display offers no total"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// armedFor returns the payment of a sale.
func (t *trialTill) armedFor(ctx context.Context, sale string) (till.Payment, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		list, err := t.client.Payments(ctx, till.PaymentsQuery{SaleRef: sale})
		if err == nil && len(list.Payments) > 0 {
			return list.Payments[0], nil
		}
		select {
		case <-ctx.Done():
			return till.Payment{}, errors.Join(err, errors.New("the scan armed nothing"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// oldTillPorts are the ends at which the tour plays an old till.
type oldTillPorts struct {
	address string       // of the line protocol over TCP
	line    *scanner.PTY // of the line protocol on a port
	pole    *scanner.PTY // of the customer display
}

// openOldTillPorts opens what a trial till's configuration asks for, and writes it there.
func openOldTillPorts(c *trialConfig) (ports oldTillPorts, err error) {
	if c.OldTills {
		if ports.address, err = freeLineAddress(); err != nil {
			return ports, err
		}
		if ports.pole, err = scanner.OpenPTY(); err != nil {
			return ports, err
		}
		c.LineListen, c.PoleDevice = ports.address, ports.pole.Path()
	}
	if c.OldTillOnPort {
		if ports.line, err = scanner.OpenPTY(); err != nil {
			return ports, errors.Join(err, ports.close())
		}
		c.LineListen = serialScheme + ports.line.Path()
	}
	return ports, nil
}

func (p oldTillPorts) close() error {
	var errs []error
	for _, pty := range []*scanner.PTY{p.line, p.pole} {
		if pty != nil {
			errs = append(errs, pty.Close())
		}
	}
	return errors.Join(errs...)
}

// freeLineAddress is an address of loopback that nobody listens on now.
func freeLineAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
