package v2

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// shop knows one refund, and keeps what it is told of.
type shop struct {
	refund payflow.RefundOrder
	told   chan payflow.RefundReport
}

func (s *shop) Refund(no payflow.OutRefundNo) (payflow.RefundOrder, bool) {
	return s.refund, no == s.refund.OutRefundNo
}
func (s *shop) Payment(payflow.OutTradeNo) (payflow.Order, bool)     { return payflow.Order{}, false }
func (s *shop) PaymentNotified(context.Context, payflow.Trade) error { return nil }
func (s *shop) RefundNotified(_ context.Context, r payflow.RefundReport) error {
	s.told <- r
	return nil
}

func TestWithTheSimulatorARefundIsNotified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := &pipeListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		knock := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			door.conns <- theirs
			return ours, nil
		}
		s := newStore(t, wxsim.Config{Notify: wxsim.Notify{Dial: knock, Through: "http://shop.test"}})
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		journal := &shop{told: make(chan payflow.RefundReport, 8), refund: s.refundOf(o, "R1", 500)}
		journal.refund.TransactionID, journal.refund.NotifyURL = paid.Trade.TransactionID, "https://shop.test/refund"
		server := &http.Server{Handler: s.client.Notifications(journal)}
		go server.Serve(door)
		defer server.Close()
		_, err = s.client.Refund(t.Context(), journal.refund)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Len(t, journal.told, 1)
		told := <-journal.told
		assert.EqualValues(t, "R1", told.OutRefundNo)
		assert.Equal(t, payflow.RefundStateSuccess, told.State)
	})
}

func TestWithTheSimulatorACodeTellsItsOpenID(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		code, err := payflow.ParseAuthCode(wxsim.CodeFor("pays-at-once", 99), "", nil)
		require.NoError(t, err)
		who, err := s.client.OpenID(t.Context(), code)
		require.NoError(t, err)
		assert.NotEmpty(t, who.OpenID)
	})
}
