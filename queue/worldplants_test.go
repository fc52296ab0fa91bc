package queue

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// plant is a bug that is planted for a world. Each field stands where the engine, the journal, the client or the till would have it.
type plant struct {
	name      string
	invariant string // that must name it
	worlds    int    // how many are lived through for it

	step        func(*worldBoot, payflow.Payment, payflow.Event) (payflow.Payment, []payflow.Command)
	durable     func(b *worldBoot, before, after payflow.Payment) bool
	commit      func(*worldBoot) // before a commit
	committed   func(*worldBoot)
	swallow     func(*worldBoot) bool // a commit's error is not seen
	payEarly    bool
	heard       func(*fastCall, *heard)
	late        func(*fastCall, *heard)
	arm         func(b *worldBoot, r *payflow.ArmRequest)
	refund      func(b *worldBoot, r *payflow.RefundRequest)
	refundNo    func(*fastCall) payflow.OutRefundNo // that goes on the wire
	refusedScan func(b *worldBoot, c *worldCode, entry payflow.Entry, err error)
	shape       func(*worldScript) // makes what the bug needs likelier
}

// noPlant is posagent as it is.
var noPlant = &plant{name: "none"}

// plants are the bugs that the judge must see, each by the invariant that names it.
func plants() []*plant {
	all := []*plant{
		{name: "pay before the record", invariant: "I1", payEarly: true},
		{name: "reverse without record", invariant: "I1", shape: neverPays, step: saysNothing, durable: func(_ *worldBoot, before, after payflow.Payment) bool {
			return after.Status != payflow.Reversing || before.Status == payflow.Reversing
		}},
		{name: "reverse at 10 s", invariant: "I3", shape: cancelled, step: guardShort},
		{name: "15 s by the wall clock", invariant: "I3", shape: clockJumps, step: func(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			e.At = e.At.Round(0)
			return payflow.Step(p, e)
		}},
		{name: "pay again on restart", invariant: "I2", shape: powerInPay, step: payAgain},
		{name: "a second read of a code charges again", invariant: "I2", shape: rescans, refusedScan: chargeAgain},
		{name: "a lost pay call is a failure", invariant: "I14", shape: payAnswersLost, step: endsWhere(payflow.Declined, func(p payflow.Payment, e payflow.Event) bool {
			return e.Kind == payflow.CallLost && p.Call == payflow.PayCall
		})},
		{name: "unsigned answer believed", invariant: "I14", shape: forgeries, heard: func(_ *fastCall, h *heard) {
			if h.outcome.Kind == payflow.Found {
				h.err = nil
			}
		}},
		{name: "late answer of an old call accepted", invariant: "I14", shape: lateAnswers, late: keepLate, heard: takeLate},
		{name: "cancel is reversed at once", invariant: "I14", shape: cancelled, step: endsWhere(payflow.Reversed, func(p payflow.Payment, e payflow.Event) bool {
			return e.Kind == payflow.CancelAsked && p.Status != payflow.Waiting
		})},
		{name: "204 taken as proof", invariant: "I14", shape: neverPays, step: endsWhere(payflow.Reversed, func(p payflow.Payment, e payflow.Event) bool {
			return e.Kind == payflow.ReverseAnswered && e.Outcome.Kind == payflow.ReverseDone && p.Status == payflow.Reversing
		})},
		{name: "a refund on its way taken as back", invariant: "I14", shape: refundsSlowly, heard: func(_ *fastCall, h *heard) {
			if r := &h.outcome.Trade.Refunds; r.Pending > 0 {
				r.Done, r.Pending = r.Pending, 0
			}
		}},
		{name: "give up after 5 minutes", invariant: "I6", shape: nothingAnswers, step: giveUp},
		{name: "a wake lost", invariant: "I6", shape: askedLong, step: func(b *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			after, commands := payflow.Step(p, e)
			if e.Kind == payflow.CallLost && p.Call == payflow.QueryCall && after.Status == payflow.Confirming {
				commands = without(commands, payflow.Wake)
			}
			return after, commands
		}},
		{name: "open index not updated", invariant: "I6", shape: askedLong, committed: empties(bucketOpen)},
		{name: "paid after a reverse", invariant: "I13", shape: reversesLost, step: func(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			after, commands := payflow.Step(p, e)
			if e.Kind == payflow.CallLost && p.Call == payflow.ReverseCall {
				after.Status = payflow.Confirming
			}
			return after, commands
		}},
		{name: "no such order is final", invariant: "L10", shape: requestsLost, step: endsWhere(payflow.Reversed, func(p payflow.Payment, e payflow.Event) bool {
			return e.Kind == payflow.QueryAnswered && e.Outcome.Kind == payflow.NoSuchOrder && p.Refusal.Kind == ""
		})},
		{name: "a refusal believed without a query", invariant: "I4", shape: refuses, step: endsWhere(payflow.Declined, func(_ payflow.Payment, e payflow.Event) bool {
			return e.Kind == payflow.PayAnswered && e.Outcome.Kind == payflow.Refused
		})},
		{name: "another's order reversed", invariant: "rule 3", shape: numbersTaken, step: func(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			if t := &e.Outcome.Trade; t.Attach != "" && !p.Tag.Carries(t.Attach) {
				t.Attach, t.State = string(p.Tag), payflow.TradeNotPay
			}
			return payflow.Step(p, e)
		}},
		{name: "an order without a tag taken for ours", invariant: "rule 3", shape: numbersTakenTagless, step: func(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			if e.Outcome.Kind == payflow.Found && e.Outcome.Trade.Attach == "" {
				e.Outcome.Trade.Attach = string(p.Tag)
			}
			return payflow.Step(p, e)
		}},
		{name: "shown before recorded", invariant: "L8", step: func(b *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			after, commands := payflow.Step(p, e)
			if after.Status.Final() && !p.Status.Final() {
				b.engine.board.put(payflow.Entry{Payment: after})
			}
			return after, commands
		}},
		{name: "a commit's error ignored", invariant: "I12", shape: diskErrors, durable: func(b *worldBoot, _, after payflow.Payment) bool {
			w := b.w
			if after.Status.Final() {
				return true // nothing need follow it at once
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			switch f := w.script.commitFault(w.commits+1, w.log.now()); f.Kind {
			case commitEIO, commitFull:
				w.commits++
				w.log.add(worldLine{Kind: worldFailed, Boot: b.n, Text: "ignored"})
				return false
			}
			return true
		}},
		{name: "a failed commit does not keep from arming", invariant: "I9", shape: diskErrors, swallow: func(b *worldBoot) bool {
			open := 0
			for _, e := range entriesOf(b.journal.db) {
				if e.InOpen || !e.Record.Late.Over() {
					open++
				}
			}
			for _, r := range b.onDisk().refunds() {
				if !r.Status.Final() {
					open++
				}
			}
			return open == 0
		}},
		{name: "a final status changed", invariant: "I5", shape: paysAtOnce, commit: func(b *worldBoot) {
			_ = b.journal.db.Update(func(tx *bbolt.Tx) error {
				for _, e := range entriesIn(tx) {
					if e.Record.Status != payflow.Paid {
						continue
					}
					r, _, err := b.journal.payment(tx, e.No)
					r.Status = payflow.Declined
					return errors.Join(err, second(b.journal.putPayment(tx, r)))
				}
				return nil
			})
		}},
		{name: "the check at the code's death sees nothing", invariant: "I4", shape: topsUp, heard: func(c *fastCall, h *heard) {
			if c.g.b.onDisk().record(c.order.OutTradeNo).Status.Final() && h.outcome.Kind == payflow.Found {
				h.outcome = payflow.Outcome{Kind: payflow.NoSuchOrder}
			}
		}},
		{name: "a new refund number on every try", invariant: "I2", shape: givesBack, refundNo: func(c *fastCall) payflow.OutRefundNo {
			if n := c.g.w.count("tried " + string(c.refund)); n > 1 {
				return c.refund + payflow.OutRefundNo(fmt.Sprint("-", n))
			}
			return c.refund
		}},
		{name: "a refund's key forgotten", invariant: "I2", shape: givesBack, refund: func(b *worldBoot, r *payflow.RefundRequest) {
			if n := b.w.count("back " + r.IdempotencyKey); n > 1 {
				r.IdempotencyKey += fmt.Sprint("+", n)
			}
		}},
		{name: "asks too seldom", invariant: "L4", shape: calm, step: func(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			after, commands := payflow.Step(p, e)
			for i, c := range commands {
				if c.Kind == payflow.Wake && after.Status != payflow.Waiting {
					commands[i].At = c.At.Add(100 * time.Second)
				}
			}
			return after, commands
		}},
		{name: "sale lock dropped at a restart", invariant: "I7", shape: keysLost, arm: func(b *worldBoot, r *payflow.ArmRequest) {
			if b.n > 1 {
				r.SaleRef += "'"
			}
		}},
		{name: "a sale sold again while its late money is being taken back", invariant: "I7", shape: sellsAgainLate, arm: func(b *worldBoot, r *payflow.ArmRequest) {
			_, held, _ := b.ledger().heldBySale(r.SaleRef)
			r.AdditionalTender = held
		}},
		{name: "a late check forgotten at a restart", invariant: "I6", shape: cutBeforeLateCheck, committed: empties(bucketLate)},
		{name: "idempotency key forgotten", invariant: "I7", shape: rearms, arm: func(b *worldBoot, r *payflow.ArmRequest) {
			n := b.w.count("arm " + r.IdempotencyKey)
			if n > 1 {
				r.IdempotencyKey += fmt.Sprint("+", n)
			}
		}},
		{name: "list of what nobody has heard lost", invariant: "I8", shape: forgotten, committed: empties(bucketUnannounced)},
		{name: "the code written down", invariant: "I10", step: func(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			after, commands := payflow.Step(p, e)
			if e.Kind == payflow.CodeScanned && after.CodeHash != "" {
				after.CodeTail = e.Code.Reveal()
			}
			return after, commands
		}},
		{name: "an entry changed behind the journal's back", invariant: "I11", shape: func(s *worldScript) { // one start: a start that meets the entry does not come up, and is late for that
			s.Thorough, s.Calls, s.Cuts, s.Commits = true, nil, nil, nil
		}, committed: func(b *worldBoot) {
			_ = b.journal.db.Update(func(tx *bbolt.Tx) error {
				events := tx.Bucket(bucketEvents)
				return events.Put(place8(1), bytes.Replace(bytes.Clone(events.Get(place8(1))), []byte(`"created"`), []byte(`"crested"`), 1))
			})
		}},
		{name: "two calls at a time", invariant: "L13", step: func(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			after, commands := payflow.Step(p, e)
			for _, c := range commands {
				if c.Kind == payflow.SendQuery {
					return after, append(commands, c)
				}
			}
			return after, commands
		}},
		{name: "the till frees itself", invariant: "L13", shape: twoSales, step: func(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
			after, commands := payflow.Step(p, e)
			if after.Status == payflow.Confirming && after.SetAside.At.IsZero() {
				after.SetAside = payflow.SetAside{At: e.At, Operator: "nobody"}
			}
			return after, commands
		}},
	}
	for _, p := range all {
		if p.worlds == 0 {
			p.worlds = 24
		}
	}
	return all
}

func plantNamed(name string) *plant {
	for _, p := range plants() {
		if p.name == name {
			return p
		}
	}
	return noPlant
}

// count counts how often it was asked so, in this world.
func (w *world) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, _ := w.memory[what].(int)
	w.memory[what] = n + 1
	return n + 1
}

func (w *world) remember(what string, value any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.memory[what] = value
}

func (w *world) recall(what string) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.memory[what]
}

func without(commands []payflow.Command, kinds ...payflow.CommandKind) (kept []payflow.Command) {
	for _, c := range commands {
		drop := false
		for _, k := range kinds {
			drop = drop || c.Kind == k
		}
		if !drop {
			kept = append(kept, c)
		}
	}
	return kept
}

// endsWhere ends a payment where it should go on.
func endsWhere(status payflow.Status, where func(payflow.Payment, payflow.Event) bool) func(*worldBoot, payflow.Payment, payflow.Event) (payflow.Payment, []payflow.Command) {
	return func(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
		if p.Status.Final() || p.Status == payflow.Waiting || !where(p, e) {
			return payflow.Step(p, e)
		}
		p.Status, p.FinalAt, p.Reason, p.Proof = status, e.At, payflow.ReasonUnknown, payflow.ProofSigned
		p.Call, p.WakeAt, p.NextCall = payflow.NoCall, time.Time{}, payflow.NoCall
		p.Version++
		return p, []payflow.Command{{Kind: payflow.Announce}}
	}
}

// guardShort lets the reverse go five seconds too soon; all else counts from the true end of the pay call.
func guardShort(b *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
	what := fmt.Sprint("end of ", b.n, p.OutTradeNo)
	if p.Status == payflow.Reversing {
		if end, ok := b.w.recall(what).(time.Time); ok && e.Kind != payflow.Restarted {
			p.PayEndedAt = end
		}
		return payflow.Step(p, e)
	}
	if p.Status != payflow.Confirming || e.Kind == payflow.Restarted {
		return payflow.Step(p, e)
	}
	end := p.PayEndedAt
	p.PayEndedAt = end.Add(-5 * time.Second)
	after, commands := payflow.Step(p, e)
	if after.Status == payflow.Reversing {
		b.w.remember(what, end)
		return after, commands
	}
	after.PayEndedAt = end
	return after, commands
}

// saysNothing keeps the decision to reverse from the screen.
func saysNothing(_ *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
	after, commands := payflow.Step(p, e)
	if after.Status == payflow.Reversing {
		commands = without(commands, payflow.Announce)
	}
	return after, commands
}

// payAgain keeps the code in memory, and sends it again when the payment is open after a start.
func payAgain(b *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
	after, commands := payflow.Step(p, e)
	what := "code of " + string(p.OutTradeNo)
	if e.Kind == payflow.CodeScanned && after.Status == payflow.Paying {
		b.w.remember(what, e.Code)
	}
	code, known := b.w.recall(what).(payflow.AuthCode)
	if e.Kind != payflow.Restarted || !known || p.Status == payflow.Reversing || !b.w.payLeft(p.OutTradeNo) {
		return after, commands
	}
	for i, c := range commands {
		if c.Kind == payflow.SendQuery {
			commands[i].Kind, commands[i].Code = payflow.SendPay, code
			after.Call = payflow.PayCall
		}
	}
	return after, commands
}

// payLeft reports that the payment's pay call has left.
func (w *world) payLeft(no payflow.OutTradeNo) bool {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	return slices.ContainsFunc(w.log.lines, func(l worldLine) bool { return l.Kind == worldSent && l.Ask == payflow.PayCall && l.No == no })
}

// chargeAgain sends the pay call once more when its code is read a second time.
func chargeAgain(b *worldBoot, c *worldCode, entry payflow.Entry, err error) {
	if !errors.Is(err, payflow.ErrSameCode) || entry.Status != payflow.Confirming || entry.Restarts > 0 {
		return
	}
	code, err := payflow.ParseAuthCode(c.digits, "", nil)
	if err != nil {
		return
	}
	leave := make(chan struct{})
	close(leave)
	b.w.people.Go(func() { _, _ = b.w.form.gateway(b).Pay(b.w.ctx, entry.Order, code, leave) })
}

// keepLate keeps an answer that nobody waits for any more; takeLate takes it for the answer to the next call.
func keepLate(c *fastCall, h *heard) {
	if c.over.Load() && h.err == nil {
		c.g.w.remember(fmt.Sprint("late ", c.ask, c.order.OutTradeNo), h)
	}
}

func takeLate(c *fastCall, h *heard) {
	what := fmt.Sprint("late ", c.ask, c.order.OutTradeNo)
	if old, ok := c.g.w.recall(what).(*heard); ok {
		*h = *old
		c.g.w.remember(what, nil)
	}
}

// giveUp stops asking five minutes after the scan.
func giveUp(b *worldBoot, p payflow.Payment, e payflow.Event) (payflow.Payment, []payflow.Command) {
	after, commands := payflow.Step(p, e)
	what := "scan of " + string(p.OutTradeNo)
	if e.Kind == payflow.CodeScanned {
		b.w.remember(what, b.w.log.now())
	}
	scanned, ok := b.w.recall(what).(time.Duration)
	if ok && b.w.log.now()-scanned > 5*time.Minute {
		commands = without(commands, payflow.Wake, payflow.SendQuery, payflow.SendReverse)
	}
	return after, commands
}

// empties keeps a bucket empty, whatever a step has put there.
func empties(bucket []byte) func(*worldBoot) {
	return func(b *worldBoot) {
		_ = b.journal.db.Update(func(tx *bbolt.Tx) error {
			return errors.Join(tx.DeleteBucket(bucket), second(tx.CreateBucket(bucket)))
		})
	}
}

// What follows bends a script towards what a bug needs. The rest of the script stays as its seed made it.

func eachSale(s *worldScript, do func(*worldSale)) {
	for i := range s.Sales {
		do(&s.Sales[i])
	}
}

func neverPays(s *worldScript) {
	eachSale(s, func(sale *worldSale) { sale.Customer = customerNever })
}

func cancelled(s *worldScript) {
	neverPays(s)
	eachSale(s, func(sale *worldSale) { sale.Cancel = sale.Scan + worldTime(3*time.Second) })
}

func clockJumps(s *worldScript) {
	cancelled(s)
	at := s.Sales[0].After + s.Sales[0].Scan
	s.Jumps = []worldJump{{At: at + worldTime(5*time.Second+777), By: worldTime(10 * time.Minute)}}
	s.Heal, s.End = worldTime(time.Millisecond), worldTime(4*time.Minute)
}

func powerInPay(s *worldScript) {
	s.Calls = slices.DeleteFunc(s.Calls, func(f worldCallFault) bool { return f.Kind == callNotSent })
	s.Calls = append([]worldCallFault{{Call: payflow.PayCall, N: 1, Kind: powerSent, For: worldTime(5*time.Second + 333)}}, s.Calls...)
}

func rescans(s *worldScript) {
	askedLong(s)
	eachSale(s, func(sale *worldSale) { sale.Rescans = []worldTime{sale.Scan + worldTime(4*time.Second+19)} })
}

func allCalls(s *worldScript, kind worldTrouble, d worldTime, calls ...payflow.CallKind) {
	s.Calls, s.Cuts, s.Commits = nil, nil, nil
	for _, c := range calls {
		for n := 1; n <= 200; n++ {
			s.Calls = append(s.Calls, worldCallFault{Call: c, N: n, Kind: kind, For: d + worldTime(n)})
		}
	}
}

func forgeries(s *worldScript) {
	for n := 1; n <= 12; n++ {
		s.Calls = append([]worldCallFault{{Call: payflow.QueryCall, N: n, Kind: answerForged}}, s.Calls...)
	}
	askedLong(s)
}

func lateAnswers(s *worldScript) {
	allCalls(s, answerLate, worldTime(7*time.Second+100*time.Millisecond), payflow.QueryCall)
}

func refundsSlowly(s *worldScript) {
	s.SaysRefund = true
	eachSale(s, func(sale *worldSale) { sale.Customer = customerGap })
}

func nothingAnswers(s *worldScript) {
	allCalls(s, requestLost, 0, payflow.QueryCall, payflow.ReverseCall)
	askedLong(s)
	s.Heal, s.End = 0, worldTime(14*time.Minute)
	s.Sales = s.Sales[:1]
}

func twoSales(s *worldScript) {
	if len(s.Sales) == 1 {
		s.Sales = append(s.Sales, s.Sales[0])
	}
	s.Calls = nil
	askedLong(s)
	eachSale(s, func(sale *worldSale) { sale.Attempts, sale.Impatient = 1, true })
}

func askedLong(s *worldScript) {
	eachSale(s, func(sale *worldSale) {
		sale.Customer, sale.PaysAfter, sale.Cancel = customerPassword, worldTime(36*time.Second+101), 0
		sale.Scan = max(sale.Scan, worldTime(time.Second))
	})
}

func reversesLost(s *worldScript) {
	eachSale(s, func(sale *worldSale) { sale.Customer, sale.PaysAfter = customerPassword, worldTime(43*time.Second+101) })
	allCalls(s, requestLost, 0, payflow.ReverseCall)
	s.RevokesAt45 = false
}

func requestsLost(s *worldScript) {
	s.Calls = append([]worldCallFault{{Call: payflow.PayCall, N: 1, Kind: requestLate, For: worldTime(12 * time.Second)}}, s.Calls...)
}

func refuses(s *worldScript) {
	s.Calls = append([]worldCallFault{{Call: payflow.PayCall, N: 1, Kind: refusedButDone}}, s.Calls...)
}

func numbersTaken(s *worldScript) {
	s.Calls = append([]worldCallFault{{Call: payflow.PayCall, N: 1, Kind: numberTaken}}, s.Calls...)
}

func numbersTakenTagless(s *worldScript) {
	numbersTaken(s)
	s.Tagless = true
}

func diskErrors(s *worldScript) {
	s.Commits = nil
	for n := 3; n <= 40; n += 4 {
		s.Commits = append(s.Commits, worldCommitFault{N: n, Kind: commitEIO, Down: worldTime(3 * time.Second)})
	}
}

func keysLost(s *worldScript) {
	eachSale(s, func(sale *worldSale) {
		sale.Customer, sale.Cancel, sale.Scan = customerPays, 0, worldTime(2*time.Second)
		sale.TillCrash, sale.KeyLost = worldTime(25*time.Second+77), true
	})
	s.Cuts = []worldCut{{At: worldTime(20*time.Second + 11), Down: worldTime(3 * time.Second)}}
	s.Calls = nil
}

func payAnswersLost(s *worldScript) {
	s.Calls = append([]worldCallFault{{Call: payflow.PayCall, N: 1, Kind: answerLost}}, s.Calls...)
}

func paysAtOnce(s *worldScript) {
	eachSale(s, func(sale *worldSale) { sale.Customer, sale.Cancel = customerPays, 0 })
}

// calm has no fault at all, and customers that never pay.
func calm(s *worldScript) {
	neverPays(s)
	s.RevokesAt45 = false
	s.Heal, s.End = worldTime(time.Millisecond), worldTime(15*time.Minute)
}

func topsUp(s *worldScript) {
	eachSale(s, func(sale *worldSale) { sale.Customer, sale.Cancel = customerTopsUp, 0 })
	s.Calls = []worldCallFault{{Call: payflow.PayCall, N: 1, Kind: requestTwice, For: worldTime(20 * time.Second)}}
	s.Cuts, s.Commits = nil, nil
}

// sellsAgainLate has the till software ask for the sale anew when its money has come late, and can't be given back yet.
func sellsAgainLate(s *worldScript) {
	topsUp(s)
	eachSale(s, func(sale *worldSale) {
		sale.Scan, sale.Attempts, sale.TillCrash, sale.KeyLost = worldTime(2*time.Second), 0, worldTime(95*time.Second), true
	})
	for n := 1; n <= 12; n++ {
		s.Calls = append(s.Calls, worldCallFault{Call: payflow.ReverseCall, N: n, Kind: requestLost})
	}
}

// cutBeforeLateCheck has the power go between a refusal and the check at the death of its code.
func cutBeforeLateCheck(s *worldScript) {
	topsUp(s)
	s.Sales = s.Sales[:1]
	s.Sales[0].After, s.Sales[0].Scan, s.Sales[0].Attempts, s.Sales[0].TillCrash = worldTime(time.Second), worldTime(2*time.Second), 0, 0
	s.Cuts = []worldCut{{At: worldTime(40 * time.Second), Down: worldTime(5 * time.Second)}}
}

func givesBack(s *worldScript) {
	eachSale(s, func(sale *worldSale) {
		sale.Customer, sale.Cancel, sale.Refund, sale.RefundMinor, sale.RefundTwice = customerPays, 0, worldTime(5*time.Second+17), 1, false
	})
	s.Calls = []worldCallFault{{Call: refundCall, N: 1, Kind: requestLost}, {Call: refundCall, N: 2, Kind: answerLost}, {Call: refundQueryCall, N: 2, Kind: requestLost}}
}

func forgotten(s *worldScript) {
	eachSale(s, func(sale *worldSale) { sale.Customer, sale.Forgets, sale.Cancel = customerPays, true, 0 })
}

func rearms(s *worldScript) {
	eachSale(s, func(sale *worldSale) {
		sale.Customer, sale.Rearm = customerPoor, worldTime(25*time.Second+13)
	})
}

// plantTable is how the bugs were caught, for the document.
func plantTable(rows []plantRow) string {
	var text strings.Builder
	text.WriteString("| planted bug | invariant | caught, of worlds |\n| --- | --- | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&text, "| %s | %s | %d of %d |\n", r.plant.name, r.plant.invariant, r.caught, r.plant.worlds)
	}
	return text.String()
}

// plantRow is one line of the table.
type plantRow struct {
	plant  *plant
	caught int
}
