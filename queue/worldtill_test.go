package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"posagent/payflow"
)

// The people's patience.
const (
	askAgainEvery  = 1100 * time.Millisecond // of till software that meets a till which does not answer
	tillBusyWait   = 3 * time.Second
	armPatience    = 6 * time.Minute
	forEver        = 24 * time.Hour // no world is that long
	setAsideEvery  = 5 * time.Second
	acknowledgesIn = 2 * time.Second
)

// shop is the cashier with the till software: one sale after the other.
func (w *world) shop() {
	for i := range w.script.Sales {
		s := &w.script.Sales[i]
		if !w.sleep(s.After.after()) {
			return
		}
		for try := range 1 + s.Attempts {
			a := &attempt{w: w, sale: i + 1, s: s, key: fmt.Sprintf("key-%d-%d", i+1, try)}
			if done := a.make(); done || w.ctx.Err() != nil {
				break
			}
		}
	}
}

// attempt is one attempt to be paid for a sale.
type attempt struct {
	w    *world
	sale int
	s    *worldSale
	key  string
	no   payflow.OutTradeNo
}

// make arms, scans and waits. It reports that no further attempt is needed, or possible.
func (a *attempt) make() (done bool) {
	entry, ok := a.arm(a.key, armPatience)
	if !ok {
		return true
	}
	a.no = entry.OutTradeNo
	code := a.w.newCode(a.sale)
	a.at(a.s.Scan, func() { a.scan(code) })
	for _, again := range a.s.Rescans {
		a.at(again, func() { a.scan(code) })
	}
	a.at(a.s.OtherScan, func() { a.scan(a.w.newCode(a.sale)) })
	a.at(a.s.Cancel, a.cancel)
	a.at(a.s.SetAside, a.setAside)
	a.at(a.s.Rearm, func() { a.arm(a.key, 30*time.Second) })
	a.at(a.s.TillCrash, a.tillCrash)
	return a.follow(a.no)
}

// at does something at a time since the arming, unless it is never.
func (a *attempt) at(t worldTime, do func()) {
	if t == 0 {
		return
	}
	a.w.people.Go(func() {
		if a.w.sleep(t.after()) {
			do()
		}
	})
}

// order is the request of the sale under a key.
func (a *attempt) order() payflow.ArmRequest {
	return payflow.ArmRequest{Amount: payflow.Amount{Minor: a.s.Minor, Currency: "HKD"}, SaleRef: payflow.SaleRef("sale-" + strconv.Itoa(a.sale))}
}

// arm asks for a payment until it is armed, or refused for good.
func (a *attempt) arm(key string, patience time.Duration) (payflow.Entry, bool) {
	until := a.w.log.now() + patience

	for a.w.log.now() < until {
		b := a.w.current()
		if b == nil {
			if !a.w.sleepDown(askAgainEvery, until-a.w.log.now()) {
				break
			}
			continue
		}
		wait := askAgainEvery
		r := a.order()
		r.IdempotencyKey = key
		if a.w.plant.arm != nil {
			a.w.plant.arm(b, &r)
		}
		entry, err := b.engine.Arm(a.w.ctx, r)

		var open *payflow.SaleOpenError
		var paid *payflow.AlreadyPaidError
		switch {
		case err == nil && !b.dead.Load():
			a.w.log.add(worldLine{Kind: worldArmed, Boot: b.n, Sale: a.sale, Key: key, No: entry.OutTradeNo})
			return entry, true
		case errors.As(err, &open), errors.As(err, &paid):
			a.note("sale %d: %T", a.sale, err)
			return payflow.Entry{}, false
		case errors.As(err, new(*payflow.TillBusyError)):
			wait = tillBusyWait
		}
		if !a.w.sleep(wait) {
			break
		}
	}
	return payflow.Entry{}, false
}

func (a *attempt) note(format string, args ...any) {
	a.w.log.add(worldLine{Kind: worldNoted, Text: fmt.Sprintf(format, args...)})
}

// newCode is a code that a customer of the sale shows.
func (w *world) newCode(sale int) *worldCode {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.codes) + 1
	c := &worldCode{number: n, sale: sale, born: -1, digits: fmt.Sprintf("13%016d", 7_000_000_000_000_000+int64(n))}
	w.codes[c.digits] = c
	return c
}

// scan reads a code; the first reading is when it was made.
func (a *attempt) scan(c *worldCode) {
	b := a.w.current()
	if b == nil {
		return
	}
	a.w.mu.Lock()
	if c.born < 0 {
		c.born = a.w.log.now()
	}
	a.w.mu.Unlock()
	entry, err := b.engine.Scan(a.w.ctx, c.digits, "", "scanner")
	switch {
	case b.dead.Load():
	case err != nil:
		a.note("code %d is refused: %v", c.number, err)
		if a.w.plant.refusedScan != nil {
			a.w.plant.refusedScan(b, c, entry, err)
		}
	default:
		a.w.log.add(worldLine{Kind: worldScanned, Boot: b.n, No: entry.OutTradeNo, Code: c.number})
	}
}

func (a *attempt) cancel() {
	b := a.w.current()
	if b == nil {
		return
	}
	if _, err := b.engine.Cancel(a.w.ctx, a.no, "P001"); err == nil && !b.dead.Load() {
		a.w.log.add(worldLine{Kind: worldAsked, Boot: b.n, No: a.no, Text: "cancel"})
	}
}

// setAside frees the till as soon as it may be freed.
func (a *attempt) setAside() {
	for {
		if b := a.w.current(); b != nil {
			_, err := b.engine.SetAside(a.w.ctx, a.no, "P001", "the queue is long")
			var wrong *payflow.WrongStateError
			switch {
			case err == nil && !b.dead.Load():
				a.w.log.add(worldLine{Kind: worldAsked, Boot: b.n, No: a.no, Text: "set aside"})
				return
			case errors.As(err, &wrong):
				return
			}
		}
		if !a.w.sleepDown(setAsideEvery, forEver) {
			return
		}
	}
}

// tillCrash: the till software is gone for five seconds, and asks again, under the same key or, if that is lost, under a new one.
func (a *attempt) tillCrash() {
	if !a.w.sleep(5 * time.Second) {
		return
	}
	key := a.key
	if a.s.KeyLost {
		key += "-again"
	}
	entry, ok := a.arm(key, time.Minute)
	if !ok || entry.OutTradeNo == a.no {
		return
	}
	more := &attempt{w: a.w, sale: a.sale, s: a.s, key: key, no: entry.OutTradeNo}
	more.at(worldTime(time.Second), func() { more.scan(a.w.newCode(a.sale)) })
	more.follow(entry.OutTradeNo)
}

// follow waits for a payment's result, tells it and acknowledges it. It reports that the sale needs no further attempt.
func (a *attempt) follow(no payflow.OutTradeNo) (done bool) {
	var since uint64
	for a.w.ctx.Err() == nil {
		b := a.w.current()
		if b == nil {
			a.w.sleepDown(askAgainEvery, forEver)
			continue
		}
		ctx, cancel := context.WithTimeout(a.w.ctx, 30*time.Second)
		entry, err := b.engine.WaitFor(ctx, no, since)
		cancel()
		if a.w.sleep(700 * time.Microsecond); err != nil || b.dead.Load() || entry.Version == since {
			a.w.sleep(askAgainEvery)
			continue
		}
		since = entry.Version
		if entry.Status.Final() {
			a.w.log.add(worldLine{Kind: worldTold, Boot: b.n, No: no, Record: recordOf(&entry)})
			a.acknowledge(entry)
			if entry.Status == payflow.Paid && a.s.Refund != 0 {
				a.giveBack(entry)
			}
			return entry.Status == payflow.Paid
		}
		if a.s.Impatient && !entry.HoldsTill() {
			a.w.people.Go(func() { a.patient().follow(no) })
			return false
		}
	}
	return true
}

// patient is the same attempt, for somebody who waits for its end.
func (a *attempt) patient() *attempt {
	s := *a.s
	s.Impatient = false
	return &attempt{w: a.w, sale: a.sale, s: &s, key: a.key, no: a.no}
}

// acknowledge tells the till that the cashier knows, until it has heard; some never do.
func (a *attempt) acknowledge(entry payflow.Entry) {
	if a.s.Forgets {
		return
	}
	how := payflow.Seen
	if entry.Status == payflow.Paid {
		how = payflow.GoodsGiven
	}
	for a.w.sleepDown(acknowledgesIn, forEver) {
		b := a.w.current()
		if b == nil {
			continue
		}
		if _, err := b.engine.Acknowledge(a.w.ctx, entry.OutTradeNo, payflow.Acknowledgement{How: how, Operator: "P001"}); err == nil && !b.dead.Load() {
			a.w.log.add(worldLine{Kind: worldAsked, Boot: b.n, No: entry.OutTradeNo, Text: "acknowledge"})
			return
		}
	}
}

// giveBack is the manager: asks for a refund until it is journaled, once more under the same key, and where the script says so, for another.
func (a *attempt) giveBack(entry payflow.Entry) {
	minor := a.s.Minor
	if a.s.RefundMinor != 0 {
		minor = a.s.RefundMinor
	}
	keys := []string{fmt.Sprintf("back-%d", a.sale)}
	if a.s.RefundTwice {
		keys = append(keys, keys[0]+"-more")
	}
	for _, key := range keys {
		a.w.people.Go(func() {
			if a.w.sleep(a.s.Refund.after()+time.Duration(len(key))*7*time.Millisecond) && a.wishRefund(entry, key, minor) && a.w.sleep(3*time.Second) {
				a.wishRefund(entry, key, minor)
			}
		})
	}
}

// wishRefund asks until there is an answer. It reports that the refund is journaled. A wish counts from when it is made: a start that took it may
// end before its answer is heard.
func (a *attempt) wishRefund(entry payflow.Entry, key string, minor int64) bool {
	made := false
	for {
		if b := a.w.current(); b != nil {
			if !made {
				made = true
				a.w.log.add(worldLine{Kind: worldAsked, Boot: b.n, No: entry.OutTradeNo, Key: key, Net: minor, Text: unheardRefund})
			}
			r := payflow.RefundRequest{OutTradeNo: entry.OutTradeNo, Amount: payflow.Amount{Minor: minor}, IdempotencyKey: key, Operator: "M001"}
			if a.w.plant.refund != nil {
				a.w.plant.refund(b, &r)
			}
			refund, err := b.engine.Refund(a.w.ctx, r)
			var busy *payflow.NotReadyError
			switch {
			case err == nil && !b.dead.Load():
				a.w.log.add(worldLine{Kind: worldAsked, Boot: b.n, No: entry.OutTradeNo, Refund: refund.OutRefundNo, Key: key, Net: minor, Text: wishedRefund})
				return true
			case err != nil && !errors.Is(err, payflow.ErrJournalClosed) && !errors.As(err, &busy) && a.w.ctx.Err() == nil && !errors.Is(err, context.Canceled):
				a.w.log.add(worldLine{Kind: worldAsked, Boot: b.n, No: entry.OutTradeNo, Key: key, Net: minor, Text: refusedRefund})
				a.note("the refund %s is refused: %v", key, err)
				return false
			}
		}
		if !a.w.sleepDown(askAgainEvery, forEver) {
			return false
		}
	}
}
