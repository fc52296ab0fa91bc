package wxclient

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// What a manager does, against the simulator: money given back, statements, settlements, notifications.

func (s *store) refundOf(o payflow.Order, paid payflow.Outcome, number string, minor int64) payflow.RefundOrder {
	return payflow.RefundOrder{OutRefundNo: payflow.OutRefundNo(number), OutTradeNo: o.OutTradeNo, TransactionID: paid.Trade.TransactionID, Merchant: o.Merchant, API: payflow.APIv3,
		Amount: payflow.Amount{Minor: minor, Currency: o.Amount.Currency}, Total: o.Amount, Reason: "The item has been sold out."}
}

func TestWithTheSimulatorMoneyIsGivenBackAndAskedFor(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		first := s.refundOf(o, paid, "R1", 500)
		taken, err := s.client.Refund(t.Context(), first)
		require.NoError(t, err)
		require.Equal(t, payflow.RefundAccepted, taken.Kind)
		again, err := s.client.Refund(t.Context(), first)
		require.NoError(t, err, "the same number is the same refund")
		assert.Equal(t, taken.Refund.RefundID, again.Refund.RefundID)
		time.Sleep(time.Minute)

		byNumber, err := s.client.QueryRefund(t.Context(), first)
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundStateSuccess, byNumber.Refund.State)
		assert.Equal(t, first.Amount, byNumber.Refund.Amount)
		byID, err := s.client.QueryRefundByID(t.Context(), first, taken.Refund.RefundID)
		require.NoError(t, err)
		assert.Equal(t, byNumber.Refund, byID.Refund)

		rest := s.refundOf(o, payflow.Outcome{}, "R2", o.Amount.Minor-500) // by our own number of the payment
		_, err = s.client.Refund(t.Context(), rest)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		for name, list := range map[string]func() ([]payflow.RefundReport, error){
			"by our number": func() ([]payflow.RefundReport, error) { return s.client.Refunds(t.Context(), o) },
			"by WeChat's": func() ([]payflow.RefundReport, error) {
				return s.client.RefundsByID(t.Context(), o, paid.Trade.TransactionID)
			},
		} {
			all, err := list()
			require.NoError(t, err, name)
			assert.Equal(t, payflow.RefundSum{Known: true, Done: o.Amount.Minor}, payflow.SumRefunds(o.OutTradeNo, o.Amount, all), name)
		}
		missing, err := s.client.QueryRefund(t.Context(), s.refundOf(o, paid, "R3", 1))
		require.NoError(t, err)
		assert.Equal(t, payflow.NoSuchRefund, missing.Kind)
		book, _ := s.sim.Books().Order(string(o.OutTradeNo))
		assert.Zero(t, book.Held)
	})
}

func TestWithTheSimulatorAStatementIsReadRowByRow(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		for _, chinese := range []bool{false, true} {
			s.sim.Behave(wxsim.Behaviour{ChineseStatements: chinese})
			s.readsItsStatement(t)
		}
	})
}

func (s *store) readsItsStatement(t *testing.T) {
	o, paid, err := s.scan("pays-at-once")
	require.NoError(t, err)
	_, err = s.client.Refund(t.Context(), s.refundOf(o, paid, string(o.OutTradeNo)+"R", 500))
	require.NoError(t, err)
	day := time.Now().In(statementZone).Format(dayFormat)
	time.Sleep(48 * time.Hour)
	require.NoError(t, s.client.FirstRoundTrip(t.Context()))
	got, err := s.client.Statement(t.Context(), day, filepath.Join(t.TempDir(), day+".csv"))
	require.NoError(t, err)
	require.False(t, got.None)
	assert.True(t, got.Verified, got.Doubt)
	f, err := os.Open(got.File)
	require.NoError(t, err)
	defer f.Close()
	var rows []payflow.StatementRow
	_, err = ReadStatement(f, func(row payflow.StatementRow) error {
		rows = append(rows, row)
		return nil
	})
	require.NoError(t, err)
	require.Len(t, rows, 2, "the payment and its refund")
	assert.Equal(t, o.OutTradeNo, rows[0].OutTradeNo)
	assert.Equal(t, o.Amount, rows[0].Amount)
	assert.EqualValues(t, o.OutTradeNo+"R", rows[1].OutRefundNo)
	assert.EqualValues(t, 500, rows[1].Refund.Minor)

	none, err := s.client.Statement(t.Context(), time.Now().In(statementZone).AddDate(0, 0, -1).Format(dayFormat), filepath.Join(t.TempDir(), "none.csv"))
	require.NoError(t, err)
	assert.True(t, none.None)
}

func TestWithTheSimulatorSettlementsAreListed(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		o, _, err := s.scan("pays-at-once")
		require.NoError(t, err)
		waiting, _, err := s.client.Settlements(t.Context(), SettlementQuery{})
		require.NoError(t, err)
		require.Len(t, waiting, 1)
		assert.Equal(t, o.Amount.Minor, waiting[0].Pay.Minor)
		time.Sleep(48 * time.Hour)
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		settled, count, err := s.client.Settlements(t.Context(), SettlementQuery{Settled: true, Limit: 5})
		require.NoError(t, err)
		assert.Equal(t, 1, count)
		require.Len(t, settled, 1)
		assert.Equal(t, o.Amount.Currency, settled[0].Pay.Currency)
	})
}

// aJournal knows one payment and one refund, and keeps what it is told.
type aJournal struct {
	order  payflow.Order
	refund payflow.RefundOrder

	mu       sync.Mutex // guards all below
	refunds  []payflow.RefundReport
	payments []payflow.Trade
}

func (j *aJournal) Refund(no payflow.OutRefundNo) (payflow.RefundOrder, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.refund, j.refund.OutRefundNo == no
}

func (j *aJournal) Payment(no payflow.OutTradeNo) (payflow.Order, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.order, j.order.OutTradeNo == no
}

func (j *aJournal) RefundNotified(_ context.Context, r payflow.RefundReport) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refunds = append(j.refunds, r)
	return nil
}

func (j *aJournal) PaymentNotified(_ context.Context, trade payflow.Trade) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.payments = append(j.payments, trade)
	return nil
}

func TestWithTheSimulatorRefundsAndPaymentsAreNotified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := &pipeListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		knock := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			door.conns <- theirs
			return ours, nil
		}
		s := newStore(t, wxsim.Config{Behaviour: wxsim.Behaviour{NotifyTwice: true, NotifyPlain: true}, Notify: wxsim.Notify{Dial: knock, Through: "http://shop.test", Payments: "http://shop.test/pay"}})
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		journal := &aJournal{}
		server := &http.Server{Handler: s.client.Notifications(journal)}
		go server.Serve(door)
		defer server.Close()

		o := s.order()
		journal.mu.Lock()
		journal.order = o
		journal.mu.Unlock()
		paid, err := s.client.Pay(t.Context(), o, s.code("pays-at-once"), gone())
		require.NoError(t, err)
		back := s.refundOf(o, paid, "R1", 500)
		back.NotifyURL = "https://shop.test/refund"
		journal.mu.Lock()
		journal.refund = back
		journal.mu.Unlock()
		_, err = s.client.Refund(t.Context(), back)
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)

		journal.mu.Lock()
		defer journal.mu.Unlock()
		require.Len(t, journal.payments, 1, "told twice, journaled once")
		assert.Equal(t, o.OutTradeNo, journal.payments[0].OutTradeNo)
		require.Len(t, journal.refunds, 1)
		assert.Equal(t, payflow.RefundStateSuccess, journal.refunds[0].State)
		assert.Equal(t, back.Amount, journal.refunds[0].Amount)
		status, err := s.sim.Probe("http://shop.test/refund")
		require.NoError(t, err)
		assert.GreaterOrEqual(t, status, 400, "probing traffic must fail")
		assert.Empty(t, s.sim.Books().Violations)
	})
}
