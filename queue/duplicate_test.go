package queue

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

const openID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"

// paidBy is a SUCCESS whose payer WeChat Pay names.
func paidBy(payer string) answer {
	return func(o payflow.Order) (payflow.Outcome, error) {
		outcome, err := found(payflow.TradeSuccess)(o)
		outcome.Trade.Payer = payer
		return outcome, err
	}
}

// sells makes one paid sale.
func (s *shop) sells(sale, code, payer string, more ...func(*payflow.ArmRequest)) payflow.OutTradeNo {
	s.t.Helper()
	s.wechat.pays(paidBy(payer))
	no := s.arm(sale, more...).OutTradeNo
	require.NoError(s.t, s.scan(code))
	require.Equal(s.t, payflow.Paid, s.status(no))
	return no
}

func (s *shop) pairs() [][2]payflow.OutTradeNo {
	s.t.Helper()
	pairs := [][2]payflow.OutTradeNo{}
	found, err := s.engine.SuspectedDuplicates(time.Now().UTC().Format(time.DateOnly))
	require.NoError(s.t, err)
	for _, d := range found {
		pairs = append(pairs, [2]payflow.OutTradeNo{d.First.OutTradeNo, d.Second.OutTradeNo})
	}
	return pairs
}

func TestTheSamePayerTwiceWithinTenMinutesIsSuspected(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		first := s.sells("A-1", codeA, openID)
		after(9 * time.Minute)
		commits := s.wechat.journal.boltCommits()
		second := s.sells("A-2", codeB, openID)
		assert.Equal(t, commits+4, s.wechat.journal.boltCommits(), "armed, sent, paid with its link, and the link back behind the verdict")

		assert.Equal(t, [][2]payflow.OutTradeNo{{first, second}}, s.pairs())
		assert.Equal(t, "suspected_duplicate "+string(second), kindsOf(s.entry(first).Links))
		assert.Equal(t, "suspected_duplicate "+string(first), kindsOf(s.entry(second).Links))
		s.restart()
		assert.Equal(t, [][2]payflow.OutTradeNo{{first, second}}, s.pairs())

		_, err := s.engine.Acknowledge(t.Context(), second, payflow.Acknowledgement{How: payflow.MoneyGivenBack})
		require.NoError(t, err)
		assert.Empty(t, s.pairs(), "what was given back is no duplicate any more")

		file, err := os.ReadFile(s.cfg.File)
		require.NoError(t, err)
		assert.NotContains(t, string(file), openID, "the journal holds a keyed hash alone")
	})
}

func TestWhatIsNoDuplicate(t *testing.T) {
	for name, tell := range map[string]func(s *shop){
		"another payer":       func(s *shop) { s.sells("A-2", codeB, openID+"x") },
		"no payer named":      func(s *shop) { s.sells("A-2", codeB, "") },
		"another amount":      func(s *shop) { s.sells("A-2", codeB, openID, func(r *payflow.ArmRequest) { r.Amount.Minor++ }) },
		"ten minutes later":   func(s *shop) { after(10*time.Minute + time.Second); s.sells("A-2", codeB, openID) },
		"declined the second": func(s *shop) { s.wechat.pays(refusedPay); s.wechat.queries(noOrder); s.arm("A-2"); _ = s.scan(codeB) },
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, s *shop) {
				s.sells("A-1", codeA, openID)
				tell(s)
				assert.Empty(t, s.pairs())
			})
		})
	}
}

func TestNoPayerNamedIsNobody(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.sells("A-1", codeA, "")
		s.sells("A-2", codeB, "")
		assert.Empty(t, s.pairs())
	})
}

// An additional tender that was asked for is not hidden: its link says what it is.
func TestAnAdditionalTenderIsTiedAndNotSuspected(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		first := s.sells("A-1", codeA, openID)
		second := s.sells("A-1", codeB, openID, withKey("second"), func(r *payflow.ArmRequest) { r.AdditionalTender = true })
		assert.Empty(t, s.pairs())
		assert.Equal(t, "asked_for_additional "+string(first), kindsOf(s.entry(second).Links))
		assert.Equal(t, "asked_for_additional "+string(second), kindsOf(s.entry(first).Links))
	})
}

func TestARefundedDuplicateIsNoneAnyMore(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.refunds = &cashbox{}
		s.restart()
		s.sells("A-1", codeA, openID)
		second := s.sells("A-2", codeB, openID)
		require.Len(t, s.pairs(), 1)
		_, err := s.engine.Refund(t.Context(), payflow.RefundRequest{OutTradeNo: second, Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, IdempotencyKey: "r1", Operator: "Bo"})
		require.NoError(t, err)
		after(time.Minute)
		assert.Len(t, s.pairs(), 1, "not back yet")
		s.refunds.mu.Lock()
		s.refunds.refunds[0].State = payflow.RefundStateSuccess
		s.refunds.mu.Unlock()
		after(time.Hour)
		assert.Empty(t, s.pairs())
	})
}

// The link of the earlier payment comes in a commit of its own behind the verdict: a crash between the two is made good at the next start.
func TestALinkBackThatACrashCutOffIsMadeAtTheNextStart(t *testing.T) {
	for _, moment := range []string{"commit", "committed"} {
		story(t, func(t *testing.T, s *shop) {
			first := s.sells("A-1", codeA, openID)
			s.stop()
			left := 4 // armed, sent, paid, linked back
			s.cfg.fault = func(step string) error {
				if step == moment {
					if left--; left == 0 {
						return os.ErrClosed
					}
				}
				return nil
			}
			s.start()
			s.wechat.pays(paidBy(openID))
			second := s.arm("A-2").OutTradeNo
			_ = s.scan(codeB)
			require.Error(t, s.engine.Err())
			s.cfg.fault = nil
			s.restart()

			assert.Equal(t, payflow.Paid, s.status(second))
			assert.Equal(t, [][2]payflow.OutTradeNo{{first, second}}, s.pairs())
			assert.Equal(t, "suspected_duplicate "+string(second), kindsOf(s.entry(first).Links))
			s.restart()
			assert.Len(t, s.entry(first).Links, 1, "once")
		})
	}
}
