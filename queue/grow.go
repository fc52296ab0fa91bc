package queue

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

const (
	// growDays is how far back a journal of format 1 is searched for payments that ended before their code was dead, and were not asked
	// about again since: a reverse is possible for seven days.
	growDays = 7
	// growMax bounds that search, in payments.
	growMax = 10_000
)

// laterBuckets are those that a journal of format 1 lacks. A start that may write makes them; until then they are read as empty.
func laterBuckets() [][]byte { return [][]byte{bucketLate, bucketByPayer} }

func isLater(bucket []byte) bool {
	return slices.ContainsFunc(laterBuckets(), func(later []byte) bool { return bytes.Equal(later, bucket) })
}

// grow brings a journal of an older format to this one: it makes the buckets that came later and what belongs in them. The format's
// number is written last, so that a crash in between leaves a journal that grows again from the beginning; what is there is not made twice.
func (j *Journal) grow() error {
	format := formatVersion
	err := j.view(func(tx *bbolt.Tx) (err error) {
		format, err = strconv.Atoi(string(tx.Bucket(bucketAbout).Get(keyFormat)))
		return err
	})
	if err != nil || format >= formatVersion {
		return err
	}
	if err := j.bucketsMade(); err != nil {
		return err
	}
	owing, err := j.owing()
	if err != nil {
		return err
	}
	for _, no := range owing {
		if _, err := j.change(no, oweCheck); err != nil {
			return err
		}
	}
	return j.aside(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketAbout).Put(keyFormat, []byte(strconv.Itoa(formatVersion)))
	})
}

func (j *Journal) bucketsMade() error {
	return j.aside(func(tx *bbolt.Tx) error {
		for _, name := range laterBuckets() {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// aside writes what is no step: the chain does not move.
func (j *Journal) aside(f func(*bbolt.Tx) error) error {
	return j.update(func(tx *bbolt.Tx) (Head, error) { return j.Head(), f(tx) })
}

// owing returns the payments of the last days that ended before their code was dead and owe a check that no record speaks of.
func (j *Journal) owing() ([]payflow.OutTradeNo, error) {
	var all []payflow.OutTradeNo
	var newest time.Time
	err := j.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketByArming).Cursor()
		key, value := c.Last()
		for n := 0; key != nil && n < growMax; n++ {
			r, err := j.indexed(tx, bucketByArming, key, value)
			if err != nil {
				return err
			}
			if newest.IsZero() {
				newest = r.ArmedAt
			}
			if newest.Sub(r.ArmedAt) > growDays*24*time.Hour {
				return nil
			}
			if r.Late == (payflow.Late{}) && payflow.BeginLate(r.Payment).Stage == payflow.LateOwed {
				all = append(all, r.OutTradeNo)
			}
			key, value = c.Prev()
		}
		return nil
	})
	return all, err
}

func oweCheck(r *paymentRecord) (eventRecord, error) {
	r.Late = payflow.BeginLate(r.Payment)
	return ofLate(r.Late, r.Payment), nil
}
