package queue

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// place is one line of an index: where a payment can be found. The value is its out_trade_no.
type place struct {
	bucket []byte
	key    []byte
}

// indexes are the buckets whose every line follows from the payments.
func indexes() [][]byte {
	return [][]byte{bucketOpen, bucketUnannounced, bucketByArming, bucketByDay, bucketBySale, bucketByKey, bucketByCode, bucketLate, bucketByPayer}
}

// placesOf returns every line of the indexes that a payment has.
func placesOf(r paymentRecord) []place {
	counter := place8(r.Counter)
	places := []place{
		{bucketByArming, counter},
		{bucketByDay, append([]byte(r.StoreDay+"/"), counter...)},
		{bucketBySale, binary.BigEndian.AppendUint32(salePrefix(r.SaleRef), uint32(r.Attempt))},
		{bucketByKey, []byte(r.Key)},
	}
	if r.CodeHash != "" {
		places = append(places, place{bucketByCode, append(codePrefix(r.CodeHash), counter...)})
	}
	if r.Open() {
		places = append(places, place{bucketOpen, counter})
	}
	if untold(r.Entry) {
		places = append(places, place{bucketUnannounced, counter})
	}
	if !r.Late.Stage.Over() || r.BackTwice() {
		places = append(places, place{bucketLate, counter})
	}
	if r.Status == payflow.Paid && r.Trade.PayerHash != "" {
		places = append(places, place{bucketByPayer, append(codePrefix(r.Trade.PayerHash), counter...)})
	}
	return places
}

func salePrefix(sale payflow.SaleRef) []byte { return append([]byte(sale), 0) }

func codePrefix(hash string) []byte { return append([]byte(hash), 0) }

// untold reports a result that the cashier must hear of, because goods or money may depend on it (I8): paid, taken back, or
// anything that took money or that a person must look at. A plain refusal and a cancelled payment took nothing.
func untold(e payflow.Entry) bool {
	if e.Open() || !e.Acknowledged.At.IsZero() {
		return false
	}
	return e.Status == payflow.Paid || e.Status == payflow.Reversed || e.MoneySeen || e.Attention != "" || learntOfMoney(e.Links)
}

func learntOfMoney(links []payflow.Link) bool {
	for _, l := range links {
		if l.Kind == payflow.LinkLateSuccess {
			return true
		}
	}
	return false
}

// reindex moves a payment, or a refund, from the lines that it had to those that it has.
func reindex(tx *bbolt.Tx, before, after []place, no string) error {
	for _, p := range before {
		if !contains(after, p) {
			if err := tx.Bucket(p.bucket).Delete(p.key); err != nil {
				return err
			}
		}
	}
	for _, p := range after {
		if contains(before, p) {
			continue
		}
		if err := tx.Bucket(p.bucket).Put(p.key, []byte(no)); err != nil {
			return err
		}
	}
	return nil
}

func contains(places []place, p place) bool {
	for _, q := range places {
		if bytes.Equal(p.bucket, q.bucket) && bytes.Equal(p.key, q.key) {
			return true
		}
	}
	return false
}

// indexed reads the payment that a line of an index names, and checks that the payment agrees.
func (j *Journal) indexed(tx *bbolt.Tx, bucket, key, value []byte) (paymentRecord, error) {
	r, _, err := j.payment(tx, payflow.OutTradeNo(value))
	if err == payflow.ErrNoPayment {
		return r, damaged(string(bucket), key, "it names a payment that is not there")
	}
	if err == nil && !contains(placesOf(r), place{bucket, key}) {
		return r, damaged(string(bucket), key, "it names a payment that does not belong there")
	}
	return r, err
}
