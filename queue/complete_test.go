package queue

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// lineGone takes one line out of a bucket, the nth from its end, as a wrong bit in a page's count or in a key does.
func lineGone(bucket []byte, fromEnd int) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		c.Last()
		for range fromEnd {
			c.Prev()
		}
		return c.Delete()
	}
}

func TestALineThatIsGoneIsMissedByTheListThatNeedsIt(t *testing.T) {
	for _, gone := range []struct {
		name    string
		bucket  []byte
		fromEnd int
		read    func(b *book) error
	}{
		{"the only open payment", bucketOpen, 0, func(b *book) error { _, err := b.OpenPayments(); return err }},
		{"a result that nobody acknowledged", bucketUnannounced, 0, func(b *book) error { _, err := b.Unannounced(); return err }},
		{"the same, counted", bucketUnannounced, 0, func(b *book) error { _, err := b.CountUnannounced(); return err }},
		{"the day's last", bucketByDay, 0, func(b *book) error { _, err := b.Day("2026-03-01", "", 100); return err }},
		{"the day's second", bucketByDay, 3, func(b *book) error { _, err := b.Day("2026-03-01", "", 2); return err }},
		{"the newest", bucketByArming, 0, func(b *book) error { _, err := b.Recent(1); return err }},
		{"one before it", bucketByArming, 1, func(b *book) error { _, err := b.Recent(2); return err }},
		{"a sale's second attempt", bucketBySale, 1, func(b *book) error { _, err := b.BySale("A-1"); return err }},
		{"an entry of the chain", bucketEvents, 3, func(b *book) error { _, err := b.Events(0, 100); return err }},
		{"the open index of a payment that is shown", bucketOpen, 0, func(b *book) error { _, err := b.Recent(1); return err }},
	} {
		t.Run(gone.name, func(t *testing.T) {
			b := damagedBook(t)
			for range 4 {
				b.paid(b.freshKey(), "A-1")
			}
			b.scan(b.arm(b.freshKey(), "A-1"), "134567890123456799")
			require.NoError(t, gone.read(b), "as long as it is there")
			b.tamper(lineGone(gone.bucket, gone.fromEnd))
			b.openToRead()
			var damage *DamageError
			require.ErrorAs(t, gone.read(b), &damage)
			assert.Contains(t, damage.Error(), "posagent journal verify")
		})
	}
}

func (b *book) openToRead() {
	b.t.Helper()
	cfg := b.cfg
	cfg.ReadOnly = true
	j, err := OpenJournal(cfg)
	require.NoError(b.t, err)
	b.Journal = j
	b.t.Cleanup(func() { _ = j.Close() })
}

func TestAPaymentWhoseRecordIsNotFoundIsNotSaidNeverToHaveBeen(t *testing.T) {
	b := damagedBook(t)
	paid := b.paid("key 1", "A-1")
	b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketPayments).Delete([]byte(paid.OutTradeNo)) })
	b.openToRead()
	_, err := b.Payment(paid.OutTradeNo)
	var damage *DamageError
	assert.ErrorAs(t, err, &damage)
	_, err = b.Payment(outTradeNo("SZTX001", "T1", b.now, 1, "ZZZZZ"))
	assert.ErrorIs(t, err, payflow.ErrNoPayment, "another journal's number")
}

func TestASaleOrKeyWhoseLineIsGoneIsNotArmedAgain(t *testing.T) {
	for _, bucket := range [][]byte{bucketByKey, bucketBySale} {
		b := damagedBook(t)
		b.paid("key 1", "A-1")
		b.tamper(lineGone(bucket, 0))
		b.open()
		key := "key 1"
		if string(bucket) == string(bucketBySale) {
			key = "key 2"
		}
		_, err := b.tryArm(key, "A-1")
		var damage *DamageError
		require.ErrorAs(t, err, &damage, "%s", bucket)
		assert.Contains(t, damage.Error(), string(bucket))
		_, err = b.tryArm("key 3", "A-3")
		require.NoError(t, err, "another sale goes on until Verify has found it")
	}
}

func TestAnOlderStateWithAWholeSealIsNotShown(t *testing.T) {
	b := damagedBook(t)
	open := b.scan(b.arm("key 1", "A-1"), "134567890123456799")
	var older []byte
	require.NoError(t, b.db.View(func(tx *bbolt.Tx) error {
		older = slices.Clone(tx.Bucket(bucketPayments).Get([]byte(open.OutTradeNo)))
		return nil
	}))
	b.become(open, payflow.Paid)
	b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketPayments).Put([]byte(open.OutTradeNo), older) })
	b.openToRead()
	_, err := b.Payment(open.OutTradeNo)
	assert.ErrorContains(t, err, "the payment is paying, but open says otherwise")
}

func TestAnOpenPaymentThatWentBackAStepIsNotGoneOnWith(t *testing.T) {
	b := damagedBook(t)
	confirming := b.become(b.scan(b.arm("key 1", "A-1"), "134567890123456799"), payflow.Confirming)
	var older []byte
	require.NoError(t, b.db.View(func(tx *bbolt.Tx) error {
		older = slices.Clone(tx.Bucket(bucketPayments).Get([]byte(confirming.OutTradeNo)))
		return nil
	}))
	b.become(confirming, payflow.Reversing)
	b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketPayments).Put([]byte(confirming.OutTradeNo), older) })
	b.open()
	_, err := b.OpenPayments()
	assert.ErrorContains(t, err, "came after it")
}

func TestAStartMissesTheNewestEntryThoughNoMemoNamesIt(t *testing.T) {
	b := damagedBook(t)
	b.paid("key 1", "A-1")
	b.tamper(cutNewest(1))
	require.NoError(t, os.Remove(b.cfg.memoFile()))
	b.openToRead()
	report, err := b.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.False(t, report.Clean())
	require.NoError(t, b.Close())
	b.open()
	require.Len(t, b.FoundAtStart(), 1)
	assert.Equal(t, FoundTruncated, b.FoundAtStart()[0].Kind)
}

func TestAJournalOfBeforeThereWereTalliesIsReadAsItIs(t *testing.T) {
	b := newBook(t)
	open := b.arm("key 1", "A-1")
	b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketCounters).Delete(keyTally) })
	b.open()
	assert.Equal(t, []payflow.OutTradeNo{open.OutTradeNo}, numbers(b.OpenPayments()))
	assert.Empty(t, b.FoundAtStart())
	b.become(open, payflow.Cancelled)
	assert.Empty(t, numbers(b.OpenPayments()))
}

func TestVerifyNamesTheRecordsThatStandAlone(t *testing.T) {
	for _, record := range []struct{ bucket, key []byte }{{bucketAbout, keyAbout}, {bucketCounters, keyCounters}, {bucketCounters, keyTally}} {
		b := damagedBook(t)
		b.paid("key 1", "A-1")
		b.tamper(func(tx *bbolt.Tx) error {
			changed := slices.Clone(tx.Bucket(record.bucket).Get(record.key))
			changed[len(changed)-1] ^= 1
			return tx.Bucket(record.bucket).Put(record.key, changed)
		})
		b.openToRead()
		report, err := b.Verify(t.Context(), nil)
		require.NoError(t, err)
		assert.Contains(t, report.String(), string(record.key))
	}
}

// One wrong bit in its key takes the tally away, and with it what the number of open payments is held against.
func TestVerifyMissesATallyThatIsGone(t *testing.T) {
	b := damagedBook(t)
	report, err := b.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.True(t, report.Clean(), "a journal of one entry has none")
	b.paid("key 1", "A-1")
	b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketCounters).Delete(keyTally) })
	b.openToRead()
	report, err = b.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.Contains(t, report.String(), string(keyTally))
}

func TestADamagedNewestMetaPageIsRefusedAndAnOlderOneIsNot(t *testing.T) {
	b := damagedBook(t)
	b.paid("key 1", "A-1")
	require.NoError(t, b.Close())
	whole, size := b.copyOf(), os.Getpagesize()
	newest := 0
	if metaTx(whole[size+pageHeader:]) > metaTx(whole[pageHeader:]) {
		newest = 1
	}
	for at := pageHeader; at < pageHeader+metaBytes; at += 3 {
		b.flip(newest*size+at, 0x10)
		assert.Equal(t, OpenDamaged, b.mustNotOpen().Kind, "byte %d of the newest", at)
		b.flip(newest*size+at, 0x10)

		b.flip((1-newest)*size+at, 0x10)
		b.openToRead()
		require.NoError(t, b.Close())
		b.flip((1-newest)*size+at, 0x10)
	}
	b.open()
	require.NoError(t, b.Close())
}

func TestAPageThatLeadsBackToItselfIsNotFollowedByAStart(t *testing.T) {
	b := damagedBook(t)
	b.fill(300)
	require.NoError(t, b.Close())
	whole, size := b.copyOf(), os.Getpagesize()
	refused := 0
	for at, used := 2*size, usedBytes(whole); at < used; at += size {
		if native.Uint16(whole[at+8:]) != branchFlag {
			continue
		}
		circle := native.AppendUint64(nil, uint64(at/size))
		changed := slices.Clone(whole)
		copy(changed[at+int(elementAt(0))+8:], circle)
		b.putBack(changed)
		for _, readOnly := range []bool{true, false} {
			b.cfg.ReadOnly = readOnly
			j, err := OpenJournal(b.cfg)
			if err == nil {
				_ = j.Close() // a page of an older step
				continue
			}
			refused++
		}
	}
	assert.GreaterOrEqual(t, refused, 2*4, "events, payments, and some of the indexes")
}

func TestAPageThatIsFreeAndInUseIsNotWrittenOver(t *testing.T) {
	b := damagedBook(t)
	for range 5 {
		b.paid(b.freshKey(), "A-1")
	}
	require.NoError(t, b.Close())
	whole, size := b.copyOf(), os.Getpagesize()
	check := &pageCheck{file: bytes.NewReader(whole), size: uint64(size)}
	root, freelist, ok, err := check.meta()
	require.NoError(t, err)
	require.True(t, ok)
	changed := slices.Clone(whole)
	require.Positive(t, native.Uint16(changed[int(freelist)*size+10:]))
	native.PutUint64(changed[int(freelist)*size+pageHeader:], root)
	b.putBack(changed)
	refused := b.mustNotOpen()
	assert.Equal(t, OpenDamaged, refused.Kind)
	assert.Contains(t, refused.Text, "on the list of free pages")
}
