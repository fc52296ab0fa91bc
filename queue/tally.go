package queue

import (
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// keyTally is the record of bucketCounters that every step writes anew.
var keyTally = []byte("tally")

// tallyCountMax bounds the lines that a step counts. A till whose software never acknowledges has more that are unannounced, and they are
// not counted.
const tallyCountMax = 200

// tallyRecord says what a step left behind. One wrong bit in the count of a page takes its last lines away without breaking any seal: an
// open payment would be forgotten, or the newest entry; so their number is sealed.
type tallyRecord struct {
	Format      int    `json:"v"`
	Sequence    uint64 `json:"sequence"` // of the chain's last entry
	Open        int    `json:"open"`     // lines of bucketOpen; -1: not counted
	Unannounced int    `json:"unannounced"`
	OpenRefunds *int   `json:"open_refunds,omitempty"` // lines of bucketOpenRefunds; nil: an older program's step, or a journal from before refunds
}

// tally counts at the end of a step.
func (j *Journal) tally(tx *bbolt.Tx, head Head) error {
	t := tallyRecord{Format: formatVersion, Sequence: head.Sequence, Open: countLines(tx, bucketOpen), Unannounced: countLines(tx, bucketUnannounced)}
	if tx.Bucket(bucketOpenRefunds) != nil {
		refunds := countLines(tx, bucketOpenRefunds)
		t.OpenRefunds = &refunds
	}
	return j.put(tx, bucketCounters, keyTally, t)
}

func countLines(tx *bbolt.Tx, bucket []byte) int {
	n := 0
	c := tx.Bucket(bucket).Cursor()
	for key, _ := c.First(); key != nil; key, _ = c.Next() {
		if n++; n > tallyCountMax {
			return -1
		}
	}
	return n
}

// tallied returns what the newest step counted. There is nothing to hold against where an older program wrote the last entry.
func (j *Journal) tallied(tx *bbolt.Tx) (t tallyRecord, known bool, err error) {
	sealed := tx.Bucket(bucketCounters).Get(keyTally)
	if sealed == nil {
		return t, false, nil
	}
	if _, err := unseal(j.keys.state, string(bucketCounters), keyTally, sealed, &t); err != nil {
		return t, false, err
	}
	end := claimedHead(tx).Sequence
	if t.Sequence > end {
		return t, false, damaged(string(bucketEvents), place8(t.Sequence), fmt.Sprintf("the journal ends at entry %d, but its newest step wrote this one", end))
	}
	return t, t.Sequence == end, nil
}

// lacksTally reports that the tally is gone: in a journal of this format every step since the first entry wrote one.
func lacksTally(tx *bbolt.Tx) bool {
	return string(tx.Bucket(bucketAbout).Get(keyFormat)) == strconv.Itoa(formatVersion) && tx.Bucket(bucketCounters).Get(keyTally) == nil && claimedHead(tx).Sequence > 1
}

// counted holds the number of lines that were read of a bucket against what the newest step counted.
func (j *Journal) counted(tx *bbolt.Tx, bucket []byte, n int) error {
	t, known, err := j.tallied(tx)
	if err != nil || !known {
		return err
	}
	want := t.Open
	switch string(bucket) {
	case string(bucketUnannounced):
		want = t.Unannounced
	case string(bucketOpenRefunds):
		if want = -1; t.OpenRefunds != nil {
			want = *t.OpenRefunds
		}
	}
	if want >= 0 && want != n {
		return damaged(string(bucket), nil, fmt.Sprintf("it names %d; the newest step left %d there", n, want))
	}
	return nil
}
