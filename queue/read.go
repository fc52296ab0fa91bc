package queue

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// listMax bounds every list that the journal returns.
const listMax = 10_000

// Payment returns one payment as the journal holds it, or payflow.ErrNoPayment: a *payflow.FoundOrderError where a restore lost it and it was found again.
func (j *Journal) Payment(no payflow.OutTradeNo) (payflow.Entry, error) {
	var r paymentRecord
	err := j.view(func(tx *bbolt.Tx) (err error) {
		r, _, err = j.payment(tx, no)
		switch err {
		case nil:
			return inItsPlace(tx, r)
		case payflow.ErrNoPayment:
			return j.notThere(tx, no)
		}
		return err
	})
	if err != nil {
		return payflow.Entry{}, err
	}
	return r.Entry, nil
}

// OpenPayments returns the payments that are not final, in the order of arming. It reads no other.
func (j *Journal) OpenPayments() ([]payflow.Entry, error) {
	return j.list(func(tx *bbolt.Tx) ([]payflow.Entry, error) {
		entries, err := j.walkAll(tx, bucketOpen)
		if err == nil {
			err = j.newest(tx, entries)
		}
		return entries, err
	})
}

// Unannounced returns the final payments that goods or money may depend on and that nobody has acknowledged (I8), in the order of arming.
func (j *Journal) Unannounced() ([]payflow.Entry, error) {
	return j.list(func(tx *bbolt.Tx) ([]payflow.Entry, error) { return j.walkAll(tx, bucketUnannounced) })
}

// CountUnannounced returns how many results nobody has acknowledged. It reads no payment, so that it may be asked each second
// on a till whose software never acknowledges.
func (j *Journal) CountUnannounced() (int, error) {
	count := 0
	err := j.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketUnannounced).Cursor()
		for key, _ := c.First(); key != nil; key, _ = c.Next() {
			count++
		}
		return j.counted(tx, bucketUnannounced, count)
	})
	return count, err
}

// BySale returns every payment of a sale, by attempt.
func (j *Journal) BySale(sale payflow.SaleRef) ([]payflow.Entry, error) {
	return j.list(func(tx *bbolt.Tx) ([]payflow.Entry, error) { return j.bySale(tx, sale) })
}

func (j *Journal) bySale(tx *bbolt.Tx, sale payflow.SaleRef) ([]payflow.Entry, error) {
	entries, err := j.walk(tx, bucketBySale, salePrefix(sale), nil, listMax)
	for i, e := range entries {
		if e.Attempt != i+1 {
			return nil, damaged(string(bucketBySale), []byte(sale), fmt.Sprintf("it lacks attempt %d", i+1))
		}
	}
	return entries, err
}

// PaidBySale returns the newest payment that paid a sale, if one did.
func (j *Journal) PaidBySale(sale payflow.SaleRef) (no payflow.OutTradeNo, found bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		return j.attempts(tx, sale, func(r paymentRecord) bool {
			if found = r.Status == payflow.Paid; found {
				no = r.OutTradeNo
			}
			return !found
		})
	})
	return no, found, err
}

// attempts reads the payments of a sale, the newest first, however many there are, until f has enough.
func (j *Journal) attempts(tx *bbolt.Tx, sale payflow.SaleRef, f func(paymentRecord) (more bool)) error {
	prefix := salePrefix(sale)
	c := tx.Bucket(bucketBySale).Cursor()
	step := c.Prev
	if behind, _ := c.Seek(append([]byte(sale), 1)); behind == nil { // the place behind the last of this sale
		step = c.Last
	}
	for key, value := step(); bytes.HasPrefix(key, prefix); key, value = c.Prev() {
		r, err := j.indexed(tx, bucketBySale, key, value)
		if err == nil {
			err = inItsPlace(tx, r)
		}
		if err != nil || !f(r) {
			return err
		}
	}
	return nil
}

// ByKey returns the payment that was armed with an idempotency key, and the digest of that request.
func (j *Journal) ByKey(key string) (no payflow.OutTradeNo, digest string, found bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		value := tx.Bucket(bucketByKey).Get([]byte(key))
		if value == nil {
			return nil
		}
		r, err := j.indexed(tx, bucketByKey, []byte(key), value)
		no, digest, found = r.OutTradeNo, r.Digest, err == nil
		return err
	})
	return no, digest, found, err
}

// ByCodeHash returns the newest payment that a code was scanned for, and whether the code is spent: its order may have
// left (rule 14). A code whose order was certainly not sent is good for another.
func (j *Journal) ByCodeHash(hash string) (no payflow.OutTradeNo, spent bool, found bool, err error) {
	entries, err := j.list(func(tx *bbolt.Tx) ([]payflow.Entry, error) {
		return j.walk(tx, bucketByCode, codePrefix(hash), nil, listMax)
	})
	if err != nil || len(entries) == 0 {
		return "", false, false, err
	}
	for _, e := range entries {
		spent = spent || e.CodeSpent
	}
	return entries[len(entries)-1].OutTradeNo, spent, true, nil
}

// Day returns the payments of a store day, 2006-01-02, in the order of arming, after one of them, at most n.
func (j *Journal) Day(day string, after payflow.OutTradeNo, n int) ([]payflow.Entry, error) {
	return j.list(func(tx *bbolt.Tx) ([]payflow.Entry, error) {
		prefix := []byte(day + "/")
		var from uint64
		var behind []byte
		if after != "" {
			r, _, err := j.payment(tx, after)
			if err != nil {
				return nil, err
			}
			from, behind = r.Counter, place8(r.Counter)
		}
		entries, err := j.walk(tx, bucketByDay, prefix, behind, n)
		if err == nil {
			err = j.wholeDay(tx, day, from, entries, len(entries) < min(n, listMax))
		}
		return entries, err
	})
}

// Recent returns the newest n payments, the newest first.
func (j *Journal) Recent(n int) ([]payflow.Entry, error) {
	return j.list(func(tx *bbolt.Tx) ([]payflow.Entry, error) {
		var entries []payflow.Entry
		counted, _ := j.counters(tx) // unread: the newest is taken as it stands
		newer := counted.Number + 1
		c := tx.Bucket(bucketByArming).Cursor()
		for key, value := c.Last(); key != nil && len(entries) < min(n, listMax); key, value = c.Prev() {
			r, err := j.indexed(tx, bucketByArming, key, value)
			if err == nil {
				err = errors.Join(inItsPlace(tx, r), noneBetween(tx, r, newer))
			}
			if err != nil {
				return nil, err
			}
			entries = append(entries, r.Entry)
			newer = r.Counter
		}
		return entries, nil
	})
}

// Events returns the chain's entries after a sequence number, at most n.
func (j *Journal) Events(after uint64, n int) ([]payflow.JournalEvent, error) {
	var events []payflow.JournalEvent
	err := j.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketEvents).Cursor()
		for place, sealed := c.Seek(place8(after + 1)); place != nil && len(events) < min(n, listMax); place, sealed = c.Next() {
			if want := after + uint64(len(events)) + 1; number8(place) != want {
				return damaged(string(bucketEvents), place8(want), "the entry is not there")
			}
			r, _, err := j.readEvent(place, sealed)
			if err != nil {
				return err
			}
			events = append(events, r.shown())
		}
		return nil
	})
	return events, err
}

// EventsOf returns every entry of the chain about one payment, the oldest first, at most 10,000 of the newest.
func (j *Journal) EventsOf(no payflow.OutTradeNo) ([]payflow.JournalEvent, error) {
	var events []payflow.JournalEvent
	err := j.view(func(tx *bbolt.Tx) error {
		payment, _, err := j.payment(tx, no)
		if err != nil {
			return err
		}
		for sequence := payment.Sequence; sequence != 0 && len(events) < listMax; {
			r, _, err := j.event(tx, sequence)
			if err != nil {
				return err
			}
			if r.OutTradeNo != no || r.Before >= sequence {
				return damaged(string(bucketEvents), place8(sequence), "it is of another payment")
			}
			events = append(events, r.shown())
			sequence = r.Before
		}
		return nil
	})
	slices.Reverse(events)
	return events, err
}

func (j *Journal) list(f func(*bbolt.Tx) ([]payflow.Entry, error)) ([]payflow.Entry, error) {
	var entries []payflow.Entry
	err := j.view(func(tx *bbolt.Tx) (err error) {
		entries, err = f(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// walkAll reads every payment of one of the buckets whose lines each step counts.
func (j *Journal) walkAll(tx *bbolt.Tx, bucket []byte) ([]payflow.Entry, error) {
	entries, err := j.walk(tx, bucket, nil, nil, listMax)
	if err == nil && len(entries) < listMax {
		err = j.counted(tx, bucket, len(entries))
	}
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// walk reads the payments that an index names under a prefix, behind one place of it, at most n.
func (j *Journal) walk(tx *bbolt.Tx, bucket, prefix, behind []byte, n int) ([]payflow.Entry, error) {
	var entries []payflow.Entry
	c := tx.Bucket(bucket).Cursor()
	from := append(slices.Clone(prefix), behind...)
	for key, value := c.Seek(from); key != nil && bytes.HasPrefix(key, prefix) && len(entries) < min(n, listMax); key, value = c.Next() {
		if behind != nil && bytes.Equal(key, from) {
			continue
		}
		r, err := j.indexed(tx, bucket, key, value)
		if err == nil {
			err = inItsPlace(tx, r)
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, r.Entry)
	}
	return entries, nil
}
