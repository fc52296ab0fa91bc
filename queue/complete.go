package queue

import (
	"bytes"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// A record that is changed breaks its seal, but a line of an index that is gone breaks nothing: one bit of a page's
// count or of a key is enough. So a list is held against a second index, on other pages, wherever that costs little.
// What is left over is found by Verify.

// counterRound is after how many numbers their four digits begin anew.
const counterRound = 36 * 36 * 36 * 36

// gapMax bounds how many missing counters a list looks for: numbers are passed over seldom.
const gapMax = 64

// neverWas tells a payment that never was from one whose record is not found where it should be: its number holds the last digits of its counter, by
// which the index of armings names it still.
func (j *Journal) neverWas(tx *bbolt.Tx, no payflow.OutTradeNo) error {
	if !CheckOutTradeNo(no) {
		return payflow.ErrNoPayment
	}
	end := len(no) - checkWidth - randomWidth
	counter, err := strconv.ParseUint(string(no[end-counterWidth:end]), 36, 64)
	counted, unread := j.counters(tx)
	if unread != nil {
		return unread
	}
	if err != nil {
		return payflow.ErrNoPayment
	}
	for ; counter <= counted.Number; counter += counterRound {
		if string(tx.Bucket(bucketByArming).Get(place8(counter))) == string(no) {
			return damaged(string(bucketPayments), []byte(no), "the payment is not there, but "+string(bucketByArming)+" names it")
		}
	}
	return payflow.ErrNoPayment
}

// wholeDay checks a stretch of a day against the index of armings: behind the payment from, up to the last of entries, and where ends is
// set to the end of the day.
func (j *Journal) wholeDay(tx *bbolt.Tx, day string, from uint64, entries []payflow.Entry, ends bool) error {
	if len(entries) == 0 {
		return nil
	}
	c := tx.Bucket(bucketByArming).Cursor()
	first, _, err := j.payment(tx, entries[0].OutTradeNo)
	if err != nil {
		return err
	}
	c.Seek(place8(first.Counter))
	if key, value := c.Prev(); key != nil && number8(key) > from {
		if err := j.ofAnotherDay(tx, day, key, value); err != nil {
			return err
		}
	}
	key, value := c.Seek(place8(first.Counter))
	for _, e := range entries {
		for ; key != nil && string(value) != string(e.OutTradeNo); key, value = c.Next() {
			if err := j.ofAnotherDay(tx, day, key, value); err != nil {
				return err
			}
		}
		if key == nil {
			return damaged(string(bucketByArming), []byte(e.OutTradeNo), "it lacks a payment that "+string(bucketByDay)+" names")
		}
		key, value = c.Next()
	}
	if ends && key != nil {
		return j.ofAnotherDay(tx, day, key, value)
	}
	return nil
}

func (j *Journal) ofAnotherDay(tx *bbolt.Tx, day string, key, value []byte) error {
	r, err := j.indexed(tx, bucketByArming, key, value)
	if err == nil && r.StoreDay == day {
		return damaged(string(bucketByDay), append([]byte(day+"/"), key...), "it lacks a payment that "+string(bucketByArming)+" names")
	}
	return err
}

// noneBetween checks that between a payment and the next newer counter in the index of armings none is missing: the index of days does not
// name one.
func noneBetween(tx *bbolt.Tx, r paymentRecord, newer uint64) error {
	days := tx.Bucket(bucketByDay)
	for n := r.Counter + 1; n < newer && n <= r.Counter+gapMax; n++ {
		if key, _ := days.Cursor().Seek(append([]byte(r.StoreDay+"/"), place8(n)...)); bytes.HasSuffix(key, append([]byte("/"), place8(n)...)) {
			return damaged(string(bucketByArming), place8(n), "it lacks a payment that "+string(bucketByDay)+" names")
		}
	}
	return nil
}

// inItsPlace checks a payment against the two indexes that follow its state: a page of an older copy brings back an older state, whose seal is whole.
func inItsPlace(tx *bbolt.Tx, r paymentRecord) error {
	places, counter := placesOf(r), place8(r.Counter)
	for _, bucket := range [][]byte{bucketOpen, bucketUnannounced} {
		if there := tx.Bucket(bucket).Get(counter) != nil; there != contains(places, place{bucket, counter}) {
			return damaged(string(bucketPayments), []byte(r.OutTradeNo), fmt.Sprintf("the payment is %s, but %s says otherwise", r.Status, bucket))
		}
	}
	return nil
}

// laterEntriesMax bounds how many entries are looked through for one about a payment that is open. A payment that has been set aside stays open behind many.
const laterEntriesMax = 500

// newest checks that no entry of the chain is newer than the states of these payments.
func (j *Journal) newest(tx *bbolt.Tx, payments []payflow.Entry) error {
	for _, p := range payments {
		c := tx.Bucket(bucketEvents).Cursor()
		n := 0
		for place, sealed := c.Seek(place8(p.Sequence + 1)); place != nil && n < laterEntriesMax; place, sealed = c.Next() {
			r, _, err := j.readEvent(place, sealed)
			if err != nil {
				return err
			}
			if r.OutTradeNo == p.OutTradeNo && r.State != "" {
				return damaged(string(bucketPayments), []byte(p.OutTradeNo), fmt.Sprintf("the payment stands as it did at entry %d, but entry %d came after it", p.Sequence, r.Sequence))
			}
			n++
		}
	}
	return nil
}

// recentArmings is how many payments a new one is held against: whoever tries a sale or a key again does so soon.
const recentArmings = 50

// newToRecent checks that a key and a sale's next attempt, which no index knows, are no recent payment's: a line that is gone would have the same sale
// charged a second time.
func (j *Journal) newToRecent(tx *bbolt.Tx, key string, sale payflow.SaleRef, attempt int) error {
	c := tx.Bucket(bucketByArming).Cursor()
	n := 0
	for place, value := c.Last(); place != nil && n < recentArmings; place, value = c.Prev() {
		r, err := j.indexed(tx, bucketByArming, place, value)
		if err != nil {
			return err
		}
		if r.Key == key {
			return damaged(string(bucketByKey), []byte(key), "it lacks payment "+string(r.OutTradeNo))
		}
		if r.SaleRef == sale && r.Attempt >= attempt {
			return damaged(string(bucketBySale), []byte(sale), "it lacks payment "+string(r.OutTradeNo))
		}
		n++
	}
	return nil
}
