package queue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// byHand records that the customer has the money back by another way.
func (s *shop) byHand(no payflow.OutTradeNo) {
	s.t.Helper()
	_, err := s.engine.Acknowledge(s.t.Context(), no, payflow.Acknowledgement{How: payflow.MoneyGivenBack, Operator: "Amy"})
	require.NoError(s.t, err)
}

// late lets the order turn out paid, and its money go back.
func (s *shop) late() {
	s.wechat.queries(found(payflow.TradeSuccess))
	after(80 * time.Second)
	s.wechat.queries(found(payflow.TradeRevoked))
	after(2 * time.Minute)
}

func (s *shop) truths() []payflow.OutTradeNo {
	truths, err := s.engine.LateTruths()
	return numbers(truths, err)
}

// The customer shows a phone that says paid, gets cash, and then the till finds the order paid and takes it back by itself.
func TestMoneyThatWentBackByHandAndByAReverseIsShownUntilAPersonHasSeenToIt(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.declined("A-1")
		s.byHand(no)
		s.late()
		entry := s.entry(no)
		require.Equal(t, payflow.LateGivenBack, entry.Late.Stage, "the customer's money is never kept for a word")
		assert.True(t, entry.BackTwice())
		assert.Equal(t, "given_back_by_hand Amy, late_success 4200000001, late_given_back reverse, suspected_paid_back_twice Amy", kindsOf(entry.Links))
		calls := s.wechat.calls()
		for range 2 {
			assert.Equal(t, []payflow.OutTradeNo{no}, s.truths())
			s.restart()
			after(time.Hour)
		}
		assert.Equal(t, calls, s.wechat.calls(), "nothing is asked any more: it is a person's work")

		_, err := s.engine.SettleLate(t.Context(), no, "Bo", "")
		require.Error(t, err, "what was done is journaled")
		settled, err := s.engine.SettleLate(t.Context(), no, "Bo", "the customer brought the cash back")
		require.NoError(t, err)
		assert.False(t, settled.BackTwice())
		assert.Equal(t, payflow.LateGivenBack, settled.Late.Stage)
		assert.Empty(t, s.truths())
		_, err = s.engine.SettleLate(t.Context(), no, "Bo", "again")
		var not *payflow.WrongStateError
		require.ErrorAs(t, err, &not)
		s.restart()
		assert.Empty(t, s.truths())
	})
}

func TestTheWordMayComeBeforeOrBehindTheReverse(t *testing.T) {
	for name, tell := range map[string]func(s *shop) payflow.OutTradeNo{
		"while it is taken back": func(s *shop) payflow.OutTradeNo {
			no := s.declined("A-1")
			s.wechat.queries(found(payflow.TradeSuccess))
			after(80 * time.Second)
			s.byHand(no)
			assert.Equal(s.t, payflow.LateTakingBack, s.entry(no).Late.Stage)
			assert.False(s.t, s.entry(no).BackTwice(), "not yet")
			s.late()
			return no
		},
		"behind it": func(s *shop) payflow.OutTradeNo {
			no := s.declined("A-1")
			s.late()
			s.byHand(no)
			return no
		},
		"of a payment that ended reversed": func(s *shop) payflow.OutTradeNo {
			s.wechat.pays(lost)
			s.wechat.queries(lost)
			no := s.arm("A-1").OutTradeNo
			require.NoError(s.t, s.scan(codeA))
			after(45 * time.Second)
			s.wechat.queries(found(payflow.TradeSuccess))
			after(10 * time.Second)
			s.wechat.queries(found(payflow.TradeRevoked))
			after(2 * time.Minute)
			require.Equal(s.t, payflow.Reversed, s.status(no))
			require.True(s.t, s.entry(no).MoneySeen)
			s.byHand(no)
			return no
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, s *shop) {
				no := tell(s)
				assert.True(t, s.entry(no).BackTwice(), kindsOf(s.entry(no).Links))
				assert.Equal(t, []payflow.OutTradeNo{no}, s.truths())
				_, err := s.engine.SettleLate(t.Context(), no, "Bo", "no cash was given: a wrong key")
				require.NoError(t, err)
				assert.Empty(t, s.truths())
			})
		})
	}
}

func TestMoneyThatWentBackOnceIsNotSuspected(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		seen := s.declined("A-1")
		_, err := s.engine.Acknowledge(t.Context(), seen, payflow.Acknowledgement{How: payflow.Seen, Operator: "Amy"})
		require.NoError(t, err)
		s.late()
		require.Equal(t, payflow.LateGivenBack, s.entry(seen).Late.Stage)
		s.wechat.queries(noOrder)
		byHand := s.arm("A-2").OutTradeNo
		require.NoError(t, s.scan(codeB))
		require.Equal(t, payflow.Declined, s.status(byHand))
		s.byHand(byHand)
		after(2 * time.Minute)
		require.Equal(t, payflow.LateClear, s.entry(byHand).Late.Stage)
		assert.False(t, s.entry(seen).BackTwice())
		assert.False(t, s.entry(byHand).BackTwice())
		assert.Empty(t, s.truths())
	})
}
