package queue

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// fill stores n paid payments, many in one transaction, as the steps of each would have left them but for the steps between. Three
// more stay open.
func (b *book) fill(n int) {
	b.fillMore(0, n)
	for i := range 3 {
		b.arm(fmt.Sprint("open ", i), fmt.Sprint("open ", i))
	}
}

func (b *book) fillMore(from, n int) {
	const slice = 5000
	for done := from; done < n; done += slice {
		require.NoError(b.t, b.update(func(tx *bbolt.Tx) (Head, error) {
			for i := range min(slice, n-done) {
				next, err := b.fillOne(tx, done+i)
				if err != nil {
					return Head{}, err
				}
				b.Journal.head = next
			}
			return b.Journal.head, nil
		}))
	}
}

func (b *book) fillOne(tx *bbolt.Tx, i int) (Head, error) {
	no, counter, err := b.nextNumber(tx)
	if err != nil {
		return Head{}, err
	}
	sale := payflow.SaleRef("S-" + strconv.Itoa(i))
	at := b.now.Add(time.Duration(i) * time.Minute)
	order := payflow.Order{OutTradeNo: no, Attempt: 1, SaleRef: sale, Amount: hkd1250, Tag: b.NewTag(), API: payflow.APIv3}
	p, _ := payflow.Arm(order, payflow.DefaultTiming(), at)
	p.Status, p.FinalAt = payflow.Paid, at
	r := paymentRecord{Counter: counter, Key: "fill " + strconv.Itoa(i), Entry: payflow.Entry{
		Payment: p, StoreDay: b.storeDay(at), Acknowledged: payflow.Acknowledgement{At: at, How: payflow.GoodsGiven},
	}}
	event := ofPayment(EventArmed, p)
	event.At = at
	var entry payflow.Entry
	return b.store(tx, nil, &r, event, &entry)
}

// TestAStartReadsTheOpenPaymentsAndNoOthers counts what a start reads instead of timing it.
func TestAStartReadsTheOpenPaymentsAndNoOthers(t *testing.T) {
	b := newBook(t)
	b.fill(500)
	require.NoError(t, b.Close())
	b.tamper(func(tx *bbolt.Tx) error { // a start that read any of these would fail
		return tx.Bucket(bucketPayments).Put([]byte("ZZZZ"), []byte("no record"))
	})
	b.open()
	require.Len(t, mustList(b.OpenPayments()), 3)
	b.tamper(func(tx *bbolt.Tx) error { return tx.Bucket(bucketPayments).Delete([]byte("ZZZZ")) })
	b.open()
}

// pagesRead counts what is read of a file.
type pagesRead struct {
	io.ReaderAt
	n int
}

func (r *pagesRead) ReadAt(p []byte, at int64) (int, error) {
	r.n++
	return r.ReaderAt.ReadAt(p, at)
}

func TestTheCheckOfAStartReadsFewPagesHoweverLongTheJournalIs(t *testing.T) {
	b := newBook(t)
	read := func(check func(io.ReaderAt, int) ([]string, error)) int {
		counted := &pagesRead{ReaderAt: b.file}
		wrong, err := check(counted, os.Getpagesize())
		require.NoError(t, err)
		require.Empty(t, wrong)
		return counted.n
	}
	b.fill(100)
	short := read(checkStart)
	b.fillMore(100, 1500)
	assert.LessOrEqual(t, read(checkStart), short+len(indexes())+4, "one page deeper at most, in each bucket")
	assert.Greater(t, read(checkPages), 400)
}
