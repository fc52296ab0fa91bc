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

func TestATillThatWaitsAcrossARestartIsToldAtOnce(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(found(payflow.TradeUserPaying)) // the password is asked for: shown, and not worth a record
		s.wechat.queries(found(payflow.TradeUserPaying))
		no := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		assert.Equal(t, payflow.NoticeBusy, s.refuse(t, codeB), "a second scan is shown, and not worth a record either")
		seen, err := s.engine.Payment(no)
		require.NoError(t, err)

		s.wechat.queries(found(payflow.TradeSuccess))
		s.restart()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		entry, err := s.engine.WaitFor(ctx, no, seen.Version)
		require.NoError(t, err)
		assert.Equal(t, payflow.Paid, entry.Status)
		assert.Greater(t, entry.Version, seen.Version, "a version counts on across a restart")
		assert.Less(t, time.Since(began), time.Second)
	})
}

func TestNoVersionThatWasShownIsMetAgainThoughTheClockStandsStill(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(found(payflow.TradeUserPaying))
		s.wechat.queries(found(payflow.TradeUserPaying))
		no := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		began := time.Now()
		for range 3 {
			for range 3 {
				s.refuse(t, codeB) // shown, and not worth a record
			}
			seen, err := s.engine.Payment(no)
			require.NoError(t, err)
			s.restart()
			now, err := s.engine.Payment(no)
			require.NoError(t, err)
			assert.Greater(t, now.Version, seen.Version)
			assert.Less(t, now.Version, uint64(1<<53), "a number that every program can read")
		}
		require.Zero(t, time.Since(began), "no time has passed that could have made the difference")
	})
}

func TestVersionsGoOnAboveThoseOfEarlierStartsAndPrograms(t *testing.T) {
	of2100 := uint64(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	assert.Greater(t, versionFrom(of2100, 1), of2100, "an earlier program counted on from the milliseconds")
	for start := uint64(1); start < 5; start++ {
		assert.Greater(t, versionFrom(3, start+1), versionFrom(3, start)+1000)
	}
	assert.EqualValues(t, versionFrom(1, 9)+1, versionFrom(versionFrom(1, 9), 2), "what the journal holds is never gone below, where the list of starts was lost")
}

func TestNothingIsSoldBeforeWhatWasOpenHasBeenAskedFor(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(lost)
		s.wechat.queries(func(o payflow.Order) (payflow.Outcome, error) {
			time.Sleep(2 * time.Second)
			return found(payflow.TradeUserPaying)(o)
		})
		s.arm("A-1")
		require.NoError(t, s.scan(codeA))
		time.Sleep(time.Second)
		s.restart()
		var notReady *payflow.NotReadyError
		require.ErrorAs(t, s.engine.Ready(), &notReady)
		assert.Equal(t, "recovering", notReady.Code)
		time.Sleep(3 * time.Second)
		assert.NoError(t, s.engine.Ready(), "it has been asked for once, and holds the till as any open payment does")
	})
}

func TestAWakeThatComesTooSoonIsNotTheLast(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(lost)
		s.wechat.queries(found(payflow.TradeUserPaying))
		no := s.arm("A-1").OutTradeNo
		s.wakeEarly(no)
		require.NoError(t, s.scan(codeA))
		time.Sleep(time.Second)
		s.wakeEarly(no)
		s.wechat.queries(found(payflow.TradeSuccess))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, payflow.Paid, s.status(no), "it is asked about all the same (I6)")

		no = s.arm("A-2").OutTradeNo
		s.wakeEarly(no)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, payflow.Cancelled, s.status(no), "and one that waits for a scan ends")
	})
}

// wakeEarly wakes a payment ahead of its time, and takes the timer away that would wake it again.
func (s *shop) wakeEarly(no payflow.OutTradeNo) {
	s.engine.post(func() {
		s.engine.open[no].timer.Stop()
		s.engine.woken(no)
	})
	synctest.Wait()
}

// refuse scans a code that is not taken, and returns how the payment on the till shows it.
func (s *shop) refuse(t *testing.T, code string) string {
	t.Helper()
	require.Error(t, s.scan(code))
	synctest.Wait()
	entry, holding := s.engine.Holding()
	require.True(t, holding)
	return entry.Notice.Kind
}
