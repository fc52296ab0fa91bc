package queue

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// formatVersion is the form of file and records that this program writes. A file of a newer one is refused; a record of an older one is
// read, and its missing fields are zero.
const formatVersion = 2

// recordBytesMax bounds one record. The largest field, the goods detail, is bounded to 6,000 bytes by the engine.
const recordBytesMax = 64 << 10

// sealDigits is the length of a seal: HMAC-SHA-256 in hexadecimal.
const sealDigits = 64

// paymentRecord is a payment's present state as it stands in the bucket payments. A new column goes here, or into one of
// payflow's words; give it a useful zero value, because older records lack it.
type paymentRecord struct {
	Format  int    `json:"v"`
	Counter uint64 `json:"counter"` // the order number's; payments are listed in its order
	Key     string `json:"key"`     // the idempotency key that it was armed with
	Digest  string `json:"digest"`  // of the request that it was armed with
	payflow.Entry
}

// aboutRecord says whose journal this is.
type aboutRecord struct {
	Format int    `json:"v"`
	ID     string `json:"id"`     // random, so that two journals are never taken for one
	KeyID  string `json:"key_id"` // names the key that seals it
	Store  string `json:"store"`
	Till   string `json:"till"`
	Random string `json:"random"` // of order numbers, for a program that draws none at its start

	Restored uint64 `json:"restored,omitempty"` // the entry of the last restore of a backup; 0: none
	Lost     string `json:"lost,omitempty"`     // the head of what that restore replaced, where it was known
	Drawn    uint64 `json:"drawn,omitempty"`    // order numbers that had been drawn when that restore drew Random; 0: not known, or none
}

// countersRecord counts what must never be used twice.
type countersRecord struct {
	Format int    `json:"v"`
	Number uint64 `json:"number"` // order numbers drawn so far
}

// DamageError says that something in the journal is not what was written. Nothing read from it may be believed.
type DamageError struct {
	Where string // bucket and key, or what was being done
	Text  string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("the journal is damaged at %s: %s; copy the file before anything else, then run: posagent journal verify", e.Where, e.Text)
}

// seal returns a record as it is written: its JSON, a line feed, and the seal of bucket, key and JSON.
func seal(key []byte, bucket string, place []byte, record any) (sealed []byte, mark string, err error) {
	body, err := json.Marshal(record)
	if err != nil {
		return nil, "", fmt.Errorf("write a record of %s: %w", bucket, err)
	}
	if len(body) > recordBytesMax {
		return nil, "", fmt.Errorf("write a record of %s: %d bytes are more than %d", bucket, len(body), recordBytesMax)
	}
	mark = sealOf(key, bucket, place, body)
	return append(append(body, '\n'), mark...), mark, nil
}

// unseal checks a record's seal and reads it. The seal is returned.
func unseal(key []byte, bucket string, place, sealed []byte, record any) (string, error) {
	body, mark, ok := split(sealed)
	if !ok || !hmac.Equal([]byte(mark), []byte(sealOf(key, bucket, place, body))) {
		return "", damaged(bucket, place, "its seal is broken")
	}
	if err := json.Unmarshal(body, record); err != nil {
		return "", damaged(bucket, place, err.Error())
	}
	return mark, nil
}

// split parts a record from its seal, without judging either.
func split(sealed []byte) (body []byte, mark string, ok bool) {
	at := len(sealed) - sealDigits - 1
	if at < 0 || sealed[at] != '\n' {
		return nil, "", false
	}
	return sealed[:at], string(sealed[at+1:]), true
}

func sealOf(key []byte, bucket string, place, body []byte) string {
	return hex.EncodeToString(mac(key, []byte(bucket), []byte{0}, place, []byte{0}, body))
}

func damaged(bucket string, place []byte, text string) error {
	return &DamageError{Where: fmt.Sprintf("%s %s", bucket, placeName(place)), Text: text}
}

// placeName shows a bucket's key to a person.
func placeName(place []byte) string {
	if len(place) == 8 && place[0] == 0 {
		return fmt.Sprint(number8(place))
	}
	return fmt.Sprintf("%.80q", bytes.TrimRight(place, "\x00"))
}

// payment reads the state of one payment.
func (j *Journal) payment(tx *bbolt.Tx, no payflow.OutTradeNo) (paymentRecord, string, error) {
	var r paymentRecord
	sealed := tx.Bucket(bucketPayments).Get([]byte(no))
	if sealed == nil {
		return r, "", payflow.ErrNoPayment
	}
	if j.cfg.read != nil {
		mark, err := j.cfg.read(j.keys.state, string(bucketPayments), []byte(no), sealed, &r)
		return r, mark, err
	}
	mark, err := unseal(j.keys.state, string(bucketPayments), []byte(no), sealed, &r)
	return r, mark, err
}

func (j *Journal) putPayment(tx *bbolt.Tx, r paymentRecord) (mark string, err error) {
	sealed, mark, err := seal(j.keys.state, string(bucketPayments), []byte(r.OutTradeNo), r)
	if err != nil {
		return "", err
	}
	payments := tx.Bucket(bucketPayments)
	payments.FillPercent = appendFill
	return mark, payments.Put([]byte(r.OutTradeNo), sealed)
}

func (j *Journal) about(tx *bbolt.Tx) (aboutRecord, error) {
	var r aboutRecord
	_, err := unseal(j.keys.state, string(bucketAbout), keyAbout, tx.Bucket(bucketAbout).Get(keyAbout), &r)
	return r, err
}

func (j *Journal) counters(tx *bbolt.Tx) (countersRecord, error) {
	var r countersRecord
	_, err := unseal(j.keys.state, string(bucketCounters), keyCounters, tx.Bucket(bucketCounters).Get(keyCounters), &r)
	return r, err
}

// put writes a record of a bucket that holds one.
func (j *Journal) put(tx *bbolt.Tx, bucket, place []byte, record any) error {
	sealed, _, err := seal(j.keys.state, string(bucket), place, record)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(place, sealed)
}
