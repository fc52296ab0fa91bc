package wxclient

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// A start knows none of the nonces that the one before it saw. What was signed before it can answer nothing that it asked.
func TestAnAnswerFromBeforeARestartIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, wxsim.Config{})
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		o, _, err := s.scan("password-never")
		require.NoError(t, err)
		before, err := s.client.Query(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, payflow.TradeUserPaying, before.Trade.State)

		time.Sleep(time.Minute) // WeChat Pay has revoked it meanwhile
		s.client = newClient(t, s.setUp)
		require.NoError(t, s.client.FirstRoundTrip(t.Context()))
		remove := s.sim.Inject(wxsim.Fault{On: wxsim.Query, Kind: wxsim.Replayed, Times: -1})
		_, err = s.client.Query(t.Context(), o)
		assert.ErrorContains(t, err, "before this start")
		remove()
		after, err := s.client.Query(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeRevoked, after.Trade.State)
	})
}
