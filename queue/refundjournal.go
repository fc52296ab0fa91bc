package queue

import (
	"bytes"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// EventRefundWished is the journal's first entry about a refund; the others are payflow's.
const EventRefundWished = "refund_wished"

// refundRecordsMax bounds how many refunds of one payment are recorded, those that were refused too.
const refundRecordsMax = 200

// AddRefund records a wish to give money back, before anything is done about it. The sum of the payment's refunds that are not provably dead
// is checked in the same transaction: never above what was paid. The number and the key must be new: the caller asks RefundByKey and
// Refund first.
//
// Refused, with nothing recorded: payflow.ErrNoPayment, *NotRefundableError, *GivenBackError, *RefundTooMuchError, ErrRefundTooMany, ErrKeyReused.
func (j *Journal) AddRefund(key, digest string, r payflow.Refund) (payflow.RefundEntry, error) {
	var entry payflow.RefundEntry
	err := j.update(func(tx *bbolt.Tx) (Head, error) {
		p, _, err := j.payment(tx, r.OutTradeNo)
		if err != nil {
			return Head{}, err
		}
		if key != "" && tx.Bucket(bucketRefundsByKey).Get([]byte(key)) != nil || tx.Bucket(bucketRefunds).Get([]byte(r.OutRefundNo)) != nil {
			return Head{}, payflow.ErrKeyReused
		}
		others, err := j.walkRefunds(tx, bucketRefundsByPayment, paymentPrefix(r.OutTradeNo), nil, listMax)
		if err != nil {
			return Head{}, err
		}
		if err := mayRefund(p.Entry, r, others); err != nil {
			return Head{}, err
		}
		record := refundRecord{Counter: j.head.Sequence + 1, Key: key, Digest: digest,
			RefundEntry: payflow.RefundEntry{Refund: r, SaleRef: p.SaleRef, StoreDay: j.storeDay(r.RequestedAt)}}
		event := ofRefund(EventRefundWished, record.RefundEntry)
		event.At, event.Operator, event.Note = r.RequestedAt, cut(r.Operator), cut(r.RefundOrder.Reason)
		return j.storeRefund(tx, nil, &record, event, &entry)
	})
	return entry, err
}

// mayRefund holds what no refund may do: give back what was not paid, while a reverse may be in flight, what a
// person has given back already, or more than was paid.
func mayRefund(p payflow.Entry, r payflow.Refund, others []payflow.RefundEntry) error {
	fits := map[payflow.RefundWish]bool{
		payflow.WishPerson:         p.Status == payflow.Paid && r.Total == p.Amount,
		payflow.WishLateSuccess:    p.Status.Final() && p.Status != payflow.Paid,
		payflow.WishReverseTooLate: p.Status == payflow.Reversing,
	}
	left, live := r.Total.Minor, 0
	for _, other := range others {
		if !other.Dead() { // one that is merely requested may yet be taken on
			left, live = left-other.Amount.Minor, live+1
		}
	}
	switch {
	case !fits[r.Wish]:
		return &payflow.NotRefundableError{Entry: p}
	case r.Wish == payflow.WishPerson && p.GivenBack():
		return &payflow.GivenBackError{Entry: p}
	case r.Status != payflow.RefundRequested || r.Requests > 0 || r.Amount.Currency != r.Total.Currency || r.Amount.Minor <= 0:
		return fmt.Errorf("refund %s is not one that can begin", r.OutRefundNo)
	case live >= payflow.RefundsMax || len(others) >= refundRecordsMax:
		return payflow.ErrRefundTooMany
	case r.Amount.Minor > left:
		return &payflow.RefundTooMuchError{Left: payflow.Amount{Minor: max(left, 0), Currency: r.Total.Currency}}
	}
	return nil
}

// CommitRefund stores the refund after an event: the event, the refund and its places in the indexes, in exactly one transaction. It
// returns after that is on disk. It refuses what no step may do: change what is wished for, or a final status.
func (j *Journal) CommitRefund(e payflow.RefundEvent, after payflow.Refund) (payflow.RefundEntry, error) {
	var entry payflow.RefundEntry
	err := j.update(func(tx *bbolt.Tx) (Head, error) {
		r, _, err := j.refund(tx, after.OutRefundNo)
		if err != nil {
			return Head{}, err
		}
		if err := mayRefundFollow(r.Refund, after); err != nil {
			return Head{}, err
		}
		places := refundPlaces(r)
		r.Refund = after
		event := refundEventOf(e, r.RefundEntry)
		event.Before = r.Sequence
		return j.storeRefund(tx, places, &r, event, &entry)
	})
	return entry, err
}

// mayRefundFollow asserts once more, where it is written, what the step has decided.
func mayRefundFollow(before, after payflow.Refund) error {
	switch {
	case before.RefundOrder != after.RefundOrder || before.Wish != after.Wish:
		return fmt.Errorf("refund %s: what is wished for never changes", before.OutRefundNo)
	case before.Status.Final() && after.Status != before.Status:
		return fmt.Errorf("refund %s is %s: a final status never changes", before.OutRefundNo, before.Status)
	case before.Status != payflow.RefundRequested && after.Status == payflow.RefundRequested:
		return fmt.Errorf("refund %s was taken on: it is never asked for again", before.OutRefundNo)
	}
	return nil
}

// storeRefund writes the refund, its lines in the indexes and the chain's next entry.
func (j *Journal) storeRefund(tx *bbolt.Tx, before []place, r *refundRecord, event eventRecord, entry *payflow.RefundEntry) (Head, error) {
	r.Format, r.Sequence = formatVersion, j.head.Sequence+1
	mark, err := j.putRefund(tx, *r)
	if err != nil {
		return Head{}, err
	}
	if err := reindex(tx, before, refundPlaces(*r), string(r.OutRefundNo)); err != nil {
		return Head{}, err
	}
	event.Sequence, event.State = r.Sequence, mark
	*entry = r.RefundEntry
	return j.appendEvent(tx, event)
}

// refundEventOf keeps of a refund's event what matters later.
func refundEventOf(e payflow.RefundEvent, r payflow.RefundEntry) eventRecord {
	event := ofRefund(string(e.Kind), r)
	event.At, event.Operator, event.Note, event.Call = e.At, cut(e.Operator), cut(e.Note), e.Call
	event.RefundOutcome, event.Code, event.Lost = e.Outcome.Kind, cut(e.Outcome.Code), e.Lost.Reason
	event.RefundState, event.RefundID = payflow.RefundState(cut(string(r.Report.State))), payflow.RefundID(cut(string(r.Report.RefundID)))
	event.Listed = len(e.Listed)
	return event
}

// ofRefund is an entry about a refund. It does not name the payment where entries about payments do, so that a program that knows no
// refunds takes it for none of the payment's.
func ofRefund(kind string, r payflow.RefundEntry) eventRecord {
	return eventRecord{RefundOf: r.OutTradeNo, JournalEvent: payflow.JournalEvent{
		Kind: kind, SaleRef: r.SaleRef, Amount: r.Amount,
		Refund: payflow.RefundMark{OutRefundNo: r.OutRefundNo, Status: r.Status, Why: r.Why, Attention: r.Attention},
	}}
}

// Refund returns one refund as the journal holds it, or payflow.ErrNoRefund.
func (j *Journal) Refund(no payflow.OutRefundNo) (payflow.RefundEntry, error) {
	var r refundRecord
	err := j.view(func(tx *bbolt.Tx) (err error) {
		r, _, err = j.refund(tx, no)
		return err
	})
	if err != nil {
		return payflow.RefundEntry{}, err
	}
	return r.RefundEntry, nil
}

// RefundByKey returns the refund that was asked for with an idempotency key, and the digest of that request.
func (j *Journal) RefundByKey(key string) (entry payflow.RefundEntry, digest string, found bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		index := tx.Bucket(bucketRefundsByKey)
		if index == nil {
			return nil
		}
		value := index.Get([]byte(key))
		if value == nil {
			return nil
		}
		r, err := j.indexedRefund(tx, bucketRefundsByKey, []byte(key), value)
		entry, digest, found = r.RefundEntry, r.Digest, err == nil
		return err
	})
	return entry, digest, found, err
}

// OpenRefunds returns the refunds that are not final, and those that a person must look at, the oldest first. It reads no other.
func (j *Journal) OpenRefunds() ([]payflow.RefundEntry, error) {
	return j.listRefunds(bucketOpenRefunds, nil, nil, listMax)
}

// RefundsOfPayment returns every refund of a payment, the oldest first.
func (j *Journal) RefundsOfPayment(no payflow.OutTradeNo) ([]payflow.RefundEntry, error) {
	return j.listRefunds(bucketRefundsByPayment, paymentPrefix(no), nil, listMax)
}

// RefundsOfDay returns the refunds that were asked for on a store day, 2006-01-02, after one of them, at most n, the oldest first.
func (j *Journal) RefundsOfDay(day string, after payflow.OutRefundNo, n int) ([]payflow.RefundEntry, error) {
	if after == "" {
		return j.listRefunds(bucketRefundsByDay, []byte(day+"/"), nil, n)
	}
	var r refundRecord
	err := j.view(func(tx *bbolt.Tx) (err error) {
		r, _, err = j.refund(tx, after)
		return err
	})
	if err != nil {
		return nil, err
	}
	return j.listRefunds(bucketRefundsByDay, []byte(day+"/"), place8(r.Counter), n)
}

func (j *Journal) listRefunds(bucket, prefix, behind []byte, n int) ([]payflow.RefundEntry, error) {
	var entries []payflow.RefundEntry
	err := j.view(func(tx *bbolt.Tx) (err error) {
		entries, err = j.walkRefunds(tx, bucket, prefix, behind, n)
		if err == nil && bytes.Equal(bucket, bucketOpenRefunds) {
			err = j.counted(tx, bucket, len(entries))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// EventsOfRefund returns every entry of the chain about one refund, the oldest first, at most 10,000 of the newest.
func (j *Journal) EventsOfRefund(no payflow.OutRefundNo) ([]payflow.JournalEvent, error) {
	var events []payflow.JournalEvent
	err := j.view(func(tx *bbolt.Tx) error {
		refund, _, err := j.refund(tx, no)
		if err != nil {
			return err
		}
		for sequence := refund.Sequence; sequence != 0 && len(events) < listMax; {
			r, _, err := j.event(tx, sequence)
			if err != nil {
				return err
			}
			if r.Refund.OutRefundNo != no || r.Before >= sequence {
				return damaged(string(bucketEvents), place8(sequence), "it is of another refund")
			}
			events = append(events, r.shown())
			sequence = r.Before
		}
		return nil
	})
	slices.Reverse(events)
	return events, err
}

// refundLines checks the refunds: each seal, each last event, and the lines of their indexes.
func (v *verifier) refundLines() error {
	err := v.each(bucketRefunds, nil, func(tx *bbolt.Tx, key, _ []byte) {
		v.report.Refunds++
		no := payflow.OutRefundNo(key)
		r, mark, err := v.j.refund(tx, no)
		if err != nil {
			v.find(Finding{Kind: FoundState, OutRefundNo: no, Text: err.Error()})
			return
		}
		if event, _, err := v.j.event(tx, r.Sequence); err != nil || event.Refund.OutRefundNo != no || event.State != mark {
			v.find(Finding{Kind: FoundState, Sequence: r.Sequence, OutRefundNo: no, Text: fmt.Sprintf("the refund is not as entry %d left it", r.Sequence)})
		}
		for _, p := range refundPlaces(r) {
			if index := tx.Bucket(p.bucket); index == nil || !bytes.Equal(index.Get(p.key), key) {
				v.find(Finding{Kind: FoundIndex, OutRefundNo: no, Text: fmt.Sprintf("the refund is not found by %s", p.bucket)})
			}
		}
	})
	for _, bucket := range refundIndexes() {
		if err != nil {
			return err
		}
		err = v.each(bucket, nil, func(tx *bbolt.Tx, key, value []byte) {
			if _, err := v.j.indexedRefund(tx, bucket, key, value); err != nil {
				v.find(Finding{Kind: FoundIndex, OutRefundNo: payflow.OutRefundNo(bytes.Clone(value)), Text: err.Error()})
			}
		})
	}
	return err
}
