package wxclient

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestWithTheSimulatorAnOrderIsTakenBackByItsID(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		o, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		time.Sleep(payflow.ReverseGuard)
		reversed, err := s.client.ReverseByID(t.Context(), o, paid.Trade.TransactionID)
		require.NoError(t, err)
		assert.Equal(t, payflow.ReverseDone, reversed.Kind)
		after, err := s.client.QueryByID(t.Context(), o, paid.Trade.TransactionID)
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeRevoked, after.Trade.State)
		book, _ := s.sim.Books().Order(string(o.OutTradeNo))
		assert.Zero(t, book.Held)
		assert.EqualValues(t, 1250, book.GaveBack, "all of it went back")
	})
}

func TestWithTheSimulatorANewMerchantCertificateTakesOver(t *testing.T) {
	bothModes(t, func(t *testing.T, s *store) {
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.client.Run(ctx) })
		defer running.Wait()
		defer stop()
		old := s.client.KeySerial()
		k, err := s.sim.AddMerchantCertificate("")
		require.NoError(t, err)
		require.NoError(t, s.client.OfferKey(k.Serial, k.Key))
		time.Sleep(time.Minute)
		assert.Equal(t, k.Serial, s.client.KeySerial())
		require.NoError(t, s.sim.DropMerchantCertificate(old))
		_, paid, err := s.scan("pays-at-once")
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeSuccess, paid.Trade.State)
	})
}
