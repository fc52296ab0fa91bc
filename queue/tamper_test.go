package queue

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// tamper closes the journal and changes its file as somebody would who has bbolt, but not the key.
func (b *book) tamper(f func(tx *bbolt.Tx) error) {
	b.t.Helper()
	require.NoError(b.t, b.Close())
	db, err := bbolt.Open(b.cfg.File, 0o600, nil)
	require.NoError(b.t, err)
	require.NoError(b.t, db.Update(f))
	require.NoError(b.t, db.Close())
}

// cutNewest takes the newest n entries off the chain.
func cutNewest(n int) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketEvents).Cursor()
		for range n {
			c.Last()
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	}
}

// rechain changes one entry and seals it and every later one anew, under a key that is not the journal's.
func rechain(t *testing.T, at uint64, edit func(*eventRecord)) func(tx *bbolt.Tx) error {
	k, err := deriveKeys(newSecret())
	require.NoError(t, err)
	return func(tx *bbolt.Tx) error {
		prev := ""
		c := tx.Bucket(bucketEvents).Cursor()
		for key, value := c.First(); key != nil; key, value = c.Next() {
			body, mark, _ := split(value)
			if number8(key) < at {
				prev = mark
				continue
			}
			var r eventRecord
			if err := json.Unmarshal(body, &r); err != nil {
				return err
			}
			if number8(key) == at {
				edit(&r)
			}
			r.Prev = prev
			sealed, mark, err := seal(k.chain, string(bucketEvents), key, r)
			if err != nil {
				return err
			}
			prev = mark
			if err := tx.Bucket(bucketEvents).Put(key, sealed); err != nil {
				return err
			}
		}
		return nil
	}
}

// setCounter sets how many numbers were drawn, with a true seal.
func (b *book) setCounter(n uint64) {
	b.t.Helper()
	require.NoError(b.t, b.db.Update(func(tx *bbolt.Tx) error {
		return b.put(tx, bucketCounters, keyCounters, countersRecord{Format: formatVersion, Number: n})
	}))
}

// copyOf returns the file's bytes, to be put back later as an old backup is.
func (b *book) copyOf() []byte {
	b.t.Helper()
	content, err := os.ReadFile(b.cfg.File)
	require.NoError(b.t, err)
	return content
}

func (b *book) putBack(content []byte) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.cfg.File, content[:usedBytes(content)], 0o600))
	require.NoError(b.t, os.Truncate(b.cfg.File, int64(len(content)))) // the rest is zeros
}

// verify opens the file for reading only, as `journal verify` does while the daemon is stopped.
func (b *book) verify(heads ...Head) Report {
	b.t.Helper()
	cfg := b.cfg
	cfg.ReadOnly = true
	j, err := OpenJournal(cfg)
	require.NoError(b.t, err)
	report, err := j.Verify(b.t.Context(), heads)
	require.NoError(b.t, err)
	require.NoError(b.t, j.Close())
	return report
}

func (r Report) kinds() []FindingKind {
	kinds := []FindingKind{}
	for _, f := range r.Findings {
		kinds = append(kinds, f.Kind)
	}
	return kinds
}

// damagedBook is a book whose journal is not expected to be clean at the end.
func damagedBook(t *testing.T) *book {
	b := bookIn(t, t.TempDir())
	b.open()
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func fiveSales(b *book) []payflow.Entry {
	var all []payflow.Entry
	for _, sale := range []string{"A-1", "A-2", "A-3", "A-4", "A-5"} {
		all = append(all, b.paid("key "+sale, sale))
	}
	return all
}
