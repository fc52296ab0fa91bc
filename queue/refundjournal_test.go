package queue

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// wished records a refund of a paid payment, as the engine does before its first call.
func (b *book) wished(p payflow.Entry, minor int64, key string) payflow.RefundEntry {
	b.t.Helper()
	entry, err := b.tryWish(p, minor, key)
	require.NoError(b.t, err)
	return entry
}

func (b *book) tryWish(p payflow.Entry, minor int64, key string) (payflow.RefundEntry, error) {
	r, _ := payflow.NewRefund(payflow.RefundOrder{
		OutRefundNo: payflow.NewOutRefundNo(p.OutTradeNo, payflow.WishPerson, key), OutTradeNo: p.OutTradeNo, Merchant: p.Merchant, API: p.API,
		Amount: payflow.Amount{Minor: minor, Currency: "HKD"}, Total: p.Amount, Reason: "broken",
	}, payflow.WishPerson, "Amy", b.now)
	return b.AddRefund(key, "digest of "+key, r)
}

// turns is a refund's next status: the journal does not ask how it came about.
func (b *book) turns(entry payflow.RefundEntry, status payflow.RefundStatus) payflow.RefundEntry {
	b.t.Helper()
	r := entry.Refund
	r.Status, r.Version = status, r.Version+1
	entry, err := b.CommitRefund(payflow.RefundEvent{Kind: payflow.RefundQueryAnswered, At: b.now}, r)
	require.NoError(b.t, err)
	return entry
}

func refundNumbers(entries []payflow.RefundEntry, err error) []payflow.OutRefundNo {
	list := []payflow.OutRefundNo{}
	for _, e := range entries {
		list = append(list, e.OutRefundNo)
	}
	if err != nil {
		list = append(list, payflow.OutRefundNo(err.Error()))
	}
	return list
}

func TestARefundIsThereAgainAfterARestartAsItWasStored(t *testing.T) {
	b := newBook(t)
	p := b.paid("key 1", "A-1")
	other := b.paid("key 2", "A-2")
	first, second, third := b.wished(p, 500, "k1"), b.wished(other, 1, "k2"), b.wished(p, 750, "k3")
	first = b.turns(b.turns(first, payflow.RefundProcessing), payflow.RefundDone)
	b.reopen()
	got, err := b.Journal.Refund(first.OutRefundNo)
	require.NoError(t, err)
	assert.Equal(t, first, got)
	assert.Equal(t, []payflow.OutRefundNo{second.OutRefundNo, third.OutRefundNo}, refundNumbers(b.OpenRefunds()))
	assert.Equal(t, []payflow.OutRefundNo{first.OutRefundNo, third.OutRefundNo}, refundNumbers(b.RefundsOfPayment(p.OutTradeNo)))
	assert.Equal(t, []payflow.OutRefundNo{first.OutRefundNo, second.OutRefundNo, third.OutRefundNo}, refundNumbers(b.RefundsOfDay(first.StoreDay, "", 10)))
	assert.Equal(t, []payflow.OutRefundNo{third.OutRefundNo}, refundNumbers(b.RefundsOfDay(first.StoreDay, second.OutRefundNo, 10)))
	byKey, digest, found, err := b.RefundByKey("k2")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "digest of k2", digest)
	assert.Equal(t, second, byKey)
	assert.Equal(t, payflow.SaleRef("A-2"), byKey.SaleRef)

	events, err := b.EventsOfRefund(first.OutRefundNo)
	require.NoError(t, err)
	require.Len(t, events, 3)
	assert.Equal(t, EventRefundWished, events[0].Kind)
	assert.Equal(t, p.OutTradeNo, events[0].OutTradeNo)
	assert.Equal(t, payflow.RefundDone, events[2].Refund.Status)
	ofPayment, err := b.EventsOf(p.OutTradeNo)
	require.NoError(t, err)
	assert.Len(t, ofPayment, 3, "the payment's own chain is as it was")
	report, err := b.Verify(t.Context(), nil)
	require.NoError(t, err)
	assert.EqualValues(t, 3, report.Refunds)
}

func TestTheJournalTakesNoRefundThatMayNotBe(t *testing.T) {
	b := newBook(t)
	p := b.paid("key 1", "A-1")
	entry := b.wished(p, 800, "k1")
	_, err := b.tryWish(p, 451, "k2")
	var much *payflow.RefundTooMuchError
	require.ErrorAs(t, err, &much)
	assert.Equal(t, int64(450), much.Left.Minor)
	_, err = b.tryWish(p, 1, "k1")
	require.ErrorIs(t, err, payflow.ErrKeyReused)
	_, err = b.tryWish(payflow.Entry{Payment: payflow.Payment{Order: payflow.Order{OutTradeNo: "X", Amount: hkd1250}}}, 1, "k3")
	require.ErrorIs(t, err, payflow.ErrNoPayment)

	spoilt := func(spoil func(*payflow.Refund)) error {
		r := entry.Refund
		spoil(&r)
		_, err := b.CommitRefund(payflow.RefundEvent{Kind: payflow.RefundAnswered, At: b.now}, r)
		return err
	}
	require.Error(t, spoilt(func(r *payflow.Refund) { r.Amount.Minor-- }))
	require.Error(t, spoilt(func(r *payflow.Refund) { r.Wish = payflow.WishLateSuccess }))
	require.ErrorIs(t, spoilt(func(r *payflow.Refund) { r.OutRefundNo = "X" }), payflow.ErrNoRefund)
	entry = b.turns(entry, payflow.RefundProcessing)
	require.Error(t, spoilt(func(r *payflow.Refund) { r.Status = payflow.RefundRequested }), "what was taken on is not asked for again")
	entry = b.turns(entry, payflow.RefundRefused)
	require.Error(t, spoilt(func(r *payflow.Refund) { r.Status = payflow.RefundDone }), "a final status never changes")
	b.wished(p, 1250, "k4") // what is dead holds nothing
}

func TestFiftyRefundsOfOnePaymentAreTheMost(t *testing.T) {
	b := newBook(t)
	p := b.paid("key 1", "A-1")
	for range payflow.RefundsMax {
		b.wished(p, 1, b.freshKey())
	}
	_, err := b.tryWish(p, 1, "k51")
	require.ErrorIs(t, err, payflow.ErrRefundTooMany)
}

// withoutRefundBuckets is the file as a program made it that knew no refunds.
func withoutRefundBuckets(tx *bbolt.Tx) error {
	for _, name := range refundBuckets() {
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
	}
	return nil
}

func TestAJournalOfBeforeThereWereRefundsIsOpened(t *testing.T) {
	b := newBook(t)
	p := b.paid("key 1", "A-1")
	head := b.Head()
	b.tamper(withoutRefundBuckets)
	report := b.verify(head)
	assert.True(t, report.Clean(), report.String())
	cfg := b.cfg
	cfg.ReadOnly = true
	readOnly, err := OpenJournal(cfg)
	require.NoError(t, err)
	_, err = readOnly.Refund("R1")
	require.ErrorIs(t, err, payflow.ErrNoRefund)
	assert.Empty(t, refundNumbers(readOnly.OpenRefunds()))
	_, _, found, err := readOnly.RefundByKey("k1")
	require.NoError(t, err)
	assert.False(t, found)
	require.NoError(t, readOnly.Close())

	b.open()
	assert.Equal(t, head, b.Head(), "to make room for refunds is no entry")
	b.wished(p, 500, "k1")
}

// The refunds' buckets were made in one commit. One wrong bit in the name of one takes all its lines away: a start that made a new one in its place
// would forget the refunds that are open.
func TestAJournalThatLacksOneOfTheRefundsBucketsIsDamaged(t *testing.T) {
	for _, name := range refundBuckets() {
		b := bookIn(t, t.TempDir())
		b.open()
		b.wished(b.paid("key 1", "A-1"), 500, "k1")
		require.NoError(t, b.Close())
		whole := b.copyOf()
		b.tamper(func(tx *bbolt.Tx) error { return tx.DeleteBucket(name) })
		hurt := b.copyOf()
		assert.Equal(t, OpenDamaged, b.mustNotOpen().Kind, "%s", name)
		assert.Equal(t, hurt, b.copyOf(), "%s: nothing is made in its place", name)
		readOnly := b.cfg
		readOnly.ReadOnly = true
		_, err := OpenJournal(readOnly)
		var refused *OpenError
		require.ErrorAs(t, err, &refused, "%s", name)
		assert.Equal(t, OpenDamaged, refused.Kind)
		b.putBack(whole)
	}
}

// One wrong bit in the count of a page takes its lines away without breaking a seal: a start would forget the refunds that are open.
func TestAnOpenRefundWhoseLineIsGoneIsMissed(t *testing.T) {
	b := damagedBook(t)
	entry := b.wished(b.paid("key 1", "A-1"), 500, "k1")
	b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketOpenRefunds).Delete(place8(entry.Sequence)) })
	b.open()
	_, err := b.OpenRefunds()
	var damage *DamageError
	require.ErrorAs(t, err, &damage)
	assert.Contains(t, damage.Error(), "open_refunds")
}

// A program that knows no refunds reads an entry about one as an entry about nothing: it must not name a payment where those do, or that
// program would find the payment older than its last entry.
func TestAnEntryAboutARefundIsNoneOfThePayment(t *testing.T) {
	b := newBook(t)
	entry := b.wished(b.paid("key 1", "A-1"), 500, "k1")
	require.NoError(t, b.view(func(tx *bbolt.Tx) error {
		body, _, _ := split(tx.Bucket(bucketEvents).Get(place8(entry.Sequence)))
		var fields map[string]any
		require.NoError(t, json.Unmarshal(body, &fields))
		assert.NotContains(t, fields, "out_trade_no")
		assert.Equal(t, string(entry.OutTradeNo), fields["refund_of"])
		return nil
	}))
}

func TestWhatWasDoneToARefundIsFound(t *testing.T) {
	swap := func(tx *bbolt.Tx, no payflow.OutRefundNo, old, with string) error {
		refunds := tx.Bucket(bucketRefunds)
		text := string(refunds.Get([]byte(no)))
		edited := []byte(replaceOnce(text, old, with))
		return refunds.Put([]byte(no), edited)
	}
	for name, row := range map[string]struct {
		harm func(tx *bbolt.Tx, first, second payflow.RefundEntry) error
		want FindingKind
	}{
		"an amount changed": {func(tx *bbolt.Tx, first, _ payflow.RefundEntry) error {
			return swap(tx, first.OutRefundNo, `"minor":500`, `"minor":900`)
		}, FoundState},
		"a status changed": {func(tx *bbolt.Tx, first, _ payflow.RefundEntry) error {
			return swap(tx, first.OutRefundNo, `"status":"requested"`, `"status":"refused"`)
		}, FoundState},
		"a refund taken away": {func(tx *bbolt.Tx, first, _ payflow.RefundEntry) error {
			return tx.Bucket(bucketRefunds).Delete([]byte(first.OutRefundNo))
		}, FoundState},
		"one put in another's place": {func(tx *bbolt.Tx, first, second payflow.RefundEntry) error {
			refunds := tx.Bucket(bucketRefunds)
			return refunds.Put([]byte(first.OutRefundNo), refunds.Get([]byte(second.OutRefundNo)))
		}, FoundState},
		"all of them gone":         {func(tx *bbolt.Tx, _, _ payflow.RefundEntry) error { return withoutRefundBuckets(tx) }, FoundState},
		"not among the open ones":  {dropLine(bucketOpenRefunds), FoundIndex},
		"not found by its payment": {dropLine(bucketRefundsByPayment), FoundIndex},
		"not found by its key":     {dropLine(bucketRefundsByKey), FoundIndex},
		"not found by its day":     {dropLine(bucketRefundsByDay), FoundIndex},
		"a line that names nothing": {func(tx *bbolt.Tx, _, _ payflow.RefundEntry) error {
			return tx.Bucket(bucketOpenRefunds).Put(place8(99), []byte("X"))
		}, FoundIndex},
		"a line in a wrong place": {func(tx *bbolt.Tx, first, _ payflow.RefundEntry) error {
			return tx.Bucket(bucketRefundsByKey).Put([]byte("k9"), []byte(first.OutRefundNo))
		}, FoundIndex},
	} {
		t.Run(name, func(t *testing.T) {
			b := damagedBook(t)
			p := b.paid("key 1", "A-1")
			first, second := b.wished(p, 500, "k1"), b.wished(p, 100, "k2")
			b.tamper(func(tx *bbolt.Tx) error { return row.harm(tx, first, second) })
			assert.Contains(t, b.verify().kinds(), row.want)
		})
	}
}

func dropLine(bucket []byte) func(tx *bbolt.Tx, _, _ payflow.RefundEntry) error {
	return func(tx *bbolt.Tx, _, _ payflow.RefundEntry) error {
		c := tx.Bucket(bucket).Cursor()
		c.First()
		return c.Delete()
	}
}

func replaceOnce(text, old, with string) string {
	for i := 0; i+len(old) <= len(text); i++ {
		if text[i:i+len(old)] == old {
			return text[:i] + with + text[i+len(old):]
		}
	}
	panic("the record does not hold " + old)
}

func TestNoRefundIsMadeOfWhatAPersonGaveBackInAnotherWay(t *testing.T) {
	b := newBook(t)
	p := b.paid("key 1", "A-1")
	under := b.wished(p, 250, "k1")
	_, err := b.Acknowledge(p.OutTradeNo, payflow.Acknowledgement{At: b.now, How: payflow.MoneyGivenBack, Operator: "Amy"})
	require.NoError(t, err)
	_, err = b.tryWish(p, 1000, "k2")
	var given *payflow.GivenBackError
	require.ErrorAs(t, err, &given)
	assert.Equal(t, "Amy", given.Entry.Acknowledged.Operator)
	assert.Equal(t, payflow.RefundDone, b.turns(b.turns(under, payflow.RefundProcessing), payflow.RefundDone).Status, "the one that was under way goes on")
}
