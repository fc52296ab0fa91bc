package till

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// follow collects a stream's events until the test's end.
func follow(t *testing.T, c *Client, after uint64) *followed {
	t.Helper()
	f := &followed{}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Events(ctx, after, func(e StreamEvent) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			switch {
			case e.Journal != nil:
				f.sequences = append(f.sequences, e.Journal.Sequence)
			case e.Payment != nil:
				f.payments = append(f.payments, *e.Payment)
			case e.Refund != nil:
				f.refunds = append(f.refunds, *e.Refund)
			case e.Alive != nil:
				f.alive++
				f.notice, f.looking = e.Alive.Notice, e.Alive.BillLooking
			}
			return nil
		})
	}()
	f.end = func() { stop(); <-done }
	t.Cleanup(f.end)
	synctest.Wait()
	return f
}

type followed struct {
	mu sync.Mutex // guards seen
	seen
	end func()
}

// seen is what a reader of the stream got.
type seen struct {
	sequences []uint64
	payments  []Payment
	refunds   []Refund
	alive     int
	notice    *NoticeView // of the last alive event, as is looking
	looking   bool
}

func (f *followed) now() seen {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

func TestTheStreamShowsThePaymentAtOnceAndEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.armed("A-1001")
		c, _ := a.served(t)
		f := follow(t, c, 0)
		require.Len(t, f.now().payments, 1, "the payment that holds the till")
		assert.Equal(t, payflow.Waiting, f.now().payments[0].Status)

		a.desk.move(id, confirming)
		synctest.Wait()
		a.desk.quietly(id)
		a.desk.move(id, paid)
		synctest.Wait()
		require.Len(t, f.now().payments, 3)
		assert.Equal(t, payflow.Confirming, f.now().payments[1].Status)
		assert.Equal(t, payflow.Paid, f.now().payments[2].Status)
		assert.Equal(t, []uint64{2, 3, 4}, f.now().sequences, "the entry that was not announced is not left out")
	})
}

func TestTheStreamSaysEachSecondThatTheAgentLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		c, _ := a.served(t)
		f := follow(t, c, 0)
		assert.Equal(t, 1, f.now().alive)
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		assert.Equal(t, 11, f.now().alive)
	})
}

func TestTheStreamTellsAScanThatCameTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		c, _ := a.served(t)
		f := follow(t, c, 0)
		refused := func(kind string) {
			a.desk.mu.Lock()
			defer a.desk.mu.Unlock()
			a.desk.notice = payflow.Notice{At: time.Now(), Kind: kind, Device: "/dev/posagent-scanner"}
		}
		refused(payflow.NoticeNothingArmed)
		time.Sleep(aliveEvery + time.Millisecond)
		require.NotNil(t, f.now().notice, "no payment tells it")
		assert.Equal(t, payflow.NoticeNothingArmed, f.now().notice.Kind)
		refused(payflow.NoticeBusy)
		time.Sleep(aliveEvery)
		assert.Nil(t, f.now().notice, "the payment that held the till has told it")
		refused(payflow.NoticeNothingArmed)
		time.Sleep(noticeFor + aliveEvery)
		assert.Nil(t, f.now().notice, "an old one is nobody's news")
	})
}

// The till's own scanner read a bill that WeChat Pay is asked about for seconds: every window is told in that moment, and when it is over.
func TestTheStreamSaysAtOnceThatABillIsLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowBills{answer: make(chan payflow.Outcome)}
		a := newTill(t, func(c *Config) { c.Bills = slow })
		c, _ := a.served(t)
		f := follow(t, c, 0)
		got := make(chan answer, 1)
		go func() { got <- a.post("/v1/bills/scan", `{"wait":30}`) }()
		synctest.Wait()
		before := f.now().alive
		assert.False(t, f.now().looking)
		require.True(t, a.server.TakeBillScan(billID))
		assert.True(t, f.now().looking)
		assert.Equal(t, before+1, f.now().alive, "and nothing had to be waited for")
		time.Sleep(4*time.Second + time.Millisecond)
		assert.True(t, f.now().looking)
		slow.answer <- payflow.Outcome{Kind: payflow.NoSuchOrder}
		assert.False(t, f.now().looking)
		assert.Contains(t, (<-got).Body, `"answer":"not_ours"`)
	})
}

// slowBills answers when the test says so.
type slowBills struct{ answer chan payflow.Outcome }

func (b *slowBills) AskBill(ctx context.Context, _ payflow.TransactionID, _ payflow.OutTradeNo) (payflow.Outcome, error) {
	select {
	case outcome := <-b.answer:
		return outcome, nil
	case <-ctx.Done():
		return payflow.Outcome{}, ctx.Err()
	}
}

func TestAStreamGoesOnBehindTheLastEventWithoutGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		a.busyDay(150) // 300 entries: more than one page
		c, p := a.served(t)
		f := follow(t, c, 40)
		assert.Len(t, f.now().sequences, 260)
		p.cut()
		a.armed("B-1")
		a.desk.move(a.desk.payments[150].OutTradeNo, paid)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		f.end()
		require.Len(t, f.now().sequences, 262)
		for i, sequence := range f.now().sequences {
			require.Equal(t, uint64(41+i), sequence)
		}
	})
}

// A journal that was put back from a backup ends before what its readers have seen: going on behind that would leave out all that comes until
// the numbers meet again.
func TestAnEventThatTheJournalHasNotComeToIsRefusedByName(t *testing.T) {
	a := newTill(t)
	a.busyDay(3) // 6 entries
	for _, last := range []string{"7", "900", "18446744073709551615"} {
		r := a.request(http.MethodGet, "/v1/events", "")
		r.Header.Set("Last-Event-ID", last)
		p := a.do(r).problem()
		require.Len(t, p.Fields, 1, last)
		assert.Equal(t, "Last-Event-ID", p.Fields[0].Field)
		assert.Equal(t, BadRequest, a.get("/v1/events?after="+last).problem().Code)
	}
	for _, none := range []string{"-1", "1.5", "0x7", "one", "18446744073709551616", "99999999999999999999"} {
		assert.Equal(t, BadRequest, a.get("/v1/events?after="+none).problem().Code, none)
	}
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		a.busyDay(3)
		c, _ := a.served(t)
		assert.Empty(t, follow(t, c, 6).now().sequences, "the last one")
		assert.Len(t, follow(t, c, 0).now().sequences, 0)
		assert.Len(t, follow(t, c, 1).now().sequences, 5)
	})
}

func TestAReaderThatIsTooSlowIsToldAgainFromTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		a.armed("A-1001")
		c, _ := a.served(t)
		f := follow(t, c, 0)
		a.desk.mu.Lock() // the stream can't read the journal meanwhile
		for range 20 {   // more than its channel holds
			a.desk.record(0, "query_answered")
		}
		require.Empty(t, a.desk.readers, "its channel is closed")
		a.desk.mu.Unlock()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		f.end()
		require.Len(t, f.now().sequences, 20)
		assert.Equal(t, uint64(21), f.now().sequences[19])
	})
}

func TestAScanThatWasRefusedReachesTheStreamWithoutARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.armed("A-1001")
		c, _ := a.served(t)
		f := follow(t, c, 0)
		e, err := a.desk.Payment(id)
		require.NoError(t, err)
		e.Notice = payflow.Notice{At: noon(), Kind: string(payflow.CodeAlipay), Device: "scanner"}
		a.desk.mu.Lock()
		a.desk.announce(payflow.Announcement{Entry: e})
		a.desk.mu.Unlock()
		synctest.Wait()
		require.Len(t, f.now().payments, 2)
		assert.Equal(t, "alipay", f.now().payments[1].Notice.Kind)
		assert.Equal(t, "because alipay", f.now().payments[1].Notice.Message.EN)
		assert.Empty(t, f.now().sequences)
	})
}

func TestTheServersEndEndsStreamsAndLongPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.armed("A-1001")
		c, _ := a.served(t)
		follow(t, c, 0)
		polled := make(chan payflow.Status, 1)
		go func() {
			p, err := callFor[Payment](t.Context(), c, http.MethodGet, "/v1/payments/"+string(id)+"?since=1&wait=100", nil)
			assert.NoError(t, err)
			polled <- p.Status
		}()
		time.Sleep(2 * time.Second)
		began := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		require.NoError(t, a.server.Shutdown(ctx))
		assert.Less(t, time.Since(began), 2*time.Second) // of the fake clock
		assert.Equal(t, payflow.Waiting, <-polled, "with the payment's present form")
	})
}

func TestMoreStreamsThanTheBoundAreRefused(t *testing.T) {
	a := newTill(t)
	for i := range streamsMax {
		require.True(t, a.server.streams.enter(fmt.Sprint(i)))
	}
	assert.Equal(t, TooMany, a.get("/v1/events").problem().Code)
	r := a.request(http.MethodGet, "/v1/events", "")
	r.Header.Set("Last-Event-ID", "yesterday")
	assert.Equal(t, "Last-Event-ID", a.do(r).problem().Fields[0].Field)
}

// A program that opens streams and closes none keeps no page, and no other program, without one.
func TestAProgramThatForgetsItsStreamsTakesNobodysPlace(t *testing.T) {
	a := newTill(t)
	web := httptest.NewServer(a.server.Handler())
	defer web.Close()
	defer a.server.close()
	other, _, err := a.server.cfg.Tokens.Create("another", []Scope{ScopePay})
	require.NoError(t, err)
	open := func(token string) *http.Response {
		r, err := http.NewRequest(http.MethodGet, web.URL+"/v1/events", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer
	}
	var held []*http.Response
	for range streamsMax / 2 {
		held = append(held, open(a.token))
		require.Equal(t, http.StatusOK, held[len(held)-1].StatusCode)
	}
	assert.Equal(t, http.StatusTooManyRequests, open(a.token).StatusCode)
	for range streamsMax / 2 {
		assert.Equal(t, http.StatusOK, open(other).StatusCode)
	}
	assert.Equal(t, http.StatusTooManyRequests, open(other).StatusCode)
	require.NoError(t, held[0].Body.Close())
	require.Eventually(t, func() bool { return open(a.token).StatusCode == http.StatusOK }, 10*time.Second, 20*time.Millisecond, "a place is given back")
}

func TestAnEventCountsAsSeenOnlyOnceItIsWhole(t *testing.T) {
	text := "id: 7\nevent: journal\ndata: {\"sequence\":7}\n\nid: 8\nevent: journal\n"
	last, err := readEvents(strings.NewReader(text), 6, func() {}, func(StreamEvent) error { return nil })
	require.NoError(t, err)
	assert.Equal(t, uint64(7), last, "the eighth broke off")

	refused := errors.New("the reader had enough")
	last, err = readEvents(strings.NewReader(text), 6, func() {}, func(StreamEvent) error { return refused })
	assert.ErrorIs(t, err, refused)
	assert.Equal(t, uint64(6), last)
}
