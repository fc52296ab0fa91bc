package queue

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

func TestAJournalThatNobodyTouchedIsClean(t *testing.T) {
	b := newBook(t)
	fiveSales(b)
	report, err := b.Verify(t.Context(), []Head{b.Head()})
	require.NoError(t, err)
	assert.True(t, report.Clean(), report.String())
	assert.Equal(t, uint64(16), report.Events, "created, and three for each sale")
	assert.Equal(t, uint64(5), report.Payments)
	assert.Equal(t, 2, report.Heads)
	assert.Contains(t, report.String(), "nothing is wrong")
}

func TestTheLastThreeEntriesCutOffAreMissed(t *testing.T) {
	b := damagedBook(t)
	fiveSales(b)
	logged := b.Head()
	b.tamper(cutNewest(3))

	report := b.verify()
	require.Contains(t, report.kinds(), FoundTruncated)
	assert.Contains(t, report.String(), "the journal ends at entry 13, but the head memo beside the key names entry 16: the newest 3 are gone")
	assert.Contains(t, report.kinds(), FoundState, "and the payment still stands as the cut entries left it")

	require.NoError(t, os.Remove(b.cfg.memoFile()))
	report = b.verify(logged)
	require.Contains(t, report.kinds(), FoundTruncated)
	assert.Contains(t, report.Findings[len(report.Findings)-1].Head, logged.String(), "the head from the log is named")
}

func TestAnOlderCopyOfTheWholeFileIsMissedByTheMemoAndByTheLog(t *testing.T) {
	b := damagedBook(t)
	b.paid("key 0", "A-0")
	require.NoError(t, b.Close())
	older := b.copyOf()
	b.open()
	fiveSales(b)
	logged := b.Head()
	require.NoError(t, b.Close())
	b.putBack(older)

	assert.Equal(t, []FindingKind{FoundTruncated}, b.verify().kinds())
	require.NoError(t, os.Remove(b.cfg.memoFile()))
	assert.Empty(t, b.verify().kinds(), "nothing in the file itself is wrong")
	assert.NotEmpty(t, b.verify().Notes)
	assert.Equal(t, []FindingKind{FoundTruncated}, b.verify(logged).kinds())
}

func TestAnEntryRewrittenAndChainedWithoutTheKeyIsFound(t *testing.T) {
	b := damagedBook(t)
	fiveSales(b)
	logged := b.Head()
	b.tamper(rechain(t, 4, func(r *eventRecord) { r.Amount.Minor = 1 }))

	_, err := OpenJournal(b.cfg)
	var refused *OpenError
	require.ErrorAs(t, err, &refused, "the last entry's seal is not ours")
	assert.Equal(t, OpenDamaged, refused.Kind)

	report := b.verify(logged)
	assert.Contains(t, report.kinds(), FoundEdited)
	assert.Equal(t, uint64(4), report.Findings[0].Sequence, "the first that is wrong is named first")
	assert.Contains(t, report.kinds(), FoundReplaced)
}

func TestAnEntryRewrittenInTheMiddleIsFoundThoughTheEndIsTrue(t *testing.T) {
	b := damagedBook(t)
	entries := fiveSales(b)
	b.tamper(func(tx *bbolt.Tx) error {
		events := tx.Bucket(bucketEvents)
		sealed := append([]byte{}, events.Get(place8(4))...)
		copy(sealed[len(sealed)-len("00\n")-sealDigits:], "00")
		return events.Put(place8(4), sealed)
	})
	report := b.verify()
	require.Contains(t, report.kinds(), FoundEdited)
	assert.Equal(t, uint64(4), report.Findings[0].Sequence)

	b.open()
	_, err := b.EventsOf(entries[0].OutTradeNo)
	var damage *DamageError
	assert.ErrorAs(t, err, &damage, "and no list shows it")
}

func TestDroppedAndReorderedEntriesAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		f    func(tx *bbolt.Tx) error
		kind FindingKind
		at   uint64
	}{
		"dropped": {func(tx *bbolt.Tx) error { return tx.Bucket(bucketEvents).Delete(place8(7)) }, FoundDropped, 7},
		"reordered": {func(tx *bbolt.Tx) error {
			events := tx.Bucket(bucketEvents)
			five, nine := append([]byte{}, events.Get(place8(5))...), append([]byte{}, events.Get(place8(9))...)
			if err := events.Put(place8(5), nine); err != nil {
				return err
			}
			return events.Put(place8(9), five)
		}, FoundReordered, 5},
	} {
		t.Run(name, func(t *testing.T) {
			b := damagedBook(t)
			fiveSales(b)
			b.tamper(c.f)
			report := b.verify()
			require.NotEmpty(t, report.Findings)
			assert.Equal(t, c.kind, report.Findings[0].Kind, report.String())
			assert.Equal(t, c.at, report.Findings[0].Sequence)
		})
	}
}

func TestAPaymentPutBackToAnOlderStateOfItsOwnIsFound(t *testing.T) {
	b := damagedBook(t)
	entry := b.scan(b.arm("key 1", "A-1"), "134567890123456789")
	var older []byte
	require.NoError(t, b.view(func(tx *bbolt.Tx) error {
		older = append(older, tx.Bucket(bucketPayments).Get([]byte(entry.OutTradeNo))...)
		return nil
	}))
	b.become(entry, payflow.Paid)
	b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketPayments).Put([]byte(entry.OutTradeNo), older) })
	assert.Contains(t, b.verify().kinds(), FoundState, "its seal is true, but a later entry is there")
}

func TestAPaymentUnderAnothersNumberIsNotShown(t *testing.T) {
	b := damagedBook(t)
	entries := fiveSales(b)
	one, two := []byte(entries[0].OutTradeNo), []byte(entries[1].OutTradeNo)
	b.tamper(func(tx *bbolt.Tx) error {
		payments := tx.Bucket(bucketPayments)
		return payments.Put(one, append([]byte{}, payments.Get(two)...))
	})
	assert.Contains(t, b.verify().kinds(), FoundState)
	b.open()
	_, err := b.Payment(entries[0].OutTradeNo)
	var damage *DamageError
	assert.ErrorAs(t, err, &damage, "its seal is true, but not in this place")
}

func TestAPaymentTakenOutIsFound(t *testing.T) {
	b := damagedBook(t)
	entry := fiveSales(b)[2]
	b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketPayments).Delete([]byte(entry.OutTradeNo)) })
	assert.Contains(t, b.verify().kinds(), FoundState)
	b.open()
	_, err := b.Recent(10)
	var damage *DamageError
	assert.ErrorAs(t, err, &damage)
}

func TestEachIndexIsHeldAgainstThePayments(t *testing.T) {
	for _, bucket := range indexes() {
		t.Run(string(bucket)+" lacks a payment", func(t *testing.T) {
			b := damagedBook(t)
			b.declinedOwing("key 0", "A-0")
			b.paid("key 1", "A-1")
			b.arm("key 2", "A-2")
			b.tamper(func(tx *bbolt.Tx) error {
				c := tx.Bucket(bucket).Cursor()
				c.Last()
				return c.Delete()
			})
			assert.Contains(t, b.verify().kinds(), FoundIndex)
		})
		t.Run(string(bucket)+" names another payment", func(t *testing.T) {
			b := damagedBook(t)
			b.declinedOwing("key 0", "A-0")
			b.paid("key 1", "A-1")
			entry := b.arm("key 2", "A-2")
			b.tamper(func(tx *bbolt.Tx) error {
				key, value := tx.Bucket(bucket).Cursor().First()
				if string(value) == string(entry.OutTradeNo) {
					key = place8(77)
				}
				return tx.Bucket(bucket).Put(append([]byte{}, key...), []byte(entry.OutTradeNo))
			})
			assert.Contains(t, b.verify().kinds(), FoundIndex)
		})
	}
}

func TestAStartOnAnOlderCopyIsRememberedUntilAPersonAccountsForIt(t *testing.T) {
	b := newBook(t)
	b.paid("key 0", "A-0")
	require.NoError(t, b.Close())
	older := b.copyOf()
	b.open()
	lost := b.arm("key 1", "A-1")
	require.NoError(t, b.Close())
	b.putBack(older)

	b.open()
	require.Len(t, b.FoundAtStart(), 1)
	assert.Equal(t, FoundTruncated, b.FoundAtStart()[0].Kind)
	again := b.arm("key 1", "A-1")
	assert.Equal(t, lost.OutTradeNo[:19], again.OutTradeNo[:19], "the counter went back")
	assert.NotEqual(t, lost.OutTradeNo, again.OutTradeNo, "but the random part was drawn anew")

	b.reopen()
	assert.Empty(t, b.FoundAtStart())
	report, err := b.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, []FindingKind{FoundAtAStart}, report.kinds())

	require.NoError(t, b.Restored("manager", "backup of Sunday, disk was changed"))
	report, err = b.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.True(t, report.Clean(), report.String())
	assert.Contains(t, report.String(), "backup of Sunday")
}

func TestNumbersAreNewAfterARestore(t *testing.T) {
	b := newBook(t)
	seen := map[string]bool{}
	for range 20 {
		seen[string(b.arm(b.freshKey(), "A-1").OutTradeNo[19:24])] = true
		require.NoError(t, b.Restored("manager", "test"))
	}
	assert.Len(t, seen, 20)
}

func (b *book) freshKey() string { return string(b.NewTag()) }

func TestVerifyStopsWhenItsContextEnds(t *testing.T) {
	b := newBook(t)
	fiveSales(b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Verify(ctx, nil)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestVerifyRunsBesideTheEngine(t *testing.T) {
	b := newBook(t)
	fiveSales(b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5 {
			report, err := b.Verify(context.Background(), nil)
			assert.NoError(t, err)
			assert.True(t, report.Clean(), report.String())
		}
	}()
	for range 20 {
		b.become(b.arm(b.freshKey(), "B-1"), payflow.Cancelled)
	}
	<-done
}

// A finding arms nothing more until a person has looked: one about a payment that went on meanwhile would close a till for nothing.
func TestAPaymentWhileTheHeadsAreMeasuredIsNoFinding(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	met := 0
	b.Journal.cfg.unread = func(path string) error {
		if path == b.cfg.memoFile() {
			met++
			b.paid(fmt.Sprint("key while measured ", met), "A-2")
			require.NoError(t, b.SaveHead())
		}
		return nil
	}
	report, err := b.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
	assert.Equal(t, 1, met)
	b.Journal.cfg.unread = nil
}

func TestACheckThatCannotReadThePagesFindsNothing(t *testing.T) {
	b := newBook(t)
	b.paid("key 1", "A-1")
	whole := b.file
	unreadable, err := os.OpenFile(filepath.Join(t.TempDir(), "write only"), os.O_WRONLY|os.O_CREATE, 0o600)
	require.NoError(t, err)
	b.file = unreadable
	report, err := b.Verify(t.Context(), nil)
	b.file = whole
	assert.True(t, isUnreadable(err), err)
	assert.Empty(t, report.Findings)
	require.NoError(t, unreadable.Close())
}
