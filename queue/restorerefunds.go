package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// The bounds of what is asked about refunds after a restore: those that the lost part of the journal made, of payments that it has.
const (
	// restoreRefundDays is how many days before the backup a payment may have been sold whose refunds are asked for: who brings goods back
	// does so within a month.
	restoreRefundDays = 31
	// restoreRefundAsksMax bounds the questions, the newest payment first: at one a second, under three hours.
	restoreRefundAsksMax = 10_000
	// restoreRefundTries is how often one payment's refunds are asked for where answers come that tell nothing; a network that is away is not counted.
	restoreRefundTries = 8
)

// EventRefundFound is the journal's entry about a refund that a restore had lost.
const EventRefundFound = "refund_found_after_restore"

// refundSearch asks for the refunds of the payments of before a restore, from the newest back.
type refundSearch struct {
	Sequence uint64    `json:"sequence"` // of the restore's entry
	Since    string    `json:"since"`    // the store day of the oldest payments that are asked for
	Next     uint64    `json:"next"`     // the counter of the payment that is looked at next; 0: all were
	Asked    int       `json:"asked"`
	Found    int       `json:"found"`
	Missed   int       `json:"missed,omitempty"` // payments whose refunds could not be told
	Foreign  int       `json:"foreign,omitempty"`
	Begun    time.Time `json:"begun"`
	Done     time.Time `json:"done,omitzero"`
	Cut      bool      `json:"cut,omitempty"` // ended by restoreRefundAsksMax
}

func (s refundSearch) String() string {
	text := fmt.Sprintf("the refunds of %d paid payments since %s were asked for: %d found that the journal had lost", s.Asked, s.Since, s.Found)
	if s.Done.IsZero() {
		text = fmt.Sprintf("the refunds of payments since %s are being asked for (%d so far, %d found)", s.Since, s.Asked, s.Found)
	}
	if s.Missed > 0 {
		text += fmt.Sprintf("; of %d payments WeChat Pay did not tell them", s.Missed)
	}
	if s.Cut {
		text += "; older ones were not asked for"
	}
	return text + "; each payment's are asked for once more before a refund is made of it"
}

// planRefunds notes from where the refunds are asked for. A search of an earlier restore that is not done goes on in this one.
func planRefunds(r *searchesRecord, sequence, counter uint64, made, now time.Time) {
	s := refundSearch{Sequence: sequence, Since: made.AddDate(0, 0, -restoreRefundDays).Format(time.DateOnly), Next: counter, Begun: now}
	if old := r.Refunds; old != nil && old.Done.IsZero() {
		s.Since = min(s.Since, old.Since)
	}
	r.Refunds = &s
}

// refundSearch returns the search for refunds; nil where nothing was ever restored, or by a program that asked for none.
func (j *Journal) refundSearch() (s *refundSearch, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		r, err := j.searches(tx)
		s = r.Refunds
		return err
	})
	return s, err
}

// keepRefundSearch keeps how far it has come; the end is an entry of the chain.
func (j *Journal) keepRefundSearch(s refundSearch) error {
	return j.update(func(tx *bbolt.Tx) (Head, error) {
		r, err := j.searches(tx)
		if err != nil {
			return Head{}, err
		}
		r.Refunds = &s
		if err := j.putSearches(tx, r); err != nil || s.Done.IsZero() {
			return j.head, err
		}
		return j.appendEvent(tx, eventRecord{JournalEvent: payflow.JournalEvent{Sequence: j.head.Sequence + 1, At: j.cfg.Now(), Kind: EventSearched, Note: cut(s.String())}})
	})
}

// nextToAsk goes back from s.Next to the next payment that can have been refunded; found is false at the end.
func (j *Journal) nextToAsk(s *refundSearch) (p payflow.Entry, found bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bucketByArming)
		for ; s.Next > 0; s.Next-- {
			value := bucket.Get(place8(s.Next))
			if value == nil {
				continue
			}
			r, err := j.indexed(tx, bucketByArming, place8(s.Next), value)
			switch {
			case err != nil:
				return err
			case r.StoreDay < s.Since:
				s.Next = 0
				return nil
			case r.Status == payflow.Paid:
				p, found = r.Entry, true
				s.Next--
				return nil
			}
		}
		return nil
	})
	return p, found, err
}

// AddFoundRefund records a refund that WeChat Pay holds under a number of this till's own making and that a restore lost. Its idempotency key is not
// known any more: the number is made of it, so that the same key finds it. What is there already stays as it is, and what would be more than was paid
// is refused with a *payflow.RefundTooMuchError. A wish of which nothing left yet holds no room against it: WeChat Pay's list is read before it leaves, and
// refuses it then.
func (j *Journal) AddFoundRefund(r payflow.Refund) (payflow.RefundEntry, error) {
	var entry payflow.RefundEntry
	err := j.update(func(tx *bbolt.Tx) (Head, error) {
		p, _, err := j.payment(tx, r.OutTradeNo)
		if err != nil {
			return Head{}, err
		}
		if tx.Bucket(bucketRefunds).Get([]byte(r.OutRefundNo)) != nil {
			return Head{}, payflow.ErrKeyReused
		}
		others, err := j.walkRefunds(tx, bucketRefundsByPayment, paymentPrefix(r.OutTradeNo), nil, listMax)
		if err != nil {
			return Head{}, err
		}
		left := p.Amount.Minor
		for _, o := range others {
			if !o.Dead() && (o.Status != payflow.RefundRequested || o.Requests > 0) {
				left -= o.Amount.Minor
			}
		}
		switch {
		case p.Status != payflow.Paid || r.Status == payflow.RefundRequested || !r.OutRefundNo.Of(p.OutTradeNo):
			return Head{}, &payflow.NotRefundableError{Entry: p.Entry}
		case len(others) >= refundRecordsMax:
			return Head{}, payflow.ErrRefundTooMany
		case !r.Dead() && r.Amount.Minor > left:
			return Head{}, &payflow.RefundTooMuchError{Left: payflow.Amount{Minor: max(left, 0), Currency: p.Amount.Currency}}
		}
		record := refundRecord{Counter: j.head.Sequence + 1, RefundEntry: payflow.RefundEntry{Refund: r, SaleRef: p.SaleRef, StoreDay: j.storeDay(r.RequestedAt)}}
		event := ofRefund(EventRefundFound, record.RefundEntry)
		event.At = j.cfg.Now()
		event.RefundState, event.RefundID = payflow.RefundState(cut(string(r.Report.State))), payflow.RefundID(cut(string(r.Report.RefundID)))
		return j.storeRefund(tx, nil, &record, event, &entry)
	})
	return entry, err
}

// takeUp journals a refund that was found after a restore, and has it followed to its end. It is to be called on the loop.
func (e *Engine) takeUp(p payflow.Entry, t payflow.RefundReport) error {
	o := e.refundOrder(p, t.OutRefundNo)
	o.Amount, o.Total = t.Amount, p.Amount
	r, commands := payflow.FoundRefund(o, t, e.cfg.hooks.now())
	entry, err := e.cfg.Journal.AddFoundRefund(r)
	if err != nil {
		return err
	}
	l := &liveRefund{entry: entry}
	e.refunds[entry.OutRefundNo] = l
	e.carryOutRefund(l, commands)
	e.logRefund(payflow.Refund{}, entry.Refund)
	e.settleRefund(l)
	return nil
}

// askRefunds asks for the refunds, beside sales as the search of orders does, until it is done or ctx ends.
func (a *afterRestore) askRefunds(ctx context.Context) error {
	s, err := a.journal.refundSearch()
	if err != nil || s == nil || !s.Done.IsZero() || a.refunds == nil {
		return err
	}
	for s.Done.IsZero() {
		if err := a.pause(ctx, restoreAskEvery); err != nil {
			return err
		}
		if a.busy() {
			if err := a.pause(ctx, restoreBusyPause); err != nil {
				return err
			}
			continue
		}
		if err := a.stepRefunds(ctx, s); err != nil {
			return err
		}
	}
	a.log.Info().Msg(s.String())
	return nil
}

// stepRefunds asks for one payment's.
func (a *afterRestore) stepRefunds(ctx context.Context, s *refundSearch) error {
	p, more, err := a.journal.nextToAsk(s)
	if err != nil {
		return err
	}
	if !more || s.Asked >= restoreRefundAsksMax {
		s.Done, s.Cut = a.now(), more
		return a.write(func() error { return a.journal.keepRefundSearch(*s) })
	}
	listed, known, err := a.refundsOf(ctx, p)
	if err != nil {
		return err
	}
	s.Asked++
	before := *s
	if !known {
		s.Missed++
	}
	for _, t := range listed {
		if err := a.tookUp(s, p, t); err != nil {
			return err
		}
	}
	if s.Asked%searchKeptEvery != 0 && *s == before {
		return nil // what was found, or could not be told, is counted once, whatever is asked for again after a kill
	}
	return a.write(func() error { return a.journal.keepRefundSearch(*s) })
}

// tookUp keeps one refund that was listed. One that the journal has, or that was made elsewhere, is no concern of its: the sum of those is looked at
// before each refund.
func (a *afterRestore) tookUp(s *refundSearch, p payflow.Entry, t payflow.RefundReport) error {
	_, err := a.journal.Refund(t.OutRefundNo)
	if !errors.Is(err, payflow.ErrNoRefund) {
		return err
	}
	if !t.OutRefundNo.Of(p.OutTradeNo) {
		s.Foreign++
		return nil
	}
	err = a.write(func() error { return a.refunds.takeUp(p, t) })
	var tooMuch *payflow.RefundTooMuchError
	var not *payflow.NotRefundableError
	switch {
	case err == nil:
		s.Found++
		a.log.Warn().Str("out_trade_no", string(p.OutTradeNo)).Str("out_refund_no", string(t.OutRefundNo)).Str("refund_state", string(t.State)).
			Msg("WeChat Pay holds a refund of this till's that the restored journal lost; it is in the journal again")
	case errors.Is(err, payflow.ErrKeyReused): // asked for by a person meanwhile
	case errors.As(err, &tooMuch), errors.As(err, &not), errors.Is(err, payflow.ErrRefundTooMany):
		s.Missed++
		a.log.Error().Str("out_trade_no", string(p.OutTradeNo)).Str("out_refund_no", string(t.OutRefundNo)).Err(err).Msg("a refund that the restored journal lost does not fit its payment; look at it on the merchant platform")
	default:
		return err
	}
	return nil
}

// refundsOf asks until an answer adds up, or for long enough. A list that can't be is not known.
func (a *afterRestore) refundsOf(ctx context.Context, p payflow.Entry) (listed []payflow.RefundReport, known bool, err error) {
	order := payflow.Order{OutTradeNo: p.OutTradeNo, Amount: p.Amount, Merchant: p.Merchant, API: p.API, HostFamily: p.HostFamily}
	for tries := 0; tries < restoreRefundTries; {
		listed, err := a.refunds.list(ctx, order)
		if err == nil {
			a.lost = 0
			if !payflow.SumRefunds(p.OutTradeNo, p.Amount, listed).Known {
				return nil, false, nil
			}
			return listed, true, nil
		}
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		var lost *payflow.LostError
		if !errors.As(err, &lost) || !noAnswer(lost.Lost.Reason) {
			tries++
		}
		a.lost = min(max(2*a.lost, restoreLostPause), restoreLostMax)
		if err := a.pause(ctx, a.lost); err != nil {
			return nil, false, err
		}
	}
	a.lost = 0
	return nil, false, nil
}

// noAnswer reports that no answer came at all.
func noAnswer(why payflow.Reason) bool {
	return why == payflow.ReasonLink || why == payflow.ReasonTimeout || why == payflow.ReasonNoNetwork
}

// refundTaker is what the asking needs of the engine to take up refunds.
type refundTaker struct {
	list   func(context.Context, payflow.Order) ([]payflow.RefundReport, error)
	takeUp func(payflow.Entry, payflow.RefundReport) error // where the journal's writer is
}
