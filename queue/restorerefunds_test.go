package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// refund gives money back and returns the refund as it stands a moment later.
func (c *counter) refund(no payflow.OutTradeNo, minor int64, key string) (payflow.RefundEntry, error) {
	entry, err := c.engine.Refund(c.t.Context(), payflow.RefundRequest{OutTradeNo: no, Amount: payflow.Amount{Minor: minor}, Reason: "broken", IdempotencyKey: key})
	if err != nil {
		return entry, err
	}
	time.Sleep(time.Second)
	synctest.Wait()
	return c.engine.RefundOf(entry.OutRefundNo)
}

// lostRefunds is a till whose journal lost three refunds: one that is done, one on its way and one that was given up.
func (c *counter) lostRefunds() (first, second payflow.OutTradeNo, from string) {
	c.t.Helper()
	c.refunds = &cashbox{}
	c.stop()
	c.start()
	first, second = c.sell("paid-1").OutTradeNo, c.sell("paid-2").OutTradeNo
	c.sell("paid-3")
	c.sell("declined-1")
	from = c.backup().File
	for key, state := range map[string]payflow.RefundState{"k1": payflow.RefundStateSuccess, "k2": payflow.RefundStateProcessing} {
		entry, err := c.refund(first, 250, key)
		require.NoError(c.t, err)
		time.Sleep(2 * time.Minute)
		c.refunds.becomes(entry.OutRefundNo, state)
	}
	entry, err := c.refund(second, 1250, "k3")
	require.NoError(c.t, err)
	c.refunds.becomes(entry.OutRefundNo, payflow.RefundStateClosed)
	time.Sleep(10 * time.Second)
	return first, second, from
}

func (c *counter) back(no payflow.OutTradeNo) (done, live int64) {
	c.t.Helper()
	refunds, err := c.engine.RefundsOfPayment(no)
	require.NoError(c.t, err)
	for _, r := range refunds {
		if r.Status == payflow.RefundDone {
			done += r.Amount.Minor
		}
		if !r.Dead() {
			live += r.Amount.Minor
		}
	}
	return done, live
}

func TestTheRefundsThatARestoreLostComeBackIntoTheJournal(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		first, second, from := c.lostRefunds()
		requests := len(c.refunds.sent())
		c.refunds.mu.Lock()
		c.refunds.refunds = append(c.refunds.refunds, payflow.RefundReport{RefundID: "W9", OutRefundNo: "ELSEWHERE", OutTradeNo: second, State: payflow.RefundStateSuccess,
			Amount: payflow.Amount{Minor: 100, Currency: "HKD"}})
		c.refunds.mu.Unlock()
		c.stop()
		c.tearOut()
		c.restore(from)
		c.start()
		done, live := c.back(first)
		require.Zero(t, done+live)
		c.askToTheEnd()

		done, live = c.back(first)
		assert.EqualValues(t, 250, done)
		assert.EqualValues(t, 500, live)
		refunds, err := c.engine.RefundsOfPayment(second)
		require.NoError(t, err)
		require.Len(t, refunds, 1, "one that was made elsewhere is none of the journal's")
		assert.Equal(t, payflow.RefundRefused, refunds[0].Status)
		assert.Equal(t, payflow.AttentionRefundClosed, refunds[0].Attention, "the customer has nothing: a person looks")
		_, text, err := c.journal.AfterRestore()
		require.NoError(t, err)
		assert.Contains(t, text, "the refunds of 3 paid payments since")
		assert.Contains(t, text, "3 found that the journal had lost")

		again, err := c.refund(first, 250, "k1")
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundDone, again.Status, "the same key is the same refund")
		_, err = c.refund(first, 300, "k1")
		require.ErrorIs(t, err, payflow.ErrKeyReused)
		_, err = c.refund(first, 1000, "k4")
		var tooMuch *payflow.RefundTooMuchError
		require.ErrorAs(t, err, &tooMuch)
		assert.EqualValues(t, 750, tooMuch.Left.Minor)

		c.refunds.becomes(payflow.NewOutRefundNo(first, payflow.WishPerson, "k2"), payflow.RefundStateSuccess)
		time.Sleep(20 * time.Minute)
		done, _ = c.back(first)
		assert.EqualValues(t, 500, done, "the one that was on its way is followed to its end")
		assert.Len(t, c.refunds.sent(), requests, "nothing was asked to be given back")
		assert.Empty(t, c.refunds.wrongs())
		assert.True(t, c.verify().Clean())
	})
}

func TestTheSearchForLostRefundsGoesOnOverRestartsAndDoesNotHangOnOnePayment(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		first, second, from := c.lostRefunds()
		c.stop()
		c.tearOut()
		c.restore(from)
		c.refunds.set(func(call string, o payflow.RefundOrder) string {
			if call == "list" && o.OutTradeNo == second {
				return "unreadable"
			}
			return ""
		})
		c.start()
		_, busy, err := c.journal.pendingSearch()
		require.NoError(t, err)
		require.True(t, busy)
		for asking := true; asking; asking, _, err = c.journal.AfterRestore() { // cut again and again
			require.NoError(t, err)
			ctx, stop := context.WithTimeout(t.Context(), 77*time.Second)
			_ = c.engine.AskAfterRestore(ctx)
			stop()
			c.stop()
			c.start()
		}
		c.askToTheEnd()
		done, _ := c.back(first)
		assert.EqualValues(t, 250, done)
		_, text, err := c.journal.AfterRestore()
		require.NoError(t, err)
		assert.Contains(t, text, "of 1 payments WeChat Pay did not tell them")
		s, err := c.journal.refundSearch()
		require.NoError(t, err)
		assert.False(t, s.Done.IsZero())
	})
}

// A manager refunds anew while the network is away: the wish stands in the journal, and nothing of it has left, when WeChat Pay tells of the refund that was lost.
func TestAWishThatHasNotLeftKeepsNoLostRefundOut(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		c.refunds = &cashbox{}
		c.stop()
		c.start()
		p := c.sell("paid-1")
		from := c.backup().File
		made, err := c.refund(p.OutTradeNo, 1000, "k1")
		require.NoError(t, err)
		c.refunds.becomes(made.OutRefundNo, payflow.RefundStateSuccess)
		listed := c.refunds.held()
		require.Len(t, listed, 1)
		c.stop()
		c.tearOut()
		c.restore(from)
		c.refunds.set(func(call string, _ payflow.RefundOrder) string { return map[string]string{"list": "lost"}[call] })
		c.start()
		anew, err := c.refund(p.OutTradeNo, 1250, "k2")
		require.NoError(t, err)
		require.Equal(t, payflow.RefundRequested, anew.Status)

		p, err = c.engine.Payment(p.OutTradeNo)
		require.NoError(t, err)
		_, err = onLoop(t.Context(), c.engine, func() (struct{}, error) { return struct{}{}, c.engine.takeUp(p, listed[0]) })
		require.NoError(t, err)
		c.refunds.set(nil)
		time.Sleep(time.Hour)
		done, live := c.back(p.OutTradeNo)
		assert.EqualValues(t, 1000, done)
		assert.EqualValues(t, 1000, live)
		anew, err = c.engine.RefundOf(anew.OutRefundNo)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundRefused, anew.Status)
		assert.Equal(t, payflow.ReasonRefundExceeds, anew.Why)
		assert.Len(t, c.refunds.held(), 1)
		assert.True(t, c.verify().Clean())
	})
}

func TestAKillWhileRefundsAreAskedForForgetsNoneThatWasFound(t *testing.T) {
	inStore(t, func(t *testing.T, c *counter) {
		_, _, from := c.lostRefunds()
		c.stop()
		c.tearOut()
		c.restore(from)
		c.start()
		c.refunds.set(func(call string, _ payflow.RefundOrder) string { return map[string]string{"list": "lost"}[call] })
		for more := true; more; { // the orders first; the network is away when the refunds come
			ctx, stop := context.WithTimeout(t.Context(), 77*time.Second)
			_ = c.engine.AskAfterRestore(ctx)
			stop()
			var err error
			_, more, err = c.journal.pendingSearch()
			require.NoError(t, err)
		}
		c.refunds.set(nil)
		ctx, stop := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		_ = c.engine.AskAfterRestore(ctx)
		stop()
		s, err := c.journal.refundSearch()
		require.NoError(t, err)
		require.NotZero(t, s.Found)
		require.True(t, s.Done.IsZero())
		c.stop()
		c.start()
		c.askToTheEnd()
		_, text, err := c.journal.AfterRestore()
		require.NoError(t, err)
		assert.Contains(t, text, "3 found that the journal had lost")
	})
}
