package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// cashbox is WeChat Pay as far as refunds go. It takes on whatever it is asked for, above what was paid too: what keeps that from
// happening is ours. A story says what becomes of each call.
type cashbox struct {
	journal *Journal

	mu       sync.Mutex
	refunds  []payflow.RefundReport                          // taken on, in their order
	requests []string                                        // numbers, as they arrived
	at       map[payflow.OutTradeNo][]time.Time              // when a request of a payment arrived
	asked    []string                                        // every call
	meets    func(call string, o payflow.RefundOrder) string // "", "lost", "taken on and lost", "refused", "later"
	broken   []string                                        // what must never be
}

// requested returns the numbers that arrived so far.
func (c *cashbox) requested() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

func (c *cashbox) Refund(_ context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, "refund")
	c.arrives(o)
	switch c.fate("refund", o) {
	case "lost":
		return payflow.RefundOutcome{}, lostRefund()
	case "taken on and lost":
		c.takeOn(o)
		return payflow.RefundOutcome{}, lostRefund()
	case "refused":
		return payflow.RefundOutcome{Kind: payflow.RefundDeclined, Code: "NOTENOUGH", Text: "not enough"}, nil
	case "later":
		return payflow.RefundOutcome{Kind: payflow.RefundLater, Code: "INVALIDREQTOOMUCH"}, nil
	}
	return payflow.RefundOutcome{Kind: payflow.RefundAccepted, Refund: *c.takeOn(o)}, nil
}

// arrives checks what holds of every request: the journal described it before it left, and two of one payment are a minute apart.
func (c *cashbox) arrives(o payflow.RefundOrder) {
	kept, err := c.journal.Refund(o.OutRefundNo)
	if err != nil || kept.RefundOrder != o || !kept.MayArrive {
		c.broken = append(c.broken, fmt.Sprintf("I1: the journal holds %+v (%v) when %+v arrives", kept.Refund, err, o))
	}
	before := c.at[o.OutTradeNo]
	if len(before) > 0 && time.Since(before[len(before)-1]) < time.Minute {
		c.broken = append(c.broken, fmt.Sprintf("two requests of %s within %s", o.OutTradeNo, time.Since(before[len(before)-1])))
	}
	if c.at == nil {
		c.at = map[payflow.OutTradeNo][]time.Time{}
	}
	c.at[o.OutTradeNo] = append(before, time.Now())
	c.requests = append(c.requests, string(o.OutRefundNo))
}

func (c *cashbox) takeOn(o payflow.RefundOrder) *payflow.RefundReport {
	if r := c.find(o.OutRefundNo); r != nil {
		if r.Amount != o.Amount {
			c.broken = append(c.broken, "the same number with another amount")
		}
		return r
	}
	c.refunds = append(c.refunds, payflow.RefundReport{RefundID: payflow.RefundID(fmt.Sprint("W", len(c.refunds)+1)), OutRefundNo: o.OutRefundNo,
		OutTradeNo: o.OutTradeNo, State: payflow.RefundStateProcessing, Amount: o.Amount, Total: o.Total})
	sum := int64(0)
	for _, r := range c.refunds {
		if r.OutTradeNo == o.OutTradeNo && r.State != payflow.RefundStateClosed {
			sum += r.Amount.Minor
		}
	}
	if sum > o.Total.Minor {
		c.broken = append(c.broken, fmt.Sprintf("%d given back of %d", sum, o.Total.Minor))
	}
	return &c.refunds[len(c.refunds)-1]
}

func (c *cashbox) find(no payflow.OutRefundNo) *payflow.RefundReport {
	for i := range c.refunds {
		if c.refunds[i].OutRefundNo == no {
			return &c.refunds[i]
		}
	}
	return nil
}

func (c *cashbox) fate(call string, o payflow.RefundOrder) string {
	if c.meets == nil {
		return ""
	}
	return c.meets(call, o)
}

func (c *cashbox) QueryRefund(_ context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, "query")
	if c.fate("query", o) != "" {
		return payflow.RefundOutcome{}, lostRefund()
	}
	if r := c.find(o.OutRefundNo); r != nil {
		return payflow.RefundOutcome{Kind: payflow.RefundFound, Refund: *r}, nil
	}
	return payflow.RefundOutcome{Kind: payflow.NoSuchRefund}, nil
}

func (c *cashbox) Refunds(_ context.Context, o payflow.Order) ([]payflow.RefundReport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, "list")
	switch c.fate("list", payflow.RefundOrder{OutTradeNo: o.OutTradeNo}) {
	case "":
	case "unreadable":
		return nil, &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonUnverified}, Err: errors.New("an answer that nobody can read")}
	default:
		return nil, lostRefund()
	}
	var all []payflow.RefundReport
	for _, r := range c.refunds {
		if r.OutTradeNo == o.OutTradeNo {
			all = append(all, r)
		}
	}
	return all, nil
}

func lostRefund() error {
	return &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonTimeout}, Err: errors.New("no answer")}
}

func (c *cashbox) becomes(no payflow.OutRefundNo, state payflow.RefundState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.find(no).State = state
}

func (c *cashbox) calls() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.asked, " ")
}

// sent returns the numbers of the requests that arrived, in their order.
func (c *cashbox) sent() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// held returns every refund that was taken on.
func (c *cashbox) held() []payflow.RefundReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refunds)
}

// wrongs returns what must never be, and was.
func (c *cashbox) wrongs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.broken)
}

func (c *cashbox) set(meets func(call string, o payflow.RefundOrder) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.meets = meets
}

// counter is a shop with a counter where money is given back.
func refundStory(t *testing.T, tell func(t *testing.T, s *shop, c *cashbox)) {
	t.Helper()
	story(t, func(t *testing.T, s *shop) {
		c := &cashbox{}
		s.refunds = c
		s.restart()
		tell(t, s, c)
		assert.Empty(t, c.wrongs())
	})
}

// paid sells something for HK$ 12.50.
func (s *shop) paid(sale, code string) payflow.OutTradeNo {
	s.t.Helper()
	no := s.arm(sale).OutTradeNo
	require.NoError(s.t, s.scan(code))
	require.Equal(s.t, payflow.Paid, s.status(no))
	return no
}

func (s *shop) refund(no payflow.OutTradeNo, minor int64, key string) (payflow.RefundEntry, error) {
	entry, err := s.engine.Refund(s.t.Context(), payflow.RefundRequest{OutTradeNo: no, Amount: payflow.Amount{Minor: minor}, Reason: "broken", Operator: "Amy", IdempotencyKey: key})
	synctest.Wait()
	return entry, err
}

func (s *shop) refundStatus(no payflow.OutRefundNo) payflow.RefundStatus {
	s.t.Helper()
	entry, err := s.engine.RefundOf(no)
	require.NoError(s.t, err)
	return entry.Status
}

func TestAPersonGivesAPartBack(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		heard := s.engine.Subscribe(t.Context())
		entry, err := s.refund(no, 500, "k1")
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundRequested, entry.Status, "it is journaled before anything is done")
		assert.Equal(t, payflow.Amount{Minor: 500, Currency: "HKD"}, entry.Amount)
		assert.Equal(t, hkd1250, entry.Total)
		assert.Equal(t, "list refund", c.calls())
		assert.Equal(t, payflow.RefundProcessing, s.refundStatus(entry.OutRefundNo), "accepted is not given back")
		told := <-heard
		assert.Equal(t, entry.OutRefundNo, told.Refund.OutRefundNo)
		assert.Equal(t, no, told.Entry.OutTradeNo)

		now, err := s.engine.WaitForRefund(t.Context(), entry.OutRefundNo, 0)
		require.NoError(t, err)
		c.becomes(entry.OutRefundNo, payflow.RefundStateSuccess)
		now, err = s.engine.WaitForRefund(t.Context(), entry.OutRefundNo, now.Version)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundDone, now.Status)
		synctest.Wait() // whoever waits is told first
		assert.Empty(t, s.engine.OpenRefunds())

		again, err := s.refund(no, 500, "k1")
		require.NoError(t, err)
		assert.Equal(t, entry.OutRefundNo, again.OutRefundNo, "the same key is the same refund")
		assert.Len(t, c.sent(), 1)
		all, err := s.engine.RefundsOfPayment(no)
		require.NoError(t, err)
		assert.Len(t, all, 1)
		day, err := s.engine.RefundsOfDay(entry.StoreDay, "", 10)
		require.NoError(t, err)
		assert.Equal(t, all, day)
		events, err := s.wechat.journal.EventsOfRefund(entry.OutRefundNo)
		require.NoError(t, err)
		kinds := []string{}
		for _, e := range events {
			kinds = append(kinds, e.Kind)
			assert.Equal(t, no, e.OutTradeNo)
		}
		assert.Equal(t, []string{"refund_wished", "refund_listed", "refund_answered", "refund_query_answered"}, kinds)
	})
}

func TestNoMoreIsGivenBackThanWasPaid(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		c.set(func(call string, _ payflow.RefundOrder) string { return "lost" }) // nothing is taken on, and nothing is known
		_, err := s.refund(no, 800, "k1")
		require.NoError(t, err)
		_, err = s.refund(no, 451, "k2")
		var much *payflow.RefundTooMuchError
		require.ErrorAs(t, err, &much, "one that is merely requested counts")
		assert.Equal(t, payflow.Amount{Minor: 450, Currency: "HKD"}, much.Left)
		_, err = s.refund(no, 450, "k3")
		require.NoError(t, err)
		_, err = s.refund(no, 1, "k4")
		require.ErrorAs(t, err, &much)
		assert.Zero(t, much.Left.Minor)
		s.restart()
		_, err = s.refund(no, 1, "k4")
		require.ErrorAs(t, err, &much, "also after a restart")
		c.set(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Len(t, c.held(), 2)
	})
}

func TestWhatWasRefusedHoldsNothing(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		c.set(func(call string, _ payflow.RefundOrder) string { return map[string]string{"refund": "refused"}[call] })
		first, err := s.refund(no, 1250, "k1")
		require.NoError(t, err)
		entry, err := s.engine.RefundOf(first.OutRefundNo)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundRefused, entry.Status)
		assert.Equal(t, payflow.Refusal{Kind: payflow.Refused, Code: "NOTENOUGH", Reason: payflow.ReasonRefundNoFunds, Text: "not enough"}, entry.Refusal)
		assert.Equal(t, "list refund query", c.calls(), "a refusal is believed after a query")
		c.set(nil)
		second, err := s.refund(no, 1250, "k2")
		require.NoError(t, err)
		assert.NotEqual(t, first.OutRefundNo, second.OutRefundNo)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, payflow.RefundProcessing, s.refundStatus(second.OutRefundNo))
	})
}

func TestAnothersRefundLeavesNoRoom(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		c.mu.Lock()
		c.takeOn(payflow.RefundOrder{OutRefundNo: "PLATFORM", OutTradeNo: no, Amount: payflow.Amount{Minor: 800, Currency: "HKD"}, Total: hkd1250})
		c.mu.Unlock()
		entry, err := s.refund(no, 500, "k1")
		require.NoError(t, err)
		now, err := s.engine.RefundOf(entry.OutRefundNo)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundRefused, now.Status)
		assert.Equal(t, payflow.ReasonRefundExceeds, now.Why)
		assert.Empty(t, c.sent())
	})
}

// A restore lost the refund, and a copy of the journal elsewhere knows nothing of it: the payment shows nothing given back. Who gives the same part back
// again, under a new key, must not give it twice; the same key is the same refund, and brings it back into the journal.
func TestARefundThatTheJournalLostIsNotMadeAgainUnderANewKey(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		lost := payflow.RefundOrder{OutRefundNo: payflow.NewOutRefundNo(no, payflow.WishPerson, "k1"), OutTradeNo: no, Amount: payflow.Amount{Minor: 250, Currency: "HKD"}, Total: hkd1250}
		c.mu.Lock()
		c.takeOn(lost)
		c.mu.Unlock()
		entry, err := s.refund(no, 250, "k2")
		require.NoError(t, err)
		now, err := s.engine.RefundOf(entry.OutRefundNo)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundRefused, now.Status)
		assert.Equal(t, payflow.ReasonRefundForgotten, now.Why)
		assert.Empty(t, c.sent())

		again, err := s.refund(no, 250, "k1")
		require.NoError(t, err)
		assert.Equal(t, lost.OutRefundNo, again.OutRefundNo)
		assert.Empty(t, c.sent(), "it is found under its number")
		more, err := s.refund(no, 300, "k3")
		require.NoError(t, err)
		assert.Equal(t, []string{string(more.OutRefundNo)}, c.sent(), "nothing is forgotten any more")
	})
}

func TestWhatIsNotListedYetLeavesNoRoomEither(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		c.set(func(call string, _ payflow.RefundOrder) string { return map[string]string{"refund": "lost"}[call] })
		_, err := s.refund(no, 800, "k1") // on its way, or lost: WeChat Pay lists nothing of it
		require.NoError(t, err)
		c.mu.Lock()
		c.takeOn(payflow.RefundOrder{OutRefundNo: "PLATFORM", OutTradeNo: no, Amount: payflow.Amount{Minor: 300, Currency: "HKD"}, Total: hkd1250})
		c.mu.Unlock()
		entry, err := s.refund(no, 200, "k2")
		require.NoError(t, err)
		now, err := s.engine.RefundOf(entry.OutRefundNo)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundRefused, now.Status)
		assert.Equal(t, payflow.ReasonRefundExceeds, now.Why)
	})
}

func TestRefundRefusals(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		for name, row := range map[string]struct {
			change func(*payflow.RefundRequest)
			want   any
		}{
			"no key":           {func(r *payflow.RefundRequest) { r.IdempotencyKey = "" }, payflow.ErrKeyMissing},
			"no payment":       {func(r *payflow.RefundRequest) { r.OutTradeNo = "X1" }, payflow.ErrNoPayment},
			"nothing":          {func(r *payflow.RefundRequest) { r.Amount.Minor = 0 }, &payflow.BadRequestError{}},
			"less":             {func(r *payflow.RefundRequest) { r.Amount.Minor = -1 }, &payflow.BadRequestError{}},
			"another currency": {func(r *payflow.RefundRequest) { r.Amount.Currency = "CNY" }, &payflow.BadRequestError{}},
			"a long reason":    {func(r *payflow.RefundRequest) { r.Reason = strings.Repeat("x", 81) }, &payflow.BadRequestError{}},
			"a broken reason":  {func(r *payflow.RefundRequest) { r.Reason = "\xff" }, &payflow.BadRequestError{}},
			"a long operator":  {func(r *payflow.RefundRequest) { r.Operator = strings.Repeat("x", 65) }, &payflow.BadRequestError{}},
			"more":             {func(r *payflow.RefundRequest) { r.Amount.Minor = 1251 }, &payflow.RefundTooMuchError{}},
		} {
			r := payflow.RefundRequest{OutTradeNo: no, Amount: payflow.Amount{Minor: 500, Currency: "HKD"}, IdempotencyKey: "k"}
			row.change(&r)
			_, err := s.engine.Refund(t.Context(), r)
			require.Error(t, err, name)
			if want, ok := row.want.(error); ok && !assert.IsType(t, want, err, name) {
				continue
			}
		}
		_, err := s.refund(no, 500, "k1")
		require.NoError(t, err)
		_, err = s.refund(no, 400, "k1")
		require.ErrorIs(t, err, payflow.ErrKeyReused)
		require.ErrorIs(t, s.engine.TakeRefundNotice(t.Context(), payflow.RefundReport{OutRefundNo: "X"}), payflow.ErrNoRefund)

		s.wechat.pays(lost)
		s.wechat.queries(found(payflow.TradeUserPaying))
		open := s.arm("A-2").OutTradeNo
		require.NoError(t, s.scan(codeB))
		var not *payflow.NotRefundableError
		_, err = s.refund(open, 500, "k2")
		require.ErrorAs(t, err, &not, "not while it is not known to be paid")
		time.Sleep(42 * time.Second)
		synctest.Wait()
		require.Equal(t, payflow.Reversing, s.status(open))
		_, err = s.refund(open, 500, "k2")
		require.ErrorAs(t, err, &not, "nor while a reverse may be in flight")
		_, err = s.wechat.journal.AddRefund("k2", "", payflow.Refund{Status: payflow.RefundRequested, Wish: payflow.WishPerson,
			RefundOrder: payflow.RefundOrder{OutRefundNo: "R1", OutTradeNo: open, Amount: hkd1250, Total: hkd1250}})
		require.ErrorAs(t, err, &not, "and the journal does not take it either")
		s.wechat.queries(found(payflow.TradeClosed))
		time.Sleep(10 * time.Second)
	})
}

func TestATillWithoutAGatewayForRefundsSaysSo(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.paid("A-1", codeA)
		_, err := s.refund(no, 500, "k1")
		require.ErrorIs(t, err, payflow.ErrNoRefunds)
		_, err = s.engine.RefundOf("X")
		require.ErrorIs(t, err, payflow.ErrNoRefund)
	})
}

func TestAPaymentOfMoreThanAYearAgoIsNotRefunded(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		s.clock = func() (time.Time, bool) { return time.Now(), true }
		s.restart()
		no := s.paid("A-1", codeA)
		s.clock = func() (time.Time, bool) { return time.Now().Add(366 * 24 * time.Hour), true }
		s.restart()
		_, err := s.refund(no, 500, "k1")
		require.ErrorIs(t, err, payflow.ErrRefundOverdue)
	})
}

func TestTwoRefundsOfOnePaymentAreAMinuteApart(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		for i := range 4 {
			_, err := s.refund(no, 100, fmt.Sprint("k", i))
			require.NoError(t, err)
		}
		assert.Len(t, c.sent(), 1)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		s.restart() // and a restart does not make it sooner
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Len(t, c.held(), 4)
		assert.Len(t, c.sent(), 4)
	})
}

func TestAGivenUpRefundStaysUntilAPersonHasSeenIt(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		entry, err := s.refund(no, 500, "k1")
		require.NoError(t, err)
		_, err = s.engine.AcknowledgeRefund(t.Context(), entry.OutRefundNo, "Bo", "")
		var open *payflow.RefundOpenError
		require.ErrorAs(t, err, &open)
		c.becomes(entry.OutRefundNo, payflow.RefundStateClosed)
		time.Sleep(time.Minute)
		synctest.Wait()
		s.restart()
		require.Len(t, s.engine.OpenRefunds(), 1)
		assert.Equal(t, payflow.AttentionRefundClosed, s.engine.OpenRefunds()[0].Attention)
		seen, err := s.engine.AcknowledgeRefund(t.Context(), entry.OutRefundNo, "Bo", "paid in cash")
		require.NoError(t, err)
		assert.Empty(t, seen.Attention)
		assert.Empty(t, s.engine.OpenRefunds())
		again, err := s.engine.AcknowledgeRefund(t.Context(), entry.OutRefundNo, "Cy", "")
		require.NoError(t, err)
		assert.Equal(t, "Bo", again.Seen.Operator)
		assert.Len(t, c.sent(), 1, "and no new one is made")
	})
}

func TestANotificationWakesTheQueryAndDecidesNothing(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		no := s.paid("A-1", codeA)
		entry, err := s.refund(no, 500, "k1")
		require.NoError(t, err)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		asked := len(strings.Fields(c.calls()))
		require.NoError(t, s.engine.TakeRefundNotice(t.Context(), payflow.RefundReport{OutRefundNo: entry.OutRefundNo, State: payflow.RefundStateSuccess}))
		synctest.Wait()
		assert.Equal(t, asked+1, len(strings.Fields(c.calls())))
		assert.Equal(t, payflow.RefundProcessing, s.refundStatus(entry.OutRefundNo))
		c.becomes(entry.OutRefundNo, payflow.RefundStateSuccess)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, payflow.RefundDone, s.refundStatus(entry.OutRefundNo))
		require.NoError(t, s.engine.TakeRefundNotice(t.Context(), payflow.RefundReport{OutRefundNo: entry.OutRefundNo, State: payflow.RefundStateClosed}))
		assert.Equal(t, payflow.RefundDone, s.refundStatus(entry.OutRefundNo))
	})
}

func TestWhereNoReverseIsPossibleTheMoneyGoesBackByARefund(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		s.wechat.pays(lost)
		s.wechat.queries(lost)
		s.wechat.reverses(outcome(payflow.Outcome{Kind: payflow.ReverseTooLate}))
		no := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		require.Equal(t, payflow.Reversing, s.status(no))
		assert.Empty(t, c.sent(), "nothing is known of the money")
		s.wechat.queries(found(payflow.TradeSuccess))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.Empty(t, c.sent(), "a reverse that was lost may still be carried out")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, []string{string(no) + "-BACK"}, c.sent())
		s.restart()
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		assert.Len(t, c.sent(), 1, "one wish, one refund, though it is wished for each minute")
		assert.Equal(t, payflow.Reversing, s.status(no), "not before all of it is back")
		c.becomes(c.held()[0].OutRefundNo, payflow.RefundStateSuccess)
		s.wechat.queries(func(o payflow.Order) (payflow.Outcome, error) {
			out, err := found(payflow.TradeRefund)(o)
			out.Trade.Refunds = payflow.RefundSum{Known: true, Done: o.Amount.Minor}
			return out, err
		})
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		assert.Equal(t, payflow.Reversed, s.status(no))
		assert.Equal(t, payflow.RefundDone, s.refundStatus(c.held()[0].OutRefundNo))
	})
}

func TestALateSuccessIsGivenBackUnderItsOneNumber(t *testing.T) {
	refundStory(t, func(t *testing.T, s *shop, c *cashbox) {
		s.wechat.pays(outcome(payflow.Outcome{Kind: payflow.Refused, Reason: payflow.ReasonNotEnough}))
		s.wechat.queries(outcome(payflow.Outcome{Kind: payflow.NoSuchOrder}))
		no := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		require.Equal(t, payflow.Declined, s.status(no))
		wish := func() payflow.RefundEntry {
			entry, err := onLoop(t.Context(), s.engine, func() (payflow.RefundEntry, error) {
				return s.engine.wishRefund(payflow.WishLateSuccess, no, hkd1250, hkd1250, "42000")
			})
			require.NoError(t, err)
			synctest.Wait()
			return entry
		}
		first := wish()
		assert.Equal(t, payflow.TransactionID("42000"), first.TransactionID)
		s.restart()
		assert.Equal(t, first.OutRefundNo, wish().OutRefundNo)
		time.Sleep(time.Hour)
		assert.Equal(t, []string{string(no) + "-LATE"}, c.sent())
	})
}
