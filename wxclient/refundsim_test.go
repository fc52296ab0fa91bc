package wxclient

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// refundOf is a refund of so much of a payment of this store's.
func (s *store) refundOf(o payflow.Order, id payflow.TransactionID, part int, minor int64) payflow.RefundOrder {
	return payflow.RefundOrder{OutRefundNo: payflow.OutRefundNo(fmt.Sprintf("R%d%s", part, o.OutTradeNo)), OutTradeNo: o.OutTradeNo, TransactionID: id, Merchant: o.Merchant,
		API: o.API, Amount: payflow.Amount{Minor: minor, Currency: o.Amount.Currency}, Total: o.Amount, Reason: "The item has been sold out.", Source: payflow.RefundFromUnsettled}
}

func TestWithTheSimulatorMoneyIsGivenBackInParts(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		id := paid.Trade.TransactionID
		none, err := s.client.Refunds(t.Context(), o)
		require.NoError(t, err)
		assert.Empty(t, none)

		first, second := s.refundOf(o, id, 1, 250), s.refundOf(o, "", 2, 1000)
		outcome, err := s.client.Refund(t.Context(), first)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundAccepted, outcome.Kind)
		again, err := s.client.Refund(t.Context(), first)
		require.NoError(t, err)
		assert.Equal(t, outcome.Refund.RefundID, again.Refund.RefundID, "the same number is the same refund")
		query, err := s.client.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeRefund, query.Trade.State)
		assert.Equal(t, payflow.RefundSum{Known: true, Pending: 250}, query.Trade.Refunds)

		time.Sleep(10 * time.Second)
		_, err = s.client.Refund(t.Context(), second)
		require.NoError(t, err)
		query, err = s.client.QueryByID(t.Context(), o, id)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 250, Pending: 1000}, query.Trade.Refunds)
		time.Sleep(10 * time.Second)
		found, err := s.client.QueryRefund(t.Context(), second)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundStateSuccess, found.Refund.State)
		byID, err := s.client.QueryRefundByID(t.Context(), second, found.Refund.RefundID)
		require.NoError(t, err)
		assert.Equal(t, found, byID)
		query, err = s.client.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 1250}, query.Trade.Refunds)
		all, err := s.client.RefundsByID(t.Context(), o, id)
		require.NoError(t, err)
		assert.Len(t, all, 2)

		other := first
		other.Amount.Minor = 200
		_, err = s.client.Refund(t.Context(), other)
		assert.Equal(t, payflow.ReasonNumberInUse, lostOf(t, err).Reason, "the number with another amount is no refusal of the first")
		more, err := s.client.Refund(t.Context(), s.refundOf(o, id, 3, 1))
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundDeclined, more.Kind, "more than was paid")
		missing, err := s.client.QueryRefund(t.Context(), s.refundOf(o, id, 4, 1))
		require.NoError(t, err)
		assert.Equal(t, payflow.NoSuchRefund, missing.Kind)
		unpaid, err := s.client.Refund(t.Context(), s.refundOf(s.order(), "", 5, 1))
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundDeclined, unpaid.Kind)
	})
}

func TestWithTheSimulatorFiftyRefundsAreThreePages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{})
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		for i := range 50 {
			outcome, err := s.client.Refund(t.Context(), s.refundOf(o, paid.Trade.TransactionID, i, 25))
			require.NoError(t, err)
			require.Equal(t, payflow.RefundAccepted, outcome.Kind)
		}
		time.Sleep(time.Minute)
		query, err := s.client.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundSum{Known: true, Done: 1250}, query.Trade.Refunds)
	})
}

func TestWithTheSimulatorEachEndOfARefundIsUnderstood(t *testing.T) {
	for _, unsigned := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t, wxsim.Config{Behaviour: wxsim.Behaviour{ErrorsUnsigned: unsigned}})
			require.NoError(t, s.client.FirstRoundTrip(t.Context()))
			for scenario, want := range map[string]struct {
				first payflow.RefundOutcomeKind // empty: not known
				state payflow.RefundState       // by the query, a minute later and after one repeat; empty: there is none
				sum   payflow.RefundSum
			}{
				"refund-never-ends":            {payflow.RefundAccepted, payflow.RefundStateProcessing, payflow.RefundSum{Known: true, Pending: 1250}},
				"refund-closed":                {payflow.RefundAccepted, payflow.RefundStateClosed, payflow.RefundSum{Known: true, Dead: 1}},
				"refund-abnormal":              {payflow.RefundAccepted, payflow.RefundStateAbnormal, payflow.RefundSum{Known: true, Dead: 1}},
				"refund-no-money":              {payflow.RefundDeclined, "", payflow.RefundSum{}},
				"refund-account-dead":          {payflow.RefundDeclined, "", payflow.RefundSum{}},
				"refund-overdue":               {payflow.RefundDeclined, "", payflow.RefundSum{}},
				"refund-error":                 {payflow.RefundDeclined, "", payflow.RefundSum{}},
				"refund-system-error":          {"", payflow.RefundStateSuccess, payflow.RefundSum{Known: true, Done: 1250}},
				"refund-system-error-not-made": {"", payflow.RefundStateSuccess, payflow.RefundSum{Known: true, Done: 1250}},
				"refund-retry":                 {"", payflow.RefundStateSuccess, payflow.RefundSum{Known: true, Done: 1250}},
				"refund-too-soon":              {payflow.RefundLater, payflow.RefundStateSuccess, payflow.RefundSum{Known: true, Done: 1250}},
				"refund-too-often":             {payflow.RefundLater, payflow.RefundStateSuccess, payflow.RefundSum{Known: true, Done: 1250}},
				"refund-answer-lost":           {"", payflow.RefundStateSuccess, payflow.RefundSum{Known: true, Done: 1250}},
				"refund-unsigned":              {"", payflow.RefundStateSuccess, payflow.RefundSum{Known: true, Done: 1250}},
			} {
				o, paid, err := s.scan(scenario)
				require.NoError(t, err, scenario)
				refund := s.refundOf(o, paid.Trade.TransactionID, 1, 1250)
				outcome, err := s.client.Refund(t.Context(), refund)
				refused := want.first == payflow.RefundDeclined || want.first == payflow.RefundLater
				switch {
				case want.first == "" || refused && unsigned:
					// A 5xx sends the call to the other host at once, with the same number: that may be answered.
					if err == nil {
						assert.Equal(t, payflow.RefundAccepted, outcome.Kind, scenario)
					} else {
						lostOf(t, err)
					}
				default:
					require.NoError(t, err, scenario)
					assert.Equal(t, want.first, outcome.Kind, scenario)
				}
				time.Sleep(time.Minute)
				_, _ = s.client.Refund(t.Context(), refund)
				time.Sleep(time.Minute)
				found, err := s.client.QueryRefund(t.Context(), refund)
				if want.state == "" && unsigned {
					assert.Equal(t, payflow.NoSuchOrder, lostOf(t, err).Claim, scenario)
					continue
				}
				require.NoError(t, err, scenario)
				assert.Equal(t, want.state, found.Refund.State, scenario)
				query, err := s.client.Query(t.Context(), o)
				require.NoError(t, err, scenario)
				assert.Equal(t, want.sum, query.Trade.Refunds, scenario)
			}
			assert.Empty(t, s.sim.Books().Violations)
		})
	}
}

func TestWithTheSimulatorADaysStatementIsTakenAndRead(t *testing.T) {
	for _, behaviour := range []wxsim.Behaviour{{}, {ChineseStatements: true, NoStatementSummary: true}, {StatementsAtOnce: true}} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t, wxsim.Config{Behaviour: behaviour})
			require.NoError(t, s.client.FirstRoundTrip(t.Context()))
			file := filepath.Join(t.TempDir(), "statement.csv")
			today := time.Now().In(statementZone).Format(dayFormat)
			nothing, err := s.client.Statement(t.Context(), today, file)
			require.NoError(t, err)
			assert.True(t, nothing.None)

			o, paid, err := s.scan("pays-at-once")
			require.NoError(t, err)
			refund := s.refundOf(o, paid.Trade.TransactionID, 1, 250)
			_, err = s.client.Refund(t.Context(), refund)
			require.NoError(t, err)
			reversed, _, err := s.scan("pays-at-once")
			require.NoError(t, err)
			time.Sleep(payflow.ReverseGuard)
			_, err = s.client.Reverse(t.Context(), reversed)
			require.NoError(t, err)
			if !behaviour.StatementsAtOnce {
				time.Sleep(48 * time.Hour)
				require.NoError(t, s.client.FirstRoundTrip(t.Context()))
			}
			got, err := s.client.Statement(t.Context(), today, file)
			require.NoError(t, err)
			assert.True(t, got.Verified, got.Doubt)
			f, err := os.Open(file)
			require.NoError(t, err)
			defer f.Close()
			var rows []payflow.StatementRow
			summary, err := ReadStatement(f, func(row payflow.StatementRow) error {
				rows = append(rows, row)
				return nil
			})
			require.NoError(t, err)
			assert.Equal(t, !behaviour.NoStatementSummary, summary.Told)
			require.Len(t, rows, 4, "two payments, a refund, a reverse")
			states := map[payflow.TradeState]payflow.StatementRow{}
			for _, row := range rows {
				assert.Equal(t, s.merchant.MerchantID, row.MerchantID)
				assert.Equal(t, s.merchant.SubMerchantID, row.SubMerchantID)
				assert.True(t, o.Tag.Carries(row.Attach))
				assert.NotEmpty(t, row.Description)
				assert.NotEmpty(t, row.Fee)
				assert.Equal(t, today, row.At.In(statementZone).Format(dayFormat))
				states[row.State] = row
			}
			assert.Equal(t, o.Amount, states[payflow.TradeSuccess].Amount)
			assert.Zero(t, states[payflow.TradeSuccess].Refund)
			assert.Equal(t, refund.OutRefundNo, states[payflow.TradeRefund].OutRefundNo)
			assert.Equal(t, refund.Amount, states[payflow.TradeRefund].Refund)
			assert.Equal(t, o.OutTradeNo, states[payflow.TradeRefund].OutTradeNo)
			assert.Equal(t, reversed.Amount, states[payflow.TradeRevoked].Refund)
			assert.Equal(t, reversed.OutTradeNo, states[payflow.TradeRevoked].OutTradeNo)

			for _, settled := range []bool{true, false} {
				lines, total, err := s.client.Settlements(t.Context(), SettlementQuery{Settled: settled})
				require.NoError(t, err)
				assert.Len(t, lines, total)
				for _, line := range lines {
					assert.Equal(t, payflow.Currency("HKD"), line.Payout.Currency)
					assert.Equal(t, line.Pay.Minor-line.Refund.Minor, line.Net.Minor)
				}
			}
		})
	}
}

// The simulator's notifications go to the handler, by way of a listener of the shop's.
func TestWithTheSimulatorNotificationsReachTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := &pipeListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			select {
			case shop.conns <- theirs:
				return ours, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		s := newStore(t, wxsim.Config{Notify: wxsim.Notify{Dial: dial, Through: "http://shop.test", Payments: "https://shop.test/notify"}, Behaviour: wxsim.Behaviour{NotifyTwice: true}})
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		o := s.order()
		b := &books{refunds: map[payflow.OutRefundNo]payflow.RefundOrder{}, payments: map[payflow.OutTradeNo]payflow.Order{o.OutTradeNo: o}}
		server := &http.Server{Handler: s.client.Notifications(b)}
		go server.Serve(shop)
		t.Cleanup(func() { server.Close() })

		outcome, err := s.client.Pay(t.Context(), o, s.code("pays-at-once"), gone())
		require.NoError(t, err)
		refund := s.refundOf(o, outcome.Trade.TransactionID, 1, 250)
		refund.NotifyURL = "https://shop.test/notify"
		b.journal(refund)
		_, err = s.client.Refund(t.Context(), refund)
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		told, paid := b.heard()
		require.Len(t, paid, 1)
		assert.Equal(t, o.Amount, paid[0].Amount)
		require.Len(t, told, 1, "though it was sent twice")
		assert.Equal(t, refund.OutRefundNo, told[0].OutRefundNo)
		assert.Equal(t, payflow.RefundStateSuccess, told[0].State)

		unknown := s.refundOf(o, outcome.Trade.TransactionID, 2, 250)
		unknown.NotifyURL = refund.NotifyURL
		_, err = s.client.Refund(t.Context(), unknown)
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		told, _ = b.heard()
		assert.Len(t, told, 1, "what is not journaled is refused, and comes again")
		b.journal(unknown)
		time.Sleep(25 * time.Hour)
		told, _ = b.heard()
		assert.Len(t, told, 2)
		status, err := s.sim.Probe("https://shop.test/notify")
		require.NoError(t, err)
		assert.Equal(t, http.StatusUnauthorized, status, "probing traffic must fail")
	})
}

func TestWithTheSimulatorAMerchantMovesToThePublicKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{})
		k, err := s.sim.Credentials("")
		require.NoError(t, err)
		block, _ := pem.Decode(k.PublicKey)
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		require.NoError(t, err)
		config := Config{Hosts: []string{"https://" + firstHost}, RootCAs: k.Roots, Merchant: s.merchant, SerialNo: k.Serial, PrivateKey: k.Key,
			APIv3Key: []byte(k.APIv3Key), Dial: s.client.dialer.dial, PublicKeyID: k.PublicKeyID, PublicKey: key.(*rsa.PublicKey)}
		pays := func() {
			t.Helper()
			_, outcome, err := s.scan("pays-at-once")
			require.NoError(t, err)
			assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State)
		}
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		pays()
		s.client = newClient(t, config)
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		pays()
		s.sim.UsePublicKeyOnly()
		pays()
		for _, unsigned := range []bool{false, true} {
			s.sim.Behave(wxsim.Behaviour{ErrorsUnsigned: unsigned})
			s.client = newClient(t, config)
			require.NoError(t, s.client.FirstRoundTrip(t.Context()), "there are no certificates any more")
			assert.Empty(t, s.client.State().Certificates)
			pays()
		}
	})
}
