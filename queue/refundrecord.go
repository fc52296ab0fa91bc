package queue

import (
	"bytes"
	"slices"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// The buckets of refunds. A journal that was made before there were any lacks them: they are added when it is opened for writing, and an
// older program leaves them alone.
var (
	bucketRefunds          = []byte("refunds")
	bucketOpenRefunds      = []byte("open_refunds")
	bucketRefundsByPayment = []byte("refunds_by_payment")
	bucketRefundsByKey     = []byte("refunds_by_key")
	bucketRefundsByDay     = []byte("refunds_by_day")
)

// refundRecord is a refund's present state as it stands in the bucket refunds. A new column goes here, or into one of payflow's words.
type refundRecord struct {
	Format  int    `json:"v"`
	Counter uint64 `json:"counter"`       // the sequence of its first event; refunds are listed in its order
	Key     string `json:"key,omitempty"` // the idempotency key that it was asked for with; empty where no person did
	Digest  string `json:"digest,omitempty"`
	payflow.RefundEntry
}

// refundIndexes are the buckets whose every line follows from the refunds.
func refundIndexes() [][]byte {
	return [][]byte{bucketOpenRefunds, bucketRefundsByPayment, bucketRefundsByKey, bucketRefundsByDay}
}

func refundBuckets() [][]byte { return append(refundIndexes(), bucketRefunds) }

// refundPlaces returns every line of the indexes that a refund has.
func refundPlaces(r refundRecord) []place {
	counter := place8(r.Counter)
	places := []place{
		{bucketRefundsByPayment, append(paymentPrefix(r.OutTradeNo), counter...)},
		{bucketRefundsByDay, append([]byte(r.StoreDay+"/"), counter...)},
	}
	if r.Key != "" {
		places = append(places, place{bucketRefundsByKey, []byte(r.Key)})
	}
	if r.Open() || r.Attention != "" {
		places = append(places, place{bucketOpenRefunds, counter})
	}
	return places
}

func paymentPrefix(no payflow.OutTradeNo) []byte { return append([]byte(no), 0) }

// refund reads the state of one refund.
func (j *Journal) refund(tx *bbolt.Tx, no payflow.OutRefundNo) (refundRecord, string, error) {
	var r refundRecord
	bucket := tx.Bucket(bucketRefunds)
	if bucket == nil {
		return r, "", payflow.ErrNoRefund
	}
	sealed := bucket.Get([]byte(no))
	if sealed == nil {
		return r, "", payflow.ErrNoRefund
	}
	mark, err := unseal(j.keys.state, string(bucketRefunds), []byte(no), sealed, &r)
	return r, mark, err
}

func (j *Journal) putRefund(tx *bbolt.Tx, r refundRecord) (mark string, err error) {
	sealed, mark, err := seal(j.keys.state, string(bucketRefunds), []byte(r.OutRefundNo), r)
	if err != nil {
		return "", err
	}
	return mark, tx.Bucket(bucketRefunds).Put([]byte(r.OutRefundNo), sealed)
}

// indexedRefund reads the refund that a line of an index names, and checks that the refund agrees.
func (j *Journal) indexedRefund(tx *bbolt.Tx, bucket, key, value []byte) (refundRecord, error) {
	r, _, err := j.refund(tx, payflow.OutRefundNo(value))
	if err == payflow.ErrNoRefund {
		return r, damaged(string(bucket), key, "it names a refund that is not there")
	}
	if err == nil && !contains(refundPlaces(r), place{bucket, key}) {
		return r, damaged(string(bucket), key, "it names a refund that does not belong there")
	}
	return r, err
}

// walkRefunds reads the refunds that an index names under a prefix, behind one place of it, at most n.
func (j *Journal) walkRefunds(tx *bbolt.Tx, bucket, prefix, behind []byte, n int) ([]payflow.RefundEntry, error) {
	index := tx.Bucket(bucket)
	if index == nil {
		return nil, nil
	}
	var entries []payflow.RefundEntry
	c := index.Cursor()
	from := append(slices.Clone(prefix), behind...)
	for key, value := c.Seek(from); key != nil && bytes.HasPrefix(key, prefix) && len(entries) < min(n, listMax); key, value = c.Next() {
		if behind != nil && bytes.Equal(key, from) {
			continue
		}
		r, err := j.indexedRefund(tx, bucket, key, value)
		if err != nil {
			return nil, err
		}
		entries = append(entries, r.RefundEntry)
	}
	return entries, nil
}

// refundBucketsIn counts the refunds' buckets. They are made in one commit: a journal has all of them, or none.
func refundBucketsIn(tx *bbolt.Tx) int {
	n := 0
	for _, name := range refundBuckets() {
		if tx.Bucket(name) != nil {
			n++
		}
	}
	return n
}

// addRefundBuckets makes room for refunds in a journal that was made before there were any.
func (j *Journal) addRefundBuckets() error {
	missing := false
	err := j.view(func(tx *bbolt.Tx) error {
		missing = refundBucketsIn(tx) == 0
		return nil
	})
	if err != nil || !missing {
		return err
	}
	err = j.update(func(tx *bbolt.Tx) (Head, error) {
		for _, name := range refundBuckets() {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return Head{}, err
			}
		}
		return j.head, nil
	})
	if isUnwritable(err) {
		return unwritable(j.cfg.File, err)
	}
	return err
}
