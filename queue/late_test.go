package queue

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// declinedOwing is a payment that was declined while its code lived.
func (b *book) declinedOwing(key, sale string) payflow.Entry {
	b.t.Helper()
	entry := b.scan(b.arm(key, sale), "134567890123450000")
	p := entry.Payment
	p.Status, p.Reason, p.Version = payflow.Declined, payflow.ReasonNotEnough, p.Version+1
	p.PayEndedAt, p.CallStartedAt, p.FinalAt = b.now, b.now, b.now.Add(time.Second)
	return b.commit(payflow.Event{Kind: payflow.QueryAnswered, At: b.now}, p)
}

var (
	refusedPay = outcome(payflow.Outcome{Kind: payflow.Refused, Code: "NOTENOUGH", Reason: payflow.ReasonNotEnough})
	noOrder    = outcome(payflow.Outcome{Kind: payflow.NoSuchOrder})
)

// declined is a sale that was refused, and asked about: no such order.
func (s *shop) declined(sale string) payflow.OutTradeNo {
	s.t.Helper()
	s.wechat.pays(refusedPay)
	s.wechat.queries(noOrder)
	no := s.arm(sale).OutTradeNo
	require.NoError(s.t, s.scan(codeA))
	require.Equal(s.t, payflow.Declined, s.status(no))
	return no
}

func (s *shop) entry(no payflow.OutTradeNo) payflow.Entry {
	s.t.Helper()
	entry, err := s.engine.Payment(no)
	require.NoError(s.t, err)
	return entry
}

func kindsOf(links []payflow.Link) string {
	var kinds []string
	for _, l := range links {
		kinds = append(kinds, strings.TrimSpace(l.Kind+" "+l.Ref))
	}
	return strings.Join(kinds, ", ")
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestADeclinedPaymentIsAskedForOnceMoreWhenItsCodeIsDead(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.declined("A-1")
		assert.Equal(t, payflow.LateOwed, s.entry(no).Late.Stage)

		after(74 * time.Second)
		assert.Equal(t, "pay query", s.wechat.calls())
		after(2 * time.Second)

		assert.Equal(t, "pay query query", s.wechat.calls())
		assert.Equal(t, payflow.LateClear, s.entry(no).Late.Stage)
		truths, err := s.engine.LateTruths()
		require.NoError(t, err)
		assert.Empty(t, truths)
		after(time.Hour)
		assert.Equal(t, "pay query query", s.wechat.calls(), "once")
	})
}

func TestTheCheckIsOwedAcrossAnyNumberOfRestarts(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.declined("A-1")
		for range 5 {
			after(60 * time.Second)
			s.restart()
		}
		require.Equal(t, "pay query", s.wechat.calls(), "T_dead counts anew after each")

		after(76 * time.Second)

		assert.Equal(t, "pay query query", s.wechat.calls())
		assert.Equal(t, payflow.LateClear, s.entry(no).Late.Stage)
		s.restart()
		after(time.Hour)
		assert.Equal(t, "pay query query", s.wechat.calls(), "and once it was made it is not made again")
	})
}

func TestAnUnansweredCheckIsAskedAgainAndWritesNothing(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.declined("A-1")
		s.wechat.queries(lost)
		after(2 * time.Minute)
		commits := s.wechat.journal.boltCommits()
		after(20 * time.Minute)
		assert.Equal(t, commits, s.wechat.journal.boltCommits(), "asking that learns nothing writes nothing")
		assert.Greater(t, strings.Count(s.wechat.calls(), "query"), 15)

		after(20 * time.Minute)
		truths, err := s.engine.LateTruths()
		require.NoError(t, err)
		require.Len(t, truths, 1, "after half an hour it is a line for a person")
		assert.Equal(t, payflow.AttentionLateUnanswered, truths[0].Late.Attention)
		assert.Equal(t, commits+1, s.wechat.journal.boltCommits())

		s.restart()
		truths, err = s.engine.LateTruths()
		require.NoError(t, err)
		assert.Len(t, truths, 1)
		s.wechat.queries(noOrder)
		after(10 * time.Minute)
		assert.Equal(t, payflow.LateClear, s.entry(no).Late.Stage)
	})
}

func TestALateSuccessIsShownAgainLocksTheSaleAndGoesBack(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.declined("A-1")
		_, err := s.engine.Acknowledge(t.Context(), no, payflow.Acknowledgement{How: payflow.Seen, Operator: "Amy"})
		require.NoError(t, err)
		s.wechat.queries(found(payflow.TradeSuccess))
		after(80 * time.Second)

		entry := s.entry(no)
		assert.Equal(t, payflow.Declined, entry.Status, "I5")
		assert.Equal(t, payflow.LateTakingBack, entry.Late.Stage)
		assert.Equal(t, payflow.MoneyHeldLate, entry.MoneyTaken())
		assert.Equal(t, "late_success 4200000001", kindsOf(entry.Links))
		for range 2 {
			unannounced, err := s.engine.Unannounced()
			assert.Equal(t, []payflow.OutTradeNo{no}, numbers(unannounced, err), "I8: it is back on the list")
			truths, err := s.engine.LateTruths()
			assert.Equal(t, []payflow.OutTradeNo{no}, numbers(truths, err))
			_, err = s.engine.Arm(t.Context(), armRequest("A-1", withKey("second")))
			var held *payflow.AlreadyPaidError
			require.ErrorAs(t, err, &held, "I7: the sale's money is there")
			assert.Equal(t, payflow.AlreadyPaidError{ID: no, Late: true}, *held)
			s.restart()
		}
		_, err = s.engine.Acknowledge(t.Context(), no, payflow.Acknowledgement{How: payflow.Seen, Operator: "Bo"})
		require.NoError(t, err)

		s.wechat.queries(found(payflow.TradeRevoked))
		after(2 * time.Minute)

		entry = s.entry(no)
		assert.Equal(t, payflow.LateGivenBack, entry.Late.Stage)
		assert.Equal(t, payflow.LateByReverse, entry.Late.By)
		assert.Equal(t, "late_success 4200000001, late_given_back reverse", kindsOf(entry.Links))
		assert.Contains(t, s.wechat.calls(), "reverse")
		assert.Equal(t, payflow.Declined, entry.Status)
		truths, err := s.engine.LateTruths()
		assert.Empty(t, numbers(truths, err))
		s.arm("A-1", withKey("third"))
	})
}

// A try that came to nothing stands before the one whose money came late.
func TestLateMoneyOfAnOlderTryKeepsTheSaleFromBeingSoldAgain(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		first := s.declined("A-1")
		second := s.arm("A-1", withKey("second")).OutTradeNo
		_, err := s.engine.Cancel(t.Context(), second, "P001")
		require.NoError(t, err)
		s.until(second, payflow.Cancelled)
		s.wechat.queries(found(payflow.TradeSuccess))
		after(80 * time.Second)
		require.Equal(t, payflow.LateTakingBack, s.entry(first).Late.Stage)

		_, err = s.engine.Arm(t.Context(), armRequest("A-1", withKey("third")))
		var held *payflow.AlreadyPaidError
		require.ErrorAs(t, err, &held, "I7: the sale's money is there")
		assert.Equal(t, payflow.AlreadyPaidError{ID: first, Late: true}, *held)
	})
}

// Whoever asks for one more tender in so many words gets it: the answer named the money before.
func TestAnAdditionalTenderMayStandBesideALateSuccess(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.declined("A-1")
		s.wechat.queries(found(payflow.TradeSuccess))
		after(80 * time.Second)
		extra := s.arm("A-1", withKey("second"), func(r *payflow.ArmRequest) { r.AdditionalTender = true })
		assert.True(t, extra.AdditionalTender)
	})
}

func TestWhereAReverseComesTooLateARefundGivesTheMoneyBack(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.refunds = &cashbox{}
		s.restart()
		no := s.declined("A-1")
		s.wechat.queries(found(payflow.TradeSuccess))
		s.wechat.reverses(outcome(payflow.Outcome{Kind: payflow.ReverseTooLate}))
		after(80 * time.Second)
		assert.Empty(t, s.refunds.requested(), "a reverse may be in flight")
		after(30 * time.Minute)

		entry := s.entry(no)
		assert.Equal(t, payflow.LateRefunding, entry.Late.Stage)
		require.Equal(t, []string{string(no) + "-LATE"}, s.refunds.requested())
		assert.Equal(t, payflow.OutRefundNo(no)+"-LATE", entry.Late.OutRefundNo)
		assert.Empty(t, s.refunds.broken)
		s.restart()

		s.wechat.queries(func(o payflow.Order) (payflow.Outcome, error) {
			outcome, err := found(payflow.TradeRefund)(o)
			outcome.Trade.Refunds = payflow.RefundSum{Known: true, Done: o.Amount.Minor}
			return outcome, err
		})
		after(30 * time.Minute)

		entry = s.entry(no)
		assert.Equal(t, payflow.LateGivenBack, entry.Late.Stage)
		assert.Equal(t, payflow.LateByRefund, entry.Late.By)
		assert.Len(t, s.refunds.requested(), 1, "one wish, one refund")
		assert.Equal(t, "late_success 4200000001, late_refund "+string(no)+"-LATE, late_given_back refund", kindsOf(entry.Links))
	})
}

func TestWithoutRefundsAPersonIsNeededAndMaySettleIt(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.declined("A-1")
		s.wechat.queries(found(payflow.TradeSuccess))
		s.wechat.reverses(outcome(payflow.Outcome{Kind: payflow.ReverseTooLate}))
		_, err := s.engine.SettleLate(t.Context(), no, "Bo", "cash")
		var wrong *payflow.WrongStateError
		require.ErrorAs(t, err, &wrong, "the till is still at it")
		after(30 * time.Minute)
		require.Equal(t, payflow.AttentionReverseTooLate, s.entry(no).Late.Attention)

		_, err = s.engine.SettleLate(t.Context(), no, "", "cash")
		var bad *payflow.BadRequestError
		require.ErrorAs(t, err, &bad)
		entry, err := s.engine.SettleLate(t.Context(), no, "Bo", "refunded on the platform")
		require.NoError(t, err)

		assert.Equal(t, payflow.LateSettled, entry.Late.Stage)
		assert.Equal(t, "late_success 4200000001, late_needs_person reverse_too_late, late_settled Bo", kindsOf(entry.Links))
		events, err := s.wechat.journal.EventsOf(no)
		require.NoError(t, err)
		assert.Equal(t, "settled: refunded on the platform", events[len(events)-1].Note)
		s.arm("A-1", withKey("second"))
	})
}

func TestAPersonMayLookAgain(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.declined("A-1")
		after(2 * time.Minute)
		require.Equal(t, payflow.LateClear, s.entry(no).Late.Stage)
		s.wechat.queries(found(payflow.TradeSuccess))

		_, err := s.engine.LookAgain(t.Context(), no, "Bo")
		require.NoError(t, err)
		synctest.Wait()

		assert.Equal(t, payflow.LateTakingBack, s.entry(no).Late.Stage)
		assert.NotContains(t, s.wechat.calls(), "reverse", "not before 15 s are over")
		after(20 * time.Second)
		assert.Contains(t, s.wechat.calls(), "reverse")

		s.wechat.pays(found(payflow.TradeSuccess))
		paid := s.arm("A-2").OutTradeNo
		require.NoError(t, s.scan(codeB))
		_, err = s.engine.LookAgain(t.Context(), paid, "Bo")
		var wrong *payflow.WrongStateError
		require.ErrorAs(t, err, &wrong)
	})
}

// Whatever commit fails, the next start goes on: the late success is linked once and given back, and nobody was told what is not on disk.
func TestALateSuccessOutlivesACrashAtEachCommit(t *testing.T) {
	for _, moment := range []string{"commit", "committed"} {
		for n := 1; n <= 12; n++ {
			synctest.Test(t, func(t *testing.T) {
				s := openShop(t)
				no := s.declined("A-1")
				s.wechat.queries(found(payflow.TradeSuccess))
				left, failed := n, false
				s.stop()
				s.cfg.fault = func(step string) error {
					if step == moment {
						if left--; left == 0 {
							failed = true
							return fmt.Errorf("the power is gone")
						}
					}
					return nil
				}
				begin := func() {
					journal, err := OpenJournal(s.cfg)
					if err != nil {
						s.cfg.fault = nil
						journal, err = OpenJournal(s.cfg)
						require.NoError(t, err)
					}
					require.NoError(t, journal.Close())
					s.start()
				}
				begin()
				for range 60 {
					after(10 * time.Second)
					if s.engine.Err() != nil {
						s.cfg.fault = nil
						s.restart()
					}
					if s.entry(no).Late.Stage == payflow.LateTakingBack && strings.Contains(s.wechat.calls(), "reverse") {
						s.wechat.queries(found(payflow.TradeRevoked))
					}
				}
				if s.engine.Err() != nil {
					s.cfg.fault = nil
					s.restart()
					after(5 * time.Minute)
				}
				entry := s.entry(no)
				assert.Equal(t, payflow.LateGivenBack, entry.Late.Stage, "%s %d", moment, n)
				assert.Equal(t, "late_success 4200000001, late_given_back reverse", kindsOf(entry.Links), "%s %d, failed %v", moment, n, failed)
				unannounced, err := s.engine.Unannounced()
				assert.Equal(t, []payflow.OutTradeNo{no}, numbers(unannounced, err))
				report, err := s.wechat.journal.Verify(t.Context(), nil)
				require.NoError(t, err)
				assert.True(t, report.Clean(), report.String())
				s.stop()
			})
		}
	}
}

// asFormat1 makes a journal what an older program left: without the later buckets, and with records that know of no late truth.
func (b *book) asFormat1(no payflow.OutTradeNo) {
	b.t.Helper()
	_, err := b.change(no, func(r *paymentRecord) (eventRecord, error) {
		r.Late = payflow.Late{}
		return ofPayment(EventLinked, r.Payment), nil
	})
	require.NoError(b.t, err)
	b.tamper(func(tx *bbolt.Tx) error {
		for _, name := range laterBuckets() {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketAbout).Put(keyFormat, []byte("1"))
	})
}

func TestAJournalOfFormat1GrowsAtAStart(t *testing.T) {
	b := newBook(t)
	owing := b.declinedOwing("key 1", "A-1").OutTradeNo
	paid := b.scan(b.arm("key 2", "A-2"), "134567890123456789").Payment
	paid.Status = payflow.Paid // by a program that knew of no payer
	b.commit(payflow.Event{Kind: payflow.PayAnswered, At: b.now}, paid)
	b.asFormat1(owing)

	reader := *b
	reader.cfg.ReadOnly = true
	reader.open()
	truths, err := reader.LateTruths()
	require.NoError(t, err, "it can be shown as it is")
	assert.Empty(t, truths)
	reader.mustBeClean()
	require.NoError(t, reader.Close())

	for range 2 {
		b.open()
		open, err := b.lateOpen()
		require.NoError(t, err)
		assert.Equal(t, []payflow.OutTradeNo{owing}, numbers(open, nil))
		events, err := b.EventsOf(owing)
		require.NoError(t, err)
		count := 0
		for _, e := range events {
			if e.Kind == EventLate {
				count++
			}
		}
		assert.Equal(t, 1, count, "once, however often it is opened")
		b.mustBeClean()
		require.NoError(t, b.Close())
	}
	b.open()
}

func TestAJournalThatDiesWhileItGrowsGrowsAgain(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for _, moment := range []string{"commit", "committed"} {
			b := newBook(t)
			one, two := b.declinedOwing("key 1", "A-1").OutTradeNo, b.declinedOwing("key 2", "A-2").OutTradeNo
			_, err := b.change(one, func(r *paymentRecord) (eventRecord, error) {
				r.Late = payflow.Late{}
				return ofPayment(EventLinked, r.Payment), nil
			})
			require.NoError(t, err)
			b.asFormat1(two)
			left := n
			b.cfg.fault = func(step string) error {
				if step == moment {
					if left--; left == 0 {
						return fmt.Errorf("the power is gone")
					}
				}
				return nil
			}
			_, err = OpenJournal(b.cfg)
			require.Error(t, err, "%s %d", moment, n)
			b.cfg.fault = nil
			b.open()
			open, err := b.lateOpen()
			require.NoError(t, err)
			assert.Equal(t, []payflow.OutTradeNo{one, two}, numbers(open, nil), "%s %d", moment, n)
			b.mustBeClean()
			require.NoError(t, b.Close())
			b.open()
		}
	}
}

// I7 and I8: whatever was restarted in between, and however often.
func TestASaleIsLockedAndItsResultKeptAcrossRestarts(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(lost)
		s.wechat.queries(lost)
		s.wechat.reverses(lost)
		stuck := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		after(80 * time.Second)
		_, err := s.engine.SetAside(t.Context(), stuck, "P001", "queue")
		require.NoError(t, err)
		s.wechat.pays(found(payflow.TradeSuccess))
		paid := s.arm("A-2").OutTradeNo
		require.NoError(t, s.scan(codeB))

		for range 4 {
			s.restart()
			_, err := s.engine.Arm(t.Context(), armRequest("A-1", withKey("again")))
			var open *payflow.SaleOpenError
			require.ErrorAs(t, err, &open, "an open payment locks its sale, set aside or not")
			assert.Equal(t, stuck, open.ID)
			_, err = s.engine.Arm(t.Context(), armRequest("A-1", withKey("more"), func(r *payflow.ArmRequest) { r.AdditionalTender = true }))
			require.ErrorAs(t, err, &open, "an additional tender too")
			_, err = s.engine.Arm(t.Context(), armRequest("A-2", withKey("twice")))
			var already *payflow.AlreadyPaidError
			require.ErrorAs(t, err, &already)
			assert.Equal(t, payflow.AlreadyPaidError{ID: paid}, *already)
			unannounced, err := s.engine.Unannounced()
			assert.Equal(t, []payflow.OutTradeNo{paid}, numbers(unannounced, err))
			after(time.Minute)
		}
		s.wechat.queries(found(payflow.TradeRevoked))
		after(3 * time.Minute)
		assert.Equal(t, payflow.ReasonRevoked, s.entry(stuck).Reason, "nobody ever saw whether it was paid")
		assert.Equal(t, payflow.MoneyNotKnown, s.entry(stuck).MoneyTaken())
		s.arm("A-1", withKey("free"))
	})
}

// Every result that was shown is on the list at the next start, in order, whatever commit failed; it leaves by an acknowledgement alone.
func TestEachResultIsKeptUntilItWasToldWhateverCommitFails(t *testing.T) {
	crashes := 24
	if n, err := strconv.Atoi(os.Getenv("POSAGENT_TOLD_CRASHES")); err == nil {
		crashes = n
	}
	for n := 1; n <= crashes; n++ {
		moment := []string{"commit", "committed"}[n%2]
		synctest.Test(t, func(t *testing.T) {
			s := openShop(t)
			s.stop()
			left := (n + 1) / 2
			s.cfg.fault = func(step string) error {
				if step == moment {
					if left--; left == 0 {
						return fmt.Errorf("the power is gone")
					}
				}
				return nil
			}
			s.start()
			shown, acknowledged := []payflow.OutTradeNo{}, map[payflow.OutTradeNo]bool{}
			for i := range 5 {
				entry, err := s.engine.Arm(t.Context(), armRequest(fmt.Sprint("A-", i)))
				if err == nil {
					s.wechat.pays(found(payflow.TradeSuccess))
					_, _ = s.engine.Scan(t.Context(), fmt.Sprintf("13465072086636%04d", i), "", "scanner")
					synctest.Wait()
					if e, err := s.engine.Payment(entry.OutTradeNo); err == nil && e.Status == payflow.Paid {
						shown = append(shown, entry.OutTradeNo)
					}
				}
				if s.engine.Err() != nil {
					s.cfg.fault = nil
					s.restart()
					after(time.Second)
				}
				if i == 2 && len(shown) > 0 {
					if _, err := s.engine.Acknowledge(t.Context(), shown[0], payflow.Acknowledgement{How: payflow.GoodsGiven}); err == nil {
						acknowledged[shown[0]] = true
					}
					if s.engine.Err() != nil {
						s.cfg.fault = nil
						s.restart()
						after(time.Second)
					}
				}
			}
			s.restart()
			after(time.Second)
			require.GreaterOrEqual(t, len(shown), 3, "%s %d", moment, n)
			listed, err := s.engine.Unannounced()
			require.NoError(t, err)
			at := map[payflow.OutTradeNo]int{}
			for i, e := range listed {
				at[e.OutTradeNo] = i + 1
				assert.False(t, acknowledged[e.OutTradeNo], "%s %d: %s was acknowledged", moment, n, e.OutTradeNo)
				assert.True(t, i == 0 || listed[i-1].OutTradeNo < e.OutTradeNo, "in order of arming")
			}
			for _, no := range shown {
				assert.True(t, acknowledged[no] || at[no] > 0 || !s.entry(no).Acknowledged.At.IsZero(), "%s %d: %s was shown as paid and is not on the list", moment, n, no)
			}
			s.stop()
		})
	}
}
