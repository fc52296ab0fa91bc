package queue

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// linksMax bounds what is tied to one final payment.
const linksMax = 100

// weChatDays is the zone that WeChat Pay's statements count days in.
var weChatDays = time.FixedZone("GMT+8", 8*60*60)

// Arm draws the next order number and the sale's next attempt, and stores the payment that prepare makes of them, in one transaction.
// It returns after that is on disk. prepare must not call the journal, except for NewTag. The same idempotency key twice is refused: the caller
// asks ByKey first.
func (j *Journal) Arm(key, digest string, sale payflow.SaleRef, prepare func(no payflow.OutTradeNo, attempt int) payflow.Payment) (payflow.Entry, error) {
	var entry payflow.Entry
	err := j.update(func(tx *bbolt.Tx) (Head, error) {
		if tx.Bucket(bucketByKey).Get([]byte(key)) != nil {
			return Head{}, payflow.ErrKeyReused
		}
		no, counter, err := j.nextNumber(tx)
		if err != nil {
			return Head{}, err
		}
		attempt, err := j.nextAttempt(tx, sale)
		if err != nil {
			return Head{}, err
		}
		if err := j.newToRecent(tx, key, sale, attempt); err != nil {
			return Head{}, err
		}
		p := prepare(no, attempt)
		if p.OutTradeNo != no || p.Attempt != attempt || p.SaleRef != sale || !p.Open() {
			return Head{}, fmt.Errorf("payment %s is not the one that was to be armed", no)
		}
		r := paymentRecord{Counter: counter, Key: key, Digest: digest, Entry: payflow.Entry{Payment: p, StoreDay: j.storeDay(p.ArmedAt)}}
		event := ofPayment(EventArmed, p)
		event.At, event.Operator = p.ArmedAt, cut(p.Operator)
		return j.store(tx, nil, &r, event, &entry)
	})
	return entry, err
}

// Commit stores the payment after an event: the event, the payment and its places in the indexes, in exactly one transaction. It
// returns after that is on disk. It refuses what no step may do: change a final status or an order, or go back from reversing to paid.
func (j *Journal) Commit(kind string, e payflow.Event, after payflow.Payment) (payflow.Entry, error) {
	twice, err := j.twice(after)
	if err != nil {
		return payflow.Entry{}, err
	}
	return j.change(after.OutTradeNo, func(r *paymentRecord) (eventRecord, error) {
		if err := mayFollow(r.Payment, after); err != nil {
			return eventRecord{}, err
		}
		if ended := r.Open() && !after.Open(); ended {
			r.Late = payflow.BeginLate(after)
			for _, link := range twice {
				j.tie(r, link, e.At)
			}
		}
		r.Payment = after
		return eventOf(kind, e, after), nil
	})
}

// Acknowledge records that the cashier was told, and what became of goods or money. The first one stays; a second
// changes nothing. An open payment is refused with a *payflow.WrongStateError.
func (j *Journal) Acknowledge(no payflow.OutTradeNo, a payflow.Acknowledgement) (payflow.Entry, error) {
	if entry, err := j.Payment(no); err != nil || !entry.Acknowledged.At.IsZero() {
		return entry, err
	}
	if a.At.IsZero() {
		a.At = j.cfg.Now()
	}
	return j.change(no, func(r *paymentRecord) (eventRecord, error) {
		if r.Open() {
			return eventRecord{}, &payflow.WrongStateError{Entry: r.Entry}
		}
		r.Acknowledged = a
		j.tieBackTwice(r, a.At)
		event := ofPayment(EventAcknowledged, r.Payment)
		event.At, event.Operator, event.How = a.At, cut(a.Operator), a.How
		return event, nil
	})
}

// Link ties what was learnt later to a payment that is final (I5). A late success puts it on the list of results that
// nobody has acknowledged, even where the result itself was.
func (j *Journal) Link(no payflow.OutTradeNo, link payflow.Link) (payflow.Entry, error) {
	if link.At.IsZero() {
		link.At = j.cfg.Now()
	}
	return j.change(no, func(r *paymentRecord) (eventRecord, error) {
		if r.Open() {
			return eventRecord{}, &payflow.WrongStateError{Entry: r.Entry}
		}
		if len(r.Links) >= linksMax {
			return eventRecord{}, fmt.Errorf("payment %s has %d links already", no, linksMax)
		}
		link.Sequence = j.head.Sequence + 1
		r.Links = append(r.Links, link)
		if link.Kind == payflow.LinkLateSuccess {
			j.askAnew(r)
		}
		event := ofPayment(EventLinked, r.Payment)
		event.At, event.Note, event.Ref = link.At, cut(link.Kind), cut(link.Ref)
		return event, nil
	})
}

// Restored draws new random characters for the order numbers, because another copy of this journal may be in use, and
// records who says so, and why. Call it once after a backup was put in place. The operator is required: it is a person's word.
func (j *Journal) Restored(operator, note string) error {
	if operator == "" {
		return errors.New("a restore needs the name of who makes it")
	}
	return j.restored(eventRecord{JournalEvent: payflow.JournalEvent{Operator: cut(operator), Note: cut(note)}})
}

func (j *Journal) restored(event eventRecord) error {
	if err := j.begin(); err != nil {
		return err
	}
	return j.update(func(tx *bbolt.Tx) (Head, error) {
		about, err := j.about(tx)
		if err != nil {
			return Head{}, err
		}
		about.Random, about.Store, about.Till = cmp.Or(j.ownCharacters(), j.drawRandom()), j.cfg.StoreID, j.cfg.TillID
		if err := j.put(tx, bucketAbout, keyAbout, about); err != nil {
			return Head{}, err
		}
		event.Sequence, event.Kind, event.At = j.head.Sequence+1, EventRestored, j.cfg.Now()
		return j.appendEvent(tx, event)
	})
}

// change reads a payment, has it changed, and stores it with the event that changed it.
func (j *Journal) change(no payflow.OutTradeNo, f func(*paymentRecord) (eventRecord, error)) (payflow.Entry, error) {
	var entry payflow.Entry
	err := j.update(func(tx *bbolt.Tx) (Head, error) {
		r, _, err := j.payment(tx, no)
		if err != nil {
			return Head{}, err
		}
		before := placesOf(r)
		event, err := f(&r)
		if err != nil {
			return Head{}, err
		}
		event.Before = r.Sequence
		return j.store(tx, before, &r, event, &entry)
	})
	return entry, err
}

// store writes the payment, its lines in the indexes and the chain's next entry.
func (j *Journal) store(tx *bbolt.Tx, before []place, r *paymentRecord, event eventRecord, entry *payflow.Entry) (Head, error) {
	r.Format, r.Sequence, r.WeChatDay = formatVersion, j.head.Sequence+1, weChatDay(r.Payment)
	mark, err := j.putPayment(tx, *r)
	if err != nil {
		return Head{}, err
	}
	if err := reindex(tx, before, placesOf(*r), string(r.OutTradeNo)); err != nil {
		return Head{}, err
	}
	event.Sequence, event.State = r.Sequence, mark
	*entry = r.Entry
	return j.appendEvent(tx, event)
}

// mayFollow asserts once more, where it is written, what the step has decided (I2, I5, I13).
func mayFollow(before, after payflow.Payment) error {
	switch {
	case before.Order != after.Order:
		return fmt.Errorf("payment %s: an order never changes", before.OutTradeNo)
	case before.Status.Final() && after.Status != before.Status:
		return fmt.Errorf("payment %s is %s: a final status never changes", before.OutTradeNo, before.Status)
	case before.Status == payflow.Reversing && after.Status == payflow.Paid:
		return fmt.Errorf("payment %s is being taken back: it is never paid", before.OutTradeNo)
	}
	return nil
}

// nextAttempt counts the payments of a sale.
func (j *Journal) nextAttempt(tx *bbolt.Tx, sale payflow.SaleRef) (int, error) {
	newest := 0
	err := j.attempts(tx, sale, func(r paymentRecord) bool {
		newest = r.Attempt
		return false
	})
	return newest + 1, err
}

// storeDay is the day that the store counts a payment on: that of its arming, for good.
func (j *Journal) storeDay(at time.Time) string { return at.In(j.cfg.Location).Format(time.DateOnly) }

// weChatDay is the day whose statement shows a payment: that of its success, and of its arming until there is one.
func weChatDay(p payflow.Payment) string {
	at := p.ArmedAt
	if !p.Trade.SuccessTime.IsZero() {
		at = p.Trade.SuccessTime
	}
	return at.In(weChatDays).Format(time.DateOnly)
}
